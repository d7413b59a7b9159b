/* SPDX-License-Identifier: MIT */
/* parse.h - from the text of a configuration file to struct config, or to the place where it is
 * wrong. */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/json.h"
#include "config/table.h"

struct parse_options {
	const char *template_dir; /* absolute: where a bare "object" lies */
	bool system;		  /* mode: resolve the broker's user */
};

struct parsed {
	struct config config; /* for config_write(), which needs no digest; not for config_free() */
	const char *broker_user;
	struct json_document *document; /* owns strings */
	struct allocation *allocations; /* the rest */
};

/* text is changed and may be freed afterwards. 0, -EINVAL or -ENOMEM with reject filled. */
int config_parse(char *text, size_t len, const struct parse_options *options, struct parsed **ret,
		 struct reject *reject);
void parsed_free(struct parsed *parsed); /* NULL is fine */

/*
 * The same configuration as JSON, defaults filled in and names resolved: parses to an equal table.
 * broker_user may be NULL. NULL when out of memory; free() it.
 */
char *config_print(const struct config *config, const char *broker_user);

#endif
