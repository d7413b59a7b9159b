/* SPDX-License-Identifier: MIT */
/* havoc.h - kills, and remembers what it killed and when: only that excuses an odd answer. */
#ifndef STRESS_HAVOC_H
#define STRESS_HAVOC_H

#include "crowd.h"
#include "fate.h"
#include "stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct deed {
	enum havoc kind;
	pid_t pid;
	uint64_t at_ns;
};

struct havoc_log {
	struct deed *deeds;
	size_t n, size;
	unsigned missed[HAVOC_COUNT]; /* there was none to kill */
};

void havoc_do(struct havoc_log *log, struct stage *stage, struct crowd *crowd,
	      const struct fate *fate);
/* Whether one of that kind (pid 0: any) was killed between from and to. */
bool havoc_was(const struct havoc_log *log, enum havoc kind, pid_t pid, uint64_t from_ns,
	       uint64_t to_ns);
unsigned havoc_count(const struct havoc_log *log, enum havoc kind);

#endif
