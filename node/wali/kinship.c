/* kinship.c - the other parts of a family (kinship.h). */
#include "node/wali/kinship.h"

#include "node/sockets/socket.h"
#include "node/wali/family.h"
#include "node/wali/far_requests.h"
#include "node/wali/family_image.h"
#include "node/wali/objects.h"
#include "node/wali/wali_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_ROW = 1, KIND_SIGNALS };
enum { ROW_SIZE = 52, SIGNALS_SIZE = 13, PIECE = 4096 /* more than any message */ };
enum { DEVICE_MAX = sizeof((struct task *)0)->device - 1, ROW_MAX = ROW_SIZE + DEVICE_MAX };
#define KILL_BIT (UINT64_C(1) << (LINUX_SIGKILL - 1))
enum { ROW_NEWS = 1, ROW_IGNORES = 2, ROW_EXECED = 4, ROW_FLAGS = 7 };

/* One that was killed and has ended for this part, of which the other has not said that it is over. */
struct killed {
	uint32_t pid;
	bool told;
};

struct kinship {
	struct kinship *next;
	struct family *family;
	struct vfs_obj *socket; /* owned */
	uint8_t bit;
	struct far_user user;
	uint32_t first, last; /* numbers that the other part was given out of this one's; 0: none */
	struct killed *killed;
	uint32_t nkilled;
};

/* ---- how much was said ---- */

struct kinship_talk {
	_Atomic uint32_t refs;
	_Atomic uint64_t count;
};

struct kinship_talk *kinship_talk_ref(struct kinship_talk *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void kinship_talk_unref(struct kinship_talk *t)
{
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		free(t);
}

uint64_t kinship_talk_count(const struct kinship_talk *t)
{
	return atomic_load(&t->count);
}

/* False: no memory. */
static bool begin_talk(struct family *f)
{
	if (f->talk)
		return true;
	f->talk = calloc(1, sizeof *f->talk);
	if (f->talk)
		f->talk->refs = 1;
	return f->talk;
}

static void talk(const struct family *f)
{
	if (f->talk)
		atomic_fetch_add(&f->talk->count, 1);
}

/* ---- which there are ---- */

struct kinship *kinship_add(struct family *f, struct vfs_obj *socket)
{
	uint8_t used = kinships_but(f, NULL);
	bool can = used != UINT8_MAX && begin_talk(f);
	struct kinship *c = can ? calloc(1, sizeof *c) : NULL, **at = &f->kinships;
	if (!c) {
		vfs_unref(socket);
		return NULL;
	}
	c->socket = socket;
	c->family = f;
	for (c->bit = 1; used & c->bit; c->bit = (uint8_t)(c->bit << 1))
		;
	while (*at && (*at)->bit < c->bit)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
	return c;
}

struct kinship *kinship_at(const struct family *f, uint32_t i)
{
	uint32_t bit =
	    i < 8 * sizeof f->kinships->bit ? 1u << i : 0; /* an image may say anything */
	struct kinship *c = f->kinships;
	while (c && c->bit != bit)
		c = c->next;
	return c;
}

struct kinship *kinship_next(const struct kinship *c)
{
	return c->next;
}

struct far_user *kinship_user(struct kinship *c)
{
	return &c->user;
}

uint32_t kinship_index(const struct kinship *c)
{
	return (uint32_t)__builtin_ctz(c->bit);
}

uint8_t kinships_but(const struct family *f, const struct kinship *but)
{
	uint8_t bits = 0;
	for (const struct kinship *c = f->kinships; c; c = c->next)
		if (c != but)
			bits |= c->bit;
	return bits;
}

static void free_kinship(struct kinship *c)
{
	vfs_unref(c->socket);
	free(c->killed);
	free(c);
}

/* ---- telling ---- */

/* Where it is: its device's name for it, and its number there. */
static void place_of(const struct task *t, const char **device, uint32_t *number)
{
	struct wali_about a = {0};
	if (t->wali && t->wali->host.about)
		t->wali->host.about(t->wali->host.ctx, &a);
	*device = t->away ? t->device : a.device ? a.device : "";
	*number = t->away ? t->node_pid : a.pid;
}

void kinship_place(const struct task *t, struct task *stand_in)
{
	const char *device;
	place_of(t, &device, &stand_in->node_pid);
	snprintf(stand_in->device, sizeof stand_in->device, "%s", device);
}

static void write_row(const struct family *f, const struct task *t, struct wr *out)
{
	const struct task *parent = family_find((struct family *)f, t->parent);
	bool news = t->status_is_news && (!parent || parent->away);
	wr_u8(out, KIND_ROW);
	wr_u32(out, t->pid);
	wr_u32(out, t->parent);
	wr_u32(out, t->group);
	wr_u32(out, t->session);
	wr_u8(out, (uint8_t)t->state);
	wr_u8(out, (uint8_t)((news ? ROW_NEWS : 0) | (t->ignores_children ? ROW_IGNORES : 0) |
	                     (t->has_execed ? ROW_EXECED : 0)));
	wr_u32(out, (uint32_t)t->status);
	wr_u64(out, t->used_ns);
	wr_bytes(out, t->comm, sizeof t->comm);
	const char *device;
	uint32_t number;
	place_of(t, &device, &number);
	size_t size = strlen(device) < DEVICE_MAX ? strlen(device) : DEVICE_MAX;
	wr_u32(out, number);
	wr_u8(out, (uint8_t)size);
	wr_bytes(out, device, size);
}

/* False: not now. */
static bool put_message(struct kinship *c, const struct wr *w, bool at_end)
{
	size_t done = 0;
	struct vfs_iov iov = {.p = w->data, .size = w->size};
	uint64_t end;
	if (!wr_ok(w) || (!at_end && !socket_takes(c->socket, w->size)))
		return false;
	talk(c->family);
	if (at_end)
		return socket_push(c->socket, w->data, w->size);
	return vfs_write(c->socket, 0, 0, &iov, 1, &done, &end) == FE_OK && done == w->size;
}

bool kinship_send(struct kinship *c, const struct wr *w)
{
	return put_message(c, w, false);
}

bool kinship_takes(struct kinship *c, size_t size)
{
	return socket_takes(c->socket, size);
}

static void tell_row(struct family *f, struct task *t, struct kinship *c, bool at_end)
{
	struct wr w = {0};
	bool comes = !t->wali && !t->away && t->state != TASK_ZOMBIE && !at_end;
	if (!(t->untold & c->bit) || !t->pid || comes)
		return;
	write_row(f, t, &w);
	if (put_message(c, &w, at_end))
		t->untold &= (uint8_t)~c->bit;
	wr_free(&w);
}

static bool put_signals(struct kinship *c, uint32_t pid, uint64_t bits, bool at_end)
{
	struct wr w = {0};
	wr_u8(&w, KIND_SIGNALS);
	wr_u32(&w, pid);
	wr_u64(&w, bits);
	bool ok = put_message(c, &w, at_end);
	wr_free(&w);
	return ok;
}

static void tell_signals(struct task *t, bool at_end)
{
	if (t->away && t->pending && t->state != TASK_ZOMBIE &&
	    put_signals(t->away, t->pid, t->pending, at_end))
		t->pending = 0;
}

/* True: some are left. */
static bool tell_killed(struct kinship *c, bool at_end)
{
	bool left = false;
	for (uint32_t i = 0; i < c->nkilled; i++) {
		struct killed *d = &c->killed[i];
		d->told = d->told || put_signals(c, d->pid, KILL_BIT, at_end);
		left |= !d->told;
	}
	return left;
}

/* Its parent's part has heard: there it is waited for. */
static void told(struct family *f, struct task *t)
{
	const struct task *parent = family_find(f, t->parent);
	if (t->untold || !t->pid)
		return;
	if (parent && parent->away)
		t->status_is_news = false;
	family_drop_if_nobodys(f, t);
}

void kinships_tell(struct family *f, bool at_end)
{
	bool left = far_terminal_tell(f);
	left |= far_requests_tell(f);
	for (struct kinship *c = f->kinships; c; c = c->next)
		left |= tell_killed(c, at_end);
	for (struct task *t = f->tasks, *next; t; t = next) {
		next = t->next;
		bool had = t->untold;
		for (struct kinship *c = f->kinships; c && t->untold; c = c->next)
			tell_row(f, t, c, at_end);
		tell_signals(t, at_end);
		left |= (t->untold && t->pid) || (t->away && t->pending && t->state != TASK_ZOMBIE);
		if (had)
			told(f, t);
	}
	f->has_untold = left;
}

/* ---- hearing ---- */

struct row {
	uint32_t pid, parent, group, session, status;
	uint8_t state, flags;
	uint64_t used_ns;
	const uint8_t *comm, *device;
	uint32_t node_pid;
	uint8_t device_size;
};

static enum err read_row(struct rd *in, struct row *r)
{
	TRY(rd_u32(in, &r->pid));
	TRY(rd_u32(in, &r->parent));
	TRY(rd_u32(in, &r->group));
	TRY(rd_u32(in, &r->session));
	TRY(rd_u8(in, &r->state));
	TRY(rd_u8(in, &r->flags));
	TRY(rd_u32(in, &r->status));
	TRY(rd_u64(in, &r->used_ns));
	TRY(rd_bytes(in, sizeof((struct task *)0)->comm, &r->comm));
	TRY(rd_u32(in, &r->node_pid));
	TRY(rd_u8(in, &r->device_size));
	TRY(rd_bytes(in, r->device_size, &r->device));
	bool numbers = r->pid && r->pid <= FAMILY_PID_MAX && r->group && r->session &&
	               r->parent <= FAMILY_PID_MAX && r->group <= FAMILY_PID_MAX &&
	               r->session <= FAMILY_PID_MAX && r->parent != r->pid &&
	               r->device_size <= DEVICE_MAX;
	return numbers && r->state <= TASK_ZOMBIE && r->flags <= ROW_FLAGS ? ERR_OK : ERR_MALFORMED;
}

static uint32_t count_tasks(const struct family *f)
{
	uint32_t n = 0;
	for (const struct task *t = f->tasks; t; t = t->next)
		n++;
	return n;
}

/* NULL: it is none of theirs, or has ended before it was heard of. */
static struct task *stand_in(struct family *f, struct kinship *c, const struct row *r)
{
	struct task *t = family_find(f, r->pid), none = {.pid = r->parent};
	if (t)
		return t->away == c ? t : NULL;
	if (r->state == TASK_ZOMBIE || count_tasks(f) >= FAMILY_MAX ||
	    !(t = family_add(f, r->pid, &none, NULL)))
		return NULL;
	f->alive--;
	t->away = c;
	return t;
}

static void end_stand_in(struct family *f, struct task *t)
{
	t->state = TASK_ZOMBIE;
	t->pending = 0;
	family_orphan(f, t);
	family_tell_parent(f, t);
	family_changed(f, t);
	family_drop_if_nobodys(f, t);
}

/* ---- who was killed ---- */

void kinship_kills(struct family *f, struct task *t)
{
	enum { PATIENCE_S = 3 };
	if (!t->alarm_ns)
		t->alarm_ns = os_monotonic_ns() + PATIENCE_S * UINT64_C(1000000000);
	family_watch_alarms(f);
}

static struct killed *find_killed(const struct kinship *c, uint32_t pid)
{
	for (uint32_t i = 0; i < c->nkilled; i++)
		if (c->killed[i].pid == pid)
			return &c->killed[i];
	return NULL;
}

static bool add_killed(struct kinship *c, uint32_t pid, bool told)
{
	struct killed *p = c->nkilled < FAMILY_MAX && !find_killed(c, pid)
	                       ? realloc(c->killed, (c->nkilled + 1u) * sizeof *p)
	                       : NULL;
	if (!p)
		return false;
	c->killed = p;
	c->killed[c->nkilled++] = (struct killed){pid, told};
	return true;
}

/* What its part says of one that was killed: that it is over, or that it does not know yet. */
static void row_of_killed(struct family *f, struct kinship *c, struct killed *d,
                          const struct row *r)
{
	if (r->state == TASK_ZOMBIE) {
		*d = c->killed[--c->nkilled];
		return;
	}
	d->told = false;
	f->has_untold = true;
}

/* All that was known of the other part was killed: so is that, even if it is brought back from an image so old that its connection does not fit. */
static void condemn_if_dead(struct family *f, struct kinship *c)
{
	for (const struct task *t = f->tasks; t; t = t->next)
		if (t->away == c && t->state != TASK_ZOMBIE)
			return;
	if (c->nkilled)
		socket_condemn(c->socket);
}

static void bury(struct family *f, struct task *t)
{
	struct kinship *c = t->away;
	t->alarm_ns = 0;
	if (!add_killed(c, t->pid, !(t->pending & KILL_BIT)))
		return;
	t->status = LINUX_SIGKILL;
	end_stand_in(f, t);
	condemn_if_dead(f, c);
	f->has_untold = true;
}

static struct task *next_lost(struct family *f, uint64_t now, uint64_t *next)
{
	struct task *due = NULL;
	*next = OS_NO_DEADLINE;
	for (struct task *t = f->tasks; t; t = t->next) {
		if (!t->away || !t->alarm_ns || t->state == TASK_ZOMBIE)
			continue;
		if (t->alarm_ns <= now)
			due = t;
		else
			*next = t->alarm_ns < *next ? t->alarm_ns : *next;
	}
	return due;
}

uint64_t kinships_bury(struct family *f)
{
	uint64_t now = os_monotonic_ns(), next;
	struct task *t;
	while ((t = next_lost(f, now, &next)))
		bury(f, t);
	return next;
}

static void take_place(struct task *t, const struct row *r)
{
	for (uint32_t i = 0; i < r->device_size; i++)
		t->device[i] =
		    r->device[i] < ' ' || r->device[i] == 0x7f ? '?' : (char)r->device[i];
	t->device[r->device_size] = 0;
	t->node_pid = r->node_pid;
}

static void take_row(struct family *f, struct kinship *c, const struct row *r)
{
	struct killed *d = find_killed(c, r->pid);
	if (d) {
		row_of_killed(f, c, d, r);
		return;
	}
	struct task *t = stand_in(f, c, r);
	const struct task *parent = family_find(f, r->parent);
	if (!t || t->state == TASK_ZOMBIE)
		return;
	t->parent = parent && parent->state != TASK_ZOMBIE ? r->parent : 0;
	t->group = r->group;
	t->session = r->session;
	t->ignores_children = r->flags & ROW_IGNORES;
	t->has_execed = r->flags & ROW_EXECED;
	t->used_ns = r->used_ns;
	memcpy(t->comm, r->comm, sizeof t->comm);
	t->comm[sizeof t->comm - 1] = 0;
	take_place(t, r);
	t->status = (int)r->status;
	if (r->state == TASK_ZOMBIE) {
		end_stand_in(f, t);
		return;
	}
	t->state = (enum task_state)r->state;
	family_changed(f, t);
	if (!(r->flags & ROW_NEWS))
		return;
	t->status_is_news = true;
	family_tell_parent(f, t);
}

/* For one of this part, or of one beyond another kinship. */
static void take_signals(struct family *f, const struct kinship *c, uint32_t pid, uint64_t bits)
{
	struct task *t = family_find(f, pid);
	if (!t || t->away == c)
		return;
	for (int s = 1; s <= LINUX_SIGNALS; s++)
		if (bits >> (s - 1) & 1)
			family_raise(f, t, s);
}

static uint32_t message_size(const uint8_t *bytes, size_t size)
{
	switch (bytes[0]) {
	case KIND_ROW: return size < ROW_SIZE ? 0 : ROW_SIZE + (uint32_t)bytes[ROW_SIZE - 1];
	case KIND_SIGNALS: return SIGNALS_SIZE;
	case FAR_REQUEST: return far_request_size(bytes, size);
	default: return far_message_size(bytes, size);
	}
}

static enum err take_one(struct wali *k, struct kinship *c, struct rd *in)
{
	uint8_t kind;
	struct row r;
	uint64_t bits;
	struct family *f = k->family;
	if (*in->p == FAR_REQUEST)
		return far_request_take(f, c, in);
	if (*in->p != KIND_ROW && *in->p != KIND_SIGNALS)
		return far_terminal_take(k, c, in);
	TRY(rd_u8(in, &kind));
	if (kind == KIND_ROW) {
		TRY(read_row(in, &r));
		take_row(f, c, &r);
		return ERR_OK;
	}
	TRY(rd_u32(in, &r.pid));
	TRY(rd_u64(in, &bits));
	take_signals(f, c, r.pid, bits);
	return ERR_OK;
}

void kinship_gave(struct kinship *c, uint32_t first, uint32_t last)
{
	c->first = first;
	c->last = last;
}

static void take_out(struct family *f, struct kinship *c)
{
	struct kinship **at = &f->kinships;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

void kinship_drop(struct family *f, struct kinship *c)
{
	take_out(f, c);
	free_kinship(c);
}

/* The other part is no more: who had not ended there was killed. */
static void lose(struct family *f, struct kinship *c)
{
	bool condemned = socket_is_condemned(c->socket);
	f->elsewhere_changed = true;
	for (struct task *t = f->tasks; t && condemned; t = t->next)
		if (!t->away)
			family_raise(f, t, LINUX_SIGKILL);
	take_out(f, c);
	if (f->terminal_at == c) {
		f->terminal_at = NULL;
		f->input = (struct far_input){0};
	}
	for (struct task *t = f->tasks, *next; t; t = next) {
		next = t->next;
		t->untold &= (uint8_t)~c->bit;
		if (t->away != c)
			continue;
		t->away = NULL; /* a zombie of this part from now on */
		if (t->state == TASK_ZOMBIE)
			continue;
		t->status = LINUX_SIGKILL;
		end_stand_in(f, t);
		next = f->tasks; /* children may have gone with it */
	}
	if (c->first && c->first == f->pid_last + 1)
		f->pid_last = c->last; /* its numbers come back */
	free_kinship(c);
}

/* The messages that are there as a whole. MALFORMED: what is no message; AGAIN: one cannot happen now. */
static enum err take_all(struct wali *k, struct kinship *c, struct rd in, size_t *taken)
{
	while (rd_left(&in)) {
		struct rd one;
		uint32_t whole = message_size(in.p, rd_left(&in));
		if (whole == UINT32_MAX || whole > PIECE)
			return ERR_MALFORMED;
		if (!whole || whole > rd_left(&in))
			return ERR_OK;
		TRY(rd_sub(&in, whole, &one));
		TRY(take_one(k, c, &one));
		*taken = rd_offset(&in);
	}
	return ERR_OK;
}

/* False: it is over. *taken: bytes; 0: nothing, for now. */
static bool hear_some(struct wali *k, struct kinship *c, size_t *taken)
{
	uint8_t bytes[PIECE];
	struct vfs_iov iov = {.p = bytes, .size = sizeof bytes};
	struct socket_receive r = {.iov = &iov, .n = 1, .peek = true};
	size_t size = 0;
	*taken = 0;
	enum ferr e = socket_receive(c->socket, &r, &size);
	if (e == FE_AGAIN)
		return true;
	if (e != FE_OK || !size)
		return false;
	enum err err = take_all(k, c, rd_of(bytes, size), taken);
	if (err != ERR_OK && err != ERR_AGAIN)
		return false;
	if (err == ERR_AGAIN)
		atomic_store(&k->family->has_news, true);
	if (*taken)
		talk(k->family);
	iov.size = *taken;
	r = (struct socket_receive){.iov = &iov, .n = 1};
	return !*taken || socket_receive(c->socket, &r, &size) == FE_OK;
}

static void hear(struct wali *k, struct kinship *c)
{
	size_t taken = 1;
	while (taken)
		if (!hear_some(k, c, &taken)) {
			lose(k->family, c);
			return;
		}
}

void kinships_hear(struct wali *k)
{
	struct family *f = k->family;
	far_terminal_serve(k);
	far_requests_serve(f);
	if (!atomic_exchange(&f->has_news, false))
		return;
	for (struct kinship *c = f->kinships, *next; c; c = next) {
		next = c->next;
		if (!socket_stands(c->socket))
			hear(k, c);
	}
	far_terminal_serve(k);
	family_wake(f);
}

bool kinships_want(struct family *f)
{
	for (struct kinship *c = f->kinships; c; c = c->next) {
		if (socket_stands(c->socket))
			continue;
		if (vfs_ready(c->socket, VFS_READABLE))
			return true;
		if (f->has_untold && socket_takes(c->socket, ROW_MAX))
			return true;
	}
	return false;
}

/* ---- for people ---- */

static bool is_elsewhere(const struct task *t)
{
	return t->away && t->pid && t->state != TASK_ZOMBIE;
}

static void describe(const struct task *t, struct wali_elsewhere *out)
{
	*out =
	    (struct wali_elsewhere){.pid = t->pid, .parent = t->parent, .pid_there = t->node_pid};
	snprintf(out->name, sizeof out->name, "%s", t->comm);
	snprintf(out->device, sizeof out->device, "%s", t->device);
}

static int by_number(const void *a, const void *b)
{
	const struct wali_elsewhere *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

void kinships_show(struct wali *k)
{
	struct family *f = k->family;
	uint32_t n = 0;
	if (!f->elsewhere_changed || !k->host.elsewhere)
		return;
	for (const struct task *t = f->tasks; t; t = t->next)
		n += is_elsewhere(t);
	struct wali_elsewhere *list = n ? calloc(n, sizeof *list) : NULL;
	if (n && !list)
		return; /* another time */
	n = 0;
	for (const struct task *t = f->tasks; t; t = t->next)
		if (is_elsewhere(t))
			describe(t, &list[n++]);
	if (n)
		qsort(list, n, sizeof *list, by_number);
	k->host.elsewhere(k->host.ctx, list, n, f->talk);
	f->elsewhere_changed = false;
	free(list);
}

void kinships_end(struct family *f)
{
	if (f->kinships)
		kinships_tell(f, true);
	for (struct task *t = f->tasks; t; t = t->next)
		t->untold = 0;
	while (f->kinships) {
		struct kinship *c = f->kinships;
		f->kinships = c->next;
		free_kinship(c);
	}
}

/* ---- in an image, before what is of the terminal (far_terminal.c): u8 count, each: u8 bit's number, u32 u32 first and last number given or 0,
 * u16 killed, each: u32 number, u8 whether it was told; u32 size, the socket ---- */

static void save_killed(const struct kinship *c, struct wr *out)
{
	wr_u16(out, (uint16_t)c->nkilled);
	for (uint32_t i = 0; i < c->nkilled; i++) {
		wr_u32(out, c->killed[i].pid);
		wr_u8(out, c->killed[i].told);
	}
}

enum err kinships_save(struct family *f, struct wr *out)
{
	uint8_t n = 0;
	for (const struct kinship *c = f->kinships; c; c = c->next)
		n++;
	wr_u8(out, n);
	for (const struct kinship *c = f->kinships; c; c = c->next) {
		wr_u8(out, (uint8_t)kinship_index(c));
		wr_u32(out, c->first);
		wr_u32(out, c->last);
		save_killed(c, out);
		size_t at = out->size;
		wr_u32(out, 0);
		TRY(c->socket->ops->save(c->socket, out));
		if (!wr_ok(out))
			return ERR_NOMEM;
		wr_patch_u32(out, at, (uint32_t)(out->size - at - 4));
	}
	return ERR_OK;
}

struct head {
	uint8_t index;
	uint32_t first, last;
	struct rd killed;
};

enum { KILLED_SIZE = 5 };

static enum err read_head(struct rd *in, struct head *h, struct rd *bytes)
{
	uint32_t size;
	uint16_t killed;
	TRY(rd_u8(in, &h->index));
	TRY(rd_u32(in, &h->first));
	TRY(rd_u32(in, &h->last));
	TRY(rd_u16(in, &killed));
	if (h->first > h->last || h->last > FAMILY_PID_MAX || killed > FAMILY_MAX)
		return ERR_MALFORMED;
	TRY(rd_sub(in, (size_t)KILLED_SIZE * killed, &h->killed));
	TRY(rd_u32(in, &size));
	return rd_sub(in, size, bytes);
}

enum err kinships_skip(struct rd *in)
{
	enum { USER = 3 };
	uint8_t n, count;
	const uint8_t *bytes;
	uint16_t size;
	struct head h;
	struct rd socket;
	TRY(rd_u8(in, &n));
	if (n > KINSHIPS_MAX)
		return ERR_MALFORMED;
	for (count = n; count; count--)
		TRY(read_head(in, &h, &socket));
	TRY(rd_bytes(in, 2, &bytes));
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &bytes));
	return rd_bytes(in, (size_t)USER * n, &bytes);
}

static enum err load_killed(struct family *f, struct kinship *c, struct rd in)
{
	while (rd_left(&in)) {
		uint32_t pid;
		uint8_t told;
		TRY(rd_u32(&in, &pid));
		TRY(rd_u8(&in, &told));
		if (!pid || pid > FAMILY_PID_MAX || told > 1 || find_killed(c, pid))
			return ERR_MALFORMED;
		if (!add_killed(c, pid, told))
			return ERR_NOMEM;
		f->has_untold |= !told;
	}
	return ERR_OK;
}

static enum err load_one(struct family *f, struct rd *in, int *before)
{
	struct head h;
	struct rd bytes;
	struct vfs_obj *o;
	struct errmsg msg;
	TRY(read_head(in, &h, &bytes));
	if (h.index >= KINSHIPS_MAX || h.index <= *before)
		return ERR_MALFORMED;
	*before = h.index;
	TRY(socket_object_load(&bytes, &o, &msg));
	if (rd_left(&bytes) || !socket_is_connection(o)) {
		vfs_unref(o);
		return ERR_MALFORMED;
	}
	struct kinship *c = kinship_add(f, o);
	if (!c)
		return ERR_NOMEM;
	c->bit = (uint8_t)(1u << h.index);
	kinship_gave(c, h.first, h.last);
	return load_killed(f, c, h.killed);
}

enum err kinships_load(struct family *f, struct rd *in)
{
	uint8_t n;
	int before = -1;
	TRY(rd_u8(in, &n));
	if (n > KINSHIPS_MAX)
		return ERR_MALFORMED;
	f->has_come = n;
	for (; n; n--)
		TRY(load_one(f, in, &before));
	return ERR_OK;
}

enum err kinships_own(struct family *f, bool copy)
{
	for (struct kinship *c = f->kinships; c; c = c->next) {
		if (!f->space)
			return ERR_UNSUPPORTED;
		TRY(socket_adopt(f->space, c->socket, copy));
	}
	return ERR_OK;
}

void kinships_go(struct family *f)
{
	f->elsewhere_changed = true;
	if (!f->kinships)
		return;
	for (struct kinship *c = f->kinships; c; c = c->next) {
		socket_go(c->socket);
		condemn_if_dead(f, c);
	}
	/* Not at each pause: what is said right behind a checkpoint makes it one that fits no more. */
	for (struct task *t = f->tasks; t && f->has_come; t = t->next)
		if (!t->away && t->state != TASK_ZOMBIE)
			family_changed(f, t);
	f->has_come = false;
	atomic_store(&f->has_news, true);
	family_watch_alarms(f);
	atomic_store(&f->hears, f->has_alarms);
}
