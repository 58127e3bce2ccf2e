/* member_keys.h - signatures for members that a test or a simulation makes up: a hash that only the member's id goes into. They have
 * the size of real ones and cost nothing, so that a thousand nodes fit into one process; the real ones: proto/test_crypto.c. */
#pragma once

#include "base/crypto.h"
#include "proto/membership.h"

/* ctx: the id of who signs. */
static inline void member_sign(void *ctx, uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes,
                               size_t size)
{
	crypto_blake2b_keyed(proof, MEMBER_PROOF_SIZE, ctx, MEMBER_ID_SIZE, bytes, size);
}

static inline bool member_verify(void *ctx, const uint8_t id[MEMBER_ID_SIZE],
                                 const uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes,
                                 size_t size)
{
	uint8_t right[MEMBER_PROOF_SIZE];
	crypto_blake2b_keyed(right, sizeof right, id, MEMBER_ID_SIZE, bytes, size);
	return crypto_equal(right, proof, sizeof right);
}

/* id is borrowed as long as the membership lives. */
static inline struct membership_keys member_keys(const uint8_t id[MEMBER_ID_SIZE])
{
	return (struct membership_keys){
	    .ctx = (void *)(uintptr_t)id, .sign = member_sign, .verify = member_verify};
}
