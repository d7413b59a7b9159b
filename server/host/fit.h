/* SPDX-License-Identifier: MIT */
/* fit.h - can a program be held before its main()? As far as its file tells. */
#ifndef HOST_FIT_H
#define HOST_FIT_H

#include <stddef.h>

/*
 * like: an executable of ours, whose dynamic linker a program has to have. 1: it can; 0: it cannot,
 * why says so behind the program's name ("is setuid"); a negative errno: there is no such file.
 */
int fit_inspect(const char *program, const char *like, char *why, size_t size);

#endif
