// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two mappings of a no-fork process with the same offset and contents: KSM makes one page of two,
 * which is swapped out as one, and must be two again, or be found in both, when it is migrated.
 */
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TWINS	   32
#define GROUP	   "/sys/fs/cgroup/twins"
#define PM_SWAPPED (1ull << 62)
#define NONE_MET   2

static bool is_swapped(int pagemap, const char *at)
{
	uint64_t entry = 0;

	return pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * 8)) ==
		       (ssize_t)sizeof(entry) &&
	       (entry & PM_SWAPPED);
}

static long merged_pages(void)
{
	FILE *f = fopen("/proc/self/ksm_merging_pages", "re");
	long n = 0;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static char *map_twin(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *at = mmap(NULL, TWINS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED)
		_exit(1);
	close(fd);
	for (size_t i = 0; i < TWINS; i++)
		memset(at + i * PAGE, (int)i + 1, PAGE);
	madvise(at, TWINS * PAGE, MADV_MERGEABLE);
	return at;
}

static bool twin_holds(const char *at)
{
	for (size_t i = 0; i < TWINS; i++)
		for (size_t k = 0; k < PAGE; k += 511)
			if (at[i * PAGE + k] != (char)(i + 1)) {
				fprintf(stderr, "# twins: page %zu holds another's\n", i);
				return false;
			}
	return true;
}

/* Both of each pair that was swapped out are read, then migrated. How many pairs that were. */
static int read_and_migrate(int pagemap, volatile char *a, volatile char *b, int node)
{
	int met = 0;

	for (size_t i = 0; i < TWINS; i++) {
		void *pages[2] = {(void *)(a + i * PAGE), (void *)(b + i * PAGE)};
		int nodes[2] = {node, node}, status[2];

		if (!is_swapped(pagemap, pages[0]) || !is_swapped(pagemap, pages[1]))
			continue;
		met++;
		(void)a[i * PAGE];
		(void)b[i * PAGE];
		syscall(SYS_move_pages, 0, 1, pages, nodes, status, 0);
	}
	return met;
}

static void twins_once(double end, int node)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), met;
	char *a, *b;

	if (pagemap < 0 || !write_text(GROUP "/cgroup.procs", "0") ||
	    prctl(PR_SET_NOFORK, PR_NOFORK_SELF, 0, 0, 0) < 0)
		_exit(1);
	a = map_twin();
	b = map_twin();
	while (merged_pages() < TWINS && seconds_now() < end)
		usleep(20000);			   /* nothing tells when ksmd has been here */
	write_text(GROUP "/memory.reclaim", "4M"); /* as much as there is: it may say less was */
	met = read_and_migrate(pagemap, a, b, node);
	_exit(!twin_holds(a) || !twin_holds(b) ? 1 : met ? 0 : NONE_MET);
}

int part_twins(const struct run *run, struct dice *d)
{
	int met = 0;

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) < 0 && errno != EEXIST)
		return -1;
	while (seconds_now() < run->end) {
		int node = (int)dice_roll(d, 2), status;
		pid_t pid = fork();

		if (pid == 0)
			twins_once(run->end, node);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 1) {
			fprintf(stderr, "# twins: process %d ended with %#x\n", pid, status);
			return 1;
		}
		met += WEXITSTATUS(status) == 0;
	}
	return met ? 0 : -1;
}
