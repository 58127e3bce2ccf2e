/* funnel.c - many who write, in two parts of a family, and one end that reads (funnel.h). */
#include "node/wali/funnel.h"

#include "node/sockets/socket.h"
#include "node/wali/objects.h"
#include "vfs/pipe.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 2, FRAME = VFS_PIPE_ATOMIC };

struct lane {
	struct vfs_obj base;
	struct vfs_obj *socket; /* owned */
};

struct funnel {
	struct vfs_obj base;
	struct vfs_obj *in[FUNNEL_LANES]; /* owned; NULL: it has ended */
	uint32_t current, left;           /* of the frame that is being read */
};

static const struct vfs_ops funnel_ops, lane_ops;

bool vfs_is_funnel(const struct vfs_obj *o)
{
	return o->ops == &funnel_ops;
}

bool vfs_is_lane(const struct vfs_obj *o)
{
	return o->ops == &lane_ops;
}

static struct funnel *funnel_of(struct vfs_obj *o)
{
	return (struct funnel *)o;
}

static struct vfs_obj *socket_of_lane(struct vfs_obj *o)
{
	return ((struct lane *)o)->socket;
}

struct vfs_obj *funnel_socket(struct vfs_obj *o, uint32_t i)
{
	if (vfs_is_lane(o))
		return i ? NULL : socket_of_lane(o);
	if (!vfs_is_funnel(o))
		return NULL;
	for (uint32_t n = 0; n < FUNNEL_LANES; n++)
		if (funnel_of(o)->in[n] && !i--)
			return funnel_of(o)->in[n];
	return NULL;
}

/* ---- writing ---- */

static size_t size_of(const struct vfs_iov *iov, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += iov[i].size;
	return size;
}

/* So many bytes from at on. */
static void gather(uint8_t *to, const struct vfs_iov *iov, size_t n, size_t at, size_t size)
{
	for (size_t i = 0; i < n && size; i++) {
		size_t skip = at < iov[i].size ? at : iov[i].size;
		size_t now = iov[i].size - skip < size ? iov[i].size - skip : size;
		memcpy(to, (const uint8_t *)iov[i].p + skip, now);
		to += now;
		size -= now;
		at -= skip;
	}
}

static enum ferr still_read(struct vfs_obj *socket)
{
	size_t done = 0;
	uint64_t end;
	struct vfs_iov none = {0};
	return vfs_write(socket, 0, 0, &none, 0, &done, &end) == FE_OK ? FE_OK : FE_PIPE;
}

static enum ferr push_frame(struct vfs_obj *socket, uint8_t frame[HEAD + FRAME], size_t size)
{
	size_t whole = HEAD + size;
	/* Where room is scarce there is never more than this. */
	if (!socket_takes(socket, whole < SOCKET_BUFFER_LEAST ? whole : SOCKET_BUFFER_LEAST))
		return FE_AGAIN;
	frame[0] = (uint8_t)size;
	frame[1] = (uint8_t)(size >> 8);
	return socket_push(socket, frame, whole) ? FE_OK : FE_NOMEM;
}

static enum ferr lane_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	uint8_t frame[HEAD + FRAME];
	struct vfs_obj *socket = socket_of_lane(o);
	size_t size = size_of(iov, n);
	if (socket_stands(socket))
		return FE_STALE;
	FTRY(still_read(socket));
	while (*done < size) {
		size_t now = size - *done < FRAME ? size - *done : FRAME;
		gather(frame + HEAD, iov, n, *done, now);
		enum ferr e = push_frame(socket, frame, now);
		if (e != FE_OK)
			return *done ? FE_OK : e;
		*done += now;
	}
	return FE_OK;
}

static unsigned lane_ready(struct vfs_obj *o, unsigned events)
{
	struct vfs_obj *socket = socket_of_lane(o);
	if (socket_stands(socket) || still_read(socket) != FE_OK)
		return (VFS_WRITABLE & events) | VFS_HANGUP | VFS_ERROR;
	return socket_takes(socket, SOCKET_BUFFER_LEAST) ? VFS_WRITABLE & events : 0;
}

/* ---- reading ---- */

static bool is_over(struct vfs_obj *socket)
{
	return vfs_ready(socket, VFS_READABLE) & (VFS_END | VFS_ERROR | VFS_HANGUP) &&
	       !socket_waiting_bytes(socket);
}

/* The size of the frame that is the next and is there; 0: none yet. */
static uint32_t next_frame(struct vfs_obj *socket)
{
	uint8_t head[HEAD];
	struct vfs_iov iov = {.p = head, .size = HEAD};
	struct socket_receive r = {.iov = &iov, .n = 1, .peek = true};
	size_t got = 0, waiting = socket_waiting_bytes(socket);
	if (waiting <= HEAD || socket_receive(socket, &r, &got) != FE_OK || got != HEAD)
		return 0;
	uint32_t size = (uint32_t)(head[0] | head[1] << 8);
	return waiting >= HEAD + size || waiting >= SOCKET_BUFFER_LEAST ? size : 0;
}

static bool has_bytes(const struct funnel *f)
{
	struct vfs_obj *socket = f->in[f->current];
	return f->left && socket && socket_waiting_bytes(socket);
}

/* Nothing will ever come of it. */
static bool has_ended(const struct funnel *f, uint32_t i)
{
	struct vfs_obj *socket = f->in[i];
	if (!socket || is_over(socket))
		return true;
	if (i == f->current && f->left)
		return false;
	return vfs_ready(socket, VFS_READABLE) & (VFS_END | VFS_ERROR) && !next_frame(socket);
}

/* The end of a lane, also in the midst of a frame: of a part that was lost. */
static void drop_ended(struct funnel *f)
{
	for (uint32_t i = 0; i < FUNNEL_LANES; i++) {
		if (!f->in[i] || !has_ended(f, i))
			continue;
		vfs_unref(f->in[i]);
		f->in[i] = NULL;
		f->left = i == f->current ? 0 : f->left;
	}
}

static bool take_head(struct funnel *f, uint32_t i)
{
	uint8_t head[HEAD];
	struct vfs_iov iov = {.p = head, .size = HEAD};
	struct socket_receive r = {.iov = &iov, .n = 1};
	size_t got = 0;
	uint32_t size = f->in[i] ? next_frame(f->in[i]) : 0;
	if (!size || socket_receive(f->in[i], &r, &got) != FE_OK)
		return false;
	f->current = i;
	f->left = size;
	return true;
}

/* Goes to a frame that has bytes, the other lane's first. */
static bool advance(struct funnel *f)
{
	if (f->left)
		return has_bytes(f);
	for (uint32_t n = 1; n <= FUNNEL_LANES; n++)
		if (take_head(f, (f->current + n) % FUNNEL_LANES))
			return true;
	return false;
}

static enum ferr take(struct funnel *f, uint8_t *to, size_t size, size_t *done)
{
	struct vfs_iov iov = {.p = to, .size = size < f->left ? size : f->left};
	struct socket_receive r = {.iov = &iov, .n = 1};
	size_t got = 0;
	FTRY(socket_receive(f->in[f->current], &r, &got));
	f->left -= (uint32_t)got;
	*done += got;
	return FE_OK;
}

static bool stands(const struct funnel *f)
{
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		if (f->in[i] && socket_stands(f->in[i]))
			return true;
	return false;
}

static bool all_ended(const struct funnel *f)
{
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		if (f->in[i])
			return false;
	return true;
}

static enum ferr funnel_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov,
                             size_t n, size_t *done)
{
	struct funnel *f = funnel_of(o);
	size_t asked = size_of(iov, n);
	if (stands(f))
		return FE_STALE;
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0, got = 1; got && at < iov[i].size; at += got) {
			got = 0;
			if (advance(f))
				FTRY(take(f, (uint8_t *)iov[i].p + at, iov[i].size - at, &got));
			*done += got;
		}
	drop_ended(f);
	return *done || !asked || all_ended(f) ? FE_OK : FE_AGAIN;
}

/* Looks only: a frame is begun by who reads. */
static bool is_readable(const struct funnel *f)
{
	if (f->left && !has_ended(f, f->current))
		return has_bytes(f);
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		if (f->in[i] && next_frame(f->in[i]))
			return true;
	return false;
}

static unsigned funnel_ready(struct vfs_obj *o, unsigned events)
{
	const struct funnel *f = funnel_of(o);
	bool ended = true;
	if (stands(f))
		return (VFS_READABLE & events) | VFS_HANGUP;
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		ended &= has_ended(f, i);
	unsigned got = ended || is_readable(f) ? VFS_READABLE & events : 0;
	return ended ? got | VFS_HANGUP : got;
}

static enum ferr funnel_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	const struct funnel *f = funnel_of(o);
	*out = (struct vfs_stat){.nlink = 1, .ino = 1, .type = VFS_TYPE_STREAM};
	if (!stands(f) && has_bytes(f))
		out->size_bytes = f->left;
	for (uint32_t i = 0; !stands(f) && i < FUNNEL_LANES && !f->left; i++)
		out->size_bytes += f->in[i] ? next_frame(f->in[i]) : 0;
	return FE_OK;
}

static enum ferr lane_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	*out = (struct vfs_stat){.nlink = 1, .ino = 1, .type = VFS_TYPE_STREAM};
	return FE_OK;
}

/* ---- life ---- */

static void lane_close(struct vfs_obj *o)
{
	vfs_unref(socket_of_lane(o));
	free(o);
}

static void funnel_close(struct vfs_obj *o)
{
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		if (funnel_of(o)->in[i])
			vfs_unref(funnel_of(o)->in[i]);
	free(o);
}

static struct vfs_obj *new_lane(struct vfs_obj *socket)
{
	struct lane *l = calloc(1, sizeof *l);
	if (!l) {
		vfs_unref(socket);
		return NULL;
	}
	vfs_obj_init(&l->base, &lane_ops, VFS_TYPE_STREAM);
	l->socket = socket;
	return &l->base;
}

static struct funnel *new_funnel(void)
{
	struct funnel *f = calloc(1, sizeof *f);
	if (f)
		vfs_obj_init(&f->base, &funnel_ops, VFS_TYPE_STREAM);
	return f;
}

static enum ferr open_lane(struct space *s, uint32_t pid, struct vfs_obj **in,
                           struct vfs_obj **lane)
{
	struct vfs_obj *end[2];
	FTRY(socket_pair(s, SOCKET_STREAM, pid, end));
	*in = end[1];
	*lane = new_lane(end[0]);
	return *lane ? socket_shutdown(*in, SOCKET_SHUT_WRITE) : FE_NOMEM;
}

enum ferr funnel_new(struct space *s, uint32_t pid, struct vfs_obj **funnel,
                     struct vfs_obj *lanes[FUNNEL_LANES])
{
	struct funnel *f = new_funnel();
	enum ferr e = f ? FE_OK : FE_NOMEM;
	memset(lanes, 0, FUNNEL_LANES * sizeof *lanes);
	for (uint32_t i = 0; e == FE_OK && i < FUNNEL_LANES; i++)
		e = open_lane(s, pid, &f->in[i], &lanes[i]);
	if (e == FE_OK) {
		*funnel = &f->base;
		return FE_OK;
	}
	for (uint32_t i = 0; i < FUNNEL_LANES; i++)
		if (lanes[i])
			vfs_unref(lanes[i]);
	if (f)
		funnel_close(&f->base);
	return e;
}

bool funnel_fill(struct vfs_obj *funnel, struct vfs_obj *first_lane, const void *bytes, size_t size)
{
	funnel_of(funnel)->current = 0;
	funnel_of(funnel)->left = (uint32_t)size;
	return !size || socket_push(socket_of_lane(first_lane), bytes, size);
}

/* ---- in an image ---- */

static enum err lane_save(struct vfs_obj *o, struct wr *out)
{
	struct vfs_obj *socket = socket_of_lane(o);
	return socket->ops->save(socket, out);
}

static enum err funnel_save(struct vfs_obj *o, struct wr *out)
{
	struct funnel *f = funnel_of(o);
	wr_u8(out, (uint8_t)f->current);
	wr_u32(out, f->left);
	for (uint32_t i = 0; i < FUNNEL_LANES; i++) {
		size_t at = out->size;
		wr_u32(out, 0);
		if (!f->in[i])
			continue;
		TRY(f->in[i]->ops->save(f->in[i], out));
		if (!wr_ok(out))
			return ERR_NOMEM;
		wr_patch_u32(out, at, (uint32_t)(out->size - at - 4));
	}
	return ERR_OK;
}

static enum err load_connection(struct rd *in, struct vfs_obj **out, struct errmsg *msg)
{
	TRY(socket_object_load(in, out, msg));
	if (!rd_left(in) && socket_is_connection(*out))
		return ERR_OK;
	vfs_unref(*out);
	*out = NULL;
	return err_set(msg, ERR_MALFORMED, "an end of a pipe between parts is no connection");
}

enum err lane_object_load(struct rd *in, struct vfs_obj **out, struct errmsg *msg)
{
	struct vfs_obj *socket;
	TRY(load_connection(in, &socket, msg));
	*out = new_lane(socket);
	return *out ? ERR_OK : err_set(msg, ERR_NOMEM, "a pipe: out of memory");
}

static enum err load_lanes(struct rd *in, struct funnel *f, struct errmsg *msg)
{
	uint8_t current;
	uint32_t size;
	struct rd one;
	TRY(rd_u8(in, &current));
	TRY(rd_u32(in, &f->left));
	if (current >= FUNNEL_LANES || f->left > VFS_PIPE_BYTES)
		return ERR_MALFORMED;
	f->current = current;
	for (uint32_t i = 0; i < FUNNEL_LANES; i++) {
		TRY(rd_u32(in, &size));
		TRY(rd_sub(in, size, &one));
		if (size)
			TRY(load_connection(&one, &f->in[i], msg));
	}
	return !f->left || f->in[current] ? ERR_OK : ERR_MALFORMED;
}

enum err funnel_object_load(struct rd *in, struct vfs_obj **out, struct errmsg *msg)
{
	struct funnel *f = new_funnel();
	enum err e = f ? load_lanes(in, f, msg) : ERR_NOMEM;
	if (e == ERR_OK) {
		*out = &f->base;
		return ERR_OK;
	}
	if (f)
		funnel_close(&f->base);
	return msg->text[0] ? e : err_set(msg, e, "a pipe between parts: %s", err_text(e));
}

static const struct vfs_ops funnel_ops = {
    .name = "pipe",
    .close = funnel_close,
    .read = funnel_read,
    .stat = funnel_stat,
    .ready = funnel_ready,
    .saved_as = FUNNEL_SAVED_AS,
    .save = funnel_save,
};

static const struct vfs_ops lane_ops = {
    .name = "pipe",
    .close = lane_close,
    .write = lane_write,
    .stat = lane_stat,
    .ready = lane_ready,
    .saved_as = LANE_SAVED_AS,
    .save = lane_save,
};
