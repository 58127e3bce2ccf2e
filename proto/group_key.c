/* group_key.c - which key holds, and the keys as bytes. */
#include "proto/group_key.h"

#include <string.h>

const struct group_key *group_keys_current(const struct group_keys *k,
                                           const uint8_t cuts[CRYPTO_HASH_SIZE])
{
	return k->count && !memcmp(k->at[0].cuts, cuts, CRYPTO_HASH_SIZE) ? &k->at[0] : NULL;
}

bool group_keys_take(struct group_keys *k, const uint8_t cuts[CRYPTO_HASH_SIZE], uint32_t epoch,
                     const uint8_t secret[CRYPTO_KEY_SIZE], uint64_t now_ms)
{
	const struct group_key *now = group_keys_current(k, cuts);
	if (now && memcmp(now->secret, secret, CRYPTO_KEY_SIZE) <= 0)
		return false;
	memmove(k->at + 1, k->at, (GROUP_KEYS_MAX - 1) * sizeof k->at[0]);
	k->count += k->count < GROUP_KEYS_MAX;
	k->at[0].epoch = epoch;
	k->at[0].since_ms = now_ms;
	memcpy(k->at[0].cuts, cuts, sizeof k->at[0].cuts);
	memcpy(k->at[0].secret, secret, sizeof k->at[0].secret);
	return true;
}

/* One was replaced when the one before it came. */
bool group_keys_expire(struct group_keys *k, uint64_t now_ms)
{
	unsigned keep = 1;
	while (keep < k->count && k->at[keep - 1].since_ms + GROUP_KEY_OLD_MS > now_ms)
		keep++;
	if (keep >= k->count)
		return false;
	crypto_zero(k->at + keep, (k->count - keep) * sizeof k->at[0]);
	k->count = keep;
	return true;
}

static uint8_t *put(uint8_t *p, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*p++ = (uint8_t)(v >> 8 * i);
	return p;
}

size_t group_keys_write(const struct group_keys *k, uint8_t out[GROUP_KEYS_BYTES])
{
	uint8_t *p = out;
	*p++ = GROUP_KEY_FORMAT;
	*p++ = (uint8_t)k->count;
	for (unsigned i = 0; i < k->count; i++) {
		memcpy(p, k->at[i].cuts, CRYPTO_HASH_SIZE);
		memcpy(p + CRYPTO_HASH_SIZE, k->at[i].secret, CRYPTO_KEY_SIZE);
		p = put(p + CRYPTO_HASH_SIZE + CRYPTO_KEY_SIZE, k->at[i].epoch, 4);
		p = put(p, k->at[i].since_ms, 8);
	}
	return (size_t)(p - out);
}

static enum err read_key(struct rd *r, struct group_key *k)
{
	const uint8_t *cuts, *secret;
	TRY(rd_bytes(r, sizeof k->cuts, &cuts));
	TRY(rd_bytes(r, sizeof k->secret, &secret));
	memcpy(k->cuts, cuts, sizeof k->cuts);
	memcpy(k->secret, secret, sizeof k->secret);
	TRY(rd_u32(r, &k->epoch));
	return rd_u64(r, &k->since_ms);
}

static enum err read_all(struct rd *r, struct group_keys *out)
{
	uint8_t format, count;
	TRY(rd_u8(r, &format));
	if (format != GROUP_KEY_FORMAT)
		return ERR_UNSUPPORTED;
	TRY(rd_u8(r, &count));
	if (count > GROUP_KEYS_MAX)
		return ERR_MALFORMED;
	for (out->count = 0; out->count < count; out->count++)
		TRY(read_key(r, &out->at[out->count]));
	return rd_left(r) ? ERR_MALFORMED : ERR_OK;
}

enum err group_keys_read(const void *bytes, size_t size, struct group_keys *out)
{
	struct rd r = rd_of(bytes, size);
	memset(out, 0, sizeof *out);
	enum err e = read_all(&r, out);
	if (e != ERR_OK)
		crypto_zero(out, sizeof *out);
	return e;
}
