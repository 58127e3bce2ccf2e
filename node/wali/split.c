/* split.c - a family becomes two (split.h): a plan is made, which may fail, and then carried out, which may not. */
#include "node/wali/split.h"

#include "base/os.h"
#include "node/sockets/socket.h"
#include "node/wali/device.h"
#include "node/wali/family_image.h"
#include "node/wali/far_requests.h"
#include "node/wali/fifo.h"
#include "node/wali/funnel.h"
#include "node/wali/kinship.h"
#include "node/wali/pty.h"
#include "vfs/pipe.h"
#include "vfs/remote.h"
#include "vfs/stream.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART_OF_NUMBERS = 8 /* that the new part gets for its children */ };

/* A pipe whose ends part: its bytes are in the connection already, or in the funnel when both parts write it. */
struct cut {
	const void *pipe;
	struct vfs_obj *end[2]; /* 0: of who writes, and stays when both do. A reference each */
	struct vfs_obj
	    *lane; /* of those who write it and leave, when both do; else NULL. A reference */
	bool writer_leaves, reader_leaves;
};

/* A description that both have, or of the terminal: those that leave get one of their own. */
struct copy {
	struct vfs_file *of, *own; /* a reference each */
};

struct split {
	struct wali *const *members;
	uint32_t count;
	struct family *from, *to;
	struct fdset *leave, *stay; /* open files of either */
	struct cut *cuts;
	struct copy *copies;
	uint32_t ncuts, ncopies;
	struct vfs_obj *joint[2]; /* the kinship's ends; 0: of who stays */
	struct kinship *here, *there;
	struct task *extra; /* rows for stand-ins, as many as will be needed */
	uint32_t first, last;
	struct errmsg *msg;
};

/* ---- who and what there is ---- */

static bool leaves(const struct split *s, const struct wali *k)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->members[i] == k)
			return true;
	return false;
}

static enum err list_files(struct split *s)
{
	TRY(fdset_new(&s->leave));
	TRY(fdset_new(&s->stay));
	for (const struct task *t = s->from->tasks; t; t = t->next) {
		if (t->state == TASK_ZOMBIE || t->away)
			continue;
		if (!t->wali || !t->pid)
			return err_set(s->msg, ERR_BUSY, "a process is just being made");
		TRY(fdset_add(leaves(s, t->wali) ? s->leave : s->stay, t->wali->w->fds));
	}
	return ERR_OK;
}

static bool has(const struct fdset *set, const struct vfs_file *f)
{
	return fdset_index(set, f) != UINT32_MAX;
}

/* ---- refusing ---- */

/* As its family knows it, for a sentence. */
static const char *name_of(const struct vfs_file *f, char out[160])
{
	const char *guest = f->mount ? f->mount->guest : "";
	const char *name = f->path ? f->path : f->stream[0] ? f->stream : f->obj->ops->name;
	bool root = !strcmp(guest, "/");
	snprintf(out, 160, "%.40s%s%.110s", root ? "" : guest, f->mount ? "/" : "", name);
	return out;
}

static bool has_open(const struct wali *k, const struct vfs_obj *o)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (fdtable_use(k->w->fds, fd, 0, &e) != FE_BADF && e->file->obj == o)
			return true;
	return false;
}

/* The first of that part who has it open: "dash (17)". */
static void name_holder(const struct split *s, const struct vfs_obj *o, bool who_leaves,
                        char out[32])
{
	const struct task *found = NULL;
	for (const struct task *t = s->from->tasks; t; t = t->next)
		if (t->state != TASK_ZOMBIE && t->wali && leaves(s, t->wali) == who_leaves &&
		    has_open(t->wali, o) && (!found || t->pid < found->pid))
			found = t;
	if (found)
		snprintf(out, 32, "%.15s (%u)", found->comm, found->pid);
	else
		snprintf(out, 32, "a process");
}

/* It is named who has it in either part. */
static enum err refuse_shared(struct split *s, const struct vfs_file *f, const char *what,
                              const char *advice)
{
	char goes[32], stays[32], name[160];
	name_holder(s, f->obj, true, goes);
	name_holder(s, f->obj, false, stays);
	return err_set(s->msg, ERR_UNSUPPORTED, "%s: %s and %s %s: %s", name_of(f, name), goes,
	               stays, what, advice);
}

/* ---- pipes ---- */

struct users {
	bool reads, writes;
};

static struct users users_of(const struct fdset *set, const void *pipe)
{
	struct users u = {0};
	for (uint32_t i = 0; fdset_file(set, i); i++) {
		const struct vfs_obj *o = fdset_file(set, i)->obj;
		if (!vfs_is_pipe(o) || vfs_pipe_identity(o) != pipe)
			continue;
		u.reads |= !vfs_pipe_writes(o);
		u.writes |= vfs_pipe_writes(o);
	}
	return u;
}

static struct cut *find_cut(const struct split *s, const void *pipe)
{
	for (uint32_t i = 0; i < s->ncuts; i++)
		if (s->cuts[i].pipe == pipe)
			return &s->cuts[i];
	return NULL;
}

/* Both write it: a lane for each. */
static bool open_funnel(struct split *s, struct cut *c, const uint8_t *bytes, size_t size)
{
	struct vfs_obj *lanes[FUNNEL_LANES];
	if (funnel_new(s->from->space, s->members[0]->task->pid, &c->end[1], lanes) != FE_OK)
		return false;
	c->end[0] = lanes[0];
	c->lane = lanes[1];
	return funnel_fill(c->end[1], lanes[0], bytes, size);
}

static bool open_pair(struct split *s, struct cut *c, const uint8_t *bytes, size_t size)
{
	if (socket_pair(s->from->space, SOCKET_STREAM, s->members[0]->task->pid, c->end) != FE_OK)
		return false;
	for (int i = 0; i < 2; i++)
		socket_be_pipe(c->end[i]);
	return !size || socket_push(c->end[0], bytes, size);
}

/* A connection with what is in the pipe; from each part when both write it. */
static enum err join(struct split *s, struct vfs_obj *o, struct users out, bool both_write)
{
	uint8_t *bytes = malloc(VFS_PIPE_BYTES);
	struct cut *c = &s->cuts[s->ncuts];
	bool open;
	size_t size = bytes ? vfs_pipe_peek(o, bytes, &open) : 0;
	*c = (struct cut){.pipe = vfs_pipe_identity(o),
	                  .writer_leaves = out.writes && !both_write,
	                  .reader_leaves = out.reads};
	bool ok =
	    bytes && (both_write ? open_funnel(s, c, bytes, size) : open_pair(s, c, bytes, size));
	s->ncuts += c->end[0] != NULL;
	free(bytes);
	return ok ? ERR_OK : err_set(s->msg, ERR_NOMEM, "no room for a pipe between two parts");
}

/* A byte has one reader, which is who asks first: that cannot be known on two devices without asking for each. */
static enum err refuse_reader(struct split *s, const struct vfs_file *f)
{
	const void *pipe = vfs_pipe_identity(f->obj);
	for (uint32_t i = 0; fdset_file(s->leave, i); i++) {
		const struct vfs_obj *o = fdset_file(s->leave, i)->obj;
		if (vfs_is_pipe(o) && vfs_pipe_identity(o) == pipe && !vfs_pipe_writes(o))
			f = fdset_file(s->leave, i);
	}
	return refuse_shared(s, f, "both read it", "move them together (--job, or the whole)");
}

static enum err part_pipe(struct split *s, const struct vfs_file *f)
{
	const void *pipe = vfs_pipe_identity(f->obj);
	struct users out = users_of(s->leave, pipe), in = users_of(s->stay, pipe);
	if (find_cut(s, pipe) || (!in.reads && !in.writes))
		return ERR_OK;
	if (out.reads && in.reads)
		return refuse_reader(s, f);
	return join(s, f->obj, out, out.writes && in.writes);
}

/* ---- what both have open ---- */

/* Two descriptions at one offset do no harm. */
static bool is_harmless(const struct vfs_file *f)
{
	return f->obj->type != VFS_TYPE_FILE || !(f->flags & VFS_WRITE) || f->flags & VFS_APPEND ||
	       !f->mount;
}

/* Takes o. */
static enum err add_copy(struct split *s, struct vfs_file *f, struct vfs_obj *o, const char *stream)
{
	struct vfs_file *own = o ? vfs_file_new(o, f->mount, f->path, f->flags) : NULL;
	if (!own)
		return ERR_NOMEM;
	own->offset = f->offset;
	memcpy(own->stream, stream, sizeof own->stream);
	f->refs++;
	s->copies[s->ncopies++] = (struct copy){.of = f, .own = own};
	return ERR_OK;
}

static enum err part_shared(struct split *s, struct vfs_file *f)
{
	static const char together[] = "move them together (--job, or the whole)";
	const struct device *d = wali_device(f->obj);
	if (vfs_is_lane(f->obj) || vfs_is_funnel(f->obj) ||
	    (vfs_is_socket(f->obj) && socket_is_pipe(f->obj)))
		return refuse_shared(s, f, "both have it, and its other end is on another device",
		                     "bring that back first, or move them together");
	if (vfs_is_socket(f->obj))
		return refuse_shared(s, f, "both have it", together);
	if (d && d->kind == DEVICE_EVENT)
		return refuse_shared(s, f, "both count with it", together);
	if (d && d->kind == DEVICE_EPOLL)
		return refuse_shared(s, f, "both wait with it", together);
	if (!is_harmless(f))
		return refuse_shared(s, f, "write it at one place",
		                     "open it with >> (O_APPEND), or move them together");
	return add_copy(s, f, vfs_ref(f->obj), f->stream);
}

/* Who leaves has a description of its own of an end that both write. */
static enum err part_end(struct split *s, struct vfs_file *f)
{
	TRY(part_pipe(s, f));
	const struct cut *c = find_cut(s, vfs_pipe_identity(f->obj));
	return c && c->lane && has(s->stay, f) ? add_copy(s, f, vfs_ref(c->lane), "") : ERR_OK;
}

/* The terminal stays where it is. */
static enum err part_terminal(struct split *s, struct vfs_file *f, unsigned stream)
{
	char name[16];
	bool is_terminal = vfs_is_terminal(f->obj);
	far_stream_name(stream, is_terminal, name);
	return add_copy(s, f, far_stream_new(NULL, stream, is_terminal), name);
}

/* UINT_MAX: it is none of the terminal. */
static unsigned stream_of(const struct vfs_file *f)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};
	unsigned i = 0;
	if (!strncmp(f->stream, "far ", 4))
		return (unsigned)(f->stream[4] - '0') % 3;
	while (i < 3 && strcmp(f->stream, names[i]))
		i++;
	return i < 3 && !f->mount ? i : UINT_MAX;
}

static enum err refuse_own(struct split *s, const struct vfs_file *f, const char *why)
{
	char who[32], name[160];
	name_holder(s, f->obj, true, who);
	return err_set(s->msg, ERR_UNSUPPORTED,
	               "%s: %s has it open, and %s: move the whole family, or close it",
	               name_of(f, name), who, why);
}

/* What its own part only can have. */
static enum err look_at(struct split *s, struct vfs_file *f)
{
	if (pty_is_end(f->obj))
		return refuse_own(s, f, "a pty is not parted from who made it");
	if (fifo_is_end(f->obj))
		return refuse_own(s, f, "an open named pipe does not move");
	if (vfs_is_pipe(f->obj))
		return part_end(s, f);
	if (stream_of(f) != UINT_MAX)
		return part_terminal(s, f, stream_of(f));
	return has(s->stay, f) ? part_shared(s, f) : ERR_OK;
}

static uint32_t count_files(const struct fdset *set)
{
	uint32_t n = 0;
	while (fdset_file(set, n))
		n++;
	return n;
}

/* An epoll names descriptions; those of a shared one would be another's. */
static enum err look_at_epolls(struct split *s)
{
	for (uint32_t m = 0; m < s->count; m++)
		for (const struct device *d = s->members[m]->epolls; d; d = d->next_owned)
			for (uint32_t i = 0; i < d->nwatches; i++)
				if (d->watches[i].file && has(s->stay, d->watches[i].file))
					return refuse_shared(
					    s, d->watches[i].file,
					    "both have it, and an epoll watches it",
					    "move them together (--job, or the whole)");
	return ERR_OK;
}

static enum err plan_files(struct split *s)
{
	uint32_t n = count_files(s->leave);
	s->cuts = calloc(n + 1u, sizeof *s->cuts);
	s->copies = calloc(n + 1u, sizeof *s->copies);
	if (!s->cuts || !s->copies)
		return ERR_NOMEM;
	TRY(look_at_epolls(s));
	for (uint32_t i = 0; i < n; i++)
		TRY(look_at(s, fdset_file(s->leave, i)));
	return ERR_OK;
}

/* ---- the new family ---- */

static enum err plan_numbers(struct split *s)
{
	uint32_t first = s->from->pid_first ? s->from->pid_first : 1;
	uint32_t last = s->from->pid_first ? s->from->pid_last : FAMILY_PID_MAX;
	uint32_t size = (last - first + 1) / PART_OF_NUMBERS;
	size = size > FAMILY_NUMBERS_LEAST ? size : FAMILY_NUMBERS_LEAST + 1;
	if (last - first < size + FAMILY_NUMBERS_LEAST)
		return err_set(s->msg, ERR_LIMIT, "the family has too many parts");
	s->first = last - size + 1;
	s->last = last;
	return ERR_OK;
}

static enum err plan_family(struct split *s, const uint8_t *key)
{
	struct space_config c = {.wake = family_wake_all, .wake_own = family_wake};
	if (!s->from->space)
		return err_set(s->msg, ERR_UNSUPPORTED, "it runs without a node");
	s->to = family_new();
	if (!s->to)
		return ERR_NOMEM;
	s->to->users = 1; /* until its tasks are there */
	memcpy(c.key, key, sizeof c.key);
	c.ctx = s->to;
	TRY(space_new_like(s->from->space, &c, &s->to->space));
	s->to->commons = commons_ref(s->from->commons);
	if (socket_pair(s->from->space, SOCKET_STREAM, 0, s->joint) != FE_OK)
		return ERR_NOMEM;
	s->here = kinship_add(s->from, vfs_ref(s->joint[0]));
	s->there = s->here ? kinship_add(s->to, vfs_ref(s->joint[1])) : NULL;
	return s->there ? ERR_OK : err_set(s->msg, ERR_LIMIT, "the family has too many parts");
}

static enum err plan_tasks(struct split *s)
{
	for (const struct task *t = s->from->tasks; t; t = t->next) {
		struct task *e = calloc(1, sizeof *e);
		if (!e)
			return ERR_NOMEM;
		e->next = s->extra;
		s->extra = e;
	}
	return ERR_OK;
}

static enum err plan(struct split *s, const uint8_t *key)
{
	TRY(list_files(s));
	TRY(plan_numbers(s));
	TRY(plan_files(s));
	TRY(plan_tasks(s));
	return plan_family(s, key);
}

/* ---- carrying it out ---- */

static struct vfs_obj *end_for(const struct cut *c, bool writes, bool who_leaves)
{
	if (!writes)
		return c->end[1];
	return who_leaves && c->lane ? c->lane : c->end[0];
}

static void replace_ends(const struct split *s, bool who_leaves)
{
	const struct fdset *set = who_leaves ? s->leave : s->stay;
	for (uint32_t i = 0; fdset_file(set, i); i++) {
		struct vfs_file *f = fdset_file(set, i);
		const void *pipe = vfs_is_pipe(f->obj) ? vfs_pipe_identity(f->obj) : NULL;
		const struct cut *c = pipe ? find_cut(s, pipe) : NULL;
		if (!c)
			continue;
		struct vfs_obj *end = end_for(c, vfs_pipe_writes(f->obj), who_leaves);
		vfs_unref(f->obj);
		f->obj = vfs_ref(end);
	}
}

/* All connections that it is made of. */
static void change_space(struct vfs_obj *o, struct space *to)
{
	struct vfs_obj *socket;
	if (vfs_is_socket(o))
		socket_change_space(o, to);
	for (uint32_t i = 0; (socket = funnel_socket(o, i)); i++)
		socket_change_space(socket, to);
}

/* The writer's end only writes, the reader's only reads; each is of its family. */
static void settle_cuts(struct split *s)
{
	for (uint32_t i = 0; i < s->ncuts; i++) {
		struct cut *c = &s->cuts[i];
		if (c->lane) {
			change_space(c->lane, s->to->space);
			if (c->reader_leaves)
				change_space(c->end[1], s->to->space);
			continue;
		}
		change_space(c->end[c->writer_leaves ? 0 : 1], s->to->space);
		socket_shutdown(c->end[1], SOCKET_SHUT_WRITE);
	}
}

static void put_own(struct vfs_file **at, const struct copy *c)
{
	if (*at != c->of)
		return;
	c->own->refs++;
	vfs_file_unref(*at);
	*at = c->own;
}

static void replace_copies(const struct split *s, struct wali *k)
{
	struct fd_entry *e;
	for (uint32_t i = 0; i < s->ncopies; i++) {
		for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
			if (fdtable_use(k->w->fds, fd, 0, &e) != FE_BADF)
				put_own(&e->file, &s->copies[i]);
		for (uint32_t m = 0; m < k->nmaps; m++)
			if (k->maps[m].file)
				put_own(&k->maps[m].file, &s->copies[i]);
	}
}

/* What wakes a family wakes the new one. */
static void own_files(struct split *s)
{
	struct vfs_wake wake = {family_wake_pipe, s->to, true};
	for (uint32_t i = 0; i < s->ncopies; i++)
		far_stream_attach(s->to, s->copies[i].own->obj);
	for (uint32_t i = 0; fdset_file(s->leave, i); i++) {
		struct vfs_obj *o = fdset_file(s->leave, i)->obj;
		struct device *d = wali_device(o);
		if (has(s->stay, fdset_file(s->leave, i)))
			continue;
		if (d && (d->kind == DEVICE_EVENT || d->kind == DEVICE_EPOLL))
			d->wake_ctx = s->to;
		else if (vfs_is_pipe(o))
			vfs_pipe_set_wake(o, wake);
		else
			change_space(o, s->to->space);
	}
}

static void move_wali(struct split *s, struct wali *k)
{
	s->to->memory_bytes += k->charged_bytes;
	s->from->memory_bytes -= k->charged_bytes;
	k->family = k->w->family = s->to;
	k->owes = NULL;
	replace_copies(s, k);
}

/* Its parent is one of those that leave. */
static bool is_theirs(const struct split *s, const struct task *zombie)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->members[i]->task->pid == zombie->parent)
			return true;
	return false;
}

static void put(struct family *f, struct task *t)
{
	pthread_mutex_lock(&f->wakers);
	t->next = f->tasks;
	f->tasks = t;
	pthread_mutex_unlock(&f->wakers);
	f->alive += t->state != TASK_ZOMBIE && !t->away;
}

static void take_out(struct family *f, struct task *t)
{
	struct task **at = &f->tasks;
	pthread_mutex_lock(&f->wakers);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	pthread_mutex_unlock(&f->wakers);
	f->alive -= t->state != TASK_ZOMBIE && !t->away;
}

static void put_stand_in(struct split *s, struct family *f, const struct task *t, struct kinship *c)
{
	struct task *e = s->extra;
	s->extra = e->next;
	*e = (struct task){.pid = t->pid,
	                   .parent = t->parent,
	                   .group = t->group,
	                   .session = t->session,
	                   .state = t->state,
	                   .status = t->status,
	                   .ignores_children = t->ignores_children,
	                   .has_execed = t->has_execed,
	                   .untold = f == s->from ? t->untold : 0,
	                   .away = c};
	memcpy(e->comm, t->comm, sizeof e->comm);
	kinship_place(t, e);
	if (t->status_is_news && family_find(f, t->parent) && !family_find(f, t->parent)->away)
		e->status_is_news = true;
	put(f, e);
}

/* Those that leave first, so that each side knows its own when it gets stand-ins. */
static void part_tasks(struct split *s)
{
	for (struct task *t = s->from->tasks, *next; t; t = next) {
		next = t->next;
		t->waits_for = NULL;
		bool goes = t->away                   ? false
		            : t->state == TASK_ZOMBIE ? is_theirs(s, t)
		                                      : leaves(s, t->wali);
		if (!goes)
			continue;
		take_out(s->from, t);
		put(s->to, t);
	}
	uint32_t here = 0;
	for (struct task *t = s->from->tasks; t; t = t->next, here++)
		if (t->state != TASK_ZOMBIE)
			put_stand_in(s, s->to, t, s->there);
	for (struct task *t = s->to->tasks; t; t = t->next)
		if (!t->away && t->state != TASK_ZOMBIE)
			put_stand_in(s, s->from, t, s->here);
	for (struct task *t = s->to->tasks; t; t = t->next) {
		const struct task *parent = family_find(s->to, t->parent);
		t->untold = 0;
		if (!t->away && parent && parent->away)
			t->status_is_news = false; /* its parent's part has it */
	}
}

static void share_out(struct split *s)
{
	s->to->terminal = s->from->terminal;
	s->to->terminal_at = s->there;
	s->to->memory_limit_bytes = s->from->memory_limit_bytes;
	s->to->pid_first = s->first;
	s->to->pid_last = s->last;
	s->from->pid_first = s->from->pid_first ? s->from->pid_first : 1;
	s->from->pid_last = s->first - 1;
	kinship_gave(s->here, s->first, s->last);
	family_share_lock(s->to, s->from);
	s->to->users = 0;
}

static void carry_out(struct split *s)
{
	socket_change_space(s->joint[1], s->to->space);
	replace_ends(s, false); /* descriptions that both have are theirs who stay */
	replace_ends(s, true);
	settle_cuts(s);
	own_files(s);
	for (uint32_t i = 0; i < s->count; i++)
		move_wali(s, s->members[i]);
	part_tasks(s);
	far_requests_part(s->from, s->to);
	share_out(s);
	kinships_go(s->from);
	kinships_go(s->to);
}

/* ---- the end of a plan ---- */

static void free_plan(struct split *s)
{
	for (uint32_t i = 0; i < s->ncuts; i++) {
		for (int e = 0; e < 2; e++)
			vfs_unref(s->cuts[i].end[e]);
		if (s->cuts[i].lane)
			vfs_unref(s->cuts[i].lane);
	}
	for (uint32_t i = 0; i < s->ncopies; i++) {
		vfs_file_unref(s->copies[i].of);
		vfs_file_unref(s->copies[i].own);
	}
	for (int e = 0; e < 2; e++)
		if (s->joint[e])
			vfs_unref(s->joint[e]);
	while (s->extra) {
		struct task *e = s->extra;
		s->extra = e->next;
		free(e);
	}
	fdset_free(s->leave);
	fdset_free(s->stay);
	free(s->cuts);
	free(s->copies);
}

static void undo(struct split *s)
{
	if (s->here)
		kinship_drop(s->from, s->here);
	if (s->to)
		family_let(s->to);
}

enum err family_split(struct wali *const *members, uint32_t count, const uint8_t *key,
                      struct errmsg *msg)
{
	struct split s = {
	    .members = members, .count = count, .from = members[0]->family, .msg = msg};
	msg->text[0] = 0;
	family_lock(s.from);
	enum err e = plan(&s, key);
	if (e == ERR_OK)
		carry_out(&s);
	else
		undo(&s);
	free_plan(&s);
	family_unlock(s.from);
	return e == ERR_OK || msg->text[0] ? e : err_set(msg, e, "%s", err_text(e));
}
