/* SPDX-License-Identifier: MIT */
/*
 * confine.h - the broker's own sandbox: once it reads what clients send, it can do little more than
 * read, write, pass on descriptors and leave.
 *
 *	main()
 *		confine_privileges(&err);	first of all, while there is one thread
 *		... loop, its pool threads, channels, epoll, everything that is a descriptor
 *		confine_broker(&err);		then the loop runs
 *
 * Capabilities belong to a thread, and no thread can drop another's; hence two calls. The filter
 * reaches all threads. After it: no new descriptor but those received or duplicated, no new thread
 * or process, no executable memory, no signal but to itself.
 *
 * A libuv of 1.45 or later uses io_uring, which no filter sees through, and aborts when it is taken
 * away: set UV_USE_IO_URING=0 before the loop is made.
 */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H

#include "libspawn-error.h"

/*
 * no_new_privs, non-dumpable, and no capability in any set of the calling thread and of those that
 * it starts. An unprivileged process cannot empty its bounding set; no_new_privs makes that moot.
 */
int confine_privileges(struct spawn_error *err);

/*
 * The above once more, then the filter on all threads. -EBUSY if another thread still has a
 * capability (it was started before confine_privileges()). Nothing is undone on failure: leave.
 */
int confine_broker(struct spawn_error *err);

#endif
