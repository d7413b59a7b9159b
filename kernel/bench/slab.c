// SPDX-License-Identifier: GPL-2.0-only
/* How many of the objects that rmap makes are in use. Where caches are merged, the counts say nothing. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <string.h>

static void read_cache(const char *name, long *objects, long *bytes)
{
	char path[128], line[512], found[64];
	long active, total, size;
	FILE *f;

	*objects = *bytes = 0;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	write_text(path, "1"); /* what lies on a CPU's list counts as in use until then */
	f = fopen("/proc/slabinfo", "re");
	if (!f)
		give_up("/proc/slabinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld %ld %ld", found, &active, &total, &size) == 4 &&
		    strcmp(found, name) == 0) {
			*objects = active;
			*bytes = active * size;
		}
	fclose(f);
}

struct slab slab_read(void)
{
	struct slab s = {0};
	char line[256];
	FILE *f;

	read_cache("anon_vma", &s.anon_vma, &s.anon_vma_bytes);
	read_cache("anon_vma_leaf", &s.leaf, &s.leaf_bytes);
	read_cache("anon_vma_chain", &s.chain, &s.chain_bytes);
	f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %ld", &s.total) == 1)
			s.total *= 1024;
	if (f)
		fclose(f);
	return s;
}
