/* SPDX-License-Identifier: MIT */
/* lane.h - the keys that say what a template is; which of them it has depends on its lane. */
#ifndef CONFIG_LANE_H
#define CONFIG_LANE_H

#include "config/keys.h"

key_reader read_lane, read_object, read_program, read_args, read_preload, read_env;

/* All of its keys were read: those of its lane are there, and no other's; fills in the default
 * interpreter. */
int lane_check(const struct reading *r, const struct json *node, struct config_template *t);

#endif
