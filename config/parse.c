/* SPDX-License-Identifier: MIT */
#include "config/parse.h"

#include "base/log.h"
#include "base/nofork.h"
#include "config/keys.h"
#include "config/lane.h"
#include "config/range.h"
#include "config/resolve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_GIVEN	   UINT32_MAX

#define POOL_SIZE_DEFAULT  4
#define POOL_LOW_DEFAULT   1
#define LEAVES_MAX_DEFAULT 1024
#define QUEUE_MAX_DEFAULT  256
#define WARM_DEFAULT_MS	   30000
#define BROKER_USER	   "spawnd"

struct allocation {
	struct allocation *next;
	max_align_t bytes[];
};

void *parsed_alloc(struct parsed *parsed, size_t n, size_t size)
{
	struct allocation *a;

	if (size > 0 && n > (SIZE_MAX - sizeof(*a)) / size)
		return NULL;
	a = calloc(1, sizeof(*a) + n * size);
	if (!a)
		return NULL;
	a->next = parsed->allocations;
	parsed->allocations = a;
	return a->bytes;
}

void parsed_free(struct parsed *parsed)
{
	if (!parsed)
		return;
	while (parsed->allocations) {
		struct allocation *a = parsed->allocations;

		parsed->allocations = a->next;
		free(a);
	}
	json_free(parsed->document);
	free(parsed);
}

static int read_nofork(const struct reading *r, const struct key *key, const struct json *value,
		       void *into)
{
	struct config_template *t = into;
	static const char *const names[] = {"off", "copy", "process", NULL};
	int level = read_name(r, key, value, names);

	if (level < 0)
		return level;
	t->nofork = (uint32_t)nofork_level_parse(names[level]);
	return 0;
}

static int read_enforce(const struct reading *r, const struct key *key, const struct json *value,
			void *into)
{
	struct config_template *t = into;
	static const char *const names[] = {"any", "kernel", NULL};
	int which = read_name(r, key, value, names);

	if (which < 0)
		return which;
	t->enforce_kernel = which == 1;
	return 0;
}

static int read_gate(const struct reading *r, const struct key *key, const struct json *value,
		     void *into)
{
	struct config_template *t = into;
	static const char *const names[] = {"warn", "refuse", NULL};
	int which = read_name(r, key, value, names);

	if (which < 0)
		return which;
	t->gate_refuses = which == 1;
	return 0;
}

static int read_id(const struct reading *r, const struct key *key, const struct json *item,
		   bool group, uint32_t *ret)
{
	const char *what = group ? "group" : "user";
	char quoted[120];
	int rc;

	if (item->kind == JSON_NUMBER && item->whole && item->number < UINT32_MAX) {
		*ret = (uint32_t)item->number;
		return 0;
	}
	if (item->kind != JSON_STRING)
		return reject_set(r->reject, -EINVAL, item->at,
				  "%s.%s has %s (expected a %s's name, or its number from 0 to %u)",
				  r->section, key->name,
				  item->kind == JSON_NUMBER ? "a number that is none"
							    : json_kind_name(item->kind),
				  what, UINT32_MAX - 1);
	rc = group ? resolve_group(item->string, ret) : resolve_user(item->string, ret, NULL);
	if (rc == 0)
		return 0;
	log_quote(quoted, sizeof(quoted), item->string);
	if (rc == -ENOENT)
		return reject_set(r->reject, -EINVAL, item->at,
				  "%s.%s has %s, and there is no such %s (expected a %s of this "
				  "machine, by name or number)",
				  r->section, key->name, quoted, what, what);
	return reject_set(r->reject, -EINVAL, item->at, "%s.%s: cannot look up %s %s: %s",
			  r->section, key->name, what, quoted, strerrordesc_np(-rc));
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorted and each once, as env. */
static int read_ids(const struct reading *r, const struct key *key, const struct json *value,
		    bool group, const uint32_t **ret, size_t *ret_n)
{
	size_t n = 0, unique = 0;
	uint32_t *ids;

	if (value->kind != JSON_ARRAY)
		return refuse_kind(r, key->name, value,
				   group ? "a list of groups, [\"name\", 1000]"
					 : "a list of users, [\"name\", 1000]");
	ids = parsed_alloc(r->parsed, json_count(value) + 1, sizeof(*ids));
	if (!ids)
		return refuse_memory(r);
	for (const struct json *item = value->child; item; item = item->next) {
		int rc = read_id(r, key, item, group, &ids[n++]);

		if (rc < 0)
			return rc;
	}
	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			ids[unique++] = ids[i];
	*ret = ids;
	*ret_n = unique;
	return 0;
}

static int read_users(const struct reading *r, const struct key *key, const struct json *value,
		      void *into)
{
	struct config_template *t = into;

	t->everyone = false;
	return read_ids(r, key, value, false, &t->users, &t->n_users);
}

static int read_groups(const struct reading *r, const struct key *key, const struct json *value,
		       void *into)
{
	struct config_template *t = into;

	t->everyone = false;
	return read_ids(r, key, value, true, &t->groups, &t->n_groups);
}

#define TEMPLATE(field) offsetof(struct config_template, field)

static int read_pool(const struct reading *r, const struct key *key, const struct json *value,
		     void *into)
{
	static const struct key keys[] = {
		{"size", read_u32, TEMPLATE(pool_size), 1, CONFIG_LEAVES_MAX},
		{"low", read_u32, TEMPLATE(pool_low), 0, CONFIG_LEAVES_MAX - 1},
		{NULL},
	};

	return read_section(r, key->name, value, keys, into);
}

static const struct key template_keys[] = {
	{"lane", read_lane},
	{"object", read_object},
	{"program", read_program},
	{"args", read_args},
	{"python", read_program},
	{"preload", read_preload},
	{"env", read_env},
	{"pool", read_pool},
	{"leaves_max", read_u32, TEMPLATE(leaves_max), 1, CONFIG_LEAVES_MAX},
	{"queue_max", read_u32, TEMPLATE(queue_max), 1, CONFIG_QUEUE_MAX},
	{"nofork", read_nofork},
	{"nofork_weaker", read_bool, TEMPLATE(nofork_weaker)},
	{"enforce", read_enforce},
	{"gate", read_gate},
	{"compact", read_bool, TEMPLATE(compact)},
	{"prestart", read_bool, TEMPLATE(prestart)},
	{"users", read_users},
	{"groups", read_groups},
	{"warm_timeout_ms", read_u64, TEMPLATE(warm_timeout_ms), 1, CONFIG_WARM_MAX_MS},
	{NULL},
};

/* Where to point for a value of the pool that may not have been given. */
static struct place pool_place(const struct json *node, const char *key)
{
	const struct json *pool = json_member(node, "pool"),
			  *leaves = json_member(node, "leaves_max");
	const struct json *value = pool ? json_member(pool, key) : NULL;

	return value ? value->at : pool ? pool->at : leaves ? leaves->at : node->at;
}

/* Fills in what was not given so that it fits what was. */
static int finish_pool(const struct reading *r, const struct json *node, struct config_template *t)
{
	if (t->pool_size == NOT_GIVEN)
		t->pool_size =
			t->leaves_max < POOL_SIZE_DEFAULT ? t->leaves_max : POOL_SIZE_DEFAULT;
	if (t->pool_low == NOT_GIVEN)
		t->pool_low = t->pool_size > POOL_LOW_DEFAULT ? POOL_LOW_DEFAULT : 0;
	if (t->pool_low >= t->pool_size)
		return reject_set(r->reject, -EINVAL, pool_place(node, "low"),
				  "templates.%s.pool.low is %" PRIu32 " and pool.size is %" PRIu32
				  " (expected low below size)",
				  t->name, t->pool_low, t->pool_size);
	if (t->pool_size > t->leaves_max)
		return reject_set(r->reject, -EINVAL, pool_place(node, "size"),
				  "templates.%s.pool.size is %" PRIu32 " and leaves_max is %" PRIu32
				  " (expected size at most leaves_max)",
				  t->name, t->pool_size, t->leaves_max);
	return 0;
}

static int read_template(const struct reading *r, const struct json *node,
			 struct config_template *t)
{
	static const char *const none[] = {NULL};
	char quoted[120];
	int rc;

	if (!config_name_valid(node->key))
		return reject_set(
			r->reject, -EINVAL, node->key_at,
			"%s is no name for a template (expected 1 to %d of A-Z a-z 0-9 . _ "
			"-, not starting with . or -)",
			log_quote(quoted, sizeof(quoted), node->key), CONFIG_NAME_MAX);
	*t = (struct config_template){
		.name = node->key,
		.object = "",
		.program = "",
		.args = none,
		.env = none,
		.pool_size = NOT_GIVEN,
		.pool_low = NOT_GIVEN,
		.leaves_max = LEAVES_MAX_DEFAULT,
		.queue_max = QUEUE_MAX_DEFAULT,
		.nofork = NOT_GIVEN,
		.compact = true,
		.everyone = true,
		.warm_timeout_ms = WARM_DEFAULT_MS,
	};
	rc = read_section(r, node->key, node, template_keys, t);
	if (rc == 0)
		rc = lane_check(r, node, t);
	/* A program that was not written for spawnd promises nothing unless told to. */
	if (t->nofork == NOT_GIVEN)
		t->nofork = t->lane == LANE_EXEC || t->lane == LANE_MAIN ? NOFORK_OFF : NOFORK_COPY;
	if (rc == 0)
		rc = finish_pool(r, node, t);
	return rc;
}

static int read_templates(const struct reading *r, const struct key *key, const struct json *value,
			  void *into)
{
	struct config *c = into;
	struct reading inner = *r;

	if (value->kind != JSON_OBJECT)
		return refuse_kind(r, key->name, value, "an object, {\"NAME\": {...}}");
	if (json_count(value) > CONFIG_TEMPLATES_MAX)
		return reject_set(r->reject, -EINVAL, value->at,
				  "%zu templates (expected at most %d)", json_count(value),
				  CONFIG_TEMPLATES_MAX);
	c->templates = parsed_alloc(r->parsed, json_count(value) + 1, sizeof(*c->templates));
	if (!c->templates)
		return refuse_memory(r);
	snprintf(inner.section, sizeof(inner.section), "%s", key->name);
	for (const struct json *member = value->child; member; member = member->next) {
		int rc = read_template(&inner, member, &c->templates[c->n_templates]);

		if (rc < 0)
			return rc;
		c->n_templates++;
	}
	return 0;
}

#define CONFIG(field) offsetof(struct config, field)

static int read_limits(const struct reading *r, const struct key *key, const struct json *value,
		       void *into)
{
	static const struct key keys[] = {
		{"connections_per_uid", read_u32, CONFIG(connections_per_uid), 1,
		 CONFIG_CONNECTIONS_MAX},
		{"leaves_per_uid", read_u32, CONFIG(leaves_per_uid), 1, CONFIG_LEAVES_UID_MAX},
		{"queue_per_uid", read_u32, CONFIG(queue_per_uid), 1, CONFIG_QUEUE_MAX},
		{NULL},
	};

	return read_section(r, key->name, value, keys, into);
}

/* In user mode the broker runs as the user: nobody is looked up. */
static int resolve_broker(const struct reading *r, const char *name, const struct json *value)
{
	struct config *c = &r->parsed->config;
	char quoted[120];
	int rc;

	if (!r->options->system)
		return 0;
	rc = resolve_user(name, &c->broker_uid, &c->broker_gid);
	if (rc == -ENOENT && !value)
		return 0; /* the keeper says what to do about it */
	log_quote(quoted, sizeof(quoted), name);
	if (rc == -ENOENT)
		return reject_set(r->reject, -EINVAL, value->at,
				  "broker_user is %s, and there is no such user (expected an "
				  "unprivileged user of this machine, for the broker alone)",
				  quoted);
	if (rc < 0)
		return reject_set(r->reject, -EINVAL, value ? value->at : (struct place){0},
				  "cannot look up user %s: %s", quoted, strerrordesc_np(-rc));
	if (c->broker_uid == 0 || c->broker_gid == 0)
		return reject_set(r->reject, -EINVAL, value ? value->at : (struct place){0},
				  "broker_user is %s, uid %" PRIu32 " gid %" PRIu32
				  " (expected neither to be root's)",
				  quoted, c->broker_uid, c->broker_gid);
	return 0;
}

static int read_broker_user(const struct reading *r, const struct key *key,
			    const struct json *value, void *into)
{
	if (value->kind != JSON_STRING || value->string[0] == '\0')
		return refuse_kind(r, key->name, value, "the name of a user");
	r->parsed->broker_user = value->string;
	return resolve_broker(r, value->string, value);
}

static const struct key top_keys[] = {
	{"limits", read_limits},
	{"stop_timeout_ms", read_u64, CONFIG(stop_timeout_ms), 0, CONFIG_STOP_MAX_MS},
	{"broker_user", read_broker_user},
	{"templates", read_templates},
	{NULL},
};

static int read_configuration(const struct reading *r, const struct json *root)
{
	struct parsed *parsed = r->parsed;
	int rc;

	parsed->config = (struct config){
		.connections_per_uid = 64,
		.leaves_per_uid = 4096,
		.queue_per_uid = 1024,
		.stop_timeout_ms = 5000,
		.broker_uid = UINT32_MAX,
		.broker_gid = UINT32_MAX,
	};
	rc = read_section(r, NULL, root, top_keys, &parsed->config);
	if (rc < 0 || parsed->broker_user)
		return rc;
	rc = resolve_broker(r, BROKER_USER, NULL);
	if (rc == 0 && (!r->options->system || parsed->config.broker_uid != UINT32_MAX))
		parsed->broker_user = BROKER_USER;
	return rc;
}

int config_parse(char *text, size_t len, const struct parse_options *options, struct parsed **ret,
		 struct reject *reject)
{
	struct parsed *parsed = calloc(1, sizeof(*parsed));
	struct reading reading = {.options = options, .parsed = parsed, .reject = reject};
	int r;

	if (!parsed)
		return refuse_memory(&reading);
	r = json_parse(text, len, &parsed->document, reject);
	if (r == 0)
		r = read_configuration(&reading, json_root(parsed->document));
	if (r < 0) {
		parsed_free(parsed);
		return r;
	}
	*ret = parsed;
	return 0;
}
