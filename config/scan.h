/* SPDX-License-Identifier: MIT */
/* scan.h - is a text strict JSON with comments, and where does each value stand? */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include "config/json.h"

/* One value, in the order of the text: a container comes before what it holds. */
struct mark {
	enum json_kind kind;
	bool whole; /* as in struct json */
	struct place at, key_at;
};

struct scan {
	struct mark *marks;
	size_t n_marks, size;
};

/* Checks the text and overwrites its comments with spaces. 0, -EINVAL or -ENOMEM; scan_free() in
 * any case. */
int scan_text(struct scan *scan, char *text, size_t len, struct reject *reject);
void scan_free(struct scan *scan);

#endif
