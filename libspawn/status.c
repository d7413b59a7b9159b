/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/nofork.h"
#include "client.h"

#include <errno.h>
#include <string.h>

static const char *name_of(const char *const *names, size_t n, uint32_t number)
{
	return number < n && names[number] ? names[number] : "unknown";
}
#define NAME_OF(names, number) name_of(names, sizeof(names) / sizeof(*(names)), (number))

static const char *const lanes[] = {
	[1] = "object", [2] = "exec", [3] = "program", [4] = "main", [5] = "python"};
static const char *const template_states[] = {
	[TEMPLATE_COLD] = "cold", [TEMPLATE_WARMING] = "warming",   [TEMPLATE_WARM] = "warm",
	[TEMPLATE_DOWN] = "down", [TEMPLATE_RETIRING] = "retiring",
};
static const char *const leaf_states[] = {
	[LEAF_PARKED] = "parked",
	[LEAF_LAUNCHED] = "launched",
	[LEAF_OVER] = "over",
};

/* By whom is known once the template is warm; before, only what. */
static const char *promised(unsigned level, unsigned enforcer)
{
	const char *name = nofork_level_name(level);

	return enforcer == NOFORK_BY_NOBODY && name ? name : nofork_describe(level, enforcer);
}

static void tell_template(const struct spawn_status_calls *calls, const struct message *m,
			  void *user)
{
	char name[65], reason[1025], tail[4097];
	struct spawn_template_status status = {
		.size = sizeof(status),
		.name = message_string(m, REC_TEMPLATE, name, sizeof(name)),
		.lane = NAME_OF(lanes, message_u32(m, REC_LANE)),
		.state = NAME_OF(template_states, message_u32(m, REC_STATE)),
		.nofork = promised(message_u32(m, REC_NOFORK), message_u32(m, REC_NOFORK_BY)),
		.reason = message_string(m, REC_REASON, reason, sizeof(reason)),
		.tail = message_string(m, REC_TAIL, tail, sizeof(tail)),
		.generation = message_u64(m, REC_GENERATION),
		.hits = message_u64(m, REC_HITS),
		.misses = message_u64(m, REC_MISSES),
		.retry_ms = message_u64(m, REC_RETRY),
		.parked = message_u32(m, REC_PARKED),
		.launched = message_u32(m, REC_LAUNCHED),
		.queued = message_u32(m, REC_QUEUED),
		.host_pid = (pid_t)message_u32(m, REC_PID),
		.uid = (uid_t)message_u32(m, REC_UID),
	};

	if (calls->template_)
		calls->template_(&status, user);
}

static void tell_leaf(const struct spawn_status_calls *calls, const struct message *m, void *user)
{
	char name[65];
	struct spawn_leaf_status status = {
		.size = sizeof(status),
		.template_name = message_string(m, REC_TEMPLATE, name, sizeof(name)),
		.state = NAME_OF(leaf_states, message_u32(m, REC_STATE)),
		.nofork =
			nofork_describe(message_u32(m, REC_NOFORK), message_u32(m, REC_NOFORK_BY)),
		.serial = message_u64(m, REC_SERIAL),
		.pid = (pid_t)message_u32(m, REC_PID),
		.uid = (uid_t)message_u32(m, REC_UID),
	};

	if (calls->leaf)
		calls->leaf(&status, user);
}

static void tell(const struct spawn_status_calls *calls, const struct call *call, void *user)
{
	for (const struct reply *reply = call->replies; reply; reply = reply->next) {
		struct message m;

		/* It was checked when it came. */
		if (message_decode(reply->data, reply->len, PEER_BROKER, PEER_CLIENT, STATE_OPEN, 0,
				   &m, NULL) < 0)
			continue;
		if (m.type == MSG_STATUS_TEMPLATE)
			tell_template(calls, &m, user);
		else
			tell_leaf(calls, &m, user);
	}
}

int spawn_client_status(struct spawn_client *client, const struct spawn_status_calls *calls,
			void *user, struct spawn_error *err)
{
	_uncancellable_ cancel = cancel_off();
	struct call call = {.kind = CALL_STATUS};
	struct spawn_server_status status = {.size = sizeof(status)};
	char version[sizeof(((struct connection *)0)->server)];
	struct connection *c;
	int r = client_enter(client, &c, err);

	if (r < 0)
		return r;
	if (c->is_private) {
		connection_unref(c);
		return error_set(err, -ENOTCONN, SPAWN_ORIGIN_CLIENT, STEP_REQUEST,
				 "a client of spawn_private_open() has no server whose state could "
				 "be told");
	}
	call.replies_end = &call.replies;
	connection_lock(c);
	r = call_ask(c, &call, MSG_STATUS, err);
	memcpy(version, c->server, sizeof(version));
	status.version = version;
	status.mode = c->server_mode == 0 ? "user" : "system";
	status.keeper_pid = c->keeper_pid;
	connection_unlock(c);
	if (r == 0) {
		if (calls->server)
			calls->server(&status, user);
		tell(calls, &call, user);
	}
	call_drop_replies(&call);
	connection_unref(c);
	return r;
}
