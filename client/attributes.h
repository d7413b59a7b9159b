/* SPDX-License-Identifier: MIT */
/* attributes.h - the options of a launch about what the process itself has. */
#ifndef CLIENT_ATTRIBUTES_H
#define CLIENT_ATTRIBUTES_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define USER_GROUPS_MAX 256

struct spawn_request;

struct attributes {
	bool has_user, has_capabilities;
	uid_t uid;
	gid_t gid, groups[USER_GROUPS_MAX];
	int n_groups;
	const char *cgroup; /* NULL: none */
	uint64_t capabilities;
	bool has_block, session, no_new_privs;
	sigset_t block, by_default, ignore;
};

void attributes_init(struct attributes *a);
/* --block-signal and the like. 0, or -EINVAL after one line on stderr. */
int attributes_block(struct attributes *a, const char *list);
int attributes_default(struct attributes *a, const char *list);
int attributes_ignore(struct attributes *a, const char *list);
/* --user NAME or UID:GID[,GROUP...], and --capabilities with their set in hexadecimal. */
int attributes_user(struct attributes *a, const char *arg);
int attributes_capabilities(struct attributes *a, const char *arg);
/* Errors are latched in the request and told at the start. */
void attributes_request(const struct attributes *a, struct spawn_request *request);

#endif
