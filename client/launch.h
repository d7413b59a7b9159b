/* SPDX-License-Identifier: MIT */
/* launch.h - `spawn -t`: start a leaf, stand in for it, end as it ended. */
#ifndef CLIENT_LAUNCH_H
#define CLIENT_LAUNCH_H

#include "options.h"

/* The exit status of the command; does not return when the leaf was ended by a signal. */
int launch(const struct options *o);

#endif
