/* SPDX-License-Identifier: MIT */
/* pid_map.h - from a process or thread id to something. */
#ifndef CENSUS_PID_MAP_H
#define CENSUS_PID_MAP_H

#include <stddef.h>
#include <sys/types.h>

struct pid_map {
	struct {
		pid_t pid; /* 0: free */
		void *value;
	} * slots;
	size_t n_slots, n;
};

void *pid_map_find(const struct pid_map *m, pid_t pid);
/* pid is greater than 0 and not in the map. -ENOMEM. */
int pid_map_add(struct pid_map *m, pid_t pid, void *value);
void pid_map_remove(struct pid_map *m, pid_t pid);
/* One value after the other, from a cursor of 0 on; NULL after the last. */
void *pid_map_next(const struct pid_map *m, size_t *cursor);
void pid_map_done(struct pid_map *m);

#endif
