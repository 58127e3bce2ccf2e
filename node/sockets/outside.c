/* outside.c - the loop's side of the node's network: what sockets want of it, devices, names of the world. */
#include "node/sockets/outside_impl.h"

#include "node/links/link.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

/* ---- devices ---- */

static void on_link(void *ctx, struct peer *peer, bool up)
{
	struct node *n = ctx;
	struct net_peer list[LINK_PEERS_MAX];
	uint32_t count = 0;
	for (struct peer *p = peer_first(n); p && count < LINK_PEERS_MAX; p = peer_next(p))
		list[count++] = (struct net_peer){peer_id(p), peer_name(p)};
	(void)net_set_peers(n->net, list, count);
	if (peer)
		wires_link(n->net->loop, peer, up);
}

/* ---- names ---- */

struct lookup {
	uv_getaddrinfo_t req;
	struct node *node;
	struct name_request *request;
};

static void on_name(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct lookup *l = req->data;
	struct net *n = l->node->net;
	struct address found[RESOLVER_ANSWERS_MAX];
	uint32_t count = 0;
	for (const struct addrinfo *a = list; !status && a && count < RESOLVER_ANSWERS_MAX;
	     a = a->ai_next)
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			found[count++] = address_from_host(a->ai_addr);
	uv_freeaddrinfo(list);
	net_enter(n, NULL);
	resolver_answer(n, l->request, status == 0, found, count);
	net_leave(n);
	free(l);
}

/* What an address of the system or a loopback hides behind a name of the world is not told. */
static void look_up(struct node *n, struct name_request *r)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *l = malloc(sizeof *l);
	if (l) {
		*l = (struct lookup){.node = n, .request = r};
		l->req.data = l;
	}
	if (l && !uv_getaddrinfo(&n->loop, &l->req, on_name, r->question->name, NULL, &hints))
		return;
	free(l);
	net_enter(n->net, NULL);
	resolver_answer(n->net, r, false, NULL, 0);
	net_leave(n->net);
}

/* ---- what sockets want ---- */

static void look_at(struct outside *o, struct socket *s)
{
	uint64_t serial = s->serial;
	if (s->carrier)
		pump_look(s);
	for (struct socket *still = o->node->net->first; still; still = still->next)
		if (still->serial == serial) {
			wire_look(o, s);
			break;
		}
}

static void on_poke(uv_async_t *a)
{
	struct outside *o = a->data;
	struct net *n = o->node->net;
	net_enter(n, NULL);
	post_take(o);
	bool listeners = n->listeners_changed || n->spaces_changed;
	struct name_request *names = n->names;
	struct left_key *over = n->over_keys, *elsewhere = n->over_far_keys;
	n->over_keys = n->over_far_keys = NULL;
	n->listeners_changed = n->spaces_changed = false;
	n->names = NULL;
	while (n->dirty) {
		struct socket *s = n->dirty;
		n->dirty = s->next_dirty;
		s->dirty = false;
		look_at(o, s);
	}
	net_leave(n);
	for (; over; key_drop(&over, over->key))
		net_over(o->node, over->key);
	wire_tell_over(o, elsewhere);
	if (listeners)
		outlets_look(o);
	while (names) {
		struct name_request *r = names;
		names = r->next;
		look_up(o->node, r);
	}
}

static void poke(void *ctx)
{
	struct outside *o = ctx;
	uv_async_send(&o->async);
}

/* ---- the part ---- */

enum err net_open(struct node *n, struct errmsg *msg)
{
	struct outside *o = calloc(1, sizeof *o);
	enum err e = o ? net_new(n->device_id, n->name, &n->net) : ERR_NOMEM;
	if (e == ERR_OK)
		e = link_watch(n, on_link, n);
	if (e == ERR_OK && !post_open(o))
		e = ERR_NOMEM;
	if (e != ERR_OK) {
		free(o);
		return err_set(msg, e, "net: %s", err_text(e));
	}
	o->node = n;
	o->opened_ms = uv_now(&n->loop);
	uv_async_init(&n->loop, &o->async, on_poke);
	o->async.data = o;
	n->net->loop = o;
	n->net->poke = poke;
	on_link(n, NULL, false);
	e = wires_open(o);
	outlets_open(o);
	return e == ERR_OK ? e : err_set(msg, e, "net: %s", err_text(e));
}

static void timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void async_closed(uv_handle_t *h)
{
	struct outside *o = h->data;
	uv_close((uv_handle_t *)&o->timer, timer_closed);
}

/* Processes that end after the loop still close their sockets: node_close() frees the net. */
void net_close(struct node *n)
{
	struct outside *o = n->net->loop;
	outlets_close(o);
	net_enter(n->net, NULL);
	n->net->poke = NULL;
	n->net->loop = NULL;
	pumps_close(n->net);
	gates_close(o);
	post_close(o);
	while (o->over)
		key_drop(&o->over, o->over->key);
	net_leave(n->net);
	uv_close((uv_handle_t *)&o->async, async_closed);
}
