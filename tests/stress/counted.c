/* SPDX-License-Identifier: MIT */
/*
 * counted.so - the template under stress, small on purpose. A leaf counts in a byte of the memory
 * behind descriptor 3 that it ran, works for a while, and ends as it was told:
 *
 *	counted NUMBER LINGER_MS exit STATUS | signal NUMBER | block
 */
#include <libspawn-template.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
/* What a leaf ends with when it was not given what it needs: never asked for, see fate.c. */
#define CANNOT SIGTRAP

static int count(unsigned long number)
{
	_Atomic uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 3,
				     (off_t)(number / PAGE * PAGE));

	if (page == MAP_FAILED)
		return -1;
	atomic_fetch_add(&page[number % PAGE], 1);
	return 0;
}

static int entry(void *state, int argc, char **argv)
{
	if (argc < 4 || count(strtoul(argv[1], NULL, 10)) < 0)
		return raise(CANNOT);
	poll(NULL, 0, (int)strtoul(argv[2], NULL, 10));
	if (strcmp(argv[3], "block") == 0) {
		for (;;)
			pause();
	}
	if (argc < 5)
		return raise(CANNOT);
	if (strcmp(argv[3], "signal") == 0)
		kill(getpid(), (int)strtoul(argv[4], NULL, 10));
	return (int)strtoul(argv[4], NULL, 10);
}

SPAWN_TEMPLATE(.entry = entry);
