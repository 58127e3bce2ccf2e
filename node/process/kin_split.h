/* kin_split.h - some processes of a family become one of their own (node/wali/split.h), to be moved by itself.
 *
 *	kin_split(p, SPLIT_ALONE, on_split, ctx);     // later: on_split(ctx, err, msg, leader)
 *
 * Afterwards leader leads those that were asked for: a new family, which has a record of its own; or the old one, with its record, when who
 * led that is among them, and the new one are the others. Both run on. What of the old one was on disk, in a checkpoint, had all of them in it: it
 * is not valid any more when fn is called, so that no process comes back twice. When there is nothing to be split off (p has no
 * relatives, or all of them are meant), leader is p's leader and nothing has changed.
 *
 * Loop thread.
 */
#pragma once

#include "node/process/process.h"

enum split_who {
	SPLIT_ALONE, /* p */
	SPLIT_GROUP, /* its process group: a shell's job */
};

typedef void (*split_fn)(void *ctx, enum err e, const struct errmsg *msg, struct process *leader);

void kin_split(struct process *p, enum split_who who, split_fn fn, void *ctx);
