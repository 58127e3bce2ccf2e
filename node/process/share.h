/* share.h - processor time for a family of processes: how many of its threads run at once, and whose turn it is.
 *
 * The host's scheduler is fair to threads, and each process has one: a family of 500 that compute would have 500 times the time of a
 * family of one. So of one family about as many threads run programs as the device has processors; the others stand in line, and who has
 * run for a slice while others wait goes to its end. Who comes from a wait goes before those who were sent back, and there is room for as many of them again: a shell
 * answers although its jobs compute. Then families, not their processes, compete on the host.
 *
 *	struct share_turn turn = {0};                 // one per thread
 *	if (share_enter(s, &turn, store)) { run; share_leave(s, &turn, sent_back); }
 *
 * Any thread. Who waits can be poked (to be ended, or frozen): then share_enter() is false.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SHARE_SLICE_NS UINT64_C(10000000)
/* While one that comes from a wait stands in line. */
#define SHARE_SHORT_SLICE_NS UINT64_C(2000000)

struct share;
struct store;

/* One thread's place. Zero before the first use; share_turn_end() after the last. */
struct share_turn {
	struct share_turn *next; /* in line, or among those that run */
	struct store *store;
	uint64_t since_ns; /* when it began to run */
	bool ready;        /* it has a condition variable */
	bool runs, poked;
	pthread_cond_t changed;
};

/* NULL: no memory. */
struct share *share_new(void);
struct share *share_ref(struct share *s);
void share_unref(struct share *s);

/* Waits for its turn. first: before those that were sent back. False: share_poke() was called, now or before. */
bool share_enter(struct share *s, struct share_turn *t, struct store *store, bool first);
void share_leave(struct share *s, struct share_turn *t);
/* share_enter() is not to wait any longer; once. */
void share_poke(struct share *s, struct share_turn *t);
void share_turn_end(struct share_turn *t);
