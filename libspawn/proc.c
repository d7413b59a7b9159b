/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "sized.h"
#include "wire/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATELY_MS 100

struct spawn_proc *proc_new(struct connection *c)
{
	struct spawn_proc *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->connection = connection_ref(c);
	p->pidfd = -1;
	p->body.fd = -1;
	p->state = c->is_private ? PROC_OWN : PROC_NEW;
	return p;
}

static struct spawn_proc **bucket(struct connection *c, uint64_t serial)
{
	return &c->procs[serial % PROC_BUCKETS];
}

static void list(struct connection *c, struct spawn_proc *p)
{
	struct spawn_proc **head = bucket(c, p->serial);

	p->next = *head;
	*head = p;
	p->listed = true;
}

static void unlist(struct connection *c, struct spawn_proc *p)
{
	struct spawn_proc **at = bucket(c, p->serial);

	if (!p->listed)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->listed = false;
}

struct spawn_proc *proc_find(struct connection *c, uint64_t serial)
{
	for (struct spawn_proc *p = *bucket(c, serial); p; p = p->next)
		if (p->serial == serial && p->state == PROC_HELD)
			return p;
	return NULL;
}

struct spawn_proc *proc_find_taking(struct connection *c, uint32_t id)
{
	for (int i = 0; i < PROC_BUCKETS; i++)
		for (struct spawn_proc *p = c->procs[i]; p; p = p->next)
			if (p->state == PROC_TAKING && p->take_id == id)
				return p;
	return NULL;
}

void proc_hold(struct connection *c, struct spawn_proc *p, const struct message *m, int pidfd)
{
	size_t len;

	if (p->pidfd < 0 && !p->freed) {
		p->pid = (pid_t)message_u32(m, REC_PID);
		p->nofork = message_u32(m, REC_NOFORK);
		p->nofork_by = message_u32(m, REC_NOFORK_BY);
		p->generation = message_u64(m, REC_GENERATION);
		p->pidfd = pidfd;
	} else {
		fd_close(pidfd); /* the same process; the number that the user holds stays */
	}
	if (message_has(m, REC_TOKEN))
		memcpy(p->token, message_bytes(m, REC_TOKEN, &len), sizeof(p->token));
	unlist(c, p);
	p->serial = message_u64(m, REC_SERIAL);
	p->state = PROC_HELD;
	list(c, p);
	connection_wake(c, p);
	if (p->freed || p->owed)
		proc_release(c, p);
}

void proc_own(struct connection *c, struct spawn_proc *p, pid_t pid, int pidfd)
{
	p->pid = pid;
	p->pidfd = pidfd;
	p->generation = 1;
	connection_wake(c, p);
}

static uint64_t microseconds(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

int proc_reap(const struct spawn_proc *p, bool wait, struct exit_record *ret)
{
	struct rusage use = {0};
	siginfo_t si = {0};
	long r;

	/* The kernel's own call, for the usage that glibc's leaves out. */
	do
		r = syscall(SYS_waitid, P_PIDFD, p->pidfd, &si, WEXITED | (wait ? 0 : WNOHANG),
			    &use);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (si.si_pid == 0)
		return -EAGAIN;
	*ret = (struct exit_record){
		.code = si.si_code,
		.status = si.si_status,
		.utime_us = microseconds(&use.ru_utime),
		.stime_us = microseconds(&use.ru_stime),
		.maxrss_kib = (uint64_t)use.ru_maxrss,
		.minflt = (uint64_t)use.ru_minflt,
		.majflt = (uint64_t)use.ru_majflt,
		.inblock = (uint64_t)use.ru_inblock,
		.oublock = (uint64_t)use.ru_oublock,
		.nvcsw = (uint64_t)use.ru_nvcsw,
		.nivcsw = (uint64_t)use.ru_nivcsw,
	};
	return 0;
}

void proc_add_untaken(struct connection *c, struct spawn_proc *p,
		      const uint8_t token[WIRE_TOKEN_SIZE])
{
	memcpy(p->token, token, sizeof(p->token));
	p->state = PROC_UNTAKEN;
	list(c, p);
}

/* Out of the table; the last trace of it if the user has freed it. */
static void leave(struct connection *c, struct spawn_proc *p, enum proc_state state)
{
	unlist(c, p);
	p->state = state;
	if (p->freed)
		free(p);
}

void proc_orphan(struct connection *c, struct spawn_proc *p)
{
	connection_wake(c, p);
	leave(c, p, PROC_ORPHAN);
}

/*
 * A broker that died while it looked looks like one that looks; only a message finds it out. That
 * of an end of long ago would go by message anyway.
 */
static bool ended_lately(const struct spawn_proc *p)
{
	return p->known && clock_now() - p->record.ended_ns < LATELY_MS * NS_PER_MS;
}

/* Written down, or sent, or both. */
static int tell_released(struct connection *c, struct spawn_proc *p)
{
	enum tally_put put = TALLY_FULL;
	uint8_t buf[64];
	struct frame f;
	int r;

	if (c->tally && ended_lately(p))
		put = tally_put(c->tally, &c->tally_written, p->serial);
	p->tallied = put != TALLY_FULL;
	p->tallied_at = c->tally_written;
	if (put == TALLY_WRITTEN)
		return 0;
	frame_begin(&f, buf, sizeof(buf), MSG_RELEASE, 0);
	frame_u64(&f, REC_SERIAL, p->serial);
	r = connection_send(c, &f, -1);
	/* With no room for it there are others that make the server look. */
	return p->tallied ? 0 : r;
}

void proc_release(struct connection *c, struct spawn_proc *p)
{
	if (p->state == PROC_RELEASED)
		return;
	if (p->state != PROC_HELD) {
		p->owed = true; /* TAKEN comes back to it */
		return;
	}
	p->owed = tell_released(c, p) < 0;
	if (p->owed) {
		c->owed = true;
		return;
	}
	/* A broker that dies has not read it, perhaps; then the next one is told. */
	p->state = PROC_RELEASED;
	p->released_at = ++c->sends;
	p->next_released = NULL;
	if (!c->released)
		c->released_end = &c->released;
	*c->released_end = p;
	c->released_end = &p->next_released;
}

static bool is_confirmed(const struct connection *c, const struct spawn_proc *p)
{
	if (p->tallied)
		return (int32_t)(tally_done(c->tally) - p->tallied_at) >= 0;
	return p->released_at < c->confirmed;
}

void procs_confirm(struct connection *c, uint64_t sent)
{
	if (sent > c->confirmed)
		c->confirmed = sent;
	while (c->released && is_confirmed(c, c->released)) {
		struct spawn_proc *p = c->released;

		c->released = p->next_released;
		leave(c, p, PROC_RELEASED);
	}
}

void procs_pay(struct connection *c)
{
	c->owed = false;
	procs_take(c);
	for (int i = 0; i < PROC_BUCKETS; i++) {
		for (struct spawn_proc *p = c->procs[i], *next; p && !c->owed; p = next) {
			next = p->next;
			if (p->owed && p->state == PROC_HELD)
				proc_release(c, p);
		}
	}
}

void procs_take(struct connection *c)
{
	for (int i = 0; i < PROC_BUCKETS; i++) {
		for (struct spawn_proc *p = c->procs[i]; p; p = p->next) {
			uint8_t buf[64];
			struct frame f;

			if (p->state != PROC_UNTAKEN)
				continue;
			p->take_id = call_number(c);
			frame_begin(&f, buf, sizeof(buf), MSG_TAKE, p->take_id);
			frame_bytes(&f, REC_TOKEN, p->token, sizeof(p->token));
			if (connection_send(c, &f, -1) < 0) {
				c->owed = true; /* no room: the answers to the others make some */
				return;
			}
			p->state = PROC_TAKING;
		}
	}
}

void procs_untake(struct connection *c)
{
	for (int i = 0; i < PROC_BUCKETS; i++) {
		for (struct spawn_proc *p = c->procs[i]; p; p = p->next) {
			p->owed |= p->state == PROC_RELEASED;
			p->state = PROC_UNTAKEN;
		}
	}
	c->released = NULL;
	c->owed = false;
}

bool procs_owe(const struct connection *c)
{
	for (int i = 0; i < PROC_BUCKETS; i++)
		for (const struct spawn_proc *p = c->procs[i]; p; p = p->next)
			if ((p->freed || p->owed) && p->state != PROC_RELEASED)
				return true;
	return false;
}

void procs_forget(struct connection *c)
{
	for (int i = 0; i < PROC_BUCKETS; i++) {
		while (c->procs[i]) {
			struct spawn_proc *p = c->procs[i];

			c->procs[i] = p->next;
			free(p); /* freed by the user, or it would keep the connection */
		}
	}
}

void proc_read_body(struct spawn_proc *p)
{
	body_drain(&p->body);
	if (!p->body.ready || p->timing.ready)
		return;
	p->timing.launched = p->body.launched;
	p->timing.ready = p->body.prepared;
	p->timing.executed = p->body.executed;
	p->timing.confirmed = clock_now();
}

void spawn_proc_free(struct spawn_proc *p)
{
	struct connection *c;

	if (!p)
		return;
	_uncancellable_ cancel = cancel_off();
	c = p->connection;
	fd_close(p->pidfd);
	body_close(&p->body);
	if (c->pid != getpid()) {
		free(p); /* the parent's: its table here is a copy that nobody reads */
		return;
	}
	connection_lock(c);
	p->freed = true;
	p->pidfd = -1;
	if (p->listed) {
		proc_release(c, p);
		/* The connection is lost or full, and perhaps nobody will ever use it again. */
		if (p->owed)
			connection_pay(c);
	} else {
		free(p);
	}
	connection_unlock(c);
	connection_unref(c);
}

pid_t spawn_proc_pid(const struct spawn_proc *p)
{
	return p->pid;
}

int spawn_proc_pidfd(const struct spawn_proc *p)
{
	return p->pidfd;
}

int spawn_proc_kill(struct spawn_proc *p, int sig)
{
	if (p->connection->pid != getpid())
		return -ECHILD;
	/* A signal to a zombie succeeds: it is kept until its record is released. */
	if (pidfd_is_over(p->pidfd) == 1)
		return -ESRCH;
	return pidfd_signal(p->pidfd, sig);
}

const char *spawn_proc_nofork(const struct spawn_proc *p)
{
	return nofork_describe(p->nofork, p->nofork_by);
}

uint64_t spawn_proc_generation(const struct spawn_proc *p)
{
	return p->generation;
}

int spawn_proc_timing(const struct spawn_proc *p, struct spawn_timing *timing)
{
	_uncancellable_ cancel = cancel_off();
	struct connection *c = p->connection;
	struct spawn_timing all;

	if (c->pid == getpid()) {
		connection_lock(c);
		all = p->timing;
		connection_unlock(c);
	} else {
		all = p->timing;
	}
	return sized_fill(timing, &all, sizeof(all));
}
