/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <sys/mman.h>

void *arena_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_DONTFORK) < 0) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

void arena_unmap(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}
