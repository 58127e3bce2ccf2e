#!/usr/bin/env python3
"""sdk.py - wasmos-cc and the C library of Linux programs, and the programs of scripts/userland, as a person uses them.

    tests/sdk/sdk.py WASMOS [WORD...]       only cases whose name holds a WORD

Skipped where they were not made: scripts/sdk and scripts/userland take minutes.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / 'e2e'), str(HERE.parent / 'wali')]
import cases  # noqa: E402
from terminal import Terminal  # noqa: E402

CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'wasmos'
SDK = pathlib.Path(os.environ.get('WASMOS_SDK') or CACHE / 'sdk')
IMAGE = pathlib.Path(os.environ.get('WASMOS_USERLAND') or CACHE / 'userland') / 'image'
CC = ROOT / 'sdk' / 'bin' / 'wasmos-cc'
WASMOS, WORDS = sys.argv[1], sys.argv[2:]


def call(*words, given=None):
    r = subprocess.run([str(w) for w in words], input=given, capture_output=True, timeout=120,
                       stdin=None if given is not None else subprocess.DEVNULL)
    return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')


class Work:
    """A folder for a case, which its guests see as /tmp."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix='wasmos-sdk-')
        self.folder = pathlib.Path(self.holder.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.cleanup()

    def compile(self, source, *options):
        to = self.folder / 'program.wasm'
        status, _, err = call(CC, *options, '-O2', '-Wall', '-Werror', HERE / source, '-o', to)
        assert status == 0, err
        return to

    def words(self, program, *arguments, env=()):
        options = [word for pair in env for word in ('--env', pair)]
        return ['run', '--solo', '--dir', f'{IMAGE}::/', '--dir', f'{self.folder}::/tmp', '--env', 'PATH=/bin', *options, str(program), *arguments]

    def run(self, program, *arguments, given=None, env=()):
        return call(WASMOS, *self.words(program, *arguments, env=env), given=given)

    def made(self, name):
        program = IMAGE / 'bin' / name
        if not program.exists():
            raise cases.Skip(f'{name} is not made: scripts/userland {name}')
        return program

    def userland(self, name, *arguments, given=None, env=()):
        """What a program of the image prints; it must succeed."""
        status, out, err = self.run(self.made(name), *arguments, given=given, env=env)
        assert status == 0, (status, out, err)
        return out


def missing(test):
    if not (SDK / 'made').exists():
        return 'the C library is not made: scripts/setup --sdk && scripts/sdk'
    return None


# ---- wasmos-cc ----

def test_a_program_imports_only_what_the_list_of_host_calls_has(w):
    for source, options in (('guest.c', ()), ('threads.c', ('-pthread',))):
        assert call(ROOT / 'scripts' / 'check-imports', w.compile(source, *options)) == (0, '', '')


def test_threads_do_what_they_do_on_debian(w):
    program, native = w.compile('pthreads.c', '-pthread'), w.folder / 'native'
    if call('cc', '-O2', '-pthread', '-w', HERE / 'pthreads.c', '-o', native)[0]:
        raise cases.Skip('no C compiler of this machine')
    assert w.run(program) == call(native), (w.run(program), call(native))


def test_a_thousand_processes_are_there_at_once(w):
    program = w.folder / 'kernel.wasm'
    assert call(CC, '-O2', ROOT / 'bench' / 'kernel' / 'kernel.c', '-o', program)[0] == 0
    status, out, err = w.run(program, 'thousand', '1')
    assert (status, err) == (0, ''), (status, out, err)


def test_calls_that_the_library_makes_of_others_do_what_they_do_on_debian(w):
    native, there = w.folder / 'native', w.folder / 'there'
    there.mkdir()
    if call('cc', '-O2', '-w', HERE / 'emulated.c', '-o', native)[0]:
        raise cases.Skip('no C compiler of this machine')
    for options in ((), ('-pthread',)):
        program = w.compile('emulated.c', *options)
        r = subprocess.run([native], cwd=there, capture_output=True, text=True, check=True)
        assert call(WASMOS, 'run', '--solo', '--dir', f'{there}::/', program) == (0, r.stdout, '')


def test_two_control_messages_go_in_one_call_and_sockets_give_up_as_on_debian(w):
    native = w.folder / 'native'
    if call('cc', '-O2', '-w', HERE / 'messages.c', '-o', native)[0]:
        raise cases.Skip('no C compiler of this machine')
    assert w.run(w.compile('messages.c')) == call(native)


RUST = r'''"given y\n" Some(3)
["one", "two"] 8 NotFound
through a socket
true Err(ParseIntError { kind: InvalidDigit })
9231088487649884032
'''


def test_a_rust_program_has_threads_children_files_and_connections_as_on_debian(w):
    program = w.folder / 'rust.wasm'
    if not (SDK / 'rust' / 'made').exists():
        raise cases.Skip('it is not made: scripts/sdk-rust')
    assert call(SDK / 'rust' / 'bin' / 'rustc', '-O', '--edition', '2021', HERE / 'rust.rs', '-o', program) == (0, '', '')
    assert call(ROOT / 'scripts' / 'check-imports', program) == (0, '', '')
    assert w.run(program) == (5, RUST, ''), w.run(program)


def test_an_import_that_no_node_has_is_found(w):
    # The import env.f of type () -> ().
    (w.folder / 'bad.wasm').write_bytes(b'\0asm\1\0\0\0' b'\1\4\1\x60\0\0' b'\2\x09\1\3env\1f\0\0')
    status, out, _ = call(ROOT / 'scripts' / 'check-imports', w.folder / 'bad.wasm')
    assert status == 1 and 'env.f ()' in out, (status, out)


def test_the_linker_says_that_threads_need_pthread(w):
    status, _, err = call(CC, HERE / 'threads.c', '-o', w.folder / 'x.wasm')
    assert status != 0 and 'pthread_create' in err, err


def test_a_program_can_be_made_for_wasi(w):
    (w.folder / 'hello.c').write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 4; }\n')
    status, _, err = call(CC, '--target=wasi', '-O2', w.folder / 'hello.c', '-o', w.folder / 'hello.wasm')
    assert (status, err) == (0, '')
    assert w.run(w.folder / 'hello.wasm')[:2] == (4, 'hello\n')


def test_a_program_may_use_the_calls_of_the_module_wasmos(w):
    (w.folder / 'screen.c').write_text('#include <wasmos.h>\nint main(void) { return wasmos_display_open(8, 8, 0) < 0; }\n')
    assert call(CC, w.folder / 'screen.c', '-o', w.folder / 'screen.wasm') == (0, '', '')
    assert 'wasmos.display_open\n' in call(ROOT / 'scripts' / 'check-imports', '--list', w.folder / 'screen.wasm')[1]


def test_casts_are_calls_of_another_type_as_other_processors_make_them(w):
    program = w.compile('casts.c', '-Wl,--emit-relocs')
    assert w.run(program)[0] == 134
    assert call(ROOT / 'sdk' / 'bin' / 'wasmos-casts', program, w.folder / 'cast.wasm') == (0, '', '')
    assert w.run(w.folder / 'cast.wasm')[:2] == (0, '1 5 7 0 9\n')


# ---- the C library ----

def test_a_program_has_its_arguments_its_status_and_its_numbers(w):
    status, out, err = w.run(w.compile('guest.c'), 'numbers', 'a b', '')
    assert (status, out) == (3, '8 4 0.333333 -1099511627776\na b\n\n'), (status, out, err)


def test_a_program_has_its_environment(w):
    out = w.run(w.compile('guest.c'), 'environment', env=['LINES_OF_TEXT=a=b c'])[1]
    assert out == '[a=b c]\n', out


def test_longjmp_leaves_a_signal_handler(w):
    assert w.run(w.compile('guest.c'), 'jump')[1] == '106\n'


def test_syscall_reads_each_argument_as_wide_as_it_is(w):
    assert w.run(w.compile('guest.c'), 'by-number')[1] == '3 456\n'


def test_memory_grows_and_is_given_back(w):
    assert w.run(w.compile('guest.c'), 'memory')[1] == '7 0 0\n'


def test_popen_and_system_run_the_shell(w):
    if not (IMAGE / 'bin' / 'sh').exists():
        raise cases.Skip('sh is not made: scripts/userland dash')
    status, out, err = w.run(w.compile('guest.c'), 'child')
    assert out == 'from a child\n0 7\n', (status, out, err)


# ---- the userland ----

SCRIPT = r'''
i=0; while [ $i -lt 3 ]; do printf $i; i=$((i+1)); done; echo
f() { echo "f $1"; }; f a; x=abc; echo ${x#a} $(echo sub $((6*7)))
(exit 3); echo $?
echo pipe | while read l; do echo got $l; done
trap 'echo trapped' USR1; kill -USR1 $$; echo after
cat <<END | { read a b; echo "$b $a"; }
x y
END
'''.replace('cat <<END', 'while read l; do echo "$l"; done <<END')


def test_dash_runs_a_script(w):
    out = w.userland('dash', '-c', SCRIPT)
    assert out == '012\nf a\nbc sub 42\n3\ngot pipe\ntrapped\nafter\ny x\n', out


def test_bash_runs_a_script_with_what_only_bash_has(w):
    out = w.userland('bash', '-c', SCRIPT + 'a=(x y z); echo ${a[-1]} ${#a[@]}; [[ foo =~ o+ ]] && echo $BASH_REMATCH; '
                     'declare -A m=([k]=v); echo ${m[k]}; printf "%q\\n" "a b"; echo {1..3}')
    assert out == '012\nf a\nbc sub 42\n3\ngot pipe\ntrapped\nafter\ny x\nz 3\noo\nv\na\\ b\n1 2 3\n', out


def test_lua_runs_a_program(w):
    out = w.userland('lua', '-e', 'print(string.format("%5.2f", math.pi), pcall(error, "x")) print(1 << 40, ("x"):rep(3))')
    assert out == ' 3.14\tfalse\tx\n1099511627776\txxx\n', out


def test_sqlite3_keeps_a_database(w):
    w.userland('sqlite3', '/tmp/a.db', 'create table t(a, b); insert into t values (1, "x"), (2, "y"); create index i on t(a);')
    out = w.userland('sqlite3', '/tmp/a.db', 'select sum(a), group_concat(b) from t; pragma integrity_check;')
    assert out == '3|x,y\nok\n', out


def test_busybox_has_the_usual_tools(w):
    out = w.userland('busybox', 'sh', '-c', r'''cd /tmp; mkdir d; for i in 3 1 2; do echo "line $i" >d/$i; done
        cat d/* | sort -r | sed 's/line/zeile/' | awk '{ s += $2; print } END { print s }'
        tar cf - d | gzip | gunzip | tar tf - | grep -c d/; find d -name '[12]' | sort; ls d | wc -l; head -c 100000 /dev/zero | sha256sum | cut -c1-8''')
    assert out == 'zeile 3\nzeile 2\nzeile 1\n6\n4\nd/1\nd/2\n3\n9a77ac80\n'.replace('9a77ac80', zeros_hash()), out


def zeros_hash():
    import hashlib
    return hashlib.sha256(bytes(100000)).hexdigest()[:8]


PYTHON = r'''
import os, select, signal, socket, sqlite3, subprocess, sys, tempfile, threading, zlib
print(subprocess.run(['sh', '-c', 'cat; exit 3'], input=b'text', capture_output=True))
r, w = os.pipe()
if not os.fork():
    os.write(w, b'child')
    os._exit(4)
print(select.select([r], [], [], 9)[0] == [r], os.read(r, 9), os.waitstatus_to_exitcode(os.wait()[1]))
got = []
signal.signal(signal.SIGALRM, lambda number, frame: got.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
threads = [threading.Thread(target=got.append, args=(i,)) for i in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
print(sorted(got))
with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(folder + '/base')
    base.execute('create table t (a)')
    base.executemany('insert into t values (?)', [(i,) for i in range(10)])
    base.commit()
    print(base.execute('select sum(a) from t').fetchall(), os.listdir(folder))
a, b = socket.socketpair()
a.send(zlib.compress(bytes(10000)))
print(len(zlib.decompress(b.recv(100))))
'''


def test_python_has_children_signals_threads_sockets_and_a_database(w):
    out = w.userland('python3', '-c', PYTHON)
    assert out == ("CompletedProcess(args=['sh', '-c', 'cat; exit 3'], returncode=3, stdout=b'text', stderr=b'')\n"
                   "True b'child' 4\n[0, 1, 2, 3, 14]\n[(45,)] ['base']\n10000\n"), out


def test_make_builds_what_is_out_of_date(w):
    (w.folder / 'Makefile').write_text('all: b\nb: a\n\techo from $< >$@\na:\n\techo x >a\n')
    assert w.userland('make', '-s', '-C', '/tmp') == ''
    assert (w.folder / 'b').read_text() == 'from a\n'
    assert 'up to date' in w.userland('make', '-C', '/tmp', 'b')


def test_gawk_has_arrays_coprocesses_and_its_own_functions(w):
    out = w.userland('gawk', r'{ s += $2; a[$1] } END { print s, length(a); "echo child" | getline x; print x, gensub(/b(.)/, "<\\1>", "g", "abc") }', given=b'a 1\nb 2\n')
    assert out == '3 2\nchild a<c>\n', out


def test_ripgrep_searches_a_tree(w):
    (w.folder / 'tree' / 'deep').mkdir(parents=True)
    for n in range(20):
        (w.folder / 'tree' / 'deep' / f'{n}.txt').write_text(f'line of {n}\nneedle {n * n}\n')
    (w.folder / 'tree' / '.ignore').write_text('7.txt\n')
    out = w.userland('rg', '-j4', '--sort', 'none', '-oN', r'needle \d+', '/tmp/tree')
    assert sorted(out.split()) == sorted(w_ for n in range(20) if n != 7 for w_ in (f'/tmp/tree/deep/{n}.txt:needle', str(n * n))), out


def test_jq_changes_json_by_expressions_patterns_and_dates(w):
    given = b'{"a":[1,2,{"b":"xyz"}],"t":0}'
    out = w.userland('jq', '-c', r'.a[2].b |= sub("(?<x>y)"; "<\(.x)>") | .a[0] = (.a[1]|pow(.;10)|sqrt) | .t |= todate | .k=([.a[]|numbers]|add)',
                     given=given)
    assert out == '{"a":[32,2,{"b":"x<y>z"}],"t":"1970-01-01T00:00:00Z","k":34}\n', out


def test_nano_edits_a_file_at_a_terminal(w):
    (w.folder / 'text').write_text('old line\n')
    t = Terminal([WASMOS, *w.words(w.made('nano'), '/tmp/text', env=['TERM=xterm'])], plain=True)
    t.see('old line')
    t.type('new words\r')
    t.see('new words')
    t.type('\x0f')
    t.see('File Name to Write')
    t.type('\r')
    t.see('Wrote 2 lines')
    t.type('\x18')
    assert t.status() == 0
    assert (w.folder / 'text').read_text() == 'new words\nold line\n'


def test_vim_edits_a_file(w):
    (w.folder / 'text').write_text('one\ntwo\n')
    w.userland('vim', '-u', 'NONE', '-es', '/tmp/text', '-c', '%s/o/0/g', '-c', 'wq', env=['TERM=ansi'])
    assert (w.folder / 'text').read_text() == '0ne\ntw0\n'


def test_curl_reads_a_file(w):
    (w.folder / 'text').write_text('content\n')
    assert w.userland('curl', '-s', 'file:///tmp/text') == 'content\n'


if __name__ == '__main__':
    sys.exit(cases.run(globals(), WORDS, missing, Work))
