/* device_log_impl.h - what device_log.c (the set of entries) and device_view.c (what a set says) share.
 *
 * Entries are numbered as they came; the parents of each have smaller numbers. So its ancestors are a set of bits,
 * the union of its parents' and they themselves, and "knows of" is the test of one bit. */
#pragma once

#include "proto/device_log.h"

enum {
	LOG_PLACES = DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE,
	LOG_WORDS = LOG_PLACES / 64,
};

struct bits {
	uint64_t words[LOG_WORDS];
};

struct log_key {
	uint8_t key[CRYPTO_KEY_SIZE]; /* Edwards form */
	uint8_t proof[CRYPTO_SIGN_SIZE];
};

struct log_entry {
	uint8_t *bytes;
	size_t size;
	uint8_t proof[CRYPTO_SIGN_SIZE];
	uint8_t hash[DEVICE_LOG_HASH_SIZE];
	enum device_act act;
	enum device_role role;
	unsigned author, subject; /* numbers of devices */
	unsigned depth;           /* of its history: 1 + the deepest parent's */
	uint64_t time_ms;
	char name[DEVICE_LOG_NAME_MAX + 1];
	struct log_key *keys; /* FOUND, KEYS: all that its author has had */
	unsigned key_count;
	bool is_parent;
	struct bits before; /* its ancestors */
};

struct device_log {
	struct log_entry *at[LOG_PLACES];
	unsigned count;
	uint8_t ids[DEVICE_LOG_DEVICES_MAX][CRYPTO_HASH_SIZE];
	unsigned id_count;
};

static inline bool bits_has(const struct bits *b, unsigned i)
{
	return b->words[i / 64] >> i % 64 & 1;
}

static inline void bits_put(struct bits *b, unsigned i)
{
	b->words[i / 64] |= (uint64_t)1 << i % 64;
}

/* --- device_view.c --- */

/* What the entries of a set say, seen by one device. */
struct view {
	const struct device_log *log;
	const struct bits *set;
	unsigned me;
	bool ever[DEVICE_LOG_DEVICES_MAX];    /* was added, by whatever word */
	bool vouched[DEVICE_LOG_DEVICES_MAX]; /* by a word that counts */
	unsigned cuts[LOG_PLACES], cut_count;
};

void log_view_of(struct view *v, const struct device_log *l, const struct bits *set, unsigned me);
bool view_member(const struct view *v, unsigned device);
enum device_role view_role(const struct view *v, unsigned device);
/* The newest statement of its keys; NULL: none. *forked: two that contradict each other. */
const struct log_entry *view_keys(const struct view *v, unsigned device, bool *forked);
