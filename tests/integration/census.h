/* SPDX-License-Identifier: MIT */
/*
 * census.h - counts what a process holds, from /proc. Nothing here asserts; -1 is "may not look"
 * (a process that is not dumpable shows its descriptors to root alone).
 */
#ifndef TEST_CENSUS_H
#define TEST_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct census_process {
	pid_t pid, parent;
	char state; /* 'Z' for a zombie */
	char comm[32];
};

/* Every process that descends from root, root itself left out. Returns how many there are; at most
 * max are stored. */
size_t census_descendants(pid_t root, struct census_process *ret, size_t max);
/* A living descendant of that name that is not `but`, or 0. */
pid_t census_find(pid_t root, const char *comm, pid_t but);
/* Of /proc/PID/stat, 'T' for stopped; 0 when it is gone. */
char census_state(pid_t pid);
/* Descendants that are zombies. */
size_t census_zombies(pid_t root);
/* Open descriptors of a process; -1 when it may not be looked at. */
int census_fds(pid_t pid);
/* The sum over root and the descendants whose name starts with "spawn" and which are not leaves:
 * the keeper, the broker and the hosts. -1 when one may not be looked at. */
int census_server_fds(pid_t root);
/* Resident memory in KiB; -1 when it is gone. */
long census_rss_kib(pid_t pid);
/* Entries of a directory, "." and ".." left out; -1 when there is none. */
int census_entries(const char *path);

#endif
