/* tree.c - builds the tree, and serves it to commands.
 *
 * A session belongs to the loop until its thread runs, then to both: the loop puts requests into it under the lock, the thread gives answers
 * back through trees->async. When its client goes the thread is told to end; its last word (ended) lets the loop join it. */
#include "node/tree.h"

#include "base/crypto.h"
#include "base/os_thread.h"
#include "node/control/control.h"
#include "node/folders/folders.h"
#include "node/links/net_files.h"
#include "node/node.h"
#include "vfs/mount.h"
#include "vfs/serve.h"
#include "vfs/top.h"

#include <stdlib.h>
#include <string.h>

struct session {
	struct session *next;
	struct trees *trees;
	struct control_call *call; /* NULL: the client is gone */
	pthread_t thread;
	pthread_cond_t wake;
	struct wr request, answer; /* the thread's while busy */
	bool busy, answered, over, ended;
	enum err err;
};

struct trees {
	struct node *node;
	pthread_mutex_t lock; /* guards the flags of the sessions */
	uv_async_t async;
	struct session *sessions;
	unsigned count;
};

/* ---- what the tree is made of ---- */

static enum err add(struct vfs_ns *ns, const char *path, const char *host, struct vfs_obj *root)
{
	struct vfs_mount_config c = {.guest = path, .host = host, .kind = VFS_MOUNT_HOST};
	return vfs_ns_add(ns, &c, root, NULL);
}

static enum err add_net(struct node *n, struct vfs_ns *ns)
{
	struct vfs_mount_config c = {.guest = NET_GUEST_PATH, .host = NET_HOST_PATH};
	struct vfs_obj *root;
	TRY(net_files_new(n, &c, &root));
	return add(ns, NET_GUEST_PATH, NET_HOST_PATH, root);
}

/* Each replicated folder by its name. */
static enum err add_folder(void *ctx, const char *name, const char *host, struct vfs_obj *root)
{
	if (strcmp(name, NET_GUEST_PATH) != 0)
		return add(ctx, name, host, root);
	vfs_unref(root);
	return ERR_EXISTS;
}

enum err tree_build(struct node *n, struct vfs_obj **root, struct errmsg *msg)
{
	struct vfs_ns *ns = vfs_ns_new();
	enum err e = ns ? add_net(n, ns) : ERR_NOMEM;
	if (e == ERR_OK)
		folders_each_root(n, add_folder, ns);
	if (e != ERR_OK) {
		vfs_ns_free(ns);
		return err_set(msg, e, "the tree: %s", err_text(e));
	}
	return vfs_top_new(ns, root) == FE_OK ? ERR_OK : err_set(msg, ERR_NOMEM, "out of memory");
}

/* ---- a session's thread ---- */

static enum err make_export(struct node *n, struct vfs_export **out)
{
	struct vfs_ns *ns = vfs_ns_new();
	struct vfs_obj *root;
	struct vfs_mount_config c = {
	    .guest = "/", .host = "tree:", .kind = VFS_MOUNT_HOST, .id = TREE_MOUNT};
	uint32_t number;
	enum err e = ns ? tree_build(n, &root, NULL) : ERR_NOMEM;
	if (e == ERR_OK)
		e = vfs_ns_add(ns, &c, root, NULL);
	if (e == ERR_OK)
		e = vfs_export_new(ns, NULL, c.home, out);
	vfs_ns_free(ns);
	crypto_random(&number, sizeof number);
	if (e == ERR_OK)
		vfs_export_number_from(*out, number);
	return e;
}

/* False: the session is over. */
static bool next_request(struct session *s)
{
	pthread_mutex_lock(&s->trees->lock);
	while (!s->over && (!s->busy || s->answered))
		pthread_cond_wait(&s->wake, &s->trees->lock);
	bool goes_on = !s->over;
	pthread_mutex_unlock(&s->trees->lock);
	return goes_on;
}

static void say_so(struct session *s, bool *what)
{
	pthread_mutex_lock(&s->trees->lock);
	*what = true;
	uv_async_send(&s->trees->async);
	pthread_mutex_unlock(&s->trees->lock);
}

static void *serve(void *arg)
{
	struct session *s = arg;
	struct vfs_export *x = NULL;
	enum err made = make_export(s->trees->node, &x);
	while (next_request(s)) {
		wr_clear(&s->answer);
		s->err = made != ERR_OK
		             ? made
		             : vfs_export_request(x, s->request.data, s->request.size, &s->answer);
		say_so(s, &s->answered);
	}
	vfs_export_free(x);
	say_so(s, &s->ended);
	return NULL;
}

/* ---- the loop's side ---- */

static void on_gone(void *ctx)
{
	struct session *s = ctx;
	s->call = NULL;
	pthread_mutex_lock(&s->trees->lock);
	s->over = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->trees->lock);
}

static void refuse(struct session *s, enum err e, const char *why)
{
	struct control_call *c = s->call;
	on_gone(s);
	control_fail(c, e, "%s", why);
}

static void on_input(void *ctx, struct control_call *c, const char *name)
{
	struct session *s = ctx;
	const uint8_t *body;
	size_t size;
	if (strcmp(name, "ask") != 0 || control_bytes(c, "body", &body, &size) != ERR_OK) {
		refuse(s, ERR_MALFORMED, "a tree is asked with bytes");
		return;
	}
	if (s->busy) {
		refuse(s, ERR_BUSY, "one question to a tree at a time");
		return;
	}
	wr_clear(&s->request);
	wr_bytes(&s->request, body, size);
	if (!wr_ok(&s->request)) {
		refuse(s, ERR_NOMEM, "out of memory");
		return;
	}
	pthread_mutex_lock(&s->trees->lock);
	s->busy = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->trees->lock);
}

static void give_answer(struct session *s)
{
	s->busy = s->answered = false;
	if (!s->call)
		return;
	if (s->err != ERR_OK) {
		refuse(s, s->err, err_text(s->err));
		return;
	}
	control_row(s->call);
	control_put_bytes(s->call, "answer", s->answer.data, s->answer.size);
	control_row_end(s->call);
}

static void end_session(struct session **at)
{
	struct session *s = *at;
	*at = s->next;
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	wr_free(&s->request);
	wr_free(&s->answer);
	s->trees->count--;
	free(s);
}

static bool take(struct session *s, const bool *flag)
{
	pthread_mutex_lock(&s->trees->lock);
	bool set = *flag;
	pthread_mutex_unlock(&s->trees->lock);
	return set;
}

static void on_async(uv_async_t *async)
{
	struct trees *t = async->data;
	for (struct session **at = &t->sessions; *at;) {
		struct session *s = *at;
		if (take(s, &s->answered))
			give_answer(s);
		if (take(s, &s->ended))
			end_session(at);
		else
			at = &s->next;
	}
}

static enum err begin(struct trees *t, struct control_call *c)
{
	enum { STACK_BYTES = 1 << 20 };
	struct session *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	s->trees = t;
	s->call = c;
	pthread_cond_init(&s->wake, NULL);
	if (!os_thread_start(&s->thread, STACK_BYTES, serve, s)) {
		pthread_cond_destroy(&s->wake);
		free(s);
		return ERR_LIMIT;
	}
	s->next = t->sessions;
	t->sessions = s;
	t->count++;
	control_on_gone(c, on_gone, s);
	control_on_input(c, on_input, s);
	return ERR_OK;
}

void control_tree(struct node *n, struct control_call *c)
{
	enum err e = n->trees->count < TREE_SESSIONS_MAX ? ERR_OK : ERR_LIMIT;
	if (e == ERR_OK)
		e = begin(n->trees, c);
	if (e != ERR_OK)
		control_fail(c, e, "the tree cannot be opened once more: %s", err_text(e));
}

/* ---- the part ---- */

enum err trees_open(struct node *n, struct errmsg *msg)
{
	struct trees *t = calloc(1, sizeof *t);
	if (!t || pthread_mutex_init(&t->lock, NULL) != 0 ||
	    uv_async_init(&n->loop, &t->async, on_async) != 0) {
		free(t);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	t->node = n;
	t->async.data = t;
	n->trees = t;
	return ERR_OK;
}

static void on_closed(uv_handle_t *h)
{
	struct trees *t = h->data;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The clients are gone already: the control socket closes first. */
void trees_close(struct node *n)
{
	struct trees *t = n->trees;
	while (t->sessions)
		uv_run(&n->loop, UV_RUN_ONCE);
	n->trees = NULL;
	uv_close((uv_handle_t *)&t->async, on_closed);
}
