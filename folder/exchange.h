/* exchange.h - two replicas of a folder tell each other what they have: one end, as a state machine without I/O.
 *
 * One exchange lives as long as one link between two devices. Both ends begin with HELLO: what each has seen. Then each sends, in *runs*, the entries that the
 * other does not know whole, by rising id, in batches; DONE ends a run and says what the other has seen with it, and who has what. When the
 * other has that on disk it says so (HAVE), and the next run may begin when there is something new. A link that is cut loses nothing: HELLO also says how far the peer's last run came
 * (*partial*), and the next goes on from there. A peer that saw less than what was forgotten here gets a run with *all* entries (folder_end_list()).
 * Chunks go beside: who wants some asks (WANT), and gets each (CHUNK) or hears that it is not there (LACK).
 *
 * The owner performs actions, in their order, and hands in what comes:
 *	EXCHANGE_SEND	bytes for the peer; borrowed until the next call
 *	EXCHANGE_SAVE	call folder_save(); ask on when that is on disk: nothing is sent before what it rests on
 *	EXCHANGE_LOAD	the peer asks for this chunk: exchange_loaded()
 *	EXCHANGE_STORE	a chunk that was wanted, checked against its address; borrowed until the next call
 *	EXCHANGE_LACK	the peer does not have this chunk
 * exchange_next() is asked while the link has room, so nothing queues up but what a limit bounds. The link keeps the order of messages. One
 * that breaks a rule gives an error and ends the exchange: close the link. Chunks that entries name are asked for by the owner, who knows
 * which ones it has (exchange_want()).
 *
 *	struct exchange *x = exchange_new(f, origin, &partial_of_the_peer);
 *	while (exchange_next(x, &a) == ERR_OK && a.kind != EXCHANGE_IDLE) perform(&a);
 *	on bytes: TRY(exchange_take(x, bytes, size, now_ms, &msg));
 */
#pragma once

#include "folder/folder.h"

enum {
	EXCHANGE_MESSAGE_MAX = CHUNK_MAX + 256, /* bytes */
	EXCHANGE_BATCH = 64 << 10,    /* of entries: a batch is closed when it has so many bytes */
	EXCHANGE_WANTS_MAX = 64,      /* chunks that are asked for at a time */
	EXCHANGE_QUEUE_MAX = 1 << 20, /* wanted, not yet asked for */
};

/* How far a peer's run came that was not finished. The owner keeps it from one link with the peer to the next, in memory or not at all; zeroed at
 * first, freed by exchange_partial_free(). Valid for this replica in memory as it is: a restarted one begins with a zeroed one. */
struct exchange_partial {
	struct vector seen; /* of the peer, when the run began; empty: nothing */
	struct entry_id last;
};

enum exchange_kind {
	EXCHANGE_IDLE,
	EXCHANGE_SEND,
	EXCHANGE_SAVE,
	EXCHANGE_LOAD,
	EXCHANGE_STORE,
	EXCHANGE_LACK,
};

struct exchange_action {
	enum exchange_kind kind;
	const uint8_t *bytes; /* SEND, STORE */
	size_t size;
	struct chunk_addr addr; /* LOAD, STORE, LACK */
};

struct exchange;

/* origin: a number above 0 that no other exchange of this replica has. f and partial are borrowed for its life. NULL: out of memory. */
struct exchange *exchange_new(struct folder *f, uint32_t origin, struct exchange_partial *partial);
void exchange_free(struct exchange *x); /* NULL is fine */
void exchange_partial_free(struct exchange_partial *p);
/* What to do next. ERR_NOMEM. */
enum err exchange_next(struct exchange *x, struct exchange_action *out);
/* bytes NULL: it is not here. Copied. The chunk is that of the last EXCHANGE_LOAD. */
enum err exchange_loaded(struct exchange *x, const void *bytes, size_t size);
/* ERR_MALFORMED, ERR_LIMIT, ERR_STATE (not in this order), ERR_INVALID (another folder; not the chunk it should be), ERR_STALE (we need
 * a new life: folder_needs_new_life()), ERR_NOMEM. The exchange is over then. */
enum err exchange_take(struct exchange *x, const void *bytes, size_t size, uint64_t now_ms,
                       struct errmsg *msg);
/* Asks for a chunk. ERR_EXISTS: asked for already. ERR_LIMIT: EXCHANGE_QUEUE_MAX. */
enum err exchange_want(struct exchange *x, const struct chunk_addr *addr);
/* The peer has all that we have, and we all it said: nothing is under way. */
bool exchange_is_settled(const struct exchange *x);
/* Of the peer, after its HELLO; 0 before. */
uint64_t exchange_peer(const struct exchange *x);
