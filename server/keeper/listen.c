/* SPDX-License-Identifier: MIT */
/* The socket, and the way of a connection: accepted, identified, passed to the broker. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG	   512
#define FRAME_SIZE (WIRE_INLINE_MAX / 2)

static void split_path(const char *path, char *directory, size_t size, const char **ret_name)
{
	const char *slash = strrchr(path, '/'); /* absolute: there is one */

	snprintf(directory, size, "%.*s", slash > path ? (int)(slash - path) : 1, path);
	*ret_name = slash + 1;
}

/* The socket's directory: made if missing, and nobody else's to change. */
static int open_directory(struct keeper *k, const char *path, struct spawn_error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdir(path, k->options.system_mode ? 0755 : 0700) < 0 && errno != EEXIST)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START,
				   "cannot make %s (is its parent there and yours?)", path);
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "cannot open %s",
				   path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "cannot stat %s",
				   path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(
			err, -EPERM, SPAWN_ORIGIN_HOST, STEP_START,
			"%s must belong to uid %u and be writable by nobody else (it is uid %u, "
			"mode %04o)",
			path, geteuid(), st.st_uid, st.st_mode & 07777);
	return take_fd(&fd);
}

/* One server a socket: the lock lives as long as this process, across re-executions. */
static int lock_directory(struct keeper *k, int directory, const char *name,
			  struct spawn_error *err)
{
	char lock_name[NAME_MAX + 8];
	_cleanup_close_ int fd = -1;
	struct stat st;

	snprintf(lock_name, sizeof(lock_name), "%s.lock", name);
	fd = openat(directory, lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START,
				   "cannot make %s.lock", k->options.socket);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -errno, SPAWN_ORIGIN_HOST, STEP_START,
				 "another spawnd serves %s (stop it, or choose another --socket)",
				 k->options.socket);
	/* The one before may have removed it, at its end, between the open and the lock. */
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return error_set(err, -EAGAIN, SPAWN_ORIGIN_HOST, STEP_START,
				 "another spawnd left %s just now (start again)",
				 k->options.socket);
	k->lock_fd = take_fd(&fd);
	return 0;
}

/*
 * Bound through /proc/self/fd, so that the length of the directory's path does not count against
 * the 108 bytes of a socket's address.
 */
static int bind_in(int fd, int directory, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
			 directory, name);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	unlinkat(directory, name, 0); /* of a server that was killed: we hold the lock */
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int inherit_socket(struct keeper *k, int *ret_fd, struct spawn_error *err)
{
	int n = sd_listen_fds(1);

	if (n <= 0)
		return 0;
	if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0)
		return error_set(err, -EINVAL, SPAWN_ORIGIN_HOST, STEP_START,
				 "the service manager passed something else than one listening "
				 "ListenSequentialPacket= socket");
	k->inherited_socket = true;
	*ret_fd = SD_LISTEN_FDS_START;
	return 0;
}

static int make_socket(struct keeper *k, int *ret_fd, struct spawn_error *err)
{
	_cleanup_close_ int fd = -1, directory = -1;
	char path[PATH_MAX];
	const char *name;
	int r;

	split_path(k->options.socket, path, sizeof(path), &name);
	directory = open_directory(k, path, err);
	if (directory < 0)
		return directory;
	r = lock_directory(k, directory, name, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "socket");
	r = bind_in(fd, directory, name);
	if (r == 0 && fchmodat(directory, name, k->options.system_mode ? 0666 : 0600, 0) < 0)
		r = -errno;
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "cannot listen at %s",
				   k->options.socket);
	*ret_fd = take_fd(&fd);
	return 0;
}

struct connection *peer_find(struct keeper *k, uint64_t connection)
{
	for (struct connection *p = k->peers; p; p = p->next)
		if (p->connection == connection)
			return p;
	return NULL;
}

static void peer_drop(struct connection *peer)
{
	struct keeper *k = peer->keeper;
	struct connection **p = &k->peers;

	while (*p != peer)
		p = &(*p)->next;
	*p = peer->next;
	poller_remove(&k->poller, &peer->watch);
	peer_identity_finish(&peer->identity);
	free(peer);
}

static void peer_gone(struct watch *w, uint32_t events)
{
	peer_drop(watch_owner(w, struct connection, watch));
}

void peer_forget(struct keeper *k, uint64_t connection)
{
	struct connection *p = peer_find(k, connection);

	if (p)
		peer_drop(p);
}

/* In what other processes may write: the worst that a false name does is to keep a connection. */
static void mark_named(struct keeper *k, const struct host_process *h)
{
	struct slot *slots;

	if (slots_map(h->slots_fd, h->n_slots, &slots) < 0)
		return;
	for (uint32_t i = 0; i < h->n_slots; i++) {
		struct connection *p = NULL;

		if (slot_state(&slots[i]) == SLOT_LAUNCHED)
			p = peer_find(k, slots[i].owner);
		if (p)
			p->named = true;
	}
	slots_unmap(slots, h->n_slots);
}

void peer_forget_idle(struct keeper *k)
{
	struct connection *next;

	for (struct host_process *h = k->hosts; h; h = h->next)
		mark_named(k, h);
	for (struct connection *p = k->peers; p; p = next) {
		next = p->next;
		if (!p->named)
			peer_drop(p);
		else
			p->named = false;
	}
}

int peer_add(struct keeper *k, uint64_t connection, struct peer_identity *take)
{
	struct connection *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->connection = connection;
	p->keeper = k;
	p->watch = (struct watch){.fd = -1, .ready = peer_gone};
	r = poller_add(&k->poller, &p->watch, take->pidfd, EPOLLIN);
	if (r < 0) {
		free(p);
		return r;
	}
	p->identity = *take;
	*take = (struct peer_identity){.pidfd = -1};
	p->next = k->peers;
	k->peers = p;
	return 0;
}

/* The only words that the keeper says to a client: that it may not come in. Never read, never
 * waited for. */
static void refuse(int connection, int code, unsigned step, enum spawn_origin origin,
		   const char *text)
{
	uint8_t buf[2048];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_ERROR, 0);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_ORIGIN, origin);
	frame_u32(&f, REC_STEP, step);
	frame_text(&f, REC_TEXT, text);
	if (code == -EAGAIN)
		frame_u64(&f, REC_RETRY, 100);
	channel_send_frame(connection, &f, NULL, 0, MSG_DONTWAIT);
}

/* In user mode nobody can be given other groups than the server's: to have fewer is to be confined.
 */
static void compare_groups(struct keeper *k, struct peer_identity *id)
{
	struct credentials c;

	if (k->options.system_mode || id->confined[0])
		return;
	if (credentials_copy(&c, id->uid, id->gid, id->groups, id->n_groups) < 0) {
		snprintf(id->confined, sizeof(id->confined), "no memory to compare its groups");
		return;
	}
	if (!credentials_equal(&c, &k->own))
		snprintf(id->confined, sizeof(id->confined), "its groups are not the server's");
	credentials_finish(&c);
}

static int pass_on(struct keeper *k, int connection, struct peer_identity *id)
{
	_cleanup_free_ uint8_t *buf = malloc(FRAME_SIZE);
	int fds[2] = {connection, id->pidfd};
	uint64_t number = ++k->last_connection;
	struct credentials c;
	struct frame f;
	uint8_t *groups;

	if (!buf || credentials_copy(&c, id->uid, id->gid, id->groups, id->n_groups) < 0)
		return -ENOMEM;
	frame_begin(&f, buf, FRAME_SIZE, MSG_PEER, 0);
	frame_u64(&f, REC_CONNECTION, number);
	frame_u32(&f, REC_PID, (uint32_t)id->pid);
	frame_u32(&f, REC_UID, id->uid);
	frame_u32(&f, REC_GID, id->gid);
	groups = frame_space(&f, REC_GROUPS, c.n_groups * 4);
	for (size_t i = 0; groups && i < c.n_groups; i++)
		put_u32(groups + 4 * i, c.groups[i]);
	credentials_finish(&c);
	if (id->confined[0])
		frame_text(&f, REC_CONFINED, id->confined);
	broker_send(k, &f, fds, 2);
	return peer_add(k, number, id);
}

static void admit(struct keeper *k, int connection)
{
	struct peer_identity id = {.pidfd = -1};
	struct spawn_error err;
	char quoted[SPAWN_ERROR_TEXT];
	int r = peer_identify(connection, &k->baseline, &id, &err);

	if (r < 0) {
		log_line(LOG_NOTICE, "peer-refused", "reason=%s",
			 log_quote(quoted, sizeof(quoted), err.message));
		refuse(connection, r, STEP_HELLO, SPAWN_ORIGIN_POLICY, err.message);
		return;
	}
	if (!k->options.system_mode && id.uid != k->own.uid) {
		char text[128];

		snprintf(text, sizeof(text),
			 "this is the server of uid %u; start your own: spawnd --user", k->own.uid);
		refuse(connection, -EPERM, STEP_HELLO, SPAWN_ORIGIN_POLICY, text);
	} else {
		compare_groups(k, &id);
		r = pass_on(k, connection, &id);
		if (r < 0)
			refuse(connection, -EAGAIN, STEP_HELLO, SPAWN_ORIGIN_POOL,
			       "the server is out of memory or descriptors; try again");
	}
	peer_identity_finish(&id);
}

/* Out of descriptors: the reserve makes room to accept one, tell it so, and hang up. */
static void answer_without_room(struct keeper *k)
{
	int fd;

	k->reserve_fd = fd_close(k->reserve_fd);
	fd = accept4(k->listening.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		refuse(fd, -EAGAIN, STEP_LIMIT, SPAWN_ORIGIN_POOL,
		       "the server is out of descriptors (its limit is LimitNOFILE= or ulimit -n); try again");
		fd_close(fd);
	}
	k->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listening_ready(struct watch *w, uint32_t events)
{
	struct keeper *k = watch_owner(w, struct keeper, listening);
	int fd;

	fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		answer_without_room(k);
	} else if (fd >= 0) {
		/* Cannot fail on a socket; were it to, no message of the client's would count. */
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
		admit(k, fd);
		fd_close(fd);
	}
}

void listen_pause(struct keeper *k, bool on)
{
	if (k->listening.fd >= 0)
		poller_modify(&k->poller, &k->listening, on ? 0 : EPOLLIN);
}

int listen_watch(struct keeper *k)
{
	int on = 1, fd = k->listening.fd;

	k->listening = (struct watch){.fd = -1, .ready = listening_ready};
	/*
	 * Each message then carries its sender, by the kernel, also what a client sends before it
	 * is accepted. Since Linux 6.16 a connection has it from connect() on or not: who waited at
	 * a socket that was passed to us is given it when accepted, see listening_ready().
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	if (k->reserve_fd < 0)
		k->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return poller_add(&k->poller, &k->listening, fd, EPOLLIN);
}

int listen_open(struct keeper *k, struct spawn_error *err)
{
	int fd = -1, r;

	r = inherit_socket(k, &fd, err);
	if (r == 0 && fd < 0)
		r = make_socket(k, &fd, err);
	if (r < 0)
		return r;
	fd_set_cloexec(fd, 1);
	fd_set_nonblock(fd, 1);
	k->listening.fd = fd;
	r = listen_watch(k);
	return r < 0 ? error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "watch the socket") : 0;
}

void listen_close(struct keeper *k)
{
	char lock[PATH_MAX + 8];
	int fd = k->listening.fd;

	if (fd < 0)
		return;
	poller_remove(&k->poller, &k->listening);
	fd_close(fd);
	if (!k->inherited_socket) {
		unlink(k->options.socket);
		snprintf(lock, sizeof(lock), "%s.lock", k->options.socket);
		unlink(lock);
	}
}
