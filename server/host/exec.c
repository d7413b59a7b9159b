/* SPDX-License-Identifier: MIT */
/* The `exec` lane: nothing is warm but a process that is small; its leaves become any program. */
#include "host/lane.h"

#include <errno.h>
#include <unistd.h>

const bool lane_executes = true;

int lane_warm(struct host *h, struct spawn_error *err)
{
	return 0;
}

_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body)
{
	if (!w->program)
		leaf_not_executed(self, body_execute(body));
	execve(w->program, body->argv, body->envp);
	leaf_not_executed(self, -errno);
}
