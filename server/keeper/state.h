/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the keeper says to itself across an exec: numbers and bytes in a fixed order, in a
 * memfd. The first error is latched; a reader that ran past the end reads zeros and knows it.
 */
#ifndef KEEPER_STATE_H
#define KEEPER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state {
	uint8_t *data;
	size_t len, size, at;
	int error;
};

void state_put(struct state *s, uint64_t value);
void state_put_bytes(struct state *s, const void *bytes, size_t len);
/* A descriptor that shall survive the exec; -1 is fine. */
void state_put_fd(struct state *s, int fd);

uint64_t state_get(struct state *s);
/* Allocated, with a NUL behind them; NULL when latched. */
void *state_get_bytes(struct state *s, size_t max, size_t *ret_len);
/* Close-on-exec again. */
int state_get_fd(struct state *s);

void state_finish(struct state *s);

#endif
