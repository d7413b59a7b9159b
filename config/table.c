/* SPDX-License-Identifier: MIT */
/*
 * The table's bytes, little-endian and without padding:
 *
 *	header	   magic, version, size of the whole, the numbers of struct config, counts
 *	templates  RECORD_SIZE bytes each
 *	ids	   u32 each: the users and groups of all templates
 *	strings	   each ends with NUL; records name one by its offset, a list by the first of n
 *
 * The digest is not stored: a reader computes it, so it cannot disagree with the definition.
 */
#include "config/table.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "config/range.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TABLE_MAGIC	    0x6c6261744e575053ull /* "SPWNtabl" */
#define TABLE_VERSION	    2
#define HEADER_SIZE	    64
#define RECORD_SIZE	    80
#define TABLE_SEALS	    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#define FLAG_WEAKER	    (1u << 0)
#define FLAG_ENFORCE_KERNEL (1u << 1)
#define FLAG_PRESTART	    (1u << 2)
#define FLAG_EVERYONE	    (1u << 3)
#define FLAG_GATE_REFUSES   (1u << 4)
#define FLAG_COMPACT	    (1u << 5)
#define FLAGS_KNOWN                                                                              \
	(FLAG_WEAKER | FLAG_ENFORCE_KERNEL | FLAG_PRESTART | FLAG_EVERYONE | FLAG_GATE_REFUSES | \
	 FLAG_COMPACT)

#define BAD(code, ...) error_set(err, code, SPAWN_ORIGIN_POLICY, STEP_CONFIG, __VA_ARGS__)

const char *lane_name(unsigned lane)
{
	return lane == LANE_OBJECT    ? "object"
	       : lane == LANE_PROGRAM ? "program"
	       : lane == LANE_PYTHON  ? "python"
	       : lane == LANE_EXEC    ? "exec"
	       : lane == LANE_MAIN    ? "main"
				      : "unknown";
}

bool config_name_valid(const char *name)
{
	size_t n =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && n <= CONFIG_NAME_MAX && name[n] == '\0' && name[0] != '.' && name[0] != '-';
}

static void store32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void store64(uint8_t *p, uint64_t v)
{
	store32(p, (uint32_t)v);
	store32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t load64(const uint8_t *p)
{
	return load32(p) | (uint64_t)load32(p + 4) << 32;
}

/* FNV-1a, 64 bits. Each field is preceded by its size, so that no two lists spell the same bytes.
 */
static void digest_bytes(uint64_t *digest, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		*digest = (*digest ^ p[i]) * 0x100000001b3ull;
}

static void digest_number(uint64_t *digest, uint64_t value)
{
	uint8_t bytes[9] = {8};

	store64(bytes + 1, value);
	digest_bytes(digest, bytes, sizeof(bytes));
}

static void digest_string(uint64_t *digest, const char *string)
{
	digest_number(digest, strlen(string));
	digest_bytes(digest, string, strlen(string));
}

static void digest_list(uint64_t *digest, const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	digest_number(digest, n);
	for (size_t i = 0; i < n; i++)
		digest_string(digest, list[i]);
}

static uint64_t digest_of(const struct config_template *t)
{
	uint64_t digest = 0xcbf29ce484222325ull;

	digest_string(&digest, t->name);
	digest_number(&digest, t->lane);
	digest_string(&digest, t->object);
	digest_string(&digest, t->program);
	digest_list(&digest, t->args);
	digest_list(&digest, t->env);
	digest_number(&digest, t->pool_size);
	digest_number(&digest, t->pool_low);
	digest_number(&digest, t->leaves_max);
	digest_number(&digest, t->queue_max);
	digest_number(&digest, t->nofork);
	digest_number(&digest, t->nofork_weaker);
	digest_number(&digest, t->enforce_kernel);
	digest_number(&digest, t->gate_refuses);
	digest_number(&digest, t->compact);
	digest_number(&digest, t->prestart);
	digest_number(&digest, t->everyone);
	digest_number(&digest, t->n_users);
	for (size_t i = 0; i < t->n_users; i++)
		digest_number(&digest, t->users[i]);
	digest_number(&digest, t->n_groups);
	for (size_t i = 0; i < t->n_groups; i++)
		digest_number(&digest, t->groups[i]);
	digest_number(&digest, t->warm_timeout_ms);
	return digest;
}

/* Where the next id and the next string go; offsets are relative to the two areas. */
struct writer {
	uint8_t *ids, *strings;
	uint32_t n_ids, strings_len;
};

static uint32_t write_string(struct writer *w, const char *string)
{
	uint32_t at = w->strings_len;
	size_t len = strlen(string) + 1;

	memcpy(w->strings + at, string, len);
	w->strings_len += (uint32_t)len;
	return at;
}

/* At *ret_at, and how many. */
static uint32_t write_list(struct writer *w, const char *const *list, uint32_t *ret_at)
{
	uint32_t n = 0;

	*ret_at = w->strings_len;
	while (list[n])
		write_string(w, list[n++]);
	return n;
}

static uint32_t write_ids(struct writer *w, const uint32_t *ids, size_t n)
{
	uint32_t at = w->n_ids;

	for (size_t i = 0; i < n; i++)
		store32(w->ids + 4 * w->n_ids++, ids[i]);
	return at;
}

static void write_template(struct writer *w, const struct config_template *t, uint8_t *record)
{
	uint32_t at;

	store32(record, write_string(w, t->name));
	store32(record + 4, write_string(w, t->object));
	store32(record + 12, write_list(w, t->env, &at));
	store32(record + 8, at);
	store32(record + 16, t->lane);
	store32(record + 20, t->pool_size);
	store32(record + 24, t->pool_low);
	store32(record + 28, t->leaves_max);
	store32(record + 32, t->queue_max);
	store32(record + 36, t->nofork);
	store32(record + 40, (t->nofork_weaker ? FLAG_WEAKER : 0) |
				     (t->enforce_kernel ? FLAG_ENFORCE_KERNEL : 0) |
				     (t->gate_refuses ? FLAG_GATE_REFUSES : 0) |
				     (t->compact ? FLAG_COMPACT : 0) |
				     (t->prestart ? FLAG_PRESTART : 0) |
				     (t->everyone ? FLAG_EVERYONE : 0));
	store32(record + 44, write_ids(w, t->users, t->n_users));
	store32(record + 48, (uint32_t)t->n_users);
	store32(record + 52, write_ids(w, t->groups, t->n_groups));
	store32(record + 56, (uint32_t)t->n_groups);
	store32(record + 60, write_string(w, t->program));
	store64(record + 64, t->warm_timeout_ms);
	store32(record + 76, write_list(w, t->args, &at));
	store32(record + 72, at);
}

static size_t list_size(const char *const *list)
{
	size_t size = 0;

	for (size_t i = 0; list[i]; i++)
		size += strlen(list[i]) + 1;
	return size;
}

static size_t table_size(const struct config *config, size_t *ret_n_ids)
{
	size_t size = HEADER_SIZE + config->n_templates * RECORD_SIZE;

	*ret_n_ids = 0;
	for (size_t i = 0; i < config->n_templates; i++) {
		const struct config_template *t = &config->templates[i];

		size += strlen(t->name) + 1 + strlen(t->object) + 1 + strlen(t->program) + 1 +
			list_size(t->args) + list_size(t->env);
		*ret_n_ids += t->n_users + t->n_groups;
	}
	return size + 4 * *ret_n_ids;
}

int config_write(const struct config *config, int fd, struct spawn_error *err)
{
	size_t n_ids, size = table_size(config, &n_ids);
	_cleanup_free_ uint8_t *bytes = NULL;
	struct writer w;
	int r;

	if (size > CONFIG_TABLE_MAX)
		return BAD(-EFBIG, "the configuration makes a table of %zu bytes, more than %u",
			   size, CONFIG_TABLE_MAX);
	bytes = calloc(1, size);
	if (!bytes)
		return BAD(-ENOMEM, "out of memory for the configuration table");
	w = (struct writer){.ids = bytes + HEADER_SIZE + config->n_templates * RECORD_SIZE};
	w.strings = w.ids + 4 * n_ids;
	for (size_t i = 0; i < config->n_templates; i++)
		write_template(&w, &config->templates[i], bytes + HEADER_SIZE + i * RECORD_SIZE);
	store64(bytes, TABLE_MAGIC);
	store32(bytes + 8, TABLE_VERSION);
	store32(bytes + 12, (uint32_t)size);
	store32(bytes + 16, config->connections_per_uid);
	store32(bytes + 20, config->leaves_per_uid);
	store32(bytes + 24, config->queue_per_uid);
	store32(bytes + 28, config->broker_uid);
	store32(bytes + 32, config->broker_gid);
	store32(bytes + 36, (uint32_t)config->n_templates);
	store32(bytes + 40, w.n_ids);
	store32(bytes + 44, w.strings_len);
	store64(bytes + 48, config->stop_timeout_ms);
	r = fd_write_all(fd, bytes, size);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_POLICY, STEP_CONFIG,
				   "cannot write the configuration table");
	return 0;
}

/* What config_read() returns: the struct and all that its pointers lead to. */
struct table {
	struct config config; /* first: config_free() has only its address */
	uint8_t *bytes;	      /* the table as read; strings are in place */
	uint32_t *ids;
	const char **lists;
	size_t n_ids, n_lists; /* n_lists: slots of lists in use, their NULLs included */
	const char *strings;
	size_t strings_len;
};

static int check_size(int fd, size_t *ret_size, struct spawn_error *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* Sealed before the size is believed: nobody can change it under this reader. */
	if (seals < 0 || (seals & TABLE_SEALS) != TABLE_SEALS)
		return BAD(-EPERM, "the configuration table is not sealed");
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_POLICY, STEP_CONFIG,
				   "cannot read the configuration table");
	if (st.st_size < HEADER_SIZE || st.st_size > CONFIG_TABLE_MAX)
		return BAD(-EMSGSIZE, "a configuration table of %lld bytes, not %d to %u",
			   (long long)st.st_size, HEADER_SIZE, CONFIG_TABLE_MAX);
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int read_header(struct table *t, size_t size, struct spawn_error *err)
{
	const uint8_t *p = t->bytes;
	struct config *c = &t->config;
	size_t n_templates = load32(p + 36), left = size - HEADER_SIZE;

	if (load64(p) != TABLE_MAGIC || load32(p + 8) != TABLE_VERSION)
		return BAD(-EBADMSG,
			   "not a configuration table of version %d (another build of "
			   "spawnd-config?)",
			   TABLE_VERSION);
	t->n_ids = load32(p + 40);
	t->strings_len = load32(p + 44);
	if (load32(p + 12) != size || n_templates > CONFIG_TEMPLATES_MAX ||
	    left < n_templates * RECORD_SIZE || t->n_ids > (left - n_templates * RECORD_SIZE) / 4 ||
	    left - n_templates * RECORD_SIZE - 4 * t->n_ids != t->strings_len ||
	    load64(p + 56) != 0)
		return BAD(-EBADMSG, "the counts of the configuration table contradict its size");
	if (t->strings_len > 0 && p[size - 1] != '\0')
		return BAD(-EBADMSG, "the configuration table does not end with NUL");
	t->strings = (const char *)p + size - t->strings_len;
	c->connections_per_uid = load32(p + 16);
	c->leaves_per_uid = load32(p + 20);
	c->queue_per_uid = load32(p + 24);
	c->broker_uid = load32(p + 28);
	c->broker_gid = load32(p + 32);
	c->stop_timeout_ms = load64(p + 48);
	c->n_templates = n_templates;
	if (c->connections_per_uid == 0 || c->connections_per_uid > CONFIG_CONNECTIONS_MAX ||
	    c->leaves_per_uid == 0 || c->leaves_per_uid > CONFIG_LEAVES_UID_MAX ||
	    c->queue_per_uid == 0 || c->queue_per_uid > CONFIG_QUEUE_MAX ||
	    c->stop_timeout_ms > CONFIG_STOP_MAX_MS)
		return BAD(-EBADMSG, "a limit of the configuration table is out of range");
	return 0;
}

/* The last byte of the area is NUL, so a string that begins inside it ends inside it. */
static const char *string_at(const struct table *t, size_t offset)
{
	return offset < t->strings_len ? t->strings + offset : NULL;
}

static int read_list(struct table *t, size_t offset, size_t n, const char *const **ret)
{
	const char **list = t->lists + t->n_lists;

	/* Each string has a byte of its own in an honest table: strings_len slots are enough. */
	if (n > t->strings_len || t->n_lists + n + 1 > t->strings_len + 2 * t->config.n_templates)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const char *s = string_at(t, offset);

		if (!s)
			return -EBADMSG;
		list[i] = s;
		offset += strlen(s) + 1;
	}
	list[n] = NULL;
	t->n_lists += n + 1;
	*ret = list;
	return 0;
}

static int read_ids(const struct table *t, size_t at, size_t n, const uint32_t **ret, size_t *ret_n)
{
	if (at > t->n_ids || n > t->n_ids - at)
		return -EBADMSG;
	*ret = t->ids + at;
	*ret_n = n;
	return 0;
}

/* A host of lane `exec` loads nothing. */
static bool fits_lane(const struct config_template *t)
{
	switch (t->lane) {
	case LANE_OBJECT:
		return t->object[0] == '/' && !t->program[0] && !t->args[0];
	case LANE_PROGRAM:
	case LANE_PYTHON:
		return t->program[0] == '/' && !t->object[0];
	case LANE_MAIN:
		return t->program[0] == '/' && !t->object[0] && !t->args[0];
	case LANE_EXEC:
		return !t->object[0] && !t->program[0] && !t->args[0] && !t->env[0];
	}
	return false;
}

static bool env_valid(const char *const *env)
{
	for (; *env; env++)
		if (!strchr(*env, '=') || **env == '=')
			return false;
	return true;
}

static int check_template(const struct config *c, size_t index)
{
	const struct config_template *t = &c->templates[index];

	if (!config_name_valid(t->name) || !fits_lane(t) || !env_valid(t->env) ||
	    !nofork_level_name(t->nofork))
		return -EBADMSG;
	if (t->pool_low >= t->pool_size || t->pool_size > t->leaves_max ||
	    t->leaves_max > CONFIG_LEAVES_MAX || t->queue_max == 0 ||
	    t->queue_max > CONFIG_QUEUE_MAX || t->warm_timeout_ms == 0 ||
	    t->warm_timeout_ms > CONFIG_WARM_MAX_MS)
		return -EBADMSG;
	for (size_t i = 0; i < index; i++)
		if (strcmp(c->templates[i].name, t->name) == 0)
			return -EBADMSG;
	return 0;
}

static int read_template(struct table *t, size_t index)
{
	struct config_template *ct = &t->config.templates[index];
	const uint8_t *p = t->bytes + HEADER_SIZE + index * RECORD_SIZE;
	uint32_t flags = load32(p + 40);
	int r;

	*ct = (struct config_template){
		.name = string_at(t, load32(p)),
		.object = string_at(t, load32(p + 4)),
		.program = string_at(t, load32(p + 60)),
		.lane = load32(p + 16),
		.pool_size = load32(p + 20),
		.pool_low = load32(p + 24),
		.leaves_max = load32(p + 28),
		.queue_max = load32(p + 32),
		.nofork = load32(p + 36),
		.nofork_weaker = flags & FLAG_WEAKER,
		.enforce_kernel = flags & FLAG_ENFORCE_KERNEL,
		.gate_refuses = flags & FLAG_GATE_REFUSES,
		.compact = flags & FLAG_COMPACT,
		.prestart = flags & FLAG_PRESTART,
		.everyone = flags & FLAG_EVERYONE,
		.warm_timeout_ms = load64(p + 64),
	};
	if (!ct->name || !ct->object || !ct->program || (flags & ~FLAGS_KNOWN))
		return -EBADMSG;
	r = read_list(t, load32(p + 8), load32(p + 12), &ct->env);
	if (r == 0)
		r = read_list(t, load32(p + 72), load32(p + 76), &ct->args);
	if (r == 0)
		r = read_ids(t, load32(p + 44), load32(p + 48), &ct->users, &ct->n_users);
	if (r == 0)
		r = read_ids(t, load32(p + 52), load32(p + 56), &ct->groups, &ct->n_groups);
	if (r == 0)
		r = check_template(&t->config, index);
	if (r == 0)
		ct->digest = digest_of(ct);
	return r;
}

static int read_templates(struct table *t, struct spawn_error *err)
{
	size_t n = t->config.n_templates;
	const uint8_t *ids = t->bytes + HEADER_SIZE + n * RECORD_SIZE;

	t->config.templates = calloc(n + 1, sizeof(*t->config.templates));
	t->ids = calloc(t->n_ids + 1, sizeof(*t->ids));
	t->lists = calloc(t->strings_len + 2 * n + 1, sizeof(*t->lists));
	if (!t->config.templates || !t->ids || !t->lists)
		return BAD(-ENOMEM, "out of memory for the configuration table");
	for (size_t i = 0; i < t->n_ids; i++)
		t->ids[i] = load32(ids + 4 * i);
	for (size_t i = 0; i < n; i++)
		if (read_template(t, i) < 0)
			return BAD(-EBADMSG,
				   "template #%zu of the configuration table is malformed", i);
	return 0;
}

int config_read(int fd, struct config **ret, struct spawn_error *err)
{
	struct table *t;
	size_t size = 0;
	int r = check_size(fd, &size, err);

	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return BAD(-ENOMEM, "out of memory for the configuration table");
	t->bytes = malloc(size);
	if (!t->bytes) {
		r = BAD(-ENOMEM, "out of memory for the configuration table");
		goto fail;
	}
	r = fd_pread_all(fd, t->bytes, size, 0);
	if (r < 0) {
		error_errno(err, r, SPAWN_ORIGIN_POLICY, STEP_CONFIG,
			    "cannot read the configuration table");
		goto fail;
	}
	r = read_header(t, size, err);
	if (r == 0)
		r = read_templates(t, err);
	if (r < 0)
		goto fail;
	*ret = &t->config;
	return 0;
fail:
	config_free(&t->config);
	return r;
}

void config_free(struct config *config)
{
	struct table *t = (struct table *)config;

	if (!t)
		return;
	free(config->templates);
	free(t->lists);
	free(t->ids);
	free(t->bytes);
	free(t);
}

const struct config_template *config_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_templates; i++)
		if (strcmp(config->templates[i].name, name) == 0)
			return &config->templates[i];
	return NULL;
}
