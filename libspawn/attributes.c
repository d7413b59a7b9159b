/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "request.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static const char *const limit_names[] = {
	[RLIMIT_AS] = "RLIMIT_AS",
	[RLIMIT_CORE] = "RLIMIT_CORE",
	[RLIMIT_CPU] = "RLIMIT_CPU",
	[RLIMIT_DATA] = "RLIMIT_DATA",
	[RLIMIT_FSIZE] = "RLIMIT_FSIZE",
	[RLIMIT_LOCKS] = "RLIMIT_LOCKS",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
	[RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
	[RLIMIT_NICE] = "RLIMIT_NICE",
	[RLIMIT_NOFILE] = "RLIMIT_NOFILE",
	[RLIMIT_NPROC] = "RLIMIT_NPROC",
	[RLIMIT_RSS] = "RLIMIT_RSS",
	[RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",
	[RLIMIT_RTTIME] = "RLIMIT_RTTIME",
	[RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
	[RLIMIT_STACK] = "RLIMIT_STACK",
};
_Static_assert(sizeof(limit_names) / sizeof(limit_names[0]) == RLIM_NLIMITS, "each has a name");

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

int spawn_request_rlimit(struct spawn_request *r, int resource, uint64_t soft, uint64_t hard)
{
	struct attributes *a = &r->attributes;

	if (resource < 0 || resource >= RLIM_NLIMITS)
		return MISTAKE(r, -EINVAL, "%d is no resource of setrlimit(2)", resource);
	if (soft > hard)
		return MISTAKE(r, -EINVAL, "%s: the soft limit %llu is above the hard one, %llu",
			       limit_names[resource], (unsigned long long)soft,
			       (unsigned long long)hard);
	a->limits[resource] = (struct rlimit){soft, hard};
	a->limits_given |= 1u << resource;
	return 0;
}

int spawn_request_nice(struct spawn_request *r, int value)
{
	if (value < -20 || value > 19)
		return MISTAKE(r, -EINVAL, "nice value %d is not from -20 to 19", value);
	return set(r, SETTING_NICE, (uint64_t)(int64_t)value);
}

int spawn_request_cpus(struct spawn_request *r, size_t n, const unsigned *cpus)
{
	struct attributes *a = &r->attributes;

	if (n == 0)
		return MISTAKE(r, -EINVAL, "a process needs a processor to run on");
	memset(a->cpus, 0, sizeof(a->cpus));
	a->cpus_len = 0;
	for (size_t i = 0; i < n; i++) {
		size_t byte = cpus[i] / 8;

		if (cpus[i] >= CPUS_MAX)
			return MISTAKE(r, -EINVAL, "there is no processor %u", cpus[i]);
		a->cpus[byte] |= (uint8_t)(1u << cpus[i] % 8);
		if (byte >= a->cpus_len)
			a->cpus_len = byte + 1;
	}
	return 0;
}

int spawn_request_oom_score_adj(struct spawn_request *r, int value)
{
	if (value < -1000 || value > 1000)
		return MISTAKE(r, -EINVAL, "oom_score_adj %d is not from -1000 to 1000", value);
	return set(r, SETTING_OOM_SCORE_ADJ, (uint64_t)(int64_t)value);
}

int spawn_request_timer_slack(struct spawn_request *r, uint64_t ns)
{
	if (ns == 0 || ns > INT64_MAX)
		return MISTAKE(r, -EINVAL, "a timer slack is at least 1 ns");
	return set(r, SETTING_TIMER_SLACK, ns);
}

int spawn_request_no_new_privs(struct spawn_request *r, bool on)
{
	return on ? set(r, SETTING_NO_NEW_PRIVS, 1) : unset(r, SETTING_NO_NEW_PRIVS);
}

int spawn_request_death_signal(struct spawn_request *r, int sig)
{
	if (sig < 0 || sig > 64)
		return MISTAKE(r, -EINVAL, "%d is no signal", sig);
	return sig > 0 ? set(r, SETTING_DEATH_SIGNAL, (uint64_t)sig)
		       : unset(r, SETTING_DEATH_SIGNAL);
}

int spawn_request_credentials(struct spawn_request *r, uid_t uid, gid_t gid, size_t n_groups,
			      const gid_t *groups)
{
	struct attributes *a = &r->attributes;
	gid_t *copy;

	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return MISTAKE(r, -EINVAL, "-1 is no user and no group");
	if (n_groups > GROUPS_MAX)
		return MISTAKE(r, -EINVAL, "more than %d groups", GROUPS_MAX);
	copy = calloc(n_groups + 1, sizeof(*copy));
	if (!copy)
		return request_no_memory(r);
	if (n_groups > 0)
		memcpy(copy, groups, n_groups * sizeof(*copy));
	free(a->groups);
	a->groups = copy;
	a->n_groups = n_groups;
	a->uid = uid;
	a->gid = gid;
	a->user_given = true;
	return 0;
}

int spawn_request_capabilities(struct spawn_request *r, uint64_t keep)
{
	return set(r, SETTING_CAPABILITIES, keep);
}

size_t attributes_size(const struct attributes *a)
{
	return (size_t)__builtin_popcount(a->given) * (WIRE_RECORD_SIZE + 12) +
	       (size_t)__builtin_popcount(a->limits_given) * (WIRE_RECORD_SIZE + 20) +
	       WIRE_RECORD_SIZE + a->cpus_len + WIRE_RECORD_SIZE + 8 + 4 * a->n_groups;
}

static void encode_limits(const struct attributes *a, struct frame *f)
{
	for (uint32_t left = a->limits_given; left; left &= left - 1) {
		unsigned resource = (unsigned)__builtin_ctz(left);
		uint8_t *p = frame_space(f, REC_LIMIT, 20);

		if (!p)
			return;
		put_u32(p, resource);
		put_u64(p + 4, a->limits[resource].rlim_cur);
		put_u64(p + 12, a->limits[resource].rlim_max);
	}
}

static void encode_user(const struct attributes *a, struct frame *f)
{
	uint8_t *p = frame_space(f, REC_USER, 8 + 4 * a->n_groups);

	if (!p)
		return;
	put_u32(p, a->uid);
	put_u32(p + 4, a->gid);
	for (size_t i = 0; i < a->n_groups; i++)
		put_u32(p + 8 + 4 * i, a->groups[i]);
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
	encode_limits(a, f);
	if (a->user_given)
		encode_user(a, f);
	if (a->cpus_len > 0)
		frame_bytes(f, REC_CPUS, a->cpus, a->cpus_len);
}

/* index: of FAILED; the resource. */
static bool limit_error(const struct attributes *a, uint32_t index, int code,
			struct spawn_error *err)
{
	if (index >= RLIM_NLIMITS || !(a->limits_given & 1u << index))
		return false;
	error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_RLIMIT, "cannot set %s to %llu:%llu%s",
		    limit_names[index], (unsigned long long)a->limits[index].rlim_cur,
		    (unsigned long long)a->limits[index].rlim_max,
		    code == -EPERM ? ", above the hard limit that the child has" : "");
	return true;
}

bool attributes_error(const struct attributes *a, unsigned step, int code, uint32_t index,
		      struct spawn_error *err)
{
#define SAY(...) (error_errno(err, code, SPAWN_ORIGIN_LEAF, step, __VA_ARGS__), true)
	switch (step) {
	case STEP_RLIMIT:
		return limit_error(a, index, code, err);
	case STEP_GROUP:
		return SAY("cannot join process group %llu",
			   (unsigned long long)a->value[SETTING_GROUP]);
	case STEP_NICE:
		return SAY("cannot set the nice value to %d", (int)(int64_t)a->value[SETTING_NICE]);
	case STEP_AFFINITY:
		return SAY("cannot run on just the processors that were asked for%s",
			   code == -EINVAL ? ", since some are not there or not allowed" : "");
	case STEP_OOM_SCORE:
		return SAY("cannot set oom_score_adj to %d",
			   (int)(int64_t)a->value[SETTING_OOM_SCORE_ADJ]);
	case STEP_GROUPS:
		return SAY("cannot set the supplementary groups");
	case STEP_GID:
		return SAY("cannot become group %u", (unsigned)a->gid);
	case STEP_UID:
		return SAY("cannot become user %u", (unsigned)a->uid);
	case STEP_CAPABILITIES:
		return SAY("cannot keep it from gaining the other capabilities%s",
			   code == -EPERM ? " (with no_new_privs it can be)" : "");
	case STEP_TIMER_SLACK:
		return SAY("cannot set the timer slack to %llu ns",
			   (unsigned long long)a->value[SETTING_TIMER_SLACK]);
	default:
		return false;
	}
#undef SAY
}
