/* SPDX-License-Identifier: MIT */
/*
 * stage.h - a server of our own in a temporary directory, and what is told of it by itself
 * (spawn_client_status) and by /proc. Complaints go to stderr; functions return 0 or -1.
 */
#ifndef STRESS_STAGE_H
#define STRESS_STAGE_H

#include <libspawn.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define STAGE_POOL 32
/* How long anything that must happen may take. Not a time to wait. */
#define STAGE_PATIENCE_MS 30000

struct stage {
	char dir[48], socket[64], config[64], log[64];
	pid_t pid;
	int pidfd;
	unsigned reloads;
	unsigned clients_max;
	struct spawn_client *client; /* the driver's own connection */
};

int stage_start(struct stage *s, const char *spawnd, const char *template_dir, unsigned clients);
/* Writes another configuration and says so to the server. */
int stage_reload(struct stage *s);
/* SIGTERM, then waits; its exit status, -1 when a signal ended it, -2 when it does not end. */
int stage_stop(struct stage *s);
/* The last of what it logged, to stderr. */
void stage_show_log(const struct stage *s);
bool stage_log_has(const struct stage *s, const char *text);
/* Removes the directory; how many things were in it that should not be. */
int stage_remove(struct stage *s);

#define STAGE_LEAVES_MAX 4096
struct stage_status {
	unsigned parked, launched, queued;
	unsigned long long hits, misses, generation;
	pid_t host;
	size_t n_parked, n_launched; /* those with a pid below, or their records */
	pid_t parked_pids[STAGE_LEAVES_MAX], launched_pids[STAGE_LEAVES_MAX];
};
/* Asks the server. Ends the program, aloud, when it does not answer. */
int stage_status(struct stage *s, struct stage_status *ret);

/* The broker, 0 when there is none just now. */
pid_t stage_broker(const struct stage *s);
/* Whether that is a child of the keeper now. */
bool stage_is_child(const struct stage *s, pid_t pid);
/* A pidfd of a process of this server's, or -1: it is over or another server's. */
int stage_pidfd(const struct stage *s, pid_t pid);

#endif
