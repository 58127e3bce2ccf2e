/* work.c - uv_queue_work with the context and a count. */
#include "node/work.h"

#include "node/node.h"

#include <stdlib.h>

struct work {
	uv_work_t req;
	work_fn run, done;
	void *ctx;
	unsigned *count;
};

static void run(uv_work_t *req)
{
	struct work *w = req->data;
	w->run(w->ctx);
}

static void done(uv_work_t *req, int status)
{
	struct work *w = req->data;
	--*w->count;
	w->done(w->ctx);
	free(w);
}

void work_start(struct node *n, unsigned *count, work_fn run_fn, work_fn done_fn, void *ctx)
{
	struct work *w = malloc(sizeof *w);
	if (!w)
		abort();
	*w = (struct work){.run = run_fn, .done = done_fn, .ctx = ctx, .count = count};
	w->req.data = w;
	++*count;
	if (uv_queue_work(&n->loop, &w->req, run, done) != 0)
		abort();
}

void work_wait(struct node *n, const unsigned *count)
{
	while (*count > 0)
		uv_run(&n->loop, UV_RUN_ONCE);
}
