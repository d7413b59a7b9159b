/* SPDX-License-Identifier: MIT */
#include "population.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct image {
	bool present;	    /* false: shares its parent's */
	bool born, execed;  /* within the window; by exec */
	bool untold;	    /* a copy, or its parent's: not known */
	bool forked_before; /* it had children when the window began */
	uint64_t made[N_MEMORIES];
	uint64_t threaded_forks, threaded_copies;
	pid_t forker; /* the first thread that forked */
	bool many_forkers;
	uint64_t weight;
};

struct thread {
	pid_t pid;
	struct process *process;
	struct thread *prev, *next;
};

struct process {
	pid_t tgid, parent_tgid;
	bool born, in_scope, kernel, execed, forked_before;
	enum memory memory;
	char name[NAME_SIZE];
	uint64_t named_at;
	uint64_t since; /* the time of its FORK or last EXEC */
	uint64_t made[N_MEMORIES];
	struct image image;
	struct thread *threads;
};

static uint64_t sum(const uint64_t made[N_MEMORIES])
{
	return made[MEMORY_UNTOLD] + made[MEMORY_COPIED] + made[MEMORY_SHARED];
}

static struct process *find(const struct population *p, pid_t tgid)
{
	return pid_map_find(&p->processes, tgid);
}

static void thread_add(struct population *p, struct process *of, pid_t pid)
{
	struct thread *t;

	if (pid_map_find(&p->threads, pid))
		return;
	t = calloc(1, sizeof(*t));
	if (!t || pid_map_add(&p->threads, pid, t) < 0) {
		free(t);
		p->error = -ENOMEM;
		return;
	}
	*t = (struct thread){.pid = pid, .process = of, .next = of->threads};
	if (of->threads)
		of->threads->prev = t;
	of->threads = t;
}

static void thread_remove(struct population *p, struct thread *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		t->process->threads = t->next;
	if (t->next)
		t->next->prev = t->prev;
	pid_map_remove(&p->threads, t->pid);
	free(t);
}

static void threads_clear(struct population *p, struct process *of)
{
	while (of->threads)
		thread_remove(p, of->threads);
}

static struct process *process_add(struct population *p, pid_t tgid)
{
	struct process *new = calloc(1, sizeof(*new));

	if (!new || pid_map_add(&p->processes, tgid, new) < 0) {
		free(new);
		p->error = -ENOMEM;
		return NULL;
	}
	new->tgid = tgid;
	new->image.present = true;
	thread_add(p, new, tgid);
	return new;
}

static void process_free(struct population *p, struct process *of)
{
	threads_clear(p, of);
	pid_map_remove(&p->processes, of->tgid);
	free(of);
}

/* One that no FORK and no sighting told of. */
static struct process *find_or_add(struct population *p, pid_t tgid)
{
	struct process *found = find(p, tgid);

	if (found || tgid <= 0 || tgid == p->self)
		return found;
	found = process_add(p, tgid);
	if (found) {
		found->in_scope = p->scope == SCOPE_ALL || tgid == p->root;
		p->figures.unexplained += found->in_scope;
	}
	return found;
}

/* ---- what is over is added to the figures ---- */

static void share_add(struct share *s, const uint64_t made[N_MEMORIES], bool forked_before)
{
	s->n++;
	if (made[MEMORY_COPIED] > 0)
		return;
	if (made[MEMORY_UNTOLD] > 0 || forked_before)
		s->untold++;
	else
		s->leaves++;
	if (sum(made) == 0 && !forked_before)
		s->lone++;
}

static void shares_add(struct share shares[N_LIVES], const uint64_t made[N_MEMORIES],
		       bool forked_before, bool born, bool ended)
{
	if (born && ended)
		share_add(&shares[LIFE_WHOLE], made, forked_before);
	if (ended)
		share_add(&shares[LIFE_ENDED], made, forked_before);
	share_add(&shares[LIFE_SEEN], made, forked_before);
}

static bool is_leaf(const struct image *i)
{
	return i->made[MEMORY_COPIED] == 0 && i->made[MEMORY_UNTOLD] == 0 && !i->forked_before;
}

static void image_programs(struct population *p, const struct process *of)
{
	const struct image *i = &of->image;
	struct program *program = program_get(&p->programs, of->name);

	if (!program) {
		p->error = -ENOMEM;
		return;
	}
	for (int m = 0; m < N_MEMORIES; m++)
		program->made[m] += i->made[m];
	program->children += sum(i->made);
	program->images += i->execed && i->born;
	program->leaf_images += i->execed && i->born && is_leaf(i);
	program->threaded_images += i->threaded_forks > 0;
	program->threaded_forks += i->threaded_forks;
	program->threaded_copies += i->threaded_copies;
	program->many_forkers += i->many_forkers;
}

/* The process's image is over, or the window is. */
static void image_fold(struct population *p, const struct process *of, bool ended)
{
	const struct image *i = &of->image;
	struct figures *f = &p->figures;

	if (of->kernel)
		return;
	f->weight += i->weight;
	if (!of->in_scope)
		return;
	if (is_leaf(i))
		f->weight_leaves += i->weight;
	else if (i->made[MEMORY_COPIED] == 0)
		f->weight_untold += i->weight;
	image_programs(p, of);
	if (!i->present || i->untold)
		return;
	shares_add(f->shares[SUBJECT_IMAGES], i->made, i->forked_before, i->born, ended);
	/* What was there before was most likely executed too, but nobody saw it. */
	if (i->execed)
		shares_add(f->shares[SUBJECT_EXECED], i->made, i->forked_before, i->born, ended);
}

static int children_class(uint64_t n)
{
	if (n < 2)
		return n == 0 ? CHILDREN_0 : CHILDREN_1;
	if (n < 10)
		return CHILDREN_2;
	return n < 100 ? CHILDREN_10 : CHILDREN_100;
}

static void process_fold(struct population *p, const struct process *of, bool ended)
{
	struct figures *f = &p->figures;
	struct program *program;

	image_fold(p, of, ended);
	if (of->kernel)
		f->kernel_threads += of->born;
	if (of->kernel || !of->in_scope)
		return;
	shares_add(f->shares[SUBJECT_PROCESSES], of->made, of->forked_before, of->born, ended);
	f->children[children_class(sum(of->made))]++;
	program = program_get(&p->programs, of->name);
	if (!program) {
		p->error = -ENOMEM;
		return;
	}
	program->processes++;
	if (!of->born)
		return;
	f->born[of->memory]++;
	f->ended_born += ended;
	if (of->execed)
		return;
	if (!ended) {
		f->waiting++;
		return;
	}
	f->without_exec[of->memory]++;
	program->without_exec++;
}

/* ---- what is there when the window begins ---- */

void population_sight(struct population *p, const struct sighting *seen)
{
	struct process *new;

	if (seen->tgid == p->self || find(p, seen->tgid))
		return;
	new = process_add(p, seen->tgid);
	if (!new)
		return;
	new->parent_tgid = seen->parent_tgid;
	new->kernel = seen->kernel;
	memcpy(new->name, seen->name, sizeof(new->name));
	/* Whether its main thread lives is said by name, as of the others. */
	threads_clear(p, new);
}

void population_sight_thread(struct population *p, pid_t tgid, pid_t pid)
{
	struct process *of = find(p, tgid);

	if (of)
		thread_add(p, of, pid);
}

/* Does it descend from the root? Chains are short; a parent that is gone ends them. */
static bool descends(const struct population *p, const struct process *of)
{
	for (size_t depth = 0; of && depth <= p->processes.n; depth++) {
		if (of->tgid == p->root)
			return true;
		of = find(p, of->parent_tgid);
	}
	return false;
}

void population_sighted(struct population *p, uint64_t now)
{
	size_t cursor = 0;
	struct process *of;

	p->began_at = now;
	while ((of = pid_map_next(&p->processes, &cursor))) {
		struct process *parent = find(p, of->parent_tgid);

		if (parent)
			parent->forked_before = parent->image.forked_before = true;
		of->in_scope =
			p->scope == SCOPE_ALL || (p->scope == SCOPE_BELOW && descends(p, of));
	}
}

/* ---- what happens ---- */

static void take_thread(struct population *p, const struct event *e)
{
	struct process *of = find_or_add(p, e->tgid);

	if (!of)
		return;
	thread_add(p, of, e->pid);
	if (of->in_scope && !of->kernel)
		p->figures.threads++;
}

static bool child_in_scope(const struct population *p, const struct event *e,
			   const struct process *parent)
{
	if (p->scope == SCOPE_ALL || (parent && parent->in_scope))
		return true;
	return p->scope == SCOPE_CHILDREN && e->parent_tgid == p->self;
}

/* The process that a FORK made. One of its id may be known: the sighting was later than the FORK;
 * or it ended and nobody told. */
static struct process *child_of_fork(struct population *p, const struct event *e)
{
	struct process *known = find(p, e->tgid);

	if (known && !known->born && e->time <= p->began_at)
		return known;
	if (known) {
		p->figures.unexplained += known->in_scope;
		process_fold(p, known, false);
		process_free(p, known);
	}
	return process_add(p, e->tgid);
}

/* A child without an image of its own copies its parent's. */
static struct image *image_of(const struct population *p, struct process *of)
{
	struct process *parent = of->image.present ? NULL : find(p, of->parent_tgid);

	return parent ? &parent->image : &of->image;
}

static void note_fork(const struct population *p, struct process *parent, const struct event *e)
{
	struct image *i = image_of(p, parent);

	parent->made[e->memory]++;
	i->made[e->memory]++;
	if (parent->threads && parent->threads->next) {
		i->threaded_forks++;
		i->threaded_copies += e->memory == MEMORY_COPIED;
	}
	if (i->forker == 0)
		i->forker = e->parent_pid;
	i->many_forkers |= i->forker != e->parent_pid;
}

static void take_fork(struct population *p, const struct event *e)
{
	struct process *parent = find_or_add(p, e->parent_tgid), *child;

	child = child_of_fork(p, e);
	if (!child)
		return;
	if (parent)
		note_fork(p, parent, e);
	child->born = true;
	child->since = e->time;
	child->parent_tgid = e->parent_tgid;
	child->memory = e->memory;
	child->kernel = parent && parent->kernel;
	child->in_scope = child_in_scope(p, e, parent);
	child->image = (struct image){
		.present = e->memory != MEMORY_SHARED,
		.untold = e->memory == MEMORY_UNTOLD,
		.born = true,
	};
	if (parent && !*child->name)
		memcpy(child->name, parent->name, sizeof(child->name));
}

static void take_exec(struct population *p, const struct event *e)
{
	struct process *of = find_or_add(p, e->tgid);

	if (!of)
		return;
	/* What was looked up for the image before was this one's name already. */
	if (of->named_at > e->time)
		*of->name = '\0';
	image_fold(p, of, true);
	of->image = (struct image){.present = true, .born = true, .execed = true};
	of->kernel = false;
	of->execed = true;
	of->named_at = e->named_at;
	of->since = e->time;
	memcpy(of->name, e->name, sizeof(of->name));
	/* The thread that executes is the only one left, and has its process's id now. */
	threads_clear(p, of);
	thread_add(p, of, of->tgid);
	p->figures.execs += of->in_scope;
}

static void take_name(struct population *p, const struct event *e)
{
	struct process *of = find(p, e->tgid);

	/* Other threads name themselves. */
	if (of && e->pid == e->tgid)
		memcpy(of->name, e->name, sizeof(of->name));
}

static void take_exit(struct population *p, const struct event *e)
{
	struct process *of = find_or_add(p, e->tgid);
	struct thread *t = pid_map_find(&p->threads, e->pid);

	/* Told late, after another thread executed and took the id: of the main thread before it.
	 */
	if (of && e->time < of->since)
		return;
	if (t && t->process == of)
		thread_remove(p, t);
	if (!of || of->threads)
		return;
	process_fold(p, of, true);
	process_free(p, of);
}

void population_take(struct population *p, const struct event *e)
{
	switch (e->kind) {
	case EVENT_FORK:
		if (e->pid != e->tgid)
			take_thread(p, e);
		else
			take_fork(p, e);
		break;
	case EVENT_EXEC:
		take_exec(p, e);
		break;
	case EVENT_NAME:
		take_name(p, e);
		break;
	case EVENT_EXIT:
	default:
		take_exit(p, e);
		break;
	}
}

void population_weigh(struct population *p, pid_t tgid, uint64_t mappings)
{
	struct process *of = find(p, tgid);

	if (of && of->image.present)
		of->image.weight += mappings;
	else if (!of)
		p->figures.weight += mappings;
}

pid_t population_living(const struct population *p, size_t *cursor)
{
	const struct process *of;

	while ((of = pid_map_next(&p->processes, cursor))) {
		if (of->in_scope && !of->kernel)
			return of->tgid;
	}
	return 0;
}

bool population_lives(const struct population *p, pid_t tgid)
{
	return find(p, tgid) != NULL;
}

void population_close(struct population *p)
{
	size_t cursor = 0;
	struct process *of;

	while ((of = pid_map_next(&p->processes, &cursor)))
		process_fold(p, of, false);
}

void population_done(struct population *p)
{
	size_t cursor = 0;
	void *of;

	while ((of = pid_map_next(&p->threads, &cursor)))
		free(of);
	cursor = 0;
	while ((of = pid_map_next(&p->processes, &cursor)))
		free(of);
	pid_map_done(&p->threads);
	pid_map_done(&p->processes);
	program_list_done(&p->programs);
}
