/* test_cpace.c - CPace byte for byte with the vectors of draft-irtf-cfrg-cpace (github.com/cfrg/
 * draft-irtf-cfrg-cpace, appendix "CPace using group ristretto255 and hash SHA-512"). */
#include "proto/cpace.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/proto/hex.h"

static const char channel[] = "\x0b"
                              "A_initiator"
                              "\x0b"
                              "B_responder";

struct draft {
	struct cpace_input in;
	uint8_t session[16];
	struct cpace a, b;
	struct cpace_message ma, mb;
};

static void expect(const void *got, size_t size, const char *hex)
{
	uint8_t want[128];
	cr_assert_eq(hex_bytes(hex, want, sizeof want), size);
	cr_assert(memcmp(got, want, size) == 0);
}

static void draft_start(struct draft *d)
{
	uint8_t wide[64] = {0};
	hex_bytes("7e4b4791d6a8ef019b936c79fb7f2c57", d->session, 16);
	d->in = (struct cpace_input){"Password", 8, channel, sizeof channel - 1, d->session, 16};
	hex_bytes("da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08", wide, 32);
	cr_assert_eq(cpace_start(&d->a, &d->in, wide), ERR_OK);
	hex_bytes("d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d", wide, 32);
	cr_assert_eq(cpace_start(&d->b, &d->in, wide), ERR_OK);
	d->ma = (struct cpace_message){d->a.share, "ADa", 3};
	d->mb = (struct cpace_message){d->b.share, "ADb", 3};
}

Test(cpace, the_generator_and_the_shares_are_those_of_the_draft)
{
	struct draft d;
	uint8_t g[32];
	draft_start(&d);
	cpace_generator(g, &d.in);
	expect(g, 32, "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56");
	expect(d.a.share, 32, "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157");
	expect(d.b.share, 32, "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258");
}

Test(cpace, the_session_key_is_that_of_the_draft_on_both_sides)
{
	static const char isk[] =
	    "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd"
	    "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447";
	struct draft d;
	uint8_t key[64];
	draft_start(&d);
	cr_assert_eq(cpace_finish(&d.a, &d.in, &d.ma, &d.mb, &d.mb, key), ERR_OK);
	expect(key, 64, isk);
	cr_assert_eq(cpace_finish(&d.b, &d.in, &d.ma, &d.mb, &d.ma, key), ERR_OK);
	expect(key, 64, isk);
}

Test(cpace, shares_the_draft_calls_invalid_are_refused)
{
	static const char *const bad[] = {
	    "2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c",
	    "0000000000000000000000000000000000000000000000000000000000000000"};
	for (int i = 0; i < 2; i++) {
		struct draft d;
		uint8_t key[64], share[32];
		draft_start(&d);
		hex_bytes(bad[i], share, 32);
		d.mb.share = share;
		cr_assert_eq(cpace_finish(&d.a, &d.in, &d.ma, &d.mb, &d.mb, key), ERR_AUTH);
		cr_assert(crypto_is_zero(key, 64));
	}
}

Test(cpace, any_difference_in_what_both_sides_hold_gives_different_keys)
{
	struct draft d;
	uint8_t wide[64] = {1}, key[64], right[64];
	draft_start(&d);
	cr_assert_eq(cpace_finish(&d.a, &d.in, &d.ma, &d.mb, &d.mb, right), ERR_OK);
	struct cpace_input other[3] = {d.in, d.in, d.in};
	other[0].password = "password";
	other[1].channel_size--;
	other[2].session_size--;
	for (int i = 0; i < 3; i++) {
		struct cpace c;
		cr_assert_eq(cpace_start(&c, &other[i], wide), ERR_OK);
		struct cpace_message m = {c.share, "ADb", 3};
		cr_assert_eq(cpace_finish(&c, &other[i], &d.ma, &m, &d.ma, key), ERR_OK);
		uint8_t mine[64];
		cr_assert_eq(cpace_finish(&d.a, &d.in, &d.ma, &m, &m, mine), ERR_OK);
		cr_assert_not(crypto_equal(mine, key, 64), "%d", i);
	}
	d.mb.data = "ADc";
	cr_assert_eq(cpace_finish(&d.a, &d.in, &d.ma, &d.mb, &d.mb, key), ERR_OK);
	cr_assert_not(crypto_equal(key, right, 64));
}

Test(cpace, the_tags_of_the_two_sides_differ_and_depend_on_the_key)
{
	struct draft d;
	uint8_t key[64] = {1}, ta[64], tb[64], other[64];
	draft_start(&d);
	cpace_tag(ta, key, &d.in, &d.ma);
	cpace_tag(tb, key, &d.in, &d.mb);
	cr_assert_not(crypto_equal(ta, tb, 64));
	key[0] ^= 1;
	cpace_tag(other, key, &d.in, &d.ma);
	cr_assert_not(crypto_equal(ta, other, 64));
}
