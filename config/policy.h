/* SPDX-License-Identifier: MIT */
/*
 * policy.h - (configuration, peer, request) -> plan or error. Pure: no system calls, no state, no
 * allocation. What may be refused is refused here and nowhere else.
 */
#ifndef CONFIG_POLICY_H
#define CONFIG_POLICY_H

#include "config/table.h"

#include <stdbool.h>
#include <sys/types.h>

struct policy_peer {
	uid_t uid;
	gid_t gid;
	const uint32_t *groups;
	size_t n_groups;
	const char *confined; /* how it is more confined than the server, or NULL */
	uint32_t leaves;      /* that this uid has running or untaken */
	uint32_t queued;      /* requests of this uid that wait */
};

struct policy_request {
	const char *template_name;
	bool has_nofork;
	uint32_t nofork; /* enum nofork_level; checked here */
	bool kill_with_caller;
	bool program; /* it names one to become */
	bool has_deadline;
	uint64_t deadline_ms, grace_ms;
};

/* What was decided; nothing left to decide. */
struct plan {
	size_t index; /* of the template in the table */
	uint32_t nofork;
	bool kill_with_caller;
	uint64_t deadline_ms; /* 0: none */
	uint64_t grace_ms;
};

#define POLICY_DEADLINE_MAX_MS	(366ull * 86400 * 1000)
#define POLICY_GRACE_DEFAULT_MS 5000

/*
 * 0 and a plan, or: -ENOENT no such template; -EPERM not for this user, a confined peer, or less
 * no-fork than the template permits; -EINVAL a value out of range, or a program for a template of
 * another lane than `exec`, or none for that; -EAGAIN a limit of this uid.
 * A template that the peer may not use answers as one that does not exist does not: the name is no
 * secret, and the message says who may.
 */
int policy_decide(const struct config *config, const struct policy_peer *peer,
		  const struct policy_request *request, struct plan *ret, struct spawn_error *err);

#endif
