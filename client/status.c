/* SPDX-License-Identifier: MIT */
#include "status.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GREEN	     "\033[32m"
#define YELLOW	     "\033[33m"
#define RED	     "\033[31m"

#define STATE_COLUMN 2 /* of both tables */

struct report {
	struct table server, templates, leaves;
};

static void take_server(const struct spawn_server_status *s, void *user)
{
	struct report *report = user;

	table_cell(&report->server, "spawnd %s, %s mode, pid %d", s->version, s->mode,
		   (int)s->keeper_pid);
	table_cell(&report->server, "%s", "");
}

/* "| " before each line of a host's last words. */
static char *tail_quote(const char *tail)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	while (*tail) {
		size_t len = strcspn(tail, "\n");

		fprintf(f, "| %.*s\n", (int)len, tail);
		tail += len + (tail[len] == '\n');
	}
	fclose(f);
	return text;
}

static void take_template(const struct spawn_template_status *t, void *user)
{
	struct table *table = &((struct report *)user)->templates;
	char *tail = tail_quote(t->tail);

	table_cell(table, "%s", t->name);
	table_cell(table, "%s", t->lane);
	table_cell(table, "%s", t->state);
	table_cell(table, "%u", (unsigned)t->uid);
	table_cell(table, "%" PRIu64, t->generation);
	table_cell(table, "%" PRIu32, t->parked);
	table_cell(table, "%" PRIu32, t->launched);
	table_cell(table, "%" PRIu32, t->queued);
	table_cell(table, "%" PRIu64, t->hits);
	table_cell(table, "%" PRIu64, t->misses);
	if (t->host_pid)
		table_cell(table, "%d", (int)t->host_pid);
	else
		table_cell(table, "-");
	if (*t->reason && t->retry_ms)
		table_cell(table, "no-fork: %s\nreason: %s (next try in %.1f s)\n%s", t->nofork,
			   t->reason, (double)t->retry_ms / 1000, tail ? tail : "");
	else
		table_cell(table, "no-fork: %s\n%s%s%s%s", t->nofork, *t->reason ? "reason: " : "",
			   t->reason, *t->reason ? "\n" : "", tail ? tail : "");
	free(tail);
}

/* Parked leaves are a number in the template's row; by name only those that somebody has. */
static void take_leaf(const struct spawn_leaf_status *l, void *user)
{
	struct table *table = &((struct report *)user)->leaves;

	if (strcmp(l->state, "parked") == 0)
		return;
	table_cell(table, "%d", (int)l->pid);
	table_cell(table, "%s", l->template_name);
	table_cell(table, "%s", l->state);
	table_cell(table, "%u", (unsigned)l->uid);
	table_cell(table, "no-fork: %s", l->nofork);
	table_cell(table, "%s", "");
}

static void table_header(struct table *t, const char *const *names)
{
	for (; *names; names++)
		table_cell(t, "%s", *names);
	table_cell(t, "%s", "");
}

static const char *paint_state(size_t column, const char *cell)
{
	if (column != STATE_COLUMN)
		return NULL;
	if (strcmp(cell, "warm") == 0 || strcmp(cell, "launched") == 0)
		return GREEN;
	return strcmp(cell, "down") == 0 ? RED : YELLOW;
}

static bool want_colours(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

static int report_print(const struct report *r)
{
	const char *(*paint)(size_t, const char *) = want_colours() ? paint_state : NULL;
	int error = table_print(&r->server, stdout, NULL);

	putchar('\n');
	if (error == 0)
		error = table_print(&r->templates, stdout, paint);
	putchar('\n');
	if (error == 0 && table_rows(&r->leaves) > 1)
		error = table_print(&r->leaves, stdout, paint);
	else if (error == 0)
		puts("No leaf is running.");
	return error;
}

int status_print(struct spawn_client *client, struct spawn_error *err)
{
	static const char *const template_names[] = {"TEMPLATE", "LANE",   "STATE",   "UID",
						     "LIFE",	 "PARKED", "RUNNING", "QUEUED",
						     "HITS",	 "MISSES", "HOST",    NULL};
	static const char *const leaf_names[] = {"PID", "TEMPLATE", "STATE",
						 "UID", "PROMISE",  NULL};
	static const struct spawn_status_calls calls = {
		.server = take_server,
		.template_ = take_template,
		.leaf = take_leaf,
	};
	struct report report = {
		.server = {.align = "l"},
		.templates = {.align = "lllrrrrrrrr"},
		.leaves = {.align = "rllrl"},
	};
	int r;

	table_header(&report.templates, template_names);
	table_header(&report.leaves, leaf_names);
	r = spawn_client_status(client, &calls, &report, err);
	if (r >= 0) {
		r = report_print(&report);
		if (r < 0)
			snprintf(err->message, sizeof(err->message), "out of memory");
	}
	table_done(&report.server);
	table_done(&report.templates);
	table_done(&report.leaves);
	return r;
}
