/* SPDX-License-Identifier: MIT */
/* The accounting of spawn-census: made-up events in, figures out. */
#include "population.h"
#include "pid_map.h"
#include "sequence.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SELF 9

static struct population p;
static uint64_t clock_ns;

static void begin(void)
{
	p = (struct population){.scope = SCOPE_ALL, .self = SELF};
	clock_ns = 1000;
}

static void end(void)
{
	population_done(&p);
}

TestSuite(population, .init = begin, .fini = end);

static void sight(pid_t tgid, pid_t parent, const char *name)
{
	struct sighting seen = {.tgid = tgid, .parent_tgid = parent};

	strncat(seen.name, name, sizeof(seen.name) - 1);
	population_sight(&p, &seen);
	population_sight_thread(&p, tgid, tgid);
}

/* init and a shell below it, which the tests' processes descend from. */
static void sight_shell(void)
{
	sight(1, 0, "init");
	sight(100, 1, "shell");
	population_sighted(&p, clock_ns);
}

static void take(struct event e)
{
	e.time = clock_ns += 1000;
	population_take(&p, &e);
}

/* By the parent's thread `by`. */
static void fork_by(pid_t parent, pid_t by, pid_t child, enum memory memory)
{
	take((struct event){.kind = EVENT_FORK,
			    .pid = child,
			    .tgid = child,
			    .parent_pid = by,
			    .parent_tgid = parent,
			    .memory = memory});
}

static void copy(pid_t parent, pid_t child)
{
	fork_by(parent, parent, child, MEMORY_COPIED);
}

static void share(pid_t parent, pid_t child)
{
	fork_by(parent, parent, child, MEMORY_SHARED);
}

/* The kernel names the parent's parent as the one who made a thread. */
static void thread(pid_t tgid, pid_t pid)
{
	take((struct event){
		.kind = EVENT_FORK, .pid = pid, .tgid = tgid, .parent_pid = 1, .parent_tgid = 1});
}

static void exec(pid_t tgid, const char *name)
{
	struct event e = {
		.kind = EVENT_EXEC, .pid = tgid, .tgid = tgid, .named_at = clock_ns + 1100};

	strncat(e.name, name, sizeof(e.name) - 1);
	take(e);
}

static void exit_thread(pid_t tgid, pid_t pid)
{
	take((struct event){.kind = EVENT_EXIT, .pid = pid, .tgid = tgid});
}

static void exit_of(pid_t tgid)
{
	exit_thread(tgid, tgid);
}

static void expect_share(enum subject subject, enum life life, uint64_t leaves, uint64_t n)
{
	const struct share *s = &p.figures.shares[subject][life];

	cr_expect_eq(s->n, n, "subject %d, life %d: of %d, not %d", subject, life, (int)s->n,
		     (int)n);
	cr_expect_eq(s->leaves, leaves, "subject %d, life %d: %d leaves, not %d", subject, life,
		     (int)s->leaves, (int)leaves);
}

static uint64_t untold(enum subject subject, enum life life)
{
	return p.figures.shares[subject][life].untold;
}

static uint64_t lone(enum subject subject, enum life life)
{
	return p.figures.shares[subject][life].lone;
}

static const struct program *named(const char *name)
{
	return program_get(&p.programs, name);
}

Test(population, parent_that_copied_is_no_leaf_and_its_child_is)
{
	sight_shell();
	copy(100, 200);
	exec(200, "make");
	copy(200, 201);
	exec(201, "cc");
	exit_of(201);
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 2);
	expect_share(SUBJECT_EXECED, LIFE_WHOLE, 1, 2);
	/* The copies that 200 and 201 had before they executed: never copied themselves. */
	expect_share(SUBJECT_IMAGES, LIFE_WHOLE, 3, 4);
	cr_expect_eq(named("make")->children, 1);
	cr_expect_eq(named("cc")->leaf_images, 1);
}

Test(population, vfork_makes_no_copy_and_no_image)
{
	sight_shell();
	share(100, 200);
	exec(200, "make");
	share(200, 201);
	exec(201, "cc");
	exit_of(201);
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 2, 2);
	cr_expect_eq(lone(SUBJECT_PROCESSES, LIFE_WHOLE), 1);
	expect_share(SUBJECT_IMAGES, LIFE_WHOLE, 2, 2);
	cr_expect_eq(p.figures.born[MEMORY_SHARED], 2);
}

Test(population, untold_child_makes_its_parent_neither_leaf_nor_not)
{
	sight_shell();
	share(100, 200);
	exec(200, "odd");
	population_weigh(&p, 200, 3);
	fork_by(200, 200, 201, MEMORY_UNTOLD);
	exit_of(201);
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 2);
	cr_expect_eq(untold(SUBJECT_PROCESSES, LIFE_WHOLE), 1);
	/* 201 had a copy, or its parent's: no image that is certain. */
	expect_share(SUBJECT_IMAGES, LIFE_WHOLE, 0, 1);
	cr_expect_eq(named("odd")->leaf_images, 0);
	cr_expect_eq(p.figures.weight_leaves, 0);
	cr_expect_eq(p.figures.weight_untold, 3);
}

Test(population, copy_outweighs_an_untold_child)
{
	sight_shell();
	copy(100, 200);
	fork_by(200, 200, 201, MEMORY_UNTOLD);
	copy(200, 202);
	exit_of(200);
	population_close(&p);
	cr_expect_eq(untold(SUBJECT_PROCESSES, LIFE_WHOLE), 0);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 0, 1);
}

Test(population, exec_begins_an_image_that_has_not_forked)
{
	sight_shell();
	copy(100, 200);
	exec(200, "sh");
	copy(200, 201);
	exec(200, "cc");
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 0, 1);
	expect_share(SUBJECT_EXECED, LIFE_WHOLE, 1, 2);
	cr_expect_eq(named("sh")->leaf_images, 0);
	cr_expect_eq(named("cc")->leaf_images, 1);
	cr_expect_eq(named("cc")->children, 0);
}

Test(population, lives_that_began_before_are_apart_from_whole_ones)
{
	sight(300, 1, "daemon");
	sight_shell();
	copy(100, 200);
	exit_of(200);
	exit_of(300);
	copy(100, 201);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
	expect_share(SUBJECT_PROCESSES, LIFE_ENDED, 2, 2);
	/* And init, whose children were there, the shell, and 201. */
	expect_share(SUBJECT_PROCESSES, LIFE_SEEN, 3, 5);
	cr_expect_eq(untold(SUBJECT_PROCESSES, LIFE_SEEN), 1);
	cr_expect_eq(p.figures.waiting, 1);
}

Test(population, child_that_never_executes_is_counted_by_what_it_had)
{
	sight_shell();
	copy(100, 200);
	exit_of(200);
	share(100, 201);
	exit_of(201);
	copy(100, 202);
	exec(202, "true");
	exit_of(202);
	population_close(&p);
	cr_expect_eq(p.figures.ended_born, 3);
	cr_expect_eq(p.figures.without_exec[MEMORY_COPIED], 1);
	cr_expect_eq(p.figures.without_exec[MEMORY_SHARED], 1);
	cr_expect_eq(named("shell")->without_exec, 2);
}

Test(population, process_ends_with_its_last_thread)
{
	sight_shell();
	copy(100, 200);
	thread(200, 201);
	exit_thread(200, 200); /* its main thread ends first */
	cr_expect_eq(p.figures.ended_born, 0);
	exit_thread(200, 201);
	cr_expect_eq(p.figures.ended_born, 1);
	population_close(&p);
	cr_expect_eq(p.figures.threads, 1);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
}

Test(population, exec_by_another_thread_ends_the_others_and_not_the_process)
{
	sight_shell();
	copy(100, 200);
	exec(200, "before");
	thread(200, 201);
	thread(200, 202);
	/* 202 executes: the kernel ends the others, and gives it the process's id. */
	exit_thread(200, 201);
	exit_thread(200, 200);
	exec(200, "after");
	copy(200, 203);
	exit_of(203);
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 2);
	cr_expect_eq(named("before")->leaf_images, 1);
	cr_expect_eq(named("after")->images, 1);
	cr_expect_eq(named("after")->leaf_images, 0);
	/* It has one thread now. */
	cr_expect_eq(named("after")->threaded_forks, 0);
	/* 202 is free to be another process. */
	copy(100, 202);
	exit_of(202);
	cr_expect_eq(p.figures.unexplained, 0);
}

Test(population, end_told_late_of_a_main_thread_is_not_its_successors)
{
	struct event late = {.kind = EVENT_EXIT, .pid = 200, .tgid = 200};

	sight_shell();
	copy(100, 200);
	thread(200, 201);
	late.time = clock_ns + 500;
	exec(200, "after"); /* by 201 */
	population_take(&p, &late);
	cr_expect(population_lives(&p, 200));
	exit_of(200);
	cr_expect_not(population_lives(&p, 200));
}

Test(population, forks_with_threads_and_by_several_are_told_apart)
{
	sight_shell();
	copy(100, 200);
	exec(200, "python3");
	copy(200, 210); /* alone yet */
	thread(200, 201);
	copy(200, 211);
	fork_by(200, 201, 212, MEMORY_SHARED);
	exit_thread(200, 201);
	copy(200, 213); /* alone again */
	population_close(&p);
	cr_expect_eq(named("python3")->threaded_images, 1);
	cr_expect_eq(named("python3")->threaded_forks, 2);
	cr_expect_eq(named("python3")->threaded_copies, 1);
	cr_expect_eq(named("python3")->many_forkers, 1);
}

Test(population, threads_that_were_there_before_count_as_threads)
{
	sight(300, 1, "daemon");
	population_sight_thread(&p, 300, 301);
	sight_shell();
	copy(300, 310);
	population_close(&p);
	cr_expect_eq(named("daemon")->threaded_forks, 1);
}

Test(population, id_is_used_again_after_its_process_ended)
{
	sight_shell();
	copy(100, 200);
	copy(200, 201);
	exit_of(201);
	exit_of(200);
	copy(100, 200);
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 2, 3);
	cr_expect_eq(p.figures.unexplained, 0);
}

Test(population, id_used_again_after_a_lost_end_is_another_process)
{
	sight_shell();
	copy(100, 200);
	copy(200, 201);
	/* The end of 200 is lost. */
	copy(100, 200);
	exit_of(200);
	population_close(&p);
	/* The first 200 was seen, and nobody saw its end. */
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
	expect_share(SUBJECT_PROCESSES, LIFE_SEEN, 2, 5);
	cr_expect_eq(p.figures.unexplained, 1);
}

Test(population, events_of_a_process_whose_fork_was_lost_are_counted)
{
	sight_shell();
	exec(200, "lost");
	copy(200, 201);
	exit_of(200);
	exit_of(202);
	population_close(&p);
	cr_expect_eq(p.figures.unexplained, 2);
	/* Not born within the window as far as is known. */
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 0, 0);
	expect_share(SUBJECT_PROCESSES, LIFE_ENDED, 1, 2);
	expect_share(SUBJECT_EXECED, LIFE_WHOLE, 0, 1);
}

Test(population, process_sighted_after_its_fork_was_told_is_born_once)
{
	sight(1, 0, "init");
	sight(100, 1, "shell");
	sight(200, 100, "true");
	population_sighted(&p, 5000);
	copy(100, 200); /* at 2000: it waited while /proc was read */
	exit_of(200);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
	cr_expect_eq(p.figures.unexplained, 0);
	cr_expect_eq(named("true")->processes, 1);
}

Test(population, only_what_descends_is_counted_below_a_process)
{
	p.scope = SCOPE_BELOW;
	p.root = 100;
	sight(102, 101, "grandchild"); /* before its parent, as after the ids went round */
	sight(1, 0, "init");
	sight(100, 1, "shell");
	sight(101, 100, "child");
	sight(300, 1, "stranger");
	population_sighted(&p, clock_ns);
	copy(300, 301);
	exit_of(301);
	copy(102, 103);
	exit_of(102);
	copy(103, 104); /* its parent is gone: it was born here all the same */
	exit_of(104);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
	expect_share(SUBJECT_PROCESSES, LIFE_ENDED, 1, 2);
	expect_share(SUBJECT_PROCESSES, LIFE_SEEN, 1, 5);
	cr_expect_eq(named("stranger")->processes, 0);
}

Test(population, only_the_command_and_its_are_counted)
{
	p.scope = SCOPE_CHILDREN;
	sight_shell();
	share(SELF, 200);
	exec(200, "make");
	copy(200, 201);
	exit_of(201);
	exit_of(200);
	copy(100, 300);
	exit_of(300);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_SEEN, 1, 2);
	cr_expect_eq(p.figures.unexplained, 0);
}

Test(population, self_is_not_counted)
{
	sight_shell();
	thread(SELF, 10);
	exit_thread(SELF, 10);
	exit_of(SELF);
	population_close(&p);
	expect_share(SUBJECT_PROCESSES, LIFE_SEEN, 1, 2);
	cr_expect_eq(p.figures.threads, 0);
}

Test(population, kernel_threads_count_once_they_execute)
{
	const struct sighting kthreadd = {.tgid = 2, .kernel = true, .name = "kthreadd"};

	population_sight(&p, &kthreadd);
	population_sight_thread(&p, 2, 2);
	sight_shell();
	copy(2, 50);
	exit_of(50);
	copy(2, 51);
	exec(51, "modprobe");
	exit_of(51);
	population_close(&p);
	cr_expect_eq(p.figures.kernel_threads, 1);
	expect_share(SUBJECT_PROCESSES, LIFE_WHOLE, 1, 1);
	expect_share(SUBJECT_EXECED, LIFE_WHOLE, 1, 1);
	expect_share(SUBJECT_IMAGES, LIFE_WHOLE, 1, 1);
}

Test(population, name_looked_up_after_the_next_exec_is_unknown)
{
	struct event first = {
		.kind = EVENT_EXEC, .pid = 200, .tgid = 200, .named_at = 1000000, .name = "second"};

	sight_shell();
	copy(100, 200);
	take(first);
	exec(200, "second");
	exit_of(200);
	population_close(&p);
	cr_expect_eq(named("second")->images, 1);
	cr_expect_eq(named("")->images, 1);
}

Test(population, name_that_a_process_gives_itself_is_its_name)
{
	struct event of_thread = {.kind = EVENT_NAME, .pid = 201, .tgid = 200, .name = "worker"};
	struct event of_process = {.kind = EVENT_NAME, .pid = 200, .tgid = 200, .name = "itself"};

	sight_shell();
	copy(100, 200);
	exec(200, "given");
	thread(200, 201);
	take(of_process);
	take(of_thread);
	exit_thread(200, 201);
	exit_of(200);
	population_close(&p);
	cr_expect_eq(named("itself")->leaf_images, 1);
	cr_expect_eq(named("worker")->processes, 0);
}

Test(population, child_that_shares_forks_its_parents_memory)
{
	sight_shell();
	copy(100, 200);
	exec(200, "odd");
	share(200, 201);
	copy(201, 202);
	exit_of(201);
	exit_of(200);
	population_close(&p);
	cr_expect_eq(named("odd")->leaf_images, 0);
	expect_share(SUBJECT_EXECED, LIFE_WHOLE, 0, 1);
}

Test(population, children_are_counted_in_classes)
{
	static const int children[] = {1, 2, 9, 10, 99, 100};
	static const uint64_t expected[N_CHILDREN_CLASSES] = {221, 1, 3, 2, 1};
	pid_t pid = 1000;

	sight(1, 0, "init"); /* has six here: the third of class 2 */
	population_sighted(&p, clock_ns);
	for (int i = 0; i < 6; i++) {
		pid_t parent = pid++;

		share(1, parent);
		for (int child = 0; child < children[i]; child++)
			share(parent, pid++);
	}
	population_close(&p);
	for (int i = 0; i < N_CHILDREN_CLASSES; i++)
		cr_expect_eq(p.figures.children[i], expected[i], "class %d: %d", i,
			     (int)p.figures.children[i]);
}

Test(population, mappings_weigh_for_what_their_image_turns_out_to_be)
{
	sight_shell();
	copy(100, 200);
	exec(200, "sh");
	population_weigh(&p, 200, 10);
	copy(200, 201);
	population_weigh(&p, 201, 7);
	exec(201, "cc");
	population_weigh(&p, 201, 20);
	population_weigh(&p, 777, 5); /* nobody knows it */
	fork_by(201, 201, 202, MEMORY_SHARED);
	population_weigh(&p, 202, 20); /* its parent's: once is enough */
	exit_of(201);
	exit_of(200);
	population_close(&p);
	cr_expect_eq(p.figures.weight, 10 + 7 + 20 + 5);
	cr_expect_eq(p.figures.weight_leaves, 7 + 20);
	cr_expect_eq(p.figures.weight_untold, 0);
}

static uint64_t images_of(const struct program *program)
{
	return program->images;
}

Test(population, programs_come_by_figure_and_then_by_name)
{
	const struct program *top[2];

	sight_shell();
	for (pid_t pid = 200; pid < 206; pid++) {
		copy(100, pid);
		exec(pid, pid < 203 ? "b" : pid < 205 ? "c" : "a");
		exit_of(pid);
	}
	copy(100, 300);
	exec(300, "aa");
	population_close(&p);
	cr_expect_eq(program_top(&p.programs, images_of, top, 2), 2);
	cr_expect_str_eq(top[0]->name, "b");
	cr_expect_str_eq(top[1]->name, "c");
}

Test(sequence, missing_numbers_are_lost_events_of_their_cpu)
{
	struct sequence s = {0};

	cr_expect_eq(sequence_note(&s, 0, 41), 0);
	cr_expect_eq(sequence_note(&s, 3, 7), 0);
	cr_expect_eq(sequence_note(&s, 0, 42), 0);
	cr_expect_eq(sequence_note(&s, 3, 10), 2);
	cr_expect_eq(sequence_note(&s, 0, 43), 0);
	sequence_done(&s);
}

Test(sequence, numbers_go_round_without_a_loss)
{
	struct sequence s = {0};

	cr_expect_eq(sequence_note(&s, 1, UINT32_MAX - 1), 0);
	cr_expect_eq(sequence_note(&s, 1, UINT32_MAX), 0);
	cr_expect_eq(sequence_note(&s, 1, 0), 0);
	cr_expect_eq(sequence_note(&s, 1, 2), 1);
	sequence_done(&s);
}

Test(pid_map, holds_what_was_added_and_not_removed)
{
	static int values[5000];
	struct pid_map m = {0};

	for (int i = 0; i < 5000; i++)
		cr_assert_eq(pid_map_add(&m, 1 + i * 7, &values[i]), 0);
	for (int i = 0; i < 5000; i += 2)
		pid_map_remove(&m, 1 + i * 7);
	pid_map_remove(&m, 3);
	cr_expect_eq(m.n, 2500);
	for (int i = 0; i < 5000; i++)
		cr_assert_eq(pid_map_find(&m, 1 + i * 7), i % 2 ? &values[i] : NULL, "%d", i);
	pid_map_done(&m);
}
