/* vector.h - dots and version vectors: which changes are known.
 *
 * Each replica of a folder is a *writer*, a random number above 0. It numbers its changes from 1 on: a *dot* is (writer, number). A *version
 * vector* has for some writers the last number known, and stands for all dots up to it (Parker et al., "Detection of Mutual
 * Inconsistency in Distributed Systems", 1983; dots: Almeida et al., "Dotted Version Vectors", 2012). Zeroed is the empty one. One
 * thread at a time. What can run out of memory returns ERR_NOMEM and then changed nothing.
 *
 *	struct vector v = {0};
 *	TRY(vector_raise(&v, (struct dot){writer, 7}));
 *	vector_covers(&v, &(struct dot){writer, 3});     // true
 *	vector_free(&v);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { VECTOR_MAX = 64 }; /* writers of a folder, those who left included */
#define DOT_SEQ_MAX (UINT64_C(1) << 48)

struct dot {
	uint64_t writer;
	uint64_t seq;
};

struct vector {
	struct dot *at; /* by rising writer; owned */
	uint32_t count;
};

void vector_free(struct vector *v); /* empty afterwards */
uint64_t vector_get(const struct vector *v, uint64_t writer);
bool vector_covers(const struct vector *v, const struct dot *d);
/* All of a is in b. */
bool vector_within(const struct vector *a, const struct vector *b);
/* Knows the dot from here on. ERR_LIMIT: VECTOR_MAX writers already. */
enum err vector_raise(struct vector *v, struct dot d);
/* v knows what from knows, too. */
enum err vector_join(struct vector *v, const struct vector *from);
/* out is empty before. */
enum err vector_copy(struct vector *out, const struct vector *from);
/* By writer, then number: -1, 0, 1. */
int dot_compare(const struct dot *a, const struct dot *b);

void vector_pack(struct wr *w, const struct vector *v);
/* out is empty before, and after an error. ERR_MALFORMED: not rising, or a number of 0 or above DOT_SEQ_MAX. */
enum err vector_unpack(struct rd *r, struct vector *out);
enum err dot_unpack(struct rd *r, struct dot *out);
