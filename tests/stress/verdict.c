/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include <libspawn-error.h>

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A leaf killed while it is parked may be handed out, and a broker that is lost be missed, later.
 */
#define BEFORE_NS NS_PER_S
/* A template whose host was killed twice in its warm-up is held back, for a minute at most. */
#define HELD_BACK_NS (60 * NS_PER_S)
#define FAULTS_SHOWN 40

struct judge {
	const struct ledger *ledger;
	const uint8_t *runs;
	const struct havoc_log *log;
};

static uint64_t since(const struct entry *e, uint64_t before)
{
	return e->asked_ns > before ? e->asked_ns - before : 0;
}

static bool was(const struct judge *j, enum havoc kind, const struct entry *e, uint64_t until)
{
	return havoc_was(j->log, kind, 0, since(e, BEFORE_NS), until);
}

static bool leaf_was_killed(const struct judge *j, const struct entry *e)
{
	uint64_t from = since(e, BEFORE_NS), until = e->over_ns ? e->over_ns : e->answered_ns;

	/* pid 0, of one that was never told: any of them excuses it. */
	return havoc_was(j->log, HAVOC_LAUNCHED, e->pid, from, until) ||
	       havoc_was(j->log, HAVOC_PARKED, e->pid, from, until);
}

/*
 * Let go, a leaf has no end that is known. Any later kill of that pid excuses that it did not run,
 * and so does the end of its client, if it was to end with that and was hardly there yet.
 */
static bool let_go_was_ended(const struct judge *j, const struct entry *e, const struct fate *f)
{
	uint64_t from = since(e, BEFORE_NS);

	if (f->with_caller && e->bereft_ns && e->bereft_ns - e->answered_ns < BEFORE_NS)
		return true;
	return havoc_was(j->log, HAVOC_LAUNCHED, e->pid, from, UINT64_MAX) ||
	       havoc_was(j->log, HAVOC_PARKED, e->pid, from, UINT64_MAX);
}

static enum verdict judge_refusal(const struct judge *j, const struct entry *e,
				  const struct fate *f)
{
	bool broker = was(j, HAVOC_BROKER, e, e->answered_ns);

	if (e->code == -ECANCELED && f->cancel)
		return RIGHT_CANCELLED;
	if (e->code == -EINPROGRESS)
		return broker ? UNKNOWN_START : WRONG;
	if (e->code == -ECONNRESET && e->origin == SPAWN_ORIGIN_WIRE)
		return broker || leaf_was_killed(j, e) ? ERROR_LOST : WRONG;
	if (e->code == -ECONNRESET && e->origin == SPAWN_ORIGIN_LEAF)
		return f->end == END_DEADLINE || leaf_was_killed(j, e) ? ERROR_LEAF : WRONG;
	if (e->origin == SPAWN_ORIGIN_HOST &&
	    havoc_was(j->log, HAVOC_HOST, 0, since(e, HELD_BACK_NS), e->answered_ns))
		return ERROR_HOST;
	return WRONG;
}

static enum verdict judge_end(const struct judge *j, const struct entry *e, const struct fate *f)
{
	static const enum verdict right[END_COUNT] = {RIGHT_EXIT, RIGHT_SIGNAL, RIGHT_TERM,
						      RIGHT_DEADLINE};
	bool killed = leaf_was_killed(j, e), as_asked;

	/* Known to nobody: the broker that handed it out is lost, and the leaf never read it. */
	if (!e->known)
		return killed && was(j, HAVOC_BROKER, e, e->over_ns) ? UNKNOWN_END : WRONG;
	if (e->signal == SIGKILL && killed)
		return RIGHT_KILLED;
	as_asked = f->end == END_EXIT ? e->status == f->value && e->signal == 0
				      : e->status == -1 && e->signal == f->value;
	if (!as_asked)
		return WRONG;
	/* SIGTERM may come before the leaf is what was asked for. */
	if (e->start_error && f->end != END_TERM && f->end != END_DEADLINE)
		return WRONG;
	return right[f->end];
}

static enum verdict judge(const struct judge *j, uint32_t number, const struct fate *f)
{
	const struct entry *e = &j->ledger->entries[number];

	if (number >= ledger_taken(j->ledger))
		return NOT_ASKED;
	switch (entry_state(e)) {
	case ENTRY_NEW: /* taken by a client that was killed before it asked */
	case ENTRY_BEREFT:
		return BEREFT;
	case ENTRY_REFUSED:
		return judge_refusal(j, e, f);
	case ENTRY_OVER:
		return judge_end(j, e, f);
	case ENTRY_LET_GO:
		return RIGHT_LET_GO;
	case ENTRY_HUNG:
	case ENTRY_ASKED:
	case ENTRY_RUNNING:
		return HUNG;
	case ENTRY_WAIT_BAD:
	default:
		return WRONG;
	}
}

/* How often it may have run: what ran although it was refused, or twice, is the worst of faults. */
static bool runs_fit(const struct judge *j, uint32_t number, enum verdict v, bool killed)
{
	const struct entry *e = &j->ledger->entries[number];
	unsigned runs = j->runs[number];

	switch (v) {
	case RIGHT_EXIT:
	case RIGHT_SIGNAL:
		return runs == 1;
	case RIGHT_TERM:
	case RIGHT_DEADLINE:
	case RIGHT_KILLED:
		return runs <= 1 && !(e->start_error && runs);
	case RIGHT_LET_GO:
		return runs == 1 || (killed && runs == 0);
	case RIGHT_CANCELLED:
	case ERROR_LOST:
	case ERROR_LEAF:
	case ERROR_HOST:
	case NOT_ASKED:
		return runs == 0;
	case UNKNOWN_START:
	case UNKNOWN_END:
	case BEREFT:
	case WRONG:
	case HUNG:
	case VERDICT_COUNT:
	default:
		return runs <= 1;
	}
}

static void tell(const struct judge *j, uint32_t number, const struct fate *f, enum verdict v)
{
	static const char *const asked[END_COUNT] = {
		"exit", "signal", "SIGTERM by the caller:", "SIGTERM at the deadline:"};
	static const char *const states[] = {"new",    "asked",	      "running", "refused", "over",
					     "let go", "wait failed", "hung",	 "bereft"};
	const struct entry *e = &j->ledger->entries[number];

	fprintf(stderr,
		"stress: request %u of client %u (%s%s%s, pid %d) asked for %s %d: %s; %s, code %d "
		"origin %s known %d status %d signal %d start error %d, answers %u, ran %u times, "
		"%.1f ms to the answer%s%s\n",
		number, e->client, f->submit ? "submit" : "process", f->cancel ? ", cancelled" : "",
		f->with_caller ? ", kill_with_caller" : "", (int)e->pid, asked[f->end], f->value,
		verdict_name(v), states[entry_state(e)], e->code,
		spawn_origin_name((enum spawn_origin)e->origin), e->known, e->status, e->signal,
		e->start_error, atomic_load(&e->answers), j->runs[number],
		e->answered_ns ? (double)(e->answered_ns - e->asked_ns) / 1e6 : -1.0,
		e->text[0] ? ": " : "", e->text);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void add(struct tally *t, const struct judge *j, uint32_t number)
{
	const struct entry *e = &j->ledger->entries[number];
	struct fate f = fate_of(&j->ledger->recipe, number);
	enum verdict v = judge(j, number, &f);
	bool killed = leaf_was_killed(j, e), fault;

	if (v == RIGHT_LET_GO)
		killed = let_go_was_ended(j, e, &f);
	t->count[v]++;
	fault = v == WRONG || v == HUNG || !runs_fit(j, number, v, killed) ||
		atomic_load(&e->answers) > 1;
	if (fault && ++t->faults <= FAULTS_SHOWN)
		tell(j, number, &f, v);
	if (e->answered_ns) {
		double *times = t->answer_ms[f.submit];

		times[t->n_answer[f.submit]++] = (double)(e->answered_ns - e->asked_ns) / 1e6;
	}
}

int tally_make(struct tally *t, const struct ledger *ledger, const uint8_t *runs,
	       const struct havoc_log *log)
{
	const struct judge j = {ledger, runs, log};

	*t = (struct tally){0};
	for (int i = 0; i < 2; i++) {
		t->answer_ms[i] = calloc((size_t)ledger->n + 1, sizeof(double));
		if (!t->answer_ms[i])
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < ledger->n; i++)
		add(t, &j, i);
	for (int i = 0; i < 2; i++)
		qsort(t->answer_ms[i], t->n_answer[i], sizeof(double), compare);
	return 0;
}

void tally_free(struct tally *t)
{
	free(t->answer_ms[0]);
	free(t->answer_ms[1]);
}

unsigned tally_asked(const struct tally *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NOT_ASKED; i++)
		n += t->count[i];
	return n;
}

double tally_served(const struct tally *t)
{
	unsigned of = tally_asked(t) - t->count[BEREFT], served = 0;

	for (unsigned i = RIGHT_EXIT; i <= RIGHT_CANCELLED; i++)
		served += t->count[i];
	return of ? 100.0 * served / of : 0;
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICT_COUNT] = {
		[RIGHT_EXIT] = "exit status as asked",
		[RIGHT_SIGNAL] = "signal as asked",
		[RIGHT_TERM] = "SIGTERM by its caller",
		[RIGHT_DEADLINE] = "SIGTERM at its deadline",
		[RIGHT_LET_GO] = "started and let go",
		[RIGHT_KILLED] = "killed, and told so",
		[RIGHT_CANCELLED] = "cancelled as asked",
		[ERROR_LOST] = "server lost: it does not run",
		[ERROR_LEAF] = "leaf ended before it was ready",
		[ERROR_HOST] = "template held back",
		[UNKNOWN_START] = "outcome of the start unknown",
		[UNKNOWN_END] = "status unknown",
		[BEREFT] = "its client was killed",
		[WRONG] = "WRONG",
		[HUNG] = "HUNG",
		[NOT_ASKED] = "not asked: the time was up",
	};

	return names[verdict];
}
