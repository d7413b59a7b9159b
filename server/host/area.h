/* SPDX-License-Identifier: MIT */
/*
 * area.h - arguments and environment as the kernel lays them out for a new program: argc, argv,
 * envp and the auxiliary vector behind each other, the strings in one piece. Some programs walk
 * from one to the next, and the kernel shows the strings in /proc/PID/cmdline and environ.
 */
#ifndef HOST_AREA_H
#define HOST_AREA_H

#include <linux/prctl.h>
#include <stdbool.h>
#include <stddef.h>

struct area {
	struct prctl_mm_map map; /* of this process */
	bool may_move;		 /* map was read */
	char **argv;		 /* as the kernel made it */
	const void *auxv;
	size_t auxv_size;
};

/* In the host, with the argv that the kernel made: what leaves need is looked up once. */
void area_prepare(struct area *ret, char **argv);
/* In a leaf: the arguments of an area of its own, which lives as long as the process; NULL when out
 * of memory. The heap is not used. Where the kernel cannot be told, what fits of the arguments is
 * written over the host's. */
char **area_make(const struct area *a, int argc, char *const *argv, char *const *envp);

#endif
