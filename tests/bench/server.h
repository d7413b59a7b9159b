/* SPDX-License-Identifier: MIT */
/* server.h - a spawnd of the bench's own, with the bench's templates. One at a time. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "bench.h"
#include "libspawn.h"

#include <sys/types.h>

#define PROCESSES_MAX 16

struct pool_sizes {
	unsigned size, low; /* size 0: the template is not configured */
};

struct server {
	char socket[108];
	pid_t pid;
	int pidfd;
	struct spawn_client *client; /* for status; who measures has its own */
	struct pool_sizes pools[WORKS];
};

/* Returns when all pools are full. cgroup_procs: the file to write itself into, or NULL. */
void server_start(struct server *s, const struct bench *b, const struct pool_sizes pools[WORKS],
		  const char *cgroup_procs);
void server_stop(struct server *s);
/* Waits until all pools are full. */
void server_settle(struct server *s);

struct server_process {
	pid_t pid;
	char name[16]; /* "spawnd", "spawnd-broker", "spawn-host" */
};
/* Keeper, broker, hosts. */
size_t server_processes(const struct server *s, struct server_process ret[PROCESSES_MAX]);
/* What one has used so far, and what all have. */
double process_cpu_us(pid_t pid);
double server_cpu_us(const struct server *s);

#endif
