/* SPDX-License-Identifier: MIT */
/* warm() leaves a thread behind, with a name that the refusal must tell. */
#include <libspawn-template.h>

#include <pthread.h>
#include <unistd.h>

static void *linger(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static int warm(void **state)
{
	pthread_t thread;
	int r;

	(void)state;
	r = pthread_create(&thread, NULL, linger, NULL);
	if (r == 0)
		r = pthread_setname_np(thread, "straggler");
	return -r;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
