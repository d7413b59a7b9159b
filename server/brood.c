/* SPDX-License-Identifier: MIT */
#include "brood.h"

#include "arena.h"
#include "base/clock.h"
#include "base/fd.h"
#include "wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE	 512 /* a REAP of the broker's is the longest */
#define FLUSH_TIMEOUT_MS 2000
_Static_assert(WIRE_HEADER_SIZE + WIRE_REAP_MAX * (WIRE_RECORD_SIZE + 8) <= FRAME_SIZE,
	       "a REAP fits");
/* A pidfd stays readable for ever: once told it is only a handle. */
#define LEAF_EVENTS  (EPOLLIN | EPOLLONESHOT)
#define ERRNO_MAX    4095
#define DOUBT_MS     2	 /* between two looks */
#define DOUBT_MAX_MS 100 /* an offer that crosses a new broker is parked, and stays so */

static struct slot *leaf_slot(const struct leaf *l)
{
	return &l->brood->slots[l - l->brood->leaves];
}

/* Once seen, the slot is not read again but for what the leaf says of its own start. */
static bool leaf_launched(struct leaf *l)
{
	if (!l->launched && slot_state(leaf_slot(l)) == SLOT_LAUNCHED) {
		l->noted = *leaf_slot(l);
		l->launched = true;
	}
	return l->launched;
}

static struct leaf *find_leaf(struct brood *b, uint64_t serial)
{
	uint32_t i = serial_slot(serial);

	if (i >= b->n_slots || b->leaves[i].pid == 0 || b->leaves[i].serial != serial)
		return NULL;
	return &b->leaves[i];
}

static struct owner *find_owner(struct brood *b, uint64_t id)
{
	for (struct owner *o = b->owners; o; o = o->next)
		if (o->id == id)
			return o;
	return NULL;
}

int brood_open(struct brood *b, struct poller *poller, int slots_fd, uint32_t n_slots,
	       const struct brood_calls *calls)
{
	int r;

	*b = (struct brood){
		.poller = poller,
		.channel.fd = -1,
		.calls = calls,
		.n_slots = n_slots,
		.leaves = arena_map(n_slots * sizeof(struct leaf)),
	};
	if (!b->leaves)
		return -ENOMEM;
	b->unsent_end = &b->unsent;
	r = slots_map(slots_fd, n_slots, &b->slots);
	if (r < 0) {
		arena_unmap(b->leaves, n_slots * sizeof(struct leaf));
		b->leaves = NULL;
	}
	return r;
}

static void close_watch(struct brood *b, struct watch *w)
{
	int fd = w->fd;

	poller_remove(b->poller, w);
	fd_close(fd);
}

static void drop_unsent(struct brood *b)
{
	while (b->unsent) {
		struct unsent *u = b->unsent;

		b->unsent = u->next;
		free(u);
	}
	b->unsent_end = &b->unsent;
}

static void lose_channel(struct brood *b)
{
	close_watch(b, &b->channel);
	drop_unsent(b);
	b->deaf = false;
}

/* The broker is gone. What it said last (reap this one, watch that one) is still to be read. */
static void stop_talking(struct brood *b)
{
	drop_unsent(b);
	b->deaf = true;
	poller_modify(b->poller, &b->channel, EPOLLIN);
}

static void drop_owner(struct brood *b, struct owner *o)
{
	struct owner **p = &b->owners;

	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	close_watch(b, &o->watch);
	free(o);
}

void brood_close(struct brood *b)
{
	while (b->owners)
		drop_owner(b, b->owners);
	for (uint32_t i = 0; b->leaves && i < b->n_slots; i++)
		if (b->leaves[i].pid)
			close_watch(b, &b->leaves[i].watch);
	lose_channel(b);
	slots_unmap(b->slots, b->n_slots);
	arena_unmap(b->leaves, b->n_slots * sizeof(struct leaf));
	b->slots = NULL;
	b->leaves = NULL;
}

int brood_free_slot(const struct brood *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->leaves[i].pid == 0)
			return (int)i;
	return -EAGAIN;
}

int brood_keep(struct brood *b, uint64_t leaf, const void *data, size_t len)
{
	struct unsent *u = malloc(sizeof(*u) + len);

	if (!u)
		return -ENOMEM;
	u->next = NULL;
	u->leaf = leaf;
	u->len = len;
	memcpy(u->data, data, len);
	*b->unsent_end = u;
	b->unsent_end = &u->next;
	return b->channel.fd < 0 ? 0 : poller_modify(b->poller, &b->channel, EPOLLIN | EPOLLOUT);
}

static bool is_for_later(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

void brood_send(struct brood *b, struct frame *f, const struct leaf *with)
{
	int r = frame_finish(f);

	if (b->channel.fd < 0 || b->deaf)
		return;
	if (r >= 0)
		r = b->unsent ? -EAGAIN
			      : channel_send(b->channel.fd, f->data, f->len,
					     with ? &with->watch.fd : NULL, with != NULL,
					     MSG_DONTWAIT);
	if (is_for_later(r))
		r = brood_keep(b, with ? with->serial : 0, f->data, f->len);
	/* The zombies stay, and the next broker is told of them. */
	if (r < 0)
		stop_talking(b);
}

static void send_unsent(struct brood *b)
{
	while (b->unsent) {
		struct unsent *u = b->unsent;
		struct leaf *l = u->leaf ? find_leaf(b, u->leaf) : NULL;
		int r = 0;

		/* A leaf of the list that is reaped meanwhile need not be listed. */
		if (l || !u->leaf)
			r = channel_send(b->channel.fd, u->data, u->len, l ? &l->watch.fd : NULL,
					 l != NULL, MSG_DONTWAIT);
		if (is_for_later(r))
			return;
		if (r < 0) {
			stop_talking(b);
			return;
		}
		b->unsent = u->next;
		free(u);
	}
	b->unsent_end = &b->unsent;
	poller_modify(b->poller, &b->channel, EPOLLIN);
}

void brood_flush(struct brood *b)
{
	uint64_t end = clock_now() + FLUSH_TIMEOUT_MS * NS_PER_MS;

	while (b->unsent && clock_now() < end) {
		struct pollfd p = {.fd = b->channel.fd, .events = POLLOUT};

		poll(&p, 1, clock_poll_timeout(end));
		send_unsent(b);
	}
}

static void look_at(struct brood *b, uint64_t moment)
{
	if (moment && (!b->next_deadline || moment < b->next_deadline))
		b->next_deadline = moment;
}

static void schedule(struct brood *b, struct leaf *l, uint64_t moment)
{
	l->deadline_ns = moment;
	look_at(b, moment);
}

/* TERM now and KILL after the grace. */
static void end_leaf(struct brood *b, struct leaf *l, uint64_t grace_ms)
{
	if (l->over || l->termed)
		return;
	l->termed = true;
	pidfd_signal(l->watch.fd, SIGTERM);
	pidfd_signal(l->watch.fd, SIGCONT); /* a stopped one could not act on TERM */
	schedule(b, l, clock_now() + grace_ms * NS_PER_MS);
}

static void forget_idle_owner(struct brood *b, uint64_t id)
{
	struct owner *o = find_owner(b, id);

	if (!o || !o->disowned)
		return;
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->leaves[i].pid && leaf_launched(&b->leaves[i]) &&
		    b->leaves[i].noted.owner == id)
			return;
	drop_owner(b, o);
}

static void reap(struct brood *b, struct leaf *l, bool tell)
{
	uint64_t serial = l->serial, owner = l->noted.owner;
	uint8_t buf[FRAME_SIZE];
	struct frame f;
	siginfo_t si;

	waitid(P_PIDFD, (id_t)l->watch.fd, &si, WEXITED | WNOHANG);
	close_watch(b, &l->watch);
	l->pid = 0;
	b->n_leaves--;
	slot_set_state(leaf_slot(l), SLOT_FREE);
	forget_idle_owner(b, owner);
	if (tell) {
		frame_begin(&f, buf, sizeof(buf), MSG_REAPED, 0);
		frame_u64(&f, REC_SERIAL, serial);
		brood_send(b, &f, NULL);
	}
}

static void tell_exit(struct brood *b, struct leaf *l)
{
	uint8_t buf[FRAME_SIZE], record[EXIT_RECORD_SIZE];
	static const uint8_t no_token[WIRE_TOKEN_SIZE];
	bool launched = leaf_launched(l);
	struct frame f;

	exit_record_encode(&l->end, record);
	frame_begin(&f, buf, sizeof(buf), MSG_LEAF_EXIT, 0);
	frame_u64(&f, REC_SERIAL, l->serial);
	frame_u32(&f, REC_PID, (uint32_t)l->pid);
	frame_u64(&f, REC_OWNER, launched ? l->noted.owner : 0);
	frame_bytes(&f, REC_TOKEN, launched ? l->noted.token : no_token, WIRE_TOKEN_SIZE);
	frame_bytes(&f, REC_EXIT, record, sizeof(record));
	brood_send(b, &f, NULL);
}

/* Reads the record of a zombie and leaves the zombie in place. */
static int read_record(struct leaf *l)
{
	const struct slot *s = leaf_slot(l);
	bool launched = leaf_launched(l);
	uint32_t start_errno = launched ? s->start_errno : 0;
	struct rusage ru = {0};
	siginfo_t si = {0};

	if (syscall(SYS_waitid, P_PIDFD, l->watch.fd, &si, WEXITED | WNOHANG | WNOWAIT, &ru) < 0)
		return -errno;
	if (si.si_pid == 0)
		return -EAGAIN;
	l->end = (struct exit_record){
		.code = si.si_code,
		.status = si.si_status,
		.utime_us = (uint64_t)ru.ru_utime.tv_sec * 1000000 + (uint64_t)ru.ru_utime.tv_usec,
		.stime_us = (uint64_t)ru.ru_stime.tv_sec * 1000000 + (uint64_t)ru.ru_stime.tv_usec,
		.maxrss_kib = (uint64_t)ru.ru_maxrss,
		.minflt = (uint64_t)ru.ru_minflt,
		.majflt = (uint64_t)ru.ru_majflt,
		.inblock = (uint64_t)ru.ru_inblock,
		.oublock = (uint64_t)ru.ru_oublock,
		.nvcsw = (uint64_t)ru.ru_nvcsw,
		.nivcsw = (uint64_t)ru.ru_nivcsw,
		.launched_ns = launched ? l->noted.launched_ns : 0,
		.ended_ns = clock_now(),
		.start_step = launched ? s->start_step : 0,
		/* Of shared memory: an errno, or a lie. */
		.start_errno = start_errno <= ERRNO_MAX ? start_errno : EPROTO,
	};
	return 0;
}

static bool owner_is_gone(struct brood *b, uint64_t id)
{
	struct owner *o = id ? find_owner(b, id) : NULL;

	return id == 0 || (o && o->gone);
}

static void settle_doubt(struct brood *b, struct leaf *l);

static void leaf_over(struct watch *w, uint32_t events)
{
	struct leaf *l = watch_owner(w, struct leaf, watch);
	struct brood *b = l->brood;

	/*
	 * A pidfd is readable once the leader is a zombie, which it may be a moment before it can
	 * be waited for (other threads still leaving): then it is asked again.
	 */
	if (read_record(l) == -EAGAIN) {
		poller_modify(b->poller, w, LEAF_EVENTS);
		return;
	}
	l->over = true;
	l->deadline_ns = 0;
	if (l->released || (leaf_launched(l) && owner_is_gone(b, l->noted.owner))) {
		reap(b, l, true);
	} else if (!leaf_launched(l) && b->channel.fd < 0) {
		reap(b, l, false); /* parked, and nobody to whom it could have been handed */
	} else {
		tell_exit(b, l);
		if (b->ending)
			reap(b, l, false);
	}
	settle_doubt(b, l);
}

int brood_add(struct brood *b, uint64_t serial, pid_t pid, int pidfd)
{
	uint32_t i = serial_slot(serial);
	struct leaf *l = &b->leaves[i];
	int r;

	*l = (struct leaf){.watch = {.fd = -1, .ready = leaf_over}, .brood = b, .serial = serial};
	r = poller_add(b->poller, &l->watch, pidfd, LEAF_EVENTS);
	if (r < 0)
		return r;
	l->pid = pid;
	b->n_leaves++;
	return 0;
}

/* In the slot too, for the keeper to find should this process die. */
static void set_owner(struct leaf *l, uint64_t owner)
{
	l->noted.owner = owner;
	leaf_slot(l)->owner = owner;
}

/*
 * The caller is gone: what shall end with it ends, records that nobody can take any more are
 * reaped. A leaf to which its launch is still on the way notices by itself (leaf.c), and is reaped
 * at its end because the owner is remembered until the broker, which knows of it, says DISOWN.
 */
static void end_owner(struct brood *b, struct owner *o)
{
	bool disowned = o->disowned;
	uint64_t id = o->id;

	o->disowned = false; /* so that reap() below leaves it to us */
	o->gone = true;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (l->pid == 0 || !leaf_launched(l) || l->noted.owner != id)
			continue;
		set_owner(l, 0);
		if (l->over)
			reap(b, l, true);
		else if (l->noted.flags & FLAG_KILL_WITH_CALLER)
			end_leaf(b, l, l->noted.grace_ms);
	}
	close_watch(b, &o->watch);
	o->disowned = disowned;
	forget_idle_owner(b, id);
}

static void owner_gone(struct watch *w, uint32_t events)
{
	struct owner *o = watch_owner(w, struct owner, watch);

	end_owner(o->brood, o);
}

int brood_own(struct brood *b, uint64_t id, int pidfd)
{
	struct owner *o;

	if (find_owner(b, id)) {
		fd_close(pidfd);
		return -EEXIST;
	}
	o = calloc(1, sizeof(*o));
	if (o)
		o->watch.fd = -1;
	if (!o || (pidfd >= 0 && poller_add(b->poller, &o->watch, pidfd, EPOLLIN) < 0)) {
		/* Out of memory: its leaves live until they are released. */
		free(o);
		fd_close(pidfd);
		return -ENOMEM;
	}
	o->watch.ready = owner_gone;
	o->brood = b;
	o->id = id;
	o->next = b->owners;
	b->owners = o;
	return 0;
}

void brood_own_gone(struct brood *b, uint64_t id)
{
	struct owner *o;

	brood_own(b, id, -1);
	o = find_owner(b, id);
	if (o)
		end_owner(b, o);
}

static void list_leaf(struct brood *b, struct leaf *l)
{
	const struct slot *s = leaf_launched(l) ? &l->noted : leaf_slot(l);
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_LEAF, 0);
	frame_u64(&f, REC_SERIAL, l->serial);
	frame_u32(&f, REC_PID, (uint32_t)l->pid);
	frame_u32(&f, REC_STATE, l->over ? LEAF_OVER : l->launched ? LEAF_LAUNCHED : LEAF_PARKED);
	frame_u64(&f, REC_OWNER, s->owner);
	frame_bytes(&f, REC_TOKEN, s->token, WIRE_TOKEN_SIZE);
	frame_u32(&f, REC_NOFORK, s->nofork);
	frame_u32(&f, REC_NOFORK_BY, s->nofork_by);
	brood_send(b, &f, l);
	if (l->over)
		tell_exit(b, l);
}

static void tell_listed(struct brood *b)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	if (!b->listing || b->n_doubts > 0)
		return;
	b->listing = false;
	frame_begin(&f, buf, sizeof(buf), MSG_LISTED, 0);
	frame_u32(&f, REC_STATE, b->warm ? TEMPLATE_WARM : TEMPLATE_RETIRING);
	frame_u32(&f, REC_NOFORK, b->nofork);
	frame_u32(&f, REC_NOFORK_BY, b->nofork_by);
	if (b->note)
		frame_text(&f, REC_REASON, b->note);
	brood_send(b, &f, NULL);
}

void brood_doubt(struct brood *b)
{
	uint64_t now = clock_now();

	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (l->pid == 0 || l->over || l->in_doubt || leaf_launched(l))
			continue;
		l->in_doubt = true;
		b->n_doubts++;
		b->doubt_until = now + DOUBT_MAX_MS * NS_PER_MS;
	}
	if (b->n_doubts > 0)
		look_at(b, now + DOUBT_MS * NS_PER_MS);
}

/* It is over, and was told or reaped, or parked for good, or runs: then what a launch brings with
 * it is seen to. */
static void settle_doubt(struct brood *b, struct leaf *l)
{
	if (!l->in_doubt)
		return;
	l->in_doubt = false;
	b->n_doubts--;
	if (l->pid && !l->over && b->listing)
		list_leaf(b, l);
	if (l->pid && !l->over && l->launched) {
		if (l->noted.deadline_ns && !l->deadline_ns) {
			l->grace_ms = l->noted.grace_ms;
			schedule(b, l, l->noted.deadline_ns);
		}
		if (owner_is_gone(b, l->noted.owner) && (l->noted.flags & FLAG_KILL_WITH_CALLER))
			end_leaf(b, l, l->noted.grace_ms);
	}
	tell_listed(b);
}

static void look_into_doubts(struct brood *b, uint64_t now)
{
	for (uint32_t i = 0; b->n_doubts > 0 && i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (!l->in_doubt)
			continue;
		if (leaf_launched(l) || now >= b->doubt_until)
			settle_doubt(b, l);
	}
	if (b->n_doubts > 0)
		look_at(b, now + DOUBT_MS * NS_PER_MS);
}

static bool hear(struct brood *b);
static void receive(struct watch *w, uint32_t events);

void brood_resume(struct brood *b, int channel)
{
	b->channel.ready = receive;
	if (channel >= 0 && poller_add(b->poller, &b->channel, channel, EPOLLIN | EPOLLOUT) < 0)
		fd_close(channel);
	/* Whether LISTED was said is not known any more: twice does no harm. */
	brood_doubt(b);
	b->listing = b->channel.fd >= 0;
	tell_listed(b);
}

/*
 * Connections end with the broker that served them. Their owners stay as long as a leaf names them,
 * and for one more broker, since a launch by the last one may still be on its way.
 */
static void disown_all(struct brood *b)
{
	struct owner *next;

	for (struct owner *o = b->owners; o; o = next) {
		next = o->next;
		if (o->disowned)
			forget_idle_owner(b, o->id);
		else
			o->disowned = true;
	}
}

void brood_connect(struct brood *b, int channel)
{
	/* Before it forks what the last broker asked for: that is offered to the new one. */
	brood_doubt(b);
	/* The last broker's words first: what it was told of is done, and nobody will say it again.
	 */
	while (b->channel.fd >= 0 && hear(b))
		;
	lose_channel(b);
	disown_all(b);
	b->channel.ready = receive;
	if (poller_add(b->poller, &b->channel, channel, EPOLLIN) < 0) {
		fd_close(channel);
		return;
	}
	b->listing = true;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (l->pid == 0 || l->in_doubt)
			continue;
		if (l->over && !leaf_launched(l))
			reap(b, l, false); /* died parked, with the last broker its only reader */
		else
			list_leaf(b, l);
	}
	tell_listed(b);
}

static void handle_reap(struct brood *b, const struct message *m)
{
	struct record r;

	message_for_each (m, cursor, &r) {
		struct leaf *l = r.type == REC_SERIAL ? find_leaf(b, get_u64(r.data)) : NULL;

		if (!l)
			continue;
		l->released = true;
		if (l->over)
			reap(b, l, false);
	}
}

static void handle(struct brood *b, const struct message *m, struct fds *fds)
{
	struct leaf *l = find_leaf(b, message_u64(m, REC_SERIAL));
	uint64_t id = message_u64(m, REC_OWNER);
	struct owner *o;

	switch (m->type) {
	case MSG_FORK:
		b->calls->fork(b, message_u32(m, REC_COUNT), message_u32(m, REC_QUEUED));
		break;
	case MSG_OWNER:
		brood_own(b, id, fds_take(fds, 0));
		break;
	case MSG_DISOWN:
		o = find_owner(b, id);
		if (o) {
			o->disowned = true;
			forget_idle_owner(b, id);
		}
		break;
	case MSG_CLAIM:
		if (l && leaf_launched(l)) {
			uint64_t before = l->noted.owner;

			set_owner(l, id);
			forget_idle_owner(b, before);
		}
		break;
	case MSG_WATCH:
		if (l && !l->over && !l->termed) {
			l->grace_ms = message_u64(m, REC_GRACE);
			schedule(b, l, message_u64(m, REC_DEADLINE));
		}
		break;
	case MSG_REAP:
		handle_reap(b, m);
		break;
	}
}

/* One message; false when there is none. */
static bool hear(struct brood *b)
{
	uint32_t state = b->warm && !b->stopping && b->calls ? STATE_WARM : STATE_STOPPING;
	uint8_t buf[FRAME_SIZE];
	struct message m;
	struct fds fds;
	ssize_t n = channel_receive(b->channel.fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return false;
	if (n > 0 &&
	    message_decode(buf, (size_t)n, PEER_BROKER, PEER_HOST, state, fds.n, &m, NULL) < 0) {
		/* FORK may cross a STOP: that alone is no fault. */
		if (!(n > 5 && get_u16(buf + 4) == MSG_FORK && state == STATE_STOPPING))
			n = -EPROTO;
		fds_close(&fds);
		if (n > 0)
			return true;
	}
	if (n <= 0) {
		/* The broker is gone, or makes no sense: the keeper sends another. */
		lose_channel(b);
		for (uint32_t i = 0; i < b->n_slots; i++)
			if (b->leaves[i].pid && b->leaves[i].over && !leaf_launched(&b->leaves[i]))
				reap(b, &b->leaves[i], false);
		return false;
	}
	handle(b, &m, &fds);
	fds_close(&fds);
	return b->channel.fd >= 0;
}

static void receive(struct watch *w, uint32_t events)
{
	struct brood *b = watch_owner(w, struct brood, channel);

	if (events & EPOLLOUT)
		send_unsent(b);
	if (b->channel.fd >= 0)
		hear(b);
}

void brood_forget_records(struct brood *b)
{
	b->ending = true;
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->leaves[i].pid && b->leaves[i].over)
			reap(b, &b->leaves[i], false); /* told when it ended */
}

void brood_stop(struct brood *b, uint64_t grace_ms)
{
	b->stopping = true;
	brood_forget_records(b);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (l->pid == 0)
			continue;
		if (leaf_launched(l))
			end_leaf(b, l, grace_ms);
		else if (!l->over)
			pidfd_signal(l->watch.fd, SIGKILL); /* parked: it has nothing to lose */
	}
}

void brood_tick(struct brood *b)
{
	uint64_t now;

	if (!b->next_deadline)
		return;
	now = clock_now();
	if (now < b->next_deadline)
		return;
	b->next_deadline = 0;
	look_into_doubts(b, now);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct leaf *l = &b->leaves[i];

		if (l->pid == 0 || l->over || l->deadline_ns == 0)
			continue;
		if (now < l->deadline_ns) {
			schedule(b, l, l->deadline_ns);
		} else if (!l->termed) {
			end_leaf(b, l, l->grace_ms);
		} else {
			l->deadline_ns = 0;
			pidfd_signal(l->watch.fd, SIGKILL);
		}
	}
}
