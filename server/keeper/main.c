/* SPDX-License-Identifier: MIT */
/* spawnd: the command line, the set-up, the loop. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "build-config.h"
#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE  2
#define EXIT_CONFIG 78

static const char help[] =
	"Usage: spawnd [OPTION]...\n"
	"Keep warm templates and hand out their leaves to programs that ask.\n"
	"\n"
	"      --user            serve your own programs ($XDG_RUNTIME_DIR/spawnd/socket);\n"
	"                        the default for everybody but root\n"
	"      --system          serve all users (/run/spawnd/socket); the default for root\n"
	"  -c, --config=FILE     configuration to read\n"
	"                        (user: ~/.config/spawnd/spawnd.json if it is there, else\n"
	"                        " SPAWND_CONFIG ")\n"
	"  -s, --socket=PATH     listen there\n"
	"      --template-dir=DIR  where templates without a path are found\n"
	"      --check-config    say whether the configuration is right, and leave\n"
	"      --print-config    print it with all defaults filled in, and leave\n"
	"  -h, --help            this page\n"
	"  -V, --version         the version\n"
	"\n"
	"Signals: HUP reloads the configuration (all or nothing), USR2 re-executes the\n"
	"server and loses nothing, TERM and INT stop it in order.\n"
	"Exit status: 0 stopped in order, 1 failed, 2 wrong usage, 78 configuration refused.\n";

enum action { ACTION_SERVE, ACTION_CHECK, ACTION_PRINT };

struct command {
	enum action action;
	int resume_fd; /* -1: a fresh start */
	bool user, system;
	const char *config, *socket, *template_dir;
};

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("spawnd: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	return -EINVAL;
}

/* 0, 1 when all is done (help), or -EINVAL. */
static int parse_command(struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{"user", no_argument, NULL, 'u'},
		{"system", no_argument, NULL, 'y'},
		{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"template-dir", required_argument, NULL, 't'},
		{"check-config", no_argument, NULL, 'k'},
		{"print-config", no_argument, NULL, 'p'},
		{"resume", required_argument, NULL, 'r'}, /* of reexec.c alone */
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	char *end;
	int o;

	while ((o = getopt_long(argc, argv, "c:s:hV", options, NULL)) != -1) {
		switch (o) {
		case 'u':
			c->user = true;
			break;
		case 'y':
			c->system = true;
			break;
		case 'c':
			c->config = optarg;
			break;
		case 's':
			c->socket = optarg;
			break;
		case 't':
			c->template_dir = optarg;
			break;
		case 'k':
			c->action = ACTION_CHECK;
			break;
		case 'p':
			c->action = ACTION_PRINT;
			break;
		case 'r':
			c->resume_fd = (int)strtol(optarg, &end, 10);
			if (*end || c->resume_fd < 3)
				return complain("--resume is not for people");
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		case 'V':
			puts("spawnd " SPAWND_VERSION);
			return 1;
		default:
			fputs("Try: spawnd --help\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc)
		return complain("unexpected argument \"%s\" (try: spawnd --help)", argv[optind]);
	if (c->user && c->system)
		return complain("--user and --system: one of them");
	if (c->system && geteuid() != 0)
		return complain("--system needs root (or say --user)");
	return 0;
}

/* Absolute, since the keeper leaves this directory. Of a file that need not be there yet. */
static char *absolute(const char *path)
{
	char *cwd, *joined = NULL;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (cwd && asprintf(&joined, "%s/%s", cwd, path) < 0)
		joined = NULL;
	free(cwd);
	return joined;
}

static char *joined(const char *directory, const char *rest)
{
	char *s;

	return asprintf(&s, "%s/%s", directory, rest) < 0 ? NULL : s;
}

/* The executables beside this one, if it was not installed; else where they are installed. */
static int find_executables(struct options *o)
{
	char self[PATH_MAX], *slash, *beside;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct stat st;

	if (n <= 0)
		return complain("cannot read /proc/self/exe: is /proc mounted?");
	self[n] = '\0';
	o->program = strdup(self);
	slash = strrchr(self, '/');
	*slash = '\0';
	beside = joined(self, "spawnd-broker");
	if (!beside || !o->program)
		return -ENOMEM;
	if (access(beside, X_OK) == 0) {
		o->libexec_dir = strdup(self);
		free(beside);
		beside = joined(self, "templates");
		if (!o->template_dir && beside && stat(beside, &st) == 0 && S_ISDIR(st.st_mode))
			o->template_dir = strdup(beside);
	} else {
		o->libexec_dir = strdup(SPAWND_LIBEXEC_DIR);
	}
	free(beside);
	if (!o->template_dir)
		o->template_dir = strdup(SPAWND_TEMPLATE_DIR);
	return o->libexec_dir && o->template_dir ? 0 : -ENOMEM;
}

static char *default_config(bool system_mode)
{
	const char *home = getenv("XDG_CONFIG_HOME");
	char *path = NULL;

	if (!system_mode) {
		if (home && home[0] == '/')
			path = joined(home, "spawnd/spawnd.json");
		else if ((home = getenv("HOME")) && home[0] == '/')
			path = joined(home, ".config/spawnd/spawnd.json");
		if (path && access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return strdup(SPAWND_CONFIG);
}

static int choose_socket(struct options *o, const char *asked)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char fallback[64];

	if (asked) {
		o->socket = absolute(asked);
	} else if (o->system_mode) {
		o->socket = strdup("/run/spawnd/socket");
	} else {
		snprintf(fallback, sizeof(fallback), "/run/user/%u", geteuid());
		if (!runtime && access(fallback, W_OK) == 0)
			runtime = fallback;
		if (!runtime || runtime[0] != '/')
			return complain(
				"no runtime directory for the socket (set XDG_RUNTIME_DIR, or say "
				"--socket=PATH)");
		o->socket = joined(runtime, "spawnd/socket");
	}
	if (!o->socket)
		return -ENOMEM;
	if (o->socket[strlen(o->socket) - 1] == '/')
		return complain("--socket=%s is a directory (name a file in it)", asked);
	return 0;
}

static int fill_options(struct options *o, const struct command *c)
{
	int r;

	o->system_mode = c->system || (!c->user && geteuid() == 0);
	if (c->template_dir && !(o->template_dir = absolute(c->template_dir)))
		return -ENOMEM;
	o->config = c->config ? absolute(c->config) : default_config(o->system_mode);
	if (!o->config)
		return -ENOMEM;
	r = find_executables(o);
	if (r < 0 || c->action != ACTION_SERVE)
		return r;
	return choose_socket(o, c->socket);
}

static void signals_ready(struct watch *w, uint32_t events)
{
	struct keeper *k = watch_owner(w, struct keeper, signals);
	struct signalfd_siginfo si;

	if (read(w->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGCHLD:
		reap_strangers(k);
		break;
	case SIGHUP:
		k->reload = true;
		break;
	case SIGUSR2:
		k->reexec = true;
		break;
	case SIGTERM:
	case SIGINT:
		k->stopping = true;
		break;
	}
}

static int watch_signals(struct keeper *k)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, dfl = {.sa_handler = SIG_DFL};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* stderr may be a pipe that nobody reads any more */
	sigaction(SIGCHLD, &dfl, NULL); /* ignored by who started us, it would take the records */
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	k->signals.ready = signals_ready;
	return poller_add(&k->poller, &k->signals, fd, EPOLLIN);
}

static int set_up(struct keeper *k, const struct command *c, struct spawn_error *err)
{
	struct rlimit files;
	int r;

	umask(022);
	/* Each host's tables go back to the kernel with it; glibc would raise the bound by itself.
	 */
	mallopt(M_MMAP_THRESHOLD, 65536);
	if (chdir("/") < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "chdir /");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max; /* each leaf and each connection is one */
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START,
				   "PR_SET_CHILD_SUBREAPER");
	/* Whoever may trace the keeper could take what it holds for others. */
	if (k->options.system_mode)
		prctl(PR_SET_DUMPABLE, 0);
	r = poller_open(&k->poller);
	if (r == 0)
		r = watch_signals(k);
	if (r == 0)
		r = credentials_own(&k->own);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "set-up");
	r = peer_baseline_read(&k->baseline, err);
	if (r < 0)
		return r;
	if (c->resume_fd >= 0)
		return reexec_resume(k, c->resume_fd, err);
	r = configuration_load(k, err);
	if (r < 0)
		return r;
	r = listen_open(k, err);
	if (r < 0)
		return r;
	r = broker_start(k, err);
	if (r < 0) {
		listen_close(k);
		return r;
	}
	log_line(LOG_INFO, "listening", "socket=%s mode=%s", k->options.socket,
		 k->options.system_mode ? "system" : "user");
	return 0;
}

static void begin_stop(struct keeper *k)
{
	uint8_t buf[64];
	struct frame f;

	notify("STOPPING=1\nSTATUS=Waiting for running leaves");
	log_line(LOG_INFO, "stopping", "timeout_ms=%lu", k->config->stop_timeout_ms);
	/* A leaf's own grace ends first; this one is for hosts that do not answer. */
	k->stop_deadline_ns = clock_now() + (k->config->stop_timeout_ms + 2000) * NS_PER_MS;
	listen_close(k);
	if (k->reload_pid)
		pidfd_signal(k->reload_pidfd.fd, SIGKILL);
	frame_begin(&f, buf, sizeof(buf), MSG_DRAIN, 0);
	broker_send(k, &f, NULL, 0);
	for (struct host_process *h = k->hosts; h; h = h->next)
		host_stop(h, true);
}

static void enforce_stop(struct keeper *k)
{
	log_line(LOG_WARNING, "stop-overdue", "action=kill");
	/* Again soon: a killed host's leaves are ours only then. */
	k->stop_deadline_ns = clock_now() + NS_PER_S / 2;
	for (struct host_process *h = k->hosts; h; h = h->next) {
		if (h->pid)
			pidfd_signal(h->pidfd.fd, SIGKILL);
		for (uint32_t i = 0; h->brood && i < h->n_slots; i++)
			if (h->brood->leaves[i].pid)
				pidfd_signal(h->brood->leaves[i].watch.fd, SIGKILL);
	}
	if (!k->hosts && k->broker.pid)
		pidfd_signal(k->broker.pidfd.fd, SIGKILL);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

/* One step of an orderly stop; true when nothing is left to wait for. */
static bool stop_step(struct keeper *k)
{
	if (!k->stop_deadline_ns && k->listening.fd >= 0)
		begin_stop(k);
	if (k->hosts) {
		if (k->stop_deadline_ns && clock_now() >= k->stop_deadline_ns)
			enforce_stop(k);
		return false;
	}
	if (k->broker.channel.fd >= 0) {
		broker_stop(k);
		k->stop_deadline_ns = clock_now() + 2 * NS_PER_S;
	}
	if (k->broker.pid && k->stop_deadline_ns && clock_now() >= k->stop_deadline_ns)
		enforce_stop(k);
	return k->broker.pid == 0;
}

static void act_on_wishes(struct keeper *k)
{
	struct spawn_error err;
	char quoted[SPAWN_ERROR_TEXT * 2];

	if (k->reload)
		configuration_reload(k);
	if (k->reexec && !k->reload_pid) {
		k->reexec = false;
		reexec_now(k, &err); /* returns only when it failed, with everything as before */
		log_line(LOG_ERR, "reexec-failed", "reason=%s",
			 log_quote(quoted, sizeof(quoted), err.message));
	}
	if (k->broker.restart_ns && clock_now() >= k->broker.restart_ns) {
		k->broker.restart_ns = 0;
		if (broker_start(k, &err) < 0) {
			log_line(LOG_ERR, "broker-start", "reason=%s",
				 log_quote(quoted, sizeof(quoted), err.message));
			k->broker.restart_ns = clock_now() + NS_PER_S;
		}
	}
}

static int run(struct keeper *k)
{
	for (;;) {
		uint64_t next = earliest(host_next_deadline(k), k->stop_deadline_ns);
		int r;

		if (!k->stopping)
			next = earliest(next, k->broker.restart_ns);
		r = poller_run(&k->poller, clock_poll_timeout(next));
		if (r < 0)
			return r;
		host_tick(k, clock_now());
		orphans_sweep(k);
		if (!k->stopping)
			act_on_wishes(k);
		else if (stop_step(k))
			return 0;
	}
}

int main(int argc, char **argv)
{
	static struct keeper k = {
		.signals.fd = -1,
		.listening.fd = -1,
		.lock_fd = -1,
		.reserve_fd = -1,
		.table_fd = -1,
		.reload_pidfd.fd = -1,
		.reload_table_fd = -1,
		.reload_errors_fd = -1,
		.broker.pidfd.fd = -1,
		.broker.channel.fd = -1,
	};
	struct command c = {.resume_fd = -1};
	struct spawn_error err;
	int r = parse_command(&c, argc, argv);

	if (r != 0)
		return r > 0 ? 0 : EXIT_USAGE;
	r = fill_options(&k.options, &c);
	if (r < 0)
		return 1;
	if (c.action != ACTION_SERVE)
		return configuration_tool(&k.options,
					  c.action == ACTION_CHECK ? "--check" : "--print");
	log_open("keeper");
	r = set_up(&k, &c, &err);
	if (r < 0) {
		complain("%s", err.message);
		return err.step == step_name(STEP_CONFIG) && r == -EINVAL ? EXIT_CONFIG : 1;
	}
	r = run(&k);
	if (r < 0)
		complain("event loop: %s", strerrordesc_np(-r));
	return r < 0;
}
