/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include "base/fd.h"

#include <errno.h>
#include <stddef.h>

int poller_open(struct poller *p)
{
	p->n = 0;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return p->epoll_fd < 0 ? -errno : 0;
}

void poller_close(struct poller *p)
{
	p->epoll_fd = fd_close(p->epoll_fd);
}

int poller_add(struct poller *p, struct watch *w, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	w->fd = fd;
	return 0;
}

int poller_modify(struct poller *p, struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	return epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void poller_remove(struct poller *p, struct watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	for (int i = 0; i < p->n; i++)
		if (p->batch[i].data.ptr == w)
			p->batch[i].data.ptr = NULL;
}

int poller_run(struct poller *p, int timeout_ms)
{
	int n = epoll_wait(p->epoll_fd, p->batch, POLLER_BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	p->n = n;
	for (int i = 0; i < n; i++) {
		struct watch *w = p->batch[i].data.ptr;

		if (w)
			w->ready(w, p->batch[i].events);
	}
	p->n = 0;
	return 0;
}
