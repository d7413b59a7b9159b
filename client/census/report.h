/* SPDX-License-Identifier: MIT */
/* report.h - the figures, for people and for programs. */
#ifndef CENSUS_REPORT_H
#define CENSUS_REPORT_H

#include "count.h"

#include <stdio.h>

/* What belongs to leaves of what a slab holds: bytes, a mean of the samples. */
struct estimate {
	double bytes;	   /* of anon_vma and anon_vma_chain together */
	double leaf_bytes; /* of the cache that holds leaves' alone; 0: there is none */
	double leaves;	   /* share of the anonymous mappings that leaves have */
	double untold;	   /* share of those that may be leaves */
};
/* False: there is nothing to estimate from. */
bool report_estimate(const struct count *c, struct estimate *ret);

/* 0 or a negative errno. */
int report_print(const struct count *c, const struct options *o, FILE *f);
void report_print_json(const struct count *c, const struct options *o, FILE *f);

#endif
