/* SPDX-License-Identifier: MIT */
#include "config/lane.h"

#include "base/log.h"
#include "base/nofork.h"
#include "config/resolve.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The distribution's. */
#define PYTHON_DEFAULT "/usr/bin/python3"

int read_lane(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	struct config_template *t = into;
	static const char *const names[] = {"object", "program", "main", "python", "exec", NULL};
	static const enum lane lanes[] = {LANE_OBJECT, LANE_PROGRAM, LANE_MAIN, LANE_PYTHON,
					  LANE_EXEC};
	int which = read_name(r, key, value, names);

	if (which < 0)
		return which;
	t->lane = lanes[which];
	return 0;
}

static char *keep_string(const struct reading *r, const char *string)
{
	size_t size = strlen(string) + 1;
	char *kept = parsed_alloc(r->parsed, size, 1);

	return kept ? memcpy(kept, string, size) : NULL;
}

int read_object(const struct reading *r, const struct key *key, const struct json *value,
		void *into)
{
	struct config_template *t = into;
	char quoted[120], *path, *kept;
	int rc;

	if (value->kind != JSON_STRING)
		return refuse_kind(r, key->name, value,
				   "a string, the file's name or absolute path");
	rc = resolve_object(r->options->template_dir, value->string, &path);
	if (rc == -ENOMEM)
		return refuse_memory(r);
	if (rc < 0)
		return reject_set(r->reject, -EINVAL, value->at,
				  "%s.%s is %s (expected a file's name without '/', which lies in "
				  "the template directory, or an absolute path)",
				  r->section, key->name,
				  log_quote(quoted, sizeof(quoted), value->string));
	kept = keep_string(r, path);
	free(path);
	t->object = kept;
	return kept ? 0 : refuse_memory(r);
}

int read_program(const struct reading *r, const struct key *key, const struct json *value,
		 void *into)
{
	static const char expected[] = "the absolute path of an executable";
	struct config_template *t = into;

	if (value->kind != JSON_STRING || value->string[0] != '/' ||
	    strlen(value->string) >= PATH_MAX)
		return refuse_kind(r, key->name, value, expected);
	t->program = value->string;
	return 0;
}

int read_args(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	struct config_template *t = into;
	const char **args;
	size_t n = 0;

	if (value->kind != JSON_ARRAY)
		return refuse_kind(r, key->name, value, "a list of strings, [\"-x\", \"file\"]");
	args = parsed_alloc(r->parsed, json_count(value) + 1, sizeof(*args));
	if (!args)
		return refuse_memory(r);
	for (const struct json *item = value->child; item; item = item->next) {
		if (item->kind != JSON_STRING)
			return refuse_kind(r, key->name, item, "a list of strings");
		args[n++] = item->string;
	}
	t->args = args;
	return 0;
}

/* As an import statement has it. What is beyond ASCII is left to the interpreter. */
static bool is_module(const char *name)
{
	bool begins = true;

	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		bool digit = *p >= '0' && *p <= '9';
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
			      *p >= 0x80;

		if (*p == '.' ? begins : begins ? !letter : !letter && !digit)
			return false;
		begins = *p == '.';
	}
	return !begins;
}

int read_preload(const struct reading *r, const struct key *key, const struct json *value,
		 void *into)
{
	int rc = read_args(r, key, value, into);

	for (const struct json *item = value->child; rc == 0 && item; item = item->next)
		if (!is_module(item->string))
			rc = refuse_kind(r, key->name, item,
					 "a module's name, as \"import\" has it");
	return rc;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_variable(const struct reading *r, const struct json *member, char **ret)
{
	char quoted[120];
	size_t name = strlen(member->key), text;

	log_quote(quoted, sizeof(quoted), member->key);
	if (name == 0 || strchr(member->key, '='))
		return reject_set(r->reject, -EINVAL, member->key_at,
				  "%s.env has a variable %s (expected a name without '=')",
				  r->section, quoted);
	if (member->kind != JSON_STRING)
		return reject_set(r->reject, -EINVAL, member->at,
				  "%s.env: %s is %s (expected a string)", r->section, quoted,
				  json_kind_name(member->kind));
	text = strlen(member->string);
	*ret = parsed_alloc(r->parsed, name + text + 2, 1);
	if (!*ret)
		return refuse_memory(r);
	memcpy(*ret, member->key, name);
	(*ret)[name] = '=';
	memcpy(*ret + name + 1, member->string, text);
	return 0;
}

/* Sorted, so that the order in the file does not make another template of it. */
int read_env(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	struct config_template *t = into;
	size_t n = 0;
	char **env;

	if (value->kind != JSON_OBJECT)
		return refuse_kind(r, key->name, value, "an object, {\"NAME\": \"VALUE\"}");
	env = parsed_alloc(r->parsed, json_count(value) + 1, sizeof(*env));
	if (!env)
		return refuse_memory(r);
	for (const struct json *member = value->child; member; member = member->next) {
		int rc = read_variable(r, member, &env[n++]);

		if (rc < 0)
			return rc;
	}
	qsort(env, n, sizeof(*env), compare_strings);
	t->env = (const char *const *)env;
	return 0;
}

/* A key that only another lane has. */
static int refuse_key(const struct reading *r, const struct json *node, const char *key,
		      const char *why)
{
	const struct json *value = json_member(node, key);

	return value ? reject_set(r->reject, -EINVAL, value->at, "templates.%s has \"%s\", %s",
				  node->key, key, why)
		     : 0;
}

static int check_object(const struct reading *r, const struct json *node)
{
	int rc =
		refuse_key(r, node, "program",
			   "and lane \"object\" starts none (expected no \"program\", or \"lane\": "
			   "\"program\")");

	if (rc == 0)
		rc = refuse_key(r, node, "args",
				"and a shared object gets none (expected no \"args\", or "
				"\"lane\": \"program\")");
	if (rc == 0 && !json_member(node, "object"))
		rc = reject_set(r->reject, -EINVAL, node->at,
				"templates.%s has no \"object\" (expected \"object\": \"%s.so\", a "
				"file in the template directory, or an absolute path)",
				node->key, node->key);
	return rc;
}

static int check_program(const struct reading *r, const struct json *node)
{
	int rc = refuse_key(r, node, "object",
			    "and lane \"program\" loads none (expected no \"object\", or \"lane\": "
			    "\"object\")");

	if (rc == 0 && !json_member(node, "program"))
		rc = reject_set(r->reject, -EINVAL, node->at,
				"templates.%s has no \"program\" (expected the absolute path of an "
				"executable that calls spawn_template_serve())",
				node->key);
	return rc;
}

static int check_main(const struct reading *r, const struct json *node)
{
	int rc = refuse_key(r, node, "object",
			    "and lane \"main\" loads none (expected no \"object\", or \"lane\": "
			    "\"object\")");

	if (rc == 0)
		rc = refuse_key(r, node, "args",
				"and in lane \"main\" each request has its own (expected no "
				"\"args\")");
	if (rc == 0 && !json_member(node, "program"))
		rc = reject_set(r->reject, -EINVAL, node->at,
				"templates.%s has no \"program\" (expected the absolute path of an "
				"executable, of any that is dynamically linked)",
				node->key);
	return rc;
}

static int check_python(const struct reading *r, const struct json *node, struct config_template *t)
{
	static const char *const keys[][2] = {
		{"object", "and lane \"python\" loads none (expected no \"object\", or \"lane\": "
			   "\"object\")"},
		{"program", "and lane \"python\" starts an interpreter (expected \"python\": its "
			    "path, or \"lane\": \"program\")"},
		{"args", "and in lane \"python\" each request has its own (expected \"preload\": "
			 "modules, or \"lane\": \"program\")"},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
		rc = refuse_key(r, node, keys[i][0], keys[i][1]);
	if (rc == 0 && !t->program[0])
		t->program = PYTHON_DEFAULT;
	return rc;
}

static int check_not_python(const struct reading *r, const struct json *node)
{
	int rc = refuse_key(r, node, "python",
			    "which lane \"python\" alone has (expected no \"python\")");

	return rc < 0 ? rc
		      : refuse_key(r, node, "preload",
				   "which lane \"python\" alone has (expected no \"preload\")");
}

/* What only a host that warms something can have. */
static int check_exec(const struct reading *r, const struct json *node)
{
	static const char *const keys[][2] = {
		{"object", "and lane \"exec\" loads none: each request names its program "
			   "(expected no \"object\", or \"lane\": \"object\")"},
		{"program", "and in lane \"exec\" each request names its own (expected no "
			    "\"program\", or \"lane\": \"program\")"},
		{"args", "and in lane \"exec\" each request has its own (expected no \"args\")"},
		{"env", "which no program of lane \"exec\" would see: it has its caller's "
			"(expected no \"env\")"},
		{"compact", "and lane \"exec\" has nothing in memory (expected no \"compact\")"},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
		rc = refuse_key(r, node, keys[i][0], keys[i][1]);
	return rc;
}

int lane_check(const struct reading *r, const struct json *node, struct config_template *t)
{
	int rc;

	if (!json_member(node, "lane"))
		return reject_set(r->reject, -EINVAL, node->at,
				  "templates.%s has no \"lane\" (expected \"lane\": \"object\", "
				  "\"program\", \"main\", \"python\" or \"exec\")",
				  t->name);
	rc = t->lane == LANE_PYTHON ? check_python(r, node, t) : check_not_python(r, node);
	if (rc == 0 && t->lane == LANE_EXEC)
		return check_exec(r, node);
	if (rc == 0 && t->lane == LANE_OBJECT)
		rc = check_object(r, node);
	if (rc == 0 && t->lane == LANE_MAIN)
		rc = check_main(r, node);
	if (rc == 0 && t->lane == LANE_PROGRAM)
		rc = check_program(r, node);
	if (rc == 0 && t->nofork == NOFORK_PROCESS && t->enforce_kernel)
		rc = reject_set(r->reject, -EINVAL, json_member(node, "enforce")->at,
				"templates.%s has \"nofork\": \"process\", which only seccomp can "
				"enforce (expected \"enforce\": \"any\")",
				t->name);
	return rc;
}
