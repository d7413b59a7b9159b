/* SPDX-License-Identifier: MIT */
#include "config/table.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "wire/sealed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const words_env[] = {"A=1", "EMPTY=", "PATH=/bin:/usr/bin", NULL};
static const char *const no_env[] = {NULL}, *const no_args[] = {NULL};
static const char *const some_args[] = {"template.py", "", NULL};
static const uint32_t users[] = {0, 1000, UINT32_MAX - 1}, groups[] = {27};

static const struct config_template words = {
	.name = "words",
	.lane = LANE_OBJECT,
	.object = "/usr/lib/words.so",
	.program = "",
	.args = no_args,
	.env = words_env,
	.pool_size = 8,
	.pool_low = 4,
	.leaves_max = 1024,
	.queue_max = 256,
	.nofork = NOFORK_PROCESS,
	.nofork_weaker = true,
	.compact = true,
	.prestart = true,
	.users = users,
	.n_users = 3,
	.groups = groups,
	.n_groups = 1,
	.warm_timeout_ms = 30000,
};
static const struct config_template small = {
	.name = "s",
	.lane = LANE_OBJECT,
	.object = "/s",
	.program = "",
	.args = no_args,
	.env = no_env,
	.pool_size = 1,
	.leaves_max = 1,
	.queue_max = 1,
	.enforce_kernel = true,
	.gate_refuses = true,
	.everyone = true,
	.warm_timeout_ms = 1,
};

static struct config sample(struct config_template templates[2])
{
	templates[0] = words;
	templates[1] = small;
	return (struct config){
		.connections_per_uid = 64,
		.leaves_per_uid = 4096,
		.queue_per_uid = 1024,
		.stop_timeout_ms = 5000,
		.broker_uid = 123,
		.broker_gid = UINT32_MAX,
		.n_templates = 2,
		.templates = templates,
	};
}

static int write_sealed(const struct config *config)
{
	int fd;

	cr_assert_eq(sealed_open("table", &fd), 0);
	cr_assert_eq(config_write(config, fd, NULL), 0);
	cr_assert_eq(sealed_seal(fd), 0);
	return fd;
}

static struct config *read_back(const struct config *config)
{
	_cleanup_close_ int fd = write_sealed(config);
	struct spawn_error err;
	struct config *got;

	cr_assert_eq(config_read(fd, &got, &err), 0, "%s", err.message);
	return got;
}

static uint64_t digest_of(const struct config_template *t)
{
	struct config_template copy = *t;
	const struct config c = {.connections_per_uid = 1,
				 .leaves_per_uid = 1,
				 .queue_per_uid = 1,
				 .n_templates = 1,
				 .templates = &copy};
	struct config *got = read_back(&c);
	uint64_t digest = got->templates[0].digest;

	config_free(got);
	return digest;
}

Test(table, gives_back_every_number)
{
	struct config_template templates[2];
	const struct config c = sample(templates);
	struct config *got = read_back(&c);

	cr_assert_eq(got->connections_per_uid, 64);
	cr_assert_eq(got->leaves_per_uid, 4096);
	cr_assert_eq(got->queue_per_uid, 1024);
	cr_assert_eq(got->stop_timeout_ms, 5000);
	cr_assert_eq(got->broker_uid, 123);
	cr_assert_eq(got->broker_gid, UINT32_MAX);
	cr_assert_eq(got->n_templates, 2);
	config_free(got);
}

Test(table, gives_back_every_field_of_a_template)
{
	struct config_template templates[2];
	const struct config c = sample(templates);
	struct config *got = read_back(&c);
	const struct config_template *t = &got->templates[0];

	cr_assert_str_eq(t->name, "words");
	cr_assert_eq(t->lane, LANE_OBJECT);
	cr_assert_str_eq(t->object, "/usr/lib/words.so");
	for (size_t i = 0; i < 3; i++)
		cr_assert_str_eq(t->env[i], words_env[i]);
	cr_assert_null(t->env[3]);
	cr_assert_eq(t->pool_size, 8);
	cr_assert_eq(t->pool_low, 4);
	cr_assert_eq(t->leaves_max, 1024);
	cr_assert_eq(t->queue_max, 256);
	cr_assert_eq(t->nofork, NOFORK_PROCESS);
	cr_assert(t->nofork_weaker && !t->enforce_kernel && t->compact && t->prestart &&
		  !t->everyone);
	cr_assert_eq(t->n_users, 3);
	cr_assert_eq(memcmp(t->users, users, sizeof(users)), 0);
	cr_assert_eq(t->n_groups, 1);
	cr_assert_eq(t->groups[0], 27);
	cr_assert_eq(t->warm_timeout_ms, 30000);
	t = &got->templates[1];
	cr_assert(!t->nofork_weaker && t->enforce_kernel && t->gate_refuses && !t->compact &&
		  !t->prestart && t->everyone);
	cr_assert_null(t->env[0]);
	cr_assert_eq(t->n_users + t->n_groups, 0);
	config_free(got);
}

Test(table, may_have_no_templates)
{
	const struct config c = {.connections_per_uid = 1, .leaves_per_uid = 1, .queue_per_uid = 1};
	struct config *got = read_back(&c);

	cr_assert_eq(got->n_templates, 0);
	cr_assert_null(config_find(got, "words"));
	config_free(got);
}

Test(table, finds_a_template_by_its_exact_name)
{
	struct config_template templates[2];
	const struct config c = sample(templates);
	struct config *got = read_back(&c);

	cr_assert_eq(config_find(got, "s"), &got->templates[1]);
	cr_assert_null(config_find(got, "S"));
	cr_assert_null(config_find(got, "word"));
	cr_assert_null(config_find(got, ""));
	config_free(got);
}

Test(table, free_accepts_null)
{
	config_free(NULL);
}

Test(table, an_unsealed_one_is_refused)
{
	struct config_template templates[2];
	const struct config c = sample(templates);
	_cleanup_close_ int fd = -1;
	struct config *got;

	cr_assert_eq(sealed_open("table", &fd), 0);
	cr_assert_eq(config_write(&c, fd, NULL), 0);
	cr_assert_eq(config_read(fd, &got, NULL), -EPERM);
}

Test(table, a_file_is_refused)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct config *got;

	cr_assert_eq(config_read(fd, &got, NULL), -EPERM);
}

Test(table, one_larger_than_the_largest_is_refused)
{
	_cleanup_close_ int fd = -1;
	struct config *got;

	cr_assert_eq(sealed_open("table", &fd), 0);
	cr_assert_eq(ftruncate(fd, CONFIG_TABLE_MAX + 1), 0);
	cr_assert_eq(sealed_seal(fd), 0);
	cr_assert_eq(config_read(fd, &got, NULL), -EMSGSIZE);
}

Test(table, a_configuration_too_large_for_a_table_is_not_written)
{
	struct config_template templates[2];
	struct config c = sample(templates);
	_cleanup_free_ char *path = malloc(CONFIG_TABLE_MAX);
	_cleanup_close_ int fd = -1;

	memset(path, '/', CONFIG_TABLE_MAX - 1);
	path[CONFIG_TABLE_MAX - 1] = '\0';
	templates[1].object = path;
	cr_assert_eq(sealed_open("table", &fd), 0);
	cr_assert_eq(config_write(&c, fd, NULL), -EFBIG);
	cr_assert_eq(lseek(fd, 0, SEEK_END), 0);
}

/* What a config_read() of these bytes says; what it accepts is read to its last byte. */
static int read_bytes(const uint8_t *bytes, size_t len)
{
	_cleanup_close_ int fd = -1;
	struct config *got;
	struct spawn_error err;
	size_t sum = 0;
	int r;

	cr_assert_eq(sealed_create("table", bytes, len, &fd), 0);
	r = config_read(fd, &got, &err);
	if (r < 0) {
		cr_assert_eq(err.code, r);
		return r;
	}
	for (size_t i = 0; i < got->n_templates; i++) {
		const struct config_template *t = &got->templates[i];

		sum += strlen(t->name) + strlen(t->object);
		for (size_t j = 0; t->env[j]; j++)
			sum += strlen(t->env[j]);
		for (size_t j = 0; j < t->n_users; j++)
			sum += t->users[j];
		for (size_t j = 0; j < t->n_groups; j++)
			sum += t->groups[j];
		cr_assert(t->pool_low < t->pool_size && t->pool_size <= t->leaves_max);
		cr_assert(nofork_level_name(t->nofork));
		cr_assert_eq(config_find(got, t->name), t, "two templates of one name");
	}
	cr_assert_gt(sum, 0);
	config_free(got);
	return 0;
}

static uint8_t *sample_bytes(size_t *ret_len)
{
	struct config_template templates[2];
	const struct config c = sample(templates);
	_cleanup_close_ int fd = write_sealed(&c);
	uint8_t *bytes;

	cr_assert_eq(sealed_check(fd, CONFIG_TABLE_MAX, ret_len), 0);
	bytes = malloc(*ret_len);
	cr_assert_eq(fd_pread_all(fd, bytes, *ret_len, 0), 0);
	return bytes;
}

Test(table, every_truncation_is_refused)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = sample_bytes(&len);

	cr_assert_eq(read_bytes(bytes, len), 0);
	for (size_t cut = 0; cut < len; cut++)
		cr_assert_lt(read_bytes(bytes, cut), 0, "%zu of %zu bytes", cut, len);
}

Test(table, every_truncation_that_corrects_the_size_is_refused)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = sample_bytes(&len);

	for (size_t cut = 16; cut < len; cut++) {
		bytes[12] = (uint8_t)cut;
		bytes[13] = (uint8_t)(cut >> 8);
		cr_assert_lt(read_bytes(bytes, cut), 0, "%zu of %zu bytes", cut, len);
	}
}

Test(table, survives_every_bit_flipped)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = sample_bytes(&len);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		read_bytes(bytes, len);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(table, survives_every_word_set_to_the_extremes)
{
	static const uint32_t extremes[] = {0, 0x7fffffff, 0x80000000u, 0xfffffffeu, UINT32_MAX};
	size_t len;
	_cleanup_free_ uint8_t *bytes = sample_bytes(&len);

	for (size_t at = 0; at + 4 <= len; at += 4) {
		uint8_t saved[4];

		memcpy(saved, bytes + at, 4);
		for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
			memcpy(bytes + at, &extremes[i], 4);
			read_bytes(bytes, len);
		}
		memcpy(bytes + at, saved, 4);
	}
}

/* Strings may be shared, so their count is not bounded by their bytes unless the reader sees to it.
 */
Test(table, more_variables_than_there_can_be_strings_are_refused)
{
	enum { TEMPLATES = 40, VARIABLES = 20 };
	static const char *env[VARIABLES + 1];
	struct config_template templates[TEMPLATES];
	char names[TEMPLATES][8];
	const struct config c = {.connections_per_uid = 1,
				 .leaves_per_uid = 1,
				 .queue_per_uid = 1,
				 .n_templates = TEMPLATES,
				 .templates = templates};
	_cleanup_close_ int fd = -1;
	uint8_t bytes[8192];
	ssize_t len;

	for (size_t i = 0; i < VARIABLES; i++)
		env[i] = "A=";
	for (size_t i = 0; i < TEMPLATES; i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		templates[i] = small;
		templates[i].name = names[i];
	}
	templates[0].env = env;
	fd = write_sealed(&c);
	len = pread(fd, bytes, sizeof(bytes), 0);
	cr_assert_eq(read_bytes(bytes, (size_t)len), 0);
	for (size_t i = 1; i < TEMPLATES; i++) /* offset and count of env: those of the first */
		memcpy(bytes + 64 + 72 * i + 8, bytes + 64 + 8, 8);
	cr_assert_eq(read_bytes(bytes, (size_t)len), -EBADMSG);
}

Test(table, magic_version_and_size_must_be_right)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = sample_bytes(&len);

	for (size_t i = 0; i < 16; i++) {
		bytes[i] ^= 1;
		cr_assert_eq(read_bytes(bytes, len), -EBADMSG, "byte %zu", i);
		bytes[i] ^= 1;
	}
}

/* A template that no parser would write is refused by the reader as well. */
static void refused(const struct config_template *t)
{
	struct config_template copy = *t;
	const struct config c = {.connections_per_uid = 1,
				 .leaves_per_uid = 1,
				 .queue_per_uid = 1,
				 .n_templates = 1,
				 .templates = &copy};
	_cleanup_close_ int fd = write_sealed(&c);
	struct config *got;

	cr_assert_eq(config_read(fd, &got, NULL), -EBADMSG);
}

#define WORDS_BUT(...)                                            \
	(&(struct config_template){.name = "words",               \
				   .lane = LANE_OBJECT,           \
				   .object = "/usr/lib/words.so", \
				   .program = "",                 \
				   .args = no_args,               \
				   .env = words_env,              \
				   .pool_size = 8,                \
				   .pool_low = 4,                 \
				   .leaves_max = 1024,            \
				   .queue_max = 256,              \
				   .nofork = NOFORK_COPY,         \
				   .users = users,                \
				   .n_users = 3,                  \
				   .groups = groups,              \
				   .n_groups = 1,                 \
				   .warm_timeout_ms = 30000,      \
				   __VA_ARGS__})

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the field that differs comes last */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

Test(table, values_out_of_range_are_refused)
{
	static const char *const no_sign[] = {"A", NULL}, *const no_name[] = {"=1", NULL};

	refused(WORDS_BUT(.name = "../words"));
	refused(WORDS_BUT(.name = ""));
	refused(WORDS_BUT(.lane = (enum lane)4));
	refused(WORDS_BUT(.object = "words.so"));
	refused(WORDS_BUT(.env = no_sign));
	refused(WORDS_BUT(.env = no_name));
	refused(WORDS_BUT(.pool_low = 8));
	refused(WORDS_BUT(.leaves_max = 7));
	refused(WORDS_BUT(.leaves_max = 4097));
	refused(WORDS_BUT(.queue_max = 0));
	refused(WORDS_BUT(.nofork = 3));
	refused(WORDS_BUT(.warm_timeout_ms = 0));
}

Test(table, an_exec_template_has_nothing_to_load)
{
	const struct config_template *exec =
		WORDS_BUT(.lane = LANE_EXEC, .object = "", .env = no_env);
	struct config c = {.connections_per_uid = 1,
			   .leaves_per_uid = 1,
			   .queue_per_uid = 1,
			   .n_templates = 1,
			   .templates = (struct config_template *)(uintptr_t)exec};
	_cleanup_close_ int fd = write_sealed(&c);
	struct config *got;

	cr_assert_eq(config_read(fd, &got, NULL), 0);
	cr_assert_eq(got->templates[0].lane, LANE_EXEC);
	cr_assert_str_eq(got->templates[0].object, "");
	config_free(got);
	refused(WORDS_BUT(.lane = LANE_EXEC, .env = no_env));
	refused(WORDS_BUT(.lane = LANE_EXEC, .object = ""));
	refused(WORDS_BUT(.lane = LANE_EXEC, .object = "", .env = no_env, .program = "/bin/true"));
	refused(WORDS_BUT(.lane = LANE_EXEC, .object = "", .env = no_env, .args = some_args));
}

Test(table, a_main_template_has_a_program_and_no_arguments)
{
	refused(WORDS_BUT(.lane = LANE_MAIN, .program = "/bin/true"));
	refused(WORDS_BUT(.lane = LANE_MAIN, .object = ""));
	refused(WORDS_BUT(.lane = LANE_MAIN, .object = "", .program = "/bin/true",
			  .args = some_args));
}

#define PROGRAM_BUT(...)                                                             \
	WORDS_BUT(.lane = LANE_PROGRAM, .object = "", .program = "/usr/bin/python3", \
		  .args = some_args, __VA_ARGS__)

Test(table, a_program_template_gives_back_its_program_and_arguments)
{
	const struct config_template *program = PROGRAM_BUT(.env = words_env);
	struct config c = {.connections_per_uid = 1,
			   .leaves_per_uid = 1,
			   .queue_per_uid = 1,
			   .n_templates = 1,
			   .templates = (struct config_template *)(uintptr_t)program};
	struct config *got = read_back(&c);
	const struct config_template *t = &got->templates[0];

	cr_assert_eq(t->lane, LANE_PROGRAM);
	cr_assert_str_eq(t->program, "/usr/bin/python3");
	cr_assert_str_eq(t->args[0], "template.py");
	cr_assert_str_eq(t->args[1], "");
	cr_assert_null(t->args[2]);
	cr_assert_str_eq(t->env[2], words_env[2]);
	cr_assert_null(t->env[3]);
	config_free(got);
	refused(PROGRAM_BUT(.program = ""));
	refused(PROGRAM_BUT(.program = "python3"));
	refused(PROGRAM_BUT(.object = "/usr/lib/words.so"));
	refused(WORDS_BUT(.program = "/usr/bin/python3"));
	refused(WORDS_BUT(.args = some_args));
}

Test(table, the_digest_differs_with_program_and_arguments)
{
	static const char *const one[] = {"template.py", NULL};
	const uint64_t digest = digest_of(PROGRAM_BUT(.env = words_env));

	cr_assert_eq(digest_of(PROGRAM_BUT(.env = words_env)), digest);
	cr_assert_neq(digest_of(PROGRAM_BUT(.program = "/usr/bin/python")), digest);
	cr_assert_neq(digest_of(PROGRAM_BUT(.args = one)), digest);
	cr_assert_neq(digest_of(PROGRAM_BUT(.args = no_args)), digest);
}

Test(table, the_digest_is_the_same_for_the_same_definition)
{
	char name[] = "words"; /* elsewhere in memory */

	cr_assert_eq(digest_of(WORDS_BUT(.name = name)), digest_of(WORDS_BUT(.prestart = false)));
}

Test(table, the_digest_differs_with_every_field)
{
	static const char *const env[] = {"A=1", "EMPTY=", NULL};
	static const char *const shifted[] = {"A=1E", "MPTY=", "PATH=/bin:/usr/bin", NULL};
	static const uint32_t ids[] = {27, 1};
	const uint64_t digests[] = {
		digest_of(WORDS_BUT(.lane = LANE_OBJECT)),
		digest_of(WORDS_BUT(.name = "wordz")),
		digest_of(WORDS_BUT(.object = "/usr/lib/words2.so")),
		digest_of(WORDS_BUT(.env = env)),
		digest_of(WORDS_BUT(.env = shifted)),
		digest_of(WORDS_BUT(.pool_size = 9)),
		digest_of(WORDS_BUT(.pool_low = 5)),
		digest_of(WORDS_BUT(.leaves_max = 1023)),
		digest_of(WORDS_BUT(.queue_max = 255)),
		digest_of(WORDS_BUT(.nofork = NOFORK_OFF)),
		digest_of(WORDS_BUT(.nofork_weaker = true)),
		digest_of(WORDS_BUT(.enforce_kernel = true)),
		digest_of(WORDS_BUT(.gate_refuses = true)),
		digest_of(WORDS_BUT(.compact = true)),
		digest_of(WORDS_BUT(.prestart = true)),
		digest_of(WORDS_BUT(.everyone = true)),
		digest_of(WORDS_BUT(.n_users = 2)),
		digest_of(WORDS_BUT(.users = ids, .n_users = 2)),
		digest_of(WORDS_BUT(.n_users = 0, .groups = users, .n_groups = 3)),
		digest_of(WORDS_BUT(.n_groups = 0)),
		digest_of(WORDS_BUT(.warm_timeout_ms = 30001)),
	};

	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_neq(digests[i], digests[j], "definitions %zu and %zu", j, i);
}
#pragma GCC diagnostic pop
