/* SPDX-License-Identifier: MIT */
#include "launch.h"
#include "libspawn.h"
#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1 << 2) /* Linux 6.9 */
#endif

/* How long a server may take to tell the end of a leaf that is seen to be over. */
#define RECORD_TIMEOUT_MS 10000

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT, SIGTSTP};

static const char *template_of(const struct options *o)
{
	return o->template_name ? o->template_name : "exec";
}

/* The leaf opens them, in its working directory; standard error last, so it may be standard output.
 */
static void request_stdio(struct spawn_request *request, const char *const *stdio)
{
	for (int fd = 0; fd <= 2; fd++) {
		const char *path = stdio[fd];
		int flags = fd == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;

		if (!path)
			continue;
		if (fd == 2 && strcmp(path, "stdout") == 0)
			spawn_request_dup(request, 1, 2);
		else
			spawn_request_open(request, fd,
					   strcmp(path, "null") == 0 ? "/dev/null" : path, flags,
					   0666);
	}
}

/* program: the first of the arguments is one. Errors are latched in the request and told at the
 * start. */
static void request_fill(struct spawn_request *request, const struct options *o, bool program)
{
	static const char *const no_environment[] = {NULL};
	size_t first = program && o->n_args > 0;

	/* As env(1): in the PATH that the program gets. */
	if (first)
		spawn_request_path_search(request, o->args[0], SPAWN_PATH_CHILD);
	spawn_request_args(request, o->n_args - first, (const char *const *)o->args + first);
	if (o->argv0)
		spawn_request_argv0(request, o->argv0);
	if (o->chdir)
		spawn_request_chdir(request, o->chdir);
	if (o->ignore_environment)
		spawn_request_env(request, no_environment);
	for (size_t i = 0; i < o->n_env; i++) {
		if (o->env[i].value)
			spawn_request_setenv(request, o->env[i].name, o->env[i].value);
		else
			spawn_request_unsetenv(request, o->env[i].name);
	}
	request_stdio(request, o->stdio);
	attributes_request(&o->attributes, request);
	limits_request(&o->limits, request);
	if (o->has_umask)
		spawn_request_umask(request, o->umask);
	if (o->has_nofork)
		spawn_request_nofork(request, (enum spawn_nofork)o->nofork);
	if (o->has_deadline)
		spawn_request_deadline(request, o->deadline_ms, o->grace_ms);
	spawn_request_kill_with_caller(request, !o->detach);
}

/*
 * Blocks the signals to be passed on and returns a signalfd for them. One that this process
 * ignores (nohup, a shell's background job) is left so: blocked it would be queued and passed on.
 *
 * Called after the start, since the leaf gets the mask of the moment. Until then a signal acts here
 * by default: the command ends, and the leaf with it (kill_with_caller).
 */
static int signals_open(void)
{
	sigset_t set, before;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
		struct sigaction now;

		if (sigaction(passed_on[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&set, passed_on[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, &before) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		return fd;
	fd = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

/* Takes the signal's default action here and now; returns if that is none, or after SIGCONT. */
static void act_by_default(int sig)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t one, before;

	sigaction(sig, &by_default,
		  NULL); /* refused for KILL and STOP, whose action it is anyway */
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &one, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* To its process group, of which it is the leader, or on a kernel without that to itself. */
static void signal_leaf(struct spawn_proc *proc, int sig, bool group)
{
	if (group && syscall(SYS_pidfd_send_signal, spawn_proc_pidfd(proc), sig, NULL,
			     PIDFD_SIGNAL_PROCESS_GROUP) == 0)
		return;
	spawn_proc_kill(proc, sig); /* -ESRCH: it is over, as the pidfd will say */
}

/* What the terminal sent was for all that the user sees as one job. */
static void pass_on(struct spawn_proc *proc, const struct signalfd_siginfo *info)
{
	bool group = info->ssi_code == SI_KERNEL;

	if (info->ssi_signo != SIGTSTP) {
		signal_leaf(proc, (int)info->ssi_signo, group);
		return;
	}
	/*
	 * The leaf is in no process group of this terminal's session, and one that is orphaned does
	 * not stop at TSTP: so STOP for it. This process takes TSTP itself, which the kernel
	 * ignores where nobody could continue it; then the leaf goes on at once too.
	 */
	signal_leaf(proc, SIGSTOP, group);
	act_by_default(SIGTSTP);
	signal_leaf(proc, SIGCONT, group);
}

/* Passes signals on until the leaf is over. */
static int attend(struct spawn_proc *proc, int signals)
{
	struct pollfd fds[] = {
		{.fd = spawn_proc_pidfd(proc), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
	};

	for (;;) {
		struct signalfd_siginfo info;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[0].revents)
			return 0;
		if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			pass_on(proc, &info);
	}
}

/* What was started, as the user named it. */
static const char *name_of(const struct options *o)
{
	return o->template_name ? o->template_name : o->args[0];
}

/* As env(1) and the shells have it. */
static int failure_status(int code, const char *step)
{
	if (strcmp(step, "exec") != 0)
		return EXIT_SPAWN_FAILED;
	return code == -ENOENT || code == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* What outlives exec: that a program did not promise itself is a riddle to who reads its errors. */
static void hint_at_nofork(const struct spawn_exit *end, const struct options *o)
{
	const char *held = spawn_exit_nofork(end);

	if (spawn_exit_status(end) == 0 || !strstr(held, "inherited"))
		return;
	if (o->has_nofork)
		fprintf(stderr,
			"spawn: %s failed under --nofork, %s: neither it nor any program that it starts "
			"can fork; without --nofork they can\n",
			name_of(o), held);
	else
		fprintf(stderr,
			"spawn: %s failed under the template's no-fork, %s: neither it nor any program "
			"that it starts can fork; --nofork=off asks for less\n",
			name_of(o), held);
}

/* Ends as the leaf did, so that the caller's shell sees what it would have seen of the leaf. */
static int end_as(const struct spawn_exit *end, const struct options *o, bool program)
{
	const char *step = "";
	int r = spawn_exit_start_error(end, &step), sig;

	if (r < 0) {
		fprintf(stderr, "spawn: %s did not start: %s: %s\n", name_of(o), step,
			strerror(-r));
		return failure_status(r, step);
	}
	if (!spawn_exit_known(end)) {
		fprintf(stderr,
			"spawn: the server was lost and with it the exit status of %s: unknown\n",
			name_of(o));
		return EXIT_SPAWN_FAILED;
	}
	if (program)
		hint_at_nofork(end, o);
	sig = spawn_exit_signal(end);
	if (sig == 0)
		return spawn_exit_status(end);
	/* The leaf's core, if any, is the leaf's; this process must not leave a second one. A core
	 * limit of 0 would not do: a core_pattern that is a pipe runs all the same. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	act_by_default(sig);
	return 128 + sig;
}

static int wait_for(struct spawn_proc *proc, const struct options *o, bool program)
{
	struct spawn_exit *end = NULL;
	int status, r, signals = signals_open();

	r = signals < 0 ? signals : attend(proc, signals);
	if (r < 0)
		fprintf(stderr, "spawn: cannot pass signals on: %s\n", strerror(-r));
	r = spawn_proc_wait(proc, r < 0 ? -1 : RECORD_TIMEOUT_MS, &end);
	if (r < 0) {
		fprintf(stderr, "spawn: cannot learn how %s ended: %s\n", name_of(o), strerror(-r));
		return EXIT_SPAWN_FAILED;
	}
	if (o->timing)
		timing_print(proc, end, template_of(o), o->json);
	status = end_as(end, o, program);
	spawn_exit_free(end);
	return status;
}

static int start(struct spawn_client *client, const struct options *o, bool program,
		 struct spawn_proc **ret, struct spawn_error *err)
{
	struct spawn_request *request = spawn_request_new(template_of(o));
	int r;

	if (!request) {
		snprintf(err->message, sizeof(err->message), "out of memory");
		return -ENOMEM;
	}
	request_fill(request, o, program);
	r = spawn_process(client, request, ret, err);
	spawn_request_free(request);
	return r;
}

/* *program: whether the first argument is one. For a template that was named the server knows: one
 * that executes programs refuses a request without. */
static int start_either(struct spawn_client *client, const struct options *o, bool *program,
			struct spawn_proc **ret, struct spawn_error *err)
{
	int r;

	*program = !o->template_name;
	r = start(client, o, *program, ret, err);
	if (*program || o->n_args == 0 || r != -EINVAL || err->origin != SPAWN_ORIGIN_POLICY ||
	    strcmp(err->step, "exec") != 0)
		return r;
	*program = true;
	return start(client, o, true, ret, err);
}

int launch(const struct options *o)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct spawn_client *client = NULL;
	struct spawn_proc *proc = NULL;
	struct spawn_error err = {.step = ""};
	int status = EXIT_SPAWN_FAILED, r;
	bool program = false;

	r = spawn_client_open(&client, o->socket, &err);
	if (r >= 0)
		r = start_either(client, o, &program, &proc, &err);
	/* Not before: what this process ignores, the leaf ignores. */
	sigaction(SIGPIPE, &ignore, NULL);
	if (r < 0) {
		fprintf(stderr, "spawn: %s\n", err.message);
		if (err.origin == SPAWN_ORIGIN_LEAF)
			status = failure_status(r, err.step);
	} else if (o->detach) {
		printf("%d\n", (int)spawn_proc_pid(proc));
		if (o->timing)
			timing_print(proc, NULL, template_of(o), o->json);
		status = 0;
	} else {
		status = wait_for(proc, o, program);
	}
	spawn_proc_free(proc);
	spawn_client_close(client);
	return status;
}
