/* handover.c - a link goes on over another connection, and nothing that is under way is lost.
 *
 * Its connection went through a carrier, and a direct one has come up. Each side, when that is up for it: messages of which nothing
 * was sent go over to the new connection; behind what is left of the old one stands LAST, in each lane; from then on all is sent over the
 * new one. Each side reads the new one (conn_hold) only when both LAST have come on the old one, so that order is kept in each lane. The old one
 * is closed by who has heard it to its end and had all of its own taken.
 *
 *	p->up     the direct connection; held while p->older->over is not ALL_OVER
 *	p->older  the one through the carrier; NULL: no handover is under way
 *
 * When the old one ends before, something may be lost: the new one is closed too, as when any link breaks. */
#include "node/links/link_impl.h"

#include <assert.h>

enum { ALL_OVER = 1 << LINK_FAST | 1 << LINK_BULK };

bool handover_may(const struct conn *old, const struct conn *c)
{
	return old->carrier && !c->carrier && old->session == c->session && !old->doomed &&
	       !old->farewell && !old->closing && !c->peer->older;
}

/* What nobody has begun to send goes to the end of the other's lane. */
static void pass_lane(struct conn *from, struct conn *to, enum link_lane lane)
{
	struct out_message *kept = from->lanes[lane].first, *moved = kept;
	if (kept && kept->at) {
		moved = kept->next;
		kept->next = NULL;
		from->lanes[lane].last = kept;
		from->lanes[lane].queued = kept->bytes.size - kept->at;
	} else {
		from->lanes[lane].first = from->lanes[lane].last = NULL;
		from->lanes[lane].queued = 0;
	}
	while (moved) {
		struct out_message *next = moved->next;
		moved->next = NULL;
		if (to->lanes[lane].last)
			to->lanes[lane].last->next = moved;
		else
			to->lanes[lane].first = moved;
		to->lanes[lane].last = moved;
		to->lanes[lane].queued += moved->bytes.size;
		moved = next;
	}
}

static enum err say_last(struct conn *c, enum link_lane lane)
{
	struct msg_last m = {.lane = (uint8_t)lane};
	struct wr bytes = {0};
	TRY(msg_encode(&bytes, MSG_LAST, &m, NULL));
	conn_count_sent(c, MSG_LAST, bytes.size);
	return conn_queue(c, &bytes, lane);
}

void handover_begin(struct peer *p, struct conn *c)
{
	struct conn *old = p->up;
	assert(handover_may(old, c));
	node_log_about(c->links->node, LOG_INFO, "link",
	               &(struct log_about){.event = LOG_EVENT_link_direct, .device = p->name},
	               "%s is direct at %s now", p->name, c->remote);
	p->older = old;
	p->up = c;
	p->handover_until_ms = links_now(c->links) + HANDOVER_MS;
	calls_follow(old, c);
	for (enum link_lane lane = LINK_FAST; lane <= LINK_BULK; lane++) {
		pass_lane(old, c, lane);
		if (say_last(old, lane) != ERR_OK)
			conn_doom(old, "out of memory");
	}
	conn_hold(c, old->over != ALL_OVER);
	conn_pump(c);
}

enum err handover_last(struct conn *c, const struct msg_last *m)
{
	if (!c->carrier || m->lane > LINK_BULK || c->over & 1U << m->lane)
		return ERR_MALFORMED;
	c->over |= (uint8_t)(1U << m->lane);
	if (c->peer->older == c && c->over == ALL_OVER)
		conn_hold(c->peer->up, false);
	return ERR_OK;
}

static bool is_finished(const struct conn *c)
{
	return c->over == ALL_OVER && !c->writing && !c->lanes[LINK_FAST].first &&
	       !c->lanes[LINK_BULK].first;
}

void handover_step(struct peer *p, uint64_t now)
{
	struct conn *old = p->older;
	if (!old || old->closing)
		return;
	if (is_finished(old))
		conn_close(old, "the link is direct now");
	else if (now >= p->handover_until_ms)
		conn_close(old, "not heard to its end");
}

void handover_lost(struct peer *p)
{
	struct conn *old = p->older;
	bool finished = is_finished(old);
	p->older = NULL;
	if (!finished && p->up)
		conn_close(p->up, "what was under way through another device is lost");
}
