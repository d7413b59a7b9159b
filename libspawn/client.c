/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "base/error.h"
#include "base/fd.h"
#include "build-config.h"
#include "connect.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

const char *spawn_version(void)
{
	return SPAWND_VERSION;
}

int spawn_client_open(struct spawn_client **ret, const char *socket_path, struct spawn_error *err)
{
	_uncancellable_ cancel = cancel_off();
	_cleanup_free_ struct spawn_client *client = malloc(sizeof(*client));
	_cleanup_free_ char *path = NULL;
	struct connection *c;
	int r;

	r = client ? connect_path(socket_path, &path) : -ENOMEM;
	if (r == 0)
		r = connection_new(path, &c);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot open a client");
	connection_lock(c);
	r = connection_open(c, 0, err);
	connection_unlock(c);
	if (r < 0) {
		connection_unref(c);
		return r;
	}
	atomic_init(&client->connection, c);
	*ret = take_pointer(&client);
	return 0;
}

int client_enter(struct spawn_client *client, struct connection **ret, struct spawn_error *err)
{
	struct connection *old = atomic_load(&client->connection), *new;
	int r;

	if (old->pid == getpid()) {
		*ret = connection_ref(old);
		return 0;
	}
	/*
	 * A forked child. Another thread of the parent may have held the lock when it forked, and
	 * the lists may be half made: nothing of it can be used or even freed.
	 */
	r = connection_new(old->path, &new);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "connect anew");
	if (atomic_compare_exchange_strong(&client->connection, &old, new)) {
		connection_abandon(old);
	} else {
		connection_unref(new);
		new = old; /* another thread of this child was first */
	}
	*ret = connection_ref(new);
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

void spawn_client_close(struct spawn_client *client)
{
	struct connection *c;
	struct call *call;

	if (!client)
		return;
	_uncancellable_ cancel = cancel_off();
	c = atomic_load(&client->connection);
	free(client);
	if (c->pid != getpid()) {
		connection_abandon(c);
		return;
	}
	connection_lock(c);
	call = take_back_submits(c);
	connection_unlock(c);
	while (call) {
		struct call *next = call->next;

		error_set(&call->error, -EINPROGRESS, SPAWN_ORIGIN_CLIENT, STEP_CANCEL,
			  "the client was closed before the server answered: outcome unknown");
		spawn_proc_free(call->proc);
		call->on_started(NULL, &call->error, call->user);
		free(call);
		call = next;
	}
	connection_unref(c); /* its procs keep it */
}

int spawn_client_fd(const struct spawn_client *client)
{
	struct connection *c = atomic_load(&client->connection);
	_uncancellable_ cancel = cancel_off();
	int fd;

	if (c->pid != getpid())
		return -1;
	connection_lock(c);
	fd = c->fd;
	connection_unlock(c);
	return fd;
}

int spawn_client_dispatch(struct spawn_client *client)
{
	_uncancellable_ cancel = cancel_off();
	struct connection *c;
	int r = client_enter(client, &c, NULL);

	if (r < 0)
		return r;
	connection_lock(c);
	r = connection_drain(c);
	connection_unlock(c);
	connection_unref(c);
	return r;
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
