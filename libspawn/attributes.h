/* SPDX-License-Identifier: MIT */
/* attributes.h - what of the process itself was asked for, beside its program, directory and files.
 */
#ifndef LIBSPAWN_ATTRIBUTES_H
#define LIBSPAWN_ATTRIBUTES_H

#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define GROUPS_MAX 4096 /* as USER of messages.def */
#define CPUS_MAX   8192 /* as CPUS of messages.def */

/* Of signals: bit n-1 is signal n. */
struct attributes {
	bool sigmask_given, ignored_given;
	uint64_t sigmask, ignored, defaulted;
	uint32_t given; /* bit n: enum setting n */
	uint64_t value[SETTING_END];
	uint32_t limits_given; /* bit n: resource n */
	struct rlimit limits[RLIM_NLIMITS];
	uid_t uid;
	gid_t gid, *groups; /* owned */
	size_t n_groups;
	bool user_given;
	uint8_t cpus[CPUS_MAX / 8];
	size_t cpus_len; /* in bytes; 0: not given */
};

static inline bool attributes_have(const struct attributes *a, enum setting which)
{
	return a->given & 1u << which;
}

/* The room that it takes in a body. */
size_t attributes_size(const struct attributes *attributes);
void attributes_encode(const struct attributes *attributes, struct frame *frame);
/* The words for a leaf's failure at a step of these; false: it is of none. */
bool attributes_error(const struct attributes *attributes, unsigned step, int code, uint32_t index,
		      struct spawn_error *err);

#endif
