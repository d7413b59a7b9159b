/* SPDX-License-Identifier: MIT */
/* Is standard input JSON, and does it have these members (the arguments) somewhere? */
#include "../integration/json_check.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	size_t size = (size_t)16 << 20, n;
	char *text = malloc(size), member[128];

	if (!text)
		err(2, "memory");
	n = fread(text, 1, size - 1, stdin);
	text[n] = '\0';
	if (!json_is_right(text))
		errx(1, "that is not JSON");
	for (int i = 1; i < argc; i++) {
		snprintf(member, sizeof(member), "\"%s\"", argv[i]);
		if (!strstr(text, member))
			errx(1, "no %s in it", member);
	}
	free(text);
	return 0;
}
