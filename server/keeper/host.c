/* SPDX-License-Identifier: MIT */
/* The life of a host: started with credentials dropped, warmed in time, its leaves verified, its
 * end. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE   8192
#define OFFERED_SIZE 2048
#define ERRNO_MAX    4095
#define MUTE_MS	     1000
#define LAST_WORDS   64 /* messages, or reads of its output, after its end */

struct host_process *host_find(struct keeper *k, uint64_t id)
{
	for (struct host_process *h = k->hosts; h; h = h->next)
		if (h->id == id)
			return h;
	return NULL;
}

static void close_watch(struct keeper *k, struct watch *w)
{
	int fd = w->fd;

	poller_remove(&k->poller, w);
	fd_close(fd);
}

void host_free(struct host_process *h)
{
	struct keeper *k = h->keeper;
	struct host_process **p = &k->hosts;

	while (*p && *p != h)
		p = &(*p)->next;
	if (*p)
		*p = h->next;
	if (h->brood) {
		brood_close(h->brood);
		free(h->brood);
	}
	close_watch(k, &h->pidfd);
	close_watch(k, &h->channel);
	close_watch(k, &h->output);
	fd_close(h->slots_fd);
	credentials_finish(&h->credentials);
	free(h->registered);
	free(h->template_name);
	free(h);
}

static void set_reason(struct host_process *h, int code, unsigned step, const char *text)
{
	h->reason_code = code;
	h->reason_step = step;
	snprintf(h->reason, sizeof(h->reason), "%s", text);
}

static void tell_down(struct keeper *k, uint32_t start_id, uint64_t host, const char *template_name,
		      int code, unsigned step, const char *reason, const char *tail,
		      size_t tail_len, uint64_t retry_ms)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_HOST_DOWN, start_id);
	frame_u64(&f, REC_HOST, host);
	frame_string(&f, REC_TEMPLATE, template_name);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_STEP, step);
	frame_text(&f, REC_REASON, reason);
	frame_bytes(&f, REC_TAIL, tail, tail_len);
	frame_u64(&f, REC_RETRY, retry_ms);
	broker_send(k, &f, NULL, 0);
}

void host_refuse(struct keeper *k, uint32_t start_id, const char *template_name, int code,
		 const char *text)
{
	tell_down(k, start_id, 0, template_name, code, STEP_START, text, "", 0, 100);
}

/* One read; false when there is nothing more. */
static bool read_output(struct host_process *h)
{
	char buf[TAIL_SIZE];
	ssize_t n = read(h->output.fd, buf, sizeof(buf));
	size_t len, keep;

	if (n == 0)
		close_watch(h->keeper, &h->output);
	if (n <= 0)
		return false;
	len = (size_t)n;
	if (len > TAIL_SIZE - h->tail_len) {
		keep = TAIL_SIZE - len;
		if (keep > h->tail_len)
			keep = h->tail_len;
		memmove(h->tail, h->tail + h->tail_len - keep, keep);
		h->tail_len = keep;
	}
	memcpy(h->tail + h->tail_len, buf, len);
	h->tail_len += len;
	return true;
}

/* The rest, if any, wakes us again: one host shall not hold the loop. */
static void output_ready(struct watch *w, uint32_t events)
{
	read_output(watch_owner(w, struct host_process, output));
}

/*
 * That a host does not lie: the pid is a child of the host, alive or a zombie. 1, 0 when there is
 * nothing to offer, or a negative errno.
 */
static int verify_leaf(struct host_process *h, uint64_t serial, pid_t pid, uint64_t *ret_identity,
		       int *ret_pidfd)
{
	_cleanup_close_ int pidfd = -1;
	uint64_t identity;
	pid_t parent;
	int r;

	if (serial_slot(serial) >= h->n_slots || serial >> (SLOT_BITS + SERIAL_COUNT_BITS) != h->id)
		return -EPROTO;
	pidfd = pidfd_open_pid(pid);
	if (pidfd < 0)
		return pidfd == -ESRCH ? 0 : pidfd;
	r = process_origin(pidfd, pid, &parent, &identity);
	if (r < 0)
		return r == -ESRCH ? 0 : r;
	if (parent == getpid())
		return 0; /* the host is over, or about to be: the leaf came to the subreaper */
	if (parent != h->pid)
		return -EPERM;
	*ret_identity = identity;
	*ret_pidfd = take_fd(&pidfd);
	return 1;
}

/*
 * What it started while it warmed goes with it: it leads a session, and has no leaves yet. To be
 * called before it is reaped.
 */
static void kill_family(const struct host_process *h)
{
	if (h->state == HOST_WARMING && h->pid > 0)
		kill(-h->pid, SIGKILL);
	pidfd_signal(h->pidfd.fd, SIGKILL);
}

static void kill_host(struct host_process *h, int code, unsigned step, const char *why)
{
	set_reason(h, code, step, why);
	kill_family(h);
}

static void refuse_offer(struct host_process *h, int r)
{
	char text[192];

	snprintf(text, sizeof(text), "template \"%s\": its host offered a leaf that %s (%s)",
		 h->template_name,
		 r == -EPERM || r == -EPROTO ? "is not its child" : "cannot be verified",
		 strerrordesc_np(-r));
	kill_host(h, r, STEP_FORK, text);
	close_watch(h->keeper, &h->channel); /* nor is it believed in what it said next */
}

/* What is passed on of an offer. */
struct offered {
	struct frame frame;
	uint8_t data[OFFERED_SIZE];
	int fds[2 * WIRE_OFFER_MAX]; /* control: borrowed; pidfd: owned */
	size_t n;
};
_Static_assert(OFFERED_SIZE >= WIRE_HEADER_SIZE + 2 * (WIRE_RECORD_SIZE + 8) +
				       WIRE_OFFER_MAX * (2 * WIRE_RECORD_SIZE + 12),
	       "a full offer fits");

/* One leaf of an offer. 0, also when it is gone already, or a negative errno. */
static int offer_leaf(struct host_process *h, uint64_t serial, pid_t pid, int control,
		      struct offered *o)
{
	uint64_t identity;
	int pidfd, r;

	r = fd_is_seqpacket(control) ? verify_leaf(h, serial, pid, &identity, &pidfd) : -EPROTO;
	if (r <= 0)
		return r;
	h->registered[serial_slot(serial)] = (struct registered){pid, serial, identity};
	frame_u64(&o->frame, REC_SERIAL, serial);
	frame_u32(&o->frame, REC_PID, (uint32_t)pid);
	o->fds[2 * o->n] = control;
	o->fds[2 * o->n + 1] = pidfd;
	o->n++;
	return 0;
}

/* Every leaf is looked at, and nothing of an offer with a lie in it is passed on. */
static void handle_offer(struct host_process *h, const struct message *m, struct fds *fds)
{
	struct record record;
	struct offered o;
	uint64_t serial = 0;
	size_t n = 0;
	bool named = false;
	int r = 0;

	frame_begin(&o.frame, o.data, sizeof(o.data), MSG_OFFERED, 0);
	frame_u64(&o.frame, REC_HOST, h->id);
	frame_u32(&o.frame, REC_COUNT, (uint32_t)fds->n);
	o.n = 0;
	message_for_each (m, cursor, &record) {
		if (named != (record.type == REC_PID) || n == fds->n)
			r = -EPROTO;
		if (r < 0)
			break;
		if (record.type == REC_SERIAL)
			serial = get_u64(record.data);
		else
			r = offer_leaf(h, serial, (pid_t)get_u32(record.data), fds->fd[n++], &o);
		named = !named;
	}
	if (r == 0 && (named || n != fds->n))
		r = -EPROTO;
	if (r < 0)
		refuse_offer(h, r);
	else
		broker_send(h->keeper, &o.frame, o.fds, 2 * o.n);
	for (size_t i = 0; i < o.n; i++)
		fd_close(o.fds[2 * i + 1]);
	/* Sockets all: they need not be looked at once more. */
	if (r == 0)
		fds_close(fds);
}

static struct history *own_history(struct host_process *h)
{
	const struct config_template t = {.name = h->template_name, .digest = h->digest};

	return history_get(h->keeper, &t, &h->credentials);
}

static void handle(struct host_process *h, const struct message *m, struct fds *fds)
{
	struct history *r;

	switch (m->type) {
	case MSG_WARMED:
		h->state = HOST_WARM;
		h->warm_deadline_ns = 0;
		h->nofork = message_u32(m, REC_NOFORK);
		h->nofork_by = message_u32(m, REC_NOFORK_BY);
		r = own_history(h);
		if (r)
			r->failures = 0;
		log_line(LOG_INFO, "host-warm", "template=%s generation=%lu pid=%d ms=%lu",
			 h->template_name, h->generation, h->pid,
			 (clock_now() - h->started_ns) / NS_PER_MS);
		break;
	case MSG_WARM_FAILED:
		message_string(m, REC_TEXT, h->reason, sizeof(h->reason));
		/* An errno, or a host that lies. */
		h->reason_code = message_u32(m, REC_CODE) <= ERRNO_MAX
					 ? -(int)message_u32(m, REC_CODE)
					 : -EPROTO;
		h->reason_step = message_u32(m, REC_STEP);
		break;
	case MSG_OFFER:
		handle_offer(h, m, fds);
		break;
	}
}

static void channel_ready(struct watch *w, uint32_t events)
{
	struct host_process *h = watch_owner(w, struct host_process, channel);
	uint32_t state = h->state == HOST_WARMING ? STATE_WARMING : STATE_WARM;
	uint8_t buf[2048];
	struct spawn_error err;
	struct message m;
	struct fds fds;
	ssize_t n = channel_receive(w->fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		/* The pidfd will tell; a host that lives on without its channel is of no use. */
		close_watch(h->keeper, w);
		h->mute_deadline_ns = clock_now() + MUTE_MS * NS_PER_MS;
	} else if (message_decode(buf, (size_t)n, PEER_HOST, PEER_KEEPER, state, fds.n, &m, &err) <
		   0) {
		char text[SPAWN_ERROR_TEXT + 128];

		snprintf(text, sizeof(text), "template \"%s\": its host sent nonsense: %s",
			 h->template_name, err.message);
		kill_host(h, -EPROTO, STEP_DECODE, text);
		close_watch(h->keeper, w);
	} else {
		handle(h, &m, &fds);
	}
	descriptors_close(&fds);
}

static const char *when_it_ended(const struct host_process *h)
{
	const struct config_template *t = config_find(h->keeper->config, h->template_name);

	if (h->state != HOST_WARMING)
		return "at work";
	return t && t->lane == LANE_PROGRAM
		       ? "while warming, before its process was ready in spawn_template_serve()"
		       : "while warming";
}

/* An interpreter that could not be warmed says last why. */
static bool tell_last_line(const struct host_process *h, char *text, size_t size)
{
	const struct config_template *t = config_find(h->keeper->config, h->template_name);
	const char *line;
	size_t len = h->tail_len;

	if (h->state != HOST_WARMING || !t || t->lane != LANE_PYTHON)
		return false;
	while (len > 0 && h->tail[len - 1] == '\n')
		len--;
	for (line = h->tail + len; line > h->tail && line[-1] != '\n'; line--)
		;
	if (line == h->tail + len)
		return false;
	snprintf(text, size, "template \"%s\": %.*s", h->template_name, (int)(h->tail + len - line),
		 line);
	return true;
}

static void describe_end(struct host_process *h, const siginfo_t *si)
{
	const char *when = when_it_ended(h);
	char text[512];

	if (h->reason[0])
		return;
	if (si->si_code == CLD_EXITED && si->si_status != 0 &&
	    tell_last_line(h, text, sizeof(text)))
		;
	else if (si->si_code == CLD_EXITED)
		snprintf(text, sizeof(text), "template \"%s\": its host exited with status %d %s",
			 h->template_name, si->si_status, when);
	else
		snprintf(text, sizeof(text),
			 "template \"%s\": its host was killed by signal %d (SIG%s) %s",
			 h->template_name, si->si_status,
			 sigabbrev_np(si->si_status) ? sigabbrev_np(si->si_status) : "?", when);
	set_reason(h, -ECHILD, h->state == HOST_WARMING ? STEP_WARM : STEP_NONE, text);
}

static void host_over(struct watch *w, uint32_t events)
{
	struct host_process *h = watch_owner(w, struct host_process, pidfd);
	struct keeper *k = h->keeper;
	enum host_state before = h->state;
	uint64_t retry_ms = 0;
	char quoted[1100];
	siginfo_t si = {0};

	kill_family(h);
	if (waitid(P_PID, (id_t)h->pid, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	/*
	 * What it said last: a reason for its end, the last lines of stderr. Not for ever:
	 * processes that it left behind may have both.
	 */
	for (int i = 0;
	     i < LAST_WORDS && h->channel.fd >= 0 && before == HOST_WARMING && !h->reason[0]; i++)
		channel_ready(&h->channel, EPOLLIN);
	for (int i = 0; i < LAST_WORDS && h->output.fd >= 0 && read_output(h); i++)
		;
	h->killed = !h->reason[0] && si.si_code == CLD_KILLED && si.si_status == SIGKILL;
	describe_end(h, &si);
	close_watch(k, &h->pidfd);
	close_watch(k, &h->channel);
	close_watch(k, &h->output);
	h->pid = 0;
	h->warm_deadline_ns = h->mute_deadline_ns = 0;
	if (before == HOST_WARMING && h->state == HOST_WARMING && !k->stopping) {
		struct history *r = own_history(h);

		if (r) {
			history_failure(r, h);
			if (r->retry_ns)
				retry_ms = (r->retry_ns - clock_now()) / NS_PER_MS + 1;
		}
	}
	if (before != HOST_STOPPING)
		log_line(LOG_ERR, "host-died", "template=%s generation=%lu retry_ms=%lu reason=%s",
			 h->template_name, h->generation, retry_ms,
			 log_quote(quoted, sizeof(quoted), h->reason));
	h->state = HOST_DEAD;
	tell_down(k, h->start_id, h->id, h->template_name,
		  h->reason_code ? h->reason_code : -ECHILD, h->reason_step, h->reason, h->tail,
		  h->tail_len, retry_ms);
	orphans_adopt(h);
	/* Those of its children that died before this was seen were taken for records. */
	reap_strangers(k);
}

void host_watch(struct host_process *h)
{
	struct poller *p = &h->keeper->poller;
	int pidfd = h->pidfd.fd, channel = h->channel.fd, output = h->output.fd;

	h->pidfd = (struct watch){.fd = -1, .ready = host_over};
	h->channel = (struct watch){.fd = -1, .ready = channel_ready};
	h->output = (struct watch){.fd = -1, .ready = output_ready};
	if (pidfd >= 0)
		poller_add(p, &h->pidfd, pidfd, EPOLLIN);
	if (channel >= 0)
		poller_add(p, &h->channel, channel, EPOLLIN);
	if (output >= 0)
		poller_add(p, &h->output, output, EPOLLIN);
}

/* The parts of a host that do not exist yet are -1, so that host_free() fits at any moment. */
static struct host_process *host_new(struct keeper *k, const struct config_template *t,
				     const struct credentials *c)
{
	struct host_process *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->keeper = k;
	h->slots_fd = h->pidfd.fd = h->channel.fd = h->output.fd = -1;
	h->template_name = strdup(t->name);
	h->registered = calloc(t->leaves_max, sizeof(*h->registered));
	h->n_slots = t->leaves_max;
	h->digest = t->digest;
	if (!h->template_name || !h->registered ||
	    credentials_copy(&h->credentials, c->uid, c->gid, c->groups, c->n_groups) < 0 ||
	    slots_create(h->n_slots, &h->slots_fd) < 0) {
		host_free(h);
		return NULL;
	}
	return h;
}

void host_start(struct keeper *k, uint32_t start_id, const struct config_template *t,
		const struct credentials *c)
{
	struct history *r = history_get(k, t, c);
	uint64_t now = clock_now();
	struct host_process *h;
	struct spawn_error err;
	char quoted[SPAWN_ERROR_TEXT];
	int rc;

	if (r && r->retry_ns > now) {
		tell_down(k, start_id, 0, t->name, r->code, r->step, r->reason, r->tail,
			  r->tail_len, (r->retry_ns - now) / NS_PER_MS + 1);
		return;
	}
	h = r && k->last_host < SERIAL_HOST_MAX ? host_new(k, t, c) : NULL;
	if (!h) {
		host_refuse(k, start_id, t->name, -ENOMEM,
			    "the server is out of memory or descriptors, or its limit on file "
			    "sizes (RLIMIT_FSIZE) is below what its slots need");
		return;
	}
	h->id = ++k->last_host;
	h->generation = ++r->generation;
	h->start_id = start_id;
	h->state = HOST_WARMING;
	h->started_ns = now;
	h->warm_deadline_ns = now + t->warm_timeout_ms * NS_PER_MS;
	rc = host_run(h, t, &err);
	if (rc < 0) {
		log_line(LOG_ERR, "host-start", "template=%s reason=%s", t->name,
			 log_quote(quoted, sizeof(quoted), err.message));
		set_reason(h, rc, STEP_START, err.message);
		history_failure(r, h);
		tell_down(k, start_id, 0, t->name, rc, STEP_START, err.message, "", 0,
			  (r->retry_ns - now) / NS_PER_MS + 1);
		host_free(h);
		return;
	}
	h->next = k->hosts;
	k->hosts = h;
	broker_introduce(k, h);
}

void host_stop(struct host_process *h, bool end_leaves)
{
	uint8_t buf[64];
	struct frame f;

	if (h->brood) {
		if (end_leaves)
			brood_stop(h->brood, h->keeper->config->stop_timeout_ms);
		return;
	}
	if (h->state == HOST_WARMING) {
		/* It reads nothing while it warms, and has no leaves. */
		kill_family(h);
		h->state = HOST_STOPPING;
		return;
	}
	h->state = HOST_STOPPING;
	frame_begin(&f, buf, sizeof(buf), MSG_STOP, 0);
	frame_u32(&f, REC_FLAGS, end_leaves ? FLAG_STOP_LEAVES : 0);
	frame_u64(&f, REC_GRACE, h->keeper->config->stop_timeout_ms);
	if (h->channel.fd < 0 || channel_send_frame(h->channel.fd, &f, NULL, 0, MSG_DONTWAIT) < 0)
		pidfd_signal(h->pidfd.fd, SIGKILL);
}

uint64_t host_next_deadline(const struct keeper *k)
{
	uint64_t next = 0;

	for (const struct host_process *h = k->hosts; h; h = h->next) {
		const uint64_t all[] = {h->brood ? h->brood->next_deadline : 0, h->warm_deadline_ns,
					h->mute_deadline_ns};

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (all[i] && (!next || all[i] < next))
				next = all[i];
	}
	return next;
}

void host_tick(struct keeper *k, uint64_t now)
{
	for (struct host_process *h = k->hosts; h; h = h->next) {
		char text[192];

		if (h->brood)
			brood_tick(h->brood);
		if (h->brood && h->brood->ending)
			brood_stop(h->brood, k->config->stop_timeout_ms);
		if (h->mute_deadline_ns && now >= h->mute_deadline_ns) {
			snprintf(text, sizeof(text),
				 "template \"%s\": its host closed its channel to the server",
				 h->template_name);
			h->mute_deadline_ns = 0;
			kill_host(h, -ECONNRESET, STEP_RECEIVE, text);
		}
		if (!h->warm_deadline_ns || now < h->warm_deadline_ns)
			continue;
		snprintf(
			text, sizeof(text),
			"template \"%s\": not warm after %lu ms (warm_timeout_ms): its host was killed",
			h->template_name, (h->warm_deadline_ns - h->started_ns) / NS_PER_MS);
		h->warm_deadline_ns = 0;
		kill_host(h, -ETIMEDOUT, STEP_WARM, text);
	}
}
