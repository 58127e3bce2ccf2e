/* devices_session.c - the exchange of logs with which a link begins, and what is told over it later. Drawn in devices.h.
 *
 * Nothing of the link but this happens before: the other's log is read first, so that a removal it knows of counts for it, too.
 * Messages are small until the link is up (CONN_IN_SMALL): a long log goes in many. */
#include "node/links/devices.h"

#include "node/links/group.h"
#include "node/links/link_impl.h"

#include <string.h>

enum {
	TELL_BYTES = 4096, /* of entries in one message, unless a single one is larger */
	TELL_ENTRIES = 16,
	TELL_ADDRESSES = 4, /* of one device to another */
	STAGED_MAX = 6 << 20,
	PLACES = DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE,
};

static enum err say(struct conn *c, enum msg type, const void *fields)
{
	struct wr bytes = {0};
	enum err e = msg_encode(&bytes, type, fields, NULL);
	if (e == ERR_OK) {
		conn_count_sent(c, type, bytes.size);
		return conn_queue(c, &bytes, LINK_FAST);
	}
	wr_free(&bytes);
	return e;
}

/* --- entries --- */

static enum err say_entries(struct conn *c, struct wr *items, unsigned *count, bool last)
{
	struct msg_device_entries m = {.entries = list_of(items, *count), .last = last};
	enum err e = say(c, MSG_DEVICE_ENTRIES, &m);
	wr_clear(items);
	*count = 0;
	return e;
}

static enum err say_those(struct conn *c, const bool *which, bool last)
{
	const struct device_log *l = devices_log(c->links->node);
	struct wr items = {0};
	unsigned count = 0, total = device_log_count(l);
	enum err e = ERR_OK;
	for (unsigned i = 0; i < total && e == ERR_OK; i++) {
		if (!which[i])
			continue;
		struct device_entry entry = device_log_at(l, i);
		struct msg_device_signed s = {.entry = bin_ref(entry.bytes, entry.size)};
		memcpy(s.proof, entry.proof, sizeof s.proof);
		if (count == TELL_ENTRIES || (count && items.size + entry.size > TELL_BYTES))
			e = say_entries(c, &items, &count, false);
		if (e == ERR_OK)
			e = msg_item_device_signed(&items, &s, NULL);
		count++;
	}
	if (e == ERR_OK && (count || last))
		e = say_entries(c, &items, &count, last);
	wr_free(&items);
	return e;
}

void devices_tell(struct conn *c, unsigned from)
{
	bool which[PLACES] = {0};
	for (unsigned i = from; i < device_log_count(devices_log(c->links->node)); i++)
		which[i] = true;
	enum err e = say_those(c, which, false);
	if (e != ERR_OK)
		node_log(c->links->node, LOG_WARN, "devices", "%s is not told of changes: %s",
		         c->remote, err_text(e));
}

enum err devices_greet(struct conn *c)
{
	uint8_t heads[DEVICE_LOG_HEADS_MAX][DEVICE_LOG_HASH_SIZE];
	struct wr items = {0};
	unsigned count = device_log_heads(devices_log(c->links->node), heads);
	enum err e = ERR_OK;
	for (unsigned i = 0; i < count && e == ERR_OK; i++) {
		struct msg_device_parent p;
		memcpy(p.hash, heads[i], sizeof p.hash);
		e = msg_item_device_parent(&items, &p, NULL);
	}
	struct msg_device_have m = {.heads = list_of(&items, count)};
	if (e == ERR_OK)
		e = say(c, MSG_DEVICE_HAVE, &m);
	wr_free(&items);
	return e;
}

void devices_turn_away(struct conn *c, const struct device_row *row)
{
	struct node *n = c->links->node;
	unsigned removals[8];
	bool which[PLACES] = {0}, history[PLACES];
	unsigned count = device_log_removals(devices_log(n), n->device->id, row->id, removals, 8);
	for (unsigned i = 0; i < count; i++) {
		device_log_history(devices_log(n), removals[i], history);
		for (unsigned k = 0; k < device_log_count(devices_log(n)); k++)
			which[k] |= history[k];
	}
	node_log_about(n, LOG_INFO, "devices",
	               &(struct log_about){.event = LOG_EVENT_device_refused, .device = row->name},
	               "%s was removed: it is told, and refused", row->name);
	say_those(c, which, true);
	conn_dismiss(c);
}

/* --- what comes --- */

/* The exchange is over on our side: the peer may be one, or becomes one. */
static enum err settle(struct conn *c, struct errmsg *msg)
{
	struct node *n = c->links->node;
	struct peer *p = c->peer;
	if (!c->log_sent || !c->log_whole || c->ready_sent)
		return ERR_OK;
	if (peer_complete(p))
		node_log_about(
		    n, LOG_INFO, "pairing",
		    &(struct log_about){.event = LOG_EVENT_device_paired, .device = p->name},
		    "%s said yes, too: paired", p->name);
	if (!p->member)
		TRY(devices_admit(p, msg));
	if (c->closing || c->farewell)
		return ERR_OK;
	if (!devices_want(n, p))
		return err_set(msg, ERR_DENIED, "it is no member of the system");
	if (links_is_second(c))
		return err_set(msg, ERR_EXISTS, "a second connection");
	struct msg_device_ready ready = {.entries = device_log_count(devices_log(n))};
	c->ready_sent = true;
	TRY(say(c, MSG_DEVICE_READY, &ready));
	return c->ready_heard ? links_up(c, msg) : ERR_OK;
}

static enum err on_have(struct conn *c, const struct msg_device_have *m, struct errmsg *msg)
{
	uint8_t heads[DEVICE_LOG_HEADS_MAX][DEVICE_LOG_HASH_SIZE];
	struct list_ref list = m->heads;
	struct msg_device_parent p;
	bool lacks[PLACES] = {0};
	unsigned count = 0;
	if (c->log_sent)
		return err_set(msg, ERR_MALFORMED, "DEVICE_HAVE twice");
	while (count < DEVICE_LOG_HEADS_MAX && msg_next_device_parent(&list, &p))
		memcpy(heads[count++], p.hash, sizeof p.hash);
	device_log_lacks(devices_log(c->links->node), (const uint8_t(*)[DEVICE_LOG_HASH_SIZE])heads,
	                 count, lacks);
	c->log_sent = true;
	TRY(say_those(c, lacks, true));
	return settle(c, msg);
}

/* True when it is new. One that is refused does not end the link: the two may have different limits. */
static bool take(struct conn *c, const struct msg_device_signed *s)
{
	struct node *n = c->links->node;
	struct errmsg msg = {0};
	enum err e = device_log_take(devices_log(n), s->entry.p, s->entry.size, s->proof, &msg);
	if (e != ERR_OK && e != ERR_EXISTS)
		node_log(n, LOG_WARN, "devices", "an entry told by %s is refused: %s",
		         c->peer->name, msg.text[0] ? msg.text : err_text(e));
	return e == ERR_OK;
}

static bool take_all(struct conn *c, struct list_ref list)
{
	struct msg_device_signed s;
	bool grew = false;
	while (msg_next_device_signed(&list, &s))
		grew |= take(c, &s);
	return grew;
}

/* The first of a log wait for the last: half a log may say what the whole denies, and links would be closed for it. */
static enum err stage(struct conn *c, const struct list_ref *list, struct errmsg *msg)
{
	if (c->staged.size + list->size > STAGED_MAX)
		return err_set(msg, ERR_LIMIT, "its log of devices is above %d bytes", STAGED_MAX);
	wr_bytes(&c->staged, list->p, list->size);
	c->staged_count += list->count;
	return wr_ok(&c->staged) ? ERR_OK : err_set(msg, ERR_NOMEM, "out of memory");
}

static enum err on_entries(struct conn *c, const struct msg_device_entries *m, struct errmsg *msg)
{
	if (m->last && c->log_whole)
		return err_set(msg, ERR_MALFORMED, "the last DEVICE_ENTRIES twice");
	if (!m->last && !c->log_whole)
		return stage(c, &m->entries, msg);
	bool grew = take_all(c, list_of(&c->staged, c->staged_count));
	wr_free(&c->staged);
	c->staged_count = 0;
	grew |= take_all(c, m->entries);
	c->log_whole |= m->last;
	if (grew)
		TRY(devices_publish(c->links->node, c, msg));
	return c->closing || c->farewell ? ERR_OK : settle(c, msg);
}

static enum err on_ready(struct conn *c, struct errmsg *msg)
{
	if (c->ready_heard)
		return err_set(msg, ERR_MALFORMED, "DEVICE_READY twice");
	if (devices_are_lost(c->links->node))
		return err_set(msg, ERR_DENIED, "this device was removed, and not added again");
	c->ready_heard = true;
	return c->ready_sent ? links_up(c, msg) : ERR_OK;
}

/* --- addresses --- */

static bool is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || !strncmp(address, "[::1]", 5);
}

/* Means something only on the network it is of, and at the interface it names. */
static bool is_link_local(const char *address)
{
	return !strncmp(address, "[fe80:", 6);
}

/* Where `about` is, to one for whom loopback means something else or not. */
static void tell_where(struct peer *to, const uint8_t id[DEVICE_ID_SIZE],
                       const char (*addresses)[LINK_ADDRESS_SIZE], unsigned count)
{
	struct msg_device_where m;
	struct wr items = {0};
	unsigned told = 0;
	for (unsigned i = 0; i < count && told < TELL_ADDRESSES; i++) {
		struct msg_address a = {str_ref(addresses[i])};
		if (is_link_local(addresses[i]) ||
		    (is_loopback(addresses[i]) && !is_loopback(to->up->remote)))
			continue;
		if (msg_item_address(&items, &a, NULL) == ERR_OK)
			told++;
	}
	memcpy(m.device, id, sizeof m.device);
	m.addresses = list_of(&items, told);
	if (told)
		link_send(to, MSG_DEVICE_WHERE, &m, LINK_FAST, NULL);
	wr_free(&items);
}

static void tell_where_peer(struct peer *to, const struct peer *about)
{
	tell_where(to, about->id, (const char(*)[LINK_ADDRESS_SIZE])about->addresses,
	           about->address_count);
}

static void tell_own(struct peer *to)
{
	struct node *n = to->links->node;
	char own[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	unsigned count = link_own_addresses(n, own, LINK_ADDRESSES_MAX);
	tell_where(to, n->device->id, (const char(*)[LINK_ADDRESS_SIZE])own, count);
}

void devices_moved(struct node *n)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		if (p->up)
			tell_own(p);
}

void devices_linked(struct peer *p)
{
	struct node *n = p->links->node;
	group_linked(p);
	tell_own(p);
	for (struct peer *q = peer_first(n); q; q = peer_next(q)) {
		if (q == p || !q->member)
			continue;
		tell_where_peer(p, q);
		if (q->up)
			tell_where_peer(q, p);
	}
}

static enum err on_where(struct conn *c, const struct msg_device_where *m)
{
	struct peer *p = peer_by_id(c->links->node, m->device);
	struct list_ref list = m->addresses;
	struct msg_address a;
	struct sockaddr_storage parsed;
	char text[LINK_ADDRESS_SIZE], fresh[LINK_ADDRESS_SIZE] = "";
	if (!p || !p->member)
		return ERR_OK;
	while (msg_next_address(&list, &a))
		if (str_copy(a.text, text, sizeof text) == ERR_OK &&
		    address_parse(text, &parsed) == ERR_OK && peer_learn_address(p, text))
			memcpy(fresh, text, sizeof fresh);
	/* Who tells it may have a link with it just now, and carry ours. */
	if (!p->up && p->ask_at_ms > links_now(c->links) + VIA_ASK_MS)
		p->ask_at_ms = links_now(c->links) + VIA_ASK_MS;
	if (!fresh[0])
		return ERR_OK;
	peer_save(p);
	links_hint(p, fresh);
	return ERR_OK;
}

enum err devices_message(struct conn *c, enum msg type, const union msg_any *any,
                         struct errmsg *msg)
{
	switch (type) {
	case MSG_DEVICE_HAVE: return on_have(c, &any->device_have, msg);
	case MSG_DEVICE_ENTRIES: return on_entries(c, &any->device_entries, msg);
	case MSG_DEVICE_READY: return on_ready(c, msg);
	case MSG_DEVICE_WHERE: return c->up ? on_where(c, &any->device_where) : ERR_OK;
	case MSG_DEVICE_GROUP:
		if (c->up)
			group_message(c, &any->device_group);
		return ERR_OK;
	default: return err_set(msg, ERR_MALFORMED, "%s is never sent", msg_name(type));
	}
}
