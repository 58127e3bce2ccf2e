/* solo_screen.h - screen, keyboard and speaker of a program that runs without a node (solo.h).
 *
 * The same drivers and host halves as in a node; the terminal is the caller's own standard input and
 * output. One thread, the one that runs the program.
 */
#pragma once

#include "node/drivers/drivers.h"
#include "node/process/process.h"

struct solo_screen;

/* wait and wake are the program's; borrowed. Opens nothing yet. */
enum err solo_screen_new(const struct process_config *cfg, struct wait *wait, struct os_wake *wake,
                         uint64_t (*clock_ns)(void *ctx), void *ctx, struct solo_screen **out,
                         struct errmsg *msg);
/* Closes what is open; with display.frame_hash the frames and their hash are told on standard error. */
void solo_screen_free(struct solo_screen *s);
struct drivers *solo_screen_drivers(struct solo_screen *s);
