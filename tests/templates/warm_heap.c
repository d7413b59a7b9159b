/* SPDX-License-Identifier: MIT */
/*
 * warm() fills 50 MiB of heap and touches 500 small mappings. entry() tells how much of its memory
 * is in huge pages, in KiB, and what the host's fork before its own took, in nanoseconds.
 */
#include <libspawn-template.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HEAP	 (50u << 20)
#define BLOCK	 65536
#define MAPPINGS 500

static struct timespec begun;
static long took;

static void before(void)
{
	clock_gettime(CLOCK_MONOTONIC, &begun);
}

static void after(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	took = (now.tv_sec - begun.tv_sec) * 1000000000 + now.tv_nsec - begun.tv_nsec;
}

static int warm(void **state)
{
	(void)state;
	for (size_t n = 0; n < HEAP; n += BLOCK) {
		char *block = malloc(BLOCK);

		if (!block)
			return -ENOMEM;
		memset(block, 'x', BLOCK);
	}
	for (int i = 0; i < MAPPINGS / 2; i++) {
		/* Every other one differs from its neighbours, so that they stay as many. */
		char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED || madvise(p, 4096, MADV_DONTDUMP) < 0)
			return -errno;
		p[0] = p[4096] = 'x';
	}
	return -pthread_atfork(before, after, NULL);
}

static int entry(void *state, int argc, char **argv)
{
	FILE *smaps = fopen("/proc/self/smaps_rollup", "re");
	char line[200];
	long huge = 0;

	(void)state, (void)argc, (void)argv;
	while (smaps && fgets(line, sizeof(line), smaps))
		sscanf(line, "AnonHugePages: %ld", &huge);
	if (smaps)
		fclose(smaps);
	printf("%ld %ld\n", huge, took);
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
