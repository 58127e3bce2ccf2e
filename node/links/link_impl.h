/* link_impl.h - what the files of the link share: peers.c (rows), conn.c (one connection), link.c (the
 * part, dispatch), dial.c (listening and dialing), via.c and carry.c (links through a third device), handover.c (from one
 * connection to another), call.c (requests and answers), pairing.c.
 *
 * Truths, asserted by links_check() in tests and after each tick:
 *	p->up is a connection of links->conns with c->peer == p, c->up, !c->closing
 *	p->dialing likewise with c->dialer, !c->up, !c->closing, not through a carrier
 *	p->asking likewise, through a carrier
 *	p->older likewise is up, goes through a carrier, and is not p->up, which is direct
 *	a closing connection is in no peer and gets no more events; it is freed by its close callback
 */
#pragma once

#include "node/links/devices.h"
#include "node/links/link.h"
#include "node/node.h"
#include "proto/secure.h"

enum {
	CONN_FRAGMENT_SIZE = 32 * 1024, /* of a message, in one frame */
	CONN_BATCH_SIZE = 64 * 1024,    /* sealed bytes given to the system at once */
	CONN_WINDOW_SIZE = 128 * 1024,  /* given to libuv and not yet taken by the system */
	CONN_UNSENT_SIZE = 256 * 1024,  /* taken by the system and not yet on the wire */
	CONN_IN_SMALL = 8 * 1024,       /* receive buffer before the peer is known */
	CONN_IN_LARGE = 256 * 1024,
	CONN_OPEN_MS = 5000, /* from the first byte to HELLO */
	CONN_DIAL_MS = 4000, /* for the system's connect */
	CONN_PING_MS = 5000,
	CONN_REKEY_MS = 120000,      /* then who dialed begins a handshake for new keys */
	CONN_REKEY_SLACK_MS = 10000, /* and that much later the other side changes its key alone */
	CONN_SILENT_MS = 15000,
	CONN_OPENING_MAX = 64, /* connections whose peer is not known yet */
	CONN_RATE = 50,        /* such connections a second, on average */
	CONN_BURST = 100,      /* and at once */
	LINK_TICK_MS = 250,
	LINK_ASLEEP_MS = 5000, /* between two ticks: the device slept, or the node was stopped */
	LINK_AWAKE_MS = 3000,  /* after that, for a sign of life by those that were up */
	LINK_BACKOFF_MIN_MS = 250,
	LINK_BACKOFF_MAX_MS = 30000,
	LINK_REFUSALS = 2, /* so many in a row are shown */
	LINK_HALF_MS = 24 * 3600 * 1000,
	LINK_TIE_MS = 5000, /* connections begun closer than this were dialed by both at once */
	LINK_WATCHERS_MAX = 8,
	LINK_DRAINED_MAX = 8,
	CONN_FAREWELL_MS = 1000, /* for last words to a device that was removed */
	LINK_VERSION = 5,
	VIA_NUMBER_SIZE = 16,
	VIA_PIECE_SIZE = 32 * 1024 - 64, /* of a passage, in one frame of the link it goes over */
	VIA_OVERHEAD_SIZE =
	    64, /* that a piece counts for beside its bytes: many small ones cost too */
	VIA_FLYING_SIZE = 256 * 1024, /* sent and not said to be taken: no more is sealed */
	VIA_FLYING_MAX = 384 * 1024,  /* above it a carrier closes the passage */
	VIA_CARRIED_MAX = 64,         /* passages that a carrier keeps */
	VIA_OFFERED_MAX = 64,         /* and those that one carrier may offer us */
	VIA_ASK_MS = 500,             /* so long a direct way is tried alone */
	VIA_UPGRADE_MS = 15000,       /* at most between two rounds of attempts at a direct way */
	VIA_HINT_MS = 5000,           /* and at least, when something says that there may be one */
	HANDOVER_MS = 10000,          /* for what is under way on the old connection */
};

/* Of a row that is kept of a device (PAIR_ROW). */
enum row_flag { ROW_MEMBER = 1, ROW_FILES_ONLY = 2 };

struct conn;
struct links;
struct out_write; /* conn.c */

/* Who else may own a connection's bytes: pairing.c. */
struct conn_user {
	void (*connected)(struct conn *c); /* dialer: the system's connect is through */
	void (*bytes)(struct conn *c, const uint8_t *bytes, size_t size);
	void (*closed)(struct conn *c);
};

struct out_message {
	struct out_message *next;
	struct wr bytes; /* encoded */
	size_t at;       /* sent so far */
};

struct conn {
	uv_tcp_t tcp;         /* of a connection through a carrier: never connected */
	struct peer *carrier; /* NULL: direct */
	uint8_t passage[VIA_NUMBER_SIZE];
	struct links *links;
	struct conn *next;
	struct peer *peer; /* listener: NULL until it is known */
	const struct conn_user *user;
	void *ctx;          /* the user's */
	const char *doomed; /* why it will be closed as soon as nobody is using it */
	char remote[LINK_ADDRESS_SIZE];
	bool dialer, connected, decided, greeted, up, closing, close_when_written;
	/* The exchange of logs (devices_session.c): HELLO has come; what it lacks was sent; all it has has come; READY. */
	bool hello, log_sent, log_whole, ready_sent, ready_heard;
	struct wr staged; /* entries of its log, while it is not whole */
	uint32_t staged_count;
	bool farewell; /* the peer was removed: what it says is not heard any more */
	bool held; /* not read until the older connection has been heard to its end (handover.c) */
	uint8_t over;  /* a bit a lane: LAST has come */
	bool via_turn; /* of the two lanes below the fast one: whose turn it is */
	uint16_t hello_port;
	char hello_name[DEVICE_NAME_MAX + 1];
	struct secure secure;
	uint8_t *in;
	size_t in_size, in_cap;
	struct {
		struct out_message *first, *last;
		size_t queued;   /* bytes */
		struct wr whole; /* of a message that comes in parts */
	} lanes[LINK_LANES];
	size_t writing; /* bytes given to the system */
	struct out_write *spares;
	unsigned spare_count;
	uint64_t session; /* the peer's, from its HELLO */
	uint64_t began_ms, heard_ms, pinged_ms, rekeyed_ms, leave_ms;
	uint64_t
	    doubt_ms; /* not 0: the device has slept since it was heard of; it must answer by then */
	uint64_t sent, received;
	uint32_t rtt_us;
	unsigned renewed; /* handshakes for new keys so far */
};

struct peer {
	struct links *links;
	struct peer *next;
	uint8_t id[DEVICE_ID_SIZE], key[CRYPTO_KEY_SIZE];
	char name[DEVICE_NAME_MAX + 1];
	char addresses[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE]; /* the likeliest first */
	unsigned address_count, address_next;
	char fixed
	    [LINK_ADDRESS_SIZE]; /* one of these, which a person gave and no other drives out; "": none */
	uint64_t seen_unix_ms;
	/* Not 0: our user said yes, and the other's answer was lost. A link with it proves that it was yes; else the row
	 * is removed then. */
	uint64_t half_until_unix_ms;
	unsigned
	    refusals; /* times in a row that it hung up instead of an answer: it does not know us */
	bool removed; /* stays in memory: others may hold the pointer */
	bool
	    member; /* follows the log of devices; else it is joining: the next link enters it there */
	bool files_only; /* joining: as what */
	bool saving, save_again;
	struct conn *up, *dialing, *asking;
	struct conn *older; /* was up, through a carrier, until up was: it is heard to its end */
	uint64_t handover_until_ms;
	uint64_t ask_at_ms, hinted_ms;
	struct peer *asked; /* the carrier that was asked last; NULL: all were */
	uint64_t sent_bytes[MSG_GROUP_COUNT], received_bytes[MSG_GROUP_COUNT]; /* of messages */
	uint64_t dial_at_ms;
	/* For beacons to it alone (discovery.c), by these keys of ours and its. */
	struct {
		uint8_t own[CRYPTO_KEY_SIZE], theirs[CRYPTO_KEY_SIZE], secret[CRYPTO_KEY_SIZE];
	} between;
	uint64_t beacon_ms; /* when one of its beacons was heard last (discovery.c) */
	uint32_t backoff_ms;
	struct {
		void (*fn)(void *ctx, struct peer *p);
		void *ctx;
	} drained[LINK_DRAINED_MAX];
	unsigned drained_count;
};

struct call {
	struct call *next;
	struct conn *conn;
	uint32_t tag;
	uint64_t deadline_ms;
	link_reply_fn fn;
	void *ctx;
};

struct rpc;     /* call.c */
struct passage; /* carry.c */

struct links {
	struct node *node;
	uv_tcp_t listener;
	uv_timer_t timer;
	uv_async_t async;
	uv_mutex_t lock; /* guards rpcs and closed */
	struct rpc *rpcs;
	bool closed;
	bool listening;
	unsigned handles; /* that are open: the last to close frees links */
	unsigned saves;   /* writes of peers under way */
	uint16_t port;
	uint64_t tick_uptime_ns; /* os_uptime_ns() at the last tick */
	uint64_t session;        /* ours: random, one a start */
	struct peer *peers;
	struct conn *conns;
	struct passage *passages; /* that we carry */
	unsigned passage_count;
	struct call *calls;
	uint32_t next_tag;
	unsigned opening; /* connections whose peer is not known */
	uint64_t rate_left, rate_ms, refused, refused_logged_ms;
	uint8_t unpaired[DEVICE_ID_SIZE]; /* who was refused last, and said so in the log */
	uint64_t unpaired_logged_ms;
	struct {
		link_message_fn fn;
		void *ctx;
	} groups[MSG_GROUP_COUNT];
	struct {
		link_watch_fn fn;
		void *ctx;
	} watchers[LINK_WATCHERS_MAX];
	unsigned watcher_count;
	struct {
		link_serve_fn fn;
		void *ctx;
	} services[LINK_SERVICES];
};

uint64_t links_now(const struct links *l);
void links_release_handle(struct links *l);
void links_check(const struct links *l);

/* --- conn.c --- */

/* An unconnected connection; NULL when memory or descriptors ran out. */
struct conn *conn_new(struct links *l, bool dialer);
void conn_start_reading(struct conn *c);
/* Bytes of a connection that goes through a carrier: as if they had been read. */
void conn_feed(struct conn *c, const uint8_t *bytes, size_t size);
/* Of those that it was given to send, so many have gone out. */
void conn_wrote(struct conn *c, size_t size);
/* Nothing is read, and what was read waits, until the next call with false. */
void conn_hold(struct conn *c, bool held);
/* Now; watchers are told. Not from within link_send(): that sets doomed. */
void conn_close(struct conn *c, const char *why);
/* Sends bytes as they are (before and beside the stream) and takes them out of bytes. */
enum err conn_write(struct conn *c, struct wr *bytes);
/* Closes once everything written has gone out. */
void conn_finish(struct conn *c);
/* What waits in the fast lane still goes out, then it is closed; nothing that comes is heard. */
void conn_dismiss(struct conn *c);
/* Queues one encoded message; takes its bytes. */
enum err conn_queue(struct conn *c, struct wr *bytes, enum link_lane lane);
/* For the figures: a message was queued for, or came from, the peer of c (which may have none yet). */
void conn_count_sent(struct conn *c, enum msg type, size_t size);
void conn_count_received(struct conn *c, enum msg type, size_t size);
void conn_pump(struct conn *c);
/* Closes it as soon as nobody is using it. */
void conn_doom(struct conn *c, const char *why);
void conn_tick(struct conn *c, uint64_t now);
/* The device has slept: who is up has to show it soon. */
void conn_doubt(struct conn *c, uint64_t now);
/* "192.0.2.7:4747" from a socket address, IPv4 in IPv6 made plain; port 0: keeps the address's own. */
void address_text(const struct sockaddr *a, uint16_t port, char out[LINK_ADDRESS_SIZE]);
/* Numeric "HOST:PORT" or "[HOST]:PORT". ERR_USAGE. */
enum err address_parse(const char *text, struct sockaddr_storage *out);

/* --- link.c --- */

/* A whole message came. */
enum err links_message(struct conn *c, const uint8_t *bytes, size_t size, struct errmsg *msg);
/* The logs of both are exchanged: the link is up, or closed as a second one. */
enum err links_up(struct conn *c, struct errmsg *msg);
/* Links may be dead without a word: they have a moment to show that they are not, and who has none is dialed at once. */
void links_doubt(struct links *l);
/* Both devices dialed at once, and it is for us to choose: the other connection is the link. */
bool links_is_second(const struct conn *c);
/* The stream is open: says HELLO. */
void links_greet(struct conn *c);
/* Called by conn_close(): takes c out of its peer, tells watchers. */
void links_lost(struct conn *c);
void peer_drained(struct peer *p);

/* --- handover.c --- */

/* The link of p is up on old; c has come up beside it: may it go on there without a loss? */
bool handover_may(const struct conn *old, const struct conn *c);
/* c is p->up from now on. */
void handover_begin(struct peer *p, struct conn *c);
enum err handover_last(struct conn *c, const struct msg_last *m);
/* Bytes of p->older were taken, or LAST came, or time went by. */
void handover_step(struct peer *p, uint64_t now);
/* c, which was p->older, is closed. */
void handover_lost(struct peer *p);

/* --- dial.c --- */

enum err links_listen(struct links *l, struct errmsg *msg);
void links_dial_due(struct links *l, uint64_t now);
/* Dials an address for a user (pairing). NULL with msg set. */
struct conn *links_connect(struct links *l, const struct sockaddr *to, const struct conn_user *user,
                           void *ctx, struct errmsg *msg);
/* SECURE_CALLER: accepts or closes. */
void links_caller(struct conn *c);
void links_retry_later(struct peer *p, uint64_t now);
/* There may be a direct way to a device that we reach through another, or not at all: it is tried soon, address first. NULL: any. */
void links_hint(struct peer *p, const char *address);

/* --- peers.c --- */

enum err peers_load(struct links *l, struct errmsg *msg);
void peers_free(struct links *l);
struct peer *peers_by_key(struct links *l, const uint8_t key[CRYPTO_KEY_SIZE]);
/* Puts the address in front; true when that changed anything. */
bool peer_note_address(struct peer *p, const char *address);
bool peer_note_name(struct peer *p, struct str_ref name);
/* The link is up: a half peer is a whole one from now on. True when it was half. */
bool peer_complete(struct peer *p);
/* Removes half peers whose time is over. */
void peers_tick(struct links *l);
/* Writes the row in the background. */
void peer_save(struct peer *p);
enum err peer_save_now(struct peer *p, struct errmsg *msg);

/* A member of the log of devices has a row like that, from now on. */
void peer_follow(struct node *n, const struct device_row *row);
/* It has changed its key before it came here: that is its id. A row that has it already goes. */
void peer_take_id(struct peer *p, const uint8_t id[DEVICE_ID_SIZE]);
/* Removed: its row goes, and its link when it has been told. */
void peer_dismiss(struct peer *p, const char *why);
/* Its link and attempts to make one end; its row stays. */
void peer_hang_up(struct peer *p, const char *why);
/* Somebody says that it is there, too. True when that is new. */
bool peer_learn_address(struct peer *p, const char *address);

/* --- call.c --- */

enum err calls_message(struct conn *c, enum msg type, const union msg_any *any);
void calls_lost(struct conn *c);
/* Their answers will come on another connection of the same link. */
void calls_follow(struct conn *from, struct conn *to);
void calls_tick(struct links *l, uint64_t now);
void calls_async(struct links *l);
void calls_close(struct links *l);

/* --- pairing.c --- */

/* A connection began with PAIRING_MAGIC: takes it over. */
void pairing_take(struct conn *c);
