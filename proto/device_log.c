/* device_log.c - the set of entries: decoding, what makes an entry valid, writing, and what another copy lacks.
 *
 * An entry is judged by its own ancestors alone, seen by its author: so every copy of the log judges it alike, and one that was
 * valid stays so. What it then has to say is another matter (device_view.c). */
#include "proto/device_log_impl.h"

#include "proto/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char entry_label[] = "WasmOS device log 1";
static const char key_label[] = "WasmOS device key 1";

_Static_assert(LOG_PLACES % 64 == 0, "whole words");

struct device_log *device_log_new(void)
{
	return calloc(1, sizeof(struct device_log));
}

static void entry_free(struct log_entry *e)
{
	if (e) {
		free(e->bytes);
		free(e->keys);
	}
	free(e);
}

void device_log_free(struct device_log *l)
{
	for (unsigned i = 0; l && i < l->count; i++)
		entry_free(l->at[i]);
	free(l);
}

unsigned device_log_count(const struct device_log *l)
{
	return l->count;
}

struct device_entry device_log_at(const struct device_log *l, unsigned i)
{
	const struct log_entry *e = l->at[i];
	return (struct device_entry){e->bytes, e->size, e->proof};
}

/* l->count: it is not there. */
static unsigned find(const struct device_log *l, const uint8_t hash[DEVICE_LOG_HASH_SIZE])
{
	unsigned i = 0;
	while (i < l->count && memcmp(l->at[i]->hash, hash, DEVICE_LOG_HASH_SIZE) != 0)
		i++;
	return i;
}

/* The device's number; of a new one the next, which it gets when its first entry is kept. */
static unsigned device_number(const struct device_log *l, const uint8_t id[CRYPTO_HASH_SIZE])
{
	unsigned i = 0;
	while (i < l->id_count && memcmp(l->ids[i], id, CRYPTO_HASH_SIZE) != 0)
		i++;
	return i;
}

/* --- signatures --- */

/* What is signed: the label, its zero byte, and the bytes. */
static void labelled(struct wr *w, const char *label, const void *a, size_t a_size, const void *b,
                     size_t b_size)
{
	wr_bytes(w, label, strlen(label) + 1);
	wr_bytes(w, a, a_size);
	wr_bytes(w, b, b_size);
}

static enum err verify(const char *label, const void *a, size_t a_size, const void *b,
                       size_t b_size, const uint8_t *key, const uint8_t *proof)
{
	struct wr w = {0};
	labelled(&w, label, a, a_size, b, b_size);
	enum err e = wr_ok(&w) ? crypto_xed_verify(proof, key, w.data, w.size) : ERR_NOMEM;
	wr_free(&w);
	return e;
}

static enum err sign(const char *label, const void *a, size_t a_size, const void *b, size_t b_size,
                     const uint8_t *secret, uint8_t proof[CRYPTO_SIGN_SIZE])
{
	struct wr w = {0};
	labelled(&w, label, a, a_size, b, b_size);
	if (wr_ok(&w))
		crypto_xed_sign(proof, secret, w.data, w.size);
	enum err e = wr_ok(&w) ? ERR_OK : ERR_NOMEM;
	wr_free(&w);
	return e;
}

/* The first key makes the id, each further one is signed with the one before it, the first with itself. */
static enum err check_keys(const struct log_entry *e, const uint8_t id[CRYPTO_HASH_SIZE],
                           struct errmsg *msg)
{
	uint8_t x25519[CRYPTO_KEY_SIZE], hash[CRYPTO_HASH_SIZE];
	for (unsigned i = 0; i < e->key_count; i++) {
		const struct log_key *k = &e->keys[i], *by = i ? k - 1 : k;
		if (crypto_xed_x25519(x25519, k->key) != ERR_OK ||
		    verify(key_label, id, CRYPTO_HASH_SIZE, k->key, sizeof k->key, by->key,
		           k->proof) != ERR_OK)
			return err_set(msg, ERR_AUTH,
			               "device log: key %u of %u is not its author's", i,
			               e->key_count);
		crypto_blake2b(hash, x25519, sizeof x25519);
		if (i == 0 && memcmp(hash, id, sizeof hash) != 0)
			return err_set(msg, ERR_AUTH,
			               "device log: the first key is of another device");
	}
	return ERR_OK;
}

/* --- from bytes --- */

/* What an act carries and what it must not: one form each. */
static enum err check_form(const struct msg_device_entry *m, struct errmsg *msg)
{
	bool self = memcmp(m->author, m->subject, sizeof m->author) == 0;
	bool found = m->act == DEVICE_FOUND, keys = m->act == DEVICE_KEYS;
	bool fit = m->act && m->act < DEVICE_ACTS && m->role < DEVICE_ROLES &&
	           (m->keys.count > 0) == (found || keys) &&
	           (m->name.size > 0) == (found || m->act == DEVICE_NAME) &&
	           (m->parents.count == 0) == found && (!keys || m->keys.count > 1);
	if (found || keys)
		fit = fit && self;
	if (m->act == DEVICE_ADD || m->act == DEVICE_ROLE)
		fit = fit && !self;
	else
		fit = fit && m->role == 0;
	return fit ? ERR_OK
	           : err_set(msg, ERR_INVALID, "device log: act %u has not its fields", m->act);
}

static enum err take_keys(struct log_entry *e, struct list_ref list)
{
	struct msg_device_key k;
	if (!list.count)
		return ERR_OK;
	e->keys = calloc(list.count, sizeof *e->keys);
	if (!e->keys)
		return ERR_NOMEM;
	while (msg_next_device_key(&list, &k)) {
		memcpy(e->keys[e->key_count].key, k.key, sizeof k.key);
		memcpy(e->keys[e->key_count++].proof, k.proof, sizeof k.proof);
	}
	return ERR_OK;
}

/* Parents stand in rising order, so that there is one form and none twice. */
static enum err take_parents(const struct device_log *l, struct log_entry *e, struct list_ref list,
                             struct errmsg *msg)
{
	struct msg_device_parent p, last = {{0}};
	bool first = true;
	while (msg_next_device_parent(&list, &p)) {
		if (!first && memcmp(last.hash, p.hash, sizeof p.hash) >= 0)
			return err_set(msg, ERR_INVALID, "device log: parents out of order");
		unsigned i = find(l, p.hash);
		if (i == l->count)
			return err_set(msg, ERR_NOTFOUND, "device log: a parent is missing");
		bits_put(&e->before, i);
		for (unsigned w = 0; w < LOG_WORDS; w++)
			e->before.words[w] |= l->at[i]->before.words[w];
		if (l->at[i]->depth > e->depth)
			e->depth = l->at[i]->depth;
		last = p;
		first = false;
	}
	e->depth++;
	return ERR_OK;
}

static enum err decode(const struct device_log *l, const void *bytes, size_t size,
                       struct log_entry *e, struct msg_device_entry *m, struct errmsg *msg)
{
	enum msg type;
	union msg_any any;
	if (size > DEVICE_LOG_ENTRY_MAX)
		return err_set(msg, ERR_LIMIT, "device log: an entry of %zu bytes, at most %d",
		               size, DEVICE_LOG_ENTRY_MAX);
	TRY(msg_decode(bytes, size, &type, &any, msg));
	if (type != MSG_DEVICE_ENTRY)
		return err_set(msg, ERR_MALFORMED, "device log: %s is no entry", msg_name(type));
	*m = any.device_entry;
	TRY(check_form(m, msg));
	e->act = (enum device_act)m->act;
	e->role = (enum device_role)m->role;
	e->time_ms = m->time_ms;
	TRY(str_copy(m->name, e->name, sizeof e->name));
	TRY(take_keys(e, m->keys));
	return take_parents(l, e, m->parents, msg);
}

/* --- what an author may write --- */

static enum err denied(struct errmsg *msg, const char *why)
{
	return err_set(msg, ERR_DENIED, "device log: %s", why);
}

static bool is_founded(const struct view *v, unsigned device)
{
	bool forked;
	return view_keys(v, device, &forked) != NULL;
}

static enum err may_write(const struct view *v, const struct log_entry *e, struct errmsg *msg)
{
	bool self = e->author == e->subject;
	if (!view_member(v, e->author))
		return denied(msg, "its author was removed, and knew it");
	if (!self && view_role(v, e->author) != DEVICE_ROLE_FULL)
		return denied(msg, "its author is \"files only\"");
	if (e->act == DEVICE_ADD)
		return is_founded(v, e->subject) ? ERR_OK
		                                 : denied(msg, "it adds an unknown device");
	if (!self && !view_member(v, e->subject))
		return denied(msg, "it is about a device that is no member");
	return ERR_OK;
}

/* Its keys are those before it, and one more. */
static bool grows(const struct log_entry *old, const struct log_entry *e)
{
	bool same = e->key_count == old->key_count + 1;
	for (unsigned i = 0; same && i < old->key_count; i++)
		same = memcmp(old->keys[i].key, e->keys[i].key, CRYPTO_KEY_SIZE) == 0;
	return same;
}

/* The key it is to be signed with. */
static enum err signing_key(const struct view *v, const struct log_entry *e, const uint8_t **key,
                            struct errmsg *msg)
{
	bool forked;
	const struct log_entry *old = view_keys(v, e->author, &forked);
	if (e->act != DEVICE_FOUND && !old)
		return denied(msg, "its author is unknown to it");
	if (e->act == DEVICE_KEYS && !grows(old, e))
		return denied(msg, "a change of key that does not follow the last one");
	const struct log_entry *from = e->key_count ? e : old;
	*key = from->keys[from->key_count - 1].key;
	return ERR_OK;
}

static enum err judge(struct device_log *l, const struct log_entry *e,
                      const uint8_t id[CRYPTO_HASH_SIZE], struct errmsg *msg)
{
	struct view v;
	const uint8_t *key = NULL;
	log_view_of(&v, l, &e->before, e->author);
	TRY(signing_key(&v, e, &key, msg));
	TRY(check_keys(e, id, msg));
	if (verify(entry_label, e->bytes, e->size, NULL, 0, key, e->proof) != ERR_OK)
		return err_set(msg, ERR_AUTH, "device log: an entry is not signed by its author");
	return e->act == DEVICE_FOUND ? ERR_OK : may_write(&v, e, msg);
}

static enum err has_room(const struct device_log *l, const struct log_entry *e, struct errmsg *msg)
{
	unsigned max = e->act == DEVICE_REMOVE ? LOG_PLACES : DEVICE_LOG_ENTRIES_MAX;
	return l->count < max ? ERR_OK
	                      : err_set(msg, ERR_LIMIT, "device log: it is full: %u entries", max);
}

/* Numbers the two devices; a new one's number is given for good. */
static enum err number_devices(struct device_log *l, const struct msg_device_entry *m,
                               struct log_entry *e, struct errmsg *msg)
{
	e->author = device_number(l, m->author);
	if (e->author == l->id_count && e->act != DEVICE_FOUND)
		return denied(msg, "its author is unknown");
	if (e->author == DEVICE_LOG_DEVICES_MAX)
		return err_set(msg, ERR_LIMIT, "device log: more than %d devices",
		               DEVICE_LOG_DEVICES_MAX);
	e->subject = memcmp(m->author, m->subject, sizeof m->author) ? device_number(l, m->subject)
	                                                             : e->author;
	if (e->subject != e->author && e->subject == l->id_count)
		return denied(msg, "it is about an unknown device");
	memcpy(l->ids[e->author], m->author, sizeof m->author); /* counted when the entry is kept */
	return ERR_OK;
}

static void keep(struct device_log *l, struct log_entry *e)
{
	if (e->author == l->id_count)
		l->id_count++;
	for (unsigned i = 0; i < l->count; i++)
		l->at[i]->is_parent |= bits_has(&e->before, i);
	l->at[l->count++] = e;
}

static enum err try_entry(struct device_log *l, struct log_entry *e, struct errmsg *msg)
{
	struct msg_device_entry m;
	TRY(decode(l, e->bytes, e->size, e, &m, msg));
	TRY(has_room(l, e, msg));
	TRY(number_devices(l, &m, e, msg));
	return judge(l, e, m.author, msg);
}

enum err device_log_take(struct device_log *l, const void *bytes, size_t size,
                         const uint8_t proof[CRYPTO_SIGN_SIZE], struct errmsg *msg)
{
	uint8_t hash[DEVICE_LOG_HASH_SIZE];
	crypto_blake2b(hash, bytes, size);
	if (find(l, hash) < l->count)
		return ERR_EXISTS;
	struct log_entry *e = calloc(1, sizeof *e);
	enum err err = e && (e->bytes = malloc(size ? size : 1)) ? ERR_OK : ERR_NOMEM;
	if (err == ERR_OK) {
		memcpy(e->bytes, bytes, size);
		memcpy(e->proof, proof, sizeof e->proof);
		memcpy(e->hash, hash, sizeof hash);
		e->size = size;
		err = try_entry(l, e, msg);
	}
	if (err == ERR_OK)
		keep(l, e);
	else
		entry_free(e);
	return err;
}

/* --- writing --- */

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, DEVICE_LOG_HASH_SIZE);
}

unsigned device_log_heads(const struct device_log *l, uint8_t (*out)[DEVICE_LOG_HASH_SIZE])
{
	unsigned count = 0;
	for (unsigned i = l->count; i-- > 0 && count < DEVICE_LOG_HEADS_MAX;)
		if (!l->at[i]->is_parent)
			memcpy(out[count++], l->at[i]->hash, DEVICE_LOG_HASH_SIZE);
	return count;
}

static enum err put_parents(const struct device_log *l, struct wr *items,
                            struct msg_device_entry *m)
{
	uint8_t heads[DEVICE_LOG_HEADS_MAX][DEVICE_LOG_HASH_SIZE];
	unsigned count = device_log_heads(l, heads);
	if (count > DEVICE_LOG_PARENTS_MAX)
		count = DEVICE_LOG_PARENTS_MAX;
	qsort(heads, count, sizeof heads[0], by_hash);
	for (unsigned i = 0; i < count; i++) {
		struct msg_device_parent p;
		memcpy(p.hash, heads[i], sizeof p.hash);
		TRY(msg_item_device_parent(items, &p, NULL));
	}
	m->parents = list_of(items, count);
	return ERR_OK;
}

/* Signs and takes; m has all but its parents and keys. */
static enum err put_entry(struct device_log *l, struct msg_device_entry *m, const uint8_t *secret,
                          struct errmsg *msg)
{
	struct wr parents = {0}, bytes = {0};
	uint8_t proof[CRYPTO_SIGN_SIZE];
	enum err e = m->act == DEVICE_FOUND ? ERR_OK : put_parents(l, &parents, m);
	if (e == ERR_OK)
		e = msg_encode(&bytes, MSG_DEVICE_ENTRY, m, msg);
	if (e == ERR_OK)
		e = sign(entry_label, bytes.data, bytes.size, NULL, 0, secret, proof);
	if (e == ERR_OK)
		e = device_log_take(l, bytes.data, bytes.size, proof, msg);
	wr_free(&parents);
	wr_free(&bytes);
	return e;
}

enum err device_log_write(struct device_log *l, const struct device_author *who,
                          const struct device_change *change, uint64_t time_ms, struct errmsg *msg)
{
	struct msg_device_entry m = {
	    .act = (uint8_t)change->act, .time_ms = time_ms, .role = (uint8_t)change->role};
	memcpy(m.author, who->id, sizeof m.author);
	memcpy(m.subject, change->subject, sizeof m.subject);
	if (change->name)
		m.name = str_ref(change->name);
	return put_entry(l, &m, who->secret, msg);
}

/* The keys a device has had by this log, as items of a list. */
static enum err old_keys(const struct device_log *l, const uint8_t *id, struct wr *items,
                         unsigned *count)
{
	struct view v;
	bool forked;
	unsigned device = l ? device_number(l, id) : 0;
	*count = 0;
	if (!l || device == l->id_count)
		return ERR_OK;
	log_view_of(&v, l, NULL, device);
	const struct log_entry *old = view_keys(&v, device, &forked);
	for (unsigned i = 0; old && i < old->key_count; i++) {
		struct msg_device_key k;
		memcpy(k.key, old->keys[i].key, sizeof k.key);
		memcpy(k.proof, old->keys[i].proof, sizeof k.proof);
		TRY(msg_item_device_key(items, &k, NULL));
		++*count;
	}
	return ERR_OK;
}

/* One key more, signed with secret. */
static enum err put_key(struct wr *items, const uint8_t *id, const uint8_t *secret,
                        const uint8_t *next)
{
	struct msg_device_key k;
	crypto_xed_public(k.key, next);
	TRY(sign(key_label, id, CRYPTO_HASH_SIZE, k.key, sizeof k.key, secret, k.proof));
	return msg_item_device_key(items, &k, NULL);
}

/* An entry with all keys: those of from, and next if it is not NULL. */
static enum err put_keys_entry(struct device_log *l, const struct device_log *from,
                               struct msg_device_entry *m, const uint8_t *secret,
                               const uint8_t *next, struct errmsg *msg)
{
	struct wr items = {0};
	unsigned count = 0;
	enum err e = old_keys(from, m->author, &items, &count);
	if (e == ERR_OK && !next && !count)
		next = secret; /* its first */
	if (e == ERR_OK && next && count == DEVICE_LOG_KEYS_MAX)
		e = err_set(msg, ERR_LIMIT, "this device has had %u keys; no more fit", count);
	if (e == ERR_OK && next) {
		e = put_key(&items, m->author, secret, next);
		count++;
	}
	m->keys = list_of(&items, count);
	if (e == ERR_OK)
		e = put_entry(l, m, next ? next : secret, msg);
	wr_free(&items);
	return e;
}

static struct msg_device_entry about_self(enum device_act act, const struct device_author *who,
                                          uint64_t time_ms)
{
	struct msg_device_entry m = {.act = (uint8_t)act, .time_ms = time_ms};
	memcpy(m.author, who->id, sizeof m.author);
	memcpy(m.subject, who->id, sizeof m.subject);
	return m;
}

enum err device_log_found(struct device_log *l, const struct device_author *who, const char *name,
                          const struct device_log *from, uint64_t time_ms, struct errmsg *msg)
{
	struct msg_device_entry m = about_self(DEVICE_FOUND, who, time_ms);
	m.name = str_ref(name);
	return put_keys_entry(l, from, &m, who->secret, NULL, msg);
}

enum err device_log_rotate(struct device_log *l, const struct device_author *who,
                           const uint8_t next_secret[CRYPTO_KEY_SIZE], uint64_t time_ms,
                           struct errmsg *msg)
{
	struct msg_device_entry m = about_self(DEVICE_KEYS, who, time_ms);
	return put_keys_entry(l, l, &m, who->secret, next_secret, msg);
}

/* --- what another copy lacks --- */

void device_log_lacks(const struct device_log *l, const uint8_t (*heads)[DEVICE_LOG_HASH_SIZE],
                      unsigned count, bool lacks[LOG_PLACES])
{
	struct bits there = {{0}};
	for (unsigned k = 0; k < count; k++) {
		unsigned i = find(l, heads[k]);
		if (i == l->count)
			continue;
		bits_put(&there, i);
		for (unsigned w = 0; w < LOG_WORDS; w++)
			there.words[w] |= l->at[i]->before.words[w];
	}
	for (unsigned i = 0; i < l->count; i++)
		lacks[i] = !bits_has(&there, i);
}

void device_log_history(const struct device_log *l, unsigned i, bool in[LOG_PLACES])
{
	for (unsigned k = 0; k < l->count; k++)
		in[k] = k == i || bits_has(&l->at[i]->before, k);
}

/* --- cuts --- */

unsigned device_log_cuts(const struct device_log *l, uint8_t out[DEVICE_LOG_HASH_SIZE])
{
	static const char label[] = "WasmOS cuts 1";
	uint8_t hashes[LOG_PLACES][DEVICE_LOG_HASH_SIZE];
	struct crypto_hash h;
	unsigned count = 0;
	for (unsigned i = 0; i < l->count; i++)
		if (l->at[i]->act == DEVICE_REMOVE || l->at[i]->act == DEVICE_KEYS)
			memcpy(hashes[count++], l->at[i]->hash, DEVICE_LOG_HASH_SIZE);
	qsort(hashes, count, sizeof hashes[0], by_hash);
	crypto_hash_init(&h, DEVICE_LOG_HASH_SIZE, NULL, 0);
	crypto_hash_add(&h, label, sizeof label);
	crypto_hash_add(&h, hashes, count * sizeof hashes[0]);
	crypto_hash_end(&h, out);
	return count;
}
