/* SPDX-License-Identifier: MIT */
/*
 * leaf.h - the life of a leaf, in a straight line: parked, launched, user code.
 */
#ifndef HOST_LEAF_H
#define HOST_LEAF_H

#include "host/host.h"

/*
 * Called in the child right after the fork. control: the leaf's end of its control socket; slot:
 * its own. Never returns.
 */
_Noreturn void leaf_run(const struct host *h, int control, struct slot *slot);

#endif
