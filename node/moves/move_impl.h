/* move_impl.h - the inside of the moves part: moves.c, move_records.c, move_grants.c, move_job.c, move_source.c, move_target.c.
 *
 * A struct move is one try of one process, with its relatives, in one direction. Its jobs run one after the other, on the pool; while one
 * runs, image, delta and the frozen process belong to it, else to the loop. A move that is over lives until its running job ends.
 */
#pragma once

#include "migrate/delta.h"
#include "migrate/snapshot.h"
#include "node/moves/capture.h"
#include "node/links/link.h"
#include "node/process/modules.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/moves/revive.h"
#include "node/store.h"

#include <stdio.h>

enum {
	SLICE_BATCHES = 8, /* batches of a job before its results are sent */
	LIST_PAGES = 512,  /* pages asked about at once */
	SHADOWS_MAX = 16,
	MEMORIES_MAX = 16, /* of one process */
};
#define SHADOW_BYTES_MAX ((uint64_t)512 << 20) /* of all shadows */

/* A message that a job has made, to be sent on the loop. */
struct outgoing {
	enum msg type;
	uint8_t *bytes;
	size_t size;
	uint32_t a, b; /* LIST, WANT: seq; MODULE: module, piece */
	struct outgoing *next;
};

/* A message that has arrived, to be applied by a job. */
struct incoming {
	uint8_t *bytes;
	size_t size;
	struct incoming *next;
};

struct move;

struct job {
	struct move *mv;
	const char *name;            /* of the step "job.NAME" when it is over */
	void (*run)(struct job *j);  /* pool */
	void (*done)(struct job *j); /* loop; err and msg say how it went */
	bool again;                  /* run: not finished, run once more when the link has room */
	uint32_t attempt, round;
	bool fresh; /* FINAL: the peer has nothing: all pages, not only those written */
	enum err err;
	struct errmsg msg;
	uint64_t pages, bytes;
	struct wr data; /* input or result */
	struct chunk_addr image;
	struct owner record;
	struct incoming *in;
	struct job *next;
};

/* Where the bytes of a space are now, and which of its pages are worth a look. */
struct page_source {
	const uint8_t *base;
	uint64_t size;
	const uint8_t *bits; /* written pages; NULL: all */
	uint64_t nbits;
	bool skip;
};

enum scan_phase { SCAN_MODULE, SCAN_SECTIONS, SCAN_MEMORY, SCAN_DONE };

struct move {
	struct moves *moves;
	uint8_t id[MOVE_ID_SIZE];
	uint8_t uid[UID_SIZE];
	uint8_t peer[PEER_ID_SIZE];
	bool leaving, over;
	unsigned busy;       /* callbacks that are using it now, or will be called */
	bool waits_for_link; /* a drained callback is out */
	struct image *image; /* what the target has; NULL until needed */
	struct image *full;  /* released: the image to send again */
	struct delta *delta;
	struct module_list modules; /* leaving: in the order of the offer */
	struct process
	    *p; /* pinned; the leader. Leaving: from the start; arriving: once it is restored */
	struct kin_grip *grip; /* leaving: of it and its relatives */
	struct job *first, **last;
	struct job *running;
	struct outgoing *out, **out_last;

	/* leaving */
	uint32_t attempt;      /* of the FREEZE or SCAN under way */
	bool frozen, freezing; /* process_freeze() has called back; is under way */
	bool base, ask;
	uint32_t send_modules; /* bit i: modules.at[i] */
	struct capture capture;
	struct process *tracked[KIN_MAX]; /* whose written pages are known; the leader first */
	uint32_t ntracked;
	uint8_t
	    *bits[CAPTURE_MEMORIES_MAX]; /* of the capture's memories: written pages; NULL: all */
	uint64_t nbits[CAPTURE_MEMORIES_MAX];
	struct page_source sources[IMAGE_SPACES_MAX];
	enum scan_phase phase;
	uint32_t at_module, piece, at_space;
	uint64_t at_page;
	uint32_t seq, nasked;
	uint64_t sent_pages, sent_bytes; /* of this round, in jobs that are over */
	uint8_t *asked;                  /* LIST_PAGES pages whose WANT is awaited */
	struct {
		uint32_t space, page;
		struct chunk_addr addr;
	} asked_at[LIST_PAGES];
	uint64_t max_pause_ns;
	struct owner record;
	move_over_fn fn;
	void *ctx;

	/* arriving */
	struct incoming *in, **in_last;
	struct code_ref offered[IMAGE_MODULES_MAX];
	uint32_t noffered;
	struct wr code; /* the bytes so far of the module that is coming */
	uint32_t coming, pieces;

	struct move *next;
};

struct shadow {
	uint8_t uid[UID_SIZE];
	uint8_t peer[PEER_ID_SIZE]; /* who has the same */
	struct chunk_addr id;
	struct image *image;
	uint64_t used;
};

struct rec_write {
	struct owner record;
	bool erase;
	uint8_t move[MOVE_ID_SIZE];
	written_fn fn;
	void *ctx;
	struct rec_write *next;
};

struct moves {
	struct node *node;
	struct mover *mover;
	struct move *list;
	struct shadow shadows[SHADOWS_MAX];
	uint64_t shadow_clock;
	unsigned work;      /* pool work under way */
	struct owner *lost; /* ran here without an image when the node was killed */
	size_t nlost;
	struct rec_write *rec_first, **rec_last, *rec_running;
	enum err rec_err;
	struct errmsg rec_msg;
	uv_timer_t timer;
	uint8_t clock[16];
	bool closing, draining, timing;
	struct step_hook {
		char step[64];
		unsigned count;
	} crash_at, cut_at;
	FILE *steps;
	uint32_t since_gc;
};

/* ---- moves.c ---- */
struct move *move_find(struct moves *m, const uint8_t id[MOVE_ID_SIZE]);
struct move *move_new(struct moves *m, const struct move_action *a, bool leaving);
/* No action refers to it any more; freed when no job runs. */
void move_end(struct move *mv);
/* Keeps it while a callback uses it. */
void move_hold(struct move *mv);
void move_let(struct move *mv);
void move_event(struct move *mv, struct move_event *ev);
void move_failed(struct move *mv, uint32_t attempt, enum err e, const struct errmsg *msg);
/* A named step: tests stop the node here. */
void move_step(struct moves *m, const char *role, const char *name);
/* Performs all actions that wait. */
void moves_drain(struct moves *m);

/* ---- move_records.c ---- */
/* Keeps the image as what peer has of uid; takes it. */
void shadow_keep(struct moves *m, const uint8_t uid[UID_SIZE], const uint8_t peer[PEER_ID_SIZE],
                 const struct chunk_addr *id, struct image *im);
/* Takes the image out; NULL when id is not what is there. */
struct image *shadow_take(struct moves *m, const uint8_t uid[UID_SIZE],
                          const uint8_t peer[PEER_ID_SIZE], const struct chunk_addr *id);
/* uid NULL: all of them. */
void shadow_forget(struct moves *m, const uint8_t *uid);
/* The id of the image that peer has of uid; null: none. */
struct chunk_addr shadow_id(struct moves *m, const uint8_t uid[UID_SIZE],
                            const uint8_t peer[PEER_ID_SIZE]);
/* A record of uid waits to be written, or just is. */
bool record_is_coming(const struct moves *m, const uint8_t uid[UID_SIZE]);
void record_write(struct moves *m, const struct owner *record, bool erase,
                  const uint8_t move[MOVE_ID_SIZE], written_fn fn, void *ctx);

/* A module's bytes by its hash, from the depot: struct modules_source. */
enum err moves_find_module(void *ctx, const uint8_t hash[32], uint8_t **bytes, size_t *size);
/* Of a node that starts: what was suspended or in flight is known again, what ran is brought back or lost. */
enum err moves_restore_records(struct moves *m);

/* ---- move_grants.c ---- */
/* Removes what is kept of folders given to programs that are over. Soon. */
void grants_sweep(struct moves *m);
/* The store knows folders given to uid. Any thread. */
bool grants_has(struct node *n, const uint8_t uid[UID_SIZE]);

/* ---- move_job.c ---- */
struct job *job_new(struct move *mv, const char *name, void (*run)(struct job *),
                    void (*done)(struct job *));
/* After all jobs of the move that were added before. */
void job_add(struct job *j);
void job_free(struct job *j);
/* Pool thread: takes bytes over. */
void job_out(struct job *j, enum msg type, struct wr *bytes, uint32_t a, uint32_t b);
void outgoing_free(struct move *mv);
/* Writes what of the image is not yet in the depot, then done (may be NULL). a: the WRITE it is done for, or NULL. */
void job_store(struct move *mv, void (*done)(struct job *), const struct move_action *a);

/* ---- move_source.c ---- */
void source_perform(struct moves *m, struct move_action *a);
void source_move_free(struct move *mv);

/* ---- move_target.c ---- */
/* What has arrived and waits becomes a job. */
void target_flush(struct move *mv);
void target_perform(struct moves *m, struct move_action *a);
void target_move_free(struct move *mv);
