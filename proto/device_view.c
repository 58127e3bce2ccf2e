/* device_view.c - what a set of entries says, seen by one device. The rules stand in device_log.h.
 *
 * In steps, each of which only needs the ones before it, so that the answer is one whatever the order:
 *	ever      who was added at all, from `me` on: adds, void or not
 *	cuts      removals and roles by those, and changes of key: what may make another entry void
 *	vouched   who was added by entries that no cut makes void
 *	the rest  members, roles, names
 * The first step counts too many, and on purpose: a removal is to be lost for no reason. */
#include "proto/device_log_impl.h"

#include <stdlib.h>
#include <string.h>

static bool has(const struct view *v, unsigned i)
{
	return !v->set || bits_has(v->set, i);
}

static const struct log_entry *entry(const struct view *v, unsigned i)
{
	return v->log->at[i];
}

/* `who` grows by what those in it have added, until it no longer does. */
static void close_over(const struct view *v, bool *who, bool (*fit)(const struct view *, unsigned))
{
	bool grew = true;
	who[v->me] = true;
	while (grew) {
		grew = false;
		for (unsigned i = 0; i < v->log->count; i++) {
			const struct log_entry *e = entry(v, i);
			if (e->act != DEVICE_ADD || !has(v, i) || !who[e->author] ||
			    who[e->subject] || !fit(v, i))
				continue;
			who[e->subject] = grew = true;
		}
	}
}

static bool always(const struct view *v, unsigned i)
{
	(void)v;
	(void)i;
	return true;
}

static bool is_cut(const struct view *v, const struct log_entry *e)
{
	switch (e->act) {
	case DEVICE_KEYS: return true;
	case DEVICE_REMOVE: return v->ever[e->author];
	case DEVICE_ADD:
	case DEVICE_ROLE: return e->role == DEVICE_ROLE_FILES && v->ever[e->author];
	default: return false;
	}
}

/* Nothing that its author was cut off from without knowing. Who came as "files only" never had a word for others. */
static bool counts(const struct view *v, unsigned i)
{
	const struct log_entry *e = entry(v, i);
	if (e->author == v->me)
		return true;
	for (unsigned k = 0; k < v->cut_count; k++) {
		unsigned c = v->cuts[k];
		const struct log_entry *cut = entry(v, c);
		if (cut->subject != e->author || bits_has(&e->before, c))
			continue;
		if (cut->act == DEVICE_ADD || !bits_has(&cut->before, i))
			return false;
	}
	return true;
}

void log_view_of(struct view *v, const struct device_log *l, const struct bits *set, unsigned me)
{
	memset(v, 0, sizeof *v);
	v->log = l;
	v->set = set;
	v->me = me;
	close_over(v, v->ever, always);
	for (unsigned i = 0; i < l->count; i++)
		if (has(v, i) && is_cut(v, entry(v, i)))
			v->cuts[v->cut_count++] = i;
	close_over(v, v->vouched, counts);
}

static bool is_removal(const struct view *v, unsigned i, unsigned device)
{
	const struct log_entry *e = entry(v, i);
	return has(v, i) && e->act == DEVICE_REMOVE && e->subject == device && v->ever[e->author];
}

/* An entry about the device by somebody whose word counts. */
static bool speaks(const struct view *v, unsigned i, unsigned device)
{
	const struct log_entry *e = entry(v, i);
	return has(v, i) && e->subject == device && v->vouched[e->author] && counts(v, i);
}

static bool knows_all_removals(const struct view *v, const struct log_entry *add, unsigned device)
{
	for (unsigned k = 0; k < v->cut_count; k++)
		if (is_removal(v, v->cuts[k], device) && !bits_has(&add->before, v->cuts[k]))
			return false;
	return true;
}

static bool is_removed(const struct view *v, unsigned device)
{
	bool removed = false;
	for (unsigned k = 0; k < v->cut_count && !removed; k++)
		removed = is_removal(v, v->cuts[k], device);
	for (unsigned i = 0; removed && i < v->log->count; i++)
		if (entry(v, i)->act == DEVICE_ADD && speaks(v, i, device) &&
		    knows_all_removals(v, entry(v, i), device))
			removed = false;
	return removed;
}

bool view_member(const struct view *v, unsigned device)
{
	bool forked;
	return v->vouched[device] && view_keys(v, device, &forked) && !forked &&
	       !is_removed(v, device);
}

/* Is there a later word on the role by somebody who knew of this one? */
static bool is_superseded(const struct view *v, unsigned i, unsigned device)
{
	for (unsigned j = i + 1; j < v->log->count; j++) {
		const struct log_entry *e = entry(v, j);
		if ((e->act == DEVICE_ADD || e->act == DEVICE_ROLE) && bits_has(&e->before, i) &&
		    speaks(v, j, device))
			return true;
	}
	return false;
}

enum device_role view_role(const struct view *v, unsigned device)
{
	for (unsigned i = 0; i < v->log->count; i++) {
		const struct log_entry *e = entry(v, i);
		if ((e->act == DEVICE_ADD || e->act == DEVICE_ROLE) &&
		    e->role == DEVICE_ROLE_FILES && speaks(v, i, device) &&
		    !is_superseded(v, i, device))
			return DEVICE_ROLE_FILES;
	}
	return DEVICE_ROLE_FULL;
}

static bool begins_with(const struct log_entry *longer, const struct log_entry *e)
{
	for (unsigned i = 0; i < e->key_count; i++)
		if (memcmp(longer->keys[i].key, e->keys[i].key, CRYPTO_KEY_SIZE) != 0)
			return false;
	return true;
}

const struct log_entry *view_keys(const struct view *v, unsigned device, bool *forked)
{
	const struct log_entry *best = NULL;
	*forked = false;
	for (unsigned i = 0; i < v->log->count; i++) {
		const struct log_entry *e = entry(v, i);
		if (e->key_count && e->author == device && has(v, i) &&
		    (!best || e->key_count > best->key_count))
			best = e;
	}
	for (unsigned i = 0; best && i < v->log->count; i++) {
		const struct log_entry *e = entry(v, i);
		if (e->key_count && e->author == device && has(v, i) && !begins_with(best, e))
			*forked = true;
	}
	return best;
}

/* --- rows --- */

static const char *view_name(const struct view *v, unsigned device)
{
	const struct log_entry *best = NULL;
	for (unsigned i = 0; i < v->log->count; i++) {
		const struct log_entry *e = entry(v, i);
		bool own = e->author == device && e->subject == device && has(v, i);
		if (!e->name[0] || !(own || speaks(v, i, device)))
			continue;
		if (!best || e->depth > best->depth ||
		    (e->depth == best->depth && memcmp(e->hash, best->hash, sizeof e->hash) > 0))
			best = e;
	}
	return best ? best->name : "";
}

static void note_author(const struct view *v, const struct log_entry *e, struct device_row *out)
{
	memcpy(out->by, v->log->ids[e->author], sizeof out->by);
}

/* Since when, and by whom: the add with the longest history, or the first removal. */
static void note_times(const struct view *v, unsigned device, struct device_row *out)
{
	const struct log_entry *add = NULL;
	for (unsigned i = 0; i < v->log->count; i++) {
		const struct log_entry *e = entry(v, i);
		if (e->act == DEVICE_ADD && speaks(v, i, device) && (!add || e->depth > add->depth))
			add = e;
		if (e->act == DEVICE_FOUND && e->author == device && !out->since_ms)
			out->since_ms = e->time_ms;
	}
	if (add) {
		out->since_ms = add->time_ms;
		note_author(v, add, out);
	}
	if (out->state != DEVICE_REMOVED)
		return;
	for (unsigned k = 0; k < v->cut_count; k++) {
		if (!is_removal(v, v->cuts[k], device))
			continue;
		out->removed_ms = entry(v, v->cuts[k])->time_ms;
		note_author(v, entry(v, v->cuts[k]), out);
		return;
	}
}

static void fill_row(const struct view *v, unsigned device, struct device_row *out)
{
	const struct log_entry *keys = view_keys(v, device, &out->two_hands);
	memcpy(out->id, v->log->ids[device], sizeof out->id);
	if (keys) {
		out->keys = keys->key_count;
		const uint8_t *key = keys->keys[keys->key_count - 1].key;
		memcpy(out->sign_key, key, sizeof out->sign_key);
		crypto_xed_x25519(out->key, key);
	}
	memcpy(out->name, view_name(v, device), sizeof out->name);
	out->state = !v->ever[device] || !keys                 ? DEVICE_STRANGER
	             : view_member(v, device)                  ? DEVICE_MEMBER
	             : is_removed(v, device) || out->two_hands ? DEVICE_REMOVED
	                                                       : DEVICE_STRANGER;
	out->role = view_role(v, device);
	note_times(v, device, out);
}

static unsigned number_of(const struct device_log *l, const uint8_t id[CRYPTO_HASH_SIZE])
{
	unsigned i = 0;
	while (i < l->id_count && memcmp(l->ids[i], id, CRYPTO_HASH_SIZE) != 0)
		i++;
	return i;
}

unsigned device_log_rows(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                         struct device_row *out, unsigned max)
{
	struct view v;
	unsigned self = number_of(l, me), count = 0;
	if (self == l->id_count)
		return 0;
	log_view_of(&v, l, NULL, self);
	for (; count < l->id_count && count < max; count++) {
		memset(&out[count], 0, sizeof out[count]);
		fill_row(&v, count, &out[count]);
	}
	return count;
}

enum err device_log_row(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                        const uint8_t id[CRYPTO_HASH_SIZE], struct device_row *out)
{
	struct view v;
	unsigned self = number_of(l, me), device = number_of(l, id);
	memset(out, 0, sizeof *out);
	if (self == l->id_count || device == l->id_count)
		return ERR_NOTFOUND;
	log_view_of(&v, l, NULL, self);
	fill_row(&v, device, out);
	return ERR_OK;
}

unsigned device_log_removals(const struct device_log *l, const uint8_t me[CRYPTO_HASH_SIZE],
                             const uint8_t id[CRYPTO_HASH_SIZE], unsigned *out, unsigned max)
{
	struct view v;
	unsigned self = number_of(l, me), device = number_of(l, id), count = 0;
	if (self == l->id_count || device == l->id_count)
		return 0;
	log_view_of(&v, l, NULL, self);
	for (unsigned k = 0; k < v.cut_count && count < max; k++)
		if (is_removal(&v, v.cuts[k], device))
			out[count++] = v.cuts[k];
	return count;
}
