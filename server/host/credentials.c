/* SPDX-License-Identifier: MIT */
/*
 * By the kernel's own calls: libc's would have every thread follow, by a signal and a lock, and
 * there is one. That it is not raised is for the kernel to refuse: a leaf has no more than its
 * caller.
 */
#include "host/credentials.h"

#include "base/error.h"
#include "host/body.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the plain ones take 16 bits. */
#ifdef SYS_setgroups32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETRESUID SYS_setresuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETRESUID SYS_setresuid
#endif

#define GROUPS_MAX 4096 /* as USER of messages.def */
#define CAP_WORDS  _LINUX_CAPABILITY_U32S_3

/* Not on a stack that may be limited; touched where they are asked for. */
static gid_t wanted[GROUPS_MAX], had[GROUPS_MAX];

static int fail(struct body_error *failed, unsigned step, int code)
{
	*failed = (struct body_error){step, code, -1};
	return code;
}

static bool all_in(const gid_t *some, const gid_t *of, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < n && of[k] != some[i])
			k++;
		if (k == n)
			return false;
	}
	return true;
}

static bool has_groups(size_t n)
{
	int now = getgroups(GROUPS_MAX, had);

	return now >= 0 && (size_t)now == n && all_in(wanted, had, n) && all_in(had, wanted, n);
}

static int set_groups(const uint8_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		wanted[i] = get_u32(list + 4 * i);
	if (has_groups(n)) /* who may not set them may keep them */
		return 0;
	if (syscall(CALL_SETGROUPS, n, wanted) < 0)
		return -errno;
	return has_groups(n) ? 0 : -EPERM;
}

static int set_gid(gid_t gid)
{
	gid_t real, effective, saved;

	if (syscall(CALL_SETRESGID, gid, gid, gid) < 0 || getresgid(&real, &effective, &saved) < 0)
		return -errno;
	return real == gid && effective == gid && saved == gid ? 0 : -EPERM;
}

static int set_uid(uid_t uid)
{
	uid_t real, effective, saved;

	if (syscall(CALL_SETRESUID, uid, uid, uid) < 0 || getresuid(&real, &effective, &saved) < 0)
		return -errno;
	return real == uid && effective == uid && saved == uid ? 0 : -EPERM;
}

/*
 * What an exec may give. Who may not drop from it, which every user but root may not, gains by
 * setuid programs; with no_new_privs not by them either.
 */
static int limit_gains(uint64_t keep, bool no_new_privs)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (r < 0) /* there is none of that number, nor of a greater */
			return errno == EINVAL ? 0 : -errno;
		if (r == 0 || keep & 1ull << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && !no_new_privs)
			return -errno;
	}
	return 0;
}

static int get_capabilities(struct __user_cap_data_struct data[CAP_WORDS])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int keep_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[CAP_WORDS];
	uint32_t words[CAP_WORDS] = {(uint32_t)keep, (uint32_t)(keep >> 32)};
	int r = get_capabilities(data);

	if (r < 0)
		return r;
	for (size_t i = 0; i < CAP_WORDS; i++) {
		data[i].permitted &= words[i];
		data[i].effective &= words[i];
		data[i].inheritable &= words[i];
	}
	/* What leaves the permitted or the inheritable set leaves the ambient one. */
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	r = get_capabilities(data);
	for (size_t i = 0; r == 0 && i < CAP_WORDS; i++)
		if ((data[i].permitted | data[i].effective | data[i].inheritable) & ~words[i])
			r = -EPERM;
	return r;
}

int credentials_set(const struct message *m, const struct settings *s, struct body_error *failed)
{
	bool capabilities = s->given & 1u << SETTING_CAPABILITIES;
	uint64_t keep = s->value[SETTING_CAPABILITIES];
	size_t len;
	const uint8_t *user = message_bytes(m, REC_USER, &len);
	int r = 0;

	if (user && len % 4 != 0)
		return fail(failed, STEP_BODY, -EBADMSG);
	/* While it may: a change of the uid takes that away. */
	if (capabilities)
		r = limit_gains(keep, s->given & 1u << SETTING_NO_NEW_PRIVS);
	if (r < 0)
		return fail(failed, STEP_CAPABILITIES, r);
	if (user && (r = set_groups(user + 8, len / 4 - 2)) < 0)
		return fail(failed, STEP_GROUPS, r);
	if (user && (r = set_gid(get_u32(user + 4))) < 0)
		return fail(failed, STEP_GID, r);
	if (user && (r = set_uid(get_u32(user))) < 0)
		return fail(failed, STEP_UID, r);
	if (capabilities && (r = keep_capabilities(keep)) < 0)
		return fail(failed, STEP_CAPABILITIES, r);
	return 0;
}
