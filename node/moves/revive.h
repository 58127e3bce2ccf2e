/* revive.h - a process, or a family, out of an image: its sections checked and loaded, its memories filled, standing frozen.
 *
 * Used by arriving processes (move_target.c), by resume and restore (checkpoint.c) and by a node that restarts. Modules
 * come from the module cache or the depot. The image is borrowed until the callback and not changed. Loop thread.
 *
 * Relatives are made one after the other, the leader first, which makes what they share (node/wali/family_image.h); none runs before all
 * are there, checked and filled, and when one cannot be made all are forgotten. Each keeps the number that it and its relatives
 * know it by; its number in this node's table is the same unless that is taken.
 *
 *	revive(n, image, false, on_revived, ctx);   // on_revived(ctx, leader or NULL, err, msg), later
 */
#pragma once

#include "migrate/image.h"
#include "node/process/process.h"

typedef void (*revived_fn)(void *ctx, struct process *p, enum err e, const struct errmsg *msg);

/* Hostile bytes: a section "member N", whose module and sections s gets, borrowed. False: it is cut off, or too long. */
bool member_section_read(struct rd in, struct process_sections *s);
/* fresh: they get identities of their own (a snapshot may be restored many times). p, the leader, and its relatives are FROZEN with
 * one freeze each: kin_thaw_all(p). */
void revive(struct node *n, const struct image *im, bool fresh, revived_fn fn, void *ctx);
