# SPDX-License-Identifier: MIT
# The median of each row of the table, and its 99th percentile as a mark.
set terminal svg noenhanced size 960,600 font "sans,12" background "white"
set datafile separator "\t"
set title heading
set xlabel unit
set xrange [0:*]
set yrange [*:*] reverse
set offsets 0, 0, 0.7, 0.7
set style fill solid 0.7 noborder
set grid xtics lc rgb "#dddddd"
set key outside bottom
plot data."-rows.tsv" using ($2 / 2.0):0:($2 / 2.0):(0.35):ytic(1) \
	with boxxyerror lc rgb "#4477aa" title "median", \
	data."-rows.tsv" using 3:0 with points pt 7 ps 0.7 lc rgb "#cc6677" title "p99"
