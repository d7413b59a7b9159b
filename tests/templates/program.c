/* SPDX-License-Identifier: MIT */
/*
 * program - the probe as a program that serves by itself: `program WORD...` warms as the words say,
 * and in a leaf does what probe.c does with its arguments.
 */
#include "probe.h"

#include <libspawn-template.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* As spawn-host has it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0";
}
#endif

extern const struct spawn_template spawn_template; /* probe.c's */

/* What the hooks found. */
struct seen {
	int before, after, waits, leaf;
	int dumpable; /* of the host */
	const char *argument_in_leaf;
};
static struct seen seen;

static const char *host_argument;

static struct {
	pthread_t thread;
	bool runs;
	int wake[2];
} worker;

static void *work(void *arg)
{
	char c;

	(void)arg;
	(void)!read(worker.wake[0], &c, 1);
	return NULL;
}

static void worker_start(void)
{
	if (pipe2(worker.wake, O_CLOEXEC) < 0 ||
	    pthread_create(&worker.thread, NULL, work, NULL) != 0)
		exit(98);
	pthread_setname_np(worker.thread, "straggler");
	worker.runs = true;
}

static void worker_end(void)
{
	close(worker.wake[1]);
	pthread_join(worker.thread, NULL);
	close(worker.wake[0]);
	worker.runs = false;
}

static void before_fork(void *user)
{
	struct seen *s = user;

	s->before++;
	s->dumpable = prctl(PR_GET_DUMPABLE);
	if (worker.runs)
		worker_end();
}

static void after_fork(void *user)
{
	((struct seen *)user)->after++;
	if (worker.wake[0] > 0)
		worker_start();
}

static void before_wait(void *user)
{
	struct seen *s = user;

	s->waits += !getenv("FOR_THE_LEAF") && s->leaf == 0;
}

static void in_leaf(void *user)
{
	((struct seen *)user)->leaf++;
	((struct seen *)user)->argument_in_leaf = getenv("FOR_THE_LEAF");
}

static void on_signal(int sig)
{
	(void)sig;
}

/* What hooks do that leaves and records of their ends must not know of. */
static void before_fork_noisy(void *user)
{
	(void)user;
	printf("before");
	signal(SIGCHLD, SIG_IGN);
}

static void after_fork_noisy(void *user)
{
	(void)user;
	printf("after");
	signal(SIGTERM, on_signal);
	signal(SIGCHLD, SIG_IGN);
}

static struct spawn_template_hooks hooks = {
	.size = sizeof(hooks),
	.before_fork = before_fork,
	.after_fork = after_fork,
	.before_wait = before_wait,
	.in_leaf = in_leaf,
	.user = &seen,
};

static void told_at_exit(void)
{
	dprintf(1, "atexit\n");
}

/* What is started while warming has the same environment and descriptors. */
static pid_t start_helper(char *self, const char *word)
{
	char *copy = strdup(word), *argv[] = {self, copy, NULL};
	pid_t pid;

	if (!copy || posix_spawn(&pid, self, NULL, NULL, argv, environ) != 0)
		exit(98);
	free(copy);
	return pid;
}

static void run_helper(char *self)
{
	pid_t pid = start_helper(self, "plain");
	int status = -1;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		exit(98);
}

static void warm_as(char *self, const char *word)
{
	if (strcmp(word, "exits") == 0) {
		fprintf(stderr, "nothing to serve\n");
		exit(3);
	} else if (strcmp(word, "crashes") == 0) {
		fprintf(stderr, "about to crash\n");
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	} else if (strcmp(word, "hangs") == 0) {
		fprintf(stderr, "never answers\n");
		for (;;)
			pause();
	} else if (strcmp(word, "thread") == 0) {
		worker_start();
	} else if (strcmp(word, "joined") == 0) {
		worker_start();
		worker_end();
	} else if (strcmp(word, "closes") == 0) {
		close(3);
	} else if (strcmp(word, "litters") == 0) {
		(void)!open("/dev/null", O_RDWR);
		signal(SIGTERM, on_signal);
		signal(SIGPIPE, SIG_IGN);
	} else if (strcmp(word, "atexit") == 0) {
		atexit(told_at_exit);
	} else if (strcmp(word, "unflushed") == 0) {
		printf("from the host\n");
	} else if (strcmp(word, "helper") == 0) {
		run_helper(self);
	} else if (strcmp(word, "family") == 0) {
		start_helper(self, "hangs");
		warm_as(self, "hangs");
	} else if (strcmp(word, "undumpable") == 0) {
		prctl(PR_SET_DUMPABLE, 0);
	} else if (strcmp(word, "alarm") == 0) {
		const struct timeval moment = {.tv_usec = 1000};

		signal(SIGALRM, on_signal);
		setitimer(ITIMER_REAL, &(struct itimerval){moment, moment}, NULL);
	} else if (strcmp(word, "noisy-hooks") == 0) {
		hooks.before_fork = before_fork_noisy;
		hooks.after_fork = after_fork_noisy;
	} else if (strcmp(word, "old-hooks") == 0) {
		hooks.size = 8;
	}
}

int main(int argc, char **argv)
{
	bool hooked = false;
	void *state = NULL;
	int r;

	spawn_template.warm(&state);
	for (int i = 1; i < argc; i++) {
		hooked |= strstr(argv[i], "hooks") != NULL;
		warm_as(argv[0], argv[i]);
	}
	host_argument = argc > 1 ? argv[1] : "";
	r = spawn_template_serve(&argc, &argv, hooked ? &hooks : NULL);
	if (r != SPAWN_TEMPLATE_LEAF) {
		printf("serve %d argc %d\n", r, argc);
		return r < 0;
	}
	if (argc > 1 && strcmp(argv[1], "seen") == 0) {
		printf("hooks %d %d %d, host dumpable %d, %s\n", seen.before - seen.after,
		       seen.waits, seen.leaf, seen.dumpable,
		       seen.argument_in_leaf ? seen.argument_in_leaf : "unset");
		return seen.before;
	}
	if (argc > 1 && strcmp(argv[1], "host-argument") == 0) {
		printf("%s\n", host_argument);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "setuid") == 0) {
		worker_start();
		printf("setuid %d\n", setuid(getuid())); /* in both threads */
		worker_end();
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "dumpable") == 0) {
		printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "again") == 0) {
		printf("serve %d\n", spawn_template_serve(&argc, &argv, NULL));
		return 0;
	}
	return spawn_template.entry(state, argc, argv);
}
