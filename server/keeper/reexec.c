/* SPDX-License-Identifier: MIT */
/*
 * The keeper becomes its own successor: same pid, so all children stay its children; descriptors
 * stay open; what it knows goes through a memfd. Broker, hosts, leaves and clients notice nothing.
 * save_X and load_X below keep the same order; STATE_VERSION changes with it.
 */
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/state.h"
#include "wire/sealed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATE_VERSION 2
#define STATE_MAX     (64u << 20)

static void save_credentials(struct state *s, const struct credentials *c)
{
	state_put(s, c->uid);
	state_put(s, c->gid);
	state_put_bytes(s, c->groups, c->n_groups * sizeof(*c->groups));
}

static void load_credentials(struct state *s, struct credentials *ret)
{
	size_t len = 0;

	ret->uid = (uid_t)state_get(s);
	ret->gid = (gid_t)state_get(s);
	ret->groups = state_get_bytes(s, PEER_GROUPS_MAX * sizeof(uint32_t), &len);
	ret->n_groups = len / sizeof(uint32_t);
}

/* Into a buffer that is there already. */
static size_t load_text(struct state *s, char *buf, size_t size)
{
	size_t len = 0;
	char *text = state_get_bytes(s, size, &len);

	if (text)
		memcpy(buf, text, len);
	free(text);
	return len;
}

static void save_peer(struct state *s, const struct connection *p)
{
	const struct peer_identity *id = &p->identity;

	state_put(s, p->connection);
	state_put(s, (uint64_t)id->pid);
	state_put(s, id->uid);
	state_put(s, id->gid);
	state_put_bytes(s, id->groups, id->n_groups * sizeof(*id->groups));
	state_put_fd(s, id->pidfd);
	state_put_bytes(s, id->confined, strlen(id->confined) + 1);
}

static void load_peer(struct keeper *k, struct state *s)
{
	struct peer_identity id = {.pidfd = -1};
	uint64_t connection = state_get(s);
	size_t len = 0;

	id.pid = (pid_t)state_get(s);
	id.uid = (uid_t)state_get(s);
	id.gid = (gid_t)state_get(s);
	id.groups = state_get_bytes(s, PEER_GROUPS_MAX * sizeof(uint32_t), &len);
	id.n_groups = len / sizeof(uint32_t);
	id.pidfd = state_get_fd(s);
	load_text(s, id.confined, sizeof(id.confined));
	if (!s->error)
		s->error = peer_add(k, connection, &id);
	peer_identity_finish(&id);
}

static void save_history(struct state *s, const struct history *r)
{
	state_put_bytes(s, r->template_name, strlen(r->template_name));
	state_put(s, r->digest);
	save_credentials(s, &r->credentials);
	state_put(s, r->generation);
	state_put(s, r->failures);
	state_put(s, r->retry_ns);
	state_put(s, (uint64_t)(int64_t)r->code);
	state_put(s, r->step);
	state_put_bytes(s, r->reason, strlen(r->reason) + 1);
	state_put_bytes(s, r->tail, r->tail_len);
}

static void load_history(struct keeper *k, struct state *s)
{
	struct history *r = calloc(1, sizeof(*r));
	size_t len;

	if (!r) {
		s->error = -ENOMEM;
		return;
	}
	r->template_name = state_get_bytes(s, 64, &len);
	r->digest = state_get(s);
	load_credentials(s, &r->credentials);
	r->generation = state_get(s);
	r->failures = (unsigned)state_get(s);
	r->retry_ns = state_get(s);
	r->code = (int)(int64_t)state_get(s);
	r->step = (unsigned)state_get(s);
	load_text(s, r->reason, sizeof(r->reason));
	r->tail_len = load_text(s, r->tail, sizeof(r->tail));
	r->next = k->histories;
	k->histories = r;
}

static void save_unsent(struct state *s, const struct brood *b)
{
	uint64_t n = 0;

	for (const struct unsent *u = b->unsent; u; u = u->next)
		n++;
	state_put(s, n);
	for (const struct unsent *u = b->unsent; u; u = u->next) {
		state_put(s, u->leaf);
		state_put_bytes(s, u->data, u->len);
	}
}

static void load_unsent(struct brood *b, struct state *s)
{
	for (uint64_t n = state_get(s); n > 0 && !s->error; n--) {
		uint64_t leaf = state_get(s);
		size_t len = 0;
		void *data = state_get_bytes(s, WIRE_INLINE_MAX, &len);

		if (data)
			s->error = brood_keep(b, leaf, data, len);
		free(data);
	}
}

static void save_brood(struct state *s, const struct brood *b)
{
	uint64_t n = 0;

	state_put_fd(s, b->channel.fd);
	for (const struct owner *o = b->owners; o; o = o->next)
		n++;
	state_put(s, n);
	for (const struct owner *o = b->owners; o; o = o->next) {
		state_put(s, o->id);
		state_put(s, o->disowned);
		state_put(s, o->gone);
		state_put_fd(s, o->watch.fd);
	}
	state_put(s, b->n_leaves);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		const struct leaf *l = &b->leaves[i];

		if (l->pid == 0)
			continue;
		state_put(s, l->serial);
		state_put(s, (uint64_t)l->pid);
		state_put_fd(s, l->watch.fd);
		state_put(s, l->released);
		state_put(s, l->termed);
		state_put(s, l->deadline_ns);
		state_put(s, l->grace_ms);
	}
	save_unsent(s, b);
}

static void load_leaf(struct brood *b, struct state *s)
{
	uint64_t serial = state_get(s);
	pid_t pid = (pid_t)state_get(s);
	int pidfd = state_get_fd(s);
	struct leaf *l;

	if (s->error || serial_slot(serial) >= b->n_slots || brood_add(b, serial, pid, pidfd) < 0) {
		s->error = s->error ? s->error : -EBADMSG;
		return;
	}
	l = &b->leaves[serial_slot(serial)];
	l->released = state_get(s);
	l->termed = state_get(s);
	l->deadline_ns = state_get(s);
	l->grace_ms = state_get(s);
	if (l->deadline_ns && (!b->next_deadline || l->deadline_ns < b->next_deadline))
		b->next_deadline = l->deadline_ns;
	/* That it is over, if it is, its pidfd says anew. */
}

static void load_brood(struct host_process *h, struct state *s)
{
	struct brood *b = calloc(1, sizeof(*b));
	uint64_t n;
	int channel;

	if (!b || brood_open(b, &h->keeper->poller, h->slots_fd, h->n_slots, NULL) < 0) {
		free(b);
		s->error = -ENOMEM;
		return;
	}
	h->brood = b;
	b->nofork = h->nofork;
	b->nofork_by = h->nofork_by;
	channel = state_get_fd(s);
	for (n = state_get(s); n > 0 && !s->error; n--) {
		uint64_t id = state_get(s);
		bool disowned = state_get(s), gone = state_get(s);

		if (brood_own(b, id, state_get_fd(s)) == 0) {
			b->owners->disowned = disowned;
			b->owners->gone = gone;
		}
	}
	for (n = state_get(s); n > 0 && !s->error; n--)
		load_leaf(b, s);
	load_unsent(b, s);
	brood_resume(b, channel);
}

static void save_host(struct state *s, const struct host_process *h)
{
	state_put(s, h->id);
	state_put_bytes(s, h->template_name, strlen(h->template_name));
	state_put(s, h->digest);
	save_credentials(s, &h->credentials);
	state_put(s, h->generation);
	state_put(s, h->state);
	state_put(s, (uint64_t)h->pid);
	state_put_fd(s, h->pidfd.fd);
	state_put_fd(s, h->channel.fd);
	state_put_fd(s, h->output.fd);
	state_put_fd(s, h->slots_fd);
	state_put(s, h->n_slots);
	state_put_bytes(s, h->registered, h->n_slots * sizeof(*h->registered));
	state_put(s, h->nofork);
	state_put(s, h->nofork_by);
	state_put(s, h->start_id);
	state_put(s, h->started_ns);
	state_put(s, h->warm_deadline_ns);
	state_put(s, h->mute_deadline_ns);
	state_put_bytes(s, h->reason, strlen(h->reason) + 1);
	state_put(s, (uint64_t)(int64_t)h->reason_code);
	state_put(s, h->reason_step);
	state_put_bytes(s, h->tail, h->tail_len);
	state_put(s, h->brood != NULL);
	if (h->brood)
		save_brood(s, h->brood);
}

static void load_host(struct keeper *k, struct state *s)
{
	struct host_process *h = calloc(1, sizeof(*h));
	size_t len = 0;

	if (!h) {
		s->error = -ENOMEM;
		return;
	}
	h->keeper = k;
	h->id = state_get(s);
	h->template_name = state_get_bytes(s, 64, &len);
	h->digest = state_get(s);
	load_credentials(s, &h->credentials);
	h->generation = state_get(s);
	h->state = (enum host_state)state_get(s);
	h->pid = (pid_t)state_get(s);
	h->pidfd.fd = state_get_fd(s);
	h->channel.fd = state_get_fd(s);
	h->output.fd = state_get_fd(s);
	h->slots_fd = state_get_fd(s);
	h->n_slots = (uint32_t)state_get(s);
	h->registered = state_get_bytes(s, SLOTS_MAX * sizeof(*h->registered), &len);
	if (len != h->n_slots * sizeof(*h->registered))
		s->error = s->error ? s->error : -EBADMSG;
	h->nofork = (uint32_t)state_get(s);
	h->nofork_by = (uint32_t)state_get(s);
	h->start_id = (uint32_t)state_get(s);
	h->started_ns = state_get(s);
	h->warm_deadline_ns = state_get(s);
	h->mute_deadline_ns = state_get(s);
	load_text(s, h->reason, sizeof(h->reason));
	h->reason_code = (int)(int64_t)state_get(s);
	h->reason_step = (unsigned)state_get(s);
	h->tail_len = load_text(s, h->tail, sizeof(h->tail));
	h->next = k->hosts;
	k->hosts = h;
	host_watch(h);
	if (state_get(s) && !s->error)
		load_brood(h, s);
}

static void save(struct keeper *k, struct state *s)
{
	uint64_t peers = 0, hosts = 0, records = 0;

	for (const struct connection *p = k->peers; p; p = p->next)
		peers++;
	for (const struct host_process *h = k->hosts; h; h = h->next)
		hosts++;
	for (const struct history *r = k->histories; r; r = r->next)
		records++;
	state_put(s, STATE_VERSION);
	state_put_fd(s, k->listening.fd);
	state_put_fd(s, k->lock_fd);
	state_put(s, k->inherited_socket);
	state_put(s, k->ready_told);
	state_put_fd(s, k->table_fd);
	state_put(s, k->table_id);
	state_put(s, k->last_connection);
	state_put(s, k->last_host);
	state_put(s, (uint64_t)k->broker.pid);
	state_put_fd(s, k->broker.pidfd.fd);
	state_put_fd(s, k->broker.channel.fd);
	state_put(s, k->broker.started_ns);
	state_put(s, k->broker.restart_ns);
	state_put(s, k->broker.failures);
	state_put(s, peers);
	for (const struct connection *p = k->peers; p; p = p->next)
		save_peer(s, p);
	state_put(s, records);
	for (const struct history *r = k->histories; r; r = r->next)
		save_history(s, r);
	state_put(s, hosts);
	for (const struct host_process *h = k->hosts; h; h = h->next)
		save_host(s, h);
}

static void load(struct keeper *k, struct state *s)
{
	uint64_t n;

	k->listening.fd = state_get_fd(s);
	k->lock_fd = state_get_fd(s);
	k->inherited_socket = state_get(s);
	k->ready_told = state_get(s);
	k->table_fd = state_get_fd(s);
	k->table_id = state_get(s);
	k->last_connection = state_get(s);
	k->last_host = state_get(s);
	k->broker.pid = (pid_t)state_get(s);
	k->broker.pidfd.fd = state_get_fd(s);
	k->broker.channel.fd = state_get_fd(s);
	k->broker.started_ns = state_get(s);
	k->broker.restart_ns = state_get(s);
	k->broker.failures = (unsigned)state_get(s);
	for (n = state_get(s); n > 0 && !s->error; n--)
		load_peer(k, s);
	for (n = state_get(s); n > 0 && !s->error; n--)
		load_history(k, s);
	for (n = state_get(s); n > 0 && !s->error; n--)
		load_host(k, s);
}

/* After a failed exec: every descriptor that was opened to it is close-on-exec again. */
static void undo(void)
{
	syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
}

int reexec_now(struct keeper *k, struct spawn_error *err)
{
	const struct options *o = &k->options;
	_cleanup_close_ int fd = -1;
	struct state s = {0};
	char resume[32], *config = NULL, *socket_path = NULL, *templates = NULL;
	int r;

	save(k, &s);
	r = s.error;
	if (r == 0 && s.len > STATE_MAX)
		r = -EFBIG;
	if (r == 0)
		r = sealed_create("spawnd-state", s.data, s.len, &fd);
	if (r == 0)
		r = fd_set_cloexec(fd, 0);
	if (r == 0 && (asprintf(&config, "--config=%s", o->config) < 0 ||
		       asprintf(&socket_path, "--socket=%s", o->socket) < 0 ||
		       asprintf(&templates, "--template-dir=%s", o->template_dir) < 0))
		r = -ENOMEM;
	if (r == 0) {
		char *argv[] = {(char *)"spawnd",
				o->system_mode ? (char *)"--system" : (char *)"--user",
				config,
				socket_path,
				templates,
				resume,
				NULL};

		snprintf(resume, sizeof(resume), "--resume=%d", fd);
		execv(o->program, argv);
		r = -errno;
	}
	undo();
	state_finish(&s);
	free(config);
	free(socket_path);
	free(templates);
	return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "re-execute %s", o->program);
}

int reexec_resume(struct keeper *k, int fd, struct spawn_error *err)
{
	struct state s = {0};
	int r = sealed_check(fd, STATE_MAX, &s.len);

	if (r == 0) {
		s.data = malloc(s.len + 1);
		r = s.data ? fd_pread_all(fd, s.data, s.len, 0) : -ENOMEM;
	}
	fd_close(fd);
	if (r == 0 && state_get(&s) != STATE_VERSION)
		r = -EPROTO; /* another layout: the old keeper should have known */
	if (r == 0) {
		load(k, &s);
		r = s.error;
	}
	state_finish(&s);
	if (r == 0)
		r = config_read(k->table_fd, &k->config, NULL);
	if (r == 0)
		r = listen_watch(k);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "resume");
	broker_watch(k);
	listen_pause(k, k->broker.channel.fd < 0);
	reap_strangers(k); /* what ended between the two programs */
	log_line(LOG_INFO, "resumed", "broker=%d", k->broker.pid);
	notify("READY=1");
	return 0;
}
