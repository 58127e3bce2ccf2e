/* checkpoint.c - suspend, resume, snapshot, restore: each a chain of loop -> pool -> loop steps on one struct. */
#include "node/moves/checkpoint.h"

#include "base/file.h"
#include "base/os.h"
#include "engine/engine.h"
#include "migrate/snapshot.h"
#include "node/control/awake.h"
#include "node/moves/capture.h"
#include "node/disk.h"
#include "node/moves/keeper.h"
#include "node/process/modules.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/moves/revive.h"
#include "node/store.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint {
	struct node *node;
	struct process *p; /* the leader; gripped while it is set by begin() */
	struct kin_grip *grip;
	struct capture capture;
	struct image *image;
	struct module_list modules;
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
	image_free(c->image); /* it may have borrowed their memories */
	kin_grip_free(c->grip);
	module_list_free(&c->modules);
	capture_end(&c->capture);
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

/* Freezes it and its relatives, then fn. */
static void begin(struct checkpoint *c, struct process *p, kin_frozen_fn fn)
{
	c->err = kin_is_free(p, &c->msg);
	if (c->err == ERR_OK)
		c->err = kin_grip_new(p, &c->grip, &c->msg);
	if (c->err != ERR_OK) {
		finish(c);
		return;
	}
	c->p = p;
	c->report.pid = p->pid;
	c->froze_ns = os_monotonic_ns();
	kin_freeze(c->grip, fn, c);
}

/* False: they do not all stand, and it is over. */
static bool all_stand(struct checkpoint *c, enum err e)
{
	if (e == ERR_LIMIT)
		err_set(&c->msg, e, "it has too many relatives to be kept together");
	else if (e != ERR_OK)
		err_set(&c->msg, e, "the process ended by itself");
	else
		e = capture_modules(&c->modules, c->grip, &c->msg);
	c->err = e;
	if (e != ERR_OK)
		finish(c);
	return e == ERR_OK;
}

static void stood(struct checkpoint *c)
{
	c->report.stood_ns = os_monotonic_ns() - c->froze_ns;
	c->report.bytes = image_bytes_total(c->image);
}

/* Sections, memory, and the module's name. */
static void take_image(struct checkpoint *c, bool in_place)
{
	c->err = capture_begin(&c->capture, c->grip, &c->msg);
	if (c->err == ERR_OK)
		c->err = in_place ? capture_in_place(&c->capture, c->image, &c->msg)
		                  : capture_all(&c->capture, c->image, &c->msg);
	if (c->err == ERR_OK)
		c->err = module_list_name(&c->modules, c->image);
}

/* Whether a person has ended it meanwhile; a node that goes down ends all, and what has an image on disk stays there. */
static bool was_killed(struct node *n, const uint8_t uid[UID_SIZE])
{
	const struct process *here = process_find_uid(n, uid);
	if (keeper_is_stopping(n))
		return false;
	if (here)
		return here->dying;
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

/* One was ended while the image, which has it, was written: the others go too. */
static void discard_rest(struct checkpoint *c)
{
	uint8_t uid[PROCESS_UID_SIZE];
	memcpy(uid, kin_leader(c->p)->uid, sizeof uid);
	if (!kin_is_alone(c->p))
		kin_kill(c->p, 137);
	else
		discard_killed(c, uid);
}

/* ---- suspend ---- */

static void suspend_run(void *ctx)
{
	struct checkpoint *c = ctx;
	take_image(c, true); /* it stands until all is on disk: no copy is needed */
	if (c->err == ERR_OK)
		c->err =
		    depot_store_image(c->node, node_depot(c->node), c->image, &c->modules, &c->msg);
	if (c->err == ERR_OK)
		c->err = image_id(c->image, &c->record.image);
}

static void undo(struct checkpoint *c)
{
	kin_release(c->p);
	kin_thaw(c->grip);
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
	if (kin_stand(c->grip))
		kin_forget(c->p, NULL);
	else
		discard_rest(c);
	finish(c);
}

static void suspend_stored(void *ctx)
{
	struct checkpoint *c = ctx;
	stood(c);
	if (c->err == ERR_OK && !kin_stand(c->grip))
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

static void suspend_frozen(void *ctx, enum err e)
{
	struct checkpoint *c = ctx;
	if (!all_stand(c, e))
		return;
	kin_hold(c->p, HOLD_SUSPENDED);
	work(c, suspend_run, suspend_stored);
}

void checkpoint_suspend(struct process *p, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(p->node, fn, ctx);
	struct move_status st;
	p = kin_leader(p);
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
		kin_release(p);
		kin_thaw_all(p);
	} else if (p && p->state == PROCESS_FROZEN) {
		kin_forget(p, NULL);
	} else {
		discard_killed(c, c->record.uid);
	}
	finish(c);
}

/* Nobody has woken it meanwhile, to end it at once perhaps. */
static bool sleeps_still(const struct checkpoint *c)
{
	const struct owner *o = moves_record(c->node, c->record.uid);
	return o && o->state == OWNER_SUSPENDED && chunk_addr_equal(&o->image, &c->record.image);
}

static void resume_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	if (p && !sleeps_still(c)) {
		kin_forget(p, NULL);
		fail(c, ERR_CLOSED, "the process was ended meanwhile");
		return;
	}
	if (!p) {
		c->err = e;
		c->msg = *msg;
		discard_killed(c, c->record.uid);
		finish(c);
		return;
	}
	struct owner o = c->record;
	kin_hold(p, HOLD_SUSPENDED);
	kin_set_epoch(p, o.epoch);
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
	struct snapshot_code codes[IMAGE_MODULES_MAX] = {0};
	for (uint32_t i = 0; i < image_module_count(c->image); i++)
		codes[i].bytes = module_bytes(
		    module_list_find(&c->modules, image_module(c->image, i)->hash), &codes[i].size);
	c->err = snapshot_write(c->image, codes, &w);
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
	kin_thaw(c->grip);
	if (c->err != ERR_OK)
		finish(c);
	else
		work(c, snapshot_run, snapshot_written);
}

static void snapshot_frozen(void *ctx, enum err e)
{
	struct checkpoint *c = ctx;
	if (all_stand(c, e))
		work(c, snapshot_take, snapshot_taken);
}

void checkpoint_snapshot(struct process *p, const char *path, checkpoint_fn fn, void *ctx)
{
	struct checkpoint *c = new_one(p->node, fn, ctx);
	c->path = strdup(path);
	if (!c->path)
		abort();
	begin(c, kin_leader(p), snapshot_frozen);
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

/* Held until the processes have it. */
static void load_module(struct checkpoint *c, struct wr *code)
{
	size_t size;
	struct module *m;
	uint8_t *bytes = wr_take(code, &size);
	c->err = modules_load_bytes(c->node->modules, bytes, size, &m, &c->msg);
	if (c->err != ERR_OK)
		return;
	c->err = module_list_add(&c->modules, m);
	module_unref(m);
}

static void restore_read(void *ctx)
{
	struct checkpoint *c = ctx;
	struct wr file = {0}, modules[IMAGE_MODULES_MAX] = {0};
	image_free(c->image);
	c->image = NULL;
	c->err = read_file(c->path, &file, &c->msg);
	c->report.bytes = file.size;
	if (c->err == ERR_OK && (file.size < 4 || memcmp(file.data, "WOSN", 4) != 0))
		c->err = err_set(&c->msg, ERR_MALFORMED, "%s is no snapshot", c->path);
	if (c->err == ERR_OK) {
		c->err = snapshot_read(file.data, file.size, &c->image, modules, &c->msg);
		if (c->err != ERR_OK)
			err_prefix(&c->msg, c->err, "%s", c->path);
	}
	wr_free(&file);
	for (uint32_t i = 0; c->err == ERR_OK && i < image_module_count(c->image); i++)
		load_module(c, &modules[i]);
	for (uint32_t i = 0; i < IMAGE_MODULES_MAX; i++)
		wr_free(&modules[i]);
}

static void restore_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct checkpoint *c = ctx;
	c->err = e;
	if (p) {
		c->report.pid = p->pid;
		kin_thaw_all(p);
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
