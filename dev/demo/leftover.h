/* SPDX-License-Identifier: MIT */
/* leftover.h - what a stopped server must not leave: processes and files. */
#ifndef DEMO_LEFTOVER_H
#define DEMO_LEFTOVER_H

#include <stddef.h>

/*
 * Reaps this process' children, among them (it is a subreaper) all descendants whose parents are
 * gone. Those still alive get a moment to end by themselves, are then named on stderr and killed.
 * Returns how many were killed.
 */
size_t leftover_processes(void);

/* Removes the directory; what is in it is named on stderr first. How many files that were. */
size_t leftover_files(const char *dir);

#endif
