/* SPDX-License-Identifier: MIT */
#include "attributes.h"

#include "libspawn.h"
#include "options.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIGNAL_NAME_MAX 16

/* A number in decimal, without sign, up to max. */
static int parse_number(const char *s, long max, long *ret)
{
	long value = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		value = value * 10 + (*s - '0');
		if (value > max)
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

/* "TERM", "SIGTERM", "15", "RTMIN+2"; a negative errno. */
static int signal_number(const char *name)
{
	long number;

	if (parse_number(name, SIGRTMAX, &number) == 0)
		return number > 0 ? (int)number : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *known = sigabbrev_np(sig);

		if (known && strcasecmp(known, name) == 0)
			return sig;
	}
	if (strncasecmp(name, "RTMIN", 5) == 0 &&
	    (!name[5] ||
	     (name[5] == '+' && parse_number(name + 6, SIGRTMAX - SIGRTMIN, &number) == 0)))
		return SIGRTMIN + (name[5] ? (int)number : 0);
	if (strncasecmp(name, "RTMAX", 5) == 0 &&
	    (!name[5] ||
	     (name[5] == '-' && parse_number(name + 6, SIGRTMAX - SIGRTMIN, &number) == 0)))
		return SIGRTMAX - (name[5] ? (int)number : 0);
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
	if (a->has_block) {
		sigprocmask(SIG_BLOCK, NULL, &set);
		sigorset(&set, &set, &a->block);
		spawn_request_sigmask(request, &set);
	}
}
