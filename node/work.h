/* work.h - a piece of work on libuv's thread pool, with its end back on the loop.
 *
 *	work_start(n, run, done, ctx);   // run(ctx) on a pool thread, then done(ctx) on the loop
 *
 * work_wait() is for parts that close: it turns the loop until no work of this kind is left.
 */
#pragma once

struct node;

typedef void (*work_fn)(void *ctx);

/* Ends the program when memory runs out: half a protocol step is worse. */
void work_start(struct node *n, unsigned *count, work_fn run, work_fn done, void *ctx);
void work_wait(struct node *n, const unsigned *count);
