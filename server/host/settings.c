/* SPDX-License-Identifier: MIT */
#include "host/settings.h"

#include "base/error.h"
#include "host/body.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

static int fail(struct body_error *failed, unsigned step, int code)
{
	*failed = (struct body_error){step, code, -1};
	return code;
}

static bool is_given(const struct settings *s, enum setting which)
{
	return s->given & 1u << which;
}

int settings_decode(const struct message *m, struct settings *ret, struct body_error *failed)
{
	struct record r;

	if (!message_has(m, REC_SETTING))
		return 0;
	message_for_each (m, cursor, &r) {
		uint32_t which;

		if (r.type != REC_SETTING)
			continue;
		which = get_u32(r.data);
		if (which == 0 || which >= SETTING_END || ret->given & 1u << which)
			return fail(failed, STEP_BODY, -EPROTO);
		ret->given |= 1u << which;
		ret->value[which] = get_u64(r.data + 4);
	}
	return 0;
}

int settings_enter_group(const struct settings *s, bool of_server, struct body_error *failed)
{
	uint64_t group = is_given(s, SETTING_GROUP) ? s->value[SETTING_GROUP] : 0;

	if (group > INT_MAX)
		return fail(failed, STEP_GROUP, -EINVAL);
	/* The groups of its session are its host's and other leaves'. */
	if (of_server && group > 0)
		return fail(failed, STEP_GROUP, -EOPNOTSUPP);
	if (is_given(s, SETTING_SESSION))
		return setsid() < 0 ? fail(failed, STEP_SESSION, -errno) : 0;
	if (!of_server && !is_given(s, SETTING_GROUP))
		return 0;
	return setpgid(0, (pid_t)group) < 0 ? fail(failed, STEP_GROUP, -errno) : 0;
}
