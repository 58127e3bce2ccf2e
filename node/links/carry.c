/* carry.c - passages that this device carries for two others.
 *
 * Truths of a passage: both ends were members with a direct link when it began; since then neither link was lost (it ends with either);
 * flying[i], what came from ends[i] and the other has not said to have taken, is at most VIA_FLYING_MAX. */
#include "node/links/via.h"

#include <stdlib.h>
#include <string.h>

struct passage {
	struct passage *next;
	struct peer *ends[2]; /* 0: who opened it */
	uint8_t number[VIA_NUMBER_SIZE];
	size_t flying[2];
};

static struct passage *find(struct links *l, const uint8_t number[VIA_NUMBER_SIZE])
{
	struct passage *g = l->passages;
	while (g && memcmp(g->number, number, VIA_NUMBER_SIZE) != 0)
		g = g->next;
	return g;
}

/* Which of its ends p is is told by *side. NULL: none. */
static struct passage *find_of(struct peer *p, const uint8_t number[VIA_NUMBER_SIZE], int *side)
{
	struct passage *g = find(p->links, number);
	if (!g || (g->ends[0] != p && g->ends[1] != p))
		return NULL;
	*side = g->ends[1] == p;
	return g;
}

static void tell_closed(struct peer *to, const uint8_t number[VIA_NUMBER_SIZE], enum err why)
{
	struct msg_via_close m = {.error = (uint8_t)why};
	memcpy(m.passage, number, sizeof m.passage);
	link_send(to, MSG_VIA_CLOSE, &m, LINK_VIA, NULL);
}

static void take_out(struct links *l, struct passage *g)
{
	struct passage **at = &l->passages;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	l->passage_count--;
	free(g);
}

/* Those of its ends are told that `told` has a bit for. */
static void end(struct links *l, struct passage *g, enum err why, unsigned told)
{
	struct passage was = *g;
	take_out(l, g);
	for (int i = 0; i < 2; i++)
		if (told & 1U << i)
			tell_closed(was.ends[i], was.number, why);
}

enum { BOTH = 3 };

/* --- opening --- */

static bool is_carried(const struct peer *p)
{
	return p && p->member && peer_is_direct(p) && !p->up->farewell && !p->up->doomed &&
	       devices_want(p->links->node, p);
}

static enum err may_open(struct links *l, const struct peer *from, const struct peer *to,
                         const uint8_t number[VIA_NUMBER_SIZE])
{
	if (!is_carried(from) || !to || from == to)
		return ERR_DENIED;
	if (!is_carried(to))
		return ERR_CLOSED;
	if (find(l, number))
		return ERR_EXISTS;
	return l->passage_count < VIA_CARRIED_MAX ? ERR_OK : ERR_FULL;
}

static enum err begin(struct links *l, struct peer *from, struct peer *to,
                      const uint8_t number[VIA_NUMBER_SIZE])
{
	struct msg_via_offer offer;
	struct passage *g = calloc(1, sizeof *g);
	if (!g)
		return ERR_NOMEM;
	*g = (struct passage){.next = l->passages, .ends = {from, to}};
	memcpy(g->number, number, sizeof g->number);
	l->passages = g;
	l->passage_count++;
	memcpy(offer.passage, number, sizeof offer.passage);
	memcpy(offer.device, from->id, sizeof offer.device);
	enum err e = link_send(to, MSG_VIA_OFFER, &offer, LINK_VIA, NULL);
	if (e != ERR_OK)
		take_out(l, g);
	return e;
}

enum err carry_open(struct conn *c, const struct msg_via_open *m)
{
	struct links *l = c->links;
	struct peer *to = peer_by_id(l->node, m->device);
	enum err e = may_open(l, c->peer, to, m->passage);
	if (e == ERR_OK)
		e = begin(l, c->peer, to, m->passage);
	if (e == ERR_OK)
		node_log(l->node, LOG_DEBUG, "link", "%s reaches %s through this device",
		         c->peer->name, to->name);
	else
		tell_closed(c->peer, m->passage, e);
	return ERR_OK;
}

/* --- what goes through --- */

bool carry_data(struct peer *p, const struct msg_via_data *m)
{
	int side;
	struct passage *g = find_of(p, m->passage, &side);
	if (!g)
		return false;
	g->flying[side] += m->bytes.size + VIA_OVERHEAD_SIZE;
	enum err e = g->flying[side] > VIA_FLYING_MAX
	                 ? ERR_LIMIT
	                 : link_send(g->ends[!side], MSG_VIA_DATA, m, LINK_VIA, NULL);
	if (e != ERR_OK)
		end(p->links, g, e, BOTH);
	return true;
}

bool carry_took(struct peer *p, const struct msg_via_took *m)
{
	int side;
	struct passage *g = find_of(p, m->passage, &side);
	if (!g)
		return false;
	enum err e = m->size > g->flying[!side] ? ERR_MALFORMED : ERR_OK;
	if (e == ERR_OK) {
		g->flying[!side] -= m->size;
		e = link_send(g->ends[!side], MSG_VIA_TOOK, m, LINK_VIA, NULL);
	}
	if (e != ERR_OK)
		end(p->links, g, e, BOTH);
	return true;
}

bool carry_close(struct peer *p, const struct msg_via_close *m)
{
	int side;
	struct passage *g = find_of(p, m->passage, &side);
	if (g)
		end(p->links, g, m->error < ERR_COUNT ? (enum err)m->error : ERR_CLOSED,
		    1U << !side);
	return g != NULL;
}

void carry_link_lost(struct peer *p)
{
	struct passage *g = p->links->passages;
	while (g) {
		struct passage *next = g->next;
		if (g->ends[0] == p || g->ends[1] == p)
			end(p->links, g, ERR_CLOSED, g->ends[0] == p ? 2 : 1);
		g = next;
	}
}

void carry_free(struct links *l)
{
	while (l->passages)
		take_out(l, l->passages);
}
