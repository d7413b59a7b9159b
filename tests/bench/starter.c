/* SPDX-License-Identifier: MIT */
#include "starter.h"

#include "wire/channel.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* About as long as SPAWN and STARTED are. */
#define ASK_SIZE    64
#define ANSWER_SIZE 200

#define HIGH_FD	    100 /* beyond what is given to children */

static const struct {
	const char *name, *mode;
} ways[WAYS] = {
	[WAY_SUBMIT] = {"spawn_submit", "reply-first: STARTED"},
	[WAY_PROCESS] = {"spawn_process", "confirmed: READY"},
	[WAY_POSIX_SPAWN] = {"posix_spawn", "confirmed: after exec"},
	[WAY_VFORK] = {"vfork + exec", "confirmed: after exec"},
	[WAY_FORK_EXEC] = {"fork + exec", "unconfirmed: before exec"},
	[WAY_FORK] = {"fork + pipe, no exec", "unconfirmed: fork returns"},
	[WAY_ROUND_TRIP] = {"SEQPACKET, 1 fd each way", "answer: no process"},
};

const char *way_name(enum way w)
{
	return ways[w].name;
}

const char *way_mode(enum way w)
{
	return ways[w].mode;
}

static void open_stamps(struct starter *s)
{
	int fd = memfd_create("stamps", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(struct stamps)) < 0)
		err(1, "memfd_create");
	s->stamps_fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	close(fd);
	s->stamps = mmap(NULL, sizeof(struct stamps), PROT_READ | PROT_WRITE, MAP_SHARED,
			 s->stamps_fd, 0);
	if (s->stamps_fd < 0 || s->stamps == MAP_FAILED)
		err(1, "mmap");
}

void starter_open(struct starter *s, const struct bench *b, enum work work, const char *socket)
{
	static const char *const args[] = {STAMP_ARG};
	struct spawn_error why;

	*s = (struct starter){.cold = work_cold(b, work), .echo = -1};
	open_stamps(s);
	if (!socket)
		return;
	s->request = spawn_request_new(work_name(work));
	if (!s->request || spawn_request_args(s->request, 1, args) < 0 ||
	    spawn_request_fd(s->request, s->stamps_fd, STAMP_FD) < 0)
		errx(1, "cannot make a request");
	if (spawn_client_open(&s->client, socket, &why) < 0)
		errx(1, "%s", why.message);
}

_Noreturn static void echo(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char buf[ANSWER_SIZE] = {0};
	struct fds fds;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (channel_receive(fd, buf, sizeof(buf), &fds, NULL, 0) > 0) {
		if (channel_send(fd, buf, sizeof(buf), &null, 1, 0) < 0)
			_exit(1);
		fds_close(&fds);
	}
	_exit(0);
}

void starter_add_echo(struct starter *s)
{
	int pair[2];

	if (channel_pair(pair) < 0)
		err(1, "socketpair");
	s->echo_pid = fork();
	if (s->echo_pid < 0)
		err(1, "fork");
	if (s->echo_pid == 0) {
		close(pair[0]);
		echo(pair[1]);
	}
	close(pair[1]);
	s->echo = pair[0];
}

void starter_close(struct starter *s)
{
	spawn_request_free(s->request);
	spawn_client_close(s->client);
	munmap(s->stamps, sizeof(*s->stamps));
	close(s->stamps_fd);
	if (s->echo >= 0) {
		close(s->echo);
		while (waitpid(s->echo_pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

static double us(uint64_t from, uint64_t to)
{
	return ((double)to - (double)from) / 1e3;
}

static void expect_success(struct spawn_exit *end)
{
	const char *step = "";
	int r = spawn_exit_start_error(end, &step);

	if (spawn_exit_status(end) != 0)
		errx(1, "a leaf ended with status %d, signal %d, start error %d at %s",
		     spawn_exit_status(end), spawn_exit_signal(end), r, step);
}

struct submitted {
	struct spawn_proc *proc;
};

static void on_started(struct spawn_proc *proc, const struct spawn_error *why, void *user)
{
	struct submitted *s = user;

	if (!proc)
		errx(1, "spawn_submit: %s", why->message);
	s->proc = proc;
}

static struct spawn_proc *submit(struct starter *s, uint64_t *ret_blocked)
{
	struct submitted submitted = {NULL};
	struct spawn_error why;

	if (spawn_submit(s->client, s->request, on_started, &submitted, NULL, &why) < 0)
		errx(1, "spawn_submit: %s", why.message);
	*ret_blocked = clock_now();
	while (!submitted.proc) {
		struct pollfd p = {.fd = spawn_client_fd(s->client), .events = POLLIN};

		if (poll(&p, 1, -1) > 0 && spawn_client_dispatch(s->client) < 0)
			errx(1, "the server was lost");
	}
	return submitted.proc;
}

static struct spawn_proc *process(struct starter *s)
{
	struct spawn_proc *proc;
	struct spawn_error why;

	if (spawn_process(s->client, s->request, &proc, &why) < 0)
		errx(1, "spawn_process: %s", why.message);
	return proc;
}

static bool was_hit(const struct spawn_proc *proc)
{
	struct spawn_timing t = {.size = sizeof(t)};

	return spawn_proc_timing(proc, &t) >= 0 && t.pool_hit;
}

static void read_stages(const struct spawn_proc *proc, struct sample *ret)
{
	struct spawn_timing t = {.size = sizeof(t)};

	if (spawn_proc_timing(proc, &t) < 0)
		errx(1, "a leaf without timing");
	ret->stages[STAGE_ASK] = us(t.requested, t.received);
	ret->stages[STAGE_DECIDE] = us(t.received, t.handed);
	ret->stages[STAGE_REPLY] = us(t.handed, t.started);
	ret->stages[STAGE_WAKE] = us(t.handed, t.launched);
	ret->stages[STAGE_BECOME] = us(t.launched, t.ready);
	ret->stages[STAGE_CONFIRM] = us(t.ready, t.confirmed);
	ret->hit = t.pool_hit;
}

static void run_leaf(struct starter *s, enum way way, struct sample *ret)
{
	uint64_t from = clock_now(), blocked = 0, handle, over;
	struct spawn_proc *proc = way == WAY_SUBMIT ? submit(s, &blocked) : process(s);
	struct spawn_exit *end;

	handle = clock_now();
	if (spawn_proc_wait(proc, -1, &end) < 0)
		errx(1, "spawn_proc_wait failed");
	over = clock_now();
	expect_success(end);
	*ret = (struct sample){
		.blocked = us(from, blocked ? blocked : handle),
		.handle = us(from, handle),
		.first = us(from, s->stamps->first),
		.status = us(s->stamps->last, over),
	};
	read_stages(proc, ret);
	spawn_exit_free(end);
	spawn_proc_free(proc);
}

static char *const stamp_argv[] = {(char *)"cold", (char *)STAMP_ARG, NULL};
static char *const plain_argv[] = {(char *)"cold", NULL};

static pid_t start_posix_spawn(const struct starter *s, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, s->stamps_fd, STAMP_FD);
	r = posix_spawn(&pid, s->cold, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		errx(1, "posix_spawn: %s", strerror(r));
	return pid;
}

_Noreturn static void exec_cold(const struct starter *s, char *const argv[])
{
	if (dup2(s->stamps_fd, STAMP_FD) >= 0)
		execve(s->cold, argv, environ);
	_exit(127);
}

static pid_t start_vfork(const struct starter *s, char *const argv[])
{
	pid_t pid = vfork();

	if (pid == 0)
		exec_cold(s, argv);
	return pid;
}

static pid_t start_fork(const struct starter *s, char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0)
		exec_cold(s, argv);
	return pid;
}

static pid_t start_cold(const struct starter *s, enum way way, char *const argv[])
{
	pid_t pid = -1;

	if (way == WAY_POSIX_SPAWN)
		pid = start_posix_spawn(s, argv);
	else if (way == WAY_VFORK)
		pid = start_vfork(s, argv);
	else if (way == WAY_FORK_EXEC)
		pid = start_fork(s, argv);
	if (pid < 0)
		err(1, "%s", way_name(way));
	return pid;
}

static void await_success(pid_t pid, struct rusage *ret)
{
	int status;

	while (wait4(pid, &status, 0, ret) < 0)
		if (errno != EINTR)
			err(1, "wait4");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "a child ended with wait status %#x", (unsigned)status);
}

static void run_cold(struct starter *s, enum way way, struct sample *ret)
{
	uint64_t from = clock_now(), handle, over;
	pid_t pid = start_cold(s, way, stamp_argv);

	handle = clock_now();
	await_success(pid, NULL);
	over = clock_now();
	*ret = (struct sample){
		.blocked = us(from, handle),
		.handle = us(from, handle),
		.first = us(from, s->stamps->first),
		.status = us(s->stamps->last, over),
		.hit = true,
	};
}

static void run_fork(struct starter *s, struct sample *ret)
{
	uint64_t from = clock_now(), first, handle, over;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		err(1, "pipe2");
	pid = fork();
	if (pid == 0) {
		first = clock_now();
		if (write(fds[1], &first, sizeof(first)) < 0)
			_exit(1);
		s->stamps->last = clock_now();
		_exit(0);
	}
	handle = clock_now();
	if (pid < 0 || read(fds[0], &first, sizeof(first)) != (ssize_t)sizeof(first))
		err(1, "fork");
	await_success(pid, NULL);
	over = clock_now();
	close(fds[0]);
	close(fds[1]);
	*ret = (struct sample){
		.blocked = us(from, handle),
		.handle = us(from, handle),
		.first = us(from, first),
		.status = us(s->stamps->last, over),
		.hit = true,
	};
}

static void run_round_trip(struct starter *s, struct sample *ret)
{
	char buf[ANSWER_SIZE] = {0};
	uint64_t from = clock_now();
	struct fds fds;

	if (channel_send(s->echo, buf, ASK_SIZE, &s->stamps_fd, 1, 0) < 0 ||
	    channel_receive(s->echo, buf, sizeof(buf), &fds, NULL, 0) != ANSWER_SIZE || fds.n != 1)
		errx(1, "the echo process is gone");
	*ret = (struct sample){.handle = us(from, clock_now()), .hit = true};
	fds_close(&fds);
}

void starter_run(struct starter *s, enum way way, struct sample *ret)
{
	*s->stamps = (struct stamps){0};
	if (way == WAY_SUBMIT || way == WAY_PROCESS)
		run_leaf(s, way, ret);
	else if (way == WAY_FORK)
		run_fork(s, ret);
	else if (way == WAY_ROUND_TRIP)
		run_round_trip(s, ret);
	else
		run_cold(s, way, ret);
}

static double rusage_us(const struct rusage *ru)
{
	return (double)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1e6 +
	       (double)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec);
}

void starter_pass(struct starter *s, enum way way, struct pass *ret)
{
	struct spawn_usage usage = {.size = sizeof(usage)};
	uint64_t from = clock_now(), blocked;
	struct spawn_proc *proc;
	struct spawn_exit *end;

	if (way != WAY_SUBMIT && way != WAY_PROCESS) {
		pid_t pid = start_cold(s, way, plain_argv);
		struct rusage ru;

		ret->call_us = us(from, clock_now());
		await_success(pid, &ru);
		ret->child_us = rusage_us(&ru);
		ret->hit = true;
		return;
	}
	proc = way == WAY_SUBMIT ? submit(s, &blocked) : process(s);
	ret->call_us = us(from, clock_now());
	if (spawn_proc_wait(proc, -1, &end) < 0)
		errx(1, "spawn_proc_wait failed");
	expect_success(end);
	spawn_exit_usage(end, &usage);
	ret->child_us = (double)(usage.utime_us + usage.stime_us);
	ret->hit = was_hit(proc);
	spawn_exit_free(end);
	spawn_proc_free(proc);
}
