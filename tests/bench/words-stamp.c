/* SPDX-License-Identifier: MIT */
/*
 * words-stamp.c - the checker of the demonstration with a clock in front: its source is the
 * template's own. The first instruction is that of entry(), the word list loaded: the moment from
 * which it can check.
 */
#include "libspawn-template.h"
#include "stamp.h"

#include <string.h>

#pragma push_macro("SPAWN_TEMPLATE")
#undef SPAWN_TEMPLATE
#define SPAWN_TEMPLATE(...) static const struct spawn_template words = {__VA_ARGS__}
#include "server/templates/words.c"
#pragma pop_macro("SPAWN_TEMPLATE")

static int warm_words(void **state)
{
	return words.warm(state);
}

static int entry_stamped(void *state, int argc, char **argv)
{
	uint64_t first = clock_now();

	if (argc > 1 && strcmp(argv[1], STAMP_ARG) == 0)
		return stamp(first);
	return words.entry(state, argc, argv);
}

SPAWN_TEMPLATE(.warm = warm_words, .entry = entry_stamped);
