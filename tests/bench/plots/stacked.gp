# SPDX-License-Identifier: MIT
# Whose CPU a spawn costs: callers, children, then the server or private host, laid end to end.
parts = data."-stacked.tsv"
set datafile separator "\t"
stats parts using 2 nooutput
set terminal svg noenhanced size 1000,130+24*STATS_records font "sans,12" background "white"
set title heading
set xlabel unit
set xrange [0:*]
set yrange [*:*] reverse
set offsets 0, 0, 0.7, 0.7
set style fill solid 0.8 noborder
set grid xtics lc rgb "#dddddd"
set key below
plot parts using (0):0:(0):2:($0 - 0.35):($0 + 0.35):ytic(1) \
	with boxxyerror lc rgb "#4477aa" title "callers", \
	parts using 2:0:2:($2 + $3):($0 - 0.35):($0 + 0.35) \
	with boxxyerror lc rgb "#ccbb44" title "children", \
	parts using 2:0:($2 + $3):($2 + $3 + $4):($0 - 0.35):($0 + 0.35) \
	with boxxyerror lc rgb "#ee6677" title "server or private host"
