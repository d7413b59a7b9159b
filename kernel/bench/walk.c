// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim and migration of pages that are one leaf's own, among 400 leaves: such a walk visits the
 * leaf's siblings in its cohort. Each leaf is asked, one after the other, and does it itself.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define LEAVES 400
#define PAGES  32
#define ASKED  50 /* evenly, and the last */

struct answer {
	double reclaim, migrate;
};

static void make_swap(void)
{
	static char page[PAGE];
	uint32_t head[3] = {1, (256u << 20) / PAGE - 1, 0};
	int fd = open("/sys/block/zram0/disksize", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || (write(fd, "256M", 4) != 4 && errno != EBUSY))
		give_up("zram0");
	close(fd);
	fd = open("/dev/zram0", O_WRONLY | O_CLOEXEC);
	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	if (fd < 0 || write(fd, page, PAGE) != (ssize_t)PAGE)
		give_up("/dev/zram0");
	close(fd);
	if (swapon("/dev/zram0", 0) < 0 && errno != EBUSY)
		give_up("swapon");
}

static struct answer answer(char *at, char mine)
{
	void *pages[PAGES];
	int to[PAGES], status[PAGES], moved = 0;
	struct answer a;
	uint64_t began;

	for (int i = 0; i < PAGES; i++) {
		at[i * PAGE] = mine;
		pages[i] = at + i * PAGE;
	}
	began = now_ns();
	for (int node = 1; node >= 0; node--) {
		for (int i = 0; i < PAGES; i++)
			to[i] = node;
		if (syscall(SYS_move_pages, 0, PAGES, pages, to, status, 0) < 0)
			give_up("move_pages");
		for (int i = 0; i < PAGES; i++)
			moved += status[i] == node;
	}
	a.migrate = (double)(now_ns() - began) / (2 * PAGES);
	if (moved < PAGES) /* where they are at first they need not be moved from */
		give_up("pages do not move");
	began = now_ns();
	if (madvise(at, PAGES * PAGE, MADV_PAGEOUT) < 0)
		give_up("MADV_PAGEOUT");
	a.reclaim = (double)(now_ns() - began) / PAGES;
	for (int i = 0; i < PAGES; i++)
		if (at[i * PAGE] != mine)
			give_up("a page of another");
	return a;
}

static void leaf(char *at, int i, int ask, int tell)
{
	struct answer a;
	char c;

	memset(at, i, PAGES * PAGE);
	while (read(ask, &c, 1) == 1) {
		a = answer(at, (char)i);
		if (write(tell, &a, sizeof(a)) != sizeof(a))
			_exit(1);
	}
	_exit(0);
}

static void ask_all(int cohort)
{
	struct answer a, sum = {0}, worst = {0};
	char *at = map_apart(1, PAGES), name[64];
	int ask[LEAVES], tell[2], n = 0;

	memset(at, 1, PAGES * PAGE);
	children_are(cohort);
	if (pipe2(tell, O_CLOEXEC) < 0)
		give_up("pipe");
	for (int i = 0; i < LEAVES; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			give_up("pipe");
		ask[i] = p[1];
		if (fork() == 0) {
			for (int k = 0; k <= i; k++)
				close(ask[k]);
			leaf(at, i, p[0], tell[1]);
		}
		close(p[0]);
	}
	for (int k = 0; k <= ASKED; k++) {
		int i = k < ASKED ? k * LEAVES / ASKED : LEAVES - 1;

		/* once before, so that all have written */
		for (int twice = 0; twice < 2; twice++)
			if (write(ask[i], "x", 1) != 1 || read(tell[0], &a, sizeof(a)) != sizeof(a))
				give_up("a leaf");
		sum.reclaim += a.reclaim;
		sum.migrate += a.migrate;
		if (a.reclaim > worst.reclaim)
			worst.reclaim = a.reclaim;
		if (a.migrate > worst.migrate)
			worst.migrate = a.migrate;
		n++;
	}
	if (cohort < 0)
		snprintf(name, sizeof(name), "walk.plain");
	else
		snprintf(name, sizeof(name), "walk.cohort-%d", cohort);
	figure(sum.reclaim / n, "ns/page", "%s.reclaim.mean", name);
	figure(worst.reclaim, "ns/page", "%s.reclaim.worst", name);
	figure(sum.migrate / n, "ns/page", "%s.migrate.mean", name);
	figure(worst.migrate, "ns/page", "%s.migrate.worst", name);
	for (int i = 0; i < LEAVES; i++)
		close(ask[i]);
	while (wait(NULL) > 0)
		;
	close(tell[0]);
	close(tell[1]);
	munmap(at, APART(1, PAGES));
}

void bench_walk(void)
{
	static const int curve[] = {4, 8, 16, 32, 64};
	bool patched = access("/proc/sys/vm/nofork_cohort", F_OK) == 0;

	make_swap();
	ask_all(-1);
	for (int i = 0; patched && i < 5; i++)
		ask_all(curve[i]);
}
