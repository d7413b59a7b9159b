/* SPDX-License-Identifier: MIT */
/*
 * signals.h - dispositions, by the kernel's own call: glibc's sigaction refuses the two signals
 * that it keeps for itself. Async-signal-safe.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <stdint.h>

/* All that can be, but for handlers of libc's own. */
void signals_default(void);
/* As a child of fork has them, after exec too. Bit n-1: signal n. */
/* SIGCHLD alone. */
void signals_default_child(void);
void signals_ignore(uint64_t set);

#endif
