/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stress.h - nofork-stress: no-fork processes whose memory is written, split, moved, unmapped while
 * it is swapped, migrated, compacted, merged, collapsed, and which know what it must hold.
 */
#ifndef NOFORK_STRESS_H
#define NOFORK_STRESS_H

#include "../sysfs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define PAGE		   4096ul

#define PR_SET_NOFORK	   0x4e464b01
#define PR_GET_NOFORK	   0x4e464b02
#define PR_NOFORK_SELF	   1ul
#define PR_NOFORK_CHILDREN 2ul
#define PR_NOFORK_EXEC	   4ul

struct dice {
	uint64_t state;
};
/* From 0 to n - 1, the same for the same seed. */
uint32_t dice_roll(struct dice *d, uint32_t n);

double seconds_now(void);

/* Memory that knows what it holds (memory.c). */
#define REGIONS	     24
#define REGION_PAGES 12
#define BIG_PAGES    1024 /* two huge pages */

struct region {
	char *at;
	uint32_t pages;
	bool file, merged;
	uint64_t *stamps; /* of each page; 0: it is zero */
};

struct memory {
	struct region regions[REGIONS + 1]; /* the last is the big one */
	uint64_t owner, version;
};

/* All mapped and each page written once. Exits where there is no memory. */
void memory_make(struct memory *m, uint64_t owner);
/* One thing done to one region. */
void memory_act(struct memory *m, struct dice *d);
/* False, and said on standard error, if a page does not hold what was written last. */
bool memory_holds(const struct memory *m, const char *who);

/* Parts: each returns how many of its processes found something wrong, or could not. */
struct run {
	double end; /* by seconds_now() */
	uint64_t seed;
	const char *self; /* this program */
};

int part_server(const struct run *run, struct dice *d); /* a template and its leaves */
int part_generation(const struct run *run,
		    struct dice *d);			/* templates of templates, that go first */
int part_race(const struct run *run, struct dice *d);	/* threads that fork against the promise */
int part_exec(const struct run *run, struct dice *d);	/* leaves that are executed */
int part_limits(const struct run *run, struct dice *d); /* out of memory in a cgroup */
int part_userfault(const struct run *run, struct dice *d); /* userfaultfd: copy, move */
int part_trace(const struct run *run, struct dice *d);	   /* ptrace, process_madvise */
int part_twins(const struct run *run, struct dice *d);	   /* merged, swapped, migrated */
int part_grow(const struct run *run, struct dice *d);	   /* moved to a mapping that grows */
int part_huge(const struct run *run, struct dice *d);	   /* hugetlb beside ordinary memory */
/* What an executed leaf does; an exit status. */
int exec_main(uint64_t seed);

/* The machine around them (pressure.c): swap, compaction, merging, migration of everything. */
void pressure_begin(void);
void pressure_turn(struct dice *d);

/* Waits for pid; 0 if it ended with 0, or was ended by the signal that may do so. */
int leaf_end(pid_t pid, int excused, const char *what);

#endif
