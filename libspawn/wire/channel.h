/* SPDX-License-Identifier: MIT */
/*
 * channel.h - datagrams with descriptors over an AF_UNIX SOCK_SEQPACKET socket.
 *
 * A receive owns every descriptor that came, at once and close-on-exec, also when it fails: then
 * they are closed. A control message that was cut (MSG_CTRUNC: the receiver was out of descriptors)
 * or a datagram that was cut is an error. Nothing here allocates, logs or locks.
 */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "wire/message.h"

#include <sys/socket.h>
#include <sys/types.h>

#define CHANNEL_FDS_MAX 253 /* the kernel's SCM_MAX_FD; no message may carry so many */

/* Descriptors that came with one datagram; -1 where one was taken. */
struct fds {
	size_t n;
	int fd[CHANNEL_FDS_MAX];
};

void fds_close(struct fds *fds); /* closes what was not taken; n becomes 0 */
int fds_take(struct fds *fds, size_t i);

/* Who sent a datagram, by the kernel (SCM_CREDENTIALS); pid 0 when the socket does not ask for it.
 */
struct sender {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* A pair of connected sockets, close-on-exec. 0 or a negative errno. */
int channel_pair(int ret_fds[2]);

/*
 * Sends one datagram and borrowed descriptors. 0, or a negative errno: -EAGAIN (would block; only
 * with MSG_DONTWAIT in flags or a non-blocking socket), -EPIPE or -ECONNRESET (the peer is gone),
 * -ETOOMANYREFS (too many descriptors in flight for this user: worth a retry). Never raises
 * SIGPIPE.
 */
int channel_send(int fd, const void *data, size_t len, const int *fds, size_t n_fds, int flags);
/* The same for a frame, finishing it. */
int channel_send_frame(int fd, struct frame *f, const int *fds, size_t n_fds, int flags);

/*
 * Receives one datagram into buf. Returns its length; 0 at end of file; or a negative errno:
 * -EAGAIN, -ECONNRESET, -EMSGSIZE (longer than buf), -EMFILE (descriptors were lost for want of
 * room), -EPROTO (a control message that nobody asked for). ret_sender may be NULL.
 */
ssize_t channel_receive(int fd, void *buf, size_t size, struct fds *ret_fds,
			struct sender *ret_sender, int flags);
/*
 * The same, but the descriptors are left in *ret_fds on failure too: for who cannot afford to wait
 * while they are closed.
 */
ssize_t channel_receive_all(int fd, void *buf, size_t size, struct fds *ret_fds,
			    struct sender *ret_sender, int flags);

#endif
