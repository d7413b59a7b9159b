/* SPDX-License-Identifier: MIT */
/* keys.h - the keys of an object as a table: a name, how to read its value, where it goes. */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "config/parse.h"

#include <stddef.h>

struct reading {
	const struct parse_options *options;
	struct parsed *parsed;
	struct reject *reject;
	char section[160]; /* "templates.words.pool"; empty at the top */
};

struct key;
typedef int key_reader(const struct reading *r, const struct key *key, const struct json *value,
		       void *into);

struct key {
	const char *name; /* NULL ends a table */
	key_reader *read;
	size_t offset;	   /* of the field in `into`, for the readers below */
	uint64_t min, max; /* for the numbers */
};

key_reader read_u32, read_u64, read_bool;

/* Zeroed memory that parsed_free() frees. */
void *parsed_alloc(struct parsed *parsed, size_t n, size_t size);
/* -ENOMEM. */
int refuse_memory(const struct reading *r);

/* Reads each member of the object by its key; unknown ones are refused. name: of the object in its
 * section, NULL for the top. */
int read_section(const struct reading *r, const char *name, const struct json *object,
		 const struct key *keys, void *into);
/* The index of the string in the NULL-terminated names, or -EINVAL. */
int read_name(const struct reading *r, const struct key *key, const struct json *value,
	      const char *const *names);
/* "limits.x is a string (expected ...)"; -EINVAL. */
int refuse_kind(const struct reading *r, const char *key, const struct json *value,
		const char *expected);

#endif
