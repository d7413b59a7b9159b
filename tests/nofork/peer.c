/* SPDX-License-Identifier: MIT */
/* Clients of each kind connect to a real socket and are identified. */
#include "keeper/peer.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* What a client does to itself before it connects: 0, or the errno with which it could not. */
typedef int dress_fn(void);

static struct {
	struct sockaddr_un address;
	int socket;
	pid_t client;
	int client_end,
		server_end; /* of a socket pair: the client says it is dressed, then waits */
} server;

static void remove_socket(void)
{
	char directory[sizeof(server.address.sun_path)], *slash;

	unlink(server.address.sun_path);
	memcpy(directory, server.address.sun_path, sizeof(directory));
	slash = strrchr(directory, '/');
	*slash = '\0';
	rmdir(directory);
}

static void listen_somewhere(void)
{
	char directory[] = "/tmp/spawnd-peer-XXXXXX";

	if (!mkdtemp(directory))
		trial_fail("mkdtemp: %s", strerror(errno));
	server.address.sun_family = AF_UNIX;
	snprintf(server.address.sun_path, sizeof(server.address.sun_path), "%s/socket", directory);
	server.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (server.socket < 0 ||
	    bind(server.socket, (struct sockaddr *)&server.address, sizeof(server.address)) < 0 ||
	    listen(server.socket, 8) < 0) {
		remove_socket();
		trial_fail("listen: %s", strerror(errno));
	}
}

/* In the client: the connection is made last, so that a change of root does not hide the socket. */
static noreturn void client_run(dress_fn *dress, int connection)
{
	int r = dress ? dress() : 0;
	char bye;

	if (r == 0 &&
	    connect(connection, (struct sockaddr *)&server.address, sizeof(server.address)) < 0)
		r = errno;
	if (write(server.client_end, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	/* End of file: the server has seen enough, or is gone. */
	while (read(server.client_end, &bye, 1) > 0)
		;
	_exit(0);
}

/* A connection from a client in that dress, accepted. */
static int client_connect(dress_fn *dress)
{
	int pair[2], connection, r;

	listen_somewhere();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		trial_fail("socketpair: %s", strerror(errno));
	server.client_end = pair[1];
	server.server_end = pair[0];
	server.client = fork();
	if (server.client == 0) {
		close(pair[0]);
		client_run(dress, socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	}
	close(pair[1]);
	if (read(pair[0], &r, sizeof(r)) != sizeof(r))
		r = ECHILD;
	connection = r == 0 ? accept4(server.socket, NULL, NULL, SOCK_CLOEXEC) : -1;
	remove_socket();
	if (r == EPERM || r == ENOSPC || r == EINVAL)
		trial_skip("this machine does not permit it: %s", strerror(r));
	if (r != 0)
		trial_fail("the client could not connect as it should: %s", strerror(r));
	if (connection < 0)
		trial_fail("accept: %s", strerror(errno));
	return connection;
}

static void client_leave(void)
{
	close(server.server_end);
	waitpid(server.client, NULL, 0);
}

static void baseline(struct peer_baseline *ret)
{
	struct spawn_error err;

	if (peer_baseline_read(ret, &err) < 0)
		trial_fail("%s", err.message);
}

static void identify(int connection, struct peer_identity *ret)
{
	struct peer_baseline self;
	struct spawn_error err;

	baseline(&self);
	if (peer_identify(connection, &self, ret, &err) < 0)
		trial_fail("%s", err.message);
}

/* How a client in that dress is confined, to the server as it is now. */
static void expect(dress_fn *dress, const char *reason)
{
	struct peer_identity peer;
	int connection = client_connect(dress);

	identify(connection, &peer);
	client_leave();
	if (!reason && peer.confined[0])
		trial_fail("confined: %s", peer.confined);
	if (reason && !strstr(peer.confined, reason))
		trial_fail("\"%s\" where \"%s\" was expected", peer.confined, reason);
	peer_identity_finish(&peer);
}

struct wear {
	dress_fn *dress;
	const char *reason;
};

static void try_wear(const void *arg)
{
	const struct wear *wear = arg;

	expect(wear->dress, wear->reason);
}

static int wear_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

static int install_filter(struct sock_filter *insns, unsigned short n)
{
	struct sock_fprog program = {n, insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return errno;
	return 0;
}

static int wear_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	return install_filter(&allow, 1);
}

/* A thread that dresses, says so, and stays. */
struct tailor {
	dress_fn *dress;
	pthread_barrier_t done;
	int error;
};

static void *dress_and_stay(void *arg)
{
	struct tailor *tailor = arg;

	tailor->error = tailor->dress();
	pthread_barrier_wait(&tailor->done);
	for (;;)
		pause();
	return NULL;
}

static int wear_in_thread(dress_fn *dress)
{
	static struct tailor tailor;
	pthread_t thread;
	int r;

	tailor.dress = dress;
	pthread_barrier_init(&tailor.done, NULL, 2);
	r = pthread_create(&thread, NULL, dress_and_stay, &tailor);
	if (r != 0)
		return r;
	pthread_barrier_wait(&tailor.done);
	return tailor.error;
}

static int wear_nothing(void)
{
	return 0;
}

static int wear_idle_thread(void)
{
	return wear_in_thread(wear_nothing);
}

static int wear_filter_in_thread(void)
{
	return wear_in_thread(wear_filter);
}

static int wear_no_new_privs_in_thread(void)
{
	return wear_in_thread(wear_no_new_privs);
}

static int wear_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int wear_mount_namespace(void)
{
	return unshare(CLONE_NEWNS) < 0 ? errno : 0;
}

static int wear_network_namespace(void)
{
	return unshare(CLONE_NEWNET) < 0 ? errno : 0;
}

static int wear_bounding_set(void)
{
	return prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) < 0 ? errno : 0;
}

/* Its new root is where the socket is: the address is shorter by that. */
static int wear_root(void)
{
	char root[sizeof(server.address.sun_path)], *slash;

	memcpy(root, server.address.sun_path, sizeof(root));
	slash = strrchr(root, '/');
	*slash = '\0';
	snprintf(server.address.sun_path, sizeof(server.address.sun_path), "/socket");
	return chroot(root) < 0 ? errno : 0;
}

static int wear_undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? errno : 0;
}

static void become_ordinary(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ||
			       prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0))
		trial_skip("cannot become an ordinary user: %s", strerror(errno));
}

static void ordinary_peer_of_ordinary_server(const void *arg)
{
	become_ordinary();
	expect(NULL, NULL);
}

static void undumpable_peer_is_confined(const void *arg)
{
	become_ordinary();
	expect(wear_undumpable, "cannot read /proc/");
}

/* Compared, not counted: what the server has as well is no confinement. */
static void filtered_server_and_peer(const void *arg)
{
	if (wear_filter() != 0)
		trial_skip("this kernel has no seccomp filters");
	expect(NULL, NULL);
}

static void filtered_server_more_filtered_peer(const void *arg)
{
	if (wear_filter() != 0)
		trial_skip("this kernel has no seccomp filters");
	expect(wear_filter, "2 seccomp filters, the server has 1");
}

static void tells_pid_uid_gid(const void *arg)
{
	struct peer_identity peer;
	int connection = client_connect(NULL);

	identify(connection, &peer);
	if (peer.pid != server.client || peer.uid != geteuid() || peer.gid != getegid())
		trial_fail("pid %d uid %u gid %u", (int)peer.pid, peer.uid, peer.gid);
	client_leave();
}

static void pidfd_is_close_on_exec_and_the_peers(const void *arg)
{
	struct peer_identity peer;
	int connection = client_connect(NULL), status;

	identify(connection, &peer);
	if (!(fcntl(peer.pidfd, F_GETFD) & FD_CLOEXEC))
		trial_fail("the pidfd survives exec");
	if (syscall(SYS_pidfd_send_signal, peer.pidfd, SIGKILL, NULL, 0) < 0)
		trial_fail("pidfd_send_signal: %s", strerror(errno));
	waitpid(server.client, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		trial_fail("the pidfd is not the client's");
}

static unsigned n_groups;

static int wear_groups(void)
{
	gid_t *groups = calloc(n_groups, sizeof(*groups));

	for (unsigned i = 0; i < n_groups; i++)
		groups[i] = 1000 + i;
	return setgroups(n_groups, groups) < 0 ? errno : 0;
}

static void tells_all_groups(const void *arg)
{
	struct peer_identity peer;
	int connection;

	n_groups = PEER_GROUPS_MAX;
	connection = client_connect(wear_groups);
	identify(connection, &peer);
	client_leave();
	if (peer.n_groups != n_groups)
		trial_fail("%zu groups of %u", peer.n_groups, n_groups);
	for (unsigned i = 0; i < n_groups; i++)
		if (peer.groups[i] != 1000 + i)
			trial_fail("group %u is %u", i, peer.groups[i]);
	if (peer.confined[0])
		trial_fail("confined: %s", peer.confined);
}

static void refuses_too_many_groups(const void *arg)
{
	struct peer_baseline self;
	struct peer_identity peer;
	struct spawn_error err = {0};
	int connection;

	n_groups = PEER_GROUPS_MAX + 1;
	connection = client_connect(wear_groups);
	baseline(&self);
	trial_expect_errno("peer_identify", -peer_identify(connection, &self, &peer, &err), E2BIG);
	client_leave();
	if (!strstr(err.message, "4097"))
		trial_fail("the error does not name the number: %s", err.message);
}

static void expect_gone(int connection)
{
	struct peer_baseline self;
	struct peer_identity peer;
	struct spawn_error err;

	baseline(&self);
	trial_expect_errno("peer_identify", -peer_identify(connection, &self, &peer, &err), ESRCH);
}

static void refuses_dead_peer(const void *arg)
{
	int connection = client_connect(NULL);

	client_leave();
	expect_gone(connection);
}

static void refuses_zombie_peer(const void *arg)
{
	siginfo_t info;
	int connection = client_connect(NULL);

	close(server.server_end);
	if (waitid(P_PID, (id_t)server.client, &info, WEXITED | WNOWAIT) < 0)
		trial_fail("waitid: %s", strerror(errno));
	expect_gone(connection);
}

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_HALF 4
#else
#define LOW_HALF 0
#endif

/* Linux before 6.5: getsockopt does not know SO_PEERPIDFD. */
static void forget_peerpidfd(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2]) + LOW_HALF),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_PEERPIDFD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	if (install_filter(insns, sizeof(insns) / sizeof(insns[0])) != 0)
		trial_skip("this kernel has no seccomp filters");
}

static void identifies_without_peerpidfd(const void *arg)
{
	forget_peerpidfd();
	pidfd_is_close_on_exec_and_the_peers(arg);
}

static void refuses_dead_peer_without_peerpidfd(const void *arg)
{
	forget_peerpidfd();
	refuses_dead_peer(arg);
}

static void keeps_no_descriptor(const void *arg)
{
	struct peer_identity peer;
	int connection = client_connect(NULL), before = dup(0), after;

	close(before);
	for (int i = 0; i < 100; i++) {
		identify(connection, &peer);
		peer_identity_finish(&peer);
	}
	after = dup(0);
	client_leave();
	if (before != after)
		trial_fail("descriptor %d was free, now %d is", before, after);
}

int main(void)
{
	static const struct {
		const char *name;
		struct wear wear;
	} wardrobe[] = {
		{"a plain peer is not confined", {NULL, NULL}},
		{"a peer with a thread is not confined", {wear_idle_thread, NULL}},
		{"no_new_privs confines", {wear_no_new_privs, "no_new_privs"}},
		{"no_new_privs in one thread confines",
		 {wear_no_new_privs_in_thread, "no_new_privs"}},
		{"a filter confines", {wear_filter, "1 seccomp filters"}},
		{"a filter in one thread confines", {wear_filter_in_thread, "1 seccomp filters"}},
		{"a user namespace confines", {wear_user_namespace, "another user namespace"}},
		{"a mount namespace confines", {wear_mount_namespace, "another mnt namespace"}},
		{"a network namespace confines", {wear_network_namespace, "another net namespace"}},
		{"a smaller bounding set confines",
		 {wear_bounding_set, "bounding set without 0x1"}},
		{"another root directory confines", {wear_root, "another root directory"}},
	};

	for (size_t i = 0; i < sizeof(wardrobe) / sizeof(wardrobe[0]); i++)
		trial(wardrobe[i].name, try_wear, &wardrobe[i].wear);
	trial("an ordinary peer of an ordinary server is not confined",
	      ordinary_peer_of_ordinary_server, NULL);
	trial("a non-dumpable peer of an ordinary server counts as confined",
	      undumpable_peer_is_confined, NULL);
	trial("a filter that the server has as well does not confine", filtered_server_and_peer,
	      NULL);
	trial("a filter more than the server's confines", filtered_server_more_filtered_peer, NULL);
	trial("identity tells pid, uid and gid", tells_pid_uid_gid, NULL);
	trial("the pidfd is the peer's and close-on-exec", pidfd_is_close_on_exec_and_the_peers,
	      NULL);
	trial("identity tells all of 4096 groups", tells_all_groups, NULL);
	trial("a peer of 4097 groups is refused", refuses_too_many_groups, NULL);
	trial("a peer that is gone is refused", refuses_dead_peer, NULL);
	trial("a peer that is a zombie is refused", refuses_zombie_peer, NULL);
	trial("a kernel without SO_PEERPIDFD gives a pidfd as well", identifies_without_peerpidfd,
	      NULL);
	trial("a kernel without SO_PEERPIDFD refuses a peer that is gone",
	      refuses_dead_peer_without_peerpidfd, NULL);
	trial("identifying keeps no descriptor", keeps_no_descriptor, NULL);
	return trials_finish();
}
