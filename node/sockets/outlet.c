/* outlet.c - sockets of the host that listen for guests: made, found and closed as guests' listeners come and go; `wasmos ports`. */
#include "node/sockets/outside_impl.h"

#include "node/control.h"
#include "node/net.h"
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
	bool began; /* the family has been there */
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
	char *guest = strrchr(copy, ':');
	if (!guest || !parse_port(guest + 1, &out->guest_port))
		return false;
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

enum err net_publish(struct node *n, const uint8_t key[SPACE_KEY_SIZE], const struct net_publish *p,
                     struct errmsg *msg)
{
	struct address at;
	int error;
	if (!address_from_text(p->address, &at))
		return err_set(msg, ERR_USAGE, "--publish %s: it must be an address", p->address);
	at.port = p->host_port;
	if (outlet_new(n->net->loop, key, &at, p->guest_port, &error))
		return ERR_OK;
	return err_set(msg, error == NET_TAKEN ? ERR_EXISTS : ERR_IO, "--publish: %s:%u: %s",
	               p->address, p->host_port,
	               error == NET_TAKEN ? "the port is taken" : uv_strerror(error));
}

void net_unpublish(struct node *n, const uint8_t key[SPACE_KEY_SIZE])
{
	struct outside *o = n->net->loop;
	if (net_granted(n, key) != NET_NONE)
		net_grant(n, key, NET_NONE);
	for (struct outlet *l = o->outlets, *next; l; l = next) {
		next = l->next;
		if (!memcmp(l->key, key, SPACE_KEY_SIZE))
			close_outlet(l);
	}
}

/* ---- what a home remembers ---- */

static void grant_key(const uint8_t key[SPACE_KEY_SIZE], char out[48])
{
	size_t n = (size_t)snprintf(out, 48, "net-");
	for (int i = 0; i < SPACE_KEY_SIZE; i++)
		n += (size_t)snprintf(out + n, 48 - n, "%02x", key[i]);
}

void net_grant(struct node *n, const uint8_t key[SPACE_KEY_SIZE], enum net_mode mode)
{
	char name[48];
	uint8_t value = (uint8_t)mode;
	grant_key(key, name);
	(void)depot_keep_setting(node_depot(n), name, &value, mode > NET_SYSTEM, NULL);
}

enum net_mode net_granted(struct node *n, const uint8_t key[SPACE_KEY_SIZE])
{
	char name[48];
	struct wr row = {0};
	enum net_mode mode = NET_NONE;
	grant_key(key, name);
	if (depot_get(node_depot(n), DEPOT_SETTINGS, name, strlen(name) + 1, &row) == ERR_OK &&
	    row.size == 1 && row.data[0] < NET_MODES)
		mode = (enum net_mode)row.data[0];
	wr_free(&row);
	return mode;
}

/* ---- as listeners come and go ---- */

/* The family's mode lets it be reached at this port from outside, and it has no outlet. */
static bool wants_outlet(const struct outside *o, const struct socket *s)
{
	return s->space && s->state == STATE_LISTENS && s->space->cfg.mode >= NET_LAN &&
	       address_is_ip(&s->local) && address_reach(&s->local) != REACH_LOOPBACK &&
	       !outlet_of(o, s->space->cfg.key, s->local.port);
}

/* The same port when it is free, else any. */
static void open_outlet(struct outside *o, const struct socket *s)
{
	struct address any = address_ip4(0, 0, 0, 0, s->local.port);
	int error;
	struct outlet *l = outlet_new(o, s->space->cfg.key, &any, s->local.port, &error);
	if (!l) {
		any.port = 0;
		l = outlet_new(o, s->space->cfg.key, &any, s->local.port, &error);
	}
	if (!l) {
		node_log(o->node, LOG_WARN, "net", "port %u of a program has none outside: %s",
		         s->local.port, uv_strerror(error));
		return;
	}
	l->by_itself = true;
	l->lan_only = s->space->cfg.mode == NET_LAN;
}

static bool is_over(struct outlet *l, struct net *n)
{
	struct space *s = family_of(n, l->key);
	l->began |= s != NULL;
	if (key_in(n->left_keys, l->key))
		return false;
	if (l->by_itself)
		return !listener_of(n, s, l->guest_port);
	return !s && l->began;
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
			open_outlet(o, s);
	net_leave(n);
}

/* ---- `wasmos ports` ---- */

static void port_row(struct node *n, struct control_call *c, const struct socket *s)
{
	char guest[ADDRESS_TEXT_MAX], host[ADDRESS_TEXT_MAX] = "";
	const struct outlet *l = outlet_of(n->net->loop, s->space->cfg.key, s->local.port);
	const struct process *p = process_find(n, s->own_pid);
	if (l)
		outlet_text(l, host);
	address_to_text(&s->local, guest);
	control_row(c);
	control_put_u64(c, "pid", s->own_pid);
	control_put_str(c, "name", p ? p->name : "");
	control_put_str(c, "proto", s->type == SOCKET_DGRAM ? "udp" : "tcp");
	control_put_str(c, "address", guest);
	control_put_str(c, "host", host);
	control_put_str(c, "net", net_mode_name(s->space->cfg.mode));
	control_put_str(c, "state", "listening");
	control_row_end(c);
}

/* An outlet that nobody listens behind. */
static void outlet_row(struct node *n, struct control_call *c, const struct outlet *l)
{
	char guest[16], host[ADDRESS_TEXT_MAX];
	const struct space *s = family_of(n->net, l->key);
	if (listener_of(n->net, s, l->guest_port))
		return;
	outlet_text(l, host);
	snprintf(guest, sizeof guest, "*:%u", l->guest_port);
	control_row(c);
	control_put_u64(c, "pid", 0);
	control_put_str(c, "name", "");
	control_put_str(c, "proto", "tcp");
	control_put_str(c, "address", guest);
	control_put_str(c, "host", host);
	control_put_str(c, "net", s ? net_mode_name(s->cfg.mode) : "");
	control_put_str(c, "state", key_in(n->net->left_keys, l->key) ? "elsewhere" : "waiting");
	control_row_end(c);
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
		outlet_row(n, c, l);
	net_leave(n->net);
	control_end(c, ERR_OK, NULL);
}
