/* SPDX-License-Identifier: MIT */
/* procfs.h - what is looked up beside the events. Each may come too late, and says so. */
#ifndef CENSUS_PROCFS_H
#define CENSUS_PROCFS_H

#include "event.h"
#include "population.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sights all that lives. Negative errno if there is no /proc. */
int procfs_sight_all(struct population *p);
/* The name of the process's program now, "" if it is gone. */
void procfs_name(pid_t tgid, char ret[NAME_SIZE]);
/* How the child came by its memory, if that can be told for certain. *ret_refused: 0, or the errno
 * of a kernel that does not compare, for this user or at all. */
enum memory procfs_memory(pid_t parent, pid_t child, int *ret_refused);
/* Has its last thread ended? */
bool procfs_is_over(pid_t tgid);
/* How many mappings of the process hold anonymous pages; negative errno, -ESRCH if it is gone. */
int64_t procfs_anonymous(pid_t tgid);

/* A slab cache. */
struct cache {
	uint64_t objects, bytes;
};
/* Objects in use of the cache and the bytes of its slabs; -ENOENT: there is none of that name;
 * -EACCES: not for this user. */
int procfs_cache(const char *name, struct cache *ret);
/* How many caches share the slabs of that one; 0 if that is not known. */
unsigned procfs_cache_sharers(const char *name);

#endif
