/* shares.c - what this device shares, how it serves it, and how it asks others. */
#include "node/links/shares.h"

#include "base/crypto.h"
#include "base/file.h"
#include "base/os.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/links/link.h"
#include "node/links/net_cache.h"
#include "node/links/share_message.h"
#include "node/node.h"
#include "node/store.h"
#include "vfs/host.h"
#include "vfs/serve.h"
#include "vfs/winname.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_HEAD = 9 };
static const char key_prefix[] = "share/";
enum { KEY_PREFIX = sizeof key_prefix - 1 };

struct share {
	struct share_name name;
	uint64_t ino;            /* of the folder when it was shared */
	char path[VFS_PATH_MAX]; /* without symbolic links, as it was then */
};

/* What one asker has open. ready guards x until it is there; the rest is guarded by shares->lock. */
struct session {
	struct session *next; /* the newest used first */
	uint8_t device[DEVICE_ID_SIZE];
	uint64_t number;
	uint32_t refs; /* the list, and requests */
	uv_mutex_t ready;
	struct vfs_export *x;
	uint32_t count;
	struct share list[]; /* as it was when the session began */
};

/* A thread that waits for the names of devices. */
struct lookup {
	struct lookup *next;
	struct share_device *list;
	uint32_t count;
	enum err err;
	bool done;
	uv_cond_t done_cond;
};

/* A session of another device that is to be told that it is over. */
struct over {
	struct over *next;
	uint8_t device[DEVICE_ID_SIZE];
	uint64_t number;
};

/* A request that nobody waits for here. */
struct posted {
	struct posted *next;
	uint8_t device[DEVICE_ID_SIZE];
	struct wr body;
	share_answer_fn fn;
	void *arg;
};

struct shares {
	struct node *node;
	uint8_t own[DEVICE_ID_SIZE];
	_Atomic uint32_t refs;
	struct net_cache *cache;
	uv_mutex_t lock; /* guards all below but jobs */
	uv_async_t async;
	bool closed;
	struct share *list; /* SHARES_MAX */
	uint32_t count;
	struct session *sessions;
	struct lookup *lookups;
	struct over *overs;
	struct posted *posts, **posts_end; /* in the order in which they came */
	unsigned jobs;                     /* on the pool. Loop */
};

/* ---- names ---- */

static bool is_fit_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_';
}

bool share_name_is_fit(const char *name)
{
	uint16_t units[WINNAME_MAX];
	size_t n = 0, size = strnlen(name, SHARE_NAME_MAX + 1);
	for (size_t i = 0; i < size; i++)
		if (!is_fit_byte(name[i]))
			return false;
	return size && size <= SHARE_NAME_MAX && name[0] != '.' &&
	       winname_of(name, units, &n) == FE_OK;
}

uint32_t share_number(const char *name)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	crypto_blake2b(hash, name, strlen(name));
	uint32_t n = (uint32_t)hash[0] | (uint32_t)hash[1] << 8 | (uint32_t)hash[2] << 16 |
	             (uint32_t)(hash[3] & 0x7f) << 24;
	return n ? n : 1;
}

/* ---- life ---- */

struct shares *shares_ref(struct shares *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void shares_unref(struct shares *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	uv_mutex_destroy(&s->lock);
	net_cache_free(s->cache);
	free(s->list);
	free(s);
}

/* With the lock held. */
static void let(struct session *e)
{
	if (--e->refs)
		return;
	vfs_export_free(e->x);
	uv_mutex_destroy(&e->ready);
	free(e);
}

static void drop_sessions(struct shares *s)
{
	while (s->sessions) {
		struct session *e = s->sessions;
		s->sessions = e->next;
		let(e);
	}
}

/* ---- sessions ---- */

static struct session *new_session(const struct shares *s, const uint8_t *device, uint64_t number)
{
	struct session *e = calloc(1, sizeof *e + s->count * sizeof *e->list);
	if (!e || uv_mutex_init(&e->ready) != 0) {
		free(e);
		return NULL;
	}
	memcpy(e->device, device, sizeof e->device);
	e->number = number;
	e->count = s->count;
	e->refs = 1;
	memcpy(e->list, s->list, s->count * sizeof *s->list);
	return e;
}

/* Takes it out of the list, or the oldest of a device that has too many. */
static struct session *take(struct shares *s, const uint8_t *device, uint64_t number, bool oldest)
{
	struct session **found = NULL;
	uint32_t count = 0;
	for (struct session **at = &s->sessions; *at; at = &(*at)->next) {
		if (memcmp((*at)->device, device, DEVICE_ID_SIZE) != 0)
			continue;
		count++;
		if (oldest || (*at)->number == number)
			found = at;
	}
	if (!found || (oldest && count < SHARE_SESSIONS_MAX))
		return NULL;
	struct session *e = *found;
	*found = e->next;
	return e;
}

/* A reference for a request. */
static struct session *session_of(struct shares *s, const uint8_t *device, uint64_t number)
{
	uv_mutex_lock(&s->lock);
	struct session *e = take(s, device, number, false);
	if (!e) {
		struct session *old = take(s, device, 0, true);
		if (old)
			let(old);
		e = new_session(s, device, number);
	}
	if (e) {
		e->refs++;
		e->next = s->sessions;
		s->sessions = e;
	}
	uv_mutex_unlock(&s->lock);
	return e;
}

static void session_let(struct shares *s, struct session *e)
{
	uv_mutex_lock(&s->lock);
	let(e);
	uv_mutex_unlock(&s->lock);
}

static void session_end(struct shares *s, const uint8_t *device, uint64_t number)
{
	uv_mutex_lock(&s->lock);
	struct session *e = take(s, device, number, false);
	if (e)
		let(e);
	uv_mutex_unlock(&s->lock);
}

/* The folder that the user shared, and none that somebody has put into its place, by a symbolic link in its path or a new folder. */
static enum err open_shared(const struct share *of, struct vfs_obj **root)
{
	struct vfs_stat st;
	char *path = path_resolve(of->path);
	bool same = path && !strcmp(path, of->path);
	free(path);
	if (!same)
		return ERR_NOTFOUND;
	TRY(vfs_host_new(of->path, VFS_WALK_BEST, root, NULL));
	if (vfs_stat(*root, &st) == FE_OK && st.ino == of->ino)
		return ERR_OK;
	vfs_unref(*root);
	return ERR_NOTFOUND;
}

/* A folder that is missing now is left out. */
static enum err add_folder(struct vfs_ns *ns, const struct share *of, const uint8_t *own)
{
	char guest[SHARE_NAME_MAX + 2];
	struct vfs_obj *root;
	struct vfs_mount_config c = {.guest = guest,
	                             .host = of->path,
	                             .kind = VFS_MOUNT_HOST,
	                             .read_only = of->name.read_only,
	                             .id = share_number(of->name.name)};
	snprintf(guest, sizeof guest, "/%s", of->name.name);
	memcpy(c.home, own, sizeof c.home);
	if (open_shared(of, &root) != ERR_OK)
		return ERR_OK;
	return vfs_ns_add(ns, &c, root, NULL);
}

static enum err open_folders(const struct shares *s, const struct session *e,
                             struct vfs_export **out)
{
	struct vfs_ns *ns = vfs_ns_new();
	enum err err = ns ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; err == ERR_OK && i < e->count; i++)
		err = add_folder(ns, &e->list[i], s->own);
	if (err == ERR_OK)
		err = vfs_export_new(ns, NULL, s->own, out);
	if (err == ERR_OK) {
		uint32_t start;
		crypto_random(&start, sizeof start);
		vfs_export_number_from(*out, start);
	}
	vfs_ns_free(ns);
	return err;
}

/* Not on the loop: waits for the disk. */
static enum err session_request(struct shares *s, struct session *e, const uint8_t *request,
                                size_t size, struct wr *answer)
{
	enum err err = ERR_OK;
	uv_mutex_lock(&e->ready);
	if (!e->x)
		err = open_folders(s, e, &e->x);
	uv_mutex_unlock(&e->ready);
	return err == ERR_OK ? vfs_export_request(e->x, request, size, answer) : err;
}

static enum err put_list(struct shares *s, struct wr *out)
{
	uv_mutex_lock(&s->lock);
	share_list_begin(out, s->count);
	for (uint32_t i = 0; i < s->count; i++)
		share_list_put(out, &s->list[i].name);
	uv_mutex_unlock(&s->lock);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* ---- serving ---- */

struct job {
	uv_work_t work;
	struct shares *shares;
	struct session *session;
	struct link_caller caller;
	struct wr answer;
	enum err err;
	size_t size;
	uint8_t request[];
};

static void run_job(uv_work_t *w)
{
	struct job *j = w->data;
	j->err = session_request(j->shares, j->session, j->request, j->size, &j->answer);
}

static void job_done(uv_work_t *w, int status)
{
	struct job *j = w->data;
	link_answer(&j->caller, status ? ERR_CLOSED : j->err, j->answer.data, j->answer.size);
	session_let(j->shares, j->session);
	j->shares->jobs--;
	wr_free(&j->answer);
	free(j);
}

static enum err start_job(struct shares *s, const struct link_caller *call, uint64_t number,
                          struct rd in)
{
	size_t size = rd_left(&in);
	struct job *j = calloc(1, sizeof *j + size);
	struct session *e = j ? session_of(s, call->device, number) : NULL;
	if (!e) {
		free(j);
		return ERR_NOMEM;
	}
	j->shares = s;
	j->session = e;
	j->caller = *call;
	j->size = size;
	memcpy(j->request, in.p, size);
	j->work.data = j;
	if (uv_queue_work(&s->node->loop, &j->work, run_job, job_done) != 0) {
		session_let(s, e);
		free(j);
		return ERR_NOMEM;
	}
	s->jobs++;
	return ERR_OK;
}

static enum err answer_list(struct shares *s, const struct link_caller *call)
{
	struct wr out = {0};
	enum err e = put_list(s, &out);
	if (e == ERR_OK)
		link_answer(call, ERR_OK, out.data, out.size);
	wr_free(&out);
	return e;
}

static enum err serve(struct shares *s, const struct link_caller *call, struct rd in)
{
	struct share_head head;
	TRY(share_head_get(&in, &head));
	switch (head.kind) {
	case SHARE_REQUEST: return start_job(s, call, head.session, in);
	case SHARE_LIST: return answer_list(s, call);
	case SHARE_FORGET: break;
	}
	session_end(s, call->device, head.session);
	link_answer(call, ERR_OK, NULL, 0);
	return ERR_OK;
}

static void on_call(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	enum err e = serve(ctx, call, rd_of(body, size));
	if (e != ERR_OK)
		link_answer(call, e, NULL, 0);
}

/* ---- asking ---- */

static enum err call(struct shares *s, const uint8_t *device, enum share_kind kind,
                     uint64_t session, const uint8_t *request, size_t size, struct wr *answer)
{
	struct wr body = {0};
	share_head_put(&body, kind, session);
	wr_bytes(&body, request, size);
	uv_mutex_lock(&s->lock);
	bool closed = s->closed;
	uv_mutex_unlock(&s->lock);
	enum err e = closed          ? ERR_CLOSED
	             : !wr_ok(&body) ? ERR_NOMEM
	                             : link_rpc(s->node, device, LINK_SERVICE_SHARE, body.data,
	                                        body.size, LINK_RPC_TIMEOUT_MS, answer);
	wr_free(&body);
	return e;
}

bool shares_is_own(const struct shares *s, const uint8_t device[DEVICE_ID_SIZE])
{
	return memcmp(device, s->own, sizeof s->own) == 0;
}

struct net_cache *shares_cache(struct shares *s)
{
	return s->cache;
}

/* Of another device: as it says, or as it said when it was last here. */
static enum err ask_list(struct shares *s, const uint8_t *device, struct wr *list)
{
	static const uint8_t name[] = "shares";
	uint8_t key[NET_CACHE_KEY];
	uint64_t seen_ms;
	enum err e = call(s, device, SHARE_LIST, 0, NULL, 0, list);
	net_cache_key(key, device, 0, name, sizeof name);
	if (e == ERR_OK)
		net_cache_put(s->cache, key, list->data, list->size, false);
	if (e != ERR_CLOSED && e != ERR_TIMEOUT)
		return e;
	wr_clear(list);
	return net_cache_get(s->cache, key, list, &seen_ms) ? ERR_OK : e;
}

enum err shares_of(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], struct share_name **out,
                   uint32_t *count)
{
	struct wr answer = {0};
	enum err e = memcmp(device, s->own, sizeof s->own) ? ask_list(s, device, &answer)
	                                                   : put_list(s, &answer);
	if (e == ERR_OK)
		e = share_list_get(rd_of(answer.data, answer.size), out, count);
	wr_free(&answer);
	return e;
}

enum err shares_request(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session,
                        const uint8_t *request, size_t size, struct wr *answer)
{
	if (memcmp(device, s->own, sizeof s->own) != 0)
		return call(s, device, SHARE_REQUEST, session, request, size, answer);
	struct session *e = session_of(s, device, session);
	if (!e)
		return ERR_NOMEM;
	enum err err = session_request(s, e, request, size, answer);
	session_let(s, e);
	return err;
}

static void posted_end(struct posted *p, enum err e, const uint8_t *answer, size_t size)
{
	p->fn(p->arg, e, answer, size);
	wr_free(&p->body);
	free(p);
}

enum err shares_post(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session,
                     const uint8_t *request, size_t size, share_answer_fn fn, void *arg)
{
	struct posted *p = calloc(1, sizeof *p);
	if (!p)
		return ERR_NOMEM;
	memcpy(p->device, device, sizeof p->device);
	p->fn = fn;
	p->arg = arg;
	share_head_put(&p->body, SHARE_REQUEST, session);
	wr_bytes(&p->body, request, size);
	uv_mutex_lock(&s->lock);
	enum err e = s->closed ? ERR_CLOSED : wr_ok(&p->body) ? ERR_OK : ERR_NOMEM;
	if (e == ERR_OK) {
		*s->posts_end = p;
		s->posts_end = &p->next;
		uv_async_send(&s->async);
	}
	uv_mutex_unlock(&s->lock);
	if (e != ERR_OK) {
		wr_free(&p->body);
		free(p);
	}
	return e;
}

void shares_forget(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session)
{
	if (memcmp(device, s->own, sizeof s->own) == 0) {
		session_end(s, device, session);
		return;
	}
	struct over *o = calloc(1, sizeof *o);
	if (!o)
		return; /* it goes when newer ones come */
	memcpy(o->device, device, sizeof o->device);
	o->number = session;
	uv_mutex_lock(&s->lock);
	if (!s->closed) {
		o->next = s->overs;
		s->overs = o;
		o = NULL;
		uv_async_send(&s->async);
	}
	uv_mutex_unlock(&s->lock);
	free(o);
}

enum err shares_devices(struct shares *s, struct share_device **out, uint32_t *count)
{
	struct lookup l = {.err = ERR_CLOSED};
	if (uv_cond_init(&l.done_cond) != 0)
		return ERR_NOMEM;
	uv_mutex_lock(&s->lock);
	if (!s->closed) {
		l.next = s->lookups;
		s->lookups = &l;
		uv_async_send(&s->async);
		while (!l.done)
			uv_cond_wait(&l.done_cond, &s->lock);
	}
	uv_mutex_unlock(&s->lock);
	uv_cond_destroy(&l.done_cond);
	*out = l.list;
	*count = l.count;
	return l.err;
}

/* ---- on the loop, for other threads ---- */

/* What cannot be a folder's name is told by the id. */
static void put_device(struct share_device *d, const uint8_t *id, const char *name)
{
	memcpy(d->id, id, sizeof d->id);
	if (!strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..") && name[0])
		snprintf(d->name, sizeof d->name, "%s", name);
	else
		device_short(id, d->name);
}

static enum err list_devices(struct node *n, struct share_device **out, uint32_t *count)
{
	struct share_device *list = calloc(LINK_PEERS_MAX + 1, sizeof *list);
	uint32_t found = 1;
	if (!list)
		return ERR_NOMEM;
	put_device(list, n->device->id, n->name);
	for (struct peer *p = peer_first(n); p && found <= LINK_PEERS_MAX; p = peer_next(p)) {
		if (peer_is_half(p))
			continue;
		put_device(&list[found], peer_id(p), peer_name(p));
		for (uint32_t i = 0; i < found; i++)
			if (!strcmp(list[i].name, list[found].name))
				device_short(peer_id(p), list[found].name);
		found++;
	}
	*out = list;
	*count = found;
	return ERR_OK;
}

static void ignore_reply(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
}

static void tell_over(struct shares *s, struct over *list)
{
	for (struct over *o = list, *next; o; o = next) {
		struct wr body = {0};
		next = o->next;
		share_head_put(&body, SHARE_FORGET, o->number);
		if (wr_ok(&body))
			link_call(s->node, o->device, LINK_SERVICE_SHARE, body.data, body.size,
			          LINK_RPC_TIMEOUT_MS, ignore_reply, NULL);
		wr_free(&body);
		free(o);
	}
}

/* With the lock held: a lookup is gone once it is released. */
static void end_lookups(struct shares *s)
{
	while (s->lookups) {
		struct lookup *l = s->lookups;
		s->lookups = l->next;
		l->err = s->closed ? ERR_CLOSED : list_devices(s->node, &l->list, &l->count);
		l->done = true;
		uv_cond_signal(&l->done_cond);
	}
}

static void on_posted(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
	posted_end(ctx, e, reply, size);
}

static struct posted *take_posts(struct shares *s)
{
	struct posted *list = s->posts;
	s->posts = NULL;
	s->posts_end = &s->posts;
	return list;
}

static void send_posts(struct shares *s, struct posted *list)
{
	for (struct posted *p = list, *next; p; p = next) {
		next = p->next;
		link_call(s->node, p->device, LINK_SERVICE_SHARE, p->body.data, p->body.size,
		          LINK_RPC_TIMEOUT_MS, on_posted, p);
	}
}

static void on_async(uv_async_t *async)
{
	struct shares *s = async->data;
	uv_mutex_lock(&s->lock);
	struct posted *posts = take_posts(s);
	struct over *overs = s->overs;
	s->overs = NULL;
	end_lookups(s);
	uv_mutex_unlock(&s->lock);
	send_posts(s, posts);
	tell_over(s, overs);
}

/* ---- requests of this device's person ---- */

static struct share *find_share(struct shares *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (!strcasecmp(s->list[i].name.name, name) ||
		    share_number(s->list[i].name.name) == share_number(name))
			return &s->list[i];
	return NULL;
}

static bool is_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	return !strncmp(path, folder, n) &&
	       (!path[n] || path[n] == '/' || path[n] == '\\' || (n && folder[n - 1] == '/'));
}

/* What is kept in the node's home is nobody else's: keys, the store. */
static enum err check_home(struct node *n, const char *path, struct errmsg *msg)
{
	char *home = path_resolve(n->cfg.home);
	enum err e = !home                                    ? ERR_NOMEM
	             : is_in(path, home) || is_in(home, path) ? ERR_DENIED
	                                                      : ERR_OK;
	free(home);
	return e == ERR_OK
	           ? e
	           : err_set(msg, e,
	                     "%s has to do with the node's own folder (%s): it is not shared", path,
	                     n->cfg.home);
}

/* Who may write in the outer one could put another folder into the inner one's place. */
static enum err check_others(const struct shares *s, const char *path, struct errmsg *msg)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strcmp(path, s->list[i].path) != 0 &&
		    (is_in(path, s->list[i].path) || is_in(s->list[i].path, path)))
			return err_set(msg, ERR_EXISTS,
			               "%s and the folder of share \"%s\" (%s) lie in each other: "
			               "only one of them can be shared",
			               path, s->list[i].name.name, s->list[i].path);
	return ERR_OK;
}

/* path: as the user gave it. */
static enum err find_folder(struct node *n, const char *path, struct share *out, struct errmsg *msg)
{
	struct vfs_obj *root;
	struct vfs_stat st;
	TRY(vfs_host_new(path, VFS_WALK_BEST, &root, msg));
	enum ferr stat = vfs_stat(root, &st);
	vfs_unref(root);
	char *real = path_resolve(path);
	bool ok = stat == FE_OK && real && strlen(real) < sizeof out->path;
	if (ok) {
		out->ino = st.ino;
		memcpy(out->path, real, strlen(real) + 1);
	}
	free(real);
	if (!ok)
		return err_set(msg, ERR_IO, "%s cannot be looked at", path);
	TRY(check_home(n, out->path, msg));
	return check_others(n->shares, out->path, msg);
}

static enum err keep(struct node *n, const struct share *of, bool remove, struct errmsg *msg)
{
	char key[KEY_PREFIX + SHARE_NAME_MAX + 1];
	uint8_t value[VALUE_HEAD + VFS_PATH_MAX];
	size_t size = strlen(of->path);
	snprintf(key, sizeof key, "%s%s", key_prefix, of->name.name);
	value[0] = of->name.read_only;
	for (int i = 0; i < 8; i++)
		value[1 + i] = (uint8_t)(of->ino >> 8 * i);
	memcpy(value + VALUE_HEAD, of->path, size);
	return depot_keep_setting(node_depot(n), key, value, remove ? 0 : VALUE_HEAD + size, msg);
}

static enum err make_share(struct control_call *c, struct share *out, struct errmsg *msg)
{
	struct node *n = control_node(c);
	const char *path, *name;
	if (control_str(c, "path", &path) != ERR_OK || control_str(c, "name", &name) != ERR_OK)
		return err_set(msg, ERR_USAGE, "share add needs a folder and a name");
	if (!share_name_is_fit(name))
		return err_set(msg, ERR_USAGE,
		               "\"%s\" cannot be the name of a share: up to %d letters, digits, "
		               "\".\", \"-\" and \"_\", and a name that every system can have",
		               name, SHARE_NAME_MAX);
	if (!path_is_absolute(path) || strlen(path) >= sizeof out->path)
		return err_set(msg, ERR_USAGE, "the request needs the absolute path of a folder");
	if (n->shares->count == SHARES_MAX)
		return err_set(msg, ERR_LIMIT, "at most %d folders can be shared", SHARES_MAX);
	if (find_share(n->shares, name))
		return err_set(msg, ERR_EXISTS, "there is a share \"%s\" already",
		               find_share(n->shares, name)->name.name);
	*out = (struct share){.name.read_only = control_flag(c, "readonly")};
	TRY(find_folder(n, path, out, msg));
	snprintf(out->name.name, sizeof out->name.name, "%s", name);
	return keep(n, out, false, msg);
}

static void put_row(struct control_call *c, const struct share *of)
{
	control_row(c);
	control_put_str(c, "name", of->name.name);
	control_put_str(c, "access", of->name.read_only ? "read-only" : "read-write");
	control_put_str(c, "path", of->path);
	control_row_end(c);
}

void control_share_add(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct shares *s = n->shares;
	struct share new;
	enum err e = make_share(c, &new, &msg);
	if (e == ERR_OK) {
		uv_mutex_lock(&s->lock);
		s->list[s->count++] = new;
		drop_sessions(s);
		uv_mutex_unlock(&s->lock);
		put_row(c, &new);
	}
	control_end(c, e, &msg);
}

void control_share_list(struct node *n, struct control_call *c)
{
	for (uint32_t i = 0; i < n->shares->count; i++)
		put_row(c, &n->shares->list[i]);
	control_end(c, ERR_OK, NULL);
}

static void put_age(char *out, size_t size, uint64_t since_ms)
{
	uint64_t now_ms = os_wall_ns() / 1000000;
	unsigned long long s = since_ms && now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0;
	if (s < 120)
		snprintf(out, size, "%llu s", s);
	else if (s < 7200)
		snprintf(out, size, "%llu min", s / 60);
	else
		snprintf(out, size, s < 172800 ? "%llu h" : "%llu d",
		         s < 172800 ? s / 3600 : s / 86400);
}

void control_share_cache(struct node *n, struct control_call *c)
{
	struct net_cache_state st;
	char age[32];
	if (control_flag(c, "clear"))
		net_cache_clear(n->shares->cache);
	net_cache_state(n->shares->cache, &st);
	put_age(age, sizeof age, st.oldest_ms);
	control_row(c);
	control_put_u64(c, "mib", st.bytes >> 20);
	control_put_u64(c, "limit_mib", st.limit_bytes >> 20);
	control_put_u64(c, "bytes", st.bytes);
	control_put_u64(c, "records", st.records);
	control_put_str(c, "oldest", age);
	control_row_end(c);
	control_end(c, ERR_OK, NULL);
}

void control_share_remove(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct shares *s = n->shares;
	const char *name = control_str_or(c, "name", "");
	struct share *of = find_share(s, name);
	if (!of || strcmp(of->name.name, name) != 0) {
		control_fail(c, ERR_NOTFOUND, "there is no share \"%s\": `wasmos share list`",
		             name);
		return;
	}
	enum err e = keep(n, of, true, &msg);
	if (e == ERR_OK) {
		put_row(c, of);
		uv_mutex_lock(&s->lock);
		s->count--;
		memmove(of, of + 1, (size_t)(s->list + s->count - of) * sizeof *of);
		drop_sessions(s);
		uv_mutex_unlock(&s->lock);
	}
	control_end(c, e, &msg);
}

/* ---- the part ---- */

static bool load_share(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                       size_t size)
{
	struct shares *s = ctx;
	struct share *of = &s->list[s->count];
	size_t name_size = key_size - KEY_PREFIX;
	if (key_size <= KEY_PREFIX || memcmp(key, key_prefix, KEY_PREFIX) != 0 ||
	    name_size > SHARE_NAME_MAX || size <= VALUE_HEAD ||
	    size - VALUE_HEAD >= sizeof of->path)
		return true;
	*of = (struct share){.name.read_only = value[0]};
	memcpy(of->name.name, key + KEY_PREFIX, name_size);
	for (int i = 0; i < 8; i++)
		of->ino |= (uint64_t)value[1 + i] << 8 * i;
	memcpy(of->path, value + VALUE_HEAD, size - VALUE_HEAD);
	s->count += share_name_is_fit(of->name.name);
	return s->count < SHARES_MAX;
}

static struct shares *shares_new(struct node *n)
{
	struct shares *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->list = calloc(SHARES_MAX, sizeof *s->list);
	s->cache = net_cache_new(n->cfg.home, n->cfg.net_cache_bytes);
	s->posts_end = &s->posts;
	if (s->list && s->cache && uv_mutex_init(&s->lock) == 0)
		return s;
	net_cache_free(s->cache);
	free(s->list);
	free(s);
	return NULL;
}

enum err shares_open(struct node *n, struct errmsg *msg)
{
	struct shares *s = shares_new(n);
	if (!s)
		return err_set(msg, ERR_NOMEM, "shares: out of memory");
	s->node = n;
	atomic_init(&s->refs, 1);
	memcpy(s->own, n->device->id, sizeof s->own);
	s->async.data = s;
	uv_async_init(&n->loop, &s->async, on_async);
	uv_unref((uv_handle_t *)&s->async);
	n->shares = s;
	TRY(depot_each(node_depot(n), DEPOT_SETTINGS, load_share, s));
	return link_serve(n, LINK_SERVICE_SHARE, on_call, s);
}

static void on_closed(uv_handle_t *h)
{
	shares_unref(h->data);
}

void shares_close(struct node *n)
{
	struct shares *s = n->shares;
	while (s->jobs)
		uv_run(&n->loop, UV_RUN_ONCE);
	uv_mutex_lock(&s->lock);
	s->closed = true;
	end_lookups(s);
	drop_sessions(s);
	for (struct over *o = s->overs, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	s->overs = NULL;
	struct posted *posts = take_posts(s);
	uv_mutex_unlock(&s->lock);
	for (struct posted *p = posts, *next; p; p = next) {
		next = p->next;
		posted_end(p, ERR_CLOSED, NULL, 0);
	}
	n->shares = NULL;
	uv_close((uv_handle_t *)&s->async, on_closed);
}
