/* SPDX-License-Identifier: MIT */
/* inventory.h - what a process holds, by kind, for who looks for what it should not hold. */
#ifndef STRESS_INVENTORY_H
#define STRESS_INVENTORY_H

#include <sys/types.h>

/* One line to stderr: "keeper: 12 socket, 3 pidfd, 1 pidfd of a process that is over, ...". */
void inventory_show(const char *name, pid_t pid);

#endif
