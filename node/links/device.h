/* device.h - who this device is: its key pair, its id and its name, in <home>/device.
 *
 * The key pair is X25519, drawn when the home is first used, and never leaves the file (mode 0600,
 * checked). The id, BLAKE2b-256 of the first public key, names the device everywhere, also when it has changed its key
 * (`wasmos device rotate`); people see the name and the id's first 12 hexadecimal digits. A part of the node (parts.def); the loop's thread.
 */
#pragma once

#include "base/crypto.h"
#include "base/err.h"

#include <stdbool.h>

struct node;

enum {
	DEVICE_ID_SIZE = CRYPTO_HASH_SIZE,
	DEVICE_NAME_MAX = 63,   /* bytes of UTF-8 */
	DEVICE_SHORT_SIZE = 13, /* room for a short id as text */
};

struct dir;

/* Open inside node/. */
struct device {
	uint8_t secret[CRYPTO_KEY_SIZE];
	uint8_t key[CRYPTO_KEY_SIZE]; /* public */
	uint8_t id[DEVICE_ID_SIZE];
	char name[DEVICE_NAME_MAX + 1];
	uint8_t next
	    [CRYPTO_KEY_SIZE]; /* has_next: the secret key that is to follow, while it is being changed */
	bool has_next;
};

/* Reads "device" in the home, or makes it. name: NULL keeps the stored one, or takes the host's name for a
 * new device; another one is stored. ERR_DENIED: others can read the file; ERR_MALFORMED: damaged. */
enum err device_load(struct dir *home, const char *name, struct device *out, struct errmsg *msg);
/* Writes the file. */
enum err device_keep(struct dir *home, const struct device *d, struct errmsg *msg);
/* The change of key is over: it has the one that the log of devices names. */
enum err device_settle(struct node *n, struct errmsg *msg);
/* The id is that of the key it has now. */
enum err device_become(struct node *n, struct errmsg *msg);
/* ERR_USAGE: no fit name. */
enum err device_check_name(const char *name, struct errmsg *msg);
/* The id of a key that is a device's first. */
void device_id_of(const uint8_t key[CRYPTO_KEY_SIZE], uint8_t id[DEVICE_ID_SIZE]);
/* The first 12 hexadecimal digits. */
void device_short(const uint8_t id[DEVICE_ID_SIZE], char out[DEVICE_SHORT_SIZE]);
