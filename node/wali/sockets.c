/* sockets.c - calls that make, name, connect and end sockets (node/sockets/socket.h has what they are). */
#include "node/wali/sockets.h"

#include "node/wali/funnel.h"
#include "node/wali/kinship.h"

#include <string.h>

enum { TYPE_MASK = 15, FLAG_NONBLOCK = 04000, FLAG_CLOEXEC = 02000000 };
enum { IP4_SIZE = 16, IP6_SIZE = 28, IN_PROGRESS = -115 };

/* ---- the family's space ---- */

enum err wali_open_space(struct wali *k, const struct wali_config *c)
{
	struct space_config sc = {.mode = (enum net_mode)c->net_mode,
	                          .wake = family_wake_all,
	                          .wake_own = family_wake,
	                          .ctx = k->family};
	if (!c->net || k->family->space)
		return ERR_OK;
	sc.home = c->net_home;
	if (c->net_key)
		memcpy(sc.key, c->net_key, sizeof sc.key);
	return space_new(c->net, &sc, &k->family->space);
}

/* The i-th of the sockets that a descriptor leads to: itself, or those of a pipe between parts. */
static struct vfs_obj *socket_at(struct wali *k, uint32_t fd, uint32_t i)
{
	struct fd_entry *e;
	if (wali_fd(k, fd, &e) != FE_OK)
		return NULL;
	if (vfs_is_socket(e->file->obj))
		return i ? NULL : e->file->obj;
	return funnel_socket(e->file->obj, i);
}

enum err wali_own_sockets(struct wali *k, bool copy)
{
	struct vfs_obj *o;
	if (k->family->space)
		space_arrives(k->family->space, true);
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		for (uint32_t i = 0; (o = socket_at(k, fd, i)); i++) {
			if (!k->family->space)
				return ERR_UNSUPPORTED;
			TRY(socket_adopt(k->family->space, o, copy));
		}
	return kinships_own(k->family, copy);
}

void wali_go_sockets(struct wali *k)
{
	struct vfs_obj *o;
	if (k->family->space)
		space_arrives(k->family->space, false);
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		for (uint32_t i = 0; (o = socket_at(k, fd, i)); i++)
			socket_go(o);
	kinships_go(k->family);
}

void wali_leave(struct wali *k)
{
	family_lock(k->family);
	if (k->family->space)
		space_leave(k->family->space);
	family_unlock(k->family);
}

uint64_t wali_patience(struct vfs_obj *o, unsigned events)
{
	if (!vfs_is_socket(o))
		return WAIT_FOREVER;
	const struct socket_patience *w = socket_patience(o);
	uint64_t ns = events & VFS_WRITABLE ? w->send_ns : w->receive_ns;
	return ns ? ns : WAIT_FOREVER;
}

bool wali_is_socket_name(struct wali *k, const struct vfs_stat *st)
{
	return k->family->space && st->type == VFS_TYPE_FILE && !st->size_bytes &&
	       space_has_name(k->family->space, st->dev, st->ino);
}

enum ferr wali_use_socket(struct wali *k, uint64_t fd, struct fd_entry **out)
{
	FTRY(wali_fd(k, fd, out));
	return vfs_is_socket((*out)->file->obj) ? FE_OK : FE_NOTSOCK;
}

/* ---- addresses ---- */

static enum ferr get_ip(const uint8_t *p, uint32_t size, struct address *out)
{
	bool v4 = out->family == ADDRESS_IP4;
	if (size < (v4 ? IP4_SIZE : IP6_SIZE))
		return FE_INVAL;
	out->port = (uint16_t)(p[2] << 8 | p[3]);
	if (v4)
		*out = address_ip4(p[4], p[5], p[6], p[7], out->port);
	else
		memcpy(out->ip, p + 8, 16);
	return FE_OK;
}

/* Which file it is. */
static enum ferr look_up(struct wali *k, struct address *a)
{
	struct wali_at at = {0};
	struct vfs_stat st;
	char path[ADDRESS_NAME_MAX + 1] = "";
	memcpy(path, a->name, a->name_size);
	enum ferr e = wali_at_text(k, (uint32_t)AT_FDCWD_, path, true, &at);
	if (e == FE_OK)
		e = at.dev ? FE_CONNREFUSED : vfs_stat_at(at.dir, at.path, true, &st);
	wali_at_end(&at);
	if (e == FE_OK) {
		a->dev = st.dev;
		a->ino = st.ino;
	}
	return e;
}

static void get_name(const uint8_t *p, uint32_t size, struct address *out)
{
	uint32_t n = size - 2;
	if (n && p[2])
		n = (uint32_t)strnlen((const char *)p + 2, n);
	out->name_size = (uint16_t)n;
	memcpy(out->name, p + 2, n);
}

enum ferr wali_get_address(struct wali *k, uint64_t at, uint64_t size, bool look,
                           struct address *out)
{
	uint32_t n = arg32(size);
	if (n < 2 || n > 128)
		return FE_INVAL;
	const uint8_t *p = wali_in(k, at, n);
	if (!p)
		return FE_FAULT;
	*out = (struct address){.family = (uint16_t)(p[0] | p[1] << 8)};
	switch (out->family) {
	case ADDRESS_NONE: return FE_OK;
	case ADDRESS_IP4:
	case ADDRESS_IP6: return get_ip(p, n, out);
	case ADDRESS_UNIX:
		if (n > ADDRESS_NAME_MAX + 2)
			return FE_INVAL;
		get_name(p, n, out);
		return look && out->name_size && out->name[0] ? look_up(k, out) : FE_OK;
	default: return FE_AFNOSUPPORT;
	}
}

static uint32_t form_address(const struct address *a, uint8_t out[ADDRESS_NAME_MAX + 3])
{
	memset(out, 0, ADDRESS_NAME_MAX + 3);
	out[0] = (uint8_t)a->family;
	if (a->family == ADDRESS_UNIX) {
		memcpy(out + 2, a->name, a->name_size);
		return 2u + a->name_size + (a->name_size && a->name[0]);
	}
	if (!address_is_ip(a))
		return 2;
	out[2] = (uint8_t)(a->port >> 8);
	out[3] = (uint8_t)a->port;
	bool v4 = a->family == ADDRESS_IP4;
	memcpy(out + (v4 ? 4 : 8), a->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
	return v4 ? IP4_SIZE : IP6_SIZE;
}

int64_t wali_put_address(struct wali *k, const struct address *a, uint64_t at, uint64_t size_at)
{
	uint8_t bytes[ADDRESS_NAME_MAX + 3];
	if (!arg32(at))
		return 0;
	uint8_t *n = wali_out(k, size_at, 4);
	if (!n)
		return NO(FAULT);
	uint32_t size = form_address(a, bytes), room = wasi_get_u32(n);
	if ((int32_t)room < 0)
		return NO(INVAL);
	room = room < size ? room : size;
	uint8_t *out = wali_out(k, at, room);
	if (!out && room)
		return NO(FAULT);
	if (room)
		memcpy(out, bytes, room);
	wasi_put_u32(n, size);
	return 0;
}

/* ---- making ---- */

static int64_t type_of(uint32_t af, uint32_t type, uint32_t protocol, enum socket_type *out)
{
	enum { TCP = 6, UDP = 17 };
	bool ip = af == ADDRESS_IP4 || af == ADDRESS_IP6;
	if (type & ~(uint32_t)(TYPE_MASK | FLAG_NONBLOCK | FLAG_CLOEXEC))
		return NO(INVAL);
	if (af != ADDRESS_UNIX && !ip)
		return NO(AFNOSUPPORT);
	*out = (enum socket_type)(type & TYPE_MASK);
	switch (type & TYPE_MASK) {
	case SOCKET_STREAM: return protocol && (!ip || protocol != TCP) ? NO(PROTONOSUPPORT) : 0;
	case SOCKET_DGRAM: return protocol && (!ip || protocol != UDP) ? NO(PROTONOSUPPORT) : 0;
	case SOCKET_SEQPACKET: return ip || protocol ? NO(PROTONOSUPPORT) : 0;
	default: return -94; /* ESOCKTNOSUPPORT: also raw ones */
	}
}

/* Takes o. */
static int64_t add_socket(struct wali *k, struct vfs_obj *o, uint32_t flags)
{
	struct vfs_file *f = vfs_file_new(
	    o, NULL, NULL, VFS_READ | VFS_WRITE | (flags & FLAG_NONBLOCK ? VFS_NONBLOCK : 0));
	return f ? wali_add_file(k, f, flags & FLAG_CLOEXEC) : NO(NOMEM);
}

int64_t wali_socket(struct wali *k, const uint64_t *a)
{
	enum socket_type type;
	struct vfs_obj *o;
	int64_t r = type_of(arg32(a[0]), arg32(a[1]), arg32(a[2]), &type);
	if (r)
		return r;
	if (!k->family->space)
		return NO(AFNOSUPPORT);
	if (!fdtable_has_room(k->w->fds))
		return NO(MFILE);
	WTRY(socket_new(k->family->space, (enum address_family)arg32(a[0]), type, &o));
	return add_socket(k, o, arg32(a[1]));
}

int64_t wali_socketpair(struct wali *k, const uint64_t *a)
{
	enum socket_type type;
	struct vfs_obj *ends[2];
	int64_t fd[2], r = type_of(arg32(a[0]), arg32(a[1]), arg32(a[2]), &type);
	uint8_t *out = wali_out(k, a[3], 8);
	if (r)
		return r;
	if (!k->family->space)
		return NO(AFNOSUPPORT);
	if (!out)
		return NO(FAULT);
	if (arg32(a[0]) != ADDRESS_UNIX)
		return -95; /* EOPNOTSUPP */
	WTRY(socket_pair(k->family->space, type, k->task->pid, ends));
	fd[0] = add_socket(k, ends[0], arg32(a[1]));
	fd[1] = fd[0] < 0 ? fd[0] : add_socket(k, ends[1], arg32(a[1]));
	if (fd[0] < 0)
		vfs_unref(ends[1]);
	else if (fd[1] < 0)
		fdtable_close(k->w->fds, (uint32_t)fd[0]);
	if (fd[1] < 0)
		return fd[1];
	wasi_put_u32(out, (uint32_t)fd[0]);
	wasi_put_u32(out + 4, (uint32_t)fd[1]);
	return 0;
}

/* ---- names ---- */

/* The file that has the socket's name; it is empty, and stat says that it is a socket. */
static enum ferr make_name(struct wali *k, const struct address *a)
{
	struct wali_at at = {0};
	struct vfs_file *f = NULL;
	char path[ADDRESS_NAME_MAX + 1] = "";
	memcpy(path, a->name, a->name_size);
	enum ferr e = wali_at_text(k, (uint32_t)AT_FDCWD_, path, true, &at);
	if (e == FE_OK)
		e = wali_open_at(k, &at, VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &f);
	wali_at_end(&at);
	vfs_file_unref(f);
	return e == FE_EXIST ? FE_ADDRINUSE : e;
}

int64_t wali_bind(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct address at, now;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(wali_get_address(k, a[1], a[2], false, &at));
	struct vfs_obj *o = e->file->obj;
	socket_local(o, &now);
	if (at.family == ADDRESS_UNIX && at.name_size && at.name[0]) {
		if (now.family != ADDRESS_UNIX)
			return NO(AFNOSUPPORT);
		if (now.name_size)
			return look_up(k, &at) == FE_OK ? NO(ADDRINUSE) : NO(INVAL);
		WTRY(make_name(k, &at));
		WTRY(look_up(k, &at));
	}
	WTRY(socket_bind(o, &at));
	return 0;
}

int64_t wali_listen(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_use_socket(k, a[0], &e));
	uint32_t backlog = arg32(a[1]);
	if ((int32_t)backlog < 0)
		backlog = SOCKET_BACKLOG_MAX;
	WTRY(socket_listen(e->file->obj, backlog, k->task->pid));
	return 0;
}

int64_t wali_getsockname(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct address at;
	WTRY(wali_use_socket(k, a[0], &e));
	socket_local(e->file->obj, &at);
	return arg32(a[1]) ? wali_put_address(k, &at, a[1], a[2]) : NO(FAULT);
}

int64_t wali_getpeername(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct address at;
	WTRY(wali_use_socket(k, a[0], &e));
	WTRY(socket_peer(e->file->obj, &at));
	return arg32(a[1]) ? wali_put_address(k, &at, a[1], a[2]) : NO(FAULT);
}

/* ---- connections ---- */

bool wali_waits(const struct fd_entry *e, uint32_t flags)
{
	return !(e->file->flags & VFS_NONBLOCK) && !(flags & MSG_DONTWAIT_);
}

/* The call has begun before, and waits for how it goes. */
static int64_t go_on(struct wali *k, struct fd_entry *e)
{
	enum ferr r = socket_connected(e->file->obj);
	if (r != FE_AGAIN) {
		WTRY(r);
		return 0;
	}
	int64_t w = wali_block_on(k, e->file->obj, VFS_WRITABLE);
	return w == NO(AGAIN) ? IN_PROGRESS : w;
}

/* As on Linux, where a connection is never there at once: programs look for this answer. */
static bool in_the_background(const struct fd_entry *e)
{
	return !wali_waits(e, 0) && socket_just_connected(e->file->obj);
}

int64_t wali_connect(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct address to;
	WTRY(wali_use_socket(k, a[0], &e));
	if (wali_progress(k))
		return go_on(k, e);
	WTRY(wali_get_address(k, a[1], a[2], true, &to));
	e->file->writes++;
	enum ferr f = socket_connect(e->file->obj, &to, k->task->pid);
	if (f != FE_INPROGRESS) {
		WTRY(f);
		return in_the_background(e) ? IN_PROGRESS : 0;
	}
	struct wali_slot *s = wali_waits(e, 0) ? wali_slot(k) : NULL;
	if (!s)
		return IN_PROGRESS;
	s->progress = 1;
	return go_on(k, e);
}

static int64_t accept_one(struct wali *k, const uint64_t *a, uint32_t flags)
{
	struct fd_entry *e;
	struct vfs_obj *o;
	struct address from;
	int64_t r;
	WTRY(wali_use_socket(k, a[0], &e));
	if (flags & ~(uint32_t)(FLAG_NONBLOCK | FLAG_CLOEXEC))
		return NO(INVAL);
	if (!fdtable_has_room(k->w->fds))
		return NO(MFILE);
	if (arg32(a[1]) && !wali_out(k, a[2], 4))
		return NO(FAULT);
	e->file->reads++;
	enum ferr f = socket_accept(e->file->obj, &o);
	if (f == FE_AGAIN)
		return wali_waits(e, 0) ? wali_block_on(k, e->file->obj, VFS_READABLE) : NO(AGAIN);
	WTRY(f);
	(void)socket_peer(o, &from);
	r = add_socket(k, o, flags);
	int64_t bad = r < 0 ? 0 : wali_put_address(k, &from, a[1], a[2]);
	if (bad)
		fdtable_close(k->w->fds, (uint32_t)r);
	return bad ? bad : r;
}

int64_t wali_accept(struct wali *k, const uint64_t *a)
{
	return accept_one(k, a, 0);
}

int64_t wali_accept4(struct wali *k, const uint64_t *a)
{
	return accept_one(k, a, arg32(a[3]));
}

int64_t wali_shutdown(struct wali *k, const uint64_t *a)
{
	static const unsigned hows[] = {SOCKET_SHUT_READ, SOCKET_SHUT_WRITE,
	                                SOCKET_SHUT_READ | SOCKET_SHUT_WRITE};
	struct fd_entry *e;
	WTRY(wali_use_socket(k, a[0], &e));
	if (arg32(a[1]) > 2)
		return NO(INVAL);
	WTRY(socket_shutdown(e->file->obj, hows[arg32(a[1])]));
	return 0;
}
