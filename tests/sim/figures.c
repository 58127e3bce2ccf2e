/* figures.c - membership's figures in the simulator, against the goals: false deaths, how soon a death is seen, bytes.
 *
 *	sim-figures [--nodes N] [--loss P] [--minutes M] [--deaths SECONDS] [--delay MS] [--seed S] [--split SECONDS] [--liar] [--free]
 *
 * N nodes begin at once; after a time to meet, M minutes are measured. Every so many seconds one node is killed without a word; a
 * minute and a half later it begins anew. A false death is counted at every node that holds one for dead that is up, whether
 * it found that itself or believed another. Facts change all the time. The exit code is 1 when a goal is missed; with
 * --free there is none to miss. With --liar (and so --free) one node, which is never killed, accuses others in each datagram (world.c, lie()); what the other
 * nodes see is counted. With --split the network is then cut in two halves for so long, and it is printed how soon after that all know all again.
 */
#include "world.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECOND = 1000000, AWAY_SECONDS = 90, SETTLE_SECONDS = 60 };

struct options {
	unsigned nodes, minutes, deaths, delay, split;
	double loss;
	uint64_t seed;
	bool free, liar;
};

struct figures {
	struct options o;
	bool measuring;
	uint64_t false_seen, false_found, suspicions;
	float *samples; /* seconds until a death was seen; INFINITY: never */
	size_t sample_count, sample_cap;
	float **seen; /* [node]: while it is down, when each other saw it; or NULL */
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void on_event(struct sim *s, unsigned node, unsigned about, const struct membership_event *e)
{
	struct figures *f = s->ctx;
	const struct sim_node *n = &s->nodes[about];
	if (!f->measuring || (f->o.liar && node == 0))
		return;
	f->suspicions += e->after == MEMBER_SUSPECT && e->own_verdict && n->m;
	if (e->after != MEMBER_DEAD)
		return;
	if (f->seen[about]) {
		float *seen = &f->seen[about][node];
		if (*seen == INFINITY)
			*seen = (float)(s->now - n->since) / SECOND;
	} else if (n->m && (n->lives == 1 || s->now - n->since > SETTLE_SECONDS * SECOND)) {
		f->false_seen++;
		f->false_found += e->own_verdict;
	}
}

/* --- deaths --- */

static void kill_one(struct figures *f, struct sim *s)
{
	unsigned node = (unsigned)sim_random(s, s->count);
	for (; !s->nodes[node].m || node + 1 == s->liar ||
	       s->now - s->nodes[node].since < SETTLE_SECONDS * SECOND;)
		node = (node + 1) % s->count;
	f->seen[node] = must(malloc(s->count * sizeof(float)));
	for (unsigned i = 0; i < s->count; i++) {
		bool watches = s->nodes[i].m && i != node && !(f->o.liar && i == 0) &&
		               (s->nodes[i].lives == 1 ||
		                s->now - s->nodes[i].since > SETTLE_SECONDS * SECOND);
		f->seen[node][i] = watches ? INFINITY : NAN;
	}
	sim_kill(s, node);
}

static void revive(struct figures *f, struct sim *s, unsigned node)
{
	for (unsigned i = 0; i < s->count; i++) {
		float seen = f->seen[node][i];
		if (isnan(seen) || (!s->nodes[i].m && isinf(seen)))
			continue;
		if (f->sample_count == f->sample_cap) {
			f->sample_cap = f->sample_cap ? 2 * f->sample_cap : 4096;
			f->samples = must(realloc(f->samples, f->sample_cap * sizeof *f->samples));
		}
		f->samples[f->sample_count++] = seen;
	}
	free(f->seen[node]);
	f->seen[node] = NULL;
	sim_start(s, node);
}

static void revive_some(struct figures *f, struct sim *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (f->seen[i] && s->now - s->nodes[i].since >= AWAY_SECONDS * (uint64_t)SECOND)
			revive(f, s, i);
}

/* --- a run --- */

static void change_facts(struct sim *s, unsigned node)
{
	struct facts f = {
	    .load_percent = (uint8_t)sim_random(s, 101),
	    .battery_percent = (uint8_t)sim_random(s, 101),
	    .processor = FACTS_X86_64,
	    .cores = 8,
	    .memory_mib = 16384,
	    .memory_free_mib = (uint32_t)sim_random(s, 16384),
	    .address_count = 2,
	    .addresses = {
	        {.size = 4, .bytes = {10, 0, (uint8_t)(node >> 8), (uint8_t)node}, .port = 4747},
	        {.size = 16, .bytes = {0x20, 1, [15] = (uint8_t)node}, .port = 4747}}};
	if (s->nodes[node].m)
		sim_set_facts(s, node, &f);
}

static void second(struct figures *f, struct sim *s, unsigned n)
{
	sim_run(s, s->now + SECOND);
	for (unsigned i = n % 10; i < s->count; i += 10)
		change_facts(s, i);
	revive_some(f, s);
	if (f->measuring && f->o.deaths && n % f->o.deaths == f->o.deaths / 2)
		kill_one(f, s);
}

static unsigned see_all(const struct sim *s)
{
	unsigned all = 0;
	for (unsigned i = 0; i < s->count; i++) {
		unsigned alive = 0;
		struct member m;
		for (unsigned k = 0; k < s->count && s->nodes[i].m; k++) {
			membership_at(s->nodes[i].m, k, &m);
			alive += m.state == MEMBER_ALIVE || m.state == MEMBER_SUSPECT;
		}
		all += alive == s->count;
	}
	return all;
}

/* All begin at once. Returns the second in which everybody knew everybody. */
static unsigned meet(struct figures *f, struct sim *s)
{
	unsigned met = 0;
	for (unsigned i = 0; i < s->count; i++)
		sim_start(s, i);
	for (unsigned n = 0; n < SETTLE_SECONDS + s->count / 4; n++) {
		second(f, s, n);
		if (!met && n % 5 == 0 && see_all(s) == s->count)
			met = n + 1;
	}
	return met;
}

/* Cut in two and joined: everybody is back, without a person. */
static void split(struct figures *f, struct sim *s)
{
	f->measuring = false;
	for (unsigned n = 0; n < AWAY_SECONDS + 30; n++)
		second(f, s, n);
	for (unsigned i = 0; i < s->count; i++)
		s->nodes[i].part = i % 2;
	for (unsigned n = 0; n < f->o.split; n++)
		second(f, s, n);
	for (unsigned i = 0; i < s->count; i++)
		s->nodes[i].part = 0;
	unsigned joined = 0;
	for (unsigned n = 0; n < 600 && !joined; n++) {
		second(f, s, n);
		joined = see_all(s) == s->count ? n + 1 : 0;
	}
	printf("  cut in two for %u s; all know all %u s after that (0: not within ten minutes)\n",
	       f->o.split, joined);
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

static float percentile(const struct figures *f, double part)
{
	size_t at = (size_t)(part * (double)f->sample_count);
	return f->sample_count ? f->samples[at < f->sample_count ? at : f->sample_count - 1] : 0;
}

static bool row(const char *what, double is, double goal, const char *unit)
{
	bool good = is <= goal;
	printf("  %-44s %10.3f %-5s goal <= %-6g %s\n", what, is, unit, goal,
	       good ? "ok" : "MISSED");
	return good;
}

static bool report(struct figures *f, struct sim *s, uint64_t bytes, uint64_t datagrams)
{
	double hours = (double)f->o.minutes / 60 * s->count;
	bool home = s->count <= 20;
	qsort(f->samples, f->sample_count, sizeof *f->samples, by_size);
	bool good = row("false deaths a node-hour", (double)f->false_seen / hours, 0.1, "");
	if (f->sample_count)
		good &= row("99 % see a death within", percentile(f, 0.99), home ? 10 : 20, "s");
	good &= row("sent by a node", (double)bytes / hours / 3600 / 1000, home ? 0.5 : 3, "kB/s");
	printf("  a death is seen: p50 %.1f s, p90 %.1f s, p99.9 %.1f s (%zu sightings)\n",
	       percentile(f, 0.5), percentile(f, 0.9), percentile(f, 0.999), f->sample_count);
	printf("  %.1f datagrams/s a node; %" PRIu64 " false suspicions, %" PRIu64
	       " false deaths found, seen %" PRIu64 " times, in %.1f node-hours\n",
	       (double)datagrams / hours / 3600, f->suspicions, f->false_found, f->false_seen,
	       hours);
	return good || f->o.free;
}

static void totals(const struct sim *s, uint64_t *bytes, uint64_t *datagrams)
{
	*bytes = *datagrams = 0;
	for (unsigned i = 0; i < s->count; i++) {
		*bytes += s->nodes[i].bytes;
		*datagrams += s->nodes[i].datagrams;
	}
}

static bool run(struct figures *f)
{
	struct sim s;
	uint64_t bytes[2], datagrams[2];
	struct sim_faults faults = {
	    .loss = f->o.loss, .delay_ms = f->o.delay, .jitter_ms = 2 * f->o.delay, .twice = 0.01};
	sim_init(&s, f->o.seed, f->o.nodes, &faults);
	s.on_event = on_event;
	s.ctx = f;
	f->seen = must(calloc(s.count, sizeof *f->seen));
	printf("sim: seed %" PRIu64
	       ": %u nodes, %g %% loss, delay %u to %u ms, %u minutes, a death every %u s\n",
	       s.seed, s.count, f->o.loss * 100, f->o.delay, 3 * f->o.delay, f->o.minutes,
	       f->o.deaths);
	unsigned met = meet(f, &s);
	totals(&s, &bytes[0], &datagrams[0]);
	printf("  all know all after %u s (0: not yet); %.0f bytes/s a node until then and a while "
	       "longer\n",
	       met, (double)bytes[0] / s.count / ((double)s.now / SECOND));
	fflush(stdout);
	f->measuring = true;
	s.liar = f->o.liar;
	for (unsigned n = 0; n < f->o.minutes * 60; n++)
		second(f, &s, n);
	totals(&s, &bytes[1], &datagrams[1]);
	bool good = report(f, &s, bytes[1] - bytes[0], datagrams[1] - datagrams[0]);
	if (f->o.split)
		split(f, &s);
	for (unsigned i = 0; i < s.count; i++)
		free(f->seen[i]);
	free(f->seen);
	free(f->samples);
	sim_free(&s);
	return good;
}

static bool take(struct options *o, const char *name, const char *value)
{
	struct {
		const char *name;
		unsigned *number;
	} numbers[] = {{"--nodes", &o->nodes},
	               {"--minutes", &o->minutes},
	               {"--deaths", &o->deaths},
	               {"--delay", &o->delay},
	               {"--split", &o->split}};
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (!strcmp(name, numbers[i].name)) {
			*numbers[i].number = (unsigned)strtoul(value, NULL, 0);
			return true;
		}
	if (!strcmp(name, "--loss"))
		o->loss = strtod(value, NULL);
	else if (!strcmp(name, "--seed"))
		o->seed = strtoull(value, NULL, 0);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct figures f = {.o = {.nodes = 20,
	                          .minutes = 10,
	                          .deaths = 30,
	                          .delay = 10,
	                          .seed = (uint64_t)time(NULL)}};
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--free"))
			f.o.free = true;
		else if (!strcmp(argv[i], "--liar"))
			f.o.liar = f.o.free = true;
		else if (i + 1 == argc || !take(&f.o, argv[i], argv[i + 1])) {
			fprintf(stderr, "sim-figures: what is %s? (tests/sim/figures.c)\n",
			        argv[i]);
			return 2;
		} else
			i++;
	}
	if (f.o.nodes < 2 || f.o.nodes > NODES_MAX || f.o.loss < 0 || f.o.loss > 1 || !f.o.minutes)
		return 2;
	return run(&f) ? 0 : 1;
}
