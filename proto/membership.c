/* membership.c - the members and what is known of them; time; the way in and out. */
#include "proto/membership_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *member_state_text(enum member_state s)
{
	static const char *const texts[MEMBER_STATES] = {[MEMBER_AWAY] = "away",
	                                                 [MEMBER_ALIVE] = "alive",
	                                                 [MEMBER_SUSPECT] = "suspect",
	                                                 [MEMBER_DEAD] = "dead",
	                                                 [MEMBER_LEFT] = "left"};
	return texts[s];
}

/* splitmix64 */
uint64_t member_random(struct membership *m, uint64_t below)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

unsigned member_log10(unsigned n)
{
	unsigned log2 = 0;
	while (n >> (log2 + 1))
		log2++;
	unsigned part = log2 ? ((n - (1u << log2)) * 1000u) >> log2 : 0;
	unsigned milli = (log2 * 1000 + part) * 301 / 1000;
	return milli < 1000 ? 1000 : milli;
}

bool member_lives(const struct row *r)
{
	return r->state == MEMBER_ALIVE || r->state == MEMBER_SUSPECT;
}

/* --- finding --- */

static uint32_t short_of(const uint8_t id[MEMBER_ID_SIZE])
{
	return (uint32_t)id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 |
	       (uint32_t)id[3] << 24;
}

/* The first slot of short_id's chain whose row fits id (NULL: any), or the free one at its end. */
static unsigned slot_of(const struct membership *m, uint32_t short_id, const uint8_t *id)
{
	unsigned at = short_id & (m->slot_count - 1);
	for (; m->slots[at]; at = (at + 1) & (m->slot_count - 1)) {
		const struct row *r = &m->members[m->slots[at] - 1];
		if (r->short_id == short_id && (!id || !memcmp(r->id, id, MEMBER_ID_SIZE)))
			break;
	}
	return at;
}

uint16_t member_by_id(const struct membership *m, const uint8_t id[MEMBER_ID_SIZE])
{
	unsigned row = m->slots[slot_of(m, short_of(id), id)];
	return row ? (uint16_t)(row - 1) : NOBODY;
}

uint16_t member_by_short(const struct membership *m, uint32_t short_id)
{
	unsigned row = m->slots[slot_of(m, short_id, NULL)];
	return row && !m->members[row - 1].collides ? (uint16_t)(row - 1) : NOBODY;
}

uint16_t member_any_living(struct membership *m, uint16_t but)
{
	uint64_t at = member_random(m, m->count);
	for (unsigned i = 0; i < m->count; i++) {
		unsigned row = (unsigned)((at + i) % m->count);
		/* A few tries at random first, so that those behind the dead are not preferred. */
		if (i < 8)
			row = (unsigned)member_random(m, m->count);
		if (row != SELF && row != but && m->members[row].state == MEMBER_ALIVE)
			return (uint16_t)row;
	}
	return NOBODY;
}

/* --- what is known --- */

bool status_beats(uint8_t state, uint64_t incarnation, const struct row *r)
{
	if (r->state == MEMBER_AWAY || state == MEMBER_AWAY)
		return state > r->state;
	return incarnation != r->incarnation ? incarnation > r->incarnation : state > r->state;
}

static void tell_caller(struct membership *m, const struct row *r, uint8_t before, bool own_verdict)
{
	struct membership_event e = {
	    .before = before, .after = r->state, .own_verdict = own_verdict};
	memcpy(e.id, r->id, MEMBER_ID_SIZE);
	wr_bytes(&m->events, &e, sizeof e);
}

void member_set(struct membership *m, uint16_t row, uint8_t state, uint64_t incarnation,
                bool own_verdict)
{
	struct row *r = &m->members[row];
	uint8_t before = r->state;
	bool lived = member_lives(r);
	if (before == MEMBER_SUSPECT)
		suspicion_end(m, row);
	r->state = state;
	r->incarnation = incarnation;
	m->living += member_lives(r) - lived;
	gossip_status(m, row);
	if (before == state)
		return;
	r->since = m->lived;
	tell_caller(m, r, before, own_verdict);
	if (own_verdict)
		gossip_spread(m, VERDICT_TELLS);
}

/* We are alive, or have left: others take our word for it alone. */
static void sign_self(struct membership *m)
{
	struct row *self = &m->members[SELF];
	proof_make(m, proof_kind(self->state), self->incarnation, NULL, 0, self->proof);
	gossip_status(m, SELF);
}

/* Others hold us as something we are not, or remember more of us than we do: we are above that. */
static void object(struct membership *m, uint8_t state, uint64_t incarnation)
{
	struct row *self = &m->members[SELF];
	m->tell_self = true;
	if (m->leaving || !status_beats(state, incarnation, self) || incarnation >= incarnation_max)
		return;
	if (incarnation == self->incarnation && state != MEMBER_LEFT)
		health_add(m, 1);
	self->incarnation = incarnation + 1;
	sign_self(m);
}

/* An incarnation that the member did not sign counts as the one that is held, and a good-bye that it did not sign as none. */
static bool weigh(struct membership *m, uint16_t row, struct claim *c)
{
	const struct row *r = &m->members[row];
	bool left = c->state == MEMBER_LEFT;
	if (left ? !status_beats(c->state, c->incarnation, r) : c->incarnation <= r->incarnation)
		c->proof = NULL;
	else if (!c->proof ||
	         !proof_holds(m, row, proof_kind(c->state), c->incarnation, NULL, 0, c->proof)) {
		c->proof = NULL;
		c->incarnation = r->incarnation;
		return !left;
	}
	return true;
}

/* It replaces what is held, or confirms a suspicion. */
static void believe(struct membership *m, uint16_t row, const struct claim *c)
{
	struct row *r = &m->members[row];
	if (c->state == MEMBER_SUSPECT && r->state == MEMBER_SUSPECT &&
	    c->incarnation == r->incarnation) {
		suspicion_confirm(m, row, c->by);
		return;
	}
	if (!status_beats(c->state, c->incarnation, r))
		return;
	if (c->state == MEMBER_SUSPECT)
		r->by = c->by;
	if (c->proof)
		memcpy(r->proof, c->proof, sizeof r->proof);
	member_set(m, row, c->state, c->incarnation, c->own_verdict);
	if (c->state == MEMBER_SUSPECT)
		suspicion_begin(m, row, c->by);
}

/* One says that a member is dead who lives here: a suspicion of its, and a vote. */
static void heard_of_death(struct membership *m, uint16_t row, struct claim *c)
{
	struct row *r = &m->members[row];
	c->state = MEMBER_SUSPECT;
	c->by = m->members[c->from].short_id;
	believe(m, row, c);
	if (r->state == MEMBER_SUSPECT && r->incarnation == c->incarnation &&
	    suspicion_death(m, row, c->from))
		member_set(m, row, MEMBER_DEAD, r->incarnation, false);
}

void member_heard_of(struct membership *m, uint16_t row, const struct claim *said)
{
	struct claim c = *said;
	const struct row *r = &m->members[row];
	if (!weigh(m, row, &c))
		return;
	if (row == SELF) {
		if (c.state != MEMBER_ALIVE || c.incarnation != r->incarnation)
			object(m, c.state, c.incarnation);
	} else if (c.state == MEMBER_DEAD && member_lives(r)) {
		heard_of_death(m, row, &c);
	} else {
		believe(m, row, &c);
	}
}

static void publish_facts(struct membership *m)
{
	struct row *self = &m->members[SELF];
	uint8_t *copy = malloc(FACTS_MAX);
	uint64_t pause = (uint64_t)FACTS_MEMBER_MS * m->count;
	m->facts_next = m->lived + (pause > FACTS_MS ? pause : FACTS_MS);
	m->facts_wait = false;
	if (!copy)
		return;
	memcpy(copy, m->own_facts, m->own_facts_size);
	free(self->facts);
	self->facts = copy;
	self->facts_size = m->own_facts_size;
	uint64_t version = ((self->facts_version >> 16) + 1) << 16 | m->life;
	if (version <= incarnation_max)
		self->facts_version = version;
	proof_make(m, PROOF_FACTS, self->facts_version, copy, self->facts_size, self->facts_proof);
	gossip_facts(m, SELF);
}

void member_facts(struct membership *m, uint16_t row, uint64_t version, const uint8_t *bytes,
                  uint8_t size, const uint8_t proof[MEMBER_PROOF_SIZE])
{
	struct row *r = &m->members[row];
	if (version <= r->facts_version ||
	    !proof_holds(m, row, PROOF_FACTS, version, bytes, size, proof))
		return;
	if (row == SELF) { /* from before our start: ours are newer */
		r->facts_version = version;
		if (r->facts)
			publish_facts(m);
		return;
	}
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return;
	memcpy(copy, bytes, size);
	memcpy(r->facts_proof, proof, sizeof r->facts_proof);
	free(r->facts);
	r->facts = copy;
	r->facts_size = size;
	r->facts_version = version;
	gossip_facts(m, row);
}

void health_add(struct membership *m, int by)
{
	int health = m->health + by;
	m->health = (uint8_t)(health < 0 ? 0 : health > HEALTH_MAX ? HEALTH_MAX : health);
}

/* --- the table --- */

static void rehash(struct membership *m)
{
	memset(m->slots, 0, m->slot_count * sizeof *m->slots);
	for (unsigned i = 0; i < m->count; i++) {
		struct row *r = &m->members[i];
		m->slots[slot_of(m, r->short_id, r->id)] = (uint16_t)(i + 1);
	}
}

/* Room for cap members everywhere; nothing changed when memory runs out. */
static enum err grow(struct membership *m, unsigned cap)
{
	struct row *members = realloc(m->members, cap * sizeof *members);
	m->members = members ? members : m->members;
	uint16_t *order = realloc(m->order, cap * sizeof *order);
	m->order = order ? order : m->order;
	uint16_t *ring = realloc(m->ring, cap * sizeof *ring);
	m->ring = ring ? ring : m->ring;
	uint16_t *pending = realloc(m->pending, cap * sizeof *pending);
	m->pending = pending ? pending : m->pending;
	struct suspicion *suspicions = realloc(m->suspicions, cap * sizeof *suspicions);
	m->suspicions = suspicions ? suspicions : m->suspicions;
	uint16_t *slots = realloc(m->slots, 4u * cap * sizeof *slots);
	m->slots = slots ? slots : m->slots;
	if (!members || !order || !ring || !pending || !suspicions || !slots)
		return ERR_NOMEM;
	m->cap = cap;
	m->slot_count = 4 * cap;
	rehash(m);
	return ERR_OK;
}

static int compare(const struct row *a, const struct row *b)
{
	if (a->short_id != b->short_id)
		return a->short_id < b->short_id ? -1 : 1;
	return memcmp(a->id, b->id, MEMBER_ID_SIZE);
}

static void mark_collisions(struct membership *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		struct row *r = &m->members[m->order[i]];
		r->collides =
		    (i > 0 && m->members[m->order[i - 1]].short_id == r->short_id) ||
		    (i + 1 < m->count && m->members[m->order[i + 1]].short_id == r->short_id);
	}
}

/* Members from left to right in order; the place of row. */
static unsigned order_place(const struct membership *m, const struct row *r, unsigned count)
{
	unsigned low = 0, high = count;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (compare(&m->members[m->order[middle]], r) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The ring's next round takes the newcomer at a place of chance. */
static void into_ring(struct membership *m, uint16_t row)
{
	unsigned at = (unsigned)member_random(m, m->count);
	m->ring[m->count - 1] = m->ring[at];
	m->ring[at] = row;
}

enum err membership_add(struct membership *m, const uint8_t id[MEMBER_ID_SIZE])
{
	if (m->count && member_by_id(m, id) != NOBODY)
		return ERR_EXISTS;
	if (m->count == MEMBERSHIP_MAX)
		return ERR_LIMIT;
	if (m->count == m->cap)
		TRY(grow(m, m->cap ? 2 * m->cap : 8));
	uint16_t row = (uint16_t)m->count++;
	struct row *r = &m->members[row];
	*r = (struct row){.short_id = short_of(id), .since = m->lived};
	memcpy(r->id, id, MEMBER_ID_SIZE);
	m->slots[slot_of(m, r->short_id, id)] = (uint16_t)(row + 1);
	unsigned at = order_place(m, r, m->count - 1u);
	memmove(m->order + at + 1, m->order + at, (m->count - 1u - at) * sizeof *m->order);
	m->order[at] = row;
	into_ring(m, row);
	if ((at > 0 && m->members[m->order[at - 1]].short_id == r->short_id) ||
	    (at + 1 < m->count && m->members[m->order[at + 1]].short_id == r->short_id))
		mark_collisions(m);
	return ERR_OK;
}

static void renumber(uint16_t *list, unsigned *count, uint16_t gone, uint16_t moved)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < *count; i++)
		if (list[i] != gone)
			list[kept++] = list[i] == moved ? gone : list[i];
	*count = kept;
}

/* The last row takes the place of the one that goes. */
static void renumber_all(struct membership *m, uint16_t gone, uint16_t moved)
{
	unsigned order = m->count, ring = m->count;
	renumber(m->order, &order, gone, moved);
	renumber(m->ring, &ring, gone, moved);
	renumber(m->pending, &m->pending_count, gone, moved);
	renumber(m->checks, &m->check_count, gone, moved);
	for (unsigned i = 0; i < m->suspicion_count; i++)
		if (m->suspicions[i].row == moved)
			m->suspicions[i].row = gone;
	for (unsigned i = 0; i < RELAYS; i++) {
		if (m->relays[i].asker == moved)
			m->relays[i].asker = gone;
		if (m->relays[i].target == moved)
			m->relays[i].target = gone;
	}
	if (m->probe.target == moved)
		m->probe.target = gone;
	if (m->all_with == moved)
		m->all_with = gone;
}

enum err membership_remove(struct membership *m, const uint8_t id[MEMBER_ID_SIZE])
{
	uint16_t row = member_by_id(m, id);
	if (row == NOBODY)
		return ERR_NOTFOUND;
	if (row == SELF)
		return ERR_INVALID;
	struct row *r = &m->members[row];
	if (r->state == MEMBER_SUSPECT)
		suspicion_end(m, row);
	m->living -= member_lives(r);
	probe_forget(m, row);
	if (m->all_with == row)
		m->all_with = NOBODY;
	free(r->facts);
	m->out_at = 0; /* datagrams that wait name rows by number */
	wr_clear(&m->out);
	renumber_all(m, row, (uint16_t)(m->count - 1));
	*r = m->members[--m->count];
	rehash(m);
	mark_collisions(m);
	m->ring_at = m->sync_at = m->search_at = 0;
	return ERR_OK;
}

enum err membership_new(const struct membership_config *cfg, struct membership **out)
{
	struct membership *m = calloc(1, sizeof *m);
	if (!m)
		return ERR_NOMEM;
	m->random = cfg->seed;
	m->keys = cfg->keys;
	m->life = (uint16_t)member_random(m, UINT16_MAX);
	m->probe.target = m->all_with = m->handling = NOBODY;
	for (unsigned i = 0; i < RELAYS; i++)
		m->relays[i].asker = m->relays[i].target = NOBODY;
	enum err e = membership_add(m, cfg->self);
	if (e != ERR_OK) {
		membership_free(m);
		return e;
	}
	m->members[SELF].state = MEMBER_ALIVE;
	m->living = 1;
	gossip_status(m, SELF);
	*out = m;
	return ERR_OK;
}

void membership_free(struct membership *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->count; i++)
		free(m->members[i].facts);
	free(m->members);
	free(m->slots);
	free(m->order);
	free(m->ring);
	free(m->pending);
	free(m->suspicions);
	wr_free(&m->packet);
	wr_free(&m->out);
	wr_free(&m->events);
	free(m);
}

/* --- ourselves --- */

static bool addresses_differ(const struct membership *m, const struct facts *f)
{
	const struct row *self = &m->members[SELF];
	struct facts told;
	if (!self->facts || facts_read(self->facts, self->facts_size, &told) != ERR_OK)
		return true;
	return told.address_count != f->address_count ||
	       memcmp(told.addresses, f->addresses, f->address_count * sizeof *f->addresses) != 0;
}

void membership_set_facts(struct membership *m, const struct facts *f)
{
	const struct row *self = &m->members[SELF];
	m->own_facts_size = (uint8_t)facts_write(f, m->own_facts);
	m->facts_wait = !self->facts || self->facts_size != m->own_facts_size ||
	                memcmp(self->facts, m->own_facts, m->own_facts_size) != 0;
	if (m->facts_wait && addresses_differ(m, f))
		publish_facts(m);
}

void membership_leave(struct membership *m, uint64_t now_ms)
{
	membership_tick(m, now_ms);
	if (m->leaving)
		return;
	m->leaving = true;
	m->members[SELF].state = MEMBER_LEFT;
	m->living--;
	sign_self(m);
	gossip_spread(m, LEAVE_TELLS);
}

/* --- time --- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When something is to be done, lived. */
static uint64_t due(const struct membership *m)
{
	uint64_t at = min_u64(probe_due(m), sync_due(m));
	at = min_u64(at, suspicions_due(m));
	return m->facts_wait ? min_u64(at, m->facts_next) : at;
}

/* Takes the caller's clock. It may jump, and we may have been stopped: neither is time in which others could have answered. */
static void live(struct membership *m, uint64_t now_ms)
{
	uint64_t gone = now_ms > m->clock ? now_ms - m->clock : 0;
	uint64_t wait = m->promised > m->lived ? m->promised - m->lived : 0;
	if (m->started && gone > wait + STOPPED_MS) {
		gone = wait;
		health_add(m, 1);
	}
	m->clock = now_ms;
	m->lived += m->started ? gone : 1;
	m->started = true;
}

void membership_tick(struct membership *m, uint64_t now_ms)
{
	live(m, now_ms);
	if (!m->leaving) {
		suspicions_tick(m);
		probe_tick(m);
		sync_tick(m);
		if (m->facts_wait && m->lived >= m->facts_next)
			publish_facts(m);
	}
	m->promised = due(m);
}

uint64_t membership_due_ms(const struct membership *m)
{
	uint64_t at = due(m);
	if (!m->started)
		return 0;
	if (m->leaving)
		return UINT64_MAX;
	return m->clock + (at > m->lived ? at - m->lived : 0);
}

/* --- in and out --- */

enum err membership_datagram(struct membership *m, const uint8_t from[MEMBER_ID_SIZE],
                             const void *bytes, size_t size, uint64_t now_ms)
{
	uint16_t row = member_by_id(m, from);
	struct rd r = rd_of(bytes, size);
	if (row == NOBODY || row == SELF)
		return ERR_NOTFOUND;
	if (size > MEMBERSHIP_DATAGRAM_MAX)
		return ERR_LIMIT;
	live(m, now_ms);
	m->members[row].heard = m->lived;
	enum err e = gossip_read(m, row, &r);
	m->promised = due(m);
	return e;
}

/* m->out: u16 row, u16 size, bytes; and so on. */
bool membership_next(struct membership *m, struct membership_datagram *out)
{
	uint16_t head[2];
	if (m->out_at == m->out.size) {
		wr_clear(&m->out);
		m->out_at = 0;
		return false;
	}
	memcpy(head, m->out.data + m->out_at, sizeof head);
	out->to = m->members[head[0]].id;
	out->bytes = m->out.data + m->out_at + sizeof head;
	out->size = head[1];
	m->out_at += sizeof head + head[1];
	return true;
}

bool membership_event(struct membership *m, struct membership_event *out)
{
	if (m->events_at == m->events.size) {
		wr_clear(&m->events);
		m->events_at = 0;
		return false;
	}
	memcpy(out, m->events.data + m->events_at, sizeof *out);
	m->events_at += sizeof *out;
	return true;
}

unsigned membership_count(const struct membership *m)
{
	return m->count;
}

void membership_at(const struct membership *m, unsigned index, struct member *out)
{
	const struct row *r = &m->members[index];
	assert(index < m->count);
	*out = (struct member){.state = r->state,
	                       .incarnation = r->incarnation,
	                       .since_ms = m->lived - r->since,
	                       .heard_ms = m->lived - r->heard,
	                       .was_heard = r->heard != 0};
	memcpy(out->id, r->id, MEMBER_ID_SIZE);
	out->has_facts = r->facts && facts_read(r->facts, r->facts_size, &out->facts) == ERR_OK;
}

bool membership_find(const struct membership *m, const uint8_t id[MEMBER_ID_SIZE],
                     struct member *out)
{
	uint16_t row = member_by_id(m, id);
	if (row != NOBODY)
		membership_at(m, row, out);
	return row != NOBODY;
}

unsigned membership_health(const struct membership *m)
{
	return m->health;
}

static void check_row(const struct membership *m, unsigned i)
{
	const struct row *r = &m->members[i];
	assert(r->incarnation <= incarnation_max && r->facts_version <= incarnation_max);
	assert((r->state == MEMBER_SUSPECT) == (r->suspicion != 0));
	assert(!r->suspicion || m->suspicions[r->suspicion - 1].row == i);
	assert(r->pending || (!r->status_left && !r->facts_left));
	assert((r->facts_version == 0) == (r->facts == NULL) || i == SELF);
	(void)r;
}

void membership_check(const struct membership *m)
{
	unsigned living = 0;
	for (unsigned i = 0; i < m->count; i++) {
		check_row(m, i);
		living += member_lives(&m->members[i]);
		assert(!i || compare(&m->members[m->order[i - 1]], &m->members[m->order[i]]) < 0);
	}
	assert(living == m->living && m->pending_count <= m->count);
	assert(m->members[SELF].state == (m->leaving ? MEMBER_LEFT : MEMBER_ALIVE));
	(void)living;
}
