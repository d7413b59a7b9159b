/* SPDX-License-Identifier: MIT */
#include "starter.h"

#include "wire/channel.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

/* How a child comes to be. */
enum origin { NONE, COLD, FORK, OBJECT, EXEC, OWN };

static const struct {
	const char *name, *mode;
	enum origin origin;
	bool confirmed;
} ways[WAYS] = {
	[WAY_SUBMIT] = {"spawn_submit", "reply-first: STARTED", OBJECT, false},
	[WAY_PROCESS] = {"spawn_process", "confirmed: READY", OBJECT, true},
	[WAY_EXEC_SUBMIT] = {"exec, spawn_submit", "reply-first: STARTED", EXEC, false},
	[WAY_EXEC_PROCESS] = {"exec, spawn_process", "confirmed: after exec", EXEC, true},
	[WAY_OWN_SUBMIT] = {"own exec, spawn_submit", "reply-first: STARTED", OWN, false},
	[WAY_OWN_PROCESS] = {"own exec, spawn_process", "confirmed: after exec", OWN, true},
	[WAY_POSIX_SPAWN] = {"posix_spawn", "confirmed: after exec", COLD, true},
	[WAY_VFORK] = {"vfork + exec", "confirmed: after exec", COLD, true},
	[WAY_FORK_EXEC] = {"fork + exec", "unconfirmed: before exec", COLD, false},
	[WAY_FORK] = {"fork + pipe, no exec", "unconfirmed: fork returns", FORK, false},
	[WAY_ROUND_TRIP] = {"SEQPACKET, 1 fd each way", "answer: no process", NONE, true},
	[WAY_NOTHING] = {"nothing started", "", NONE, false},
};

const char *way_name(enum way w)
{
	return ways[w].name;
}

const char *way_mode(enum way w)
{
	return ways[w].mode;
}

bool way_is_leaf(enum way w)
{
	return way_is_served(w) || ways[w].origin == OWN;
}

bool way_is_served(enum way w)
{
	return ways[w].origin == OBJECT || ways[w].origin == EXEC;
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

void starter_open(struct starter *s, const struct bench *b, enum template template_,
		  const char *socket, bool stamping)
{
	*s = (struct starter){
		.cold = work_cold(b, template_work(template_)),
		.template_ = template_,
		.socket = socket,
		.stamping = stamping,
		.stamps_fd = -1,
		.echo = -1,
	};
	if (!stamping)
		return;
	open_stamps(s);
	if (posix_spawn_file_actions_init(&s->actions) != 0 ||
	    posix_spawn_file_actions_adddup2(&s->actions, s->stamps_fd, STAMP_FD) != 0)
		errx(1, "memory");
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

static void open_echo(struct starter *s)
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

static struct spawn_request *make_request(const struct starter *s, enum template template_)
{
	static const char *const args[] = {STAMP_ARG};
	struct spawn_request *request = spawn_request_new(template_name(template_));

	if (!request ||
	    (template_ == TEMPLATE_EXEC && spawn_request_program(request, s->cold) < 0) ||
	    (s->stamping && (spawn_request_args(request, 1, args) < 0 ||
			     spawn_request_fd(request, s->stamps_fd, STAMP_FD) < 0)))
		errx(1, "cannot make a request");
	return request;
}

void starter_prepare(struct starter *s, enum way way)
{
	enum origin origin = ways[way].origin;
	struct spawn_error why;

	if (way_is_served(way) && !s->client && spawn_client_open(&s->client, s->socket, &why) < 0)
		errx(1, "%s", why.message);
	if (origin == OBJECT && !s->leaf)
		s->leaf = make_request(s, s->template_);
	if (origin == OWN && !s->own && spawn_private_open(&s->own, &why) < 0)
		errx(1, "%s", why.message);
	if ((origin == EXEC || origin == OWN) && !s->exec)
		s->exec = make_request(s, TEMPLATE_EXEC);
	if (way == WAY_ROUND_TRIP && s->echo < 0)
		open_echo(s);
}

void starter_close(struct starter *s)
{
	spawn_request_free(s->leaf);
	spawn_request_free(s->exec);
	spawn_client_close(s->client);
	spawn_client_close(s->own);
	if (s->stamping) {
		posix_spawn_file_actions_destroy(&s->actions);
		munmap(s->stamps, sizeof(*s->stamps));
		close(s->stamps_fd);
	}
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

static void on_started(struct spawn_proc *proc, const struct spawn_error *why, void *user)
{
	struct spawn_proc **ret = user;

	if (!proc)
		errx(1, "spawn_submit: %s", why->message);
	*ret = proc;
}

static struct spawn_client *client_of(const struct starter *s, enum way way)
{
	return ways[way].origin == OWN ? s->own : s->client;
}

static struct spawn_request *request_of(const struct starter *s, enum way way)
{
	return ways[way].origin == OBJECT ? s->leaf : s->exec;
}

/* As the way has it; of those not confirmed *ret is set by what reads the connection later. */
static void start_leaf(struct starter *s, enum way way, struct spawn_proc **ret)
{
	struct spawn_client *client = client_of(s, way);
	struct spawn_request *request = request_of(s, way);
	struct spawn_error why;
	int r;

	*ret = NULL;
	if (ways[way].confirmed)
		r = spawn_process(client, request, ret, &why);
	else
		r = spawn_submit(client, request, on_started, ret, NULL, &why);
	if (r < 0)
		errx(1, "%s: %s", way_name(way), why.message);
}

static void await_started(struct spawn_client *client, struct spawn_proc *const *proc)
{
	while (!*proc) {
		struct pollfd p = {.fd = spawn_client_fd(client), .events = POLLIN};

		if (poll(&p, 1, -1) > 0 && spawn_client_dispatch(client) < 0)
			errx(1, "the server was lost");
	}
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
	uint64_t from = clock_now(), returned, handle, over;
	struct spawn_proc *proc;
	struct spawn_exit *end;

	start_leaf(s, way, &proc);
	returned = clock_now();
	await_started(client_of(s, way), &proc);
	handle = clock_now();
	if (spawn_proc_wait(proc, -1, &end) < 0)
		errx(1, "spawn_proc_wait failed");
	over = clock_now();
	expect_success(end);
	*ret = (struct sample){
		.blocked = us(from, returned),
		.handle = us(from, ways[way].confirmed ? returned : handle),
		.first = us(from, s->stamps->first),
		.status = us(s->stamps->last, over),
	};
	if (ways[way].origin == OWN)
		ret->hit = true; /* there is no pool, and nobody notes moments */
	else
		read_stages(proc, ret);
	spawn_exit_free(end);
	spawn_proc_free(proc);
}

static char *const *argv_of(const struct starter *s)
{
	static char *const stamp_argv[] = {(char *)"cold", (char *)STAMP_ARG, NULL},
			   *const plain_argv[] = {(char *)"cold", NULL};

	return s->stamping ? stamp_argv : plain_argv;
}

static pid_t start_posix_spawn(const struct starter *s)
{
	pid_t pid;
	int r = posix_spawn(&pid, s->cold, s->stamping ? &s->actions : NULL, NULL, argv_of(s),
			    environ);

	if (r)
		errx(1, "posix_spawn: %s", strerror(r));
	return pid;
}

_Noreturn static void exec_cold(const struct starter *s)
{
	if (!s->stamping || dup2(s->stamps_fd, STAMP_FD) >= 0)
		execve(s->cold, argv_of(s), environ);
	_exit(127);
}

static pid_t start_vfork(const struct starter *s)
{
	pid_t pid = vfork();

	if (pid == 0)
		exec_cold(s);
	return pid;
}

static pid_t start_fork(const struct starter *s)
{
	pid_t pid = fork();

	if (pid == 0)
		exec_cold(s);
	return pid;
}

static pid_t start_cold(const struct starter *s, enum way way)
{
	pid_t pid = -1;

	if (way == WAY_POSIX_SPAWN)
		pid = start_posix_spawn(s);
	else if (way == WAY_VFORK)
		pid = start_vfork(s);
	else if (way == WAY_FORK_EXEC)
		pid = start_fork(s);
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
	pid_t pid = start_cold(s, way);

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
	if (way == WAY_NOTHING)
		*ret = (struct sample){.hit = true};
	else if (way_is_leaf(way))
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

/* One that was started and is not waited for yet. */
struct flight {
	struct spawn_proc *proc;
	pid_t pid;
};

static void pass_begin(struct starter *s, enum way way, struct flight *f, struct pass *ret)
{
	uint64_t from = clock_now();

	if (!way_is_leaf(way))
		f->pid = start_cold(s, way);
	else
		start_leaf(s, way, &f->proc);
	ret->call_us = us(from, clock_now());
}

static void pass_end(struct starter *s, enum way way, struct flight *f, struct pass *ret)
{
	struct spawn_usage usage = {.size = sizeof(usage)};
	struct spawn_exit *end;
	struct rusage ru;

	if (!way_is_leaf(way)) {
		await_success(f->pid, &ru);
		ret->child_us = rusage_us(&ru);
		ret->hit = true;
		return;
	}
	await_started(client_of(s, way), &f->proc);
	if (spawn_proc_wait(f->proc, -1, &end) < 0)
		errx(1, "spawn_proc_wait failed");
	expect_success(end);
	spawn_exit_usage(end, &usage);
	ret->child_us = (double)(usage.utime_us + usage.stime_us);
	ret->hit = !way_is_served(way) || was_hit(f->proc);
	spawn_exit_free(end);
	spawn_proc_free(f->proc);
}

void starter_passes(struct starter *s, enum way way, unsigned depth, unsigned n, struct pass *ret)
{
	struct flight flights[DEPTH_MAX];

	for (unsigned i = 0; i < n + depth; i++) {
		struct flight *f = &flights[i % depth];

		if (i >= depth && i - depth < n)
			pass_end(s, way, f, &ret[i - depth]);
		if (i < n)
			pass_begin(s, way, f, &ret[i]);
	}
}
