/* via.c - the two ends of a link that goes through a carrier. Whom to ask, what is offered, bytes to and fro. */
#include "node/links/via.h"

#include "node/links/members.h"

#include <stdio.h>
#include <string.h>

enum { DEAD_FACTOR = 8 }; /* what all hold for dead is asked for that much more seldom */

/* --- connections through a carrier --- */

static struct conn *find(struct peer *carrier, const uint8_t number[VIA_NUMBER_SIZE])
{
	struct conn *c = carrier->links->conns;
	while (c && (c->closing || c->carrier != carrier ||
	             memcmp(c->passage, number, VIA_NUMBER_SIZE) != 0))
		c = c->next;
	return c;
}

static struct conn *make(struct peer *carrier, const uint8_t number[VIA_NUMBER_SIZE], bool dialer)
{
	struct conn *c = conn_new(carrier->links, dialer);
	if (!c)
		return NULL;
	c->carrier = carrier;
	c->connected = c->decided = true;
	memcpy(c->passage, number, sizeof c->passage);
	snprintf(c->remote, sizeof c->remote, "via %s", carrier->name);
	return c;
}

static void say_closed(struct peer *carrier, const uint8_t number[VIA_NUMBER_SIZE], enum err why)
{
	struct msg_via_close m = {.error = (uint8_t)why};
	memcpy(m.passage, number, sizeof m.passage);
	link_send(carrier, MSG_VIA_CLOSE, &m, LINK_VIA, NULL);
}

void via_closed(struct conn *c)
{
	say_closed(c->carrier, c->passage, ERR_CLOSED);
}

enum err via_write(struct conn *c, const struct wr *bytes)
{
	struct msg_via_data m;
	memcpy(m.passage, c->passage, sizeof m.passage);
	for (size_t at = 0; at < bytes->size; at += m.bytes.size) {
		size_t left = bytes->size - at;
		m.bytes = bin_ref(bytes->data + at, left < VIA_PIECE_SIZE ? left : VIA_PIECE_SIZE);
		TRY(link_send(c->carrier, MSG_VIA_DATA, &m, LINK_VIA, NULL));
		c->writing += m.bytes.size + VIA_OVERHEAD_SIZE;
	}
	return ERR_OK;
}

static void on_data(struct conn *c, const struct msg_via_data *m)
{
	struct msg_via_took took = {.size = m->bytes.size + VIA_OVERHEAD_SIZE};
	memcpy(took.passage, m->passage, sizeof took.passage);
	if (link_send(c->carrier, MSG_VIA_TOOK, &took, LINK_VIA, NULL) == ERR_OK)
		conn_feed(c, m->bytes.p, m->bytes.size);
	else
		conn_close(c, "the device it goes through takes no more");
}

static enum err on_took(struct conn *c, const struct msg_via_took *m, struct errmsg *msg)
{
	if (m->size > c->writing)
		return err_set(msg, ERR_MALFORMED, "VIA_TOOK of more than was sent");
	conn_wrote(c, m->size);
	return ERR_OK;
}

static void on_close(struct conn *c, const struct msg_via_close *m)
{
	struct links *l = c->links;
	conn_close(c, m->error < ERR_COUNT ? err_text((enum err)m->error) : "closed");
	via_ask_due(l, links_now(l)); /* the next one need not wait for the tick */
}

/* --- who is asked --- */

static bool can_carry(const struct peer *carrier, const struct peer *p)
{
	return carrier != p && carrier->member && peer_is_direct(carrier) &&
	       !carrier->up->farewell && !carrier->up->doomed;
}

/* The next after the one that was asked last. */
static struct peer *next_carrier(struct peer *p)
{
	struct peer *carrier =
	    p->asked && !p->asked->removed ? peer_next(p->asked) : peer_first(p->links->node);
	while (carrier && !can_carry(carrier, p))
		carrier = peer_next(carrier);
	return carrier;
}

static enum err begin(struct conn *c)
{
	struct msg_via_open m;
	struct wr out = {0};
	uint8_t random[CRYPTO_KEY_SIZE];
	memcpy(m.passage, c->passage, sizeof m.passage);
	memcpy(m.device, c->peer->id, sizeof m.device);
	TRY(link_send(c->carrier, MSG_VIA_OPEN, &m, LINK_VIA, NULL));
	crypto_random(random, sizeof random);
	enum err e =
	    secure_dial(&c->secure, c->links->node->device->secret, c->peer->key, random, &out);
	crypto_zero(random, sizeof random);
	if (e == ERR_OK)
		return conn_write(c, &out);
	wr_free(&out);
	return e;
}

static void ask(struct peer *p, struct peer *carrier)
{
	uint8_t number[VIA_NUMBER_SIZE];
	crypto_random(number, sizeof number);
	struct conn *c = make(carrier, number, true);
	if (!c)
		return;
	c->peer = p;
	p->asking = c;
	p->asked = carrier;
	enum err e = begin(c);
	if (e != ERR_OK)
		conn_close(c, err_text(e));
}

static bool is_held_for_dead(struct peer *p)
{
	struct member_view v;
	return members_view(p->links->node, p->id, &v) &&
	       (v.state == MEMBER_DEAD || v.state == MEMBER_LEFT);
}

/* The next carrier at once, after the last one only when some time has passed: as long as between two rounds of dialing. */
void via_retry_later(struct peer *p, uint64_t now)
{
	p->ask_at_ms = now;
	if (next_carrier(p))
		return;
	p->asked = NULL;
	uint64_t wait_ms = VIA_ASK_MS + p->backoff_ms;
	p->ask_at_ms = now + (is_held_for_dead(p) ? DEAD_FACTOR * wait_ms : wait_ms);
}

/* It has called us by such a way already: its call is about to come up, or to fail. */
static bool is_calling(const struct peer *p)
{
	const struct conn *c = p->links->conns;
	while (c && (c->peer != p || !c->carrier || c->dialer || c->closing))
		c = c->next;
	return c != NULL;
}

void via_ask_due(struct links *l, uint64_t now)
{
	for (struct peer *p = l->peers; p && !l->closed; p = p->next) {
		struct peer *carrier = NULL;
		if (!p->up && !p->asking && p->member && p->ask_at_ms <= now &&
		    devices_want(l->node, p) && !is_calling(p))
			carrier = next_carrier(p);
		if (carrier)
			ask(p, carrier);
	}
}

/* --- what is offered --- */

static unsigned count_through(const struct peer *carrier)
{
	unsigned count = 0;
	for (const struct conn *c = carrier->links->conns; c; c = c->next)
		count += c->carrier == carrier;
	return count;
}

static enum err take_offer(struct peer *carrier, const struct msg_via_offer *m)
{
	struct links *l = carrier->links;
	const struct peer *from = peer_by_id(l->node, m->device);
	if (!from || !from->member || !devices_want(l->node, from) || !can_carry(carrier, from))
		return ERR_DENIED;
	if (find(carrier, m->passage))
		return ERR_EXISTS;
	if (count_through(carrier) >= VIA_OFFERED_MAX)
		return ERR_FULL;
	struct conn *c = make(carrier, m->passage, false);
	if (!c)
		return ERR_NOMEM;
	secure_listen(&c->secure, l->node->device->secret);
	return ERR_OK;
}

/* --- messages --- */

static enum err for_an_end(struct peer *carrier, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	/* All of them begin with the number. */
	struct conn *c = find(carrier, any->via_data.passage);
	if (c && type == MSG_VIA_DATA)
		on_data(c, &any->via_data);
	else if (c && type == MSG_VIA_TOOK)
		return on_took(c, &any->via_took, msg);
	else if (c)
		on_close(c, &any->via_close);
	else if (type == MSG_VIA_DATA) /* closed here, and it does not know yet */
		say_closed(carrier, any->via_data.passage, ERR_CLOSED);
	return ERR_OK;
}

enum err via_message(struct conn *c, enum msg type, const union msg_any *any, struct errmsg *msg)
{
	struct peer *p = c->peer;
	enum err e = ERR_OK;
	if (p->up != c || c->carrier)
		return err_set(msg, ERR_MALFORMED, "%s over a link that is not direct",
		               msg_name(type));
	switch (type) {
	case MSG_VIA_OPEN: return carry_open(c, &any->via_open);
	case MSG_VIA_OFFER:
		e = take_offer(p, &any->via_offer);
		if (e != ERR_OK)
			say_closed(p, any->via_offer.passage, e);
		return ERR_OK;
	case MSG_VIA_DATA:
		if (carry_data(p, &any->via_data))
			return ERR_OK;
		break;
	case MSG_VIA_TOOK:
		if (carry_took(p, &any->via_took))
			return ERR_OK;
		break;
	default:
		if (carry_close(p, &any->via_close))
			return ERR_OK;
		break;
	}
	return for_an_end(p, type, any, msg);
}

void via_link_lost(struct peer *p)
{
	carry_link_lost(p);
	for (struct conn *c = p->links->conns; c; c = c->next)
		if (c->carrier == p && !c->closing)
			conn_close(c, "the device it goes through is lost");
}
