/* socket_options.c - getsockopt and setsockopt: most options are numbers that are kept (node/sockets/options.def); those that say or do
 * something of their own are here. */
#include "node/wali/sockets.h"

#include <string.h>

enum { SOL_SOCKET_ = 1 };
enum {
	OPT_TYPE = 3,
	OPT_ERROR = 4,
	OPT_LINGER = 13,
	OPT_PEERCRED = 17,
	OPT_RCVTIMEO = 20,
	OPT_SNDTIMEO = 21,
	OPT_ACCEPTCONN = 30,
	OPT_PROTOCOL = 38,
	OPT_DOMAIN = 39,
};

static const struct option {
	uint32_t level, number;
} options[] = {
#define OPTION(name, level, number, value) {level, number},
#include "node/sockets/options.def"
#undef OPTION
};

static int find(uint32_t level, uint32_t number)
{
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++)
		if (options[i].level == level && options[i].number == number)
			return i;
	return -1;
}

bool wali_socket_flag(struct vfs_obj *o, uint32_t level, uint32_t number)
{
	int i = find(level, number);
	return i >= 0 && socket_option(o, (enum socket_option)i);
}

/* ---- setsockopt ---- */

static int64_t set_patience(struct wali *k, struct vfs_obj *o, uint32_t number, uint64_t at,
                            uint32_t size)
{
	enum { MICROSECONDS = 1000000 };
	const uint8_t *p = size >= 16 ? wali_in(k, at, 16) : NULL;
	if (!p)
		return size < 16 ? NO(INVAL) : NO(FAULT);
	uint64_t s = wasi_get_u64(p), us = wasi_get_u64(p + 8);
	if (us >= MICROSECONDS)
		return -33; /* EDOM */
	uint64_t ns = s > INT64_MAX / 2000000000 ? 0 : s * 1000000000 + us * 1000;
	struct socket_patience *w = socket_patience(o);
	*(number == OPT_RCVTIMEO ? &w->receive_ns : &w->send_ns) = ns;
	return 0;
}

int64_t wali_setsockopt(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	uint32_t level = arg32(a[1]), number = arg32(a[2]), size = arg32(a[4]);
	WTRY(wali_use_socket(k, a[0], &e));
	struct vfs_obj *o = e->file->obj;
	if (level == SOL_SOCKET_ && (number == OPT_RCVTIMEO || number == OPT_SNDTIMEO))
		return set_patience(k, o, number, a[3], size);
	if (level == SOL_SOCKET_ && number == OPT_LINGER)
		return size < 8 ? NO(INVAL) : wali_in(k, a[3], 8) ? 0 : NO(FAULT);
	int i = find(level, number);
	if (i < 0)
		return NO(NOPROTOOPT);
	const uint8_t *p = size >= 4 ? wali_in(k, a[3], 4) : NULL;
	if (!p)
		return size < 4 ? NO(INVAL) : NO(FAULT);
	socket_set_option(o, (enum socket_option)i, (int32_t)wasi_get_u32(p));
	return 0;
}

/* ---- getsockopt ---- */

/* An answer of size bytes, of which the guest gets as many as it has room for. */
static int64_t give(struct wali *k, const uint8_t *bytes, uint32_t size, uint64_t at,
                    uint64_t size_at)
{
	uint8_t *n = wali_out(k, size_at, 4);
	uint32_t room = n ? wasi_get_u32(n) : 0;
	if (n && (int32_t)room < 0)
		return NO(INVAL);
	room = room < size ? room : size;
	uint8_t *out = n ? wali_out(k, at, room) : NULL;
	if (!n || (!out && room))
		return NO(FAULT);
	if (room)
		memcpy(out, bytes, room);
	wasi_put_u32(n, room);
	return 0;
}

static int64_t give_number(struct wali *k, uint32_t v, const uint64_t *a)
{
	uint8_t bytes[4];
	wasi_put_u32(bytes, v);
	return give(k, bytes, sizeof bytes, a[3], a[4]);
}

static int64_t give_patience(struct wali *k, uint64_t ns, const uint64_t *a)
{
	uint8_t bytes[16];
	wasi_put_u64(bytes, ns / 1000000000);
	wasi_put_u64(bytes + 8, ns % 1000000000 / 1000);
	return give(k, bytes, sizeof bytes, a[3], a[4]);
}

static int64_t give_credentials(struct wali *k, uint32_t pid, const uint64_t *a)
{
	uint8_t bytes[12];
	wasi_put_u32(bytes, pid);
	wasi_put_u32(bytes + 4, WALI_UID);
	wasi_put_u32(bytes + 8, WALI_UID);
	return give(k, bytes, sizeof bytes, a[3], a[4]);
}

static int64_t give_error(struct wali *k, enum ferr e, const uint64_t *a)
{
	return give_number(k, e == FE_OK ? 0 : (uint32_t)-wali_error(k, e), a);
}

static int64_t get_own(struct wali *k, struct vfs_obj *o, const uint64_t *a)
{
	enum { TCP = 6, UDP = 17 };
	static const uint8_t no_linger[8];
	struct socket_info in;
	socket_info(o, &in);
	switch (arg32(a[2])) {
	case OPT_TYPE: return give_number(k, in.type, a);
	case OPT_ERROR: return give_error(k, socket_error(o), a);
	case OPT_LINGER: return give(k, no_linger, sizeof no_linger, a[3], a[4]);
	case OPT_PEERCRED: return give_credentials(k, in.peer_pid, a);
	case OPT_RCVTIMEO: return give_patience(k, socket_patience(o)->receive_ns, a);
	case OPT_SNDTIMEO: return give_patience(k, socket_patience(o)->send_ns, a);
	case OPT_ACCEPTCONN: return give_number(k, in.listens, a);
	case OPT_DOMAIN: return give_number(k, in.af, a);
	case OPT_PROTOCOL:
		return give_number(k,
		                   in.af == ADDRESS_UNIX      ? 0
		                   : in.type == SOCKET_STREAM ? TCP
		                                              : UDP,
		                   a);
	default: return NO(NOPROTOOPT);
	}
}

int64_t wali_getsockopt(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_use_socket(k, a[0], &e));
	if (!wali_out(k, a[4], 4))
		return NO(FAULT);
	int i = find(arg32(a[1]), arg32(a[2]));
	if (i >= 0)
		return give_number(k, (uint32_t)socket_option(e->file->obj, (enum socket_option)i),
		                   a);
	return arg32(a[1]) == SOL_SOCKET_ ? get_own(k, e->file->obj, a) : NO(NOPROTOOPT);
}
