/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "connect.h"
#include "proc.h"
#include "start.h"
#include "wire/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAY_MS 2000
/* A private host that says nothing for so long when asked may have been stopped, with the
 * application but not continued with it. */
#define SILENCE_MS 1000

struct waiter {
	struct waiter *next;
	pthread_cond_t changed;
	const void *on;
};

static void free_connection(struct connection *c)
{
	free(c->buffer);
	free(c->peer);
	free(c->path);
	free(c);
}

/* Where it leads. */
static int name_peer(struct connection *c, const char *path)
{
	int r = 0;

	if (!path) {
		r = private_path(&c->path);
		if (r < 0)
			return r;
	} else {
		c->path = strdup(path);
	}
	if (!c->path ||
	    asprintf(&c->peer, "the %s %s", path ? "server at" : "private host", c->path) < 0) {
		c->peer = NULL;
		return -ENOMEM;
	}
	return 0;
}

int connection_new(const char *path, struct connection **ret)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->is_private = !path;
	r = name_peer(c, path);
	if (r == 0 && !(c->buffer = malloc(WIRE_INLINE_MAX)))
		r = -ENOMEM;
	if (r < 0) {
		free_connection(c);
		return r;
	}
	atomic_init(&c->refs, 1);
	c->pid = getpid();
	c->fd = c->reserve = c->joint.fd = c->host.pidfd = -1;
	c->waiters_end = &c->waiters;
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

struct connection *connection_ref(struct connection *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

static void part(struct connection *c);

void connection_unref(struct connection *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	connection_lock(c);
	part(c);
	connection_unlock(c);
	procs_forget(c);
	tally_unmap(&c->tally);
	fd_close(c->fd);
	fd_close(c->reserve);
	fd_close(c->joint.fd);
	private_end(&c->host);
	pthread_mutex_destroy(&c->lock);
	free_connection(c);
}

/* Those of parents, after a fork: never used again, but reachable: leak checkers see it is meant.
 */
static _Atomic(struct connection *) abandoned;

/* What we see of the parent's memory may be a moment younger than what we see of its descriptors,
 * so the number is believed only if it is that file. */
static void close_copy(int fd, ino_t ino)
{
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == ino)
		fd_close(fd);
}

void connection_abandon(struct connection *c)
{
	c->next_abandoned = atomic_load(&abandoned);
	while (!atomic_compare_exchange_weak(&abandoned, &c->next_abandoned, c))
		;

	/* close, not shutdown: the socket is the parent's. The reserve is a duplicate of it. */
	close_copy(c->fd, c->ino);
	close_copy(c->reserve, c->ino);
	close_copy(c->host.pidfd, c->host.ino);
	close_copy(c->joint.fd, c->joint.ino);
}

void connection_lock(struct connection *c)
{
	pthread_mutex_lock(&c->lock);
}

void connection_unlock(struct connection *c)
{
	if (!c->reading && c->waiters)
		pthread_cond_signal(&c->waiters->changed);
	pthread_mutex_unlock(&c->lock);
}

void connection_wake(struct connection *c, const void *on)
{
	for (struct waiter *w = c->waiters; w; w = w->next)
		if (!on || w->on == on)
			pthread_cond_signal(&w->changed);
}

static bool has_passed(uint64_t deadline)
{
	return deadline && clock_now() >= deadline;
}

static int follow(struct connection *c, const void *on, uint64_t deadline)
{
	struct waiter self = {.on = on}, **p;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&self.changed, &attr);
	pthread_condattr_destroy(&attr);
	*c->waiters_end = &self;
	c->waiters_end = &self.next;
	if (deadline) {
		struct timespec until = {(time_t)(deadline / NS_PER_S),
					 (long)(deadline % NS_PER_S)};

		pthread_cond_timedwait(&self.changed, &c->lock, &until);
	} else {
		pthread_cond_wait(&self.changed, &c->lock);
	}
	for (p = &c->waiters; *p != &self; p = &(*p)->next)
		;
	*p = self.next;
	if (c->waiters_end == &self.next)
		c->waiters_end = p;
	pthread_cond_destroy(&self.changed);
	return has_passed(deadline) ? -ETIMEDOUT : 0;
}

/* What the messages just handled left to do, part of it without the lock. */
static void settle(struct connection *c)
{
	struct call *call;

	if (c->owed && c->state == CONNECTION_OPEN)
		procs_pay(c);
	while ((call = call_queue_take(&c->completed)) || (call = call_queue_take(&c->undecided))) {
		connection_unlock(c);
		start_complete(c, call);
		connection_lock(c);
	}
}

static void check_greeting(struct connection *c)
{
	struct spawn_error why;

	if (c->state != CONNECTION_GREETING || !has_passed(c->hello_deadline))
		return;
	error_set(&why, -ETIMEDOUT, SPAWN_ORIGIN_WIRE, STEP_HELLO,
		  "%s does not answer: it is stuck or not spawnd's", c->peer);
	connection_lost(c, &why);
}

static ssize_t receive(struct connection *c, struct fds *fds, int flags)
{
	memset(c->buffer, 0, WIRE_HEADER_SIZE);
	return channel_receive(c->fd, c->buffer, WIRE_INLINE_MAX, fds, NULL, flags);
}

static void handle(struct connection *c, ssize_t n, struct fds *fds)
{
	struct spawn_error why;

	if (n == -ECONNRESET)
		return; /* told once; what was sent before is behind it, then the end */
	if (n > 0) {
		connection_dispatch(c, (size_t)n, fds, false);
	} else if (n == -EMFILE) {
		connection_dispatch(c, get_u32(c->buffer), fds, true);
	} else {
		if (c->complaint.code)
			why = c->complaint;
		else if (n == 0)
			error_set(&why, -ECONNRESET, SPAWN_ORIGIN_WIRE, STEP_RECEIVE,
				  "%s closed the connection", c->peer);
		else
			error_errno(&why, (int)n, SPAWN_ORIGIN_WIRE, STEP_RECEIVE,
				    "receive from %s", c->peer);
		connection_lost(c, &why);
	}
	fds_close(fds);
}

static int receive_all(struct connection *c)
{
	uint64_t losses = c->losses;
	int handled = 0;

	while (c->losses == losses) {
		struct fds fds;
		ssize_t n = receive(c, &fds, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return handled;
		handle(c, n, &fds);
		handled += n != -ECONNRESET;
	}
	return -ECONNRESET;
}

int connection_drain(struct connection *c)
{
	int r;

	if (c->fd < 0 || c->reading)
		return 0;
	c->reading = true;
	r = receive_all(c);
	c->reading = false;
	check_greeting(c);
	settle(c);
	return r;
}

static void await_events(struct connection *c, uint64_t until, short events)
{
	struct pollfd p = {.fd = c->fd, .events = (short)(POLLIN | events)};
	int n, timeout = clock_poll_timeout(until);
	uint64_t losses = c->losses;

	if (c->is_private && (timeout < 0 || timeout > SILENCE_MS))
		timeout = SILENCE_MS;
	connection_unlock(c);
	n = poll(&p, 1, timeout);
	connection_lock(c);
	if (n == 0 && c->is_private)
		private_continue(&c->host);
	if (n > 0 && c->losses == losses) /* the same connection still */
		receive_all(c);
}

/* Until something comes, for ever: that alone is received, there may be no more. */
static void await_message(struct connection *c)
{
	uint64_t losses = c->losses;
	struct fds fds;
	ssize_t n;

	connection_unlock(c);
	n = receive(c, &fds, 0);
	connection_lock(c);
	if (c->losses != losses)
		fds_close(&fds);
	else if (n == -EAGAIN)
		await_events(c, 0, 0); /* the user's event loop made the socket non-blocking */
	else
		handle(c, n, &fds);
}

static int lead(struct connection *c, uint64_t deadline, short events)
{
	uint64_t until = deadline;

	if (c->state == CONNECTION_GREETING && (!until || c->hello_deadline < until))
		until = c->hello_deadline;
	c->reading = true;
	if (until || events || c->is_private)
		await_events(c, until, events);
	else
		await_message(c);
	c->reading = false;
	check_greeting(c);
	settle(c);
	return has_passed(deadline) ? -ETIMEDOUT : 0;
}

int connection_turn(struct connection *c, const void *on, uint64_t deadline)
{
	if (c->state == CONNECTION_CONNECTING || c->reading)
		return follow(c, on, deadline);
	if (c->state == CONNECTION_LOST)
		return has_passed(deadline) ? -ETIMEDOUT : -ECONNRESET;
	return lead(c, deadline, 0);
}

int connection_send(struct connection *c, struct frame *f, int fd)
{
	int r;

	if (c->state == CONNECTION_LOST || c->state == CONNECTION_CONNECTING)
		return -ECONNRESET;
	r = channel_send_frame(c->fd, f, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT);
	return r == -EPIPE ? -ECONNRESET : r;
}

void connection_await_room(struct connection *c)
{
	_cleanup_close_ int fd = -1;
	struct pollfd p;

	if (!c->reading) {
		lead(c, 0, POLLOUT);
		return;
	}
	fd = fd_dup_above(c->fd, 3); /* the leader may close c->fd */
	if (fd < 0) {
		follow(c, c, clock_now() + NS_PER_MS);
		return;
	}
	p = (struct pollfd){.fd = fd, .events = POLLOUT};
	connection_unlock(c);
	poll(&p, 1, -1);
	fd = fd_close(fd); /* whoever parts with the host waits for it to see the end */
	connection_lock(c);
}

static void part_with_host(struct connection *c)
{
	struct spawn_error why;

	error_set(&why, -ECONNRESET, SPAWN_ORIGIN_WIRE, STEP_START,
		  "%s was ended: the process is not what it was started with", c->peer);
	connection_lost(c, &why);
}

/*
 * Connected to a peer that is good for a request of that identity. One that is not answers what it
 * was asked before it is ended: that takes a moment, a host waits for nobody.
 */
static int open_as(struct connection *c, const struct identity *as, struct spawn_error *err)
{
	uint64_t fresh = UINT64_MAX;

	for (;;) {
		int r = connection_open(c, 0, err);

		if (r < 0 || !as || identity_equal(as, &c->host.as))
			return r;
		/*
		 * Started by this thread for this request, it is what the thread is now: what
		 * cannot be compared, or was changed from outside meanwhile, shall not start hosts
		 * for ever.
		 */
		if (c->losses == fresh && c->host.as.thread == as->thread)
			return 0;
		if (c->calls.first || c->reading) {
			connection_turn(c, c, 0);
			continue;
		}
		part_with_host(c);
		fresh = c->losses;
	}
}

int connection_send_anew(struct connection *c, struct frame *f, int fd, bool patient,
			 const struct identity *as, struct spawn_error *err)
{
	for (int tries = 0;; tries++) {
		uint64_t losses;
		int r = open_as(c, as, err);

		if (r < 0)
			return r;
		losses = c->losses;
		while ((r = connection_send(c, f, fd)) == -EAGAIN && patient && c->losses == losses)
			connection_await_room(c);
		if (r == 0)
			return 0;
		if (r == -EAGAIN && !patient)
			return error_set(err, r, SPAWN_ORIGIN_CLIENT, STEP_SEND,
					 "%s does not keep up: handle its answers with "
					 "spawn_client_dispatch(), then try again",
					 c->peer);
		if (r == -ETOOMANYREFS)
			return error_set(err, -EAGAIN, SPAWN_ORIGIN_CLIENT, STEP_SEND,
					 "too many descriptors of this user are in flight: try "
					 "again when earlier requests have started");
		if (r != -EAGAIN && r != -ECONNRESET)
			return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_SEND, "send to %s",
					   c->peer);
		if (tries == 3)
			return error_set(err, -ECONNRESET, SPAWN_ORIGIN_WIRE, STEP_SEND,
					 "%s closes each connection", c->peer);
		/* A datagram that was refused did not go: to send it again repeats nothing. */
		while (c->losses == losses)
			connection_turn(c, c, 0);
	}
}

void connection_lost(struct connection *c, const struct spawn_error *why)
{
	bool greeting = c->state == CONNECTION_GREETING;
	int fd = c->fd, reserve = c->reserve;
	struct call *call;

	/* Forgotten first, then closed: a child forked in between must not close another's. */
	c->fd = c->reserve = -1;
	fd_close(fd);
	fd_close(reserve);
	private_end(&c->host);
	c->state = CONNECTION_LOST;
	c->losses++;
	if (greeting) {
		c->failure = *why;
		c->failures++;
	}
	c->complaint.code = 0;
	while ((call = c->calls.first)) {
		call->error = *why;
		call->lost = true;
		call_finish(c, call);
	}
	procs_confirm(c, 0); /* by the tally */
	procs_untake(c);
	tally_unmap(&c->tally);
	connection_wake(c, NULL);
}

void connection_finish(struct connection *c)
{
	uint64_t deadline = clock_now() + PAY_MS * NS_PER_MS;

	while (c->is_private && c->calls.first && c->state == CONNECTION_OPEN &&
	       connection_turn(c, c, deadline) != -ETIMEDOUT)
		;
}

void connection_retire(struct connection *c)
{
	if (c->is_private && c->fd >= 0)
		part_with_host(c);
}

static void greet(struct connection *c)
{
	uint8_t buf[256];
	_cleanup_close_ int tally = -1;
	char program[65];
	struct frame f;
	int r;

	/* Without one every RELEASE is a message; a private host has no records. */
	if (!c->is_private)
		tally_create(&c->tally, &tally);
	c->tally_written = 0;
	c->hello_id = call_number(c);
	c->hello_deadline = clock_now() + HELLO_TIMEOUT_MS * NS_PER_MS;
	c->state = CONNECTION_GREETING;
	frame_begin(&f, buf, sizeof(buf), MSG_HELLO, c->hello_id);
	frame_u32(&f, REC_VERSION_MIN, WIRE_VERSION);
	frame_u32(&f, REC_VERSION_MAX, WIRE_VERSION);
	memcpy(program, program_invocation_short_name,
	       strnlen(program_invocation_short_name, sizeof(program) - 1) + 1);
	program[sizeof(program) - 1] = '\0';
	if (*program)
		frame_string(&f, REC_PROGRAM, program);
	r = connection_send(c, &f, tally);
	if (r < 0 && r != -ECONNRESET) { /* lost: the leader finds out why */
		struct spawn_error why;

		error_errno(&why, r, SPAWN_ORIGIN_WIRE, STEP_HELLO, "greet %s", c->peer);
		connection_lost(c, &why);
	}
}

static void reconnect(struct connection *c, uint64_t deadline)
{
	struct spawn_error error = {0};
	int timeout = HELLO_TIMEOUT_MS, left = clock_poll_timeout(deadline);
	struct private_host host = {.pidfd = -1};
	int fd = -1, r;
	struct stat st;

	if (left >= 0 && left < timeout)
		timeout = left > 0 ? left : 1; /* 0 would be for ever */
	c->state = CONNECTION_CONNECTING;
	connection_unlock(c);
	if (c->is_private)
		r = private_start(c->path, &host, &fd, &error);
	else
		r = connect_server(c->path, timeout, &fd, &error);
	if (r == 0 && fstat(fd, &st) < 0)
		st.st_ino = 0;
	connection_lock(c);
	if (r < 0) {
		c->state = CONNECTION_LOST;
		c->failure = error;
		c->failures++;
	} else {
		c->ino = st.st_ino;
		c->fd = fd;
		c->host = host;
		c->reserve = fd_for_long(fcntl(fd, F_DUPFD_CLOEXEC, 3));
		greet(c);
	}
	connection_wake(c, NULL);
}

/*
 * A broker that dies between our connect() and its WELCOME is replaced, within milliseconds at
 * first and less eagerly when it keeps dying. A server that has never welcomed us gets less
 * patience.
 */
static bool try_again(struct connection *c, unsigned *tries, uint64_t deadline)
{
	static const int pause_ms[] = {1, 10, 50, 250};
	const unsigned n = sizeof(pause_ms) / sizeof(pause_ms[0]);
	const unsigned most = c->welcomed ? n + HELLO_TIMEOUT_MS / pause_ms[n - 1] : n;
	int pause = pause_ms[*tries < n ? *tries : n - 1], left = clock_poll_timeout(deadline);

	if (c->failure.code != -ECONNRESET || (*tries)++ == most)
		return false;
	connection_unlock(c);
	poll(NULL, 0, left >= 0 && left < pause ? left : pause);
	connection_lock(c);
	return true;
}

int connection_open(struct connection *c, uint64_t deadline, struct spawn_error *err)
{
	uint64_t seen = c->failures;
	unsigned tries = 0;

	for (;;) {
		if (c->state == CONNECTION_OPEN)
			return 0;
		if (c->failures != seen) {
			if (!try_again(c, &tries, deadline)) {
				if (err)
					*err = c->failure;
				return c->failure.code;
			}
			seen = c->failures;
		} else if (c->state == CONNECTION_LOST) {
			reconnect(c, deadline);
		} else if (connection_turn(c, c, deadline) == -ETIMEDOUT &&
			   c->state != CONNECTION_OPEN && c->failures == seen) {
			return error_set(err, -ETIMEDOUT, SPAWN_ORIGIN_WIRE, STEP_HELLO,
					 "%s has not answered yet", c->peer);
		}
	}
}

void connection_pay(struct connection *c)
{
	uint64_t deadline = clock_now() + PAY_MS * NS_PER_MS;

	connection_drain(c); /* was it lost, with a RELEASE unread? */
	while (!c->reading && c->state != CONNECTION_CONNECTING && procs_owe(c)) {
		if (connection_open(c, deadline, NULL) < 0)
			return;
		/* Another thread that reads will see to it. */
		if (c->reading || lead(c, deadline, c->owed ? POLLOUT : 0) < 0)
			return;
	}
}

/*
 * The last chance to say which records nobody will ask for: until it is certain that it was heard,
 * for a broker that dies now has not told the next one.
 */
static void part(struct connection *c)
{
	uint64_t deadline = clock_now() + PAY_MS * NS_PER_MS;
	struct call call;

	do {
		uint8_t buf[WIRE_HEADER_SIZE];
		struct frame f;

		connection_pay(c);
		if (!c->released)
			return;
		call = (struct call){.kind = CALL_PING, .id = call_number(c)};
		frame_begin(&f, buf, sizeof(buf), MSG_PING, call.id);
		if (connection_send(c, &f, -1) < 0)
			return;
		call_add(c, &call);
		while (!call.done && lead(c, deadline, 0) == 0)
			;
		if (!call.done)
			call_remove(c, &call);
	} while (call.lost && !has_passed(deadline));
}
