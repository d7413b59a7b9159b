/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Into another program image, so that a client begins with nothing of the driver's. */
static _Noreturn void exec_client(const struct crowd *c, uint32_t number, pid_t driver)
{
	char text[4][16];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != driver)
		_exit(3);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fd_set_cloexec(c->setup.ledger, 0);
	fd_set_cloexec(c->setup.runs, 0);
	fd_set_cloexec(c->setup.havoc, 0);
	snprintf(text[0], sizeof(text[0]), "%d", c->setup.ledger);
	snprintf(text[1], sizeof(text[1]), "%d", c->setup.runs);
	snprintf(text[2], sizeof(text[2]), "%d", c->setup.havoc);
	snprintf(text[3], sizeof(text[3]), "%u", number);
	execl("/proc/self/exe", "stress-client", "--client", c->setup.socket, text[0], text[1],
	      text[2], text[3], (char *)NULL);
	_exit(3);
}

static int member_start(struct crowd *c, struct member *m)
{
	pid_t driver = getpid();

	*m = (struct member){.pidfd = -1, .number = ++c->numbers};
	m->pid = fork();
	if (m->pid == 0)
		exec_client(c, m->number, driver);
	m->pidfd = m->pid < 0 ? -1 : pidfd_open_pid(m->pid);
	if (m->pidfd < 0) {
		fprintf(stderr, "stress: start a client: %s\n", strerror(errno));
		c->faults++;
		return -1;
	}
	c->alive++;
	return 0;
}

int crowd_start(struct crowd *c, unsigned size)
{
	for (unsigned i = 0; i < CROWD_MAX; i++)
		c->members[i].pidfd = -1;
	c->size = size;
	for (unsigned i = 0; i < size; i++) {
		if (member_start(c, &c->members[i]) < 0)
			return -1;
	}
	return 0;
}

static void member_kill(struct member *m)
{
	m->killed = true;
	pidfd_signal(m->pidfd, SIGKILL);
}

bool crowd_kill(struct crowd *c, uint64_t dice)
{
	for (unsigned i = 0; i < c->size; i++) {
		struct member *m = &c->members[(dice + i) % c->size];

		if (m->pidfd < 0 || m->killed)
			continue;
		member_kill(m);
		return true;
	}
	return false;
}

void crowd_kill_number(struct crowd *c, uint32_t number)
{
	for (unsigned i = 0; i < c->size; i++) {
		if (c->members[i].pidfd >= 0 && c->members[i].number == number)
			member_kill(&c->members[i]);
	}
}

nfds_t crowd_poll(const struct crowd *c, struct pollfd *fds)
{
	nfds_t n = 0;

	for (unsigned i = 0; i < c->size; i++) {
		if (c->members[i].pidfd >= 0)
			fds[n++] = (struct pollfd){c->members[i].pidfd, POLLIN, 0};
	}
	return n;
}

/* What it had not finished nobody will; what shall end with it ends now. */
static void bury(struct crowd *c, struct member *m)
{
	uint32_t taken = ledger_taken(c->ledger);
	uint64_t now = clock_now();

	for (uint32_t i = 0; i < taken; i++) {
		struct entry *e = &c->ledger->entries[i];
		enum entry_state state = entry_state(e);

		if (e->client != m->number)
			continue;
		e->bereft_ns = now;
		if (state == ENTRY_ASKED || state == ENTRY_RUNNING)
			entry_finish(c->ledger, e, ENTRY_BEREFT);
	}
	m->pidfd = fd_close(m->pidfd);
	c->alive--;
}

static void member_over(struct crowd *c, struct member *m)
{
	bool killed = m->killed;
	siginfo_t info = {0};

	waitid(P_PIDFD, (id_t)m->pidfd, &info, WEXITED);
	if (info.si_code != CLD_EXITED ? !killed : info.si_status != 0) {
		fprintf(stderr, "stress: client %u (pid %d) %s %d\n", m->number, (int)m->pid,
			info.si_code == CLD_EXITED ? "ended with" : "was ended by signal",
			info.si_status);
		c->faults++;
	}
	bury(c, m);
	if (killed && !atomic_load(&c->ledger->stop))
		member_start(c, m);
}

void crowd_tend(struct crowd *c)
{
	for (unsigned i = 0; i < c->size; i++) {
		if (c->members[i].pidfd >= 0 && pidfd_is_over(c->members[i].pidfd) == 1)
			member_over(c, &c->members[i]);
	}
}
