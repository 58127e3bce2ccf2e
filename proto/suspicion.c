/* suspicion.c - suspects. A suspicion lasts from SUSPECT_LONGEST times to once the shortest time, the shorter the more members
 * found the same by themselves; so one node with a bad connection convinces nobody for long, and a death is agreed on soon.
 *
 *	time    0        1 s      2 s ...                  end - LAST_LOOK_MS                    end
 *	        told     told                              pinged, pinged, pinged                dead
 *
 * Before the end each member looks for itself, so that one who missed the suspect's objection hears it. A suspect that is
 * there answers any of this with its objection (membership.c, object()), and the suspicion is over. */
#include "proto/membership_impl.h"

#include <assert.h>
#include <string.h>

enum { TELLS = 2, TELL_MS = 1000 };

/* How many have to confirm: not more than there are to do it. */
static unsigned wanted(const struct membership *m)
{
	unsigned others = m->living > 2 ? m->living - 2 : 0;
	return others < CONFIRMATIONS ? others : CONFIRMATIONS;
}

/* Thousandths of log(count + 1) / log(wanted + 1). */
static unsigned progress(unsigned count, unsigned want)
{
	static const uint16_t table[CONFIRMATIONS + 1][CONFIRMATIONS + 1] = {
	    {1000, 1000, 1000, 1000},
	    {0, 1000, 1000, 1000},
	    {0, 631, 1000, 1000},
	    {0, 500, 792, 1000}};
	return table[want][count < CONFIRMATIONS ? count : CONFIRMATIONS];
}

static uint64_t end_of(const struct membership *m, const struct suspicion *s)
{
	uint64_t shortest = (uint64_t)SUSPECT_MS * member_log10(m->living) / 1000;
	uint64_t more = shortest * (SUSPECT_LONGEST - 1);
	return s->since + shortest + more - more * progress(s->count - 1u, wanted(m)) / 1000;
}

/* Some of those who hear of a suspect look for themselves: about CHECKERS of all. */
static void perhaps_check(struct membership *m, uint16_t row)
{
	if (member_random(m, m->living) < CHECKERS)
		probe_check(m, row);
}

void suspicion_begin(struct membership *m, uint16_t row, uint32_t by)
{
	struct row *r = &m->members[row];
	uint32_t self = m->members[SELF].short_id;
	assert(m->suspicion_count < m->count && !r->suspicion);
	struct suspicion *s = &m->suspicions[m->suspicion_count++];
	*s = (struct suspicion){
	    .row = row, .count = 1, .since = m->lived, .look = m->lived, .by = {by}};
	r->suspicion = (uint16_t)m->suspicion_count;
	if (by == self)
		return;
	s->tells = TELLS; /* who found it tells it */
	perhaps_check(m, row);
}

void suspicion_confirm(struct membership *m, uint16_t row, uint32_t by)
{
	struct row *r = &m->members[row];
	struct suspicion *s = &m->suspicions[r->suspicion - 1];
	for (unsigned i = 0; i < s->count; i++)
		if (s->by[i] == by)
			return;
	if (s->count > wanted(m) || s->count > CONFIRMATIONS)
		return;
	s->by[s->count++] = by;
	r->by = by;
	gossip_status(m, row);
}

void suspicion_end(struct membership *m, uint16_t row)
{
	struct row *r = &m->members[row];
	struct suspicion *s = &m->suspicions[r->suspicion - 1];
	const struct suspicion *last = &m->suspicions[--m->suspicion_count];
	m->members[last->row].suspicion = r->suspicion;
	*s = *last;
	r->suspicion = 0;
}

bool suspicion_death(struct membership *m, uint16_t row, uint16_t from)
{
	struct suspicion *s = &m->suspicions[m->members[row].suspicion - 1];
	uint32_t by = m->members[from].short_id;
	for (unsigned i = 0; i < s->deaths; i++)
		if (s->dead_by[i] == by)
			return false;
	s->dead_by[s->deaths++] = by;
	return s->deaths == DEATH_TELLERS;
}

/* A ping that nobody waits for: what comes back says what there is to say. */
static void look(struct membership *m, struct suspicion *s, uint64_t end)
{
	if (m->lived < s->look)
		return;
	if (s->tells < TELLS) {
		s->tells++;
		s->look = m->lived + TELL_MS;
	} else if (m->lived + LAST_LOOK_MS >= end) {
		s->look = m->lived + LAST_LOOK_STEP_MS;
	} else {
		return;
	}
	gossip_send_plain(m, s->row, DATAGRAM_PING, 0);
}

void suspicions_tick(struct membership *m)
{
	for (unsigned i = m->suspicion_count; i-- > 0;) {
		struct suspicion *s = &m->suspicions[i];
		uint64_t end = end_of(m, s);
		if (m->lived >= end)
			member_set(m, s->row, MEMBER_DEAD, m->members[s->row].incarnation, true);
		else
			look(m, s, end);
	}
}

uint64_t suspicions_due(const struct membership *m)
{
	uint64_t due = UINT64_MAX;
	for (unsigned i = 0; i < m->suspicion_count; i++) {
		const struct suspicion *s = &m->suspicions[i];
		uint64_t end = end_of(m, s), at = s->look;
		uint64_t last = end > LAST_LOOK_MS ? end - LAST_LOOK_MS : 0;
		if (s->tells >= TELLS && at < last)
			at = last;
		if (at > end)
			at = end;
		due = at < due ? at : due;
	}
	return due;
}
