/* datagram.c - datagrams: each has an address to go to and one it came from. One that finds no room is lost, but of AF_UNIX,
 * where its sender waits. What nobody on this node takes is the loop's (post.c); its sender waits while that has much of its family's. */
#include "node/sockets/socket_impl.h"

#include "node/sockets/resolver.h"

#include <stdlib.h>
#include <string.h>

/* The address an answer would go to. */
static struct address from_address(const struct socket *s, const struct address *to)
{
	struct address from = s->local;
	if (!address_is_ip(&from) || address_reach(&from) != REACH_ANY)
		return from;
	if (address_reach(to) == REACH_LOOPBACK || address_reach(to) == REACH_ANY)
		from = address_ip4(127, 0, 0, 1, from.port);
	else
		from = address_is_ip4(to) ? own_address(s, false) : own_address(s, true);
	from.port = s->local.port;
	if (!address_is_ip4(to) && address_reach(to) == REACH_LOOPBACK)
		memcpy(from.ip, to->ip, sizeof from.ip);
	return from;
}

static enum ferr deliver(struct socket *s, struct socket *to, struct socket_send *send,
                         const struct address *at, size_t size)
{
	struct address from = s->af == ADDRESS_UNIX ? s->local : from_address(s, at);
	from.family = to->af;
	if (to->shut_read)
		return s->af == ADDRESS_UNIX ? FE_PIPE : FE_OK;
	bool room = !to->in.packets || socket_room(to, &to->in) >= (size ? size : 1);
	if (!room)
		return s->af == ADDRESS_UNIX ? FE_AGAIN : FE_OK;
	if (!queue_put_packet(&to->in, send->iov, send->n, size, &from, s->own_pid, send->files))
		return FE_NOMEM;
	send->files = NULL;
	socket_recount(to);
	socket_wake(to);
	return FE_OK;
}

/* ---- those that leave the node ---- */

struct datagram *datagram_new(const struct vfs_iov *iov, size_t n, size_t size)
{
	struct datagram *d = malloc(sizeof *d + size);
	if (!d)
		return NULL;
	*d = (struct datagram){.size = size};
	for (size_t i = 0, at = 0; i < n && at < size; at += iov[i++].size)
		if (iov[i].size)
			memcpy(d->bytes + at, iov[i].p, iov[i].size);
	return d;
}

void datagram_deliver(struct socket *s, const struct datagram *d)
{
	struct vfs_iov iov = {.p = (void *)(uintptr_t)d->bytes, .size = d->size};
	struct address from = d->from;
	from.family = s->af;
	s->answers |= d->kind == OPEN_OUTLET;
	bool room = !s->in.packets || socket_room(s, &s->in) >= (d->size ? d->size : 1);
	if (s->shut_read || !room || !queue_put_packet(&s->in, &iov, 1, d->size, &from, 0, NULL))
		return;
	socket_recount(s);
	socket_wake(s);
}

struct datagram *datagrams_take(struct net *n)
{
	struct datagram *all = n->posted;
	n->posted = n->posted_last = NULL;
	for (struct space *s = n->spaces; s; s = s->next) {
		bool full = s->posted >= POSTED_BYTES_MAX;
		s->posted = 0;
		if (full)
			s->cfg.wake(s->cfg.ctx);
	}
	return all;
}

/* Where it goes if nobody on this node takes it; false: there is no such place. */
static bool is_abroad(const struct socket *s, const struct address *at, enum open_kind *out)
{
	enum address_reach r = net_reach(s->net, at);
	bool alone = is_own_address(s, at) && s->space->cfg.mode < NET_SYSTEM;
	*out = r == REACH_SYSTEM ? OPEN_SYSTEM : OPEN_OUTSIDE;
	return s->net->poke && r > REACH_LOOPBACK && r != REACH_NOWHERE && !alone;
}

/* For the loop: to another device, or out of the system. */
static enum ferr post(struct socket *s, const struct socket_send *send, const struct address *at,
                      size_t size, enum open_kind kind)
{
	struct net *n = s->net;
	if (address_reach(&s->local) == REACH_LOOPBACK || !at->port)
		return FE_INVAL;
	if (s->space->posted >= POSTED_BYTES_MAX)
		return FE_AGAIN;
	struct datagram *d = datagram_new(send->iov, send->n, size);
	if (!d)
		return FE_NOBUFS;
	d->kind = kind;
	memcpy(d->key, s->space->cfg.key, sizeof d->key);
	memcpy(d->home, s->space->home, sizeof d->home);
	d->from = from_address(s, at);
	d->to = *at;
	s->space->posted += sizeof *d + size;
	*(n->posted ? &n->posted_last->next : &n->posted) = d;
	n->posted_last = d;
	net_touch(n);
	return FE_OK;
}

/* What nobody takes is answered by a connected sender's next call. */
static enum ferr nobody_there(struct socket *s)
{
	if (s->af == ADDRESS_UNIX)
		return FE_CONNREFUSED;
	if (s->has_peer)
		s->error = FE_CONNREFUSED;
	socket_wake(s);
	return FE_OK;
}

enum ferr datagram_write(struct socket *s, struct socket_send *send, size_t *done)
{
	const struct address *at = send->to ? send->to : &s->peer;
	enum open_kind kind;
	enum ferr e;
	size_t size = 0;
	FTRY(socket_take_error(s));
	for (size_t i = 0; i < send->n; i++)
		size += send->iov[i].size;
	if (s->shut_write)
		return FE_PIPE;
	if (!send->to && s->gone)
		return FE_CONNREFUSED;
	if (!send->to && !s->has_peer)
		return s->af == ADDRESS_UNIX ? FE_NOTCONN : FE_DESTADDRREQ;
	if (size > SOCKET_DATAGRAM_MAX)
		return FE_MSGSIZE;
	if (!send->to && s->has_name && !s->mate)
		return FE_AGAIN; /* its other end is on the way */
	if (!send->to && s->mate) {
		FTRY(deliver(s, s->mate, send, at, size));
		*done = size;
		return FE_OK;
	}
	if ((at->family == ADDRESS_UNIX) != (s->af == ADDRESS_UNIX))
		return FE_AFNOSUPPORT;
	if (!s->answers)
		FTRY(may_reach(s, at));
	if (!s->bound && s->af != ADDRESS_UNIX)
		FTRY(bind_any_port(s));
	struct socket *to = find_bound(s, at);
	e = to                      ? deliver(s, to, send, at, size)
	    : resolver_takes(s, at) ? resolver_ask(s, send->iov, send->n, at)
	    : s->space && s->af != ADDRESS_UNIX && is_abroad(s, at, &kind)
	        ? post(s, send, at, size, kind)
	        : nobody_there(s);
	if (e == FE_OK)
		*done = size;
	return e;
}

enum ferr datagram_read(struct socket *s, struct socket_receive *r, size_t *done)
{
	struct packet *p = s->in.first;
	if (!p) {
		FTRY(socket_take_error(s));
		return s->shut_read || s->in_ended ? FE_OK : FE_AGAIN;
	}
	size_t size = p->end - p->start;
	for (size_t i = 0; i < r->n && *done < size; i++) {
		size_t left = size - *done;
		size_t n = r->iov[i].size < left ? r->iov[i].size : left;
		if (n)
			memcpy(r->iov[i].p, p->bytes + p->start + *done, n);
		*done += n;
	}
	r->from = p->from;
	r->pid = p->pid;
	r->whole = size;
	if (r->peek)
		return FE_OK;
	r->files = p->files;
	p->files = NULL;
	queue_pop(&s->in);
	socket_recount(s);
	if (s->af == ADDRESS_UNIX)
		socket_wake(s); /* a relative may wait for room */
	return FE_OK;
}

unsigned datagram_ready(const struct socket *s)
{
	bool ended = s->shut_read || s->in_ended;
	unsigned got = VFS_WRITABLE;
	if (s->space && s->space->posted >= POSTED_BYTES_MAX && s->af != ADDRESS_UNIX)
		got = 0;
	if (s->mate ? !socket_room(s->mate, &s->mate->in) : s->has_name && !s->gone)
		got = 0;
	if (s->in.first || ended || s->error != FE_OK)
		got |= VFS_READABLE;
	if (s->error != FE_OK)
		got |= VFS_ERROR | VFS_WRITABLE;
	return got | (ended ? VFS_END : 0u);
}
