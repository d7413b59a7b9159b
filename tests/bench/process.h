/* SPDX-License-Identifier: MIT */
/* process.h - the processes that take part, and what each has used. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#define PROCESSES_MAX 16

struct process {
	pid_t pid;
	char name[16]; /* "spawnd", "spawnd-broker", "spawn-host" */
};
/* It and its children. */
size_t processes_of(pid_t pid, struct process ret[PROCESSES_MAX]);
/* User and system, so far, of all its threads, to the nanosecond. */
double process_cpu_us(pid_t pid);
double self_cpu_us(void);
/* Of all CPUs of the machine since it started, not idle; in ticks of 10 ms. */
double machine_busy_us(void);

#endif
