/* SPDX-License-Identifier: MIT */
/* compact.h - makes a warm template cheap to fork: fewer pages to copy entries of. */
#ifndef HOST_COMPACT_H
#define HOST_COMPACT_H

/*
 * Gives back what the heap does not use, and has huge pages made of private memory where most of
 * one is in use. Before the first fork: a leaf's copy would be split again. What cannot be done is
 * left as it is: it costs time at each fork, and nothing else. Linux 6.1.
 */
void compact(void);

#endif
