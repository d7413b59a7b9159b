/* SPDX-License-Identifier: MIT */
/*
 * environment.h - what of its environment a held program has used already, and whether another one
 * would have been used the same way. The dynamic linker's and the allocator's variables are known;
 * which ones the constructors of libraries ask for is seen (getenv() is stood in front of).
 */
#ifndef HOST_ENVIRONMENT_H
#define HOST_ENVIRONMENT_H

#include <stdbool.h>

/* The value in that environment, or NULL. */
char *environment_value(char *const *envp, const char *name);
/* In the host, once, when it is held: from here on nothing is noted. Takes out of envp, in place,
 * what spawnd put there: the summons, and a first library to preload, whose path is written to
 * preloaded if not NULL. */
void environment_settle(char **envp, char *preloaded, unsigned long size);
/* More variables were asked for than can be noted. */
bool environment_is_overdone(void);
/* In a leaf: would what has been used have been the same? */
bool environment_fits(char *const *envp);

#endif
