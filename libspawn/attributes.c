/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "request.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>

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

static int set(struct spawn_request *r, enum setting which, uint64_t value)
{
	r->attributes.given |= 1u << which;
	r->attributes.value[which] = value;
	return 0;
}

static int unset(struct spawn_request *r, enum setting which)
{
	r->attributes.given &= ~(1u << which);
	return 0;
}

int spawn_request_process_group(struct spawn_request *r, pid_t group)
{
	if (group < 0)
		return MISTAKE(r, -EINVAL, "%d is no process group", (int)group);
	return set(r, SETTING_GROUP, (uint64_t)group);
}

int spawn_request_session(struct spawn_request *r, bool on)
{
	return on ? set(r, SETTING_SESSION, 1) : unset(r, SETTING_SESSION);
}

size_t attributes_size(const struct attributes *a)
{
	return (size_t)__builtin_popcount(a->given) * (WIRE_RECORD_SIZE + 12);
}

void attributes_encode(const struct attributes *a, struct frame *f)
{
	for (uint32_t left = a->given; left; left &= left - 1) {
		unsigned which = (unsigned)__builtin_ctz(left);
		uint8_t *p = frame_space(f, REC_SETTING, 12);

		if (!p)
			return;
		put_u32(p, which);
		put_u64(p + 4, a->value[which]);
	}
}

bool attributes_error(const struct attributes *a, unsigned step, int code, struct spawn_error *err)
{
#define SAY(...) (error_errno(err, code, SPAWN_ORIGIN_LEAF, step, __VA_ARGS__), true)
	switch (step) {
	case STEP_GROUP:
		return SAY("cannot join process group %llu",
			   (unsigned long long)a->value[SETTING_GROUP]);
	default:
		return false;
	}
#undef SAY
}
