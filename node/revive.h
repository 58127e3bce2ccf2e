/* revive.h - a process out of an image: its sections checked and loaded, its memory filled, standing frozen.
 *
 * Used by arriving processes (move_target.c), by resume and restore (checkpoint.c) and by a node that restarts. The module
 * comes from the module cache or the depot. The image is borrowed until the callback and not changed. Loop thread.
 *
 *	revive(n, image, false, on_revived, ctx);   // on_revived(ctx, process or NULL, err, msg), later
 */
#pragma once

#include "migrate/image.h"
#include "node/process.h"

typedef void (*revived_fn)(void *ctx, struct process *p, enum err e, const struct errmsg *msg);

/* fresh: the process gets an identity of its own (a snapshot may be restored many times). p is FROZEN with
 * one freeze. */
void revive(struct node *n, const struct image *im, bool fresh, revived_fn fn, void *ctx);

/* The other way: writes sections and memories of a FROZEN process into the image. Any thread. Pages
 * that are the same stay fresh. */
enum err capture(struct process *p, struct image *im, struct errmsg *msg);
/* As capture() into a new image, but its memories are read where they are: the process stands, and lives, until the image is freed. */
enum err capture_in_place(struct process *p, struct image *im, struct errmsg *msg);
/* The same without what is in the memories. */
enum err capture_state(struct process *p, struct image *im, struct errmsg *msg);
/* Spaces of the process as it is now, with the sections of w[SECTIONS] (bytes saved before). */
enum err capture_spaces(struct process *p, struct image *im, const struct wr w[SECTIONS],
                        struct errmsg *msg);
enum err capture_sections(struct process *p, struct wr w[SECTIONS], struct errmsg *msg);
/* "00", "01": the name of memory i. */
void memory_name(uint32_t i, char out[3]);
