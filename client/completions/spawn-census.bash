# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of spawn-census for bash.

_spawn_census() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i

	COMPREPLY=()
	# after the options a command and what that completes
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--for | --below | -o | --output) ((i++)) ;;
		-- | [!-]*)
			[ "${COMP_WORDS[i]}" = -- ] && ((i++))
			if [ "$COMP_CWORD" -eq "$i" ]; then
				mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			elif declare -F _command_offset >/dev/null; then
				_command_offset "$i"
			else
				compopt -o default
			fi
			return
			;;
		esac
	done
	case $prev in
	--for) ;;
	--below) mapfile -t COMPREPLY < <(compgen -W "$(ps -eo pid=)" -- "$cur") ;;
	-o | --output) compopt -o default ;;
	*)
		if [ "${cur:0:1}" = - ]; then
			mapfile -t COMPREPLY < <(compgen -W '--for --below --all --json -o --output
				--help --version --' -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		fi
		;;
	esac
}
complete -F _spawn_census spawn-census
