/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS	  64
#define SIGCANCEL 32 /* libc's own two */
#define SIGSETXID 33

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

/* Installed by libc with the first thread, and not again: a leaf with threads would die of it. */
static bool is_libcs(int sig)
{
	struct disposition d;

	if (sig != SIGCANCEL && sig != SIGSETXID)
		return false;
	return syscall(SYS_rt_sigaction, sig, NULL, &d, sizeof(d.mask)) == 0 &&
	       d.handler != SIG_DFL && d.handler != SIG_IGN;
}

void signals_default(void)
{
	const struct disposition d = {.handler = SIG_DFL};

	for (int sig = 1; sig <= SIGNALS; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && !is_libcs(sig))
			set(sig, &d);
}

void signals_default_child(void)
{
	set(SIGCHLD, &(struct disposition){.handler = SIG_DFL});
}

void signals_ignore(uint64_t signals)
{
	const struct disposition d = {.handler = SIG_IGN};

	for (; signals; signals &= signals - 1)
		set(__builtin_ctzll(signals) + 1, &d);
}
