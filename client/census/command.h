/* SPDX-License-Identifier: MIT */
/* command.h - the command that is counted: started, signalled, and ended as. */
#ifndef CENSUS_COMMAND_H
#define CENSUS_COMMAND_H

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

/* As env(1) has it. */
#define EXIT_CENSUS_FAILED  125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND	    127

struct command {
	char **argv;
	pid_t pid;
	int pidfd; /* -1: none */
	int status;
};

/* With this signal mask. A negative errno after a line on stderr. */
int command_start(struct command *c, char **argv, const sigset_t *mask);
/* What reached this process, if it did not reach the command as well. */
void command_signal(const struct command *c, const struct signalfd_siginfo *info);
/* Waits for its end. */
void command_wait(struct command *c);
/* The exit status to end with; does not return if a signal ended it, which ends this process too.
 */
int command_end_as(const struct command *c);
/* That of a command that could not be executed. */
int command_failure(int code);

#endif
