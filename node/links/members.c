/* members.c - the socket and the timer of membership, and whose numbers are whose.
 *
 *	membership (ids)  ->  row of the peer  ->  datagrams (numbers, keys)  ->  socket (addresses)
 *
 * An address in a datagram_address is 4 or 16 bytes of IP (IPv4 in IPv6 made plain), 2 of port, and 4 of scope for IPv6. */
#include "node/links/members.h"

#include "node/links/devices.h"
#include "node/links/link_impl.h"
#include "proto/datagram.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 1000,
	FACTS_LOOK_MS = 10000,
	BUFFER_SIZE = 2048,
	V4_SIZE = 4 + 2,
	V6_SIZE = 16 + 2 + 4
};

struct entry {
	uint8_t id[DEVICE_ID_SIZE], key[CRYPTO_KEY_SIZE];
	uint8_t sign_key[CRYPTO_KEY_SIZE]; /* what it signs is verified with; zero: not known yet */
	unsigned number;                   /* in datagrams */
	unsigned address_next;
	bool wanted;
};

struct members {
	struct node *node;
	uv_udp_t udp;
	uv_timer_t timer;
	unsigned handles;
	bool is_v6, closed;
	struct membership *membership;
	struct datagrams *datagrams;
	struct entry *entries;
	unsigned count, cap;
	uint8_t key[CRYPTO_KEY_SIZE]; /* ours, under which the sessions are */
	uint8_t sign_key[CRYPTO_KEY_SIZE];
	uint64_t look_at, facts_at;
	struct load_meter meter;
	uint8_t buffer[BUFFER_SIZE];
};

/* --- addresses --- */

static void put_port(struct datagram_address *a, uint16_t port)
{
	a->bytes[a->size++] = (uint8_t)(port >> 8);
	a->bytes[a->size++] = (uint8_t)port;
}

static struct datagram_address address_of(const struct sockaddr *from)
{
	struct datagram_address a = {0};
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)from;
		memcpy(a.bytes, &v4->sin_addr, a.size = 4);
		put_port(&a, ntohs(v4->sin_port));
		return a;
	}
	const struct sockaddr_in6 *v6 = (const void *)from;
	const uint8_t *ip = v6->sin6_addr.s6_addr;
	bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
	memcpy(a.bytes, mapped ? ip + 12 : ip, a.size = mapped ? 4 : 16);
	put_port(&a, ntohs(v6->sin6_port));
	uint32_t scope = v6->sin6_scope_id;
	for (unsigned i = 0; i < 4 && !mapped; i++)
		a.bytes[a.size++] = (uint8_t)(scope >> 8 * i);
	return a;
}

static uint16_t port_of(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* In the family of our socket. False: it has none there. */
static bool to_sockaddr(const struct members *m, const struct datagram_address *a,
                        struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (!m->is_v6) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, a->bytes, 4);
		v4->sin_port = htons(port_of(a->bytes + 4));
		return a->size == V4_SIZE;
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	v6->sin6_family = AF_INET6;
	if (a->size == V4_SIZE) {
		memset(v6->sin6_addr.s6_addr + 10, 255, 2);
		memcpy(v6->sin6_addr.s6_addr + 12, a->bytes, 4);
		v6->sin6_port = htons(port_of(a->bytes + 4));
		return true;
	}
	memcpy(v6->sin6_addr.s6_addr, a->bytes, 16);
	v6->sin6_port = htons(port_of(a->bytes + 16));
	for (unsigned i = 0; i < 4; i++)
		v6->sin6_scope_id |= (uint32_t)a->bytes[18 + i] << 8 * i;
	return a->size == V6_SIZE;
}

/* --- out --- */

static uint64_t now_of(const struct members *m)
{
	return uv_now(&m->node->loop);
}

static struct entry *entry_by_id(const struct members *m, const uint8_t *id)
{
	for (unsigned i = 0; i < m->count; i++)
		if (!memcmp(m->entries[i].id, id, DEVICE_ID_SIZE))
			return &m->entries[i];
	return NULL;
}

static struct entry *entry_by_number(const struct members *m, unsigned number)
{
	for (unsigned i = 0; i < m->count; i++)
		if (m->entries[i].number == number)
			return &m->entries[i];
	return NULL;
}

static bool is_there(const struct members *m, const uint8_t *id)
{
	struct member member;
	return membership_find(m->membership, id, &member) &&
	       (member.state == MEMBER_ALIVE || member.state == MEMBER_SUSPECT);
}

/* Where to look for it: where its link is, else one known address after the other, until it was heard of. */
static void place(struct members *m, struct entry *e)
{
	struct sockaddr_storage to;
	const struct peer *p = peer_by_id(m->node, e->id);
	bool known = datagrams_where(m->datagrams, e->number)->size != 0;
	bool settled = known && is_there(m, e->id) && !(p && peer_carrier(p));
	if (!p || !p->address_count || settled)
		return;
	unsigned at = peer_is_direct(p) ? 0 : e->address_next++ % p->address_count;
	if (address_parse(p->addresses[at], &to) != ERR_OK)
		return;
	struct datagram_address a = address_of((struct sockaddr *)&to);
	datagrams_place(m->datagrams, e->number, &a);
}

static void send_out(struct members *m)
{
	struct datagram_out out;
	struct sockaddr_storage to;
	while (datagrams_next(m->datagrams, &out)) {
		uv_buf_t buf = uv_buf_init((char *)(uintptr_t)out.bytes, (unsigned)out.size);
		/* What the system does not take now is lost. */
		if (!to_sockaddr(m, &out.address, &to) ||
		    uv_udp_try_send(&m->udp, &buf, 1, (struct sockaddr *)&to) < 0)
			continue;
		m->node->counters.udp_sent.count++;
		m->node->counters.udp_sent.bytes += out.size;
	}
}

/* A link through another device: datagrams may not get through, and go over it too. That they do get through would be a hint. */
static void send_over_link(struct members *m, const struct entry *e,
                           const struct membership_datagram *d)
{
	struct peer *p = peer_by_id(m->node, e->id);
	struct msg_members message = {.datagram = bin_ref(d->bytes, d->size)};
	if (p && peer_carrier(p))
		link_send(p, MSG_MEMBERS, &message, LINK_FAST, NULL);
}

static void seal_all(struct members *m)
{
	struct membership_datagram d;
	uint64_t now = now_of(m), stamp = os_wall_ns();
	while (membership_next(m->membership, &d)) {
		struct entry *e = entry_by_id(m, d.to);
		if (!e)
			continue;
		send_over_link(m, e, &d);
		if (!datagrams_has_session(m->datagrams, e->number, now))
			place(m, e);
		datagrams_send(m->datagrams, e->number, d.bytes, d.size, now, stamp);
	}
	datagrams_answer(m->datagrams, now);
	send_out(m);
}

/* --- what is learnt --- */

static void learn(struct members *m, struct peer *p, const uint8_t *id)
{
	struct member member;
	bool changed = false;
	if (!membership_find(m->membership, id, &member) || !member.has_facts)
		return;
	for (unsigned i = 0; i < member.facts.address_count; i++) {
		char text[LINK_ADDRESS_SIZE];
		members_address_text(&member.facts.addresses[i], text);
		changed |= peer_learn_address(p, text);
	}
	if (changed)
		peer_save(p);
}

static void announce(struct members *m, const struct membership_event *e)
{
	struct peer *p = peer_by_id(m->node, e->id);
	if (!p)
		return;
	node_log_about(m->node, e->after == MEMBER_SUSPECT ? LOG_DEBUG : LOG_INFO, "members",
	               &(struct log_about){.event = LOG_EVENT_member_changed, .device = p->name},
	               "%s is %s%s", p->name, member_state_text(e->after),
	               e->own_verdict ? " (found here)" : "");
	if (e->after != MEMBER_ALIVE)
		return;
	learn(m, p, e->id);
	link_dial(p);
}

static void on_timer(uv_timer_t *t);

/* After anything: what there is to send and to tell, and when to come again. */
static void after(struct members *m)
{
	struct membership_event e;
	seal_all(m);
	while (membership_event(m->membership, &e))
		announce(m, &e);
	uint64_t now = now_of(m), due = membership_due_ms(m->membership);
	due = due < m->look_at ? due : m->look_at;
	uv_timer_start(&m->timer, on_timer, due > now ? due - now : 1, 0);
}

/* --- who is a member --- */

static void leave_out(struct members *m, struct entry *e)
{
	datagrams_remove(m->datagrams, e->number);
	membership_remove(m->membership, e->id);
	*e = m->entries[--m->count];
}

static void take_in(struct members *m, const struct peer *p)
{
	if (m->count == m->cap) {
		unsigned cap = m->cap ? 2 * m->cap : 8;
		struct entry *entries = realloc(m->entries, cap * sizeof *entries);
		if (!entries)
			return;
		m->entries = entries;
		m->cap = cap;
	}
	struct entry *e = &m->entries[m->count];
	*e = (struct entry){.wanted = true};
	memcpy(e->id, p->id, sizeof e->id);
	memcpy(e->key, p->key, sizeof e->key);
	if (datagrams_add(m->datagrams, e->key, &e->number) != ERR_OK)
		return;
	if (membership_add(m->membership, e->id) == ERR_OK)
		m->count++;
	else
		datagrams_remove(m->datagrams, e->number);
}

/* The log of devices knows the key that it signs with. */
static void learn_sign_key(struct members *m, struct entry *e)
{
	const struct device_row *row = devices_row(m->node, e->id);
	if (row && !memcmp(row->key, e->key, sizeof e->key))
		memcpy(e->sign_key, row->sign_key, sizeof e->sign_key);
}

static void look_at(struct members *m, struct peer *p)
{
	struct entry *e = entry_by_id(m, p->id);
	if (peer_is_half(p) || !devices_want(m->node, p))
		return;
	if (e && memcmp(e->key, p->key, sizeof e->key) != 0) { /* a new key: a new session */
		leave_out(m, e);
		e = NULL;
	}
	if (e)
		e->wanted = true;
	else
		take_in(m, p);
	if ((e = entry_by_id(m, p->id)))
		learn_sign_key(m, e);
}

static void look_at_all(struct members *m)
{
	for (unsigned i = 0; i < m->count; i++)
		m->entries[i].wanted = false;
	for (struct peer *p = peer_first(m->node); p; p = peer_next(p))
		look_at(m, p);
	for (unsigned i = m->count; i-- > 0;)
		if (!m->entries[i].wanted)
			leave_out(m, &m->entries[i]);
}

static void sign(void *ctx, uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes, size_t size)
{
	const struct members *m = ctx;
	crypto_xed_sign(proof, m->node->device->secret, bytes, size);
}

static bool verify(void *ctx, const uint8_t id[MEMBER_ID_SIZE],
                   const uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes, size_t size)
{
	const struct members *m = ctx;
	bool self = !memcmp(id, m->node->device->id, DEVICE_ID_SIZE);
	const struct entry *e = self ? NULL : entry_by_id(m, id);
	const uint8_t *key = self ? m->sign_key : e ? e->sign_key : NULL;
	return key && crypto_xed_verify(proof, key, bytes, size) == ERR_OK;
}

static enum err begin(struct members *m)
{
	struct membership_config cfg = {.keys = {.ctx = m, .sign = sign, .verify = verify}};
	uint8_t seed[CRYPTO_KEY_SIZE];
	memcpy(cfg.self, m->node->device->id, sizeof cfg.self);
	memcpy(m->key, m->node->device->key, sizeof m->key);
	crypto_xed_public(m->sign_key, m->node->device->secret);
	crypto_random(&cfg.seed, sizeof cfg.seed);
	crypto_random(seed, sizeof seed);
	enum err e = datagrams_new(m->node->device->secret, seed, &m->datagrams);
	crypto_zero(seed, sizeof seed);
	return e == ERR_OK ? membership_new(&cfg, &m->membership) : e;
}

static void forget_all(struct members *m)
{
	membership_free(m->membership);
	datagrams_free(m->datagrams);
	m->membership = NULL;
	m->datagrams = NULL;
	m->count = 0;
}

/* --- events of the loop --- */

static void look(struct members *m, uint64_t now)
{
	struct facts f;
	m->look_at = now + LOOK_MS;
	look_at_all(m);
	datagrams_tick(m->datagrams, now);
	if (now < m->facts_at)
		return;
	m->facts_at = now + FACTS_LOOK_MS;
	members_own_facts(m->node, &m->meter, &f);
	membership_set_facts(m->membership, &f);
}

/* Under our key of now: when it has changed all begins anew. False: memory ran out, it is tried again later. */
static bool is_ready(struct members *m)
{
	bool same = memcmp(m->key, m->node->device->key, sizeof m->key) == 0;
	if (m->membership && same)
		return true;
	forget_all(m);
	if (begin(m) == ERR_OK)
		return true;
	forget_all(m);
	uv_timer_start(&m->timer, on_timer, LOOK_MS, 0);
	return false;
}

static void on_timer(uv_timer_t *t)
{
	struct members *m = t->data;
	uint64_t now = now_of(m);
	if (m->closed || !is_ready(m))
		return;
	if (now >= m->look_at)
		look(m, now);
	membership_tick(m->membership, now);
	after(m);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct members *m = h->data;
	*buf = uv_buf_init((char *)m->buffer, sizeof m->buffer);
}

/* Links listen where datagrams come from: a link through another device may be had directly. */
static void hint_direct(struct members *m, const struct entry *e, const struct sockaddr *from)
{
	struct peer *p = peer_by_id(m->node, e->id);
	char text[LINK_ADDRESS_SIZE];
	if (!p || !peer_carrier(p))
		return;
	address_text(from, 0, text);
	peer_learn_address(p, text);
	links_hint(p, text);
}

static void on_datagram(uv_udp_t *h, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
	struct members *m = h->data;
	struct datagram_got got;
	if (size > 0) {
		m->node->counters.udp_received.count++;
		m->node->counters.udp_received.bytes += (uint64_t)size;
	}
	if (size <= 0 || !from || (flags & UV_UDP_PARTIAL) || m->closed || !m->membership)
		return;
	struct datagram_address a = address_of(from);
	uint64_t now = now_of(m);
	if (datagrams_receive(m->datagrams, &a, buf->base, (size_t)size, now, &got)) {
		struct entry *e = entry_by_number(m, got.peer);
		if (e)
			membership_datagram(m->membership, e->id, got.bytes, got.size, now);
		if (e)
			hint_direct(m, e, from);
		after(m);
		return;
	}
	datagrams_answer(m->datagrams, now);
	send_out(m);
}

void members_message(struct peer *p, const struct msg_members *message)
{
	struct members *m = p->links->node->members;
	if (!m || m->closed || !m->membership || !entry_by_id(m, p->id))
		return;
	membership_datagram(m->membership, p->id, message->datagram.p, message->datagram.size,
	                    now_of(m));
	after(m);
}

/* --- the part --- */

static void on_closed(uv_handle_t *h)
{
	struct members *m = h->data;
	if (--m->handles)
		return;
	forget_all(m);
	free(m->entries);
	free(m);
}

/* The address of the links' listener, for datagrams. */
static int listen_beside(struct members *m)
{
	struct sockaddr_storage a;
	int size = sizeof a,
	    e = uv_tcp_getsockname(&m->node->links->listener, (struct sockaddr *)&a, &size);
	if (e == 0)
		e = uv_udp_bind(&m->udp, (struct sockaddr *)&a, 0);
	m->is_v6 = a.ss_family == AF_INET6;
	return e == 0 ? uv_udp_recv_start(&m->udp, on_alloc, on_datagram) : e;
}

enum err members_open(struct node *n, struct errmsg *msg)
{
	struct members *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(msg, ERR_NOMEM, "out of memory");
	m->node = n;
	n->members = m;
	m->udp.data = m->timer.data = m;
	uv_udp_init(&n->loop, &m->udp);
	uv_timer_init(&n->loop, &m->timer);
	m->handles = 2;
	if (begin(m) != ERR_OK) {
		members_close(n);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	int e = listen_beside(m);
	if (e == 0)
		uv_timer_start(&m->timer, on_timer, 1, 0);
	else
		node_log(n, LOG_WARN, "members",
		         "no datagrams at port %u: %s; who is there is not known", link_port(n),
		         uv_strerror(e));
	return ERR_OK;
}

void members_close(struct node *n)
{
	struct members *m = n->members;
	if (m->membership && uv_is_active((uv_handle_t *)&m->timer)) {
		membership_leave(m->membership, now_of(m));
		seal_all(m);
	}
	m->closed = true;
	n->members = NULL;
	uv_close((uv_handle_t *)&m->timer, on_closed);
	uv_close((uv_handle_t *)&m->udp, on_closed);
}

bool members_view(struct node *n, const uint8_t id[DEVICE_ID_SIZE], struct member_view *out)
{
	struct member member;
	if (!n->members || !n->members->membership ||
	    !uv_is_active((uv_handle_t *)&n->members->timer) ||
	    !membership_find(n->members->membership, id, &member))
		return false;
	*out = (struct member_view){.state = member.state,
	                            .since_ms = member.since_ms,
	                            .has_facts = member.has_facts,
	                            .facts = member.facts};
	return true;
}
