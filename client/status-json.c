/* SPDX-License-Identifier: MIT */
#include "json.h"
#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The members of the answer, each collected as text: half an answer would be no JSON. */
enum { PART_SERVER, PART_TEMPLATES, PART_LEAVES, N_PARTS };

struct parts {
	FILE *f[N_PARTS];
	char *text[N_PARTS];
	size_t size[N_PARTS];
	size_t n_templates, n_leaves;
};

static void member(FILE *f, const char *key, const char *value)
{
	fprintf(f, "\"%s\":", key);
	json_string(f, value);
	putc(',', f);
}

static void take_server(const struct spawn_server_status *s, void *user)
{
	FILE *f = ((struct parts *)user)->f[PART_SERVER];

	member(f, "version", s->version);
	member(f, "mode", s->mode);
	fprintf(f, "\"pid\":%d", (int)s->keeper_pid);
}

static void take_template(const struct spawn_template_status *t, void *user)
{
	struct parts *p = user;
	FILE *f = p->f[PART_TEMPLATES];

	fputs(p->n_templates++ ? ",\n  {" : "\n  {", f);
	member(f, "name", t->name);
	member(f, "lane", t->lane);
	member(f, "state", t->state);
	member(f, "nofork", t->nofork);
	member(f, "reason", t->reason);
	member(f, "tail", t->tail);
	fprintf(f,
		"\"uid\":%u,\"host\":%d,\"generation\":%" PRIu64 ",\"parked\":%" PRIu32
		",\"running\":%" PRIu32 ",\"queued\":%" PRIu32 ",\"hits\":%" PRIu64
		",\"misses\":%" PRIu64 ",\"retry_ms\":%" PRIu64 "}",
		(unsigned)t->uid, (int)t->host_pid, t->generation, t->parked, t->launched,
		t->queued, t->hits, t->misses, t->retry_ms);
}

static void take_leaf(const struct spawn_leaf_status *l, void *user)
{
	struct parts *p = user;
	FILE *f = p->f[PART_LEAVES];

	fputs(p->n_leaves++ ? ",\n  {" : "\n  {", f);
	member(f, "template", l->template_name);
	member(f, "state", l->state);
	member(f, "nofork", l->nofork);
	fprintf(f, "\"uid\":%u,\"pid\":%d,\"serial\":%" PRIu64 "}", (unsigned)l->uid, (int)l->pid,
		l->serial);
}

/* Closes what was opened; false if any of it could not be kept. */
static bool parts_close(struct parts *p)
{
	bool whole = true;

	for (size_t i = 0; i < N_PARTS; i++) {
		if (!p->f[i] || ferror(p->f[i]))
			whole = false;
		if (p->f[i] && fclose(p->f[i]) != 0)
			whole = false;
	}
	return whole;
}

int status_print_json(struct spawn_client *client, struct spawn_error *err)
{
	static const struct spawn_status_calls calls = {
		.server = take_server,
		.template_ = take_template,
		.leaf = take_leaf,
	};
	struct parts p = {0};
	bool opened = true;
	int r = 0;

	for (size_t i = 0; i < N_PARTS; i++) {
		p.f[i] = open_memstream(&p.text[i], &p.size[i]);
		opened &= p.f[i] != NULL;
	}
	if (opened)
		r = spawn_client_status(client, &calls, &p, err);
	if (!parts_close(&p)) {
		snprintf(err->message, sizeof(err->message), "out of memory");
		r = -ENOMEM;
	}
	if (r >= 0)
		printf("{\"server\":{%s},\n \"templates\":[%s],\n \"leaves\":[%s]}\n",
		       p.text[PART_SERVER], p.text[PART_TEMPLATES], p.text[PART_LEAVES]);
	for (size_t i = 0; i < N_PARTS; i++)
		free(p.text[i]);
	return r;
}
