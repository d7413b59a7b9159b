/* SPDX-License-Identifier: MIT */
/* init.h - counting from the first process of a boot on. */
#ifndef CENSUS_INIT_H
#define CENSUS_INIT_H

/*
 * For process 1, which the command has to become: returns in a child that is to count, with a
 * descriptor to close as soon as it listens; the caller's process waits for that and executes the
 * command, whether it counts or not. Negative errno: there is no child, and the command was not
 * executed.
 */
int init_leave(char **command);

#endif
