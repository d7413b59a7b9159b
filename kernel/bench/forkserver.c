// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 200
#define VMAS	 500
#define FORKS	 40

static void ask(char *at, int cohort, int percent)
{
	int done[2], go[2];
	struct slab before, after;
	char name[64], c;
	uint64_t began;

	if (pipe2(done, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		give_up("pipe");
	children_are(cohort);
	before = slab_read();
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (pid < 0)
			give_up("fork");
		if (pid == 0) {
			close(go[1]);
			write_apart(at, VMAS * (unsigned)percent / 100, 1, (char)i);
			if (write(done[1], "x", 1) != 1 || read(go[0], &c, 1) < 0)
				_exit(1);
			_exit(0);
		}
		if (read(done[0], &c, 1) != 1)
			give_up("a child");
	}
	after = slab_read();

	/* one more, and its end, beside those that live */
	began = now_ns();
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			give_up("fork");
	}
	if (cohort < 0)
		snprintf(name, sizeof(name), "forkserver.plain.written-%d", percent);
	else
		snprintf(name, sizeof(name), "forkserver.cohort-%d.written-%d", cohort, percent);
	figure((double)(now_ns() - began) / FORKS, "ns", "%s.fork+exit", name);
	figure((double)(after.anon_vma + after.leaf - before.anon_vma - before.leaf), "objects",
	       "%s.anon_vma", name);
	figure((double)(after.chain - before.chain), "objects", "%s.anon_vma_chain", name);
	figure((double)(after.anon_vma_bytes + after.leaf_bytes + after.chain_bytes -
			before.anon_vma_bytes - before.leaf_bytes - before.chain_bytes) /
		       CHILDREN,
	       "bytes/leaf", "%s.rmap", name);
	figure((double)(after.total - before.total) / CHILDREN, "bytes/leaf", "%s.slab", name);
	close(go[1]);
	close(go[0]);
	close(done[0]);
	close(done[1]);
	while (wait(NULL) > 0)
		;
}

void bench_forkserver(void)
{
	static const int shares[] = {0, 50, 100}, curve[] = {4, 8, 16, 64};
	char *at = map_apart(VMAS, 1);
	bool patched = access("/proc/sys/vm/nofork_cohort", F_OK) == 0;

	write_apart(at, VMAS, 1, 1);
	for (int i = 0; i < 3; i++) {
		ask(at, -1, shares[i]);
		if (patched)
			ask(at, 32, shares[i]);
	}
	for (int i = 0; patched && i < 4; i++)
		ask(at, curve[i], 100);
	munmap(at, APART(VMAS, 1));
}
