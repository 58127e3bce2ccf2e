/* group.c - the shared key: where it comes from and who hears of it. */
#include "node/links/group.h"

#include "node/disk.h"
#include "node/links/link_impl.h"
#include "node/store.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

static const char key_setting[] = "group";

/* After a cut by somebody else, until we make a key ourselves: so long and up to twice. */
enum { WAIT_MS = 1500, RETRY_MS = 30000 };

struct group {
	struct node *node;
	uv_timer_t timer;
	struct group_keys keys;
	uint8_t cuts[DEVICE_LOG_HASH_SIZE]; /* of the log as it is */
	uint32_t epoch;
};

static uint64_t wall_ms(void)
{
	return os_wall_ns() / 1000000;
}

const struct group_key *group_current(struct node *n)
{
	return n->group ? group_keys_current(&n->group->keys, n->group->cuts) : NULL;
}

const struct group_keys *group_all(struct node *n)
{
	group_keys_expire(&n->group->keys, wall_ms());
	return &n->group->keys;
}

/* --- on disk --- */

static enum err keep(struct group *g, struct errmsg *msg)
{
	uint8_t bytes[GROUP_KEYS_BYTES];
	size_t size = group_keys_write(&g->keys, bytes);
	enum err e = depot_keep_setting(node_depot(g->node), key_setting, bytes, size, msg);
	crypto_zero(bytes, sizeof bytes);
	return e;
}

static void load(struct group *g)
{
	struct wr row = {0};
	enum err e =
	    depot_get(node_depot(g->node), DEPOT_SETTINGS, key_setting, sizeof key_setting, &row);
	if (e == ERR_OK)
		e = group_keys_read(row.data, row.size, &g->keys);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		node_log(g->node, LOG_WARN, "devices",
		         "the system's key on disk makes no sense: another device tells it");
	crypto_zero(row.data, row.size);
	wr_free(&row);
}

/* --- told --- */

static void tell_peer(struct group *g, struct peer *p)
{
	const struct group_key *k = group_current(g->node);
	struct msg_device_group m;
	if (!k || !p->up || !p->member || !devices_want(g->node, p))
		return;
	memcpy(m.cuts, k->cuts, sizeof m.cuts);
	memcpy(m.secret, k->secret, sizeof m.secret);
	link_send(p, MSG_DEVICE_GROUP, &m, LINK_FAST, NULL);
	crypto_zero(&m, sizeof m);
}

static void tell_all(struct group *g, const struct peer *except)
{
	for (struct peer *p = g->node->links ? peer_first(g->node) : NULL; p; p = peer_next(p))
		if (p != except)
			tell_peer(g, p);
}

void group_linked(struct peer *p)
{
	if (p->links->node->group)
		tell_peer(p->links->node->group, p);
}

/* --- made and taken --- */

static void take(struct group *g, const uint8_t secret[CRYPTO_KEY_SIZE], const struct peer *from)
{
	struct errmsg msg = {0};
	struct group_keys before = g->keys;
	if (!group_keys_take(&g->keys, g->cuts, g->epoch, secret, wall_ms()))
		goto done;
	if (keep(g, &msg) != ERR_OK) { /* it is not told, and tried again */
		node_log(g->node, LOG_WARN, "devices", "the system's key is not stored: %s",
		         msg.text);
		g->keys = before;
		goto done;
	}
	uv_timer_stop(&g->timer);
	node_log(g->node, LOG_INFO, "devices", "the system's key is that of epoch %u%s%s", g->epoch,
	         from ? ", told by " : "", from ? from->name : "");
	tell_all(g, from);
done:
	crypto_zero(&before, sizeof before);
}

static void make(struct group *g)
{
	uint8_t secret[CRYPTO_KEY_SIZE];
	crypto_random(secret, sizeof secret);
	take(g, secret, NULL);
	crypto_zero(secret, sizeof secret);
}

static void on_timer(uv_timer_t *t)
{
	struct group *g = t->data;
	if (group_current(g->node) || devices_are_lost(g->node))
		uv_timer_stop(t);
	else
		make(g);
}

static void await(struct group *g)
{
	uint32_t jitter;
	crypto_random(&jitter, sizeof jitter);
	uv_timer_start(&g->timer, on_timer, WAIT_MS + jitter % WAIT_MS, RETRY_MS);
}

void group_follow(struct node *n, bool own)
{
	struct group *g = n->group;
	if (!g)
		return;
	g->epoch = 1 + device_log_cuts(devices_log(n), g->cuts);
	if (group_current(n) || devices_are_lost(n))
		return;
	if (own || !g->keys.count)
		make(g);
	if (!group_current(n))
		await(g);
}

void group_begin_anew(struct node *n)
{
	if (!n->group)
		return;
	crypto_zero(&n->group->keys, sizeof n->group->keys);
	group_follow(n, true);
}

/* One that does not go with our log is of somebody who knows less, or more: the logs are on their way, and the key after them. */
void group_message(struct conn *c, const struct msg_device_group *m)
{
	struct group *g = c->links->node->group;
	const struct group_key *k = g ? group_current(g->node) : NULL;
	if (!g || memcmp(m->cuts, g->cuts, sizeof g->cuts) != 0 || !c->peer->member)
		return;
	if (k && memcmp(k->secret, m->secret, sizeof m->secret) < 0)
		tell_peer(g, c->peer); /* two were made: it has the other one */
	else
		take(g, m->secret, c->peer);
}

/* --- the part --- */

static void on_closed(uv_handle_t *h)
{
	struct group *g = h->data;
	crypto_zero(g, sizeof *g);
	free(g);
}

enum err group_open(struct node *n, struct errmsg *msg)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(msg, ERR_NOMEM, "out of memory");
	g->node = n;
	g->timer.data = g;
	uv_timer_init(&n->loop, &g->timer);
	n->group = g;
	load(g);
	if (group_keys_expire(&g->keys, wall_ms()))
		keep(g, NULL); /* or at its next start */
	group_follow(n, false);
	return ERR_OK;
}

void group_close(struct node *n)
{
	uv_close((uv_handle_t *)&n->group->timer, on_closed);
	n->group = NULL;
}
