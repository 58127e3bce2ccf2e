/* world.c - a queue of events by time: a datagram arrives, a node's tick is due. */
#include "world.h"

#include "base/bytes.h"
#include "tests/member_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS = 28, SEALED = 29, INITIATION = 141, RESPONSE = 89, HALF_OPEN = 1 };

struct packet {
	unsigned from, size;
	uint8_t handshake; /* 1: initiation, 2: response */
	uint8_t bytes[];
};

struct sim_event {
	uint64_t at, order;
	struct packet *packet; /* NULL: a tick */
	unsigned node, life;
};

uint64_t sim_random(struct sim *s, uint64_t below)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

bool sim_chance(struct sim *s, double p)
{
	return (double)sim_random(s, 1u << 30) < p * (double)(1u << 30);
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void trace(struct sim *s, uint64_t what)
{
	s->trace = (s->trace ^ what) * UINT64_C(0x100000001b3);
}

/* --- the queue: a binary heap --- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, struct sim_event e)
{
	if (s->event_count == s->event_cap) {
		s->event_cap = s->event_cap ? 2 * s->event_cap : 1024;
		s->events = must(realloc(s->events, s->event_cap * sizeof *s->events));
	}
	e.order = s->order++;
	unsigned at = s->event_count++;
	for (; at && before(&e, &s->events[(at - 1) / 2]); at = (at - 1) / 2)
		s->events[at] = s->events[(at - 1) / 2];
	s->events[at] = e;
}

static struct sim_event pop(struct sim *s)
{
	struct sim_event first = s->events[0], last = s->events[--s->event_count];
	unsigned at = 0;
	for (;;) {
		unsigned child = 2 * at + 1;
		if (child >= s->event_count)
			break;
		if (child + 1 < s->event_count && before(&s->events[child + 1], &s->events[child]))
			child++;
		if (!before(&s->events[child], &last))
			break;
		s->events[at] = s->events[child];
		at = child;
	}
	s->events[at] = last;
	return first;
}

/* --- the network --- */

static uint32_t *session(struct sim *s, unsigned from, unsigned to)
{
	return &s->sessions[(size_t)from * s->count + to];
}

/* What the sealing adds, and which message of a handshake it is. */
static unsigned sealing(struct sim *s, unsigned from, unsigned to, uint8_t *handshake)
{
	uint32_t *known = session(s, from, to), now = (uint32_t)(s->now / 1000000);
	*handshake = 0;
	if (*known == HALF_OPEN) {
		*known = now + 2 + KEY_SECONDS;
		*handshake = 2;
		return RESPONSE;
	}
	if (*known > now + 1)
		return SEALED;
	*handshake = 1;
	return INITIATION;
}

static void put_lie(struct wr *w, uint8_t state, const struct member *about, uint64_t incarnation)
{
	wr_u8(w, state);
	wr_bytes(w, about->id, 4);
	wr_leb_u64(w, incarnation);
}

/* Somebody is dead, has left, is suspected by somebody else; and was in incarnations that it never saw. */
static void lie(struct sim *s, const struct sim_node *n, struct wr *w)
{
	const struct sim_node *victim = &s->nodes[sim_random(s, s->count)];
	const struct sim_node *accuser = &s->nodes[sim_random(s, s->count)];
	struct member m;
	if (!membership_find(n->m, victim->id, &m))
		return;
	put_lie(w, MEMBER_SUSPECT, &m, m.incarnation);
	wr_bytes(w, accuser->id, 4);
	put_lie(w, MEMBER_DEAD, &m, m.incarnation);
	put_lie(w, MEMBER_LEFT, &m, m.incarnation);
	put_lie(w, MEMBER_DEAD, &m, m.incarnation + 1000);
}

static void deliver_later(struct sim *s, unsigned to, const struct membership_datagram *d,
                          unsigned from, uint8_t handshake)
{
	uint64_t delay =
	    s->faults.delay_ms * UINT64_C(1000) + sim_random(s, s->faults.jitter_ms * 1000 + 1);
	struct packet *p = must(malloc(sizeof *p + d->size));
	*p = (struct packet){.from = from, .size = (unsigned)d->size, .handshake = handshake};
	memcpy(p->bytes, d->bytes, d->size);
	push(s, (struct sim_event){.at = s->now + delay, .packet = p, .node = to});
}

static unsigned number_of(const uint8_t id[MEMBER_ID_SIZE])
{
	return (unsigned)(id[8] | id[9] << 8);
}

static void send(struct sim *s, unsigned from, const struct membership_datagram *d);

enum { SYNC = 6 };

static void send_lies(struct sim *s, unsigned from, const struct membership_datagram *d)
{
	struct wr w = {0};
	struct membership_datagram more = *d;
	unsigned liar = s->liar;
	wr_bytes(&w, d->bytes, d->size);
	if (d->size + 64 <= MEMBERSHIP_DATAGRAM_MAX && d->bytes[0] != SYNC)
		lie(s, &s->nodes[from], &w);
	more.bytes = w.data;
	more.size = w.size;
	s->liar = 0;
	send(s, from, &more);
	s->liar = liar;
	wr_free(&w);
}

static void send(struct sim *s, unsigned from, const struct membership_datagram *d)
{
	if (s->liar == from + 1) {
		send_lies(s, from, d);
		return;
	}
	struct sim_node *n = &s->nodes[from];
	unsigned to = number_of(d->to);
	uint8_t handshake;
	n->bytes += d->size + HEADERS + sealing(s, from, to, &handshake);
	n->datagrams++;
	assert(d->size <= MEMBERSHIP_DATAGRAM_MAX);
	if (n->part != s->nodes[to].part || sim_chance(s, s->faults.loss))
		return;
	deliver_later(s, to, d, from, handshake);
	if (s->faults.twice > 0 && sim_chance(s, s->faults.twice))
		deliver_later(s, to, d, from, handshake);
}

/* --- a node runs --- */

static uint64_t clock_of(const struct sim *s, const struct sim_node *n)
{
	return s->now / 1000 + n->offset_ms;
}

static void plan(struct sim *s, unsigned node)
{
	struct sim_node *n = &s->nodes[node];
	uint64_t due = membership_due_ms(n->m);
	if (due == UINT64_MAX)
		return;
	uint64_t now = clock_of(s, n), at = s->now + (due > now ? (due - now) * 1000 : 0);
	if (n->wake > s->now && n->wake <= at)
		return;
	n->wake = at > s->now ? at : s->now + 1;
	push(s, (struct sim_event){.at = n->wake, .node = node, .life = n->lives});
}

static void after(struct sim *s, unsigned node)
{
	struct membership *m = s->nodes[node].m;
	struct membership_datagram d;
	struct membership_event e;
	while (membership_next(m, &d))
		send(s, node, &d);
	while (membership_event(m, &e)) {
		trace(s, s->now ^ (uint64_t)node << 48 ^ (uint64_t)number_of(e.id) << 32 ^ e.after);
		if (s->on_event)
			s->on_event(s, node, number_of(e.id), &e);
	}
	plan(s, node);
}

static void arrived(struct sim *s, unsigned node, struct packet *p)
{
	struct sim_node *n = &s->nodes[node];
	if (p->handshake == 1)
		*session(s, node, p->from) = HALF_OPEN;
	else if (p->handshake == 2) {
		*session(s, node, p->from) = (uint32_t)(s->now / 1000000) + 2 + KEY_SECONDS;
		n->bytes += HEADERS + SEALED; /* which confirms the session */
		n->datagrams++;
	}
	s->delivered++;
	trace(s, s->now + node);
	if (membership_datagram(n->m, s->nodes[p->from].id, p->bytes, p->size, clock_of(s, n)) !=
	    ERR_OK)
		abort();
	after(s, node);
}

static void happens(struct sim *s, struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->node];
	bool is_tick = !e->packet;
	if (!n->m || (is_tick && (e->life != n->lives || n->wake != e->at)))
		return;
	if (s->now < n->stopped) {
		if (is_tick) {
			n->wake = n->stopped;
			push(s, (struct sim_event){
			            .at = n->stopped, .node = e->node, .life = n->lives});
		} else if (n->stopped - s->now < 2000000) { /* the kernel's buffer */
			push(s, (struct sim_event){
			            .at = n->stopped, .packet = e->packet, .node = e->node});
			e->packet = NULL;
		}
		return;
	}
	if (!is_tick) {
		arrived(s, e->node, e->packet);
		return;
	}
	s->wakes++;
	membership_tick(n->m, clock_of(s, n));
	after(s, e->node);
}

void sim_run(struct sim *s, uint64_t until_us)
{
	while (s->event_count && s->events[0].at <= until_us) {
		struct sim_event e = pop(s);
		s->now = e.at;
		happens(s, &e);
		free(e.packet);
	}
	s->now = until_us;
}

/* --- what happens to nodes --- */

static void add_all(struct sim *s, struct membership *m, unsigned but)
{
	for (unsigned i = 0; i < s->count; i++)
		if (i != but && membership_add(m, s->nodes[i].id) != ERR_OK)
			abort();
}

void sim_start(struct sim *s, unsigned node)
{
	struct sim_node *n = &s->nodes[node];
	struct membership_config cfg = {.seed = sim_random(s, UINT64_MAX)};
	assert(!n->m);
	memcpy(cfg.self, n->id, MEMBER_ID_SIZE);
	cfg.keys = member_keys(n->id);
	if (membership_new(&cfg, &n->m) != ERR_OK)
		abort();
	add_all(s, n->m, node);
	n->since = s->now;
	n->left = false;
	n->stopped = n->wake = 0;
	n->lives++;
	n->offset_ms = sim_random(s, 1000000000) + 100000000;
	for (unsigned i = 0; i < s->count; i++)
		*session(s, node, i) = *session(s, i, node) = 0;
	plan(s, node);
}

void sim_kill(struct sim *s, unsigned node)
{
	struct sim_node *n = &s->nodes[node];
	membership_free(n->m);
	n->m = NULL;
	n->since = s->now;
}

void sim_leave(struct sim *s, unsigned node)
{
	struct sim_node *n = &s->nodes[node];
	membership_leave(n->m, clock_of(s, n));
	n->left = true;
	after(s, node);
	sim_kill(s, node);
}

void sim_jump(struct sim *s, unsigned node, int64_t by_ms)
{
	s->nodes[node].offset_ms += (uint64_t)by_ms;
}

void sim_stop(struct sim *s, unsigned node, uint64_t for_ms)
{
	s->nodes[node].stopped = s->now + for_ms * 1000;
}

void sim_set_facts(struct sim *s, unsigned node, const struct facts *f)
{
	membership_set_facts(s->nodes[node].m, f);
	plan(s, node);
}

void sim_init(struct sim *s, uint64_t seed, unsigned count, const struct sim_faults *faults)
{
	memset(s, 0, sizeof *s);
	s->seed = s->random = seed;
	s->count = count;
	s->faults = *faults;
	s->nodes = must(calloc(count, sizeof *s->nodes));
	s->sessions = must(calloc((size_t)count * count, sizeof *s->sessions));
	for (unsigned i = 0; i < count; i++) {
		uint64_t random[4];
		for (unsigned k = 0; k < 4; k++)
			random[k] = sim_random(s, UINT64_MAX);
		memcpy(s->nodes[i].id, random, MEMBER_ID_SIZE);
		s->nodes[i].id[8] = (uint8_t)i;
		s->nodes[i].id[9] = (uint8_t)(i >> 8);
	}
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->count; i++)
		membership_free(s->nodes[i].m);
	while (s->event_count)
		free(s->events[--s->event_count].packet);
	free(s->events);
	free(s->nodes);
	free(s->sessions);
}
