/* SPDX-License-Identifier: MIT */
/*
 * lane.h - what a host warms, and what a leaf of it does in the end. There is an executable for
 * each lane, of the same sources but for the file that has these: object.c, exec.c.
 */
#ifndef HOST_LANE_H
#define HOST_LANE_H

#include "host/body.h"
#include "host/host.h"
#include "host/leaf.h"

/* A leaf ends with execve: it needs a program, and what is close-on-exec or mapped goes with that.
 */
extern const bool lane_executes;

/* Loads and warms. 0, or a negative errno with err filled. */
int lane_warm(struct host *h, struct spawn_error *err);

/* The leaf's last step, when it is what was asked for and has said READY; without the heap where
 * lane_executes. What cannot be done ends in leaf_not_executed(). */
_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body);

#endif
