# SPDX-License-Identifier: MIT
# The same where rows differ by orders of magnitude.
rows = data."-rows.tsv"
set datafile separator "\t"
stats rows using 3 nooutput
set terminal svg noenhanced size 1000,130+24*STATS_records font "sans,12" background "white"
set title heading
set xlabel unit
set logscale x
set yrange [*:*] reverse
set offsets 0, 0, 0.7, 0.7
set grid xtics mxtics ytics lc rgb "#dddddd"
set key below
plot rows using 3:0:ytic(1) with points pt 5 ps 0.9 lc rgb "#4477aa" title "median", \
	rows using 3:0:4:5 with xerrorbars pt 0 lw 1.5 lc rgb "#4477aa" title "its interval", \
	rows using 6:0 with points pt 7 ps 0.6 lc rgb "#cc6677" title "p99"
