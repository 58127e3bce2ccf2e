/* kin_split.c - the processes of a new family in the node's table (kin_split.h). */
#include "node/process/kin_split.h"

#include "base/os.h"
#include "node/links/fs_remote.h"
#include "node/links/link.h"
#include "node/moves/moves.h"
#include "node/moves/saver.h"
#include "node/node.h"
#include "node/process/kin.h"
#include "node/sockets/outside.h"
#include "node/sockets/socket.h"
#include "node/wali/split.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"
#include "vfs/mount.h"
#include "vfs/remote.h"

#include <stdlib.h>
#include <string.h>

struct splitting {
	struct process *p, *leader; /* who was named; of the family as it was. In the grip */
	enum split_who who;
	struct kin_grip *grip;
	struct process *members[KIN_MAX]; /* of the new family */
	uint32_t count;
	bool leader_is_meant; /* the new family are those that stay */
	split_fn fn;
	void *ctx;
	enum err err;
	struct errmsg msg;
};

/* Both families run on; fresh: who leads the new one, NULL: there is none. */
static void finish(struct splitting *s, struct process *fresh)
{
	kin_release(s->leader);
	if (fresh)
		kin_release(fresh);
	kin_grip_free(s->grip);
	struct process *meant = fresh && !s->leader_is_meant ? fresh : s->leader;
	s->fn(s->ctx, s->err, &s->msg, s->err == ERR_OK ? meant : NULL);
	free(s);
}

/* ---- which of them ---- */

static bool is_meant(const struct splitting *s, struct process *r)
{
	if (s->who == SPLIT_ALONE)
		return r == s->p;
	return r == s->p ||
	       (r->wali && s->p->wali && wali_group(r->wali) == wali_group(s->p->wali));
}

/* The leader keeps the record: when it is meant, the others become a family of their own. False: there are no others. */
static bool choose(struct splitting *s)
{
	uint32_t all = kin_grip_count(s->grip);
	s->leader_is_meant = is_meant(s, kin_grip_at(s->grip, 0));
	for (uint32_t i = 0; i < all; i++)
		if (is_meant(s, kin_grip_at(s->grip, i)) != s->leader_is_meant)
			s->members[s->count++] = kin_grip_at(s->grip, i);
	return s->count > 0;
}

/* ---- the new family's place in the table ---- */

static enum err new_kin(struct splitting *s, const uint8_t key[SPACE_KEY_SIZE])
{
	struct kin *k = kin_new();
	if (!k)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < s->count; i++) {
		struct process *p = s->members[i];
		kin_unref(p->kin);
		p->kin = kin_ref(k);
		p->leads = false;
		memcpy(p->net_key, key, sizeof p->net_key);
	}
	kin_unref(k);
	return ERR_OK;
}

static void lead(struct splitting *s, uint32_t checkpoint_s)
{
	struct process *first = s->members[0];
	first->leads = true;
	first->move = NULL;
	first->checkpoint_s = checkpoint_s;
	kin_set_epoch(first, 1);
}

/* Folders are granted to a family by their home, when it leaves there. */
static enum err look_at_folders(struct splitting *s, const struct process *p)
{
	const struct vfs_ns *ns = wasi_ns(p->wasi);
	for (uint32_t i = 0; i < vfs_ns_count(ns); i++) {
		const struct vfs_mount *m = vfs_ns_at(ns, i);
		if (!vfs_is_remote(m->root))
			continue;
		const char *home = peer_called(p->node, m->home);
		home = home ? home : "a device that is not known";
		return err_set(&s->msg, ERR_UNSUPPORTED,
		               "%s is a folder of %s, and a family is parted where its folders "
		               "are: move all of it to %s first",
		               m->guest, home, home);
	}
	return ERR_OK;
}

static enum err part(struct splitting *s)
{
	struct wali *walis[KIN_MAX];
	uint8_t key[SPACE_KEY_SIZE];
	struct process *p = s->members[0];
	for (uint32_t i = 0; i < s->count; i++)
		if (!(walis[i] = s->members[i]->wali))
			return err_set(&s->msg, ERR_UNSUPPORTED, "process %u is no Linux program",
			               s->members[i]->pid);
	os_random(key, sizeof key);
	TRY(look_at_folders(s, p));
	TRY(process_grant(p, wasi_ns(p->wasi), &s->msg)); /* its image is read here, too */
	TRY(family_split(walis, s->count, key, &s->msg));
	enum net_mode granted = net_granted(p->node, p->net_key);
	if (granted != NET_NONE)
		net_grant(p->node, key, granted);
	TRY(new_kin(s, key));
	lead(s, s->leader->checkpoint_s);
	return ERR_OK;
}

/* ---- one after the other ---- */

static void written(void *ctx, enum err e, const struct errmsg *msg)
{
	struct splitting *s = ctx;
	s->err = e;
	s->msg = *msg;
	if (process_alive(s->leader))
		moves_ended_meanwhile(s->leader->node, s->leader->uid);
	finish(s, s->members[0]);
}

/* The old image has those that have left in it. */
static void forget_image(struct splitting *s)
{
	const struct owner *known = moves_record(s->leader->node, s->leader->uid);
	if (!known || chunk_addr_is_null(&known->image)) {
		finish(s, s->members[0]);
		return;
	}
	struct owner o = moves_record_of(s->leader->node, s->leader);
	o.image = (struct chunk_addr){0};
	moves_write(s->leader->node, &o, written, s);
}

static void frozen(void *ctx, enum err e)
{
	struct splitting *s = ctx;
	s->err = e;
	if (e == ERR_OK && !kin_stand(s->grip))
		s->err = ERR_CLOSED;
	if (s->err == ERR_OK && !choose(s)) {
		finish(s, NULL);
		return;
	}
	if (s->err == ERR_OK)
		s->err = part(s);
	if (s->err == ERR_OK)
		forget_image(s);
	else
		finish(s, NULL);
}

static void left(void *ctx)
{
	struct splitting *s = ctx;
	kin_freeze(s->grip, frozen, s);
}

void kin_split(struct process *p, enum split_who who, split_fn fn, void *ctx)
{
	struct errmsg msg = {0};
	struct process *leader = kin_leader(p);
	struct splitting *s = calloc(1, sizeof *s);
	enum err e = s ? kin_is_free(leader, &msg) : ERR_NOMEM;
	if (e == ERR_OK)
		e = kin_grip_new(leader, &s->grip, &msg);
	if (e != ERR_OK) {
		free(s);
		fn(ctx, e, &msg, NULL);
		return;
	}
	s->p = p;
	s->leader = leader;
	s->who = who;
	s->fn = fn;
	s->ctx = ctx;
	kin_hold(leader, HOLD_MOVING);
	saver_leave(p->node, leader, left, s);
}
