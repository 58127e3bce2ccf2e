/* devices.c - the log of devices on disk and in memory, changes by a person, and what follows for the rows of peers.
 *
 * Depot table DEVICES: entries by their number (u32, big-endian), each 64 bytes of proof and the entry. An entry is on disk before
 * it is told to anyone: what this device signed it does not forget. */
#include "node/links/devices.h"

#include "base/os.h"
#include "node/disk.h"
#include "node/links/group.h"
#include "node/links/link_impl.h"
#include "node/moves/keeper.h"
#include "node/store.h"

#include <stdlib.h>
#include <string.h>

struct devices {
	struct device_log *log;
	unsigned stored; /* entries on disk */
	unsigned told;   /* entries that those we are linked with were sent */
	struct device_row *rows;
	unsigned count;
	bool lost_said, files_only;
	bool gaps; /* an entry on disk was left out: all are to be written again */
};

static uint64_t wall_ms(void)
{
	return os_wall_ns() / 1000000;
}

static struct device_author word_of(struct node *n)
{
	return (struct device_author){n->device->id, n->device->secret};
}

struct device_log *devices_log(struct node *n)
{
	return n->devices->log;
}

const struct device_row *devices_all(struct node *n, unsigned *count)
{
	*count = n->devices->count;
	return n->devices->rows;
}

const struct device_row *devices_row(struct node *n, const uint8_t id[DEVICE_ID_SIZE])
{
	struct devices *d = n->devices;
	for (unsigned i = 0; i < d->count; i++)
		if (memcmp(d->rows[i].id, id, DEVICE_ID_SIZE) == 0)
			return &d->rows[i];
	return NULL;
}

const struct device_row *devices_by_key(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE])
{
	struct devices *d = n->devices;
	for (unsigned i = 0; i < d->count; i++)
		if (d->rows[i].keys && memcmp(d->rows[i].key, key, CRYPTO_KEY_SIZE) == 0)
			return &d->rows[i];
	return NULL;
}

static const struct device_row *self_row(struct node *n)
{
	return devices_row(n, n->device->id);
}

bool devices_are_lost(struct node *n)
{
	const struct device_row *self = self_row(n);
	return !self || self->state != DEVICE_MEMBER;
}

/* Its entries may be among those that were damaged on disk: others will tell them. */
static bool is_unsure(struct node *n, const struct device_row *row)
{
	return n->devices->gaps && (!row || row->state == DEVICE_STRANGER);
}

bool devices_want(struct node *n, const struct peer *p)
{
	const struct device_row *row = devices_row(n, p->id);
	if (p->removed || (p->member && devices_are_lost(n)))
		return false;
	return !p->member || (row && row->state == DEVICE_MEMBER) || is_unsure(n, row);
}

/* Of one that is in the system: who was removed is on its own. */
static bool is_files_only(const struct device_row *row)
{
	return row && row->state == DEVICE_MEMBER && row->role == DEVICE_ROLE_FILES;
}

bool devices_may_run(struct node *n, const uint8_t *id)
{
	const struct device_row *self = self_row(n), *row = id ? devices_row(n, id) : NULL;
	return !is_files_only(self) && !is_files_only(row);
}

/* --- on disk --- */

static void put_number(uint8_t key[4], unsigned i)
{
	for (int k = 0; k < 4; k++)
		key[k] = (uint8_t)(i >> (24 - 8 * k));
}

static void put_entry(struct depot_batch *b, const struct device_log *l, unsigned i)
{
	struct device_entry e = device_log_at(l, i);
	struct wr row = {0};
	uint8_t key[4];
	put_number(key, i);
	wr_bytes(&row, e.proof, CRYPTO_SIGN_SIZE);
	wr_bytes(&row, e.bytes, e.size);
	if (wr_ok(&row))
		depot_put(b, DEPOT_DEVICES, key, sizeof key, row.data, row.size);
	wr_free(&row);
}

static enum err store_new(struct node *n, struct errmsg *msg)
{
	struct devices *d = n->devices;
	unsigned count = device_log_count(d->log);
	if (d->stored == count)
		return ERR_OK;
	struct depot_batch *b = depot_batch_new(node_depot(n));
	if (!b)
		return err_set(msg, ERR_NOMEM, "devices: out of memory");
	for (unsigned i = d->stored; i < count; i++)
		put_entry(b, d->log, i);
	enum err e = depot_write(b, msg);
	depot_batch_free(b);
	if (e == ERR_OK)
		d->stored = count;
	return e;
}

static bool load_entry(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                       size_t size)
{
	struct node *n = ctx;
	struct errmsg msg = {0};
	enum err e = size < CRYPTO_SIGN_SIZE
	                 ? ERR_MALFORMED
	                 : device_log_take(n->devices->log, value + CRYPTO_SIGN_SIZE,
	                                   size - CRYPTO_SIGN_SIZE, value, &msg);
	if (e == ERR_EXISTS)
		return true;
	if (e != ERR_OK)
		node_log(n, LOG_WARN, "devices",
		         "an entry on disk is left out; other devices have it: %s",
		         msg.text[0] ? msg.text : err_text(e));
	n->devices->gaps |= e != ERR_OK;
	(void)key;
	(void)key_size;
	return true;
}

/* --- rows --- */

static void read_rows(struct node *n)
{
	struct devices *d = n->devices;
	d->count = device_log_rows(d->log, n->device->id, d->rows, DEVICE_LOG_DEVICES_MAX);
}

static void say_lost(struct node *n)
{
	struct devices *d = n->devices;
	const struct device_row *self = self_row(n), *by = self ? devices_row(n, self->by) : NULL;
	bool lost = devices_are_lost(n);
	if (lost && !d->lost_said)
		node_log(n, LOG_WARN, "devices",
		         "this device was removed from its system%s%s: its other devices refuse "
		         "it. `wasmos pair` joins one again",
		         by ? " by " : "", by ? by->name : "");
	d->lost_said = lost;
}

/* Somebody made this device "files only": programs that run here rest. */
static void follow_own_role(struct node *n)
{
	bool files_only = !devices_may_run(n, NULL);
	if (files_only && !n->devices->files_only && n->keeper)
		keeper_rest(n);
	n->devices->files_only = files_only;
}

/* Somebody gave this device another name. */
static void follow_own_name(struct node *n)
{
	const struct device_row *self = self_row(n);
	struct errmsg msg = {0};
	if (!self || !self->name[0] || !strcmp(self->name, n->name))
		return;
	node_log(n, LOG_INFO, "devices", "this device is called %s now", self->name);
	memcpy(n->name, self->name, sizeof n->name);
	memcpy(n->device->name, self->name, sizeof n->device->name);
	if (device_keep(n->home, n->device, &msg) != ERR_OK)
		node_log(n, LOG_WARN, "devices", "its name is not stored: %s", msg.text);
}

static void apply_row(struct node *n, const struct device_row *row)
{
	struct peer *p = peer_by_id(n, row->id);
	if (devices_are_lost(n))
		return; /* what the log says of others is of the past: who is joining stays so */
	if (row->state == DEVICE_MEMBER)
		peer_follow(n, row);
	else if (p && p->member && !is_unsure(n, row))
		peer_dismiss(p, row->state == DEVICE_REMOVED ? "removed from the system"
		                                             : "no longer in the system");
}

void devices_apply(struct node *n)
{
	struct devices *d = n->devices;
	read_rows(n);
	say_lost(n);
	follow_own_name(n);
	follow_own_role(n);
	if (!n->links)
		return;
	for (unsigned i = 0; i < d->count; i++)
		if (memcmp(d->rows[i].id, n->device->id, DEVICE_ID_SIZE) != 0)
			apply_row(n, &d->rows[i]);
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		if (!devices_want(n, p))
			peer_hang_up(p, "this device was removed from the system");
}

enum err devices_publish(struct node *n, struct conn *except, struct errmsg *msg)
{
	struct devices *d = n->devices;
	enum err e = store_new(n, msg);
	if (e != ERR_OK)
		return e;
	for (struct conn *c = n->links ? n->links->conns : NULL; c; c = c->next)
		if (c != except && c->log_sent && !c->closing && !c->farewell)
			devices_tell(c, d->told);
	d->told = device_log_count(d->log);
	devices_apply(n);
	group_follow(n, !except);
	return ERR_OK;
}

/* --- changes --- */

static enum err change(struct node *n, const struct device_change *c, struct errmsg *msg)
{
	struct device_author who = word_of(n);
	if (devices_are_lost(n))
		return err_set(
		    msg, ERR_STATE,
		    "this device was removed from its system: `wasmos devices` shows it");
	TRY(device_log_write(n->devices->log, &who, c, wall_ms(), msg));
	return devices_publish(n, NULL, msg);
}

enum err devices_remove(struct node *n, const uint8_t id[DEVICE_ID_SIZE], struct errmsg *msg)
{
	return change(n, &(struct device_change){.act = DEVICE_REMOVE, .subject = id}, msg);
}

enum err devices_rename(struct node *n, const uint8_t id[DEVICE_ID_SIZE], const char *name,
                        struct errmsg *msg)
{
	TRY(device_check_name(name, msg));
	return change(n, &(struct device_change){DEVICE_NAME, id, 0, name}, msg);
}

enum err devices_give_role(struct node *n, const uint8_t id[DEVICE_ID_SIZE], enum device_role role,
                           struct errmsg *msg)
{
	return change(n, &(struct device_change){DEVICE_ROLE, id, role, NULL}, msg);
}

static enum err add(struct peer *p, const struct device_row *row, struct errmsg *msg)
{
	struct node *n = p->links->node;
	enum device_role role = p->files_only ? DEVICE_ROLE_FILES : DEVICE_ROLE_FULL;
	uint8_t id[DEVICE_ID_SIZE];
	memcpy(id, row->id, sizeof id);
	TRY(change(n, &(struct device_change){DEVICE_ADD, id, role, NULL}, msg));
	node_log_about(n, LOG_INFO, "devices",
	               &(struct log_about){.event = LOG_EVENT_device_admitted, .device = p->name},
	               "%s is entered into the log of devices", p->name);
	return ERR_OK;
}

enum err devices_admit(struct peer *p, struct errmsg *msg)
{
	struct node *n = p->links->node;
	const struct device_row *row = devices_by_key(n, p->key), *self = self_row(n);
	if (!row)
		return err_set(msg, ERR_AUTH, "its log of devices does not name it");
	if (row->two_hands)
		return err_set(
		    msg, ERR_DENIED,
		    "its key was changed in two places: it needs a new home (WASMOS_HOME)");
	if (memcmp(row->id, p->id, DEVICE_ID_SIZE) != 0)
		peer_take_id(p, row->id);
	if (row->state == DEVICE_MEMBER && !devices_are_lost(n)) {
		peer_follow(n, row);
		return ERR_OK;
	}
	if (devices_are_lost(n) || (self && self->role == DEVICE_ROLE_FILES))
		return ERR_OK; /* the other side adds us */
	return add(p, row, msg);
}

/* Members that will not hear of a new key from us. */
static unsigned count_away(struct node *n)
{
	unsigned count = 0;
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		count += !p->up;
	return count;
}

enum err devices_rotate(struct node *n, bool force, struct errmsg *msg)
{
	struct device *d = n->device;
	struct device_author who = word_of(n);
	unsigned away = count_away(n);
	if (devices_are_lost(n))
		return err_set(msg, ERR_STATE, "this device was removed from its system");
	if (away && !force)
		return err_set(msg, ERR_STATE,
		               "%u other device%s cannot be reached now, and would know this one "
		               "again only when a third one tells it; --force does it all the same",
		               away, away > 1 ? "s" : "");
	/* Kept before the log has it: a node that is killed in between goes on with whichever the log names. */
	crypto_random(d->next, sizeof d->next);
	d->has_next = true;
	enum err e = device_keep(n->home, d, msg);
	if (e == ERR_OK)
		e = device_log_rotate(n->devices->log, &who, d->next, wall_ms(), msg);
	if (e == ERR_OK)
		e = devices_publish(n, NULL, msg);
	read_rows(n);
	return device_settle(n, msg) == ERR_OK ? e : ERR_IO;
}

static enum err wipe(struct node *n, unsigned count, struct errmsg *msg)
{
	struct depot_batch *b = depot_batch_new(node_depot(n));
	uint8_t key[4];
	if (!b)
		return err_set(msg, ERR_NOMEM, "devices: out of memory");
	for (unsigned i = 0; i < count; i++) {
		put_number(key, i);
		depot_del(b, DEPOT_DEVICES, key, sizeof key);
	}
	put_entry(b, n->devices->log, 0);
	enum err e = depot_write(b, msg);
	depot_batch_free(b);
	n->devices->stored = e == ERR_OK;
	n->devices->told = 1;
	return e;
}

/* A log with this device alone, in place of the one there is. */
static enum err found(struct node *n, struct errmsg *msg)
{
	struct devices *d = n->devices;
	struct device_author who = word_of(n);
	struct device_log *old = d->log, *fresh = device_log_new();
	enum err e = fresh ? device_log_found(fresh, &who, n->name, old, wall_ms(), msg)
	                   : err_set(msg, ERR_NOMEM, "out of memory");
	if (e ==
	    ERR_AUTH) { /* the log, or the store, is not of this key: what is left is a new device */
		node_log(n, LOG_WARN, "devices",
		         "the log of devices does not go with this device's key: it begins anew");
		e = device_become(n, msg);
		if (e == ERR_OK)
			e = device_log_found(fresh, &who, n->name, NULL, wall_ms(), msg);
	}
	if (e != ERR_OK) {
		device_log_free(fresh);
		return e;
	}
	d->log = fresh;
	e = wipe(n, DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE, msg);
	device_log_free(old);
	return e;
}

enum err devices_begin_anew(struct node *n, struct errmsg *msg)
{
	if (!devices_are_lost(n))
		return ERR_OK;
	TRY(found(n, msg));
	devices_apply(n);
	group_begin_anew(n);
	return ERR_OK;
}

/* --- the part --- */

/* `wasmos up --name` is a wish, too. */
static enum err follow_told_name(struct node *n, struct errmsg *msg)
{
	const struct device_row *self = self_row(n);
	if (!n->cfg.name || !self || devices_are_lost(n) || !strcmp(self->name, n->cfg.name))
		return ERR_OK;
	return devices_rename(n, n->device->id, n->cfg.name, msg);
}

static enum err load(struct node *n, struct errmsg *msg)
{
	struct devices *d = n->devices;
	enum err e = depot_each(node_depot(n), DEPOT_DEVICES, load_entry, n);
	if (e != ERR_OK)
		return err_set(msg, e, "the log of devices cannot be read: %s", err_text(e));
	d->told = device_log_count(d->log);
	d->stored = d->gaps ? 0 : d->told;
	read_rows(n);
	TRY(device_settle(n, msg));
	if (!devices_by_key(n, n->device->key))
		TRY(found(n, msg));
	read_rows(n);
	TRY(follow_told_name(n, msg));
	devices_apply(n);
	return ERR_OK;
}

enum err devices_open(struct node *n, struct errmsg *msg)
{
	struct devices *d = calloc(1, sizeof *d);
	n->devices = d;
	if (d) {
		d->log = device_log_new();
		d->rows = calloc(DEVICE_LOG_DEVICES_MAX, sizeof *d->rows);
	}
	enum err e =
	    d && d->log && d->rows ? load(n, msg) : err_set(msg, ERR_NOMEM, "out of memory");
	if (e != ERR_OK && d)
		devices_close(n);
	return e;
}

void devices_close(struct node *n)
{
	device_log_free(n->devices->log);
	free(n->devices->rows);
	free(n->devices);
	n->devices = NULL;
}
