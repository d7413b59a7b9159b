/* SPDX-License-Identifier: MIT */
#include "table.h"
#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BOLD   "\033[1m"
#define NORMAL "\033[0m"

/* Controls, C1 (U+0080 to U+009F) among them, and what is no UTF-8. */
static void clean(char *s)
{
	while (*s) {
		size_t len = utf8_length(s);

		if (len == 0 || ((unsigned char)*s < 0x20 && *s != '\n') || *s == 0x7f)
			*s = '?';
		else if (len == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0)
			memset(s, '?', 2);
		s += len ? len : 1;
	}
}

void table_cell(struct table *t, const char *format, ...)
{
	va_list args;
	char **cells, *cell;
	int len;

	if (t->error)
		return;
	va_start(args, format);
	len = vasprintf(&cell, format, args);
	va_end(args);
	cells = len < 0 ? NULL : reallocarray(t->cells, t->n_cells + 1, sizeof(*cells));
	if (!cells) {
		if (len >= 0)
			free(cell);
		t->error = -ENOMEM;
		return;
	}
	clean(cell);
	t->cells = cells;
	cells[t->n_cells++] = cell;
}

size_t table_rows(const struct table *t)
{
	return t->n_cells / (strlen(t->align) + 1);
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t widest = 0, columns = strlen(t->align);

	for (size_t row = 0; row < table_rows(t); row++) {
		size_t len = strlen(t->cells[row * (columns + 1) + column]);

		if (len > widest)
			widest = len;
	}
	return widest;
}

static void print_notes(FILE *f, const char *notes)
{
	while (*notes) {
		size_t len = strcspn(notes, "\n");

		fprintf(f, "    %.*s\n", (int)len, notes);
		notes += len + (notes[len] == '\n');
	}
}

static void print_cell(FILE *f, const char *cell, size_t width, char align, const char *sequence,
		       int last)
{
	int pad = (int)(width - strlen(cell));

	if (align == 'r')
		fprintf(f, "%*s", pad, "");
	fprintf(f, "%s%s%s", sequence ? sequence : "", cell, sequence ? NORMAL : "");
	if (align == 'l' && !last)
		fprintf(f, "%*s", pad, "");
	fputs(last ? "\n" : "  ", f);
}

int table_print(const struct table *t, FILE *f,
		const char *(*paint)(size_t column, const char *cell))
{
	size_t columns = strlen(t->align);

	if (t->error)
		return t->error;
	for (size_t row = 0; row < table_rows(t); row++) {
		char **cells = t->cells + row * (columns + 1);

		for (size_t i = 0; i < columns; i++) {
			const char *sequence = NULL;

			if (paint)
				sequence = row == 0 ? BOLD : paint(i, cells[i]);
			print_cell(f, cells[i], column_width(t, i), t->align[i], sequence,
				   i + 1 == columns);
		}
		print_notes(f, cells[columns]);
	}
	return 0;
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
}
