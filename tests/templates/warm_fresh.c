/* SPDX-License-Identifier: MIT */
/* warm() seeds what there is to be seeded and has a secret; entry() draws, and tells what it sees.
 */
#include <libspawn-template.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int warm(void **state)
{
	char *secret = spawn_template_secret(4096);

	if (!secret)
		return -1;
	memset(secret, 's', 4096);
	srandom(1);
	srand48(1);
	*state = secret;
	return 0;
}

static int entry(void *state, int argc, char **argv)
{
	const char *secret = state;
	unsigned left = 0;

	(void)argc, (void)argv;
	for (int i = 0; i < 4096; i++)
		left += secret[i] != 0;
	printf("%ld %ld %d %u\n", random(), lrand48(), rand(), left);
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
