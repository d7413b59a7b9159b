/* SPDX-License-Identifier: MIT */
#include "config/keys.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REFUSE(r, place, ...) reject_set((r)->reject, -EINVAL, place, __VA_ARGS__)

static const char *dot(const struct reading *r)
{
	return r->section[0] ? "." : "";
}

int refuse_memory(const struct reading *r)
{
	return reject_set(r->reject, -ENOMEM, (struct place){0}, "out of memory");
}

int refuse_kind(const struct reading *r, const char *key, const struct json *value,
		const char *expected)
{
	char quoted[120];

	if (value->kind == JSON_STRING)
		return REFUSE(r, value->at, "%s%s%s is %s (expected %s)", r->section, dot(r), key,
			      log_quote(quoted, sizeof(quoted), value->string), expected);
	return REFUSE(r, value->at, "%s%s%s is %s (expected %s)", r->section, dot(r), key,
		      json_kind_name(value->kind), expected);
}

static int read_number(const struct reading *r, const struct key *key, const struct json *value,
		       uint64_t *ret)
{
	if (value->kind == JSON_NUMBER && value->whole && value->number >= key->min &&
	    value->number <= key->max) {
		*ret = value->number;
		return 0;
	}
	if (value->kind == JSON_NUMBER && value->whole)
		return REFUSE(r, value->at,
			      "%s%s%s is %" PRIu64 " (expected a whole number from %" PRIu64
			      " to %" PRIu64 ")",
			      r->section, dot(r), key->name, value->number, key->min, key->max);
	return REFUSE(r, value->at,
		      "%s%s%s is %s (expected a whole number from %" PRIu64 " to %" PRIu64
		      ", in digits)",
		      r->section, dot(r), key->name,
		      value->kind == JSON_NUMBER ? "negative, too large or no whole number"
						 : json_kind_name(value->kind),
		      key->min, key->max);
}

int read_u32(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	uint64_t number = 0;
	int rc = read_number(r, key, value, &number);

	if (rc == 0)
		*(uint32_t *)(void *)((char *)into + key->offset) = (uint32_t)number;
	return rc;
}

int read_u64(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	return read_number(r, key, value, (uint64_t *)(void *)((char *)into + key->offset));
}

int read_bool(const struct reading *r, const struct key *key, const struct json *value, void *into)
{
	if (value->kind != JSON_BOOLEAN)
		return refuse_kind(r, key->name, value, "true or false");
	*(bool *)((char *)into + key->offset) = value->boolean;
	return 0;
}

/* "a", "b" or "c" */
static void list_names(char *buf, size_t size, const char *const *names)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; names[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s\"%s\"",
					i == 0	       ? ""
					: names[i + 1] ? ", "
						       : " or ",
					names[i]);
}

int read_name(const struct reading *r, const struct key *key, const struct json *value,
	      const char *const *names)
{
	char list[120];

	for (int i = 0; value->kind == JSON_STRING && names[i]; i++)
		if (strcmp(value->string, names[i]) == 0)
			return i;
	list_names(list, sizeof(list), names);
	return refuse_kind(r, key->name, value, list);
}

#define WORD_MAX 32 /* longer than any key */

/* How many letters must be typed, dropped, changed or swapped to make one of the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; a[i - 1]; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3],
			 *earlier = rows[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    earlier[j - 2] + 1 < best)
				best = earlier[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[strlen(a) % 3][n];
}

static const char *nearest(const struct key *keys, const char *word)
{
	const char *best = NULL;
	unsigned least = 3;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (; keys->name; keys++) {
		unsigned d =
			json_key_compare(keys->name, word) == 0 ? 0 : distance(word, keys->name);

		/* Two letters off is near only for a word that has more than those. */
		if (d < least && d < strlen(keys->name) / 2) {
			least = d;
			best = keys->name;
		}
	}
	return best;
}

static int refuse_unknown(const struct reading *r, const struct key *keys,
			  const struct json *member)
{
	const char *near = nearest(keys, member->key);
	char quoted[120], list[300];
	size_t len = 0;

	log_quote(quoted, sizeof(quoted), member->key);
	if (near)
		return REFUSE(r, member->key_at, "unknown key %s in %s (did you mean \"%s\"?)",
			      quoted, r->section[0] ? r->section : "the configuration", near);
	list[0] = '\0';
	for (; keys->name && len < sizeof(list); keys++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", keys->name,
					keys[1].name ? ", " : "");
	return REFUSE(r, member->key_at, "unknown key %s in %s (expected one of: %s)", quoted,
		      r->section[0] ? r->section : "the configuration", list);
}

int read_section(const struct reading *r, const char *name, const struct json *object,
		 const struct key *keys, void *into)
{
	struct reading inner = *r;

	if (name)
		snprintf(inner.section, sizeof(inner.section), "%.90s%s%.64s", r->section, dot(r),
			 name);
	if (object->kind != JSON_OBJECT)
		return name ? refuse_kind(r, name, object, "an object, {...}")
			    : REFUSE(r, object->at,
				     "the configuration is %s (expected an object, {...})",
				     json_kind_name(object->kind));
	for (const struct json *member = object->child; member; member = member->next) {
		const struct key *key = keys;
		int rc;

		while (key->name && strcmp(key->name, member->key) != 0)
			key++;
		rc = key->name ? key->read(&inner, key, member, into)
			       : refuse_unknown(&inner, keys, member);
		if (rc < 0)
			return rc;
	}
	return 0;
}
