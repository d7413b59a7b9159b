/* SPDX-License-Identifier: MIT */
#include "wire/channel.h"
#include "base/fd.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

static int pair[2];

static void make_pair(void)
{
	cr_assert_eq(channel_pair(pair), 0);
}

static void end_pair(void)
{
	fd_close(pair[0]);
	fd_close(pair[1]);
}

TestSuite(channel, .init = make_pair, .fini = end_pair);

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	cr_assert(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static ssize_t receive(char *buf, size_t size, struct fds *fds)
{
	return channel_receive(pair[1], buf, size, fds, NULL, MSG_DONTWAIT);
}

/* Beyond channel_send(): whatever count. */
static void send_raw(const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	cr_assert_eq(sendmsg(pair[0], &msg, 0), 1);
}

static void repeat(int fd, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = fd;
}

Test(channel, is_a_pair_of_seqpacket_sockets_that_close_on_exec)
{
	for (int i = 0; i < 2; i++) {
		cr_assert(fd_is_seqpacket(pair[i]));
		cr_assert(fcntl(pair[i], F_GETFD) & FD_CLOEXEC);
	}
}

Test(channel, keeps_the_bounds_of_datagrams)
{
	struct fds fds;
	char buf[16];

	cr_assert_eq(channel_send(pair[0], "one", 3, NULL, 0, 0), 0);
	cr_assert_eq(channel_send(pair[0], "three", 5, NULL, 0, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 3);
	cr_assert_eq(memcmp(buf, "one", 3), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 5);
	cr_assert_eq(memcmp(buf, "three", 5), 0);
	cr_assert_eq(fds.n, 0);
}

Test(channel, owns_received_descriptors_close_on_exec)
{
	struct fds fds;
	char buf[16];
	size_t before = open_fds();
	int sent[] = {pair[0], pair[1], STDERR_FILENO};

	cr_assert_eq(channel_send(pair[0], "x", 1, sent, 3, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 1);
	cr_assert_eq(fds.n, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert(fcntl(fds.fd[i], F_GETFD) & FD_CLOEXEC);
	fds_close(&fds);
	cr_assert_eq(fds.n, 0);
	cr_assert_eq(open_fds(), before);
}

Test(channel, a_taken_descriptor_outlives_fds_close)
{
	struct fds fds;
	char buf[16];
	int sent[] = {pair[0], pair[0]}, taken, other;

	cr_assert_eq(channel_send(pair[0], "x", 1, sent, 2, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 1);
	other = fds.fd[0];
	taken = fds_take(&fds, 1);
	cr_assert_eq(fds_take(&fds, 1), -1, "taken once");
	cr_assert_eq(fds_take(&fds, 2), -1, "there is no third");
	fds_close(&fds);
	cr_assert_geq(fcntl(taken, F_GETFD), 0);
	cr_assert_lt(fcntl(other, F_GETFD), 0);
	fd_close(taken);
}

Test(channel, carries_as_many_descriptors_as_a_message_may_have)
{
	struct fds fds;
	char buf[16];
	int sent[WIRE_FDS_MAX];

	repeat(STDERR_FILENO, sent, WIRE_FDS_MAX);
	cr_assert_eq(channel_send(pair[0], "x", 1, sent, WIRE_FDS_MAX, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 1);
	cr_assert_eq(fds.n, WIRE_FDS_MAX);
	fds_close(&fds);
}

Test(channel, does_not_send_more_descriptors_than_that)
{
	int sent[WIRE_FDS_MAX + 1];

	repeat(STDERR_FILENO, sent, WIRE_FDS_MAX + 1);
	cr_assert_eq(channel_send(pair[0], "x", 1, sent, WIRE_FDS_MAX + 1, 0), -EINVAL);
}

Test(channel, refuses_and_closes_more_descriptors_than_a_message_may_have)
{
	struct fds fds;
	char buf[16];
	size_t before = open_fds();
	int sent[253];

	repeat(STDERR_FILENO, sent, 253);
	send_raw(sent, 253);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EPROTO);
	cr_assert_eq(fds.n, 0);
	cr_assert_eq(open_fds(), before);
}

Test(channel, says_that_descriptors_were_lost_for_want_of_room)
{
	struct fds fds;
	struct rlimit limit;
	char buf[16];
	size_t before = open_fds();
	int sent[20], lowest = dup(STDERR_FILENO);

	repeat(STDERR_FILENO, sent, 20);
	cr_assert_eq(channel_send(pair[0], "x", 1, sent, 20, 0), 0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t room = 0; room <= 5; room += 5) { /* none arrive; some arrive */
		struct rlimit low = {(rlim_t)lowest + room, limit.rlim_max};

		if (room > 0)
			cr_assert_eq(channel_send(pair[0], "x", 1, sent, 20, 0), 0);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		cr_assert_eq(receive(buf, sizeof(buf), &fds), -EMFILE);
		cr_assert_eq(fds.n, 0);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		cr_assert_eq(open_fds(), before, "those that came are closed");
	}
}

Test(channel, refuses_a_datagram_longer_than_the_buffer_and_closes_its_descriptors)
{
	struct fds fds;
	char buf[4];
	size_t before = open_fds();

	cr_assert_eq(channel_send(pair[0], "hello", 5, (int[]){STDERR_FILENO}, 1, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EMSGSIZE);
	cr_assert_eq(fds.n, 0);
	cr_assert_eq(open_fds(), before);
}

Test(channel, end_of_file_is_zero)
{
	struct fds fds;
	char buf[4];

	pair[0] = fd_close(pair[0]);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 0);
	cr_assert_eq(fds.n, 0);
}

Test(channel, what_was_sent_before_the_end_is_still_read)
{
	struct fds fds;
	char buf[4];

	cr_assert_eq(channel_send(pair[0], "bye", 3, NULL, 0, 0), 0);
	pair[0] = fd_close(pair[0]);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 3);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), 0);
}

Test(channel, an_empty_datagram_with_a_descriptor_is_not_the_end)
{
	struct fds fds;
	char buf[4];
	size_t before = open_fds();

	cr_assert_eq(channel_send(pair[0], "", 0, (int[]){STDERR_FILENO}, 1, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EBADMSG);
	cr_assert_eq(open_fds(), before);
}

Test(channel, a_peer_that_is_gone_is_an_error_and_no_signal)
{
	pair[1] = fd_close(pair[1]);
	cr_assert_eq(channel_send(pair[0], "x", 1, NULL, 0, 0), -EPIPE);
}

Test(channel, does_not_wait_when_told_not_to)
{
	struct fds fds;
	static const char data[1024];
	char buf[4];
	int r = 0;

	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EAGAIN);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = channel_send(pair[0], data, sizeof(data), NULL, 0, MSG_DONTWAIT);
	cr_assert_eq(r, -EAGAIN, "a full socket");
}

/* The kernel charges descriptors in flight to the sender's uid; root is exempt. */
Test(channel, names_too_many_descriptors_in_flight)
{
	struct rlimit low = {30, 30};
	int sent[8], r = 0;

	repeat(STDERR_FILENO, sent, 8);
	if (geteuid() == 0)
		cr_assert_eq(setresuid(64321, 64321, 64321), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 16 && r == 0; i++)
		r = channel_send(pair[0], "x", 1, sent, 8, MSG_DONTWAIT);
	cr_assert_eq(r, -ETOOMANYREFS);
}

Test(channel, the_kernel_says_who_sent_a_datagram)
{
	struct fds fds;
	struct sender sender;
	char buf[4];
	int on = 1;

	cr_assert_eq(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	cr_assert_eq(channel_send(pair[0], "x", 1, (int[]){STDERR_FILENO}, 1, 0), 0);
	cr_assert_eq(channel_receive(pair[1], buf, sizeof(buf), &fds, &sender, 0), 1);
	cr_assert_eq(sender.pid, getpid());
	cr_assert_eq(sender.uid, getuid());
	cr_assert_eq(sender.gid, getgid());
	cr_assert_eq(fds.n, 1, "credentials and descriptors together");
	fds_close(&fds);
}

Test(channel, a_socket_that_does_not_ask_is_not_told_who_sent)
{
	struct fds fds;
	struct sender sender = {1, 1, 1};
	char buf[4];

	cr_assert_eq(channel_send(pair[0], "x", 1, NULL, 0, 0), 0);
	cr_assert_eq(channel_receive(pair[1], buf, sizeof(buf), &fds, &sender, 0), 1);
	cr_assert_eq(sender.pid, 0);
}

Test(channel, refuses_a_control_message_that_nobody_asked_for)
{
	struct fds fds;
	char buf[4];
	int on = 1;

	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)) < 0)
		cr_skip_test("this kernel is older than SO_PASSPIDFD");
	cr_assert_eq(channel_send(pair[0], "x", 1, NULL, 0, 0), 0);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EPROTO);
}

Test(channel, a_frame_that_latched_an_error_is_not_sent)
{
	struct fds fds;
	struct frame f;
	uint8_t small[WIRE_HEADER_SIZE];
	char buf[64];

	frame_begin(&f, small, sizeof(small), MSG_PING, 7);
	cr_assert_eq(channel_send_frame(pair[0], &f, NULL, 0, 0), 0);
	frame_u32(&f, REC_COUNT, 1);
	cr_assert_eq(channel_send_frame(pair[0], &f, NULL, 0, 0), -EMSGSIZE);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), WIRE_HEADER_SIZE);
	cr_assert_eq(receive(buf, sizeof(buf), &fds), -EAGAIN);
}
