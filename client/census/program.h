/* SPDX-License-Identifier: MIT */
/* program.h - figures by the name of a program. */
#ifndef CENSUS_PROGRAM_H
#define CENSUS_PROGRAM_H

#include "event.h"

#include <stddef.h>

struct program {
	char name[NAME_SIZE];	      /* "": of those whose name is not known */
	uint64_t processes;	      /* by the last name that each had */
	uint64_t images, leaf_images; /* begun by exec */
	uint64_t children;	      /* processes that it made ... */
	uint64_t made[N_MEMORIES];    /* ... by what became of its memory */
	uint64_t without_exec;	      /* born and ended, and never executed a program */
	uint64_t threaded_images;     /* images that forked while they had several threads ... */
	uint64_t threaded_forks;      /* ... how often ... */
	uint64_t threaded_copies;     /* ... and how often certainly with a copy */
	uint64_t many_forkers;	      /* images in which more than one thread forked */
};

struct program_list {
	struct program *programs; /* by name, once sorted */
	size_t n, size;
	uint32_t *index; /* open addressing: number + 1, 0 is free */
	size_t n_slots;	 /* a power of two */
};

/* The program of that name, which is added if it is new; valid until the next call. NULL: out of
 * memory. */
struct program *program_get(struct program_list *list, const char *name);
/* The first n programs by a figure, largest first and then by name; those with 0 are left out.
 * Returns how many. */
size_t program_top(const struct program_list *list, uint64_t (*figure)(const struct program *),
		   const struct program **ret, size_t n);
void program_list_done(struct program_list *list);

#endif
