# SPDX-License-Identifier: MIT
# Memory by parked leaves: each server a point.
set terminal svg noenhanced size 960,600 font "sans,12" background "white"
set datafile separator "\t"
set title heading
set xlabel "parked leaves"
set ylabel unit
set grid lc rgb "#dddddd"
set key left top
points = data."-points.tsv"
of(name, column) = strcol(1) eq name ? column / 1024.0 : NaN
plot points using 2:(of("tiny", $3)) with points pt 7 title "tiny, memory cgroup", \
	points using 2:(of("words", $3)) with points pt 5 title "words, memory cgroup", \
	points using 2:(of("exec", $3)) with points pt 9 title "exec, memory cgroup", \
	points using 2:(of("tiny", $4)) with points pt 6 title "tiny, /proc/meminfo", \
	points using 2:(of("words", $4)) with points pt 4 title "words, /proc/meminfo", \
	points using 2:(of("exec", $4)) with points pt 8 title "exec, /proc/meminfo"
