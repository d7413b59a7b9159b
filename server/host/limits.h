/* SPDX-License-Identifier: MIT */
/* limits.h - the resource limits of a leaf, and the processors that it may run on. */
#ifndef HOST_LIMITS_H
#define HOST_LIMITS_H

#include "wire/message.h"

#include <sys/resource.h>

struct body_error;

/* Those of the caller, never above the leaf's own, then those that were asked for, as they are.
 * known: RLIM_NLIMITS of them, as this process has them; NULL: they are looked up. */
int limits_set(const struct message *m, const struct rlimit *known, struct body_error *failed);
int limits_affinity(const struct message *m, struct body_error *failed);

#endif
