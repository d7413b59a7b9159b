/* SPDX-License-Identifier: MIT */
/*
 * poller.h - the event loop of keeper and hosts: epoll and nothing else.
 *
 * libuv is for the broker: it may start threads, and these two fork.
 */
#ifndef SERVER_POLLER_H
#define SERVER_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

struct watch {
	int fd; /* -1 when not watched */
	void (*ready)(struct watch *watch, uint32_t events);
};

#define POLLER_BATCH 64

struct poller {
	int epoll_fd;
	int n; /* of the batch being dispatched */
	struct epoll_event batch[POLLER_BATCH];
};

int poller_open(struct poller *p);
void poller_close(struct poller *p);
/* The watch stays where it is until it is removed; fd is borrowed. */
int poller_add(struct poller *p, struct watch *w, int fd, uint32_t events);
int poller_modify(struct poller *p, struct watch *w, uint32_t events);
/* Also from within a dispatch: the watch is not called again and may be freed. Does not close. */
void poller_remove(struct poller *p, struct watch *w);
/* Waits once (timeout in ms, -1 for ever) and dispatches. 0 or a negative errno. */
int poller_run(struct poller *p, int timeout_ms);

#define watch_owner(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
