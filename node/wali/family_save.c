/* family_save.c - section "family" of an image: written, and read as hostile bytes (family_image.h).
 *
 * Little-endian; in this order:
 *
 *	u32 version 1, or 3 of a part of a family; u32 number of the leader
 *	3: u32 u32 first and last number of children, or 0; kinships (kinship.c); the terminal between them (far_terminal.c); requests (far_requests.c)
 *	u16 tasks by number, each: u32 number, u32 parent or 0, u32 group, u32 session, u8 state (0 runs, 1 stopped, 2 zombie),
 *	    u8 flags (1 status is news, 2 ignores children, 4 has execed), u32 status, 16 bytes name for /proc;
 *	    3: u8 kinship that it is beyond or 255, u8 bits of kinships that have not heard how it is, u64 signals for it beyond, u64 time;
 *	    beyond one: u32 its number there, u8 size, name of its device
 *	the terminal's settings (save.c), u32 its session, u32 its foreground, u16 columns, u16 rows; u16 size, what is typed
 *	mounts and open files of all (vfs/fdtable_save.c)
 *	u16 eventfds and epolls, each: u16 description, u8 kind; an eventfd: u64 count, u8 semaphore; an epoll: u32 whose descriptors it
 *	    watches or 0, u16 watches, each: u32 descriptor, u16 description or 65535, u32 events, u32 last, u64 data
 *	ptys, as pty.c writes them
 */
#include "node/wali/save.h"

#include "node/wali/far_requests.h"
#include "node/wali/kinship.h"
#include "node/wali/pty.h"
#include "vfs/pipe.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT_WHOLE = 1, FORMAT_PART = 3, NO_DESCRIPTION = UINT16_MAX, HERE = UINT8_MAX };
enum { TASK_NEWS = 1, TASK_IGNORES = 2, TASK_EXECED = 4 };

/* An epoll whose process is not there yet. */
struct orphan {
	struct device *d;
	uint32_t owner;
};

struct family_image {
	struct family *family;
	uint32_t leader;
	struct fdset *set;
	struct orphan *orphans;
	uint32_t norphans;
	uint8_t typed[WALI_TYPED_MAX];
	uint16_t ntyped;
};

/* ---- writing ---- */

static int by_pid(const void *a, const void *b)
{
	const struct task *x = *(const struct task *const *)a, *y = *(const struct task *const *)b;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool is_part(const struct family *f)
{
	return f->kinships || f->pid_first;
}

static void save_task(const struct task *t, bool part, struct wr *out)
{
	wr_u32(out, t->pid);
	wr_u32(out, t->parent);
	wr_u32(out, t->group);
	wr_u32(out, t->session);
	wr_u8(out, (uint8_t)t->state);
	wr_u8(out, (uint8_t)((t->status_is_news ? TASK_NEWS : 0) |
	                     (t->ignores_children ? TASK_IGNORES : 0) |
	                     (t->has_execed ? TASK_EXECED : 0)));
	wr_u32(out, (uint32_t)t->status);
	wr_bytes(out, t->comm, sizeof t->comm);
	if (!part)
		return;
	wr_u8(out, t->away ? (uint8_t)kinship_index(t->away) : HERE);
	wr_u8(out, t->untold);
	wr_u64(out, t->away ? t->pending : 0);
	wr_u64(out, t->used_ns);
	if (!t->away)
		return;
	wr_u32(out, t->node_pid);
	wr_u8(out, (uint8_t)strlen(t->device));
	wr_bytes(out, t->device, strlen(t->device));
}

static enum err save_tasks(const struct family *f, struct wr *out)
{
	const struct task **list = calloc(2 * FAMILY_MAX, sizeof *list);
	uint32_t n = 0;
	if (!list)
		return ERR_NOMEM;
	for (const struct task *t = f->tasks; t && n < 2 * FAMILY_MAX; t = t->next)
		list[n++] = t;
	qsort(list, n, sizeof *list, by_pid);
	wr_u16(out, (uint16_t)n);
	for (uint32_t i = 0; i < n; i++)
		save_task(list[i], is_part(f), out);
	free(list);
	return n < 2 * FAMILY_MAX ? ERR_OK : ERR_LIMIT;
}

static void save_terminal(struct wali *leader, struct wr *out)
{
	const struct family_terminal *t = &leader->family->terminal;
	family_terminal_save(t, out);
	wr_u32(out, t->session);
	wr_u32(out, t->foreground);
	wr_u16(out, t->cols);
	wr_u16(out, t->rows);
	terminal_save_typed(leader, out);
}

static uint32_t owner_of(struct wali *const *members, uint32_t count, const struct device *d)
{
	for (uint32_t i = 0; i < count; i++)
		if (members[i] == d->owner)
			return members[i]->task->pid;
	return 0;
}

static void save_epoll(const struct device *d, const struct fdset *set, uint32_t owner,
                       struct wr *out)
{
	wr_u32(out, owner);
	wr_u16(out, (uint16_t)d->nwatches);
	for (uint32_t i = 0; i < d->nwatches; i++) {
		const struct watch *w = &d->watches[i];
		uint32_t at = w->file ? fdset_index(set, w->file) : UINT32_MAX;
		wr_u32(out, w->fd);
		wr_u16(out, at < NO_DESCRIPTION ? (uint16_t)at : NO_DESCRIPTION);
		wr_u32(out, w->events);
		wr_u32(out, at == UINT32_MAX ? w->last : wali_watch_told(w, w->file));
		wr_u64(out, w->data);
	}
}

/* An eventfd or an epoll; NULL: another kind of file. */
static struct device *device_at(const struct fdset *set, uint32_t i)
{
	struct device *d = wali_device(fdset_file(set, i)->obj);
	return d && (d->kind == DEVICE_EVENT || d->kind == DEVICE_EPOLL) ? d : NULL;
}

static void save_devices(struct wali *const *members, uint32_t count, const struct fdset *set,
                         struct wr *out)
{
	size_t at = out->size;
	uint16_t n = 0;
	wr_u16(out, 0);
	for (uint32_t i = 0; fdset_file(set, i); i++) {
		const struct device *d = device_at(set, i);
		if (!d)
			continue;
		wr_u16(out, (uint16_t)i);
		wr_u8(out, (uint8_t)d->kind);
		if (d->kind == DEVICE_EVENT) {
			wr_u64(out, d->count);
			wr_u8(out, d->semaphore);
		} else {
			save_epoll(d, set, owner_of(members, count, d), out);
		}
		n++;
	}
	if (wr_ok(out))
		wasi_put_u16(out->data + at, n);
}

static enum err save_all(struct wali *const *members, uint32_t count, const struct fdset *set,
                         struct vfs_ns *ns, struct wr *out, struct errmsg *msg)
{
	struct family *f = members[0]->family;
	for (uint32_t i = 0; i < count; i++)
		if (!members[i]->task)
			return err_set(msg, ERR_CLOSED, "a process was ended meanwhile");
	if (f->alive != count)
		return err_set(msg, ERR_BUSY, "%u of %u related processes stand", count, f->alive);
	wr_u32(out, is_part(f) ? FORMAT_PART : FORMAT_WHOLE);
	wr_u32(out, members[0]->task->pid);
	if (is_part(f)) {
		wr_u32(out, f->pid_first);
		wr_u32(out, f->pid_last);
		TRY(kinships_save(f, out));
		far_terminal_save(f, out);
		far_requests_save(f, out);
	}
	TRY(save_tasks(f, out));
	save_terminal(members[0], out);
	TRY(fdset_save(set, ns, out, msg));
	save_devices(members, count, set, out);
	ptys_save(members[0]->family, out);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

enum err family_image_save(struct wali *const *members, uint32_t count, const struct fdset *set,
                           struct vfs_ns *ns, struct wr *out, struct errmsg *msg)
{
	struct family *f = members[0]->family;
	msg->text[0] = 0;
	family_lock(f);
	enum err e = save_all(members, count, set, ns, out, msg);
	family_unlock(f);
	return e == ERR_OK || msg->text[0] ? e : err_set(msg, e, "section family: %s", err_text(e));
}

bool wali_is_alone(struct wali *k, uint32_t pid)
{
	family_lock(k->family);
	const struct task *t = k->family->tasks;
	bool alone = t == k->task && t && !t->next && !k->family->kinships && t->pid == pid &&
	             t->group == pid && t->session == pid && !t->parent && t->state == TASK_RUNS;
	family_unlock(k->family);
	return alone;
}

void wali_settle(struct wali *k)
{
	family_lock(k->family);
	struct task *t = k->born;
	struct wali_thread *th = t ? k->mother : NULL;
	struct wali_slot *s = th && th->nslots ? &th->slots[th->nslots - 1] : NULL;
	if (t && s && (t->pid || t->state == TASK_ZOMBIE)) {
		s->has_result = true;
		s->result = wali_born(k);
	}
	family_unlock(k->family);
}

/* ---- reading ---- */

struct head {
	uint32_t version, leader, pid_first, pid_last;
	uint16_t tasks;
};

/* f NULL: only who there is. */
static enum err load_part(struct rd *in, struct head *h, struct family *f)
{
	TRY(rd_u32(in, &h->pid_first));
	TRY(rd_u32(in, &h->pid_last));
	bool none = !h->pid_first && !h->pid_last;
	/* So many that a free one is there in any case. */
	if (!none && (!h->pid_first || h->pid_last > FAMILY_PID_MAX || h->pid_first > h->pid_last ||
	              h->pid_last - h->pid_first < FAMILY_NUMBERS_LEAST))
		return ERR_MALFORMED;
	TRY(f ? kinships_load(f, in) : kinships_skip(in));
	if (f)
		TRY(far_terminal_load(f, in));
	return far_requests_load(f, in);
}

static enum err load_head(struct rd *in, struct head *h, struct family *f)
{
	TRY(rd_u32(in, &h->version));
	if (h->version != FORMAT_WHOLE && h->version != FORMAT_PART)
		return ERR_UNSUPPORTED;
	TRY(rd_u32(in, &h->leader));
	if (h->version == FORMAT_PART)
		TRY(load_part(in, h, f));
	TRY(rd_u16(in, &h->tasks));
	return h->tasks && h->tasks < 2 * FAMILY_MAX ? ERR_OK : ERR_MALFORMED;
}

static bool is_pid(uint32_t pid)
{
	return pid && pid <= FAMILY_PID_MAX;
}

/* What a part of a family has of each. */
static enum err load_place(struct rd *in, struct task *t, uint8_t *beyond)
{
	uint8_t size;
	const uint8_t *device;
	TRY(rd_u8(in, beyond));
	TRY(rd_u8(in, &t->untold));
	TRY(rd_u64(in, &t->pending));
	TRY(rd_u64(in, &t->used_ns));
	if (*beyond == HERE)
		return t->pending ? ERR_MALFORMED : ERR_OK;
	TRY(rd_u32(in, &t->node_pid));
	TRY(rd_u8(in, &size));
	TRY(rd_bytes(in, size, &device));
	if (size >= sizeof t->device || memchr(device, 0, size))
		return ERR_MALFORMED;
	memcpy(t->device, device, size);
	t->device[size] = 0;
	return ERR_OK;
}

static enum err load_task(struct rd *in, const struct head *h, uint32_t before, struct task *t,
                          uint8_t *beyond)
{
	uint8_t state, flags;
	uint32_t status;
	const uint8_t *comm;
	TRY(rd_u32(in, &t->pid));
	TRY(rd_u32(in, &t->parent));
	TRY(rd_u32(in, &t->group));
	TRY(rd_u32(in, &t->session));
	TRY(rd_u8(in, &state));
	TRY(rd_u8(in, &flags));
	TRY(rd_u32(in, &status));
	TRY(rd_bytes(in, sizeof t->comm, &comm));
	memcpy(t->comm, comm, sizeof t->comm);
	t->comm[sizeof t->comm - 1] = 0;
	if (!is_pid(t->pid) || t->pid <= before || t->parent == t->pid || !is_pid(t->group) ||
	    !is_pid(t->session) || t->parent > FAMILY_PID_MAX || state > TASK_ZOMBIE || flags > 7)
		return ERR_MALFORMED;
	t->state = (enum task_state)state;
	t->status = (int)status;
	t->status_is_news = flags & TASK_NEWS;
	t->ignores_children = flags & TASK_IGNORES;
	t->has_execed = flags & TASK_EXECED;
	*beyond = HERE;
	return h->version == FORMAT_PART ? load_place(in, t, beyond) : ERR_OK;
}

static enum err list_members(struct rd *in, struct head *h, uint32_t *pids, uint32_t *count)
{
	struct task t = {0};
	bool has_leader = false;
	uint8_t beyond;
	TRY(load_head(in, h, NULL));
	for (uint32_t i = 0; i < h->tasks; i++) {
		TRY(load_task(in, h, t.pid, &t, &beyond));
		if (t.state == TASK_ZOMBIE || beyond != HERE)
			continue;
		if (*count == FAMILY_MEMBERS_MAX)
			return ERR_LIMIT;
		pids[(*count)++] = t.pid;
		has_leader |= t.pid == h->leader;
	}
	return has_leader ? ERR_OK : ERR_MALFORMED;
}

enum err family_image_members(struct rd in, uint32_t *leader, uint32_t pids[FAMILY_MEMBERS_MAX],
                              uint32_t *count, struct errmsg *msg)
{
	struct head h = {0};
	*count = 0;
	enum err e = list_members(&in, &h, pids, count);
	*leader = h.leader;
	return e == ERR_OK
	           ? e
	           : err_set(msg, e, "section family: byte %zu: %s", rd_offset(&in), err_text(e));
}

static enum err add_task(struct family_image *im, struct task *t, uint8_t beyond)
{
	struct family *f = im->family;
	t->away = beyond == HERE ? NULL : kinship_at(f, beyond);
	if ((beyond != HERE && !t->away) || t->untold & ~kinships_but(f, t->away))
		return ERR_MALFORMED;
	struct task *added = family_add(f, t->pid, t, NULL);
	if (!added)
		return ERR_NOMEM;
	struct task *next = added->next;
	*added = *t;
	added->next = next;
	added->is_absent = t->state != TASK_ZOMBIE && !t->away;
	f->alive -= !added->is_absent;
	f->has_untold |= t->untold || (t->away && t->pending);
	return ERR_OK;
}

static enum err load_tasks(struct rd *in, struct family_image *im)
{
	struct head h = {0};
	uint32_t before = 0;
	TRY(load_head(in, &h, im->family));
	im->leader = h.leader;
	im->family->pid_first = h.pid_first;
	im->family->pid_last = h.pid_last;
	for (uint32_t i = 0; i < h.tasks; i++) {
		struct task t = {0};
		uint8_t beyond;
		TRY(load_task(in, &h, before, &t, &beyond));
		TRY(add_task(im, &t, beyond));
		before = t.pid;
	}
	const struct task *leader = family_find(im->family, h.leader);
	return leader && leader->is_absent && im->family->alive <= FAMILY_MEMBERS_MAX
	           ? ERR_OK
	           : ERR_MALFORMED;
}

static enum err load_terminal(struct rd *in, struct family_image *im)
{
	struct family_terminal *t = &im->family->terminal;
	const uint8_t *typed;
	TRY(family_terminal_load(t, in));
	TRY(rd_u32(in, &t->session));
	TRY(rd_u32(in, &t->foreground));
	TRY(rd_u16(in, &t->cols));
	TRY(rd_u16(in, &t->rows));
	TRY(terminal_load_typed(in, &typed, &im->ntyped));
	memcpy(im->typed, typed, im->ntyped);
	return t->session <= FAMILY_PID_MAX && t->foreground <= FAMILY_PID_MAX ? ERR_OK
	                                                                       : ERR_MALFORMED;
}

static enum err load_watch(struct rd *in, const struct fdset *set, const struct device *d,
                           struct watch *w)
{
	uint16_t at;
	TRY(rd_u32(in, &w->fd));
	TRY(rd_u16(in, &at));
	TRY(rd_u32(in, &w->events));
	TRY(rd_u32(in, &w->last));
	TRY(rd_u64(in, &w->data));
	w->file = at == NO_DESCRIPTION ? NULL : fdset_file(set, at);
	if (at != NO_DESCRIPTION && (!w->file || wali_device(w->file->obj) == d))
		return ERR_MALFORMED;
	return ERR_OK;
}

static enum err load_epoll(struct rd *in, struct family_image *im, struct device *d)
{
	uint16_t n;
	uint32_t owner;
	TRY(rd_u32(in, &owner));
	TRY(rd_u16(in, &n));
	const struct task *t = family_find(im->family, owner);
	if (n > WATCHES_MAX || d->watches || (owner && (!t || !t->is_absent)))
		return ERR_MALFORMED;
	d->watches = calloc(n + 1u, sizeof *d->watches);
	if (!d->watches)
		return ERR_NOMEM;
	for (; d->nwatches < n; d->nwatches++)
		TRY(load_watch(in, im->set, d, &d->watches[d->nwatches]));
	im->orphans[im->norphans++] = (struct orphan){d, owner};
	return ERR_OK;
}

static enum err load_device(struct rd *in, struct family_image *im, uint32_t *next)
{
	uint16_t at;
	uint8_t kind, flag = 0;
	TRY(rd_u16(in, &at));
	TRY(rd_u8(in, &kind));
	struct device *d = at >= *next && fdset_file(im->set, at) ? device_at(im->set, at) : NULL;
	if (!d || d->kind != kind)
		return ERR_MALFORMED;
	*next = at + 1u;
	if (kind == DEVICE_EPOLL)
		return load_epoll(in, im, d);
	TRY(rd_u64(in, &d->count));
	TRY(rd_u8(in, &flag));
	d->semaphore = flag;
	return flag <= 1 && d->count < UINT64_MAX ? ERR_OK : ERR_MALFORMED;
}

static enum err load_devices(struct rd *in, struct family_image *im)
{
	uint16_t n;
	uint32_t next = 0;
	TRY(rd_u16(in, &n));
	im->orphans = calloc(n + 1u, sizeof *im->orphans);
	if (!im->orphans)
		return ERR_NOMEM;
	for (; n; n--)
		TRY(load_device(in, im, &next));
	return ERR_OK;
}

static uint32_t same_number(void *ctx, uint32_t pid)
{
	return pid <= FAMILY_PID_MAX ? pid : 0;
}

static enum err load_ptys(struct rd *in, struct family_image *im)
{
	TRY(ptys_load(im->family, in, same_number, im));
	for (uint32_t i = 0; fdset_file(im->set, i); i++)
		ptys_attach(im->family, fdset_file(im->set, i)->obj);
	ptys_settle(im->family);
	return ERR_OK;
}

static void own_files(struct family_image *im)
{
	struct vfs_wake wake = {family_wake_pipe, im->family, true};
	for (uint32_t i = 0; fdset_file(im->set, i); i++) {
		struct device *d = device_at(im->set, i);
		far_stream_attach(im->family, fdset_file(im->set, i)->obj);
		if (d) {
			d->wake = family_wake;
			d->wake_ctx = im->family;
		} else if (vfs_is_pipe(fdset_file(im->set, i)->obj)) {
			vfs_pipe_set_wake(fdset_file(im->set, i)->obj, wake);
		}
	}
}

static enum err load_all(struct rd *in, const struct fdtable_loader *l, struct family_image *im,
                         struct errmsg *msg)
{
	TRY(load_tasks(in, im));
	TRY(load_terminal(in, im));
	TRY(fdset_load(in, l, &im->set, msg));
	own_files(im);
	TRY(load_devices(in, im));
	return load_ptys(in, im);
}

enum err family_image_load(struct rd *in, const struct fdtable_loader *l, struct family_image **out,
                           struct errmsg *msg)
{
	size_t start = rd_offset(in);
	struct family_image *im = calloc(1, sizeof *im);
	msg->text[0] = 0;
	if (im && (im->family = family_new()))
		im->family->users = 1;
	enum err e = im && im->family ? load_all(in, l, im, msg) : ERR_NOMEM;
	if (e == ERR_OK) {
		*out = im;
		return ERR_OK;
	}
	if (im && im->family)
		family_image_free(im);
	else
		free(im);
	if (msg->text[0])
		return err_prefix(msg, e, "section family");
	return err_set(msg, e, "section family: byte %zu: %s", rd_offset(in) - start, err_text(e));
}

struct fdset *family_image_set(struct family_image *im)
{
	return im->set;
}

struct family *family_image_family(struct family_image *im)
{
	return im->family;
}

enum err family_image_check(struct family_image *im, struct errmsg *msg)
{
	return fdset_check(im->set, msg);
}

void family_image_free(struct family_image *im)
{
	if (!im)
		return;
	fdset_free(im->set);
	free(im->orphans);
	family_end_absent(im->family);
	family_let(im->family);
	free(im);
}

struct task *family_image_take(struct family_image *im, const struct wali_config *c)
{
	struct task *t = family_find(im->family, c->pid);
	if (!t || !t->is_absent)
		return NULL;
	t->is_absent = false;
	family_set_waker(im->family, t, c->waker);
	return t;
}

void family_image_joined(struct family_image *im, struct wali *k)
{
	for (uint32_t i = 0; i < im->norphans; i++)
		if (im->orphans[i].owner == k->task->pid)
			wali_own_epoll(k, im->orphans[i].d);
	if (k->task->pid == im->leader && !im->family->terminal_at)
		terminal_use(k, im->typed, im->ntyped);
}
