/* SPDX-License-Identifier: MIT */
#include "resources.h"

#include "libspawn.h"
#include "number.h"
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CPU_MAX 8191

/* As prlimit(1) has them. */
static const struct {
	const char *name;
	int resource;
} resources[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

static int find_resource(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (strncasecmp(name, resources[i].name, len) == 0 && !resources[i].name[len])
			return resources[i].resource;
	return -EINVAL;
}

static int parse_limit(const char *s, size_t len, uint64_t *ret)
{
	static const char unlimited[] = "unlimited";

	if (len == sizeof(unlimited) - 1 && memcmp(s, unlimited, len) == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return number_parse(s, len, UINT64_MAX - 1, ret);
}

int limits_add(struct limits *l, const char *arg)
{
	const char *equals = strchr(arg, '='), *value = equals ? equals + 1 : "", *colon;
	int resource =
		equals && equals > arg ? find_resource(arg, (size_t)(equals - arg)) : -EINVAL;
	uint64_t soft, hard;

	colon = strchr(value, ':');
	if (resource < 0 ||
	    parse_limit(value, colon ? (size_t)(colon - value) : strlen(value), &soft) < 0)
		goto bad;
	hard = soft;
	if (colon && parse_limit(colon + 1, strlen(colon + 1), &hard) < 0)
		goto bad;
	l->of[resource].soft = soft;
	l->of[resource].hard = hard;
	l->given |= 1u << resource;
	return 0;
bad:
	return usage_error("--limit wants NAME=SOFT[:HARD], as nofile=1024:4096 or "
			   "core=unlimited, not '%s'",
			   arg);
}

int limits_nice(struct limits *l, const char *arg)
{
	l->has_nice = true;
	if (number_parse_signed(arg, -20, 19, &l->nice) < 0)
		return usage_error("--nice wants a number from -20 to 19, not '%s'", arg);
	return 0;
}

static int add_cpus(struct limits *l, unsigned from, unsigned to)
{
	unsigned *more = reallocarray(l->cpus, l->n_cpus + (to - from) + 1, sizeof(*more));

	if (!more)
		return usage_error("out of memory");
	l->cpus = more;
	while (from <= to)
		l->cpus[l->n_cpus++] = from++;
	return 0;
}

int limits_cpus(struct limits *l, const char *list)
{
	const char *s = list;

	for (;;) {
		size_t len = strcspn(s, ","), first = strcspn(s, "-,");
		uint64_t from, to;

		if (number_parse(s, first, CPU_MAX, &from) < 0)
			break;
		to = from;
		if (first < len &&
		    (number_parse(s + first + 1, len - first - 1, CPU_MAX, &to) < 0 || to < from))
			break;
		if (add_cpus(l, (unsigned)from, (unsigned)to) < 0)
			return -ENOMEM;
		if (!s[len])
			return 0;
		s += len + 1;
	}
	return usage_error("--cpus wants numbers of processors, as 0-3,6, not '%s'", list);
}

int limits_oom_score_adj(struct limits *l, const char *arg)
{
	l->has_oom_score_adj = true;
	if (number_parse_signed(arg, -1000, 1000, &l->oom_score_adj) < 0)
		return usage_error("--oom-score-adj wants a number from -1000 to 1000, not '%s'",
				   arg);
	return 0;
}

int limits_timer_slack(struct limits *l, const char *arg)
{
	if (number_parse(arg, strlen(arg), INT64_MAX, &l->timer_slack) < 0 || l->timer_slack == 0)
		return usage_error("--timer-slack wants nanoseconds, not '%s'", arg);
	return 0;
}

void limits_request(const struct limits *l, struct spawn_request *request)
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (l->given & 1u << resource)
			spawn_request_rlimit(request, resource, l->of[resource].soft,
					     l->of[resource].hard);
	if (l->has_nice)
		spawn_request_nice(request, l->nice);
	if (l->n_cpus > 0)
		spawn_request_cpus(request, l->n_cpus, l->cpus);
	if (l->has_oom_score_adj)
		spawn_request_oom_score_adj(request, l->oom_score_adj);
	if (l->timer_slack > 0)
		spawn_request_timer_slack(request, l->timer_slack);
}

void limits_done(struct limits *l)
{
	free(l->cpus);
	l->cpus = NULL;
}
