/* SPDX-License-Identifier: MIT */
#include "host/limits.h"

#include "base/error.h"
#include "host/body.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPUS_BYTES 1024 /* the kernel's greatest: 8192 processors */

static int fail(struct body_error *failed, unsigned step, int code, uint32_t index)
{
	*failed = (struct body_error){step, code, (int)(index & INT_MAX)};
	return code;
}

/* Never more than the leaf has: its own hard limit is the user's. */
static int lower_limit(int resource, struct rlimit want, const struct rlimit *have)
{
	if (want.rlim_max > have->rlim_max)
		want.rlim_max = have->rlim_max;
	if (want.rlim_cur > want.rlim_max)
		want.rlim_cur = want.rlim_max;
	if (want.rlim_cur == have->rlim_cur && want.rlim_max == have->rlim_max)
		return 0;
	return setrlimit((__rlimit_resource_t)resource, &want) < 0 ? -errno : 0;
}

static int inherit_limits(const struct message *m, const struct rlimit *known,
			  struct body_error *failed)
{
	struct record r;

	message_for_each (m, cursor, &r) {
		struct rlimit want, have;
		uint32_t resource;
		int rc = -EINVAL;

		if (r.type != REC_RLIMIT)
			continue;
		resource = get_u32(r.data);
		want.rlim_cur = get_u64(r.data + 4);
		want.rlim_max = get_u64(r.data + 12);
		if (known && resource < RLIM_NLIMITS)
			rc = lower_limit((int)resource, want, &known[resource]);
		/* Unknown here, or lowered from outside since they were looked up. */
		if (rc < 0)
			rc = getrlimit((__rlimit_resource_t)resource, &have) < 0
				     ? -errno
				     : lower_limit((int)resource, want, &have);
		if (rc < 0)
			return fail(failed, STEP_RLIMIT, rc, resource);
	}
	return 0;
}

/* As they were asked for: the kernel says what this process may. */
static int set_asked(const struct message *m, struct body_error *failed)
{
	struct record r;

	message_for_each (m, cursor, &r) {
		uint32_t resource;
		struct rlimit want;
		int rc = -EINVAL;

		if (r.type != REC_LIMIT)
			continue;
		resource = get_u32(r.data);
		want = (struct rlimit){get_u64(r.data + 4), get_u64(r.data + 12)};
		if (resource < RLIM_NLIMITS)
			rc = setrlimit((__rlimit_resource_t)resource, &want) < 0 ? -errno : 0;
		if (rc < 0)
			return fail(failed, STEP_RLIMIT, rc, resource);
	}
	return 0;
}

int limits_set(const struct message *m, const struct rlimit *known, struct body_error *failed)
{
	int r = inherit_limits(m, known, failed);

	return r < 0 ? r : set_asked(m, failed);
}

/*
 * The kernel takes those that there are, and that the cpuset allows, and is content with one: read
 * back, since fewer than were asked for is not what was asked for.
 */
int limits_affinity(const struct message *m, struct body_error *failed)
{
	unsigned long want[CPUS_BYTES / sizeof(long)] = {0}, have[CPUS_BYTES / sizeof(long)] = {0};
	size_t len;
	const uint8_t *bytes = message_bytes(m, REC_CPUS, &len);

	if (!bytes)
		return 0;
	for (size_t i = 0; i < len; i++)
		want[i / sizeof(long)] |= (unsigned long)bytes[i] << (i % sizeof(long) * 8);
	if (syscall(SYS_sched_setaffinity, 0, sizeof(want), want) < 0 ||
	    syscall(SYS_sched_getaffinity, 0, sizeof(have), have) < 0)
		return fail(failed, STEP_AFFINITY, -errno, 0);
	return memcmp(want, have, sizeof(want)) == 0 ? 0 : fail(failed, STEP_AFFINITY, -EINVAL, 0);
}
