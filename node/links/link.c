/* link.c - the part that holds all links: opening, the first message each way, dispatch, closing.
 *
 * When two devices dial each other at once, both connections may be answered: the device with the smaller id
 * says DEVICE_READY on one of them only, so that no more than one comes up, on either side. A connection that
 * comes much later than the one that is up means that the peer has lost that one: the newer is kept.
 */
#include "node/links/link_impl.h"

#include "base/os.h"
#include "base/os_device.h"
#include "node/links/members.h"
#include "node/links/net.h"
#include "node/links/via.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t links_now(const struct links *l)
{
	return uv_now(&l->node->loop);
}

void links_release_handle(struct links *l)
{
	if (--l->handles)
		return;
	carry_free(l);
	peers_free(l);
	uv_mutex_destroy(&l->lock);
	free(l);
}

void links_check(const struct links *l)
{
	for (const struct peer *p = l->peers; p; p = p->next) {
		assert(!p->up || (p->up->peer == p && p->up->up && !p->up->closing));
		assert(!p->dialing ||
		       (p->dialing->peer == p && p->dialing->dialer && !p->dialing->up &&
		        !p->dialing->closing && !p->dialing->carrier));
		assert(!p->asking || (p->asking->peer == p && p->asking->dialer && !p->asking->up &&
		                      !p->asking->closing && p->asking->carrier));
		assert(!p->older || (p->older->peer == p && p->older->up && !p->older->closing &&
		                     p->older->carrier && p->up && !p->up->carrier));
		assert(!p->removed || ((!p->up || p->up->farewell) && !p->dialing && !p->asking));
	}
}

/* --- who is told --- */

enum err link_subscribe(struct node *n, enum msg_group group, link_message_fn fn, void *ctx)
{
	struct links *l = n->links;
	assert(group < MSG_GROUP_COUNT);
	if (l->groups[group].fn || group == MSG_GROUP_LINK || group == MSG_GROUP_VIA)
		return ERR_EXISTS;
	l->groups[group].fn = fn;
	l->groups[group].ctx = ctx;
	return ERR_OK;
}

enum err link_watch(struct node *n, link_watch_fn fn, void *ctx)
{
	struct links *l = n->links;
	if (l->watcher_count == LINK_WATCHERS_MAX)
		return ERR_LIMIT;
	l->watchers[l->watcher_count].fn = fn;
	l->watchers[l->watcher_count++].ctx = ctx;
	return ERR_OK;
}

static void tell_watchers(struct peer *p, bool up)
{
	struct links *l = p->links;
	for (unsigned i = 0; i < l->watcher_count && !l->closed; i++)
		l->watchers[i].fn(l->watchers[i].ctx, p, up);
}

void peer_drained(struct peer *p)
{
	unsigned count = p->drained_count;
	if (!count)
		return;
	struct {
		void (*fn)(void *ctx, struct peer *p);
		void *ctx;
	} now[LINK_DRAINED_MAX];
	memcpy(now, p->drained, sizeof now);
	p->drained_count = 0; /* fn may ask again */
	for (unsigned i = 0; i < count; i++)
		now[i].fn(now[i].ctx, p);
}

enum err link_on_drained(struct peer *p, void (*fn)(void *ctx, struct peer *p), void *ctx)
{
	if (!p->up)
		return ERR_CLOSED;
	if (p->drained_count == LINK_DRAINED_MAX)
		return ERR_LIMIT;
	p->drained[p->drained_count].fn = fn;
	p->drained[p->drained_count++].ctx = ctx;
	return ERR_OK;
}

/* --- sending --- */

enum err link_send(struct peer *p, enum msg type, const void *fields, enum link_lane lane,
                   struct errmsg *msg)
{
	struct wr bytes = {0};
	if (!p->up || p->up->doomed || p->up->farewell)
		return err_set(msg, ERR_CLOSED, "%s cannot be reached", p->name);
	if (p->up->lanes[lane].queued > LINK_QUEUE_MAX)
		return err_set(msg, ERR_FULL, "%s takes no more: %zu bytes wait", p->name,
		               p->up->lanes[lane].queued);
	enum err e = msg_encode(&bytes, type, fields, msg);
	if (e == ERR_OK && bytes.size > MSG_MAX_SIZE)
		e = err_set(msg, ERR_LIMIT, "%s: %zu bytes, at most %d", msg_name(type), bytes.size,
		            MSG_MAX_SIZE);
	if (e != ERR_OK) {
		wr_free(&bytes);
		return e;
	}
	conn_count_sent(p->up, type, bytes.size);
	e = conn_queue(p->up, &bytes, lane);
	return e == ERR_OK ? e : err_set(msg, e, "%s: %s", p->name, err_text(e));
}

size_t link_queued(const struct peer *p)
{
	return p->up ? p->up->lanes[LINK_BULK].queued : 0;
}

void link_cut(struct peer *p)
{
	if (p->up && p->up->carrier)
		conn_doom(p->up, "cut");
	else if (p->up)
		net_cut(&p->up->tcp);
}

void link_bytes(const struct peer *p, uint64_t *sent, uint64_t *received)
{
	*sent = p->up ? p->up->sent : 0;
	*received = p->up ? p->up->received : 0;
}

/* --- HELLO --- */

void links_greet(struct conn *c)
{
	struct links *l = c->links;
	struct wr bytes = {0};
	struct msg_hello m = {.version = LINK_VERSION,
	                      .name = str_ref(l->node->name),
	                      .port = l->port,
	                      .session = l->session};
	c->greeted = true;
	enum err e = msg_encode(&bytes, MSG_HELLO, &m, NULL);
	if (e == ERR_OK)
		e = conn_queue(c, &bytes, LINK_FAST);
	else
		wr_free(&bytes);
	if (e != ERR_OK)
		conn_close(c, err_text(e));
}

static bool mine_is_smaller(const struct conn *c)
{
	return memcmp(c->links->node->device->id, c->peer->id, DEVICE_ID_SIZE) < 0;
}

static bool begun_together(const struct conn *a, const struct conn *b)
{
	uint64_t apart =
	    a->began_ms > b->began_ms ? a->began_ms - b->began_ms : b->began_ms - a->began_ms;
	return a->session == b->session && apart <= LINK_TIE_MS;
}

bool links_is_second(const struct conn *c)
{
	if (!mine_is_smaller(c))
		return false;
	for (const struct conn *other = c->links->conns; other; other = other->next)
		if (other != c && other->peer == c->peer && other->ready_sent &&
		    other->dialer != c->dialer && !other->carrier == !c->carrier &&
		    begun_together(c, other) && !other->closing && !other->doomed &&
		    !other->farewell && !other->doubt_ms)
			return true;
	return false;
}

/* c and the connection that is up: is c the one to keep? */
static bool takes_over(const struct conn *c, const struct conn *up)
{
	bool direct_and_not = up->session == c->session && !up->carrier != !c->carrier;
	if (direct_and_not && (up->carrier || begun_together(c, up)))
		return !c->carrier; /* a direct one is the better one */
	return true;                /* who made it has lost the other */
}

static void note_peer(struct conn *c)
{
	struct sockaddr_storage a;
	int size = sizeof a;
	char address[LINK_ADDRESS_SIZE];
	bool changed = !c->peer->member && peer_note_name(c->peer, str_ref(c->hello_name));
	/* What we dialed is right; a caller's own port is not the one it listens at. */
	if (!c->carrier && c->hello_port &&
	    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &size) == 0) {
		address_text((struct sockaddr *)&a, c->dialer ? 0 : c->hello_port, address);
		changed |= peer_note_address(c->peer, address);
	}
	c->peer->seen_unix_ms = os_wall_ns() / 1000000;
	if (changed)
		peer_save(c->peer);
}

static enum err on_hello(struct conn *c, const struct msg_hello *m, struct errmsg *msg)
{
	if (c->hello || !c->greeted)
		return err_set(msg, ERR_MALFORMED, "HELLO twice");
	if (m->version != LINK_VERSION)
		return err_set(msg, ERR_UNSUPPORTED, "it speaks version %u of the protocol, not %u",
		               m->version, LINK_VERSION);
	TRY(str_copy(m->name, c->hello_name, sizeof c->hello_name));
	c->hello = true;
	c->session = m->session;
	c->hello_port = m->port;
	return devices_greet(c);
}

enum err links_up(struct conn *c, struct errmsg *msg)
{
	struct peer *p = c->peer;
	if (p->up && !takes_over(c, p->up))
		return err_set(msg, ERR_EXISTS, "a second connection");
	bool goes_on = p->up && handover_may(p->up, c);
	if (p->up && !goes_on)
		conn_close(p->up, "replaced by a newer connection");
	if (p->dialing == c)
		p->dialing = NULL;
	if (p->asking == c)
		p->asking = NULL;
	if (p->dialing && !p->dialing->connected && !c->carrier)
		conn_close(p->dialing, "it has called us meanwhile");
	c->links->opening -= !c->dialer;
	c->up = true;
	c->pinged_ms = 0; /* ping at the next tick: the round trip is known soon */
	p->refusals = 0;
	if (!c->carrier)
		p->backoff_ms = LINK_BACKOFF_MIN_MS;
	note_peer(c);
	if (goes_on) {
		handover_begin(p, c);
		return ERR_OK;
	}
	p->up = c;
	if (p->asking && !c->carrier)
		conn_close(p->asking, "the link is direct");
	node_log_about(c->links->node, LOG_INFO, "link",
	               &(struct log_about){.event = LOG_EVENT_link_up, .device = p->name},
	               "%s is up at %s", p->name, c->remote);
	devices_linked(p);
	tell_watchers(p, true);
	return ERR_OK;
}

/* --- messages --- */

static enum err on_ping(struct conn *c, const struct msg_ping *m)
{
	struct wr bytes = {0};
	struct msg_pong pong = {.stamp = m->stamp};
	TRY(msg_encode(&bytes, MSG_PONG, &pong, NULL));
	conn_count_sent(c, MSG_PONG, bytes.size);
	return conn_queue(c, &bytes, LINK_FAST);
}

static void on_pong(struct conn *c, const struct msg_pong *m)
{
	uint64_t us = (uv_hrtime() - m->stamp) / 1000;
	if (us < UINT32_MAX)
		c->rtt_us = us ? (uint32_t)us : 1;
}

static enum err on_link_message(struct conn *c, enum msg type, const union msg_any *any,
                                struct errmsg *msg)
{
	switch (type) {
	case MSG_HELLO: return on_hello(c, &any->hello, msg);
	case MSG_PING: return on_ping(c, &any->ping);
	case MSG_PONG: on_pong(c, &any->pong); return ERR_OK;
	case MSG_MEMBERS: members_message(c->peer, &any->members); return ERR_OK;
	case MSG_LAST: return handover_last(c, &any->last);
	default: return calls_message(c, type, any);
	}
}

/* One of the two is "files only": no program comes or goes, nor what belongs to one. */
static void refuse_program(struct conn *c, enum msg type, const union msg_any *any)
{
	struct msg_move_refuse m = {.error = ERR_DENIED,
	                            .why = str_ref("one of the two devices is \"files only\"")};
	if (type != MSG_MOVE_OFFER)
		return;
	memcpy(m.move, any->move_offer.move, sizeof m.move);
	link_send(c->peer, MSG_MOVE_REFUSE, &m, LINK_BULK, NULL);
}

enum err links_message(struct conn *c, const uint8_t *bytes, size_t size, struct errmsg *msg)
{
	enum msg type;
	union msg_any any;
	if (c->farewell)
		return ERR_OK;
	TRY(msg_decode(bytes, size, &type, &any, msg));
	enum msg_group group = msg_group(type);
	conn_count_received(c, type, size);
	if (!c->up && type != MSG_HELLO && !(c->hello && group == MSG_GROUP_DEVICE))
		return err_set(msg, ERR_MALFORMED, "%s before the link is up", msg_name(type));
	if (group == MSG_GROUP_DEVICE)
		return devices_message(c, type, &any, msg);
	if (group == MSG_GROUP_LINK)
		return on_link_message(c, type, &any, msg);
	if (group == MSG_GROUP_VIA)
		return via_message(c, type, &any, msg);
	link_message_fn fn = c->links->groups[group].fn;
	if (!fn)
		return err_set(msg, ERR_UNSUPPORTED, "%s is not wanted here", msg_name(type));
	if (group != MSG_GROUP_FOLDER && !devices_may_run(c->links->node, c->peer->id)) {
		refuse_program(c, type, &any);
		return ERR_OK;
	}
	return fn(c->links->groups[group].ctx, c->peer, type, &any, msg);
}

/* --- ends --- */

/* It is not what the link is on any more: its end is of no account. */
static void end_older(struct peer *p)
{
	struct conn *older = p->older;
	p->older = NULL;
	if (older)
		conn_close(older, "the link is lost");
}

void links_lost(struct conn *c)
{
	struct peer *p = c->peer;
	calls_lost(c);
	if (!p)
		return;
	uint64_t now = links_now(c->links);
	if (p->dialing == c) {
		p->dialing = NULL;
		links_retry_later(p, now);
	}
	if (p->asking == c) {
		p->asking = NULL;
		via_retry_later(p, now);
	}
	if (p->older == c)
		handover_lost(p);
	if (p->up != c)
		return;
	p->up = NULL;
	end_older(p);
	via_link_lost(p);
	p->asked = NULL;
	p->ask_at_ms = now + VIA_ASK_MS;
	p->address_next = 0;
	p->seen_unix_ms = os_wall_ns() / 1000000;
	p->backoff_ms = LINK_BACKOFF_MIN_MS;
	links_retry_later(p, now);
	peer_save(p);
	peer_drained(p);
	tell_watchers(p, false);
}

static void close_doomed(struct links *l)
{
	for (struct conn *c = l->conns; c; c = c->next)
		if (c->doomed && !c->closing)
			conn_close(c, c->doomed);
}

static void on_async(uv_async_t *h)
{
	struct links *l = h->data;
	calls_async(l);
	close_doomed(l);
}

/* A telephone sleeps for hours, and nobody is told: links may be long dead, and timers that wait for another attempt stand
 * still meanwhile. The clock that goes on shows it (and shows a node that was stopped, too). */
static void notice_sleep(struct links *l, uint64_t now)
{
	uint64_t uptime_ns = os_uptime_ns(), slept_ms = (uptime_ns - l->tick_uptime_ns) / 1000000;
	l->tick_uptime_ns = uptime_ns;
	if (slept_ms < LINK_ASLEEP_MS)
		return;
	node_log(l->node, LOG_INFO, "link", "awake after %llu s",
	         (unsigned long long)(slept_ms / 1000));
	links_doubt(l);
}

void links_doubt(struct links *l)
{
	uint64_t now = links_now(l);
	for (struct conn *c = l->conns; c; c = c->next)
		conn_doubt(c, now);
	for (struct peer *p = l->peers; p; p = p->next) {
		p->backoff_ms = LINK_BACKOFF_MIN_MS;
		p->address_next = 0;
		p->dial_at_ms = now;
		p->ask_at_ms = now + VIA_ASK_MS;
	}
}

static void on_tick(uv_timer_t *t)
{
	struct links *l = t->data;
	uint64_t now = links_now(l);
	notice_sleep(l, now);
	for (struct conn *c = l->conns; c; c = c->next)
		conn_tick(c, now);
	calls_tick(l, now);
	links_dial_due(l, now);
	via_ask_due(l, now);
	for (struct peer *p = l->peers; p; p = p->next)
		handover_step(p, now);
	peers_tick(l);
	links_check(l);
}

static void on_handle_closed(uv_handle_t *h)
{
	links_release_handle(h->data);
}

enum err links_open(struct node *n, struct errmsg *msg)
{
	struct links *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(msg, ERR_NOMEM, "out of memory");
	l->node = n;
	n->links = l;
	crypto_random(&l->session, sizeof l->session);
	crypto_random(&l->next_tag, sizeof l->next_tag);
	uv_mutex_init(&l->lock);
	l->timer.data = l->async.data = l->listener.data = l;
	uv_timer_init(&n->loop, &l->timer);
	uv_async_init(&n->loop, &l->async, on_async);
	uv_tcp_init(&n->loop, &l->listener);
	l->handles = 3;
	enum err e = peers_load(l, msg);
	if (e == ERR_OK)
		e = links_listen(l, msg);
	if (e == ERR_OK)
		devices_apply(n);
	if (e != ERR_OK) {
		links_close(n);
		return e;
	}
	l->tick_uptime_ns = os_uptime_ns();
	uv_timer_start(&l->timer, on_tick, 1, LINK_TICK_MS);
	return ERR_OK;
}

void links_close(struct node *n)
{
	struct links *l = n->links;
	calls_close(l);
	for (struct conn *c = l->conns; c; c = c->next)
		conn_close(c, "this node goes down");
	while (l->saves) /* they use the store, which is closed after us */
		uv_run(&n->loop, UV_RUN_ONCE);
	for (struct peer *p = l->peers; p; p = p->next)
		if (!p->removed && p->seen_unix_ms)
			peer_save_now(p, NULL);
	uv_close((uv_handle_t *)&l->timer, on_handle_closed);
	uv_close((uv_handle_t *)&l->async, on_handle_closed);
	uv_close((uv_handle_t *)&l->listener, on_handle_closed);
	n->links = NULL;
}

uint16_t link_port(struct node *n)
{
	return n->links->port;
}
