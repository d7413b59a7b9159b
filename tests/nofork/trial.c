/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

/* Shared with the trial: what it has to say. A filter may forbid it everything but exit. */
static struct {
	char text[512];
} * said;
static int n_trials, n_failed;

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list ap)
{
	vsnprintf(said->text, sizeof(said->text), format, ap);
}

void trial_fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	_exit(1);
}

void trial_skip(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	_exit(SKIPPED);
}

void trial_expect_errno(const char *what, int got, int wanted)
{
	const char *got_name = got ? strerrorname_np(got) : "success";
	const char *wanted_name = wanted ? strerrorname_np(wanted) : "success";

	if (got != wanted)
		trial_fail("%s: %s (%d) where %s was expected", what, got_name ? got_name : "?",
			   got, wanted_name ? wanted_name : "?");
}

void trial(const char *name, trial_fn *fn, const void *arg)
{
	int status = 0;
	pid_t pid;

	if (!said) {
		said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
		if (said == MAP_FAILED)
			abort();
	}
	said->text[0] = '\0';
	n_trials++;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			abort();
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok %d - %s\n", n_trials, name);
	} else if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		printf("ok %d - %s # SKIP %s\n", n_trials, name, said->text);
	} else {
		n_failed++;
		printf("not ok %d - %s\n", n_trials, name);
		if (pid < 0)
			printf("# cannot fork\n");
		else if (WIFSIGNALED(status))
			printf("# ended by signal %d\n", WTERMSIG(status));
		else
			printf("# %s\n", said->text);
	}
}

int trials_finish(void)
{
	printf("1..%d\n", n_trials);
	return n_failed ? 1 : 0;
}
