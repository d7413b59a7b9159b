/* SPDX-License-Identifier: MIT */
#include "attributes.h"

#include "libspawn.h"
#include "number.h"
#include "options.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIGNAL_NAME_MAX 16

/* What follows "RTMIN+" or "RTMAX-". */
static int real_time_offset(const char *s, uint64_t *ret)
{
	return number_parse(s, strlen(s), (uint64_t)(SIGRTMAX - SIGRTMIN), ret);
}

/* "TERM", "SIGTERM", "15", "RTMIN+2"; a negative errno. */
static int signal_number(const char *name)
{
	uint64_t number;

	if (number_parse(name, strlen(name), (uint64_t)SIGRTMAX, &number) == 0)
		return number > 0 ? (int)number : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *known = sigabbrev_np(sig);

		if (known && strcasecmp(known, name) == 0)
			return sig;
	}
	if (strcasecmp(name, "RTMIN") == 0)
		return SIGRTMIN;
	if (strcasecmp(name, "RTMAX") == 0)
		return SIGRTMAX;
	if (strncasecmp(name, "RTMIN+", 6) == 0 && real_time_offset(name + 6, &number) == 0)
		return SIGRTMIN + (int)number;
	if (strncasecmp(name, "RTMAX-", 6) == 0 && real_time_offset(name + 6, &number) == 0)
		return SIGRTMAX - (int)number;
	return -EINVAL;
}

static int add_signals(sigset_t *set, const char *option, const char *list)
{
	const char *s = list;

	for (;;) {
		size_t len = strcspn(s, ",");
		char name[SIGNAL_NAME_MAX];
		int sig = -EINVAL;

		if (len > 0 && len < sizeof(name)) {
			memcpy(name, s, len);
			name[len] = '\0';
			sig = signal_number(name);
		}
		/* Those that glibc keeps for itself can be in no set of its own. */
		if (sig < 0 || sigaddset(set, sig) < 0)
			return usage_error("%s wants signals, as TERM,INT or 15,2, not '%s'",
					   option, list);
		if (!s[len])
			return 0;
		s += len + 1;
	}
}

void attributes_init(struct attributes *a)
{
	*a = (struct attributes){0};
	sigemptyset(&a->block);
	sigemptyset(&a->by_default);
	sigemptyset(&a->ignore);
}

int attributes_block(struct attributes *a, const char *list)
{
	a->has_block = true;
	return add_signals(&a->block, "--block-signal", list);
}

int attributes_default(struct attributes *a, const char *list)
{
	return add_signals(&a->by_default, "--default-signal", list);
}

int attributes_ignore(struct attributes *a, const char *list)
{
	return add_signals(&a->ignore, "--ignore-signal", list);
}

static int parse_ids(struct attributes *a, const char *arg)
{
	size_t len = strcspn(arg, ":");
	uint64_t id;

	if (number_parse(arg, len, UINT32_MAX - 1, &id) < 0 || !arg[len])
		return -EINVAL;
	a->uid = (uid_t)id;
	for (const char *s = arg + len + 1;; s += len + 1) {
		len = strcspn(s, ",");
		if (number_parse(s, len, UINT32_MAX - 1, &id) < 0)
			return -EINVAL;
		if (s == strchr(arg, ':') + 1)
			a->gid = (gid_t)id;
		if (a->n_groups == USER_GROUPS_MAX)
			return -EINVAL;
		a->groups[a->n_groups++] = (gid_t)id;
		if (!s[len])
			return 0;
	}
}

int attributes_user(struct attributes *a, const char *arg)
{
	const struct passwd *user;

	a->has_user = true;
	a->n_groups = 0;
	if (*arg >= '0' && *arg <= '9') {
		if (parse_ids(a, arg) == 0)
			return 0;
		return usage_error("--user wants a name or UID:GID[,GROUP...], not '%s'", arg);
	}
	user = getpwnam(arg);
	if (!user)
		return usage_error("--user: there is no user '%s'", arg);
	a->uid = user->pw_uid;
	a->gid = user->pw_gid;
	a->n_groups = USER_GROUPS_MAX;
	if (getgrouplist(arg, user->pw_gid, a->groups, &a->n_groups) < 0)
		return usage_error("--user: '%s' is in more than %d groups", arg, USER_GROUPS_MAX);
	return 0;
}

int attributes_capabilities(struct attributes *a, const char *arg)
{
	size_t digits = strspn(arg, "0123456789abcdefABCDEF");

	a->has_capabilities = true;
	if (digits == 0 || digits > 16 || arg[digits])
		return usage_error("--capabilities wants a set in hexadecimal, as CapPrm in "
				   "/proc/self/status, 0 for none, not '%s'",
				   arg);
	a->capabilities = strtoull(arg, NULL, 16);
	return 0;
}

/* As a child of this process would: nohup(1) works through it. */
static bool ignored_here(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
	       now.sa_handler == SIG_IGN;
}

void attributes_request(const struct attributes *a, struct spawn_request *request)
{
	sigset_t set;

	set = a->ignore;
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (ignored_here(sig) && sigismember(&a->by_default, sig) != 1)
			sigaddset(&set, sig);
	spawn_request_ignore(request, &set);
	spawn_request_session(request, a->session);
	spawn_request_no_new_privs(request, a->no_new_privs);
	if (a->cgroup)
		spawn_request_cgroup(request, a->cgroup);
	if (a->has_user)
		spawn_request_credentials(request, a->uid, a->gid, (size_t)a->n_groups, a->groups);
	if (a->has_capabilities)
		spawn_request_capabilities(request, a->capabilities);
	if (a->has_block) {
		sigprocmask(SIG_BLOCK, NULL, &set);
		sigorset(&set, &set, &a->block);
		spawn_request_sigmask(request, &set);
	}
}
