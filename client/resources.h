/* SPDX-License-Identifier: MIT */
/* resources.h - the options of a launch about what it may use. */
#ifndef CLIENT_RESOURCES_H
#define CLIENT_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

struct spawn_request;

struct limits {
	uint32_t given; /* bit n: resource n */
	struct {
		uint64_t soft, hard;
	} of[RLIM_NLIMITS];
	bool has_nice, has_oom_score_adj;
	int nice, oom_score_adj;
	uint64_t timer_slack; /* 0: not given */
	unsigned *cpus;	      /* owned */
	size_t n_cpus;
};

/* --limit NAME=SOFT[:HARD] and the like. 0, or a negative errno after one line on stderr. */
int limits_add(struct limits *l, const char *arg);
int limits_nice(struct limits *l, const char *arg);
int limits_cpus(struct limits *l, const char *list);
int limits_oom_score_adj(struct limits *l, const char *arg);
int limits_timer_slack(struct limits *l, const char *arg);
/* Errors are latched in the request and told at the start. */
void limits_request(const struct limits *l, struct spawn_request *request);
void limits_done(struct limits *l);

#endif
