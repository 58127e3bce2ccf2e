/* folder.h - one replica of a replicated folder: what a device knows of it, what may be done in it, and how others' news are taken.
 *
 * A replica is a set of entries (folder/entry.h) and the vector `seen` of all changes it has. The tree that a person sees is a function of
 * the set alone (folder/view.h), so that replicas which have the same entries show the same. A local change makes a dot of this replica's
 * *writer*: nothing of it may leave the device before folder_save() wrote it, for a writer's number must never stand for two changes
 * (folder/exchange.h keeps to that). A device whose disk was put back to an older state, or that was told to have left, needs a new life:
 * another writer.
 *
 * What is written over, deleted for good, or dropped from the conflicts, goes into this replica's *history* (folder_past()).
 * A deleted entry stays as a tombstone until all members are known to have seen all of it, and we all that they knew then (causal stability): then
 * folder_drop_stable() forgets it; `dropped` says up to where that was done. A replica that comes back with less than that gets the
 * whole list, and prunes what is not in it (folder_begin_list()).
 *
 * No I/O, no clock, no randomness: times, ids and bytes are handed in. One thread at a time. An operation that fails for want of
 * memory leaves each entry as it was before or after. Members of a folder are trusted with its contents and with nothing else.
 *
 *	struct folder *f = folder_new(id, writer, device_id);
 *	TRY(folder_make(f, &root, "notes", 5, ENTRY_FILE, &content, &random_id, now_ms, &msg));
 *	TRY(folder_save(f, put_record, store));
 */
#pragma once

#include "base/crypto.h"
#include "folder/entry.h"

enum {
	FOLDER_ENTRIES_MAX = 1 << 20,
	FOLDER_DEPTH_MAX = 64, /* folders within each other that may be made */
	FOLDER_PAST_MAX = 1 << 20,
	FOLDER_LISTS_MAX = 32, /* whole lists that come at the same time */
	FOLDER_DEVICE_SIZE = CRYPTO_HASH_SIZE,
};

struct folder;

/* A life of a device in this folder. */
struct folder_member {
	uint64_t writer;
	uint8_t device[FOLDER_DEVICE_SIZE];
	bool left;         /* for good: its device may come back as another writer */
	struct vector ack; /* what it has on disk, as far as is known here */
};

/* A content that is no more. */
struct folder_past {
	struct entry_id id;
	enum entry_kind kind;
	char name[ENTRY_NAME_MAX + 1];
	uint64_t until_ms; /* when it was replaced here */
	struct content content;
};

/* NULL: out of memory. writer: random, not 0. */
struct folder *folder_new(const struct entry_id *id, uint64_t writer,
                          const uint8_t device[FOLDER_DEVICE_SIZE]);
void folder_free(struct folder *f); /* NULL is fine */
const struct entry_id *folder_id(const struct folder *f);
uint64_t folder_writer(const struct folder *f);
uint32_t folder_count(const struct folder *f); /* of entries, tombstones included */
/* By rising id; borrowed until the next change. */
const struct entry *folder_at(const struct folder *f, uint32_t i);
const struct entry *folder_entry(const struct folder *f,
                                 const struct entry_id *id); /* NULL: none */
const struct vector *folder_seen(const struct folder *f);
/* Rises with each change, local or not. */
uint64_t folder_changes(const struct folder *f);
/* Rises with all that others may want to know: changes, what is seen, members. */
uint64_t folder_news(const struct folder *f);
/* Aborts when a truth of folder_impl.h does not hold. */
void folder_check(const struct folder *f);

/* ---- what a person does (edit.c); parents and entries are those that folder/view.h shows ---- */

/* ERR_EXISTS, ERR_NOTFOUND (the parent), ERR_INVALID (a name that cannot be; the content does not fit the kind), ERR_LIMIT. content's dot and
 * stamp are set here; it is copied. id: random. */
enum err folder_make(struct folder *f, const struct entry_id *parent, const char *name, size_t size,
                     enum entry_kind kind, const struct content *content, const struct entry_id *id,
                     uint64_t now_ms, struct errmsg *msg);
/* A file's or link's new content, a folder's new mode, in place of the version `base` that it was made from (NULL: of what is shown). Where
 * base is not what is shown any more, that is a conflict. Others stay conflicts. */
enum err folder_write(struct folder *f, const struct entry_id *id, const struct dot *base,
                      const struct content *content, uint64_t now_ms, struct errmsg *msg);
/* To another name or parent; a file or link that has that name is replaced, an empty folder by a folder. ERR_STATE: into itself, or not
 * empty. ERR_INVALID: a folder over a file or the other way round. */
enum err folder_move(struct folder *f, const struct entry_id *id, const struct entry_id *parent,
                     const char *name, size_t size, uint64_t now_ms, struct errmsg *msg);
/* ERR_STATE: a folder that is not empty. */
enum err folder_remove(struct folder *f, const struct entry_id *id, uint64_t now_ms,
                       struct errmsg *msg);
/* What was deleted and is still a tombstone, back where it was, with the folders above it. ERR_EXISTS: the name is taken. */
enum err folder_undelete(struct folder *f, const struct entry_id *id, uint64_t now_ms,
                         struct errmsg *msg);

/* ---- history ---- */

uint32_t folder_past_count(const struct folder *f);
const struct folder_past *folder_past(const struct folder *f, uint32_t i);
/* Of each entry the `keep` newest stay, and what was replaced at before_ms or later. Changes the order. */
enum err folder_forget(struct folder *f, uint64_t before_ms, uint32_t keep);
/* Each chunk that a content, a conflict or the history names, some more than once. */
void folder_each_content(const struct folder *f, void (*fn)(void *ctx, const struct content *c),
                         void *ctx);

/* ---- news of others ---- */

/* in is taken and empty afterwards. ERR_STALE: it has changes of our writer that we never made: a new life is needed. ERR_INVALID: another
 * kind than ours. ERR_LIMIT, ERR_NOMEM. origin: who sent it (0: unknown). */
enum err folder_join(struct folder *f, struct entry *in, uint32_t origin, uint64_t now_ms);
/* All changes in `seen` have come, from a replica that dropped tombstones within `dropped`. ERR_STALE as above. */
enum err folder_learn(struct folder *f, const struct vector *seen, const struct vector *dropped);
enum err folder_hear_member(struct folder *f, const struct folder_member *m);
unsigned folder_members(const struct folder *f);
const struct folder_member *folder_member(const struct folder *f, unsigned i);
/* Its device is no member any more; nothing waits for it. ERR_NOTFOUND. */
enum err folder_leave(struct folder *f, uint64_t writer);
/* We go on as another writer: entries stay. */
enum err folder_new_life(struct folder *f, uint64_t writer);
/* Another says that we left, or has changes of our writer that we do not know. */
bool folder_needs_new_life(const struct folder *f);
const struct vector *folder_dropped(const struct folder *f);
/* Forgets tombstones that are stable; *count of them. */
enum err folder_drop_stable(struct folder *f, uint64_t now_ms, uint32_t *count);
/* Deleted folders in which something stands, and which others may have forgotten, are put in place again: so that they get them, and show the
 * same. After each folder_learn() when all of a run is in. */
enum err folder_keep_needed(struct folder *f, uint64_t now_ms);
/* A whole list of another's entries begins, whose number is given; folder_list_has() for each. ERR_BUSY: FOLDER_LISTS_MAX are under way. */
enum err folder_begin_list(struct folder *f, unsigned *list);
void folder_list_has(struct folder *f, unsigned list, const struct entry_id *id);
/* It was whole: entries that were not in it and of which the other has seen all were deleted and forgotten there: here, too. seen NULL: it was
 * broken off. */
enum err folder_end_list(struct folder *f, unsigned list, const struct vector *seen,
                         uint64_t now_ms);

/* ---- on disk ---- */

enum folder_record { FOLDER_HEAD, FOLDER_ENTRY, FOLDER_PAST };
enum { FOLDER_KEY_SIZE = 32 };

bool folder_unsaved(const struct folder *f);
/* Calls put for each record that changed (bytes NULL: it is no more). All of them are to be on disk, or none. The first error of put is
 * returned, and all is as unsaved as before. */
enum err folder_save(struct folder *f,
                     enum err (*put)(void *ctx, enum folder_record kind,
                                     const uint8_t key[FOLDER_KEY_SIZE], const void *bytes,
                                     size_t size),
                     void *ctx);
/* All records as they would be on disk, the head first: a copy of the replica. */
enum err folder_each_record(const struct folder *f,
                            enum err (*put)(void *ctx, enum folder_record kind,
                                            const uint8_t key[FOLDER_KEY_SIZE], const void *bytes,
                                            size_t size),
                            void *ctx);
/* From the bytes of the head; records of the other kinds follow in any order. */
enum err folder_load(const void *head, size_t size, struct folder **out);
enum err folder_load_record(struct folder *f, enum folder_record kind, const void *bytes,
                            size_t size);
