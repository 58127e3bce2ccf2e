/* words.c - pairing codes as words: making, and reading what a person typed. */
#include "proto/pairing.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const words[256] = {
#define WORD(w) #w,
#include "proto/words.def"
#undef WORD
};

enum { WORD_MAX = 8, WORD_CUT = 3 };

void pairing_words(const uint8_t random[PAIRING_WORDS], char out[PAIRING_WORDS_SIZE])
{
	snprintf(out, PAIRING_WORDS_SIZE, "%s-%s-%s", words[random[0]], words[random[1]],
	         words[random[2]]);
}

static bool is_gap(char c)
{
	return c == ' ' || c == '-' || c == '.' || c == ',' || c == '\t';
}

/* The word that begins with these letters: their first three say which. */
static const char *word_find(const char *p, size_t size)
{
	if (size < WORD_CUT)
		return NULL;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (size <= strlen(words[i]) && memcmp(words[i], p, size) == 0)
			return words[i];
	return NULL;
}

/* The word that shares the first three, or at least two letters: what may have been meant. */
static const char *word_near(const char *p, size_t size)
{
	for (size_t n = WORD_CUT; n >= 2; n--)
		for (size_t i = 0; size >= n && i < sizeof words / sizeof *words; i++)
			if (memcmp(words[i], p, n) == 0)
				return words[i];
	return NULL;
}

/* Takes the next word off *p in small letters; its full length even when that is above the room. */
static size_t word_next(const char **p, char out[WORD_MAX + 1])
{
	size_t size = 0;
	while (is_gap(**p))
		++*p;
	for (; **p && !is_gap(**p); ++*p, size++)
		if (size < WORD_MAX)
			out[size] = (char)tolower((unsigned char)**p);
	out[size < WORD_MAX ? size : WORD_MAX] = 0;
	return size;
}

static enum err not_a_word(const char *p, size_t size, struct errmsg *msg)
{
	const char *near = word_near(p, size);
	for (const char *c = p; *c; c++)
		if (!isalpha((unsigned char)*c))
			return err_set(msg, ERR_USAGE,
			               "a code is three words, like acorn-badge-copper");
	if (near)
		return err_set(msg, ERR_USAGE, "'%s' is not a word of a code; '%s' perhaps?", p,
		               near);
	return err_set(msg, ERR_USAGE, "'%s' is not a word of a code", p);
}

enum err pairing_words_read(const char *typed, char out[PAIRING_WORDS_SIZE], struct errmsg *msg)
{
	const char *found[PAIRING_WORDS];
	unsigned count = 0;
	char word[WORD_MAX + 1];
	for (size_t size; (size = word_next(&typed, word)) != 0; count++) {
		if (count == PAIRING_WORDS)
			return err_set(msg, ERR_USAGE, "a code is three words, not more");
		found[count] = size <= WORD_MAX ? word_find(word, size) : NULL;
		if (!found[count])
			return not_a_word(word, strlen(word), msg);
	}
	if (count < PAIRING_WORDS)
		return err_set(msg, ERR_USAGE, "a code is three words, not %u", count);
	snprintf(out, PAIRING_WORDS_SIZE, "%s-%s-%s", found[0], found[1], found[2]);
	return ERR_OK;
}
