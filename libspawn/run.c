/* SPDX-License-Identifier: MIT */
/* Run and capture: input fed, output kept, a deadline kept, in one call that cannot block on
 * itself. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "libspawn.h"
#include "pidfd.h"
#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP_DEFAULT (1u << 20)
#define CHUNK	     65536 /* of one read; and a line that is longer comes in pieces */

/* What the child writes to one descriptor. */
struct stream {
	int fd; /* -1: at its end */
	enum spawn_stream which;
	char *kept;
	size_t len, size, max;
	bool cut;
	char *line; /* begun, without its end */
	size_t line_len;
};

struct spawn_run {
	struct stream out, err;
	struct spawn_exit *end;
	bool timed_out;
};

struct running {
	struct spawn_run_options options;
	struct spawn_run *run;
	struct spawn_proc *proc;
	int in; /* -1: all is written */
	size_t fed;
	uint64_t next; /* when something is to be done; 0: never */
	enum { RUNNING, TERMINATED, KILLED } state;
	bool over; /* the child */
};

static void lines(struct stream *s, const struct running *r, const char *data, size_t len)
{
	while (len > 0) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) : len;

		if (n > CHUNK - s->line_len)
			n = CHUNK - s->line_len;
		memcpy(s->line + s->line_len, data, n);
		s->line_len += n;
		data += n;
		len -= n;
		if (newline == data && len > 0) {
			data++;
			len--;
		} else if (s->line_len < CHUNK) {
			return;
		}
		r->options.on_line(s->which, s->line, s->line_len, r->options.user);
		s->line_len = 0;
	}
}

static int keep(struct stream *s, const char *data, size_t len)
{
	size_t room = s->max - s->len;

	if (len > room) {
		s->cut = true;
		len = room;
	}
	if (s->len + len + 1 > s->size) {
		size_t size = s->size ? s->size : 4096;
		char *more;

		while (size < s->len + len + 1)
			size *= 2;
		more = realloc(s->kept, size);
		if (!more)
			return -ENOMEM;
		s->kept = more;
		s->size = size;
	}
	memcpy(s->kept + s->len, data, len);
	s->len += len;
	s->kept[s->len] = 0;
	return 0;
}

static void stream_end(struct stream *s, const struct running *r)
{
	if (s->line_len > 0)
		r->options.on_line(s->which, s->line, s->line_len, r->options.user);
	s->line_len = 0;
	s->fd = fd_close(s->fd);
}

/* -EAGAIN: there is no more for now. */
static int stream_read(struct stream *s, const struct running *r)
{
	char data[CHUNK];
	ssize_t n = read(s->fd, data, sizeof(data));
	int rc;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0) {
		stream_end(s, r);
		return -EAGAIN;
	}
	rc = keep(s, data, (size_t)n);
	if (rc == 0 && r->options.on_line)
		lines(s, r, data, (size_t)n);
	return rc;
}

/* A pipe that nobody reads raises SIGPIPE, which is not for the caller to see. */
static ssize_t write_quietly(int fd, const void *data, size_t len)
{
	static const struct timespec now = {0, 0};
	sigset_t pipe_set, old, pending;
	ssize_t n;
	int saved;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	n = write(fd, data, len);
	saved = errno;
	if (n < 0 && saved == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return n;
}

static void feed(struct running *r)
{
	size_t left = r->options.input_len - r->fed;
	ssize_t n = left ? write_quietly(r->in, (const char *)r->options.input + r->fed, left) : 0;

	if (n > 0)
		r->fed += (size_t)n;
	else if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || r->fed == r->options.input_len)
		r->in = fd_close(r->in);
}

/* Its process group: a child of the server's leads one, one of the caller's was told to. Not reaped
 * yet, it keeps its pid. */
static void signal_all(struct running *r, int sig)
{
	if (pidfd_signal(spawn_proc_pidfd(r->proc), sig) == 0)
		kill(-spawn_proc_pid(r->proc), sig);
}

static void pass_time(struct running *r)
{
	if (!r->next || clock_now() < r->next)
		return;
	if (r->state == RUNNING && !r->run->timed_out) {
		r->run->timed_out = true;
		signal_all(r, SIGTERM);
		r->state = TERMINATED;
		r->next = clock_now() + r->options.grace_ms * NS_PER_MS;
	} else {
		signal_all(r, SIGKILL);
		r->state = KILLED;
		r->next = 0;
	}
}

static int wait_ms(const struct running *r)
{
	uint64_t now = clock_now();

	if (!r->next)
		return -1;
	return r->next <= now ? 0 : (int)((r->next - now) / NS_PER_MS) + 1;
}

static bool is_done(const struct running *r)
{
	if (!r->over)
		return false;
	/* After the kill only what left the group could still write. */
	return r->state == KILLED || (r->run->out.fd < 0 && r->run->err.fd < 0);
}

static int turn(struct running *r)
{
	struct pollfd pfd[] = {
		{r->in, POLLOUT, 0},
		{r->run->out.fd, POLLIN, 0},
		{r->run->err.fd, POLLIN, 0},
		{r->over ? -1 : spawn_proc_pidfd(r->proc), POLLIN, 0},
	};
	int rc = poll(pfd, 4, wait_ms(r));

	if (rc < 0 && errno != EINTR)
		return -errno;
	if (rc > 0) {
		rc = 0;
		if (pfd[0].revents)
			feed(r);
		if (pfd[1].revents)
			rc = stream_read(&r->run->out, r);
		if (pfd[2].revents && (rc == 0 || rc == -EAGAIN))
			rc = stream_read(&r->run->err, r);
		if (pfd[3].revents)
			r->over = true;
		if (rc < 0 && rc != -EAGAIN)
			return rc;
	}
	pass_time(r);
	return 0;
}

/* What is in the pipes at the end, if it was not waited for. */
static int drain(struct running *r)
{
	struct stream *streams[] = {&r->run->out, &r->run->err};
	int rc = 0;

	for (size_t i = 0; i < 2; i++) {
		while (streams[i]->fd >= 0 && (rc = stream_read(streams[i], r)) == 0)
			;
		if (rc < 0 && rc != -EAGAIN)
			return rc;
		if (streams[i]->fd >= 0)
			stream_end(streams[i], r);
	}
	return 0;
}

/* Ours is not inherited, and never blocks; theirs is as any pipe. */
static int pipe_for(struct spawn_request *request, int target, bool reads, int *ret_ours,
		    int *ret_theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = fd_above_stdio(ends[reads]);
	*ret_theirs = fd_above_stdio(ends[!reads]);
	if (*ret_ours < 0 || *ret_theirs < 0)
		return *ret_ours < 0 ? *ret_ours : *ret_theirs;
	fd_set_nonblock(*ret_ours, 1);
	return spawn_request_fd(request, *ret_theirs, target);
}

static int start(struct running *r, struct spawn_client *client,
		 const struct spawn_request *request, struct spawn_error *err)
{
	_cleanup_close_ int in = -1, out = -1, errors = -1;
	struct spawn_request copy;
	int rc;

	request_copy(request, &copy);
	rc = pipe_for(&copy, STDIN_FILENO, true, &r->in, &in);
	if (rc == 0)
		rc = pipe_for(&copy, STDOUT_FILENO, false, &r->run->out.fd, &out);
	if (rc == 0 && !r->options.merge)
		rc = pipe_for(&copy, STDERR_FILENO, false, &r->run->err.fd, &errors);
	else if (rc == 0)
		rc = spawn_request_fd(&copy, out, STDERR_FILENO);
	if (rc == 0 && r->options.deadline_ms &&
	    !attributes_have(&copy.attributes, SETTING_SESSION))
		rc = spawn_request_process_group(&copy, 0);
	if (rc < 0 && !copy.error.code)
		error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_REQUEST, "make a pipe");
	else
		rc = spawn_process(client, &copy, &r->proc, err);
	request_copy_end(&copy);
	return rc;
}

static void stream_begin(struct stream *s, enum spawn_stream which, size_t max)
{
	*s = (struct stream){.fd = -1, .which = which, .max = max ? max : KEEP_DEFAULT};
}

static int prepare(struct running *r, const struct spawn_run_options *options)
{
	if (options && options->size < sizeof(options->size))
		return -EINVAL;
	if (options)
		memcpy(&r->options, options,
		       options->size < sizeof(r->options) ? options->size : sizeof(r->options));
	r->run = calloc(1, sizeof(*r->run));
	if (!r->run)
		return -ENOMEM;
	stream_begin(&r->run->out, SPAWN_STREAM_OUTPUT, r->options.keep_max);
	stream_begin(&r->run->err, SPAWN_STREAM_ERRORS, r->options.keep_max);
	if (r->options.on_line) {
		r->run->out.line = malloc(CHUNK);
		r->run->err.line = malloc(CHUNK);
		if (!r->run->out.line || !r->run->err.line)
			return -ENOMEM;
	}
	if (keep(&r->run->out, "", 0) < 0 || keep(&r->run->err, "", 0) < 0)
		return -ENOMEM;
	if (r->options.deadline_ms)
		r->next = clock_now() + r->options.deadline_ms * NS_PER_MS;
	return 0;
}

int spawn_run(struct spawn_client *client, struct spawn_request *request,
	      const struct spawn_run_options *options, struct spawn_run **ret,
	      struct spawn_error *err)
{
	struct running r = {.in = -1};
	int rc = prepare(&r, options);

	if (rc < 0)
		error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_REQUEST, "run");
	else
		rc = start(&r, client, request, err);
	if (rc == 0) {
		while (rc == 0 && !is_done(&r))
			rc = turn(&r);
		if (rc == 0)
			rc = drain(&r);
		/* Nobody would read what it writes, nor is what it left behind to outlive the
		 * deadline. */
		if (rc < 0 || r.run->timed_out)
			signal_all(&r, SIGKILL);
		if (rc == 0)
			rc = spawn_proc_wait(r.proc, -1, &r.run->end);
		if (rc < 0)
			error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_START, "capture its output");
	}
	fd_close(r.in);
	spawn_proc_free(r.proc);
	if (rc < 0)
		spawn_run_free(r.run);
	else
		*ret = r.run;
	return rc;
}

const char *spawn_run_output(const struct spawn_run *run, enum spawn_stream which, size_t *ret_len)
{
	const struct stream *s = which == SPAWN_STREAM_OUTPUT ? &run->out : &run->err;

	if (ret_len)
		*ret_len = s->len;
	return s->kept;
}

bool spawn_run_cut(const struct spawn_run *run, enum spawn_stream which)
{
	return which == SPAWN_STREAM_OUTPUT ? run->out.cut : run->err.cut;
}

bool spawn_run_timed_out(const struct spawn_run *run)
{
	return run->timed_out;
}

const struct spawn_exit *spawn_run_exit(const struct spawn_run *run)
{
	return run->end;
}

void spawn_run_free(struct spawn_run *run)
{
	if (!run)
		return;
	fd_close(run->out.fd);
	fd_close(run->err.fd);
	free(run->out.kept);
	free(run->out.line);
	free(run->err.kept);
	free(run->err.line);
	spawn_exit_free(run->end);
	free(run);
}
