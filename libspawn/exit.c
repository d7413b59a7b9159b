/* SPDX-License-Identifier: MIT */
#include "exit.h"

#include "base/error.h"
#include "base/nofork.h"
#include "sized.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

void spawn_exit_free(struct spawn_exit *end)
{
	free(end);
}

bool spawn_exit_known(const struct spawn_exit *end)
{
	return end->known;
}

static bool is_started(const struct spawn_exit *end)
{
	return end->known && end->record.start_errno == 0;
}

int spawn_exit_status(const struct spawn_exit *end)
{
	return is_started(end) && end->record.code == CLD_EXITED ? end->record.status & 0xff : -1;
}

int spawn_exit_signal(const struct spawn_exit *end)
{
	if (!end->known)
		return 0;
	return end->record.code == CLD_KILLED || end->record.code == CLD_DUMPED ? end->record.status
										: 0;
}

bool spawn_exit_core(const struct spawn_exit *end)
{
	return end->known && end->record.code == CLD_DUMPED;
}

int spawn_exit_start_error(const struct spawn_exit *end, const char **ret_step)
{
	if (end->record.start_errno == 0)
		return 0;
	if (ret_step)
		*ret_step = step_name(end->record.start_step);
	return -(int)end->record.start_errno;
}

const char *spawn_exit_nofork(const struct spawn_exit *end)
{
	return nofork_describe(end->nofork, end->nofork_by);
}

int spawn_exit_usage(const struct spawn_exit *end, struct spawn_usage *usage)
{
	const struct exit_record *r = &end->record;
	struct spawn_usage all = {
		.utime_us = r->utime_us,
		.stime_us = r->stime_us,
		.maxrss_kib = r->maxrss_kib,
		.minflt = r->minflt,
		.majflt = r->majflt,
		.inblock = r->inblock,
		.oublock = r->oublock,
		.nvcsw = r->nvcsw,
		.nivcsw = r->nivcsw,
	};

	if (r->launched_ns > 0 && r->ended_ns > r->launched_ns)
		all.wall_us = (r->ended_ns - r->launched_ns) / 1000;
	return sized_fill(usage, &all, sizeof(all));
}
