/* saver.h - checkpoints of running processes: what a node that was killed goes on from when it is up again.
 *
 * From time to time a process's image goes into the depot and its ownership record names it; a node that starts
 * brings back what its records say ran here (move_records.c). The process is not stopped for longer than by a move: its memory
 * is copied while it runs, then what it wrote meanwhile, and only the last of that while it stands.
 *
 *	IDLE --due, stands for a moment--> COPYING --stands--> sections, last pages --runs on--> STORING --> WRITING --> IDLE
 *	        written pages are tracked    rounds                              chunks to the depot    the record
 *
 * How often: process_config.checkpoint_s, or the node's own interval for what runs in the background. A part of a family
 * (node/wali/kinship.h) is due at once when its image is behind what it and the others have told each other. One process at a time,
 * none that has not run since its last one, and each rests 20 times as long as its checkpoint took (as long, when a person
 * chose its interval): at most 5 % of a core.
 * The copy is kept in memory for the next time, within KEPT_BYTES_MAX of all: then only pages that changed are hashed and
 * written. What uses more than SAVED_BYTES_MAX of memory
 * (pages that are not zero) is not checkpointed; the log and `ps` say so.
 *
 * S1  While COPYING the tracker of the store is ours: a move waits for saver_leave() before it starts its own.
 * S2  A record is only asked for when the process is here, owned, and neither moving nor suspended; what is asked for later
 *     is written later (moves_write), so RELEASED and SUSPENDED stay the last word.
 * S3  Pages of the kept image that count as stored are named by the record on disk; an image that it does not name is dropped.
 *
 * A part of the node; loop thread.
 */
#pragma once

#include "node/process/process.h"

struct saver_status {
	uint64_t count;       /* checkpoints made since the process is here */
	int64_t last_unix_ms; /* when the last one stood */
	uint64_t stood_ns;    /* the longest stop of the last one */
	uint64_t took_ns;     /* from its begin until it was on disk */
	bool too_large;       /* the last one was given up: too much of its memory is in use */
};
/* false: p is not checkpointed, or was not tried yet. */
bool saver_status(struct node *n, const struct process *p, struct saver_status *out);

/* Calls fn when no checkpoint uses p's tracker or writes its record: at once, or soon (the one under way is given up). */
void saver_leave(struct node *n, const struct process *p, void (*fn)(void *ctx), void *ctx);
