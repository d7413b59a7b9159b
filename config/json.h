/* SPDX-License-Identifier: MIT */
/*
 * json.h - strict JSON with comments, each value with its place.
 *
 * cJSON parses the values, but it accepts duplicate keys, trailing text, 01, 1e999, NUL and bytes
 * that are not UTF-8, and says nowhere where. So a scanner of our own goes first: it refuses all
 * that, notes where each value stands, and blanks comments out, so that cJSON meets plain JSON.
 *
 * Lines and columns count from 1; a column is a character (a tab is one), as editors count.
 */
#ifndef CONFIG_JSON_H
#define CONFIG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16
#define JSON_WHOLE_MAX (1ull << 53) /* a double is exact up to here */

struct place {
	unsigned line, column; /* line 0: the file as a whole */
};

/* Why a file is refused: one line for people. */
struct reject {
	struct place at;
	char text[512];
};

/* Fills it and returns code. */
int reject_set(struct reject *reject, int code, struct place at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

enum json_kind {
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	enum json_kind kind;
	struct place at;
	struct place key_at;
	const char *key; /* of a member of an object, else NULL */
	bool boolean;
	bool whole; /* a number in plain digits, at most JSON_WHOLE_MAX: `number` is exact */
	uint64_t number;
	const char *string; /* decoded; holds no NUL */
	struct json *child; /* first of an array or object */
	struct json *next;  /* sibling */
};

struct json_document;

/*
 * Parses len bytes of text, in which comments are overwritten. 0, -EINVAL (reject says why) or
 * -ENOMEM. The text may be freed afterwards.
 */
int json_parse(char *text, size_t len, struct json_document **ret, struct reject *reject);
const struct json *json_root(const struct json_document *document);
void json_free(struct json_document *document); /* NULL is fine */

/* The member of that name, or NULL. */
const struct json *json_member(const struct json *object, const char *key);
/* Of members or items. */
size_t json_count(const struct json *container);
/* As strcmp, but A and a are the same; ASCII alone, whatever the locale. */
int json_key_compare(const char *a, const char *b);
/* "a string", "a number", ... */
const char *json_kind_name(enum json_kind kind);

#endif
