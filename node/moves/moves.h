/* moves.h - moving processes to and from other devices: the part that performs what migrate/mover.h decides.
 *
 * One mover a node. Its actions are performed here: messages over the link (bulk lane, in order), reading and filling
 * memory, hashing, compressing and the store on the thread pool (move_job.c), freezing and restoring processes on the loop. The image
 * that a peer holds of a process (`shadow`) stays in memory after a move, so that moving back sends only
 * what changed. Belongs to the loop's thread.
 *
 *	moves_start(n, p, peer, 0, on_over, ctx, &msg);   // later: on_over(ctx, err, msg, report)
 *
 * Tests name a step to be killed at: WASMOS_CRASH_AT=STEP[:N] in the node's environment (move_step() in moves.c lists
 * the steps' names), or at which all links are cut, WASMOS_CUT_AT=STEP[:N]; and WASMOS_STEPS=FILE appends the time (us) and name of each step that is passed.
 */
#pragma once

#include "migrate/mover.h"
#include "node/process/process.h"

struct control_call;
struct depot;
struct image;
struct module_list;
struct moves;
struct peer;

typedef void (*move_over_fn)(void *ctx, enum err e, const struct errmsg *msg,
                             const struct move_report *r);

/* fn is called once, unless an error is returned. max_pause_ns: 0 for none. */
enum err moves_start(struct node *n, struct process *p, struct peer *to, uint64_t max_pause_ns,
                     move_over_fn fn, void *ctx, struct errmsg *msg);
/* fn is not called any more (its client is gone); the move goes on. */
void moves_unwatch(struct node *n, void *ctx);
/* A process in flight is taken back by force; fn hears how it ended. */
enum err moves_force(struct node *n, const uint8_t uid[UID_SIZE], move_over_fn fn, void *ctx,
                     struct errmsg *msg);
/* What is known of a process by its pid here: in the table or only on disk. NULL: nothing. */
const struct owner *moves_record_by_pid(struct node *n, uint32_t pid);
/* The one with this number that left for another device last. NULL: none did, or it is long ago. */
const struct owner *moves_gone_by_pid(struct node *n, uint32_t pid);
const struct owner *moves_record(struct node *n, const uint8_t uid[UID_SIZE]);
bool moves_status(struct node *n, const uint8_t uid[UID_SIZE], struct move_status *out);
/* Each process that is on disk only: suspended, in flight. */
void moves_each_asleep(struct node *n, void (*fn)(void *ctx, const struct owner *o), void *ctx);
/* For `ps`: begins the row of such a process with what its record says. The caller ends it. */
void moves_ps_row(struct node *n, struct control_call *c, const struct owner *o);
/* Rows of those that were lost when the node was killed. */
void moves_ps_lost(struct node *n, struct control_call *c);

/* ---- for checkpoint.c, revive.c and saver.c ---- */

typedef void (*written_fn)(void *ctx, enum err e, const struct errmsg *msg);
/* Durably, after all records asked for before; then the mover knows it, then fn. */
void moves_write(struct node *n, const struct owner *record, written_fn fn, void *ctx);
unsigned *moves_work_count(struct node *n);
/* Puts an image's chunks and those of its modules into the depot. Pool thread. */
enum err depot_store_image(struct node *n, struct depot *d, struct image *im,
                           const struct module_list *modules, struct errmsg *msg);
/* Loads an image from the depot. Pool thread. */
enum err depot_load_image(struct depot *d, const struct chunk_addr *id, struct image **out,
                          struct errmsg *msg);
/* After moves_write(): the process may have ended while its record was written. Then the record goes again. */
void moves_ended_meanwhile(struct node *n, const uint8_t uid[UID_SIZE]);
/* A person ended it while it was put to sleep or woken: it is not kept, and its record goes. */
void moves_discard(struct node *n, const uint8_t uid[UID_SIZE]);
/* p, which runs or stands here, is going to be ended by the node, though it should live on: its record stays, so that it is brought
 * back from its last checkpoint, or shown as lost. True when there is a checkpoint. */
bool moves_cut_off(struct process *p);
/* A snapshot of uid is going to be a file: what it was given stays known when it is over. Pool thread. */
enum err grants_keep(struct node *n, const uint8_t uid[UID_SIZE], struct errmsg *msg);
/* Chunks have become garbage; from time to time they are looked for. */
void moves_garbage(struct node *n);
/* How much garbage stays, for programs that come back. Any thread. */
uint64_t moves_spare_bytes(struct node *n);
/* A move, perhaps one that was given up, still works with p's memory. */
bool moves_uses(struct node *n, const struct process *p);
/* The record a process would have: OWNED, with its epoch. */
struct owner moves_record_of(struct node *n, const struct process *p);
