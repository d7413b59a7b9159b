/* SPDX-License-Identifier: MIT */
/* server.h - a spawnd of the bench's own, with the bench's templates. One at a time. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "bench.h"
#include "libspawn.h"
#include "process.h"

#include <sys/types.h>

enum template {
	TEMPLATE_TINY,
	TEMPLATE_WORDS,
	TEMPLATE_UNFILTERED, /* tiny with "nofork": "off", which is not its default */
	TEMPLATE_SCARCE,     /* tiny, for a pool that does not do */
	TEMPLATE_EXEC,	     /* its leaves execute the programs */
	TEMPLATES
};
const char *template_name(enum template t);
enum work template_work(enum template t);

struct pool_sizes {
	unsigned size, low; /* size 0: the template is not configured */
};

struct server {
	char socket[108];
	pid_t pid;
	int pidfd;
	struct spawn_client *client; /* for status; who measures has its own */
	struct pool_sizes pools[TEMPLATES];
};

/* Returns when all pools are full. cgroup_procs: the file to write itself into, or NULL. */
void server_start(struct server *s, const struct bench *b, const struct pool_sizes pools[TEMPLATES],
		  const char *cgroup_procs);
void server_stop(struct server *s);
/* Waits until all pools are full. */
void server_settle(struct server *s);
/* What keeper, broker and hosts have used so far. */
double server_cpu_us(const struct server *s);

#endif
