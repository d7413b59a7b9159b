/* SPDX-License-Identifier: MIT */
/* Processes that leaves left behind arrive at the keeper, the subreaper, and are waited for. */
#include "base/fd.h"
#include "keeper/keeper.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/wait.h>

static bool is_known(const struct keeper *k, pid_t pid)
{
	if (pid == k->broker.pid || pid == k->reload_pid)
		return true;
	for (const struct host_process *h = k->hosts; h; h = h->next) {
		if (pid == h->pid)
			return true;
		for (uint32_t i = 0; h->brood && i < h->n_slots; i++)
			if (h->brood->leaves[i].pid == pid)
				return true;
		/*
		 * A host that is dead and not seen to be so yet: its leaves are ours already, and
		 * their zombies are records.
		 */
		for (uint32_t i = 0; h->pid && i < h->n_slots; i++)
			if (h->registered[i].pid == pid)
				return true;
	}
	return false;
}

/* Past a zombie that is somebody's record waitid() cannot look: ask for each number there is. */
static void reap_one_by_one(struct keeper *k)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");

	while (dir && (e = readdir(dir))) {
		siginfo_t si;
		long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;

		if (pid > 0 && !is_known(k, (pid_t)pid))
			waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG);
	}
	if (dir)
		closedir(dir);
}

void reap_strangers(struct keeper *k)
{
	for (;;) {
		siginfo_t si = {0};

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		if (is_known(k, si.si_pid)) {
			reap_one_by_one(k);
			return;
		}
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
	}
}
