/* SPDX-License-Identifier: MIT */
/*
 * spawn-host, spawn-host-exec: the process that embodies one template. Started by the keeper with
 * its channel as descriptor 3 and the slots as descriptor 4; warms the template, then forks leaves
 * on request.
 */
#include "base/nofork.h"
#include "host/lane.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* A leaf cannot make the process with which LeakSanitizer looks; a host's memory is its leaves'. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0"; /* a template's crash shall be told as what it is */
}
#endif

static int parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int parse_options(struct host *h, int argc, char **argv)
{
	static const struct option options[] = {
		{"id", required_argument, NULL, 'i'},	  {"name", required_argument, NULL, 'n'},
		{"object", required_argument, NULL, 'o'}, {"slots", required_argument, NULL, 's'},
		{"nofork", required_argument, NULL, 'f'}, {"weaker", no_argument, NULL, 'w'},
		{"kernel", no_argument, NULL, 'k'},	  {"program", required_argument, NULL, 'p'},
		{"note", required_argument, NULL, 'N'},	  {"strict", no_argument, NULL, 'S'},
		{"compact", no_argument, NULL, 'c'},	  {0},
	};
	uint64_t v;
	int c, level;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			if (parse_u64(optarg, SERIAL_HOST_MAX, &h->id) < 0)
				return -EINVAL;
			break;
		case 'n':
			h->warm->name = optarg;
			break;
		case 'o':
			h->object = optarg;
			break;
		case 's':
			if (parse_u64(optarg, SLOTS_MAX, &v) < 0)
				return -EINVAL;
			h->n_slots = (uint32_t)v;
			break;
		case 'f':
			level = nofork_level_parse(optarg);
			if (level < 0)
				return -EINVAL;
			h->warm->nofork = (uint32_t)level;
			break;
		case 'w':
			h->warm->nofork_weaker = true;
			break;
		case 'k':
			h->enforce_kernel = true;
			break;
		case 'p':
			h->warm->program = optarg;
			break;
		case 'c':
			h->compacts = true;
			break;
		case 'S':
			h->gate_refuses = true;
			break;
		case 'N':
			h->note = optarg;
			break;
		default:
			return -EINVAL;
		}
	}
	if (!h->object != lane_executes || (h->warm->program && !lane_executes))
		return -EINVAL;
	return h->warm->name && h->n_slots && h->id ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	static struct warm warm;
	struct host *h = host_new(&warm);
	struct spawn_error err;
	int r;

	if (!h)
		return 1;
	if (parse_options(h, argc, argv) < 0) {
		dprintf(STDERR_FILENO, "spawn-host: started by spawnd, not by hand\n");
		return 2;
	}
	warm.title = argv[0];
	warm.title_size = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
	r = host_open(h, &err);
	if (r == 0)
		r = host_choose_nofork(h, &err);
	if (r == 0)
		r = lane_warm(h, &err);
	if (r == 0)
		r = host_settle(h, &err);
	if (r < 0) {
		host_tell_failed(r, &err);
		return 1;
	}
	return host_serve(h);
}
