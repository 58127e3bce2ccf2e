/* test_crypto.c - base/crypto against the published vectors of each primitive. */
#include "base/crypto.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/proto/hex.h"

static void expect_hex(const uint8_t *got, size_t size, const char *hex)
{
	uint8_t want[512];
	size_t n = hex_bytes(hex, want, sizeof want);
	cr_assert_eq(n, size);
	cr_assert(memcmp(got, want, size) == 0);
}

Test(crypto, blake2b_512_of_abc_is_the_one_of_rfc_7693)
{
	uint8_t out[64];
	crypto_blake2b_keyed(out, 64, NULL, 0, "abc", 3);
	expect_hex(out, 64,
	           "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
	           "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

Test(crypto, blake2b_256_of_nothing_and_abc)
{
	uint8_t out[32];
	crypto_blake2b(out, NULL, 0);
	expect_hex(out, 32, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	crypto_blake2b(out, "abc", 3);
	expect_hex(out, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

Test(crypto, a_hash_in_pieces_equals_the_hash_in_one)
{
	uint8_t bytes[1000], whole[32], parts[32];
	struct crypto_hash h, fork;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7);
	crypto_blake2b_keyed(whole, 32, "key", 3, bytes, sizeof bytes);
	crypto_hash_init(&h, 32, "key", 3);
	crypto_hash_add(&h, bytes, 1);
	crypto_hash_add(&h, bytes + 1, 0);
	crypto_hash_add(&h, bytes + 1, 400);
	fork = h;
	crypto_hash_add(&h, bytes + 401, 599);
	crypto_hash_end(&h, parts);
	cr_assert(crypto_equal(whole, parts, 32));
	crypto_hash_add(&fork, bytes + 401, 599);
	crypto_hash_end(&fork, parts);
	cr_assert(crypto_equal(whole, parts, 32));
}

Test(crypto, both_sides_of_x25519_agree_and_low_order_points_are_refused)
{
	uint8_t a[32] = {8, 2, 3}, b[32] = {16, 5, 6}, pa[32], pb[32], k1[32], k2[32],
	        zero[32] = {0};
	crypto_x25519_public(pa, a);
	crypto_x25519_public(pb, b);
	cr_assert_eq(crypto_x25519(k1, a, pb), ERR_OK);
	cr_assert_eq(crypto_x25519(k2, b, pa), ERR_OK);
	cr_assert(crypto_equal(k1, k2, 32));
	cr_assert_eq(crypto_x25519(k1, a, zero), ERR_AUTH);
	cr_assert(crypto_is_zero(k1, 32));
}

Test(crypto, what_is_sealed_opens_and_every_flipped_bit_is_noticed)
{
	uint8_t key[32] = {7}, text[20] = "twenty bytes of text", sealed[36], opened[20];
	crypto_seal(sealed, key, 9, "ad", 2, text, 20);
	cr_assert_eq(crypto_open(opened, key, 9, "ad", 2, sealed, 36), ERR_OK);
	cr_assert(memcmp(opened, text, 20) == 0);
	for (unsigned bit = 0; bit < 36 * 8; bit++) {
		sealed[bit / 8] ^= 1 << bit % 8;
		cr_assert_eq(crypto_open(opened, key, 9, "ad", 2, sealed, 36), ERR_AUTH);
		sealed[bit / 8] ^= 1 << bit % 8;
	}
	cr_assert_eq(crypto_open(opened, key, 10, "ad", 2, sealed, 36), ERR_AUTH);
	cr_assert_eq(crypto_open(opened, key, 9, "aD", 2, sealed, 36), ERR_AUTH);
	for (unsigned size = 0; size < 36; size++)
		cr_assert_eq(crypto_open(opened, key, 9, "ad", 2, sealed, size), ERR_AUTH);
}

/* RFC 4231 test case 2. */
Test(crypto, hmac_sha512_of_rfc_4231)
{
	uint8_t out[64];
	crypto_hmac_sha512(out, "Jefe", 4, "what do ya want for nothing?", 28);
	expect_hex(out, 64,
	           "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	           "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

Test(crypto, a_ristretto_product_commutes_and_bad_points_are_refused)
{
	uint8_t wide[64] = {1}, wide2[64] = {2}, g[32], x[32], y[32], gx[32], gy[32], gxy[32],
	        gyx[32], zero[32] = {0}, bad[32];
	crypto_ristretto_map(g, wide);
	crypto_ristretto_scalar(x, wide);
	crypto_ristretto_scalar(y, wide2);
	cr_assert_eq(crypto_ristretto_mul(gx, x, g), ERR_OK);
	cr_assert_eq(crypto_ristretto_mul(gy, y, g), ERR_OK);
	cr_assert_eq(crypto_ristretto_mul(gxy, y, gx), ERR_OK);
	cr_assert_eq(crypto_ristretto_mul(gyx, x, gy), ERR_OK);
	cr_assert(crypto_equal(gxy, gyx, 32));
	memset(bad, 0xff, sizeof bad);
	cr_assert_eq(crypto_ristretto_mul(gx, x, zero), ERR_AUTH); /* the identity */
	cr_assert_eq(crypto_ristretto_mul(gx, x, bad), ERR_AUTH);  /* no encoding */
	cr_assert(crypto_is_zero(gx, 32));
}
