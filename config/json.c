/* SPDX-License-Identifier: MIT */
#include "config/json.h"

#include "base/log.h"
#include "config/scan.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct json_document {
	cJSON *values;
	struct json *nodes; /* in the order of the text */
	size_t n_nodes;
};

const struct json *json_root(const struct json_document *document)
{
	return document->nodes;
}

void json_free(struct json_document *document)
{
	if (!document)
		return;
	cJSON_Delete(document->values);
	free(document->nodes);
	free(document);
}

size_t json_count(const struct json *container)
{
	size_t n = 0;

	for (const struct json *child = container->child; child; child = child->next)
		n++;
	return n;
}

const struct json *json_member(const struct json *object, const char *key)
{
	for (const struct json *member = object->child; member; member = member->next)
		if (strcmp(member->key, key) == 0)
			return member;
	return NULL;
}

static int fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

int json_key_compare(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return fold(*a) - fold(*b);
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	    [JSON_BOOLEAN] = "true or false",
		[JSON_NUMBER] = "a number", [JSON_STRING] = "a string",
		[JSON_ARRAY] = "a list",    [JSON_OBJECT] = "an object",
	};

	return names[kind];
}

static enum json_kind kind_of(const cJSON *value)
{
	if (cJSON_IsBool(value))
		return JSON_BOOLEAN;
	if (cJSON_IsNumber(value))
		return JSON_NUMBER;
	if (cJSON_IsString(value))
		return JSON_STRING;
	if (cJSON_IsArray(value))
		return JSON_ARRAY;
	if (cJSON_IsObject(value))
		return JSON_OBJECT;
	return JSON_NULL;
}

/*
 * Both parsers saw the values in the order of the text, so the nth mark belongs to the nth value.
 * NULL when they disagree, which would be a defect of ours. The depth was bounded by the scanner.
 */
static struct json *build(struct json_document *d, const struct scan *scan, const cJSON *value,
			  struct json *parent)
{
	const struct mark *mark = &scan->marks[d->n_nodes];
	struct json *node, **link;

	if (d->n_nodes == scan->n_marks || mark->kind != kind_of(value))
		return NULL;
	node = &d->nodes[d->n_nodes++];
	*node = (struct json){
		.kind = mark->kind,
		.at = mark->at,
		.key_at = mark->key_at,
		.key = parent && parent->kind == JSON_OBJECT ? value->string : NULL,
		.boolean = cJSON_IsTrue(value),
		.whole = mark->whole,
		.number = mark->whole ? (uint64_t)value->valuedouble : 0,
		.string = value->valuestring,
	};
	link = &node->child;
	for (const cJSON *child = value->child; child; child = child->next) {
		*link = build(d, scan, child, node);
		if (!*link)
			return NULL;
		link = &(*link)->next;
	}
	return node;
}

/* By name without regard to case, then by place: nodes lie in the order of the text. */
static int compare_keys(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a, *y = *(const struct json *const *)b;
	int order = json_key_compare(x->key, y->key);

	return order ? order : (x > y) - (x < y);
}

static int reject_duplicate(const struct json *first, const struct json *second,
			    struct reject *reject)
{
	char key[100], other[100];

	log_quote(key, sizeof(key), second->key);
	if (strcmp(first->key, second->key) == 0)
		return reject_set(reject, -EINVAL, second->key_at,
				  "key %s for the second time (expected once; the first is at "
				  "%u:%u)",
				  key, first->key_at.line, first->key_at.column);
	return reject_set(
		reject, -EINVAL, second->key_at,
		"key %s differs only in case from %s at %u:%u (expected names that differ)", key,
		log_quote(other, sizeof(other), first->key), first->key_at.line,
		first->key_at.column);
}

static int check_duplicates(const struct json *object, struct reject *reject)
{
	const struct json **members, *first = NULL, *second = NULL;
	size_t n = 0, i = 0;

	for (const struct json *member = object->child; member; member = member->next)
		n++;
	if (n < 2)
		return 0;
	members = calloc(n, sizeof(*members));
	if (!members)
		return -ENOMEM;
	for (const struct json *member = object->child; member; member = member->next)
		members[i++] = member;
	qsort(members, n, sizeof(*members), compare_keys);
	for (i = 1; i < n; i++) {
		if (json_key_compare(members[i - 1]->key, members[i]->key) == 0 &&
		    (!second || members[i] < second)) {
			first = members[i - 1];
			second = members[i];
		}
	}
	free(members);
	return second ? reject_duplicate(first, second, reject) : 0;
}

static int build_document(struct json_document *d, const struct scan *scan, const char *text,
			  size_t len, struct reject *reject)
{
	d->nodes = calloc(scan->n_marks, sizeof(*d->nodes));
	d->values = cJSON_ParseWithLength(text, len);
	if (!d->nodes)
		return -ENOMEM;
	/* The scanner found nothing wrong, so a refusal by cJSON can only be for want of memory. */
	if (!d->values)
		return -ENOMEM;
	if (!build(d, scan, d->values, NULL) || d->n_nodes != scan->n_marks)
		return reject_set(
			reject, -EINVAL, (struct place){0},
			"cJSON and spawnd's scanner read it differently: please report it");
	for (size_t i = 0; i < d->n_nodes; i++) {
		int r = d->nodes[i].kind == JSON_OBJECT ? check_duplicates(&d->nodes[i], reject)
							: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int json_parse(char *text, size_t len, struct json_document **ret, struct reject *reject)
{
	struct scan scan = {0};
	struct json_document *d;
	int r = scan_text(&scan, text, len, reject);

	d = r == 0 ? calloc(1, sizeof(*d)) : NULL;
	if (r == 0 && !d)
		r = -ENOMEM;
	if (r == 0)
		r = build_document(d, &scan, text, len, reject);
	scan_free(&scan);
	if (r < 0) {
		json_free(d);
		return r == -ENOMEM ? reject_set(reject, r, (struct place){0}, "out of memory") : r;
	}
	*ret = d;
	return 0;
}
