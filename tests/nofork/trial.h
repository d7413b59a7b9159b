/* SPDX-License-Identifier: MIT */
/*
 * trial.h - one claim, tried in a child of its own, told as a line of TAP.
 *
 *	static void vfork_works(const void *arg)
 *	{
 *		trial_expect_errno("vfork", ..., 0);
 *	}
 *	...
 *	trial("vfork works in copy", vfork_works, NULL);
 *	return trials_finish();
 */
#ifndef TRIAL_H
#define TRIAL_H

#include <stdnoreturn.h>

typedef void trial_fn(const void *arg);

/* Runs fn(arg) in a child: ok if it returns. */
void trial(const char *name, trial_fn *fn, const void *arg);

/* In a trial: ends it. */
noreturn void trial_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
noreturn void trial_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Fails unless the two errno values (0: it worked) are the same. */
void trial_expect_errno(const char *what, int got, int wanted);

/* Prints the plan; the exit status of main. */
int trials_finish(void);

#endif
