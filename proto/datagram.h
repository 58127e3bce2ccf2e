/* datagram.h - sealed datagrams between known devices, over UDP or what is like it. No I/O.
 *
 * A session is made by Noise IK in two datagrams, which already carry one datagram of the caller's each way; so somebody who
 * is seldom spoken to costs one exchange, not two. After that each datagram has a 64-bit counter, and is taken once, in
 * any order. A session is renewed after two minutes and forgotten after three. Nothing is repeated: who sends is used to loss.
 *
 *	initiator                                                responder
 *	  INITIATION  e es s ss (stamp, caller's bytes)  ------>   a known key, a newer stamp? else silence
 *	              <------ RESPONSE  e ee se (caller's bytes)   if it sends within the same call's answer, else empty
 *	  DATA        empty, if there is nothing to say  ------>   the session is confirmed: it sends in it too
 *
 * A peer's address is where its newest DATA came from; an INITIATION, which could be a repeated one, is answered where it came from, and moves nobody. It shows that its sender knows our public
 * key (mac1); when many come, it has to show that it receives at its address too (COOKIE, mac2), before anything is computed.
 * The caller's bytes in an INITIATION are as fresh as our memory of stamps: once a life of the node they could be repeated.
 *
 * Time is the caller's clock in milliseconds (monotonic); stamps are nanoseconds that only grow, over restarts too (wall clock).
 * One thread at a time. The bytes: docs/formats/wire.md. Followed: Donenfeld, "WireGuard" (2017), RFC 6479.
 *
 *	TRY(datagrams_new(secret, seed, &d));
 *	TRY(datagrams_add(d, key, &peer));
 *	datagrams_place(d, peer, &address);
 *	datagrams_send(d, peer, bytes, size, now_ms, stamp_ns);
 *	if (datagrams_receive(d, &from, bytes, size, now_ms, &got)) handle(got.peer, got.bytes, got.size);
 *	datagrams_answer(d, now_ms);                          // after what was received was handled
 *	while (datagrams_next(d, &out)) sendto(out.address, out.bytes, out.size);
 */
#pragma once

#include "base/crypto.h"
#include "base/err.h"

enum {
	DATAGRAM_MAX = 1232,       /* of UDP: passes every IPv6 path */
	DATAGRAM_PLAIN_MAX = 1088, /* the caller's: fits an INITIATION too */
	DATAGRAM_PEERS_MAX = 4096,
	DATAGRAM_REKEY_MS = 120000,
	DATAGRAM_REJECT_MS = 180000,
	DATAGRAM_KEEPALIVE_MS = 10000,
	DATAGRAM_RETRY_MS = 5000, /* in so long at most DATAGRAM_TRIES initiations to a peer ... */
	DATAGRAM_JITTER_MS = 334, /* and a bit */
	DATAGRAM_TRIES = 4,
	DATAGRAM_COOKIE_MS = 120000, /* a cookie is good for that long */
	DATAGRAM_LOAD = 100,         /* initiations a second that are answered without a cookie */
	DATAGRAM_WINDOW = 8128,      /* counters: how late one may come */
};

/* Where a datagram comes from or goes to: bytes of the caller's, compared as bytes. */
struct datagram_address {
	uint8_t size;
	uint8_t bytes[28];
};

struct datagrams;

/* seed: 32 fresh random bytes. NOMEM. */
enum err datagrams_new(const uint8_t secret[CRYPTO_KEY_SIZE], const uint8_t seed[CRYPTO_KEY_SIZE],
                       struct datagrams **out);
void datagrams_free(struct datagrams *d);
/* *peer is its number until it is removed. EXISTS; LIMIT; NOMEM. */
enum err datagrams_add(struct datagrams *d, const uint8_t key[CRYPTO_KEY_SIZE], unsigned *peer);
/* Its sessions are forgotten: nothing of it is taken from now on. */
void datagrams_remove(struct datagrams *d, unsigned peer);
/* Where to find it, until it is heard from elsewhere. */
void datagrams_place(struct datagrams *d, unsigned peer, const struct datagram_address *a);
/* Where it is; size 0: not known. */
const struct datagram_address *datagrams_where(const struct datagrams *d, unsigned peer);
/* Is there a session in which we can send? */
bool datagrams_has_session(const struct datagrams *d, unsigned peer, uint64_t now_ms);

/* LIMIT: more than DATAGRAM_PLAIN_MAX; NOTFOUND: no address; AGAIN: too many tries to reach it just now. */
enum err datagrams_send(struct datagrams *d, unsigned peer, const void *bytes, size_t size,
                        uint64_t now_ms, uint64_t stamp_ns);

struct datagram_got {
	unsigned peer;
	const uint8_t *bytes; /* until the next call */
	size_t size;
};
/* Hostile bytes. True: a peer's bytes came. After each call, datagrams_answer(). */
bool datagrams_receive(struct datagrams *d, const struct datagram_address *from, const void *bytes,
                       size_t size, uint64_t now_ms, struct datagram_got *got);
/* Sends a RESPONSE that nothing was there to ride on. */
void datagrams_answer(struct datagrams *d, uint64_t now_ms);
/* At least once a second: keepalives, and what is too old. */
void datagrams_tick(struct datagrams *d, uint64_t now_ms);

struct datagram_out {
	struct datagram_address address;
	const uint8_t *bytes; /* until the next call */
	size_t size;
};
bool datagrams_next(struct datagrams *d, struct datagram_out *out);

/* How much was refused, for people and tests. */
struct datagram_counts {
	uint64_t initiations, cookies, forged, replayed, strangers, stale;
};
struct datagram_counts datagrams_counts(const struct datagrams *d);
