/* kin.c - relatives in the process table (kin.h). */
#include "node/process/kin.h"

#include "node/node.h"
#include "node/process/share.h"
#include "node/wali/family_image.h"
#include "node/wali/kinship.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(KIN_MAX == FAMILY_MEMBERS_MAX, "one limit");

struct kin {
	_Atomic uint32_t refs;
	_Atomic uint64_t epoch;
	struct share *share;
	uv_mutex_t lock;                  /* before what follows */
	struct wali_elsewhere *elsewhere; /* owned */
	uint32_t nelsewhere;
	struct kinship_talk *talk; /* a reference, or NULL */
};

struct kin *kin_new(void)
{
	struct kin *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	if (uv_mutex_init(&k->lock) != 0) {
		free(k);
		return NULL;
	}
	k->refs = 1;
	k->share = share_new();
	return k;
}

struct share *kin_share(struct kin *k)
{
	return k && k->share ? share_ref(k->share) : NULL;
}

struct kin *kin_ref(struct kin *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

void kin_unref(struct kin *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	share_unref(k->share);
	uv_mutex_destroy(&k->lock);
	free(k->elsewhere);
	kinship_talk_unref(k->talk);
	free(k);
}

uint64_t kin_epoch(const struct kin *k)
{
	return atomic_load(&k->epoch);
}

void kin_set_epoch(struct process *leader, uint64_t epoch)
{
	leader->epoch = epoch;
	atomic_store(&leader->kin->epoch, epoch);
}

/* ---- who is elsewhere ---- */

static struct wali_elsewhere *copy_of(const struct wali_elsewhere *list, uint32_t count)
{
	struct wali_elsewhere *copy = count ? malloc(count * sizeof *copy) : NULL;
	if (copy)
		memcpy(copy, list, count * sizeof *copy);
	return copy;
}

void kin_set_elsewhere(struct kin *k, const struct wali_elsewhere *list, uint32_t count,
                       struct kinship_talk *talk)
{
	struct wali_elsewhere *copy = copy_of(list, count);
	uv_mutex_lock(&k->lock);
	kinship_talk_unref(k->talk);
	k->talk = talk ? kinship_talk_ref(talk) : NULL;
	free(k->elsewhere);
	k->elsewhere = copy;
	k->nelsewhere = copy ? count : 0;
	uv_mutex_unlock(&k->lock);
}

struct wali_elsewhere *kin_elsewhere(const struct process *p, uint32_t *count)
{
	uv_mutex_lock(&p->kin->lock);
	struct wali_elsewhere *copy = copy_of(p->kin->elsewhere, p->kin->nelsewhere);
	*count = copy ? p->kin->nelsewhere : 0;
	uv_mutex_unlock(&p->kin->lock);
	return copy;
}

bool kin_has_elsewhere(const struct process *p)
{
	uv_mutex_lock(&p->kin->lock);
	bool has = p->kin->nelsewhere > 0;
	uv_mutex_unlock(&p->kin->lock);
	return has;
}

uint64_t kin_talk(const struct process *p)
{
	uv_mutex_lock(&p->kin->lock);
	uint64_t count = p->kin->talk ? kinship_talk_count(p->kin->talk) : 0;
	uv_mutex_unlock(&p->kin->lock);
	return count;
}

/* ---- who ---- */

static bool is_here(const struct process *p)
{
	return process_alive(p) && !p->forgotten;
}

/* The next relative in the table, from p on (p too). */
static struct process *next_of(const struct kin *k, struct process *p)
{
	while (p && (p->kin != k || !is_here(p)))
		p = p->next;
	return p;
}

#define EACH_RELATIVE(r, of)                                                                      \
	for (struct process *r = next_of((of)->kin, process_first((of)->node)), *r##_next = NULL; \
	     r && (r##_next = next_of((of)->kin, r->next), true); r = r##_next)

struct process *kin_leader(struct process *p)
{
	if (p->leads)
		return p;
	EACH_RELATIVE(r, p)
	if (r->leads)
		return r;
	return p;
}

bool kin_is_alone(const struct process *p)
{
	uint32_t n = 0;
	EACH_RELATIVE(r, p)
	n++;
	return n <= 1;
}

enum err kin_is_free(struct process *leader, struct errmsg *msg)
{
	if (!process_alive(leader))
		return err_set(msg, ERR_STATE, "process %u has ended (%s)", leader->pid,
		               process_state_text(leader));
	EACH_RELATIVE(r, leader)
	if ((r == leader && r->state != PROCESS_RUNNING) || r->state == PROCESS_FROZEN ||
	    (r->hold != HOLD_NONE && r->hold != HOLD_EXEC))
		return err_set(msg, ERR_STATE, "process %u is %s", r->pid, process_state_text(r));
	return ERR_OK;
}

bool kin_stands_briefly(struct process *p)
{
	EACH_RELATIVE(r, p)
	if (r->state == PROCESS_FROZEN && (r->hold == HOLD_NONE || r->hold == HOLD_EXEC))
		return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	const struct process *x = *(struct process *const *)a, *y = *(struct process *const *)b;
	if (x->leads != y->leads)
		return x->leads ? -1 : 1;
	return x->guest_pid < y->guest_pid ? -1 : x->guest_pid > y->guest_pid;
}

enum err kin_list(struct process *leader, struct process *out[KIN_MAX], uint32_t *count)
{
	*count = 0;
	EACH_RELATIVE(r, leader)
	{
		if (*count == KIN_MAX)
			return ERR_LIMIT;
		out[(*count)++] = r;
	}
	qsort(out, *count, sizeof *out, by_number);
	return ERR_OK;
}

void kin_pass_on(struct process *p)
{
	uint8_t uid[PROCESS_UID_SIZE];
	struct process *heir = p->leads ? next_of(p->kin, process_first(p->node)) : NULL;
	if (!heir)
		return;
	memcpy(uid, heir->uid, sizeof uid);
	memcpy(heir->uid, p->uid, sizeof uid);
	memcpy(p->uid, uid, sizeof uid);
	heir->epoch = p->epoch;
	heir->checkpoint_s = p->checkpoint_s;
	heir->move = p->move;
	heir->leads = true;
	p->leads = false;
}

/* ---- all of them ---- */

void kin_hold(struct process *leader, enum process_hold hold)
{
	EACH_RELATIVE(r, leader)
	if (r->hold != HOLD_EXEC)
		r->hold = hold;
}

void kin_release(struct process *leader)
{
	EACH_RELATIVE(r, leader)
	if (r->hold != HOLD_EXEC)
		r->hold = HOLD_NONE;
}

void kin_thaw_all(struct process *leader)
{
	EACH_RELATIVE(r, leader)
	process_thaw(r);
}

struct process *kin_find(struct process *p, uint32_t guest_pid)
{
	EACH_RELATIVE(r, p)
	if (r->guest_pid == guest_pid)
		return r;
	return NULL;
}

void kin_kill(struct process *p, int status)
{
	EACH_RELATIVE(r, p)
	process_kill(r, status);
}

void kin_forget(struct process *leader, const uint8_t gone_to[32])
{
	struct process *list[KIN_MAX];
	uint32_t count;
	if (kin_list(leader, list, &count) != ERR_OK)
		return;
	for (uint32_t i = 0; i < count; i++) {
		if (list[i]->state != PROCESS_FROZEN)
			continue;
		if (gone_to)
			memcpy(list[i]->gone_to, gone_to, sizeof list[i]->gone_to);
		process_forget(list[i]);
	}
}

uint64_t kin_cpu_ns(struct process *leader)
{
	uint64_t sum = 0;
	EACH_RELATIVE(r, leader)
	sum += process_cpu_ns(r);
	return sum;
}

void kin_numbers(struct process *leader, char *out, size_t size)
{
	size_t at = 0;
	out[0] = 0;
	if (kin_is_alone(leader))
		return;
	EACH_RELATIVE(r, leader)
	{
		int n = snprintf(out + at, size - at, "%s%u", at ? " " : "", r->pid);
		at += n > 0 && (size_t)n < size - at ? (size_t)n : 0;
	}
}

/* The leader may just be being forgotten: it is the first that is. */
static enum err list_with(struct process *leader, struct process *out[KIN_MAX], uint32_t *count)
{
	TRY(kin_list(leader, out, count));
	if (*count && out[0] == leader)
		return ERR_OK;
	if (*count == KIN_MAX)
		return ERR_LIMIT;
	memmove(out + 1, out, (*count)++ * sizeof *out);
	out[0] = leader;
	return ERR_OK;
}

enum err kin_files(struct process *leader, struct fdset **out)
{
	struct process *list[KIN_MAX];
	uint32_t count;
	TRY(list_with(leader, list, &count));
	TRY(fdset_new(out));
	enum err e = ERR_OK;
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		if (list[i]->wasi)
			e = fdset_add(*out, wasi_fds(list[i]->wasi));
	if (e != ERR_OK)
		fdset_free(*out);
	return e;
}

/* ---- a grip ---- */

struct kin_grip {
	struct process *at[KIN_MAX]; /* pinned */
	bool frozen[KIN_MAX];
	uint32_t count;
	uint32_t waits; /* freezes that were not answered yet */
	kin_frozen_fn fn;
	void *ctx;
};

static void grip(struct kin_grip *g, struct process *p)
{
	process_pin(p);
	g->frozen[g->count] = false;
	g->at[g->count++] = p;
}

bool kin_has(const struct kin_grip *g, const struct process *p)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (g->at[i] == p)
			return true;
	return false;
}

/* Relatives that it does not have yet. */
static enum err grip_new_ones(struct kin_grip *g)
{
	EACH_RELATIVE(r, g->at[0])
	{
		if (kin_has(g, r))
			continue;
		if (g->count == KIN_MAX)
			return ERR_LIMIT;
		grip(g, r);
	}
	return ERR_OK;
}

static void order(struct kin_grip *g)
{
	qsort(g->at, g->count, sizeof *g->at, by_number);
}

enum err kin_grip_new(struct process *leader, struct kin_grip **out, struct errmsg *msg)
{
	struct kin_grip *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(msg, ERR_NOMEM, "process %u: out of memory", leader->pid);
	grip(g, leader);
	if (grip_new_ones(g) != ERR_OK) {
		kin_grip_free(g);
		return err_set(msg, ERR_LIMIT,
		               "process %u has more than %d relatives, which is the most that "
		               "move together",
		               leader->pid, KIN_MAX - 1);
	}
	order(g);
	*out = g;
	return ERR_OK;
}

void kin_thaw(struct kin_grip *g)
{
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->frozen[i] && !g->at[i]->forgotten)
			process_thaw(g->at[i]);
		g->frozen[i] = false;
	}
}

void kin_grip_free(struct kin_grip *g)
{
	if (!g)
		return;
	assert(!g->waits);
	kin_thaw(g);
	for (uint32_t i = 0; i < g->count; i++)
		process_unpin(g->at[i]);
	free(g);
}

uint32_t kin_grip_count(const struct kin_grip *g)
{
	return g->count;
}

struct process *kin_grip_at(const struct kin_grip *g, uint32_t i)
{
	assert(i < g->count);
	return g->at[i];
}

bool kin_stand(const struct kin_grip *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (!g->frozen[i] || g->at[i]->state != PROCESS_FROZEN || g->at[i]->dying)
			return false;
	return true;
}

static void on_frozen(void *ctx, struct process *p, enum process_state state);

static void ask(struct kin_grip *g, uint32_t i)
{
	g->waits++;
	process_freeze(g->at[i], on_frozen, g);
}

/* Those that have ended are not of it any more; the leader stays, so that at[0] is it. */
static void drop_ended(struct kin_grip *g)
{
	uint32_t n = 1;
	for (uint32_t i = 1; i < g->count; i++) {
		if (g->at[i]->state != PROCESS_FROZEN) {
			process_unpin(g->at[i]);
			continue;
		}
		g->frozen[n] = true;
		g->at[n++] = g->at[i];
	}
	g->count = n;
}

/* A fork that was under way when its process was asked to stand has made a child by now: the loop read of it first. */
static void all_answered(struct kin_grip *g)
{
	uint32_t before = g->count;
	enum err e = g->frozen[0] ? grip_new_ones(g) : ERR_CLOSED;
	for (uint32_t i = before; i < g->count; i++)
		ask(g, i);
	if (g->waits)
		return;
	if (e == ERR_OK && g->at[0]->state != PROCESS_FROZEN)
		e = ERR_CLOSED;
	if (e == ERR_OK) {
		drop_ended(g);
		order(g);
	}
	for (uint32_t i = 0; e == ERR_OK && i < g->count; i++)
		if (g->at[i]->wali)
			wali_settle(g->at[i]->wali);
	g->fn(g->ctx, e);
}

static void on_frozen(void *ctx, struct process *p, enum process_state state)
{
	struct kin_grip *g = ctx;
	for (uint32_t i = 0; i < g->count; i++)
		if (g->at[i] == p)
			g->frozen[i] = state == PROCESS_FROZEN;
	process_take_back_exec(p);
	if (!--g->waits)
		all_answered(g);
}

void kin_freeze(struct kin_grip *g, kin_frozen_fn fn, void *ctx)
{
	assert(!g->waits);
	g->fn = fn;
	g->ctx = ctx;
	for (uint32_t i = 0; i < g->count; i++)
		ask(g, i);
}
