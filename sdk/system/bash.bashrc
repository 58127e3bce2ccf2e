# /etc/bash.bashrc - what bash begins with: the prompt, history, and jobs by their number for commands that want a process

# migrate %1 phone: the command knows processes, the shell its jobs. A job moves without the shell.
migrate() {
	case $1 in
	%*) set -- --job "$(jobs -p "$1")" "${@:2}"; [ "$2" ] || return 1 ;;
	esac
	command migrate "$@"
}
suspend() {
	case $1 in
	%*) set -- --job "$(jobs -p "$1")" "${@:2}"; [ "$2" ] || return 1 ;;
	esac
	wasmos suspend "$@" # bash has a suspend of its own
}
resume() {
	case $1 in
	%*) set -- "$(jobs -p "$1")" "${@:2}"; [ "$1" ] || return 1 ;;
	esac
	command resume "$@"
}

case $- in
*i*) ;;
*) return ;;
esac

HISTFILE=~/.bash_history HISTSIZE=2000 HISTFILESIZE=4000 HISTCONTROL=ignoreboth
shopt -s checkwinsize histappend
# The device's name follows the shell when it moves; history is on disk after every command.
PROMPT_COMMAND='read -r HOSTNAME </proc/sys/kernel/hostname; history -a'
PS1='\[\e[1;32m\]\u@$HOSTNAME\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
case $TERM in
'' | dumb) PS1='\u@$HOSTNAME:\w\$ ' ;;
esac
alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto'

_wasmos_devices() {
	local name id state rest
	while IFS=$'\t' read -r name id state rest; do
		[ "$state" = 'this device' ] || echo "$name"
	done </proc/wasmos/peers
}

_wasmos_move() {
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -j -P % -- "${2#%}"))
	else
		COMPREPLY=($(compgen -W "$(_wasmos_devices)" -- "$2"))
	fi
}
complete -F _wasmos_move migrate
complete -c which type
