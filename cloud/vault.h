/* vault.h - an encrypted store of chunks on storage of the web: where replicas of a folder meet that are never online together, and backups are.
 *
 *	chunks/XX/NAME   sealed, written once; NAME is a keyed hash of the chunk's address, XX its first two digits
 *	heads/NAME       one a device, replaced by it alone: sealed, it names the chunks that hold the records of its replica
 *
 * Who has the storage and not the key learns how many chunks there are, how large and when they came: no name, no content, no size of a file (chunks are
 * cut by content with a key, and padded). He can delete, and give back older heads, which changes nothing for who has seen newer ones; what he
 * changes is refused. Bytes: docs/formats/cloud.md.
 *
 * vault_push() brings all that a replica names, then its head, so that a head never names what is not there. vault_pull() joins what the
 * heads of others say, as an exchange of folder/exchange.h would; what others have acknowledged is only what they have said in their heads. Both ask
 * the server and block; one thread at a time has a vault.
 *
 *	TRY(vault_new(cloud, "backup", key, &v, &msg));
 *	TRY(vault_push(v, folder, &chunks, now_ms, &msg));
 *	TRY(vault_pull(v, folder, now_ms, &count, &msg));
 *	TRY(vault_chunk(v, &addr, &bytes, &msg));
 */
#pragma once

#include "base/bytes.h"
#include "cloud/cloud.h"
#include "folder/folder.h"

struct vault;

enum {
	VAULT_KEY_SIZE = 32,
	VAULT_PAD = 1024,      /* sealed chunks are as long as a multiple of it, and VAULT_SEAL */
	VAULT_HEADS_MAX = 256, /* devices */
	VAULT_RECORDS_MAX = 256 << 20, /* bytes of a replica's records */
};

/* Where chunks of the replica come from. */
struct vault_chunks {
	/* Appends the chunk. NOTFOUND: it is not here either. */
	enum err (*load)(void *ctx, const struct chunk_addr *addr, struct wr *out,
	                 struct errmsg *msg);
	void *ctx;
};

/* path: a folder of the storage, without a slash at either end; made when it is missing. The cloud is referenced. */
enum err vault_new(struct cloud *c, const char *path, const uint8_t key[VAULT_KEY_SIZE],
                   struct vault **out, struct errmsg *msg);
void vault_free(struct vault *v); /* NULL is fine */
/* f has been saved and does not change meanwhile; device: whose head it becomes. */
enum err vault_push(struct vault *v, struct folder *f, const uint8_t device[FOLDER_DEVICE_SIZE],
                    const struct vault_chunks *chunks, uint64_t now_ms, struct errmsg *msg);
/* Of all heads but this device's that are of this folder and were not seen by this vault yet; *count of them. f is to be saved, and its chunks to be
 * fetched, by the caller. STALE: f needs a new life (folder.h). */
enum err vault_pull(struct vault *v, struct folder *f, const uint8_t device[FOLDER_DEVICE_SIZE],
                    uint64_t now_ms, unsigned *count, struct errmsg *msg);
/* The replica that a device pushed last. NOTFOUND: it has no head. */
enum err vault_replica(struct vault *v, const uint8_t device[FOLDER_DEVICE_SIZE],
                       struct folder **out, struct errmsg *msg);
/* Calls fn for each head that this key opens. AUTH: there are heads, and it opens none. */
enum err vault_each_head(struct vault *v,
                         void (*fn)(void *ctx, const uint8_t device[FOLDER_DEVICE_SIZE],
                                    uint64_t time_ms, uint64_t generation),
                         void *ctx, struct errmsg *msg);
/* Stores a chunk that is not there yet; appends one. AUTH: what is there is not what was stored. */
enum err vault_store(struct vault *v, const struct chunk_addr *addr, const void *bytes, size_t size,
                     struct errmsg *msg);
enum err vault_chunk(struct vault *v, const struct chunk_addr *addr, struct wr *out,
                     struct errmsg *msg);
/* The key with which contents are cut, so that the sizes of chunks say nothing. CUT_KEY_SIZE bytes. */
const uint8_t *vault_cut_key(const struct vault *v);

struct vault_figures {
	uint64_t chunks_sent, bytes_sent, chunks_fetched, bytes_fetched;
};
void vault_figures(const struct vault *v, struct vault_figures *out);
