# SPDX-License-Identifier: GPL-2.0-only
# compare.awk - the lines of nofork-objects from four boots, with the boot's name in front, as a table.
$2 == "system" { n[$1] = $3; va[$1] = $4; chain[$1] = $5; bytes[$1] = $6; next }
{
	boot = $1; name = $3
	# several of one name are one line
	count[boot, name]++; a[boot, name] += $5; c[boot, name] += $6; b[boot, name] += $7
	if (boot == "marked" && $4 > 0) is[name]++
	if (!(name in seen)) { seen[name] = 1; order[++names] = name }
}
function less(x, y) { return y ? sprintf("-%.1f %%", 100 * (1 - x / y)) : "-" }
function must(what, ok, found) { printf "  %-12s %-72s %s\n", ok ? "met" : "falls short", what, found }
END {
	printf "%-12s %10s %10s %16s %10s\n", "system", "processes", "anon_vma", "anon_vma_chain", "bytes"
	split("vanilla series marked until-fork", boots, " ")
	for (i = 1; i <= 4; i++)
		printf "%-12s %10d %10d %16d %10d\n", boots[i], n[boots[i]], va[boots[i]], chain[boots[i]], bytes[boots[i]]
	printf "\n%-18s %-8s %26s %26s %26s\n", "process", "", "vanilla", "marked", "until-fork"
	for (i = 1; i <= names; i++) {
		name = order[i]
		printf "%-18s %-8s", name, is[name] ? "leaf" : ""
		for (k = 1; k <= 4; k++)
			if (k != 2)
				printf " %8s", sprintf("%d: %d, %d, %d", count[boots[k], name], a[boots[k], name],
						       c[boots[k], name], b[boots[k], name])
		print ""
		if (is[name] && count["vanilla", name]) {
			leaves += is[name]; la += a["marked", name]; lc += c["marked", name]; lb += b["marked", name]
			pa += a["vanilla", name]; pc += c["vanilla", name]; pb += b["vanilla", name]
			if (a["marked", name] > is[name]) many = many " " name
		}
	}
	print "(how many: anon_vma, anon_vma_chain, bytes of them all)"
	print "What must hold"
	must("marked: at most 1 anon_vma a process", many == "", sprintf("%d of %d, in %d processes%s", la, pa, leaves, many))
	must("marked: at most 2 % of the chains", lc <= 0.02 * pc, sprintf("%d of %d", lc, pc))
	must("all leaves until they fork: at least 90 % fewer anon_vma", va["until-fork"] <= 0.1 * va["vanilla"],
	     less(va["until-fork"], va["vanilla"]))
	must("all leaves until they fork: at least 98 % fewer chains", chain["until-fork"] <= 0.02 * chain["vanilla"],
	     less(chain["until-fork"], chain["vanilla"]))
}
