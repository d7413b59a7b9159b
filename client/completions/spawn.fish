# SPDX-License-Identifier: MIT

function __spawn_templates
    spawn status 2>/dev/null | awk '$1 == "TEMPLATE" { on = 1; next } /^$/ { on = 0 } on && /^[^ ]/ { print $1 }'
end

complete -c spawn -s t -l template -x -a '(__spawn_templates)' -d 'What to start'
complete -c spawn -s C -l chdir -x -a '(__fish_complete_directories)' -d 'In this working directory'
complete -c spawn -s E -l setenv -x -a '(set -nx | string replace -r \$ =)' -d 'With this in its environment'
complete -c spawn -s u -l unset -x -a '(set -nx)' -d 'Without this variable'
complete -c spawn -s i -l ignore-environment -d 'With what -E says alone'
complete -c spawn -l argv0 -x -d 'argv[0]'
complete -c spawn -l umask -x -d 'Octal'
complete -c spawn -l nofork -d 'Promise: off, copy or process'
complete -c spawn -l block-signal -x -d 'With these blocked: TERM,INT'
complete -c spawn -l default-signal -x -d 'With these at their default'
complete -c spawn -l ignore-signal -x -d 'Ignoring these'
complete -c spawn -l timeout -x -d 'SIGTERM after so many seconds'
complete -c spawn -l grace -x -d 'SIGKILL so many seconds after that'
complete -c spawn -l detach -d 'Print its pid and go'
complete -c spawn -l timing -d 'Say where the time went'
complete -c spawn -l json -d 'As JSON'
complete -c spawn -s s -l socket -r -d 'Of the server'
complete -c spawn -l help -d 'Show help'
complete -c spawn -l version -d 'Show version'
complete -c spawn -n 'not __fish_seen_argument -s t -l template; and not __fish_seen_subcommand_from status ping census' -f -a status -d 'Templates and running leaves'
complete -c spawn -n 'not __fish_seen_argument -s t -l template; and not __fish_seen_subcommand_from status ping census' -f -a ping -d 'Is the server there?'
complete -c spawn -n 'not __fish_seen_argument -s t -l template; and not __fish_seen_subcommand_from status ping census' -f -a census -d 'Who never forks?'
complete -c spawn -n 'not __fish_seen_argument -s t -l template; and test (commandline -opc)[-1] = --' -x -a '(__fish_complete_command)'
