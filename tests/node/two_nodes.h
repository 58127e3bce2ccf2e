/* two_nodes.h - two whole nodes in one process, driven in turn, and a service that echoes. */
#pragma once

#include "node/links/link.h"
#include "node/node.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVICE = 7, PATIENCE_MS = 15000 };

struct pair {
	char folder[64], homes[2][80];
	struct node *n[2];
	unsigned ups[2], downs[2];
};

static inline void on_watch(void *ctx, struct peer *p, bool up)
{
	unsigned *counts = ctx;
	(void)p;
	counts[up ? 0 : 2]++;
}

static inline void open_node(struct pair *t, int i)
{
	struct node_config cfg = {.home = t->homes[i],
	                          .name = i ? "beta" : "alpha",
	                          .listen = "127.0.0.1:0",
	                          .display = "headless",
	                          .log_level = LOG_DEBUG};
	struct errmsg msg = {0};
	cr_assert_eq(node_open(&cfg, &t->n[i], &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(link_watch(t->n[i], on_watch, &t->ups[i]), ERR_OK);
}

static inline void open_pair(struct pair *t)
{
	signal(SIGPIPE, SIG_IGN); /* as node_run() does, which is not called here */
	memset(t, 0, sizeof *t);
	snprintf(t->folder, sizeof t->folder, "%s/linkXXXXXX",
	         getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
	cr_assert(mkdtemp(t->folder));
	setenv("XDG_RUNTIME_DIR", t->folder, 1);
	for (int i = 0; i < 2; i++) {
		snprintf(t->homes[i], sizeof t->homes[i], "%s/%d", t->folder, i);
		open_node(t, i);
	}
}

/* i learns of the other. */
static inline void introduce(struct pair *t, int i)
{
	char address[1][LINK_ADDRESS_SIZE];
	struct peer *p;
	struct errmsg msg = {0};
	link_local_address(t->n[!i], address[0]);
	snprintf(address[0], sizeof address[0], "127.0.0.1:%u", link_port(t->n[!i]));
	cr_assert_eq(peer_add(t->n[i], t->n[!i]->device->key, t->n[!i]->name,
	                      (const char(*)[LINK_ADDRESS_SIZE])address, 1, &p, &msg),
	             ERR_OK, "%s", msg.text);
}

static inline void turn(struct pair *t)
{
	for (int i = 0; i < 2; i++)
		if (t->n[i])
			uv_run(&t->n[i]->loop, UV_RUN_NOWAIT);
	usleep(100);
}

static inline struct peer *other(struct pair *t, int i)
{
	return peer_first(t->n[i]);
}

/* Until both sides agree that the link is up (or down). */
static inline bool wait_link(struct pair *t, bool up)
{
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS; uv_hrtime() / 1000000 < end;) {
		bool all = true;
		for (int i = 0; i < 2; i++)
			all = all && (!t->n[i] || peer_is_up(other(t, i)) == up);
		if (all)
			return true;
		turn(t);
	}
	return false;
}

static inline void close_pair(struct pair *t)
{
	char command[128];
	for (int i = 0; i < 2; i++) {
		if (t->n[i])
			node_close(t->n[i]);
	}
	snprintf(command, sizeof command, "rm -rf %s", t->folder);
	cr_assert_eq(system(command), 0);
}

/* --- a service that gives back what it got, and remembers the order --- */

struct served {
	unsigned count;
	uint8_t order[64];
};

static inline void serve(void *ctx, const struct link_caller *call, const uint8_t *body,
                         size_t size)
{
	struct served *s = ctx;
	if (s->count < sizeof s->order)
		s->order[s->count] = size ? body[0] : 0;
	s->count++;
	link_answer(call, ERR_OK, body, size);
}

struct reply {
	bool done;
	enum err e;
	struct wr bytes;
};

static inline void on_reply(void *ctx, enum err e, const uint8_t *p, size_t size)
{
	struct reply *r = ctx;
	cr_assert_not(r->done);
	r->done = true;
	r->e = e;
	wr_bytes(&r->bytes, p, size);
}

static inline bool wait_reply(struct pair *t, struct reply *r)
{
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;
	     !r->done && uv_hrtime() / 1000000 < end;)
		turn(t);
	return r->done;
}
