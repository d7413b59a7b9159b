/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tells what a route to a new process gave; in the child, ends it. */
static int outcome(const char *route, long pid, int error)
{
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return dprintf(1, "%s %s\n", route, strerrorname_np(error));
	waitpid((pid_t)pid, NULL, __WALL);
	return dprintf(1, "%s made a process\n", route);
}

int probe_fork_libc(char **argv)
{
	pid_t pid = fork();

	(void)argv;
	return outcome("fork-libc", pid, errno);
}

int probe_fork_raw(char **argv)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	(void)argv;
#ifdef SYS_fork
	if (pid < 0 && errno == EPERM)
		pid = syscall(SYS_fork);
#endif
	return outcome("fork-raw", pid, errno);
}

static int end_at_once(void *arg)
{
	(void)arg;
	_exit(0);
}

static int clone_with(const char *route, int flags)
{
	size_t size = 65536;
	char *stack = malloc(size);
	int pid, error;

	if (!stack)
		return dprintf(1, "%s ENOMEM\n", route);
	pid = clone(end_at_once, stack + size, flags, NULL);
	error = errno;
	outcome(route, pid, error);
	free(stack);
	return 0;
}

int probe_clone(char **argv)
{
	(void)argv;
	return clone_with("clone", SIGCHLD | CLONE_FILES);
}

int probe_clone_vm(char **argv)
{
	(void)argv;
	return clone_with("clone-vm", SIGCHLD | CLONE_VM | CLONE_VFORK);
}

int probe_clone3(char **argv)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	(void)argv;
	return outcome("clone3", pid, errno);
}

int probe_vfork(char **argv)
{
	pid_t pid = vfork();

	(void)argv;
	if (pid == 0)
		_exit(0);
	return outcome("vfork", pid, errno);
}

int probe_fork_int80(char **argv)
{
	(void)argv;
#ifdef __x86_64__
	long pid;

	/* 2 is fork in the 32-bit table; a kernel without that table raises SIGSEGV. */
	__asm__ volatile("int $0x80" : "=a"(pid) : "a"(2L) : "memory", "r8", "r9", "r10", "r11");
	pid = (int)pid;
	return outcome("fork-int80", pid < 0 ? -1 : pid, (int)-pid);
#else
	return dprintf(1, "fork-int80 ENOSYS\n");
#endif
}

int probe_fork_x32(char **argv)
{
	(void)argv;
#ifdef __x86_64__
	long pid = syscall(0x40000000L | SYS_fork);

	return outcome("fork-x32", pid, errno);
#else
	return dprintf(1, "fork-x32 ENOSYS\n");
#endif
}

int probe_posix_spawn(char **argv)
{
	char *const args[] = {argv[0], NULL};
	int status = -1, r;
	pid_t pid;

	r = posix_spawn(&pid, argv[0], NULL, NULL, args, environ);
	if (r != 0)
		return dprintf(1, "posix-spawn %s\n", strerrorname_np(r));
	waitpid(pid, &status, 0);
	return dprintf(1, "posix-spawn status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* What a helper does that is itself no leaf. */
int probe_posix_spawn_shell(char **argv)
{
	char shell[] = "sh", command[] = "-c", *const args[] = {shell, command, argv[0], NULL};
	int status = -1, r;
	pid_t pid;

	r = posix_spawn(&pid, "/bin/sh", NULL, NULL, args, environ);
	if (r != 0)
		return dprintf(1, "posix-spawn-shell %s\n", strerrorname_np(r));
	waitpid(pid, &status, 0);
	return dprintf(1, "posix-spawn-shell status %d\n",
		       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void *add_one(void *counter)
{
	__atomic_add_fetch((int *)counter, 1, __ATOMIC_RELAXED);
	return NULL;
}

int probe_threads(char **argv)
{
	int n = atoi_strict(argv[0]), started = 0, counter = 0, r = 0;
	pthread_t *threads = calloc((size_t)n, sizeof(*threads));

	if (!threads)
		return dprintf(1, "threads ENOMEM\n");
	for (; started < n; started++) {
		r = pthread_create(&threads[started], NULL, add_one, &counter);
		if (r != 0)
			break;
	}
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	if (r != 0)
		return dprintf(1, "threads %s\n", strerrorname_np(r));
	return dprintf(1, "threads %d\n", counter);
}

int probe_ptrace(char **argv)
{
	pid_t pid = atoi_strict(argv[0]);

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return dprintf(1, "ptrace %s\n", strerrorname_np(errno));
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return dprintf(1, "ptrace attached\n");
}

/* The same address holds the same thing in a sibling: one template, one layout. */
int probe_vm_read(char **argv)
{
	pid_t pid = atoi_strict(argv[0]);
	static const char secret[] = "template memory";
	char copy[sizeof(secret)];
	struct iovec local = {copy, sizeof(copy)};
	struct iovec remote = {(void *)(uintptr_t)secret, sizeof(secret)};

	if (pid == getpid())
		return dprintf(1, "vm-read self\n"); /* this leaf was the one that was parked */
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0)
		return dprintf(1, "vm-read %s\n", strerrorname_np(errno));
	return dprintf(1, "vm-read got it\n");
}
