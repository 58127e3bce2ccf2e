/* trims.c - trims.h.
 *
 * Truths: at most one round is under way, and in it at most one program is on its way to the disk (round.uid). round.failed lists
 * those that could not be put to sleep, so that a round ends. The list is written after each change.
 */
#include "node/moves/trims.h"

#include "base/os_device.h"
#include "engine/engine.h"
#include "node/moves/checkpoint.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/drivers/drivers.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char key[] = "trimmed";

enum { MIB = 1 << 20 };

/* As it stands in the depot. */
struct sleeper {
	uint8_t uid[PROCESS_UID_SIZE];
	uint8_t by_watch;
};

struct round {
	bool on, all, once, by_watch;
	uint8_t uid[PROCESS_UID_SIZE]; /* on its way */
	uint32_t slept, nfailed;
	uint64_t bytes;
	uint8_t failed[16][PROCESS_UID_SIZE];
	struct errmsg why;         /* of the first that failed */
	struct control_call *call; /* NULL: nobody waits (any more) */
};

struct trims {
	struct node *node;
	uv_timer_t timer;
	uint64_t floor_bytes, fine_since_ms;
	struct sleeper *list;
	uint32_t count, waking; /* resumes under way */
	struct round round;
	struct {
		struct control_call *call;
		uint32_t woken, failed;
		struct errmsg why;
	} wake;
};

/* ---- the list ---- */

static void write_list(struct trims *t)
{
	struct errmsg msg = {0};
	if (depot_keep_setting(node_depot(t->node), key, t->list, t->count * sizeof *t->list,
	                       &msg) != ERR_OK)
		node_log(t->node, LOG_WARN, "trim", "the list of who sleeps is not kept: %s",
		         msg.text);
}

static void read_list(struct trims *t)
{
	struct wr w = {0};
	if (depot_get(node_depot(t->node), DEPOT_SETTINGS, key, sizeof key, &w) == ERR_OK &&
	    w.size % sizeof *t->list == 0 && w.size / sizeof *t->list <= TRIM_MAX) {
		t->count = (uint32_t)(w.size / sizeof *t->list);
		memcpy(t->list, w.data, w.size);
	}
	wr_free(&w);
}

static void list_add(struct trims *t, const uint8_t uid[PROCESS_UID_SIZE], bool by_watch)
{
	if (t->count == TRIM_MAX)
		return; /* it sleeps; `wasmos resume PID` wakes it */
	struct sleeper *s = &t->list[t->count++];
	memcpy(s->uid, uid, sizeof s->uid);
	s->by_watch = by_watch;
	write_list(t);
}

static void list_remove(struct trims *t, const uint8_t uid[PROCESS_UID_SIZE])
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (memcmp(t->list[i].uid, uid, PROCESS_UID_SIZE) != 0)
			continue;
		memmove(&t->list[i], &t->list[i + 1], (t->count - i - 1) * sizeof *t->list);
		t->count--;
		write_list(t);
		return;
	}
}

/* Woken by somebody else, or gone, meanwhile. */
static const struct owner *asleep(struct trims *t, const struct sleeper *s)
{
	const struct owner *o = moves_record(t->node, s->uid);
	return o && o->state == OWNER_SUSPENDED ? o : NULL;
}

/* ---- to sleep ---- */

static bool is_attended(const struct process *p)
{
	struct drivers_stats st = {0};
	if (p->sessions)
		return true;
	drivers_stats(p->drivers, &st);
	return st.display && st.host && strcmp(st.host, "headless") != 0 &&
	       strcmp(st.host, "none") != 0;
}

static uint64_t bytes_of(const struct process *p)
{
	uint64_t sum = 0, size;
	for (uint32_t i = 0; i < store_memory_count(p->store); i++) {
		store_memory(p->store, i, &size);
		sum += size;
	}
	return sum;
}

static bool has_failed(const struct round *r, const struct process *p)
{
	for (uint32_t i = 0; i < r->nfailed; i++)
		if (memcmp(r->failed[i], p->uid, PROCESS_UID_SIZE) == 0)
			return true;
	return false;
}

static bool may_sleep(const struct round *r, const struct process *p)
{
	return p->leads && p->state == PROCESS_RUNNING && p->hold == HOLD_NONE && p->store &&
	       (r->all || !is_attended(p)) && !has_failed(r, p);
}

static struct process *largest(struct trims *t)
{
	struct process *best = NULL;
	if (t->round.nfailed == sizeof t->round.failed / sizeof t->round.failed[0])
		return NULL;
	for (struct process *p = process_first(t->node); p; p = p->next)
		if (may_sleep(&t->round, p) && (!best || bytes_of(p) > bytes_of(best)))
			best = p;
	return best;
}

static void round_over(struct trims *t)
{
	struct round *r = &t->round;
	struct control_call *c = r->call;
	r->on = false;
	r->call = NULL;
	if (!c)
		return;
	if (r->nfailed && !r->slept) {
		control_end(c, ERR_STATE, &r->why);
		return;
	}
	control_row(c);
	control_put_u64(c, "suspended", r->slept);
	control_put_u64(c, "failed", r->nfailed);
	control_put_u64(c, "bytes", r->bytes);
	control_put_f64(c, "mib", (double)r->bytes / MIB);
	control_row_end(c);
	control_end(c, ERR_OK, NULL);
}

static void next(struct trims *t);

static void slept(void *ctx, enum err e, const struct errmsg *msg,
                  const struct checkpoint_report *report)
{
	struct trims *t = ctx;
	struct round *r = &t->round;
	if (e == ERR_OK) {
		r->slept++;
		r->bytes += report->bytes;
		list_add(t, r->uid, r->by_watch);
		node_log_about(
		    t->node, LOG_INFO, "trim",
		    &(struct log_about){.event = LOG_EVENT_program_slept, .pid = report->pid},
		    "%u sleeps on disk: %llu KiB", report->pid,
		    (unsigned long long)report->bytes / 1024);
	} else {
		if (!r->nfailed)
			r->why = *msg;
		memcpy(r->failed[r->nfailed++], r->uid, sizeof r->uid);
		node_log_about(t->node, LOG_WARN, "trim",
		               &(struct log_about){.event = LOG_EVENT_program_slept,
		                                   .pid = report->pid,
		                                   .error = e},
		               "%u stays awake: %s", report->pid, msg->text);
	}
	next(t);
}

static void next(struct trims *t)
{
	struct round *r = &t->round;
	struct process *p = t->node->stopping || (r->once && r->slept) ? NULL : largest(t);
	if (!p) {
		round_over(t);
		return;
	}
	memcpy(r->uid, p->uid, sizeof r->uid);
	checkpoint_suspend(p, slept, t);
}

static void caller_gone(void *ctx)
{
	struct trims *t = ctx;
	t->round.call = NULL;
}

void control_trim(struct node *n, struct control_call *c)
{
	struct trims *t = n->trims;
	if (t->round.on) {
		control_fail(c, ERR_BUSY, "programs are being put to sleep already");
		return;
	}
	t->round = (struct round){.on = true, .all = control_flag(c, "all"), .call = c};
	control_on_gone(c, caller_gone, t);
	next(t);
}

/* ---- awake ---- */

struct waking {
	struct trims *trims;
	uint8_t uid[PROCESS_UID_SIZE];
};

static void wake_over(struct trims *t)
{
	struct control_call *c = t->wake.call;
	t->wake.call = NULL;
	if (!c)
		return;
	if (t->wake.failed && !t->wake.woken) {
		control_end(c, ERR_STATE, &t->wake.why);
		return;
	}
	control_row(c);
	control_put_u64(c, "resumed", t->wake.woken);
	control_put_u64(c, "failed", t->wake.failed);
	control_row_end(c);
	control_end(c, ERR_OK, NULL);
}

static void woken(void *ctx, enum err e, const struct errmsg *msg,
                  const struct checkpoint_report *report)
{
	struct waking *w = ctx;
	struct trims *t = w->trims;
	if (e == ERR_OK) {
		t->wake.woken++;
		list_remove(t, w->uid);
	} else {
		if (!t->wake.failed++)
			t->wake.why = *msg;
		node_log_about(t->node, LOG_WARN, "trim",
		               &(struct log_about){.event = LOG_EVENT_program_slept,
		                                   .pid = report->pid,
		                                   .error = e},
		               "%u stays asleep: %s", report->pid, msg->text);
	}
	free(w);
	if (!--t->waking)
		wake_over(t);
}

static void wake(struct trims *t, const struct sleeper *s)
{
	const struct owner *o = asleep(t, s);
	struct waking *w = o ? malloc(sizeof *w) : NULL;
	if (!w)
		return;
	w->trims = t;
	memcpy(w->uid, s->uid, sizeof w->uid);
	t->waking++;
	checkpoint_resume(t->node, o, woken, w);
}

static void drop_awake(struct trims *t)
{
	for (uint32_t i = t->count; i-- > 0;)
		if (!asleep(t, &t->list[i]))
			list_remove(t, t->list[i].uid);
}

static void wake_caller_gone(void *ctx)
{
	struct trims *t = ctx;
	t->wake.call = NULL;
}

void trims_resume(struct node *n, struct control_call *c)
{
	struct trims *t = n->trims;
	if (t->waking) {
		control_fail(c, ERR_BUSY, "programs are being woken already");
		return;
	}
	memset(&t->wake, 0, sizeof t->wake);
	t->wake.call = c;
	control_on_gone(c, wake_caller_gone, t);
	drop_awake(t);
	t->waking++; /* so that none is the last before all are asked */
	uint32_t count = t->count;
	for (uint32_t i = 0; i < count; i++)
		wake(t, &t->list[i]);
	if (!--t->waking)
		wake_over(t);
}

/* ---- the watch ---- */

static void wake_one(struct trims *t)
{
	drop_awake(t);
	for (uint32_t i = t->count; i-- > 0;) {
		if (!t->list[i].by_watch)
			continue;
		memset(&t->wake, 0, sizeof t->wake);
		wake(t, &t->list[i]);
		return;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct trims *t = timer->data;
	struct os_memory m;
	uint64_t now = uv_now(&t->node->loop);
	if (t->node->stopping || t->round.on || t->waking || !os_memory_now(&m))
		return;
	if (m.available_bytes < t->floor_bytes || m.stalled_percent >= TRIM_STALL_PERCENT) {
		t->fine_since_ms = 0;
		t->round = (struct round){.on = true, .once = true, .by_watch = true};
		t->round.all = m.available_bytes < t->floor_bytes / 2;
		next(t);
	} else if (m.available_bytes < 2 * t->floor_bytes) {
		t->fine_since_ms = 0;
	} else if (!t->fine_since_ms) {
		t->fine_since_ms = now;
	} else if (now - t->fine_since_ms >= TRIM_FINE_MS) {
		t->fine_since_ms = now;
		wake_one(t);
	}
}

static void start_watch(struct trims *t)
{
	struct os_memory m;
	t->floor_bytes = t->node->cfg.low_memory_bytes;
	if (!t->floor_bytes && os_memory_now(&m))
		t->floor_bytes = os_memory_floor_bytes(m.total_bytes);
	if (!t->floor_bytes)
		return;
	node_log(t->node, LOG_INFO, "trim",
	         "programs go to sleep on disk when less than %llu MiB are left",
	         (unsigned long long)t->floor_bytes / MIB);
	uv_timer_start(&t->timer, on_tick, TRIM_WATCH_MS, TRIM_WATCH_MS);
}

bool trims_busy(struct node *n)
{
	return n->trims && (n->trims->round.on || n->trims->waking);
}

/* ---- life ---- */

enum err trims_open(struct node *n, struct errmsg *msg)
{
	struct trims *t = calloc(1, sizeof *t);
	if (t)
		t->list = calloc(TRIM_MAX, sizeof *t->list);
	if (!t || !t->list) {
		free(t);
		return err_set(msg, ERR_NOMEM, "trims: out of memory");
	}
	t->node = n;
	t->timer.data = t;
	uv_timer_init(&n->loop, &t->timer);
	n->trims = t;
	read_list(t);
	start_watch(t);
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct trims *t = h->data;
	free(t->list);
	free(t);
}

void trims_close(struct node *n)
{
	uv_close((uv_handle_t *)&n->trims->timer, closed);
	n->trims = NULL;
}
