/* SPDX-License-Identifier: MIT */
/* parity.h - what a probe told of itself, the table that says what it ought to, and who compares.
 */
#ifndef TEST_PARITY_H
#define TEST_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition, ...)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__);                                           \
			fputc('\n', stderr);                                                    \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

#define FACTS_MAX 128

/* Name and value of each attribute, in the order told. */
struct facts {
	size_t n;
	char *text; /* owned; the others lie in it */
	const char *name[FACTS_MAX], *value[FACTS_MAX];
};
/* Takes the text. */
void facts_read(struct facts *facts, char *text);
/* NULL: not told. */
const char *facts_value(const struct facts *facts, const char *name);

/* Whose child the probe was. */
enum way { WAY_OWN, WAY_SERVER, WAY_COMMAND, WAYS };
extern const char *const way_names[WAYS];

/* The rows of docs/inheritance.md that begin with an attribute's name. */
struct table {
	size_t n;
	char *text;
	const char *name[FACTS_MAX], *cell[FACTS_MAX][WAYS];
};
void table_read(struct table *table, const char *path);
/* How many attributes are not as the table has them; says which. first: what a child of fork and
 * exec had before the caller changed itself, and so what the server and the private host have. */
size_t table_compare(const struct table *table, enum way way, const struct facts *seen,
		     const struct facts *forked, const struct facts *first);

/*
 * Makes as much of this process different as it may; each name that it gives to `changed` is an
 * attribute that a child of fork and exec has otherwise from then on. First what a private host is
 * replaced for, then what it is not.
 */
void change_identity(void (*changed)(const char *name));
void change_rest(void (*changed)(const char *name));

#endif
