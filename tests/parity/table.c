/* SPDX-License-Identifier: MIT */
/*
 * A row of docs/inheritance.md has five cells: the attribute, by fork and exec, as a child of the
 * caller's own, as a leaf, and how to ask. The third and fourth are read here:
 *
 *	the same ...		as a child of fork and exec has it
 *	the server's ...,	as whoever made it had it when it began
 *	its host's ...
 *	`value` ...		just that
 *	anything else		not as a child of fork and exec has it
 *
 * Behind "; `spawn`: " stands how it is with the command, where that differs.
 */
#include "parity.h"

#include <string.h>

#define CELLS	   5
#define OF_COMMAND "; `spawn`: "

const char *const way_names[WAYS] = {"child of the caller's own", "leaf", "leaf of the command"};

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t size = 1 << 20, n;
	char *text = malloc(size);

	CHECK(f && text, "%s", path);
	n = fread(text, 1, size - 1, f);
	CHECK(n < size - 1 && !ferror(f), "%s", path);
	fclose(f);
	text[n] = '\0';
	return text;
}

static char *trim(char *text)
{
	text += strspn(text, " ");
	for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
		text[n - 1] = '\0';
	return text;
}

/* Cuts the line up. False: no row of five cells. */
static bool split_row(char *line, char *cells[CELLS])
{
	if (*line++ != '|')
		return false;
	for (int i = 0; i < CELLS; i++) {
		char *end = strchr(line, '|');

		if (!end)
			return false;
		*end = '\0';
		cells[i] = trim(line);
		line = end + 1;
	}
	return *line == '\0';
}

void table_read(struct table *table, const char *path)
{
	*table = (struct table){.text = read_file(path)};
	for (char *line = strtok(table->text, "\n"); line; line = strtok(NULL, "\n")) {
		char *cells[CELLS], *command;

		if (!split_row(line, cells) || cells[0][0] == '-' ||
		    strcmp(cells[0], "attribute") == 0)
			continue;
		CHECK(table->n < FACTS_MAX, "more rows than %d", FACTS_MAX);
		command = strstr(cells[3], OF_COMMAND);
		if (command) {
			*command = '\0';
			command += strlen(OF_COMMAND);
		}
		table->name[table->n] = cells[0];
		table->cell[table->n][WAY_OWN] = cells[2];
		table->cell[table->n][WAY_SERVER] = cells[3];
		table->cell[table->n][WAY_COMMAND] = command ? command : cells[3];
		table->n++;
	}
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool as_said(const char *cell, const char *value, const char *forked, const char *first)
{
	size_t len;

	if (begins(cell, "the same"))
		return strcmp(value, forked) == 0;
	if (begins(cell, "the server's") || begins(cell, "its host's"))
		return strcmp(value, first) == 0;
	/* This kernel has no such thing to tell. */
	if (strcmp(forked, "-") == 0 && strcmp(value, "-") == 0)
		return true;
	if (cell[0] != '`')
		return strcmp(value, forked) != 0;
	len = strcspn(cell + 1, "`");
	return strlen(value) == len && begins(cell + 1, value);
}

size_t table_compare(const struct table *table, enum way way, const struct facts *seen,
		     const struct facts *forked, const struct facts *first)
{
	size_t wrong = 0;

	for (size_t i = 0; i < table->n; i++) {
		const char *name = table->name[i], *cell = table->cell[i][way];
		const char *value = facts_value(seen, name), *by_fork = facts_value(forked, name);
		const char *at_first = facts_value(first, name);

		if (value && by_fork && at_first && as_said(cell, value, by_fork, at_first))
			continue;
		fprintf(stderr,
			"%s: \"%s\" is %s; by fork and exec it is %s, and %s before the caller "
			"changed itself; docs/inheritance.md says: %s\n",
			way_names[way], name, value ? value : "not told",
			by_fork ? by_fork : "not told", at_first ? at_first : "not told", cell);
		wrong++;
	}
	for (size_t i = 0; i < seen->n; i++) {
		size_t row = 0;

		while (row < table->n && strcmp(table->name[row], seen->name[i]) != 0)
			row++;
		if (row < table->n)
			continue;
		fprintf(stderr, "docs/inheritance.md has no row for \"%s\"\n", seen->name[i]);
		wrong++;
	}
	return wrong;
}

void facts_read(struct facts *facts, char *text)
{
	*facts = (struct facts){.text = text};
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *tab = strchr(line, '\t');

		CHECK(tab && facts->n < FACTS_MAX, "%s", line);
		*tab = '\0';
		facts->name[facts->n] = line;
		facts->value[facts->n++] = trim(tab + 1);
	}
}

const char *facts_value(const struct facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n; i++)
		if (strcmp(facts->name[i], name) == 0)
			return facts->value[i];
	return NULL;
}
