/* SPDX-License-Identifier: MIT */
#include "host/settings.h"

#include "base/error.h"
#include "base/fd.h"
#include "host/body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static int set_nice(int value)
{
	if (value < -20 || value > 19)
		return -EINVAL;
	if (setpriority(PRIO_PROCESS, 0, value) < 0)
		return -errno;
	errno = 0;
	return getpriority(PRIO_PROCESS, 0) == value && errno == 0 ? 0 : -EPERM;
}

/* In decimal, ended with a newline: its length. */
static size_t format_number(char buf[16], int value)
{
	unsigned left = value < 0 ? 0u - (unsigned)value : (unsigned)value;
	char reverse[16];
	size_t n = 0, len = 0;

	do
		reverse[n++] = (char)('0' + left % 10);
	while ((left /= 10));
	if (value < 0)
		buf[len++] = '-';
	while (n > 0)
		buf[len++] = reverse[--n];
	buf[len++] = '\n';
	return len;
}

static int read_number(int fd, int *ret)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	bool negative;
	int value = 0;

	if (n <= 0)
		return n < 0 ? -errno : -ENODATA;
	negative = text[0] == '-';
	for (ssize_t i = negative; i < n && text[i] >= '0' && text[i] <= '9' && value < 10000; i++)
		value = value * 10 + (text[i] - '0');
	*ret = negative ? -value : value;
	return 0;
}

/* The kernel lets a process take back what it was raised by itself, or by its host: that would make
 * a child of the server's safer than the server has it. */
static int set_oom_score_adj(int value, bool only_up)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16];
	ssize_t written;
	size_t len;
	int now, r;

	if (value < -1000 || value > 1000)
		return -EINVAL;
	if (fd < 0)
		return -errno;
	r = read_number(fd, &now);
	if (r < 0)
		return r;
	if (only_up && value < now)
		return -EACCES;
	len = format_number(text, value);
	written = pwrite(fd, text, len, 0);
	if (written != (ssize_t)len)
		return written < 0 ? -errno : -EIO;
	r = read_number(fd, &now);
	if (r < 0)
		return r;
	return now == value ? 0 : -EPERM;
}

static int set_timer_slack(uint64_t ns)
{
	if (ns == 0 || ns > LONG_MAX)
		return -EINVAL;
	if (prctl(PR_SET_TIMERSLACK, (unsigned long)ns, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int settings_schedule(const struct settings *s, bool of_server, struct body_error *failed)
{
	int r = 0;

	if (is_given(s, SETTING_NICE))
		r = set_nice((int)(int64_t)s->value[SETTING_NICE]);
	if (r < 0)
		return fail(failed, STEP_NICE, r);
	if (is_given(s, SETTING_OOM_SCORE_ADJ))
		r = set_oom_score_adj((int)(int64_t)s->value[SETTING_OOM_SCORE_ADJ], of_server);
	if (r < 0)
		return fail(failed, STEP_OOM_SCORE, r);
	if (is_given(s, SETTING_TIMER_SLACK))
		r = set_timer_slack(s->value[SETTING_TIMER_SLACK]);
	return r < 0 ? fail(failed, STEP_TIMER_SLACK, r) : 0;
}

static int set_death_signal(uint64_t sig)
{
	int now = 0;

	if (sig == 0 || sig > 64)
		return -EINVAL;
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)sig, 0, 0, 0) < 0 ||
	    prctl(PR_GET_PDEATHSIG, &now, 0, 0, 0) < 0)
		return -errno;
	return now == (int)sig ? 0 : -EPERM;
}

int settings_confine(const struct settings *s, bool of_server, struct body_error *failed)
{
	int r = 0;

	/* Its parent is its host, whose end is no matter of the caller's. */
	if (is_given(s, SETTING_DEATH_SIGNAL))
		r = of_server ? -EOPNOTSUPP : set_death_signal(s->value[SETTING_DEATH_SIGNAL]);
	if (r < 0)
		return fail(failed, STEP_DEATH_SIGNAL, r);
	if (is_given(s, SETTING_NO_NEW_PRIVS) && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
						  prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1))
		return fail(failed, STEP_NO_NEW_PRIVS, errno ? -errno : -EPERM);
	return 0;
}
