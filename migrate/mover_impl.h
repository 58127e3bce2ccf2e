/* mover_impl.h - the inside of a mover, shared by mover.c, source.c and target.c only. */
#pragma once

#include "migrate/mover.h"

#include <string.h>

enum source_state {
	SOURCE_OFFERED,
	SOURCE_COPYING,
	SOURCE_FREEZING,
	SOURCE_FINAL,
	SOURCE_PREPARING,
	SOURCE_RELEASING,
	SOURCE_RELEASED,
	SOURCE_FORGETTING,
	SOURCE_TAKING,
	SOURCE_STATES
};

struct source {
	uint8_t move[MOVE_ID_SIZE];
	uint8_t peer[PEER_ID_SIZE];
	enum source_state state;
	struct owner record; /* as it is on disk, or would be: state OWNED before, RELEASED after */
	struct owner writing; /* RELEASING, FORGETTING, TAKING: what is being written */
	bool write_pending;
	bool doubt; /* a failed write may have reached the disk */
	uint32_t attempt, round;
	bool base, ask, round_sent;
	bool waits; /* OFFERED: the target is busy with this process, asked again at try_ns */
	uint32_t modules;
	struct chunk_addr image; /* of FINAL */
	uint64_t max_pause_ns;
	struct chunk_addr base_image;
	struct wr spaces, module_list; /* encoded items for OFFER */
	uint32_t nspaces, nmodules;
	uint64_t started_ns, round_started_ns, deadline_ns, try_ns;
	uint64_t round_pages, last_pages;
	struct move_report report;
	char note[320];
	struct source *next;
};

enum target_state {
	TARGET_ADMITTING,
	TARGET_RECEIVING,
	TARGET_CHECKING,
	TARGET_PREPARED,
	TARGET_OWNING,
	TARGET_STARTING,
	TARGET_STORING,
	TARGET_STATES
};

struct target {
	uint8_t move[MOVE_ID_SIZE];
	uint8_t uid[UID_SIZE];
	uint8_t peer[PEER_ID_SIZE];
	enum target_state state;
	bool write_pending;
	bool doubt;     /* a WRITE owned may have reached the disk */
	uint64_t epoch; /* that it would own */
	struct chunk_addr image;
	char name[OWNER_NAME_MAX];
	uint32_t pid;
	struct owner
	    writing; /* OWNING; state GONE: another device was faster, and the doubt must go first */
	uint64_t deadline_ns;
	uint64_t said_ns; /* when the source last heard that it works */
	struct target *next;
};

struct known {
	struct owner record;
	uint8_t mark[UID_SIZE]; /* of its uid, in claims */
	struct known *next, *next_marked;
};

struct peer_link {
	uint8_t id[PEER_ID_SIZE];
	struct peer_link *next; /* links that are up */
};

struct queued {
	struct move_action action;
	struct queued *next;
};

enum { KNOWN_BUCKETS = 256 };

struct mover {
	uint8_t self[PEER_ID_SIZE];
	uint8_t clock[16];
	struct source *sources;
	struct target *targets;
	struct peer_link *links;
	struct queued *first, **last;
	struct known *known[KNOWN_BUCKETS];  /* by uid */
	struct known *marked[KNOWN_BUCKETS]; /* by mark */
	uint32_t nknown, nsources, ntargets;
};

/* ---- mover.c ---- */
static inline bool same_id(const uint8_t *a, const uint8_t *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}
bool link_is_up(const struct mover *m, const uint8_t peer[PEER_ID_SIZE]);
/* Queues an action for the caller; NULL never: out of memory ends the program here, as nothing sound could be
 * done about a half-told protocol. */
struct move_action *push(struct mover *m, enum move_action_kind kind, const uint8_t *move,
                         const uint8_t *uid, const uint8_t *peer);
/* Encodes and queues a message, when the link is up. */
void push_message(struct mover *m, const uint8_t *peer, enum msg type, const void *fields);
void push_bytes(struct move_action *a, const void *bytes, size_t size);
struct owner *known_find(const struct mover *m, const uint8_t uid[UID_SIZE]);
/* Adds or replaces. False when MOVE_RECORDS_MAX is reached. */
bool known_put(struct mover *m, const struct owner *o);
struct source *source_of(const struct mover *m, const uint8_t uid[UID_SIZE]);
struct target *target_of(const struct mover *m, const uint8_t uid[UID_SIZE]);
void send_claim(struct mover *m, const uint8_t *peer, const struct owner *o);
struct str_ref text_ref(const char *text);

/* ---- source.c ---- */
bool source_released(const struct source *s);
void source_free(struct source *s);
void source_offer(struct mover *m, struct source *s, uint64_t now_ns);
void source_message(struct mover *m, struct source *s, enum msg type, const union msg_any *any,
                    uint64_t now_ns);
void source_event(struct mover *m, struct source *s, const struct move_event *ev, uint64_t now_ns);
void source_link(struct mover *m, struct source *s, bool up, uint64_t now_ns);
void source_tick(struct mover *m, struct source *s, uint64_t now_ns);
uint64_t source_deadline(const struct source *s);
/* The process lives elsewhere at least as new: before RELEASED the move fails; after, it is forgotten. */
void source_outdone(struct mover *m, struct source *s, uint64_t now_ns);
/* The same for a released process: someone claims to own epoch. */
void source_claimed(struct mover *m, struct source *s, uint64_t epoch, const uint8_t *owner,
                    uint64_t now_ns);
enum err source_cancel(struct mover *m, struct source *s, enum err err, const char *why);
enum err source_force(struct mover *m, struct source *s);
const char *source_state_text(const struct source *s);

/* ---- target.c ---- */
void target_offer(struct mover *m, const uint8_t *peer, const struct msg_move_offer *o,
                  uint64_t now_ns);
void target_message(struct mover *m, struct target *t, enum msg type, const union msg_any *any,
                    uint64_t now_ns);
void target_event(struct mover *m, struct target *t, const struct move_event *ev, uint64_t now_ns);
void target_link(struct mover *m, struct target *t, bool up, uint64_t now_ns);
void target_tick(struct mover *m, struct target *t, uint64_t now_ns);
uint64_t target_deadline(const struct target *t);
/* Another device claims to own an epoch at least as new. */
void target_outdone(struct mover *m, struct target *t, uint64_t epoch, const uint8_t *owner);
void target_drop(struct mover *m, struct target *t, const char *why);
void target_commit(struct mover *m, const uint8_t *peer, const struct msg_move_commit *c,
                   uint64_t now_ns);
const char *target_state_text(const struct target *t);
