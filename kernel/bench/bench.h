/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench.h - nofork-bench: what processes cost in objects and in time. Where QEMU counts
 * instructions as time (-icount shift=0) a nanosecond is an instruction.
 */
#ifndef NOFORK_BENCH_H
#define NOFORK_BENCH_H

#include "../sysfs.h"

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096ul

/* One line: name, value, unit. */
void figure(double value, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void give_up(const char *what);
uint64_t now_ns(void);

/* With ordinary children (cohort < 0), or no-fork ones and vm.nofork_cohort. */
void children_are(int cohort);
/* Mappings of so many pages that do not merge. */
char *map_apart(unsigned vmas, unsigned pages);
void write_apart(char *at, unsigned vmas, unsigned pages, char value);
#define APART(vmas, pages) ((size_t)(vmas) * ((pages) + 1) * PAGE)

struct slab {
	long anon_vma, leaf, chain;			     /* objects */
	long anon_vma_bytes, leaf_bytes, chain_bytes, total; /* bytes; total: of all caches */
};
struct slab slab_read(void);

void bench_forkserver(void); /* 200 leaves of a template with 500 mappings */
void bench_walk(void);	     /* reclaim and migration of one leaf's page among 400 */
void bench_nothing(void);    /* processes that promise nothing */
void bench_programs(void);   /* executed ones, with the promise inherited; of this machine */

#endif
