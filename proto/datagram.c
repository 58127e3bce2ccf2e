/* datagram.c - peers, their sessions, and the four datagrams (little-endian):
 *
 *	1 INITIATION  u8 1, u32 ours, noise e es s ss (80 + 16 + 8 stamp + n), mac1 16, mac2 16
 *	2 RESPONSE    u8 2, u32 ours, u32 yours, noise e ee se (32 + 16 + n), mac1 16, mac2 16
 *	3 DATA        u8 3, u32 yours, u64 counter, sealed n + 16
 *	4 COOKIE      cookie.h
 *
 * A number ("ours") is 16 bits of a slot and 16 of chance. A slot holds what has one:
 *
 *	TRYING   an initiator's handshake: a RESPONSE makes it a session; at most three a peer, the newest
 *	ACCEPTED a responder's handshake that was not answered yet: between datagrams_receive() and datagrams_answer() only
 *	SESSION  keys; a peer has up to three:
 *	    current   we send in it
 *	    previous  what is still under way in it is taken
 *	    next      we are its responder and the peer has not sent in it: it may be a repeated INITIATION's, so we do not either
 */
#include "proto/datagram.h"

#include "base/bytes.h"
#include "proto/cookie.h"
#include "proto/noise.h"
#include "proto/replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { INITIATION = 1, RESPONSE, DATA, COOKIE };
enum {
	STAMP_SIZE = 8,
	INITIATION_HEAD = 1 + 4,
	INITIATION_MIN =
	    INITIATION_HEAD + 32 + 48 + STAMP_SIZE + CRYPTO_TAG_SIZE + COOKIE_MACS_SIZE,
	RESPONSE_HEAD = 1 + 4 + 4,
	RESPONSE_MIN = RESPONSE_HEAD + 32 + CRYPTO_TAG_SIZE + COOKIE_MACS_SIZE,
	DATA_HEAD = 1 + 4 + 8,
	COOKIE_MESSAGE = 1 + 4 + COOKIE_NONCE_SIZE + COOKIE_SEALED_SIZE,
	TRIES_KEPT = 3,
	UNANSWERED_MAX = 3, /* datagrams without a word back, before a session is doubted ... */
	DOUBT_MS = 1000,    /* and this old */
	SLOTS_MAX = 1 << 16,
	NO_PEER = DATAGRAM_PEERS_MAX,
	BUCKETS = 64, /* addresses that showed a cookie, by hash */
	BUCKET_LOAD = 20,
};
_Static_assert(INITIATION_MIN + DATAGRAM_PLAIN_MAX <= DATAGRAM_MAX, "an INITIATION is the largest");
_Static_assert(DATAGRAM_WINDOW == REPLAY_WINDOW, "the window");

static const char prologue[] = "WasmOS datagram 1";

struct session {
	uint32_t ours, yours;
	uint8_t send[CRYPTO_KEY_SIZE], receive[CRYPTO_KEY_SIZE];
	uint64_t counter;
	struct replay replay;
	uint64_t since, heard, sent; /* ms */
	unsigned unanswered;
	bool initiator, owes; /* owes: data came, nothing was sent since */
	uint64_t owes_since;
};

/* A handshake of ours that waits for its RESPONSE. */
struct trying {
	uint32_t ours;
	struct noise noise;
	uint8_t mac1[COOKIE_MAC_SIZE];
	uint64_t since;
};

struct peer {
	bool used;
	uint8_t key[CRYPTO_KEY_SIZE];
	struct cookie_keys keys;
	struct datagram_address address;
	struct session *current, *previous, *next;
	struct trying *trying[TRIES_KEPT]; /* the newest first */
	uint64_t stamp;                    /* the newest of its INITIATIONs */
	uint64_t tries_since;              /* ms */
	unsigned tries, jitter_ms;
	uint8_t cookie[COOKIE_SIZE];
	uint64_t cookie_until; /* ms; 0: none */
};

struct slot {
	uint32_t number; /* 0: free */
	uint16_t peer;
};

/* An INITIATION that was taken and is to be answered. */
struct accepted {
	unsigned peer; /* NO_PEER: none */
	uint32_t yours;
	struct datagram_address from;
	struct noise noise;
};

struct datagrams {
	uint8_t secret[CRYPTO_KEY_SIZE], seed[CRYPTO_KEY_SIZE];
	struct cookie_keys keys;
	struct peer *peers;
	unsigned peer_count, peer_cap;
	struct slot *slots;
	unsigned slot_count, slot_next;
	struct accepted accepted;
	uint64_t second; /* of the counts below */
	unsigned load, load_before;
	uint16_t buckets[BUCKETS];
	uint8_t cookie_secret[2][CRYPTO_KEY_SIZE]; /* this one, the one before */
	uint64_t cookie_since;
	uint64_t last_stamp;
	struct datagram_counts counts;
	struct wr message, payload; /* being written, just read */
	struct wr out;
	size_t out_at;
};

/* --- randomness: each draw replaces the seed, so that what was drawn cannot be found again --- */

static void draw(struct datagrams *d, uint8_t out[CRYPTO_KEY_SIZE])
{
	static const uint8_t one = 1, two = 2;
	crypto_blake2b_keyed(out, CRYPTO_KEY_SIZE, d->seed, sizeof d->seed, &one, 1);
	crypto_blake2b_keyed(d->seed, sizeof d->seed, d->seed, sizeof d->seed, &two, 1);
}

static uint32_t draw_u32(struct datagrams *d)
{
	uint8_t bytes[CRYPTO_KEY_SIZE];
	uint32_t v;
	draw(d, bytes);
	memcpy(&v, bytes, sizeof v);
	return v;
}

/* --- numbers --- */

static enum err more_slots(struct datagrams *d)
{
	unsigned count = d->slot_count ? 2 * d->slot_count : 64;
	if (count > SLOTS_MAX)
		return ERR_LIMIT;
	struct slot *slots = realloc(d->slots, count * sizeof *slots);
	if (!slots)
		return ERR_NOMEM;
	memset(slots + d->slot_count, 0, (count - d->slot_count) * sizeof *slots);
	d->slots = slots;
	d->slot_count = count;
	return ERR_OK;
}

/* A number for something of peer; 0: none left, or no memory. */
static uint32_t take_number(struct datagrams *d, unsigned peer)
{
	for (;;) {
		for (unsigned i = 0; i < d->slot_count; i++) {
			unsigned at = (d->slot_next + i) % d->slot_count;
			if (d->slots[at].number)
				continue;
			uint32_t number = (draw_u32(d) << 16 | at);
			number = number ? number : UINT32_C(1) << 16;
			d->slots[at] = (struct slot){number, (uint16_t)peer};
			d->slot_next = at + 1;
			return number;
		}
		if (more_slots(d) != ERR_OK)
			return 0;
	}
}

static void free_number(struct datagrams *d, uint32_t number)
{
	struct slot *s = &d->slots[number & (SLOTS_MAX - 1)];
	assert(s->number == number);
	*s = (struct slot){0};
}

/* Whose number it is; NO_PEER: nobody's. */
static unsigned peer_of(const struct datagrams *d, uint32_t number)
{
	unsigned at = number & (SLOTS_MAX - 1);
	return number && at < d->slot_count && d->slots[at].number == number ? d->slots[at].peer
	                                                                     : NO_PEER;
}

/* --- ends --- */

static void end_session(struct datagrams *d, struct session **s)
{
	if (!*s)
		return;
	free_number(d, (*s)->ours);
	crypto_zero(*s, sizeof **s);
	free(*s);
	*s = NULL;
}

static void end_trying(struct datagrams *d, struct trying **t)
{
	if (!*t)
		return;
	if ((*t)->ours)
		free_number(d, (*t)->ours);
	noise_end(&(*t)->noise);
	free(*t);
	*t = NULL;
}

static void end_accepted(struct datagrams *d)
{
	noise_end(&d->accepted.noise);
	d->accepted.peer = NO_PEER;
}

static void end_peer(struct datagrams *d, struct peer *p)
{
	end_session(d, &p->current);
	end_session(d, &p->previous);
	end_session(d, &p->next);
	for (unsigned i = 0; i < TRIES_KEPT; i++)
		end_trying(d, &p->trying[i]);
	crypto_zero(p, sizeof *p);
}

enum err datagrams_new(const uint8_t secret[CRYPTO_KEY_SIZE], const uint8_t seed[CRYPTO_KEY_SIZE],
                       struct datagrams **out)
{
	uint8_t key[CRYPTO_KEY_SIZE];
	struct datagrams *d = calloc(1, sizeof *d);
	if (!d)
		return ERR_NOMEM;
	memcpy(d->secret, secret, sizeof d->secret);
	memcpy(d->seed, seed, sizeof d->seed);
	crypto_x25519_public(key, secret);
	cookie_keys(&d->keys, key);
	draw(d, d->cookie_secret[0]);
	draw(d, d->cookie_secret[1]);
	d->accepted.peer = NO_PEER;
	*out = d;
	return ERR_OK;
}

void datagrams_free(struct datagrams *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->peer_count; i++)
		end_peer(d, &d->peers[i]);
	end_accepted(d);
	free(d->peers);
	free(d->slots);
	wr_free(&d->message);
	wr_free(&d->payload);
	wr_free(&d->out);
	crypto_zero(d, sizeof *d);
	free(d);
}

static unsigned peer_by_key(const struct datagrams *d, const uint8_t key[CRYPTO_KEY_SIZE])
{
	for (unsigned i = 0; i < d->peer_count; i++)
		if (d->peers[i].used && !memcmp(d->peers[i].key, key, CRYPTO_KEY_SIZE))
			return i;
	return NO_PEER;
}

static unsigned free_row(const struct datagrams *d)
{
	unsigned i = 0;
	while (i < d->peer_count && d->peers[i].used)
		i++;
	return i;
}

enum err datagrams_add(struct datagrams *d, const uint8_t key[CRYPTO_KEY_SIZE], unsigned *peer)
{
	if (peer_by_key(d, key) != NO_PEER)
		return ERR_EXISTS;
	*peer = free_row(d);
	if (*peer == DATAGRAM_PEERS_MAX)
		return ERR_LIMIT;
	if (*peer == d->peer_cap) {
		unsigned cap = d->peer_cap ? 2 * d->peer_cap : 8;
		struct peer *peers = realloc(d->peers, cap * sizeof *peers);
		if (!peers)
			return ERR_NOMEM;
		d->peers = peers;
		d->peer_cap = cap;
	}
	d->peer_count += *peer == d->peer_count;
	struct peer *p = &d->peers[*peer];
	memset(p, 0, sizeof *p);
	p->used = true;
	memcpy(p->key, key, sizeof p->key);
	cookie_keys(&p->keys, key);
	return ERR_OK;
}

void datagrams_remove(struct datagrams *d, unsigned peer)
{
	assert(peer < d->peer_count);
	if (d->accepted.peer == peer)
		end_accepted(d);
	end_peer(d, &d->peers[peer]);
}

void datagrams_place(struct datagrams *d, unsigned peer, const struct datagram_address *a)
{
	assert(peer < d->peer_count && a->size <= sizeof a->bytes);
	d->peers[peer].address = *a;
}

const struct datagram_address *datagrams_where(const struct datagrams *d, unsigned peer)
{
	return &d->peers[peer].address;
}

struct datagram_counts datagrams_counts(const struct datagrams *d)
{
	return d->counts;
}

/* --- out --- */

/* d->out: an address, u16 size, bytes; and so on. */
static void queue(struct datagrams *d, const struct datagram_address *to)
{
	uint16_t size = (uint16_t)d->message.size;
	assert(d->message.size <= DATAGRAM_MAX);
	if (!wr_ok(&d->message))
		return;
	wr_bytes(&d->out, to, sizeof *to);
	wr_bytes(&d->out, &size, sizeof size);
	wr_bytes(&d->out, d->message.data, size);
}

bool datagrams_next(struct datagrams *d, struct datagram_out *out)
{
	uint16_t size;
	if (d->out_at == d->out.size) {
		wr_clear(&d->out);
		d->out_at = 0;
		return false;
	}
	const uint8_t *p = d->out.data + d->out_at;
	memcpy(&out->address, p, sizeof out->address);
	memcpy(&size, p + sizeof out->address, sizeof size);
	out->bytes = p + sizeof out->address + sizeof size;
	out->size = size;
	d->out_at += sizeof out->address + sizeof size + size;
	return true;
}

/* Both macs for the message as it stands; the cookie, if there is one. */
static bool write_macs(struct datagrams *d, const struct peer *p, uint64_t now_ms)
{
	size_t size = d->message.size;
	if (!wr_space(&d->message, COOKIE_MACS_SIZE) || !wr_ok(&d->message))
		return false;
	cookie_write_macs(&p->keys, now_ms < p->cookie_until ? p->cookie : NULL, d->message.data,
	                  size);
	return true;
}

/* --- sessions --- */

static bool session_sends(const struct session *s, uint64_t now_ms)
{
	return s && now_ms - s->since < DATAGRAM_REJECT_MS &&
	       s->counter < UINT64_MAX - REPLAY_WINDOW;
}

/* The other side may have begun anew and not know this session. */
static bool session_is_doubtful(const struct session *s, uint64_t now_ms)
{
	return s->unanswered >= UNANSWERED_MAX && now_ms - s->heard >= DOUBT_MS;
}

/* Its initiator renews it, and tries that no oftener than it must. */
static bool session_is_old(const struct peer *p, uint64_t now_ms)
{
	const struct trying *t = p->trying[0];
	return p->current->initiator && now_ms - p->current->since >= DATAGRAM_REKEY_MS &&
	       (!t || now_ms - t->since >= DATAGRAM_RETRY_MS);
}

bool datagrams_has_session(const struct datagrams *d, unsigned peer, uint64_t now_ms)
{
	return session_sends(d->peers[peer].current, now_ms);
}

static struct session *new_session(const struct noise *n, uint32_t ours, uint32_t yours,
                                   uint64_t now_ms, bool initiator)
{
	struct noise_cipher send, receive;
	struct session *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	noise_split(n, &send, &receive);
	*s = (struct session){.ours = ours,
	                      .yours = yours,
	                      .since = now_ms,
	                      .heard = now_ms,
	                      .sent = now_ms,
	                      .initiator = initiator};
	memcpy(s->send, send.key, sizeof s->send);
	memcpy(s->receive, receive.key, sizeof s->receive);
	crypto_zero(&send, sizeof send);
	crypto_zero(&receive, sizeof receive);
	return s;
}

static void make_current(struct datagrams *d, struct peer *p, struct session *s)
{
	end_session(d, &p->previous);
	p->previous = p->current;
	p->current = s;
}

static void send_data(struct datagrams *d, struct peer *p, const void *bytes, size_t size,
                      uint64_t now_ms)
{
	struct session *s = p->current;
	wr_clear(&d->message);
	wr_u8(&d->message, DATA);
	wr_u32(&d->message, s->yours);
	wr_u64(&d->message, s->counter);
	uint8_t *sealed = wr_space(&d->message, size + CRYPTO_TAG_SIZE);
	if (!sealed)
		return;
	crypto_seal(sealed, s->send, s->counter++, NULL, 0, bytes, size);
	s->sent = now_ms;
	s->owes = false;
	s->unanswered += size != 0;
	queue(d, &p->address);
}

/* --- initiating --- */

static bool may_try(struct datagrams *d, struct peer *p, uint64_t now_ms)
{
	if (!p->tries || now_ms - p->tries_since >= DATAGRAM_RETRY_MS + p->jitter_ms) {
		p->tries = 0;
		p->tries_since = now_ms;
		p->jitter_ms = draw_u32(d) % DATAGRAM_JITTER_MS;
	}
	return p->tries < DATAGRAM_TRIES;
}

static enum err start_noise(struct datagrams *d, struct noise *n, const uint8_t *remote)
{
	struct noise_config cfg = {.protocol = NOISE_IK,
	                           .initiator = remote != NULL,
	                           .prologue = prologue,
	                           .prologue_size = sizeof prologue - 1,
	                           .secret = d->secret,
	                           .remote = remote};
	return noise_init(n, &cfg, NULL);
}

/* A place for one more, the oldest goes. */
static struct trying *new_trying(struct datagrams *d, unsigned peer)
{
	struct peer *p = &d->peers[peer];
	struct trying *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	end_trying(d, &p->trying[TRIES_KEPT - 1]);
	memmove(p->trying + 1, p->trying, (TRIES_KEPT - 1) * sizeof *p->trying);
	p->trying[0] = t;
	t->ours = take_number(d, peer);
	return t->ours ? t : NULL;
}

static uint64_t next_stamp(struct datagrams *d, uint64_t stamp_ns)
{
	d->last_stamp = stamp_ns > d->last_stamp ? stamp_ns : d->last_stamp + 1;
	return d->last_stamp;
}

static enum err write_initiation(struct datagrams *d, struct trying *t, const struct peer *p,
                                 const void *bytes, size_t size, uint64_t stamp)
{
	uint8_t ephemeral[CRYPTO_KEY_SIZE];
	wr_clear(&d->payload);
	wr_u64(&d->payload, stamp);
	wr_bytes(&d->payload, bytes, size);
	wr_clear(&d->message);
	wr_u8(&d->message, INITIATION);
	wr_u32(&d->message, t->ours);
	if (!wr_ok(&d->payload))
		return ERR_NOMEM;
	TRY(start_noise(d, &t->noise, p->key));
	draw(d, ephemeral);
	enum err e =
	    noise_write(&t->noise, ephemeral, d->payload.data, d->payload.size, &d->message);
	crypto_zero(ephemeral, sizeof ephemeral);
	return e;
}

static enum err initiate(struct datagrams *d, unsigned peer, const void *bytes, size_t size,
                         uint64_t now_ms, uint64_t stamp_ns)
{
	struct peer *p = &d->peers[peer];
	if (!may_try(d, p, now_ms))
		return ERR_AGAIN;
	p->tries++;
	struct trying *t = new_trying(d, peer);
	if (!t)
		return ERR_NOMEM;
	t->since = now_ms;
	enum err e = write_initiation(d, t, p, bytes, size, next_stamp(d, stamp_ns));
	if (e != ERR_OK || !write_macs(d, p, now_ms)) {
		end_trying(d, &p->trying[0]);
		return e == ERR_OK ? ERR_NOMEM : e;
	}
	memcpy(t->mac1, cookie_mac1_of(d->message.data, d->message.size), sizeof t->mac1);
	queue(d, &p->address);
	return ERR_OK;
}

/* --- responding --- */

/* The session is the peer's next one; the RESPONSE carries bytes. */
static void respond(struct datagrams *d, const void *bytes, size_t size, uint64_t now_ms)
{
	struct accepted *a = &d->accepted;
	unsigned peer = a->peer;
	struct peer *p = &d->peers[peer];
	uint8_t ephemeral[CRYPTO_KEY_SIZE];
	uint32_t ours = take_number(d, peer);
	wr_clear(&d->message);
	wr_u8(&d->message, RESPONSE);
	wr_u32(&d->message, ours);
	wr_u32(&d->message, a->yours);
	draw(d, ephemeral);
	struct session *s = NULL;
	if (ours && noise_write(&a->noise, ephemeral, bytes, size, &d->message) == ERR_OK &&
	    write_macs(d, p, now_ms))
		s = new_session(&a->noise, ours, a->yours, now_ms, false);
	crypto_zero(ephemeral, sizeof ephemeral);
	end_accepted(d);
	if (!s) {
		if (ours)
			free_number(d, ours);
		return;
	}
	end_session(d, &p->next);
	p->next = s;
	queue(d, &d->accepted.from);
}

void datagrams_answer(struct datagrams *d, uint64_t now_ms)
{
	if (d->accepted.peer != NO_PEER)
		respond(d, NULL, 0, now_ms);
}

enum err datagrams_send(struct datagrams *d, unsigned peer, const void *bytes, size_t size,
                        uint64_t now_ms, uint64_t stamp_ns)
{
	struct peer *p = &d->peers[peer];
	assert(peer < d->peer_count && p->used);
	if (size > DATAGRAM_PLAIN_MAX)
		return ERR_LIMIT;
	if (d->accepted.peer == peer) {
		respond(d, bytes, size, now_ms);
		return ERR_OK;
	}
	if (!p->address.size)
		return ERR_NOTFOUND;
	if (!session_sends(p->current, now_ms))
		return initiate(d, peer, bytes, size, now_ms, stamp_ns);
	if (session_is_doubtful(p->current, now_ms) &&
	    initiate(d, peer, bytes, size, now_ms, stamp_ns) == ERR_OK)
		return ERR_OK;
	send_data(d, p, bytes, size, now_ms);
	if (session_is_old(p, now_ms))
		initiate(d, peer, NULL, 0, now_ms, stamp_ns);
	return ERR_OK;
}

/* --- taking --- */

static uint32_t u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool give(struct datagrams *d, unsigned peer, size_t from, struct datagram_got *got)
{
	*got = (struct datagram_got){
	    .peer = peer, .bytes = d->payload.data + from, .size = d->payload.size - from};
	return got->size != 0;
}

static void turn_second(struct datagrams *d, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;
	if (second == d->second)
		return;
	d->load_before = second == d->second + 1 ? d->load : 0;
	d->load = 0;
	d->second = second;
	memset(d->buckets, 0, sizeof d->buckets);
}

static void turn_cookie(struct datagrams *d, uint64_t now_ms)
{
	if (now_ms - d->cookie_since < DATAGRAM_COOKIE_MS)
		return;
	memcpy(d->cookie_secret[1], d->cookie_secret[0], CRYPTO_KEY_SIZE);
	draw(d, d->cookie_secret[0]);
	d->cookie_since = now_ms;
}

static void send_cookie(struct datagrams *d, const struct datagram_address *from,
                        const uint8_t *bytes, size_t size)
{
	uint8_t nonce[CRYPTO_KEY_SIZE], cookie[COOKIE_SIZE], sealed[COOKIE_SEALED_SIZE];
	draw(d, nonce);
	cookie_make(cookie, d->cookie_secret[0], from->bytes, from->size);
	cookie_seal(&d->keys, nonce, cookie, cookie_mac1_of(bytes, size), sealed);
	wr_clear(&d->message);
	wr_u8(&d->message, COOKIE);
	wr_bytes(&d->message, bytes + 1, 4);
	wr_bytes(&d->message, nonce, COOKIE_NONCE_SIZE);
	wr_bytes(&d->message, sealed, sizeof sealed);
	queue(d, from);
	d->counts.cookies++;
}

static bool shows_cookie(struct datagrams *d, const struct datagram_address *from,
                         const uint8_t *bytes, size_t size)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t cookie[COOKIE_SIZE];
		cookie_make(cookie, d->cookie_secret[i], from->bytes, from->size);
		if (cookie_mac2_is_right(cookie, bytes, size))
			return d->buckets[cookie[0] % BUCKETS]++ < BUCKET_LOAD;
	}
	return false;
}

/* May an INITIATION have our time? Few may at once; of many only those who show that they receive at their address. */
static bool admit(struct datagrams *d, const struct datagram_address *from, const uint8_t *bytes,
                  size_t size, uint64_t now_ms)
{
	d->counts.initiations++;
	if (!cookie_mac1_is_right(&d->keys, bytes, size)) {
		d->counts.strangers++;
		return false;
	}
	turn_second(d, now_ms);
	turn_cookie(d, now_ms);
	if (++d->load <= DATAGRAM_LOAD && d->load_before <= DATAGRAM_LOAD)
		return true;
	if (shows_cookie(d, from, bytes, size))
		return true;
	send_cookie(d, from, bytes, size);
	return false;
}

/* The sender's number is peer and its stamp is newer than any before; the payload is in d->payload. */
static enum err open_initiation(struct datagrams *d, const uint8_t *bytes, size_t size,
                                unsigned *peer)
{
	struct accepted *a = &d->accepted;
	uint64_t stamp;
	wr_clear(&d->payload);
	TRY(start_noise(d, &a->noise, NULL));
	TRY(noise_read(&a->noise, bytes + INITIATION_HEAD,
	               size - INITIATION_HEAD - COOKIE_MACS_SIZE, &d->payload));
	*peer = peer_by_key(d, noise_remote(&a->noise));
	struct rd r = rd_of(d->payload.data, d->payload.size);
	if (*peer == NO_PEER)
		return ERR_NOTFOUND;
	TRY(rd_u64(&r, &stamp));
	if (stamp <= d->peers[*peer].stamp)
		return ERR_STALE;
	d->peers[*peer].stamp = stamp;
	return ERR_OK;
}

static bool take_initiation(struct datagrams *d, const struct datagram_address *from,
                            const uint8_t *bytes, size_t size, uint64_t now_ms,
                            struct datagram_got *got)
{
	unsigned peer;
	if (size < INITIATION_MIN || !admit(d, from, bytes, size, now_ms))
		return false;
	enum err e = open_initiation(d, bytes, size, &peer);
	if (e != ERR_OK) {
		d->counts.stale += e == ERR_STALE;
		d->counts.strangers += e == ERR_NOTFOUND;
		d->counts.forged += e == ERR_AUTH;
		end_accepted(d);
		return false;
	}
	d->accepted.peer = peer;
	d->accepted.yours = u32_at(bytes + 1);
	d->accepted.from = *from;
	if (!d->peers[peer].address.size)
		d->peers[peer].address = *from;
	return give(d, peer, STAMP_SIZE, got);
}

static struct trying **trying_by_number(struct peer *p, uint32_t number)
{
	for (unsigned i = 0; i < TRIES_KEPT; i++)
		if (p->trying[i] && p->trying[i]->ours == number)
			return &p->trying[i];
	return NULL;
}

static bool take_response(struct datagrams *d, const struct datagram_address *from,
                          const uint8_t *bytes, size_t size, uint64_t now_ms,
                          struct datagram_got *got)
{
	if (size < RESPONSE_MIN || !cookie_mac1_is_right(&d->keys, bytes, size))
		return false;
	uint32_t yours = u32_at(bytes + 1), ours = u32_at(bytes + 5);
	unsigned peer = peer_of(d, ours);
	struct trying **at = peer == NO_PEER ? NULL : trying_by_number(&d->peers[peer], ours);
	if (!at)
		return false;
	struct peer *p = &d->peers[peer];
	struct noise n = (*at)->noise; /* a forged one does not spoil it */
	wr_clear(&d->payload);
	if (noise_read(&n, bytes + RESPONSE_HEAD, size - RESPONSE_HEAD - COOKIE_MACS_SIZE,
	               &d->payload) != ERR_OK) {
		d->counts.forged++;
		return false;
	}
	struct session *s = new_session(&n, ours, yours, now_ms, true);
	noise_end(&n);
	if (!s)
		return false;
	(*at)->ours = 0; /* the session has the number now */
	end_trying(d, at);
	make_current(d, p, s);
	p->address = *from;
	p->tries = 0;
	send_data(d, p, NULL, 0, now_ms);
	return give(d, peer, 0, got);
}

static struct session *session_by_number(struct peer *p, uint32_t number)
{
	struct session *all[] = {p->current, p->previous, p->next};
	for (unsigned i = 0; i < 3; i++)
		if (all[i] && all[i]->ours == number)
			return all[i];
	return NULL;
}

static void session_heard(struct datagrams *d, struct peer *p, struct session *s, size_t size,
                          uint64_t now_ms)
{
	s->heard = now_ms;
	s->unanswered = 0;
	if (size && !s->owes) {
		s->owes = true;
		s->owes_since = now_ms;
	}
	if (s != p->next)
		return;
	p->next = NULL;
	make_current(d, p, s);
}

static bool take_data(struct datagrams *d, const struct datagram_address *from,
                      const uint8_t *bytes, size_t size, uint64_t now_ms, struct datagram_got *got)
{
	if (size < DATA_HEAD + CRYPTO_TAG_SIZE)
		return false;
	uint32_t ours = u32_at(bytes + 1);
	uint64_t counter = u32_at(bytes + 5) | (uint64_t)u32_at(bytes + 9) << 32;
	unsigned peer = peer_of(d, ours);
	struct session *s = peer == NO_PEER ? NULL : session_by_number(&d->peers[peer], ours);
	if (!s || now_ms - s->since >= DATAGRAM_REJECT_MS)
		return false;
	if (!replay_is_new(&s->replay, counter)) {
		d->counts.replayed++;
		return false;
	}
	size_t plain = size - DATA_HEAD - CRYPTO_TAG_SIZE;
	wr_clear(&d->payload);
	uint8_t *out = wr_space(&d->payload, plain + 1);
	if (!out || crypto_open(out, s->receive, counter, NULL, 0, bytes + DATA_HEAD,
	                        plain + CRYPTO_TAG_SIZE) != ERR_OK) {
		d->counts.forged++;
		return false;
	}
	d->payload.size = plain;
	if (replay_note(&s->replay, counter))
		d->peers[peer].address = *from;
	session_heard(d, &d->peers[peer], s, plain, now_ms);
	return give(d, peer, 0, got);
}

static void take_cookie(struct datagrams *d, const uint8_t *bytes, size_t size, uint64_t now_ms)
{
	if (size != COOKIE_MESSAGE)
		return;
	uint32_t ours = u32_at(bytes + 1);
	unsigned peer = peer_of(d, ours);
	struct trying **at = peer == NO_PEER ? NULL : trying_by_number(&d->peers[peer], ours);
	if (!at)
		return;
	struct peer *p = &d->peers[peer];
	uint8_t cookie[COOKIE_SIZE];
	if (cookie_open(&p->keys, bytes + 5, bytes + 5 + COOKIE_NONCE_SIZE, (*at)->mac1, cookie) !=
	    ERR_OK)
		return;
	memcpy(p->cookie, cookie, sizeof cookie);
	p->cookie_until = now_ms + DATAGRAM_COOKIE_MS;
}

bool datagrams_receive(struct datagrams *d, const struct datagram_address *from, const void *bytes,
                       size_t size, uint64_t now_ms, struct datagram_got *got)
{
	const uint8_t *p = bytes;
	datagrams_answer(d, now_ms);
	*got = (struct datagram_got){0};
	if (!size || size > DATAGRAM_MAX || from->size > sizeof from->bytes)
		return false;
	switch (p[0]) {
	case INITIATION: return take_initiation(d, from, p, size, now_ms, got);
	case RESPONSE: return take_response(d, from, p, size, now_ms, got);
	case DATA: return take_data(d, from, p, size, now_ms, got);
	case COOKIE: take_cookie(d, p, size, now_ms); return false;
	default: return false;
	}
}

/* --- time --- */

static void tick_session(struct datagrams *d, struct session **s, uint64_t now_ms)
{
	if (*s && now_ms - (*s)->since >= DATAGRAM_REJECT_MS)
		end_session(d, s);
}

static void tick_peer(struct datagrams *d, struct peer *p, uint64_t now_ms)
{
	tick_session(d, &p->current, now_ms);
	tick_session(d, &p->previous, now_ms);
	tick_session(d, &p->next, now_ms);
	for (unsigned i = 0; i < TRIES_KEPT; i++)
		if (p->trying[i] && now_ms - p->trying[i]->since >= DATAGRAM_RETRY_MS)
			end_trying(d, &p->trying[i]);
	if (p->current && p->current->owes &&
	    now_ms - p->current->owes_since >= DATAGRAM_KEEPALIVE_MS)
		send_data(d, p, NULL, 0, now_ms);
}

void datagrams_tick(struct datagrams *d, uint64_t now_ms)
{
	for (unsigned i = 0; i < d->peer_count; i++)
		if (d->peers[i].used)
			tick_peer(d, &d->peers[i], now_ms);
}
