/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that children of a fork do not inherit.
 *
 * What a host writes to between two forks is there: an inherited page would be copied for each leaf
 * as soon as it is written to, and stay with that leaf.
 */
#ifndef SERVER_ARENA_H
#define SERVER_ARENA_H

#include <stddef.h>

/* Zeroed, whole pages; NULL when there is none. */
void *arena_map(size_t size);
void arena_unmap(void *p, size_t size); /* NULL is fine */

#endif
