/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "base/error.h"
#include "base/fd.h"
#include "build-config.h"
#include "connect.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

const char *spawn_version(void)
{
	return SPAWND_VERSION;
}

/* Takes the connection, also on failure. */
static int open_client(struct spawn_client **ret, struct connection *c, struct spawn_error *err)
{
	_cleanup_free_ struct spawn_client *client = malloc(sizeof(*client));
	int r;

	if (!client) {
		connection_unref(c);
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot open a client");
	}
	connection_lock(c);
	r = connection_open(c, 0, err);
	connection_unlock(c);
	if (r < 0) {
		connection_unref(c);
		return r;
	}
	atomic_init(&client->connection, c);
	atomic_init(&client->own, NULL);
	*ret = take_pointer(&client);
	return 0;
}

int spawn_client_open(struct spawn_client **ret, const char *socket_path, struct spawn_error *err)
{
	_uncancellable_ cancel = cancel_off();
	_cleanup_free_ char *path = NULL;
	struct connection *c;
	int r = connect_path(socket_path, &path);

	if (r == 0)
		r = connection_new(path, &c);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot open a client");
	return open_client(ret, c, err);
}

int spawn_private_open(struct spawn_client **ret, struct spawn_error *err)
{
	_uncancellable_ cancel = cancel_off();
	struct connection *c;
	int r = connection_new(NULL, &c);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot open a client");
	return open_client(ret, c, err);
}

/* old: what was found in it, NULL or a parent's. */
static int replace(_Atomic(struct connection *) *slot, struct connection *old, const char *path,
		   struct connection **ret, struct spawn_error *err)
{
	struct connection *new;
	int r = connection_new(path, &new);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "connect anew");
	if (!atomic_compare_exchange_strong(slot, &old, new)) {
		connection_unref(new);
		new = old; /* another thread was first */
	} else if (old) {
		/*
		 * A forked child. Another thread of the parent may have held the lock when it
		 * forked, and the lists may be half made: nothing of it can be used or even freed.
		 */
		connection_abandon(old);
	}
	*ret = connection_ref(new);
	return 0;
}

int client_enter(struct spawn_client *client, struct connection **ret, struct spawn_error *err)
{
	struct connection *c = atomic_load(&client->connection);

	if (c->pid != getpid())
		return replace(&client->connection, c, c->is_private ? NULL : c->path, ret, err);
	*ret = connection_ref(c);
	return 0;
}

int client_enter_private(struct spawn_client *client, struct connection **ret,
			 struct spawn_error *err)
{
	struct connection *c = atomic_load(&client->own);

	if (atomic_load(&client->connection)->is_private)
		return client_enter(client, ret, err);
	if (!c || c->pid != getpid())
		return replace(&client->own, c, NULL, ret, err);
	*ret = connection_ref(c);
	return 0;
}

/* Those that wait for their start: the callback is owed, and nobody will read for it any more. */
static struct call *take_back_submits(struct connection *c)
{
	struct call_queue submits = {0}, others = {0};
	struct call *call;

	while ((call = call_queue_take(&c->calls))) {
		uint8_t buf[WIRE_HEADER_SIZE];
		struct frame f;

		if (call->kind != CALL_SUBMIT) {
			call_queue_put(&others, call);
			continue;
		}
		frame_begin(&f, buf, sizeof(buf), MSG_CANCEL, call->id);
		connection_send(c, &f, -1);
		call_queue_put(&submits, call);
	}
	while ((call = call_queue_take(&others)))
		call_queue_put(&c->calls, call);
	return submits.first;
}

static void close_connection(struct connection *c)
{
	struct call *call;

	if (!c)
		return;
	if (c->pid != getpid()) {
		connection_abandon(c);
		return;
	}
	connection_lock(c);
	connection_finish(c);
	call = take_back_submits(c);
	connection_retire(c);
	c->joint.fd = fd_close(c->joint.fd);
	connection_unlock(c);
	while (call) {
		struct call *next = call->next;

		error_set(&call->error, -EINPROGRESS, SPAWN_ORIGIN_CLIENT, STEP_CANCEL,
			  "the client was closed before %s answered: outcome unknown", c->peer);
		spawn_proc_free(call->proc);
		call->on_started(NULL, &call->error, call->user);
		free(call);
		call = next;
	}
	connection_unref(c); /* its procs keep it */
}

void spawn_client_close(struct spawn_client *client)
{
	struct connection *c, *own;

	if (!client)
		return;
	_uncancellable_ cancel = cancel_off();
	c = atomic_load(&client->connection);
	own = atomic_load(&client->own);
	free(client);
	close_connection(own);
	close_connection(c);
}

/* With both locks. */
static int join(struct connection *c, const struct connection *own)
{
	const struct connection *of[2] = {c, own};
	struct stat st;

	if (c->joint.fd >= 0 && c->joint.of[0] == c->fd && c->joint.of[1] == own->fd &&
	    c->joint.losses[0] == c->losses && c->joint.losses[1] == own->losses)
		return c->joint.fd;
	/* Anew, since a lost socket may still be in the old one: a forked child can have it open.
	 */
	fd_close(c->joint.fd);
	c->joint.fd = fd_for_long(epoll_create1(EPOLL_CLOEXEC));
	if (c->joint.fd < 0)
		return c->joint.fd = -1;
	c->joint.ino = fstat(c->joint.fd, &st) == 0 ? st.st_ino : 0;
	for (int i = 0; i < 2; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (epoll_ctl(c->joint.fd, EPOLL_CTL_ADD, of[i]->fd, &event) < 0)
			return c->joint.fd = fd_close(c->joint.fd);
		c->joint.of[i] = of[i]->fd;
		c->joint.losses[i] = of[i]->losses;
	}
	return c->joint.fd;
}

static int fd_of(struct connection *c)
{
	int fd;

	connection_lock(c);
	fd = c->fd;
	connection_unlock(c);
	return fd;
}

int spawn_client_fd(const struct spawn_client *client)
{
	struct connection *c = atomic_load(&client->connection);
	struct connection *own = atomic_load(&client->own);
	_uncancellable_ cancel = cancel_off();
	pid_t self = getpid();
	int fd;

	if (own && own->pid != self)
		own = NULL;
	if (c->pid != self) /* a forked child that has not used it yet, but perhaps the other */
		return own ? fd_of(own) : -1;
	if (!own)
		return fd_of(c);
	connection_lock(c);
	connection_lock(own);
	fd = c->fd < 0 ? own->fd : own->fd < 0 ? c->fd : join(c, own);
	connection_unlock(own);
	connection_unlock(c);
	return fd;
}

/* Takes the reference. */
static int dispatch(struct connection *c)
{
	int r;

	connection_lock(c);
	r = connection_drain(c);
	connection_unlock(c);
	connection_unref(c);
	return r;
}

int spawn_client_dispatch(struct spawn_client *client)
{
	_uncancellable_ cancel = cancel_off();
	struct connection *c, *own = atomic_load(&client->own);
	int r, more = 0;

	if (own && own->pid == getpid())
		more = dispatch(connection_ref(own));
	r = client_enter(client, &c, NULL);
	if (r < 0)
		return r;
	r = dispatch(c);
	return r < 0 ? r : more < 0 ? more : r + more;
}

int spawn_client_ping(struct spawn_client *client, struct spawn_error *err)
{
	_uncancellable_ cancel = cancel_off();
	struct call call = {.kind = CALL_PING};
	struct connection *c;
	int r = client_enter(client, &c, err);

	if (r < 0)
		return r;
	connection_lock(c);
	r = call_ask(c, &call, MSG_PING, err);
	connection_unlock(c);
	connection_unref(c);
	return r;
}
