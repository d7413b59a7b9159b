// SPDX-License-Identifier: GPL-2.0-only
/* Threads against the promise, memory limits, userfaultfd, tracers. */
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct racer {
	struct memory *memory;
	int promised; /* atomic */
	int late;     /* atomic: forks that came after the promise and were not refused */
};

static void *fork_on(void *arg)
{
	struct racer *r = arg;

	for (;;) {
		bool promised = __atomic_load_n(&r->promised, __ATOMIC_SEQ_CST);
		pid_t pid = fork();

		if (pid == 0)
			_exit(!memory_holds(r->memory, "race"));
		if (pid > 0 && leaf_end(pid, 0, "race"))
			__atomic_add_fetch(&r->late, 1, __ATOMIC_SEQ_CST);
		if (promised && (pid > 0 || errno != EPERM))
			__atomic_add_fetch(&r->late, 1, __ATOMIC_SEQ_CST);
		if (promised || (pid < 0 && errno == EPERM))
			return NULL;
	}
}

static void race_once(uint32_t delay)
{
	pthread_t threads[3];
	struct memory m;
	struct racer r = {.memory = &m};

	memory_make(&m, 4);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, fork_on, &r);
	usleep(delay); /* somewhere in the middle of their forks */
	if (prctl(PR_SET_NOFORK, PR_NOFORK_SELF, 0, 0, 0) < 0)
		_exit(1);
	__atomic_store_n(&r.promised, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	_exit(r.late != 0 || !memory_holds(&m, "race"));
}

int part_race(const struct run *run, struct dice *d)
{
	int bad = 0;

	while (seconds_now() < run->end && bad == 0) {
		uint32_t delay = dice_roll(d, 20000);
		pid_t pid = fork();

		if (pid == 0)
			race_once(delay);
		bad += leaf_end(pid, 0, "race");
	}
	return bad;
}

/* Leaves whose memory is limited end by OOM kill; what lives on holds. */
int part_limits(const struct run *run, struct dice *d)
{
	const char *group = "/sys/fs/cgroup/stress";
	int bad = 0;

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if ((mkdir(group, 0755) < 0 && errno != EEXIST) ||
	    !write_text("/sys/fs/cgroup/stress/memory.max", "40M"))
		return -1;
	while (seconds_now() < run->end && bad == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			struct dice own = {d->state + 5};
			struct memory m;
			pid_t leaves[8];

			if (!write_text("/sys/fs/cgroup/stress/cgroup.procs", "0"))
				_exit(1);
			memory_make(&m, 5);
			prctl(PR_SET_NOFORK, PR_NOFORK_CHILDREN, 0, 0, 0);
			for (int i = 0; i < 8; i++) {
				leaves[i] = fork();
				if (leaves[i] == 0) {
					m.owner = (uint64_t)getpid();
					for (int k = 0; k < 200; k++)
						memory_act(&m, &own);
					_exit(!memory_holds(&m, "limits"));
				}
			}
			for (int i = 0; i < 8; i++)
				if (leaves[i] > 0)
					bad += leaf_end(leaves[i], SIGKILL, "limits");
			_exit(bad || !memory_holds(&m, "limits"));
		}
		dice_roll(d, 2);
		bad += leaf_end(pid, SIGKILL, "limits");
	}
	return bad;
}

#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif
#define UFFD_PAGES 64

static void userfault_once(int fd)
{
	size_t size = UFFD_PAGES * PAGE;
	char *from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	     *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	     page[PAGE];
	struct uffdio_register reg = {
		.range = {(uintptr_t)to, size},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (from == MAP_FAILED || to == MAP_FAILED || ioctl(fd, UFFDIO_REGISTER, &reg) < 0)
		_exit(1);
	for (size_t i = 0; i < UFFD_PAGES; i++) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)to + i * PAGE,
			.src = (uintptr_t)page,
			.len = PAGE,
		};
		struct uffdio_move move = {
			.dst = (uintptr_t)to + i * PAGE,
			.src = (uintptr_t)from + i * PAGE,
			.len = PAGE,
		};

		memset(from + i * PAGE, (int)i + 1, PAGE);
		memset(page, (int)i + 1, PAGE);
		if (i % 2 && i % 3)
			madvise(from + i * PAGE, PAGE, MADV_PAGEOUT);
		/* a page that cannot be moved now is copied */
		if ((i % 2 == 0 || ioctl(fd, UFFDIO_MOVE, &move) < 0) &&
		    ioctl(fd, UFFDIO_COPY, &copy) < 0)
			_exit(1);
	}
	madvise(to, size, MADV_PAGEOUT);
	for (size_t i = 0; i < UFFD_PAGES; i++)
		for (size_t k = 0; k < PAGE; k += 511)
			if (to[i * PAGE + k] != (char)(i + 1)) {
				fprintf(stderr, "# userfault: page %zu holds another's\n", i);
				_exit(1);
			}
	munmap(from, size);
	munmap(to, size);
}

int part_userfault(const struct run *run, struct dice *d)
{
	struct uffdio_api api = {.api = UFFD_API};
	int bad = 0, fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -1;
	close(fd);
	while (seconds_now() < run->end && bad == 0) {
		bool nofork = dice_roll(d, 2);
		pid_t pid = fork();

		if (pid == 0) {
			if (nofork)
				prctl(PR_SET_NOFORK, PR_NOFORK_SELF, 0, 0, 0);
			fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
			if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
				_exit(1);
			for (int i = 0; i < 10; i++)
				userfault_once(fd);
			_exit(0);
		}
		bad += leaf_end(pid, 0, "userfault");
	}
	return bad;
}

/*
 * Looked at and pushed out by another process, while it works. True, and its status, if it was over
 * by then.
 */
static bool annoy(pid_t pid, const struct memory *m, struct dice *d, int *ret_status)
{
	const struct region *r = &m->regions[dice_roll(d, REGIONS)];
	struct iovec range = {r->at, r->pages * PAGE};
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status;
	long word;

	if (pidfd >= 0) {
		syscall(SYS_process_madvise, pidfd, &range, 1, MADV_PAGEOUT, 0);
		close(pidfd);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (!WIFSTOPPED(status)) {
		*ret_status = status;
		return true;
	}
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, r->at, NULL);
	/* the same word again: through a page that is shared it makes one of its own */
	if (errno == 0)
		ptrace(PTRACE_POKEDATA, pid, r->at, word);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return false;
}

int part_trace(const struct run *run, struct dice *d)
{
	struct memory m;
	int bad = 0;

	memory_make(&m, 6);
	prctl(PR_SET_NOFORK, PR_NOFORK_CHILDREN, 0, 0, 0);
	while (seconds_now() < run->end && bad == 0) {
		struct dice own = {((uint64_t)dice_roll(d, 1u << 31) << 20) + 9};
		pid_t pid = fork();

		if (pid == 0) {
			m.owner = (uint64_t)getpid();
			for (int i = 0; i < 60; i++)
				memory_act(&m, &own);
			_exit(!memory_holds(&m, "trace"));
		}
		bool over = false;
		int status = 0;

		for (int i = 0; i < 5 && !over; i++)
			over = annoy(pid, &m, d, &status);
		bad += over ? status != 0 : leaf_end(pid, 0, "trace");
	}
	return bad + !memory_holds(&m, "trace");
}
