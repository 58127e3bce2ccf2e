/* device_log.h - which devices make up a system: a signed log that any two copies of merge. No I/O.
 *
 * Each change is an entry: a device's own founding statement, an add, a name, a new key, a role, a removal. An entry names
 * by hash the newest entries its author knew, its parents, so it is chained to all that came before it; it is signed with its author's device
 * key. A log is a set of entries that holds the parents of each: it only grows, and merging is the union. What the log
 * says depends on the set alone, never on the order in which entries came:
 *
 *	- A device is a member for me when I, or a member whose word counts, added it, and no removal stands.
 *	- **Removal wins.** A removal counts whenever it came; only an add that follows it (has it among its ancestors) brings the
 *	  device back: a person paired it anew, knowing. Of two devices that remove each other both are out.
 *	- An entry that is concurrent to a cut of its author (its removal, its change of key, its becoming "files only") says
 *	  nothing, but for removals: what is written with a lost device's key and dated back has no effect.
 *	- Two changes of key that do not know each other show that a key is in two hands: the device is out.
 *	- Names: the one with the longest history, then the greater hash. Roles: of those that know nothing of each other, "files only".
 *
 * An entry that its author was not allowed to write, by all that it knew itself, is no entry and is refused by everyone.
 * Byte layout: docs/formats/devices.md. The caller serialises; nothing is kept but what a function's comment says.
 *
 *	struct device_log *l = device_log_new();
 *	device_log_found(l, &me, "laptop", now_ms, &msg);
 *	device_log_take(l, entry, size, proof, &msg);          // what another device sent, in its order
 *	device_log_write(l, &me, &(struct device_change){DEVICE_REMOVE, phone_id}, now_ms, &msg);
 *	count = device_log_rows(l, me.id, rows, DEVICE_LOG_DEVICES_MAX);
 */
#pragma once

#include "base/crypto.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DEVICE_LOG_ENTRIES_MAX = 1024,
	DEVICE_LOG_REMOVALS_SPARE = 128, /* places above that which removals alone may take */
	DEVICE_LOG_DEVICES_MAX = 256,    /* ever named in it */
	DEVICE_LOG_ENTRY_MAX = 3584,     /* bytes */
	DEVICE_LOG_PARENTS_MAX = 32,
	DEVICE_LOG_KEYS_MAX = 16, /* that a device may have in its life */
	DEVICE_LOG_HEADS_MAX = 64,
	DEVICE_LOG_NAME_MAX = 63,
	DEVICE_LOG_HASH_SIZE = CRYPTO_HASH_SIZE,
};

enum device_act {
	DEVICE_FOUND = 1, /* self: this is me, and these were my keys */
	DEVICE_ADD,
	DEVICE_NAME,
	DEVICE_KEYS, /* self: one key more */
	DEVICE_ROLE,
	DEVICE_REMOVE,
	DEVICE_ACTS
};

enum device_role { DEVICE_ROLE_FULL, DEVICE_ROLE_FILES, DEVICE_ROLES };

struct device_log;

/* Whose word an entry is. */
struct device_author {
	const uint8_t *id;     /* CRYPTO_HASH_SIZE: BLAKE2b-256 of its first public key */
	const uint8_t *secret; /* CRYPTO_KEY_SIZE: its key now */
};

struct device_change {
	enum device_act act;    /* ADD, NAME, ROLE, REMOVE */
	const uint8_t *subject; /* id */
	enum device_role role;  /* ADD, ROLE */
	const char *name;       /* NAME */
};

/* An entry as it is sent and kept. Borrowed from the log. */
struct device_entry {
	const uint8_t *bytes;
	size_t size;
	const uint8_t *proof; /* CRYPTO_SIGN_SIZE */
};

enum device_state {
	DEVICE_MEMBER,
	DEVICE_REMOVED,  /* was one */
	DEVICE_STRANGER, /* nobody whose word counts added it */
};

/* What the log says of a device. */
struct device_row {
	uint8_t id[CRYPTO_HASH_SIZE];
	uint8_t key[CRYPTO_KEY_SIZE];      /* X25519, the newest */
	uint8_t sign_key[CRYPTO_KEY_SIZE]; /* its Edwards form, for crypto_xed_verify() */
	char name[DEVICE_LOG_NAME_MAX + 1];
	enum device_role role;
	enum device_state state;
	bool two_hands;                /* REMOVED because its key was changed twice at once */
	uint64_t since_ms, removed_ms; /* as their authors said; 0: unknown */
	uint8_t by[CRYPTO_HASH_SIZE];  /* who added it, or removed it */
	unsigned keys;                 /* it has had so many */
};

/* NULL: out of memory. */
struct device_log *device_log_new(void);
void device_log_free(struct device_log *l); /* NULL is fine */
unsigned device_log_count(const struct device_log *l);
/* In an order in which they can be taken: parents first. */
struct device_entry device_log_at(const struct device_log *l, unsigned i);

/* An entry from outside; copied. ERR_EXISTS: it is there already. ERR_NOTFOUND: a parent is missing. ERR_MALFORMED, ERR_INVALID
 * (breaks a rule of its form), ERR_AUTH (its signature), ERR_DENIED (its author was not allowed to), ERR_LIMIT. */
enum err device_log_take(struct device_log *l, const void *entry, size_t size,
                         const uint8_t proof[CRYPTO_SIGN_SIZE], struct errmsg *msg);

/* Writes an entry of our own as the log's last; parents are all heads. Errors as of device_log_take(). */
enum err device_log_write(struct device_log *l, const struct device_author *who,
                          const struct device_change *change, uint64_t time_ms, struct errmsg *msg);
/* The first entry of a new device. from (may be NULL): an older log of the same device, whose keys are carried over. */
enum err device_log_found(struct device_log *l, const struct device_author *who, const char *name,
                          const struct device_log *from, uint64_t time_ms, struct errmsg *msg);
/* From here on who signs with next_secret. ERR_LIMIT: it has had DEVICE_LOG_KEYS_MAX. */
enum err device_log_rotate(struct device_log *l, const struct device_author *who,
                           const uint8_t next_secret[CRYPTO_KEY_SIZE], uint64_t time_ms,
                           struct errmsg *msg);

/* Entries that are no parents, the newest DEVICE_LOG_HEADS_MAX at most; the number of them. */
unsigned device_log_heads(const struct device_log *l, uint8_t (*out)[DEVICE_LOG_HASH_SIZE]);
/* Of entry i: does a log lack it that has these heads? What we do not know of them is passed over. */
void device_log_lacks(const struct device_log *l, const uint8_t (*heads)[DEVICE_LOG_HASH_SIZE],
                      unsigned count,
                      bool lacks[DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE]);
/* Entry i, and which others it stands on (itself too). */
void device_log_history(const struct device_log *l, unsigned i,
                        bool in[DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE]);
/* The removals of a device that count for `me`: their numbers. */
unsigned device_log_removals(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                             const uint8_t id[CRYPTO_HASH_SIZE], unsigned *out, unsigned max);

/* The removals and changes of key it holds, whether they count or not: their number, and a hash that two logs share that hold the same. */
unsigned device_log_cuts(const struct device_log *l, uint8_t out[DEVICE_LOG_HASH_SIZE]);

/* All devices it names, as `me` is to see them; the number of rows. max: DEVICE_LOG_DEVICES_MAX is always enough. */
unsigned device_log_rows(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                         struct device_row *out, unsigned max);
/* One device. ERR_NOTFOUND: the log does not name it. */
enum err device_log_row(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                        const uint8_t id[CRYPTO_HASH_SIZE], struct device_row *out);
