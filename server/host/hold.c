/* SPDX-License-Identifier: MIT */
/*
 * The `main` lane: libspawn-main.so, preloaded into a program that knows nothing of spawnd. Where
 * libc would call main(), libraries are loaded, relocated and constructed; the process stays there
 * as a host, and each leaf goes on from there with arguments and environment of its own.
 */
#include "base/error.h"
#include "base/fd.h"
#include "host/area.h"
#include "host/environment.h"
#include "host/fallback.h"
#include "host/lane.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

const bool lane_executes = false;

static struct warm warm;
static struct summons summons;

static struct {
	struct area area;
	const char *program;
	char name[16]; /* as the kernel cuts it from the path */
	jmp_buf back;
	int argc;
	char **argv; /* of a leaf */
} held;

static bool needs_new_image(const struct body *body)
{
	return !environment_fits(body->envp);
}

/* libc looks at the limit when it starts. What it takes for none is 2 MiB. */
static void follow_stack_limit(const struct rlimit *of_host)
{
	struct rlimit now;
	pthread_attr_t attributes;
	size_t size;

	if (getrlimit(RLIMIT_STACK, &now) < 0 || now.rlim_cur == of_host->rlim_cur)
		return;
	size = now.rlim_cur == RLIM_INFINITY ? 2u << 20 : now.rlim_cur;
	if (size < (size_t)PTHREAD_STACK_MIN)
		size = (size_t)PTHREAD_STACK_MIN;
	if (pthread_getattr_default_np(&attributes) != 0)
		return;
	pthread_attr_setstacksize(&attributes, size);
	pthread_setattr_default_np(&attributes);
}

_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body)
{
	char *slash;

	if (!environment_fits(body->envp)) {
		execve(held.program, body->argv, body->envp);
		leaf_not_executed(self, -errno);
	}
	held.argc = body->argc;
	held.argv = area_make(&held.area, body->argc, body->argv, body->envp);
	if (!held.argv) {
		dprintf(STDERR_FILENO, "%s: no memory for its arguments\n", held.program);
		_exit(127);
	}
	prctl(PR_SET_NAME, held.name);
	follow_stack_limit(&w->limits[RLIMIT_STACK]);
	environ = held.argv + held.argc + 1; /* libc has it from its own constructor */
	slash = strrchr(held.argv[0], '/');
	program_invocation_name = held.argv[0];
	program_invocation_short_name = slash ? slash + 1 : held.argv[0];
	longjmp(held.back, 1);
}

/* What the keeper cannot be told on its channel it finds among the last words. */
_Noreturn static void refuse(const char *why)
{
	dprintf(STDERR_FILENO, "libspawn-main: %s\n", why);
	_exit(EXIT_FAILURE);
}

/* A descriptor that is not open in a program at its start: -1 when there is none. */
static int extra_descriptor(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int found = -1;

	if (!dir)
		return -1;
	while (found < 0 && (e = readdir(dir))) {
		int fd = (int)strtol(e->d_name, NULL, 10);

		if (e->d_name[0] != '.' && fd > HOST_SLOTS_FD && fd != dirfd(dir))
			found = fd;
	}
	closedir(dir);
	return found;
}

static int handled_signal(void)
{
	struct sigaction now;

	for (int sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
			return sig;
	return 0;
}

/* What its libraries have done that a leaf would not have, or could not undo. */
static bool misfits(char *why, size_t size)
{
	struct spawn_error err;
	int fd = extra_descriptor(), sig = handled_signal();

	*why = '\0';
	if (threads_check(&err) < 0)
		snprintf(why, size, "%.90s has libraries that start threads before main",
			 held.program);
	else if (fd >= 0)
		snprintf(why, size, "%.90s has libraries that keep a descriptor open (%d)",
			 held.program, fd);
	else if (sig)
		snprintf(why, size, "%.90s has libraries that handle or ignore a signal (SIG%s)",
			 held.program, sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");
	else if (environment_is_overdone())
		snprintf(why, size, "%.90s has libraries that ask for too many variables",
			 held.program);
	return *why;
}

_Noreturn static void be_host(void)
{
	struct host *h = host_new(&warm);
	struct spawn_error err;
	int r;

	if (!h)
		refuse("out of memory");
	host_take_summons(h, &summons);
	warm.executes = needs_new_image;
	r = host_open(h, &err);
	if (r == 0)
		r = host_settle(h, &err);
	if (r == 0)
		r = host_choose_nofork(h, &err);
	if (r < 0) {
		host_tell_failed(r, &err);
		_exit(EXIT_FAILURE);
	}
	_exit(host_serve(h));
}

static void name_program(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN), *slash = strrchr(path, '/');

	held.program = path;
	path = slash ? slash + 1 : path;
	memcpy(held.name, path, strnlen(path, sizeof(held.name) - 1));
}

/* Returns in leaves, and with 0 in a process that is no host: one that a library started. */
static int hold(char **argv, char **envp)
{
	char library[PATH_MAX] = "", why[FALLBACK_WHY_SIZE], *slash;
	int r = summons_read(environment_value(envp, SUMMONS_VARIABLE), getpid(), &summons);

	/* First: where the auxiliary vector is, the end of the environment says. */
	if (r == 1)
		area_prepare(&held.area, argv);
	environment_settle(envp, library, sizeof(library));
	if (r == 0)
		return 0;
	if (r < 0 || !fd_is_seqpacket(HOST_KEEPER_FD))
		refuse("what the server says of the template cannot be read, or descriptor 3 is "
		       "not the server's any more");
	name_program();
	slash = strrchr(library, '/');
	if (slash)
		*slash = '\0';
	if (misfits(why, sizeof(why))) {
		fallback_execute(library, &summons, held.program, why);
		refuse(why);
	}
	if (setjmp(held.back) == 0)
		be_host();
	return 1;
}

typedef int start_main_fn(int (*main)(int, char **, char **), int argc, char **argv,
			  void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
			  void *stack_end);

EXPORT start_main_fn __libc_start_main;

/* One for both versions that binaries ask for: libc's are one function. */
EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
			     void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
			     void *stack_end)
{
	start_main_fn *next = (start_main_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

	if (hold(argv, argv + argc + 1)) {
		argc = held.argc;
		argv = held.argv;
	}
	return next(main, argc, argv, init, fini, rtld_fini, stack_end);
}
