/* SPDX-License-Identifier: MIT */
#include "config/policy.h"
#include "base/nofork.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const uint32_t listed_users[] = {1000, 1001}, listed_groups[] = {27, 50};

/* One template of each kind, and limits of 10 leaves and 4 waiting. */
static struct config_template templates[] = {
	{.name = "open", .nofork = NOFORK_COPY, .everyone = true},
	{.name = "users", .nofork = NOFORK_COPY, .users = listed_users, .n_users = 2},
	{.name = "groups", .nofork = NOFORK_COPY, .groups = listed_groups, .n_groups = 2},
	{.name = "nobody", .nofork = NOFORK_COPY},
	{.name = "weaker", .nofork = NOFORK_PROCESS, .nofork_weaker = true, .everyone = true},
	{.name = "programs", .lane = LANE_EXEC, .everyone = true},
	{.name = "kernel", .nofork = NOFORK_COPY, .enforce_kernel = true, .everyone = true},
};
static const struct config config = {
	.leaves_per_uid = 10,
	.queue_per_uid = 4,
	.templates = templates,
	.n_templates = sizeof(templates) / sizeof(templates[0]),
};

static const struct policy_peer peer = {.uid = 1000, .gid = 1000};

/* Decides and checks that a refusal leaves the plan alone, says its code, and has words about it.
 */
static int decide(const struct policy_peer *p, const struct policy_request *request,
		  struct plan *plan, const char *words)
{
	struct spawn_error err = {0};
	struct plan before = {.index = 4711}, got = before;
	int r = policy_decide(&config, p, request, &got, &err);

	cr_assert_eq(policy_decide(&config, p, request, &(struct plan){0}, NULL), r);
	if (r < 0) {
		cr_assert_eq(memcmp(&got, &before, sizeof(got)), 0, "the plan was touched");
		cr_assert_eq(err.code, r);
		cr_assert_null(strchr(err.message, '\n'));
	}
	cr_assert(!words || strstr(err.message, words), "\"%s\" lacks \"%s\"", err.message, words);
	if (plan)
		*plan = got;
	return r;
}

static int decide_named(const struct policy_peer *p, const char *name, const char *words)
{
	return decide(p, &(struct policy_request){.template_name = name}, NULL, words);
}

static int decide_nofork(const char *name, uint32_t level, struct plan *plan, const char *words)
{
	const struct policy_request request = {
		.template_name = name, .has_nofork = true, .nofork = level};

	return decide(&peer, &request, plan, words);
}

Test(policy, plans_the_templates_own_level_and_no_deadline)
{
	const struct policy_request request = {.template_name = "weaker"};
	struct plan plan;

	cr_assert_eq(decide(&peer, &request, &plan, NULL), 0);
	cr_assert_eq(plan.index, 4);
	cr_assert_eq(plan.nofork, NOFORK_PROCESS);
	cr_assert_eq(plan.deadline_ms, 0);
	cr_assert_eq(plan.grace_ms, POLICY_GRACE_DEFAULT_MS);
	cr_assert_not(plan.kill_with_caller);
}

Test(policy, passes_on_what_was_asked)
{
	const struct policy_request request = {.template_name = "open",
					       .kill_with_caller = true,
					       .has_deadline = true,
					       .deadline_ms = 1234,
					       .grace_ms = 0};
	struct plan plan;

	cr_assert_eq(decide(&peer, &request, &plan, NULL), 0);
	cr_assert(plan.kill_with_caller);
	cr_assert_eq(plan.deadline_ms, 1234);
	cr_assert_eq(plan.grace_ms, 0, "a grace of 0 is a grace");
}

Test(policy, an_unknown_template_is_named_with_those_there_are)
{
	cr_assert_eq(decide_named(&peer, "opne", "\"opne\""), -ENOENT);
	cr_assert_eq(decide_named(&peer, "opne", "open, users, groups"), -ENOENT);
	cr_assert_eq(decide_named(&peer, "", NULL), -ENOENT);
	cr_assert_eq(decide_named(&peer, "Open", NULL), -ENOENT, "names are exact");
}

Test(policy, a_server_that_executes_no_programs_says_how_it_would)
{
	cr_assert_eq(decide_named(&peer, "exec", "\"exec\": {\"lane\": \"exec\"}"), -ENOENT);
}

Test(policy, a_program_is_for_the_exec_lane_which_needs_one)
{
	const struct policy_request with = {.template_name = "programs", .program = true},
				    wrong = {.template_name = "open", .program = true};

	cr_assert_eq(decide(&peer, &with, NULL, NULL), 0);
	cr_assert_eq(decide_named(&peer, "programs", "none was named"), -EINVAL);
	cr_assert_eq(decide(&peer, &wrong, NULL, "\"open\" executes no programs"), -EINVAL);
}

Test(policy, an_unknown_template_cannot_forge_a_second_line)
{
	cr_assert_eq(decide_named(&peer, "a\nb\033c", "a\\nb\\x1bc"), -ENOENT);
}

Test(policy, a_long_list_of_templates_is_cut)
{
	struct config_template many[100];
	const struct config big = {
		.leaves_per_uid = 1, .queue_per_uid = 1, .templates = many, .n_templates = 100};
	struct spawn_error err;

	for (size_t i = 0; i < 100; i++)
		many[i] = (struct config_template){.name = "a-name-of-some-length"};
	cr_assert_eq(policy_decide(&big, &peer, &(struct policy_request){.template_name = "x"},
				   &(struct plan){0}, &err),
		     -ENOENT);
	cr_assert(strstr(err.message, ", ...)"), "%s", err.message);
}

Test(policy, says_when_there_are_no_templates)
{
	const struct config none = {.leaves_per_uid = 1, .queue_per_uid = 1};
	struct spawn_error err;

	cr_assert_eq(policy_decide(&none, &peer, &(struct policy_request){.template_name = "x"},
				   &(struct plan){0}, &err),
		     -ENOENT);
	cr_assert(strstr(err.message, "has none"));
}

Test(policy, admits_a_listed_user)
{
	cr_assert_eq(decide_named(&peer, "users", NULL), 0);
}

Test(policy, denies_uid_not_listed)
{
	const struct policy_peer other = {.uid = 1002, .gid = 1000};

	cr_assert_eq(decide_named(&other, "users", "users 1000, 1001, not for user 1002"), -EPERM);
}

Test(policy, denies_root_that_is_not_listed)
{
	const struct policy_peer root = {.uid = 0, .gid = 0};

	cr_assert_eq(decide_named(&root, "users", NULL), -EPERM);
	cr_assert_eq(decide_named(&root, "groups", NULL), -EPERM);
}

Test(policy, a_uid_in_the_list_of_groups_admits_nobody)
{
	const struct policy_peer other = {.uid = 27, .gid = 100};

	cr_assert_eq(decide_named(&other, "groups", "groups 27, 50"), -EPERM);
}

Test(policy, admits_by_the_primary_group)
{
	const struct policy_peer member = {.uid = 5, .gid = 50};

	cr_assert_eq(decide_named(&member, "groups", NULL), 0);
}

Test(policy, admits_by_any_supplementary_group)
{
	const uint32_t groups[] = {1, 2, 27};
	const struct policy_peer member = {.uid = 5, .gid = 5, .groups = groups, .n_groups = 3};
	const struct policy_peer stranger = {.uid = 5, .gid = 5, .groups = groups, .n_groups = 2};

	cr_assert_eq(decide_named(&member, "groups", NULL), 0);
	cr_assert_eq(decide_named(&stranger, "groups", NULL), -EPERM);
}

Test(policy, an_empty_list_admits_nobody)
{
	cr_assert_eq(decide_named(&peer, "nobody", "for nobody"), -EPERM);
}

Test(policy, refuses_a_confined_peer_and_says_how_it_is_confined)
{
	const struct policy_peer confined = {.uid = 1000, .confined = "no_new_privs"};

	cr_assert_eq(decide_named(&confined, "open", "(no_new_privs)"), -EPERM);
	cr_assert_eq(decide_named(&confined, "open", "way out of its sandbox"), -EPERM);
}

Test(policy, grants_more_nofork_than_the_template_has)
{
	struct plan plan;

	cr_assert_eq(decide_nofork("open", NOFORK_PROCESS, &plan, NULL), 0);
	cr_assert_eq(plan.nofork, NOFORK_PROCESS);
}

Test(policy, grants_the_same_nofork)
{
	struct plan plan;

	cr_assert_eq(decide_nofork("open", NOFORK_COPY, &plan, NULL), 0);
	cr_assert_eq(plan.nofork, NOFORK_COPY);
}

Test(policy, denies_less_nofork_than_the_template_has)
{
	cr_assert_eq(decide_nofork("open", NOFORK_OFF, NULL, "templates.open.nofork_weaker"),
		     -EPERM);
}

Test(policy, grants_less_nofork_where_the_template_permits)
{
	struct plan plan;

	cr_assert_eq(decide_nofork("weaker", NOFORK_OFF, &plan, NULL), 0);
	cr_assert_eq(plan.nofork, NOFORK_OFF);
}

Test(policy, refuses_a_level_that_does_not_exist)
{
	cr_assert_eq(decide_nofork("open", 3, NULL, "unknown"), -EINVAL);
	cr_assert_eq(decide_nofork("weaker", UINT32_MAX, NULL, "unknown"), -EINVAL);
}

Test(policy, ignores_the_level_of_a_request_that_has_none)
{
	const struct policy_request request = {.template_name = "open", .nofork = 99};
	struct plan plan;

	cr_assert_eq(decide(&peer, &request, &plan, NULL), 0);
	cr_assert_eq(plan.nofork, NOFORK_COPY);
}

Test(policy, denies_process_where_only_the_kernel_may_enforce)
{
	cr_assert_eq(decide_nofork("kernel", NOFORK_PROCESS, NULL, "only seccomp"), -EPERM);
	cr_assert_eq(decide_nofork("kernel", NOFORK_COPY, NULL, NULL), 0);
}

Test(policy, refuses_a_deadline_out_of_range)
{
	struct policy_request request = {.template_name = "open", .has_deadline = true};

	cr_assert_eq(decide(&peer, &request, NULL, "deadline of 0 ms"), -EINVAL);
	request.deadline_ms = POLICY_DEADLINE_MAX_MS + 1;
	cr_assert_eq(decide(&peer, &request, NULL, "out of range"), -EINVAL);
	request.deadline_ms = POLICY_DEADLINE_MAX_MS;
	cr_assert_eq(decide(&peer, &request, NULL, NULL), 0);
}

Test(policy, refuses_a_grace_out_of_range)
{
	const struct policy_request request = {.template_name = "open",
					       .has_deadline = true,
					       .deadline_ms = 1,
					       .grace_ms = UINT64_MAX};

	cr_assert_eq(decide(&peer, &request, NULL, "grace"), -EINVAL);
}

Test(policy, a_user_at_its_limit_of_leaves_is_told_which_limit)
{
	struct policy_peer p = {.uid = 1000, .leaves = 9};

	cr_assert_eq(decide_named(&p, "open", NULL), 0, "the tenth");
	p.leaves = 10;
	cr_assert_eq(decide_named(&p, "open", "limits.leaves_per_uid allows (10)"), -EAGAIN);
	p.leaves = UINT32_MAX;
	p.queued = 3;
	cr_assert_eq(decide_named(&p, "open", NULL), -EAGAIN, "their sum does not wrap");
}

Test(policy, requests_that_wait_count_as_leaves)
{
	const struct policy_peer p = {.uid = 1000, .leaves = 7, .queued = 3};

	cr_assert_eq(decide_named(&p, "open", "limits.leaves_per_uid"), -EAGAIN);
}

Test(policy, a_user_at_its_limit_of_waiting_requests_is_told_which_limit)
{
	struct policy_peer p = {.uid = 1000, .queued = 3};

	cr_assert_eq(decide_named(&p, "open", NULL), 0);
	p.queued = 4;
	cr_assert_eq(decide_named(&p, "open", "limits.queue_per_uid allows (4)"), -EAGAIN);
}

Test(policy, limits_are_of_origin_pool_and_the_rest_of_origin_policy)
{
	const struct policy_peer full = {.uid = 1000, .leaves = 10};
	struct spawn_error err;

	policy_decide(&config, &full, &(struct policy_request){.template_name = "open"},
		      &(struct plan){0}, &err);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POOL);
	policy_decide(&config, &full, &(struct policy_request){.template_name = "nobody"},
		      &(struct plan){0}, &err);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POLICY);
	cr_assert_eq(err.code, -EPERM, "who may not is not told to try again");
}
