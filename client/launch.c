/* SPDX-License-Identifier: MIT */
#include "launch.h"
#include "commands.h"
#include "libspawn.h"
#include "pty.h"
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

/* What the user sees as one. */
struct job {
	struct spawn_proc **procs; /* NULL: it did not start */
	size_t n;
	struct pty *pty; /* NULL: none */
};

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
static void request_fill(struct spawn_request *request, const struct options *o,
			 const struct pty *pty, bool program)
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
	if (pty)
		pty_request(pty, request);
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

static void signal_all(const struct job *job, int sig, bool group)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->procs[i])
			signal_leaf(job->procs[i], sig, group);
}

/* What the terminal sent was for all that the user sees as one job. */
static void pass_on(const struct job *job, const struct signalfd_siginfo *info)
{
	bool group = info->ssi_code == SI_KERNEL;

	if (info->ssi_signo != SIGTSTP) {
		signal_all(job, (int)info->ssi_signo, group);
		if (info->ssi_signo == SIGCONT && job->pty)
			pty_enter(job->pty); /* it may have been set otherwise meanwhile */
		return;
	}
	/*
	 * The leaf is in no process group of this terminal's session, and one that is orphaned does
	 * not stop at TSTP: so STOP for it. This process takes TSTP itself, which the kernel
	 * ignores where nobody could continue it; then the leaf goes on at once too.
	 */
	signal_all(job, SIGSTOP, group);
	if (job->pty)
		pty_leave(job->pty);
	act_by_default(SIGTSTP);
	if (job->pty)
		pty_enter(job->pty);
	signal_all(job, SIGCONT, group);
}

static void take_signal(int signals, void *job)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		pass_on(job, &info);
}

/* Passes signals on until all are over. */
static int attend(struct job *job, int signals)
{
	struct pollfd fds[2] = {{.fd = signals, .events = POLLIN}, {.events = POLLIN}};

	for (size_t i = 0; i < job->n; i++) {
		if (!job->procs[i])
			continue;
		fds[1].fd = spawn_proc_pidfd(job->procs[i]);
		do {
			if (poll(fds, 2, -1) < 0 && errno != EINTR)
				return -errno;
			if (fds[0].revents)
				take_signal(signals, job);
		} while (!fds[1].revents);
	}
	return 0;
}

/* Not before the start: what this process ignores, the leaf ignores. */
static void ignore_pipe(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGPIPE, &ignore, NULL);
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

/* Until all are over. *ret_timeout: how long their records may take. */
static void job_attend(struct job *job, int *ret_timeout)
{
	int signals = signals_open(), r = signals;

	if (signals >= 0 && job->pty)
		r = pty_relay(job->pty, job->procs[0], signals, take_signal, job);
	else if (signals >= 0)
		r = attend(job, signals);
	if (r < 0)
		fprintf(stderr, "spawn: cannot pass signals on: %s\n", strerror(-r));
	*ret_timeout = r < 0 ? -1 : RECORD_TIMEOUT_MS;
}

static int tell_end(struct spawn_proc *proc, const struct options *o, bool program, int timeout)
{
	struct spawn_exit *end = NULL;
	int status, r = spawn_proc_wait(proc, timeout, &end);

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

static int start(struct spawn_client *client, const struct options *o, const struct pty *pty,
		 bool program, struct spawn_proc **ret, struct spawn_error *err)
{
	struct spawn_request *request = spawn_request_new(template_of(o));
	int r;

	if (!request) {
		snprintf(err->message, sizeof(err->message), "out of memory");
		return -ENOMEM;
	}
	request_fill(request, o, pty, program);
	r = spawn_process(client, request, ret, err);
	spawn_request_free(request);
	return r;
}

/* *program: whether the first argument is one. For a template that was named the server knows: one
 * that executes programs refuses a request without. */
static int start_either(struct spawn_client *client, const struct options *o, const struct pty *pty,
			bool *program, struct spawn_proc **ret, struct spawn_error *err)
{
	int r;

	*program = !o->template_name;
	r = start(client, o, pty, *program, ret, err);
	if (*program || o->n_args == 0 || r != -EINVAL || err->origin != SPAWN_ORIGIN_POLICY ||
	    strcmp(err->step, "exec") != 0)
		return r;
	*program = true;
	return start(client, o, pty, true, ret, err);
}

static int start_failed(int r, const struct spawn_error *err)
{
	fprintf(stderr, "spawn: %s\n", err->message);
	return err->origin == SPAWN_ORIGIN_LEAF ? failure_status(r, err->step) : EXIT_SPAWN_FAILED;
}

/* As a shell's pipe: all are waited for, and the last one's end is this command's. */
static int launch_pipeline(struct spawn_client *client, const struct options *o)
{
	struct commands commands;
	struct job job;
	int timeout, status = EXIT_SPAWN_FAILED, r = commands_split(o, &commands);

	if (r < 0)
		return EXIT_SPAWN_FAILED;
	for (size_t i = 0; i < commands.n; i++)
		request_fill(commands.requests[i], &commands.options[i], NULL, true);
	spawn_pipeline(client, commands.requests, commands.n, commands.procs, commands.errs);
	ignore_pipe();
	job = (struct job){.procs = commands.procs, .n = commands.n};
	job_attend(&job, &timeout);
	for (size_t i = 0; i < commands.n; i++) {
		if (!commands.procs[i])
			commands.statuses[i] =
				start_failed(commands.errs[i].code, &commands.errs[i]);
		else if (i + 1 < commands.n || o->json)
			commands.statuses[i] = commands_status(&commands, i, timeout);
	}
	if (o->json)
		commands_print(&commands);
	status = commands.procs[commands.n - 1]
			 ? tell_end(commands.procs[commands.n - 1],
				    &commands.options[commands.n - 1], true, timeout)
			 : commands.statuses[commands.n - 1];
	commands_done(&commands);
	return status;
}

static int launch_one(struct spawn_client *client, const struct options *o)
{
	struct spawn_error err = {.step = ""};
	struct spawn_proc *proc = NULL;
	struct job job = {.procs = &proc, .n = 1};
	bool program = false;
	struct pty pty = {.master = -1, .slave = -1};
	int timeout, status, r;

	if (o->pty) {
		r = pty_open(&pty);
		if (r < 0) {
			fprintf(stderr, "spawn: cannot make a terminal: %s\n", strerror(-r));
			return EXIT_SPAWN_FAILED;
		}
		job.pty = &pty;
	}
	r = start_either(client, o, job.pty, &program, &proc, &err);
	ignore_pipe();
	if (r < 0) {
		status = start_failed(r, &err);
	} else if (o->detach) {
		printf("%d\n", (int)spawn_proc_pid(proc));
		if (o->timing)
			timing_print(proc, NULL, template_of(o), o->json);
		status = 0;
	} else {
		job_attend(&job, &timeout);
		/* Before it may end as the leaf did, by a signal. */
		pty_close(&pty);
		status = tell_end(proc, o, program, timeout);
	}
	pty_close(&pty);
	spawn_proc_free(proc);
	return status;
}

int launch(const struct options *o)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {.step = ""};
	int status, r = spawn_client_open(&client, o->socket, &err);

	if (r < 0)
		return start_failed(r, &err);
	status = o->pipe ? launch_pipeline(client, o) : launch_one(client, o);
	spawn_client_close(client);
	return status;
}
