/* cpace.h - CPace, a password-authenticated key exchange: suite CPACE-RISTR255-SHA512.
 *
 * Two sides that hold the same short password get the same strong key; one that does not learns
 * whether its single guess was right, and nothing more. Initiator and responder have fixed roles.
 * Followed: draft-irtf-cfrg-cpace, sections "CPace protocol instructions", "CPace group objects
 * G_Ristretto255" and "Key confirmation" (HMAC-SHA-512). Values only; no I/O; randomness is passed
 * in. Everything in struct cpace is secret but share; cpace_end() forgets it.
 *
 *	cpace_start(&c, &in, random64);                        // send c.share
 *	TRY(cpace_finish(&c, &in, &a, &b, &b, key));           // key: 64 bytes, same on both sides
 *	cpace_tag(tag, key, &in, &a);                         // each sends the tag over its own message
 */
#pragma once

#include "base/bytes.h"
#include "base/crypto.h"

enum {
	CPACE_SHARE_SIZE = CRYPTO_POINT_SIZE,
	CPACE_KEY_SIZE = 64,
	CPACE_TAG_SIZE = 64,
	CPACE_INPUT_MAX = 255, /* bytes of each input */
};

/* What both sides must agree on; borrowed. */
struct cpace_input {
	const void *password;
	size_t password_size;
	const void *channel; /* CI; may be NULL */
	size_t channel_size;
	const void *session; /* sid: public, fresh for each run */
	size_t session_size;
};

struct cpace {
	uint8_t scalar[CRYPTO_SCALAR_SIZE];
	uint8_t share[CPACE_SHARE_SIZE];
};

/* One message of the exchange: a public share and data that goes with it in the clear. */
struct cpace_message {
	const uint8_t *share; /* CPACE_SHARE_SIZE */
	const void *data;     /* AD; may be NULL */
	size_t data_size;
};

/* The generator as an encoded point: a function of the input alone. */
void cpace_generator(uint8_t out[CRYPTO_POINT_SIZE], const struct cpace_input *in);
/* Draws the scalar from random and computes the share. ERR_AUTH cannot happen but for a random of
 * which all bits are zero. */
enum err cpace_start(struct cpace *c, const struct cpace_input *in,
                     const uint8_t random[CRYPTO_WIDE_SIZE]);
/* The intermediate session key ISK. a is the initiator's message, b the responder's; theirs is the one
 * of the two that is not ours. ERR_AUTH: their share is no valid point or the neutral element. */
enum err cpace_finish(const struct cpace *c, const struct cpace_input *in,
                      const struct cpace_message *a, const struct cpace_message *b,
                      const struct cpace_message *theirs, uint8_t key[CPACE_KEY_SIZE]);
/* Key confirmation: the tag that the sender of m shows. Compare with crypto_equal(). */
void cpace_tag(uint8_t tag[CPACE_TAG_SIZE], const uint8_t key[CPACE_KEY_SIZE],
               const struct cpace_input *in, const struct cpace_message *m);
void cpace_end(struct cpace *c);
