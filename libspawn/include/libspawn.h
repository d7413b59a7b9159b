/* SPDX-License-Identifier: MIT */
/*
 * libspawn.h - start processes from warm templates, without fork.
 *
 *	struct spawn_client *client;
 *	struct spawn_request *request = spawn_request_new("words");
 *	struct spawn_proc *proc;
 *	struct spawn_exit *end;
 *	struct spawn_error err;
 *
 *	if (spawn_client_open(&client, NULL, &err) < 0)
 *		errx(1, "%s", err.message);
 *	spawn_request_args(request, 1, (const char *const[]){"letter.txt"});
 *	if (spawn_process(client, request, &proc, &err) < 0)
 *		errx(1, "%s", err.message);
 *	spawn_proc_wait(proc, -1, &end);
 *	printf("status %d\n", spawn_exit_status(end));
 *
 * Errors: every int is 0 (or as stated) or a negative errno; struct spawn_error says the rest.
 * `err` may always be NULL. ret_ arguments are untouched on failure.
 *
 * Ownership: *_new and *_open make what *_free and *_close end; all of those accept NULL. A proc
 * outlives its client safely: it holds what it needs.
 *
 * Threads: all functions of a client and of procs may be called from any thread at any time, and
 * many threads may wait at once. A request is for one thread at a time; it may be started often.
 * The library has no threads and no signal handlers of its own and never forks the caller.
 *
 * After a fork of the caller: the child's first use of a client connects anew as itself; procs
 * started before the fork are the parent's, and answer -ECHILD in the child. Nothing is said to the
 * server about the parent's procs when the child frees them.
 *
 * Descriptors: all are close-on-exec. Those that a function returns are borrowed unless stated.
 */
#ifndef LIBSPAWN_H
#define LIBSPAWN_H

#include "libspawn-error.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h> /* sigset_t, which signal.h keeps from strict C (-std=c11) */
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spawn_client;
struct spawn_request;
struct spawn_proc;
struct spawn_exit;

/* The version of the library, as "0.1.0". Static. */
const char *spawn_version(void);

/* ---- the connection to a server ---- */

/*
 * Connects. socket_path NULL means $SPAWND_SOCKET (ignored in a setuid program), else the user's
 * server at $XDG_RUNTIME_DIR/spawnd/socket if that exists, else the system's at
 * /run/spawnd/socket. The owner of the socket and of its directory must be the caller or root, and
 * neither may be writable by others (a user's own directory may be reached through a sticky one).
 *
 * Errors: -ENOENT and -ECONNREFUSED (no server there), -EACCES (not yours to use, or owned by
 * somebody else), -ENAMETOOLONG, -EPROTO (versions do not meet), -EAGAIN (too many connections),
 * -EPERM (the server refuses this user, or a caller more confined than itself).
 */
int spawn_client_open(struct spawn_client **ret, const char *socket_path, struct spawn_error *err);
/* Closes the connection. Children that were started with kill_with_caller are not ended by it, but
 * by the end of this process. */
void spawn_client_close(struct spawn_client *client);

/* Pollable: readable when spawn_client_dispatch() has work. Changes at a reconnect, and with the
 * first request for a private host: ask again after each dispatch and submit. -1 while not
 * connected. */
int spawn_client_fd(const struct spawn_client *client);
/*
 * Handles what the server sent, without blocking: completions of spawn_submit() are called from
 * here. The number of messages handled, or a negative errno; at -ECONNRESET all that was in flight
 * has been completed and the next call that needs the server connects anew.
 */
int spawn_client_dispatch(struct spawn_client *client);

/*
 * A client without a server: a tiny private host, started at once by posix_spawn(3) as a child of
 * this process, starts programs as this process's own children. All requests of such a client are
 * SPAWN_OWNER_CALLER; those that need a template of a server fail with -ENOTCONN. The private host
 * is started anew when it dies, when the process's credentials, sandbox, session or process group
 * are no longer those with which it was started, and in a child of fork. wait(-1) may see it end,
 * and finds a living child as long as the client is open: see libspawn-private(7).
 *
 * Errors: -ENOENT and the like when spawn-private cannot be executed.
 */
int spawn_private_open(struct spawn_client **ret, struct spawn_error *err);

/* A round trip to the server (or the private host of a client that has no server). */
int spawn_client_ping(struct spawn_client *client, struct spawn_error *err);

/* ---- what to start ---- */

/* NULL only when out of memory. Errors of the functions below are latched, told at the start, and
 * also returned. The strings are copied. template_name NULL: "exec", whose leaves become any
 * program. */
struct spawn_request *spawn_request_new(const char *template_name);
void spawn_request_free(struct spawn_request *request);

/*
 * The program to become, of a template of lane `exec`; the child opens it, in its own working
 * directory. A later call replaces an earlier one of any of these three.
 *
 * A file without "#!" that no format knows is -ENOEXEC, as with posix_spawnp(3): no shell is tried.
 */
int spawn_request_program(struct spawn_request *request, const char *path);
enum spawn_path {
	SPAWN_PATH_CALLER = 1, /* $PATH of this process, as execvp(3) and posix_spawnp(3) */
	SPAWN_PATH_CHILD = 2,  /* PATH of the environment that the child gets, as env(1) */
};
/* The same, but a name without a slash is searched in that PATH as it is at the start; where there
 * is none, in "/bin:/usr/bin". */
int spawn_request_path_search(struct spawn_request *request, const char *name,
			      enum spawn_path whose);
/* An open program, as fexecve(3): borrowed, keep it open until the start. A script fails with
 * -ENOENT: its interpreter could not open it any more. */
int spawn_request_program_fd(struct spawn_request *request, int fd);

enum spawn_owner {
	SPAWN_OWNER_SERVER = 0, /* a child of the server's */
	SPAWN_OWNER_CALLER =
		1, /* a child of this process: needs a program, no template, no server */
};
/*
 * Whose child it is. Default: the server's, or the caller's with a client of spawn_private_open().
 * A child of this process is waited for by waitpid(2) or by spawn_proc_wait(), whichever comes
 * first, and is in this process's session and process group. kill_with_caller and deadline are the
 * server's work: with SPAWN_OWNER_CALLER they fail with -EOPNOTSUPP.
 */
int spawn_request_owner(struct spawn_request *request, enum spawn_owner owner);

/* Arguments after argv[0] (which is the program as it was named, else the template's name, unless
 * set). Appends. What ps shows is argv, of a leaf that executes nothing as far as it fits. */
int spawn_request_args(struct spawn_request *request, size_t n, const char *const *args);
int spawn_request_argv0(struct spawn_request *request, const char *argv0);
/* The environment is the caller's at the start, changed by setenv and unsetenv; or, after _env,
 * exactly that NULL-terminated list, changed likewise. */
int spawn_request_env(struct spawn_request *request, const char *const *env);
int spawn_request_setenv(struct spawn_request *request, const char *name, const char *value);
int spawn_request_unsetenv(struct spawn_request *request, const char *name);
/* The working directory; relative to the caller's at the start. Default: the caller's. */
int spawn_request_chdir(struct spawn_request *request, const char *path);
/* The same by an open directory, which may have been opened with O_PATH: borrowed, keep it open
 * until the start. A relative path of _chdir is from there. */
int spawn_request_chdir_fd(struct spawn_request *request, int fd);
/* The child's descriptor `target` is a duplicate of the caller's fd, taken at the start: borrowed,
 * keep it open until then. Default: 0, 1 and 2 are the caller's. At most 240. */
int spawn_request_fd(struct spawn_request *request, int fd, int target);
/* The child opens path itself, as `target`, in its working directory. flags as of open(2), without
 * O_CLOEXEC. In the order of the calls, after passed descriptors are in place. */
int spawn_request_open(struct spawn_request *request, int target, const char *path, int flags,
		       mode_t mode);
/* The child's descriptor `from` as it is then becomes `target` too; a closed one fails at step
 * "open" (-EBADF). And it closes one, which may be closed already. In one order with the above. */
int spawn_request_dup(struct spawn_request *request, int from, int target);
int spawn_request_close(struct spawn_request *request, int fd);
/* And all above, as closefrom(3) does. */
int spawn_request_close_from(struct spawn_request *request, int low);
/*
 * The caller's descriptors below this number that are not close-on-exec at the start are the
 * child's at the same numbers, as fork and exec have it, or posix_spawn with closefrom(below);
 * INT_MAX: all. Default: 3. At most 240 are passed in all.
 */
int spawn_request_inherit(struct spawn_request *request, int below);
/*
 * A pipe: the child reads its end as descriptor 0, or writes to it as any other target. *ret_fd is
 * the other end, close-on-exec, yours to close. The child's end is the request's, so the end of
 * file comes once the child has closed it and spawn_request_free() was called.
 */
int spawn_request_pipe(struct spawn_request *request, int target, int *ret_fd);
/* Default: the caller's at the start. */
int spawn_request_umask(struct spawn_request *request, mode_t mask);
/*
 * The signals that it ignores from its first instruction on; all others are at their default.
 * Default: none, of the server's children; those that this process ignores at the start, of its
 * own. For the server's they are not looked up, as that costs a system call a signal: a program
 * that hands down what it ignores itself, as nohup(1) has it, says so.
 */
int spawn_request_ignore(struct spawn_request *request, const sigset_t *signals);
/*
 * The signals that are at their default also where this process ignores them; for a child of the
 * server's, where all are that are not to be ignored, it takes back what spawn_request_ignore()
 * said. Each call replaces the one before; a signal named to both functions is what the last says.
 * SIGKILL and SIGSTOP may be named and are so anyway. Default: none.
 */
int spawn_request_sigdefault(struct spawn_request *request, const sigset_t *signals);
/* The signals that are blocked in it. Default: the calling thread's at the start. */
int spawn_request_sigmask(struct spawn_request *request, const sigset_t *signals);

/*
 * The process group: 0, it leads a new one, as a child of the server's does in any case; else the
 * one of this process's session that it joins, which only a child of this process can: another is
 * refused at the start with -EOPNOTSUPP. One that cannot be joined fails at step "group" (-EPERM).
 * Default: this process's, of its own children.
 */
int spawn_request_process_group(struct spawn_request *request, pid_t group);
/*
 * It leads a new session, and process group, without a controlling terminal; opening a terminal
 * without O_NOCTTY gives it one. Default: false: this process's session, of its own children; of
 * the server's, one that they do not lead and that has no terminal.
 */
int spawn_request_session(struct spawn_request *request, bool on);

/*
 * A limit of setrlimit(2): `resource` is an RLIMIT_ of <sys/resource.h>, the values are in its
 * units; UINT64_MAX is no limit. Set as it is or the start fails at step "rlimit": -EPERM, the hard
 * limit is above that which the child has. Default: the caller's, of a child of the server's cut to
 * the hard limit that this has.
 */
int spawn_request_rlimit(struct spawn_request *request, int resource, uint64_t soft, uint64_t hard);
/*
 * The nice value, -20 (served first) to 19. Downwards as far as the child may (RLIMIT_NICE,
 * CAP_SYS_NICE), else it fails at step "nice" (-EACCES). Default, of this and the next three: this
 * process's, of its own children; of the server's, the server's.
 */
int spawn_request_nice(struct spawn_request *request, int value);
/* The processors that it may run on, n of them, by number, all and no other; one that is not there,
 * or not allowed, fails at step "affinity" (-EINVAL). */
int spawn_request_cpus(struct spawn_request *request, size_t n, const unsigned *cpus);
/* The kernel's readiness to end it when memory is short, up to 1000. Down as far as the kernel lets
 * a child of this process; a child of the server's only up. Step "oom_score_adj" (-EACCES). */
int spawn_request_oom_score_adj(struct spawn_request *request, int value);
/* How late its timers may be, in ns, at least 1 (PR_SET_TIMERSLACK). */
int spawn_request_timer_slack(struct spawn_request *request, uint64_t ns);

/*
 * Who it is: real, effective and saved user and group, and exactly these n supplementary groups, at
 * most 4096; copied. Set in the order groups, gid, uid and read back, after its directory and files
 * are open and before it is executed. No more than the child may, which is no more than the caller:
 * -EPERM at step "groups", "gid" or "uid". A leaf of a template that became somebody else stays
 * non-dumpable, since the template's memory is the caller's. Default: the caller's.
 */
int spawn_request_credentials(struct spawn_request *request, uid_t uid, gid_t gid, size_t n_groups,
			      const gid_t *groups);
/*
 * The capabilities that it may keep, bit n for number n of <linux/capability.h>; the others leave
 * all of its sets, the bounding set first. Who may not take from that (CAP_SETPCAP) fails at step
 * "capabilities" (-EPERM) where something is to be taken, but with spawn_request_no_new_privs(),
 * by which nothing is gained either. It gives none.
 */
int spawn_request_capabilities(struct spawn_request *request, uint64_t keep);
/*
 * The control group that it enters, itself, before its files are opened and its credentials
 * changed: its directory by path, relative to the caller, or open and borrowed until the start. The
 * last call counts. What the child may not do (in cgroup v2, also to the common ancestor's
 * cgroup.procs) fails at step "cgroup", as does a directory of another file system (-EMEDIUMTYPE).
 * Default: this process's, of its own children; of the server's, the server's.
 */
int spawn_request_cgroup(struct spawn_request *request, const char *path);
int spawn_request_cgroup_fd(struct spawn_request *request, int fd);
/* It, and what it executes, never gains privileges by exec: setuid programs do not
 * (PR_SET_NO_NEW_PRIVS). Default: as its parent. */
int spawn_request_no_new_privs(struct spawn_request *request, bool on);
/*
 * The signal that a child of this process gets when its parent ends, 0 for none, the default
 * (PR_SET_PDEATHSIG). As the kernel has it the parent is a thread: the one that started the private
 * host, by spawn_private_open() or the first request, or after its end another. A setuid program
 * loses it. For a child of the server's -EOPNOTSUPP at the start: kill_with_caller stands for it.
 */
int spawn_request_death_signal(struct spawn_request *request, int sig);

enum spawn_nofork {
	SPAWN_NOFORK_OFF = 0,
	SPAWN_NOFORK_COPY =
		1, /* its memory is never duplicated; threads, vfork, posix_spawn work */
	SPAWN_NOFORK_PROCESS = 2, /* it makes no process at all */
};
/* Default: the template's. More than that is always granted; less only where the template permits.
 */
int spawn_request_nofork(struct spawn_request *request, enum spawn_nofork level);
/* The child gets SIGTERM, and SIGKILL after the grace, when this process ends. Default: false. */
int spawn_request_kill_with_caller(struct spawn_request *request, bool on);
/* SIGTERM after deadline_ms, SIGKILL grace_ms later, by the server, also when the caller is gone.
 */
int spawn_request_deadline(struct spawn_request *request, uint64_t deadline_ms, uint64_t grace_ms);

/* ---- starting ---- */

/*
 * Starts it and returns when it runs or has failed, as posix_spawn does. Errors, beside those of
 * the request: -ENOENT (no such template), -EPERM (not for you), -EAGAIN (a limit, worth a retry),
 * -ESHUTDOWN (the server is stopping), what the leaf met (origin leaf, step, errno), and
 * -EINPROGRESS (outcome unknown: the server was lost when the child may have been started; it is
 * never tried again by the library).
 */
int spawn_process(struct spawn_client *client, struct spawn_request *request,
		  struct spawn_proc **ret, struct spawn_error *err);

/*
 * Starts n requests and returns when each of them runs or has failed. All are asked for before the
 * first is waited for (32 at a time), so that they start beside each other. Each slot is by itself:
 * procs[i] is the started one or NULL, and then errs[i] (errs may be NULL) says why, as
 * spawn_process() would have. A request may be in several slots. How many were started.
 */
int spawn_batch(struct spawn_client *client, struct spawn_request *const *requests, size_t n,
		struct spawn_proc **procs, struct spawn_error *errs);

/*
 * The same, each one's output to the next one's input, as a | b | c in a shell; the first reads and
 * the last writes what its request says. What a slot that fails was to read or write is at its end
 * for its neighbours.
 */
int spawn_pipeline(struct spawn_client *client, struct spawn_request *const *requests, size_t n,
		   struct spawn_proc **procs, struct spawn_error *errs);

/*
 * Called once for each submit that returned 0, from spawn_client_dispatch() or another call that
 * reads the connection, with no lock held. Exactly one of proc (yours, to free) and err is not
 * NULL; err is valid during the call. "Started" means handed to a leaf: a failure to take the form
 * that was asked for is told by spawn_proc_wait() in its record's start error.
 */
typedef void spawn_started_fn(struct spawn_proc *proc, const struct spawn_error *err, void *user);

/* Sends the request and returns at once. ret_id, if not NULL, is for spawn_cancel(). -EAGAIN when
 * the server does not keep up: dispatch when there is something, then try again. */
int spawn_submit(struct spawn_client *client, struct spawn_request *request,
		 spawn_started_fn *on_started, void *user, uint32_t *ret_id,
		 struct spawn_error *err);
/* Takes back a request that waits in the server's queue: it then completes with -ECANCELED. One
 * that was handed to a leaf already completes as started. 0, or -ENOENT: no such request, or one of
 * a private host, where none waits. */
int spawn_cancel(struct spawn_client *client, uint32_t id);

/* ---- a started process ---- */

pid_t spawn_proc_pid(const struct spawn_proc *proc);
/* Readable when the process is over; pollable anywhere. Borrowed; closed by spawn_proc_free(). */
int spawn_proc_pidfd(const struct spawn_proc *proc);
/* Through the pidfd: never another process. -ESRCH when it is over. */
int spawn_proc_kill(struct spawn_proc *proc, int sig);
/*
 * Waits for the end; timeout in ms, -1 for ever, 0 to ask. May be repeated, by many threads; each
 * caller gets a record of its own. -ETIMEDOUT; -ECHILD (in a child of the process that started it).
 * A record whose status cannot be known any more says so: see spawn_exit_known(). ret may be NULL.
 */
int spawn_proc_wait(struct spawn_proc *proc, int timeout_ms, struct spawn_exit **ret);
/* The process runs on; once over it is reaped. A child of this process is left to waitpid(2). */
void spawn_proc_free(struct spawn_proc *proc);
/* What holds for it: "copy (seccomp: inherited, no_new_privs)". Static. */
const char *spawn_proc_nofork(const struct spawn_proc *proc);
/* The life of the template that it came from: 1, 2, ... */
uint64_t spawn_proc_generation(const struct spawn_proc *proc);

/* Moments of one spawn, CLOCK_MONOTONIC in ns; 0 where not known (a submitted one has no ready
 * before its record). Set size to sizeof first: a later library may know more moments. */
struct spawn_timing {
	size_t size;
	uint64_t requested; /* the library was called */
	uint64_t received;  /* the broker read the request */
	uint64_t handed;    /* the broker had a leaf and sent it the launch */
	uint64_t launched;  /* the leaf read it */
	uint64_t ready;	    /* the leaf is what was asked for: its next step is user code */
	uint64_t started;   /* the library had the handle */
	uint64_t confirmed; /* the library knew that it runs */
	bool pool_hit;	    /* a parked leaf was waiting */
	bool executed; /* lane `main`: its environment needed the program to be executed anew */
};
int spawn_proc_timing(const struct spawn_proc *proc, struct spawn_timing *timing);

/* ---- how it ended ---- */

void spawn_exit_free(struct spawn_exit *end);
/* False: server and record are lost and the status cannot be known. Never guessed. */
bool spawn_exit_known(const struct spawn_exit *end);
/* Exit status 0 to 255, or -1 if it did not exit (by a signal, failed to start, unknown). */
int spawn_exit_status(const struct spawn_exit *end);
/* The signal that ended it, or 0. */
int spawn_exit_signal(const struct spawn_exit *end);
bool spawn_exit_core(const struct spawn_exit *end);
/* 0, or the negative errno with which it failed before user code; step (may be NULL) names where.
 */
int spawn_exit_start_error(const struct spawn_exit *end, const char **ret_step);
/* "copy (seccomp: inherited, no_new_privs)". Static. */
const char *spawn_exit_nofork(const struct spawn_exit *end);
/* What it used; all 0 when unknown. Set size to sizeof first. */
struct spawn_usage {
	size_t size;
	uint64_t utime_us, stime_us;
	uint64_t wall_us;    /* from launch to end */
	uint64_t maxrss_kib; /* template memory included */
	uint64_t minflt, majflt, inblock, oublock, nvcsw, nivcsw;
};
int spawn_exit_usage(const struct spawn_exit *end, struct spawn_usage *usage);

/* ---- run and capture ---- */

enum spawn_stream {
	SPAWN_STREAM_OUTPUT = 1, /* descriptor 1 */
	SPAWN_STREAM_ERRORS = 2, /* descriptor 2 */
};
/* Set size to sizeof first; what is 0 is its default. */
struct spawn_run_options {
	size_t size;
	const void *input; /* what it reads from 0; borrowed */
	size_t input_len;
	size_t keep_max; /* bytes kept of each stream, 0: 1 MiB; what is beyond is read and dropped
			  */
	uint64_t deadline_ms; /* then SIGTERM to its process group; 0: none */
	uint64_t grace_ms;    /* and SIGKILL, so much later */
	bool merge;	      /* its errors are with its output, in the order of their writing */
	/* Each line when it is there, without its end; one of more than 64 KiB in pieces. */
	void (*on_line)(enum spawn_stream which, const char *line, size_t len, void *user);
	void *user;
};
struct spawn_run;
/*
 * Starts it with pipes at 0, 1 and 2, feeds, reads, waits until it is over and its output is at its
 * end, which what it has started may keep open; at the deadline its process group is ended and what
 * was written until then is the output. The child leads a process group if there is a deadline.
 * options may be NULL. Errors of spawn_process(), -EINVAL (size is not set). A child that fails by
 * itself is no error: see spawn_run_exit().
 */
int spawn_run(struct spawn_client *client, struct spawn_request *request,
	      const struct spawn_run_options *options, struct spawn_run **ret,
	      struct spawn_error *err);
void spawn_run_free(struct spawn_run *run);
/* What it wrote, ended with NUL; ret_len may be NULL. Borrowed. */
const char *spawn_run_output(const struct spawn_run *run, enum spawn_stream which, size_t *ret_len);
/* It wrote more than was kept. */
bool spawn_run_cut(const struct spawn_run *run, enum spawn_stream which);
bool spawn_run_timed_out(const struct spawn_run *run);
/* How it ended. Borrowed. */
const struct spawn_exit *spawn_run_exit(const struct spawn_run *run);

/* ---- the server's own state ---- */

/* All strings are valid during the call alone. Later libraries append fields. */
struct spawn_template_status {
	size_t size;
	const char *name, *lane, *state; /* "object", "program", "main", "python", "exec"; "cold",
					    "warming", "warm", "down", "retiring" */
	const char *nofork;		 /* in full words */
	const char *reason; /* why it is down; how it is not what its lane says; or "" */
	const char *tail;   /* the last lines of its host's stderr, or "" */
	uint64_t generation, hits, misses, retry_ms;
	uint32_t parked, launched, queued;
	pid_t host_pid; /* 0: none */
	uid_t uid;	/* whose host */
};
struct spawn_leaf_status {
	size_t size;
	const char *template_name, *state; /* "parked", "launched", "over" */
	const char *nofork;
	uint64_t serial;
	pid_t pid;
	uid_t uid;
};
struct spawn_server_status {
	size_t size;
	const char *version, *mode; /* "user", "system" */
	pid_t keeper_pid;
};
struct spawn_status_calls {
	void (*server)(const struct spawn_server_status *, void *user);
	void (*template_)(const struct spawn_template_status *, void *user);
	void (*leaf)(const struct spawn_leaf_status *, void *user);
};
/* Asks and calls for each; any of the calls may be NULL. Templates and leaves of other users are
 * shown to root alone. */
int spawn_client_status(struct spawn_client *client, const struct spawn_status_calls *calls,
			void *user, struct spawn_error *err);

#ifdef __cplusplus
}
#endif
#endif
