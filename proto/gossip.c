/* gossip.c - datagrams as bytes: a type, what belongs to it, then records up to the end.
 *
 *	type 1 PING, 2 ACK, 3 NACK    u16 seq, records
 *	     4 ASK                    u16 seq, ref of whom to ping, records
 *	     5 NEWS                   records
 *	     6 SYNC                   sync.c
 *	record: u8 head (bits 0-3 kind, bit 6: a proof of 64 bytes at the end, bit 7: a ref is 32 bytes, not 4), then
 *	     1 ALIVE, 3 DEAD, 4 LEFT  ref, leb incarnation
 *	     2 SUSPECT                ref, leb incarnation, u32 by (short id of who says so)
 *	     5 FACTS                  ref, leb version, u8 size, bytes, proof (always)
 *	     6 HOLD                   u8 state, leb incarnation: so the sender holds the receiver
 *
 * The proof is the member's own signature (proof.c): that it is alive in that incarnation, or of LEFT that it left.
 *
 * A ref is a member's short id, the first four bytes of its id; all 32 where two of the sender's members share those.
 *
 * What rides along, as long as there is room: how the receiver is held, if not as alive, and ourselves, if it may not know;
 * then those who are alive (objections, mostly), who is dead, who is suspect, facts; of each kind what was sent least. */
#include "proto/membership_impl.h"

#include <string.h>

enum {
	KIND_FACTS = 5,
	KIND_HOLD = 6,
	KIND_MASK = 15,
	WITH_PROOF = 64,
	LONG_REF = 128,
	CLASSES = 4,
	LEFT_MAX = 31,
	WAITING_MAX = 2048
};

/* --- writing --- */

static unsigned times(const struct membership *m)
{
	unsigned n = GOSSIP_BASE + (GOSSIP_LOG * member_log10(m->living) + 500) / 1000;
	return n < LEFT_MAX ? n : LEFT_MAX;
}

static void into_pending(struct membership *m, uint16_t row)
{
	struct row *r = &m->members[row];
	if (!r->pending)
		m->pending[m->pending_count++] = row;
	r->pending = true;
}

void gossip_status(struct membership *m, uint16_t row)
{
	m->members[row].status_left = (uint8_t)times(m);
	into_pending(m, row);
}

void gossip_facts(struct membership *m, uint16_t row)
{
	m->members[row].facts_left = (uint8_t)((times(m) + 2) / 4);
	into_pending(m, row);
}

void gossip_begin(struct membership *m, enum datagram_type type)
{
	wr_clear(&m->packet);
	wr_u8(&m->packet, (uint8_t)type);
}

void gossip_put_ref(struct membership *m, uint8_t head, uint16_t row)
{
	const struct row *r = &m->members[row];
	wr_u8(&m->packet, (uint8_t)(head | (r->collides ? LONG_REF : 0)));
	wr_bytes(&m->packet, r->id, r->collides ? MEMBER_ID_SIZE : 4);
}

/* Did what was written from before on fit? If not, it is taken back. */
static bool fits(struct membership *m, size_t before)
{
	if (m->packet.size <= MEMBERSHIP_DATAGRAM_MAX)
		return true;
	m->packet.size = before;
	return false;
}

/* M6 */
static bool has_proof(const struct row *r)
{
	return r->incarnation || r->state == MEMBER_LEFT;
}

static bool put_status(struct membership *m, uint16_t row, bool proof)
{
	const struct row *r = &m->members[row];
	size_t before = m->packet.size;
	gossip_put_ref(m, (uint8_t)(r->state | (proof ? WITH_PROOF : 0)), row);
	wr_leb_u64(&m->packet, r->incarnation);
	if (r->state == MEMBER_SUSPECT)
		wr_u32(&m->packet, r->by);
	if (proof)
		wr_bytes(&m->packet, r->proof, sizeof r->proof);
	return fits(m, before);
}

bool gossip_put_status(struct membership *m, uint16_t row)
{
	return put_status(m, row, has_proof(&m->members[row]));
}

bool gossip_put_hint(struct membership *m, uint16_t row)
{
	return put_status(m, row, m->members[row].state == MEMBER_LEFT);
}

/* A suspicion and a death ride without: the incarnation they are of was proved before them. */
static bool put_news(struct membership *m, uint16_t row)
{
	const struct row *r = &m->members[row];
	return put_status(m, row,
	                  has_proof(r) && r->state != MEMBER_SUSPECT && r->state != MEMBER_DEAD);
}

bool gossip_put_facts(struct membership *m, uint16_t row)
{
	const struct row *r = &m->members[row];
	size_t before = m->packet.size;
	gossip_put_ref(m, KIND_FACTS, row);
	wr_leb_u64(&m->packet, r->facts_version);
	wr_u8(&m->packet, r->facts_size);
	wr_bytes(&m->packet, r->facts, r->facts_size);
	wr_bytes(&m->packet, r->facts_proof, sizeof r->facts_proof);
	return fits(m, before);
}

static void put_hold(struct membership *m, const struct row *r, bool proof)
{
	wr_u8(&m->packet, (uint8_t)(KIND_HOLD | (proof ? WITH_PROOF : 0)));
	wr_u8(&m->packet, r->state);
	wr_leb_u64(&m->packet, r->incarnation);
	if (proof)
		wr_bytes(&m->packet, r->proof, sizeof r->proof);
}

/* --- what rides along --- */

/* A record that waits: of a member, its status or its facts; the smaller key goes first. */
struct waiting {
	uint16_t row;
	uint16_t key;
	bool facts;
};

static uint16_t key_of(const struct row *r, bool facts)
{
	static const uint8_t classes[MEMBER_STATES] = {
	    [MEMBER_ALIVE] = 0, [MEMBER_DEAD] = 1, [MEMBER_LEFT] = 1, [MEMBER_SUSPECT] = 2};
	unsigned class = facts ? 3 : classes[r->state];
	unsigned left = facts ? r->facts_left : r->status_left;
	return (uint16_t)(class * (LEFT_MAX + 1) + LEFT_MAX - left);
}

/* All that wait, up to WAITING_MAX; those with nothing left to be sent are taken off the list. */
static unsigned collect(struct membership *m, uint16_t to, struct waiting *out)
{
	unsigned kept = 0, count = 0;
	for (unsigned i = 0; i < m->pending_count; i++) {
		uint16_t row = m->pending[i];
		struct row *r = &m->members[row];
		r->pending = r->status_left || r->facts_left;
		if (!r->pending)
			continue;
		m->pending[kept++] = row;
		if (row == to || count + 2 > WAITING_MAX)
			continue;
		if (r->status_left)
			out[count++] = (struct waiting){row, key_of(r, false), false};
		if (r->facts_left)
			out[count++] = (struct waiting){row, key_of(r, true), true};
	}
	m->pending_count = kept;
	return count;
}

/* By key; equal ones stay in their order. */
static void sort(const struct waiting *in, unsigned count, struct waiting *out)
{
	uint16_t at[CLASSES * (LEFT_MAX + 1) + 1] = {0};
	for (unsigned i = 0; i < count; i++)
		at[in[i].key + 1]++;
	for (unsigned k = 1; k <= CLASSES * (LEFT_MAX + 1); k++)
		at[k] = (uint16_t)(at[k] + at[k - 1]);
	for (unsigned i = 0; i < count; i++)
		out[at[in[i].key]++] = in[i];
}

static void ride_along(struct membership *m, uint16_t to)
{
	struct waiting found[WAITING_MAX], sorted[WAITING_MAX];
	unsigned count = collect(m, to, found);
	sort(found, count, sorted);
	for (unsigned i = 0; i < count; i++) {
		struct row *r = &m->members[sorted[i].row];
		if (sorted[i].facts ? !gossip_put_facts(m, sorted[i].row)
		                    : !put_news(m, sorted[i].row))
			return;
		if (sorted[i].facts)
			r->facts_left--;
		else
			r->status_left--;
	}
}

void gossip_queue(struct membership *m, uint16_t to)
{
	uint16_t head[2] = {to, (uint16_t)m->packet.size};
	if (!wr_ok(&m->packet))
		return;
	wr_bytes(&m->out, head, sizeof head);
	wr_bytes(&m->out, m->packet.data, m->packet.size);
}

void gossip_send(struct membership *m, uint16_t to)
{
	const struct row *r = &m->members[to];
	bool reply = m->handling == to, knows = r->state == MEMBER_ALIVE;
	/* One that says nothing may not be there: it is spared the proofs. */
	if (!knows || (reply && m->tell_held))
		put_hold(m, r, reply && has_proof(r));
	if ((reply && (!knows || m->tell_self)) || m->leaving)
		gossip_put_status(m, SELF);
	else if (!knows)
		gossip_put_hint(m, SELF);
	if (reply && m->tell_facts)
		gossip_put_facts(m, to);
	if (reply)
		m->tell_self = m->tell_held = m->tell_facts = false;
	if (member_lives(r))
		ride_along(m, to);
	gossip_queue(m, to);
}

void gossip_send_plain(struct membership *m, uint16_t to, enum datagram_type type, uint16_t seq)
{
	gossip_begin(m, type);
	wr_u16(&m->packet, seq);
	gossip_send(m, to);
}

void gossip_tell_self(struct membership *m, uint16_t to)
{
	gossip_begin(m, DATAGRAM_NEWS);
	gossip_send(m, to);
}

void gossip_spread(struct membership *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint16_t to = member_any_living(m, NOBODY);
		if (to != NOBODY)
			gossip_tell_self(m, to);
	}
}

/* --- reading --- */

enum err gossip_read_ref(const struct membership *m, struct rd *r, uint8_t head, uint16_t *row)
{
	const uint8_t *id;
	uint32_t short_id;
	if (head & LONG_REF) {
		TRY(rd_bytes(r, MEMBER_ID_SIZE, &id));
		*row = member_by_id(m, id);
		return ERR_OK;
	}
	TRY(rd_u32(r, &short_id));
	*row = member_by_short(m, short_id);
	return ERR_OK;
}

enum err gossip_read_number(struct rd *r, uint64_t *number)
{
	TRY(rd_leb_u64(r, number));
	return *number <= incarnation_max ? ERR_OK : ERR_LIMIT;
}

static enum err read_proof(struct rd *r, uint8_t head, const uint8_t **proof)
{
	return head & WITH_PROOF ? rd_bytes(r, MEMBER_PROOF_SIZE, proof) : ERR_OK;
}

static enum err read_status(struct membership *m, uint16_t from, uint8_t head, struct rd *r)
{
	uint16_t row;
	struct claim c = {.state = head & KIND_MASK, .from = from};
	TRY(gossip_read_ref(m, r, head, &row));
	TRY(gossip_read_number(r, &c.incarnation));
	if (c.state == MEMBER_SUSPECT)
		TRY(rd_u32(r, &c.by));
	TRY(read_proof(r, head, &c.proof));
	if (row == NOBODY)
		return ERR_OK;
	const struct row *held = &m->members[row];
	/* It says of itself what is no longer held: it began anew, or did not hear of something. */
	if (row == from && c.state != MEMBER_LEFT &&
	    (held->incarnation > c.incarnation ||
	     (held->incarnation == c.incarnation && held->state > c.state)))
		m->tell_held = true;
	member_heard_of(m, row, &c);
	return ERR_OK;
}

static enum err read_facts(struct membership *m, uint16_t from, uint8_t head, struct rd *r)
{
	uint16_t row;
	uint64_t version;
	uint8_t size;
	const uint8_t *bytes, *proof;
	struct facts f;
	TRY(gossip_read_ref(m, r, head, &row));
	TRY(gossip_read_number(r, &version));
	TRY(rd_u8(r, &size));
	TRY(rd_bytes(r, size, &bytes));
	TRY(rd_bytes(r, MEMBER_PROOF_SIZE, &proof));
	enum err e = facts_read(bytes, size, &f);
	if (e != ERR_OK && e != ERR_UNSUPPORTED)
		return e;
	if (row == NOBODY)
		return ERR_OK;
	/* It began anew, and we have some of its former life. */
	if (row == from && m->members[row].facts && version < m->members[row].facts_version)
		m->tell_facts = true;
	member_facts(m, row, version, bytes, size, proof);
	return ERR_OK;
}

static enum err read_hold(struct membership *m, uint16_t from, uint8_t head, struct rd *r)
{
	struct claim c = {.from = from};
	TRY(rd_u8(r, &c.state));
	TRY(gossip_read_number(r, &c.incarnation));
	TRY(read_proof(r, head, &c.proof));
	if (c.state >= MEMBER_STATES)
		return ERR_MALFORMED;
	member_heard_of(m, SELF, &c);
	m->tell_self = true;
	return ERR_OK;
}

static enum err read_record(struct membership *m, uint16_t from, struct rd *r)
{
	uint8_t head;
	TRY(rd_u8(r, &head));
	switch (head & ~(LONG_REF | WITH_PROOF)) {
	case MEMBER_ALIVE:
	case MEMBER_SUSPECT:
	case MEMBER_DEAD:
	case MEMBER_LEFT: return read_status(m, from, head, r);
	case KIND_FACTS: return head & WITH_PROOF ? ERR_MALFORMED : read_facts(m, from, head, r);
	case KIND_HOLD: return head & LONG_REF ? ERR_MALFORMED : read_hold(m, from, head, r);
	default: return ERR_MALFORMED;
	}
}

static enum err read_records(struct membership *m, uint16_t from, struct rd *r)
{
	while (rd_left(r))
		TRY(read_record(m, from, r));
	return ERR_OK;
}

static enum err read_ask(struct membership *m, uint16_t from, uint16_t seq, struct rd *r)
{
	uint8_t head;
	uint16_t row;
	TRY(rd_u8(r, &head));
	if (head & ~LONG_REF)
		return ERR_MALFORMED;
	TRY(gossip_read_ref(m, r, head, &row));
	TRY(read_records(m, from, r));
	if (row != NOBODY && row != SELF && row != from && !m->leaving)
		probe_asked(m, from, seq, row);
	return ERR_OK;
}

static enum err read_with_seq(struct membership *m, uint16_t from, uint8_t type, struct rd *r)
{
	uint16_t seq;
	TRY(rd_u16(r, &seq));
	if (type == DATAGRAM_ASK)
		return read_ask(m, from, seq, r);
	TRY(read_records(m, from, r));
	if (type == DATAGRAM_PING && !m->leaving)
		gossip_send_plain(m, from, DATAGRAM_ACK, seq);
	else if (type == DATAGRAM_ACK)
		probe_acked(m, from, seq);
	else if (type == DATAGRAM_NACK)
		probe_nacked(m, seq);
	return ERR_OK;
}

static enum err read_any(struct membership *m, uint16_t from, struct rd *r)
{
	uint8_t type;
	TRY(rd_u8(r, &type));
	switch (type) {
	case DATAGRAM_PING:
	case DATAGRAM_ACK:
	case DATAGRAM_NACK:
	case DATAGRAM_ASK: return read_with_seq(m, from, type, r);
	case DATAGRAM_NEWS: return read_records(m, from, r);
	case DATAGRAM_SYNC: return sync_read(m, from, r);
	default: return ERR_MALFORMED;
	}
}

/* What the sender has to be told and no answer took along; not too often, so that two never talk in circles. */
static void tell_sender(struct membership *m, uint16_t from)
{
	struct row *r = &m->members[from];
	if (!m->tell_self && !m->tell_held && !m->tell_facts)
		return;
	if (r->told && m->lived < r->told + TOLD_MS)
		return;
	r->told = m->lived;
	gossip_tell_self(m, from);
}

enum err gossip_read(struct membership *m, uint16_t from, struct rd *r)
{
	bool was_there = member_lives(&m->members[from]);
	m->handling = from;
	m->tell_self = m->tell_held = m->tell_facts = m->doubt = false;
	enum err e = read_any(m, from, r);
	probe_acked(m, from, 0);
	tell_sender(m, from);
	m->handling = NOBODY;
	if (!was_there && member_lives(&m->members[from]))
		sync_met(m, from);
	return e;
}
