/* SPDX-License-Identifier: MIT */
/* Programs that bring a fork of their own: it is libc's, and counted. */
#include "preload.h"

#include <unistd.h>

PUBLIC pid_t fork(void)
{
	tally_add(TALLY_FORK);
	return next()->fork();
}

/*
 * A function that calls vfork() may not return in the child, which has its stack. So this one is
 * left by a jump, with the stack as the caller made it.
 */
#ifdef __x86_64__
void *vfork_find(void); /* next.c */
static void *vfork_next __attribute__((used));

__attribute__((constructor)) static void find_vfork(void)
{
	vfork_next = vfork_find();
}

__attribute__((naked)) PUBLIC pid_t vfork(void)
{
	__asm__("lock incq %c0+tally_counts(%%rip)\n\t"
		"cmpq $0, vfork_next(%%rip)\n\t"
		"je 1f\n\t"
		"jmp *vfork_next(%%rip)\n"
		/* before the constructor: a copy is a vfork as well */
		"1:\tjmp fork@PLT"
		:
		: "i"(TALLY_VFORK * sizeof(unsigned long)));
}
#endif
