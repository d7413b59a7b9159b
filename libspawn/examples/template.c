/* SPDX-License-Identifier: MIT */
/*
 * A template of lane `program`: finds the primes below ten million once, and says of each argument
 * whether it is one. By hand: template 7 8. As a template:
 *
 *	"primes": {"lane": "program", "program": "/usr/local/bin/template"}
 *
 *	spawn -t primes -- 7 8
 */
#include <libspawn-template.h>

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 10000000ul

static bool *find_composites(void)
{
	bool *composite = calloc(LIMIT, sizeof(*composite));

	if (!composite)
		err(2, "memory");
	composite[0] = composite[1] = true;
	for (size_t n = 2; n * n < LIMIT; n++)
		for (size_t m = n * n; !composite[n] && m < LIMIT; m += n)
			composite[m] = true;
	return composite;
}

static bool parse(const char *text, size_t *ret)
{
	char *end;

	*ret = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *ret < LIMIT;
}

int main(int argc, char **argv)
{
	bool *composite = find_composites(), all = true;

	/* What follows is each leaf's, with arguments of its own; or this process's, by hand. */
	if (spawn_template_serve(&argc, &argv, NULL) < 0)
		errx(2, "spawn_template_serve");
	for (int i = 1; i < argc; i++) {
		size_t n;

		if (!parse(argv[i], &n))
			errx(2, "%s: not a number below %lu", argv[i], LIMIT);
		printf("%s: %s\n", argv[i], composite[n] ? "no prime" : "prime");
		all = all && !composite[n];
	}
	free(composite);
	return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
