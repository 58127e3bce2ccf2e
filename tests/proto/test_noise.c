/* test_noise.c - Noise handshakes against published vectors (data/noise.txt), and under attack. */
#include "proto/noise.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/proto/hex.h"

enum { MESSAGES_MAX = 16 };

struct side {
	uint8_t prologue[128], secret[32], ephemeral[32], remote[32], psks[NOISE_MAX_PSKS][32];
	size_t prologue_size;
	bool has_secret, has_remote;
	unsigned psk_count;
};

struct vector {
	char protocol[128];
	struct side side[2]; /* initiator, responder */
	uint8_t hash[64];
	bool has_hash;
	struct {
		uint8_t payload[256], bytes[512];
		size_t payload_size, size;
	} messages[MESSAGES_MAX];
	unsigned message_count;
};

static void side_line(struct side *s, const char *key, const char *value)
{
	if (!strcmp(key, "prologue"))
		s->prologue_size = hex_bytes(value, s->prologue, sizeof s->prologue);
	else if (!strcmp(key, "static"))
		s->has_secret = hex_bytes(value, s->secret, 32) == 32;
	else if (!strcmp(key, "ephemeral"))
		hex_bytes(value, s->ephemeral, 32);
	else if (!strcmp(key, "remote_static"))
		s->has_remote = hex_bytes(value, s->remote, 32) == 32;
	else if (!strcmp(key, "psk"))
		hex_bytes(value, s->psks[s->psk_count++], 32);
	else
		cr_assert_fail("unknown key %s", key);
}

static void vector_line(struct vector *v, const char *key, const char *value, const char *second)
{
	if (!strcmp(key, "protocol")) {
		snprintf(v->protocol, sizeof v->protocol, "%s", value);
	} else if (!strcmp(key, "handshake_hash")) {
		v->has_hash = hex_bytes(value, v->hash, 64) == 64;
	} else if (!strcmp(key, "message")) {
		cr_assert_lt(v->message_count, MESSAGES_MAX);
		unsigned i = v->message_count++;
		v->messages[i].payload_size =
		    hex_bytes(value[0] == '-' ? "" : value, v->messages[i].payload, 256);
		v->messages[i].size = hex_bytes(second, v->messages[i].bytes, 512);
	} else {
		side_line(&v->side[!strncmp(key, "resp_", 5)], key + 5, value);
	}
}

static void side_init(struct noise *n, const struct vector *v, bool initiator)
{
	const struct side *s = &v->side[!initiator];
	struct errmsg msg = {0};
	struct noise_config cfg = {.protocol = v->protocol,
	                           .initiator = initiator,
	                           .prologue = s->prologue,
	                           .prologue_size = s->prologue_size,
	                           .secret = s->has_secret ? s->secret : NULL,
	                           .remote = s->has_remote ? s->remote : NULL,
	                           .psks = s->psks,
	                           .psk_count = s->psk_count};
	cr_assert_eq(noise_init(n, &cfg, &msg), ERR_OK, "%s: %s", v->protocol, msg.text);
}

static unsigned run_handshake(const struct vector *v, struct noise n[2])
{
	unsigned i = 0;
	for (; !noise_is_done(&n[0]); i++) {
		struct wr out = {0}, payload = {0};
		unsigned from = noise_is_my_turn(&n[0]) ? 0 : 1;
		cr_assert_lt(i, v->message_count);
		cr_assert_eq(noise_write(&n[from], v->side[from].ephemeral, v->messages[i].payload,
		                         v->messages[i].payload_size, &out),
		             ERR_OK);
		cr_assert_eq(out.size, v->messages[i].size, "%s message %u", v->protocol, i);
		cr_assert(memcmp(out.data, v->messages[i].bytes, out.size) == 0, "%s message %u",
		          v->protocol, i);
		cr_assert_eq(noise_read(&n[!from], out.data, out.size, &payload), ERR_OK);
		cr_assert_eq(payload.size, v->messages[i].payload_size);
		cr_assert(!payload.size ||
		          memcmp(payload.data, v->messages[i].payload, payload.size) == 0);
		wr_free(&out);
		wr_free(&payload);
	}
	return i;
}

static bool is_one_way(const char *protocol)
{
	return strchr("NKX", protocol[6]) && (protocol[7] == '_' || protocol[7] == 'p');
}

/* Transport messages alternate, those of a one-way pattern all come from the initiator. The handshake
 * counts in the alternation. */
static void run_transport(const struct vector *v, struct noise n[2], unsigned i)
{
	struct noise_cipher c[2][2]; /* [side][receive] */
	noise_split(&n[0], &c[0][0], &c[0][1]);
	noise_split(&n[1], &c[1][0], &c[1][1]);
	for (; i < v->message_count; i++) {
		unsigned from = is_one_way(v->protocol) ? 0 : i & 1;
		uint8_t out[512];
		size_t size = v->messages[i].payload_size + CRYPTO_TAG_SIZE;
		cr_assert_eq(size, v->messages[i].size);
		cr_assert_eq(
		    noise_seal(&c[from][0], v->messages[i].payload, size - CRYPTO_TAG_SIZE, out),
		    ERR_OK);
		cr_assert(memcmp(out, v->messages[i].bytes, size) == 0, "%s message %u",
		          v->protocol, i);
		cr_assert_eq(noise_open(&c[!from][1], out, size, out), ERR_OK);
		cr_assert(memcmp(out, v->messages[i].payload, size - CRYPTO_TAG_SIZE) == 0);
	}
}

static void run_vector(const struct vector *v)
{
	struct noise n[2];
	side_init(&n[0], v, true);
	side_init(&n[1], v, false);
	unsigned sent = run_handshake(v, n);
	cr_assert(noise_is_done(&n[1]));
	cr_assert(memcmp(n[0].hash, n[1].hash, sizeof n[0].hash) == 0);
	if (v->has_hash)
		cr_assert(memcmp(n[0].hash, v->hash, sizeof v->hash) == 0, "%s", v->protocol);
	run_transport(v, n, sent);
}

Test(noise, the_published_vectors_pass_byte_for_byte)
{
	const char *path = getenv("NOISE_VECTORS") ? getenv("NOISE_VECTORS") : NOISE_DATA;
	FILE *f = fopen(path, "r");
	cr_assert(f, "%s", path);
	char line[2048], key[64], value[1024], second[1024];
	struct vector *v = calloc(1, sizeof *v);
	unsigned count = 0;
	while (fgets(line, sizeof line, f)) {
		int n = line[0] == '#' ? 0 : sscanf(line, "%63s %1023s %1023s", key, value, second);
		if (n >= 2 && strcmp(key, "digest") != 0)
			vector_line(v, key, value, second);
		if (n < 1 && v->protocol[0]) {
			run_vector(v);
			count++;
			memset(v, 0, sizeof *v);
		}
	}
	fclose(f);
	free(v);
	fprintf(stderr, "%u vectors passed\n", count);
	cr_assert_geq(count, 6);
}

/* --- all patterns, by what one vector gives both sides --- */

/* As many as the protocol's name has modifiers. */
static void repeat_psk(struct side *s, const char *protocol)
{
	s->psk_count = 0;
	for (const char *p = protocol; (p = strstr(p, "psk")); p++)
		s->psk_count++;
	for (unsigned i = 1; i < s->psk_count; i++)
		memcpy(s->psks[i], s->psks[0], sizeof s->psks[i]);
}

/* Whose key the other knows before the first message: the pattern says it. */
static bool is_known_before(const char *protocol, bool initiators)
{
	char pattern[8] = "";
	sscanf(protocol, "Noise_%7[A-Z0-9]", pattern);
	size_t last = strlen(pattern) - 1;
	bool deferred = pattern[last] == '1';
	char who = initiators ? pattern[0] : pattern[last - deferred];
	return who == 'K' || (!initiators && last == 0);
}

/* What both sides say, with the handshake's hash before it, as one hash. */
static void digest_vector(struct vector *v, uint8_t out[CRYPTO_HASH_SIZE])
{
	struct noise n[2];
	struct wr said = {0}, payload = {0};
	struct noise_cipher c[2][2];
	unsigned i = 0;
	side_init(&n[0], v, true);
	side_init(&n[1], v, false);
	for (; !noise_is_done(&n[0]); i++) {
		unsigned from = noise_is_my_turn(&n[0]) ? 0 : 1;
		size_t at = said.size;
		cr_assert_eq(noise_write(&n[from], v->side[from].ephemeral, v->messages[i].payload,
		                         v->messages[i].payload_size, &said),
		             ERR_OK);
		cr_assert_eq(noise_read(&n[!from], said.data + at, said.size - at, &payload),
		             ERR_OK);
	}
	noise_split(&n[0], &c[0][0], &c[0][1]);
	noise_split(&n[1], &c[1][0], &c[1][1]);
	for (; i < v->message_count; i++) {
		uint8_t sealed[512];
		unsigned from = is_one_way(v->protocol) ? 0 : i & 1;
		size_t size = v->messages[i].payload_size;
		cr_assert_eq(noise_seal(&c[from][0], v->messages[i].payload, size, sealed), ERR_OK);
		wr_bytes(&said, sealed, size + CRYPTO_TAG_SIZE);
	}
	struct crypto_hash h;
	crypto_hash_init(&h, CRYPTO_HASH_SIZE, NULL, 0);
	crypto_hash_add(&h, n[0].hash, sizeof n[0].hash);
	crypto_hash_add(&h, said.data, said.size);
	crypto_hash_end(&h, out);
	wr_free(&said);
	wr_free(&payload);
}

/* v as its protocol wants it: so many psks, and the keys that are known before. */
static void give(struct vector *v)
{
	for (int i = 0; i < 2; i++) {
		repeat_psk(&v->side[i], v->protocol);
		v->side[i].has_remote = is_known_before(v->protocol, i == 1);
		crypto_x25519_public(v->side[i].remote, v->side[!i].secret);
	}
}

static void find_vector(FILE *f, const char *protocol, struct vector *v)
{
	char line[2048], key[64], value[1024], second[1024];
	while (fgets(line, sizeof line, f)) {
		int n = line[0] == '#' ? 0 : sscanf(line, "%63s %1023s %1023s", key, value, second);
		if (n >= 2 && strcmp(key, "digest") != 0)
			vector_line(v, key, value, second);
		if (n < 1 && !strcmp(v->protocol, protocol))
			return;
		if (n < 1)
			memset(v, 0, sizeof *v);
	}
	cr_assert_fail("no vector of %s", protocol);
}

Test(noise, every_pattern_says_what_it_said_when_all_published_vectors_passed)
{
	FILE *f = fopen(NOISE_DATA, "r");
	char line[2048], name[128], hex[128];
	struct vector *v = calloc(1, sizeof *v);
	unsigned count = 0;
	cr_assert(f && v);
	find_vector(f, "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b", v);
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		uint8_t want[CRYPTO_HASH_SIZE], got[CRYPTO_HASH_SIZE];
		if (sscanf(line, "digest %127s %127s", name, hex) != 2)
			continue;
		cr_assert_eq(hex_bytes(hex, want, sizeof want), sizeof want);
		snprintf(v->protocol, sizeof v->protocol, "Noise_%.60s_25519_ChaChaPoly_BLAKE2b",
		         name);
		give(v);
		digest_vector(v, got);
		cr_assert(memcmp(got, want, sizeof got) == 0, "%s", name);
		count++;
	}
	fclose(f);
	free(v);
	cr_assert_eq(count, 72);
}

static const uint8_t secret_a[32] = {8}, secret_b[32] = {16}, psk[1][32] = {{3}};

static void pair_init(struct noise n[2], const char *protocol)
{
	uint8_t public_b[32];
	bool ik = strcmp(protocol, NOISE_IK) == 0;
	crypto_x25519_public(public_b, secret_b);
	for (int i = 0; i < 2; i++) {
		struct noise_config cfg = {.protocol = protocol,
		                           .initiator = !i,
		                           .secret = i ? secret_b : secret_a,
		                           .remote = ik && !i ? public_b : NULL,
		                           .psks = psk,
		                           .psk_count = !ik};
		cr_assert_eq(noise_init(&n[i], &cfg, NULL), ERR_OK);
	}
}

/* Runs a handshake, flipping one bit of message number at; true when it came through. */
static bool handshake_with_flip(const char *protocol, unsigned at, size_t bit, size_t *bits)
{
	struct noise n[2];
	struct wr out = {0}, payload = {0};
	bool ok = true;
	pair_init(n, protocol);
	for (unsigned i = 0; ok && !(noise_is_done(&n[0]) && noise_is_done(&n[1])); i++) {
		unsigned from = noise_is_my_turn(&n[0]) ? 0 : 1;
		uint8_t eph[32] = {(uint8_t)(24 + 8 * from)};
		wr_clear(&out);
		wr_clear(&payload);
		cr_assert_eq(noise_write(&n[from], eph, "hello", 5, &out), ERR_OK);
		if (i == at && bits)
			*bits = out.size * 8;
		if (i == at && bit != SIZE_MAX)
			out.data[bit / 8] ^= 1 << bit % 8;
		ok = noise_read(&n[!from], out.data, out.size, &payload) == ERR_OK;
		cr_assert(ok || !payload.size);
		cr_assert(ok || noise_read(&n[!from], out.data, out.size, &payload) == ERR_STATE);
	}
	ok = ok && memcmp(n[0].hash, n[1].hash, 64) == 0;
	wr_free(&out);
	wr_free(&payload);
	return ok;
}

static void every_flip_is_noticed(const char *protocol, unsigned messages)
{
	for (unsigned at = 0; at < messages; at++) {
		size_t bits = 0;
		cr_assert(handshake_with_flip(protocol, at, SIZE_MAX, &bits));
		for (size_t bit = 0; bit < bits; bit += bits > 1000 ? 3 : 1)
			cr_assert_not(handshake_with_flip(protocol, at, bit, NULL), "%s %u %zu",
			              protocol, at, bit);
	}
}

Test(noise, a_flipped_bit_anywhere_in_a_handshake_of_ik_ends_it)
{
	every_flip_is_noticed(NOISE_IK, 2);
}

Test(noise, a_flipped_bit_anywhere_in_a_handshake_of_xxpsk3_ends_it)
{
	every_flip_is_noticed(NOISE_XXPSK3, 3);
}

Test(noise, the_responder_of_ik_knows_who_calls_after_the_first_message)
{
	struct noise n[2];
	struct wr out = {0}, payload = {0};
	uint8_t eph[32] = {40}, public_a[32];
	pair_init(n, NOISE_IK);
	crypto_x25519_public(public_a, secret_a);
	cr_assert_null(noise_remote(&n[1]));
	cr_assert_eq(noise_write(&n[0], eph, NULL, 0, &out), ERR_OK);
	cr_assert_eq(noise_write(&n[0], eph, NULL, 0, &out), ERR_STATE);
	cr_assert_eq(noise_read(&n[1], out.data, out.size, &payload), ERR_OK);
	cr_assert(crypto_equal(noise_remote(&n[1]), public_a, 32));
	wr_free(&out);
	wr_free(&payload);
}

Test(noise, unknown_protocols_and_missing_keys_are_refused)
{
	static const char *const bad[] = {
	    "",
	    "Noise_XX",
	    "Noise_XY" NOISE_SUITE,
	    "Noise_XXpsk" NOISE_SUITE,
	    "Noise_XXpsk9" NOISE_SUITE,
	    "Noise_XXpsk3+" NOISE_SUITE,
	    "Noise_XXpsk3+psk1" NOISE_SUITE,
	    "Noise_XX_25519_AESGCM_SHA256",
	    "noise_XX" NOISE_SUITE,
	};
	struct noise n;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(noise_init(&n, &(struct noise_config){.protocol = bad[i]}, NULL),
		             ERR_UNSUPPORTED, "%s", bad[i]);
	cr_assert_eq(
	    noise_init(&n, &(struct noise_config){.protocol = NOISE_IK, .initiator = true}, NULL),
	    ERR_INVALID);
	cr_assert_eq(noise_init(&n, &(struct noise_config){.protocol = NOISE_XXPSK3}, NULL),
	             ERR_INVALID);
	cr_assert_eq(noise_write(&n, secret_a, NULL, 0, NULL), ERR_STATE);
}

Test(noise, a_replayed_or_skipped_transport_message_is_refused_and_rekeying_keeps_step)
{
	struct noise_cipher a = {.key = {5}}, b = {.key = {5}};
	uint8_t one[21], two[21], out[21];
	cr_assert_eq(noise_seal(&a, "12345", 5, one), ERR_OK);
	cr_assert_eq(noise_seal(&a, "67890", 5, two), ERR_OK);
	cr_assert_eq(noise_open(&b, two, 21, out), ERR_AUTH);
	cr_assert_eq(noise_open(&b, one, 21, out), ERR_OK);
	cr_assert_eq(noise_open(&b, one, 21, out), ERR_AUTH);
	cr_assert_eq(noise_open(&b, two, 21, out), ERR_OK);
	noise_rekey(&a);
	cr_assert_eq(noise_seal(&a, "12345", 5, one), ERR_OK);
	cr_assert_eq(noise_open(&b, one, 21, out), ERR_AUTH);
	noise_rekey(&b);
	cr_assert_eq(noise_open(&b, one, 21, out), ERR_OK);
	a.counter = UINT64_MAX;
	cr_assert_eq(noise_seal(&a, "12345", 5, one), ERR_LIMIT);
}
