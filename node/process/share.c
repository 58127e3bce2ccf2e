/* share.c - turns of a family's threads (share.h).
 *
 * Truths, under the lock: nobody stands in line who could run: of those that were sent back at most `most` run, of those that come from
 * a wait twice as many in all. The first in line watches the time of those that run, so nobody else has to. */
#include "node/process/share.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "engine/engine.h"

#include <stdatomic.h>
#include <stdlib.h>

struct share {
	_Atomic uint32_t refs;
	pthread_mutex_t lock;
	uint32_t most, running;
	struct share_turn *runners;           /* in no order */
	struct share_turn *line[2], *last[2]; /* who comes from a wait; who was sent back */
};

struct share *share_new(void)
{
	struct share *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	s->most = os_processors();
	return s;
}

struct share *share_ref(struct share *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void share_unref(struct share *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- with the lock held ---- */

static void put_in_line(struct share *s, struct share_turn *t, int which)
{
	t->next = NULL;
	if (s->last[which])
		s->last[which]->next = t;
	else
		s->line[which] = t;
	s->last[which] = t;
}

static bool take_out(struct share *s, struct share_turn *t)
{
	for (int which = 0; which < 2; which++)
		for (struct share_turn **at = &s->line[which], *before = NULL; *at;
		     before = *at, at = &(*at)->next)
			if (*at == t) {
				*at = t->next;
				if (s->last[which] == t)
					s->last[which] = before;
				return true;
			}
	return false;
}

static struct share_turn *first_in_line(const struct share *s)
{
	return s->line[0] ? s->line[0] : s->line[1];
}

static bool may_begin(const struct share *s, int which)
{
	return s->running < (which ? s->most : 2 * s->most) && !s->line[0] &&
	       (!which || !s->line[1]);
}

static void begin(struct share *s, struct share_turn *t)
{
	t->runs = true;
	t->since_ns = os_monotonic_ns();
	t->next = s->runners;
	s->runners = t;
	s->running++;
}

/* Who was let in is told, and who is first now: it watches from now on. */
static void let_in(struct share *s)
{
	struct share_turn *t;
	while ((t = first_in_line(s)) && s->running < (s->line[0] ? 2 * s->most : s->most)) {
		take_out(s, t);
		begin(s, t);
		pthread_cond_signal(&t->changed);
	}
	if ((t = first_in_line(s)))
		pthread_cond_signal(&t->changed);
}

/* How long until somebody has run long enough; who has is asked to stop. */
static uint64_t end_slices(struct share *s)
{
	uint64_t slice = s->line[0] ? SHARE_SHORT_SLICE_NS : SHARE_SLICE_NS;
	uint64_t now = os_monotonic_ns(), left = slice;
	for (struct share_turn *t = s->runners; t; t = t->next) {
		uint64_t ran = now - t->since_ns;
		if (ran >= slice)
			store_request_stop(t->store);
		else if (slice - ran < left)
			left = slice - ran;
	}
	return left;
}

static void sleep_for(struct share *s, struct share_turn *t, uint64_t ns)
{
	os_cond_wait(&t->changed, &s->lock, os_monotonic_ns() + ns);
}

static bool wait_in_line(struct share *s, struct share_turn *t)
{
	while (!t->runs && !t->poked) {
		if (first_in_line(s) == t)
			sleep_for(s, t, end_slices(s));
		else
			pthread_cond_wait(&t->changed, &s->lock);
	}
	if (!t->runs) {
		take_out(s, t);
		let_in(s); /* the next one watches */
	}
	return t->runs;
}

/* ---- any thread ---- */

bool share_enter(struct share *s, struct share_turn *t, struct store *store, bool first)
{
	pthread_mutex_lock(&s->lock);
	if (!t->ready)
		os_cond_init(&t->changed);
	t->ready = true;
	t->store = store;
	bool in = !t->poked;
	int which = first ? 0 : 1;
	if (in && may_begin(s, which)) {
		begin(s, t);
	} else if (in) {
		put_in_line(s, t, which);
		in = wait_in_line(s, t);
	}
	t->poked = false;
	pthread_mutex_unlock(&s->lock);
	return in;
}

void share_leave(struct share *s, struct share_turn *t)
{
	pthread_mutex_lock(&s->lock);
	for (struct share_turn **at = &s->runners; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	t->runs = false;
	t->store = NULL;
	s->running--;
	let_in(s);
	pthread_mutex_unlock(&s->lock);
}

void share_poke(struct share *s, struct share_turn *t)
{
	pthread_mutex_lock(&s->lock);
	t->poked = true;
	if (t->ready)
		pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&s->lock);
}

void share_turn_end(struct share_turn *t)
{
	if (t->ready)
		pthread_cond_destroy(&t->changed);
	t->ready = false;
}
