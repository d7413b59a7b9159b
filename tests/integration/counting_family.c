/* SPDX-License-Identifier: MIT */
/*
 * counting_family.c - a process that has known children, one kind after the other:
 *
 *	fork N		that end without exec		fork-exec N	that become "/bin/true"
 *	vfork N		the same in its memory		spawn N		by posix_spawn
 *	thread-fork N	as fork, by a second thread	chain N		a child of a child, N deep
 *	thread-exec ...	a second thread executes this program with what follows
 *	main-ends	the main thread ends, a second one ends the process later
 *	await		reads a byte first
 */
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what, int code)
{
	fprintf(stderr, "%s: %s\n", what, strerror(code));
	exit(1);
}

static void bury(pid_t pid, const char *what)
{
	if (pid < 0)
		die(what, errno);
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid", errno);
}

static void fork_one(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	bury(pid, "fork");
}

static void fork_exec_one(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	bury(pid, "fork");
}

static void vfork_one(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	bury(pid, "vfork");
}

static void spawn_one(void)
{
	char name[] = "true", *argv[] = {name, NULL};
	pid_t pid;
	int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

	if (r != 0)
		die("posix_spawn", r);
	bury(pid, "posix_spawn");
}

static void chain(long n)
{
	pid_t pid;

	if (n == 0)
		return;
	pid = fork();
	if (pid == 0) {
		chain(n - 1);
		_exit(0);
	}
	bury(pid, "fork");
}

static void repeat(void (*one)(void), long n)
{
	while (n-- > 0)
		one();
}

static void *fork_in_thread(void *n)
{
	repeat(fork_one, *(long *)n);
	return NULL;
}

static void run_thread(void *(*work)(void *), void *user, int join)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, work, user);

	if (r != 0)
		die("pthread_create", r);
	if (join)
		pthread_join(thread, NULL);
}

static void *exec_in_thread(void *argv)
{
	execv("/proc/self/exe", argv);
	die("exec", errno);
}

static void *end_in_thread(void *main_thread)
{
	pthread_join(*(pthread_t *)main_thread, NULL);
	exit(0);
}

static void take_word(const char *word, char **argv, long n)
{
	static pthread_t main_thread;
	char byte;

	if (strcmp(word, "fork") == 0)
		repeat(fork_one, n);
	else if (strcmp(word, "fork-exec") == 0)
		repeat(fork_exec_one, n);
	else if (strcmp(word, "vfork") == 0)
		repeat(vfork_one, n);
	else if (strcmp(word, "spawn") == 0)
		repeat(spawn_one, n);
	else if (strcmp(word, "chain") == 0)
		chain(n);
	else if (strcmp(word, "thread-fork") == 0)
		run_thread(fork_in_thread, &n, 1);
	else if (strcmp(word, "thread-exec") == 0)
		run_thread(exec_in_thread, argv, 1);
	else if (strcmp(word, "await") == 0 && read(0, &byte, 1) < 0)
		die("read", errno);
	if (strcmp(word, "main-ends") != 0)
		return;
	main_thread = pthread_self();
	run_thread(end_in_thread, &main_thread, 0);
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		take_word(argv[i], argv + i, i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0);
	return 0;
}
