# SPDX-License-Identifier: MIT
# How many per cent of the starts took at most so long; a line a row of the table.
set terminal svg noenhanced size 960,600 font "sans,12" background "white"
set datafile separator "\t"
stats data."-rows.tsv" using 3 nooutput # a row each
set title heading
set xlabel unit
set ylabel "per cent of the samples"
set logscale x
set yrange [0:100]
set grid xtics ytics mxtics lc rgb "#dddddd"
do for [k = 9:16] {
	eval sprintf("set linetype %d lc rgb '%s' dt 2", k, \
		word("#9400d3 #009e73 #56b4e9 #e69f00 #f0e442 #0072b2 #e51e10 #000000", k - 8))
}
set key outside right top
plot for [i = 2:STATS_records + 1] data.".tsv" using i:1 with lines lw 2 title columnheader(i)
