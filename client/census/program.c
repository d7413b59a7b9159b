/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *name)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return (size_t)h;
}

static uint32_t *slot_of(const struct program_list *list, const char *name)
{
	size_t i = hash(name);

	for (;; i++) {
		uint32_t *slot = &list->index[i & (list->n_slots - 1)];

		if (*slot == 0 || strcmp(list->programs[*slot - 1].name, name) == 0)
			return slot;
	}
}

static bool grow(struct program_list *list)
{
	size_t size = list->size ? list->size * 2 : 64;
	void *programs = reallocarray(list->programs, size, sizeof(*list->programs));
	uint32_t *index;

	if (!programs)
		return false;
	list->programs = programs;
	index = calloc(size * 2, sizeof(*index));
	if (!index)
		return false;
	free(list->index);
	list->index = index;
	list->size = size;
	list->n_slots = size * 2;
	for (size_t i = 0; i < list->n; i++)
		*slot_of(list, list->programs[i].name) = (uint32_t)i + 1;
	return true;
}

struct program *program_get(struct program_list *list, const char *name)
{
	uint32_t *slot;

	if (list->n == list->size && !grow(list))
		return NULL;
	slot = slot_of(list, name);
	if (*slot == 0) {
		struct program *p = &list->programs[list->n];

		*p = (struct program){0};
		strncat(p->name, name, sizeof(p->name) - 1);
		*slot = (uint32_t)++list->n;
	}
	return &list->programs[*slot - 1];
}

static bool before(const struct program *a, const struct program *b,
		   uint64_t (*figure)(const struct program *))
{
	if (figure(a) != figure(b))
		return figure(a) > figure(b);
	return strcmp(a->name, b->name) < 0;
}

size_t program_top(const struct program_list *list, uint64_t (*figure)(const struct program *),
		   const struct program **ret, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct program *p = &list->programs[i];
		size_t at = found;

		if (figure(p) == 0)
			continue;
		while (at > 0 && before(p, ret[at - 1], figure))
			at--;
		if (at == n)
			continue;
		if (found < n)
			found++;
		memmove(&ret[at + 1], &ret[at], (found - at - 1) * sizeof(*ret));
		ret[at] = p;
	}
	return found;
}

void program_list_done(struct program_list *list)
{
	free(list->programs);
	free(list->index);
	*list = (struct program_list){0};
}
