/* link.h - the paired devices (peers) and the links to them.
 *
 * A peer is a device we were paired with; its row outlives the node (depot table PEERS). While both
 * nodes run and can reach each other one link is up between them: a TCP connection with the stream
 * of proto/secure.h on it. Links are dialed by themselves, from either side, and again with backoff
 * when they break; nobody but `pair` and `peers` needs to care. Everything belongs to the loop's
 * thread but link_rpc().
 *
 * Messages (proto/messages.def) go out in two lanes: LINK_FAST (control, TTY, FS) always before
 * LINK_BULK (chunks of a move). Inside a lane order is kept; between lanes there is none. A message
 * may be MSG_MAX_SIZE large: it is cut into frames, so that a fast one waits for one frame at most.
 * Nothing is acknowledged: a link that goes down loses what was under way, and says so (link_watch).
 *
 *	link_subscribe(n, MSG_GROUP_MOVE, on_move, mover);
 *	struct peer *p;
 *	TRY(peer_find(n, "laptop", &p, &msg));
 *	TRY(link_send(p, MSG_MOVE_OFFER, &offer, LINK_FAST, &msg));
 *	while (link_queued(p) < LINK_QUEUE_GOAL && more)     // or wait for link_on_drained()
 *		TRY(link_send(p, MSG_MOVE_CHUNKS, &chunks, LINK_BULK, &msg));
 */
#pragma once

#include "base/bytes.h"
#include "node/links/device.h"
#include "proto/message.h"

struct node;
struct peer;

enum {
	LINK_PORT = 4747, /* the default; the next free one when it is taken */
	LINK_PORT_TRIES = 32,
	LINK_PEERS_MAX = 256,
	LINK_ADDRESSES_MAX = 16,   /* remembered of one peer */
	LINK_QUEUE_GOAL = 1 << 20, /* bytes: bulk senders stop above it */
	LINK_QUEUE_MAX = 64 << 20, /* bytes: link_send() answers ERR_FULL above it */
	LINK_RPC_TIMEOUT_MS = 10000,
	LINK_SERVICES = 8,
};

/* LINK_VIA: what is carried for others, by turns with the bulk lane. */
enum link_lane { LINK_FAST, LINK_BULK, LINK_VIA, LINK_LANES };

/* --- peers --- */

/* Room for "[ipv6%zone]:port" and a zero. */
enum { LINK_ADDRESS_SIZE = 80 };

const uint8_t *peer_id(const struct peer *p); /* DEVICE_ID_SIZE */
const char *peer_name(const struct peer *p);  /* as its owner named it; may not be unique */
/* The name of the device with that id; NULL: it is not known here. */
const char *peer_called(struct node *n, const uint8_t id[DEVICE_ID_SIZE]);
bool peer_is_up(const struct peer *p);
bool peer_is_direct(const struct peer *p); /* up, and through no other device */
/* The device that its link goes through; NULL: none is up, or it is direct. */
const struct peer *peer_carrier(const struct peer *p);
bool peer_is_half(
    const struct peer *p); /* our user said yes, its answer was lost; see peer_add_half() */
bool peer_refuses(const struct peer *p);          /* it is there, and does not know us (any more) */
uint32_t peer_rtt_us(const struct peer *p);       /* of the last ping; 0: none yet */
uint64_t peer_seen_unix_ms(const struct peer *p); /* when it was last up */
/* Where it is, or where it was last: "192.0.2.7:4747"; "" when unknown. */
const char *peer_address(const struct peer *p);
struct peer *peer_by_id(struct node *n, const uint8_t id[DEVICE_ID_SIZE]); /* NULL: none */
/* By name or by the first digits of the id, at least 4. ERR_NOTFOUND, ERR_EXISTS (ambiguous): msg says
 * what to type instead. */
enum err peer_find(struct node *n, const char *text, struct peer **out, struct errmsg *msg);
/* Rows in order of name. NULL at the end. */
struct peer *peer_first(struct node *n);
struct peer *peer_next(struct peer *p);
/* Adds or renews a peer, durably, and dials it. addresses: "HOST:PORT" numeric. */
enum err peer_add(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE], const char *name,
                  const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count, struct peer **out,
                  struct errmsg *msg);
/* Likewise, when our user said yes and the other side's answer was lost: it may have us as its peer. It becomes a
 * peer when a link with it comes up, and is forgotten after a day. */
enum err peer_add_half(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE], const char *name,
                       const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count,
                       struct errmsg *msg);
/* A person says where it can always be called, or "" that this is over. Durable. ERR_USAGE: no address. */
enum err peer_fix_address(struct peer *p, const char *address, struct errmsg *msg);
/* Forgets it, durably; its link is closed. Watchers hear that it is down first. */
enum err peer_remove(struct node *n, struct peer *p, struct errmsg *msg);

/* --- messages --- */

/* ERR_CLOSED: the link is down; ERR_FULL: LINK_QUEUE_MAX; errors of msg_encode(). All or nothing. */
enum err link_send(struct peer *p, enum msg type, const void *fields, enum link_lane lane,
                   struct errmsg *msg);
/* Bytes that wait in the bulk lane. */
size_t link_queued(const struct peer *p);
/* fn is called once, when less than half of LINK_QUEUE_GOAL is queued, or the link went down. */
enum err link_on_drained(struct peer *p, void (*fn)(void *ctx, struct peer *p), void *ctx);
/* Each message of the group is handed to fn; what it points to is gone when fn returns. One
 * subscriber a group (ERR_EXISTS); subscribe when the part opens. An error of fn ends the link: the
 * peer broke the rules. */
typedef enum err (*link_message_fn)(void *ctx, struct peer *p, enum msg type,
                                    const union msg_any *any, struct errmsg *msg);
enum err link_subscribe(struct node *n, enum msg_group group, link_message_fn fn, void *ctx);
/* Told of every link that comes up or goes down. */
typedef void (*link_watch_fn)(void *ctx, struct peer *p, bool up);
enum err link_watch(struct node *n, link_watch_fn fn, void *ctx);
/* Dials now, without waiting for the backoff. */
void link_dial(struct peer *p);
/* For tests: shuts the link's socket down, as when a cable is pulled that comes back later. */
void link_cut(struct peer *p);
/* Bytes sent and received over the link since it came up, as they were on the wire. */
void link_bytes(const struct peer *p, uint64_t *sent, uint64_t *received);

/* --- calls: a request and its answer --- */

/* A device without a row here, down, or silent for timeout_ms: ERR_CLOSED or ERR_TIMEOUT. body may be
 * 512 KiB. fn is called once, later, on the loop; reply is gone when it returns. */
typedef void (*link_reply_fn)(void *ctx, enum err e, const uint8_t *reply, size_t size);
void link_call(struct node *n, const uint8_t device[DEVICE_ID_SIZE], uint8_t service,
               const void *body, size_t size, uint32_t timeout_ms, link_reply_fn fn, void *ctx);
/* The same from any thread but the loop's; blocks it. Appends the reply. */
enum err link_rpc(struct node *n, const uint8_t device[DEVICE_ID_SIZE], uint8_t service,
                  const void *body, size_t size, uint32_t timeout_ms, struct wr *reply);
/* Who serves calls of a service (0..LINK_SERVICES - 1). fn answers by link_answer(), once, at once or
 * later; call is a value to keep (the link may be gone by then: the answer is dropped). */
struct link_caller {
	struct node *node;
	uint8_t device[DEVICE_ID_SIZE];
	uint64_t session; /* of the link it came by */
	uint32_t tag;
};
typedef void (*link_serve_fn)(void *ctx, const struct link_caller *call, const uint8_t *body,
                              size_t size);
enum { LINK_SERVICE_FS = 0, LINK_SERVICE_ASK = 1, LINK_SERVICE_SHARE = 2, LINK_SERVICE_CHUNK = 4 };
enum err link_serve(struct node *n, uint8_t service, link_serve_fn fn, void *ctx);
/* e other than ERR_OK goes to the caller as its error. The loop's thread. */
void link_answer(const struct link_caller *call, enum err e, const void *body, size_t size);

/* --- for pairing.c and the commands --- */

uint16_t link_port(struct node *n);
/* By which others on this machine reach us. */
void link_local_address(struct node *n, char out[LINK_ADDRESS_SIZE]);
/* Addresses by which others may reach us, the likeliest first; the one of up --listen alone, if it names one. */
unsigned link_own_addresses(struct node *n, char (*out)[LINK_ADDRESS_SIZE], unsigned max);
