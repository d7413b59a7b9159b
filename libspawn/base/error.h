/* SPDX-License-Identifier: MIT */
/*
 * error.h - fill a struct spawn_error and hand its code on, in one expression:
 *
 *	return error_set(err, -errno, SPAWN_ORIGIN_WIRE, STEP_SEND, "send to broker");
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "libspawn-error.h"

/* What was being done. Numbers go over the wire: explicit, never reused. */
enum step {
#define STEP(name, number, text) STEP_##name = number,
#include "base/steps.def"
#undef STEP
};

/* "launch", "chdir", ...; "unknown" for a number this version does not know. Static. */
const char *step_name(unsigned step);
/* The number of one of those; STEP_NONE for another text. */
unsigned step_number(const char *name);

/*
 * Sets code, origin, step and a message; err may be NULL. Returns code, so that it ends a function.
 * The first spelling ends the message with the errno's own words, the second does not.
 * Not for use in a leaf before READY: it formats.
 */
int error_errno(struct spawn_error *err, int code, enum spawn_origin origin, unsigned step,
		const char *format, ...) __attribute__((format(printf, 5, 6)));
int error_set(struct spawn_error *err, int code, enum spawn_origin origin, unsigned step,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
