/* peers.c - the rows of the paired devices: in memory in order of name, on disk as PAIR_ROW messages (PAIR_PEER, PAIR_HALF: of older
 * builds).
 *
 * A row that changes because a link says so (name, address, when it was last seen) is written in the
 * background; one that a person added or removed is on disk when the function returns. */
#include "node/disk.h"
#include "node/links/link_impl.h"
#include "node/links/via.h"
#include "node/store.h"

#include "base/os.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIND_DIGITS_MIN = 4 };

const uint8_t *peer_id(const struct peer *p)
{
	return p->id;
}

const char *peer_name(const struct peer *p)
{
	return p->name;
}

const char *peer_called(struct node *n, const uint8_t id[DEVICE_ID_SIZE])
{
	const struct peer *p = peer_by_id(n, id);
	return p ? p->name : NULL;
}

bool peer_is_up(const struct peer *p)
{
	return p->up != NULL;
}

bool peer_is_direct(const struct peer *p)
{
	return p->up && !p->up->carrier;
}

const struct peer *peer_carrier(const struct peer *p)
{
	return p->up ? p->up->carrier : NULL;
}

uint32_t peer_rtt_us(const struct peer *p)
{
	return p->up ? p->up->rtt_us : 0;
}

uint64_t peer_seen_unix_ms(const struct peer *p)
{
	return p->up ? os_wall_ns() / 1000000 : p->seen_unix_ms;
}

bool peer_is_half(const struct peer *p)
{
	return p->half_until_unix_ms != 0;
}

bool peer_refuses(const struct peer *p)
{
	return !p->up && p->refusals >= LINK_REFUSALS;
}

const char *peer_address(const struct peer *p)
{
	return p->address_count ? p->addresses[0] : "";
}

static struct peer *skip_removed(struct peer *p)
{
	while (p && p->removed)
		p = p->next;
	return p;
}

struct peer *peer_first(struct node *n)
{
	return skip_removed(n->links->peers);
}

struct peer *peer_next(struct peer *p)
{
	return skip_removed(p->next);
}

static struct peer *row_by_id(struct links *l, const uint8_t id[DEVICE_ID_SIZE])
{
	struct peer *p = l->peers;
	while (p && memcmp(p->id, id, DEVICE_ID_SIZE) != 0)
		p = p->next;
	return p;
}

struct peer *peer_by_id(struct node *n, const uint8_t id[DEVICE_ID_SIZE])
{
	struct peer *p = row_by_id(n->links, id);
	return p && !p->removed ? p : NULL;
}

struct peer *peers_by_key(struct links *l, const uint8_t key[CRYPTO_KEY_SIZE])
{
	struct peer *p = skip_removed(l->peers);
	while (p && memcmp(p->key, key, CRYPTO_KEY_SIZE) != 0)
		p = skip_removed(p->next);
	return p;
}

/* --- finding by what a person typed --- */

static bool id_begins_with(const struct peer *p, const char *text, size_t size)
{
	char hex[2 * DEVICE_ID_SIZE + 1];
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < DEVICE_ID_SIZE; i++) {
		hex[2 * i] = digits[p->id[i] >> 4];
		hex[2 * i + 1] = digits[p->id[i] & 15];
	}
	hex[sizeof hex - 1] = 0;
	return size >= FIND_DIGITS_MIN && size < sizeof hex && strncasecmp(hex, text, size) == 0;
}

static enum err not_found(struct node *n, const char *text, struct errmsg *msg)
{
	if (!strcmp(text, n->name))
		return err_set(msg, ERR_NOTFOUND, "'%.63s' is this device itself", text);
	if (!peer_first(n))
		return err_set(msg, ERR_NOTFOUND,
		               "no device is paired with this one: `wasmos pair` begins that");
	return err_set(msg, ERR_NOTFOUND,
	               "no paired device is called '%.63s': `wasmos peers` lists them", text);
}

enum err peer_find(struct node *n, const char *text, struct peer **out, struct errmsg *msg)
{
	struct peer *by_name = NULL, *by_id = NULL;
	unsigned names = 0, ids = 0;
	char id[DEVICE_SHORT_SIZE];
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		if (!strcmp(p->name, text)) {
			by_name = p;
			names++;
		}
		if (id_begins_with(p, text, strlen(text))) {
			by_id = p;
			ids++;
		}
	}
	if (names == 1 || (!names && ids == 1)) {
		*out = by_name ? by_name : by_id;
		return ERR_OK;
	}
	if (!names && !ids)
		return not_found(n, text, msg);
	device_short((by_name ? by_name : by_id)->id, id);
	return err_set(msg, ERR_EXISTS, "'%.63s' is %u devices: say which by its id, like %s", text,
	               names ? names : ids, id);
}

/* --- the list --- */

static void insert_in_order(struct links *l, struct peer *p)
{
	struct peer **at = &l->peers;
	while (*at && strcmp((*at)->name, p->name) <= 0)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

static void take_out(struct links *l, struct peer *p)
{
	struct peer **at = &l->peers;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static struct peer *row_new(struct links *l, const uint8_t id[DEVICE_ID_SIZE],
                            const uint8_t key[CRYPTO_KEY_SIZE], const char *name)
{
	struct peer *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->links = l;
	memcpy(p->key, key, sizeof p->key);
	memcpy(p->id, id, sizeof p->id);
	memcpy(p->name, name, strlen(name) + 1);
	p->backoff_ms = LINK_BACKOFF_MIN_MS;
	p->ask_at_ms = links_now(l) + VIA_ASK_MS;
	insert_in_order(l, p);
	return p;
}

static unsigned count_rows(struct node *n)
{
	unsigned count = 0;
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		count++;
	return count;
}

/* The place that a new address may take: the last one, or the one before a fixed last one. */
static unsigned place_to_lose(const struct peer *p)
{
	unsigned last = p->address_count - 1;
	return strcmp(p->addresses[last], p->fixed) != 0 ? last : last - 1;
}

bool peer_note_address(struct peer *p, const char *address)
{
	unsigned i = 0;
	while (i < p->address_count && strcmp(p->addresses[i], address) != 0)
		i++;
	p->address_next = 0;
	if (i == 0 && p->address_count)
		return false;
	char copy[LINK_ADDRESS_SIZE];
	memcpy(copy, address, strlen(address) + 1);
	if (i == p->address_count && p->address_count < LINK_ADDRESSES_MAX)
		p->address_count++;
	if (i == p->address_count)
		i = place_to_lose(p);
	memmove(p->addresses[1], p->addresses[0], i * sizeof p->addresses[0]);
	memcpy(p->addresses[0], copy, sizeof copy);
	return true;
}

bool peer_learn_address(struct peer *p, const char *address)
{
	for (unsigned i = 0; i < p->address_count; i++)
		if (!strcmp(p->addresses[i], address))
			return false;
	unsigned at = p->address_count < LINK_ADDRESSES_MAX ? p->address_count++ : place_to_lose(p);
	memcpy(p->addresses[at], address, strlen(address) + 1);
	return true;
}

bool peer_note_name(struct peer *p, struct str_ref name)
{
	if (!name.size || name.size > DEVICE_NAME_MAX || str_equal(name, p->name))
		return false;
	take_out(p->links, p);
	memcpy(p->name, name.p, name.size);
	p->name[name.size] = 0;
	insert_in_order(p->links, p);
	return true;
}

/* --- on disk --- */

static enum err encode_row(const struct peer *p, struct wr *out)
{
	struct wr items = {0};
	struct msg_pair_row m = {
	    .name = str_ref(p->name), .seen_ms = p->seen_unix_ms, .half_ms = p->half_until_unix_ms};
	m.flags = (uint8_t)((p->member ? ROW_MEMBER : 0) | (p->files_only ? ROW_FILES_ONLY : 0));
	memcpy(m.id, p->id, sizeof m.id);
	memcpy(m.key, p->key, sizeof m.key);
	enum err e = ERR_OK;
	for (unsigned i = 0; e == ERR_OK && i < p->address_count; i++) {
		struct msg_address a = {str_ref(p->addresses[i])};
		e = msg_item_address(&items, &a, NULL);
	}
	m.addresses = list_of(&items, p->address_count);
	if (e == ERR_OK)
		e = msg_encode(out, MSG_PAIR_ROW, &m, NULL);
	wr_free(&items);
	return e;
}

static enum err write_row(struct depot *d, const uint8_t id[DEVICE_ID_SIZE], const struct wr *row,
                          struct errmsg *msg)
{
	struct depot_batch *b = depot_batch_new(d);
	if (!b)
		return err_set(msg, ERR_NOMEM, "peers: out of memory");
	if (row)
		depot_put(b, DEPOT_PEERS, id, DEVICE_ID_SIZE, row->data, row->size);
	else
		depot_del(b, DEPOT_PEERS, id, DEVICE_ID_SIZE);
	enum err e = depot_write(b, msg);
	depot_batch_free(b);
	return e;
}

enum err peer_save_now(struct peer *p, struct errmsg *msg)
{
	struct wr row = {0};
	enum err e = encode_row(p, &row);
	if (e == ERR_OK)
		e = write_row(node_depot(p->links->node), p->id, &row, msg);
	wr_free(&row);
	return e;
}

struct save {
	uv_work_t work;
	struct peer *peer;
	uint8_t id[DEVICE_ID_SIZE]; /* it may change meanwhile */
	struct depot *depot;
	struct wr row;
	enum err result;
	struct errmsg msg;
};

static void save_work(uv_work_t *work)
{
	struct save *s = work->data;
	s->result = write_row(s->depot, s->id, &s->row, &s->msg);
}

static void save_done(uv_work_t *work, int status)
{
	struct save *s = work->data;
	struct peer *p = s->peer;
	if (status == 0 && s->result != ERR_OK)
		node_log(p->links->node, LOG_WARN, "link", "%s: not stored: %s", p->name,
		         s->msg.text);
	p->links->saves--;
	p->saving = false;
	/* Removed or called otherwise while its row was being written: it must not come back. */
	if (p->removed || memcmp(p->id, s->id, sizeof s->id) != 0)
		write_row(s->depot, s->id, NULL, NULL);
	wr_free(&s->row);
	free(s);
	if (p->save_again)
		peer_save(p);
}

void peer_save(struct peer *p)
{
	struct links *l = p->links;
	if (p->saving || p->removed || l->closed) {
		p->save_again = p->saving && !p->removed && !l->closed;
		return;
	}
	p->save_again = false;
	struct save *s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->work.data = s;
	s->peer = p;
	memcpy(s->id, p->id, sizeof s->id);
	s->depot = node_depot(l->node);
	if (encode_row(p, &s->row) != ERR_OK ||
	    uv_queue_work(&l->node->loop, &s->work, save_work, save_done) != 0) {
		wr_free(&s->row);
		free(s);
		return;
	}
	l->saves++;
	p->saving = true;
}

/* A row of any form in the newest one; older builds knew no other key than a device's first. */
static enum err read_row(const uint8_t *value, size_t size, struct msg_pair_row *m)
{
	enum msg type;
	union msg_any any;
	TRY(msg_decode(value, size, &type, &any, NULL));
	*m = (struct msg_pair_row){0};
	if (type == MSG_PAIR_ROW) {
		*m = any.pair_row;
		return ERR_OK;
	}
	if (type == MSG_PAIR_HALF) {
		m->name = any.pair_half.name;
		m->half_ms = any.pair_half.until_ms;
		m->addresses = any.pair_half.addresses;
		memcpy(m->key, any.pair_half.key, sizeof m->key);
	} else if (type == MSG_PAIR_PEER) {
		m->name = any.pair_peer.name;
		m->seen_ms = any.pair_peer.seen_ms;
		m->addresses = any.pair_peer.addresses;
		memcpy(m->key, any.pair_peer.key, sizeof m->key);
	} else {
		return ERR_MALFORMED;
	}
	device_id_of(m->key, m->id);
	return ERR_OK;
}

static bool load_row(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t size)
{
	struct links *l = ctx;
	struct msg_pair_row m;
	struct msg_address a;
	char name[DEVICE_NAME_MAX + 1];
	if (read_row(value, size, &m) != ERR_OK || str_copy(m.name, name, sizeof name) != ERR_OK ||
	    key_size != sizeof m.id || memcmp(key, m.id, sizeof m.id) != 0)
		goto bad;
	struct peer *p = row_new(l, m.id, m.key, name);
	if (!p)
		return false;
	p->seen_unix_ms = m.seen_ms;
	p->half_until_unix_ms = m.half_ms;
	p->member = m.flags & ROW_MEMBER;
	p->files_only = m.flags & ROW_FILES_ONLY;
	while (msg_next_address(&m.addresses, &a))
		if (p->address_count < LINK_ADDRESSES_MAX &&
		    str_copy(a.text, p->addresses[p->address_count], LINK_ADDRESS_SIZE) == ERR_OK)
			p->address_count++;
	return true;
bad:
	node_log(l->node, LOG_WARN, "link", "a damaged row of a paired device is left out");
	return true;
}

/* Under "at-" and the id in hexadecimal. */
enum { FIXED_NAME = 3 + 2 * DEVICE_ID_SIZE + 1 };

static void fixed_name(const struct peer *p, char out[FIXED_NAME])
{
	memcpy(out, "at-", 3);
	for (unsigned i = 0; i < DEVICE_ID_SIZE; i++)
		snprintf(out + 3 + 2 * i, 3, "%02x", p->id[i]);
}

static void load_fixed(struct peer *p)
{
	char name[FIXED_NAME];
	struct wr text = {0};
	struct sockaddr_storage a;
	fixed_name(p, name);
	enum err e =
	    depot_get(node_depot(p->links->node), DEPOT_SETTINGS, name, sizeof name, &text);
	wr_u8(&text, 0);
	if (e == ERR_OK && wr_ok(&text) && text.size <= sizeof p->fixed &&
	    address_parse((char *)text.data, &a) == ERR_OK) {
		memcpy(p->fixed, text.data, text.size);
		peer_learn_address(p, p->fixed);
	}
	wr_free(&text);
}

static void forget_fixed(struct peer *p)
{
	char name[FIXED_NAME];
	fixed_name(p, name);
	if (p->fixed[0])
		depot_keep_setting(node_depot(p->links->node), name, "", 0, NULL);
	p->fixed[0] = 0;
}

enum err peer_fix_address(struct peer *p, const char *address, struct errmsg *msg)
{
	char name[FIXED_NAME];
	struct sockaddr_storage a;
	if (*address &&
	    (strlen(address) >= sizeof p->fixed || address_parse(address, &a) != ERR_OK))
		return err_set(msg, ERR_USAGE,
		               "'%.80s' is no address: write it like 192.0.2.7:4747 or "
		               "[2001:db8::7]:4747",
		               address);
	fixed_name(p, name);
	TRY(depot_keep_setting(node_depot(p->links->node), name, address, strlen(address), msg));
	memcpy(p->fixed, address, strlen(address) + 1);
	if (*address && peer_note_address(p, address))
		peer_save(p);
	if (*address)
		links_hint(p, address);
	return ERR_OK;
}

enum err peers_load(struct links *l, struct errmsg *msg)
{
	enum err e = depot_each(node_depot(l->node), DEPOT_PEERS, load_row, l);
	for (struct peer *p = l->peers; p; p = p->next)
		load_fixed(p);
	return e == ERR_OK ? e
	                   : err_set(msg, e, "the paired devices cannot be read: %s", err_text(e));
}

void peers_free(struct links *l)
{
	while (l->peers) {
		struct peer *p = l->peers;
		l->peers = p->next;
		free(p);
	}
}

/* --- by a person's wish --- */

/* A device that has changed its key keeps its id, where the log of devices knows of the change. */
static void id_of_key(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE],
                      uint8_t id[DEVICE_ID_SIZE])
{
	const struct device_row *row = devices_by_key(n, key);
	if (row)
		memcpy(id, row->id, DEVICE_ID_SIZE);
	else
		device_id_of(key, id);
}

static bool is_member(struct node *n, const uint8_t id[DEVICE_ID_SIZE])
{
	const struct device_row *row = devices_row(n, id);
	return row && row->state == DEVICE_MEMBER && !devices_are_lost(n);
}

static enum err add_row(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE], const char *name,
                        const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count,
                        uint64_t half_until_ms, struct peer **out, struct errmsg *msg)
{
	struct links *l = n->links;
	uint8_t id[DEVICE_ID_SIZE];
	id_of_key(n, key, id);
	struct peer *p = row_by_id(l, id);
	if (!p && count_rows(n) >= LINK_PEERS_MAX)
		return err_set(msg, ERR_LIMIT, "%d devices are paired; no more fit",
		               LINK_PEERS_MAX);
	if (!p)
		p = row_new(l, id, key, name);
	if (!p)
		return err_set(msg, ERR_NOMEM, "out of memory");
	bool was_removed = p->removed;
	p->removed = false;
	p->refusals = 0;
	p->half_until_unix_ms = half_until_ms;
	memcpy(p->key, key, sizeof p->key);
	p->member = is_member(n, id);
	if (!p->member)
		peer_note_name(p, str_ref(name));
	for (unsigned i = count; i-- > 0;)
		peer_note_address(p, addresses[i]);
	enum err e = peer_save_now(p, msg);
	if (e != ERR_OK) {
		p->removed = was_removed || !p->up;
		return e;
	}
	*out = p;
	link_dial(p);
	return ERR_OK;
}

enum err peer_add(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE], const char *name,
                  const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count, struct peer **out,
                  struct errmsg *msg)
{
	return add_row(n, key, name, addresses, count, 0, out, msg);
}

enum err peer_add_half(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE], const char *name,
                       const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count,
                       struct errmsg *msg)
{
	struct peer *p = peers_by_key(n->links, key);
	if (p && !p->half_until_unix_ms)
		return ERR_OK; /* a whole one already */
	return add_row(n, key, name, addresses, count, os_wall_ns() / 1000000 + LINK_HALF_MS, &p,
	               msg);
}

bool peer_complete(struct peer *p)
{
	bool half = p->half_until_unix_ms != 0;
	p->half_until_unix_ms = 0;
	return half;
}

void peers_tick(struct links *l)
{
	for (struct peer *p = l->peers; p; p = p->next) {
		if (p->removed || !p->half_until_unix_ms ||
		    os_wall_ns() / 1000000 < p->half_until_unix_ms)
			continue;
		node_log_about(
		    l->node, LOG_INFO, "pairing",
		    &(struct log_about){.event = LOG_EVENT_device_gone, .device = p->name},
		    "%s never answered: it is forgotten", p->name);
		peer_remove(l->node, p, NULL);
	}
}

/* All but its link; also what goes through it and through us for it. */
static void end_attempts(struct peer *p, const char *why)
{
	struct conn *older = p->older;
	p->older = NULL; /* not a loss: nothing of it is waited for */
	if (older)
		conn_close(older, why);
	if (p->dialing)
		conn_close(p->dialing, why);
	if (p->asking)
		conn_close(p->asking, why);
	via_link_lost(p);
}

enum err peer_remove(struct node *n, struct peer *p, struct errmsg *msg)
{
	TRY(write_row(node_depot(n), p->id, NULL, msg));
	forget_fixed(p);
	p->removed = true;
	end_attempts(p, "no longer paired");
	if (p->up)
		conn_close(p->up, "no longer paired");
	return ERR_OK;
}

/* --- as the log of devices says --- */

void peer_follow(struct node *n, const struct device_row *row)
{
	struct links *l = n->links;
	struct peer *p = row_by_id(l, row->id);
	bool is_new = !p || p->removed;
	if (!p && count_rows(n) < LINK_PEERS_MAX)
		p = row_new(l, row->id, row->key, row->name);
	if (!p)
		return;
	bool changed = peer_note_name(p, str_ref(row->name));
	if (!is_new && p->member && !changed && !memcmp(p->key, row->key, sizeof p->key))
		return;
	memcpy(p->key, row->key, sizeof p->key);
	p->member = true;
	p->removed = p->files_only = false;
	p->half_until_unix_ms = 0;
	if (is_new)
		node_log_about(
		    n, LOG_INFO, "devices",
		    &(struct log_about){.event = LOG_EVENT_device_admitted, .device = p->name},
		    "%s belongs to the system", p->name);
	peer_save(p);
}

void peer_take_id(struct peer *p, const uint8_t id[DEVICE_ID_SIZE])
{
	struct node *n = p->links->node;
	struct peer *old = row_by_id(p->links, id);
	if (old && !old->removed)
		peer_remove(n, old, NULL);
	if (old)
		memset(old->id, 0, sizeof old->id); /* a row out of use; others may hold it */
	write_row(node_depot(n), p->id, NULL, NULL);
	memcpy(p->id, id, sizeof p->id);
	peer_save(p);
}

void peer_hang_up(struct peer *p, const char *why)
{
	end_attempts(p, why);
	if (p->up)
		conn_dismiss(p->up); /* it is told why, perhaps by us */
}

void peer_dismiss(struct peer *p, const char *why)
{
	struct errmsg msg = {0};
	node_log_about(p->links->node, LOG_INFO, "devices",
	               &(struct log_about){.event = LOG_EVENT_device_gone, .device = p->name},
	               "%s: %s", p->name, why);
	if (write_row(node_depot(p->links->node), p->id, NULL, &msg) != ERR_OK)
		node_log(p->links->node, LOG_WARN, "devices", "its row stays: %s", msg.text);
	forget_fixed(p);
	p->removed = true;
	end_attempts(p, why);
	if (p->up)
		conn_dismiss(p->up);
}
