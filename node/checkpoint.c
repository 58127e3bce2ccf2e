/* checkpoint.c - suspend, resume, snapshot, restore: each a chain of loop -> pool -> loop steps on one struct. */
#include "node/checkpoint.h"

#include "base/file.h"
#include "base/os.h"
#include "engine/engine.h"
#include "migrate/snapshot.h"
#include "node/awake.h"
#include "node/disk.h"
#include "node/keeper.h"
#include "node/modules.h"
#include "node/moves.h"
#include "node/node.h"
#include "node/revive.h"
#include "node/store.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint {
	struct node *node;
	struct process *p; /* pinned while it is set by begin() */
	struct image *image;
	struct module *module;
	struct owner record;
	char *path;
	checkpoint_fn fn;
	void *ctx;
	struct checkpoint_report report;
	uint64_t began_ns, froze_ns;
	enum err err;
	struct errmsg msg;
	bool held, coming;
};

static struct checkpoint *new_one(struct node *n, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	c->node = n;
	c->fn = fn;
	c->ctx = ctx;
	c->began_ns = os_monotonic_ns();
	c->image = image_new();
	if (!c->image)
		abort();
	return c;
}

static void finish(struct checkpoint *c)
{
	c->report.total_ns = os_monotonic_ns() - c->began_ns;
	if (c->held)
		depot_release(node_depot(c->node));
	if (c->coming)
		awake_end(c->node, c->record.uid);
	c->fn(c->ctx, c->err, &c->msg, &c->report);
	if (c->p)
		process_unpin(c->p);
	if (c->module)
		module_unref(c->module);
	image_free(c->image);
	free(c->path);
	free(c);
}

static void fail(struct checkpoint *c, enum err e, const char *text)
{
	c->err = err_set(&c->msg, e, "%s", text);
	finish(c);
}

static void work(struct checkpoint *c, work_fn run, work_fn done)
{
	work_start(c->node, moves_work_count(c->node), run, done, c);
}

static void hold_depot(struct checkpoint *c)
{
	depot_hold(node_depot(c->node));
	c->held = true;
}

/* Freezes it, then fn on the pool while it stands. */
static bool begin(struct checkpoint *c, struct process *p, process_frozen_fn fn)
{
	if (p->state != PROCESS_RUNNING || p->hold != HOLD_NONE) {
		c->err =
		    err_set(&c->msg, ERR_STATE,
		            process_alive(p) ? "process %u is %s" : "process %u has ended (%s)",
		            p->pid, process_state_text(p));
		finish(c);
		return false;
	}
	c->p = p;
	c->report.pid = p->pid;
	c->module = module_ref(p->module);
	process_pin(p);
	c->froze_ns = os_monotonic_ns();
	process_freeze(p, fn, c);
	return true;
}

static void stood(struct checkpoint *c)
{
	c->report.stood_ns = os_monotonic_ns() - c->froze_ns;
	c->report.bytes = image_bytes_total(c->image);
}

/* Sections, memory, and the module's name. */
static void take_image(struct checkpoint *c, bool in_place)
{
	struct code_ref ref;
	size_t size;
	const uint8_t *bytes = module_bytes(c->module, &size);
	c->err =
	    in_place ? capture_in_place(c->p, c->image, &c->msg) : capture(c->p, c->image, &c->msg);
	if (c->err == ERR_OK)
		c->err = module_cut(module_hash(c->module), bytes, size, NULL, NULL, &ref);
	if (c->err == ERR_OK)
		c->err = image_put_module(c->image, &ref);
}

/* Whether a person has ended it meanwhile; a node that goes down ends all, and what has an image on disk stays there. */
static bool was_killed(struct node *n, const uint8_t uid[UID_SIZE])
{
	if (keeper_is_stopping(n) || process_find_uid(n, uid))
		return false;
	for (const struct process *p = process_first(n); p; p = p->next)
		if (!memcmp(p->uid, uid, UID_SIZE) && p->end.reason == END_KILLED)
			return true;
	return false;
}

/* Nothing of it shall be left that could be resumed. */
static bool discard_killed(struct checkpoint *c, const uint8_t uid[UID_SIZE])
{
	if (!was_killed(c->node, uid))
		return false;
	moves_discard(c->node, uid);
	c->err = err_set(&c->msg, ERR_CLOSED, "process %u was ended meanwhile", c->report.pid);
	return true;
}

/* ---- suspend ---- */

static void suspend_run(void *ctx)
{
	struct checkpoint *c = ctx;
	take_image(c, true); /* it stands until all is on disk: no copy is needed */
	if (c->err == ERR_OK)
		c->err =
		    depot_store_image(c->node, node_depot(c->node), c->image, c->module, &c->msg);
	if (c->err == ERR_OK)
		c->err = image_id(c->image, &c->record.image);
}

static void undo(struct checkpoint *c)
{
	c->p->hold = HOLD_NONE;
	process_thaw(c->p);
	finish(c);
}

static void suspend_written(void *ctx, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	if (e != ERR_OK) {
		c->err = e;
		c->msg = *msg;
		undo(c);
		return;
	}
	if (c->p->state == PROCESS_FROZEN)
		process_forget(c->p);
	else
		discard_killed(c, c->p->uid);
	finish(c);
}

static void suspend_stored(void *ctx)
{
	struct checkpoint *c = ctx;
	stood(c);
	if (c->err == ERR_OK && c->p->state != PROCESS_FROZEN)
		c->err = err_set(&c->msg, ERR_CLOSED, "the process was ended meanwhile");
	if (c->err != ERR_OK) {
		undo(c);
		return;
	}
	struct owner o = moves_record_of(c->node, c->p);
	o.state = OWNER_SUSPENDED;
	o.image = c->record.image;
	moves_write(c->node, &o, suspend_written, c);
}

static void suspend_frozen(void *ctx, struct process *p, enum process_state state)
{
	struct checkpoint *c = ctx;
	if (state != PROCESS_FROZEN) {
		fail(c, ERR_CLOSED, "the process ended by itself");
		return;
	}
	p->hold = HOLD_SUSPENDED;
	work(c, suspend_run, suspend_stored);
}

void checkpoint_suspend(struct process *p, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(p->node, fn, ctx);
	struct move_status st;
	hold_depot(c);
	/* The record of one that has just arrived is still being written. */
	if (moves_status(p->node, p->uid, &st))
		fail(c, ERR_BUSY, "the process is moving: try again in a moment");
	else
		begin(c, p, suspend_frozen);
}

/* ---- resume ---- */

static void resume_load(void *ctx)
{
	struct checkpoint *c = ctx;
	image_free(c->image);
	c->image = NULL;
	c->err = depot_load_image(node_depot(c->node), &c->record.image, &c->image, &c->msg);
}

static void resume_written(void *ctx, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	struct process *p = process_find_uid(c->node, c->record.uid);
	c->err = e;
	c->msg = *msg;
	if (p && e == ERR_OK) {
		p->hold = HOLD_NONE;
		process_thaw(p);
	} else if (p && p->state == PROCESS_FROZEN) {
		process_forget(p);
	} else {
		discard_killed(c, c->record.uid);
	}
	finish(c);
}

static void resume_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	if (!p) {
		c->err = e;
		c->msg = *msg;
		discard_killed(c, c->record.uid);
		finish(c);
		return;
	}
	struct owner o = c->record;
	p->hold = HOLD_SUSPENDED;
	p->epoch = o.epoch;
	c->report.pid = o.pid = p->pid;
	o.state = OWNER_OWNED;
	moves_write(c->node, &o, resume_written, c);
}

static void resume_loaded(void *ctx)
{
	struct checkpoint *c = ctx;
	if (c->err != ERR_OK) {
		finish(c);
		return;
	}
	c->report.bytes = image_bytes_total(c->image);
	revive(c->node, c->image, false, resume_revived, c);
}

void checkpoint_resume(struct node *n, const struct owner *record, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(n, fn, ctx);
	c->record = *record;
	c->report.pid = record->pid;
	hold_depot(c);
	if (record->state != OWNER_SUSPENDED) {
		fail(c, ERR_STATE, "the process is not suspended");
		return;
	}
	c->coming = true;
	awake_begin(n, record->uid, record->pid);
	work(c, resume_load, resume_loaded);
}

/* ---- snapshot ---- */

enum { FILE_MAX = 1 << 30 };

static void snapshot_run(void *ctx)
{
	struct checkpoint *c = ctx;
	struct wr w = {0};
	size_t size;
	const uint8_t *bytes = module_bytes(c->module, &size);
	c->err = snapshot_write(c->image, bytes, size, &w);
	if (c->err != ERR_OK)
		err_set(&c->msg, c->err, "%s", err_text(c->err));
	else if (w.size > FILE_MAX)
		c->err = err_set(&c->msg, ERR_LIMIT,
		                 "the snapshot would have %zu MiB, and at most %d are read again",
		                 w.size >> 20, FILE_MAX >> 20);
	else
		c->err = file_replace(c->path, w.data, w.size, &c->msg);
	c->report.bytes = w.size;
	wr_free(&w);
}

static void snapshot_written(void *ctx)
{
	finish(ctx);
}

static void snapshot_take(void *ctx)
{
	struct checkpoint *c = ctx;
	take_image(c, false);
	if (c->err == ERR_OK)
		c->err = grants_keep(c->node, c->p->uid, &c->msg);
}

static void snapshot_taken(void *ctx)
{
	struct checkpoint *c = ctx;
	stood(c);
	process_thaw(c->p);
	if (c->err != ERR_OK)
		finish(c);
	else
		work(c, snapshot_run, snapshot_written);
}

static void snapshot_frozen(void *ctx, struct process *p, enum process_state state)
{
	struct checkpoint *c = ctx;
	if (state == PROCESS_FROZEN)
		work(c, snapshot_take, snapshot_taken);
	else
		fail(c, ERR_CLOSED, "the process ended by itself");
}

void checkpoint_snapshot(struct process *p, const char *path, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(p->node, fn, ctx);
	c->path = strdup(path);
	if (!c->path)
		abort();
	begin(c, p, snapshot_frozen);
}

/* ---- restore ---- */

static enum err read_file(const char *path, struct wr *w, struct errmsg *msg)
{
	struct file *f;
	struct file_info info;
	TRY(file_open(path, &f, &info, msg));
	uint8_t *room = NULL;
	enum err e = ERR_OK;
	if (info.size_bytes > FILE_MAX)
		e = err_set(msg, ERR_LIMIT, "%s is larger than %d MiB", path, FILE_MAX >> 20);
	else if (!(room = wr_space(w, (size_t)info.size_bytes)) && info.size_bytes)
		e = err_set(msg, ERR_NOMEM, "no memory for %llu bytes",
		            (unsigned long long)info.size_bytes);
	if (e == ERR_OK)
		e = file_read(f, room, (size_t)info.size_bytes, 0, msg);
	file_close(f);
	return e;
}

static void restore_read(void *ctx)
{
	struct checkpoint *c = ctx;
	struct wr file = {0}, module = {0};
	image_free(c->image);
	c->image = NULL;
	c->err = read_file(c->path, &file, &c->msg);
	c->report.bytes = file.size;
	if (c->err == ERR_OK && (file.size < 4 || memcmp(file.data, "WOSN", 4) != 0))
		c->err = err_set(&c->msg, ERR_MALFORMED, "%s is no snapshot", c->path);
	if (c->err == ERR_OK) {
		c->err = snapshot_read(file.data, file.size, &c->image, &module, &c->msg);
		if (c->err != ERR_OK)
			err_prefix(&c->msg, c->err, "%s", c->path);
	}
	wr_free(&file);
	if (c->err == ERR_OK) {
		size_t size;
		uint8_t *bytes = wr_take(&module, &size);
		c->err = modules_load_bytes(c->node->modules, bytes, size, &c->module, &c->msg);
	}
	wr_free(&module);
}

static void restore_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	c->err = e;
	if (p) {
		c->report.pid = p->pid;
		process_thaw(p);
	} else {
		c->msg = *msg;
	}
	finish(c);
}

static void restore_checked(void *ctx)
{
	struct checkpoint *c = ctx;
	if (c->err != ERR_OK)
		finish(c);
	else
		revive(c->node, c->image, true, restore_revived, c);
}

void checkpoint_restore(struct node *n, const char *path, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(n, fn, ctx);
	c->path = strdup(path);
	if (!c->path)
		abort();
	work(c, restore_read, restore_checked);
}
