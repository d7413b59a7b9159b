/* SPDX-License-Identifier: MIT */
#include "config/parse.h"

#include "base/nofork.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* cJSON_Add* answer NULL when out of memory: all must have succeeded. */
static bool print_ids(cJSON *object, const char *key, const uint32_t *ids, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(object, key);

	for (size_t i = 0; list && i < n; i++) {
		cJSON *id = cJSON_CreateNumber(ids[i]);

		if (!cJSON_AddItemToArray(list, id)) {
			cJSON_Delete(id);
			return false;
		}
	}
	return list;
}

static bool print_env(cJSON *object, const char *const *env)
{
	cJSON *variables = cJSON_AddObjectToObject(object, "env");

	for (size_t i = 0; variables && env[i]; i++) {
		const char *sign = strchr(env[i], '=');
		char *name = strndup(env[i], (size_t)(sign - env[i]));
		bool ok = name && cJSON_AddStringToObject(variables, name, sign + 1);

		free(name);
		if (!ok)
			return false;
	}
	return variables;
}

static bool print_args(cJSON *object, const char *key, const char *const *args)
{
	cJSON *list = cJSON_AddArrayToObject(object, key);

	for (size_t i = 0; list && args[i]; i++) {
		cJSON *arg = cJSON_CreateString(args[i]);

		if (!cJSON_AddItemToArray(list, arg)) {
			cJSON_Delete(arg);
			return false;
		}
	}
	return list;
}

/* The keys of this lane alone. */
static bool print_lane(cJSON *object, const struct config_template *t)
{
	if (!cJSON_AddStringToObject(object, "lane", lane_name(t->lane)))
		return false;
	if (t->lane == LANE_EXEC)
		return true;
	if (t->lane == LANE_OBJECT)
		return cJSON_AddStringToObject(object, "object", t->object) &&
		       print_env(object, t->env);
	if (t->lane == LANE_PYTHON)
		return cJSON_AddStringToObject(object, "python", t->program) &&
		       print_args(object, "preload", t->args) && print_env(object, t->env);
	return cJSON_AddStringToObject(object, "program", t->program) &&
	       (t->lane == LANE_MAIN || print_args(object, "args", t->args)) &&
	       print_env(object, t->env);
}

static bool print_template(cJSON *templates, const struct config_template *t)
{
	cJSON *object = cJSON_AddObjectToObject(templates, t->name);
	cJSON *pool;

	return object && print_lane(object, t) &&
	       (pool = cJSON_AddObjectToObject(object, "pool")) &&
	       cJSON_AddNumberToObject(pool, "size", t->pool_size) &&
	       cJSON_AddNumberToObject(pool, "low", t->pool_low) &&
	       cJSON_AddNumberToObject(object, "leaves_max", t->leaves_max) &&
	       cJSON_AddNumberToObject(object, "queue_max", t->queue_max) &&
	       cJSON_AddStringToObject(object, "nofork", nofork_level_name(t->nofork)) &&
	       cJSON_AddBoolToObject(object, "nofork_weaker", t->nofork_weaker) &&
	       cJSON_AddStringToObject(object, "enforce", t->enforce_kernel ? "kernel" : "any") &&
	       cJSON_AddStringToObject(object, "gate", t->gate_refuses ? "refuse" : "warn") &&
	       (t->lane == LANE_EXEC || cJSON_AddBoolToObject(object, "compact", t->compact)) &&
	       cJSON_AddBoolToObject(object, "prestart", t->prestart) &&
	       (t->everyone || (print_ids(object, "users", t->users, t->n_users) &&
				print_ids(object, "groups", t->groups, t->n_groups))) &&
	       cJSON_AddNumberToObject(object, "warm_timeout_ms", (double)t->warm_timeout_ms);
}

static bool print_all(cJSON *root, const struct config *c, const char *broker_user)
{
	cJSON *limits = cJSON_AddObjectToObject(root, "limits"), *templates;

	if (!limits ||
	    !cJSON_AddNumberToObject(limits, "connections_per_uid", c->connections_per_uid) ||
	    !cJSON_AddNumberToObject(limits, "leaves_per_uid", c->leaves_per_uid) ||
	    !cJSON_AddNumberToObject(limits, "queue_per_uid", c->queue_per_uid) ||
	    !cJSON_AddNumberToObject(root, "stop_timeout_ms", (double)c->stop_timeout_ms))
		return false;
	if (broker_user && !cJSON_AddStringToObject(root, "broker_user", broker_user))
		return false;
	templates = cJSON_AddObjectToObject(root, "templates");
	for (size_t i = 0; templates && i < c->n_templates; i++)
		if (!print_template(templates, &c->templates[i]))
			return false;
	return templates;
}

char *config_print(const struct config *config, const char *broker_user)
{
	cJSON *root = cJSON_CreateObject();
	char *text = root && print_all(root, config, broker_user) ? cJSON_Print(root) : NULL;

	cJSON_Delete(root);
	return text;
}
