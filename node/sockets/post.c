/* post.c - datagrams that leave their node: to a socket on another device, to the world by the home of their family (gate.c), and
 * from there back to wherever that is now.
 *
 *	guest --datagrams_take()--> pass() --> a socket here | held while that stands | DATAGRAM to another device | gate_send()
 *
 * Where a receiver was last is known from what came from there (struct route): it is told alone. When it is there no more, that
 * device passes the datagram on to everybody and says so; what nobody knows goes to everybody at once. Nothing is passed on
 * twice, so nothing goes in circles and nothing arrives doubled. What is for a socket that is on its way waits for some seconds. All
 * else is lost, as datagrams are.
 *
 * Loop thread, with the net's lock. */
#include "node/sockets/outside_impl.h"

#include "base/os.h"
#include "node/links/link.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_MAX = 256, HELD_MS = 10000, ROUTES_MAX = 128 };

struct route {
	bool used;
	enum open_kind kind;
	uint8_t name[SPACE_KEY_SIZE]; /* the family's key, or an address of the system */
	uint16_t port;                /* of the latter */
	uint8_t device[32];
	uint8_t tag[16]; /* by which that device says that it is there no more */
	uint64_t heard_ms;
};

struct post {
	struct datagram *held;
	uint32_t nheld;
	struct route routes[ROUTES_MAX];
};

/* ---- who takes it here ---- */

static bool hears(const struct socket *s, const struct datagram *d)
{
	bool from_peer = s->peer.port == d->from.port && address_same_ip(&s->peer, &d->from);
	if (!s->space || s->left || s->type != SOCKET_DGRAM || !s->bound ||
	    s->local.port != d->to.port || !address_is_ip(&s->local) || (s->has_peer && !from_peer))
		return false;
	if (s->af == ADDRESS_IP4 && !address_is_ip4(&d->from))
		return false;
	if (d->kind == OPEN_OUTLET)
		return !memcmp(s->space->cfg.key, d->key, sizeof d->key);
	return s->space->cfg.mode >= NET_SYSTEM && is_own_address(s, &d->to) &&
	       address_takes(&s->local, &d->to);
}

/* NULL: nobody, or it stands. */
static struct socket *receiver_of(struct net *n, const struct datagram *d, bool *stands)
{
	struct socket *best = NULL;
	*stands = false;
	for (struct socket *s = n->first; s; s = s->next) {
		if (!hears(s, d))
			continue;
		*stands |= s->standing;
		if (!s->standing && (!best || s->has_peer))
			best = s;
	}
	return best;
}

/* A connected socket whose datagram nobody can have is told. */
static void refuse(struct net *n, const struct datagram *d)
{
	for (struct socket *s = n->first; s; s = s->next)
		if (s->space && s->type == SOCKET_DGRAM && s->has_peer &&
		    s->local.port == d->from.port && address_same_ip(&s->peer, &d->to) &&
		    !memcmp(s->space->cfg.key, d->key, sizeof d->key)) {
			s->error = FE_CONNREFUSED;
			socket_wake(s);
		}
}

/* ---- where it was last ---- */

static void name_of(enum open_kind kind, const uint8_t key[SPACE_KEY_SIZE], const struct address *a,
                    struct route *out)
{
	*out =
	    (struct route){.used = true, .kind = kind, .port = kind == OPEN_SYSTEM ? a->port : 0};
	memcpy(out->name, kind == OPEN_SYSTEM ? a->ip : key, sizeof out->name);
}

static struct route *find_route(struct post *p, const struct route *name)
{
	for (uint32_t i = 0; i < ROUTES_MAX; i++) {
		struct route *r = &p->routes[i];
		if (r->used && r->kind == name->kind && r->port == name->port &&
		    !memcmp(r->name, name->name, sizeof r->name))
			return r;
	}
	return NULL;
}

static struct route *oldest(struct post *p)
{
	struct route *old = p->routes;
	for (uint32_t i = 0; i < ROUTES_MAX && old->used; i++)
		if (!p->routes[i].used || p->routes[i].heard_ms < old->heard_ms)
			old = &p->routes[i];
	return old;
}

/* The answer to what came from there goes back there. */
static void learn(struct outside *o, const struct datagram *d, const uint8_t device[32])
{
	struct route name;
	name_of(d->kind == OPEN_SYSTEM ? OPEN_SYSTEM : OPEN_OUTLET, d->key, &d->from, &name);
	struct route *r = find_route(o->post, &name);
	if (!r) {
		r = oldest(o->post);
		*r = name;
	}
	if (r->tag[0] == 0 || memcmp(r->device, device, sizeof r->device)) {
		os_random(r->tag, sizeof r->tag);
		r->tag[0] |= 1;
	}
	memcpy(r->device, device, sizeof r->device);
	r->heard_ms = uv_now(&o->node->loop);
}

bool post_is_astray(struct outside *o, const uint8_t tag[16])
{
	for (uint32_t i = 0; i < ROUTES_MAX; i++)
		if (o->post->routes[i].used && !memcmp(o->post->routes[i].tag, tag, 16)) {
			o->post->routes[i].used = false;
			return true;
		}
	return false;
}

/* ---- to other devices ---- */

static bool hand_to(struct peer *p, const struct datagram *d, const uint8_t *tag)
{
	struct msg_net_datagram m = {.kind = (uint8_t)d->kind,
	                             .passed_on = !tag,
	                             .port = d->to.port,
	                             .from_port = d->from.port,
	                             .bytes = {.p = d->bytes, .size = (uint32_t)d->size}};
	memcpy(m.key, d->key, sizeof m.key);
	memcpy(m.to, d->to.ip, sizeof m.to);
	memcpy(m.from, d->from.ip, sizeof m.from);
	if (tag)
		memcpy(m.tag, tag, sizeof m.tag);
	return p && peer_is_up(p) && link_queued(p) < LINK_QUEUE_GOAL &&
	       link_send(p, MSG_NET_DATAGRAM, &m, LINK_BULK, NULL) == ERR_OK;
}

static void tell_all(struct outside *o, const struct datagram *d, const struct peer *but)
{
	uint32_t told = 0;
	for (struct peer *p = peer_first(o->node); p; p = peer_next(p))
		told += p != but && hand_to(p, d, NULL);
	if (!told && !but)
		refuse(o->node->net, d);
}

/* by: who sent it here, sure that its receiver is here; NULL: it is of this device. */
static void send_on(struct outside *o, const struct datagram *d, const struct peer *by)
{
	struct route name;
	if (d->passed_on)
		return;
	name_of(d->kind, d->key, &d->to, &name);
	struct route *r = by ? NULL : find_route(o->post, &name);
	if (r && hand_to(peer_by_id(o->node, r->device), d, r->tag))
		return;
	if (r)
		r->used = false;
	tell_all(o, d, by);
}

/* ---- each one ---- */

static void hold(struct outside *o, struct datagram *d)
{
	uint64_t now = uv_now(&o->node->loop);
	struct datagram **at = &o->post->held;
	d->since_ms = d->since_ms ? d->since_ms : now;
	if (o->post->nheld >= HELD_MAX || now - d->since_ms > HELD_MS) {
		free(d);
		return;
	}
	while (*at)
		at = &(*at)->next;
	d->next = NULL;
	*at = d;
	o->post->nheld++;
	wire_start_timer(o);
}

static void to_world(struct outside *o, const struct datagram *d, const struct peer *by)
{
	bool home = by || !memcmp(d->home, o->node->device_id, sizeof d->home);
	if (by)
		outlet_heard_of(o, d->key);
	if (home)
		gate_send(o, d);
	else
		(void)hand_to(peer_by_id(o->node, d->home), d, NULL);
}

/* Takes d. */
static void pass(struct outside *o, struct datagram *d, const struct peer *by)
{
	bool stands = false;
	struct socket *s = d->kind == OPEN_OUTSIDE ? NULL : receiver_of(o->node->net, d, &stands);
	if (!s && stands) {
		hold(o, d);
		return;
	}
	if (s)
		datagram_deliver(s, d);
	else if (d->kind == OPEN_OUTSIDE)
		to_world(o, d, by);
	else
		send_on(o, d, by);
	free(d);
}

void post_take(struct outside *o)
{
	struct datagram *next;
	for (struct datagram *d = datagrams_take(o->node->net); d; d = next) {
		next = d->next;
		pass(o, d, NULL);
	}
}

bool post_look(struct outside *o)
{
	struct datagram *next;
	if (!o->post)
		return false; /* the node is going down */
	struct datagram *all = o->post->held;
	o->post->held = NULL;
	o->post->nheld = 0;
	for (struct datagram *d = all; d; d = next) {
		next = d->next;
		pass(o, d, NULL);
	}
	return o->post->held;
}

void post_from_world(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port,
                     const struct address *from, const void *bytes, size_t size)
{
	struct vfs_iov iov = {.p = (void *)(uintptr_t)bytes, .size = size};
	struct datagram *d = size <= SOCKET_DATAGRAM_MAX ? datagram_new(&iov, 1, size) : NULL;
	if (!d)
		return;
	d->kind = OPEN_OUTLET;
	d->from = *from;
	d->to = (struct address){.family = from->family, .port = port};
	memcpy(d->key, key, sizeof d->key);
	pass(o, d, NULL);
}

/* Who was sure of a receiver that is elsewhere, or nowhere, looks for it again. */
static void say_astray(struct outside *o, struct peer *p, const struct msg_net_datagram *m,
                       const struct datagram *d)
{
	bool stands;
	if (!m->passed_on && d->kind != OPEN_OUTSIDE && !receiver_of(o->node->net, d, &stands) &&
	    !stands)
		wire_refuse(o, m->tag, peer_id(p), FE_HOSTUNREACH);
}

void post_arrived(struct outside *o, struct peer *p, const struct msg_net_datagram *m)
{
	struct vfs_iov iov = {.p = (void *)(uintptr_t)m->bytes.p, .size = m->bytes.size};
	struct datagram *d = m->kind <= OPEN_OUTSIDE && m->bytes.size <= SOCKET_DATAGRAM_MAX
	                         ? datagram_new(&iov, 1, m->bytes.size)
	                         : NULL;
	if (!d)
		return;
	d->kind = (enum open_kind)m->kind;
	d->passed_on = m->passed_on;
	d->to = (struct address){.family = ADDRESS_IP6, .port = m->port};
	d->from = (struct address){.family = ADDRESS_IP6, .port = m->from_port};
	memcpy(d->to.ip, m->to, sizeof m->to);
	memcpy(d->from.ip, m->from, sizeof m->from);
	memcpy(d->key, m->key, sizeof d->key);
	if (d->kind != OPEN_OUTLET)
		learn(o, d, peer_id(p));
	say_astray(o, p, m, d);
	pass(o, d, p);
}

/* ---- life ---- */

bool post_open(struct outside *o)
{
	o->post = calloc(1, sizeof *o->post);
	return o->post;
}

void post_close(struct outside *o)
{
	struct datagram *next;
	for (struct datagram *d = o->post->held; d; d = next) {
		next = d->next;
		free(d);
	}
	free(o->post);
	o->post = NULL;
}
