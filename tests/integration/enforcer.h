/* SPDX-License-Identifier: MIT */
/* enforcer.h - who holds leaves to their promise on the kernel that the tests run on. */
#ifndef TEST_ENFORCER_H
#define TEST_ENFORCER_H

#include <stdbool.h>

/* Does the kernel? It must where SPAWND_TEST_KERNEL is "nofork", as in the guest of dev/kernel. */
bool kernel_enforces(void);
/* The level `copy` of a shared object, and of a program, in the words of replies and status. */
const char *copy_in_words(void);
const char *program_copy_in_words(void);

#endif
