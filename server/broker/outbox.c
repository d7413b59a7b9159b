/* SPDX-License-Identifier: MIT */
/* Datagrams that did not fit into a socket, to be sent in order when there is room. */
#include "base/fd.h"
#include "broker/broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct unsent {
	struct unsent *next;
	int fd; /* -1 or one descriptor */
	size_t len;
	uint8_t data[];
};

void outbox_init(struct outbox *o)
{
	*o = (struct outbox){.end = &o->first};
}

static bool is_for_later(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

static int keep(struct broker *b, struct outbox *o, const struct frame *f, int fd)
{
	struct unsent *u;

	if (fd >= 0 && b->n_kept >= b->max_kept)
		return -EMFILE;
	u = malloc(sizeof(*u) + f->len);
	if (!u)
		return -ENOMEM;
	u->fd = fd >= 0 ? fd_dup_above(fd, 3) : -1;
	if (fd >= 0 && u->fd < 0) {
		free(u);
		return -EMFILE;
	}
	u->next = NULL;
	u->len = f->len;
	memcpy(u->data, f->data, f->len);
	*o->end = u;
	o->end = &u->next;
	o->n++;
	b->n_kept += u->fd >= 0;
	return 0;
}

int outbox_send(struct broker *b, struct outbox *o, int sock, struct frame *f, int fd, size_t max)
{
	int r = frame_finish(f);

	if (r < 0)
		return r;
	r = o->n ? -EAGAIN : channel_send(sock, f->data, f->len, &fd, fd >= 0, MSG_DONTWAIT);
	if (is_for_later(r))
		r = o->n < max ? keep(b, o, f, fd) : -ENOBUFS;
	return r;
}

static void drop_first(struct broker *b, struct outbox *o)
{
	struct unsent *u = o->first;

	o->first = u->next;
	if (!o->first)
		o->end = &o->first;
	o->n--;
	b->n_kept -= u->fd >= 0;
	fd_close(u->fd);
	free(u);
}

int outbox_flush(struct broker *b, struct outbox *o, int sock)
{
	while (o->first) {
		struct unsent *u = o->first;
		int r = channel_send(sock, u->data, u->len, &u->fd, u->fd >= 0, MSG_DONTWAIT);

		if (is_for_later(r))
			return 0;
		if (r < 0)
			return r;
		drop_first(b, o);
	}
	return 0;
}

void outbox_drop(struct broker *b, struct outbox *o)
{
	while (o->first)
		drop_first(b, o);
}
