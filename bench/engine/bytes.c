/* bytes.c - work byte by byte: run-length coding and decoding, a checksum, a search. What file
 * formats are made of. */
#include "bench.h"

enum { SIZE = 60000 };

static size_t encode(const uint8_t *in, size_t size, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < size;) {
		size_t length = 1;
		while (i + length < size && length < 255 && in[i + length] == in[i])
			length++;
		out[n++] = (uint8_t)length;
		out[n++] = in[i];
		i += length;
	}
	return n;
}

static size_t decode(const uint8_t *in, size_t size, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < size; i += 2)
		for (uint8_t left = in[i]; left > 0; left--)
			out[n++] = in[i + 1];
	return n;
}

static uint32_t adler(const uint8_t *p, size_t size)
{
	uint32_t a = 1, b = 0;
	for (size_t i = 0; i < size; i++) {
		a += p[i];
		b += a;
		if ((i & 0xfff) == 0xfff) {
			a %= 65521;
			b %= 65521;
		}
	}
	return (b % 65521) << 16 | a % 65521;
}

static uint32_t count_word(const uint8_t *p, size_t size, const char *word, size_t length)
{
	uint32_t found = 0;
	for (size_t i = 0; i + length <= size; i++) {
		size_t j = 0;
		while (j < length && p[i + j] == (uint8_t)word[j])
			j++;
		found += j == length;
	}
	return found;
}

uint32_t run(uint32_t n)
{
	uint8_t *text = malloc(SIZE), *packed = malloc(2 * SIZE), *back = malloc(SIZE);
	uint32_t state = 362436069u, sum = 0;
	for (size_t i = 0; i < SIZE;) {
		uint32_t r = next_random(&state);
		for (uint32_t length = r % 9; length > 0 && i < SIZE; length--)
			text[i++] = (uint8_t)("etaoin"[(r >> 8) % 6]);
	}
	for (uint32_t round = 0; round < n; round++) {
		size_t size = encode(text, SIZE, packed);
		size_t again = decode(packed, size, back);
		sum = mix(sum, adler(back, again));
		sum = mix(sum, count_word(back, again, "tteoo", 5) + (uint32_t)size);
		text[round % SIZE] ^= 1;
	}
	free(text);
	free(packed);
	free(back);
	return sum;
}
