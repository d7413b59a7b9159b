/* SPDX-License-Identifier: MIT */
/*
 * slot.h - what a leaf tells its parent, in memory shared with it.
 *
 * The keeper makes one memfd of slots for each host and seals its size; the host gives each leaf
 * a slot before it forks; the leaf writes there when it is launched, through a descriptor that it
 * closes before user code. So the parent (the host, or the keeper once the host is dead) knows of a
 * launch that a dead broker can no longer tell it. A parent believes a slot no more than it must:
 * the worst a false one can do is to make a leaf's own record false.
 */
#ifndef SERVER_SLOT_H
#define SERVER_SLOT_H

#include "wire/message.h"

#include <stdint.h>

/* serial = host << 44 | count << 12 | slot */
#define SLOT_BITS	  12
#define SLOTS_MAX	  (1u << SLOT_BITS)
#define SERIAL_COUNT_BITS 32
#define SERIAL_HOST_MAX	  ((1ull << (64 - SLOT_BITS - SERIAL_COUNT_BITS)) - 1)

static inline uint32_t serial_slot(uint64_t serial)
{
	return (uint32_t)(serial & (SLOTS_MAX - 1));
}

static inline uint64_t serial_make(uint64_t host, uint32_t count, uint32_t slot)
{
	return host << (SLOT_BITS + SERIAL_COUNT_BITS) | (uint64_t)count << SLOT_BITS | slot;
}

enum slot_state { SLOT_FREE = 0, SLOT_PARKED = 1, SLOT_LAUNCHED = 2 };

struct slot {
	uint32_t state; /* enum slot_state; written last, with release */
	uint32_t nofork, nofork_by;
	uint32_t flags; /* FLAG_KILL_WITH_CALLER */
	uint64_t serial;
	uint64_t owner;
	uint8_t token[WIRE_TOKEN_SIZE];
	uint64_t grace_ms;
	uint64_t deadline_ns; /* absolute, 0 for none */
	uint64_t launched_ns;
	uint32_t start_step, start_errno;
};

static inline uint32_t slot_state(const struct slot *s)
{
	return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static inline void slot_set_state(struct slot *s, enum slot_state state)
{
	__atomic_store_n(&s->state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* A memfd for n slots, its size sealed: a mapping of it cannot be made to fault. */
int slots_create(uint32_t n, int *ret_fd);
/* Maps it, checking seals and size; the mapping is shared, and not inherited. */
int slots_map(int fd, uint32_t n, struct slot **ret);
void slots_unmap(struct slot *slots, uint32_t n);

#endif
