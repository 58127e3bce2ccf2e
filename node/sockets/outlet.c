/* outlet.c - sockets of the host that listen for guests: made, found and closed as guests' listeners come and go; `wasmos ports`. */
#include "node/sockets/outside_impl.h"

#include "node/control/control.h"
#include "node/links/link.h"
#include "node/links/net.h"
#include "node/disk.h"
#include "node/node.h"
#include "node/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outlet {
	struct outside *outside;
	struct outlet *next;
	uv_tcp_t tcp;
	uint8_t key[SPACE_KEY_SIZE]; /* of the family */
	uint16_t guest_port;
	struct address at; /* of the host */
	bool by_itself;    /* not of --publish: goes with its listener */
	bool lan_only;
	bool began;   /* the family has been there */
	bool revived; /* of the node's last run: the family may be gone since */
};

/* ---- text ---- */

static bool parse_port(const char *text, uint16_t *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	*out = (uint16_t)v;
	return text[0] >= '0' && text[0] <= '9' && !*end && v && v < 65536;
}

bool net_publish_parse(const char *text, struct net_publish *out)
{
	char copy[96];
	struct address a;
	*out = (struct net_publish){.address = "127.0.0.1"};
	if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
		return false;
	char *protocol = strrchr(copy, '/');
	if (protocol && strcmp(protocol, "/udp") && strcmp(protocol, "/tcp"))
		return false;
	out->udp = protocol && protocol[1] == 'u';
	if (protocol)
		*protocol = 0;
	char *guest = strrchr(copy, ':');
	if (!parse_port(guest ? guest + 1 : copy, &out->guest_port))
		return false;
	out->host_port = out->guest_port;
	if (!guest)
		return true;
	*guest = 0;
	char *host = strrchr(copy, ':');
	if (!host)
		return parse_port(copy, &out->host_port);
	*host = 0;
	if (strlen(copy) >= sizeof out->address || !address_from_text(copy, &a))
		return false;
	strcpy(out->address, copy);
	return parse_port(host + 1, &out->host_port);
}

void outlet_text(const struct outlet *l, char out[ADDRESS_TEXT_MAX])
{
	address_to_text(&l->at, out);
}

/* ---- who is meant ---- */

static struct space *family_of(struct net *n, const uint8_t key[SPACE_KEY_SIZE])
{
	for (struct space *s = n->spaces; s; s = s->next)
		if (!memcmp(s->cfg.key, key, SPACE_KEY_SIZE))
			return s;
	return NULL;
}

static struct socket *listener_of(struct net *n, const struct space *s, uint16_t port)
{
	for (struct socket *o = n->first; o; o = o->next)
		if (s && o->space == s && o->state == STATE_LISTENS && address_is_ip(&o->local) &&
		    o->local.port == port)
			return o;
	return NULL;
}

struct socket *outlet_listener(struct net *n, const uint8_t key[SPACE_KEY_SIZE], uint16_t port)
{
	return listener_of(n, family_of(n, key), port);
}

const struct outlet *outlet_of(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                               uint16_t port)
{
	for (const struct outlet *l = o->outlets; l; l = l->next)
		if (!memcmp(l->key, key, SPACE_KEY_SIZE) && l->guest_port == port)
			return l;
	return NULL;
}

/* ---- life ---- */

static void closed(uv_handle_t *h)
{
	free(h->data);
}

static void close_outlet(struct outlet *l)
{
	for (struct outlet **at = &l->outside->outlets; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	l->outside->noutlets--;
	uv_close((uv_handle_t *)&l->tcp, closed);
}

void outlets_close(struct outside *o)
{
	while (o->outlets)
		close_outlet(o->outlets);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct outlet *l = s->data;
	struct net *n = l->outside->node->net;
	if (status < 0)
		return;
	net_enter(n, NULL);
	struct socket *to = outlet_listener(n, l->key, l->guest_port);
	if (to && to->standing)
		to = NULL;
	pump_accept(l->outside, s, to, l->lan_only, l->key, l->guest_port);
	net_leave(n);
}

/* NET_TAKEN, or an error of libuv's. */
static int listen_at(struct outlet *l)
{
	struct sockaddr_storage a;
	uv_os_sock_t fd;
	int size = sizeof a;
	if (!address_to_host(&l->at, &a))
		return UV_EINVAL;
	int r = net_listen((struct sockaddr *)&a, SOCKET_BACKLOG_MAX, &fd);
	if (r)
		return r;
	r = uv_tcp_open(&l->tcp, fd);
	if (!r)
		r = uv_listen((uv_stream_t *)&l->tcp, SOCKET_BACKLOG_MAX, on_connection);
	if (!r && !uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&a, &size))
		l->at.port = address_from_host((struct sockaddr *)&a).port;
	return r;
}

static struct outlet *outlet_new(struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                                 const struct address *at, uint16_t guest_port, int *error)
{
	struct outlet *l = o->noutlets < NET_OUTLETS_MAX ? calloc(1, sizeof *l) : NULL;
	*error = UV_ENOMEM;
	if (!l)
		return NULL;
	l->outside = o;
	l->at = *at;
	l->guest_port = guest_port;
	memcpy(l->key, key, sizeof l->key);
	uv_tcp_init(&o->node->loop, &l->tcp);
	l->tcp.data = l;
	*error = listen_at(l);
	if (*error) {
		uv_close((uv_handle_t *)&l->tcp, closed);
		return NULL;
	}
	l->next = o->outlets;
	o->outlets = l;
	o->noutlets++;
	return l;
}

/* 0, NET_TAKEN, or an error of libuv's. */
static int publish(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], bool udp,
                   const struct address *at, uint16_t guest_port, bool revived)
{
	int error = 0;
	if (udp) {
		net_enter(o->node->net, NULL);
		error = gate_publish(o, key, at, guest_port, revived);
		net_leave(o->node->net);
		return error == UV_EADDRINUSE ? NET_TAKEN : error;
	}
	struct outlet *l = outlet_new(o, key, at, guest_port, &error);
	if (l)
		l->revived = revived;
	return l ? 0 : error;
}

/* ---- what a home remembers ---- */

/* A family's row: u8 version, u8 1: the family has left, or sleeps, each: u8 1 of UDP, 16 ip, u16 port, u16 guest's */
enum { PUBLISHED_VERSION = 1, PUBLISHED_SIZE = 21 };

static void key_name(const char *kind, const uint8_t key[SPACE_KEY_SIZE], char out[48])
{
	size_t n = (size_t)snprintf(out, 48, "%s", kind);
	for (int i = 0; i < SPACE_KEY_SIZE; i++)
		n += (size_t)snprintf(out + n, 48 - n, "%02x", key[i]);
}

void net_grant(struct node *n, const uint8_t key[SPACE_KEY_SIZE], enum net_mode mode)
{
	char name[48];
	uint8_t value = (uint8_t)mode;
	key_name("net-", key, name);
	(void)depot_keep_setting(node_depot(n), name, &value, mode > NET_SYSTEM, NULL);
}

enum net_mode net_granted(struct node *n, const uint8_t key[SPACE_KEY_SIZE])
{
	char name[48];
	struct wr row = {0};
	enum net_mode mode = NET_NONE;
	key_name("net-", key, name);
	if (depot_get(node_depot(n), DEPOT_SETTINGS, name, strlen(name) + 1, &row) == ERR_OK &&
	    row.size == 1 && row.data[0] < NET_MODES)
		mode = (enum net_mode)row.data[0];
	wr_free(&row);
	return mode;
}

static enum err get_row(struct node *n, const uint8_t key[SPACE_KEY_SIZE], struct wr *out)
{
	char name[48];
	key_name("ports-", key, name);
	return depot_get(node_depot(n), DEPOT_SETTINGS, name, strlen(name) + 1, out);
}

static enum err keep_row(struct node *n, const uint8_t key[SPACE_KEY_SIZE], const struct wr *row)
{
	char name[48];
	key_name("ports-", key, name);
	return wr_ok(row) ? depot_keep_setting(node_depot(n), name, row->data, row->size, NULL)
	                  : ERR_NOMEM;
}

static enum err remember(struct node *n, const uint8_t key[SPACE_KEY_SIZE], bool udp,
                         const struct address *at, uint16_t guest_port)
{
	struct wr row = {0};
	if (get_row(n, key, &row) != ERR_OK) {
		wr_u8(&row, PUBLISHED_VERSION);
		wr_u8(&row, false);
	}
	wr_u8(&row, udp);
	wr_bytes(&row, at->ip, sizeof at->ip);
	wr_u16(&row, at->port);
	wr_u16(&row, guest_port);
	enum err e = keep_row(n, key, &row);
	wr_free(&row);
	return e;
}

/* So that the next run of the node waits for it: one that was here when it stopped is back soon, or never. */
static void remember_left(struct node *n, const uint8_t key[SPACE_KEY_SIZE], bool left)
{
	struct wr row = {0};
	if (get_row(n, key, &row) == ERR_OK && row.size > 1 && row.data[1] != left) {
		row.data[1] = left;
		(void)keep_row(n, key, &row);
	}
	wr_free(&row);
}

void net_over(struct node *n, const uint8_t key[SPACE_KEY_SIZE])
{
	char name[48];
	struct wr row = {0};
	key_name("ports-", key, name);
	if (get_row(n, key, &row) == ERR_OK)
		(void)depot_keep_setting(node_depot(n), name, NULL, 0, NULL);
	wr_free(&row);
	if (net_granted(n, key) != NET_NONE)
		net_grant(n, key, NET_NONE);
}

enum err net_publish(struct node *n, const uint8_t key[SPACE_KEY_SIZE], const struct net_publish *p,
                     struct errmsg *msg)
{
	struct address at;
	if (!address_from_text(p->address, &at))
		return err_set(msg, ERR_USAGE, "--publish %s: it must be an address", p->address);
	at.port = p->host_port;
	int error = publish(n->net->loop, key, p->udp, &at, p->guest_port, false);
	if (!error)
		return remember(n, key, p->udp, &at, p->guest_port);
	return err_set(msg, error == NET_TAKEN ? ERR_EXISTS : ERR_IO, "--publish: %s:%u: %s",
	               p->address, p->host_port,
	               error == NET_TAKEN ? "the port is taken" : uv_strerror(error));
}

void outlets_end(struct outside *o, const uint8_t key[SPACE_KEY_SIZE])
{
	net_over(o->node, key);
	gates_unpublish(o, key);
	for (struct outlet *l = o->outlets, *next; l; l = next) {
		next = l->next;
		if (!memcmp(l->key, key, SPACE_KEY_SIZE))
			close_outlet(l);
	}
}

void net_unpublish(struct node *n, const uint8_t key[SPACE_KEY_SIZE])
{
	net_enter(n->net, NULL);
	outlets_end(n->net->loop, key);
	net_leave(n->net);
}

/* ---- those of the node's last run ---- */

struct published {
	bool left;
	uint8_t key[SPACE_KEY_SIZE];
	bool udp;
	struct address at;
	uint16_t guest_port;
};

struct rows {
	struct published *list;
	uint32_t count;
};

static bool key_from(const char *name, size_t size, uint8_t out[SPACE_KEY_SIZE])
{
	static const char kind[] = "ports-";
	size_t at = sizeof kind - 1;
	if (size != at + 2 * SPACE_KEY_SIZE + 1 || memcmp(name, kind, at) || name[size - 1])
		return false;
	for (int i = 0; i < SPACE_KEY_SIZE; i++) {
		unsigned v;
		if (sscanf(name + at + 2 * i, "%2x", &v) != 1)
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

static enum err read_published(struct rd *in, struct published *p)
{
	uint8_t udp;
	const uint8_t *ip;
	TRY(rd_u8(in, &udp));
	TRY(rd_bytes(in, sizeof p->at.ip, &ip));
	memcpy(p->at.ip, ip, sizeof p->at.ip);
	p->at.family = ADDRESS_IP6;
	p->udp = udp;
	TRY(rd_u16(in, &p->at.port));
	return rd_u16(in, &p->guest_port);
}

static bool add_row(void *ctx, const uint8_t *name, size_t name_size, const uint8_t *value,
                    size_t size)
{
	struct rows *r = ctx;
	struct rd in = rd_of(value, size);
	struct published p = {0};
	uint8_t version, left;
	if (!key_from((const char *)name, name_size, p.key) || rd_u8(&in, &version) != ERR_OK ||
	    version != PUBLISHED_VERSION || rd_u8(&in, &left) != ERR_OK)
		return true;
	p.left = left;
	while (rd_left(&in) >= PUBLISHED_SIZE && r->count < NET_OUTLETS_MAX) {
		struct published *more = realloc(r->list, (r->count + 1) * sizeof *more);
		if (!more || read_published(&in, &p) != ERR_OK)
			break;
		r->list = more;
		r->list[r->count++] = p;
	}
	return r->count < NET_OUTLETS_MAX;
}

/* The programs come back from their images later, or are on other devices. */
void outlets_open(struct outside *o)
{
	struct rows r = {0};
	char text[ADDRESS_TEXT_MAX];
	(void)depot_each(node_depot(o->node), DEPOT_SETTINGS, add_row, &r);
	for (uint32_t i = 0; i < r.count; i++) {
		const struct published *p = &r.list[i];
		int error = publish(o, p->key, p->udp, &p->at, p->guest_port, true);
		address_to_text(&p->at, text);
		if (error)
			node_log(o->node, LOG_WARN, "net", "published port %s: %s", text,
			         error == NET_TAKEN ? "it is taken" : uv_strerror(error));
		net_enter(o->node->net, NULL);
		if (p->left)
			key_put(&o->node->net->left_keys, p->key);
		net_leave(o->node->net);
	}
	free(r.list);
}

/* ---- as listeners come and go ---- */

enum {
	REVIVED_MS = 600 * 1000
}; /* how long a node that has started waits for a program that ran here */

/* The family's mode lets it be reached at this port from outside, and it has no outlet. */
static bool wants_outlet(const struct outside *o, const struct socket *s)
{
	return s->space && s->state == STATE_LISTENS && s->space->is_home &&
	       s->space->cfg.mode >= NET_LAN && address_is_ip(&s->local) &&
	       address_reach(&s->local) != REACH_LOOPBACK &&
	       !outlet_of(o, s->space->cfg.key, s->local.port);
}

/* The same port when it is free, else any. */
static void open_outlet(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port,
                        enum net_mode mode)
{
	struct address any = address_ip4(0, 0, 0, 0, port);
	int error;
	struct outlet *l = outlet_new(o, key, &any, port, &error);
	if (!l) {
		any.port = 0;
		l = outlet_new(o, key, &any, port, &error);
	}
	if (!l) {
		node_log(o->node, LOG_WARN, "net", "port %u of a program has none outside: %s",
		         port, uv_strerror(error));
		return;
	}
	l->by_itself = true;
	l->lan_only = mode == NET_LAN;
}

bool outlet_is_elsewhere(const struct net *n, const uint8_t key[SPACE_KEY_SIZE])
{
	return key_in(n->left_keys, key);
}

void outlet_heard_of(struct outside *o, const uint8_t key[SPACE_KEY_SIZE])
{
	struct net *n = o->node->net;
	if (!key_in(n->left_keys, key) && !family_of(n, key) &&
	    net_granted(o->node, key) != NET_NONE)
		key_put(&n->left_keys, key);
}

/* ---- of families that are elsewhere ---- */

static bool is_listed(const struct msg_net_listens *m, bool udp, uint16_t port)
{
	for (uint32_t i = 0; i + 4 <= m->ports.size; i += 4) {
		const uint8_t *p = m->ports.p + i;
		if ((p[0] == SOCKET_DGRAM) == udp && (p[2] << 8 | p[3]) == port)
			return true;
	}
	return false;
}

static bool is_listed_gate(const void *ctx, uint16_t port)
{
	return is_listed(ctx, true, port);
}

static void close_unlisted(struct outside *o, const struct msg_net_listens *m)
{
	for (struct outlet *l = o->outlets, *next; l; l = next) {
		next = l->next;
		if (l->by_itself && !memcmp(l->key, m->key, sizeof l->key) &&
		    !is_listed(m, false, l->guest_port))
			close_outlet(l);
	}
	gates_keep(o, m->key, is_listed_gate, m);
}

void outlets_of_far(struct outside *o, const struct msg_net_listens *m)
{
	enum net_mode mode = net_granted(o->node, m->key);
	outlet_heard_of(o, m->key);
	if (mode < NET_LAN || !key_in(o->node->net->left_keys, m->key))
		return;
	close_unlisted(o, m);
	for (uint32_t i = 0; i + 4 <= m->ports.size; i += 4) {
		const uint8_t *p = m->ports.p + i;
		uint16_t port = (uint16_t)(p[2] << 8 | p[3]);
		if (!port)
			continue;
		if (p[0] == SOCKET_DGRAM)
			gate_claim(o, m->key, port, p[1]);
		else if (!outlet_of(o, m->key, port))
			open_outlet(o, m->key, port, mode);
	}
}

/* ---- all of them ---- */

bool outlet_is_over(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], bool revived, bool *began)
{
	struct net *n = o->node->net;
	bool here = family_of(n, key), left = key_in(n->left_keys, key);
	bool late = uv_now(&o->node->loop) - o->opened_ms > REVIVED_MS;
	*began |= here;
	remember_left(o->node, key, left);
	if (here || left)
		return false;
	if (revived && !*began && late)
		net_over(o->node, key);
	return *began || (revived && late);
}

static bool is_over(struct outlet *l, struct net *n)
{
	if (!l->by_itself)
		return outlet_is_over(l->outside, l->key, l->revived, &l->began);
	return !key_in(n->left_keys, l->key) &&
	       !listener_of(n, family_of(n, l->key), l->guest_port);
}

void outlets_look(struct outside *o)
{
	struct net *n = o->node->net;
	net_enter(n, NULL);
	for (struct outlet *l = o->outlets, *next; l; l = next) {
		next = l->next;
		if (is_over(l, n))
			close_outlet(l);
	}
	for (const struct socket *s = n->first; s; s = s->next)
		if (wants_outlet(o, s))
			open_outlet(o, s->space->cfg.key, s->local.port, s->space->cfg.mode);
	gates_look(o);
	wire_tell_listeners(o, NULL);
	net_leave(n);
}

/* ---- `wasmos ports` ---- */

static void port_row(struct node *n, struct control_call *c, const struct socket *s)
{
	char guest[ADDRESS_TEXT_MAX], host[ADDRESS_TEXT_MAX] = "";
	const struct outlet *l = outlet_of(n->net->loop, s->space->cfg.key, s->local.port);
	const struct process *p = process_find(n, s->own_pid);
	const struct address *gate = gate_address(n->net->loop, s->space->cfg.key, s->local.port);
	const struct peer *home = peer_by_id(n, s->space->home);
	if (s->type == SOCKET_DGRAM && gate)
		address_to_text(gate, host);
	else if (s->type != SOCKET_DGRAM && l)
		outlet_text(l, host);
	else if (home)
		snprintf(host, sizeof host, "at %.40s", peer_name(home));
	address_to_text(&s->local, guest);
	control_row(c);
	control_put_u64(c, "pid", s->own_pid);
	control_put_str(c, "name", p ? p->name : "");
	control_put_str(c, "proto", s->type == SOCKET_DGRAM ? "udp" : "tcp");
	control_put_str(c, "address", guest);
	control_put_str(c, "host", host);
	control_put_str(c, "net", net_mode_name(s->space->cfg.mode));
	control_put_str(c, "state", s->state == STATE_LISTENS || s->claimed ? "listening" : "open");
	control_row_end(c);
}

/* One that nobody listens behind. */
static void lonely_row(struct control_call *c, const char *proto, const uint8_t key[SPACE_KEY_SIZE],
                       uint16_t port, const struct address *at)
{
	char guest[16], host[ADDRESS_TEXT_MAX];
	struct node *n = control_node(c);
	const struct space *s = family_of(n->net, key);
	address_to_text(at, host);
	snprintf(guest, sizeof guest, "*:%u", port);
	control_row(c);
	control_put_u64(c, "pid", 0);
	control_put_str(c, "name", "");
	control_put_str(c, "proto", proto);
	control_put_str(c, "address", guest);
	control_put_str(c, "host", host);
	control_put_str(c, "net", s ? net_mode_name(s->cfg.mode) : "");
	control_put_str(c, "state", key_in(n->net->left_keys, key) ? "elsewhere" : "waiting");
	control_row_end(c);
}

static void gate_row(void *ctx, const uint8_t key[SPACE_KEY_SIZE], uint16_t port,
                     const struct address *at)
{
	lonely_row(ctx, "udp", key, port, at);
}

void control_ports(struct node *n, struct control_call *c)
{
	const struct outside *o = n->net->loop;
	net_enter(n->net, NULL);
	for (const struct socket *s = n->net->first; s; s = s->next)
		if (s->space && address_is_ip(&s->local) && s->local.port && s->bound &&
		    (s->state == STATE_LISTENS || (s->type == SOCKET_DGRAM && !s->has_peer)))
			port_row(n, c, s);
	for (const struct outlet *l = o->outlets; l; l = l->next)
		if (!listener_of(n->net, family_of(n->net, l->key), l->guest_port))
			lonely_row(c, "tcp", l->key, l->guest_port, &l->at);
	gates_each(o, gate_row, c);
	net_leave(n->net);
	control_end(c, ERR_OK, NULL);
}
