/* SPDX-License-Identifier: MIT */
/* Keeps a broker running, and does what little it may ask for. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/program.h"
#include "wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE	 (WIRE_INLINE_MAX / 2)
#define STEADY_NS	 (10 * NS_PER_S) /* a broker that lived so long starts with a clean record */
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS	 500 /* clients wait for it */
#define CHANNEL_BUFFER	 (1 << 20)

static void broker_lost(struct keeper *k)
{
	struct broker_process *b = &k->broker;
	int fd = b->channel.fd;

	poller_remove(&k->poller, &b->channel);
	fd_close(fd);
	listen_pause(k, true);
	/* It is of no use without its channel; its pidfd tells when it is over. */
	if (b->pid)
		pidfd_signal(b->pidfd.fd, SIGKILL);
}

void broker_send(struct keeper *k, struct frame *f, const int *fds, size_t n_fds)
{
	struct broker_process *b = &k->broker;
	int r;

	if (b->channel.fd < 0)
		return;
	r = channel_send_frame(b->channel.fd, f, fds, n_fds, MSG_DONTWAIT);
	if (r == -EAGAIN) {
		/*
		 * Sent when there is room again, in order, for a broker that is only slow. poll()
		 * rather than a queue: nothing else can be done for it meanwhile, and a bound says
		 * when slow is dead.
		 */
		struct timeval bound = {.tv_sec = 2};

		setsockopt(b->channel.fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
		r = channel_send_frame(b->channel.fd, f, fds, n_fds, 0);
	}
	if (r < 0) {
		log_line(LOG_WARNING, "broker-lost", "reason=\"%s\"", strerrordesc_np(-r));
		broker_lost(k);
	}
}

static void send_groups(struct frame *f, const struct credentials *c)
{
	uint8_t *p = frame_space(f, REC_GROUPS, c->n_groups * 4);

	for (size_t i = 0; p && i < c->n_groups; i++)
		put_u32(p + 4 * i, c->groups[i]);
}

/* A host without a channel to the broker is of no use; its end is told, and another is asked for.
 */
static void cannot_introduce(struct host_process *h)
{
	log_line(LOG_WARNING, "host-unreachable", "template=%s", h->template_name);
	if (h->pid)
		pidfd_signal(h->pidfd.fd, SIGKILL);
}

void broker_introduce(struct keeper *k, struct host_process *h)
{
	_cleanup_free_ uint8_t *buf = malloc(FRAME_SIZE);
	_cleanup_close_ int near = -1, far = -1;
	int pair[2], size = CHANNEL_BUFFER;
	struct frame f;

	if (k->broker.channel.fd < 0)
		return; /* the next one is told of every host */
	if (!buf || channel_pair(pair) < 0) {
		cannot_introduce(h);
		return;
	}
	near = pair[0];
	far = pair[1];
	/* Room for a long list of leaves before it has to be kept. */
	setsockopt(far, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	frame_begin(&f, buf, FRAME_SIZE, MSG_HOST_UP, h->start_id);
	frame_u64(&f, REC_HOST, h->id);
	frame_string(&f, REC_TEMPLATE, h->template_name);
	frame_u64(&f, REC_DIGEST, h->digest);
	frame_u64(&f, REC_GENERATION, h->generation);
	frame_u32(&f, REC_PID, (uint32_t)h->pid);
	frame_u32(&f, REC_UID, h->credentials.uid);
	frame_u32(&f, REC_GID, h->credentials.gid);
	send_groups(&f, &h->credentials);
	frame_u32(&f, REC_STATE,
		  h->state == HOST_WARM	     ? TEMPLATE_WARM
		  : h->state == HOST_WARMING ? TEMPLATE_WARMING
					     : TEMPLATE_RETIRING);
	broker_send(k, &f, &near, 1);
	if (h->brood) {
		brood_connect(h->brood, take_fd(&far));
		return;
	}
	frame_begin(&f, buf, FRAME_SIZE, MSG_BROKER, 0);
	if (h->channel.fd >= 0 && channel_send_frame(h->channel.fd, &f, &far, 1, MSG_DONTWAIT) < 0)
		cannot_introduce(h); /* it reads nothing any more, or is over */
}

void broker_tell(struct keeper *k, bool hosts_too)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_TABLE, 0);
	frame_u64(&f, REC_TABLE, k->table_id);
	broker_send(k, &f, &k->table_fd, 1);
	for (struct host_process *h = hosts_too ? k->hosts : NULL; h; h = h->next)
		if (h->pid || h->brood) {
			h->start_id = 0; /* of a broker that is gone */
			broker_introduce(k, h);
		}
	frame_begin(&f, buf, sizeof(buf), MSG_TOLD, 0);
	broker_send(k, &f, NULL, 0);
}

static void handle_start(struct keeper *k, const struct message *m)
{
	uint64_t connection = message_u64(m, REC_CONNECTION);
	uint32_t index = message_u32(m, REC_INDEX);
	struct connection *peer = peer_find(k, connection);
	struct credentials c;

	/* A table that was replaced meanwhile: the broker asks again with the new one. */
	if (message_u64(m, REC_TABLE) != k->table_id || index >= k->config->n_templates ||
	    k->stopping)
		return;
	if (connection == 0 && !k->options.system_mode) {
		host_start(k, m->id, &k->config->templates[index], &k->own);
		return;
	}
	if (!peer || peer->identity.confined[0]) {
		host_refuse(k, m->id, k->config->templates[index].name, -ESRCH,
			    "the caller is gone");
		return;
	}
	if (credentials_copy(&c, peer->identity.uid, peer->identity.gid, peer->identity.groups,
			     peer->identity.n_groups) < 0) {
		host_refuse(k, m->id, k->config->templates[index].name, -ENOMEM,
			    "the server is out of memory");
		return;
	}
	host_start(k, m->id, &k->config->templates[index], &c);
	credentials_finish(&c);
}

static void handle(struct keeper *k, const struct message *m)
{
	struct host_process *h;

	switch (m->type) {
	case MSG_START_HOST:
		handle_start(k, m);
		break;
	case MSG_RETIRE:
		h = host_find(k, message_u64(m, REC_HOST));
		if (h)
			host_stop(h, false);
		break;
	case MSG_FORGET:
		peer_forget(k, message_u64(m, REC_CONNECTION));
		break;
	case MSG_SERVING:
		/* The service manager hears of a table once requests are decided by it. */
		if (!k->ready_told && message_u64(m, REC_TABLE) == k->table_id) {
			k->ready_told = true;
			notify("READY=1\nSTATUS=Serving %zu templates at %s",
			       k->config->n_templates, k->options.socket);
		}
		break;
	}
}

static void channel_ready(struct watch *w, uint32_t events)
{
	struct keeper *k = watch_owner(w, struct keeper, broker.channel);
	struct spawn_error err;
	uint8_t buf[512];
	struct message m;
	struct fds fds;
	ssize_t n = channel_receive(w->fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	err.message[0] = '\0';
	if (n > 0 && message_decode(buf, (size_t)n, PEER_BROKER, PEER_KEEPER, STATE_OPEN, fds.n, &m,
				    &err) == 0)
		handle(k, &m);
	else {
		if (n > 0)
			log_line(LOG_ERR, "broker-protocol", "reason=\"%s\"", err.message);
		broker_lost(k);
	}
	descriptors_close(&fds);
}

static void schedule_restart(struct keeper *k)
{
	struct broker_process *b = &k->broker;
	uint64_t now = clock_now(), ms = BACKOFF_FIRST_MS;

	if (now - b->started_ns > STEADY_NS)
		b->failures = 0;
	for (unsigned i = 0; i < b->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	/* The first time at once: clients are waiting. */
	b->restart_ns = b->failures == 0
				? now
				: now + (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) * NS_PER_MS;
	b->failures++;
}

static void broker_over(struct watch *w, uint32_t events)
{
	struct keeper *k = watch_owner(w, struct keeper, broker.pidfd);
	struct broker_process *b = &k->broker;
	siginfo_t si = {0};
	int fd = w->fd;

	if (waitid(P_PID, (id_t)b->pid, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	poller_remove(&k->poller, w);
	fd_close(fd);
	b->pid = 0;
	broker_lost(k);
	peer_forget_idle(k);
	if (k->stopping)
		return;
	schedule_restart(k);
	log_line(LOG_ERR, "broker-died", "%s=%d restart=%u",
		 si.si_code == CLD_EXITED ? "status" : "signal", si.si_status, b->failures);
}

void broker_watch(struct keeper *k)
{
	struct broker_process *b = &k->broker;
	int channel = b->channel.fd, pidfd = b->pidfd.fd;

	b->channel = (struct watch){.fd = -1, .ready = channel_ready};
	b->pidfd = (struct watch){.fd = -1, .ready = broker_over};
	if (channel >= 0)
		poller_add(&k->poller, &b->channel, channel, EPOLLIN);
	if (pidfd >= 0)
		poller_add(&k->poller, &b->pidfd, pidfd, EPOLLIN);
}

int broker_start(struct keeper *k, struct spawn_error *err)
{
	struct broker_process *b = &k->broker;
	_cleanup_close_ int near = -1, far = -1;
	char path[PATH_MAX], mode[16], keeper[32];
	char *argv[] = {(char *)"spawnd-broker", mode, keeper, NULL};
	/* What log.c looks at; nothing else of the environment is the broker's business. */
	char journal[64];
	char *envp[] = {journal, NULL};
	const char *stream = getenv("JOURNAL_STREAM");
	struct program p = {.path = path, .argv = argv, .envp = envp, .output = -1, .n_fds = 1};
	int pair[2], size = CHANNEL_BUFFER, r;

	r = channel_pair(pair);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "socketpair");
	near = pair[0];
	far = pair[1];
	setsockopt(near, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	snprintf(path, sizeof(path), "%s/spawnd-broker", k->options.libexec_dir);
	snprintf(mode, sizeof(mode), "%s", k->options.system_mode ? "--system" : "--user");
	snprintf(keeper, sizeof(keeper), "--keeper=%d", getpid());
	snprintf(journal, sizeof(journal), "JOURNAL_STREAM=%.40s", stream ? stream : "");
	p.fds[0] = far;
	if (k->options.system_mode) {
		if (k->config->broker_uid == UINT32_MAX)
			return error_set(
				err, -EINVAL, SPAWN_ORIGIN_HOST, STEP_START,
				"system mode needs a user of its own for the broker: create the user of "
				"\"broker_user\" (useradd --system spawnd), or run spawnd --user");
		p.drop = true;
		p.uid = k->config->broker_uid;
		p.gid = k->config->broker_gid;
	}
	r = program_start(&p, &b->pid, &b->pidfd.fd, err);
	if (r < 0)
		return r;
	b->channel.fd = take_fd(&near);
	b->started_ns = clock_now();
	b->restart_ns = 0;
	broker_watch(k);
	broker_tell(k, true);
	listen_pause(k, b->channel.fd < 0); /* it may be lost already */
	return 0;
}

void broker_stop(struct keeper *k)
{
	int fd = k->broker.channel.fd;

	/* End of file: it flushes what it has and leaves. */
	poller_remove(&k->poller, &k->broker.channel);
	fd_close(fd);
}
