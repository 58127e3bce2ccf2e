/* sync.c - what gossip missed. A slice of the table, in order of ids, goes to one of the living every ten seconds; it answers
 * with what it knows better. Those who are not there are pinged now and then; one that answers is told how it is held, objects,
 * and the whole table is compared with it, slice by slice: so two parts of a system that were cut off find together.
 *
 *	SYNC: u32 low, u32 high (short ids), then entries up to the end:
 *	      u8 head (bits 0-3 state, bit 7: the ref is 32 bytes), ref, leb incarnation, leb version of the facts (0: none)
 *
 * A member between low and high that is not listed is AWAY to the sender. Nothing of a slice is proved, so it makes nobody's incarnation
 * higher; the answer proves where the sender's was too low. Who is dead elsewhere and alive here is only suspected:
 * the other part of a system that was cut in two holds everybody here for dead. */
#include "proto/membership_impl.h"

enum {
	ANSWER_STATUS = 1,
	ANSWER_FACTS = 2,
	ANSWER_PROOF = 4,
	STATE_MASK = 15,
	LONG_REF = 128,
	LONELY_PINGS = 3
};

/* --- a slice goes out --- */

static bool put_entry(struct membership *m, uint16_t row)
{
	const struct row *r = &m->members[row];
	size_t before = m->packet.size;
	if (r->state == MEMBER_AWAY && !r->facts_version)
		return true;
	gossip_put_ref(m, r->state, row);
	wr_leb_u64(&m->packet, r->incarnation);
	wr_leb_u64(&m->packet, r->facts_version);
	if (m->packet.size <= MEMBERSHIP_DATAGRAM_MAX)
		return true;
	m->packet.size = before;
	return false;
}

/* From place at of the order on; returns the place behind the slice. */
static unsigned send_slice(struct membership *m, uint16_t to, unsigned at)
{
	uint32_t low = at ? m->members[m->order[at]].short_id : 0, high = UINT32_MAX;
	gossip_begin(m, DATAGRAM_SYNC);
	wr_u32(&m->packet, low);
	wr_u32(&m->packet, high);
	while (at < m->count && put_entry(m, m->order[at]))
		at++;
	if (at < m->count)
		high = m->members[m->order[at]].short_id - 1;
	if (wr_ok(&m->packet))
		wr_patch_u32(&m->packet, 1 + 4, high);
	gossip_queue(m, to);
	return at;
}

/* --- a slice came --- */

static enum err read_entry(struct membership *m, uint16_t from, struct rd *r)
{
	uint8_t head;
	uint16_t row;
	uint64_t incarnation;
	uint64_t version;
	TRY(rd_u8(r, &head));
	uint8_t state = head & STATE_MASK;
	if (state >= MEMBER_STATES || head & ~(STATE_MASK | LONG_REF))
		return ERR_MALFORMED;
	TRY(gossip_read_ref(m, r, head, &row));
	TRY(gossip_read_number(r, &incarnation));
	TRY(gossip_read_number(r, &version));
	if (row == NOBODY)
		return ERR_OK;
	struct row *ours = &m->members[row];
	struct row theirs = {.state = state, .incarnation = incarnation};
	if (state == MEMBER_DEAD && member_lives(ours))
		state = MEMBER_SUSPECT;
	member_heard_of(m, row,
	                &(struct claim){.state = state,
	                                .incarnation = incarnation,
	                                .by = m->members[from].short_id,
	                                .from = from});
	ours->mark = m->mark;
	ours->answers = status_beats(ours->state, ours->incarnation, &theirs) ? ANSWER_STATUS : 0;
	ours->answers |= ours->incarnation > incarnation ? ANSWER_PROOF : 0;
	ours->answers |= ours->facts && ours->facts_version > version ? ANSWER_FACTS : 0;
	return ERR_OK;
}

/* Begins another datagram when this one is full; false: enough. */
static bool put_answer(struct membership *m, uint16_t to, uint16_t row, unsigned *left,
                       bool (*put)(struct membership *, uint16_t))
{
	if (put(m, row))
		return true;
	gossip_queue(m, to);
	gossip_begin(m, DATAGRAM_NEWS);
	return --*left && put(m, row);
}

static uint8_t answers_of(const struct membership *m, const struct row *r)
{
	if (r->mark == m->mark)
		return r->answers;
	return (uint8_t)((r->state != MEMBER_AWAY ? ANSWER_STATUS : 0) |
	                 (r->facts ? ANSWER_FACTS : 0));
}

static bool answer_each(struct membership *m, uint16_t to, uint32_t low, uint32_t high,
                        uint8_t what, unsigned *left)
{
	for (unsigned i = 0; i < m->count; i++) {
		uint16_t row = m->order[i];
		const struct row *r = &m->members[row];
		uint8_t answers = answers_of(m, r);
		bool own = row == to && what == ANSWER_STATUS; /* HOLD says that better */
		if (r->short_id < low || r->short_id > high || own || !(answers & what))
			continue;
		if (!put_answer(m, to, row, left,
		                what == ANSWER_FACTS       ? gossip_put_facts
		                : (answers & ANSWER_PROOF) ? gossip_put_status
		                                           : gossip_put_hint))
			return false;
	}
	return true;
}

static void answer(struct membership *m, uint16_t to, uint32_t low, uint32_t high)
{
	unsigned left = ANSWERS;
	gossip_begin(m, DATAGRAM_NEWS);
	size_t empty = m->packet.size;
	if (answer_each(m, to, low, high, ANSWER_STATUS, &left))
		answer_each(m, to, low, high, ANSWER_FACTS, &left);
	if (left && m->packet.size > empty)
		gossip_queue(m, to);
}

enum err sync_read(struct membership *m, uint16_t from, struct rd *r)
{
	uint32_t low, high;
	TRY(rd_u32(r, &low));
	TRY(rd_u32(r, &high));
	m->mark++;
	while (rd_left(r))
		TRY(read_entry(m, from, r));
	if (!m->leaving)
		answer(m, from, low, high);
	return ERR_OK;
}

/* --- when --- */

void sync_met(struct membership *m, uint16_t row)
{
	if (m->leaving || (m->all_since && m->lived < m->all_since + SYNC_ALL_MS))
		return;
	m->all_since = m->lived;
	m->all_with = row;
	m->all_at = 0;
	m->sync_next = m->lived;
}

static void next_slice(struct membership *m)
{
	uint16_t to = m->all_with != NOBODY ? m->all_with : member_any_living(m, NOBODY);
	m->sync_next = m->lived + SYNC_MS;
	if (to == NOBODY)
		return;
	if (m->all_with == NOBODY) {
		m->sync_at = send_slice(m, to, m->sync_at);
		m->sync_at = m->sync_at < m->count ? m->sync_at : 0;
		return;
	}
	m->all_at = send_slice(m, to, m->all_at);
	if (m->all_at >= m->count)
		m->all_with = NOBODY;
	else
		m->sync_next = m->lived + SYNC_STEP_MS;
}

/* One who is not there, the next from a place of chance. */
static void ping_one_away(struct membership *m)
{
	unsigned at = (unsigned)member_random(m, m->count);
	for (unsigned i = 0; i < m->count; i++) {
		uint16_t row = (uint16_t)((at + i) % m->count);
		if (row == SELF || member_lives(&m->members[row]))
			continue;
		gossip_send_plain(m, row, DATAGRAM_PING, 0);
		return;
	}
}

static void search(struct membership *m)
{
	bool lonely = m->living == 1;
	m->search_next =
	    m->lived + (lonely ? LONELY_MS : SEARCH_MS / 2 + member_random(m, SEARCH_MS));
	for (unsigned i = 0; i < (lonely ? LONELY_PINGS : 1); i++)
		ping_one_away(m);
}

void sync_tick(struct membership *m)
{
	if (m->lived >= m->sync_next)
		next_slice(m);
	if (m->lived >= m->search_next)
		search(m);
}

uint64_t sync_due(const struct membership *m)
{
	return m->sync_next < m->search_next ? m->sync_next : m->search_next;
}
