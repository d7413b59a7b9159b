/* SPDX-License-Identifier: MIT */
/* event.h - what the kernel says of a process, with what was looked up when it said so. */
#ifndef CENSUS_EVENT_H
#define CENSUS_EVENT_H

#include <stdint.h>
#include <sys/types.h>

#define NAME_SIZE 16 /* TASK_COMM_LEN */

enum event_kind { EVENT_FORK, EVENT_EXEC, EVENT_NAME, EVENT_EXIT };

/* What a child had of its parent's memory when it began. */
enum memory { MEMORY_UNTOLD, MEMORY_COPIED, MEMORY_SHARED, N_MEMORIES };

struct event {
	enum event_kind kind;
	uint64_t time;		       /* ns of CLOCK_MONOTONIC */
	pid_t pid, tgid;	       /* a thread and its process; of a FORK the new one's */
	pid_t parent_pid, parent_tgid; /* FORK */
	enum memory memory;	       /* FORK of a process: looked up */
	uint64_t named_at;	       /* EXEC: when the name was looked up */
	char name[NAME_SIZE];	       /* NAME: said; EXEC: looked up, "" if too late */
};

#endif
