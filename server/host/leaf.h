/* SPDX-License-Identifier: MIT */
/*
 * leaf.h - the life of a leaf, in a straight line: parked, launched, user code.
 */
#ifndef HOST_LEAF_H
#define HOST_LEAF_H

#include "host/host.h"

/* Called in the child right after the fork. control: the leaf's end of its control socket; serial:
 * its own. Never returns. */
_Noreturn void leaf_run(const struct warm *warm, int control, uint64_t serial);

struct leaf_self;
/* For lane.h: FAILED behind the READY that was said, and a note in the slot. */
_Noreturn void leaf_not_executed(struct leaf_self *self, int code);

#endif
