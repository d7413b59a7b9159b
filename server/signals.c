/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS 64

/* As the kernel has it. */
struct disposition {
	void (*handler)(int);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static void set(int sig, const struct disposition *d)
{
	syscall(SYS_rt_sigaction, sig, d, NULL, sizeof(d->mask));
}

void signals_default(void)
{
	const struct disposition d = {.handler = SIG_DFL};

	for (int sig = 1; sig <= SIGNALS; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			set(sig, &d);
}

void signals_ignore(uint64_t signals)
{
	const struct disposition d = {.handler = SIG_IGN};

	for (; signals; signals &= signals - 1)
		set(__builtin_ctzll(signals) + 1, &d);
}
