/* SPDX-License-Identifier: MIT */
#include "config/policy.h"

#include "base/error.h"
#include "base/log.h"
#include "base/nofork.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What `spawn -- PROGRAM` and spawn_request_new(NULL) ask for. */
#define TEMPLATE_OF_PROGRAMS	"exec"

#define REFUSE(code, step, ...) error_set(err, code, SPAWN_ORIGIN_POLICY, step, __VA_ARGS__)

/* A list for people, cut with "..." when it is long. */
struct listing {
	char text[160];
	size_t len;
	bool cut;
};

static void listing_add(struct listing *l, const char *separator, const char *item)
{
	size_t need = strlen(separator) + strlen(item);

	if (l->cut)
		return;
	if (l->len + need + sizeof(", ...") > sizeof(l->text)) {
		l->cut = true;
		separator = ", ";
		item = "...";
	}
	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s", separator,
				   item);
}

static void listing_add_ids(struct listing *l, const char *what, const uint32_t *ids, size_t n)
{
	if (n == 0)
		return;
	listing_add(l, l->len > 0 ? " and " : "", what);
	for (size_t i = 0; i < n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%" PRIu32, ids[i]);
		listing_add(l, i > 0 ? ", " : " ", id);
	}
}

static int refuse_unknown(const struct config *config, const char *name, struct spawn_error *err)
{
	char quoted[100];
	struct listing known = {.text = ""};

	log_quote(quoted, sizeof(quoted), name);
	if (strcmp(name, TEMPLATE_OF_PROGRAMS) == 0)
		return REFUSE(
			-ENOENT, STEP_TEMPLATE,
			"no template %s: this server executes no programs (add to the templates "
			"of its configuration: %s: {\"lane\": \"exec\"})",
			quoted, quoted);
	if (config->n_templates == 0)
		return REFUSE(-ENOENT, STEP_TEMPLATE,
			      "no template %s: the server's configuration has none", quoted);
	for (size_t i = 0; i < config->n_templates; i++)
		listing_add(&known, i > 0 ? ", " : "", config->templates[i].name);
	return REFUSE(-ENOENT, STEP_TEMPLATE, "no template %s (there is: %s)", quoted, known.text);
}

static bool id_listed(const uint32_t *ids, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Root is a user like the others: it is listed or it is not. */
static bool peer_listed(const struct config_template *t, const struct policy_peer *peer)
{
	if (t->everyone || id_listed(t->users, t->n_users, peer->uid) ||
	    id_listed(t->groups, t->n_groups, peer->gid))
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (id_listed(t->groups, t->n_groups, peer->groups[i]))
			return true;
	return false;
}

static int check_peer(const struct config_template *t, const struct policy_peer *peer,
		      struct spawn_error *err)
{
	struct listing who = {.text = ""};

	if (peer_listed(t, peer))
		return 0;
	listing_add_ids(&who, t->n_users == 1 ? "user" : "users", t->users, t->n_users);
	listing_add_ids(&who, t->n_groups == 1 ? "group" : "groups", t->groups, t->n_groups);
	return REFUSE(-EPERM, STEP_PERMISSION,
		      "template \"%s\" is for %s, not for user %u (\"users\" and \"groups\" of "
		      "templates.%s in the server's configuration say who may)",
		      t->name, who.len > 0 ? who.text : "nobody", (unsigned)peer->uid, t->name);
}

static int check_lane(const struct config_template *t, const struct policy_request *request,
		      struct spawn_error *err)
{
	if (request->program == (t->lane == LANE_EXEC))
		return 0;
	if (request->program)
		return REFUSE(-EINVAL, STEP_EXEC,
			      "template \"%s\" executes no programs: its leaves run its own code "
			      "(name a template of lane \"exec\")",
			      t->name);
	return REFUSE(-EINVAL, STEP_EXEC, "template \"%s\" executes programs, and none was named",
		      t->name);
}

static int decide_nofork(const struct config_template *t, const struct policy_request *request,
			 uint32_t *ret, struct spawn_error *err)
{
	uint32_t level = request->has_nofork ? request->nofork : t->nofork;

	if (!nofork_level_name(level))
		return REFUSE(-EINVAL, STEP_NOFORK,
			      "no-fork level %" PRIu32 " is unknown (0 off, 1 copy, 2 process)",
			      level);
	if (level < t->nofork && !t->nofork_weaker)
		return REFUSE(
			-EPERM, STEP_NOFORK,
			"template \"%s\" is no-fork \"%s\" and does not permit \"%s\" (ask for no "
			"less, or set templates.%s.nofork_weaker)",
			t->name, nofork_level_name(t->nofork), nofork_level_name(level), t->name);
	if (level == NOFORK_PROCESS && t->enforce_kernel)
		return REFUSE(-EPERM, STEP_NOFORK,
			      "template \"%s\" says \"enforce\": \"kernel\", and only seccomp can "
			      "enforce no-fork \"process\" (ask for \"copy\")",
			      t->name);
	*ret = level;
	return 0;
}

static int check_times(const struct policy_request *request, struct spawn_error *err)
{
	if (request->has_deadline &&
	    (request->deadline_ms == 0 || request->deadline_ms > POLICY_DEADLINE_MAX_MS))
		return REFUSE(-EINVAL, STEP_DEADLINE,
			      "a deadline of %" PRIu64 " ms is out of range (1 to %llu)",
			      request->deadline_ms, POLICY_DEADLINE_MAX_MS);
	if (request->grace_ms > POLICY_DEADLINE_MAX_MS)
		return REFUSE(-EINVAL, STEP_DEADLINE,
			      "a grace of %" PRIu64 " ms is out of range (0 to %llu)",
			      request->grace_ms, POLICY_DEADLINE_MAX_MS);
	return 0;
}

/* A request that waits becomes a leaf, so it counts as one already. */
static int check_limits(const struct config *config, const struct policy_peer *peer,
			struct spawn_error *err)
{
	if (peer->queued >= config->queue_per_uid)
		return error_set(err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
				 "user %u has %" PRIu32 " requests waiting, the most that "
				 "limits.queue_per_uid allows (%" PRIu32 "): try again later",
				 (unsigned)peer->uid, peer->queued, config->queue_per_uid);
	if ((uint64_t)peer->leaves + peer->queued >= config->leaves_per_uid)
		return error_set(
			err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
			"user %u has %" PRIu32 " leaves running or not yet waited for and "
			"%" PRIu32 " requests waiting, the most that limits.leaves_per_uid "
			"allows (%" PRIu32 "): wait for some to end",
			(unsigned)peer->uid, peer->leaves, peer->queued, config->leaves_per_uid);
	return 0;
}

int policy_decide(const struct config *config, const struct policy_peer *peer,
		  const struct policy_request *request, struct plan *ret, struct spawn_error *err)
{
	const struct config_template *t;
	uint32_t nofork = 0;
	int r;

	if (peer->confined)
		return REFUSE(
			-EPERM, STEP_PERMISSION,
			"the caller is more confined than the server (%s): a spawn would be a "
			"way out of its sandbox (connect before confining it, or do not spawn)",
			peer->confined);
	t = config_find(config, request->template_name);
	if (!t)
		return refuse_unknown(config, request->template_name, err);
	r = check_peer(t, peer, err);
	if (r < 0)
		return r;
	r = check_lane(t, request, err);
	if (r < 0)
		return r;
	r = decide_nofork(t, request, &nofork, err);
	if (r < 0)
		return r;
	r = check_times(request, err);
	if (r < 0)
		return r;
	r = check_limits(config, peer, err);
	if (r < 0)
		return r;
	*ret = (struct plan){
		.index = (size_t)(t - config->templates),
		.nofork = nofork,
		.kill_with_caller = request->kill_with_caller,
		.deadline_ms = request->has_deadline ? request->deadline_ms : 0,
		.grace_ms = request->has_deadline ? request->grace_ms : POLICY_GRACE_DEFAULT_MS,
	};
	return 0;
}
