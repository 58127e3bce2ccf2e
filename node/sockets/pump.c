/* pump.c - one connection of the host's, carried to and from a guest's (outside.h).
 *
 *	guest's end --in--> (mate) pump's end --in--> uv_write        uv_read --> stream_push --> guest's end
 *
 * States: connecting (guest set, no end), joined (end set), closing. Everything here is on the loop; what it has of sockets is
 * under the net's lock.
 */
#include "node/sockets/outside_impl.h"

#include "base/os.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536 };

struct pump {
	struct outside *outside; /* until it is closing */
	struct net *net;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct socket *guest;  /* while it connects; NULL: it is gone */
	struct socket *end;    /* the other end of the guest's, ours */
	struct pump *next_far; /* while it connects */
	bool is_far; /* of a guest on another device: its connection's name, and who asked */
	uint8_t id[CONNECTION_ID_SIZE], asker[32];
	bool reads, writes, shuts, has_shut, ended, closing;
	uint8_t out[CHUNK], in[CHUNK];
};

/* ---- addresses ---- */

struct address address_from_host(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *p = (const struct sockaddr_in *)a;
		uint8_t ip[4];
		memcpy(ip, &p->sin_addr, 4);
		return address_ip4(ip[0], ip[1], ip[2], ip[3], ntohs(p->sin_port));
	}
	const struct sockaddr_in6 *p = (const struct sockaddr_in6 *)a;
	struct address out = {.family = ADDRESS_IP6, .port = ntohs(p->sin6_port)};
	memcpy(out.ip, &p->sin6_addr, 16);
	return out;
}

bool address_to_host(const struct address *a, struct sockaddr_storage *out)
{
	struct address at = *a;
	memset(out, 0, sizeof *out);
	if (address_reach(a) == REACH_HOST)
		at = address_ip4(127, 0, 0, 1, a->port);
	if (address_is_ip4(&at)) {
		struct sockaddr_in *p = (struct sockaddr_in *)out;
		p->sin_family = AF_INET;
		p->sin_port = htons(at.port);
		memcpy(&p->sin_addr, at.ip + 12, 4);
		return true;
	}
	struct sockaddr_in6 *p = (struct sockaddr_in6 *)out;
	p->sin6_family = AF_INET6;
	p->sin6_port = htons(at.port);
	memcpy(&p->sin6_addr, at.ip, 16);
	return address_is_ip(&at);
}

enum ferr outside_error(int status)
{
	switch (status) {
	case UV_ECONNREFUSED: return FE_CONNREFUSED;
	case UV_ETIMEDOUT: return FE_TIMEDOUT;
	case UV_EHOSTUNREACH: return FE_HOSTUNREACH;
	case UV_ECONNRESET: return FE_CONNRESET;
	case UV_EPIPE: return FE_PIPE;
	case UV_EACCES:
	case UV_EPERM: return FE_ACCES;
	case UV_EADDRNOTAVAIL:
	case UV_ENETUNREACH: return FE_NETUNREACH;
	case UV_EMFILE:
	case UV_ENOMEM: return FE_NOBUFS;
	default: return FE_CONNABORTED;
	}
}

/* ---- the end ---- */

static void closed(uv_handle_t *h)
{
	free(h->data);
}

static void drop_far(struct pump *p)
{
	for (struct pump **at = &p->outside->far_pumps; *at; at = &(*at)->next_far)
		if (*at == p) {
			*at = p->next_far;
			return;
		}
}

/* With the lock. why OK: an orderly end. */
static void end_pump(struct pump *p, enum ferr why)
{
	struct socket *e = p->end;
	if (p->guest) {
		p->guest->carrier = NULL;
		stream_failed(p->guest, why == FE_OK ? FE_CONNABORTED : why);
	}
	if (e) {
		if (e->mate && why != FE_OK)
			e->mate->error = why;
		e->resets = why != FE_OK;
		e->carrier = NULL;
		stream_close(e);
		socket_retire(e);
	} else if (p->is_far && !p->closing) {
		drop_far(p);
		wire_refuse(p->outside, p->id, p->asker, why == FE_OK ? FE_CONNABORTED : why);
	}
	p->guest = p->end = NULL;
	if (p->closing)
		return;
	p->outside->npumps--;
	p->closing = true;
	uv_close((uv_handle_t *)&p->tcp, closed);
}

static struct net *enter(struct pump *p)
{
	net_enter(p->net, NULL);
	return p->net;
}

/* ---- both directions ---- */

static void on_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct pump *p = h->data;
	struct net *n = enter(p);
	const struct socket *m = p->end ? p->end->mate : NULL;
	*buf = uv_buf_init((char *)p->in, m && m->waits ? SOCKET_BUFFER_WAITS : sizeof p->in);
	net_leave(n);
}

static void go_on(struct pump *p);

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct pump *p = s->data;
	if (!n || p->closing)
		return;
	struct net *net = enter(p);
	if (n > 0) {
		if (!p->end || !stream_push(p->end, buf->base, (size_t)n))
			end_pump(p, FE_NOBUFS);
	} else if (n == UV_EOF) {
		p->ended = true;
		if (p->end)
			(void)stream_shutdown(p->end, SOCKET_SHUT_WRITE);
	} else {
		end_pump(p, outside_error((int)n));
	}
	if (!p->closing)
		go_on(p);
	net_leave(net);
}

static void on_written(uv_write_t *w, int status)
{
	struct pump *p = w->data;
	struct net *n = enter(p);
	p->writes = false;
	if (status < 0)
		end_pump(p, outside_error(status));
	if (!p->closing)
		go_on(p);
	net_leave(n);
}

static void on_shut(uv_shutdown_t *s, int status)
{
	struct pump *p = s->data;
	struct net *n = enter(p);
	p->shuts = false;
	p->has_shut = true;
	if (!p->closing)
		go_on(p);
	net_leave(n);
}

static void write_more(struct pump *p)
{
	struct socket *e = p->end;
	if (p->writes || p->shuts || p->has_shut)
		return; /* out is libuv's */
	size_t n = queue_peek(&e->in, 0, p->out, sizeof p->out);
	if (n) {
		queue_drop(&e->in, n);
		if (e->mate)
			stream_pass_on(e->mate, e);
		uv_buf_t b = uv_buf_init((char *)p->out, (unsigned)n);
		p->writes = !uv_write(&p->write, (uv_stream_t *)&p->tcp, &b, 1, on_written);
		if (!p->writes)
			end_pump(p, FE_CONNRESET);
		else if (e->mate)
			socket_wake(e->mate);
		else
			socket_touch(e);
	} else if (e->in_ended) {
		p->shuts = !uv_shutdown(&p->shutdown, (uv_stream_t *)&p->tcp, on_shut);
		p->has_shut = !p->shuts;
	}
}

static void read_more(struct pump *p)
{
	const struct socket *e = p->end, *m = e->mate;
	bool room =
	    m ? !e->out.first && socket_room(m, &m->in) : !e->gone && socket_room(e, &e->out);
	bool wants = room && !p->ended && e->state == STATE_CONNECTED;
	if (wants == p->reads)
		return;
	p->reads = wants;
	if (!wants)
		uv_read_stop((uv_stream_t *)&p->tcp);
	else if (uv_read_start((uv_stream_t *)&p->tcp, on_buffer, on_read))
		end_pump(p, FE_CONNRESET);
}

/* With the lock; p is not closing. */
static void go_on(struct pump *p)
{
	if (!p->end)
		return;
	write_more(p);
	if (!p->closing)
		read_more(p);
	if (p->closing)
		return;
	if (p->has_shut && (p->ended || p->end->gone))
		end_pump(p, FE_OK);
}

void pump_look(struct socket *s)
{
	struct pump *p = s->carrier;
	if (s->ended) { /* a guest that did not wait for its connection */
		p->guest = NULL;
		s->carrier = NULL;
		socket_unmake(s);
		end_pump(p, FE_OK);
	} else if (!p->closing && p->end && p->end->state == STATE_NEW) {
		end_pump(p, FE_OK); /* nobody took the connection */
	} else if (!p->closing) {
		go_on(p);
	}
}

/* The first that is found; false: there is none. */
static bool close_one(struct net *n)
{
	for (struct socket *s = n->first; s; s = s->next) {
		struct pump *p = s->carrier;
		if (p && !p->closing) {
			end_pump(p, FE_NETDOWN);
			return true;
		}
	}
	return false;
}

void pumps_close(struct net *n)
{
	while (close_one(n))
		;
}

/* ---- begins ---- */

static struct pump *pump_new(struct outside *o)
{
	struct pump *p = o->npumps < NET_PUMPS_MAX ? calloc(1, sizeof *p) : NULL;
	if (!p)
		return NULL;
	p->outside = o;
	p->net = o->node->net;
	uv_tcp_init(&o->node->loop, &p->tcp);
	p->tcp.data = p->connect.data = p->write.data = p->shutdown.data = p;
	o->npumps++;
	return p;
}

static enum ferr make_end(struct pump *p, uint8_t af)
{
	FTRY(socket_make(p->net, NULL, af, SOCKET_STREAM, &p->end));
	p->end->outside = true;
	p->end->carrier = p;
	uv_tcp_nodelay(&p->tcp, 1);
	return FE_OK;
}

/* The guest's end is on another device, or on the way: it will ask for this one by its name. */
static void await_guest(struct pump *p, const uint8_t id[CONNECTION_ID_SIZE])
{
	struct socket *e = p->end;
	memcpy(e->id, id, sizeof e->id);
	e->side = 1;
	e->has_name = e->has_peer = e->abroad = true;
	e->state = STATE_CONNECTED;
}

static void join_guest(struct pump *p)
{
	struct socket *s = p->guest;
	enum ferr e = make_end(p, s->af);
	if (e != FE_OK) {
		end_pump(p, e);
		return;
	}
	p->guest = NULL;
	s->carrier = NULL;
	p->end->local = s->peer;
	p->end->peer = s->local;
	if (s->standing) {
		await_guest(p, s->id);
	} else {
		s->abroad = false;
		stream_join(s, p->end);
	}
	socket_wake(s);
	go_on(p);
}

static void join_far(struct pump *p)
{
	drop_far(p);
	if (make_end(p, ADDRESS_IP6) != FE_OK) {
		end_pump(p, FE_NOBUFS);
		return;
	}
	await_guest(p, p->id);
	wire_here(p->outside, p->end, p->asker);
	go_on(p);
}

static void on_connected(uv_connect_t *c, int status)
{
	struct pump *p = c->data;
	struct net *n = enter(p);
	if (p->closing)
		;
	else if (status < 0)
		end_pump(p, outside_error(status));
	else if (p->is_far)
		join_far(p);
	else if (!p->guest)
		end_pump(p, FE_OK);
	else
		join_guest(p);
	net_leave(n);
}

static void connect_to(struct pump *p, const struct address *a)
{
	struct sockaddr_storage to;
	int r = address_to_host(a, &to)
	            ? uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&to, on_connected)
	            : UV_EINVAL;
	if (r)
		end_pump(p, outside_error(r));
}

void pump_connect(struct outside *o, struct socket *s)
{
	struct pump *p = pump_new(o);
	if (!p) {
		stream_failed(s, FE_NOBUFS);
		return;
	}
	p->guest = s;
	s->carrier = p;
	connect_to(p, &s->peer);
}

/* Asked again while it connects. */
bool pump_is_asked(const struct outside *o, const uint8_t id[CONNECTION_ID_SIZE])
{
	for (const struct pump *p = o->far_pumps; p; p = p->next_far)
		if (!memcmp(p->id, id, sizeof p->id))
			return true;
	return false;
}

void pump_connect_far(struct outside *o, const uint8_t id[CONNECTION_ID_SIZE],
                      const struct address *to, const uint8_t device[32])
{
	struct pump *p = pump_new(o);
	if (!p) {
		wire_refuse(o, id, device, FE_NOBUFS);
		return;
	}
	p->is_far = true;
	memcpy(p->id, id, sizeof p->id);
	memcpy(p->asker, device, sizeof p->asker);
	p->next_far = o->far_pumps;
	o->far_pumps = p;
	connect_to(p, to);
}

static bool from_near(const struct address *a)
{
	enum address_reach r = address_reach(a);
	return r == REACH_LOOPBACK || r == REACH_LAN;
}

/* The listener is on another device, or stands. */
static void seek_listener(struct pump *p, const uint8_t key[SPACE_KEY_SIZE], uint16_t port)
{
	struct socket *e = p->end;
	e->peer = address_is_ip4(&e->local) ? p->net->address4 : p->net->address6;
	e->peer.port = port;
	e->state = STATE_CONNECTS;
	e->abroad = e->has_name = e->has_peer = true;
	os_random(e->id, sizeof e->id);
	memcpy(e->open_key, key, sizeof e->open_key);
	wire_look(p->outside, e);
}

static void give_listener(struct pump *p, struct socket *l)
{
	struct socket *e = p->end;
	e->peer = l->local;
	if (address_reach(&l->local) == REACH_ANY) {
		e->peer = address_is_ip4(&e->local) ? p->net->address4 : p->net->address6;
		e->peer.port = l->local.port;
	}
	if (stream_queue(l, e) != FE_OK)
		end_pump(p, FE_OK);
	else
		go_on(p);
}

void pump_accept(struct outside *o, uv_stream_t *from, struct socket *l, bool lan_only,
                 const uint8_t key[SPACE_KEY_SIZE], uint16_t port)
{
	struct sockaddr_storage who = {0};
	int size = sizeof who;
	struct pump *p = pump_new(o);
	if (!p)
		return;
	if (uv_accept(from, (uv_stream_t *)&p->tcp) ||
	    uv_tcp_getpeername(&p->tcp, (struct sockaddr *)&who, &size)) {
		end_pump(p, FE_OK);
		return;
	}
	struct address at = address_from_host((struct sockaddr *)&who);
	if ((lan_only && !from_near(&at)) ||
	    make_end(p, address_is_ip4(&at) ? ADDRESS_IP4 : ADDRESS_IP6) != FE_OK) {
		end_pump(p, FE_OK);
		return;
	}
	p->end->local = at;
	if (l)
		give_listener(p, l);
	else
		seek_listener(p, key, port);
}
