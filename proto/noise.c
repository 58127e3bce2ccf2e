/* noise.c - Noise handshakes: the token machine, the symmetric state, the ciphers.
 *
 * A protocol name is taken apart once, by noise_init(): its pattern's text becomes the token list,
 * with NOISE_NEXT between messages and NOISE_PSK where the modifiers say. Writing and reading then
 * walk the same list, so the two directions cannot drift apart. Sections are those of revision 34.
 *
 *	has_key == false: EncryptAndHash passes bytes through; true: it seals with cipher, counter from 0
 *	at == index of NOISE_END: done, noise_split() allowed
 *	dead: an error came; every later call fails
 */
#include "proto/noise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	const char *name, *initiator, *responder, *messages;
};

static const struct pattern patterns[] = {
#define PATTERN(name, initiator, responder, messages) {#name, initiator, responder, messages},
#include "proto/noise_patterns.def"
#undef PATTERN
};

/* --- names and patterns --- */

static const struct pattern *pattern_find(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		if (strlen(patterns[i].name) == size && memcmp(patterns[i].name, name, size) == 0)
			return &patterns[i];
	return NULL;
}

/* "psk0+psk2" as a set of bits; false when it is something else. */
static bool modifiers_parse(const char *p, const char *end, unsigned *places)
{
	*places = 0;
	while (p < end) {
		if (end - p < 4 || memcmp(p, "psk", 3) || p[3] < '0' || p[3] > '9')
			return false;
		unsigned place = (unsigned)(p[3] - '0');
		if (*places >> place) /* in rising order, each once */
			return false;
		*places |= 1u << place;
		p += 4;
		if (p < end && (*p++ != '+' || p == end))
			return false;
	}
	return true;
}

static enum noise_token token_of(const char *p)
{
	if (p[0] == 'e')
		return p[1] == 'e' ? NOISE_EE : p[1] == 's' ? NOISE_ES : NOISE_E;
	return p[1] == 'e' ? NOISE_SE : p[1] == 's' ? NOISE_SS : NOISE_S;
}

static bool token_add(struct noise *n, unsigned *count, enum noise_token t)
{
	if (*count == NOISE_MAX_TOKENS)
		return false;
	n->tokens[(*count)++] = (uint8_t)t;
	return true;
}

/* Fills n->tokens; the list always ends in NOISE_END. */
static bool tokens_make(struct noise *n, const char *text, unsigned places)
{
	unsigned count = 0, message = 1;
	bool ok = !(places & 1) || token_add(n, &count, NOISE_PSK);
	places &= ~1u;
	for (const char *p = text; ok; p++) {
		if (*p == '/' || !*p) {
			if (places & 1u << message)
				ok = token_add(n, &count, NOISE_PSK);
			places &= ~(1u << message++);
			ok = ok && token_add(n, &count, *p ? NOISE_NEXT : NOISE_END);
			if (!*p)
				break;
		} else if (*p != ' ') {
			ok = token_add(n, &count, token_of(p));
			p += p[1] == 'e' || p[1] == 's';
		}
	}
	return ok && !places;
}

static enum err protocol_parse(struct noise *n, const char *name, const struct pattern **pat)
{
	static const char prefix[] = "Noise_";
	size_t size = strlen(name), suite = strlen(NOISE_SUITE), skip = sizeof prefix - 1;
	unsigned places;
	if (size <= skip + suite || memcmp(name, prefix, skip) ||
	    memcmp(name + size - suite, NOISE_SUITE, suite))
		return ERR_UNSUPPORTED;
	const char *p = name + skip, *end = name + size - suite, *mods = p;
	while (mods < end && *mods != 'p')
		mods++;
	*pat = pattern_find(p, (size_t)(mods - p));
	if (!*pat || !modifiers_parse(mods, end, &places) ||
	    !tokens_make(n, (*pat)->messages, places))
		return ERR_UNSUPPORTED;
	n->psk_count = (uint8_t)__builtin_popcount(places);
	return n->psk_count <= NOISE_MAX_PSKS ? ERR_OK : ERR_UNSUPPORTED;
}

/* --- symmetric state (section 5.2) --- */

static void mix_hash(struct noise *n, const void *bytes, size_t size)
{
	struct crypto_hash h;
	crypto_hash_init(&h, sizeof n->hash, NULL, 0);
	crypto_hash_add(&h, n->hash, sizeof n->hash);
	crypto_hash_add(&h, bytes, size);
	crypto_hash_end(&h, n->hash);
}

static void set_key(struct noise *n, const uint8_t key[CRYPTO_KEY_SIZE])
{
	memcpy(n->cipher.key, key, CRYPTO_KEY_SIZE);
	n->cipher.counter = 0;
	n->has_key = true;
}

static void mix_key(struct noise *n, const void *input, size_t size)
{
	uint8_t out[2][CRYPTO_HASH_LONG_SIZE];
	crypto_hkdf(out, 2, n->chain, input, size);
	memcpy(n->chain, out[0], sizeof n->chain);
	set_key(n, out[1]);
	crypto_zero(out, sizeof out);
}

static void mix_key_and_hash(struct noise *n, const void *input, size_t size)
{
	uint8_t out[3][CRYPTO_HASH_LONG_SIZE];
	crypto_hkdf(out, 3, n->chain, input, size);
	memcpy(n->chain, out[0], sizeof n->chain);
	mix_hash(n, out[1], sizeof out[1]);
	set_key(n, out[2]);
	crypto_zero(out, sizeof out);
}

static void encrypt_and_hash(struct noise *n, const void *in, size_t size, struct wr *out)
{
	size_t sealed_size = size + (n->has_key ? CRYPTO_TAG_SIZE : 0);
	uint8_t *p = wr_space(out, sealed_size);
	if (!p)
		return;
	if (n->has_key)
		crypto_seal(p, n->cipher.key, n->cipher.counter++, n->hash, sizeof n->hash, in,
		            size);
	else if (size)
		memcpy(p, in, size);
	mix_hash(n, p, sealed_size);
}

/* out has room for size bytes; *out_size is what it opened to. */
static enum err decrypt_and_hash(struct noise *n, const uint8_t *in, size_t size, uint8_t *out,
                                 size_t *out_size)
{
	*out_size = size;
	if (n->has_key) {
		TRY(crypto_open(out, n->cipher.key, n->cipher.counter, n->hash, sizeof n->hash, in,
		                size));
		n->cipher.counter++;
		*out_size = size - CRYPTO_TAG_SIZE;
	} else if (size) {
		memcpy(out, in, size);
	}
	mix_hash(n, in, size);
	return ERR_OK;
}

/* --- handshake state (section 5.3) --- */

static enum err pre_message(struct noise *n, const char *text, bool ours, struct errmsg *msg)
{
	if (!*text)
		return ERR_OK;
	if (ours ? !n->has_secret : !n->has_remote)
		return err_set(msg, ERR_INVALID, "handshake: the %s static key is missing",
		               ours ? "own" : "peer's");
	mix_hash(n, ours ? n->public_key : n->remote, CRYPTO_KEY_SIZE);
	return ERR_OK;
}

static void hash_start(struct noise *n, const char *protocol)
{
	size_t size = strlen(protocol);
	if (size <= sizeof n->hash)
		memcpy(n->hash, protocol, size);
	else
		crypto_blake2b_keyed(n->hash, sizeof n->hash, NULL, 0, protocol, size);
	memcpy(n->chain, n->hash, sizeof n->chain);
}

static void take_keys(struct noise *n, const struct noise_config *cfg)
{
	n->has_secret = cfg->secret != NULL;
	n->has_remote = cfg->remote != NULL;
	if (cfg->secret) {
		memcpy(n->secret, cfg->secret, CRYPTO_KEY_SIZE);
		crypto_x25519_public(n->public_key, n->secret);
	}
	if (cfg->remote)
		memcpy(n->remote, cfg->remote, CRYPTO_KEY_SIZE);
	if (cfg->psk_count)
		memcpy(n->psks, cfg->psks, cfg->psk_count * sizeof *cfg->psks);
}

enum err noise_init(struct noise *n, const struct noise_config *cfg, struct errmsg *msg)
{
	const struct pattern *pat;
	memset(n, 0, sizeof *n);
	n->dead = true;
	n->initiator = cfg->initiator;
	n->turn = true;
	if (protocol_parse(n, cfg->protocol, &pat) != ERR_OK)
		return err_set(msg, ERR_UNSUPPORTED, "handshake: protocol %.60s is unknown",
		               cfg->protocol);
	if (cfg->psk_count != n->psk_count)
		return err_set(msg, ERR_INVALID, "handshake: %u shared keys, not %u",
		               cfg->psk_count, n->psk_count);
	take_keys(n, cfg);
	hash_start(n, cfg->protocol);
	mix_hash(n, cfg->prologue, cfg->prologue_size);
	TRY(pre_message(n, pat->initiator, cfg->initiator, msg));
	TRY(pre_message(n, pat->responder, !cfg->initiator, msg));
	n->dead = false;
	return ERR_OK;
}

bool noise_is_done(const struct noise *n)
{
	return !n->dead && n->tokens[n->at] == NOISE_END;
}

bool noise_is_my_turn(const struct noise *n)
{
	return !n->dead && !noise_is_done(n) && n->turn == n->initiator;
}

/* ee, es, se, ss: which of our secrets meets which of the peer's keys. */
static enum err mix_dh(struct noise *n, enum noise_token t)
{
	bool first_is_s = t == NOISE_SE || t == NOISE_SS; /* the initiator's key */
	bool second_is_s = t == NOISE_ES || t == NOISE_SS;
	bool ours = n->initiator ? first_is_s : second_is_s;
	bool theirs = n->initiator ? second_is_s : first_is_s;
	uint8_t shared[CRYPTO_KEY_SIZE];
	if ((ours && !n->has_secret) || (theirs && !n->has_remote))
		return ERR_INVALID;
	TRY(crypto_x25519(shared, ours ? n->secret : n->eph_secret,
	                  theirs ? n->remote : n->eph_remote));
	mix_key(n, shared, sizeof shared);
	crypto_zero(shared, sizeof shared);
	return ERR_OK;
}

static void mix_ephemeral(struct noise *n, const uint8_t public_key[CRYPTO_KEY_SIZE])
{
	mix_hash(n, public_key, CRYPTO_KEY_SIZE);
	if (n->psk_count)
		mix_key(n, public_key, CRYPTO_KEY_SIZE);
}

static enum err write_token(struct noise *n, enum noise_token t, const uint8_t *ephemeral,
                            struct wr *out)
{
	switch (t) {
	case NOISE_E:
		memcpy(n->eph_secret, ephemeral, CRYPTO_KEY_SIZE);
		crypto_x25519_public(n->eph_public, n->eph_secret);
		wr_bytes(out, n->eph_public, CRYPTO_KEY_SIZE);
		mix_ephemeral(n, n->eph_public);
		return ERR_OK;
	case NOISE_S:
		if (!n->has_secret)
			return ERR_INVALID;
		encrypt_and_hash(n, n->public_key, CRYPTO_KEY_SIZE, out);
		return ERR_OK;
	case NOISE_PSK: mix_key_and_hash(n, n->psks[n->psk_next++], CRYPTO_KEY_SIZE); return ERR_OK;
	default: return mix_dh(n, t);
	}
}

static enum err read_token(struct noise *n, enum noise_token t, struct rd *r)
{
	const uint8_t *p;
	size_t size = CRYPTO_KEY_SIZE + (t == NOISE_S && n->has_key ? CRYPTO_TAG_SIZE : 0);
	switch (t) {
	case NOISE_E:
		TRY(rd_bytes(r, size, &p));
		memcpy(n->eph_remote, p, CRYPTO_KEY_SIZE);
		mix_ephemeral(n, n->eph_remote);
		return ERR_OK;
	case NOISE_S:
		TRY(rd_bytes(r, size, &p));
		uint8_t key[CRYPTO_KEY_SIZE + CRYPTO_TAG_SIZE];
		TRY(decrypt_and_hash(n, p, size, key, &size));
		memcpy(n->remote, key, CRYPTO_KEY_SIZE);
		n->has_remote = true;
		return ERR_OK;
	case NOISE_PSK: mix_key_and_hash(n, n->psks[n->psk_next++], CRYPTO_KEY_SIZE); return ERR_OK;
	default: return mix_dh(n, t);
	}
}

/* After a message's tokens: steps over NOISE_NEXT. */
static void next_message(struct noise *n)
{
	if (n->tokens[n->at] == NOISE_NEXT) {
		n->at++;
		n->turn = !n->turn;
	}
}

static enum err write_message(struct noise *n, const uint8_t *ephemeral, const void *payload,
                              size_t size, struct wr *out)
{
	for (; n->tokens[n->at] > NOISE_NEXT; n->at++)
		TRY(write_token(n, n->tokens[n->at], ephemeral, out));
	encrypt_and_hash(n, payload, size, out);
	next_message(n);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

enum err noise_write(struct noise *n, const uint8_t ephemeral[CRYPTO_KEY_SIZE], const void *payload,
                     size_t payload_size, struct wr *out)
{
	if (!noise_is_my_turn(n))
		return ERR_STATE;
	size_t start = out->size;
	enum err e = payload_size > NOISE_MAX_SIZE
	                 ? ERR_LIMIT
	                 : write_message(n, ephemeral, payload, payload_size, out);
	if (e == ERR_OK && out->size - start > NOISE_MAX_SIZE)
		e = ERR_LIMIT;
	if (e != ERR_OK) {
		out->size = start;
		noise_end(n);
	}
	return e;
}

static enum err read_message(struct noise *n, struct rd *r, struct wr *payload)
{
	for (; n->tokens[n->at] > NOISE_NEXT; n->at++)
		TRY(read_token(n, n->tokens[n->at], r));
	size_t start = payload->size, size;
	uint8_t *p = wr_space(payload, rd_left(r));
	if (!p)
		return ERR_NOMEM;
	TRY(decrypt_and_hash(n, r->p, rd_left(r), p, &size));
	payload->size = start + size;
	next_message(n);
	return ERR_OK;
}

enum err noise_read(struct noise *n, const void *message, size_t size, struct wr *payload)
{
	if (n->dead || noise_is_done(n) || noise_is_my_turn(n))
		return ERR_STATE;
	struct rd r = rd_of(message, size);
	size_t start = payload->size;
	enum err e = size > NOISE_MAX_SIZE ? ERR_MALFORMED : read_message(n, &r, payload);
	if (e != ERR_OK) {
		payload->size = start;
		noise_end(n);
	}
	return e;
}

const uint8_t *noise_remote(const struct noise *n)
{
	return n->has_remote ? n->remote : NULL;
}

void noise_split(const struct noise *n, struct noise_cipher *send, struct noise_cipher *receive)
{
	uint8_t out[2][CRYPTO_HASH_LONG_SIZE];
	assert(noise_is_done(n));
	crypto_hkdf(out, 2, n->chain, NULL, 0);
	memcpy(send->key, out[n->initiator ? 0 : 1], CRYPTO_KEY_SIZE);
	memcpy(receive->key, out[n->initiator ? 1 : 0], CRYPTO_KEY_SIZE);
	send->counter = receive->counter = 0;
	crypto_zero(out, sizeof out);
}

void noise_end(struct noise *n)
{
	crypto_zero(n, sizeof *n);
	n->dead = true;
}

/* --- transport (section 5.1, 11.3) --- */

enum err noise_seal(struct noise_cipher *c, const void *in, size_t size, uint8_t *out)
{
	if (c->counter == UINT64_MAX)
		return ERR_LIMIT;
	crypto_seal(out, c->key, c->counter++, NULL, 0, in, size);
	return ERR_OK;
}

enum err noise_open(struct noise_cipher *c, const void *in, size_t size, uint8_t *out)
{
	if (c->counter == UINT64_MAX)
		return ERR_LIMIT;
	TRY(crypto_open(out, c->key, c->counter, NULL, 0, in, size));
	c->counter++;
	return ERR_OK;
}

void noise_rekey(struct noise_cipher *c)
{
	uint8_t zero[CRYPTO_KEY_SIZE] = {0}, out[CRYPTO_KEY_SIZE + CRYPTO_TAG_SIZE];
	crypto_seal(out, c->key, UINT64_MAX, NULL, 0, zero, sizeof zero);
	memcpy(c->key, out, CRYPTO_KEY_SIZE);
	crypto_zero(out, sizeof out);
}
