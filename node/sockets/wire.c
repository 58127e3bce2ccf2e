/* wire.c - connections whose two ends are on different devices.
 *
 * Each end keeps what it wrote until the other end has it, and numbers it. An end that has no mate on its node asks all devices where that is:
 *
 *	A (end 0)                                    B (end 1)
 *	FIND(mark of end 1)          -> everybody
 *	                            <-               HERE: it has so many bytes, and room for so many more
 *	HERE, as an answer           ->
 *	DATA(number of the first)    ->              what it has already is passed over
 *	                            <-               TOOK(so many, room)      the kept bytes before are dropped
 *	DATA(..., ended)             ->
 *	                            <-               TOOK(..., ended)
 *	END(closed)                  ->
 *
 * When a link breaks or an end moves, the search begins anew, and what was sent and not taken is sent again: never a chain of devices, and no byte
 * lost or doubled. Numbers that do not fit mean that one end was brought back from the past: both are reset. A closed end that is over stays for
 * a while as a tomb, to tell an end that asks late.
 *
 * OPEN asks for a connection: everybody, who listens at an address of the system or for a published port; or one device, the home of a family, to
 * connect to the world outside. It is answered by HERE or REFUSE, and asked again while a listener may be on its way.
 *
 * Loop thread, with the net's lock but where it says otherwise. */
#include "node/sockets/outside_impl.h"

#include "base/crypto.h"
#include "node/links/link.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 100,
	WAIT_LEAST_MS = 200,
	WAIT_MOST_MS = 3000,
	SYSTEM_PATIENCE_MS = 1500,
	OUTLET_PATIENCE_MS = 30000,
	TOMB_MS = 600000,
	REMOVED_MS =
	    10000, /* until an end that was on a device which is none of the system's any more is given up */
	TOMBS_MAX = 1024,
	PIECE = 32768,
	TELL_BYTES = 65536,
};
enum end_why { END_CLOSED, END_RESET, END_NOT_HERE, END_CONDEMNED };

static uint64_t now_ms(const struct outside *o)
{
	return uv_now(&o->node->loop);
}

static uint64_t kept_from(const struct socket *s)
{
	return s->sent - s->out.bytes;
}

static struct socket *find(struct net *n, const uint8_t id[CONNECTION_ID_SIZE], uint8_t side)
{
	for (struct socket *s = n->first; s; s = s->next)
		if (s->has_name && s->side == side && !memcmp(s->id, id, sizeof s->id))
			return s;
	return NULL;
}

static bool is_from(const struct socket *s, const struct peer *p)
{
	return s->has_far && !memcmp(s->far_device, peer_id(p), sizeof s->far_device);
}

static void send_to(struct peer *p, enum msg type, const void *fields, enum link_lane lane)
{
	if (p && peer_is_up(p))
		(void)link_send(p, type, fields, lane, NULL);
}

/* How many were told. */
static uint32_t send_to_all(struct outside *o, enum msg type, const void *fields)
{
	uint32_t n = 0;
	for (struct peer *p = peer_first(o->node); p; p = peer_next(p))
		if (peer_is_up(p) && link_send(p, type, fields, LINK_FAST, NULL) == ERR_OK)
			n++;
	return n;
}

/* ---- the timer ---- */

static bool is_seeking(const struct socket *s)
{
	return s->has_name && !s->mate && !s->standing && !s->tomb && !s->has_far && !s->gone &&
	       (s->state == STATE_CONNECTED || (s->abroad && (s->outside || !s->carrier)));
}

static void on_tick(uv_timer_t *t);

void wire_start_timer(struct outside *o)
{
	if (!o->timer_runs)
		uv_timer_start(&o->timer, on_tick, TICK_MS, TICK_MS);
	o->timer_runs = true;
}

/* Asked now? Else it is asked when its time has come. */
static bool is_due(struct outside *o, struct socket *s)
{
	uint64_t now = now_ms(o);
	wire_start_timer(o);
	if (s->asked_ms && now < s->asked_ms + s->wait_ms)
		return false;
	s->wait_ms = s->wait_ms ? 2 * s->wait_ms : WAIT_LEAST_MS;
	s->wait_ms = s->wait_ms < WAIT_MOST_MS ? s->wait_ms : WAIT_MOST_MS;
	s->asked_ms = now;
	return true;
}

/* ---- where is the other end? ---- */

static void mark_of(const struct socket *s, uint8_t side, uint8_t out[16])
{
	uint8_t text[5] = {'e', 'n', 'd', ' ', side};
	crypto_blake2b_keyed(out, 16, s->id, sizeof s->id, text, sizeof text);
}

static void proof_of(const struct socket *s, const uint8_t device[32], uint8_t out[16])
{
	crypto_blake2b_keyed(out, 16, s->id, sizeof s->id, device, 32);
}

static void seek(struct outside *o, struct socket *s)
{
	struct msg_net_find m = {0};
	if (!is_due(o, s))
		return;
	mark_of(s, !s->side, m.mark);
	proof_of(s, o->node->device_id, m.proof);
	send_to_all(o, MSG_NET_FIND, &m);
}

static uint64_t room_of(const struct socket *s)
{
	return s->ended || s->shut_read ? SOCKET_BUFFER : socket_room(s, &s->in);
}

static void send_end(struct peer *p, const uint8_t id[CONNECTION_ID_SIZE], uint8_t side,
                     enum end_why why)
{
	struct msg_net_end m = {.side = side, .why = (uint8_t)why};
	memcpy(m.id, id, sizeof m.id);
	send_to(p, MSG_NET_END, &m, LINK_FAST);
}

static void send_here(struct socket *s, struct peer *p, bool answer)
{
	struct msg_net_here m = {.side = s->side,
	                         .answer = answer,
	                         .received = s->received,
	                         .room = room_of(s),
	                         .sent = s->sent};
	memcpy(m.id, s->id, sizeof m.id);
	if (s->condemns) {
		send_end(p, s->id, s->side, END_CONDEMNED);
		return;
	}
	s->told_received = m.received;
	s->told_room = m.received + m.room;
	send_to(p, MSG_NET_HERE, &m, LINK_FAST);
}

void wire_here(struct outside *o, struct socket *s, const uint8_t device[32])
{
	struct peer *p = peer_by_id(o->node, device);
	s->asked_ms = now_ms(o);
	s->wait_ms = WAIT_LEAST_MS;
	wire_start_timer(o);
	if (p)
		send_here(s, p, false);
}

/* ---- the end of an end ---- */

static uint32_t count_tombs(const struct net *n)
{
	uint32_t count = 0;
	for (const struct socket *s = n->first; s; s = s->next)
		count += s->tomb;
	return count;
}

static void bury(struct outside *o, struct socket *s)
{
	if (count_tombs(s->net) >= TOMBS_MAX) {
		socket_unmake(s);
		return;
	}
	queue_free(&s->in);
	queue_free(&s->out);
	s->has_far = s->seeks = false;
	s->gone = s->tomb = true;
	s->asked_ms = now_ms(o);
	wire_start_timer(o);
}

/* Told all, or there is nothing to tell. */
static bool is_over(const struct socket *s)
{
	return s->ended && !s->tomb && (s->gone || (s->has_far && s->told_end && !s->out.bytes));
}

static void end_far(struct outside *o, struct socket *s, enum end_why why)
{
	if (s->has_far)
		send_end(peer_by_id(o->node, s->far_device), s->id, s->side, why);
	bury(o, s);
}

/* ---- bytes ---- */

static void on_drained(void *ctx, struct peer *p)
{
	struct outside *o = ctx;
	struct net *n = o->node->net;
	if (!n->loop)
		return;
	net_enter(n, NULL);
	for (struct socket *s = n->first; s; s = s->next)
		if (s->has_far && !s->mate)
			socket_touch(s);
	net_leave(n);
}

/* False: not now. */
static bool send_piece(struct socket *s, struct peer *p)
{
	uint8_t bytes[PIECE];
	uint64_t limit = s->far_received + s->far_room;
	uint64_t left = limit > s->next_send ? limit - s->next_send : 0;
	size_t n = left < sizeof bytes ? (size_t)left : sizeof bytes;
	n = queue_peek(&s->out, (size_t)(s->next_send - kept_from(s)), bytes, n);
	bool last = s->next_send + n == s->sent && s->shut_write;
	struct msg_net_data m = {.side = s->side,
	                         .offset = s->next_send,
	                         .ended = last,
	                         .bytes = {.p = bytes, .size = (uint32_t)n}};
	memcpy(m.id, s->id, sizeof m.id);
	if ((!n && (!last || s->told_fin)) ||
	    link_send(p, MSG_NET_DATA, &m, LINK_BULK, NULL) != ERR_OK)
		return false;
	s->next_send += n;
	s->told_fin = last;
	return n > 0;
}

static void tell_took(struct socket *s, struct peer *p)
{
	uint64_t limit = s->received + room_of(s);
	bool opens = limit > s->told_room &&
	             (limit - s->told_room >= TELL_BYTES || s->told_room <= s->received);
	if (s->received == s->told_received && !opens)
		return;
	struct msg_net_took m = {.side = s->side,
	                         .received = s->received,
	                         .room = limit - s->received,
	                         .ended = s->in_ended};
	memcpy(m.id, s->id, sizeof m.id);
	s->told_received = s->received;
	s->told_room = limit;
	send_to(p, MSG_NET_TOOK, &m, LINK_FAST);
}

static void exchange(struct outside *o, struct socket *s)
{
	struct peer *p = peer_by_id(o->node, s->far_device);
	if (!p || !peer_is_up(p)) {
		s->has_far = false;
		s->asked_ms = 0;
		seek(o, s);
		return;
	}
	while (link_queued(p) < LINK_QUEUE_GOAL && send_piece(s, p))
		;
	if (link_queued(p) >= LINK_QUEUE_GOAL)
		(void)link_on_drained(p, on_drained, o);
	tell_took(s, p);
}

/* ---- asking for a connection ---- */

static enum open_kind kind_of(const struct socket *s)
{
	if (s->outside)
		return OPEN_OUTLET;
	return net_reach(s->net, &s->peer) == REACH_SYSTEM ? OPEN_SYSTEM : OPEN_OUTSIDE;
}

static uint32_t send_open(struct outside *o, struct socket *s, enum open_kind kind)
{
	struct msg_net_open m = {
	    .kind = (uint8_t)kind, .port = s->peer.port, .from_port = s->local.port};
	const uint8_t *key = s->space ? s->space->cfg.key : s->open_key;
	memcpy(m.id, s->id, sizeof m.id);
	memcpy(m.key, key, sizeof m.key);
	memcpy(m.to, s->peer.ip, sizeof m.to);
	memcpy(m.from, s->local.ip, sizeof m.from);
	if (kind != OPEN_OUTSIDE)
		return send_to_all(o, MSG_NET_OPEN, &m);
	struct peer *p = peer_by_id(o->node, s->space->home);
	bool up = p && peer_is_up(p);
	return up && link_send(p, MSG_NET_OPEN, &m, LINK_FAST, NULL) == ERR_OK;
}

/* One that is on this node (again), or stands on it. */
static bool open_here(struct socket *s, enum open_kind kind, bool *stands)
{
	struct socket *l = kind == OPEN_OUTLET ? outlet_listener(s->net, s->open_key, s->peer.port)
	                                       : find_bound(s, &s->peer);
	*stands = l && l->standing;
	for (const struct socket *x = s->net->first; x && kind == OPEN_SYSTEM && !l; x = x->next)
		*stands |= x->standing && x->state == STATE_LISTENS &&
		           x->local.port == s->peer.port && is_own_address(x, &s->peer);
	if (!l || l->standing)
		return false;
	s->state = STATE_NEW;
	s->abroad = false;
	if (stream_queue(l, s) != FE_OK)
		stream_failed(s, FE_CONNREFUSED);
	socket_wake(s);
	return true;
}

static void give_up(struct outside *o, struct socket *s, enum ferr e)
{
	if (s->ended)
		socket_unmake(s);
	else
		stream_failed(s, e);
}

/* The world's end came while s stood. */
static bool meet_waiting(struct socket *s)
{
	struct socket *e = find(s->net, s->id, 1);
	if (!e || e->mate || e->standing || e->tomb)
		return false;
	s->state = STATE_CONNECTED;
	s->has_peer = true;
	s->abroad = false;
	return stream_find_mate(s);
}

static void ask(struct outside *o, struct socket *s)
{
	enum open_kind kind = kind_of(s);
	bool stands = false;
	if (s->ended) {
		socket_unmake(s);
		return;
	}
	if (kind == OPEN_OUTSIDE && s->space->is_home) {
		if (!meet_waiting(s))
			pump_connect(o, s);
		return;
	}
	if (!s->since_ms)
		s->since_ms = now_ms(o);
	if ((kind != OPEN_OUTSIDE && open_here(s, kind, &stands)) || !is_due(o, s))
		return;
	uint64_t waited = now_ms(o) - s->since_ms;
	if (waited > OUTLET_PATIENCE_MS) {
		give_up(o, s, FE_TIMEDOUT);
		return;
	}
	s->wait_ms = kind == OPEN_OUTSIDE ? OUTLET_PATIENCE_MS : WAIT_LEAST_MS;
	s->refused = 0;
	s->later = stands || kind == OPEN_OUTLET;
	s->asked = send_open(o, s, kind);
	if (!s->asked && !s->later)
		give_up(o, s,
		        kind == OPEN_OUTSIDE          ? FE_NETUNREACH
		        : is_own_address(s, &s->peer) ? FE_CONNREFUSED
		                                      : FE_HOSTUNREACH);
}

static void got_refuse(struct outside *o, struct peer *p, const struct msg_net_refuse *m)
{
	struct socket *s = find(o->node->net, m->id, 0);
	if (post_is_astray(o, m->id))
		return;
	if (!s || s->state != STATE_CONNECTS || !s->abroad || s->standing || m->error == FE_OK ||
	    m->error > FE_NOTCAPABLE || m->error == FE_INPROGRESS)
		return;
	s->refused++;
	s->later |= m->error == FE_AGAIN;
	if (kind_of(s) == OPEN_OUTSIDE)
		give_up(o, s, (enum ferr)m->error);
	else if (s->refused >= s->asked && !s->later &&
	         now_ms(o) - s->since_ms > SYSTEM_PATIENCE_MS)
		give_up(o, s, FE_CONNREFUSED);
}

/* ---- being asked for one ---- */

void wire_refuse(struct outside *o, const uint8_t id[CONNECTION_ID_SIZE], const uint8_t device[32],
                 enum ferr e)
{
	struct msg_net_refuse m = {.error = (uint8_t)e};
	memcpy(m.id, id, sizeof m.id);
	send_to(peer_by_id(o->node, device), MSG_NET_REFUSE, &m, LINK_FAST);
}

static struct socket *listener_for(struct net *n, const struct msg_net_open *m,
                                   const struct address *to)
{
	if (m->kind == OPEN_OUTLET)
		return outlet_listener(n, m->key, m->port);
	for (struct socket *s = n->first; s; s = s->next)
		if (s->space && s->state == STATE_LISTENS && s->space->cfg.mode >= NET_SYSTEM &&
		    is_own_address(s, to) && address_takes(&s->local, to))
			return s;
	return NULL;
}

static enum ferr accept_far(struct socket *l, const struct msg_net_open *m,
                            const struct address *to, struct socket **out)
{
	struct socket *e;
	if (l->nwaiting >= SOCKET_BACKLOG_MAX)
		return FE_AGAIN;
	FTRY(socket_make(l->net, l->space, l->af, SOCKET_STREAM, &e));
	memcpy(e->id, m->id, sizeof e->id);
	memcpy(e->peer.ip, m->from, sizeof e->peer.ip);
	e->peer.family = l->af;
	e->peer.port = m->from_port;
	e->local = address_reach(&l->local) == REACH_ANY ? *to : l->local;
	e->local.family = l->af;
	e->side = 1;
	e->has_name = e->has_peer = e->bound = true;
	e->state = STATE_CONNECTED;
	memcpy(e->options, l->options, sizeof e->options);
	stream_await_accept(l, e);
	*out = e;
	return FE_OK;
}

static void open_listener(struct outside *o, struct peer *p, const struct msg_net_open *m)
{
	struct net *n = o->node->net;
	struct address to = {.family = ADDRESS_IP6, .port = m->port};
	memcpy(to.ip, m->to, sizeof to.ip);
	struct socket *e = find(n, m->id, 1), *l = e ? NULL : listener_for(n, m, &to);
	enum ferr f = FE_CONNREFUSED;
	if (l)
		f = l->standing ? FE_AGAIN : accept_far(l, m, &to, &e);
	if (e && !e->standing && !e->tomb && !e->mate)
		wire_here(o, e, peer_id(p));
	else if (!e)
		wire_refuse(o, m->id, peer_id(p), f);
}

/* The world only: this device's own loopback and guests are no part of it. */
static bool may_open(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], const struct address *to)
{
	enum address_reach r = net_reach(o->node->net, to);
	bool world = r == REACH_HOST || r == REACH_LAN || r == REACH_WORLD;
	return world && net_granted(o->node, key) >= net_least_mode(o->node->net, to);
}

/* What a family may is this device's to say, as it was said when it was started here. */
static void open_outside(struct outside *o, struct peer *p, const struct msg_net_open *m)
{
	struct address to = {.family = ADDRESS_IP6, .port = m->port};
	struct socket *e = find(o->node->net, m->id, 1);
	memcpy(to.ip, m->to, sizeof to.ip);
	if (e && !e->tomb)
		wire_here(o, e, peer_id(p));
	else if (!may_open(o, m->key, &to))
		wire_refuse(o, m->id, peer_id(p), FE_NETUNREACH);
	else if (!pump_is_asked(o, m->id))
		pump_connect_far(o, m->id, &to, peer_id(p));
}

/* ---- messages about a connection ---- */

static void got_find(struct outside *o, struct peer *p, const struct msg_net_find *m)
{
	uint8_t mark[16], proof[16];
	for (struct socket *s = o->node->net->first; s; s = s->next) {
		if (!s->has_name || s->mate || s->standing || s->state == STATE_CONNECTS)
			continue;
		mark_of(s, s->side, mark);
		proof_of(s, peer_id(p), proof);
		if (!crypto_equal(mark, m->mark, sizeof mark) ||
		    !crypto_equal(proof, m->proof, sizeof proof))
			continue;
		if (s->tomb)
			send_end(p, s->id, s->side, END_CLOSED);
		else
			send_here(s, p, false);
		return;
	}
}

/* What the other end has of s; false: it cannot be. */
static bool take_word(struct socket *s, uint64_t received, uint64_t room)
{
	if (received < kept_from(s) || received > s->sent || room > INT64_MAX)
		return false;
	queue_drop(&s->out, (size_t)(received - kept_from(s)));
	socket_recount(s);
	s->far_received = received;
	s->far_room = room;
	if (s->next_send < received)
		s->next_send = received;
	return true;
}

static void got_here(struct outside *o, struct peer *p, const struct msg_net_here *m)
{
	struct socket *s = m->side <= 1 ? find(o->node->net, m->id, !m->side) : NULL;
	if (!s || s->tomb)
		send_end(p, m->id, !m->side, s ? END_CLOSED : END_NOT_HERE);
	if (!s || s->tomb || s->mate || s->standing || s->gone)
		return;
	if (s->condemns) {
		send_end(p, s->id, s->side, END_CONDEMNED);
		return;
	}
	if (m->sent < s->received || !take_word(s, m->received, m->room)) {
		send_end(p, s->id, s->side, END_RESET);
		stream_reset(s);
		return;
	}
	memcpy(s->far_device, peer_id(p), sizeof s->far_device);
	s->has_far = s->knew_far = true;
	s->seeks = s->told_fin = false;
	s->next_send = m->received;
	s->wait_ms = 0;
	if (s->state == STATE_CONNECTS) {
		s->state = STATE_CONNECTED;
		s->has_peer = true;
	}
	if (!m->answer)
		send_here(s, p, true);
	s->told_received = UINT64_MAX; /* it is told again: also that in has ended */
	socket_wake(s);
	socket_touch(s);
}

static void keep(struct socket *s, const uint8_t *bytes, size_t size, size_t *taken)
{
	size_t most = 2 * SOCKET_BUFFER;
	*taken = size;
	if (s->ended || s->shut_read)
		return;
	size_t room = s->in.bytes < most ? most - s->in.bytes : 0;
	*taken = size < room ? size : room;
	if (*taken && !queue_put(&s->in, bytes, *taken))
		*taken = 0;
	socket_recount(s);
}

static void got_data(struct outside *o, struct peer *p, const struct msg_net_data *m)
{
	struct socket *s = m->side <= 1 ? find(o->node->net, m->id, !m->side) : NULL;
	size_t taken;
	if (!s || s->tomb)
		send_end(p, m->id, !m->side, s ? END_CLOSED : END_NOT_HERE);
	if (!s || s->tomb || s->mate || s->standing || s->in_ended || !is_from(s, p))
		return;
	if (m->offset > s->received || s->received - m->offset > m->bytes.size)
		return; /* of before it was found: it is sent again */
	size_t skip = (size_t)(s->received - m->offset);
	keep(s, m->bytes.p + skip, m->bytes.size - skip, &taken);
	s->received += taken;
	if (m->ended && skip + taken == m->bytes.size) {
		s->in_ended = true;
		s->told_received = UINT64_MAX;
	}
	socket_wake(s);
	socket_touch(s);
}

static void got_took(struct outside *o, struct peer *p, const struct msg_net_took *m)
{
	struct socket *s = m->side <= 1 ? find(o->node->net, m->id, !m->side) : NULL;
	if (!s || s->tomb || s->mate || s->standing || !is_from(s, p))
		return;
	if (m->received < kept_from(s) || (s->condemns && m->received > s->sent))
		return; /* overtaken, or from the past of one that is to end */
	if (!take_word(s, m->received, m->room)) {
		send_end(p, s->id, s->side, END_RESET);
		stream_reset(s);
		return;
	}
	s->told_end = m->ended;
	socket_wake(s);
	socket_touch(s);
}

static void got_end(struct outside *o, struct peer *p, const struct msg_net_end *m)
{
	struct socket *s = m->side <= 1 ? find(o->node->net, m->id, !m->side) : NULL;
	if (!s || s->tomb || s->mate || s->standing)
		return;
	if (m->why == END_NOT_HERE) {
		if (is_from(s, p))
			s->has_far = false;
	} else if (m->why == END_CONDEMNED) {
		s->condemned = true;
		stream_reset(s);
	} else if (m->why == END_RESET) {
		stream_reset(s);
	} else {
		s->gone = s->in_ended = true;
		s->has_far = false;
	}
	socket_wake(s);
	socket_touch(s);
}

/* ---- looking ---- */

void wire_look(struct outside *o, struct socket *s)
{
	if (!s->has_name || s->mate || s->standing || s->tomb || s->type != SOCKET_STREAM)
		return;
	if (s->state == STATE_CONNECTS) {
		if (s->abroad && (s->outside || !s->carrier))
			ask(o, s);
		return;
	}
	if (s->resets && s->has_far) {
		end_far(o, s, END_RESET);
		return;
	}
	if (is_over(s)) {
		end_far(o, s, END_CLOSED);
		return;
	}
	if (s->gone || stream_find_mate(s))
		return;
	if (s->has_far)
		exchange(o, s);
	else
		seek(o, s);
}

/* How long its user lets a connection be without its other end (SO_KEEPALIVE, TCP_USER_TIMEOUT); 0: for ever. */
static uint64_t patience_ms(const struct socket *s)
{
	int64_t idle = option_of(s, SOCKET_TCP_KEEPIDLE),
	        every = option_of(s, SOCKET_TCP_KEEPINTVL),
	        times = option_of(s, SOCKET_TCP_KEEPCNT),
	        most = option_of(s, SOCKET_TCP_USER_TIMEOUT);
	if (most > 0 && s->out.first)
		return (uint64_t)most;
	if (!option_of(s, SOCKET_KEEPALIVE) || idle < 0 || every < 0 || times < 0)
		return 0;
	return 1000 * ((uint64_t)idle + (uint64_t)every * (uint64_t)times);
}

/* One whose other end was on a device that was removed, or has been away too long for its user. */
static void give_up_lost(struct outside *o, struct socket *s)
{
	uint64_t lost = now_ms(o) - s->lost_ms, most = patience_ms(s);
	bool removed = s->knew_far && !peer_by_id(o->node, s->far_device);
	if (s->state != STATE_CONNECTED || s->ended)
		return;
	if (removed && lost > REMOVED_MS)
		stream_reset(s);
	else if (most && lost > most)
		stream_break(s, FE_TIMEDOUT);
}

static void look_at_seeker(struct outside *o, struct socket *s)
{
	uint64_t now = now_ms(o);
	if (!s->lost_ms)
		s->lost_ms = now;
	if (s->ended && !s->ended_ms)
		s->ended_ms = now;
	give_up_lost(o, s);
	/* A closed end whose other one is nowhere is not kept for ever. */
	if (s->ended && now - s->ended_ms > TOMB_MS)
		socket_unmake(s);
	else
		socket_touch(s);
}

static bool look_at_all(struct outside *o)
{
	bool more = false;
	for (struct socket *s = o->node->net->first, *next; s; s = next) {
		next = s->next;
		bool seeks = is_seeking(s);
		more |= seeks || s->tomb;
		if (seeks)
			look_at_seeker(o, s);
		else if (s->tomb && now_ms(o) - s->asked_ms > TOMB_MS)
			socket_unmake(s);
		else
			s->lost_ms = 0;
	}
	return more;
}

static void on_tick(uv_timer_t *t)
{
	struct outside *o = t->data;
	net_enter(o->node->net, NULL);
	bool more = post_look(o);
	if (!look_at_all(o) && !more) {
		uv_timer_stop(&o->timer);
		o->timer_runs = false;
	}
	net_leave(o->node->net);
}

/* ---- the link ---- */

static void got_over(struct outside *o, const struct msg_net_over *m)
{
	struct net *n = o->node->net;
	if (!key_in(n->left_keys, m->key))
		return;
	key_drop(&n->left_keys, m->key);
	outlets_end(o, m->key);
}

/* The newest so many are remembered. */
static void remember_over(struct outside *o, const uint8_t key[SPACE_KEY_SIZE])
{
	enum { OVER_MAX = 256 };
	struct left_key **at = &o->over;
	key_put(&o->over, key);
	for (int i = 0; *at && i < OVER_MAX; i++)
		at = &(*at)->next;
	while (*at)
		key_drop(at, (*at)->key);
}

void wire_tell_over(struct outside *o, struct left_key *keys)
{
	while (keys) {
		struct msg_net_over m;
		memcpy(m.key, keys->key, sizeof m.key);
		send_to_all(o, MSG_NET_OVER, &m);
		remember_over(o, m.key);
		key_drop(&keys, m.key);
	}
}

/* A device that was down when they ended may be the home of some. */
static void tell_over_again(struct outside *o, struct peer *p)
{
	for (const struct left_key *k = o->over; k; k = k->next) {
		struct msg_net_over m;
		memcpy(m.key, k->key, sizeof m.key);
		send_to(p, MSG_NET_OVER, &m, LINK_FAST);
	}
}

/* Of a space whose home is elsewhere: a port that is to be reached from there. */
static bool is_open_port(const struct socket *s, const struct space *sp)
{
	bool listens = s->state == STATE_LISTENS || s->claimed;
	return s->space == sp && listens && !s->left && address_is_ip(&s->local) &&
	       address_reach(&s->local) != REACH_LOOPBACK;
}

static void tell_listeners(struct outside *o, const struct space *sp)
{
	uint8_t ports[8192];
	struct msg_net_listens m = {.ports = {.p = ports}};
	for (const struct socket *s = o->node->net->first; s; s = s->next) {
		uint8_t *p = ports + m.ports.size;
		if (!is_open_port(s, sp) || m.ports.size + 4 > sizeof ports)
			continue;
		p[0] = s->type;
		p[1] = s->af == ADDRESS_IP6;
		p[2] = (uint8_t)(s->local.port >> 8);
		p[3] = (uint8_t)s->local.port;
		m.ports.size += 4;
	}
	memcpy(m.key, sp->cfg.key, sizeof m.key);
	send_to(peer_by_id(o->node, sp->home), MSG_NET_LISTENS, &m, LINK_FAST);
}

void wire_tell_listeners(struct outside *o, struct peer *only)
{
	for (const struct space *sp = o->node->net->spaces; sp; sp = sp->next)
		if (!sp->is_home && !sp->left && sp->cfg.mode >= NET_LAN &&
		    (!only || !memcmp(sp->home, peer_id(only), sizeof sp->home)))
			tell_listeners(o, sp);
}

static enum err on_message(void *ctx, struct peer *p, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	struct outside *o = ctx;
	struct net *n = o->node->net;
	if (!n->loop)
		return ERR_OK;
	net_enter(n, NULL);
	switch (type) {
	case MSG_NET_FIND: got_find(o, p, &any->net_find); break;
	case MSG_NET_HERE: got_here(o, p, &any->net_here); break;
	case MSG_NET_DATA: got_data(o, p, &any->net_data); break;
	case MSG_NET_TOOK: got_took(o, p, &any->net_took); break;
	case MSG_NET_END: got_end(o, p, &any->net_end); break;
	case MSG_NET_OPEN:
		if (any->net_open.kind == OPEN_OUTSIDE)
			open_outside(o, p, &any->net_open);
		else
			open_listener(o, p, &any->net_open);
		break;
	case MSG_NET_REFUSE: got_refuse(o, p, &any->net_refuse); break;
	case MSG_NET_OVER: got_over(o, &any->net_over); break;
	case MSG_NET_DATAGRAM: post_arrived(o, p, &any->net_datagram); break;
	case MSG_NET_LISTENS: outlets_of_far(o, &any->net_listens); break;
	default: break;
	}
	net_leave(n);
	return ERR_OK;
}

void wires_link(struct outside *o, struct peer *p, bool up)
{
	struct net *n = o->node->net;
	if (!n->loop)
		return;
	net_enter(n, NULL);
	for (struct socket *s = n->first; s; s = s->next) {
		if (is_from(s, p))
			s->has_far = false;
		if (is_seeking(s)) {
			s->asked_ms = s->wait_ms = 0;
			socket_touch(s);
		}
	}
	if (up) {
		tell_over_again(o, p);
		wire_tell_listeners(o, p);
	}
	net_leave(n);
}

enum err wires_open(struct outside *o)
{
	uv_timer_init(&o->node->loop, &o->timer);
	o->timer.data = o;
	return link_subscribe(o->node, MSG_GROUP_NET, on_message, o);
}
