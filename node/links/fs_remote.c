/* fs_remote.c - requests about files, both ways.
 *
 * Body of a call of LINK_SERVICE_FS: u8 version 2, u8 kind (REQUEST, FORGET), 16 uid, u64 epoch, then the request
 * of vfs/fsmsg.h. The answer's body is vfs/fsmsg.h's.
 */
#include "node/links/fs_remote.h"

#include "migrate/owner.h"
#include "node/disk.h"
#include "node/process/kin.h"
#include "node/folders/folders.h"
#include "node/links/link.h"
#include "node/links/net_files.h"
#include "node/node.h"
#include "node/store.h"
#include "node/wasi/wasi.h"
#include "vfs/host.h"
#include "vfs/remote.h"
#include "vfs/serve.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VERSION = 2, KIND_REQUEST = 0, KIND_FORGET = 1, HEAD_SIZE = 26 };

/* One process that left. Entries and their fields are guarded by files->lock; an export is used by jobs
 * while refs is held. */
struct entry {
	struct entry *next;
	uint8_t uid[PROCESS_UID_SIZE];
	uint8_t device[DEVICE_ID_SIZE]; /* who showed the highest epoch */
	uint64_t epoch;                 /* that epoch; 0: nobody asked yet */
	struct vfs_export *x;
	uint32_t refs; /* the list, and jobs */
};

/* A process that ended here, whose home is to be told. */
struct ended {
	struct ended *next;
	uint8_t home[DEVICE_ID_SIZE];
	uint8_t body[HEAD_SIZE];
};

struct files {
	struct node *node;
	uint32_t
	    refs; /* the part, and each mount of another device: those outlive it when the node goes down */
	bool closed;     /* nobody can be told anything any more */
	uv_mutex_t lock; /* guards all but node and jobs */
	struct entry *entries;
	struct ended *ended;
	uv_async_t async; /* ended has something */
	unsigned jobs;    /* on the pool */
};

/* ---- entries ---- */

static struct entry *find(struct files *f, const uint8_t *uid)
{
	struct entry *e = f->entries;
	while (e && memcmp(e->uid, uid, sizeof e->uid) != 0)
		e = e->next;
	return e;
}

/* With the lock held; frees outside of what others see. */
static void let(struct entry *e)
{
	if (--e->refs)
		return;
	vfs_export_free(e->x);
	free(e);
}

static void unlink_entry(struct files *f, const uint8_t *uid)
{
	for (struct entry **at = &f->entries; *at; at = &(*at)->next)
		if (memcmp((*at)->uid, uid, sizeof(*at)->uid) == 0) {
			struct entry *e = *at;
			*at = e->next;
			let(e);
			return;
		}
}

/* Takes the export. NULL when memory ran out. */
static struct entry *add(struct files *f, const uint8_t *uid, struct vfs_export *x)
{
	struct entry *e = calloc(1, sizeof *e);
	if (!e) {
		vfs_export_free(x);
		return NULL;
	}
	unlink_entry(f, uid);
	memcpy(e->uid, uid, sizeof e->uid);
	e->x = x;
	e->refs = 1;
	e->next = f->entries;
	f->entries = e;
	return e;
}

/* ---- grants ---- */

enum err process_grant(struct process *p, struct vfs_ns *ns, struct errmsg *msg)
{
	struct vfs_export *x;
	struct wr bytes = {0};
	struct depot_batch *b = NULL;
	TRY(vfs_export_new(ns, NULL, p->node->device->id, &x));
	enum err e = ERR_OK;
	if (vfs_export_mounts(x)) {
		e = vfs_export_save(x, &bytes);
		b = e == ERR_OK ? depot_batch_new(node_depot(p->node)) : NULL;
		if (b) {
			depot_put(b, DEPOT_GRANTS, p->uid, sizeof p->uid, bytes.data, bytes.size);
			e = depot_write(b, msg);
			depot_batch_free(b);
		} else {
			e = ERR_NOMEM;
		}
	}
	wr_free(&bytes);
	vfs_export_free(x);
	return e;
}

static struct vfs_export *load_grants(struct node *n, const uint8_t *uid)
{
	struct vfs_export *x = NULL;
	struct wr bytes = {0};
	if (depot_get(node_depot(n), DEPOT_GRANTS, uid, PROCESS_UID_SIZE, &bytes) == ERR_OK) {
		struct rd in = rd_of(bytes.data, bytes.size);
		if (vfs_export_load(&in, &x, NULL) != ERR_OK)
			x = NULL;
	}
	wr_free(&bytes);
	return x;
}

/* ---- serving ---- */

/* What the ownership record says of (device, epoch): it must be elsewhere, and this must be where. */
static bool owns(struct node *n, const uint8_t *uid, const uint8_t *device, uint64_t epoch)
{
	struct wr bytes = {0};
	struct owner o;
	bool yes = false;
	if (depot_get(node_depot(n), DEPOT_OWNERS, uid, PROCESS_UID_SIZE, &bytes) == ERR_OK) {
		struct rd in = rd_of(bytes.data, bytes.size);
		yes = owner_read(&in, &o) == ERR_OK &&
		      (o.state == OWNER_RELEASED || o.state == OWNER_GONE) &&
		      (memcmp(o.peer, device, DEVICE_ID_SIZE) == 0 ? epoch >= o.epoch
		                                                   : epoch > o.epoch);
	}
	wr_free(&bytes);
	return yes;
}

/* The newest epoch wins; of one epoch only the device that came first. With the lock held. */
static bool is_newest(struct entry *e, const uint8_t *device, uint64_t epoch)
{
	bool same = memcmp(e->device, device, sizeof e->device) == 0;
	if (epoch < e->epoch || (epoch == e->epoch && e->epoch && !same))
		return false;
	memcpy(e->device, device, sizeof e->device);
	e->epoch = epoch;
	return true;
}

/* Mounts and open files of p and its relatives, which stand. */
static enum err export_of(struct files *f, struct process *p, struct vfs_export **x)
{
	struct fdset *set;
	TRY(kin_files(p, &set));
	enum err e = vfs_export_new_set(wasi_ns(p->wasi), set, f->node->device->id, x);
	fdset_free(set);
	return e;
}

/* The process's export: held since it left; or it stands here, released, and is not gone yet; or from the grants. */
static struct entry *entry_of(struct files *f, const uint8_t *uid)
{
	struct vfs_export *x = NULL;
	uv_mutex_lock(&f->lock);
	struct entry *e = find(f, uid);
	uv_mutex_unlock(&f->lock);
	if (e)
		return e;
	struct process *p = process_find_uid(f->node, uid);
	if (p && p->wasi && p->state == PROCESS_FROZEN) {
		if (export_of(f, p, &x) != ERR_OK)
			return NULL;
	} else if (!(x = load_grants(f->node, uid))) {
		return NULL;
	}
	uv_mutex_lock(&f->lock);
	e = add(f, uid, x);
	uv_mutex_unlock(&f->lock);
	return e;
}

struct job {
	uv_work_t work;
	struct files *files;
	struct entry *entry;
	struct link_caller caller;
	struct wr answer;
	enum err err;
	size_t size;
	uint8_t request[];
};

static void run_job(uv_work_t *w)
{
	struct job *j = w->data;
	j->err = vfs_export_request(j->entry->x, j->request, j->size, &j->answer);
}

static void job_done(uv_work_t *w, int status)
{
	struct job *j = w->data;
	struct files *f = j->files;
	link_answer(&j->caller, status ? ERR_CLOSED : j->err, j->answer.data, j->answer.size);
	uv_mutex_lock(&f->lock);
	let(j->entry);
	uv_mutex_unlock(&f->lock);
	wr_free(&j->answer);
	free(j);
	f->jobs--;
}

static enum err start_job(struct files *f, struct entry *e, const struct link_caller *call,
                          const uint8_t *request, size_t size)
{
	struct job *j = calloc(1, sizeof *j + size);
	if (!j)
		return ERR_NOMEM;
	j->files = f;
	j->entry = e;
	j->caller = *call;
	j->size = size;
	memcpy(j->request, request, size);
	j->work.data = j;
	if (uv_queue_work(&f->node->loop, &j->work, run_job, job_done) != 0) {
		free(j);
		return ERR_NOMEM;
	}
	e->refs++;
	f->jobs++;
	return ERR_OK;
}

/* ERR_STALE: it is not (any more) this device's process. */
static enum err serve(struct files *f, const struct link_caller *call, struct rd in)
{
	uint8_t version, kind;
	const uint8_t *uid;
	uint64_t epoch;
	TRY(rd_u8(&in, &version));
	TRY(rd_u8(&in, &kind));
	TRY(rd_bytes(&in, PROCESS_UID_SIZE, &uid));
	TRY(rd_u64(&in, &epoch));
	if (version != WIRE_VERSION || kind > KIND_FORGET)
		return ERR_UNSUPPORTED;
	if (!owns(f->node, uid, call->device, epoch))
		return ERR_STALE;
	struct entry *e = entry_of(f, uid);
	if (!e)
		return ERR_NOTFOUND;
	uv_mutex_lock(&f->lock);
	enum err err = is_newest(e, call->device, epoch) ? ERR_OK : ERR_STALE;
	if (err == ERR_OK && kind == KIND_REQUEST)
		err = start_job(f, e, call, in.p, rd_left(&in));
	else if (err == ERR_OK)
		unlink_entry(f, uid);
	uv_mutex_unlock(&f->lock);
	if (err == ERR_OK && kind == KIND_FORGET)
		link_answer(call, ERR_OK, NULL, 0);
	return err;
}

static void on_call(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	enum err e = serve(ctx, call, rd_of(body, size));
	if (e != ERR_OK)
		link_answer(call, e, NULL, 0);
}

/* ---- leaving and ending ---- */

static void abandon_remotes(struct vfs_ns *ns)
{
	for (uint32_t i = 0; i < vfs_ns_count(ns); i++)
		if (vfs_is_remote(vfs_ns_at(ns, i)->root))
			vfs_remote_abandon(vfs_ns_at(ns, i)->root);
}

/* Its files of this device are held while it is away; those of others it takes along. */
static void hold_files(struct files *f, struct process *p)
{
	struct vfs_export *x;
	abandon_remotes(wasi_ns(p->wasi));
	if (export_of(f, p, &x) != ERR_OK)
		return; /* opened again by path when they are asked for */
	if (vfs_export_mounts(x) == 0) {
		vfs_export_free(x);
		return;
	}
	uv_mutex_lock(&f->lock);
	struct entry *old = find(f, p->uid);
	if (!old || old->epoch == 0)
		add(f, p->uid, x);
	else
		vfs_export_free(x); /* it was asked for already, while the process stood here */
	uv_mutex_unlock(&f->lock);
}

static void on_event(void *ctx, struct process *p, enum process_event ev)
{
	struct files *f = ctx;
	if (ev == PROCESS_EVENT_GONE && p->wasi && p->leads)
		hold_files(f, p);
	if (ev != PROCESS_EVENT_ENDED)
		return;
	uv_mutex_lock(&f->lock);
	unlink_entry(f, p->uid);
	uv_mutex_unlock(&f->lock);
}

/* ---- asking ---- */

struct asking {
	struct kin *kin; /* of those whose workers call. Owned reference */
	struct files *files;
	uint8_t home[DEVICE_ID_SIZE];
	uint8_t uid[PROCESS_UID_SIZE];
	uint64_t epoch;
	uint64_t lost_ns; /* since when the home is not to be reached; 0: it is */
};

static void put_head(struct wr *out, const struct asking *a, uint8_t kind)
{
	wr_u8(out, WIRE_VERSION);
	wr_u8(out, kind);
	wr_bytes(out, a->uid, sizeof a->uid);
	wr_u64(out, a->epoch);
}

/* A link that broke comes again, mostly: what may be asked twice is asked until the time is up. In between the guest
 * stands before its call, so that it can be stopped, ended, even moved. */
static enum err call_home(struct asking *a, const struct wr *body, bool may_repeat,
                          struct wr *answer)
{
	enum err e = link_rpc(a->files->node, a->home, LINK_SERVICE_FS, body->data, body->size,
	                      LINK_RPC_TIMEOUT_MS, answer);
	uint64_t now_ns = uv_hrtime();
	if (e != ERR_CLOSED || !may_repeat) {
		a->lost_ns = 0;
		return e;
	}
	if (a->lost_ns == 0)
		a->lost_ns = now_ns;
	if (now_ns - a->lost_ns < (uint64_t)LINK_RPC_TIMEOUT_MS * 1000000)
		return ERR_AGAIN;
	a->lost_ns = 0;
	return e;
}

static enum err ask(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
                    struct wr *answer)
{
	struct asking *a = ctx;
	struct wr body = {0};
	a->epoch = kin_epoch(a->kin);
	put_head(&body, a, KIND_REQUEST);
	wr_bytes(&body, request, size);
	enum err e = wr_ok(&body) ? call_home(a, &body, may_repeat, answer) : ERR_NOMEM;
	wr_free(&body);
	return e;
}

static void files_unref(struct files *f)
{
	uv_mutex_lock(&f->lock);
	bool last = --f->refs == 0;
	uv_mutex_unlock(&f->lock);
	if (!last)
		return;
	uv_mutex_destroy(&f->lock);
	free(f);
}

static struct ended *new_ended(const struct asking *a)
{
	struct wr body = {0};
	struct ended *e = calloc(1, sizeof *e);
	put_head(&body, a, KIND_FORGET);
	if (e && wr_ok(&body) && body.size == sizeof e->body) {
		memcpy(e->body, body.data, sizeof e->body);
		memcpy(e->home, a->home, sizeof e->home);
	} else {
		free(e);
		e = NULL;
	}
	wr_free(&body);
	return e;
}

/* Any thread: the loop tells the home. */
static void end_asking(void *ctx, bool forget)
{
	struct asking *a = ctx;
	struct files *f = a->files;
	struct ended *e = forget ? new_ended(a) : NULL;
	uv_mutex_lock(&f->lock);
	if (e && !f->closed) {
		e->next = f->ended;
		f->ended = e;
		uv_async_send(&f->async);
		e = NULL;
	}
	uv_mutex_unlock(&f->lock);
	free(e);
	kin_unref(a->kin);
	free(a);
	files_unref(f);
}

static void ignore_reply(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
}

static void on_ended(uv_async_t *async)
{
	struct files *f = async->data;
	struct ended *next;
	uv_mutex_lock(&f->lock);
	struct ended *list = f->ended;
	f->ended = NULL;
	uv_mutex_unlock(&f->lock);
	for (struct ended *e = list; e; e = next) {
		next = e->next;
		link_call(f->node, e->home, LINK_SERVICE_FS, e->body, sizeof e->body,
		          LINK_RPC_TIMEOUT_MS, ignore_reply, NULL);
		free(e);
	}
}

static enum err open_remote(struct process *p, const struct vfs_mount_config *c,
                            struct vfs_obj **root)
{
	struct asking *a = calloc(1, sizeof *a);
	struct vfs_remote *r;
	if (!a)
		return ERR_NOMEM;
	a->kin = kin_ref(p->kin);
	a->files = p->node->files;
	a->epoch = p->epoch;
	memcpy(a->home, c->home, sizeof a->home);
	memcpy(a->uid, p->uid, sizeof a->uid);
	struct vfs_remote_config rc = {.call = ask, .end = end_asking, .ctx = a};
	if (vfs_remote_new(&rc, &r) != FE_OK) {
		kin_unref(a->kin);
		free(a);
		return ERR_NOMEM;
	}
	uv_mutex_lock(&a->files->lock);
	a->files->refs++;
	uv_mutex_unlock(&a->files->lock);
	*root = vfs_remote_mount(r, c->id);
	vfs_remote_unref(r);
	return *root ? ERR_OK : ERR_NOMEM;
}

static struct vfs_obj *open_local(struct process *p, const struct vfs_mount_config *c)
{
	struct files *f = p->node->files;
	uv_mutex_lock(&f->lock);
	struct entry *e = find(f, p->uid);
	struct vfs_obj *o = e ? vfs_export_root(e->x, c) : NULL;
	uv_mutex_unlock(&f->lock);
	if (o)
		return o;
	struct vfs_export *x = load_grants(p->node, p->uid);
	if (!x && p->is_copy) /* it just becomes one: what the process was given, the copy gets */
		x = load_grants(p->node, p->copy_of);
	if (x)
		o = vfs_export_root(x, c);
	vfs_export_free(x);
	return o;
}

enum err process_open_mount(struct process *p, struct vfs_mount_config *c, struct vfs_obj **root,
                            struct errmsg *msg)
{
	if (net_files_is(c)) {
		if (p->is_copy)
			c->host = NET_NOTHING_PATH;
		enum err e = net_files_new(p->node, c, root);
		return e == ERR_OK ? e : err_set(msg, e, "folder %s: %s", c->guest, err_text(e));
	}
	if (folders_is_mount(c))
		return folders_open_mount(p->node, c, p->is_copy, root, msg);
	if (memcmp(c->home, p->node->device->id, sizeof c->home) != 0) {
		if (p->is_copy)
			return err_set(msg, ERR_UNSUPPORTED,
			               "folder %s is on another device: restore the snapshot there",
			               c->guest);
		enum err e = open_remote(p, c, root);
		return e == ERR_OK ? e : err_set(msg, e, "folder %s: %s", c->guest, err_text(e));
	}
	*root = open_local(p, c);
	if (*root)
		return ERR_OK;
	return err_set(
	    msg, ERR_DENIED,
	    "folder %s (%s here) was never given to this process on this device, or is gone",
	    c->guest, c->host);
}

struct vfs_obj *process_held_file(struct process *p, uint32_t mount_id, uint32_t handle,
                                  unsigned flags)
{
	struct files *f = p->node->files;
	uv_mutex_lock(&f->lock);
	struct entry *e = find(f, p->uid);
	struct vfs_obj *o = e ? vfs_export_held(e->x, mount_id, handle, flags) : NULL;
	uv_mutex_unlock(&f->lock);
	return o;
}

/* ---- the part ---- */

enum err files_open(struct node *n, struct errmsg *msg)
{
	struct files *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(msg, ERR_NOMEM, "out of memory");
	f->node = n;
	f->refs = 1;
	f->async.data = f;
	if (uv_mutex_init(&f->lock) != 0) {
		free(f);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	if (uv_async_init(&n->loop, &f->async, on_ended) != 0) {
		uv_mutex_destroy(&f->lock);
		free(f);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	uv_unref((uv_handle_t *)&f->async);
	n->files = f;
	TRY(link_serve(n, LINK_SERVICE_FS, on_call, f));
	return process_subscribe(n, on_event, f);
}

static void on_closed(uv_handle_t *h)
{
	files_unref(h->data);
}

void files_close(struct node *n)
{
	struct files *f = n->files;
	while (f->jobs)
		uv_run(&n->loop, UV_RUN_ONCE);
	uv_mutex_lock(&f->lock);
	f->closed = true;
	uv_mutex_unlock(&f->lock);
	while (f->entries) {
		struct entry *e = f->entries;
		f->entries = e->next;
		let(e);
	}
	for (struct ended *e = f->ended, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	f->ended = NULL;
	n->files = NULL;
	uv_close((uv_handle_t *)&f->async, on_closed);
}
