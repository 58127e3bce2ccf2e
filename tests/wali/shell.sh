# What a shell does all day, in dash: each line of output is compared with shell.expected.
echo one two | while read a b; do echo "$b $a"; done
for i in 1 2 3; do echo $i; done | sort -r | tr '\n' ' '; echo
x=$(echo sub $(echo shell)); echo "[$x]"
(cd /tmp && pwd); pwd
echo text > /tmp/f; echo more >> /tmp/f; cat < /tmp/f | wc -l | tr -d ' '
cat /nothing 2>/tmp/e || echo "status $?"; grep -c nothing /tmp/e
sh -c 'exit 7'; echo $?
f() { return $(($1 * 2)); }; f 21; echo $?
cat <<END | sed 's/here/there/'
here document
END
exec 5>/tmp/five; echo five >&5; exec 5>&-; cat /tmp/five
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
sleep 30 & pid=$!; kill $pid; wait $pid; echo "killed $?"
(sleep 0.05; exit 3) & wait $!; echo "waited $?"
yes | head -c 100000 | wc -c | tr -d ' '
mkdir -p /tmp/d/e && cd /tmp/d && touch e/a e/b && echo e/*; cd /
printf '%s\n' b a c | sort | head -n 1
echo 'echo from a script: $1' > /tmp/script; sh /tmp/script arg
awk 'BEGIN { for (i = 0; i < 3; i++) s = s i; print s }'
[ -t 0 ] || echo "no terminal"
seq 1 1000 | awk '{ s += $1 } END { print s }'
(trap 'echo child ends' EXIT; exit 0)
true | false | true; echo $?
exit 5
