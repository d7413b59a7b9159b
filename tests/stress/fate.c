/* SPDX-License-Identifier: MIT */
#include "fate.h"

#include <signal.h>
#include <stddef.h>

/* splitmix64: good enough to draw from, and any number is a good state to begin with. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool draw_percent(uint64_t *state, double percent)
{
	return (double)(draw(state) >> 11) < percent / 100 * 0x1p53;
}

static enum havoc draw_havoc(uint64_t *state, unsigned kinds)
{
	/* Of a hundred. */
	static const unsigned share[HAVOC_COUNT] = {
		[HAVOC_LAUNCHED] = 45, [HAVOC_PARKED] = 15, [HAVOC_CLIENT] = 14, [HAVOC_HOST] = 10,
		[HAVOC_BROKER] = 12,   [HAVOC_REEXEC] = 2,  [HAVOC_RELOAD] = 2,
	};
	unsigned left, i;

	do {
		left = (unsigned)(draw(state) % 100);
		for (i = HAVOC_NONE; left >= share[i]; i++)
			left -= share[i];
	} while (!(kinds & (1u << i)));
	return (enum havoc)i;
}

struct fate fate_of(const struct recipe *recipe, uint32_t number)
{
	static const int signals[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGABRT, SIGKILL, SIGSEGV,
				      SIGPIPE, SIGTERM, SIGUSR1, SIGXCPU, SIGSYS,  SIGVTALRM};
	uint64_t state = recipe->seed, mixed = draw(&state) ^ number;
	struct fate f = {0};
	unsigned kind;

	state = draw(&mixed);
	kind = (unsigned)(draw(&state) % 100);
	f.submit = draw_percent(&state, 50);
	f.with_caller = draw_percent(&state, 50);
	if (draw_percent(&state, 20))
		f.linger_ms = 1 + (unsigned)(draw(&state) % 20);
	if (kind < 70) {
		f.end = END_EXIT;
		f.value = (int)(draw(&state) % 256);
	} else if (kind < 90) {
		f.end = END_SIGNAL;
		f.value = signals[draw(&state) % (sizeof(signals) / sizeof(signals[0]))];
	} else {
		f.end = kind < 97 ? END_TERM : END_DEADLINE;
		f.value = SIGTERM;
		/* Nobody else would end it once its caller is killed. */
		f.with_caller = true;
	}
	if (f.end == END_EXIT || f.end == END_SIGNAL) {
		f.cancel = f.submit && draw_percent(&state, 5);
		f.let_go = draw_percent(&state, 5);
	}
	if (draw_percent(&state, recipe->kill_percent))
		f.havoc = draw_havoc(&state, recipe->kinds);
	f.dice = draw(&state);
	return f;
}

const char *havoc_name(enum havoc havoc)
{
	static const char *const names[HAVOC_COUNT] = {
		[HAVOC_NONE] = "nothing",
		[HAVOC_LAUNCHED] = "launched leaves",
		[HAVOC_PARKED] = "parked leaves",
		[HAVOC_CLIENT] = "clients",
		[HAVOC_HOST] = "hosts",
		[HAVOC_BROKER] = "brokers",
		[HAVOC_REEXEC] = "keeper re-executed",
		[HAVOC_RELOAD] = "configuration reloaded",
	};

	return names[havoc];
}

const char *havoc_word(enum havoc havoc)
{
	static const char *const words[HAVOC_COUNT] = {
		"none", "launched", "parked", "client", "host", "broker", "reexec", "reload",
	};

	return words[havoc];
}
