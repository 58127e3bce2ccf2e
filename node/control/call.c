/* call.c - requests with an answer, over a link; from the loop (link_call) and from workers (link_rpc).
 *
 * A call waits in links->calls until its ANSWER comes, its link is lost, or its time is up; its function
 * is then called exactly once. A worker's call is handed to the loop through links->rpcs; the loop always
 * completes it, so the worker waits for that alone.
 */
#include "node/links/link_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rpc {
	struct rpc *next;
	uint8_t device[DEVICE_ID_SIZE];
	uint8_t service;
	const void *body;
	size_t size;
	uint32_t timeout_ms;
	struct wr *reply;
	uv_mutex_t *lock;
	uv_cond_t done_cond;
	bool done;
	enum err result;
};

/* --- the caller's side --- */

static void complete(struct links *l, struct call *call, enum err e, const uint8_t *p, size_t size)
{
	struct call **at = &l->calls;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	call->fn(call->ctx, e, p, size);
	free(call);
}

/* An answer that comes at once is given later all the same: callers are simpler so. */
static void add_call(struct links *l, struct conn *conn, uint32_t tag, uint32_t timeout_ms,
                     link_reply_fn fn, void *ctx)
{
	struct call *call = calloc(1, sizeof *call);
	if (!call) {
		fn(ctx, ERR_NOMEM, NULL, 0);
		return;
	}
	*call = (struct call){.next = l->calls,
	                      .conn = conn,
	                      .tag = tag,
	                      .deadline_ms = links_now(l) + timeout_ms,
	                      .fn = fn,
	                      .ctx = ctx};
	l->calls = call;
	if (!conn)
		uv_async_send(&l->async);
}

void link_call(struct node *n, const uint8_t device[DEVICE_ID_SIZE], uint8_t service,
               const void *body, size_t size, uint32_t timeout_ms, link_reply_fn fn, void *ctx)
{
	struct links *l = n->links;
	struct peer *p = peer_by_id(n, device);
	struct msg_call m = {.tag = l->next_tag++, .service = service, .body = bin_ref(body, size)};
	uv_update_time(&n->loop);
	bool sent = p && link_send(p, MSG_CALL, &m, LINK_FAST, NULL) == ERR_OK;
	if (p && !sent)
		link_dial(p);
	add_call(l, sent ? p->up : NULL, m.tag, timeout_ms, fn, ctx);
}

static void fail_unsent(struct links *l)
{
	for (struct call *call = l->calls, *next; call; call = next) {
		next = call->next;
		if (!call->conn)
			complete(l, call, ERR_CLOSED, NULL, 0);
	}
}

void calls_lost(struct conn *c)
{
	bool any = false;
	for (struct call *call = c->links->calls; call; call = call->next) {
		if (call->conn == c) {
			call->conn = NULL;
			any = true;
		}
	}
	if (any)
		uv_async_send(&c->links->async);
}

void calls_follow(struct conn *from, struct conn *to)
{
	for (struct call *call = from->links->calls; call; call = call->next)
		if (call->conn == from)
			call->conn = to;
}

void calls_tick(struct links *l, uint64_t now)
{
	for (struct call *call = l->calls, *next; call; call = next) {
		next = call->next;
		if (now >= call->deadline_ms)
			complete(l, call, ERR_TIMEOUT, NULL, 0);
	}
}

static enum err on_answer(struct conn *c, const struct msg_answer *m)
{
	struct call *call = c->links->calls;
	/* A handover may be under way: what is heard on the older connection was called on it, too. */
	const struct conn *now = c->peer->older == c ? c->peer->up : c;
	while (call && (call->tag != m->tag || call->conn != now))
		call = call->next;
	if (call) /* else its time was up */
		complete(c->links, call, m->error < ERR_COUNT ? (enum err)m->error : ERR_IO,
		         m->body.p, m->body.size);
	return ERR_OK;
}

/* --- workers --- */

static void rpc_done(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
	struct rpc *r = ctx;
	if (e == ERR_OK) {
		wr_bytes(r->reply, reply, size);
		if (!wr_ok(r->reply))
			e = ERR_NOMEM;
	}
	uv_mutex_lock(r->lock);
	r->result = e;
	r->done = true;
	uv_cond_signal(&r->done_cond); /* under the lock: r is gone once it is released */
	uv_mutex_unlock(r->lock);
}

enum err link_rpc(struct node *n, const uint8_t device[DEVICE_ID_SIZE], uint8_t service,
                  const void *body, size_t size, uint32_t timeout_ms, struct wr *reply)
{
	struct links *l = n->links;
	if (!l)
		return ERR_CLOSED;
	struct rpc r = {.service = service,
	                .body = body,
	                .size = size,
	                .timeout_ms = timeout_ms,
	                .reply = reply,
	                .lock = &l->lock};
	memcpy(r.device, device, sizeof r.device);
	if (uv_cond_init(&r.done_cond) != 0)
		return ERR_NOMEM;
	uv_mutex_lock(&l->lock);
	if (l->closed) {
		r.result = ERR_CLOSED;
	} else {
		struct rpc **at = &l->rpcs;
		while (*at) /* in order of asking */
			at = &(*at)->next;
		*at = &r;
		uv_async_send(&l->async);
		while (!r.done)
			uv_cond_wait(&r.done_cond, &l->lock);
	}
	uv_mutex_unlock(&l->lock);
	uv_cond_destroy(&r.done_cond);
	return r.result;
}

static struct rpc *take_rpcs(struct links *l)
{
	uv_mutex_lock(&l->lock);
	struct rpc *list = l->rpcs;
	l->rpcs = NULL;
	uv_mutex_unlock(&l->lock);
	return list;
}

void calls_async(struct links *l)
{
	for (struct rpc *r = take_rpcs(l), *next; r; r = next) {
		next = r->next;
		link_call(l->node, r->device, r->service, r->body, r->size, r->timeout_ms, rpc_done,
		          r);
	}
	fail_unsent(l);
}

void calls_close(struct links *l)
{
	uv_mutex_lock(&l->lock);
	l->closed = true;
	uv_mutex_unlock(&l->lock);
	for (struct rpc *r = take_rpcs(l), *next; r; r = next) {
		next = r->next;
		rpc_done(r, ERR_CLOSED, NULL, 0);
	}
	while (l->calls)
		complete(l, l->calls, ERR_CLOSED, NULL, 0);
}

/* --- the serving side --- */

enum err link_serve(struct node *n, uint8_t service, link_serve_fn fn, void *ctx)
{
	struct links *l = n->links;
	if (service >= LINK_SERVICES)
		return ERR_LIMIT;
	if (l->services[service].fn)
		return ERR_EXISTS;
	l->services[service].fn = fn;
	l->services[service].ctx = ctx;
	return ERR_OK;
}

void link_answer(const struct link_caller *call, enum err e, const void *body, size_t size)
{
	struct links *l = call->node->links;
	struct peer *p = l ? peer_by_id(call->node, call->device) : NULL;
	struct msg_answer m = {.tag = call->tag, .error = (uint8_t)e, .body = bin_ref(body, size)};
	if (!p || !p->up || p->up->session != call->session)
		return;
	struct errmsg msg = {0};
	if (link_send(p, MSG_ANSWER, &m, LINK_FAST, &msg) != ERR_OK)
		node_log_about(l->node, LOG_WARN, "link",
		               &(struct log_about){
		                   .event = LOG_EVENT_call_failed, .device = p->name, .error = e},
		               "%s: no answer sent: %s", p->name, msg.text);
}

static enum err on_call(struct conn *c, const struct msg_call *m)
{
	struct links *l = c->links;
	struct link_caller call = {.node = l->node, .session = c->session, .tag = m->tag};
	memcpy(call.device, c->peer->id, sizeof call.device);
	if (m->service >= LINK_SERVICES || !l->services[m->service].fn)
		link_answer(&call, ERR_UNSUPPORTED, NULL, 0);
	else if (m->service != LINK_SERVICE_FS && m->service != LINK_SERVICE_SHARE &&
	         !devices_may_run(l->node, call.device))
		link_answer(&call, ERR_DENIED, NULL, 0); /* one of the two is "files only" */
	else
		l->services[m->service].fn(l->services[m->service].ctx, &call, m->body.p,
		                           m->body.size);
	return ERR_OK;
}

enum err calls_message(struct conn *c, enum msg type, const union msg_any *any)
{
	if (type == MSG_CALL)
		return on_call(c, &any->call);
	if (type == MSG_ANSWER)
		return on_answer(c, &any->answer);
	return ERR_MALFORMED;
}
