/* SPDX-License-Identifier: MIT */
#include "pid_map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Ids are given out in sequence: spread them. */
static size_t home(const struct pid_map *m, pid_t pid)
{
	return ((uint32_t)pid * 2654435769u >> 7) & (m->n_slots - 1);
}

static size_t slot_of(const struct pid_map *m, pid_t pid)
{
	size_t i = home(m, pid);

	while (m->slots[i].pid != 0 && m->slots[i].pid != pid)
		i = (i + 1) & (m->n_slots - 1);
	return i;
}

static int grow(struct pid_map *m)
{
	struct pid_map larger = {.n_slots = m->n_slots ? m->n_slots * 2 : 1024, .n = m->n};

	larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		if (m->slots[i].pid != 0)
			larger.slots[slot_of(&larger, m->slots[i].pid)] = m->slots[i];
	}
	free(m->slots);
	*m = larger;
	return 0;
}

void *pid_map_find(const struct pid_map *m, pid_t pid)
{
	return m->n && pid > 0 ? m->slots[slot_of(m, pid)].value : NULL;
}

int pid_map_add(struct pid_map *m, pid_t pid, void *value)
{
	size_t i;

	if (m->n * 2 >= m->n_slots && grow(m) < 0)
		return -ENOMEM;
	i = slot_of(m, pid);
	m->slots[i].pid = pid;
	m->slots[i].value = value;
	m->n++;
	return 0;
}

void pid_map_remove(struct pid_map *m, pid_t pid)
{
	size_t mask = m->n_slots - 1, hole, i;

	if (m->n == 0)
		return;
	hole = slot_of(m, pid);
	if (m->slots[hole].pid == 0)
		return;
	m->n--;
	/* What follows without a gap moves up, unless it would come before its home. */
	for (i = (hole + 1) & mask; m->slots[i].pid != 0; i = (i + 1) & mask) {
		if (((i - home(m, m->slots[i].pid)) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	memset(&m->slots[hole], 0, sizeof(m->slots[hole]));
}

void *pid_map_next(const struct pid_map *m, size_t *cursor)
{
	while (*cursor < m->n_slots) {
		size_t i = (*cursor)++;

		if (m->slots[i].pid != 0)
			return m->slots[i].value;
	}
	return NULL;
}

void pid_map_done(struct pid_map *m)
{
	free(m->slots);
	*m = (struct pid_map){0};
}
