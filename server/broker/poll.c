/* SPDX-License-Identifier: MIT */
#include "broker/broker.h"

#include <stdlib.h>

static void closed(uv_handle_t *handle)
{
	free(handle);
}

uv_poll_t *poll_open(struct broker *b, int fd, void *data, uv_poll_cb readable)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));

	/* Without it nothing can be heard: the broker is over, and the keeper starts another. */
	if (!poll || uv_poll_init(&b->loop, poll, fd) < 0)
		abort();
	poll->data = data;
	uv_poll_start(poll, UV_READABLE, readable);
	return poll;
}

void poll_events(uv_poll_t *poll, int events, uv_poll_cb cb)
{
	uv_poll_start(poll, events, cb);
}

void poll_close(uv_poll_t **poll)
{
	if (!*poll)
		return;
	uv_poll_stop(*poll);
	uv_close((uv_handle_t *)*poll, closed);
	*poll = NULL;
}

uv_timer_t *timer_open(struct broker *b, void *data)
{
	uv_timer_t *timer = calloc(1, sizeof(*timer));

	if (!timer || uv_timer_init(&b->loop, timer) < 0)
		abort();
	timer->data = data;
	return timer;
}

void timer_close(uv_timer_t **timer)
{
	if (!*timer)
		return;
	uv_close((uv_handle_t *)*timer, closed);
	*timer = NULL;
}
