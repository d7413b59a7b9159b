/* SPDX-License-Identifier: MIT */
/*
 * range.h - what a value of the configuration may be: the parser refuses the rest with its place,
 * the reader of a table refuses it too.
 */
#ifndef CONFIG_RANGE_H
#define CONFIG_RANGE_H

#include <stdbool.h>

#define CONFIG_NAME_MAX	       64 /* bytes of a template's name; as the record TEMPLATE */
#define CONFIG_TEMPLATES_MAX   1024
#define CONFIG_CONNECTIONS_MAX 65536
#define CONFIG_LEAVES_UID_MAX  1048576
#define CONFIG_QUEUE_MAX       65536
#define CONFIG_LEAVES_MAX      4096
#define CONFIG_STOP_MAX_MS     600000
#define CONFIG_WARM_MAX_MS     3600000

/* 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or - */
bool config_name_valid(const char *name);

#endif
