/* SPDX-License-Identifier: MIT */
/* The `exec` lane: nothing is warm but a process that is small; its leaves become any program. */
#include "host/lane.h"

const bool lane_executes = true;

int lane_warm(struct host *h, struct spawn_error *err)
{
	return 0;
}

_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body)
{
	leaf_not_executed(self, body_execute(body));
}
