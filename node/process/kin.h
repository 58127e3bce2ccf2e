/* kin.h - the processes of the table that are one family: found, frozen, thawed, pinned and forgotten together.
 *
 * Relatives share open files, pipes and a terminal (node/wali/family.h), so they move, sleep and are saved together, as one image with one
 * ownership record (migrate/owner.h). The record's uid and epoch are those of the *leader*: the process that was there first; when it ends and
 * relatives live on, one of them takes its uid and leads from then on. A process that never forked, and was not forked, leads itself.
 *
 * Who works with a family's memory grips it:
 *
 *	kin_grip_new(leader, &g, &msg);       // pins all that are there now; none of them starts another program until it is freed
 *	kin_freeze(g, on_frozen, ctx);        // later, on the loop: on_frozen(ctx, ERR_OK): all stand, also those born meanwhile
 *	... kin_grip_at(g, i)->store ...      // any one thread
 *	kin_thaw(g);
 *	kin_grip_free(g);
 *
 * Loop thread, but for reading a grip while its members stand or only their memories are read.
 */
#pragma once

#include "node/process/process.h"

enum { KIN_MAX = 120 /* processes of a family that can move; so many fit into an image */ };

/* What relatives have in common: each holds a reference. */
struct kin;
struct kin *kin_new(void);
struct kin *kin_ref(struct kin *k);
void kin_unref(struct kin *k);
/* A reference to how they share the processors. NULL: no memory. */
struct share *kin_share(struct kin *k);
/* Relatives that are in another part of the family (node/wali/kinship.h), as one that is here has heard. Any thread. */
struct kinship_talk;
struct wali_elsewhere;
void kin_set_elsewhere(struct kin *k, const struct wali_elsewhere *list, uint32_t count,
                       struct kinship_talk *talk);
/* The caller's (free()). NULL: there are none. */
struct wali_elsewhere *kin_elsewhere(const struct process *p, uint32_t *count);
bool kin_has_elsewhere(const struct process *p);
/* How much they have told each other. */
uint64_t kin_talk(const struct process *p);
/* The epoch of the family's ownership. Any thread. */
uint64_t kin_epoch(const struct kin *k);
void kin_set_epoch(struct process *leader, uint64_t epoch);

/* The relative whose record it is; p itself when nobody leads (it is just being made). */
struct process *kin_leader(struct process *p);
bool kin_is_alone(const struct process *p);
/* STATE: it, or a relative, has ended, is moving, asleep ... */
enum err kin_is_free(struct process *leader, struct errmsg *msg);
/* It, or a relative, stands only for a moment: a copy for a checkpoint is made. */
bool kin_stands_briefly(struct process *p);
/* The leader first, then the others by the numbers that they know themselves by: those that are here, alive and not forgotten. LIMIT. */
enum err kin_list(struct process *leader, struct process *out[KIN_MAX], uint32_t *count);
/* p has ended: if it led, a relative that lives leads from now on, under p's uid. */
void kin_pass_on(struct process *p);

/* Of all relatives here, but for one that is just becoming another program: once it stands it does not (kin_freeze()). */
void kin_hold(struct process *leader, enum process_hold hold);
/* The relative that they know by this number, or p itself. NULL: none. */
struct process *kin_find(struct process *p, uint32_t guest_pid);
/* Nothing holds them any more (but exec, of one that is becoming another program). */
void kin_release(struct process *leader);
void kin_thaw_all(struct process *leader);
void kin_kill(struct process *p, int status);
/* Each of them is frozen, once. gone_to may be NULL. */
void kin_forget(struct process *leader, const uint8_t gone_to[32]);
uint64_t kin_cpu_ns(struct process *leader);
/* "17 18 20": their numbers here; empty when p is alone. */
void kin_numbers(struct process *leader, char *out, size_t size);

/* The open files of all, each once, in the order in which an image has them. They stand. */
struct fdset;
enum err kin_files(struct process *leader, struct fdset **out);

struct kin_grip;
/* LIMIT. */
enum err kin_grip_new(struct process *leader, struct kin_grip **out, struct errmsg *msg);
/* Thaws those that stand, and unpins. NULL is allowed. Not while kin_freeze() is under way. */
void kin_grip_free(struct kin_grip *g);
uint32_t kin_grip_count(const struct kin_grip *g);
bool kin_has(const struct kin_grip *g, const struct process *p);
/* 0: the leader. */
struct process *kin_grip_at(const struct kin_grip *g, uint32_t i);
/* CLOSED: the leader has ended. LIMIT: they have become too many. Some may stand then. */
typedef void (*kin_frozen_fn)(void *ctx, enum err e);
void kin_freeze(struct kin_grip *g, kin_frozen_fn fn, void *ctx);
void kin_thaw(struct kin_grip *g);
/* All of them still stand: none was killed meanwhile. */
bool kin_stand(const struct kin_grip *g);
