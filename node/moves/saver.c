/* saver.c - checkpoints of running processes: a chain of loop -> pool -> loop steps, one process at a time. */
#include "node/moves/saver.h"

#include "base/os.h"
#include "engine/engine.h"
#include "node/moves/capture.h"
#include "node/disk.h"
#include "node/moves/keeper.h"
#include "node/process/modules.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/terminal/session_client.h"
#include "node/store.h"
#include "node/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 250,
	FIRST_S = 5,         /* the first comes sooner than the others */
	REST = 20,           /* times what the last one took; nobody asked for it */
	REST_ASKED = 1,      /* somebody did */
	REST_TOO_LARGE = 10, /* times that: it may have become smaller */
	ROUNDS_MAX = 4,      /* while it runs */
	FEW_PAGES = 64,      /* worth stopping for */
	LOOK_PAGES = 256,    /* between two looks whether to stop */
};

#define SECOND_NS UINT64_C(1000000000)
#define SAVED_BYTES_MAX (UINT64_C(1) << 30)
#define KEPT_BYTES_MAX (UINT64_C(512) << 20)

enum phase { IDLE, COPYING, STORING, WRITING };

/* A process, with its relatives. */
struct saved {
	struct saver *saver;
	uint8_t uid[PROCESS_UID_SIZE];
	enum phase phase;
	struct process *p;                /* the leader; NULL when IDLE */
	struct kin_grip *grip;            /* of it and its relatives; NULL when IDLE */
	struct process *tracked[KIN_MAX]; /* whose written pages are known; the leader first */
	uint32_t ntracked;
	struct capture capture;
	struct module_list modules; /* empty when IDLE */
	struct image *image;        /* when IDLE: as the record on disk names it, or NULL */
	struct chunk_addr id;
	atomic_bool stop; /* it is wanted elsewhere: give up */
	bool held;
	uint64_t seen_ns, began_ns, ended_ns, froze_ns; /* monotonic */
	uint64_t cpu_ns;     /* of the process when the last one was made */
	uint64_t talk;       /* kin_talk() then ... */
	uint64_t talk_seen;  /* ... and a moment ago */
	uint64_t used_pages; /* of image's memories */
	int64_t stood_unix_ms;
	uint64_t stood_ns;
	struct saver_status status;
	enum err err;
	struct errmsg msg;
	void (*left)(void *ctx);
	void *left_ctx;
	struct saved *next;
};

struct saver {
	struct node *node;
	uv_timer_t timer;
	struct saved *list;
	struct saved *running;
	unsigned work;
};

static struct saved *find(const struct saver *k, const uint8_t uid[PROCESS_UID_SIZE])
{
	struct saved *s = k ? k->list : NULL;
	while (s && memcmp(s->uid, uid, PROCESS_UID_SIZE) != 0)
		s = s->next;
	return s;
}

/* ---- pages (pool thread) ---- */

static bool goes_on(const struct saved *s)
{
	return s->err == ERR_OK && !atomic_load(&s->stop);
}

/* The image's memory i of the capture as large as the process's is now. */
static bool fit_memory(struct saved *s, uint32_t i, uint32_t *space, const uint8_t **base)
{
	uint64_t size;
	const char *name = s->capture.memories[i].name;
	*base = capture_memory_at(&s->capture, i, &size);
	if (image_find(s->image, SPACE_MEMORY, name, space) == ERR_OK &&
	    image_space(s->image, *space)->size == size)
		return true;
	s->err = image_put_space(s->image, SPACE_MEMORY, name, 0, size, space);
	return s->err == ERR_OK;
}

/* True when it differed. A page that was zero until now takes room from now on. */
static bool copy_page(struct saved *s, uint32_t space, uint64_t page, const uint8_t *from)
{
	bool was_zero = bytes_are_zero(image_page(s->image, space, page), CHUNK_PAGE);
	if (!image_write_page(s->image, space, page, from))
		return false;
	s->used_pages += was_zero;
	if (s->used_pages * CHUNK_PAGE > SAVED_BYTES_MAX)
		s->err = err_set(&s->msg, ERR_LIMIT, "more than %d MiB of its memory are in use",
		                 (int)(SAVED_BYTES_MAX >> 20));
	return true;
}

/* Pages whose bit is set; bits NULL: all. Returns how many differed. What the guest writes meanwhile is written: the next
 * round has it. */
static uint64_t copy_memory(struct saved *s, uint32_t i, const uint8_t *bits, uint64_t nbits)
{
	uint64_t changed = 0;
	uint32_t space;
	const uint8_t *base;
	if (!fit_memory(s, i, &space, &base))
		return 0;
	uint64_t pages = image_pages(s->image, space);
	for (uint64_t page = 0; page < pages; page++) {
		if (page % LOOK_PAGES == 0 && !goes_on(s))
			break;
		if (!bits || page >= nbits || bits[page / 8] >> (page % 8) & 1)
			changed += copy_page(s, space, page, base + page * CHUNK_PAGE);
	}
	return changed;
}

static bool is_tracked(const struct saved *s, const struct process *p)
{
	for (uint32_t i = 0; i < s->ntracked; i++)
		if (s->tracked[i] == p)
			return true;
	return false;
}

/* Of a process that was born since all pages are looked at. */
static uint64_t copy_one(struct saved *s, uint32_t i, bool written, bool clear)
{
	const struct captured_memory *m = &s->capture.memories[i];
	uint64_t size, changed = 0;
	capture_memory_at(&s->capture, i, &size);
	if (!written || !is_tracked(s, m->p))
		return copy_memory(s, i, NULL, 0);
	size_t bytes = (size_t)(size / CHUNK_PAGE / 8 + 16) & ~(size_t)7;
	uint8_t *bits = calloc(bytes, 1);
	s->err = bits ? store_track_collect(m->p->store, m->index, bits, bytes, clear) : ERR_NOMEM;
	if (s->err == ERR_OK)
		changed = copy_memory(s, i, bits, size / CHUNK_PAGE);
	free(bits);
	return changed;
}

/* Every memory; written: only what was written since the last look, and clear makes it unwritten. */
static uint64_t copy_round(struct saved *s, bool written, bool clear)
{
	uint64_t changed = 0;
	for (uint32_t i = 0; goes_on(s) && i < s->capture.nmemories; i++)
		changed += copy_one(s, i, written, clear);
	return changed;
}

/* They stand: from now on it is known what they write. */
static void track_run(void *ctx)
{
	struct saved *s = ctx;
	s->ntracked = 0;
	for (uint32_t i = 0; s->err == ERR_OK && i < kin_grip_count(s->grip); i++) {
		struct process *p = kin_grip_at(s->grip, i);
		s->err = store_track_start(p->store);
		s->tracked[s->ntracked++] = p;
	}
	if (s->err == ERR_OK)
		s->err = capture_modules(&s->modules, s->grip, &s->msg);
	if (s->err == ERR_OK)
		s->err = capture_memories(&s->capture, s->tracked, s->ntracked, &s->msg);
}

static void track_stop(struct saved *s)
{
	for (uint32_t i = 0; i < kin_grip_count(s->grip); i++) {
		struct process *p = kin_grip_at(s->grip, i);
		if (is_tracked(s, p) && p->store)
			store_track_stop(p->store);
	}
	s->ntracked = 0;
}

static void copy_run(void *ctx)
{
	struct saved *s = ctx;
	s->err = module_list_name(&s->modules, s->image);
	uint64_t changed = copy_round(s, false, false);
	for (int i = 0; i < ROUNDS_MAX && goes_on(s) && changed > FEW_PAGES; i++)
		changed = copy_round(s, true, true);
}

/* While it stands: not given up half way, it is short. */
static void last_run(void *ctx)
{
	struct saved *s = ctx;
	module_list_free(&s->modules); /* of one that ended since track_run() */
	s->err = capture_modules(&s->modules, s->grip, &s->msg);
	if (s->err == ERR_OK)
		s->err = capture_begin(&s->capture, s->grip, &s->msg);
	if (s->err == ERR_OK)
		s->err = capture_state(&s->capture, s->image, &s->msg);
	if (s->err == ERR_OK)
		copy_round(s, true, false);
	if (s->err == ERR_OK)
		s->err = module_list_name(&s->modules, s->image);
}

static void store_run(void *ctx)
{
	struct saved *s = ctx;
	struct node *n = s->saver->node;
	s->err = depot_store_image(n, node_depot(n), s->image, &s->modules, &s->msg);
	if (s->err == ERR_OK)
		s->err = image_id(s->image, &s->id);
}

/* ---- the chain ---- */

static void call_left(struct saved *s)
{
	void (*fn)(void *ctx) = s->left;
	s->left = NULL;
	if (fn)
		fn(s->left_ctx);
}

static uint64_t kept_bytes(const struct saver *k)
{
	uint64_t sum = 0;
	for (const struct saved *s = k->list; s; s = s->next)
		if (s->image)
			sum += image_bytes_total(s->image);
	return sum;
}

/* From any phase. */
static void finish(struct saved *s)
{
	struct saver *k = s->saver;
	struct process *p = s->p;
	kin_thaw(s->grip);
	if (s->phase == COPYING)
		track_stop(s);
	if (s->err != ERR_OK && s->err != ERR_CLOSED && !s->status.too_large)
		node_log_about(k->node, LOG_WARN, "saver",
		               &(struct log_about){.event = LOG_EVENT_checkpoint_failed,
		                                   .pid = p->pid,
		                                   .program = p->name,
		                                   .error = s->err},
		               "no checkpoint of %u (%s): %s", p->pid, p->name,
		               s->msg.text[0] ? s->msg.text : err_text(s->err));
	if (s->err != ERR_CLOSED)
		s->status.too_large = s->err == ERR_LIMIT;
	if (s->held)
		depot_release(node_depot(k->node));
	s->held = false;
	s->phase = IDLE;
	s->p = NULL;
	k->running = NULL;
	s->ended_ns = os_monotonic_ns();
	module_list_free(&s->modules);
	capture_end(&s->capture);
	if (s->err != ERR_OK || kept_bytes(k) > KEPT_BYTES_MAX) {
		image_free(s->image);
		s->image = NULL;
	}
	call_left(s);
	kin_grip_free(s->grip);
	s->grip = NULL;
}

static void give_up(struct saved *s, enum err e)
{
	if (s->err == ERR_OK)
		s->err = e;
	finish(s);
}

static void written(void *ctx, enum err e, const struct errmsg *msg)
{
	struct saved *s = ctx;
	struct node *n = s->saver->node;
	moves_ended_meanwhile(n, s->uid);
	moves_garbage(n);
	s->err = e;
	s->msg = *msg;
	if (e == ERR_OK) {
		s->status.count++;
		n->counters.checkpoints++;
		s->status.last_unix_ms = s->stood_unix_ms;
		s->status.stood_ns = s->stood_ns;
		s->status.took_ns = os_monotonic_ns() - s->began_ns;
	}
	finish(s);
}

/* S2 */
static bool may_be_written(const struct saved *s)
{
	const struct process *p = s->p;
	struct move_status st;
	return !atomic_load(&s->stop) && process_alive(p) && !p->forgotten &&
	       p->hold == HOLD_NONE && !moves_status(p->node, p->uid, &st);
}

static void stored(void *ctx)
{
	struct saved *s = ctx;
	if (s->err != ERR_OK || !may_be_written(s)) {
		give_up(s, ERR_CLOSED); /* the image is dropped, which keeps S3 */
		return;
	}
	struct owner o = moves_record_of(s->p->node, s->p);
	o.image = s->id;
	s->phase = WRITING;
	moves_write(s->p->node, &o, written, s);
}

static void copied_last(void *ctx)
{
	struct saved *s = ctx;
	struct saver *k = s->saver;
	uint64_t stood = os_monotonic_ns() - s->froze_ns;
	s->stood_ns = stood > s->stood_ns ? stood : s->stood_ns;
	bool stood_all = kin_stand(s->grip);
	kin_thaw(s->grip);
	if (!goes_on(s) || !stood_all || !may_be_written(s)) {
		give_up(s, ERR_CLOSED);
		return;
	}
	track_stop(s);
	s->phase = STORING;
	depot_hold(node_depot(k->node));
	s->held = true;
	work_start(k->node, &k->work, store_run, stored, s);
}

static void stands_again(void *ctx, enum err e)
{
	struct saved *s = ctx;
	s->stood_unix_ms = (int64_t)(os_wall_ns() / 1000000);
	s->cpu_ns = kin_cpu_ns(s->p);
	s->talk = kin_talk(s->p);
	if (e == ERR_OK && !atomic_load(&s->stop))
		work_start(s->p->node, &s->saver->work, last_run, copied_last, s);
	else
		give_up(s, ERR_CLOSED);
}

static void freeze(struct saved *s, kin_frozen_fn fn)
{
	s->froze_ns = os_monotonic_ns();
	kin_freeze(s->grip, fn, s);
}

static void copied(void *ctx)
{
	struct saved *s = ctx;
	if (goes_on(s))
		freeze(s, stands_again);
	else
		give_up(s, ERR_CLOSED);
}

static void tracked(void *ctx)
{
	struct saved *s = ctx;
	s->stood_ns = os_monotonic_ns() - s->froze_ns;
	kin_thaw(s->grip);
	if (goes_on(s))
		work_start(s->p->node, &s->saver->work, copy_run, copied, s);
	else
		give_up(s, ERR_CLOSED);
}

static void stands(void *ctx, enum err e)
{
	struct saved *s = ctx;
	if (e == ERR_OK && !atomic_load(&s->stop))
		work_start(s->p->node, &s->saver->work, track_run, tracked, s);
	else
		give_up(s, ERR_CLOSED);
}

static void begin(struct saved *s, struct process *p)
{
	assert(s->phase == IDLE && !s->saver->running);
	const struct owner *o = moves_record(p->node, p->uid);
	if (s->image && !(o && chunk_addr_equal(&o->image, &s->id))) { /* S3 */
		image_free(s->image);
		s->image = NULL;
	}
	if (!s->image) {
		s->image = image_new();
		s->used_pages = 0;
	}
	s->err = ERR_OK;
	s->msg = (struct errmsg){0};
	if (!s->image || kin_grip_new(p, &s->grip, &s->msg) != ERR_OK) {
		node_log_about(p->node, LOG_WARN, "saver",
		               &(struct log_about){.event = LOG_EVENT_checkpoint_failed,
		                                   .pid = p->pid,
		                                   .program = p->name,
		                                   .error = ERR_NOMEM},
		               "no checkpoint of %u (%s): %s", p->pid, p->name,
		               s->msg.text[0] ? s->msg.text : err_text(ERR_NOMEM));
		s->began_ns = s->ended_ns = os_monotonic_ns();
		return;
	}
	s->saver->running = s;
	s->phase = COPYING;
	s->p = p;
	atomic_store(&s->stop, false);
	s->began_ns = os_monotonic_ns();
	freeze(s, stands);
}

/* ---- whose turn it is ---- */

static bool in_the_background(const struct process *p)
{
	for (const struct session *s = p->sessions; s; s = s->next)
		if (s->flags & SESSION_OWNS)
			return false;
	return true;
}

/* Seconds; 0: never. */
static uint32_t interval_of(const struct process *p)
{
	if (p->checkpoint_s != PROCESS_CHECKPOINT_DEFAULT)
		return p->checkpoint_s;
	return in_the_background(p) ? p->node->cfg.checkpoint_s : 0;
}

/* A move's end is still being written, or its process is on its way. */
static bool is_settled(struct process *p)
{
	struct move_status st;
	struct errmsg why;
	const struct owner *o = moves_record(p->node, p->uid);
	return kin_is_free(p, &why) == ERR_OK && p->store && p->module &&
	       !moves_status(p->node, p->uid, &st) && !moves_uses(p->node, p) &&
	       (!o || (o->state == OWNER_OWNED && !o->pending));
}

/* A part of a family, whose image is not of now: it has told its relatives something since or heard of them, it has just come, or others have
 * just left it. While they talk on there is no use. */
static bool is_behind(struct saved *s, struct process *p)
{
	const struct owner *o = moves_record(p->node, p->uid);
	bool has_image = o && !chunk_addr_is_null(&o->image);
	uint64_t talk = kin_talk(p), before = s->talk_seen;
	s->talk_seen = talk;
	return kin_has_elsewhere(p) && talk == before &&
	       (!s->ended_ns || !has_image || talk != s->talk);
}

static bool is_due(struct saved *s, struct process *p, uint32_t interval_s, uint64_t now_ns)
{
	uint64_t wait = interval_s * SECOND_NS, rest = s->ended_ns - s->began_ns;
	bool at_once = is_behind(s, p);
	if (!s->ended_ns)
		return at_once ||
		       now_ns >=
		           s->seen_ns + (wait < FIRST_S * SECOND_NS ? wait : FIRST_S * SECOND_NS);
	rest *= p->checkpoint_s == PROCESS_CHECKPOINT_DEFAULT ? REST : REST_ASKED;
	if (s->status.too_large)
		rest *= REST_TOO_LARGE;
	if (wait < rest || at_once)
		wait = rest;
	return now_ns >= s->ended_ns + wait && (at_once || kin_cpu_ns(p) != s->cpu_ns);
}

static struct saved *saved_of(struct saver *k, const struct process *p)
{
	struct saved *s = find(k, p->uid);
	if (s)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->saver = k;
	s->seen_ns = os_monotonic_ns();
	memcpy(s->uid, p->uid, sizeof s->uid);
	s->next = k->list;
	k->list = s;
	return s;
}

/* Of processes that are not here any more. */
static void drop_gone(struct saver *k)
{
	for (struct saved **at = &k->list, *s; (s = *at);) {
		if (s->phase != IDLE || process_find_uid(k->node, s->uid)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		image_free(s->image);
		free(s);
	}
}

static void on_timer(uv_timer_t *t)
{
	struct saver *k = t->data;
	uint64_t now = os_monotonic_ns();
	drop_gone(k);
	for (struct process *p = process_first(k->node); p && !k->running; p = p->next) {
		uint32_t interval = p->leads && is_settled(p) ? interval_of(p) : 0;
		struct saved *s = interval ? saved_of(k, p) : NULL;
		if (s && !keeper_is_stopping(k->node) && is_due(s, p, interval, now))
			begin(s, p);
	}
}

/* ---- for others ---- */

bool saver_status(struct node *n, const struct process *p, struct saver_status *out)
{
	const struct saved *s = find(n->saver, p->uid);
	if (s)
		*out = s->status;
	return s && (s->status.count > 0 || s->status.too_large);
}

void saver_leave(struct node *n, const struct process *p, void (*fn)(void *ctx), void *ctx)
{
	struct saved *s = find(n->saver, p->uid);
	if (s)
		atomic_store(&s->stop, true);
	if (!s || s->phase == IDLE || s->phase == STORING) {
		fn(ctx);
		return;
	}
	assert(!s->left);
	s->left = fn;
	s->left_ctx = ctx;
}

/* ---- the part ---- */

enum err saver_open(struct node *n, struct errmsg *msg)
{
	struct saver *k = calloc(1, sizeof *k);
	if (!k)
		return err_set(msg, ERR_NOMEM, "saver: out of memory");
	k->node = n;
	k->timer.data = k;
	uv_timer_init(&n->loop, &k->timer);
	uv_timer_start(&k->timer, on_timer, TICK_MS, TICK_MS);
	n->saver = k;
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	free(h->data);
}

/* All processes have ended: what a checkpoint waits for comes. */
void saver_close(struct node *n)
{
	struct saver *k = n->saver;
	uv_timer_stop(&k->timer);
	if (k->running)
		atomic_store(&k->running->stop, true);
	while (k->running)
		uv_run(&n->loop, UV_RUN_ONCE);
	for (struct saved *s = k->list, *next; s; s = next) {
		next = s->next;
		image_free(s->image);
		free(s);
	}
	uv_close((uv_handle_t *)&k->timer, closed);
	n->saver = NULL;
}
