/* SPDX-License-Identifier: MIT */
/* program.h - why a program could not be executed, in words. */
#ifndef LIBSPAWN_PROGRAM_H
#define LIBSPAWN_PROGRAM_H

#include "request.h"

/*
 * The leaf said FAILED at step exec with that negative errno. Looks at the file again, as the child
 * would find it: what errno leaves open (missing itself, or its interpreter?) is told apart.
 * Returns the code. request may be NULL.
 */
int program_error(const struct spawn_request *request, int code, struct spawn_error *err);

#endif
