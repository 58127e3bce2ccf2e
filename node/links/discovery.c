/* discovery.c - sockets and timer of the beacons, what follows when one is heard, and the watch over our own addresses. */
#include "node/links/discovery.h"

#include "node/links/devices.h"
#include "node/links/group.h"
#include "node/links/link_impl.h"
#include "node/links/net.h"
#include "proto/beacon.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 500,
	LOOK_MS = 1000,   /* at our own addresses */
	CALM_MS = 60000,  /* between beacons while all are linked */
	SEEK_MS = 20000,  /* while one is away */
	ANSWER_MS = 5000, /* at least between beacons that others' ask for */
	ANSWER_SPREAD = 1000,
	PLACES_MAX = 16,     /* addresses to send from */
	SOURCES = 64,        /* buckets of senders */
	SOURCE_RATE = 20,    /* datagrams a second that are looked at, of one bucket */
	HEARD_RATE = 2000,   /* and of all: then the rest of that second is dropped unread */
	TRY_RATE = 8000,     /* keys that are tried a second, for all of them */
	AWAY_MAX = 8,        /* devices that are away which a round speaks to one by one */
	PEER_EVERY_MS = 500, /* a device's beacons in between make no calls */
};

/* After a start: a device that is just coming up hears one of them. */
static const unsigned burst_ms[] = {0, 1000, 3000, 8000};
enum { BURST = sizeof burst_ms / sizeof burst_ms[0] };

/* An address to send from, and where to. */
struct place {
	struct sockaddr_storage from, to;
	unsigned interface_number;
};

struct ear {
	uv_udp_t udp;
	bool open;
};

struct discovery {
	struct node *node;
	struct ear ears[2]; /* IPv4, IPv6 */
	uv_timer_t timer;
	unsigned handles;
	bool closed, on;
	struct place places[PLACES_MAX];
	unsigned place_count;
	uint8_t own[CRYPTO_HASH_SIZE]; /* of our addresses: shows that they have changed */
	uint64_t look_at, due_at, sent_at, burst_from;
	unsigned burst; /* beacons of it that are out */
	uint8_t source_key[CRYPTO_KEY_SIZE];
	uint64_t second; /* to which these belong */
	uint16_t from_source[SOURCES];
	unsigned heard, tried;
	unsigned away_turn; /* which of those that are away comes first */
	uint8_t buffer[BEACON_SIZE + 1];
};

static uint64_t now_of(const struct discovery *d)
{
	return uv_now(&d->node->loop);
}

static bool is_v6(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6;
}

/* The bytes of an IP address, IPv4 in IPv6 made plain. */
static const uint8_t *ip_of(const struct sockaddr *a, uint8_t *size)
{
	const struct sockaddr_in *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	bool mapped = a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
	*size = a->sa_family == AF_INET || mapped ? 4 : 16;
	if (a->sa_family == AF_INET)
		return (const uint8_t *)&v4->sin_addr;
	return v6->sin6_addr.s6_addr + (mapped ? 12 : 0);
}

static bool same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
	uint8_t a_size, b_size;
	const uint8_t *a_ip = ip_of(a, &a_size), *b_ip = ip_of(b, &b_size);
	return a_size == b_size && !memcmp(a_ip, b_ip, a_size);
}

/* --- where to send --- */

/* Which families may be called at all, and which address alone. */
struct listening {
	bool v4, v6, one;
	struct sockaddr_storage at;
};

static struct listening listening_of(struct node *n)
{
	struct listening l = {.v4 = true, .v6 = net_has_ipv6()};
	static const uint8_t any[16];
	uint8_t size;
	if (!n->cfg.listen || address_parse(n->cfg.listen, &l.at) != ERR_OK)
		return l;
	const uint8_t *ip = ip_of((struct sockaddr *)&l.at, &size);
	l.one = memcmp(ip, any, size) != 0;
	l.v4 = !is_v6(&l.at) || !l.one || size == 4;
	l.v6 = is_v6(&l.at) && size == 16;
	return l;
}

/* False: a network of two ends, which has no broadcast. */
static bool broadcast_of(const uv_interface_address_t *i, struct sockaddr_storage *to)
{
	struct sockaddr_in *out = (struct sockaddr_in *)to;
	uint32_t mask = ntohl(i->netmask.netmask4.sin_addr.s_addr);
	*out = i->address.address4;
	out->sin_addr.s_addr |= htonl(~mask);
	out->sin_port = htons(DISCOVERY_PORT);
	return mask && ~mask > 1;
}

static bool group_of(const uv_interface_address_t *i, struct sockaddr_storage *to)
{
	const struct sockaddr_in6 *own = &i->address.address6;
	if (!IN6_IS_ADDR_LINKLOCAL(&own->sin6_addr) ||
	    uv_ip6_addr(DISCOVERY_GROUP, DISCOVERY_PORT, (struct sockaddr_in6 *)to) != 0)
		return false;
	((struct sockaddr_in6 *)to)->sin6_scope_id = own->sin6_scope_id;
	return true;
}

static bool place_of(const struct listening *l, const uv_interface_address_t *i, struct place *out)
{
	const struct sockaddr *own = (const struct sockaddr *)&i->address;
	bool v6 = own->sa_family == AF_INET6;
	*out = (struct place){0};
	if (i->is_internal || !(v6 ? l->v6 : l->v4))
		return false;
	if (l->one && !same_ip(own, (const struct sockaddr *)&l->at))
		return false;
	if (v6)
		memcpy(&out->from, &i->address.address6, sizeof i->address.address6);
	else
		memcpy(&out->from, &i->address.address4, sizeof i->address.address4);
	out->interface_number = v6 ? i->address.address6.sin6_scope_id : 0;
	return v6 ? group_of(i, &out->to) : broadcast_of(i, &out->to);
}

/* Where the system does not tell its interfaces: the one that leads out, and everybody there. */
static bool place_outgoing(const struct listening *l, struct place *out)
{
	struct sockaddr_in *from = (struct sockaddr_in *)&out->from;
	*out = (struct place){0};
	return l->v4 && !l->one && net_outgoing(from) &&
	       uv_ip4_addr("255.255.255.255", DISCOVERY_PORT, (struct sockaddr_in *)&out->to) == 0;
}

static void find_places(struct discovery *d)
{
	struct listening l = listening_of(d->node);
	uv_interface_address_t *list = NULL;
	int count = 0;
	d->place_count = 0;
	if (!d->on)
		return;
	if (uv_interface_addresses(&list, &count) != 0) {
		d->place_count = place_outgoing(&l, &d->places[0]);
		return;
	}
	for (int i = 0; i < count && d->place_count < PLACES_MAX; i++)
		d->place_count += place_of(&l, &list[i], &d->places[d->place_count]);
	uv_free_interface_addresses(list, count);
}

/* --- speaking --- */

static void send_from(struct discovery *d, const struct place *p,
                      const uint8_t secret[CRYPTO_KEY_SIZE])
{
	struct node *n = d->node;
	struct beacon b = {.port = link_port(n), .time_ms = os_wall_ns() / 1000000};
	uint8_t salt[BEACON_SALT], bytes[BEACON_SIZE];
	const uint8_t *ip = ip_of((const struct sockaddr *)&p->from, &b.address_size);
	memcpy(b.address, ip, b.address_size);
	memcpy(b.device, n->device->id, sizeof b.device);
	crypto_random(salt, sizeof salt);
	beacon_seal(secret, n->device->secret, salt, &b, bytes);
	net_send_near((const struct sockaddr *)&p->from, p->interface_number,
	              (const struct sockaddr *)&p->to, bytes, sizeof bytes);
}

static void send_everywhere(struct discovery *d, const uint8_t secret[CRYPTO_KEY_SIZE])
{
	for (unsigned i = 0; i < d->place_count; i++)
		send_from(d, &d->places[i], secret);
}

/* --- one by one: who is away may have missed a change of the system's key, or made another --- */

static bool is_away(const struct discovery *d, const struct peer *p)
{
	return p->member && devices_want(d->node, p) && !peer_is_direct(p);
}

/* Kept until one of the two has another key. NULL: its key is no fit one. */
static const uint8_t *pair_secret(const struct discovery *d, struct peer *p)
{
	const struct device *own = d->node->device;
	if (!memcmp(p->between.own, own->key, sizeof own->key) &&
	    !memcmp(p->between.theirs, p->key, sizeof p->key))
		return p->between.secret;
	if (beacon_pair_secret(own->secret, p->key, p->between.secret) != ERR_OK)
		return NULL;
	memcpy(p->between.own, own->key, sizeof own->key);
	memcpy(p->between.theirs, p->key, sizeof p->key);
	return p->between.secret;
}

/* Those in whose turn it is, AWAY_MAX of them. */
static void send_to_away(struct discovery *d)
{
	unsigned count = 0, at = 0;
	for (struct peer *p = peer_first(d->node); p; p = peer_next(p))
		count += is_away(d, p);
	for (struct peer *p = peer_first(d->node); p; p = peer_next(p)) {
		if (!is_away(d, p))
			continue;
		const uint8_t *secret = pair_secret(d, p);
		if (secret && (at++ + count - d->away_turn % count) % count < AWAY_MAX)
			send_everywhere(d, secret);
	}
	d->away_turn += AWAY_MAX;
}

/* How many of the system's other devices there are, and whether all are linked directly. */
static unsigned count_others(const struct discovery *d, bool *all_up)
{
	unsigned count = 0;
	*all_up = true;
	for (struct peer *p = peer_first(d->node); p; p = peer_next(p)) {
		if (!devices_want(d->node, p) || !p->member)
			continue;
		count++;
		*all_up = *all_up && peer_is_direct(p);
	}
	return count;
}

static void set_due(struct discovery *d, uint64_t now)
{
	bool all_up;
	uint32_t jitter;
	if (d->burst < BURST) {
		d->due_at = d->burst_from + burst_ms[d->burst];
		return;
	}
	unsigned every = (count_others(d, &all_up), all_up ? CALM_MS : SEEK_MS);
	crypto_random(&jitter, sizeof jitter);
	d->due_at = now + every - every / 4 + jitter % (every / 2);
}

static void send_all(struct discovery *d, uint64_t now)
{
	const struct group_key *key = group_current(d->node);
	bool all_up;
	d->burst += d->burst < BURST;
	d->sent_at = now;
	set_due(d, now);
	if (!count_others(d, &all_up))
		return;
	if (key)
		send_everywhere(d, key->secret);
	send_to_away(d);
}

static void begin_burst(struct discovery *d)
{
	d->burst = 0;
	d->burst_from = d->due_at = now_of(d);
}

/* Somebody is looking for us, or is lost: soon, but not all at once, and seldom. */
static void hasten(struct discovery *d)
{
	uint32_t jitter;
	crypto_random(&jitter, sizeof jitter);
	uint64_t at = now_of(d) + jitter % ANSWER_SPREAD, first = d->sent_at + ANSWER_MS;
	at = at > first ? at : first;
	d->due_at = d->due_at < at ? d->due_at : at;
}

/* --- hearing --- */

static void call_at(struct discovery *d, struct peer *p, const char *address)
{
	struct conn *c = p->dialing;
	if (c && !c->connected && strcmp(c->remote, address) != 0)
		conn_close(c, "it says that it is elsewhere");
	link_dial(p);
	hasten(d); /* where it cannot be called it may call us */
}

/* It may have left the address by which we hold a link with it: then that is dead, and would be noticed late. A link through another
 * device may be replaced by a direct one. */
static void note_while_up(struct discovery *d, struct peer *p, const char *address)
{
	bool is_new = peer_learn_address(p, address);
	if (is_new)
		peer_save(p);
	if (!peer_is_direct(p))
		links_hint(p, address);
	else if (is_new)
		conn_doubt(p->up, now_of(d));
}

static void heard(struct discovery *d, struct peer *p, const char *address)
{
	uint64_t now = now_of(d), last = p->beacon_ms;
	p->beacon_ms = now;
	if (p->up) {
		note_while_up(d, p, address);
		return;
	}
	if (last && now - last < PEER_EVERY_MS) {
		peer_learn_address(p, address);
		return;
	}
	node_log(d->node, LOG_DEBUG, "discovery", "%s is at %s", p->name, address);
	if (peer_note_address(p, address))
		peer_save(p);
	call_at(d, p, address);
}

static bool is_from(const struct beacon *b, const struct sockaddr *from)
{
	uint8_t size;
	const uint8_t *ip = ip_of(from, &size);
	return size == b->address_size && !memcmp(ip, b->address, size);
}

static bool understand(struct discovery *d, const uint8_t *bytes, size_t size, struct beacon *b)
{
	const struct group_keys *keys = group_all(d->node);
	uint64_t now_ms = os_wall_ns() / 1000000;
	enum err e = ERR_AUTH;
	for (unsigned i = 0; i < keys->count && e == ERR_AUTH; i++, d->tried++)
		e = beacon_open(keys->at[i].secret, now_ms, bytes, size, b);
	for (struct peer *p = peer_first(d->node); p && e == ERR_AUTH; p = peer_next(p)) {
		const uint8_t *secret = is_away(d, p) ? pair_secret(d, p) : NULL;
		d->tried += secret != NULL;
		e = secret ? beacon_open(secret, now_ms, bytes, size, b) : e;
	}
	return e == ERR_OK;
}

static void take(struct discovery *d, const uint8_t *bytes, size_t size,
                 const struct sockaddr *from)
{
	struct node *n = d->node;
	struct beacon b;
	char address[LINK_ADDRESS_SIZE];
	if (!understand(d, bytes, size, &b) || !memcmp(b.device, n->device->id, sizeof b.device))
		return;
	const struct device_row *row = devices_row(n, b.device);
	struct peer *p = peer_by_id(n, b.device);
	if (!row || row->state != DEVICE_MEMBER || !p || !devices_want(n, p))
		return;
	if (!is_from(&b, from) || !beacon_is_by(&b, row->sign_key))
		return;
	address_text(from, b.port, address);
	heard(d, p, address);
}

/* Each sender's share, so that a loud one does not drown the others; and everybody's. */
static bool rate_allows(struct discovery *d, const struct sockaddr *from)
{
	uint64_t second = now_of(d) / 1000;
	uint8_t hash[16], size;
	if (second != d->second) {
		memset(d->from_source, 0, sizeof d->from_source);
		d->heard = d->tried = 0;
		d->second = second;
	}
	const uint8_t *ip = ip_of(from, &size);
	crypto_blake2b_keyed(hash, sizeof hash, d->source_key, sizeof d->source_key, ip, size);
	uint16_t *count = &d->from_source[hash[0] % SOURCES];
	if (*count >= SOURCE_RATE || d->heard >= HEARD_RATE || d->tried >= TRY_RATE)
		return false;
	++*count;
	d->heard++;
	return true;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct discovery *d = h->data;
	*buf = uv_buf_init((char *)d->buffer, sizeof d->buffer);
}

static void on_datagram(uv_udp_t *h, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
	struct discovery *d = h->data;
	if (d->closed || size != BEACON_SIZE || !from || (flags & UV_UDP_PARTIAL))
		return;
	if (rate_allows(d, from))
		take(d, (const uint8_t *)buf->base, (size_t)size, from);
}

/* --- the ears --- */

static bool open_ear(struct discovery *d, bool v6)
{
	struct ear *e = &d->ears[v6];
	struct sockaddr_storage any = {0};
	if (v6)
		uv_ip6_addr("::", DISCOVERY_PORT, (struct sockaddr_in6 *)&any);
	else
		uv_ip4_addr("0.0.0.0", DISCOVERY_PORT, (struct sockaddr_in *)&any);
	unsigned flags = UV_UDP_REUSEADDR | (v6 ? UV_UDP_IPV6ONLY : 0u);
	int error = uv_udp_bind(&e->udp, (struct sockaddr *)&any, flags);
	if (error == 0)
		error = uv_udp_recv_start(&e->udp, on_alloc, on_datagram);
	if (error != 0)
		node_log(d->node, LOG_WARN, "discovery",
		         "beacons by IPv%c are not heard: UDP port %d: %s", v6 ? '6' : '4',
		         DISCOVERY_PORT, uv_strerror(error));
	e->open = error == 0;
	return e->open;
}

/* Again for those that are joined is no harm. */
static void join_groups(struct discovery *d)
{
	for (unsigned i = 0; i < d->place_count; i++) {
		const struct sockaddr_in6 *own = (const void *)&d->places[i].from;
		char address[LINK_ADDRESS_SIZE], *end;
		if (!is_v6(&d->places[i].from) || !d->ears[1].open)
			continue;
		address_text((const struct sockaddr *)own, 1, address); /* "[fe80::1%eth0]:1" */
		end = strchr(address, ']');
		if (end)
			*end = 0;
		uv_udp_set_membership(&d->ears[1].udp, DISCOVERY_GROUP, address + 1, UV_JOIN_GROUP);
	}
}

static void open_ears(struct discovery *d)
{
	bool wanted[2] = {false, false};
	for (unsigned i = 0; i < d->place_count; i++)
		wanted[is_v6(&d->places[i].from)] = true;
	for (int v6 = 0; v6 < 2; v6++)
		if (wanted[v6] && !d->ears[v6].open)
			open_ear(d, v6);
	join_groups(d);
}

/* --- our own addresses --- */

static void hash_own(const struct discovery *d, uint8_t out[CRYPTO_HASH_SIZE])
{
	char own[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	struct crypto_hash h;
	unsigned count = link_own_addresses(d->node, own, LINK_ADDRESSES_MAX);
	crypto_hash_init(&h, CRYPTO_HASH_SIZE, NULL, 0);
	for (unsigned i = 0; i < count; i++)
		crypto_hash_add(&h, own[i], strlen(own[i]) + 1);
	for (unsigned i = 0; i < d->place_count; i++) {
		uint8_t size;
		const uint8_t *ip = ip_of((const struct sockaddr *)&d->places[i].from, &size);
		crypto_hash_add(&h, ip, size);
	}
	crypto_hash_end(&h, out);
}

static bool is_ours(const uv_interface_address_t *list, int count, const struct sockaddr *a)
{
	for (int i = 0; i < count; i++)
		if (same_ip((const struct sockaddr *)&list[i].address, a))
			return true;
	return false;
}

/* Links from an address that this machine has no more carry nothing, and nobody would say so. */
static void end_stranded(struct links *l)
{
	uv_interface_address_t *list = NULL;
	int count = 0;
	if (uv_interface_addresses(&list, &count) != 0)
		return;
	for (struct conn *c = l->conns; c; c = c->next) {
		struct sockaddr_storage own;
		int size = sizeof own;
		if (c->up && !c->closing && !c->carrier &&
		    uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&own, &size) == 0 &&
		    !is_ours(list, count, (struct sockaddr *)&own))
			conn_close(c, "this device has left the address it was linked from");
	}
	uv_free_interface_addresses(list, count);
}

static void look(struct discovery *d, uint64_t now)
{
	uint8_t own[CRYPTO_HASH_SIZE];
	bool first = !d->look_at;
	d->look_at = now + LOOK_MS;
	find_places(d);
	hash_own(d, own);
	if (!memcmp(own, d->own, sizeof own))
		return;
	memcpy(d->own, own, sizeof own);
	open_ears(d);
	begin_burst(d);
	if (first)
		return;
	node_log(d->node, LOG_INFO, "discovery", "the addresses of this device have changed");
	end_stranded(d->node->links);
	links_doubt(d->node->links);
	devices_moved(d->node);
}

static void on_timer(uv_timer_t *t)
{
	struct discovery *d = t->data;
	uint64_t now = now_of(d);
	if (now >= d->look_at)
		look(d, now);
	if (d->on && now >= d->due_at)
		send_all(d, now);
}

static void on_link(void *ctx, struct peer *p, bool up)
{
	struct node *n = ctx;
	if (n->discovery && !up && p->member)
		hasten(n->discovery);
}

/* --- the part --- */

static void on_closed(uv_handle_t *h)
{
	struct discovery *d = h->data;
	if (--d->handles == 0)
		free(d);
}

enum err discovery_open(struct node *n, struct errmsg *msg)
{
	struct discovery *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "out of memory");
	d->node = n;
	d->on = !n->cfg.no_discovery;
	crypto_random(d->source_key, sizeof d->source_key);
	d->timer.data = d;
	uv_timer_init(&n->loop, &d->timer);
	for (int v6 = 0; v6 < 2; v6++) {
		d->ears[v6].udp.data = d;
		uv_udp_init(&n->loop, &d->ears[v6].udp);
	}
	d->handles = 3;
	n->discovery = d;
	uv_timer_start(&d->timer, on_timer, 1, TICK_MS);
	enum err e = link_watch(n, on_link, n);
	if (e != ERR_OK) {
		discovery_close(n);
		return err_set(msg, e, "discovery: too many watch links");
	}
	return ERR_OK;
}

void discovery_close(struct node *n)
{
	struct discovery *d = n->discovery;
	d->closed = true;
	n->discovery = NULL;
	uv_close((uv_handle_t *)&d->timer, on_closed);
	for (int v6 = 0; v6 < 2; v6++)
		uv_close((uv_handle_t *)&d->ears[v6].udp, on_closed);
}
