/* SPDX-License-Identifier: MIT */
#include "host/compact.h"

#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define HUGE_SIZE    ((uintptr_t)2 << 20)
#define PAGE_SIZE    ((uintptr_t)4096)
#define PAGES	     (HUGE_SIZE / PAGE_SIZE)
#define PAGE_PRESENT (1ull << 63) /* of an entry in pagemap */

/* A half that is empty would be memory that nobody asked for, in a page that all leaves share. */
static bool is_worth_it(int pagemap, uintptr_t at)
{
	uint64_t entries[PAGES];
	size_t present = 0;

	if (pread(pagemap, entries, sizeof(entries),
		  (off_t)(at / PAGE_SIZE * sizeof(entries[0]))) != (ssize_t)sizeof(entries))
		return false;
	for (size_t i = 0; i < PAGES; i++)
		present += (entries[i] & PAGE_PRESENT) != 0;
	return present > PAGES / 2;
}

/* Heap and anonymous mappings, private and writable. The main thread's stack grows, and is small.
 */
static bool is_memory(const char *line, uintptr_t *ret_from, uintptr_t *ret_to)
{
	char mode[5], name[16] = "";
	uint64_t inode;

	return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %" SCNu64 " %15s", ret_from,
		      ret_to, mode, &inode, name) >= 4 &&
	       strcmp(mode, "rw-p") == 0 && inode == 0 &&
	       (!name[0] || strcmp(name, "[heap]") == 0 || strncmp(name, "[anon:", 6) == 0);
}

static void collapse(int pagemap, uintptr_t from, uintptr_t to)
{
	for (uintptr_t at = (from + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1); at + HUGE_SIZE <= to;
	     at += HUGE_SIZE)
		if (is_worth_it(pagemap, at))
			madvise((void *)at, HUGE_SIZE, MADV_COLLAPSE);
}

/* What is reserved and hardly used, a terabyte of it with some runtimes, is not looked through. */
static bool is_used(uintptr_t from, uintptr_t to, const char *line)
{
	size_t kib;

	return sscanf(line, "Rss: %zu kB", &kib) == 1 && kib * 1024 >= (to - from) / 8;
}

void compact(void)
{
	_cleanup_close_ int pagemap = -1;
	FILE *smaps;
	char *line = NULL;
	size_t size = 0;
	uintptr_t from, to;
	bool memory = false;

	malloc_trim(0);
	if (sysconf(_SC_PAGESIZE) != (long)PAGE_SIZE)
		return;
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	smaps = fopen("/proc/self/smaps", "re");
	while (smaps && pagemap >= 0 && getline(&line, &size, smaps) > 0) {
		if (line[0] >= 'A' && line[0] <= 'Z') {
			if (memory && is_used(from, to, line))
				collapse(pagemap, from, to);
		} else {
			memory = is_memory(line, &from, &to) && to - from >= HUGE_SIZE;
		}
	}
	free(line);
	if (smaps)
		fclose(smaps);
}
