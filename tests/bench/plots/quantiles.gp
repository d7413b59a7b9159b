# SPDX-License-Identifier: MIT
# How many per cent of the starts took at most so long; a line a row of the table.
set terminal svg size 960,600 font "sans,12" background "white"
set datafile separator "\t"
set title heading
set xlabel unit
set ylabel "per cent of the samples"
set logscale x
set yrange [0:100]
set grid xtics ytics mxtics lc rgb "#dddddd"
set key outside right top
stats data.".tsv" skip 1 nooutput
plot for [i = 2:STATS_columns] data.".tsv" using i:1 with lines lw 2 title columnheader(i)
