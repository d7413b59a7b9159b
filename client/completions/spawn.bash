# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of spawn for bash.

# The names in the first column of the table that starts with TEMPLATE.
_spawn_templates() {
	spawn status 2>/dev/null |
		awk '$1 == "TEMPLATE" { on = 1; next } /^$/ { on = 0 } on && /^[^ ]/ { print $1 }'
}

# The word at COMP_CWORD of a program that is named at $1, and whatever that program completes.
_spawn_program() {
	if [ "$COMP_CWORD" -eq "$1" ]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		[[ $cur != */* ]] || compopt -o default
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	else
		return 1
	fi
}

_spawn() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i word template=
	local options='-t --template -C --chdir -E --setenv -u --unset -i --ignore-environment
		--argv0 --umask --nofork --nofork=off --nofork=copy --nofork=process
		--block-signal --default-signal --ignore-signal --session --no-new-privs
		--stdin --stdout --stderr --user --capabilities --cgroup --limit --nice --cpus
		--oom-score-adj --timer-slack --timeout --grace --pty --pipe --detach --timing --json -s --socket --help --version'

	COMPREPLY=()
	# after the options a program and its arguments, or with a template the leaf's arguments
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--)
			[ -z "$template" ] && _spawn_program $((i + 1)) && return
			compopt -o default
			return
			;;
		-t* | --template*)
			template=1
			[ "$word" = -t ] || [ "$word" = --template ] && ((i++))
			;;
		-C | --chdir | -E | --setenv | -u | --unset | -s | --socket | \
			--argv0 | --umask | --block-signal | --default-signal | --ignore-signal | \
			--stdin | --stdout | --stderr | --user | --capabilities | --cgroup | --limit | --nice | --cpus | --oom-score-adj | --timer-slack | \
			--timeout | --grace) ((i++)) ;;
		-* | =) ;;
		*)
			[ "$word" = status ] && mapfile -t COMPREPLY < <(compgen -W --json -- "$cur")
			if [ "$word" = template ]; then
				if [ "$COMP_CWORD" -eq $((i + 1)) ]; then
					mapfile -t COMPREPLY < <(compgen -W try -- "$cur")
				elif [ "$COMP_CWORD" -eq $((i + 2)) ]; then
					mapfile -t COMPREPLY < <(compgen -c -W '--json --runs' -- "$cur")
				fi
			fi
			[ "$word" = status ] || [ "$word" = ping ] || compopt -o default
			return
			;;
		esac
	done
	case $prev in
	-t | --template) mapfile -t COMPREPLY < <(compgen -W "$(_spawn_templates)" -- "$cur") ;;
	-C | --chdir | --cgroup) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-u | --unset) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
	-E | --setenv)
		mapfile -t COMPREPLY < <(compgen -e -S = -- "$cur")
		compopt -o nospace
		;;
	-s | --socket | --stdin | --stdout | --stderr) compopt -o default ;;
	--block-signal | --default-signal | --ignore-signal)
		mapfile -t COMPREPLY < <(compgen -A signal -- "$cur")
		;;
	--user) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
	--limit)
		mapfile -t COMPREPLY < <(compgen -S = -W 'as core cpu data fsize locks memlock
			msgqueue nice nofile nproc rss rtprio rttime sigpending stack' -- "$cur")
		compopt -o nospace
		;;
	--argv0 | --umask | --capabilities | --nice | --cpus | --oom-score-adj | --timer-slack | --timeout | \
		--grace) ;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "$options status ping template census" -- "$cur")
		[ "${cur:0:1}" = - ] || compopt -o default
		;;
	esac
}
complete -F _spawn spawn
