/* SPDX-License-Identifier: MIT */
#include "havoc.h"

#include "base/clock.h"
#include "base/fd.h"

#include <signal.h>
#include <stdlib.h>

static void note(struct havoc_log *log, enum havoc kind, pid_t pid)
{
	if (log->n == log->size) {
		log->size = log->size ? 2 * log->size : 256;
		log->deeds = reallocarray(log->deeds, log->size, sizeof(*log->deeds));
		if (!log->deeds)
			abort();
	}
	log->deeds[log->n++] = (struct deed){kind, pid, clock_now()};
}

static bool kill_process(struct havoc_log *log, const struct stage *stage, enum havoc kind,
			 pid_t pid)
{
	_cleanup_close_ int pidfd = stage_pidfd(stage, pid);

	if (pidfd < 0)
		return false;
	note(log, kind, pid); /* first: its end may be told before the next line */
	pidfd_signal(pidfd, SIGKILL);
	return true;
}

/* One by dice, or the next that still lives: those listed may be over by now. */
static bool kill_leaf(struct havoc_log *log, const struct stage *stage, enum havoc kind,
		      const pid_t *pids, size_t n, uint64_t dice)
{
	for (size_t i = 0; i < n; i++) {
		if (kill_process(log, stage, kind, pids[(dice + i) % n]))
			return true;
	}
	return false;
}

static bool kill_by_status(struct havoc_log *log, struct stage *stage, enum havoc kind,
			   uint64_t dice)
{
	static struct stage_status seen; /* large */

	if (stage_status(stage, &seen) < 0)
		return false;
	if (kind == HAVOC_HOST)
		return kill_process(log, stage, kind, seen.host);
	if (kind == HAVOC_PARKED)
		return kill_leaf(log, stage, kind, seen.parked_pids, seen.n_parked, dice);
	return kill_leaf(log, stage, kind, seen.launched_pids, seen.n_launched, dice);
}

static bool signal_keeper(struct havoc_log *log, struct stage *stage, enum havoc kind)
{
	note(log, kind, stage->pid);
	return kind == HAVOC_REEXEC ? pidfd_signal(stage->pidfd, SIGUSR2) == 0
				    : stage_reload(stage) == 0;
}

void havoc_do(struct havoc_log *log, struct stage *stage, struct crowd *crowd,
	      const struct fate *fate)
{
	bool done = false;

	switch (fate->havoc) {
	case HAVOC_LAUNCHED:
	case HAVOC_PARKED:
	case HAVOC_HOST:
		done = kill_by_status(log, stage, fate->havoc, fate->dice);
		break;
	case HAVOC_BROKER:
		done = kill_process(log, stage, HAVOC_BROKER, stage_broker(stage));
		break;
	case HAVOC_CLIENT:
		done = crowd_kill(crowd, fate->dice);
		if (done)
			note(log, HAVOC_CLIENT, 0);
		break;
	case HAVOC_REEXEC:
	case HAVOC_RELOAD:
		done = signal_keeper(log, stage, fate->havoc);
		break;
	case HAVOC_NONE:
	case HAVOC_COUNT:
	default:
		return;
	}
	log->missed[fate->havoc] += !done;
}

bool havoc_was(const struct havoc_log *log, enum havoc kind, pid_t pid, uint64_t from_ns,
	       uint64_t to_ns)
{
	for (size_t i = 0; i < log->n; i++) {
		const struct deed *d = &log->deeds[i];

		if (d->kind == kind && (!pid || d->pid == pid) && d->at_ns >= from_ns &&
		    d->at_ns <= to_ns)
			return true;
	}
	return false;
}

unsigned havoc_count(const struct havoc_log *log, enum havoc kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < log->n; i++)
		n += log->deeds[i].kind == kind;
	return n;
}
