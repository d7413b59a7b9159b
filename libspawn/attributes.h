/* SPDX-License-Identifier: MIT */
/* attributes.h - what of the process itself was asked for, beside its program, directory and files.
 */
#ifndef LIBSPAWN_ATTRIBUTES_H
#define LIBSPAWN_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>

/* Of signals: bit n-1 is signal n. */
struct attributes {
	bool sigmask_given, ignored_given;
	uint64_t sigmask, ignored, defaulted;
};

#endif
