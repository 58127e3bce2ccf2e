/* bind.c - who has which address and port, who finds whom, and what a family's mode lets it reach. */
#include "node/sockets/socket_impl.h"

#include <string.h>

enum address_reach net_reach(const struct net *n, const struct address *a)
{
	for (uint32_t i = 0; i < n->ndevices; i++)
		if (address_same_ip(a, &n->devices[i].address4) ||
		    address_same_ip(a, &n->devices[i].address6))
			return REACH_SYSTEM;
	return address_reach(a);
}

struct address own_address(const struct socket *s, bool v6)
{
	if (!s->space)
		return v6 ? s->net->address6 : s->net->address4;
	return v6 ? s->space->address6 : s->space->address4;
}

bool is_own_address(const struct socket *s, const struct address *a)
{
	struct address v4 = own_address(s, false), v6 = own_address(s, true);
	return address_same_ip(a, &v4) || address_same_ip(a, &v6);
}

static bool is_own(const struct socket *s, const struct address *a)
{
	enum address_reach r = address_reach(a);
	return r == REACH_ANY || r == REACH_LOOPBACK || is_own_address(s, a);
}

static enum net_mode least_for(enum address_reach r)
{
	switch (r) {
	case REACH_ANY:
	case REACH_LOOPBACK: return NET_NONE;
	case REACH_SYSTEM: return NET_SYSTEM;
	case REACH_LAN: return NET_LAN;
	case REACH_HOST:
	case REACH_WORLD: return NET_ALL;
	case REACH_NOWHERE: break;
	}
	return NET_MODES;
}

enum net_mode net_least_mode(const struct net *n, const struct address *to)
{
	return least_for(net_reach(n, to));
}

/* The device's own address is within reach of everybody: of none it leads to the family itself. */
enum ferr may_reach(const struct socket *s, const struct address *to)
{
	if (!s->space || to->family == ADDRESS_UNIX || is_own_address(s, to))
		return FE_OK;
	return s->space->cfg.mode >= least_for(net_reach(s->net, to)) ? FE_OK : FE_NETUNREACH;
}

/* ---- who finds whom ---- */

/* Only relatives meet, or those who both may reach the system, and not by loopback. */
static bool may_meet(const struct socket *a, const struct socket *b, const struct address *at)
{
	if (!address_is_ip(at))
		return a->space == b->space;
	if (address_reach(at) != REACH_LOOPBACK && !is_own_address(b, at))
		return false;
	if (a->space == b->space)
		return true;
	return a->space && b->space && a->space->cfg.mode >= NET_SYSTEM &&
	       b->space->cfg.mode >= NET_SYSTEM && address_reach(at) != REACH_LOOPBACK;
}

static bool same_protocol(const struct socket *a, const struct socket *b)
{
	return a->type == b->type && (a->af == ADDRESS_UNIX) == (b->af == ADDRESS_UNIX);
}

static bool has(const struct socket *o, const struct address *a)
{
	return a->family == ADDRESS_UNIX ? address_same_name(&o->local, a)
	                                 : address_takes(&o->local, a);
}

/* A datagram that is connected to another address does not take it; the most particular one does. */
static bool is_better(const struct socket *o, const struct socket *than)
{
	return !than || (o->has_peer && !than->has_peer) ||
	       (address_is_ip(&o->local) && address_reach(&than->local) == REACH_ANY &&
	        address_reach(&o->local) != REACH_ANY);
}

struct socket *find_bound(struct socket *s, const struct address *to)
{
	struct address at = *to;
	struct socket *best = NULL;
	if (address_is_ip(to) && address_reach(to) == REACH_ANY) {
		at = address_ip4(127, 0, 0, 1, to->port);
		if (!address_is_ip4(to)) {
			at = (struct address){.family = ADDRESS_IP6, .port = to->port};
			at.ip[15] = 1;
		}
	}
	for (struct socket *o = s->net->first; o; o = o->next) {
		bool takes =
		    s->type == SOCKET_DGRAM ? o->state == STATE_NEW : o->state == STATE_LISTENS;
		if (!takes || !o->bound || o->standing || !same_protocol(o, s) || !has(o, &at) ||
		    !may_meet(s, o, &at))
			continue;
		if (s->type == SOCKET_DGRAM && o->has_peer && o->af != ADDRESS_UNIX &&
		    !(o->peer.port == s->local.port && address_same_ip(&o->peer, &s->local)))
			continue;
		if (is_better(o, best))
			best = o;
	}
	return best;
}

/* ---- bind ---- */

static bool shares_ports(const struct socket *a, const struct socket *b)
{
	if (a->space == b->space)
		return true;
	return a->space && b->space && a->space->cfg.mode >= NET_SYSTEM &&
	       b->space->cfg.mode >= NET_SYSTEM &&
	       !memcmp(a->space->home, b->space->home, sizeof a->space->home) &&
	       address_reach(&a->local) != REACH_LOOPBACK &&
	       address_reach(&b->local) != REACH_LOOPBACK;
}

/* A connection's end has its listener's address and is not in its way. */
static bool is_taken(struct socket *s, const struct address *a)
{
	struct address before = s->local;
	bool taken = false;
	s->local = *a;
	for (const struct socket *o = s->net->first; o && !taken; o = o->next) {
		bool owns = o->bound && o != s && !(o->type != SOCKET_DGRAM && o->side == 1);
		if (!owns || !same_protocol(o, s) || !shares_ports(o, s))
			continue;
		taken = a->family == ADDRESS_UNIX ? address_same_name(&o->local, a)
		                                  : address_conflicts(&o->local, a);
	}
	s->local = before;
	return taken;
}

enum ferr bind_any_port(struct socket *s)
{
	struct address a = s->local;
	for (int i = PORT_FIRST; i <= PORT_LAST; i++) {
		uint16_t *last = &s->space->last_port;
		*last = *last >= PORT_LAST ? PORT_FIRST : (uint16_t)(*last + 1);
		a.port = *last;
		if (is_taken(s, &a))
			continue;
		s->local = a;
		s->bound = true;
		return FE_OK;
	}
	return FE_ADDRINUSE;
}

/* A datagram's port that was asked for has one outside too, where the mode lets it (gate.c). */
static void claim_port(struct socket *s)
{
	s->claimed = s->type == SOCKET_DGRAM;
	if (!s->claimed)
		return;
	s->net->listeners_changed = true;
	net_touch(s->net);
}

static enum ferr bind_ip(struct socket *s, const struct address *a)
{
	if (!is_own(s, a))
		return FE_ADDRNOTAVAIL;
	struct address before = s->local;
	s->local = *a;
	s->local.family = s->af;
	if (!a->port) {
		enum ferr e = bind_any_port(s);
		if (e != FE_OK)
			s->local = before;
		return e;
	}
	if (is_taken(s, &s->local)) {
		s->local = before;
		return FE_ADDRINUSE;
	}
	s->bound = true;
	claim_port(s);
	return FE_OK;
}

/* Without a name one is made, as Linux does: five digits after a zero byte. */
static enum ferr bind_unix(struct socket *s, const struct address *a)
{
	static const char digits[] = "0123456789abcdef";
	struct address named = *a;
	for (uint32_t i = 1; !a->name_size && i < 1u << 20; i++) {
		named.name_size = 6;
		for (int d = 0; d < 5; d++)
			named.name[5 - d] = (uint8_t)digits[i >> (4 * d) & 15];
		if (!is_taken(s, &named))
			break;
	}
	if (is_taken(s, &named))
		return FE_ADDRINUSE;
	s->local = named;
	s->bound = true;
	return FE_OK;
}

static enum ferr bind_checked(struct socket *s, const struct address *a)
{
	if (s->bound || s->state == STATE_CONNECTED)
		return FE_INVAL;
	if ((a->family == ADDRESS_UNIX) != (s->af == ADDRESS_UNIX))
		return s->af == ADDRESS_UNIX ? FE_INVAL : FE_AFNOSUPPORT;
	if (s->af == ADDRESS_IP4 && !address_is_ip4(a))
		return FE_AFNOSUPPORT;
	return s->af == ADDRESS_UNIX ? bind_unix(s, a) : bind_ip(s, a);
}

enum ferr socket_bind(struct vfs_obj *o, const struct address *a)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	enum ferr e = bind_checked(s, a);
	net_leave(s->net);
	return e;
}
