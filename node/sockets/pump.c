/* pump.c - one connection of the host's, carried to and from a guest's (outside.h).
 *
 *	guest's end --in--> (mate) pump's end --in--> uv_write        uv_read --> stream_push --> guest's end
 *
 * States: connecting (guest set, no end), joined (end set), closing. Everything here is on the loop; what it has of sockets is
 * under the net's lock.
 */
#include "node/sockets/outside_impl.h"

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
	struct socket *guest; /* while it connects; NULL: it is gone */
	struct socket *end;   /* the other end of the guest's, ours */
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
		stream_close(e);
		socket_unmake(e);
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
	*buf = uv_buf_init((char *)p->in, sizeof p->in);
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
		uv_buf_t b = uv_buf_init((char *)p->out, (unsigned)n);
		p->writes = !uv_write(&p->write, (uv_stream_t *)&p->tcp, &b, 1, on_written);
		if (!p->writes)
			end_pump(p, FE_CONNRESET);
		else if (e->mate)
			socket_wake(e->mate);
	} else if (e->in_ended) {
		p->shuts = !uv_shutdown(&p->shutdown, (uv_stream_t *)&p->tcp, on_shut);
		p->has_shut = !p->shuts;
	}
}

static void read_more(struct pump *p)
{
	const struct socket *m = p->end->mate;
	bool wants = m && !p->ended && socket_room(m, &m->in);
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
	s->abroad = false;
	p->end->local = s->peer;
	p->end->peer = s->local;
	stream_join(s, p->end);
	socket_wake(s);
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
	else if (!p->guest)
		end_pump(p, FE_OK);
	else
		join_guest(p);
	net_leave(n);
}

void pump_connect(struct outside *o, struct socket *s)
{
	struct sockaddr_storage to;
	struct pump *p = pump_new(o);
	if (!p) {
		stream_failed(s, FE_NOBUFS);
		return;
	}
	p->guest = s;
	s->carrier = p;
	int r = address_to_host(&s->peer, &to)
	            ? uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&to, on_connected)
	            : UV_EINVAL;
	if (r)
		end_pump(p, outside_error(r));
}

static bool from_near(const struct address *a)
{
	enum address_reach r = address_reach(a);
	return r == REACH_LOOPBACK || r == REACH_LAN;
}

void pump_accept(struct outside *o, uv_stream_t *from, struct socket *l, bool lan_only)
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
	if (!l || (lan_only && !from_near(&at)) ||
	    make_end(p, address_is_ip4(&at) ? ADDRESS_IP4 : ADDRESS_IP6) != FE_OK) {
		end_pump(p, FE_OK);
		return;
	}
	p->end->local = at;
	p->end->peer = l->local;
	if (address_reach(&l->local) == REACH_ANY) {
		p->end->peer = address_is_ip4(&at) ? p->net->address4 : p->net->address6;
		p->end->peer.port = l->local.port;
	}
	if (stream_queue(l, p->end) != FE_OK)
		end_pump(p, FE_OK);
	else
		go_on(p);
}
