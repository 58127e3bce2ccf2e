/* service.c - READY, STATUS, WATCHDOG, RELOADING and STOPPING, as a service manager wants to hear them. */
#include "node/service/service.h"

#include "base/os.h"
#include "node/links/link.h"
#include "node/node.h"
#include "node/service/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_MS = 5000, LINES_MAX = 256 };

struct service {
	struct node *node;
	struct notify *manager; /* NULL: none */
	uv_timer_t timer;
	uint64_t status_ms; /* when the status was told last */
	char status[LINES_MAX];
};

static void write_status(struct node *n, char out[LINES_MAX])
{
	unsigned up = 0, all = 0;
	for (struct peer *p = peer_first(n); p; p = peer_next(p), all++)
		up += peer_is_up(p);
	snprintf(out, LINES_MAX, "STATUS=%s: %u programs run, %u of %u devices linked", n->name,
	         n->table.alive, up, all);
}

/* Only when it says something new. */
static void tell_status(struct service *s)
{
	char now[LINES_MAX];
	write_status(s->node, now);
	s->status_ms = uv_now(&s->node->loop);
	if (s->node->stopping || !strcmp(now, s->status))
		return;
	memcpy(s->status, now, sizeof now);
	notify_tell(s->manager, now);
}

static void on_timer(uv_timer_t *t)
{
	struct service *s = t->data;
	if (notify_watchdog_ms(s->manager))
		notify_tell(s->manager, "WATCHDOG=1");
	if (uv_now(t->loop) - s->status_ms >= STATUS_MS)
		tell_status(s);
}

enum err service_open(struct node *n, struct errmsg *msg)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(msg, ERR_NOMEM, "out of memory");
	s->node = n;
	s->manager = n->cfg.foreground ? notify_open() : NULL;
	uv_timer_init(&n->loop, &s->timer);
	s->timer.data = s;
	n->service = s;
	if (!s->manager)
		return ERR_OK;
	uint64_t half_ms = notify_watchdog_ms(s->manager) / 2;
	uint64_t every_ms = half_ms && half_ms < STATUS_MS ? half_ms : STATUS_MS;
	uv_timer_start(&s->timer, on_timer, every_ms, every_ms);
	service_ready(n);
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	free(h->data);
}

void service_close(struct node *n)
{
	struct service *s = n->service;
	n->service = NULL;
	notify_close(s->manager);
	uv_close((uv_handle_t *)&s->timer, closed);
}

void service_ready(struct node *n)
{
	if (!n->service)
		return;
	notify_tell(n->service->manager, "READY=1");
	tell_status(n->service);
}

void service_reloading(struct node *n)
{
	char lines[LINES_MAX];
	if (!n->service)
		return;
	snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	         os_monotonic_ns() / 1000);
	notify_tell(n->service->manager, lines);
}

void service_stopping(struct node *n)
{
	if (n->service)
		notify_tell(n->service->manager,
		            "STOPPING=1\nSTATUS=Programs are put to sleep on disk");
}
