/* proof.c - what a member says of itself, signed by it.
 *
 *	"WasmOS member" 0, u8 kind (1 ALIVE, 4 LEFT, 5 facts), 32 id, u64 incarnation or version, the facts
 *
 * Nobody needs a proof of what is held already: only news is verified, and in a datagram only up to the first that is wrong, so that
 * one who sends rubbish costs one verification a datagram. */
#include "proto/membership_impl.h"

#include <string.h>

static const char label[] = "WasmOS member";

enum { SIGNED_MAX = sizeof label + 1 + MEMBER_ID_SIZE + 8 + FACTS_MAX };

static size_t signed_bytes(uint8_t out[SIGNED_MAX], const uint8_t *id, unsigned kind,
                           uint64_t number, const uint8_t *bytes, uint8_t size)
{
	uint8_t *at = out;
	memcpy(at, label, sizeof label);
	at += sizeof label;
	*at++ = (uint8_t)kind;
	memcpy(at, id, MEMBER_ID_SIZE);
	at += MEMBER_ID_SIZE;
	for (unsigned i = 0; i < 8; i++)
		*at++ = (uint8_t)(number >> 8 * i);
	if (size)
		memcpy(at, bytes, size);
	return (size_t)(at - out) + size;
}

unsigned proof_kind(uint8_t state)
{
	return state == MEMBER_LEFT ? PROOF_LEFT : PROOF_ALIVE;
}

void proof_make(struct membership *m, unsigned kind, uint64_t number, const uint8_t *bytes,
                uint8_t size, uint8_t proof[MEMBER_PROOF_SIZE])
{
	uint8_t all[SIGNED_MAX];
	size_t all_size = signed_bytes(all, m->members[SELF].id, kind, number, bytes, size);
	m->keys.sign(m->keys.ctx, proof, all, all_size);
}

bool proof_holds(struct membership *m, uint16_t row, unsigned kind, uint64_t number,
                 const uint8_t *bytes, uint8_t size, const uint8_t proof[MEMBER_PROOF_SIZE])
{
	uint8_t all[SIGNED_MAX];
	const uint8_t *id = m->members[row].id;
	if (m->doubt || size > FACTS_MAX)
		return false;
	size_t all_size = signed_bytes(all, id, kind, number, bytes, size);
	m->doubt = !m->keys.verify(m->keys.ctx, id, proof, all, all_size);
	return !m->doubt;
}
