/* SPDX-License-Identifier: MIT */
/*
 * close() of a stranger's descriptor may block for as long as a FUSE server or a lingering socket
 * likes. libuv's four threads do it; a uid that keeps them busy is refused more (session.c).
 */
#include "base/fd.h"
#include "broker/broker.h"

#include <stdlib.h>

struct closing {
	uv_work_t work;
	struct user *user;
	int fd;
};

static void do_close(uv_work_t *work)
{
	struct closing *c = work->data;

	c->fd = fd_close(c->fd);
}

static void closed(uv_work_t *work, int status)
{
	struct closing *c = work->data;

	if (c->user)
		c->user->closing--;
	free(c);
}

static int queue(struct broker *b, struct user *u, int fd)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c)
		return UV_ENOMEM;
	c->work.data = c;
	c->user = u;
	c->fd = fd;
	if (uv_queue_work(&b->loop, &c->work, do_close, closed) < 0) {
		free(c);
		return UV_ENOMEM;
	}
	if (u)
		u->closing++;
	return 0;
}

void closer_close(struct user *u, struct broker *b, int fd)
{
	if (fd >= 0 && queue(b, u, fd) < 0)
		fd_close(fd); /* out of memory: better slow than leaking */
}

/* Makes the threads exist: after the sandbox none can be made. */
int closer_warm(struct broker *b)
{
	return queue(b, NULL, -1);
}
