/* SPDX-License-Identifier: MIT */
/* What is remembered of a template from host to host: generations, back-off, the last reason. */
#include "base/clock.h"
#include "keeper/keeper.h"

#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS	 60000

struct history *history_get(struct keeper *k, const struct config_template *t,
			    const struct credentials *c)
{
	struct history *r;

	for (r = k->histories; r; r = r->next)
		if (strcmp(r->template_name, t->name) == 0 && credentials_equal(&r->credentials, c))
			break;
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return NULL;
		r->template_name = strdup(t->name);
		if (!r->template_name ||
		    credentials_copy(&r->credentials, c->uid, c->gid, c->groups, c->n_groups) < 0) {
			free(r->template_name);
			free(r);
			return NULL;
		}
		r->digest = t->digest;
		r->next = k->histories;
		k->histories = r;
	}
	if (r->digest != t->digest) {
		r->digest = t->digest;
		r->failures = 0;
		r->retry_ns = 0;
	}
	return r;
}

/* Doubles with each failure in warm-up; a template that once warmed starts anew (host.c clears it).
 */
void history_failure(struct history *r, const struct host_process *h)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	for (unsigned i = 0; i < r->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	/*
	 * Once, a host that somebody else killed (an administrator, the kernel out of memory) is
	 * simply replaced; its template has shown no fault yet.
	 */
	if (h->killed && r->failures == 0)
		ms = 0;
	r->failures++;
	r->retry_ns = ms ? clock_now() + ms * NS_PER_MS : 0;
	r->code = h->reason_code;
	r->step = h->reason_step;
	memcpy(r->reason, h->reason, sizeof(r->reason));
	memcpy(r->tail, h->tail, h->tail_len);
	r->tail_len = h->tail_len;
}
