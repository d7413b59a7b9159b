/* SPDX-License-Identifier: MIT */
/*
 * population.h - who lived, who made whom, who executed what. Events in, figures out: no system
 * call here, so that all of it can be tested with made-up events.
 *
 * A process is a thread group: it begins with the FORK that made it and ends when its last thread
 * has ended. An image is an address space: it begins by exec, or by a FORK that copied memory, and
 * ends by exec or with its process. A child that shares its parent's memory (vfork, posix_spawn)
 * has no image until it executes one.
 */
#ifndef CENSUS_POPULATION_H
#define CENSUS_POPULATION_H

#include "event.h"
#include "pid_map.h"
#include "program.h"

#include <stdbool.h>
#include <stdint.h>

enum scope {
	SCOPE_ALL,
	SCOPE_BELOW,	/* a process that is there, and what descends from it */
	SCOPE_CHILDREN, /* what descends from this one, which is not counted itself */
};

/* What is counted, and over which of their lives. */
enum subject { SUBJECT_PROCESSES, SUBJECT_EXECED, SUBJECT_IMAGES, N_SUBJECTS };
enum life { LIFE_WHOLE, LIFE_ENDED, LIFE_SEEN, N_LIVES };

struct share {
	uint64_t n;
	uint64_t leaves; /* never made a copy of their memory */
	uint64_t untold; /* may have: of no child is it certain, of some it is unknown */
	uint64_t lone;	 /* of the leaves: made no process at all, by vfork neither */
};

enum { CHILDREN_0, CHILDREN_1, CHILDREN_2, CHILDREN_10, CHILDREN_100, N_CHILDREN_CLASSES };

struct figures {
	struct share shares[N_SUBJECTS][N_LIVES];
	uint64_t children[N_CHILDREN_CLASSES]; /* processes by how many they made */
	uint64_t born[N_MEMORIES];	       /* processes made */
	uint64_t ended_born;		       /* of these, ended too ... */
	uint64_t without_exec[N_MEMORIES];     /* ... without having executed a program */
	uint64_t waiting;		       /* live on and have executed none yet */
	uint64_t execs, threads, kernel_threads;
	uint64_t unexplained; /* processes that were there and should not, or the reverse */
	/* Anonymous mappings of all images, in all samples. */
	uint64_t weight, weight_leaves, weight_untold;
};

struct process;

struct population {
	enum scope scope;
	pid_t root; /* SCOPE_BELOW */
	pid_t self; /* never counted */
	uint64_t began_at;
	struct pid_map processes, threads;
	struct figures figures;
	struct program_list programs;
	int error; /* latched -ENOMEM: the figures are not to be used */
};

/* What is in /proc when the counting begins. */
struct sighting {
	pid_t tgid, parent_tgid;
	bool kernel; /* a kernel thread */
	char name[NAME_SIZE];
};

void population_sight(struct population *p, const struct sighting *seen);
void population_sight_thread(struct population *p, pid_t tgid, pid_t pid);
/* After the last of them, at that time: who descends from whom. */
void population_sighted(struct population *p, uint64_t now);

void population_take(struct population *p, const struct event *e);
/* One process of a sample: it has so many anonymous mappings. */
void population_weigh(struct population *p, pid_t tgid, uint64_t mappings);
/* One after the other of those in the scope that live as far as was told, from a cursor of 0 on; 0
 * after the last. */
pid_t population_living(const struct population *p, size_t *cursor);
bool population_lives(const struct population *p, pid_t tgid);
/* Counts what lives on; the figures are complete then. */
void population_close(struct population *p);
void population_done(struct population *p);

#endif
