/* clouds.c - which storage there is, where that and its secrets are kept, and what a person asks about it. */
#include "node/clouds.h"

#include "base/crypto.h"
#include "base/file.h"
#include "cloud/cloud.h"
#include "cloud/http.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/links/link.h"
#include "node/links/shares.h"
#include "node/node.h"
#include "node/store.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_VERSION = 2, TEXT_MAX = 2048, SETTLE_MS = 10000 };
_Static_assert(CLOUDS_NAME_MAX == CLOUD_NAME_MAX, "names");
static const char key_prefix[] = "cloud/";
enum { KEY_PREFIX = sizeof key_prefix - 1 };

/* What is kept of a storage, but its secret. */
struct account {
	char name[CLOUD_NAME_MAX + 1];
	uint8_t kind; /* enum cloud_kind */
	uint8_t virtual_host;
	char url[TEXT_MAX], user[TEXT_MAX], region[TEXT_MAX], ca_file[TEXT_MAX], endpoint[TEXT_MAX];
};

struct row {
	struct account account;
	struct cloud *cloud; /* NULL: it could not be opened; words say why */
	struct errmsg words;
};

struct clouds {
	struct node *node; /* NULL: the node is down */
	_Atomic uint32_t refs;
	uv_mutex_t lock;  /* guards the rest but jobs */
	struct row *list; /* CLOUDS_MAX */
	uint32_t count;
	unsigned jobs; /* Loop */
};

/* ---- life ---- */

struct clouds *clouds_ref(struct clouds *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void clouds_unref(struct clouds *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	uv_mutex_destroy(&s->lock);
	free(s->list);
	free(s);
}

/* ---- for other threads ---- */

/* With the lock held, or on the loop. */
static struct row *find(struct clouds *s, const char *name, size_t size)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strlen(s->list[i].account.name) == size &&
		    !memcmp(s->list[i].account.name, name, size))
			return &s->list[i];
	return NULL;
}

uint32_t clouds_names(struct clouds *s, struct cloud_name out[CLOUDS_MAX])
{
	uv_mutex_lock(&s->lock);
	uint32_t count = s->count;
	for (uint32_t i = 0; i < count; i++)
		snprintf(out[i].name, sizeof out[i].name, "%s", s->list[i].account.name);
	uv_mutex_unlock(&s->lock);
	return count;
}

struct vfs_obj *clouds_root(struct clouds *s, const char *name, size_t size)
{
	uv_mutex_lock(&s->lock);
	struct row *r = find(s, name, size);
	struct vfs_obj *root = r && r->cloud ? cloud_root(r->cloud) : NULL;
	uv_mutex_unlock(&s->lock);
	return root;
}

struct cloud *clouds_get(struct clouds *s, const char *name)
{
	uv_mutex_lock(&s->lock);
	struct row *r = find(s, name, strlen(name));
	struct cloud *c = r && r->cloud ? cloud_ref(r->cloud) : NULL;
	uv_mutex_unlock(&s->lock);
	return c;
}

static void log_words(void *ctx, const char *text)
{
	struct clouds *s = ctx;
	uv_mutex_lock(&s->lock);
	if (s->node)
		node_log(s->node, LOG_WARN, "cloud", "%s", text);
	uv_mutex_unlock(&s->lock);
}

/* ---- on disk ---- */

static void put_text(struct wr *out, const char *text)
{
	wr_u16(out, (uint16_t)strlen(text));
	wr_bytes(out, text, strlen(text));
}

static enum err get_text(struct rd *in, char out[TEXT_MAX])
{
	const uint8_t *text;
	uint16_t size;
	TRY(rd_u16(in, &size));
	if (size >= TEXT_MAX)
		return ERR_MALFORMED;
	TRY(rd_bytes(in, size, &text));
	memcpy(out, text, size);
	out[size] = 0;
	return ERR_OK;
}

static enum err keep_row(struct node *n, const struct account *a, bool remove, struct errmsg *msg)
{
	char key[KEY_PREFIX + CLOUD_NAME_MAX + 1];
	struct wr out = {0};
	snprintf(key, sizeof key, "%s%s", key_prefix, a->name);
	wr_u8(&out, ROW_VERSION);
	wr_u8(&out, a->kind);
	put_text(&out, a->url);
	put_text(&out, a->user);
	put_text(&out, a->region);
	put_text(&out, a->ca_file);
	put_text(&out, a->endpoint);
	wr_u8(&out, a->virtual_host);
	enum err e = wr_ok(&out) ? depot_keep_setting(node_depot(n), key, out.data,
	                                              remove ? 0 : out.size, msg)
	                         : ERR_NOMEM;
	wr_free(&out);
	return e;
}

static enum err read_row(struct rd in, struct account *out)
{
	uint8_t version;
	TRY(rd_u8(&in, &version));
	TRY(rd_u8(&in, &out->kind));
	TRY(get_text(&in, out->url));
	TRY(get_text(&in, out->user));
	TRY(get_text(&in, out->region));
	TRY(get_text(&in, out->ca_file));
	TRY(get_text(&in, out->endpoint));
	TRY(rd_u8(&in, &out->virtual_host));
	return version == ROW_VERSION && !rd_left(&in) ? ERR_OK : ERR_UNSUPPORTED;
}

static enum err open_folder(struct node *n, struct dir **out, struct errmsg *msg)
{
	char path[VFS_PATH_MAX];
	snprintf(path, sizeof path, "%s/clouds", n->cfg.home);
	TRY(dir_make(path, msg));
	return dir_open(path, 0, out, msg);
}

static void secret_name(const struct account *a, char out[CLOUD_NAME_MAX + 16])
{
	snprintf(out, CLOUD_NAME_MAX + 16, "%s.secret", a->name);
}

static enum err keep_secret(struct node *n, const struct account *a, const char *secret,
                            struct errmsg *msg)
{
	char name[CLOUD_NAME_MAX + 16];
	struct dir *d;
	secret_name(a, name);
	TRY(open_folder(n, &d, msg));
	enum err e = dir_replace(d, name, secret, strlen(secret), msg);
	dir_close(d);
	return e;
}

static enum err read_secret(struct node *n, const struct account *a, char out[HTTP_SECRET_MAX + 1],
                            struct errmsg *msg)
{
	char name[CLOUD_NAME_MAX + 16];
	struct dir *d;
	size_t size = 0;
	secret_name(a, name);
	TRY(open_folder(n, &d, msg));
	enum err e = dir_read_secret(d, name, out, HTTP_SECRET_MAX, &size, msg);
	dir_close(d);
	out[e == ERR_OK ? size : 0] = 0;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

/* ---- the key of the encrypted store ---- */

static enum err key_from(const char *text, uint8_t key[CLOUDS_KEY_SIZE], struct errmsg *msg)
{
	for (int i = 0; i < CLOUDS_KEY_SIZE; i++) {
		char two[3] = {text[2 * i], text[2 * i] ? text[2 * i + 1] : 0, 0};
		char *end = two;
		unsigned long byte = strtoul(two, &end, 16);
		if (end != two + 2)
			return err_set(msg, ERR_USAGE, "a key has %d hexadecimal digits",
			               2 * CLOUDS_KEY_SIZE);
		key[i] = (uint8_t)byte;
	}
	return text[2 * CLOUDS_KEY_SIZE]
	           ? err_set(msg, ERR_USAGE, "a key has %d hexadecimal digits", 2 * CLOUDS_KEY_SIZE)
	           : ERR_OK;
}

static enum err choose_key(struct dir *d, const char *file, const char *given, bool make,
                           uint8_t key[CLOUDS_KEY_SIZE], struct errmsg *msg)
{
	uint8_t kept[CLOUDS_KEY_SIZE];
	size_t size = 0;
	if (given[0] && !make)
		return ERR_OK;
	enum err e = dir_read_secret(d, file, kept, sizeof kept, &size, msg);
	if (e == ERR_OK && size == sizeof kept) {
		bool same = !given[0] || crypto_equal(key, kept, sizeof kept);
		memcpy(key, kept, sizeof kept);
		crypto_zero(kept, sizeof kept);
		return same ? ERR_OK
		            : err_set(msg, ERR_EXISTS, "another key is kept for that storage");
	}
	if (e != ERR_NOTFOUND)
		return e == ERR_OK ? err_set(msg, ERR_MALFORMED, "%s is no key", file) : e;
	if (!make)
		return err_set(msg, ERR_NOTFOUND,
		               "there is no key of an encrypted store on that storage: --key-file");
	if (!given[0])
		crypto_random(key, CLOUDS_KEY_SIZE);
	return dir_replace(d, file, key, CLOUDS_KEY_SIZE, msg);
}

enum err clouds_key(struct node *n, const char *name, const char *given, bool make,
                    uint8_t key[CLOUDS_KEY_SIZE], struct errmsg *msg)
{
	char file[CLOUD_NAME_MAX + 16];
	struct dir *d;
	if (given[0])
		TRY(key_from(given, key, msg));
	snprintf(file, sizeof file, "%.*s.key", CLOUD_NAME_MAX, name);
	TRY(open_folder(n, &d, msg));
	enum err e = choose_key(d, file, given, make, key, msg);
	dir_close(d);
	return e;
}

static void forget_secret(struct node *n, const struct account *a)
{
	char name[CLOUD_NAME_MAX + 16];
	struct dir *d;
	secret_name(a, name);
	if (open_folder(n, &d, NULL) != ERR_OK)
		return;
	dir_remove(d, name);
	dir_close(d);
}

/* ---- opening ---- */

static enum err open_cloud(struct clouds *s, const struct account *a, const char *secret,
                           struct cloud **out, struct errmsg *msg)
{
	char folder[VFS_PATH_MAX];
	struct dir *d;
	struct cloud_config c = {.name = a->name,
	                         .kind = (enum cloud_kind)a->kind,
	                         .url = a->url,
	                         .user = a->user[0] ? a->user : NULL,
	                         .secret = secret,
	                         .region = a->region[0] ? a->region : NULL,
	                         .ca_file = a->ca_file[0] ? a->ca_file : NULL,
	                         .endpoint = a->endpoint[0] ? a->endpoint : NULL,
	                         .virtual_host = a->virtual_host,
	                         .cache_folder = folder,
	                         .tell = log_words,
	                         .tell_ctx = s};
	TRY(open_folder(s->node, &d, msg));
	dir_close(d);
	snprintf(folder, sizeof folder, "%s/clouds/%s", s->node->cfg.home, a->name);
	return cloud_new(&c, out, msg);
}

/* One that cannot be opened (no libcurl here, a secret that others can read) is listed with the reason. */
static void open_row(struct clouds *s, struct row *r)
{
	char secret[HTTP_SECRET_MAX + 1] = "";
	enum err e = read_secret(s->node, &r->account, secret, &r->words);
	if (e == ERR_OK)
		e = open_cloud(s, &r->account, secret, &r->cloud, &r->words);
	crypto_zero(secret, sizeof secret);
	if (e != ERR_OK)
		node_log(s->node, LOG_WARN, "cloud", "%s: %s", r->account.name, r->words.text);
}

/* ---- requests: add ---- */

struct asking {
	struct clouds *clouds;
	struct control_call *call; /* NULL: the client is gone */
	struct account account;
	struct cloud *cloud;
	char secret[HTTP_SECRET_MAX + 1];
	struct errmsg msg;
	enum err err;
	bool skip_check;
};

static void gone(void *ctx)
{
	((struct asking *)ctx)->call = NULL;
}

static void check(void *ctx)
{
	struct asking *a = ctx;
	if (!a->skip_check)
		a->err = cloud_check(a->cloud, &a->msg);
}

static void put_row(struct control_call *c, const struct account *a, struct cloud *cloud,
                    const char *state)
{
	struct cloud_figures f = {0};
	if (cloud)
		cloud_figures(cloud, &f);
	control_row(c);
	control_put_str(c, "name", a->name);
	control_put_str(c, "kind", a->kind == CLOUD_S3 ? "s3" : "webdav");
	control_put_str(c, "url", a->url);
	control_put_str(c, "user", a->user);
	control_put_str(c, "state", state);
	control_put_u64(c, "open", f.open_files);
	control_put_u64(c, "unsaved", f.unsaved_files);
	control_put_u64(c, "kept", f.kept_files);
	control_row_end(c);
}

static void end_asking(struct asking *a)
{
	if (a->call)
		control_end(a->call, a->err, &a->msg);
	cloud_unref(a->cloud);
	crypto_zero(a, sizeof *a);
	free(a);
}

static enum err enter(struct asking *a)
{
	struct clouds *s = a->clouds;
	if (find(s, a->account.name, strlen(a->account.name)) || s->count == CLOUDS_MAX)
		return err_set(&a->msg, ERR_EXISTS, "another request was faster");
	TRY(keep_secret(s->node, &a->account, a->secret, &a->msg));
	TRY(keep_row(s->node, &a->account, false, &a->msg));
	uv_mutex_lock(&s->lock);
	s->list[s->count++] = (struct row){.account = a->account, .cloud = cloud_ref(a->cloud)};
	uv_mutex_unlock(&s->lock);
	return ERR_OK;
}

static void checked(void *ctx)
{
	struct asking *a = ctx;
	if (a->err == ERR_OK)
		a->err = enter(a);
	else
		err_prefix(&a->msg, a->err, "%s is not added", a->account.name);
	if (a->err == ERR_OK && a->call)
		put_row(a->call, &a->account, a->cloud, "added");
	end_asking(a);
}

static enum err take(struct control_call *c, const char *key, char *out, size_t room,
                     struct errmsg *msg)
{
	const char *text = control_str_or(c, key, "");
	if (strlen(text) >= room || strpbrk(text, "\r\n"))
		return err_set(msg, ERR_USAGE, "the %s is too long, or has a line end in it", key);
	memcpy(out, text, strlen(text) + 1);
	return ERR_OK;
}

static enum err check_name(struct clouds *s, const char *name, struct errmsg *msg)
{
	if (strlen(name) > CLOUD_NAME_MAX || !share_name_is_fit(name))
		return err_set(
		    msg, ERR_USAGE,
		    "\"%s\" cannot be a name: up to %d letters, digits, \".\", \"-\" and "
		    "\"_\", and a name that every system can have",
		    name, CLOUD_NAME_MAX);
	if (find(s, name, strlen(name)))
		return err_set(msg, ERR_EXISTS, "there is a storage \"%s\" already", name);
	bool is_device = !strcmp(name, s->node->name);
	for (struct peer *p = peer_first(s->node); p && !is_device; p = peer_next(p))
		is_device = !strcmp(peer_name(p), name);
	if (is_device)
		return err_set(msg, ERR_EXISTS, "\"%s\" is a device of your system", name);
	return s->count < CLOUDS_MAX ? ERR_OK
	                             : err_set(msg, ERR_LIMIT, "at most %d storages", CLOUDS_MAX);
}

/* A secret must not be readable on the way, but where there is none. */
static enum err check_way(const struct asking *a, bool plain, struct errmsg *msg)
{
	struct http_url url;
	const struct account *to = &a->account;
	const char *asked = to->kind == CLOUD_WEBDAV ? to->url : to->endpoint;
	if (*asked || to->kind == CLOUD_WEBDAV)
		TRY(http_url_parse(asked, &url, msg));
	else
		url.is_tls = true; /* Amazon's */
	if (!url.is_tls && a->account.user[0] && !plain && !http_url_is_local(&url))
		return err_set(
		    msg, ERR_DENIED,
		    "http:// would show the secret to everybody on the way: use https://, "
		    "or --plain if that is meant");
	if (a->account.ca_file[0] && !path_is_absolute(a->account.ca_file))
		return err_set(msg, ERR_USAGE,
		               "the request needs the absolute path of the certificates");
	return ERR_OK;
}

static enum err take_all(struct asking *a, struct control_call *c)
{
	struct account *to = &a->account;
	TRY(take(c, "name", to->name, sizeof to->name, &a->msg));
	TRY(take(c, "url", to->url, sizeof to->url, &a->msg));
	TRY(take(c, "user", to->user, sizeof to->user, &a->msg));
	TRY(take(c, "region", to->region, sizeof to->region, &a->msg));
	TRY(take(c, "ca", to->ca_file, sizeof to->ca_file, &a->msg));
	TRY(take(c, "secret", a->secret, sizeof a->secret, &a->msg));
	TRY(take(c, "endpoint", to->endpoint, sizeof to->endpoint, &a->msg));
	to->virtual_host = control_flag(c, "virtual_host");
	to->kind = strncmp(to->url, "s3://", 5) ? CLOUD_WEBDAV : CLOUD_S3;
	a->skip_check = control_flag(c, "nocheck");
	TRY(check_name(a->clouds, to->name, &a->msg));
	TRY(check_way(a, control_flag(c, "plain"), &a->msg));
	return open_cloud(a->clouds, to, a->secret, &a->cloud, &a->msg);
}

static struct asking *new_asking(struct clouds *s, struct control_call *c)
{
	struct asking *a = calloc(1, sizeof *a);
	if (!a) {
		control_fail(c, ERR_NOMEM, "out of memory");
		return NULL;
	}
	a->clouds = s;
	a->call = c;
	return a;
}

static void start(struct asking *a, work_fn done)
{
	control_on_gone(a->call, gone, a);
	work_start(a->clouds->node, &a->clouds->jobs, check, done, a);
}

void control_cloud_add(struct node *n, struct control_call *c)
{
	struct asking *a = new_asking(n->clouds, c);
	if (!a)
		return;
	a->err = take_all(a, c);
	if (a->err != ERR_OK)
		end_asking(a);
	else
		start(a, checked);
}

/* ---- requests: list, check, remove ---- */

void control_cloud_list(struct node *n, struct control_call *c)
{
	for (uint32_t i = 0; i < n->clouds->count; i++) {
		const struct row *r = &n->clouds->list[i];
		put_row(c, &r->account, r->cloud, r->cloud ? "ready" : r->words.text);
	}
	control_end(c, ERR_OK, NULL);
}

/* Ends the call when there is none. */
static struct row *named(struct node *n, struct control_call *c)
{
	const char *name = control_str_or(c, "name", "");
	struct row *r = find(n->clouds, name, strlen(name));
	if (!r)
		control_fail(c, ERR_NOTFOUND, "there is no storage \"%s\": `wasmos cloud list`",
		             name);
	return r;
}

static void put_kept(void *ctx, const char *path)
{
	control_row(ctx);
	control_put_str(ctx, "kept", path);
	control_row_end(ctx);
}

static void told(void *ctx)
{
	struct asking *a = ctx;
	if (a->call) {
		put_row(a->call, &a->account, a->cloud, a->err == ERR_OK ? "ready" : a->msg.text);
		cloud_each_kept(a->cloud, put_kept, a->call);
		err_prefix(&a->msg, a->err, "%s", a->account.name);
	}
	end_asking(a);
}

void control_cloud_check(struct node *n, struct control_call *c)
{
	struct row *r = named(n, c);
	if (r && !r->cloud) {
		control_end(c, ERR_UNSUPPORTED, &r->words);
		return;
	}
	struct asking *a = r ? new_asking(n->clouds, c) : NULL;
	if (!a)
		return;
	a->account = r->account;
	a->cloud = cloud_ref(r->cloud);
	start(a, told);
}

static void take_row(struct clouds *s, struct row *r)
{
	uv_mutex_lock(&s->lock);
	s->count--;
	memmove(r, r + 1, (size_t)(s->list + s->count - r) * sizeof *r);
	uv_mutex_unlock(&s->lock);
}

void control_cloud_remove(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct cloud_figures f = {0};
	struct row *found = named(n, c);
	if (!found)
		return;
	if (found->cloud)
		cloud_figures(found->cloud, &f);
	if (f.unsaved_files && !control_flag(c, "force")) {
		control_fail(c, ERR_BUSY,
		             "%llu files of it that programs write are not on the server yet: "
		             "--force gives them up",
		             (unsigned long long)f.unsaved_files);
		return;
	}
	struct row r = *found;
	enum err e = keep_row(n, &r.account, true, &msg);
	if (e == ERR_OK) {
		forget_secret(n, &r.account);
		put_row(c, &r.account, r.cloud, "removed");
		take_row(n->clouds, found);
		if (r.cloud)
			cloud_stop(r.cloud);
		cloud_unref(r.cloud);
	}
	control_end(c, e, &msg);
}

/* ---- the part ---- */

static bool load_row(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t size)
{
	struct clouds *s = ctx;
	struct row *r = &s->list[s->count];
	size_t name_size = key_size - KEY_PREFIX;
	if (key_size <= KEY_PREFIX || memcmp(key, key_prefix, KEY_PREFIX) != 0 ||
	    name_size > CLOUD_NAME_MAX)
		return true;
	*r = (struct row){0};
	memcpy(r->account.name, key + KEY_PREFIX, name_size);
	if (read_row(rd_of(value, size), &r->account) == ERR_OK &&
	    share_name_is_fit(r->account.name))
		s->count++;
	return s->count < CLOUDS_MAX;
}

enum err clouds_open(struct node *n, struct errmsg *msg)
{
	struct clouds *s = calloc(1, sizeof *s);
	if (s)
		s->list = calloc(CLOUDS_MAX, sizeof *s->list);
	if (!s || !s->list || uv_mutex_init(&s->lock) != 0) {
		if (s)
			free(s->list);
		free(s);
		return err_set(msg, ERR_NOMEM, "clouds: out of memory");
	}
	s->node = n;
	atomic_init(&s->refs, 1);
	n->clouds = s;
	enum err e = depot_each(node_depot(n), DEPOT_SETTINGS, load_row, s);
	for (uint32_t i = 0; i < s->count; i++)
		open_row(s, &s->list[i]);
	return e;
}

/* What programs that were just ended have written still gets there, if the server answers; else it is kept. */
static void close_cloud(struct cloud *c)
{
	cloud_settle(c, SETTLE_MS);
	cloud_stop(c);
	cloud_settle(c, SETTLE_MS);
}

void clouds_close(struct node *n)
{
	struct clouds *s = n->clouds;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->list[i].cloud)
			close_cloud(s->list[i].cloud);
	work_wait(n, &s->jobs);
	uv_mutex_lock(&s->lock);
	uint32_t count = s->count;
	s->count = 0;
	s->node = NULL;
	uv_mutex_unlock(&s->lock);
	for (uint32_t i = 0; i < count; i++)
		cloud_unref(s->list[i].cloud);
	n->clouds = NULL;
	clouds_unref(s);
}
