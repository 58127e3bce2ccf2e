/* stream.c - connections: two ends, each with what came in and, while the other is not at hand, what is to go out. */
#include "node/sockets/socket_impl.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

/* ---- listening, connecting, accepting ---- */

enum ferr socket_listen(struct vfs_obj *o, uint32_t backlog, uint32_t pid)
{
	struct socket *s = socket_of(o);
	enum ferr e = FE_OK;
	net_enter(s->net, s->space);
	if (s->type == SOCKET_DGRAM)
		e = FE_NOTSUP;
	else if (s->state != STATE_NEW && s->state != STATE_LISTENS)
		e = FE_INVAL;
	else if (!s->bound)
		e = s->af == ADDRESS_UNIX ? FE_INVAL : bind_any_port(s);
	if (e == FE_OK) {
		s->state = STATE_LISTENS;
		s->own_pid = pid;
		s->net->listeners_changed = true;
		net_touch(s->net);
		s->backlog = backlog < SOCKET_BACKLOG_MAX ? backlog + 1 : SOCKET_BACKLOG_MAX;
	}
	net_leave(s->net);
	return e;
}

void stream_join(struct socket *a, struct socket *b)
{
	if (!a->has_name)
		os_random(a->id, sizeof a->id);
	a->has_name = b->has_name = true;
	memcpy(b->id, a->id, sizeof b->id);
	b->side = 1;
	a->mate = b;
	b->mate = a;
	a->has_peer = b->has_peer = true;
	if (a->type != SOCKET_DGRAM)
		a->state = b->state = STATE_CONNECTED;
}

/* The address that a connection to a leaves from. */
static void choose_local(struct socket *s, const struct address *a)
{
	uint16_t port = s->local.port;
	if (s->af == ADDRESS_UNIX || address_reach(&s->local) != REACH_ANY)
		return;
	switch (net_reach(s->net, a)) {
	case REACH_ANY:
	case REACH_LOOPBACK:
		s->local = *a;
		if (address_reach(a) == REACH_ANY) {
			s->local = address_ip4(127, 0, 0, 1, 0);
			if (!address_is_ip4(a)) {
				memset(s->local.ip, 0, sizeof s->local.ip);
				s->local.ip[15] = 1;
			}
		}
		break;
	default: s->local = address_is_ip4(a) ? own_address(s, false) : own_address(s, true); break;
	}
	s->local.family = s->af;
	s->local.port = port;
}

void stream_await_accept(struct socket *l, struct socket *end)
{
	struct socket **last = &l->waiting;
	while (*last)
		last = &(*last)->next_waiting;
	*last = end;
	l->nwaiting++;
	end->waits = true;
	socket_wake(l);
}

enum ferr stream_queue(struct socket *l, struct socket *s)
{
	struct socket *end;
	if (l->nwaiting >= (l->af == ADDRESS_UNIX ? l->backlog : SOCKET_BACKLOG_MAX))
		return l->af == ADDRESS_UNIX ? FE_AGAIN : FE_CONNREFUSED;
	FTRY(socket_make(l->net, l->space, l->af, l->type, &end));
	stream_join(s, end);
	end->local = l->local;
	if (l->af != ADDRESS_UNIX && address_reach(&l->local) == REACH_ANY) {
		end->local = s->peer;
		end->local.family = l->af;
	}
	end->bound = true;
	end->peer = s->local;
	end->peer.family = l->af;
	end->peer_pid = s->own_pid;
	s->peer_pid = l->own_pid;
	memcpy(end->options, l->options, sizeof end->options);
	stream_await_accept(l, end);
	return FE_OK;
}

/* What is on no device that this family can look at is for the loop. */
static enum ferr connect_abroad(struct socket *s, const struct address *a)
{
	enum address_reach r = net_reach(s->net, a);
	bool alone = is_own_address(s, a) && s->space && s->space->cfg.mode < NET_SYSTEM;
	if (!s->space || s->af == ADDRESS_UNIX || r <= REACH_LOOPBACK || alone)
		return FE_CONNREFUSED;
	if (!s->net->poke)
		return is_own_address(s, a) ? FE_CONNREFUSED : FE_NETUNREACH;
	choose_local(s, a);
	if (!s->bound)
		FTRY(bind_any_port(s));
	s->peer = *a;
	s->peer.family = s->af;
	s->state = STATE_CONNECTS;
	s->abroad = true;
	s->background = 1;
	os_random(s->id, sizeof s->id);
	s->has_name = true;
	socket_touch(s);
	return FE_INPROGRESS;
}

void stream_failed(struct socket *s, enum ferr e)
{
	s->state = STATE_NEW;
	s->abroad = s->has_name = false;
	s->error = e;
	socket_wake(s);
}

bool stream_push(struct socket *s, const void *bytes, size_t size)
{
	struct socket *m = s->out.first ? NULL : s->mate;
	struct queue *q = m ? &m->in : &s->out;
	if ((m && m->shut_read) || s->gone)
		return true;
	if (!queue_put(q, bytes, size))
		return false;
	s->sent += size;
	if (!m) {
		socket_recount(s);
		socket_touch(s);
		return true;
	}
	socket_recount(m);
	m->received += size;
	socket_wake(m);
	return true;
}

enum ferr stream_connect(struct socket *s, const struct address *a)
{
	if (s->state == STATE_LISTENS)
		return FE_INVAL;
	if (s->state == STATE_CONNECTED) {
		bool again = s->background == 1;
		s->background = 2;
		return again ? FE_OK : FE_ISCONN;
	}
	if (s->state == STATE_CONNECTS)
		return FE_ALREADY;
	FTRY(may_reach(s, a));
	struct socket *l = find_bound(s, a);
	if (!l)
		return connect_abroad(s, a);
	struct address before = s->local;
	choose_local(s, a);
	enum ferr e = s->bound || s->af == ADDRESS_UNIX ? FE_OK : bind_any_port(s);
	s->peer = *a;
	s->peer.family = s->af;
	if (e == FE_OK)
		e = stream_queue(l, s);
	if (e != FE_OK && !s->bound)
		s->local = before;
	return e;
}

static enum ferr connect_datagram(struct socket *s, const struct address *a)
{
	if (a->family == ADDRESS_NONE) {
		s->has_peer = false;
		return FE_OK;
	}
	if (!s->answers)
		FTRY(may_reach(s, a));
	if (s->af == ADDRESS_UNIX && !find_bound(s, a))
		return FE_CONNREFUSED;
	choose_local(s, a);
	if (!s->bound && s->af != ADDRESS_UNIX)
		FTRY(bind_any_port(s));
	s->peer = *a;
	s->peer.family = s->af;
	s->has_peer = true;
	return FE_OK;
}

static enum ferr connect_checked(struct socket *s, const struct address *a)
{
	if (a->family == ADDRESS_NONE && s->type != SOCKET_DGRAM)
		return FE_AFNOSUPPORT;
	if (a->family != ADDRESS_NONE && ((a->family == ADDRESS_UNIX) != (s->af == ADDRESS_UNIX) ||
	                                  (s->af == ADDRESS_IP4 && !address_is_ip4(a))))
		return FE_AFNOSUPPORT;
	return s->type == SOCKET_DGRAM ? connect_datagram(s, a) : stream_connect(s, a);
}

enum ferr socket_connect(struct vfs_obj *o, const struct address *a, uint32_t pid)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	s->own_pid = pid;
	enum ferr e = connect_checked(s, a);
	net_leave(s->net);
	return e;
}

bool socket_just_connected(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	bool is = s->type == SOCKET_STREAM && s->af != ADDRESS_UNIX && !s->background;
	s->background = s->background ? s->background : 1;
	net_leave(s->net);
	return is;
}

enum ferr socket_connected(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	enum ferr e = socket_take_error(s);
	if (e == FE_OK)
		e = s->state == STATE_CONNECTED  ? FE_OK
		    : s->state == STATE_CONNECTS ? FE_AGAIN
		                                 : FE_CONNREFUSED;
	net_leave(s->net);
	return e;
}

static enum ferr take_waiting(struct socket *l, struct vfs_obj **out)
{
	struct socket *end = l->waiting;
	if (l->type == SOCKET_DGRAM)
		return FE_NOTSUP;
	if (l->state != STATE_LISTENS)
		return FE_INVAL;
	if (!end)
		return FE_AGAIN;
	l->waiting = end->next_waiting;
	end->next_waiting = NULL;
	l->nwaiting--;
	*out = &end->base;
	end->waits = false;
	if (end->mate)
		socket_wake(end->mate); /* there is more room */
	else
		socket_touch(end);
	return FE_OK;
}

enum ferr socket_accept(struct vfs_obj *o, struct vfs_obj **out)
{
	struct socket *l = socket_of(o);
	net_enter(l->net, l->space);
	enum ferr e = take_waiting(l, out);
	net_leave(l->net);
	return e;
}

/* ---- bytes ---- */

/* As much as there is room for; a packet goes whole or not at all. */
static enum ferr put(struct socket *to, struct queue *q, struct socket_send *send, size_t size,
                     bool whole, uint32_t pid, size_t *done)
{
	size_t room = socket_room(to, q), before = q->bytes;
	const struct vfs_iov *iov = send->iov;
	if (whole && size > SOCKET_BUFFER)
		return FE_MSGSIZE;
	if (room < (whole ? size : 1) && q->bytes)
		return FE_AGAIN;
	size_t now = whole || size < room ? size : room;
	bool fits = true;
	if (whole) {
		fits = queue_put_packet(q, iov, send->n, now, NULL, pid, send->files);
		send->files = fits ? NULL : send->files;
	} else {
		for (size_t i = 0; fits && i < send->n && q->bytes - before < now; i++) {
			size_t left = now - (q->bytes - before);
			fits = queue_put(q, iov[i].p, iov[i].size < left ? iov[i].size : left);
		}
	}
	*done = q->bytes - before;
	socket_recount(to);
	return fits || *done ? FE_OK : FE_NOMEM;
}

static size_t total(const struct vfs_iov *iov, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += iov[i].size;
	return size;
}

/* Of AF_UNIX, that nobody reads any more comes before what else is to be told. */
static enum ferr may_write(struct socket *s)
{
	if (s->af == ADDRESS_UNIX && s->state == STATE_CONNECTED && (s->shut_write || s->gone))
		return FE_PIPE;
	FTRY(socket_take_error(s));
	if (s->state == STATE_CONNECTS)
		return FE_AGAIN;
	if (s->state != STATE_CONNECTED)
		return s->af == ADDRESS_UNIX ? FE_NOTCONN : FE_PIPE;
	bool told = s->knows_gone || s->af == ADDRESS_UNIX;
	return s->shut_write || (s->gone && told) ? FE_PIPE : FE_OK;
}

static bool is_deaf(struct socket *s)
{
	bool gone = s->gone && s->af != ADDRESS_UNIX;
	s->knows_gone |= gone;
	return gone || (s->mate && s->mate->shut_read);
}

/* Files do not travel while the other end is not at hand. */
enum ferr stream_write(struct socket *s, struct socket_send *send, size_t *done)
{
	size_t size = total(send->iov, send->n);
	bool packets = s->type == SOCKET_SEQPACKET;
	FTRY(may_write(s));
	if (send->files && !s->mate)
		return FE_AGAIN;
	if (!size && !packets)
		return FE_OK;
	struct socket *to = s->mate ? s->mate : s;
	struct queue *q = s->mate ? &s->mate->in : &s->out;
	if (is_deaf(s)) {
		*done = size;
		return FE_OK;
	}
	if (s->mate && s->out.first)
		return FE_AGAIN; /* that goes first */
	if (send->files && !packets && size > SOCKET_BUFFER_LEAST)
		size = SOCKET_BUFFER_LEAST; /* the files go with the first bytes */
	bool whole = packets || send->files;
	FTRY(put(to, q, send, size, whole, s->own_pid, done));
	s->sent += *done;
	if (!s->mate)
		socket_touch(s);
	if (s->mate) {
		s->mate->received += *done;
		socket_wake(s->mate);
	}
	return FE_OK;
}

static enum ferr nothing_there(struct socket *s)
{
	FTRY(socket_take_error(s));
	if (s->state == STATE_CONNECTS)
		return FE_AGAIN;
	if (s->state != STATE_CONNECTED)
		return s->af == ADDRESS_UNIX ? FE_INVAL : FE_NOTCONN;
	return s->in_ended || s->shut_read ? FE_OK : FE_AGAIN;
}

/* Bytes up to the next packet that has files; of a packet what fits. */
static size_t copy_out(struct socket *s, const struct socket_receive *r)
{
	size_t limit = 0, done = 0;
	const struct packet *first = s->in.first;
	for (const struct packet *p = first; p; p = p->next) {
		if (p != first && (p->files || s->type != SOCKET_STREAM || first->files))
			break;
		limit += p->end - p->start;
	}
	for (size_t i = 0; i < r->n && done < limit; i++) {
		size_t left = limit - done;
		done += queue_peek(&s->in, done, r->iov[i].p,
		                   r->iov[i].size < left ? r->iov[i].size : left);
	}
	return done;
}

enum ferr stream_read(struct socket *s, struct socket_receive *r, size_t *done)
{
	struct packet *p = s->in.first;
	if (!p)
		return nothing_there(s);
	size_t before = s->in.bytes;
	*done = copy_out(s, r);
	r->pid = p->pid;
	r->whole = s->type == SOCKET_STREAM ? *done : p->end - p->start;
	if (r->peek)
		return FE_OK;
	if (*done || s->type != SOCKET_STREAM) {
		r->files = p->files;
		p->files = NULL;
	}
	if (s->type == SOCKET_STREAM)
		queue_drop(&s->in, *done);
	else
		queue_pop(&s->in);
	socket_recount(s);
	bool took = before != s->in.bytes;
	if (s->mate && s->mate->out.first)
		stream_pass_on(s->mate, s);
	if (s->mate && took)
		socket_wake(s->mate);
	if (s->has_far)
		socket_touch(s);
	return FE_OK;
}

/* ---- the end ---- */

enum ferr stream_shutdown(struct socket *s, unsigned how)
{
	if (s->type == SOCKET_DGRAM) {
		if (!s->has_peer)
			return FE_NOTCONN;
	} else if (s->state == STATE_LISTENS && how & SOCKET_SHUT_READ) {
		s->state = STATE_NEW;
		s->error = FE_OK;
		socket_wake(s);
		return FE_OK;
	} else if (s->state != STATE_CONNECTED) {
		return FE_NOTCONN;
	}
	s->shut_read |= (how & SOCKET_SHUT_READ) != 0;
	s->shut_write |= (how & SOCKET_SHUT_WRITE) != 0;
	if (s->mate && how & SOCKET_SHUT_WRITE)
		s->mate->in_ended = !s->out.first;
	if (s->mate && how & SOCKET_SHUT_READ && s->af == ADDRESS_UNIX)
		s->mate->gone = true;
	if (s->mate)
		socket_wake(s->mate);
	else
		socket_touch(s);
	socket_wake(s);
	return FE_OK;
}

bool stream_lingers(const struct socket *s)
{
	return s->type == SOCKET_STREAM && s->has_name && !s->mate && !s->gone && !s->standing &&
	       s->state >= STATE_CONNECTS;
}

static void unlink_mate(struct socket *s)
{
	struct socket *m = s->mate;
	if (!m)
		return;
	queue_move(&m->in, &s->out);
	m->received = s->sent;
	queue_free(&m->out);
	socket_recount(m);
	m->mate = NULL;
	m->in_ended = m->gone = true;
	m->knows_gone = m->error != FE_OK;
	s->mate = NULL;
	s->gone = true;
	socket_wake(m);
}

/* Nobody will accept those who wait. */
static void drop_waiting(struct socket *l)
{
	while (l->waiting) {
		struct socket *end = l->waiting;
		l->waiting = end->next_waiting;
		end->left |= l->left;
		if (end->mate)
			end->mate->error = FE_CONNRESET;
		unlink_mate(end);
		queue_move(&l->in, &end->in); /* whoever closes l frees it without the lock */
		socket_recount(end);
		socket_retire(end);
	}
	l->nwaiting = 0;
}

void stream_close(struct socket *s)
{
	drop_waiting(s);
	unlink_mate(s);
}

/* ---- readiness ---- */

static bool has_room(const struct socket *s)
{
	const struct socket *m = s->mate;
	if (m)
		return m->shut_read || (!s->out.first && socket_room(m, &m->in));
	return socket_room(s, &s->out);
}

unsigned stream_ready(const struct socket *s)
{
	unsigned got = s->error != FE_OK ? VFS_ERROR | VFS_READABLE | VFS_WRITABLE : 0;
	switch (s->state) {
	case STATE_NEW: return got | VFS_HANGUP | VFS_WRITABLE;
	case STATE_LISTENS: return got | (s->waiting ? VFS_READABLE : 0u);
	case STATE_CONNECTS: return got;
	case STATE_CONNECTED: break;
	}
	bool ended = s->in_ended || s->shut_read;
	if (s->in.first || ended)
		got |= VFS_READABLE;
	if (ended)
		got |= VFS_END;
	if (s->shut_write || s->gone || has_room(s))
		got |= VFS_WRITABLE;
	if (ended && (s->shut_write || s->gone))
		got |= VFS_HANGUP;
	return got;
}
