/* conn.c - one connection, over TCP or through a carrier (via.h): bytes in, frames opened in place, messages out in lanes.
 *
 * Sending: messages wait in their lane; conn_pump() seals fragments, the fast lane's first, into batches
 * and gives them to the system while less than CONN_WINDOW_SIZE is under way there, so that a fast
 * message waits behind that much at most. The other two lanes go by turns. Plaintext of a frame: one byte (bits 0 and 1:
 * lane; bit 7: more of this message follows), then bytes of the message.
 */
#include "node/links/link_impl.h"

#include "node/links/net.h"
#include "node/links/via.h"
#include "proto/pairing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MORE = 0x80, FRAME_LANE = 0x03 };

/* --- addresses --- */

void address_text(const struct sockaddr *a, uint16_t port, char out[LINK_ADDRESS_SIZE])
{
	char host[64] = "?";
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)a;
		uv_ip4_name(v4, host, sizeof host);
		snprintf(out, LINK_ADDRESS_SIZE, "%s:%u", host, port ? port : ntohs(v4->sin_port));
		return;
	}
	const struct sockaddr_in6 *v6 = (const void *)a;
	unsigned own = port ? port : ntohs(v6->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		const uint8_t *b = v6->sin6_addr.s6_addr + 12;
		snprintf(out, LINK_ADDRESS_SIZE, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], own);
		return;
	}
	uv_ip6_name(v6, host, sizeof host);
	char zone[UV_IF_NAMESIZE + 1] = "";
	size_t size = sizeof zone - 1;
	if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) && v6->sin6_scope_id &&
	    uv_if_indextoiid(v6->sin6_scope_id, zone + 1, &size) == 0)
		zone[0] = '%';
	snprintf(out, LINK_ADDRESS_SIZE, "[%s%s]:%u", host, zone, own);
}

enum err address_parse(const char *text, struct sockaddr_storage *out)
{
	const char *colon = strrchr(text, ':');
	char host[LINK_ADDRESS_SIZE], *end;
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof host)
		return ERR_USAGE;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || port > UINT16_MAX)
		return ERR_USAGE;
	size_t size = (size_t)(colon - text);
	memcpy(host, text, size);
	host[size] = 0;
	if (host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = 0;
		return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)out) == 0
		           ? ERR_OK
		           : ERR_USAGE;
	}
	return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)out) == 0 ? ERR_OK : ERR_USAGE;
}

/* --- life --- */

static void free_spares(struct conn *c);

struct conn *conn_new(struct links *l, bool dialer)
{
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	if (uv_tcp_init(&l->node->loop, &c->tcp) != 0) {
		free(c);
		return NULL;
	}
	c->tcp.data = c;
	c->links = l;
	c->dialer = c->decided = dialer;
	c->began_ms = c->heard_ms = c->rekeyed_ms = links_now(l);
	c->next = l->conns;
	l->conns = c;
	l->handles++;
	l->opening += !dialer;
	return c;
}

static void free_messages(struct out_message *m)
{
	while (m) {
		struct out_message *next = m->next;
		wr_free(&m->bytes);
		free(m);
		m = next;
	}
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data, **at = &c->links->conns;
	struct links *l = c->links;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	secure_end(&c->secure);
	free_spares(c);
	for (int i = 0; i < LINK_LANES; i++) {
		free_messages(c->lanes[i].first);
		wr_free(&c->lanes[i].whole);
	}
	wr_free(&c->staged);
	free(c->in);
	free(c);
	links_release_handle(l);
}

void conn_close(struct conn *c, const char *why)
{
	if (c->closing)
		return;
	c->closing = true;
	if (!c->up && !c->dialer)
		c->links->opening--;
	if (c->peer)
		node_log_about(
		    c->links->node, c->up ? LOG_INFO : LOG_DEBUG, "link",
		    &(struct log_about){.event = LOG_EVENT_link_down, .device = c->peer->name},
		    "%s at %s: %s", c->peer->name, c->remote, why);
	else
		node_log(c->links->node, LOG_DEBUG, "link", "%s: %s", c->remote, why);
	if (c->user)
		c->user->closed(c);
	if (c->carrier)
		via_closed(c);
	links_lost(c);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void conn_doom(struct conn *c, const char *why)
{
	if (!c->doomed && !c->closing) {
		c->doomed = why;
		uv_async_send(&c->links->async);
	}
}

/* --- writing --- */

struct out_write {
	uv_write_t req;
	struct wr bytes;
	struct out_write *next; /* while spare */
};

enum { SPARES_MAX = CONN_WINDOW_SIZE / CONN_BATCH_SIZE + 1 };

/* A batch's memory is used again and again: at full speed there are 16,000 of them a second. */
static void keep_or_free(struct conn *c, struct out_write *w)
{
	if (c->spare_count < SPARES_MAX && w->bytes.cap >= CONN_BATCH_SIZE && !c->closing) {
		wr_clear(&w->bytes);
		w->next = c->spares;
		c->spares = w;
		c->spare_count++;
		return;
	}
	wr_free(&w->bytes);
	free(w);
}

static struct wr take_spare(struct conn *c)
{
	struct out_write *w = c->spares;
	if (!w)
		return (struct wr){0};
	c->spares = w->next;
	c->spare_count--;
	struct wr bytes = w->bytes;
	free(w);
	return bytes;
}

static void free_spares(struct conn *c)
{
	while (c->spares) {
		struct wr bytes = take_spare(c);
		wr_free(&bytes);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->data;
	struct out_write *w = (struct out_write *)req;
	size_t size = w->bytes.size;
	keep_or_free(c, w);
	if (c->closing)
		c->writing -= size;
	else if (status < 0)
		conn_close(c, uv_strerror(status));
	else
		conn_wrote(c, size);
}

void conn_wrote(struct conn *c, size_t size)
{
	c->writing -= size;
	conn_pump(c);
	if (c->close_when_written && !c->writing)
		conn_close(c, "done");
	else if (c->up && c->peer->older == c)
		handover_step(c->peer, links_now(c->links));
	else if (c->up && c->lanes[LINK_BULK].queued < LINK_QUEUE_GOAL / 2)
		peer_drained(c->peer);
}

static enum err write_via(struct conn *c, struct wr *bytes)
{
	enum err e = c->closing ? ERR_CLOSED : wr_ok(bytes) ? via_write(c, bytes) : ERR_NOMEM;
	if (e == ERR_OK)
		c->sent += bytes->size;
	else if (!c->closing)
		conn_doom(c, "the device it goes through cannot be reached");
	wr_free(bytes);
	return e;
}

enum err conn_write(struct conn *c, struct wr *bytes)
{
	if (c->carrier)
		return write_via(c, bytes);
	struct out_write *w = calloc(1, sizeof *w);
	if (!w || c->closing || !wr_ok(bytes)) {
		free(w);
		wr_free(bytes);
		return c->closing ? ERR_CLOSED : ERR_NOMEM;
	}
	w->bytes = *bytes;
	*bytes = (struct wr){0};
	w->req.data = c;
	uv_buf_t buf = uv_buf_init((char *)w->bytes.data, (unsigned)w->bytes.size);
	c->writing += w->bytes.size;
	c->sent += w->bytes.size;
	int e = uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
	if (e == 0)
		return ERR_OK;
	c->writing -= w->bytes.size;
	wr_free(&w->bytes);
	free(w);
	conn_doom(c, uv_strerror(e));
	return ERR_CLOSED;
}

void conn_finish(struct conn *c)
{
	c->close_when_written = true;
	if (!c->writing)
		conn_doom(c, "done");
}

void conn_dismiss(struct conn *c)
{
	if (c->farewell || c->closing)
		return;
	c->farewell = true;
	c->leave_ms = links_now(c->links) + CONN_FAREWELL_MS;
	free_messages(c->lanes[LINK_BULK].first);
	c->lanes[LINK_BULK].first = c->lanes[LINK_BULK].last = NULL;
	c->lanes[LINK_BULK].queued = 0;
	conn_finish(c);
}

static enum err seal_fragment(struct conn *c, enum link_lane lane, struct wr *out)
{
	struct out_message *m = c->lanes[lane].first;
	size_t size = m->bytes.size - m->at;
	uint8_t head = (uint8_t)lane;
	if (size > CONN_FRAGMENT_SIZE) {
		size = CONN_FRAGMENT_SIZE;
		head |= FRAME_MORE;
	}
	TRY(secure_send(&c->secure, &head, 1, m->bytes.data + m->at, size, out));
	m->at += size;
	c->via_turn = lane == LINK_FAST ? c->via_turn : lane == LINK_BULK;
	c->lanes[lane].queued -= size;
	if (head & FRAME_MORE)
		return ERR_OK;
	c->lanes[lane].first = m->next;
	if (!m->next)
		c->lanes[lane].last = NULL;
	wr_free(&m->bytes);
	free(m);
	return ERR_OK;
}

/* The fast lane's before all; the others' by turns. */
static bool lane_next(struct conn *c, enum link_lane *lane)
{
	const struct out_message *bulk = c->lanes[LINK_BULK].first, *via = c->lanes[LINK_VIA].first;
	*lane = c->lanes[LINK_FAST].first       ? LINK_FAST
	        : via && (c->via_turn || !bulk) ? LINK_VIA
	                                        : LINK_BULK;
	return c->lanes[*lane].first != NULL;
}

static size_t window(const struct conn *c)
{
	return c->carrier ? VIA_FLYING_SIZE : CONN_WINDOW_SIZE;
}

void conn_pump(struct conn *c)
{
	enum link_lane lane;
	while (!c->closing && !c->doomed && c->writing < window(c) && lane_next(c, &lane)) {
		struct wr batch = take_spare(c);
		enum err e = ERR_OK;
		while (e == ERR_OK && batch.size < CONN_BATCH_SIZE && lane_next(c, &lane))
			e = seal_fragment(c, lane, &batch);
		if (e != ERR_OK) {
			wr_free(&batch);
			conn_doom(c, err_text(e));
			return;
		}
		if (conn_write(c, &batch) != ERR_OK)
			return;
	}
}

void conn_count_sent(struct conn *c, enum msg type, size_t size)
{
	if (c->peer)
		c->peer->sent_bytes[msg_group(type)] += size;
}

void conn_count_received(struct conn *c, enum msg type, size_t size)
{
	if (c->peer)
		c->peer->received_bytes[msg_group(type)] += size;
}

enum err conn_queue(struct conn *c, struct wr *bytes, enum link_lane lane)
{
	struct out_message *m = calloc(1, sizeof *m);
	if (!m || !wr_ok(bytes)) {
		free(m);
		wr_free(bytes);
		return ERR_NOMEM;
	}
	m->bytes = *bytes;
	*bytes = (struct wr){0};
	if (c->lanes[lane].last)
		c->lanes[lane].last->next = m;
	else
		c->lanes[lane].first = m;
	c->lanes[lane].last = m;
	c->lanes[lane].queued += m->bytes.size;
	conn_pump(c);
	return ERR_OK;
}

/* --- reading --- */

static enum err take_part(struct conn *c, struct wr *whole, const uint8_t *p, size_t size,
                          bool more, struct errmsg *msg)
{
	if (whole->size + size > MSG_MAX_SIZE)
		return err_set(msg, ERR_LIMIT, "a message above %d bytes", MSG_MAX_SIZE);
	wr_bytes(whole, p, size);
	if (!wr_ok(whole))
		return err_set(msg, ERR_NOMEM, "out of memory");
	if (more)
		return ERR_OK;
	struct wr bytes = *whole; /* the handler may close c */
	*whole = (struct wr){0};
	enum err e = links_message(c, bytes.data, bytes.size, msg);
	wr_free(&bytes);
	return e;
}

static enum err take_frame(struct conn *c, const uint8_t *p, size_t size, struct errmsg *msg)
{
	if (!size || p[0] & ~(FRAME_MORE | FRAME_LANE) || (p[0] & FRAME_LANE) >= LINK_LANES)
		return err_set(msg, ERR_MALFORMED, "a frame with a wrong first byte");
	struct wr *whole = &c->lanes[p[0] & FRAME_LANE].whole;
	bool more = p[0] & FRAME_MORE;
	if (more && !c->up)
		return err_set(msg, ERR_MALFORMED, "a long message before the first");
	if (!more && !whole->size)
		return links_message(c, p + 1, size - 1, msg);
	return take_part(c, whole, p + 1, size - 1, more, msg);
}

/* The link goes on over another connection already, and this one is read to its end: what is said here now would only be missed there, and be
 * taken for lost. */
static bool is_being_left(const struct conn *c)
{
	return c->peer && c->peer->older == c;
}

/* Its part of a handshake inside the stream. One that is of another key (it may just have been changed) is passed over: the other side tries
 * again. */
static enum err answer_renewal(struct conn *c, enum secure_event event, const uint8_t *data,
                               size_t size)
{
	struct wr out = {0};
	uint8_t random[CRYPTO_KEY_SIZE];
	enum err e = c->up ? ERR_OK : ERR_MALFORMED;
	if (e != ERR_OK || c->farewell || is_being_left(c))
		return e;
	crypto_random(random, sizeof random);
	e = event == SECURE_TURN ? secure_turn(&c->secure, &out)
	                         : secure_answer(&c->secure, c->links->node->device->secret,
	                                         c->peer->key, random, data, size, &out);
	crypto_zero(random, sizeof random);
	if (e == ERR_OK) {
		c->rekeyed_ms = links_now(c->links);
		c->renewed++;
		return conn_write(c, &out);
	}
	wr_free(&out);
	return event == SECURE_TURN || e == ERR_NOMEM ? e : ERR_OK;
}

/* Takes at most one frame; false when more bytes are needed. */
static bool take_one(struct conn *c, size_t *at)
{
	size_t used, size = 0;
	uint8_t *data = NULL;
	enum secure_event event;
	struct errmsg msg = {0};
	enum err e =
	    secure_next(&c->secure, c->in + *at, c->in_size - *at, &used, &event, &data, &size);
	*at += used;
	if (e == ERR_OK && event == SECURE_DATA)
		e = take_frame(c, data, size, &msg);
	else if (e == ERR_OK && event == SECURE_CALLER)
		links_caller(c);
	else if (e == ERR_OK && event == SECURE_OPEN)
		links_greet(c);
	else if (e == ERR_OK && (event == SECURE_RENEW || event == SECURE_TURN))
		e = answer_renewal(c, event, data, size);
	if (e != ERR_OK)
		conn_close(c, msg.text[0] ? msg.text : err_text(e));
	return e == ERR_OK && (used || event != SECURE_MORE);
}

/* A caller's first bytes say what it wants. False while they are not all there. */
static bool decide(struct conn *c)
{
	if (c->in_size < PAIRING_MAGIC_SIZE)
		return false;
	c->decided = true;
	if (memcmp(c->in, PAIRING_MAGIC, PAIRING_MAGIC_SIZE) == 0)
		pairing_take(c);
	else
		secure_listen(&c->secure, c->links->node->device->secret);
	return true;
}

static void take_bytes(struct conn *c)
{
	size_t at = 0;
	if (!c->decided && !decide(c))
		return;
	while (!c->closing && !c->user && !c->held && at < c->in_size && take_one(c, &at))
		;
	if (!c->closing && c->user) {
		c->user->bytes(c, c->in + at, c->in_size - at);
		at = c->in_size;
	}
	memmove(c->in, c->in + at, c->in_size - at);
	c->in_size -= at;
}

static void make_room(struct conn *c)
{
	size_t want = c->up ? CONN_IN_LARGE : CONN_IN_SMALL;
	if (c->in_cap < want) {
		uint8_t *in = realloc(c->in, want);
		if (in) {
			c->in = in;
			c->in_cap = want;
		}
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;
	make_room(c);
	*buf = uv_buf_init(c->in ? (char *)c->in + c->in_size : NULL,
	                   (unsigned)(c->in_cap - c->in_size));
}

/* So many bytes stand behind those in c->in. */
static void took_in(struct conn *c, size_t size)
{
	c->in_size += size;
	c->received += size;
	c->heard_ms = links_now(c->links);
	c->doubt_ms = 0;
	take_bytes(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;
	if (c->closing || n == 0)
		return;
	if (n < 0) {
		if (c->dialer && c->peer &&
		    !c->greeted) /* after our first message: it does not know our key */
			c->peer->refusals++;
		conn_close(c, n == UV_EOF ? "closed by the other side" : uv_strerror((int)n));
		return;
	}
	took_in(c, (size_t)n);
}

void conn_feed(struct conn *c, const uint8_t *bytes, size_t size)
{
	while (size && !c->closing) {
		make_room(c);
		size_t room = c->in_cap - c->in_size, part = size < room ? size : room;
		if (!part) {
			conn_close(c, "a frame that finds no room");
			return;
		}
		memcpy(c->in + c->in_size, bytes, part);
		bytes += part;
		size -= part;
		took_in(c, part);
	}
}

void conn_hold(struct conn *c, bool held)
{
	if (c->closing || c->held == held)
		return;
	c->held = held;
	if (held)
		uv_read_stop((uv_stream_t *)&c->tcp);
	else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0)
		took_in(c, 0);
	else
		conn_doom(c, "cannot be read any more");
}

void conn_start_reading(struct conn *c)
{
	struct sockaddr_storage a;
	int size = sizeof a;
	uv_tcp_nodelay(&c->tcp, 1);
	/* Unsent bytes wait here, where a fast message can overtake them, not in the system. */
	net_limit_unsent(&c->tcp, CONN_UNSENT_SIZE);
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &size) == 0)
		address_text((struct sockaddr *)&a, 0, c->remote);
	c->connected = true;
	int e = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (e != 0)
		conn_doom(c, uv_strerror(e));
}

/* --- time --- */

static void ping(struct conn *c, uint64_t now)
{
	struct wr bytes = {0};
	struct msg_ping m = {.stamp = uv_hrtime()};
	c->pinged_ms = now;
	if (msg_encode(&bytes, MSG_PING, &m, NULL) == ERR_OK) {
		conn_count_sent(c, MSG_PING, bytes.size);
		conn_queue(c, &bytes, LINK_FAST);
	} else {
		wr_free(&bytes);
	}
}

/* Who dialed asks for a handshake; the other one changes its key by itself should none come. */
static void rekey(struct conn *c, uint64_t now)
{
	struct wr bytes = {0};
	uint8_t random[CRYPTO_KEY_SIZE];
	c->rekeyed_ms = now;
	crypto_random(random, sizeof random);
	enum err e = c->dialer ? secure_renew(&c->secure, c->links->node->device->secret,
	                                      c->peer->key, random, &bytes)
	                       : secure_rekey(&c->secure, &bytes);
	crypto_zero(random, sizeof random);
	if (e == ERR_OK) {
		conn_write(c, &bytes);
	} else {
		wr_free(&bytes);
		conn_doom(c, err_text(ERR_NOMEM));
	}
}

void conn_doubt(struct conn *c, uint64_t now)
{
	if (c->closing)
		return;
	/* What came while we slept waits in the socket: it is not held against it that it was silent. */
	c->heard_ms = now;
	if (c->up) {
		c->doubt_ms = now + LINK_AWAKE_MS;
		ping(c, now);
	} else {
		c->began_ms = now - LINK_AWAKE_MS; /* half open: it has a moment */
	}
}

void conn_tick(struct conn *c, uint64_t now)
{
	if (c->closing)
		return;
	if (c->doomed)
		conn_close(c, c->doomed);
	else if (c->farewell && now >= c->leave_ms)
		conn_close(c, "does not read its last words");
	else if (c->up && now - c->heard_ms > CONN_SILENT_MS)
		conn_close(c, "silent for too long");
	else if (c->up && c->doubt_ms && now >= c->doubt_ms)
		conn_close(c, "gone without a word");
	else if (is_being_left(c))
		return;
	else if (c->up && now - c->pinged_ms >= CONN_PING_MS)
		ping(c, now);
	else if (c->up &&
	         now - c->rekeyed_ms >= CONN_REKEY_MS + (c->dialer ? 0 : CONN_REKEY_SLACK_MS))
		rekey(c, now);
	else if (!c->up && !c->user && c->connected && now - c->began_ms > CONN_OPEN_MS)
		conn_close(c, "no answer");
	else if (!c->connected && now - c->began_ms > CONN_DIAL_MS)
		conn_close(c, "cannot be reached");
}
