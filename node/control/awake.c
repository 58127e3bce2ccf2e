/* awake.c - awake.h: who is on its way, and calls that are made again until it is there. */
#include "node/control/awake.h"

#include "node/control/control.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 20 };

struct coming {
	uint8_t uid[PROCESS_UID_SIZE];
	uint32_t pid;
	struct coming *next;
};

/* A call that waits. It outlives each step: the call may be made again many times. */
struct pause {
	struct awake *awake;
	struct control_call *call; /* NULL: over */
	uint64_t until_ms;
	const struct control_call *again; /* is being made again now, and may come back here */
	char why[128];
	uv_timer_t timer;
	struct pause *next;
};

struct awake {
	struct node *node;
	struct coming *coming;
	struct pause *pauses;
};

/* ---- who comes ---- */

void awake_begin(struct node *n, const uint8_t uid[PROCESS_UID_SIZE], uint32_t pid)
{
	struct coming *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	memcpy(c->uid, uid, sizeof c->uid);
	c->pid = pid;
	c->next = n->awake->coming;
	n->awake->coming = c;
}

void awake_end(struct node *n, const uint8_t uid[PROCESS_UID_SIZE])
{
	for (struct coming **at = &n->awake->coming; *at; at = &(*at)->next)
		if (!memcmp((*at)->uid, uid, sizeof(*at)->uid)) {
			struct coming *c = *at;
			*at = c->next;
			free(c);
			return;
		}
}

const uint8_t *awake_coming(struct node *n, uint32_t pid)
{
	for (const struct coming *c = n->awake ? n->awake->coming : NULL; c; c = c->next)
		if (c->pid == pid)
			return c->uid;
	return NULL;
}

bool awake_any(struct node *n)
{
	return n->awake && n->awake->coming;
}

/* ---- who waits ---- */

static void closed(uv_handle_t *h)
{
	free(h->data);
}

static void pause_free(struct pause *p)
{
	struct pause **at = &p->awake->pauses;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	uv_close((uv_handle_t *)&p->timer, closed);
}

static void caller_gone(void *ctx)
{
	struct pause *p = ctx;
	p->call = NULL;
	if (!p->again)
		pause_free(p);
}

static void on_timer(uv_timer_t *t)
{
	struct pause *p = t->data;
	struct control_call *c = p->call;
	control_on_gone(c, NULL, NULL);
	p->call = NULL;
	if (uv_now(&p->awake->node->loop) >= p->until_ms) {
		control_fail(c, ERR_TIMEOUT, "%s, for %d seconds now", p->why, AWAKE_MAX_MS / 1000);
	} else {
		p->again = c;
		control_again(c);
		p->again = NULL;
	}
	if (!p->call)
		pause_free(p);
}

static struct pause *pause_new(struct awake *a)
{
	struct pause *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->awake = a;
	p->until_ms = uv_now(&a->node->loop) + AWAKE_MAX_MS;
	uv_timer_init(&a->node->loop, &p->timer);
	p->timer.data = p;
	p->next = a->pauses;
	a->pauses = p;
	return p;
}

/* The one whose call is being made again now: its time goes on. */
static struct pause *pause_of(struct awake *a, const struct control_call *c)
{
	struct pause *p = a->pauses;
	while (p && p->again != c)
		p = p->next;
	return p;
}

void awake_wait(struct control_call *c, const char *why)
{
	struct awake *a = control_node(c)->awake;
	struct pause *p = pause_of(a, c);
	if (!p)
		p = pause_new(a);
	if (!p) {
		control_end(c, ERR_NOMEM, NULL);
		return;
	}
	p->call = c;
	snprintf(p->why, sizeof p->why, "%s", why);
	control_on_gone(c, caller_gone, p);
	uv_timer_start(&p->timer, on_timer, STEP_MS, 0);
}

/* ---- the part ---- */

enum err awake_open(struct node *n, struct errmsg *msg)
{
	struct awake *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(msg, ERR_NOMEM, "awake: out of memory");
	a->node = n;
	n->awake = a;
	return ERR_OK;
}

/* The control socket is closed: nobody waits any more. */
void awake_close(struct node *n)
{
	struct awake *a = n->awake;
	while (a->coming)
		awake_end(n, a->coming->uid);
	free(a);
	n->awake = NULL;
}
