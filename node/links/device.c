/* device.c - the key file. One msgpack array [1, secret key, name], or [2, secret key, name, id, next secret key or empty] of a device
 * that has changed its key; written whole to a new file that then takes the old one's place, so that a crash leaves one or the other. */
#include "node/links/device.h"

#include "base/file.h"
#include "base/pack.h"
#include "node/links/devices.h"
#include "node/node.h"
#include "proto/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE_FORMAT = 1, DEVICE_FORMAT_ROTATED = 2, DEVICE_FILE_MAX = 256 };

void device_id_of(const uint8_t key[CRYPTO_KEY_SIZE], uint8_t id[DEVICE_ID_SIZE])
{
	crypto_blake2b(id, key, CRYPTO_KEY_SIZE);
}

void device_short(const uint8_t id[DEVICE_ID_SIZE], char out[DEVICE_SHORT_SIZE])
{
	for (unsigned i = 0; i < (DEVICE_SHORT_SIZE - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static void device_derive(struct device *d)
{
	crypto_x25519_public(d->key, d->secret);
	if (crypto_is_zero(d->id, sizeof d->id))
		device_id_of(d->key, d->id);
}

static enum err parse_rotated(struct rd *r, struct device *d)
{
	const uint8_t *next;
	size_t size;
	TRY(unpack_fixed(r, d->id, sizeof d->id));
	TRY(unpack_bin(r, sizeof d->next, &next, &size));
	if (size && size != sizeof d->next)
		return ERR_MALFORMED;
	d->has_next = size != 0;
	if (size)
		memcpy(d->next, next, size);
	return ERR_OK;
}

static enum err parse(const uint8_t *bytes, size_t size, struct device *d)
{
	struct rd r = rd_of(bytes, size);
	uint32_t count;
	uint8_t format;
	TRY(unpack_array(&r, 5, &count));
	TRY(unpack_u8(&r, &format));
	if (!(count == 3 && format == DEVICE_FORMAT) &&
	    !(count == 5 && format == DEVICE_FORMAT_ROTATED))
		return ERR_MALFORMED;
	TRY(unpack_fixed(&r, d->secret, sizeof d->secret));
	TRY(unpack_text(&r, d->name, sizeof d->name));
	if (format == DEVICE_FORMAT_ROTATED)
		TRY(parse_rotated(&r, d));
	TRY(unpack_end(&r));
	return d->name[0] && name_is_fit(d->name, strlen(d->name)) ? ERR_OK : ERR_MALFORMED;
}

static enum err damaged(struct errmsg *msg, const char *how)
{
	return err_set(
	    msg, ERR_MALFORMED,
	    "the file device in the home is damaged: it %s. Bring it back from a copy; "
	    "without it (removed) this device gets a new identity, and is to be paired again",
	    how);
}

static enum err read_file(struct dir *home, struct device *d, struct errmsg *msg)
{
	uint8_t bytes[DEVICE_FILE_MAX];
	size_t size = 0;
	enum err e = dir_read_secret(home, "device", bytes, sizeof bytes, &size, msg);
	if (e == ERR_LIMIT)
		return damaged(msg, "is too long");
	if (e != ERR_OK)
		return e;
	e = parse(bytes, size, d);
	crypto_zero(bytes, sizeof bytes);
	return e == ERR_OK ? e : damaged(msg, size ? "makes no sense" : "is empty");
}

/* Its id is its key's, and no change is under way: as older builds read it. */
static bool is_plain(const struct device *d)
{
	uint8_t key[CRYPTO_KEY_SIZE], id[DEVICE_ID_SIZE];
	crypto_x25519_public(key, d->secret);
	device_id_of(key, id);
	return !d->has_next &&
	       (crypto_is_zero(d->id, sizeof id) || memcmp(id, d->id, sizeof id) == 0);
}

enum err device_keep(struct dir *home, const struct device *d, struct errmsg *msg)
{
	struct wr w = {0};
	bool plain = is_plain(d);
	pack_array(&w, plain ? 3 : 5);
	pack_u64(&w, plain ? DEVICE_FORMAT : DEVICE_FORMAT_ROTATED);
	pack_bin(&w, d->secret, sizeof d->secret);
	pack_text(&w, d->name);
	if (!plain) {
		pack_bin(&w, d->id, sizeof d->id);
		pack_bin(&w, d->next, d->has_next ? sizeof d->next : 0);
	}
	enum err e = wr_ok(&w) ? dir_replace(home, "device", w.data, w.size, msg)
	                       : err_set(msg, ERR_NOMEM, "device: out of memory");
	crypto_zero(w.data, w.size);
	wr_free(&w);
	return e;
}

/* The host's name up to its first dot; "device" when it has none that is fit to be shown. */
static void default_name(char name[DEVICE_NAME_MAX + 1])
{
	memset(name, 0, DEVICE_NAME_MAX + 1);
	size_t size = DEVICE_NAME_MAX + 1;
	if (uv_os_gethostname(name, &size) != 0)
		name[0] = 0;
	name[strcspn(name, ".")] = 0;
	if (!name[0] || !name_is_fit(name, strlen(name)))
		strcpy(name, "device");
}

enum err device_check_name(const char *name, struct errmsg *msg)
{
	size_t size = strlen(name);
	if (!size || size > DEVICE_NAME_MAX || !name_is_fit(name, size))
		return err_set(msg, ERR_USAGE, "a device's name is 1 to %d bytes of printable text",
		               DEVICE_NAME_MAX);
	return ERR_OK;
}

static enum err make(struct dir *home, const char *name, struct device *d, struct errmsg *msg)
{
	crypto_random(d->secret, sizeof d->secret);
	if (name)
		strcpy(d->name, name);
	else
		default_name(d->name);
	return device_keep(home, d, msg);
}

static enum err load(struct dir *home, const char *name, struct device *d, struct errmsg *msg)
{
	enum err e = read_file(home, d, msg);
	if (e == ERR_NOTFOUND)
		return make(home, name, d, msg);
	if (e != ERR_OK || !name || !strcmp(name, d->name))
		return e;
	strcpy(d->name, name);
	return device_keep(home, d, msg);
}

enum err device_load(struct dir *home, const char *name, struct device *out, struct errmsg *msg)
{
	struct device d = {0};
	enum err e = name ? device_check_name(name, msg) : ERR_OK;
	if (e == ERR_OK)
		e = load(home, name, &d, msg);
	if (e == ERR_OK) {
		device_derive(&d);
		*out = d;
	}
	crypto_zero(&d, sizeof d);
	return e;
}

enum err device_settle(struct node *n, struct errmsg *msg)
{
	struct device *d = n->device;
	const struct device_row *row = devices_row(n, d->id);
	uint8_t key[CRYPTO_KEY_SIZE];
	if (!d->has_next)
		return ERR_OK;
	crypto_x25519_public(key, d->next);
	if (row && row->keys && memcmp(row->key, key, sizeof key) == 0)
		memcpy(d->secret, d->next, sizeof d->secret);
	crypto_zero(d->next, sizeof d->next);
	d->has_next = false;
	device_derive(d);
	return device_keep(n->home, d, msg);
}

enum err device_become(struct node *n, struct errmsg *msg)
{
	memset(n->device->id, 0, sizeof n->device->id);
	device_derive(n->device);
	memcpy(n->device_id, n->device->id, sizeof n->device_id);
	return device_keep(n->home, n->device, msg);
}

/* --- the part --- */

enum err device_open(struct node *n, struct errmsg *msg)
{
	struct device *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "out of memory");
	enum err e = device_load(n->home, n->cfg.name, d, msg);
	if (e != ERR_OK) {
		free(d);
		return e;
	}
	n->device = d;
	memcpy(n->device_id, d->id, sizeof n->device_id);
	strcpy(n->name, d->name);
	return ERR_OK;
}

void device_close(struct node *n)
{
	crypto_zero(n->device, sizeof *n->device);
	free(n->device);
	n->device = NULL;
}
