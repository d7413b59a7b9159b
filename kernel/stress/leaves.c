// SPDX-License-Identifier: GPL-2.0-only
/* Fork servers and their leaves; templates of templates; leaves that are executed. */
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAVES 40

int leaf_end(pid_t pid, int excused, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			fprintf(stderr, "# %s: waitpid: %s\n", what, strerror(errno));
			return 1;
		}
	if (status == 0 || (excused && WIFSIGNALED(status) && WTERMSIG(status) == excused))
		return 0;
	fprintf(stderr, "# %s: process %d ended with %#x\n", what, pid, (unsigned)status);
	return 1;
}

/* Does things to its memory, looks now and then, and cannot fork if it is a leaf. */
static void leaf_run(struct memory *m, struct dice *d, const char *who, uint32_t turns, bool nofork)
{
	/* What the template wrote is there; what is written now is one's own. */
	if (!memory_holds(m, who))
		_exit(1);
	m->owner = (uint64_t)getpid();
	for (uint32_t i = 0; i < turns; i++) {
		memory_act(m, d);
		if (i % 16 == 15 && !memory_holds(m, who))
			_exit(1);
	}
	if (nofork) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0 || errno != EPERM) {
			fprintf(stderr, "# %s: a leaf was not refused to fork: %s\n", who,
				pid > 0 ? "it did" : strerror(errno));
			_exit(1);
		}
	}
	_exit(!memory_holds(m, who));
}

static bool promise(unsigned long bits)
{
	return prctl(PR_SET_NOFORK, bits, 0, 0, 0) == 0;
}

static pid_t fork_leaf(struct memory *m, struct dice *d, const char *who, bool nofork)
{
	uint32_t turns = 10 + dice_roll(d, 60);
	struct dice own = {((uint64_t)dice_roll(d, 1u << 31) << 20) + 1};
	pid_t pid = fork();

	if (pid == 0)
		leaf_run(m, &own, who, turns, nofork);
	return pid;
}

/* A pool that is kept full: some are killed, all are replaced, the template writes meanwhile. */
static int serve(const struct run *run, struct dice *d, struct memory *m, const char *who)
{
	pid_t leaves[LEAVES] = {0};
	bool nofork = promise(PR_NOFORK_CHILDREN), killed[LEAVES] = {false};
	int bad = 0;

	while (seconds_now() < run->end && bad == 0) {
		uint32_t i = dice_roll(d, LEAVES);

		if (leaves[i] > 0)
			bad += leaf_end(leaves[i], killed[i] ? SIGKILL : 0, who);
		leaves[i] = fork_leaf(m, d, who, nofork);
		killed[i] = leaves[i] > 0 && dice_roll(d, 5) == 0;
		if (killed[i])
			kill(leaves[i], SIGKILL);
		if (dice_roll(d, 4) == 0)
			memory_act(m, d);
		if (!memory_holds(m, who))
			bad++;
	}
	for (uint32_t i = 0; i < LEAVES; i++)
		if (leaves[i] > 0)
			bad += leaf_end(leaves[i], killed[i] ? SIGKILL : 0, who);
	return bad + !memory_holds(m, who);
}

int part_server(const struct run *run, struct dice *d)
{
	struct memory m;

	memory_make(&m, 1);
	return serve(run, d, &m, "server");
}

/* Those whose parents are gone come to this process. */
static int reap_orphans(const char *what)
{
	int bad = 0, status;

	while (wait(&status) > 0)
		if (status != 0) {
			fprintf(stderr, "# %s: an orphan ended with %#x\n", what, (unsigned)status);
			bad++;
		}
	return bad;
}

/* Forks leaves and another template, and ends before they do; so does that, if it is not the last.
 */
static void template_run(struct memory *m, struct dice *d, int last)
{
	for (int generation = 0;; generation++) {
		if (!memory_holds(m, "template"))
			_exit(1);
		m->owner = (uint64_t)getpid();
		for (int i = 0; i < 8; i++)
			memory_act(m, d);
		promise(0);
		if (generation == last || fork() != 0)
			break;
		d->state += 77;
	}
	for (int i = 0; i < LEAVES / 2; i++) {
		bool nofork = i % 3 && promise(PR_NOFORK_CHILDREN);

		if (!nofork)
			promise(0);
		fork_leaf(m, d, "generation", nofork);
		memory_act(m, d);
	}
	_exit(!memory_holds(m, "template"));
}

int part_generation(const struct run *run, struct dice *d)
{
	int bad = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	while (seconds_now() < run->end && bad == 0) {
		struct dice own = {((uint64_t)dice_roll(d, 1u << 31) << 20) + 3};
		pid_t pid = fork();

		if (pid == 0) {
			struct memory m;

			memory_make(&m, 2);
			template_run(&m, &own, 2);
		}
		bad += reap_orphans("generation");
	}
	return bad;
}

int exec_main(uint64_t seed)
{
	struct dice d = {seed};
	bool nofork = prctl(PR_GET_NOFORK, 0, 0, 0, 0) > 0;
	struct memory m;

	memory_make(&m, 3);
	leaf_run(&m, &d, "exec", 120, nofork);
	return 1;
}

int part_exec(const struct run *run, struct dice *d)
{
	int bad = 0;

	while (seconds_now() < run->end && bad == 0) {
		char seed[32];
		pid_t pids[6];

		snprintf(seed, sizeof(seed), "%u", dice_roll(d, 1u << 30));
		for (int i = 0; i < 6; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
				promise(PR_NOFORK_EXEC);
				execl(run->self, run->self, "--exec", seed, (char *)NULL);
				_exit(126);
			}
		}
		for (int i = 0; i < 6; i++)
			bad += leaf_end(pids[i], 0, "exec");
	}
	return bad;
}
