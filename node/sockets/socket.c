/* socket.c - life of nets, spaces and sockets, and a socket as an open file. */
#include "node/sockets/socket_impl.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct vfs_ops socket_ops;

/* ---- nets ---- */

static const char *const modes[NET_MODES] = {"none", "system", "lan", "all"};

const char *net_mode_name(enum net_mode m)
{
	return modes[m];
}

bool net_mode_find(const char *name, enum net_mode *out)
{
	for (int i = 0; i < NET_MODES; i++)
		if (!strcmp(modes[i], name)) {
			*out = (enum net_mode)i;
			return true;
		}
	return false;
}

static void set_device(struct net_device *d, const uint8_t id[32], const char *name)
{
	snprintf(d->name, sizeof d->name, "%s", name);
	d->address4 = address_of_device(id, false);
	d->address6 = address_of_device(id, true);
}

enum err net_new(const uint8_t *id, const char *name, struct net **out)
{
	static const uint8_t nobody[32];
	struct net *n = calloc(1, sizeof *n);
	if (!n || pthread_mutex_init(&n->lock, NULL)) {
		free(n);
		return ERR_NOMEM;
	}
	n->devices = calloc(1, sizeof *n->devices);
	if (!n->devices) {
		net_free(n);
		return ERR_NOMEM;
	}
	n->ndevices = 1;
	memcpy(n->id, id ? id : nobody, sizeof n->id);
	set_device(n->devices, id ? id : nobody, name ? name : "");
	n->address4 = n->devices->address4;
	n->address6 = n->devices->address6;
	*out = n;
	return ERR_OK;
}

enum err net_set_peers(struct net *n, const struct net_peer *peers, uint32_t count)
{
	struct net_device *list = calloc(count + 1, sizeof *list);
	if (!list)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++)
		set_device(&list[i + 1], peers[i].id, peers[i].name);
	net_enter(n, NULL);
	list[0] = n->devices[0];
	free(n->devices);
	n->devices = list;
	n->ndevices = count + 1;
	net_leave(n);
	return ERR_OK;
}

void net_free(struct net *n)
{
	if (!n)
		return;
	while (n->first)
		socket_unmake(n->first);
	for (struct datagram *d = n->posted, *next; d; d = next) {
		next = d->next;
		free(d);
	}
	while (n->names) {
		struct name_request *r = n->names;
		n->names = r->next;
		name_request_free(r);
	}
	while (n->left_keys)
		key_drop(&n->left_keys, n->left_keys->key);
	while (n->over_keys)
		key_drop(&n->over_keys, n->over_keys->key);
	while (n->over_far_keys)
		key_drop(&n->over_far_keys, n->over_far_keys->key);
	pthread_mutex_destroy(&n->lock);
	free(n->devices);
	free(n);
}

struct address net_address(const struct net *n, bool v6)
{
	return v6 ? n->address6 : n->address4;
}

void net_enter(struct net *n, const struct space *caller)
{
	pthread_mutex_lock(&n->lock);
	n->caller = caller;
}

void net_touch(struct net *n)
{
	if (n->poke)
		n->poke(n->loop);
}

bool socket_touch(struct socket *s)
{
	struct net *n = s->net;
	if (!n->poke)
		return false;
	if (!s->dirty) {
		s->dirty = true;
		s->next_dirty = n->dirty;
		n->dirty = s;
	}
	net_touch(n);
	return true;
}

void net_leave(struct net *n)
{
	n->caller = NULL;
	pthread_mutex_unlock(&n->lock);
}

/* ---- lists of keys ---- */

bool key_in(const struct left_key *list, const uint8_t key[SPACE_KEY_SIZE])
{
	for (; list; list = list->next)
		if (!memcmp(list->key, key, SPACE_KEY_SIZE))
			return true;
	return false;
}

void key_put(struct left_key **list, const uint8_t key[SPACE_KEY_SIZE])
{
	struct left_key *k = key_in(*list, key) ? NULL : calloc(1, sizeof *k);
	if (!k)
		return;
	memcpy(k->key, key, sizeof k->key);
	k->next = *list;
	*list = k;
}

void key_drop(struct left_key **list, const uint8_t key[SPACE_KEY_SIZE])
{
	for (; *list; list = &(*list)->next)
		if (!memcmp((*list)->key, key, SPACE_KEY_SIZE)) {
			struct left_key *k = *list;
			*list = k->next;
			free(k);
			return;
		}
}

/* ---- spaces ---- */

enum err space_new(struct net *n, const struct space_config *c, struct space **out)
{
	struct space *s = calloc(1, sizeof *s);
	uint8_t start[2];
	if (!s)
		return ERR_NOMEM;
	os_random(start, sizeof start);
	s->net = n;
	s->cfg = *c;
	memcpy(s->home, c->home ? c->home : n->id, sizeof s->home);
	s->cfg.home = s->home;
	s->is_home = !memcmp(s->home, n->id, sizeof s->home);
	s->address4 = address_of_device(s->home, false);
	s->address6 = address_of_device(s->home, true);
	s->last_port =
	    (uint16_t)(PORT_FIRST + (start[0] | start[1] << 8) % (PORT_LAST - PORT_FIRST));
	*out = s;
	net_enter(n, s);
	s->was_left = key_in(n->left_keys, s->cfg.key);
	key_drop(&n->left_keys, s->cfg.key);
	s->next = n->spaces;
	n->spaces = s;
	n->spaces_changed = true;
	net_touch(n);
	net_leave(n);
	return ERR_OK;
}

/* A socket that was sent over a socket may be its own only owner: what has not arrived never will. */
static struct queue take_travelling(struct space *s)
{
	struct queue all = {0};
	net_enter(s->net, s);
	for (struct socket *o = s->net->first; o && !all.first; o = o->next)
		if (o->space == s && queue_has_files(&o->in)) {
			all = o->in;
			o->in = (struct queue){0};
			socket_recount(o);
		}
	net_leave(s->net);
	return all;
}

enum err space_new_like(const struct space *s, const struct space_config *c, struct space **out)
{
	struct space_config with = *c;
	with.mode = s->cfg.mode;
	with.home = s->home;
	return space_new(s->net, &with, out);
}

static void orphan_sockets(struct space *s)
{
	net_enter(s->net, s);
	for (struct socket *o = s->net->first; o; o = o->next)
		if (o->space == s)
			o->space = NULL;
	struct space **at = &s->net->spaces;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	bool stays = s->arrives && !s->left; /* it came, and could not be taken */
	if ((s->left || (stays && s->was_left)) && s->is_home)
		key_put(&s->net->left_keys, s->cfg.key);
	else if (!s->left && !stays)
		key_put(s->is_home ? &s->net->over_keys : &s->net->over_far_keys, s->cfg.key);
	s->net->spaces_changed = true;
	net_touch(s->net);
	net_leave(s->net);
}

void space_free(struct space *s)
{
	if (!s)
		return;
	for (struct queue q = take_travelling(s); q.first; q = take_travelling(s))
		queue_free(&q);
	orphan_sockets(s);
	free(s);
}

bool space_takes_files(const struct space *s, uint32_t count)
{
	for (const struct socket *o = s->net->first; o; o = o->next)
		for (const struct packet *p = o->space == s ? o->in.first : NULL; p; p = p->next)
			count += p->files ? p->files->count : 0;
	return count <= SPACE_FILES_MAX;
}

void space_arrives(struct space *s, bool yet)
{
	net_enter(s->net, s);
	s->arrives = yet;
	net_leave(s->net);
}

enum net_mode space_mode(const struct space *s)
{
	return s->cfg.mode;
}

bool space_has_name(struct space *s, uint64_t dev, uint64_t ino)
{
	bool found = false;
	net_enter(s->net, s);
	for (const struct socket *o = s->net->first; o && !found; o = o->next)
		found = o->space == s && o->af == ADDRESS_UNIX && o->bound && o->local.name[0] &&
		        o->local.dev == dev && o->local.ino == ino;
	net_leave(s->net);
	return found;
}

/* ---- life ---- */

struct socket *socket_of(struct vfs_obj *o)
{
	return (struct socket *)o;
}

bool vfs_is_socket(const struct vfs_obj *o)
{
	return o->ops == &socket_ops;
}

void socket_enlist(struct net *n, struct space *s, struct socket *o)
{
	o->net = n;
	o->space = s;
	o->serial = ++n->last_serial;
	o->next = n->first;
	n->first = o;
	n->count++;
	if (s)
		s->sockets++;
	socket_recount(o);
}

enum ferr socket_make(struct net *n, struct space *s, uint8_t af, uint8_t type, struct socket **out)
{
	if (n->count >= NET_SOCKETS_MAX || (s && s->sockets >= SPACE_SOCKETS_MAX))
		return FE_NFILE;
	struct socket *o = calloc(1, sizeof *o);
	if (!o)
		return FE_NOMEM;
	vfs_obj_init(&o->base, &socket_ops,
	             type == SOCKET_DGRAM ? VFS_TYPE_DGRAM : VFS_TYPE_STREAM);
	o->af = af;
	o->type = type;
	o->local.family = o->peer.family = af;
	if (af == ADDRESS_IP4)
		o->local = address_ip4(0, 0, 0, 0, 0);
	socket_enlist(n, s, o);
	*out = o;
	return FE_OK;
}

void socket_unmake(struct socket *s)
{
	for (struct socket **at = &s->net->first; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	for (struct socket **at = &s->net->dirty; *at; at = &(*at)->next_dirty)
		if (*at == s) {
			*at = s->next_dirty;
			break;
		}
	s->net->count--;
	queue_free(&s->in);
	queue_free(&s->out);
	socket_recount(s);
	if (s->space)
		s->space->sockets--;
	free(s);
}

void socket_recount(struct socket *s)
{
	size_t bytes = s->in.bytes + s->out.bytes;
	uint32_t packets = s->in.packets + s->out.packets;
	if (s->space) {
		s->space->bytes += bytes - s->counted_bytes;
		s->space->packets += packets - s->counted_packets;
	}
	s->counted_bytes = bytes;
	s->counted_packets = packets;
}

enum ferr socket_take_error(struct socket *s)
{
	enum ferr e = s->error;
	s->error = FE_OK;
	return e;
}

void socket_wake(struct socket *s)
{
	const struct space *sp = s->space;
	if (s->outside)
		socket_touch(s);
	if (!sp)
		return;
	if (sp == s->net->caller)
		sp->cfg.wake_own(sp->cfg.ctx);
	else
		sp->cfg.wake(sp->cfg.ctx);
}

size_t socket_room(const struct socket *s, const struct queue *q)
{
	bool full = s->space &&
	            (s->space->bytes >= SPACE_BYTES_MAX || s->space->packets >= SPACE_PACKETS_MAX);
	size_t max = s->waits ? SOCKET_BUFFER_WAITS : full ? SOCKET_BUFFER_LEAST : SOCKET_BUFFER;
	if (q->packets >= (full ? SOCKET_PACKETS_LEAST : SOCKET_PACKETS_MAX))
		return 0;
	return q->bytes < max ? max - q->bytes : 0;
}

enum ferr socket_new(struct space *s, enum address_family af, enum socket_type type,
                     struct vfs_obj **out)
{
	struct socket *o;
	if (type == SOCKET_SEQPACKET && af != ADDRESS_UNIX)
		return FE_PROTONOSUPPORT;
	net_enter(s->net, s);
	enum ferr e = socket_make(s->net, s, (uint8_t)af, (uint8_t)type, &o);
	net_leave(s->net);
	if (e == FE_OK)
		*out = &o->base;
	return e;
}

static enum ferr make_pair(struct space *s, enum socket_type type, uint32_t pid,
                           struct socket *end[2])
{
	FTRY(socket_make(s->net, s, ADDRESS_UNIX, (uint8_t)type, &end[0]));
	enum ferr e = socket_make(s->net, s, ADDRESS_UNIX, (uint8_t)type, &end[1]);
	if (e != FE_OK) {
		socket_unmake(end[0]);
		return e;
	}
	for (int i = 0; i < 2; i++)
		end[i]->own_pid = end[i]->peer_pid = pid;
	stream_join(end[0], end[1]);
	return FE_OK;
}

enum ferr socket_pair(struct space *s, enum socket_type type, uint32_t pid, struct vfs_obj *out[2])
{
	struct socket *end[2];
	net_enter(s->net, s);
	enum ferr e = make_pair(s, type, pid, end);
	net_leave(s->net);
	for (int i = 0; e == FE_OK && i < 2; i++)
		out[i] = &end[i]->base;
	return e;
}

/* ---- as an open file ---- */

static bool is_datagram(const struct socket *s)
{
	return s->type == SOCKET_DGRAM;
}

/* The loop works with it still, or tells another node: it has the last word. */
static void count_out(struct socket *s)
{
	s->space->bytes -= s->counted_bytes;
	s->space->packets -= s->counted_packets;
	s->space->sockets--;
}

void socket_retire(struct socket *s)
{
	bool waits = s->carrier || (!s->left && stream_lingers(s));
	if (!waits || !socket_touch(s)) {
		socket_unmake(s);
		return;
	}
	s->shut_write = s->shut_read = s->ended = true;
	if (s->space)
		count_out(s);
	s->space = NULL;
}

static void close_now(struct socket *s)
{
	struct net *n = s->net;
	if (!s->left)
		socket_leave_stand(s);
	if (s->mate && s->in.bytes)
		s->mate->error = FE_CONNRESET;
	stream_close(s);
	if (s->state == STATE_LISTENS || (s->type == SOCKET_DGRAM && s->af != ADDRESS_UNIX)) {
		n->listeners_changed = true;
		net_touch(n);
	}
}

/* Files that are on their way may be sockets: they are closed without the lock. */
static void socket_close(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	struct net *n = s->net;
	if (!n) {
		socket_drop_loaded(s);
		return;
	}
	net_enter(n, s->space);
	close_now(s);
	struct queue in = s->in;
	s->in = (struct queue){0};
	socket_recount(s);
	socket_retire(s);
	net_leave(n);
	queue_free(&in);
}

enum ferr socket_send(struct vfs_obj *o, struct socket_send *send, size_t *done)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	s->own_pid = send->pid ? send->pid : s->own_pid;
	if (send->files && !space_takes_files(s->space, send->files->count)) {
		net_leave(s->net);
		return FE_NOBUFS;
	}
	enum ferr e = is_datagram(s) ? datagram_write(s, send, done)
	              : send->to     ? FE_ISCONN
	                             : stream_write(s, send, done);
	net_leave(s->net);
	return e;
}

enum ferr socket_receive(struct vfs_obj *o, struct socket_receive *r, size_t *done)
{
	struct socket *s = socket_of(o);
	r->from = (struct address){0};
	r->files = NULL;
	r->pid = 0;
	net_enter(s->net, s->space);
	enum ferr e = is_datagram(s) ? datagram_read(s, r, done) : stream_read(s, r, done);
	net_leave(s->net);
	if (!r->wants_files) {
		packet_files_free(r->files);
		r->files = NULL;
	}
	return e;
}

/* Of an image that gave one to a program that has no sockets. */
static bool has_net(struct vfs_obj *o)
{
	return socket_of(o)->net;
}

static enum ferr file_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *done)
{
	struct socket_receive r = {.iov = iov, .n = n};
	return has_net(o) ? socket_receive(o, &r, done) : FE_STALE;
}

static enum ferr file_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct socket_send s = {.iov = iov, .n = n};
	return has_net(o) ? socket_send(o, &s, done) : FE_STALE;
}

static enum ferr file_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	*out = (struct vfs_stat){.nlink = 1,
	                         .ino = 1,
	                         .type = socket_of(o)->is_pipe ? VFS_TYPE_STREAM : VFS_TYPE_DGRAM,
	                         .size_bytes = socket_waiting_bytes(o)};
	return FE_OK;
}

static unsigned file_ready(struct vfs_obj *o, unsigned events)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return VFS_HANGUP;
	net_enter(s->net, s->space);
	unsigned got = is_datagram(s) ? datagram_ready(s) : stream_ready(s);
	net_leave(s->net);
	return got & (events | VFS_HANGUP | VFS_ERROR | VFS_END);
}

static const struct vfs_ops socket_ops = {
    .name = "socket",
    .close = socket_close,
    .read = file_read,
    .write = file_write,
    .stat = file_stat,
    .ready = file_ready,
    .saved_as = SOCKET_SAVED_AS,
    .save = socket_save,
};

const struct vfs_ops *socket_operations(void)
{
	return &socket_ops;
}

/* ---- families that part ---- */

static void change_space(struct socket *s, struct space *to)
{
	if (s->space)
		count_out(s);
	s->space = to;
	to->sockets++;
	to->bytes += s->counted_bytes;
	to->packets += s->counted_packets;
	for (struct socket *w = s->waiting; w; w = w->next_waiting)
		change_space(w, to);
}

void socket_change_space(struct vfs_obj *o, struct space *to)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, to);
	change_space(s, to);
	net_leave(s->net);
}

bool socket_takes(struct vfs_obj *o, size_t size)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return false;
	net_enter(s->net, s->space);
	const struct socket *to = s->mate ? s->mate : s;
	bool takes = !s->standing && !s->gone && s->error == FE_OK && !(s->mate && s->out.first) &&
	             socket_room(to, s->mate ? &to->in : &to->out) >= size;
	net_leave(s->net);
	return takes;
}

bool socket_push(struct vfs_obj *o, const void *bytes, size_t size)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return false;
	net_enter(s->net, s->space);
	bool ok = !s->standing && stream_push(s, bytes, size);
	net_leave(s->net);
	return ok;
}

bool socket_is_connection(const struct vfs_obj *o)
{
	const struct socket *s = (const struct socket *)o;
	return vfs_is_socket(o) && s->type == SOCKET_STREAM && s->state == STATE_CONNECTED;
}

void socket_be_pipe(struct vfs_obj *o)
{
	socket_of(o)->is_pipe = true;
}

void socket_condemn(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	if (s->net)
		net_enter(s->net, s->space);
	s->condemns = true;
	if (s->net)
		net_leave(s->net);
}

bool socket_is_condemned(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return false;
	net_enter(s->net, s->space);
	bool is = s->condemned;
	net_leave(s->net);
	return is;
}

bool socket_is_pipe(const struct vfs_obj *o)
{
	return ((const struct socket *)o)->is_pipe;
}

bool socket_stands(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	if (!s->net)
		return true;
	net_enter(s->net, s->space);
	bool stands = s->standing;
	net_leave(s->net);
	return stands;
}

/* ---- the rest of what is asked ---- */

enum ferr socket_shutdown(struct vfs_obj *o, unsigned how)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	enum ferr e = stream_shutdown(s, how);
	net_leave(s->net);
	return e;
}

void socket_local(struct vfs_obj *o, struct address *out)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	*out = s->local;
	net_leave(s->net);
}

enum ferr socket_peer(struct vfs_obj *o, struct address *out)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	*out = s->peer;
	bool has = s->has_peer;
	net_leave(s->net);
	return has ? FE_OK : FE_NOTCONN;
}

enum ferr socket_error(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	enum ferr e = socket_take_error(s);
	net_leave(s->net);
	return e;
}

size_t socket_waiting_bytes(struct vfs_obj *o)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	const struct packet *p = s->in.first;
	size_t n = s->type == SOCKET_STREAM ? s->in.bytes : p ? p->end - p->start : 0;
	net_leave(s->net);
	return n;
}

void socket_info(struct vfs_obj *o, struct socket_info *out)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	*out = (struct socket_info){.af = (enum address_family)s->af,
	                            .type = (enum socket_type)s->type,
	                            .listens = s->state == STATE_LISTENS,
	                            .peer_pid = s->peer_pid};
	net_leave(s->net);
}

_Static_assert((int)SOCKET_OPTION_COUNT <= (int)SOCKET_OPTIONS_MAX, "an option has no place");

/* Kept as the difference from what it is when nobody has set it. */
int32_t option_of(const struct socket *s, enum socket_option i)
{
	static const int32_t values[] = {
#define OPTION(name, level, number, value) value,
#include "node/sockets/options.def"
#undef OPTION
	};
	return (int32_t)((uint32_t)s->options[i] + (uint32_t)values[i]);
}

int32_t socket_option(struct vfs_obj *o, enum socket_option i)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	int32_t v = option_of(s, i);
	net_leave(s->net);
	return v;
}

void socket_set_option(struct vfs_obj *o, enum socket_option i, int32_t value)
{
	struct socket *s = socket_of(o);
	net_enter(s->net, s->space);
	s->options[i] =
	    (int32_t)((uint32_t)s->options[i] + (uint32_t)value - (uint32_t)option_of(s, i));
	net_leave(s->net);
}

struct socket_patience *socket_patience(struct vfs_obj *o)
{
	return &socket_of(o)->patience;
}
