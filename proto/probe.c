/* probe.c - is one other member there? A probe of the next one in the ring, or of one whom somebody suspects:
 *
 *	first    0 ms: ping   180: ping   360: ping   520: five helpers are asked to ping   1000: no answer
 *	second   0 ms: ping, and the helpers; 180: ping   360: ping   700: no answer: suspect
 *
 * All of it is (health + 1) times slower while we doubt our own connection. Any datagram of the member counts as an
 * answer. A helper that gets no answer says so (NACK): if not even that comes, we doubt ourselves. */
#include "proto/membership_impl.h"

#include <string.h>

static uint64_t slow(const struct membership *m, uint64_t ms)
{
	return ms * (m->health + 1u);
}

static uint16_t next_seq(struct membership *m)
{
	m->seq++;
	m->seq += m->seq == 0; /* 0: nobody waits for the answer */
	return m->seq;
}

/* --- whom --- */

static void shuffle(struct membership *m)
{
	for (unsigned i = m->count; i > 1; i--) {
		unsigned k = (unsigned)member_random(m, i);
		uint16_t row = m->ring[i - 1];
		m->ring[i - 1] = m->ring[k];
		m->ring[k] = row;
	}
}

static uint16_t next_in_ring(struct membership *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->ring_at >= m->count) {
			shuffle(m);
			m->ring_at = 0;
		}
		uint16_t row = m->ring[m->ring_at++];
		if (row != SELF && member_lives(&m->members[row]))
			return row;
	}
	return NOBODY;
}

void probe_check(struct membership *m, uint16_t row)
{
	for (unsigned i = 0; i < m->check_count; i++)
		if (m->checks[i] == row)
			return;
	if (m->check_count < CHECKS && m->probe.target != row)
		m->checks[m->check_count++] = row;
	if (m->probe.pings > PINGS) /* the last probe is over: no waiting for the next period */
		m->probe.next = m->lived;
}

static uint16_t next_target(struct membership *m)
{
	while (m->check_count) {
		uint16_t row = m->checks[0];
		memmove(m->checks, m->checks + 1, --m->check_count * sizeof *m->checks);
		if (m->members[row].state == MEMBER_SUSPECT)
			return row;
	}
	return next_in_ring(m);
}

/* --- a probe --- */

static void ask_helpers(struct membership *m)
{
	struct probe *p = &m->probe;
	uint16_t asked[HELPERS];
	unsigned count = 0;
	for (unsigned tries = 0; tries < 3 * HELPERS && count < HELPERS; tries++) {
		uint16_t helper = member_any_living(m, p->target);
		bool again = helper == NOBODY;
		for (unsigned i = 0; i < count; i++)
			again = again || asked[i] == helper;
		if (again)
			continue;
		asked[count++] = helper;
		gossip_begin(m, DATAGRAM_ASK);
		wr_u16(&m->packet, p->seq);
		gossip_put_ref(m, 0, p->target);
		gossip_send(m, helper);
	}
	p->asked = true;
	p->helped = count != 0;
}

static void begin(struct membership *m, uint16_t target, uint8_t failed)
{
	m->probe = (struct probe){.target = target,
	                          .seq = next_seq(m),
	                          .failed = failed,
	                          .began = m->lived,
	                          .next = m->lived};
	if (target == NOBODY)
		m->probe.next = m->lived + slow(m, PERIOD_MS);
}

static uint64_t verdict_at(const struct membership *m)
{
	return m->probe.began + slow(m, m->probe.failed ? LAST_PROBE_MS : PERIOD_MS);
}

static void ping(struct membership *m)
{
	struct probe *p = &m->probe;
	gossip_send_plain(m, p->target, DATAGRAM_PING, p->seq);
	p->pings++;
	p->next = m->lived + slow(m, STEP_MS);
	if (p->failed && p->pings == 1)
		ask_helpers(m);
	if (p->failed && p->pings == PINGS)
		p->next = verdict_at(m);
}

/* The next step of a probe that has begun. */
static void go_on(struct membership *m)
{
	struct probe *p = &m->probe;
	if (p->pings < PINGS) {
		ping(m);
		return;
	}
	ask_helpers(m);
	p->next = verdict_at(m);
}

/* It did not answer. */
static void failed(struct membership *m)
{
	struct probe *p = &m->probe;
	const struct row *r = &m->members[p->target];
	uint16_t target = p->target;
	if (p->helped && !p->nacked)
		health_add(m, 1);
	if (!member_lives(r))
		begin(m, next_target(m), 0);
	else if (p->failed + 1 < PROBES)
		begin(m, target, p->failed + 1);
	else {
		member_heard_of(m, target,
		                &(struct claim){.state = MEMBER_SUSPECT,
		                                .incarnation = r->incarnation,
		                                .by = m->members[SELF].short_id,
		                                .own_verdict = true});
		begin(m, next_target(m), 0);
	}
}

/* The probe's time is over, or it has not begun. */
static void turn(struct membership *m)
{
	const struct probe *p = &m->probe;
	if (p->target == NOBODY || p->pings > PINGS)
		begin(m, next_target(m), 0);
	else
		failed(m);
}

static void relays_tick(struct membership *m)
{
	for (unsigned i = 0; i < RELAYS; i++) {
		struct relay *r = &m->relays[i];
		if (r->asker == NOBODY || m->lived < r->until)
			continue;
		gossip_send_plain(m, r->asker, DATAGRAM_NACK, r->asked_seq);
		r->asker = r->target = NOBODY;
	}
}

void probe_tick(struct membership *m)
{
	struct probe *p = &m->probe;
	relays_tick(m);
	if (m->lived < p->next)
		return;
	if (p->target == NOBODY || p->pings > PINGS || (p->pings == PINGS && p->asked))
		turn(m);
	if (p->target != NOBODY)
		go_on(m);
}

uint64_t probe_due(const struct membership *m)
{
	uint64_t due = m->probe.next;
	for (unsigned i = 0; i < RELAYS; i++)
		if (m->relays[i].asker != NOBODY && m->relays[i].until < due)
			due = m->relays[i].until;
	return due;
}

/* It is there: nothing more to do until the next period. */
static void succeeded(struct membership *m)
{
	struct probe *p = &m->probe;
	if (p->pings > PINGS || !p->pings)
		return;
	p->pings = PINGS + 1;
	p->next = p->began + slow(m, PERIOD_MS);
	health_add(m, -1);
}

void probe_acked(struct membership *m, uint16_t from, uint16_t seq)
{
	if (m->probe.target != NOBODY && (m->probe.target == from || (seq && m->probe.seq == seq)))
		succeeded(m);
	for (unsigned i = 0; i < RELAYS; i++) {
		struct relay *r = &m->relays[i];
		if (r->asker == NOBODY || r->target != from)
			continue;
		gossip_send_plain(m, r->asker, DATAGRAM_ACK, r->asked_seq);
		r->asker = r->target = NOBODY;
	}
}

void probe_nacked(struct membership *m, uint16_t seq)
{
	if (seq && m->probe.seq == seq)
		m->probe.nacked = true;
}

void probe_asked(struct membership *m, uint16_t from, uint16_t seq, uint16_t target)
{
	for (unsigned i = 0; i < RELAYS; i++) {
		struct relay *r = &m->relays[i];
		if (r->asker != NOBODY)
			continue;
		*r = (struct relay){.asker = from, .target = target, .asked_seq = seq};
		r->until = m->lived + slow(m, HELP_MS);
		gossip_send_plain(m, target, DATAGRAM_PING, 0);
		return;
	}
}

void probe_forget(struct membership *m, uint16_t row)
{
	if (m->probe.target == row)
		begin(m, NOBODY, 0);
	for (unsigned i = 0; i < RELAYS; i++)
		if (m->relays[i].asker == row || m->relays[i].target == row)
			m->relays[i].asker = m->relays[i].target = NOBODY;
}
