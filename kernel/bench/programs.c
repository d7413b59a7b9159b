// SPDX-License-Identifier: GPL-2.0-only
/* Executed programs of this machine: what each has with and without the inherited promise. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COPIES 5

/* Each answers a line, so that it is loaded, and then waits for another. */
static const struct {
	const char *name;
	char *argv[6];
} programs[] = {
	{"cat", {"/bin/cat"}},
	{"sed", {"/bin/sed", "-u", "p"}},
	{"sh", {"/bin/sh", "-c", "read x; echo $x; read x"}},
	{"bash", {"/bin/bash", "-c", "read x; echo $x; read x"}},
	{"perl", {"/usr/bin/perl", "-e", "$| = 1; print scalar <STDIN>; <STDIN>"}},
	{"perl-modules",
	 {"/usr/bin/perl", "-MPOSIX", "-MSocket", "-e", "$| = 1; print scalar <STDIN>; <STDIN>"}},
	{"python", {"/usr/bin/python3", "-c", "print(input(), flush=True); input()"}},
	{"python-modules",
	 {"/usr/bin/python3", "-c",
	  "import asyncio, ctypes, json, ssl, sqlite3; print(input(), flush=True); input()"}},
	{"dbus-daemon", {"/usr/bin/dbus-daemon", "--session", "--nofork", "--print-address"}},
	{"ssh-agent", {"/usr/bin/ssh-agent", "-D"}},
};
#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static pid_t start(char *const *argv, bool marked, int *ret_fd)
{
	int ends[2];
	pid_t pid;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		give_up("socketpair");
	pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		if (dup2(ends[1], STDIN_FILENO) < 0 || dup2(ends[1], STDOUT_FILENO) < 0)
			_exit(1);
		if (marked && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			       prctl(0x4e464b01 /* PR_SET_NOFORK */, 4 /* EXEC */, 0, 0, 0) < 0))
			_exit(1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(ends[1]);
	if (write(ends[0], "x\n", 2) != 2 || read(ends[0], &c, 1) != 1) {
		errno = ECHILD;
		give_up(argv[0]);
	}
	*ret_fd = ends[0];
	return pid;
}

static void ask(const char *name, char *const *argv, bool marked)
{
	struct slab before = slab_read(), after;
	const char *how = marked ? "marked" : "plain";
	pid_t pids[COPIES];
	int fds[COPIES];

	for (int i = 0; i < COPIES; i++)
		pids[i] = start(argv, marked, &fds[i]);
	after = slab_read();
	figure((double)(after.anon_vma + after.leaf - before.anon_vma - before.leaf) / COPIES,
	       "objects", "programs.%s.%s.anon_vma", name, how);
	figure((double)(after.chain - before.chain) / COPIES, "objects",
	       "programs.%s.%s.anon_vma_chain", name, how);
	figure((double)(after.anon_vma_bytes + after.leaf_bytes + after.chain_bytes -
			before.anon_vma_bytes - before.leaf_bytes - before.chain_bytes) /
		       COPIES,
	       "bytes", "programs.%s.%s.rmap", name, how);
	for (int i = 0; i < COPIES; i++) {
		kill(pids[i], SIGKILL); /* our children, not waited for yet */
		close(fds[i]);
		if (waitpid(pids[i], NULL, 0) != pids[i])
			give_up("waitpid");
	}
}

void bench_programs(void)
{
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	for (size_t i = 0; i < N_PROGRAMS; i++) {
		if (access(programs[i].argv[0], X_OK) < 0) {
			fprintf(stderr, "# %s is not here\n", programs[i].argv[0]);
			continue;
		}
		ask(programs[i].name, programs[i].argv, false);
		ask(programs[i].name, programs[i].argv, true);
	}
}
