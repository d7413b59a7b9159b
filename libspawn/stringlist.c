/* SPDX-License-Identifier: MIT */
#include "stringlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int strings_add(struct strings *s, const char *string)
{
	size_t n = strlen(string) + 1;

	if (n > STRINGS_MAX - s->len)
		return -E2BIG;
	if (s->size - s->len < n) {
		size_t size = s->size ? s->size : 256;
		char *data;

		while (size < s->len + n)
			size *= 2;
		data = realloc(s->data, size);
		if (!data)
			return -ENOMEM;
		s->data = data;
		s->size = size;
	}
	memcpy(s->data + s->len, string, n);
	s->len += n;
	return 0;
}

void strings_free(struct strings *s)
{
	free(s->data);
	*s = (struct strings){0};
}
