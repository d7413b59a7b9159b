/* SPDX-License-Identifier: MIT */
#include "wire/channel.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The kernel cuts a control message to the room there is and says MSG_CTRUNC, so room for more
 * descriptors than any message may carry makes "too many" a plain count.
 */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

void fds_close(struct fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		fds->fd[i] = fd_close(fds->fd[i]);
	fds->n = 0;
}

int fds_take(struct fds *fds, size_t i)
{
	return i < fds->n ? take_fd(&fds->fd[i]) : -1;
}

int channel_pair(int ret_fds[2])
{
	_cleanup_close_ int near = -1, far = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	far = pair[1];
	near = fd_above_stdio(pair[0]);
	if (near < 0)
		return near;
	far = fd_above_stdio(take_fd(&far));
	if (far < 0)
		return far;
	ret_fds[0] = take_fd(&near);
	ret_fds[1] = take_fd(&far);
	return 0;
}

int channel_send(int fd, const void *data, size_t len, const int *fds, size_t n_fds, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (n_fds > WIRE_FDS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, CMSG_SPACE(n_fds * sizeof(int)));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0; /* a datagram goes whole or not at all */
}

int channel_send_frame(int fd, struct frame *f, const int *fds, size_t n_fds, int flags)
{
	int len = frame_finish(f);

	return len < 0 ? len : channel_send(fd, f->data, (size_t)len, fds, n_fds, flags);
}

/* Owns the descriptors of one control message. */
static int own_fds(const struct cmsghdr *c, struct fds *fds)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int failed = 0;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		fd = fd_above_stdio(fd);
		if (fd < 0)
			failed = fd;
		else if (fds->n < CHANNEL_FDS_MAX)
			fds->fd[fds->n++] = fd;
		else
			fd_close(fd); /* of a kernel that allows more */
	}
	return failed < 0 ? failed : fds->n > WIRE_FDS_MAX ? -EPROTO : 0;
}

static int own_control(struct msghdr *msg, struct fds *fds, struct sender *sender)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			int own = own_fds(c, fds);

			r = r ? r : own;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
			   c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			if (sender)
				*sender = (struct sender){cred.pid, cred.uid, cred.gid};
		} else {
			r = -EPROTO;
		}
	}
	return r;
}

ssize_t channel_receive_all(int fd, void *buf, size_t size, struct fds *ret_fds,
			    struct sender *ret_sender, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int r, resets = 0;
	ssize_t n;

	ret_fds->n = 0;
	if (ret_sender)
		*ret_sender = (struct sender){0};
	/*
	 * A peer that closed with something unread leaves a reset, told once, in front of what it
	 * sent before: that is still there, and may be the reason.
	 */
	do
		n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	if (n < 0)
		return -errno;
	r = own_control(&msg, ret_fds, ret_sender);
	if (msg.msg_flags & MSG_CTRUNC)
		r = -EMFILE;
	else if (msg.msg_flags & MSG_TRUNC)
		r = -EMSGSIZE;
	if (r < 0)
		return r;
	/* An empty datagram is not end of file; it is no message either. */
	return n == 0 && ret_fds->n > 0 ? -EBADMSG : n;
}

ssize_t channel_receive(int fd, void *buf, size_t size, struct fds *ret_fds,
			struct sender *ret_sender, int flags)
{
	ssize_t n = channel_receive_all(fd, buf, size, ret_fds, ret_sender, flags);

	if (n < 0)
		fds_close(ret_fds);
	return n;
}
