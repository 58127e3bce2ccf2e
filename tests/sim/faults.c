/* faults.c - membership when everything goes wrong: small systems, ten simulated minutes each, from a seed.
 *
 *	sim-faults [FIRST-SEED [COUNT [MINUTES]]]      a failure prints its seed: `sim-faults SEED 1` shows what happened
 *
 * Nodes are killed, begin anew, say good-bye, are stopped like a laptop with its lid shut; clocks jump; the network loses, repeats,
 * delays, overtakes, and is cut in parts. All the time membership_check() holds. In the last two minutes nothing more happens, and then
 *
 *	every node holds as alive exactly those that are up
 *	who said good-bye to somebody is not held for alive; who was killed is dead, or was never heard of
 *	the newest facts of those who are up are known everywhere
 *
 * The first seed is run twice and must do the same thing both times.
 */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECOND = 1000000, CALM_SECONDS = 120, FEWEST = 2, MOST = 12 };

struct run {
	struct sim s;
	bool loud;
	struct facts facts[MOST];
};

static void say(const struct run *r, const char *what, unsigned node)
{
	if (r->loud)
		printf("  %8.3f s: node %u %s\n", (double)r->s.now / SECOND, node, what);
}

static void fail(const struct run *r, const char *what, unsigned node, unsigned about)
{
	printf("FAILED with seed %" PRIu64 ": after %.0f s node %u: %s (node %u)\n", r->s.seed,
	       (double)r->s.now / SECOND, node, what, about);
	fflush(stdout);
	abort();
}

static void on_event(struct sim *s, unsigned node, unsigned about, const struct membership_event *e)
{
	const struct run *r = s->ctx;
	if (r->loud)
		printf("  %8.3f s: node %u: %u was %s, is %s%s\n", (double)s->now / SECOND, node,
		       about, member_state_text(e->before), member_state_text(e->after),
		       e->own_verdict ? " (found)" : "");
}

/* --- what happens --- */

static void new_facts(struct run *r, unsigned node)
{
	struct facts *f = &r->facts[node];
	memset(f, 0, sizeof *f);
	f->load_percent = (uint8_t)sim_random(&r->s, 101);
	f->battery_percent = FACTS_NO_BATTERY;
	f->memory_mib = (uint32_t)sim_random(&r->s, UINT32_MAX);
	f->address_count = (uint8_t)sim_random(&r->s, 3);
	for (unsigned i = 0; i < f->address_count; i++)
		f->addresses[i] = (struct facts_address){
		    .size = 4, .bytes = {(uint8_t)sim_random(&r->s, 256)}, .port = 4747};
	if (r->s.nodes[node].m)
		sim_set_facts(&r->s, node, f);
}

static void up_or_down(struct run *r, unsigned node)
{
	struct sim_node *n = &r->s.nodes[node];
	if (!n->m) {
		say(r, "begins", node);
		sim_start(&r->s, node);
		sim_set_facts(&r->s, node, &r->facts[node]);
	} else if (sim_random(&r->s, 4)) {
		say(r, "is killed", node);
		sim_kill(&r->s, node);
	} else {
		say(r, "leaves", node);
		sim_leave(&r->s, node);
	}
}

static void cut(struct run *r)
{
	unsigned parts = 1 + (unsigned)sim_random(&r->s, 3);
	for (unsigned i = 0; i < r->s.count; i++)
		r->s.nodes[i].part = (unsigned)sim_random(&r->s, parts);
	say(r, "and the others are cut in parts, or joined", 0);
}

static void time_goes_wrong(struct run *r, unsigned node)
{
	if (sim_random(&r->s, 2)) {
		say(r, "stands still", node);
		sim_stop(&r->s, node, 100 + sim_random(&r->s, 40000));
	} else {
		say(r, "has its clock jump", node);
		sim_jump(&r->s, node, (int64_t)sim_random(&r->s, 7200000) - 3600000);
	}
}

static void weather(struct run *r)
{
	r->s.faults = (struct sim_faults){.loss = (double)sim_random(&r->s, 50) / 100,
	                                  .twice = (double)sim_random(&r->s, 20) / 100,
	                                  .delay_ms = (unsigned)sim_random(&r->s, 60),
	                                  .jitter_ms = (unsigned)sim_random(&r->s, 300)};
}

static void something(struct run *r)
{
	unsigned node = (unsigned)sim_random(&r->s, r->s.count);
	switch (sim_random(&r->s, 8)) {
	case 0:
	case 1: up_or_down(r, node); break;
	case 2: cut(r); break;
	case 3: time_goes_wrong(r, node); break;
	case 4: weather(r); break;
	default: new_facts(r, node); break;
	}
}

/* --- what must be true --- */

static void check(const struct run *r)
{
	for (unsigned i = 0; i < r->s.count; i++)
		if (r->s.nodes[i].m)
			membership_check(r->s.nodes[i].m);
}

static bool same_facts(const struct facts *a, const struct facts *b)
{
	uint8_t x[FACTS_MAX], y[FACTS_MAX];
	size_t size = facts_write(a, x);
	return size == facts_write(b, y) && !memcmp(x, y, size);
}

static void check_settled(const struct run *r, unsigned node, unsigned about)
{
	const struct sim_node *n = &r->s.nodes[about];
	struct member m;
	if (!membership_find(r->s.nodes[node].m, n->id, &m))
		fail(r, "a member is forgotten", node, about);
	if (n->m && m.state != MEMBER_ALIVE)
		fail(r, "does not hold one for alive that is up", node, about);
	if (!n->m && (m.state == MEMBER_ALIVE || m.state == MEMBER_SUSPECT))
		fail(r, "holds one for alive that is down", node, about);
	if (n->m && !(m.has_facts && same_facts(&m.facts, &r->facts[about])))
		fail(r, "does not know the newest facts", node, about);
}

static void settle(struct run *r)
{
	for (unsigned i = 0; i < r->s.count; i++) {
		r->s.nodes[i].part = 0;
		r->s.nodes[i].stopped = 0;
	}
	r->s.faults = (struct sim_faults){.delay_ms = 5, .jitter_ms = 40};
	if (r->loud)
		printf("  %8.3f s: nothing more happens\n", (double)r->s.now / SECOND);
	sim_run(&r->s, r->s.now + CALM_SECONDS * (uint64_t)SECOND);
	check(r);
	for (unsigned i = 0; i < r->s.count; i++)
		for (unsigned k = 0; k < r->s.count && r->s.nodes[i].m; k++)
			check_settled(r, i, k);
}

static void begin(struct run *r, uint64_t seed, bool loud)
{
	struct sim_faults calm = {.delay_ms = 1};
	r->loud = loud;
	sim_init(&r->s, seed, 0, &calm);
	unsigned count = FEWEST + (unsigned)sim_random(&r->s, MOST - FEWEST + 1);
	sim_free(&r->s);
	sim_init(&r->s, seed, count, &calm);
	r->s.on_event = on_event;
	r->s.ctx = r;
	weather(r);
	for (unsigned i = 0; i < count; i++) {
		sim_start(&r->s, i);
		new_facts(r, i);
	}
}

/* Returns the hash of all that happened. */
static uint64_t sequence(uint64_t seed, unsigned minutes, bool loud)
{
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		abort();
	begin(r, seed, loud);
	uint64_t end = (minutes * UINT64_C(60) - CALM_SECONDS) * SECOND;
	while (r->s.now < end) {
		sim_run(&r->s, r->s.now + sim_random(&r->s, 20) * SECOND);
		check(r);
		something(r);
	}
	settle(r);
	uint64_t trace = r->s.trace;
	sim_free(&r->s);
	free(r);
	return trace;
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 200;
	unsigned minutes = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 10;
	if (!count || minutes * 60 <= CALM_SECONDS)
		return 2;
	printf("sim: seeds %" PRIu64 " to %" PRIu64 ", %u simulated minutes each\n", first,
	       first + count - 1, minutes);
	fflush(stdout);
	uint64_t trace = sequence(first, minutes, count == 1);
	for (uint64_t i = 1; i < count; i++)
		sequence(first + i, minutes, false);
	if (sequence(first, minutes, false) != trace) {
		printf("FAILED: seed %" PRIu64 " did not do the same thing twice\n", first);
		return 1;
	}
	printf("%" PRIu64 " runs: who is up is alive everywhere, who is down nowhere; the newest "
	       "facts are known\n",
	       count);
	return 0;
}
