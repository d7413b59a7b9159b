// SPDX-License-Identifier: GPL-2.0-only
/* What processes pay that promise nothing: to be the same as without the series. */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define VMAS  100
#define TURNS 60

static double fork_exit(bool exec)
{
	uint64_t began = now_ns();

	for (int i = 0; i < TURNS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (exec)
				execl("/proc/self/exe", "nofork-bench", "--nothing", (char *)NULL);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			give_up("fork");
	}
	return (double)(now_ns() - began) / TURNS;
}

static double map_fault_unmap(bool fault)
{
	uint64_t began = now_ns();

	for (int i = 0; i < TURNS * 10; i++) {
		char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			give_up("mmap");
		for (int k = 0; fault && k < 16; k++)
			p[k * PAGE] = 1;
		munmap(p, 16 * PAGE);
	}
	return (double)(now_ns() - began) / (TURNS * 10);
}

static double split_merge(char *at)
{
	uint64_t began = now_ns();

	for (int i = 0; i < TURNS * 10; i++)
		if (mprotect(at + 4 * PAGE, 4 * PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ) <
		    0)
			give_up("mprotect");
	return (double)(now_ns() - began) / (TURNS * 10);
}

void bench_nothing(void)
{
	char *at = map_apart(VMAS, 1), *wide = map_apart(1, 12);
	struct slab before = slab_read(), after;
	int go[2], done[2];
	char c;

	children_are(-1);
	write_apart(at, VMAS, 1, 1);
	write_apart(wide, 1, 12, 1);
	for (int warm = 1; warm >= 0; warm--) {
		double fork_only = fork_exit(false), exec = fork_exit(true),
		       map = map_fault_unmap(false), fault = map_fault_unmap(true),
		       split = split_merge(wide);

		if (warm)
			continue;
		figure(fork_only, "ns", "nothing.fork+exit");
		figure(exec, "ns", "nothing.fork+exec+exit");
		figure(map, "ns", "nothing.mmap+munmap");
		figure(fault, "ns", "nothing.mmap+fault+munmap");
		figure(split, "ns", "nothing.mprotect");
	}
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		give_up("pipe");
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (pid < 0)
			give_up("fork");
		if (pid == 0) {
			close(go[1]);
			write_apart(at, VMAS, 1, 2);
			_exit(write(done[1], "x", 1) != 1 || read(go[0], &c, 1) < 0);
		}
		if (read(done[0], &c, 1) != 1)
			give_up("a child");
	}
	after = slab_read();
	figure((double)(after.anon_vma + after.leaf - before.anon_vma - before.leaf), "objects",
	       "nothing.anon_vma");
	figure((double)(after.chain - before.chain), "objects", "nothing.anon_vma_chain");
	close(go[1]);
	close(go[0]);
	close(done[0]);
	close(done[1]);
	while (wait(NULL) > 0)
		;
	munmap(at, APART(VMAS, 1));
	munmap(wide, APART(1, 12));
}
