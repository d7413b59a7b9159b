/* SPDX-License-Identifier: MIT */
#include "keeper/state.h"

#include "base/fd.h"
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *room(struct state *s, size_t len)
{
	uint8_t *p;

	if (s->error)
		return NULL;
	if (s->size - s->len < len) {
		size_t size = s->size * 2 + len + 4096;

		p = realloc(s->data, size);
		if (!p) {
			s->error = -ENOMEM;
			return NULL;
		}
		s->data = p;
		s->size = size;
	}
	p = s->data + s->len;
	s->len += len;
	return p;
}

void state_put(struct state *s, uint64_t value)
{
	uint8_t *p = room(s, 8);

	if (p)
		put_u64(p, value);
}

void state_put_bytes(struct state *s, const void *bytes, size_t len)
{
	uint8_t *p;

	state_put(s, len);
	p = room(s, len);
	if (p && len)
		memcpy(p, bytes, len);
}

void state_put_fd(struct state *s, int fd)
{
	state_put(s, (uint64_t)(int64_t)fd);
	if (fd >= 0 && !s->error)
		s->error = fd_set_cloexec(fd, 0);
}

uint64_t state_get(struct state *s)
{
	uint64_t v;

	if (s->error || s->len - s->at < 8) {
		s->error = s->error ? s->error : -EBADMSG;
		return 0;
	}
	v = get_u64(s->data + s->at);
	s->at += 8;
	return v;
}

void *state_get_bytes(struct state *s, size_t max, size_t *ret_len)
{
	uint64_t len = state_get(s);
	uint8_t *p;

	if (!s->error && (len > max || s->len - s->at < len))
		s->error = -EBADMSG;
	if (s->error)
		return NULL;
	p = malloc(len + 1);
	if (!p) {
		s->error = -ENOMEM;
		return NULL;
	}
	memcpy(p, s->data + s->at, len);
	p[len] = '\0';
	s->at += len;
	*ret_len = len;
	return p;
}

int state_get_fd(struct state *s)
{
	int fd = (int)(int64_t)state_get(s);

	if (s->error || fd < 0)
		return -1;
	if (fd_set_cloexec(fd, 1) < 0) {
		s->error = -EBADF;
		return -1;
	}
	return fd;
}

void state_finish(struct state *s)
{
	free(s->data);
	*s = (struct state){0};
}
