/* dial.c - listening, callers, and dialing peers with backoff.
 *
 * Strangers cost little: at most CONN_OPENING_MAX connections whose peer is not known are open at once,
 * they come at CONN_RATE a second at most, have a small buffer, a few seconds, and get no answer unless
 * they name the key of a paired device.
 */
#include "node/links/link_impl.h"

#include "node/disk.h"
#include "node/links/net.h"
#include "node/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char port_key[] = "port";

enum { BACKLOG = 64, REFUSED_LOG_MS = 60000, UNPAIRED_LOG_MS = 600000 };

/* --- listening --- */

static bool rate_allows(struct links *l)
{
	uint64_t now = links_now(l), gained = (now - l->rate_ms) * CONN_RATE / 1000;
	if (gained) {
		l->rate_left =
		    l->rate_left + gained < CONN_BURST ? l->rate_left + gained : CONN_BURST;
		l->rate_ms = now;
	}
	if (!l->rate_left)
		return false;
	l->rate_left--;
	return true;
}

static void log_refused(struct links *l)
{
	uint64_t now = links_now(l);
	l->refused++;
	if (l->refused_logged_ms && now - l->refused_logged_ms < REFUSED_LOG_MS)
		return;
	l->refused_logged_ms = now;
	node_log(l->node, LOG_WARN, "link", "too many strangers call: %llu refused so far",
	         (unsigned long long)l->refused);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct links *l = s->data;
	if (status < 0 || l->closed)
		return;
	struct conn *c = conn_new(l, false);
	if (!c)
		return;
	if (uv_accept(s, (uv_stream_t *)&c->tcp) != 0) {
		conn_close(c, "not accepted");
		return;
	}
	if (l->opening > CONN_OPENING_MAX || !rate_allows(l)) {
		log_refused(l);
		conn_close(c, "too many at once");
		return;
	}
	conn_start_reading(c);
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET)
		((struct sockaddr_in *)a)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)a)->sin6_port = htons(port);
}

/* Peers know where a node was last, so it comes back there: two nodes that start in another order must not
 * trade their ports. 0: it was nowhere yet. */
static uint16_t last_port(struct links *l)
{
	struct wr row = {0};
	uint16_t port = 0;
	if (depot_get(node_depot(l->node), DEPOT_SETTINGS, port_key, sizeof port_key, &row) ==
	        ERR_OK &&
	    row.size == 2)
		port = (uint16_t)(row.data[0] | row.data[1] << 8);
	wr_free(&row);
	return port;
}

static void remember_port(struct links *l)
{
	uint8_t row[2] = {(uint8_t)l->port, (uint8_t)(l->port >> 8)};
	if (last_port(l) != l->port)
		depot_keep_setting(node_depot(l->node), port_key, row, sizeof row, NULL);
}

static int listen_again(struct links *l, struct sockaddr_storage *a, uv_os_sock_t *out)
{
	uint16_t port = last_port(l);
	set_port(a, port);
	return port ? net_listen((struct sockaddr *)a, BACKLOG, out) : NET_TAKEN;
}

/* The port it had last, LINK_PORT, or the first free one after it, or any. */
static int listen_anywhere(struct links *l, struct sockaddr_storage *a, uv_os_sock_t *out)
{
	memset(a, 0, sizeof *a);
	a->ss_family = net_has_ipv6() ? AF_INET6 : AF_INET;
	if (listen_again(l, a, out) == 0)
		return 0;
	for (int i = 0; i < LINK_PORT_TRIES; i++) {
		set_port(a, (uint16_t)(LINK_PORT + i));
		int e = net_listen((struct sockaddr *)a, BACKLOG, out);
		if (e != NET_TAKEN)
			return e;
	}
	set_port(a, 0);
	return net_listen((struct sockaddr *)a, BACKLOG, out);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
	                                     : ((const struct sockaddr_in6 *)a)->sin6_port);
}

/* Port 0 is any: the one it had last, if that is free. */
static enum err listen_as_told(struct links *l, const char *text, struct sockaddr_storage *a,
                               uv_os_sock_t *fd, int *error, struct errmsg *msg)
{
	memset(a, 0, sizeof *a);
	if (address_parse(text, a) != ERR_OK)
		return err_set(
		    msg, ERR_USAGE,
		    "'%.80s' is no address to listen at: write it like 192.0.2.7:4747 or "
		    "[::]:4747",
		    text);
	bool any = port_of(a) == 0;
	if (any && listen_again(l, a, fd) == 0) {
		*error = 0;
		return ERR_OK;
	}
	if (any)
		set_port(a, 0);
	*error = net_listen((struct sockaddr *)a, BACKLOG, fd);
	return ERR_OK;
}

static void read_port(struct links *l)
{
	struct sockaddr_storage a;
	int size = sizeof a;
	if (uv_tcp_getsockname(&l->listener, (struct sockaddr *)&a, &size) == 0)
		l->port = port_of(&a);
}

enum err links_listen(struct links *l, struct errmsg *msg)
{
	struct sockaddr_storage a;
	uv_os_sock_t fd = 0;
	int e;
	l->rate_left = CONN_BURST;
	l->rate_ms = links_now(l);
	if (l->node->cfg.listen)
		TRY(listen_as_told(l, l->node->cfg.listen, &a, &fd, &e, msg));
	else
		e = listen_anywhere(l, &a, &fd);
	char text[LINK_ADDRESS_SIZE];
	address_text((struct sockaddr *)&a, 0, text);
	if (e == 0)
		e = uv_tcp_open(&l->listener, fd);
	if (e == 0)
		e = uv_listen((uv_stream_t *)&l->listener, BACKLOG, on_connection);
	if (e != 0)
		return err_set(msg, ERR_IO, "cannot listen at %s: %s", text,
		               uv_strerror(e == NET_TAKEN ? UV_EADDRINUSE : e));
	read_port(l);
	remember_port(l);
	node_log(l->node, LOG_INFO, "link", "listening on port %u", l->port);
	return ERR_OK;
}

/* --- own addresses --- */

static bool is_worth_telling(const uv_interface_address_t *i)
{
	if (i->is_internal)
		return false;
	return i->address.address4.sin_family == AF_INET ||
	       !IN6_IS_ADDR_LINKLOCAL(&i->address.address6.sin6_addr);
}

/* The one address it listens at, when it was told one (up --listen). */
static bool told_address(struct node *n, struct sockaddr_storage *a)
{
	static const uint8_t any[16] = {0};
	if (!n->cfg.listen || address_parse(n->cfg.listen, a) != ERR_OK)
		return false;
	bool v4 = a->ss_family == AF_INET;
	const void *host = v4 ? (void *)&((struct sockaddr_in *)a)->sin_addr
	                      : (void *)&((struct sockaddr_in6 *)a)->sin6_addr;
	return memcmp(host, any, v4 ? 4 : 16) != 0;
}

static unsigned all_own_addresses(struct node *n, char (*out)[LINK_ADDRESS_SIZE], unsigned max)
{
	uv_interface_address_t *list = NULL;
	int count = 0;
	unsigned found = 0;
	if (uv_interface_addresses(&list, &count) != 0) {
		struct sockaddr_in outgoing;
		if (max && net_outgoing(&outgoing))
			address_text((struct sockaddr *)&outgoing, link_port(n), out[found++]);
	} else {
		for (int v6 = 0; v6 < 2; v6++)
			for (int i = 0; i < count && found < max; i++)
				if (is_worth_telling(&list[i]) &&
				    (list[i].address.address4.sin_family == AF_INET6) == v6)
					address_text((struct sockaddr *)&list[i].address,
					             link_port(n), out[found++]);
		uv_free_interface_addresses(list, count);
	}
	return found;
}

unsigned link_own_addresses(struct node *n, char (*out)[LINK_ADDRESS_SIZE], unsigned max)
{
	struct sockaddr_storage told;
	unsigned found = told_address(n, &told) ? 0 : all_own_addresses(n, out, max);
	if (!found && max)
		link_local_address(n, out[found++]);
	return found;
}

void link_local_address(struct node *n, char out[LINK_ADDRESS_SIZE])
{
	struct sockaddr_storage a;
	if (told_address(n, &a))
		address_text((struct sockaddr *)&a, link_port(n), out);
	else
		snprintf(out, LINK_ADDRESS_SIZE, "127.0.0.1:%u", link_port(n));
}

/* --- callers --- */

/* A device that still believes to be paired calls for ever: it is told of once in a while. */
static void refuse_unpaired(struct conn *c)
{
	struct links *l = c->links;
	uint8_t id[DEVICE_ID_SIZE];
	char text[DEVICE_SHORT_SIZE];
	uint64_t now = links_now(l);
	device_id_of(secure_peer(&c->secure), id);
	device_short(id, text);
	bool again = memcmp(id, l->unpaired, sizeof id) == 0 &&
	             now - l->unpaired_logged_ms < UNPAIRED_LOG_MS;
	node_log(l->node, again ? LOG_DEBUG : LOG_WARN, "link",
	         "device %s at %s is not paired: refused", text, c->remote);
	if (!again) {
		memcpy(l->unpaired, id, sizeof id);
		l->unpaired_logged_ms = now;
	}
	conn_close(c, "not paired");
}

void links_caller(struct conn *c)
{
	struct links *l = c->links;
	struct wr out = {0};
	uint8_t random[CRYPTO_KEY_SIZE];
	struct peer *p = peers_by_key(l, secure_peer(&c->secure));
	const struct device_row *row = devices_by_key(l->node, secure_peer(&c->secure));
	bool removed = !p && row && row->state == DEVICE_REMOVED && !devices_are_lost(l->node);
	if (!removed && (!p || !devices_want(l->node, p))) {
		refuse_unpaired(c);
		return;
	}
	/* Both dial at once: the smaller id's connection is kept, so the other's is not answered. */
	const struct conn *own = !p ? NULL : c->carrier ? p->asking : p->dialing;
	if (own && own->connected && memcmp(l->node->device->id, p->id, DEVICE_ID_SIZE) < 0) {
		conn_close(c, "dialed from both sides at once");
		return;
	}
	/* Likewise, before ours has said a word: a handover shall not be to one that is closed again. Not while there is no link at all, as this
	 * may be an old call that somebody repeats. */
	if (own && !own->connected && p->up)
		conn_close(p->dialing, "it calls, too");
	c->peer = p;
	crypto_random(random, sizeof random);
	enum err e = secure_accept(&c->secure, random, &out);
	crypto_zero(random, sizeof random);
	if (e == ERR_OK)
		e = conn_write(c, &out);
	else
		wr_free(&out);
	if (e == ERR_OK)
		links_greet(c);
	else
		conn_close(c, err_text(e));
	if (removed && !c->closing)
		devices_turn_away(c, row);
}

/* --- dialing --- */

struct dial {
	uv_connect_t req;
	struct conn *conn;
};

static void say_first(struct conn *c)
{
	struct wr out = {0};
	uint8_t random[CRYPTO_KEY_SIZE];
	crypto_random(random, sizeof random);
	enum err e =
	    secure_dial(&c->secure, c->links->node->device->secret, c->peer->key, random, &out);
	crypto_zero(random, sizeof random);
	if (e == ERR_OK)
		e = conn_write(c, &out);
	else
		wr_free(&out);
	if (e != ERR_OK)
		conn_close(c, err_text(e));
}

static void on_connected(uv_connect_t *req, int status)
{
	struct conn *c = ((struct dial *)req)->conn;
	free(req);
	if (status == UV_ECANCELED || c->closing)
		return;
	if (status < 0) {
		conn_close(c, uv_strerror(status));
		return;
	}
	conn_start_reading(c);
	if (c->user)
		c->user->connected(c);
	else
		say_first(c);
}

static struct conn *connect_to(struct links *l, const struct sockaddr *to, struct errmsg *msg)
{
	struct dial *d = calloc(1, sizeof *d);
	struct conn *c = d ? conn_new(l, true) : NULL;
	if (!c) {
		free(d);
		err_set(msg, ERR_NOMEM, "out of memory or descriptors");
		return NULL;
	}
	d->conn = c;
	address_text(to, 0, c->remote);
	int e = uv_tcp_connect(&d->req, &c->tcp, to, on_connected);
	if (e == 0)
		return c;
	free(d);
	conn_close(c, uv_strerror(e));
	err_set(msg, ERR_IO, "%s: %s", c->remote, uv_strerror(e));
	return NULL;
}

struct conn *links_connect(struct links *l, const struct sockaddr *to, const struct conn_user *user,
                           void *ctx, struct errmsg *msg)
{
	struct conn *c = connect_to(l, to, msg);
	if (c) {
		c->user = user;
		c->ctx = ctx;
	}
	return c;
}

/* The next address at once; after the last one only when some time has passed, longer each time. */
void links_retry_later(struct peer *p, uint64_t now)
{
	uint32_t jitter;
	if (p->address_next && p->address_next < p->address_count) {
		p->dial_at_ms = now;
		return;
	}
	crypto_random(&jitter, sizeof jitter);
	uint32_t wait_ms = p->up && p->backoff_ms > VIA_UPGRADE_MS ? VIA_UPGRADE_MS : p->backoff_ms;
	p->dial_at_ms = now + wait_ms / 2 + jitter % wait_ms;
	if (p->backoff_ms < LINK_BACKOFF_MAX_MS)
		p->backoff_ms *= 2;
}

static void dial(struct peer *p, uint64_t now)
{
	struct sockaddr_storage to;
	if (p->address_next >= p->address_count)
		p->address_next = 0;
	enum err e =
	    p->address_count ? address_parse(p->addresses[p->address_next++], &to) : ERR_NOTFOUND;
	struct conn *c = e == ERR_OK ? connect_to(p->links, (struct sockaddr *)&to, NULL) : NULL;
	if (!c) {
		links_retry_later(p, now);
		return;
	}
	c->peer = p;
	p->dialing = c;
}

void links_dial_due(struct links *l, uint64_t now)
{
	for (struct peer *p = l->peers; p && !l->closed; p = p->next)
		if (!peer_is_direct(p) && !p->dialing && p->dial_at_ms <= now &&
		    devices_want(l->node, p))
			dial(p, now);
}

void link_dial(struct peer *p)
{
	if (p->up)
		return;
	uv_update_time(&p->links->node->loop);
	uint64_t now = links_now(p->links);
	if (p->ask_at_ms > now + VIA_ASK_MS)
		p->ask_at_ms = now + VIA_ASK_MS;
	if (!devices_want(p->links->node, p) || p->dialing)
		return;
	p->backoff_ms = LINK_BACKOFF_MIN_MS;
	p->address_next = 0;
	dial(p, now);
}

static unsigned place_of(const struct peer *p, const char *address)
{
	unsigned i = 0;
	while (i < p->address_count && strcmp(p->addresses[i], address) != 0)
		i++;
	return i < p->address_count ? i : 0;
}

void links_hint(struct peer *p, const char *address)
{
	uint64_t now = links_now(p->links);
	if (peer_is_direct(p) || p->dialing || (p->up && now < p->hinted_ms + VIA_HINT_MS))
		return;
	/* Both may have the hint at once, and two direct connections at once are one too many for a handover: one side waits a bit. */
	bool waits = p->up && memcmp(p->links->node->device->id, p->id, DEVICE_ID_SIZE) > 0;
	p->hinted_ms = now;
	p->dial_at_ms = waits ? now + VIA_HINT_MS / 2 : now;
	p->address_next = address ? place_of(p, address) : 0;
}
