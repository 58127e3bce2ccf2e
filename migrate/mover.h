/* mover.h - all moves of one node, without I/O: events in, actions out.
 *
 * A mover knows the ownership records of its node, the moves that leave (source.c) and those that
 * arrive (target.c). It reads no clock, draws no randomness and touches no process: it is told what happened (messages,
 * links, results of actions, the time) and answers with actions, which the caller performs in order and
 * whose results it reports. node/moves/ performs them with real processes; tests/migrate/simulator.c with made-up ones that
 * crash at every step. One thread at a time.
 *
 *	source                                                    target
 *	------                                                    ------
 *	OFFERED    OFFER ------------------------------------->   ADMITTING   ADMIT: room? base? modules?
 *	           <----------------------------------- ACCEPT    RECEIVING
 *	COPYING    SCAN, ROUND ...: SPACES LIST PAGES ... ----->              BULK
 *	  (runs)   ROUND n -->                      <-- ROUND_OK              BARRIER
 *	FREEZING   FREEZE
 *	FINAL      FINAL: SPACES PAGES ... -------------------->              BULK
 *	PREPARING  PREPARE (manifest) ------------------------->   CHECKING    PREPARE: hashes, trial load, frozen
 *	           <--------------------------------- PREPARED    PREPARED
 *	RELEASING  WRITE released(epoch+1, target)   | before this: any failure, and the source runs on
 *	RELEASED   COMMIT ------------------------------------>   OWNING      WRITE owned(epoch+1), pending
 *	  (in flight; COMMIT is repeated for ever)                 STARTING    RUN
 *	           <------------------------------------- RUNS    STORING     WRITE owned(epoch+1) and the image
 *	FORGETTING <------------------------------------ OWNED    (over)
 *	           WRITE gone, FORGET;  FORGOTTEN ------------>   (need not be remembered any more)
 *
 * The image is written to the target's disk after the program runs on, so the pause holds two small writes only; until then the
 * source keeps it. A target killed in STORING has lost it (owner.h, O5): it answers COMMIT with LOST.
 *
 * A device may need long for its part, and says so: WORKING events here, HELD to a source that waits. Only a device that says nothing for
 * MOVE_TIMEOUT ends a move.
 *
 * A target that was restarted has lost what it held: it answers COMMIT with LOST, and the source, still
 * released, offers the frozen image again. A target that cannot write answers HELD. A person may take a released process
 * back (mover_force): TAKING writes owned(forced epoch); a copy that turns up elsewhere is ended by claims, which
 * nodes exchange when a link comes up.
 *
 * M1  A process runs on this node only if it has no record here or its record says OWNED, and no source of it
 *     is in FINAL..FORGETTING.
 * M2  At most one source and one target a uid; not both.
 * M3  A source is released() exactly if the record says RELEASED; then it never asks for THAW.
 * M4  COMMIT is sent only after WRITE released was reported done; RUN is asked only after WRITE owned was.
 * M5  A target answers LOST only if neither its record (but a pending one whose process is gone) nor a target in
 *     OWNING, STARTING or STORING could own that epoch.
 *
 *	mover_start(m, move_id, uid, 1, "doom", peer, &options, now, &msg);
 *	while (mover_next(m, &a)) { perform(&a); move_action_free(&a); }
 *	mover_event(m, &(struct move_event){.kind = MOVE_EV_FROZEN, ...}, now);
 */
#pragma once

#include "base/err.h"
#include "migrate/owner.h"
#include "proto/message.h"

enum {
	MOVE_ID_SIZE = 16,
	MOVES_MAX = 64, /* sources and targets each */
	MOVE_RECORDS_MAX = 65536,
	MOVE_FORMAT = 1, /* of OFFER and everything after it */
	MOVE_ROUNDS_MAX = 12,
};

/* All in ns. */
#define MOVE_TIMEOUT UINT64_C(30000000000)  /* without a sign of work on it, before RELEASED */
#define MOVE_SAY UINT64_C(5000000000)       /* between two HELD of a target that works */
#define MOVE_BUSY UINT64_C(50000000)        /* between offers to a device it is still leaving */
#define MOVE_BUSY_MAX UINT64_C(10000000000) /* and no longer than that in all */
#define MOVE_RETRY UINT64_C(1000000000)     /* of COMMIT and of failed writes */
#define MOVE_KEEP UINT64_C(600000000000)    /* a prepared target whose link is down */
#define MOVE_PAUSE_GOOD UINT64_C(12000000)  /* a predicted pause worth stopping for */
#define MOVE_PAUSE_BASE \
	UINT64_C(6000000) /* beside the last round: save, load, two durable writes */

struct mover;

/* ---- actions ---- */

/* ACTION(name, whose, what the caller does; -> the event it reports, or MOVE_EV_FAILED) */
#define MOVE_ACTIONS(ACTION)                                                                   \
	ACTION(SEND, both, "send bytes (an encoded message) to peer")                          \
	ACTION(SCAN, source,                                                                   \
	       "track writes, send what the peer lacks of the running process -> SENT")        \
	ACTION(WANT, source, "bytes: the peer's WANT; send those pages (part of SCAN)")        \
	ACTION(ROUND, source, "send the pages written since the last round -> SENT")           \
	ACTION(FREEZE, source, "stop the process at a safepoint -> FROZEN or EXITED")          \
	ACTION(THAW, source, "undo FREEZE, also if it is not frozen yet: the process runs on") \
	ACTION(FINAL, source, "the process stands: send the rest and its sections -> FINAL")   \
	ACTION(RESUME, source,                                                                 \
	       "taken back: run it with the record's epoch, from memory or from its image")    \
	ACTION(FORGET, source, "drop the process; keep the image as what the peer has")        \
	ACTION(ADMIT, target, "bytes: the OFFER; look whether it can be taken -> ADMITTED")    \
	ACTION(BULK, target,                                                                   \
	       "bytes: SPACES, LIST, MODULE or PAGES; apply in order (LIST: send WANT)")       \
	ACTION(BARRIER, target, "when everything before is applied -> APPLIED")                \
	ACTION(PREPARE, target, "bytes: manifest; check all, load, stand frozen -> PREPARED")  \
	ACTION(RUN, target, "thaw it with the record's epoch -> RUNNING")                      \
	ACTION(KEEP, target,                                                                   \
	       "it runs and image is on disk: the move is over; keep it as what the peer has") \
	ACTION(DROP, target, "throw away what arrived")                                        \
	ACTION(WRITE, both, "write record durably; with_image: and its image -> WRITTEN")      \
	ACTION(ERASE, both, "remove the record")                                               \
	ACTION(KILL, both, "end the local process, if any: another device has a better claim") \
	ACTION(OVER, source, "the move is over: err, text and report are for the person")

enum move_action_kind {
#define ACTION(name, whose, what) MOVE_ACT_##name,
	MOVE_ACTIONS(ACTION)
#undef ACTION
};

/* What a move cost. */
struct move_report {
	uint32_t rounds;
	uint64_t pages, bytes;           /* sent, all rounds */
	uint64_t last_pages, last_bytes; /* of the round while it stood */
	uint64_t total_ns;               /* start -> OWNED */
	uint64_t pause_ns;               /* frozen -> runs on the target */
	bool
	    pause_exact; /* both ends were read from one clock; else until OWNED arrived: an upper bound */
	uint32_t pid; /* on the target */
	uint64_t frozen_ns;
};

struct move_action {
	enum move_action_kind kind;
	uint8_t move[MOVE_ID_SIZE];
	uint8_t uid[UID_SIZE];
	uint8_t peer[PEER_ID_SIZE];
	uint32_t attempt; /* to be repeated in the event */
	uint32_t round;
	uint8_t *bytes; /* owned: move_action_free() */
	size_t size;
	bool base, ask; /* SCAN, FINAL: the peer has the base; ask with LIST before sending pages */
	bool released;  /* FINAL: the process stands, and may be only an image (after a restart) */
	uint32_t modules;          /* SCAN, FINAL: bit i: the peer lacks module i */
	bool with_image;           /* WRITE */
	struct chunk_addr image;   /* KEEP */
	struct owner record;       /* WRITE, RUN, RESUME, FORGET */
	enum err err;              /* OVER */
	struct errmsg text;        /* OVER, KILL, DROP: why */
	struct move_report report; /* OVER */
};

/* ---- events ---- */

#define MOVE_EVENTS(EVENT)                                                           \
	EVENT(SENT, "pages, bytes: of this round")                                   \
	EVENT(FROZEN, "the process stands")                                          \
	EVENT(EXITED, "the process ended by itself")                                 \
	EVENT(FINAL, "manifest, manifest_size (borrowed), image, pages, bytes")      \
	EVENT(ADMITTED, "base, ask, modules")                                        \
	EVENT(APPLIED, "round")                                                      \
	EVENT(PREPARED, "image, pid")                                                \
	EVENT(WRITTEN, "err: OK; IO when it is not known whether it was written")    \
	EVENT(WORKING, "what an action asked for is still being done; often enough") \
	EVENT(RUNNING, "pid, resumed_ns, clock")                                     \
	EVENT(FAILED, "err, text: SCAN, ROUND, FINAL, ADMIT, BULK or PREPARE could not be done")

enum move_event_kind {
#define EVENT(name, what) MOVE_EV_##name,
	MOVE_EVENTS(EVENT)
#undef EVENT
};

struct move_event {
	enum move_event_kind kind;
	uint8_t
	    move[MOVE_ID_SIZE]; /* of the action; WRITTEN of a record without a move: uid only */
	uint8_t uid[UID_SIZE];  /* WRITTEN */
	uint32_t attempt;
	uint32_t round;
	uint64_t pages, bytes;
	const uint8_t *manifest;
	size_t manifest_size;
	struct chunk_addr image;
	bool base, ask;
	uint32_t modules;
	uint32_t pid;
	uint64_t resumed_ns;
	uint8_t clock[16];
	enum err err;
	struct errmsg text;
};

/* ---- a mover ---- */

struct move_options {
	uint64_t max_pause_ns;  /* 0: none */
	struct chunk_addr base; /* image that the peer is thought to have; null: none */
	const struct msg_move_space *spaces; /* of the process now, for the offer; borrowed */
	uint32_t nspaces;
	const struct msg_move_module *modules;
	uint32_t nmodules;
};

enum err mover_new(const uint8_t self[PEER_ID_SIZE], const uint8_t clock[16], struct mover **out);
void mover_free(struct mover *m);
/* Asserts M1..M5 as far as the mover can see them. */
void mover_check(const struct mover *m);

/* A record read from disk when the node starts; before any link. move_id: fresh, for a RELEASED one. */
void mover_restore(struct mover *m, const struct owner *record, const uint8_t move_id[MOVE_ID_SIZE],
                   uint64_t now_ns);
/* The caller wrote a record by itself (suspend, resume, checkpoint, a new process). ERR_STATE: a claim of a higher epoch came while it was
 * being written; what the mover knows, and writes behind it, stays. */
enum err mover_note(struct mover *m, const struct owner *record);
/* The process ended here: its record becomes ENDED, or is erased when nobody could ask for it. */
void mover_ended(struct mover *m, const uint8_t uid[UID_SIZE]);

/* Whether mover_start() would take it now. */
enum err mover_may_start(const struct mover *m, const struct owner *record,
                         const uint8_t peer[PEER_ID_SIZE], struct errmsg *msg);
enum err mover_start(struct mover *m, const uint8_t move_id[MOVE_ID_SIZE],
                     const struct owner *record, const uint8_t peer[PEER_ID_SIZE],
                     const struct move_options *options, uint64_t now_ns, struct errmsg *msg);
/* Before RELEASED only: ERR_STATE otherwise. */
enum err mover_cancel(struct mover *m, const uint8_t uid[UID_SIZE], uint64_t now_ns,
                      struct errmsg *msg);
/* Takes a released process back. ERR_STATE when it is not in flight. */
enum err mover_force(struct mover *m, const uint8_t uid[UID_SIZE], uint64_t now_ns,
                     struct errmsg *msg);

void mover_link(struct mover *m, const uint8_t peer[PEER_ID_SIZE], bool up, uint64_t now_ns);
/* A MOVE message from an authenticated peer. Hostile within its type: wrong ones are dropped. */
void mover_message(struct mover *m, const uint8_t peer[PEER_ID_SIZE], enum msg type,
                   const union msg_any *any, uint64_t now_ns);
void mover_event(struct mover *m, const struct move_event *ev, uint64_t now_ns);
/* Call when mover_deadline() has come; at least every second does as well. */
void mover_tick(struct mover *m, uint64_t now_ns);
uint64_t mover_deadline(const struct mover *m);

/* Takes the next action; false when there is none. bytes are the caller's. */
bool mover_next(struct mover *m, struct move_action *out);
void move_action_free(struct move_action *a);
const char *move_action_name(enum move_action_kind k);

/* The record as the mover knows it (on disk, or just being written: then the old one). NULL: none. */
const struct owner *mover_record(const struct mover *m, const uint8_t uid[UID_SIZE]);
/* Calls fn for every record. */
void mover_each(const struct mover *m, void (*fn)(void *ctx, const struct owner *o), void *ctx);

/* What a person is told about a process: false when no move of it is under way. */
struct move_status {
	bool leaving;      /* else arriving */
	bool released;     /* in flight */
	const char *state; /* "copying", "preparing", ... constant */
	uint8_t peer[PEER_ID_SIZE];
	uint8_t move[MOVE_ID_SIZE];
	uint32_t round;
	uint64_t pages, bytes;
	char note[320]; /* why it does not get on; may be empty */
};
bool mover_status(const struct mover *m, const uint8_t uid[UID_SIZE], struct move_status *out);
