/* secure.h - the stream between two known devices: Noise IK, then sealed frames. No I/O.
 *
 * The dialer writes SECURE_MAGIC, then every frame, of the handshake too, is u16 size (little-endian)
 * and that many bytes; sealed frames hold at most SECURE_PLAIN_MAX bytes of plaintext. Both keys of a
 * direction change after every SECURE_REKEY_FRAMES frames, and behind an empty frame, which its sender sends when it likes: secure_rekey(). Those come from the one before;
 * a whole handshake inside the stream makes keys that do not: secure_renew(). Lost, repeated, reordered or changed bytes end the stream: the nonce
 * is the frame's number. After an error the stream is dead.
 *
 *	dialer                                      listener
 *	  secure_dial(out)  -- magic, e es s ss ->    secure_next() = SECURE_CALLER: is the key known?
 *	                                              secure_accept(out)
 *	  secure_next() = SECURE_OPEN  <- e ee se --  (open)
 *	  secure_send(out)  -- sealed frames ------>  secure_next() = SECURE_DATA
 *
 *	  secure_renew(out) -- e es s ss ---------->  secure_next() = SECURE_RENEW
 *	                                              secure_answer(out): what it sends now is under its new key
 *	  secure_next() = SECURE_TURN  <- e ee se --
 *	  secure_turn(out)  -- over --------------->  secure_next() = SECURE_MORE
 *	  (what is sent now is under its new key)
 *
 * The caller owns the receive buffer; frames are opened in place. One thread at a time.
 */
#pragma once

#include "base/bytes.h"
#include "proto/noise.h"

#define SECURE_MAGIC "WOS1" /* "WOSP" begins a pairing connection instead: proto/pairing.h */

enum {
	SECURE_MAGIC_SIZE = 4,
	SECURE_HEAD_SIZE = 2,
	SECURE_PLAIN_MAX = NOISE_MAX_SIZE - CRYPTO_TAG_SIZE,
	SECURE_HANDSHAKE_MAX = 256, /* a larger frame before the stream is open is refused */
	SECURE_REKEY_FRAMES = 1 << 16,
	SECURE_MARKS =
	    0x7e, /* no plaintext that is sent begins with this byte, or the one after it */
};

enum secure_event {
	SECURE_MORE, /* feed more bytes: no whole frame is there (*used is 0), or it only changed the key */
	SECURE_CALLER, /* listener: secure_peer() says who it is; accept or drop the connection */
	SECURE_OPEN,   /* the peer has proved to hold the key: send and receive now */
	SECURE_DATA, /* *data, *size: one frame's plaintext, in the buffer given; at least a byte */
	SECURE_RENEW, /* listener: secure_answer(*data, *size), or nothing, and all goes on as it was */
	SECURE_TURN, /* dialer: secure_turn() */
};

struct secure {
	enum { SECURE_HELLO, SECURE_WAIT, SECURE_DECIDE, SECURE_RUNS, SECURE_DEAD } state;
	struct noise noise; /* until the stream is open, and of the dialer while it renews */
	struct noise_cipher send, receive;
	struct noise_cipher next; /* turning: of the direction that the dialer sends in */
	uint8_t peer[CRYPTO_KEY_SIZE];
	bool magic_seen, dialer, renewing, turning;
};

/* The listener's end. */
void secure_listen(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE]);
/* The dialer's end: appends the first bytes to out. random is 32 fresh bytes. */
enum err secure_dial(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                     const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                     struct wr *out);
/* Listener, after SECURE_CALLER: appends the answer; the stream is open for sending. What the caller
 * sent is trusted to be fresh only after its first sealed frame (the first message can be replayed). */
enum err secure_accept(struct secure *s, const uint8_t random[CRYPTO_KEY_SIZE], struct wr *out);
/* Takes at most one frame from bytes; *used bytes are consumed. ERR_AUTH, ERR_MALFORMED: dead. */
enum err secure_next(struct secure *s, uint8_t *bytes, size_t size, size_t *used,
                     enum secure_event *event, uint8_t **data, size_t *data_size);
/* The peer's public key; known to the listener from SECURE_CALLER on. */
const uint8_t *secure_peer(const struct secure *s);
/* Appends one sealed frame of size bytes (1..SECURE_PLAIN_MAX), given in two parts: head and body. */
enum err secure_send(struct secure *s, const void *head, size_t head_size, const void *body,
                     size_t body_size, struct wr *out);
/* Appends an empty frame: what is sent after it is under another key, from which the one before cannot be told. */
enum err secure_rekey(struct secure *s, struct wr *out);
/* Dialer: begins another handshake between the two, with the keys that they have now; again: the one before is given up. STATE: it is over but
 * for secure_turn(). */
enum err secure_renew(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                      const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                      struct wr *out);
/* Listener, after SECURE_RENEW. An error: it is not peer, or not for us, and nothing has changed. */
enum err secure_answer(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                       const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                       const uint8_t *data, size_t size, struct wr *out);
/* Dialer, after SECURE_TURN. */
enum err secure_turn(struct secure *s, struct wr *out);
void secure_end(struct secure *s);
