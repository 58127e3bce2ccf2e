/* tree.c - questions of vfs/remote.h to the node, as inputs of the request "tree". */
#include "shell/tree.h"

#include "node/tree.h"
#include "shell/internal.h"
#include "vfs/remote.h"

#include <stdlib.h>

enum { AGAIN_NS = 500000000 };

struct tree {
	struct shell *shell;
	struct client *client; /* NULL: the node went away */
	struct vfs_obj *root;
	uint64_t tried_ns; /* when it was last tried to join */
};

static int join(struct tree *t)
{
	t->tried_ns = os_monotonic_ns();
	if (client_open(t->shell, &t->client) != 0)
		return 1;
	client_request(t->client, "tree");
	return client_encode(t->client);
}

static void leave(struct tree *t)
{
	if (t->client)
		client_close(t->client);
	t->client = NULL;
}

static enum err ask_once(struct tree *t, const uint8_t *request, size_t size, struct wr *answer)
{
	int status;
	size_t n;
	if (!t->client && (os_monotonic_ns() - t->tried_ns < AGAIN_NS || join(t) != 0))
		return ERR_CLOSED;
	client_put_str(t->client, "input", "ask");
	client_put_bytes(t->client, "body", request, size);
	const void *bytes =
	    client_next(t->shell, t->client, &status) ? row_bytes(t->client, "answer", &n) : NULL;
	if (!bytes) {
		leave(t);
		return ERR_CLOSED;
	}
	wr_bytes(answer, bytes, n);
	return wr_ok(answer) ? ERR_OK : ERR_NOMEM;
}

/* A node that was started again is asked again, when that does no harm. */
static enum err ask(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
                    struct wr *answer)
{
	struct tree *t = ctx;
	bool was_there = t->client != NULL;
	enum err e = ask_once(t, request, size, answer);
	if (e != ERR_CLOSED || !was_there || !may_repeat)
		return e;
	wr_clear(answer);
	return ask_once(t, request, size, answer);
}

static void end(void *ctx, bool forget)
{
	struct tree *t = ctx;
	leave(t);
	free(t);
}

int tree_open(struct shell *sh, struct tree **out)
{
	enum { CACHE_BYTES = 4 << 20 /* the node has another one */ };
	struct tree *t = calloc(1, sizeof *t);
	struct vfs_remote *r;
	struct vfs_remote_config c = {
	    .call = ask, .end = end, .ctx = t, .cache_bytes = CACHE_BYTES};
	if (!t)
		return shell_fail(sh, "out of memory");
	t->shell = sh;
	if (join(t) != 0 || vfs_remote_new(&c, &r) != FE_OK) {
		end(t, false);
		return 1;
	}
	t->root = vfs_remote_mount(r, TREE_MOUNT);
	vfs_remote_unref(r);
	if (!t->root)
		return shell_fail(sh, "out of memory");
	*out = t;
	return 0;
}

struct vfs_obj *tree_root(struct tree *t)
{
	return t->root;
}

void tree_close(struct tree *t)
{
	if (t)
		vfs_unref(t->root);
}
