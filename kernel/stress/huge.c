// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private mappings of hugetlb beside ordinary ones with the same offsets, in no-fork processes and
 * in children of a fork server: whoever walks for a page of one kind must not meet a VMA of the
 * other.
 */
#define _GNU_SOURCE
#include "stress.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define HUGE_PAGE (2ul << 20)
#define CHILDREN  3

/* NULL where the pool is empty: others have the pages at the moment. */
static char *map_huge(void)
{
	char *p = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static char *map_small(void)
{
	char *p = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	madvise(p, HUGE_PAGE, MADV_NOHUGEPAGE);
	return p;
}

static void migrate(char *page, int node)
{
	void *at = page;
	int status;

	syscall(SYS_move_pages, 0, 1, &at, &node, &status, 0);
}

static void stamp(char *at, uint64_t value)
{
	for (size_t i = 0; i < HUGE_PAGE; i += HUGE_PAGE / 8)
		*(uint64_t *)(at + i) = value + i;
}

static bool holds(const char *at, uint64_t value, const char *what)
{
	for (size_t i = 0; i < HUGE_PAGE; i += HUGE_PAGE / 8) {
		uint64_t found = *(const volatile uint64_t *)(at + i);

		if (found != value + i) {
			fprintf(stderr, "# huge: %s page holds %#lx, not %#lx\n", what,
				(unsigned long)found, (unsigned long)(value + i));
			return false;
		}
	}
	return true;
}

/* Of its own; how many times a huge page was there, or -1. */
static int huge_turns(double end, struct dice *d)
{
	char *small = map_small();
	int turns = 0;

	for (uint64_t value = getpid();; value += 1 << 24) {
		char *huge = map_huge();
		bool good;

		stamp(small, value);
		if (huge)
			stamp(huge, value + 1);
		for (int i = 0; i < 4; i++) {
			migrate(small + dice_roll(d, 8) * (HUGE_PAGE / 8), (int)dice_roll(d, 2));
			if (huge)
				migrate(huge, (int)dice_roll(d, 2));
			if (dice_roll(d, 2))
				madvise(small, HUGE_PAGE, MADV_PAGEOUT);
		}
		good = holds(small, value, "an ordinary") &&
		       (!huge || holds(huge, value + 1, "a huge"));
		if (huge) {
			turns++;
			munmap(huge, HUGE_PAGE);
		}
		if (dice_roll(d, 3) == 0) {
			munmap(small, HUGE_PAGE);
			small = map_small();
		}
		if (!good)
			return -1;
		if (seconds_now() >= end)
			return turns;
	}
}

/* A copy of the server's pages, to be copied on write where the pool has one for that. */
static int child_main(char *huge, char *small, uint64_t value, struct dice *d)
{
	if (!holds(small, value, "a server's ordinary") || !holds(huge, value, "a server's huge"))
		return 1;
	stamp(small, value + 7);
	migrate(small, (int)dice_roll(d, 2));
	migrate(huge, (int)dice_roll(d, 2));
	return !holds(small, value + 7, "a child's ordinary") ||
	       !holds(huge, value, "a server's huge");
}

static void serve(double end, struct dice *d)
{
	char *small = map_small(), *huge = NULL;
	uint64_t value = 1;
	int bad = 0;

	if (prctl(PR_SET_NOFORK, PR_NOFORK_CHILDREN, 0, 0, 0) < 0)
		_exit(1);
	stamp(small, value);
	while (!huge && seconds_now() < end)
		huge = map_huge();
	if (!huge)
		_exit(0);
	stamp(huge, value);
	while (seconds_now() < end && !bad) {
		pid_t pids[CHILDREN];

		for (int i = 0; i < CHILDREN; i++) {
			pids[i] = fork();
			if (pids[i] == 0)
				_exit(child_main(huge, small, value, d));
		}
		migrate(huge, (int)dice_roll(d, 2));
		for (int i = 0; i < CHILDREN; i++)
			bad |= pids[i] > 0 && leaf_end(pids[i], 0, "huge, a child") != 0;
	}
	_exit(bad);
}

int part_huge(const struct run *run, struct dice *d)
{
	char *first = map_huge();
	pid_t server, leaf;
	int bad;

	if (!first)
		return -1;
	munmap(first, HUGE_PAGE);
	server = fork();
	if (server == 0)
		serve(run->end, d);
	leaf = fork();
	if (leaf == 0) {
		if (prctl(PR_SET_NOFORK, PR_NOFORK_SELF, 0, 0, 0) < 0)
			_exit(1);
		_exit(huge_turns(run->end, d) <= 0);
	}
	bad = leaf_end(server, 0, "huge, the server") != 0;
	return bad + (leaf_end(leaf, 0, "huge, a leaf") != 0);
}
