/* noise.h - the Noise protocol framework, revision 34, for 25519_ChaChaPoly_BLAKE2b.
 *
 * A handshake is a value: noise_init(), then noise_write() and noise_read() in turn as
 * noise_is_my_turn() says, until noise_is_done(); then noise_split() gives the two ciphers of the
 * transport. All patterns of revision 34 and psk modifiers, several at once too; WasmOS itself uses
 * XXpsk3 (pairing) and IK (links). No I/O, no clock; the caller draws the randomness (the secret
 * ephemeral key, used once). After an error the handshake is dead: noise_end() and drop the peer.
 * Any thread, one at a time per handshake.
 *
 *	struct noise n;
 *	TRY(noise_init(&n, &(struct noise_config){.protocol = NOISE_IK, .initiator = true,
 *	                   .secret = mine, .remote = theirs}, &msg));
 *	TRY(noise_write(&n, random32, NULL, 0, &out));     // send out
 *	TRY(noise_read(&n, reply, reply_size, &payload));  // done now
 *	noise_split(&n, &send, &receive);
 */
#pragma once

#include "base/bytes.h"
#include "base/crypto.h"

#define NOISE_SUITE "_25519_ChaChaPoly_BLAKE2b"
#define NOISE_IK "Noise_IK" NOISE_SUITE
#define NOISE_XXPSK3 "Noise_XXpsk3" NOISE_SUITE

enum {
	NOISE_MAX_SIZE = 65535, /* of one message of handshake or transport */
	NOISE_MAX_PSKS = 4,
	NOISE_MAX_TOKENS = 20, /* of one handshake */
};

struct noise_config {
	const char *protocol; /* the whole name; kept as bytes in the hash only */
	bool initiator;
	const void *prologue; /* both sides must have the same; may be NULL */
	size_t prologue_size;
	const uint8_t *secret; /* our static secret key; NULL when the pattern has none */
	const uint8_t *remote; /* the peer's static public key when known beforehand, else NULL */
	const uint8_t (*psks)[CRYPTO_KEY_SIZE]; /* in the order of use */
	unsigned psk_count;
};

/* One direction of the transport. */
struct noise_cipher {
	uint8_t key[CRYPTO_KEY_SIZE];
	uint64_t counter;
};

enum noise_token {
	NOISE_END,
	NOISE_NEXT, /* the other side's message begins */
	NOISE_E,
	NOISE_S,
	NOISE_EE,
	NOISE_ES,
	NOISE_SE,
	NOISE_SS,
	NOISE_PSK
};

struct noise {
	uint8_t chain[CRYPTO_HASH_LONG_SIZE];
	uint8_t hash[CRYPTO_HASH_LONG_SIZE];
	struct noise_cipher cipher; /* counter counts only while has_key */
	uint8_t secret[CRYPTO_KEY_SIZE], public_key[CRYPTO_KEY_SIZE];
	uint8_t eph_secret[CRYPTO_KEY_SIZE], eph_public[CRYPTO_KEY_SIZE];
	uint8_t remote[CRYPTO_KEY_SIZE], eph_remote[CRYPTO_KEY_SIZE];
	uint8_t psks[NOISE_MAX_PSKS][CRYPTO_KEY_SIZE];
	uint8_t psk_count, psk_next;
	bool initiator, has_key, has_secret, has_remote;
	bool turn; /* the next message is the initiator's */
	bool dead;
	uint8_t tokens[NOISE_MAX_TOKENS];
	uint8_t at; /* index of the next token */
};

/* ERR_UNSUPPORTED: an unknown protocol name; ERR_INVALID: a key that the pattern needs beforehand, or
 * a psk, is missing. Copies all it is given. */
enum err noise_init(struct noise *n, const struct noise_config *cfg, struct errmsg *msg);
bool noise_is_my_turn(const struct noise *n);
bool noise_is_done(const struct noise *n);
/* Appends our next message to out. ephemeral is 32 fresh random bytes (used when the message has an
 * e). ERR_LIMIT when it would be above NOISE_MAX_SIZE; ERR_NOMEM. */
enum err noise_write(struct noise *n, const uint8_t ephemeral[CRYPTO_KEY_SIZE], const void *payload,
                     size_t payload_size, struct wr *out);
/* Takes the peer's next message and appends its payload. ERR_AUTH: it does not verify; ERR_MALFORMED:
 * too short or long. Nothing was appended then. */
enum err noise_read(struct noise *n, const void *message, size_t size, struct wr *payload);
/* The peer's static public key, once it is known (IK responder: after the first message); else NULL. */
const uint8_t *noise_remote(const struct noise *n);
/* After the handshake; the hash in n->hash identifies the session (channel binding) until
 * noise_end(). A one-way pattern's initiator only sends, its responder only receives. */
void noise_split(const struct noise *n, struct noise_cipher *send, struct noise_cipher *receive);
/* Forgets all keys. */
void noise_end(struct noise *n);

/* Transport. out has room for size + CRYPTO_TAG_SIZE and may be in. ERR_LIMIT: the nonces are used up. */
enum err noise_seal(struct noise_cipher *c, const void *in, size_t size, uint8_t *out);
/* size is with the tag; out has room for size - CRYPTO_TAG_SIZE and may be in. ERR_AUTH; the nonce
 * does not move then. */
enum err noise_open(struct noise_cipher *c, const void *in, size_t size, uint8_t *out);
/* Section 4.2: a new key from the old one; the counter goes on. */
void noise_rekey(struct noise_cipher *c);
