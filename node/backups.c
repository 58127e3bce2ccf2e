/* backups.c - part "backups": folders of the host saved into an encrypted store on storage of the web, and brought back (cloud/backup.h).
 *
 * One at a time, on the thread pool: it takes as long as its bytes take. It ends when the client goes away, or the node down.
 */
#include "base/crypto.h"
#include "base/file.h"
#include "cloud/backup.h"
#include "cloud/http.h"
#include "node/clouds.h"
#include "node/control/control.h"
#include "node/links/device.h"
#include "node/links/link.h"
#include "node/node.h"
#include "node/work.h"
#include "vfs/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_SIZE = 2 * FOLDER_DEVICE_SIZE };
static const char folder_name[] = "wasmos-backup";

struct backups {
	struct node *node;
	struct job *running;
	unsigned jobs;
};

enum what { SAVE, RESTORE, LIST };

struct saved {
	uint8_t device[FOLDER_DEVICE_SIZE];
	uint64_t time_ms, generation;
};

struct job {
	struct backups *backups;
	struct control_call *call; /* NULL: the client is gone */
	enum what what;
	struct cloud *cloud;
	struct vfs_obj *root;
	char storage[CLOUDS_NAME_MAX + 1];
	char wanted[HEX_SIZE + 1]; /* the first digits of a device's id; "": this one */
	uint8_t key[VAULT_KEY_SIZE], device[FOLDER_DEVICE_SIZE];
	_Atomic bool stop;
	struct backup_figures figures;
	struct vault_figures moved;
	struct saved *list; /* VAULT_HEADS_MAX */
	unsigned count;
	enum err err;
	struct errmsg msg;
};

/* ---- on the pool ---- */

static void note(void *ctx, const uint8_t *device, uint64_t time_ms, uint64_t generation)
{
	struct job *j = ctx;
	if (j->count == VAULT_HEADS_MAX)
		return;
	struct saved *s = &j->list[j->count++];
	memcpy(s->device, device, sizeof s->device);
	s->time_ms = time_ms;
	s->generation = generation;
}

static void hex_of(const uint8_t *device, char out[HEX_SIZE + 1])
{
	for (int i = 0; i < FOLDER_DEVICE_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", device[i]);
}

/* Whose backup is meant. */
static enum err choose(struct job *j, struct vault *v)
{
	unsigned found = 0;
	if (!j->wanted[0])
		return ERR_OK;
	TRY(vault_each_head(v, note, j, &j->msg));
	for (unsigned i = 0; i < j->count; i++) {
		char hex[HEX_SIZE + 1];
		hex_of(j->list[i].device, hex);
		if (strncmp(hex, j->wanted, strlen(j->wanted)) != 0)
			continue;
		memcpy(j->device, j->list[i].device, sizeof j->device);
		found++;
	}
	return found == 1 ? ERR_OK
	                  : err_set(&j->msg, ERR_NOTFOUND,
	                            "%s backup there is of a device whose id begins with %s",
	                            found ? "more than one" : "no", j->wanted);
}

static enum err work(struct job *j, struct vault *v)
{
	if (j->what == LIST)
		return vault_each_head(v, note, j, &j->msg);
	if (j->what == SAVE)
		return backup_save(v, j->root, j->device, &j->stop, &j->figures, &j->msg);
	TRY(choose(j, v));
	return backup_restore(v, j->device, j->root, &j->stop, &j->figures, &j->msg);
}

static void run(void *ctx)
{
	struct job *j = ctx;
	struct vault *v;
	j->err = vault_new(j->cloud, folder_name, j->key, &v, &j->msg);
	if (j->err != ERR_OK)
		return;
	j->err = work(j, v);
	vault_figures(v, &j->moved);
	vault_free(v);
}

/* ---- on the loop ---- */

static void put_figures(const struct job *j)
{
	struct control_call *c = j->call;
	bool saved = j->what == SAVE;
	control_row(c);
	control_put_str(c, "storage", j->storage);
	control_put_hex(c, "device", j->device, sizeof j->device);
	control_put_u64(c, "files", j->figures.files);
	control_put_u64(c, "folders", j->figures.folders);
	control_put_u64(c, "links", j->figures.links);
	control_put_u64(c, "bytes", j->figures.bytes);
	control_put_u64(c, "read", j->figures.read_files);
	control_put_u64(c, "removed", j->figures.removed);
	control_put_u64(c, "skipped", j->figures.skipped);
	control_put_u64(c, "chunks", saved ? j->moved.chunks_sent : j->moved.chunks_fetched);
	control_put_u64(c, "bytes_sent", saved ? j->moved.bytes_sent : j->moved.bytes_fetched);
	control_row_end(c);
}

static const char *name_of(struct node *n, const uint8_t *device)
{
	if (!memcmp(n->device->id, device, FOLDER_DEVICE_SIZE))
		return n->name;
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		if (!memcmp(peer_id(p), device, FOLDER_DEVICE_SIZE))
			return peer_name(p);
	return "";
}

static void put_list(const struct job *j)
{
	for (unsigned i = 0; i < j->count; i++) {
		const struct saved *s = &j->list[i];
		char when[HTTP_STAMP_SIZE];
		http_stamp((int64_t)(s->time_ms / 1000), when);
		control_row(j->call);
		control_put_hex(j->call, "device", s->device, sizeof s->device);
		control_put_str(j->call, "name", name_of(j->backups->node, s->device));
		control_put_str(j->call, "when", when);
		control_put_u64(j->call, "time_unix_ms", s->time_ms);
		control_put_u64(j->call, "generation", s->generation);
		control_row_end(j->call);
	}
}

static void free_job(struct job *j)
{
	cloud_unref(j->cloud);
	vfs_unref(j->root);
	free(j->list);
	crypto_zero(j, sizeof *j);
	free(j);
}

static void done(void *ctx)
{
	struct job *j = ctx;
	j->backups->running = NULL;
	if (j->call && j->err == ERR_OK)
		(j->what == LIST ? put_list : put_figures)(j);
	if (j->call)
		control_end(j->call, j->err, &j->msg);
	free_job(j);
}

static void gone(void *ctx)
{
	struct job *j = ctx;
	j->call = NULL;
	atomic_store(&j->stop, true);
}

static enum err take_folder(struct job *j, struct control_call *c)
{
	const char *path;
	if (control_str(c, "path", &path) != ERR_OK || !path_is_absolute(path))
		return err_set(&j->msg, ERR_USAGE,
		               "the request needs the absolute path of a folder");
	return vfs_host_new(path, VFS_WALK_BEST, &j->root, &j->msg);
}

static enum err take(struct node *n, struct job *j, struct control_call *c)
{
	const char *storage = control_str_or(c, "storage", "");
	const char *device = control_str_or(c, "device", "");
	if (n->backups->running)
		return err_set(&j->msg, ERR_BUSY, "a backup is under way: one at a time");
	if (strlen(device) > HEX_SIZE)
		return err_set(&j->msg, ERR_USAGE, "an id has at most %d digits", HEX_SIZE);
	j->cloud = clouds_get(n->clouds, storage);
	if (!j->cloud)
		return err_set(&j->msg, ERR_NOTFOUND,
		               "there is no storage \"%s\": `wasmos cloud add`", storage);
	snprintf(j->storage, sizeof j->storage, "%s", storage);
	snprintf(j->wanted, sizeof j->wanted, "%s", device);
	memcpy(j->device, n->device->id, sizeof j->device);
	if (j->what != LIST)
		TRY(take_folder(j, c));
	return clouds_key(n, storage, control_str_or(c, "key", ""), j->what == SAVE, j->key,
	                  &j->msg);
}

static void begin(struct node *n, struct control_call *c, enum what what)
{
	struct job *j = calloc(1, sizeof *j);
	if (j)
		j->list = calloc(VAULT_HEADS_MAX, sizeof *j->list);
	if (!j || !j->list) {
		free(j);
		control_fail(c, ERR_NOMEM, "out of memory");
		return;
	}
	j->backups = n->backups;
	j->what = what;
	enum err e = take(n, j, c);
	if (e != ERR_OK) {
		control_end(c, e, &j->msg);
		free_job(j);
		return;
	}
	j->call = c;
	n->backups->running = j;
	control_on_gone(c, gone, j);
	work_start(n, &n->backups->jobs, run, done, j);
}

void control_backup_save(struct node *n, struct control_call *c)
{
	begin(n, c, SAVE);
}

void control_backup_restore(struct node *n, struct control_call *c)
{
	begin(n, c, RESTORE);
}

void control_backup_list(struct node *n, struct control_call *c)
{
	begin(n, c, LIST);
}

void control_backup_key(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	uint8_t key[CLOUDS_KEY_SIZE];
	enum err e = clouds_key(n, control_str_or(c, "storage", ""), "", false, key, &msg);
	if (e == ERR_OK) {
		control_row(c);
		control_put_hex(c, "key", key, sizeof key);
		control_row_end(c);
	}
	crypto_zero(key, sizeof key);
	control_end(c, e, &msg);
}

/* ---- the part ---- */

enum err backups_open(struct node *n, struct errmsg *msg)
{
	n->backups = calloc(1, sizeof *n->backups);
	if (!n->backups)
		return err_set(msg, ERR_NOMEM, "backups: out of memory");
	n->backups->node = n;
	return ERR_OK;
}

void backups_close(struct node *n)
{
	if (n->backups->running) {
		atomic_store(&n->backups->running->stop, true);
		cloud_stop(n->backups->running->cloud);
	}
	work_wait(n, &n->backups->jobs);
	free(n->backups);
	n->backups = NULL;
}
