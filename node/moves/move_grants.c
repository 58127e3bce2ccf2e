/* move_grants.c - removes what the store keeps of folders given to programs that are over (table GRANTS, node/links/fs_remote.h).
 *
 * A row is needed while its process lives, here or elsewhere: it runs or sleeps here, or has an ownership record, which of one that left
 * or ended elsewhere stays for long (move_records.c). And a snapshot may be restored when its process is over: such rows are marked
 * ("copied" in SETTINGS, written before the file) and stay.
 *
 *	list (pool): rows without mark and record --> look (loop): those whose process is not known --> remove (pool): one batch
 *
 * A row is there before its process can leave the table, and no uid comes again, so what was listed before the look and is not
 * known then is over. Killed anywhere in between, the node does it when it starts.
 */
#include "node/disk.h"
#include "node/moves/move_impl.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_MAX = 4096 };

static const uint8_t marked[] = {'c', 'o', 'p', 'i', 'e', 'd', ':'};

enum { KEY_SIZE = sizeof marked + UID_SIZE };

struct sweep {
	struct moves *moves;
	uint32_t count;
	uint8_t uids[SWEEP_MAX][UID_SIZE];
	enum err err;
	struct errmsg msg;
};

static void mark_key(const uint8_t uid[UID_SIZE], uint8_t key[KEY_SIZE])
{
	memcpy(key, marked, sizeof marked);
	memcpy(key + sizeof marked, uid, UID_SIZE);
}

static bool has_row(struct depot *d, enum depot_table t, const void *key, size_t size)
{
	struct wr w = {0};
	bool has = depot_get(d, t, key, size, &w) == ERR_OK;
	wr_free(&w);
	return has;
}

bool grants_has(struct node *n, const uint8_t uid[UID_SIZE])
{
	return has_row(node_depot(n), DEPOT_GRANTS, uid, UID_SIZE);
}

enum err grants_keep(struct node *n, const uint8_t uid[UID_SIZE], struct errmsg *msg)
{
	uint8_t key[KEY_SIZE];
	mark_key(uid, key);
	if (!grants_has(n, uid) || has_row(node_depot(n), DEPOT_SETTINGS, key, sizeof key))
		return ERR_OK;
	struct depot_batch *b = depot_batch_new(node_depot(n));
	if (!b)
		return ERR_NOMEM;
	depot_put(b, DEPOT_SETTINGS, key, sizeof key, "", 1);
	enum err e = depot_write(b, msg);
	depot_batch_free(b);
	return e;
}

/* ---- list ---- */

static bool add_row(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                    size_t size)
{
	struct sweep *s = ctx;
	if (key_size == UID_SIZE)
		memcpy(s->uids[s->count++], key, UID_SIZE);
	return s->count < SWEEP_MAX;
}

static void keep_if(struct sweep *s, bool (*keep)(struct sweep *s, const uint8_t *uid))
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < s->count; i++)
		if (keep(s, s->uids[i]))
			memmove(s->uids[left++], s->uids[i], UID_SIZE);
	s->count = left;
}

static bool is_unclaimed(struct sweep *s, const uint8_t *uid)
{
	struct depot *d = node_depot(s->moves->node);
	uint8_t key[KEY_SIZE];
	mark_key(uid, key);
	return !has_row(d, DEPOT_SETTINGS, key, sizeof key) &&
	       !has_row(d, DEPOT_OWNERS, uid, UID_SIZE);
}

static void list_run(void *ctx)
{
	struct sweep *s = ctx;
	s->err = depot_each(node_depot(s->moves->node), DEPOT_GRANTS, add_row, s);
	keep_if(s, is_unclaimed);
}

/* ---- look, remove ---- */

static bool is_over(struct sweep *s, const uint8_t *uid)
{
	struct node *n = s->moves->node;
	struct move_status st;
	for (const struct process *p = process_first(n); p; p = p->next)
		if (!memcmp(p->uid, uid, UID_SIZE) && (process_alive(p) || p->cut_off))
			return false;
	return !moves_record(n, uid) && !moves_status(n, uid, &st);
}

static void remove_run(void *ctx)
{
	struct sweep *s = ctx;
	struct depot_batch *b = depot_batch_new(node_depot(s->moves->node));
	s->err = b ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; b && i < s->count; i++)
		depot_del(b, DEPOT_GRANTS, s->uids[i], UID_SIZE);
	if (b)
		s->err = depot_write(b, &s->msg);
	depot_batch_free(b);
}

static void removed(void *ctx)
{
	struct sweep *s = ctx;
	struct node *n = s->moves->node;
	move_step(s->moves, "grants", "REMOVED");
	if (s->err == ERR_OK)
		node_log(n, LOG_INFO, "moves",
		         "what %u programs that are over were given was forgotten", s->count);
	else
		node_log(n, LOG_WARN, "moves", "what programs that are over were given stays: %s",
		         s->msg.text[0] ? s->msg.text : err_text(s->err));
	free(s);
}

static void listed(void *ctx)
{
	struct sweep *s = ctx;
	keep_if(s, is_over);
	if (s->err != ERR_OK || !s->count || s->moves->closing) {
		free(s);
		return;
	}
	move_step(s->moves, "grants", "REMOVE");
	work_start(s->moves->node, &s->moves->work, remove_run, removed, s);
}

void grants_sweep(struct moves *m)
{
	struct sweep *s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->moves = m;
	work_start(m->node, &m->work, list_run, listed, s);
}
