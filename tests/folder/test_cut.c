/* test_cut.c - chunks cut by content: the same everywhere and however the bytes come, and few change with an insertion. */
#include "base/crypto.h"
#include "folder/cut.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, FILE_SIZE = 64 * MIB, CHUNKS = FILE_SIZE / CUT_MIN + 1 };

struct cuts {
	size_t count;
	size_t size[CHUNKS];
	uint8_t hash[CHUNKS][CRYPTO_HASH_SIZE];
};

static uint64_t rnd(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint8_t *random_bytes(size_t size, uint64_t seed)
{
	uint8_t *p = malloc(size);
	cr_assert_not_null(p);
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(rnd(&seed) >> 32);
	return p;
}

/* Fed in pieces of at most step bytes. */
static struct cuts *cut_all(const uint8_t *bytes, size_t size, size_t step, const uint8_t *key)
{
	struct cuts *cuts = calloc(1, sizeof *cuts);
	struct cutter c;
	cutter_init(&c, key);
	size_t start = 0;
	for (size_t at = 0; at < size;) {
		bool ended;
		at += cutter_feed(&c, bytes + at, size - at < step ? size - at : step, &ended);
		if (!ended && at < size)
			continue;
		cuts->size[cuts->count] = at - start;
		crypto_blake2b(cuts->hash[cuts->count++], bytes + start, at - start);
		start = at;
	}
	return cuts;
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, CRYPTO_HASH_SIZE);
}

/* Bytes in chunks of after that are not in before, whose hashes get sorted. */
static size_t new_bytes(struct cuts *before, const struct cuts *after)
{
	size_t fresh = 0;
	qsort(before->hash, before->count, CRYPTO_HASH_SIZE, by_hash);
	for (size_t i = 0; i < after->count; i++)
		if (!bsearch(after->hash[i], before->hash, before->count, CRYPTO_HASH_SIZE,
		             by_hash))
			fresh += after->size[i];
	return fresh;
}

Test(cut, ten_insertions_in_64_mib_cost_at_most_1_5_mib)
{
	for (uint64_t round = 1; round <= 2; round++) {
		uint64_t seed = 77 * round;
		uint8_t *file = random_bytes(FILE_SIZE, seed);
		uint8_t *edited = malloc(FILE_SIZE + 10 * 20);
		size_t from = 0, to = 0;
		for (unsigned i = 0; i < 10; i++) {
			size_t at = from + rnd(&seed) % (FILE_SIZE / 10);
			memcpy(edited + to, file + from, at - from);
			to += at - from;
			from = at;
			memset(edited + to, 'i', 20);
			to += 20;
		}
		memcpy(edited + to, file + from, FILE_SIZE - from);
		to += FILE_SIZE - from;
		struct cuts *a = cut_all(file, FILE_SIZE, FILE_SIZE, NULL);
		struct cuts *b = cut_all(edited, to, FILE_SIZE, NULL);
		size_t fresh = new_bytes(a, b);

		cr_assert(fresh > 0 && fresh <= 3 * MIB / 2, "%zu bytes are new", fresh);
		free(a);
		free(b);
		free(edited);
		free(file);
	}
}

Test(cut, chunks_are_within_their_limits_and_near_the_average)
{
	uint8_t *file = random_bytes(FILE_SIZE, 5);
	struct cuts *c = cut_all(file, FILE_SIZE, FILE_SIZE, NULL);
	for (size_t i = 0; i + 1 < c->count; i++)
		cr_assert(c->size[i] > CUT_MIN && c->size[i] <= CUT_MAX);
	size_t mean = FILE_SIZE / c->count;
	cr_assert(mean > CUT_AVG * 3 / 4 && mean < CUT_AVG * 3 / 2, "mean %zu", mean);
	free(c);
	free(file);
}

Test(cut, the_pieces_in_which_a_file_comes_make_no_difference)
{
	uint8_t *file = random_bytes(4 * MIB, 9);
	struct cuts *whole = cut_all(file, 4 * MIB, 4 * MIB, NULL);
	static const size_t steps[] = {1, 7, 4096, 100003};
	for (unsigned i = 0; i < 4; i++) {
		struct cuts *c = cut_all(file, 4 * MIB, steps[i], NULL);
		cr_assert_eq(c->count, whole->count);
		cr_assert_eq(memcmp(c->size, whole->size, sizeof c->size), 0);
		free(c);
	}
	free(whole);
	free(file);
}

Test(cut, zeros_are_cut_at_the_greatest_size)
{
	uint8_t *file = calloc(1, MIB);
	struct cuts *c = cut_all(file, MIB, MIB, NULL);
	cr_assert_eq(c->count, 4);
	free(c);
	free(file);
}

Test(cut, another_key_cuts_elsewhere)
{
	uint8_t *file = random_bytes(4 * MIB, 9), key[CUT_KEY_SIZE] = {1};
	struct cuts *a = cut_all(file, 4 * MIB, MIB, NULL), *b = cut_all(file, 4 * MIB, MIB, key);
	cr_assert_neq(memcmp(a->size, b->size, sizeof a->size), 0);
	free(a);
	free(b);
	free(file);
}

Test(cut, boundaries_are_the_same_on_every_platform)
{
	static const size_t known[] = {87464, 66465, 87793, 67556, 74978, 75808,  19953, 55405,
	                               16563, 67159, 69180, 77334, 66446, 169949, 46523};
	uint8_t *file = random_bytes(MIB, 2026);
	struct cuts *c = cut_all(file, MIB, MIB, NULL);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		cr_assert_eq(c->size[i], known[i], "chunk %zu: %zu bytes", i, c->size[i]);
	free(c);
	free(file);
}
