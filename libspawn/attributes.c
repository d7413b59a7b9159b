/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "request.h"

#include <errno.h>
#include <signal.h>

static uint64_t signals_of(const sigset_t *set)
{
	uint64_t bits = 0;

	for (int sig = 1; sig <= 64; sig++)
		if (sigismember(set, sig) == 1)
			bits |= 1ull << (sig - 1);
	return bits;
}

int spawn_request_sigmask(struct spawn_request *r, const sigset_t *signals)
{
	r->attributes.sigmask = signals_of(signals);
	r->attributes.sigmask_given = true;
	return 0;
}

int spawn_request_ignore(struct spawn_request *r, const sigset_t *signals)
{
	struct attributes *a = &r->attributes;

	a->ignored = signals_of(signals);
	a->ignored_given = true;
	a->defaulted &= ~a->ignored;
	if (a->ignored & (1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)))
		return MISTAKE(r, -EINVAL, "SIGKILL and SIGSTOP cannot be ignored");
	return 0;
}

int spawn_request_sigdefault(struct spawn_request *r, const sigset_t *signals)
{
	struct attributes *a = &r->attributes;

	/* Those two are at their default whoever asks, as for posix_spawn(3). */
	a->defaulted = signals_of(signals) & ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1));
	a->ignored &= ~a->defaulted;
	return 0;
}
