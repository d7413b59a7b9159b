/* SPDX-License-Identifier: MIT */
/* trial.h - `spawn template try`: does a program fit the lane `main`, and what does that save? */
#ifndef CLIENT_TRIAL_H
#define CLIENT_TRIAL_H

/* args: the words behind "template", NULL-terminated. The command's exit status. */
int trial(char **args);

#endif
