/* SPDX-License-Identifier: MIT */
/*
 * Its host lies: beside the first real fork it offers two leaves in one message, of which one is
 * its child and the other is its parent.
 */
#include <libspawn-template.h>

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEPER 3
#define OFFER  52
#define SERIAL 17
#define PID    18

static uint64_t host;

static unsigned char *put(unsigned char *p, uint64_t value, int n)
{
	for (int i = 0; i < n; i++)
		*p++ = (unsigned char)(value >> (8 * i));
	return p;
}

static unsigned char *put_leaf(unsigned char *p, uint64_t serial, pid_t pid)
{
	p = put(put(put(p, SERIAL, 4), 8, 4), serial, 8);
	return put(put(put(p, PID, 4), 4, 4), (uint64_t)pid, 4);
}

static void offer(pid_t one, pid_t other)
{
	unsigned char data[12 + 2 * (16 + 12)];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	int pair[2];

	put(put(put(put(data, sizeof(data), 4), OFFER, 2), 0, 2), 0, 4);
	put_leaf(put_leaf(data + 12, host << 44 | 100 << 12 | 1, one), host << 44 | 101 << 12 | 2,
		 other);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(&control.header), pair, 2 * sizeof(int));
	sendmsg(KEEPER, &msg, MSG_NOSIGNAL);
	close(pair[0]);
	close(pair[1]);
}

/* In the host, after its first fork. */
static void lie(void)
{
	static int told;
	long child;

	if (told++)
		return;
	child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0); /* a zombie is a child too */
	offer((pid_t)child, getppid());
}

static int warm(void **state)
{
	char line[4096];
	FILE *f = fopen("/proc/self/cmdline", "re");
	size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;

	(void)state;
	if (f)
		fclose(f);
	line[n] = '\0';
	for (size_t i = 0; i < n; i += strlen(line + i) + 1)
		if (strcmp(line + i, "--id") == 0)
			sscanf(line + i + 5, "%lu", &host);
	return -pthread_atfork(NULL, lie, NULL);
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
