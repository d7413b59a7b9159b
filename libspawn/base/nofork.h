/* SPDX-License-Identifier: MIT */
/*
 * nofork.h - what a leaf promises about making processes, and who holds it to that.
 */
#ifndef BASE_NOFORK_H
#define BASE_NOFORK_H

#include <stddef.h>

/* What is promised; ordered, a greater number promises more. On the wire. */
enum nofork_level {
	NOFORK_OFF = 0,
	NOFORK_COPY = 1,    /* this memory is never duplicated: fork is refused, vfork is not */
	NOFORK_PROCESS = 2, /* no process at all, threads only */
};

/* Who enforces it. On the wire. */
enum nofork_enforcer {
	NOFORK_BY_NOBODY = 0,
	NOFORK_BY_KERNEL = 1,  /* PR_SET_NOFORK: ends at exec, nothing else changes */
	NOFORK_BY_SECCOMP = 2, /* a filter: inherited by helpers, needs no_new_privs */
	/* The kernel, for each program that it or what it starts executes; needs no_new_privs. */
	NOFORK_BY_KERNEL_EXEC = 3,
};

/* The kernel patch's interface; other kernels answer EINVAL. */
#define NOFORK_PR_SET	   0x4e464b01
#define NOFORK_PR_GET	   0x4e464b02
#define NOFORK_PR_SELF	   (1UL << 0)
#define NOFORK_PR_CHILDREN (1UL << 1)
#define NOFORK_PR_EXEC	   (1UL << 2)

/* "off", "copy", "process"; NULL for another number. */
const char *nofork_level_name(unsigned level);
/* The level of that name, or -EINVAL. */
int nofork_level_parse(const char *name);
/* In full words: "copy (seccomp: inherited, no_new_privs)". Static. */
const char *nofork_describe(unsigned level, unsigned enforcer);

#endif
