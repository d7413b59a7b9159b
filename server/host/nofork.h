/* SPDX-License-Identifier: MIT */
/*
 * nofork.h - how a leaf is held to what it promises about making processes (base/nofork.h).
 *
 * The host asks once, single-threaded and before it warms, nofork_kernel_probe(). Where that says 1
 * and the level is `copy`, the host calls nofork_kernel_children(1) and its leaves are born
 * no-fork. Else, and for `process` always, the leaf calls nofork_install(), best before it parks.
 * That mark ends at exec: a leaf that becomes a program calls nofork_kernel_exec().
 *
 * All of it is async-signal-safe and allocates nothing.
 */
#ifndef HOST_NOFORK_H
#define HOST_NOFORK_H

#include "base/nofork.h"

/*
 * Puts this thread, and all that it starts or execs, under the filter of NOFORK_COPY or
 * NOFORK_PROCESS; sets no_new_privs first. There is no way back. A second call can only add.
 * 0, or a negative errno: -EINVAL for another level.
 */
int nofork_install(unsigned level);

/*
 * Children that this thread forks from now on are born no-fork, or no longer. Read back. 0, or a
 * negative errno: -EINVAL where the kernel has no such prctl, -ENOTSUP where it took the request
 * and does not show it.
 */
int nofork_kernel_children(int on);

/* The memory of this process is never duplicated again, until exec. Errors as above. */
int nofork_kernel_self(void);

/*
 * Nor is that of any program which this thread, or what it starts, executes from now on. Sets
 * no_new_privs first. There is no way back. Errors as above.
 */
int nofork_kernel_exec(void);

/*
 * 1 if the kernel has PR_SET_NOFORK and it holds: a trial child was born with it and could not
 * fork. 0 if not, whatever else the number means to this kernel: use the filter. Forks: call it
 * while single-threaded, with SIGCHLD at its default. Leaves no child behind and nothing set.
 */
int nofork_kernel_probe(void);

/* The same of PR_NOFORK_EXEC, where nofork_kernel_probe() said 1: a kernel may have the one alone.
 */
int nofork_kernel_probe_exec(void);

#endif
