/* gate.c - sockets of the host for guests' datagrams: a gate is a port of a family's, as the world sees it.
 *
 * It is made by --publish, by a guest with --net lan or all that binds a port, or by the first datagram to the world, and stays at the home
 * of the family wherever that goes, so that a guest has one port outside for as long as it has its own. What comes in finds its way
 * by the family's key and the guest's port (post.c). What may go out is decided here, where the family was started: as far as its mode
 * says, and to whom it has heard from at a published port.
 *
 * A gate has up to three doors: any address of IPv4 and of IPv6, opened when they are needed, and the one that was published.
 *
 * Loop thread, with the net's lock but where it says otherwise. */
#include "node/sockets/outside_impl.h"

#include "node/control/control.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

enum {
	DOOR_IP4,
	DOOR_IP6,
	DOOR_PUBLISHED,
	DOORS,
	FLOWS_MAX = 32,       /* the last ones it has heard from */
	IDLE_MS = 600 * 1000, /* a gate that nobody asked for, of a family elsewhere */
};

struct door {
	uv_udp_t *udp; /* freed when it is closed; NULL: there is none */
	struct address at;
};

struct flow {
	struct address from;
	struct sockaddr_storage host;
	int door; /* + 1; 0: none */
	uint64_t heard_ms;
};

struct gate {
	struct outside *outside;
	struct gate *next;
	uint8_t key[SPACE_KEY_SIZE];
	uint16_t guest_port;
	enum net_mode mode;
	bool published, claimed, began, revived;
	uint64_t used_ms;
	struct door doors[DOORS];
	struct flow flows[FLOWS_MAX];
};

static struct gate *find_gate(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                              uint16_t port)
{
	for (struct gate *g = o->gates; g; g = g->next)
		if (g->guest_port == port && !memcmp(g->key, key, sizeof g->key))
			return g;
	return NULL;
}

/* ---- what comes in ---- */

static struct flow *find_flow(struct gate *g, const struct address *a)
{
	for (int i = 0; i < FLOWS_MAX; i++) {
		struct flow *f = &g->flows[i];
		if (f->door && f->from.port == a->port && address_same_ip(&f->from, a))
			return f;
	}
	return NULL;
}

static struct flow *oldest_flow(struct gate *g)
{
	struct flow *old = g->flows;
	for (int i = 1; i < FLOWS_MAX; i++)
		if (g->flows[i].heard_ms < old->heard_ms)
			old = &g->flows[i];
	return old;
}

static void note_flow(struct gate *g, const struct address *a, const struct sockaddr *host,
                      int door)
{
	bool v4 = host->sa_family == AF_INET;
	struct flow *f = find_flow(g, a);
	if (!f)
		f = oldest_flow(g);
	f->from = *a;
	f->door = door + 1;
	f->heard_ms = uv_now(&g->outside->node->loop);
	memcpy(&f->host, host, v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

static void on_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	const struct gate *g = h->data;
	*buf = g ? uv_buf_init((char *)g->outside->datagram, sizeof g->outside->datagram)
	         : uv_buf_init(NULL, 0);
}

/* The host's own programs are met under the name that they have for guests. */
static struct address seen_as(const struct sockaddr *host)
{
	struct address a = address_from_host(host);
	return address_reach(&a) == REACH_LOOPBACK ? address_ip4(192, 0, 0, 8, a.port) : a;
}

static bool lets_in(const struct gate *g, int door, const struct address *from)
{
	enum address_reach r = address_reach(from);
	if (!from->port || r == REACH_ANY || r == REACH_NOWHERE)
		return false;
	return door == DOOR_PUBLISHED || g->mode == NET_ALL || r == REACH_LAN || r == REACH_HOST;
}

static void on_datagram(uv_udp_t *u, ssize_t size, const uv_buf_t *buf, const struct sockaddr *host,
                        unsigned flags)
{
	struct gate *g = u->data;
	int door = 0;
	if (size < 0 || !host || !g || flags & UV_UDP_PARTIAL)
		return;
	while (g->doors[door].udp != u)
		door++;
	struct address from = seen_as(host);
	if (!lets_in(g, door, &from))
		return;
	struct net *n = g->outside->node->net;
	net_enter(n, NULL);
	note_flow(g, &from, host, door);
	g->used_ms = uv_now(u->loop);
	post_from_world(g->outside, g->key, g->guest_port, &from, buf->base, (size_t)size);
	net_leave(n);
}

/* ---- doors ---- */

static void door_closed(uv_handle_t *h)
{
	free(h);
}

static void close_door(struct door *d)
{
	if (!d->udp)
		return;
	d->udp->data = NULL;
	uv_close((uv_handle_t *)d->udp, door_closed);
	d->udp = NULL;
}

/* 0, or an error of libuv's. */
static int open_door(struct gate *g, int i, const struct address *at)
{
	struct door *d = &g->doors[i];
	struct sockaddr_storage a;
	int size = sizeof a;
	if (!address_to_host(at, &a))
		return UV_EINVAL;
	d->udp = malloc(sizeof *d->udp);
	if (!d->udp)
		return UV_ENOMEM;
	int r = uv_udp_init(&g->outside->node->loop, d->udp);
	if (r) {
		free(d->udp);
		d->udp = NULL;
		return r;
	}
	d->udp->data = g;
	r = uv_udp_bind(d->udp, (struct sockaddr *)&a,
	                a.ss_family == AF_INET6 ? UV_UDP_IPV6ONLY : 0);
	if (!r)
		r = uv_udp_recv_start(d->udp, on_buffer, on_datagram);
	if (!r)
		r = uv_udp_getsockname(d->udp, (struct sockaddr *)&a, &size);
	if (r)
		close_door(d);
	else
		d->at = address_from_host((struct sockaddr *)&a);
	return r;
}

/* At the guest's own port when that is asked for and free. */
static int open_any(struct gate *g, int i)
{
	struct address at = {.family = ADDRESS_IP6, .port = g->claimed ? g->guest_port : 0};
	if (i == DOOR_IP4)
		at = address_ip4(0, 0, 0, 0, at.port);
	int r = open_door(g, i, &at);
	if (r && at.port) {
		at.port = 0;
		r = open_door(g, i, &at);
	}
	return r;
}

/* ---- gates ---- */

static void close_gate(struct gate *g)
{
	struct gate **at = &g->outside->gates;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	g->outside->noutlets--;
	for (int i = 0; i < DOORS; i++)
		close_door(&g->doors[i]);
	free(g);
}

void gates_close(struct outside *o)
{
	while (o->gates)
		close_gate(o->gates);
}

void gates_unpublish(struct outside *o, const uint8_t key[SPACE_KEY_SIZE])
{
	for (struct gate *g = o->gates, *next; g; g = next) {
		next = g->next;
		if (!memcmp(g->key, key, sizeof g->key))
			close_gate(g);
	}
}

/* One that nobody asked for, and that was used least, makes room. */
static bool make_room(struct outside *o)
{
	struct gate *least = NULL;
	if (o->noutlets < NET_OUTLETS_MAX)
		return true;
	for (struct gate *g = o->gates; g; g = g->next)
		if (!g->published && !g->claimed && (!least || g->used_ms < least->used_ms))
			least = g;
	if (least)
		close_gate(least);
	return least;
}

static struct gate *gate_new(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port)
{
	struct gate *g = make_room(o) ? calloc(1, sizeof *g) : NULL;
	if (!g)
		return NULL;
	g->outside = o;
	g->guest_port = port;
	g->mode = net_granted(o->node, key);
	g->used_ms = uv_now(&o->node->loop);
	memcpy(g->key, key, sizeof g->key);
	g->next = o->gates;
	o->gates = g;
	o->noutlets++;
	return g;
}

int gate_publish(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], const struct address *at,
                 uint16_t guest_port, bool revived)
{
	struct gate *g = find_gate(o, key, guest_port);
	if (g && g->doors[DOOR_PUBLISHED].udp)
		return UV_EADDRINUSE; /* one port outside for each of the guest's */
	if (!g)
		g = gate_new(o, key, guest_port);
	if (!g)
		return UV_ENOMEM;
	int r = open_door(g, DOOR_PUBLISHED, at);
	g->published |= !r;
	g->revived = revived;
	if (r && !g->claimed)
		close_gate(g);
	return r;
}

void gate_claim(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port, bool v6)
{
	struct gate *g = find_gate(o, key, port);
	if (!g && net_granted(o->node, key) < NET_LAN)
		return;
	if (!g)
		g = gate_new(o, key, port);
	if (!g || g->claimed || g->mode < NET_LAN)
		return;
	g->claimed = true;
	(void)open_any(g, DOOR_IP4);
	if (v6)
		(void)open_any(g, DOOR_IP6);
}

void gates_keep(struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                bool (*is_left)(const void *ctx, uint16_t port), const void *ctx)
{
	for (struct gate *g = o->gates, *next; g; g = next) {
		next = g->next;
		if (g->claimed && !g->published && !memcmp(g->key, key, sizeof g->key) &&
		    !is_left(ctx, g->guest_port))
			close_gate(g);
	}
}

static bool wants_gate(const struct outside *o, const struct socket *s)
{
	const struct gate *g;
	if (!s->claimed || !s->space || !s->space->is_home || s->space->cfg.mode < NET_LAN ||
	    !address_is_ip(&s->local) || address_reach(&s->local) == REACH_LOOPBACK)
		return false;
	g = find_gate(o, s->space->cfg.key, s->local.port);
	return !g || !g->claimed;
}

static bool has_socket(const struct net *n, const struct gate *g)
{
	for (const struct socket *s = n->first; s; s = s->next)
		if (s->space && s->type == SOCKET_DGRAM && s->bound && address_is_ip(&s->local) &&
		    s->local.port == g->guest_port &&
		    !memcmp(s->space->cfg.key, g->key, sizeof g->key))
			return true;
	return false;
}

static bool is_over(struct gate *g)
{
	struct net *n = g->outside->node->net;
	if (g->published)
		return outlet_is_over(g->outside, g->key, g->revived, &g->began);
	if (outlet_is_elsewhere(n, g->key))
		return !g->claimed && uv_now(&g->outside->node->loop) - g->used_ms > IDLE_MS;
	return !has_socket(n, g);
}

void gates_look(struct outside *o)
{
	for (struct gate *g = o->gates, *next; g; g = next) {
		next = g->next;
		if (is_over(g))
			close_gate(g);
	}
	for (const struct socket *s = o->node->net->first; s; s = s->next)
		if (wants_gate(o, s))
			gate_claim(o, s->space->cfg.key, s->local.port, s->af == ADDRESS_IP6);
}

/* ---- what goes out ---- */

static bool may_send(struct outside *o, struct gate *g, const struct address *to)
{
	struct net *n = o->node->net;
	enum address_reach r = net_reach(n, to);
	bool world = r == REACH_HOST || r == REACH_LAN || r == REACH_WORLD;
	return to->port && ((world && g->mode >= net_least_mode(n, to)) || find_flow(g, to));
}

void gate_send(struct outside *o, const struct datagram *d)
{
	struct sockaddr_storage to;
	struct gate *g = find_gate(o, d->key, d->from.port);
	if (!g && net_granted(o->node, d->key) < NET_LAN)
		return;
	if (!g)
		g = gate_new(o, d->key, d->from.port);
	if (!g || !may_send(o, g, &d->to) || !address_to_host(&d->to, &to))
		return;
	const struct flow *f = find_flow(g, &d->to);
	int i = f ? f->door - 1 : address_is_ip4(&d->to) ? DOOR_IP4 : DOOR_IP6;
	if (!g->doors[i].udp && open_any(g, i))
		return;
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)d->bytes, (unsigned)d->size);
	(void)uv_udp_try_send(g->doors[i].udp, &b, 1,
	                      f ? (const struct sockaddr *)&f->host : (struct sockaddr *)&to);
	g->used_ms = uv_now(&o->node->loop);
}

/* ---- `wasmos ports` ---- */

const struct address *gate_address(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                                   uint16_t port)
{
	static const int order[] = {DOOR_PUBLISHED, DOOR_IP4, DOOR_IP6};
	const struct gate *g = find_gate(o, key, port);
	for (int i = 0; g && i < DOORS; i++)
		if (g->doors[order[i]].udp)
			return &g->doors[order[i]].at;
	return NULL;
}

void gates_each(const struct outside *o,
                void (*fn)(void *ctx, const uint8_t key[SPACE_KEY_SIZE], uint16_t guest_port,
                           const struct address *at),
                void *ctx)
{
	for (const struct gate *g = o->gates; g; g = g->next) {
		const struct address *at = gate_address(o, g->key, g->guest_port);
		if (at && (g->published || g->claimed) && !has_socket(o->node->net, g))
			fn(ctx, g->key, g->guest_port, at);
	}
}
