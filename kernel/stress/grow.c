// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page that mremap() moves to the end of an older mapping, while it is migrated: a walk that came
 * to the target before, and comes to the source after, must not miss it.
 */
#define _GNU_SOURCE
#include "stress.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOVED  5 /* the page of the file; the older mapping begins behind it */
#define PAGES  10
#define OTHERS 50 /* with the same page, that the walk meets between the two */

struct mover {
	void *page; /* atomic; NULL: end */
	int node;   /* where the first goes */
};

static void *migrate_on(void *arg)
{
	struct mover *mover = arg;
	void *page;
	int node = mover->node, status;

	while ((page = __atomic_load_n(&mover->page, __ATOMIC_ACQUIRE))) {
		node = !node;
		syscall(SYS_move_pages, 0, 1, &page, &node, &status, 0);
	}
	return NULL;
}

static char *map_file(int fd, char *at, size_t pages, size_t from)
{
	char *p = mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | (at ? MAP_FIXED : 0),
		       fd, (off_t)(from * PAGE));

	if (p == MAP_FAILED)
		_exit(1);
	return p;
}

static void grow_once(double end, int node)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *target =
		mmap(NULL, (PAGES - MOVED) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mover mover = {.node = node};
	pthread_t thread;
	uint32_t turn = 0;

	if (fd < 0 || target == MAP_FAILED || prctl(PR_SET_NOFORK, PR_NOFORK_SELF, 0, 0, 0) < 0)
		_exit(1);
	*map_file(fd, target + PAGE, PAGES - MOVED - 1, MOVED + 1) = 1;
	for (int i = 0; i < OTHERS; i++) {
		*map_file(fd, NULL, 1, MOVED) = 1;
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* apart */
	}
	mover.page = target + PAGE;
	if (pthread_create(&thread, NULL, migrate_on, &mover) != 0)
		_exit(1);
	while (seconds_now() < end) {
		char *newer = map_file(fd, NULL, PAGES, 0), *moved = newer + MOVED * PAGE;

		*(uint32_t *)moved = ++turn;
		__atomic_store_n(&mover.page, moved, __ATOMIC_RELEASE);
		sched_yield();
		if (mremap(moved, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED)
			_exit(1);
		if (*(uint32_t *)target != turn) {
			fprintf(stderr, "# grow: the page holds %u, not %u\n", *(uint32_t *)target,
				turn);
			_exit(1);
		}
		munmap(target, PAGE);
		munmap(newer, PAGES * PAGE);
	}
	__atomic_store_n(&mover.page, NULL, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	_exit(turn == 0);
}

int part_grow(const struct run *run, struct dice *d)
{
	int node = (int)dice_roll(d, 2);
	pid_t pid = fork();

	if (pid == 0)
		grow_once(run->end, node);
	return leaf_end(pid, 0, "grow");
}
