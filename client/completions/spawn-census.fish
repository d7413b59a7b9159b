# SPDX-License-Identifier: MIT

complete -c spawn-census -l for -x -d 'For so long: 60s, 1.5m'
complete -c spawn-census -l below -x -a '(__fish_complete_pids)' -d 'This process and what descends from it'
complete -c spawn-census -l all -d 'With a command: all processes'
complete -c spawn-census -s o -l output -r -d 'Where the report goes'
complete -c spawn-census -l json -d 'As JSON'
complete -c spawn-census -l help -d 'Show help'
complete -c spawn-census -l version -d 'Show version'
complete -c spawn-census -x -a '(__fish_complete_subcommand --fcs-skip=1)'
