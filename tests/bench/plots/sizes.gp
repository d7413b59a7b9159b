# SPDX-License-Identifier: MIT
# By the size of the caller: a line a way. columns: of the grid.
set terminal svg noenhanced size 960,600 font "sans,12" background "white"
grid = data."-grid.tsv"
set datafile separator "\t"
set title heading
set xlabel "memory that the caller has touched"
set ylabel unit
set logscale y
set offsets 0.2, 0.2, 0, 0
set grid ytics mytics lc rgb "#dddddd"
set key outside right top
array colours[8] = ["#4477aa", "#66ccee", "#228833", "#99bb44", "#ee6677", "#aa3377", "#bb5500", "#888888"]
plot for [i = 0:(columns - 1) / 3 - 1] grid using 0:3*i+2:3*i+3:3*i+4:xtic(1) \
	with yerrorlines lw 2 pt 7 ps 0.6 lc rgb colours[i % 8 + 1] title columnheader(3*i+2)
