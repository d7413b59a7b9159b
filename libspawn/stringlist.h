/* SPDX-License-Identifier: MIT */
/* stringlist.h - strings one behind the other, each ended by NUL: how argv and environment travel.
 */
#ifndef LIBSPAWN_STRINGLIST_H
#define LIBSPAWN_STRINGLIST_H

#include <stddef.h>

/* All of argv and environment together, in bytes: as wire/message.h's sealed bodies can hold. */
#define STRINGS_MAX (2u << 20)

struct strings {
	char *data;
	size_t len, size;
};

/* Appends a copy. 0, -ENOMEM, or -E2BIG beyond STRINGS_MAX. */
int strings_add(struct strings *s, const char *string);
void strings_free(struct strings *s);

#endif
