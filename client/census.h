/* SPDX-License-Identifier: MIT */
/* census.h - `spawn census` is spawn-census(1), a program of its own. */
#ifndef CLIENT_CENSUS_H
#define CLIENT_CENSUS_H

/* Becomes it: the one beside this program, else the one in PATH. Returns the exit status if there
 * is none, after a line on stderr. args[0] is replaced. */
int census(char **args);

#endif
