/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include "proc.h"

#include <stdlib.h>

void call_queue_put(struct call_queue *q, struct call *call)
{
	call->next = NULL;
	if (!q->first)
		q->end = &q->first;
	*q->end = call;
	q->end = &call->next;
}

struct call *call_queue_take(struct call_queue *q)
{
	struct call *call = q->first;

	if (call)
		q->first = call->next;
	return call;
}

struct call *call_find(struct connection *c, uint32_t id)
{
	struct call *call = c->calls.first;

	while (call && call->id != id)
		call = call->next;
	return call;
}

uint32_t call_number(struct connection *c)
{
	uint32_t half = c->is_private ? PRIVATE_IDS : 0;

	do
		c->last_id = ((c->last_id + 1) & ~PRIVATE_IDS) | half;
	while (c->last_id == half || call_find(c, c->last_id));
	return c->last_id;
}

void call_add(struct connection *c, struct call *call)
{
	call->sent = ++c->sends;
	call_queue_put(&c->calls, call);
}

void call_remove(struct connection *c, struct call *call)
{
	struct call **p = &c->calls.first;

	while (*p && *p != call)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = call->next;
	if (c->calls.end == &call->next)
		c->calls.end = p;
}

void call_finish(struct connection *c, struct call *call)
{
	call_remove(c, call);
	call->done = true;
	if (!call->lost)
		procs_confirm(c, call->sent);
	if (call->kind != CALL_SUBMIT)
		connection_wake(c, call);
	else if (call->lost)
		call_queue_put(&c->undecided, call);
	else
		call_queue_put(&c->completed, call);
}

void call_drop_replies(struct call *call)
{
	while (call->replies) {
		struct reply *reply = call->replies;

		call->replies = reply->next;
		free(reply);
	}
	call->replies_end = &call->replies;
	call->n_replies = 0;
}

/* Asking twice changes nothing, so a connection that turns out to be lost is made anew, once. */
int call_ask(struct connection *c, struct call *call, enum message_type type,
	     struct spawn_error *err)
{
	int r = 0;

	for (int tries = 0; tries < 2; tries++) {
		uint8_t buf[WIRE_HEADER_SIZE];
		struct frame f;

		call->id = call_number(c);
		call->done = call->lost = false;
		call->error.code = 0;
		frame_begin(&f, buf, sizeof(buf), type, call->id);
		r = connection_send_anew(c, &f, -1, true, NULL, err);
		if (r < 0)
			return r;
		call_add(c, call);
		while (!call->done)
			connection_turn(c, call, 0);
		r = call->error.code;
		if (r < 0 && err)
			*err = call->error;
		if (!call->lost)
			break;
		call_drop_replies(call);
	}
	return r;
}
