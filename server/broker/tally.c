/* SPDX-License-Identifier: MIT */
/*
 * What clients release without a word (wire/tally.h), and what hosts are told of it: many at a
 * time. Both when something else is said anyway, and else some milliseconds later.
 */
#include "broker/broker.h"

/* How long a zombie may be kept that nobody wants any more. */
#define LOOK_MS 20

void tally_open(struct session *s, int fd)
{
	tally_map(fd, &s->tally); /* what is none is not used: RELEASE says the same */
	s->tally_read = 0;
}

static void leave(struct session *s)
{
	struct session **p = &s->broker->watched;

	if (!s->watched)
		return;
	while (*p != s)
		p = &(*p)->next_watched;
	*p = s->next_watched;
	s->watched = false;
}

void tally_read(struct session *s)
{
	uint64_t serial;
	int r;

	if (!s->tally)
		return;
	/* No more than can be in it: who writes on and on is read on the next occasion. */
	for (int i = 0; i < TALLY_SERIALS; i++) {
		r = tally_get(s->tally, &s->tally_read, &serial);
		if (r == 0)
			return;
		if (r < 0) {
			session_break(s);
			return;
		}
		session_release(s, serial);
	}
}

void tally_close(struct session *s)
{
	tally_read(s);
	leave(s);
	tally_unmap(&s->tally);
}

static void look_due(uv_timer_t *timer);

void look_soon(struct broker *b)
{
	if (!uv_is_active((uv_handle_t *)b->look))
		uv_timer_start(b->look, look_due, LOOK_MS, 0);
}

void tally_watch(struct session *s)
{
	struct broker *b = s->broker;

	if (!s->tally)
		return;
	s->told++;
	s->told_lately = true;
	if (s->watched)
		return;
	s->watched = true;
	s->next_watched = b->watched;
	b->watched = s;
	tally_set_watched(s->tally, true);
	look_soon(b);
}

void tally_collect(struct broker *b)
{
	if (b->collecting)
		return; /* from within: somebody got the place of what was released */
	b->collecting = true;
	for (struct session *s = b->watched; s; s = s->next_watched)
		tally_read(s);
	b->collecting = false;
}

void tally_settle(struct broker *b)
{
	for (struct host *h = b->hosts; h; h = h->next)
		host_send_reaps(h);
	for (struct session *s = b->watched; s; s = s->next_watched)
		tally_set_done(s->tally, s->tally_read);
}

/* Who has released all that it was told of, or was told of nothing lately, is waited for no more.
 */
static bool may_leave(const struct session *s)
{
	return s->told == 0 || !s->told_lately;
}

static void look_due(uv_timer_t *timer)
{
	struct broker *b = timer->data;
	struct session *next;

	tally_collect(b);
	for (struct session *s = b->watched; s; s = s->next_watched) {
		s->parting = may_leave(s);
		s->told_lately = false;
		if (!s->parting)
			continue;
		tally_set_watched(s->tally, false);
		tally_read(s);
	}
	tally_settle(b);
	for (struct session *s = b->watched; s; s = next) {
		next = s->next_watched;
		if (!s->parting)
			continue;
		s->told = 0;
		leave(s);
	}
	if (b->watched)
		look_soon(b);
}

void look_open(struct broker *b)
{
	b->look = timer_open(b, b);
}
