/* SPDX-License-Identifier: MIT */
/* Launched leaves: by serial, and by token for an owner who lost its connection. */
#include "base/fd.h"
#include "broker/broker.h"

#include <stdlib.h>
#include <string.h>

static struct entry **bucket(struct broker *b, uint64_t serial)
{
	return &b->entries[(serial ^ serial >> 12 ^ serial >> 44) % ENTRY_BUCKETS];
}

struct entry *entry_find(struct broker *b, uint64_t serial)
{
	struct entry *e = *bucket(b, serial);

	while (e && e->serial != serial)
		e = e->next;
	return e;
}

struct entry *entry_find_token(struct broker *b, const uint8_t *token)
{
	for (size_t i = 0; i < ENTRY_BUCKETS; i++)
		for (struct entry *e = b->entries[i]; e; e = e->next)
			if (memcmp(e->token, token, WIRE_TOKEN_SIZE) == 0)
				return e;
	return NULL;
}

void entry_set_session(struct entry *e, struct session *s)
{
	struct session *before = e->session;

	if (before == s)
		return;
	if (s)
		s->n_leaves++;
	e->session = s;
	if (before) {
		before->n_leaves--;
		session_unref_leaf(before);
	}
}

struct entry *entry_add(struct broker *b, struct host *h, struct session *s, uint64_t serial,
			pid_t pid, const uint8_t *token)
{
	struct entry *e = calloc(1, sizeof(*e)), **p = bucket(b, serial);

	if (!e)
		return NULL;
	e->serial = serial;
	e->host = h;
	e->pid = pid;
	e->pidfd = -1;
	memcpy(e->token, token, WIRE_TOKEN_SIZE);
	e->user = user_get(b, h->uid);
	if (e->user)
		e->user->leaves++;
	h->n_leaves++;
	entry_set_session(e, s);
	e->next = *p;
	*p = e;
	return e;
}

void entry_remove(struct broker *b, struct entry *e)
{
	struct entry **p = bucket(b, e->serial);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	if (e->user)
		e->user->leaves--;
	e->host->n_leaves--;
	host_maybe_free(e->host);
	entry_set_session(e, NULL);
	fd_close(e->pidfd);
	free(e);
}

void entry_gone(struct broker *b, struct entry *e)
{
	struct pool *p = e->host->pool;

	entry_remove(b, e);
	if (p)
		pool_turn(p); /* somebody may wait for the place */
}

void entry_tell(struct entry *e)
{
	uint8_t buf[256];
	struct frame f;

	if (!e->session || e->session->fd < 0)
		return;
	frame_begin(&f, buf, sizeof(buf), MSG_EXIT, 0);
	frame_u64(&f, REC_SERIAL, e->serial);
	frame_bytes(&f, REC_EXIT, e->record, sizeof(e->record));
	session_send(e->session, &f, -1);
	tally_watch(e->session);
}

void entry_over(struct broker *b, struct entry *e, const uint8_t *record)
{
	if (e->over)
		return; /* a keeper that became its own successor tells it again */
	e->over = true;
	memcpy(e->record, record, sizeof(e->record));
	if (e->released)
		entry_gone(b, e);
	else
		entry_tell(e);
}

void entry_each(struct broker *b, entry_fn *fn, void *user)
{
	for (size_t i = 0; i < ENTRY_BUCKETS; i++) {
		struct entry *e = b->entries[i], *next;

		for (; e; e = next) {
			next = e->next;
			fn(e, user);
		}
	}
}
