/* SPDX-License-Identifier: MIT */
/* table.h - rows of text in columns as wide as their widest cell, each row with notes below it. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table {
	const char *align; /* one letter a column: 'l' or 'r' */
	char **cells;	   /* row after row; each row ends with its notes */
	size_t n_cells;
	int error; /* latched -ENOMEM */
};

/* A cell is copied, formatted, and cleaned: what could steer a terminal becomes '?'. The cells of a
 * row are added from left to right, its notes last: lines, printed indented, "" for none. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *t);
/* paint, if not NULL: the terminal sequence for a cell, or NULL; not asked about the first row,
 * which is bold then. 0 or the latched error. */
int table_print(const struct table *t, FILE *f,
		const char *(*paint)(size_t column, const char *cell));
void table_done(struct table *t);

#endif
