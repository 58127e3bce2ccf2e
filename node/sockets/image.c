/* image.c - a socket as bytes, and what holds its connections together while its process is on the way.
 *
 * A socket that was written into an image *stands*: it has left its mate, and takes nothing more, so that what the image says stays true. When its
 * process runs on, here or elsewhere, it goes: it finds its mate on this node, or the loop finds it on another (wire.c).
 * Numbers of bytes tell what either has; if they do not fit (one end was brought back from an older image) both are reset.
 *
 * Little-endian. An address is u16 family, u16 port, 16 ip, u8 size, name, u64 dev, u64 ino. A socket:
 *
 *	u8 family, u8 type, u8 state, u8 error, u32 flags (enum saved), address own, address peer, 16 id, u8 side
 *	u64 received, u64 sent, u32 pid of who made it, u32 of its peer, u64 u64 patience, u8 options, i32 each
 *	queue in, queue out: u32 packets, each: u8 whole, u32 pid, address from, u32 size, bytes
 *	u32 backlog, u16 sockets that wait to be accepted, each so
 */
#include "node/sockets/socket_impl.h"

#include <stdlib.h>
#include <string.h>

enum saved {
	SAVED_BOUND = 1,
	SAVED_HAS_PEER = 2,
	SAVED_SHUT_READ = 4,
	SAVED_SHUT_WRITE = 8,
	SAVED_IN_ENDED = 16,
	SAVED_GONE = 32,
	SAVED_HAS_NAME = 64,
	SAVED_ABROAD = 128,
	SAVED_PIPE = 256,
	SAVED_CLAIMED = 512, /* this and the next: of datagrams */
	SAVED_ANSWERS = 1024,
	SAVED_FLAGS = 2047,
};

/* ---- standing and going ---- */

static void stand(struct socket *s)
{
	struct socket *m = s->mate;
	s->standing = true;
	s->has_far = false;
	s->lost_ms = 0;
	s->mate = NULL;
	if (!m)
		return;
	m->mate = NULL;
	m->seeks = true;
	socket_touch(m);
}

/* What a has written and b does not have is all that a keeps. */
static bool fits(const struct socket *a, const struct socket *b)
{
	return b->received <= a->sent && a->sent - a->out.bytes <= b->received;
}

void stream_break(struct socket *s, enum ferr e)
{
	s->in_ended = s->gone = s->knows_gone = true;
	s->seeks = s->has_far = false;
	s->error = e;
	queue_free(&s->out);
	socket_recount(s);
	socket_wake(s);
	socket_touch(s);
}

void stream_reset(struct socket *s)
{
	stream_break(s, FE_CONNRESET);
}

void stream_pass_on(struct socket *a, struct socket *b)
{
	bool all = a->type != SOCKET_STREAM || a->ended;
	while (a->out.first && (all || socket_room(b, &b->in)))
		queue_move_one(&b->in, &a->out);
	b->received = a->sent - a->out.bytes;
	b->in_ended |= !a->out.first && (a->shut_write || a->ended);
	b->gone |= a->ended;
	socket_recount(a);
	socket_recount(b);
}

static void hand_over(struct socket *a, struct socket *b)
{
	queue_drop(&a->out, (size_t)(b->received - (a->sent - a->out.bytes)));
	stream_pass_on(a, b);
	a->seeks = a->has_far = false;
	if (a->type != SOCKET_DGRAM)
		a->state = STATE_CONNECTED;
}

static struct socket *find_mate(const struct socket *s)
{
	for (struct socket *o = s->net->first; o; o = o->next)
		if (o != s && o->has_name && !o->mate && !o->standing && o->side != s->side &&
		    !memcmp(o->id, s->id, sizeof s->id))
			return o;
	return NULL;
}

bool stream_find_mate(struct socket *s)
{
	bool may = s->has_name && !s->mate && !s->standing && !s->tomb;
	struct socket *m = may && s->state != STATE_CONNECTS ? find_mate(s) : NULL;
	if (!m)
		return false;
	if (m->tomb) {
		s->gone = s->in_ended = true;
		socket_wake(s);
		return true;
	}
	if (s->type == SOCKET_STREAM && (!fits(s, m) || !fits(m, s))) {
		s->condemned |= m->condemns;
		m->condemned |= s->condemns;
		stream_reset(s);
		stream_reset(m);
		return true;
	}
	hand_over(s, m);
	hand_over(m, s);
	if (!s->ended && !m->ended) {
		s->mate = m;
		m->mate = s;
	}
	socket_wake(s);
	socket_wake(m);
	if (s->ended || m->ended) {
		socket_touch(s);
		socket_touch(m);
	}
	return true;
}

void socket_leave_stand(struct socket *s)
{
	if (!s->standing)
		return;
	s->standing = false;
	if (s->has_name && !s->gone) {
		s->seeks = true;
		if (!stream_find_mate(s))
			socket_touch(s);
	}
	for (struct socket *w = s->waiting; w; w = w->next_waiting)
		socket_leave_stand(w);
	socket_wake(s);
}

void socket_go(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return;
	net_enter(s->net, s->space);
	socket_leave_stand(s);
	if (s->state == STATE_LISTENS || s->claimed) {
		s->net->listeners_changed = true;
		net_touch(s->net);
	}
	net_leave(s->net);
}

/* ---- writing ---- */

static void save_address(struct wr *out, const struct address *a)
{
	wr_u16(out, a->family);
	wr_u16(out, a->port);
	wr_bytes(out, a->ip, sizeof a->ip);
	wr_u8(out, (uint8_t)a->name_size);
	wr_bytes(out, a->name, a->name_size);
	wr_u64(out, a->dev);
	wr_u64(out, a->ino);
}

static void save_queue(struct wr *out, const struct queue *q)
{
	wr_u32(out, q->packets);
	for (const struct packet *p = q->first; p; p = p->next) {
		wr_u8(out, p->whole);
		wr_u32(out, p->pid);
		save_address(out, &p->from);
		wr_u32(out, (uint32_t)(p->end - p->start));
		wr_bytes(out, p->bytes + p->start, p->end - p->start);
	}
}

static uint32_t flags_of(const struct socket *s)
{
	return (s->bound ? SAVED_BOUND : 0u) | (s->has_peer ? SAVED_HAS_PEER : 0u) |
	       (s->shut_read ? SAVED_SHUT_READ : 0u) | (s->shut_write ? SAVED_SHUT_WRITE : 0u) |
	       (s->in_ended ? SAVED_IN_ENDED : 0u) | (s->gone ? SAVED_GONE : 0u) |
	       (s->has_name ? SAVED_HAS_NAME : 0u) | (s->abroad ? SAVED_ABROAD : 0u) |
	       (s->is_pipe ? SAVED_PIPE : 0u) | (s->claimed ? SAVED_CLAIMED : 0u) |
	       (s->answers ? SAVED_ANSWERS : 0u);
}

static void save_one(struct wr *out, const struct socket *s)
{
	wr_u8(out, s->af);
	wr_u8(out, s->type);
	wr_u8(out, (uint8_t)s->state);
	wr_u8(out, (uint8_t)s->error);
	wr_u32(out, flags_of(s));
	save_address(out, &s->local);
	save_address(out, &s->peer);
	wr_bytes(out, s->id, sizeof s->id);
	wr_u8(out, s->side);
	wr_u64(out, s->received);
	wr_u64(out, s->sent);
	wr_u32(out, s->own_pid);
	wr_u32(out, s->peer_pid);
	wr_u64(out, s->patience.receive_ns);
	wr_u64(out, s->patience.send_ns);
	wr_u8(out, SOCKET_OPTIONS_MAX);
	for (int i = 0; i < SOCKET_OPTIONS_MAX; i++)
		wr_u32(out, (uint32_t)s->options[i]);
	save_queue(out, &s->in);
	save_queue(out, &s->out);
}

static enum err save_all(struct wr *out, struct socket *s)
{
	uint16_t n = 0;
	for (const struct socket *w = s; w; w = w == s ? s->waiting : w->next_waiting)
		if (queue_has_files(&w->in))
			return ERR_UNSUPPORTED; /* files on their way are nobody's */
	stand(s);
	save_one(out, s);
	wr_u32(out, s->backlog);
	for (const struct socket *w = s->waiting; w; w = w->next_waiting)
		n++;
	wr_u16(out, n);
	for (struct socket *w = s->waiting; w; w = w->next_waiting) {
		stand(w);
		save_one(out, w);
	}
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

enum err socket_save(struct vfs_obj *o, struct wr *out)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return save_all(out, s);
	net_enter(s->net, s->space);
	enum err e = save_all(out, s);
	net_leave(s->net);
	return e;
}

/* ---- reading ---- */

static enum err load_address(struct rd *in, struct address *a)
{
	const uint8_t *ip, *name;
	uint8_t size;
	TRY(rd_u16(in, &a->family));
	TRY(rd_u16(in, &a->port));
	TRY(rd_bytes(in, sizeof a->ip, &ip));
	TRY(rd_u8(in, &size));
	TRY(rd_bytes(in, size, &name));
	TRY(rd_u64(in, &a->dev));
	TRY(rd_u64(in, &a->ino));
	if (size > ADDRESS_NAME_MAX ||
	    (a->family && a->family != ADDRESS_UNIX && !address_is_ip(a)))
		return ERR_MALFORMED;
	memcpy(a->ip, ip, sizeof a->ip);
	memcpy(a->name, name, size);
	a->name_size = size;
	return ERR_OK;
}

static enum err load_packet(struct rd *in, struct socket *s, struct queue *q)
{
	uint8_t whole;
	uint32_t pid, size;
	const uint8_t *bytes;
	struct address from = {0};
	TRY(rd_u8(in, &whole));
	TRY(rd_u32(in, &pid));
	TRY(load_address(in, &from));
	TRY(rd_u32(in, &size));
	TRY(rd_bytes(in, size, &bytes));
	if (whole > 1 || (whole != 1 && s->type != SOCKET_STREAM) || (!whole && !size))
		return ERR_MALFORMED;
	struct vfs_iov iov = {.p = (void *)(uintptr_t)bytes, .size = size};
	bool ok = whole ? queue_put_packet(q, &iov, 1, size, &from, pid, NULL)
	                : queue_put(q, bytes, size);
	return ok ? ERR_OK : ERR_NOMEM;
}

static enum err load_queue(struct rd *in, struct socket *s, struct queue *q)
{
	uint32_t n;
	TRY(rd_u32(in, &n));
	for (; n; n--) {
		if (q->packets > 2 * SOCKET_PACKETS_MAX || q->bytes > 4 * SOCKET_BUFFER)
			return ERR_LIMIT;
		TRY(load_packet(in, s, q));
	}
	return ERR_OK;
}

static enum err load_options(struct rd *in, struct socket *s)
{
	uint8_t n;
	uint32_t v;
	TRY(rd_u64(in, &s->patience.receive_ns));
	TRY(rd_u64(in, &s->patience.send_ns));
	TRY(rd_u8(in, &n));
	if (n != SOCKET_OPTIONS_MAX || s->patience.receive_ns > INT64_MAX ||
	    s->patience.send_ns > INT64_MAX)
		return ERR_MALFORMED;
	for (int i = 0; i < n; i++) {
		TRY(rd_u32(in, &v));
		s->options[i] = (int32_t)v;
	}
	return ERR_OK;
}

static enum err load_head(struct rd *in, struct socket *s)
{
	uint8_t state, error;
	uint32_t flags;
	TRY(rd_u8(in, &s->af));
	TRY(rd_u8(in, &s->type));
	TRY(rd_u8(in, &state));
	TRY(rd_u8(in, &error));
	TRY(rd_u32(in, &flags));
	bool af = s->af == ADDRESS_UNIX || s->af == ADDRESS_IP4 || s->af == ADDRESS_IP6;
	bool type = s->type == SOCKET_STREAM || s->type == SOCKET_DGRAM ||
	            (s->type == SOCKET_SEQPACKET && s->af == ADDRESS_UNIX);
	if (!af || !type || state > STATE_CONNECTED || error > FE_NOTCAPABLE ||
	    error == FE_INPROGRESS || flags & ~(uint32_t)SAVED_FLAGS)
		return ERR_MALFORMED;
	if (s->type == SOCKET_DGRAM && state != STATE_NEW)
		return ERR_MALFORMED;
	s->state = (enum socket_state)state;
	s->error = (enum ferr)error;
	s->bound = flags & SAVED_BOUND;
	s->has_peer = flags & SAVED_HAS_PEER;
	s->shut_read = flags & SAVED_SHUT_READ;
	s->shut_write = flags & SAVED_SHUT_WRITE;
	s->in_ended = flags & SAVED_IN_ENDED;
	s->gone = flags & SAVED_GONE;
	s->has_name = flags & SAVED_HAS_NAME;
	s->abroad = flags & SAVED_ABROAD;
	s->is_pipe = flags & SAVED_PIPE;
	s->claimed = flags & SAVED_CLAIMED;
	s->answers = flags & SAVED_ANSWERS;
	if ((s->claimed || s->answers) && s->type != SOCKET_DGRAM)
		return ERR_MALFORMED;
	return ERR_OK;
}

static bool is_true(const struct socket *s)
{
	bool unix_local = s->local.family == ADDRESS_UNIX,
	     unix_peer = s->peer.family == ADDRESS_UNIX;
	if (s->side > 1 || unix_local != (s->af == ADDRESS_UNIX))
		return false;
	if (s->has_peer && unix_peer != (s->af == ADDRESS_UNIX))
		return false;
	if (s->state == STATE_CONNECTS && !s->has_name)
		return false;
	return s->sent >= s->out.bytes && s->sent <= INT64_MAX && s->received <= INT64_MAX;
}

static enum err load_one(struct rd *in, struct socket *s)
{
	const uint8_t *id;
	TRY(load_head(in, s));
	vfs_obj_init(&s->base, socket_operations(),
	             s->type == SOCKET_DGRAM ? VFS_TYPE_DGRAM : VFS_TYPE_STREAM);
	TRY(load_address(in, &s->local));
	TRY(load_address(in, &s->peer));
	TRY(rd_bytes(in, sizeof s->id, &id));
	memcpy(s->id, id, sizeof s->id);
	TRY(rd_u8(in, &s->side));
	TRY(rd_u64(in, &s->received));
	TRY(rd_u64(in, &s->sent));
	TRY(rd_u32(in, &s->own_pid));
	TRY(rd_u32(in, &s->peer_pid));
	TRY(load_options(in, s));
	TRY(load_queue(in, s, &s->in));
	TRY(load_queue(in, s, &s->out));
	s->standing = true;
	return is_true(s) ? ERR_OK : ERR_MALFORMED;
}

static void drop(struct socket *s)
{
	for (struct socket *w = s->waiting, *next; w; w = next) {
		next = w->next_waiting;
		drop(w);
	}
	queue_free(&s->in);
	queue_free(&s->out);
	free(s);
}

static enum err load_waiting(struct rd *in, struct socket *l)
{
	uint16_t n;
	struct socket **at = &l->waiting;
	TRY(rd_u32(in, &l->backlog));
	TRY(rd_u16(in, &n));
	if (n > SOCKET_BACKLOG_MAX || l->backlog > SOCKET_BACKLOG_MAX ||
	    (n && l->state != STATE_LISTENS))
		return ERR_MALFORMED;
	for (; n; n--) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return ERR_NOMEM;
		TRY(load_one(in, *at));
		if ((*at)->state != STATE_CONNECTED || (*at)->af != l->af)
			return ERR_MALFORMED;
		(*at)->waits = true;
		at = &(*at)->next_waiting;
		l->nwaiting++;
	}
	return ERR_OK;
}

enum err socket_object_load(struct rd *in, struct vfs_obj **out, struct errmsg *msg)
{
	struct socket *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(msg, ERR_NOMEM, "a socket: out of memory");
	enum err e = load_one(in, s);
	if (e == ERR_OK)
		e = load_waiting(in, s);
	if (e == ERR_OK) {
		*out = &s->base;
		return ERR_OK;
	}
	drop(s);
	return err_set(msg, e, "a socket: byte %zu: %s", rd_offset(in), err_text(e));
}

void socket_drop_loaded(struct socket *s)
{
	drop(s);
}

/* ---- one that was read gets its place ---- */

static enum err adopt(struct space *sp, struct socket *s, bool copy)
{
	struct net *n = sp->net;
	if (n->count >= NET_SOCKETS_MAX || sp->sockets >= SPACE_SOCKETS_MAX)
		return ERR_LIMIT;
	socket_enlist(n, sp, s);
	if (copy && s->has_name) { /* the connection is the other one's */
		s->has_name = false;
		s->in_ended = s->gone = true;
		s->error = FE_CONNRESET;
	}
	for (struct socket *w = s->waiting; w; w = w->next_waiting)
		TRY(adopt(sp, w, copy));
	return ERR_OK;
}

enum err socket_adopt(struct space *sp, struct vfs_obj *o, bool copy)
{
	struct socket *s = socket_of(o);
	if (s->net)
		return ERR_OK;
	net_enter(sp->net, sp);
	enum err e = adopt(sp, s, copy);
	net_leave(sp->net);
	return e;
}

/* ---- those that are left behind ---- */

/* The family is elsewhere now: what stood is dropped without a word. */
void space_leave(struct space *sp)
{
	net_enter(sp->net, sp);
	sp->left = true;
	for (struct socket *s = sp->net->first; s; s = s->next)
		if (s->space == sp && s->standing)
			s->left = true;
	net_leave(sp->net);
}
