/* SPDX-License-Identifier: MIT */
/*
 * gate.h - what a warm template has that does not survive a fork, or is one thing for all leaves.
 * Threads are not here: they are refused in any case (threads_check()).
 */
#ifndef HOST_GATE_H
#define HOST_GATE_H

#include "host/host.h"

#define GATE_TEXT_SIZE 512

/*
 * Names what it finds, each with the object that it is about. How many there are; or a negative
 * errno when /proc cannot be read. Before streams are flushed and timers stopped.
 */
int gate_look(const struct host *h, char text[GATE_TEXT_SIZE]);

#endif
