/* SPDX-License-Identifier: MIT */
/*
 * close() of a stranger's descriptor may block for as long as a FUSE server or a lingering socket
 * likes. libuv's threads do it, never two for one uid, so that its descriptors keep one thread busy
 * and no more; a uid with too many of them is heard no more until they are closed (session.c).
 */
#include "base/fd.h"
#include "broker/broker.h"

#include <stdlib.h>

struct closing {
	struct closing *next;
	uv_work_t work;
	struct broker *broker;
	struct user *user; /* NULL: closer_warm() */
	int fd;
};

static void do_close(uv_work_t *work)
{
	struct closing *c = work->data;

	c->fd = fd_close(c->fd);
}

static void closed(uv_work_t *work, int status);

static int start(struct closing *c)
{
	c->work.data = c;
	if (c->user)
		c->user->closing_since = uv_now(&c->broker->loop);
	return uv_queue_work(&c->broker->loop, &c->work, do_close, closed);
}

static void closed(uv_work_t *work, int status)
{
	struct closing *c = work->data;
	struct broker *b = c->broker;
	struct user *u = c->user;

	if (!u) {
		free(c);
		return;
	}
	u->closings = c->next;
	u->closing--;
	free(c);
	if (u->closings)
		start(u->closings);
	session_listen_again(b, u);
}

void closer_close(struct user *u, struct broker *b, int fd)
{
	struct closing *c, **end = &u->closings;

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		fd_close(fd); /* out of memory: better slow than leaking */
		return;
	}
	c->broker = b;
	c->user = u;
	c->fd = fd;
	while (*end)
		end = &(*end)->next; /* a few hundred at most */
	*end = c;
	u->closing++;
	if (u->closings == c)
		start(c);
}

/* Makes the threads exist: after the sandbox none can be made. */
int closer_warm(struct broker *b)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c)
		return UV_ENOMEM;
	c->broker = b;
	c->fd = -1;
	if (start(c) == 0)
		return 0;
	free(c);
	return UV_ENOMEM;
}
