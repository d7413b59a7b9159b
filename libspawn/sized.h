/* SPDX-License-Identifier: MIT */
/* sized.h - structs that grow: the first member is the size that the caller knows. */
#ifndef LIBSPAWN_SIZED_H
#define LIBSPAWN_SIZED_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Fills what both sides know, zeroes what only the caller knows, keeps the caller's size. -EINVAL
 * when it says less than the size itself: then it was not set.
 */
static inline int sized_fill(void *to, void *from, size_t known)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	memcpy(from, &size, sizeof(size));
	memcpy(to, from, size < known ? size : known);
	if (size > known)
		memset((char *)to + known, 0, size - known);
	return 0;
}

#endif
