/* SPDX-License-Identifier: MIT */
#include "preload.h"

#include "libspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread bool preload_inside __attribute__((tls_model("initial-exec")));

/* One private host for all threads. A client that was retired is closed by who used it last. */
static pthread_rwlock_t client_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct spawn_client *client;

/* With the lock for reading; NULL: there can be none. */
static struct spawn_client *client_hold(struct spawn_error *err)
{
	struct spawn_client *made = NULL;

	for (;;) {
		pthread_rwlock_rdlock(&client_lock);
		if (client)
			return client;
		pthread_rwlock_unlock(&client_lock);
		pthread_rwlock_wrlock(&client_lock);
		if (!client && spawn_private_open(&made, err) == 0)
			client = made;
		pthread_rwlock_unlock(&client_lock);
		if (!made)
			return NULL;
	}
}

static void client_release(void)
{
	pthread_rwlock_unlock(&client_lock);
}

void preload_retire(void)
{
	struct spawn_client *old;

	pthread_rwlock_wrlock(&client_lock);
	old = client;
	client = NULL;
	pthread_rwlock_unlock(&client_lock);
	preload_inside = true;
	spawn_client_close(old);
	preload_inside = false;
}

/* The lock in a child of fork, where the thread that had it may not be. */
static void lock_for_fork(void)
{
	pthread_rwlock_wrlock(&client_lock);
}
static void unlock_after_fork(void)
{
	pthread_rwlock_unlock(&client_lock);
}
static void begin_in_child(void)
{
	/* libspawn starts another private host with the first use; this one is not ours */
	pthread_rwlock_init(&client_lock, NULL);
	hidden_set(0);
}
__attribute__((constructor)) static void prepare(void)
{
	pthread_atfork(lock_for_fork, unlock_after_fork, begin_in_child);
}

/* Why libc has to do it, or NULL. */
static const char *attributes_left(const posix_spawnattr_t *attr, short *ret_flags)
{
	short flags = 0;

	if (attr)
		posix_spawnattr_getflags(attr, &flags);
	*ret_flags = flags;
	if (flags & (POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER))
		return "it sets the scheduling policy";
	if (flags & POSIX_SPAWN_RESETIDS && (geteuid() != getuid() || getegid() != getgid()))
		return "it resets user and group";
	if (flags & ~(POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
		      POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSCHEDPARAM |
		      POSIX_SPAWN_SETSCHEDULER | POSIX_SPAWN_USEVFORK | POSIX_SPAWN_SETSID))
		return "it has an attribute that is not known here";
	return NULL;
}

static void attributes_give(const posix_spawnattr_t *attr, short flags, struct spawn_request *r)
{
	pid_t group = 0;
	sigset_t set;

	if (flags & POSIX_SPAWN_SETSIGDEF) {
		posix_spawnattr_getsigdefault(attr, &set);
		spawn_request_sigdefault(r, &set);
	}
	if (flags & POSIX_SPAWN_SETSIGMASK) {
		posix_spawnattr_getsigmask(attr, &set);
		spawn_request_sigmask(r, &set);
	}
	if (flags & POSIX_SPAWN_SETSID)
		spawn_request_session(r, true);
	if (flags & POSIX_SPAWN_SETPGROUP) {
		posix_spawnattr_getpgroup(attr, &group);
		spawn_request_process_group(r, group);
	}
}

/* All that it is to have, and nothing that is there by itself. */
static void table_give(const struct table *t, struct spawn_request *r)
{
	spawn_request_inherit(r, 0);
	for (size_t i = 0; i < t->n; i++)
		if (!t->entries[i].cloexec)
			spawn_request_fd(r, t->entries[i].fd, t->entries[i].target);
	if (t->directory >= 0)
		spawn_request_chdir_fd(r, t->directory);
}

static struct spawn_request *request_make(const char *path, bool search, char *const *argv,
					  char *const *env)
{
	static const char *const empty[] = {NULL};
	struct spawn_request *r = spawn_request_new(NULL);
	size_t n = 0;

	if (!r)
		return NULL;
	while (argv[n])
		n++;
	if (search)
		spawn_request_path_search(r, path, SPAWN_PATH_CALLER);
	else
		spawn_request_program(r, path);
	spawn_request_argv0(r, argv[0]);
	spawn_request_args(r, n - 1, (const char *const *)argv + 1);
	spawn_request_env(r, env ? (const char *const *)env : empty);
	return r;
}

/* 0, or the negative errno of libspawn. */
static int start(struct spawn_request *r, const posix_spawnattr_t *attr, short flags,
		 pid_t *ret_pid, int *ret_pidfd, struct spawn_error *err)
{
	struct spawn_proc *proc = NULL;
	struct spawn_client *c;
	int rc;

	attributes_give(attr, flags, r);
	c = client_hold(err);
	if (!c)
		return err->code;
	rc = spawn_process(c, r, &proc, err);
	client_release();
	if (rc < 0)
		return rc;
	if (ret_pidfd) {
		*ret_pidfd = fcntl(spawn_proc_pidfd(proc), F_DUPFD_CLOEXEC, 0);
		rc = *ret_pidfd < 0 ? -errno : 0;
	}
	if (ret_pid)
		*ret_pid = spawn_proc_pid(proc);
	spawn_proc_free(proc);
	return rc;
}

/*
 * 0 or a positive errno; *ret_left where libc has to do it. The program's own failure, found by the
 * child, is the answer. All else, the private host's or of the way to it, is no reason to fail:
 * nothing was started. But for an unknown outcome, which must not be tried again.
 */
static int serve(pid_t *ret_pid, int *ret_pidfd, const char *path, bool search,
		 const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr,
		 char *const *argv, char *const *env, const char **ret_left)
{
	const struct actions *actions = fa ? actions_of(fa) : NULL;
	static __thread struct spawn_error err;
	struct spawn_request *r = NULL;
	struct table table = {.directory = -1};
	short flags;
	int rc;

	*ret_left = attributes_left(attr, &flags);
	if (fa && !actions)
		*ret_left = "its file actions were made before this library was there";
	if (!argv || !argv[0])
		*ret_left = "it has no arguments, not even its name";
	if (*ret_left)
		return 0;
	rc = table_make(&table, actions, ret_left);
	if (rc == 0 && !*ret_left) {
		r = request_make(path, search, argv, env);
		rc = r ? 0 : ENOMEM;
	}
	if (r) {
		table_give(&table, r);
		rc = -start(r, attr, flags, ret_pid, ret_pidfd, &err);
		if (rc && err.origin != SPAWN_ORIGIN_LEAF && rc != EINPROGRESS)
			*ret_left = err.message;
	}
	spawn_request_free(r);
	table_free(&table);
	return rc;
}

int preload_spawn(pid_t *ret_pid, int *ret_pidfd, const char *path, bool search,
		  const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr,
		  char *const *argv, char *const *env)
{
	const char *left;
	int saved = errno, r;

	preload_inside = true;
	r = serve(ret_pid, ret_pidfd, path, search, fa, attr, argv, env, &left);
	preload_inside = false;
	errno = saved; /* posix_spawn(3) returns it */
	if (!left) {
		if (r == 0)
			tally_add(TALLY_SPAWNED);
		return r;
	}
	if (!tally_leave(search ? "posix_spawnp" : "posix_spawn", left))
		return ENOTSUP;
	if (ret_pidfd)
		return (search ? next()->pidfd_spawnp : next()->pidfd_spawn)(ret_pidfd, path, fa,
									     attr, argv, env);
	return (search ? next()->posix_spawnp : next()->posix_spawn)(ret_pid, path, fa, attr, argv,
								     env);
}

/* libspawn's own: the private host, which nobody shall see. */
static int spawn_hidden(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
			const posix_spawnattr_t *attr, char *const *argv, char *const *env)
{
	int r = next()->posix_spawn(pid, path, fa, attr, argv, env);

	if (r == 0)
		hidden_set(*pid);
	return r;
}

PUBLIC int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict fa,
		       const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		       char *const envp[restrict])
{
	return preload_inside ? spawn_hidden(pid, path, fa, attr, argv, envp)
			      : preload_spawn(pid, NULL, path, false, fa, attr, argv, envp);
}

PUBLIC int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *restrict fa,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict])
{
	return preload_spawn(pid, NULL, file, true, fa, attr, argv, envp);
}

/* Since glibc 2.39, whose header this does not need. */
PUBLIC int pidfd_spawn(int *restrict pidfd, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict fa,
		       const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		       char *const envp[restrict]);
PUBLIC int pidfd_spawn(int *restrict pidfd, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict fa,
		       const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		       char *const envp[restrict])
{
	return next()->pidfd_spawn ? preload_spawn(NULL, pidfd, path, false, fa, attr, argv, envp)
				   : ENOSYS;
}

PUBLIC int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
			const posix_spawn_file_actions_t *restrict fa,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict]);
PUBLIC int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
			const posix_spawn_file_actions_t *restrict fa,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict])
{
	return next()->pidfd_spawnp ? preload_spawn(NULL, pidfd, file, true, fa, attr, argv, envp)
				    : ENOSYS;
}
