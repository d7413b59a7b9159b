/* SPDX-License-Identifier: MIT */
/* A template without an entry. */
#include <libspawn-template.h>

#include <stddef.h>

SPAWN_TEMPLATE(.entry = NULL);
