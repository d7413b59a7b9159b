# SPDX-License-Identifier: MIT
# The median of each row of the table with its interval, and its 99th percentile as a mark.
rows = data."-rows.tsv"
set datafile separator "\t"
stats rows using 3 nooutput
set terminal svg noenhanced size 1000,130+24*STATS_records font "sans,12" background "white"
set title heading
set xlabel unit
set xrange [0:*]
set yrange [*:*] reverse
set offsets 0, 0, 0.7, 0.7
set style fill solid 0.7 noborder
set grid xtics lc rgb "#dddddd"
set key below
plot rows using ($3 / 2.0):0:($3 / 2.0):(0.35):ytic(1) \
	with boxxyerror lc rgb "#4477aa" title "median", \
	rows using 3:0:4:5 with xerrorbars pt 0 lw 1.5 lc rgb "#222222" title "its interval", \
	rows using (unit eq "1/s" ? NaN : $6):0 with points pt 7 ps 0.6 lc rgb "#cc6677" \
	title (unit eq "1/s" ? "" : "p99")
