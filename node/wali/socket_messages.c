/* socket_messages.c - sending and receiving: buffers, addresses, and the files that go along (SCM_RIGHTS). */
#include "node/wali/sockets.h"

#include <stdlib.h>
#include <string.h>

enum { MSG_WAITALL_ = 0x100, MSG_TRUNC_ = 0x20, MSG_CTRUNC_ = 8, MSG_NOSIGNAL_ = 0x4000 };
enum { MSG_OOB_ = 1, MSG_ERRQUEUE_ = 0x2000, MSG_CLOEXEC_ = 0x40000000 };

/* ---- bytes ---- */

/* files: the caller's, unless they went. */
static int64_t send_some(struct wali *k, struct fd_entry *e, struct wali_io *io, uint32_t flags,
                         struct socket_send *s)
{
	uint64_t before = wali_progress(k);
	size_t done = 0;
	wali_io_skip(io, before);
	s->iov = io->v;
	s->n = io->count;
	s->pid = k->task->pid;
	e->file->writes++;
	enum ferr r = socket_send(e->file->obj, s, &done);
	if (r == FE_AGAIN)
		return wali_write_blocked(k, e->file, before, wali_waits(e, flags));
	if (r == FE_PIPE && !(flags & MSG_NOSIGNAL_))
		family_raise(k->family, k->task, LINUX_SIGPIPE);
	if (r != FE_OK && before)
		return (int64_t)before;
	WTRY(r);
	before += done;
	if (before >= io->total || s->to)
		return (int64_t)before;
	return wali_write_blocked(k, e->file, before, wali_waits(e, flags));
}

/* A call that is made again after some of its bytes went has sent its files with the first. */
int64_t wali_send(struct wali *k, struct fd_entry *e, struct wali_io *io, uint32_t flags,
                  const struct address *to, struct packet_files *files)
{
	bool went = wali_progress(k);
	struct socket_send s = {.to = to, .files = went ? NULL : files};
	struct socket_info in;
	socket_info(e->file->obj, &in);
	if (in.type == SOCKET_STREAM && in.af != ADDRESS_UNIX)
		s.to = NULL; /* Linux's TCP looks at no address */
	int64_t r = flags & MSG_OOB_ ? -95 /* EOPNOTSUPP */ : send_some(k, e, io, flags, &s);
	packet_files_free(went ? files : s.files);
	return r;
}

/* What WAITALL has got so far stands in the slot. */
static int64_t receive_more(struct wali *k, struct fd_entry *e, uint64_t before)
{
	struct wali_slot *s = wali_slot(k);
	if (!s)
		return (int64_t)before;
	s->progress = before;
	int64_t r = wali_block_on(k, e->file->obj, VFS_READABLE);
	return r == WALI_BLOCK || !before ? r : (int64_t)before;
}

int64_t wali_receive(struct wali *k, struct fd_entry *e, struct wali_io *io, uint32_t flags,
                     struct socket_receive *r)
{
	uint64_t before = wali_progress(k);
	size_t done = 0;
	if (flags & MSG_OOB_)
		return NO(INVAL);
	if (flags & MSG_ERRQUEUE_)
		return NO(AGAIN);
	wali_io_skip(io, before);
	r->iov = io->v;
	r->n = io->count;
	r->peek = flags & MSG_PEEK_;
	e->file->reads += !r->peek;
	enum ferr f = socket_receive(e->file->obj, r, &done);
	if (f == FE_AGAIN && wali_waits(e, flags))
		return receive_more(k, e, before);
	if (f != FE_OK && before)
		return (int64_t)before;
	WTRY(f);
	before += done;
	struct socket_info in;
	socket_info(e->file->obj, &in);
	bool more = flags & MSG_WAITALL_ && !r->peek && done && in.type == SOCKET_STREAM &&
	            before < io->total && !r->files && wali_waits(e, flags);
	return more ? receive_more(k, e, before) : (int64_t)before;
}

/* Of a packet TRUNC asks for the whole size. */
static int64_t said(const struct fd_entry *e, const struct socket_receive *r, uint32_t flags,
                    int64_t n)
{
	struct socket_info in;
	socket_info(e->file->obj, &in);
	return n >= 0 && flags & MSG_TRUNC_ && in.type != SOCKET_STREAM ? (int64_t)r->whole : n;
}

/* ---- sendto, recvfrom ---- */

int64_t wali_sendto(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	struct address to;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(wali_io_one(k, a[1], a[2], false, &io));
	if (arg32(a[4]))
		WTRY(wali_get_address(k, a[4], a[5], true, &to));
	return wali_send(k, e, &io, arg32(a[3]), arg32(a[4]) ? &to : NULL, NULL);
}

int64_t wali_recvfrom(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	struct socket_receive in = {0};
	int64_t r;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(wali_io_one(k, a[1], a[2], true, &io));
	if (arg32(a[4]) && !wali_out(k, a[5], 4))
		return NO(FAULT);
	r = said(e, &in, arg32(a[3]), wali_receive(k, e, &io, arg32(a[3]), &in));
	int64_t bad = r < 0 ? 0 : wali_put_address(k, &in.from, a[4], a[5]);
	return bad ? bad : r;
}

/* ---- messages: struct msghdr ----
 *
 *	0 name  4 its size  8 iovec  12 how many  20 control  24 its size  32 flags
 *
 * Control is a list of struct cmsghdr: 0 size, 8 level, 12 type, 16 data; each begins at a multiple of 8. */

enum { MSGHDR_SIZE = 36, CMSG_HEAD = 16, CONTROL_MAX = 16384, SCM_RIGHTS_ = 1, SCM_CREDS_ = 2 };

struct message {
	uint32_t name, name_size, iov, count, control, control_size;
};

static enum ferr read_message(struct wali *k, uint64_t at, struct message *m)
{
	const uint8_t *p = wali_out(k, at, MSGHDR_SIZE);
	if (!p)
		return FE_FAULT;
	m->name = wasi_get_u32(p);
	m->name_size = wasi_get_u32(p + 4);
	m->iov = wasi_get_u32(p + 8);
	m->count = wasi_get_u32(p + 12);
	m->control = wasi_get_u32(p + 20);
	m->control_size = m->control ? wasi_get_u32(p + 24) : 0;
	return FE_OK;
}

static enum ferr add_files(struct wali *k, const uint8_t *fds, uint32_t count,
                           struct packet_files **files)
{
	struct fd_entry *e;
	struct packet_files *f = *files ? *files : calloc(1, sizeof *f);
	if (!f)
		return FE_NOMEM;
	*files = f;
	for (uint32_t i = 0; i < count; i++) {
		FTRY(wali_fd(k, wasi_get_u32(fds + 4 * i), &e));
		if (f->count == QUEUE_FILES_MAX)
			return FE_INVAL;
		e->file->refs++;
		f->list[f->count++] = e->file;
	}
	return FE_OK;
}

static enum ferr read_control(struct wali *k, const struct message *m, struct packet_files **files)
{
	if (m->control_size > CONTROL_MAX)
		return FE_NOBUFS;
	const uint8_t *p = wali_in(k, m->control, m->control_size);
	if (!p && m->control_size)
		return FE_FAULT;
	for (uint32_t at = 0; m->control_size - at >= CMSG_HEAD;) {
		uint32_t size = wasi_get_u32(p + at), level = wasi_get_u32(p + at + 8);
		uint32_t type = wasi_get_u32(p + at + 12);
		if (size < CMSG_HEAD || size > m->control_size - at)
			return FE_INVAL;
		if (level == 1 && type == SCM_RIGHTS_)
			FTRY(add_files(k, p + at + CMSG_HEAD, (size - CMSG_HEAD) / 4, files));
		else if (level == 1 && type != SCM_CREDS_)
			return FE_INVAL;
		uint32_t step = (size + 7) & ~7u;
		at = step < m->control_size - at ? at + step : m->control_size;
	}
	return FE_OK;
}

static int64_t send_message(struct wali *k, struct fd_entry *e, const struct message *m,
                            uint32_t flags)
{
	struct wali_io io;
	struct address to;
	struct socket_info in;
	struct packet_files *files = NULL;
	WTRY(wali_io_of(k, m->iov, m->count, false, &io));
	if (m->name)
		WTRY(wali_get_address(k, m->name, m->name_size, true, &to));
	socket_info(e->file->obj, &in);
	enum ferr f = read_control(k, m, &files);
	if (f == FE_OK && files && in.af != ADDRESS_UNIX)
		f = FE_INVAL;
	if (f != FE_OK) {
		packet_files_free(files);
		return wali_error(k, f);
	}
	return wali_send(k, e, &io, flags, m->name ? &to : NULL, files);
}

int64_t wali_sendmsg(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct message m;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(read_message(k, a[1], &m));
	return send_message(k, e, &m, arg32(a[2]));
}

struct control {
	uint8_t *p;
	uint32_t size, used;
	bool cut;
};

/* Room for a head with size bytes; NULL: there is not even for the head and a number. */
static uint8_t *add_control(struct control *c, uint32_t type, uint32_t size)
{
	uint32_t left = c->size - c->used;
	if (left < CMSG_HEAD + size) {
		c->cut = true;
		return NULL;
	}
	uint8_t *p = c->p + c->used;
	memset(p, 0, CMSG_HEAD);
	wasi_put_u32(p, CMSG_HEAD + size);
	wasi_put_u32(p + 8, 1);
	wasi_put_u32(p + 12, type);
	uint32_t step = (CMSG_HEAD + size + 7) & ~7u;
	c->used += step < left ? step : left;
	return p + CMSG_HEAD;
}

/* Each file gets a descriptor; those there is no room for are closed. */
static void put_files(struct wali *k, struct packet_files *f, struct control *c, bool cloexec)
{
	enum { CLOEXEC = 02000000 };
	uint32_t room = c->size - c->used > CMSG_HEAD ? (c->size - c->used - CMSG_HEAD) / 4 : 0;
	uint32_t n = f->count < room ? f->count : room, done = 0;
	uint8_t numbers[QUEUE_FILES_MAX * 4];
	c->cut |= n < f->count;
	for (uint32_t i = 0; i < n; i++) {
		f->list[i]->refs++;
		int64_t fd = wali_add_file(k, f->list[i], cloexec ? CLOEXEC : 0);
		if (fd < 0) {
			c->cut = true;
			break;
		}
		wasi_put_u32(numbers + 4 * done++, (uint32_t)fd);
	}
	uint8_t *p = done ? add_control(c, SCM_RIGHTS_, 4 * done) : NULL;
	if (p)
		memcpy(p, numbers, (size_t)done * 4);
}

static void put_credentials(const struct socket_receive *r, struct control *c)
{
	uint8_t *p = add_control(c, SCM_CREDS_, 12);
	if (!p)
		return;
	wasi_put_u32(p, r->pid);
	wasi_put_u32(p + 4, WALI_UID);
	wasi_put_u32(p + 8, WALI_UID);
}

static int64_t receive_message(struct wali *k, struct fd_entry *e, const struct message *m,
                               uint64_t at, uint32_t flags)
{
	enum { OPT_PASSCRED = 16 };
	struct wali_io io;
	struct socket_receive in = {.wants_files = true};
	struct control c = {.size = m->control_size};
	uint8_t *head = wali_out(k, at, MSGHDR_SIZE);
	WTRY(wali_io_of(k, m->iov, m->count, true, &io));
	c.p = wali_out(k, m->control, m->control_size);
	if (!head || (!c.p && m->control_size))
		return NO(FAULT);
	if (m->name && !wali_out(k, m->name, m->name_size))
		return NO(FAULT);
	int64_t r = wali_receive(k, e, &io, flags, &in);
	if (r < 0)
		return r;
	if (wali_socket_flag(e->file->obj, 1, OPT_PASSCRED) && in.pid)
		put_credentials(&in, &c);
	if (in.files)
		put_files(k, in.files, &c, flags & MSG_CLOEXEC_);
	packet_files_free(in.files);
	uint32_t got = 0;
	if (in.whole > (uint64_t)r)
		got |= MSG_TRUNC_;
	got |= c.cut ? MSG_CTRUNC_ : 0;
	if (m->name)
		(void)wali_put_address(k, &in.from, m->name, at + 4);
	if (m->name && !in.from.family)
		wasi_put_u32(head + 4, 0);
	wasi_put_u32(head + 24, c.used);
	wasi_put_u32(head + 32, got);
	return said(e, &in, flags, r);
}

int64_t wali_recvmsg(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct message m;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(read_message(k, a[1], &m));
	return receive_message(k, e, &m, a[1], arg32(a[2]));
}
