/* SPDX-License-Identifier: MIT */
/* scratch.h - a directory of one test, and files in it. Everything asserts. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <sys/types.h>

/* Makes it, 0700. */
void scratch_make(void);
/* For a .fini: removes it, which is to be empty. */
void scratch_end(void);
/* The path of a file in it; "" is the directory itself. Static: of the last call. */
const char *scratch_path(const char *name);
/* Makes the file, which is not there yet. Its path, as above. */
const char *scratch_file(const char *name, mode_t mode, const char *text);
void scratch_remove(const char *name);

#endif
