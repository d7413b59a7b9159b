// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

uint32_t dice_roll(struct dice *d, uint32_t n)
{
	d->state = d->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(d->state >> 33) % n;
}

double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void out_of_memory(const char *what)
{
	fprintf(stderr, "# %s: %s\n", what, strerror(errno));
	_exit(errno == ENOMEM ? 0 : 1); /* a limit is not a fault of the kernel */
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		out_of_memory("mmap");
	return p;
}

/* Stamped in three places: nobody can have put a part of another page there. */
static void write_page(struct memory *m, struct region *r, uint32_t page)
{
	uint64_t *p = (uint64_t *)(r->at + page * PAGE);
	uint64_t stamp = (m->owner << 32) + ++m->version;

	if (r->merged) /* the same in many processes, to be merged */
		stamp = 0x6d65726765640000ull + page % 4;
	for (size_t i = 0; i < PAGE / 8; i += PAGE / 8 / 2 - 1)
		p[i] = stamp;
	r->stamps[page] = stamp;
}

static void map_region(struct memory *m, struct region *r, uint32_t pages, bool file)
{
	size_t size = pages * PAGE;

	r->pages = pages;
	r->file = file;
	r->stamps = map((pages * sizeof(uint64_t) + PAGE - 1) / PAGE * PAGE);
	if (file) {
		int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

		r->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		if (r->at == MAP_FAILED)
			out_of_memory("mmap of a file");
		close(fd);
	} else if (pages == BIG_PAGES) {
		char *p = map(2 * size);

		/* aligned, so that it may be of huge pages */
		r->at = (char *)(((uintptr_t)p + size - 1) & ~(size - 1));
		madvise(r->at, size, MADV_HUGEPAGE);
	} else {
		r->at = map(size + 2 * PAGE) + PAGE; /* gaps: no merge with the neighbours */
		mprotect(r->at - PAGE, PAGE, PROT_NONE);
		mprotect(r->at + size, PAGE, PROT_NONE);
	}
	for (uint32_t i = 0; i < pages; i++)
		write_page(m, r, i);
}

void memory_make(struct memory *m, uint64_t owner)
{
	*m = (struct memory){.owner = owner};
	for (uint32_t i = 0; i < REGIONS; i++) {
		m->regions[i].merged = i % 6 == 5;
		map_region(m, &m->regions[i], REGION_PAGES, i % 4 == 3);
	}
	map_region(m, &m->regions[REGIONS], BIG_PAGES, false);
}

/* To another place, which is where something of its own kind was or a new one. */
static void move_region(struct region *r, struct dice *d)
{
	size_t size = r->pages * PAGE;
	char *to = map(size + 2 * PAGE) + PAGE, *at;

	if (dice_roll(d, 2))
		*to = 1; /* something to be unmapped on the way */
	at = mremap(r->at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (at != MAP_FAILED)
		r->at = at;
	else if (errno == EFAULT) /* of several VMAs, by what was mapped into its middle */
		munmap(to, size);
	else
		out_of_memory("mremap");
}

/* Unmapped and mapped anew, empty. */
static void renew_region(struct memory *m, struct region *r)
{
	size_t size = r->pages * PAGE;

	if (munmap(r->at, size) < 0)
		out_of_memory("munmap");
	r->at = map(size);
	r->file = false;
	for (uint32_t i = 0; i < r->pages; i++)
		write_page(m, r, i);
}

static void migrate_region(const struct region *r, struct dice *d)
{
	void *pages[64];
	int nodes[64], status[64], n = 0, node = (int)dice_roll(d, 2);

	for (uint32_t i = dice_roll(d, 4); i < r->pages && n < 64; i += 1 + r->pages / 64) {
		pages[n] = r->at + i * PAGE;
		nodes[n++] = node;
	}
	syscall(SYS_move_pages, 0, n, pages, nodes, status, 0);
}

void memory_act(struct memory *m, struct dice *d)
{
	struct region *r = &m->regions[dice_roll(d, REGIONS + 1)];
	uint32_t from = dice_roll(d, r->pages), n = 1 + dice_roll(d, r->pages - from);
	char *at = r->at + from * PAGE;

	switch (dice_roll(d, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		for (uint32_t i = from; i < from + n; i++)
			write_page(m, r, i);
		break;
	case 4: /* split */
		mprotect(at, n * PAGE, PROT_READ);
		break;
	case 5: /* and merged, also for the writers above */
		break;
	case 6:
		if (r->pages != BIG_PAGES)
			move_region(r, d);
		break;
	case 7:
		if (r->pages != BIG_PAGES && !r->merged)
			renew_region(m, r);
		break;
	case 8:
		if (!r->file) {
			madvise(at, n * PAGE, MADV_DONTNEED);
			memset(&r->stamps[from], 0, n * sizeof(uint64_t));
		}
		break;
	case 9:
	case 10:
		madvise(at, n * PAGE, MADV_PAGEOUT);
		break;
	case 11:
		migrate_region(r, d);
		break;
	case 12:
		madvise(r->at, r->pages * PAGE, MADV_COLLAPSE);
		break;
	case 13:
		if (r->merged)
			madvise(r->at, r->pages * PAGE, MADV_MERGEABLE);
		break;
	case 14:
		madvise(at, n * PAGE, MADV_COLD);
		break;
	case 15: /* unmapped in the middle, so that there are two, and filled again */
		if (!r->file && r->pages != BIG_PAGES) {
			if (mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				out_of_memory("mmap over");
			memset(&r->stamps[from], 0, n * sizeof(uint64_t));
		}
		break;
	}
	mprotect(r->at, r->pages * PAGE, PROT_READ | PROT_WRITE);
}

bool memory_holds(const struct memory *m, const char *who)
{
	for (uint32_t k = 0; k < REGIONS + 1; k++) {
		const struct region *r = &m->regions[k];

		for (uint32_t page = 0; page < r->pages; page++) {
			const uint64_t *p = (const uint64_t *)(r->at + page * PAGE);

			for (size_t i = 0; i < PAGE / 8; i += PAGE / 8 / 2 - 1) {
				if (p[i] == r->stamps[page] || (r->file && r->stamps[page] == 0))
					continue;
				fprintf(stderr,
					"# %s, process %d: region %u page %u word %zu holds %#llx, "
					"not %#llx\n",
					who, getpid(), k, page, i, (unsigned long long)p[i],
					(unsigned long long)r->stamps[page]);
				return false;
			}
		}
	}
	return true;
}
