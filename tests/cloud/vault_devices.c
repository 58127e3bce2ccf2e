/* vault_devices.c - devices that are never online together share a folder through an encrypted store on a real server; TAP on standard output.
 *
 *	vault-devices URL USER SECRET CACHE FOLDER       FOLDER: where the server keeps what it is given, to be looked into
 *
 * tests/e2e/cloud.py starts it, beside rclone's server.
 */
#include "base/crypto.h"
#include "cloud/vault.h"
#include "folder/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plain[] = "these words must not be readable on the server";

/* A chunk that a device has. */
struct chunk {
	struct chunk_addr addr;
	char text[80];
};

struct device {
	uint8_t id[FOLDER_DEVICE_SIZE];
	struct folder *f;
	struct vault *v;
	struct chunk chunks[64];
	unsigned count;
};

struct test {
	struct cloud *cloud;
	const char *cache, *server;
	unsigned points, failed;
	uint64_t now_ms;
};

static void ok(struct test *t, bool good, const char *what)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++t->points, what);
	t->failed += !good;
}

static void must(enum err e, const char *what, const struct errmsg *msg)
{
	if (e == ERR_OK)
		return;
	printf("Bail out! %s: %s %s\n", what, err_name(e), msg->text);
	exit(1);
}

static enum err nowhere(void *ctx, enum folder_record kind, const uint8_t *key, const void *bytes,
                        size_t size)
{
	return ERR_OK;
}

static enum err load(void *ctx, const struct chunk_addr *addr, struct wr *out, struct errmsg *msg)
{
	struct device *d = ctx;
	for (unsigned i = 0; i < d->count; i++)
		if (chunk_addr_equal(&d->chunks[i].addr, addr)) {
			wr_bytes(out, d->chunks[i].text, strlen(d->chunks[i].text));
			return ERR_OK;
		}
	return ERR_NOTFOUND;
}

/* ---- a device ---- */

static void open_device(struct test *t, struct device *d, uint8_t number, const uint8_t *key)
{
	struct errmsg msg = {0};
	struct entry_id id = {{7}};
	*d = (struct device){.id = {number}};
	d->f = folder_new(&id, number, d->id);
	must(folder_save(d->f, nowhere, NULL), "save", &msg);
	must(vault_new(t->cloud, "vault", key, &d->v, &msg), "vault", &msg);
}

static void close_device(struct device *d)
{
	vault_free(d->v);
	folder_free(d->f);
}

/* The text as one chunk of the device. */
static struct content keep(struct device *d, const char *text)
{
	struct chunk *c = &d->chunks[d->count++];
	struct content out = {.size = strlen(text), .mode = 0644, .piece_count = 1};
	snprintf(c->text, sizeof c->text, "%s", text);
	c->addr = chunk_addr_of(text, strlen(text));
	out.pieces = malloc(sizeof *out.pieces);
	*out.pieces = (struct piece){.addr = c->addr, .size = out.size};
	return out;
}

static void make(struct test *t, struct device *d, const char *name, const char *text)
{
	struct errmsg msg = {0};
	struct entry_id root = {{0}}, id;
	struct content c = keep(d, text);
	crypto_random(&id, sizeof id);
	must(folder_make(d->f, &root, name, strlen(name), ENTRY_FILE, &c, &id, ++t->now_ms, &msg),
	     name, &msg);
	content_free(&c);
}

static struct view_row row_of(struct device *d, const char *name)
{
	struct entry_id root = {{0}};
	struct view_row row = {0};
	view_find(d->f, &root, name, strlen(name), &row);
	return row;
}

static void edit(struct test *t, struct device *d, const char *name, const char *text)
{
	struct errmsg msg = {0};
	struct content c = keep(d, text);
	struct entry_id id = row_of(d, name).entry->id;
	must(folder_write(d->f, &id, NULL, &c, ++t->now_ms, &msg), name, &msg);
	content_free(&c);
}

static void drop(struct test *t, struct device *d, const char *name)
{
	struct errmsg msg = {0};
	struct entry_id id = row_of(d, name).entry->id;
	must(folder_remove(d->f, &id, ++t->now_ms, &msg), name, &msg);
}

/* Online for a moment: takes what others left, leaves what it has. */
static unsigned meet(struct test *t, struct device *d)
{
	struct errmsg msg = {0};
	struct vault_chunks chunks = {.load = load, .ctx = d};
	unsigned count;
	must(folder_save(d->f, nowhere, NULL), "save", &msg);
	must(vault_pull(d->v, d->f, d->id, ++t->now_ms, &count, &msg), "pull", &msg);
	must(folder_save(d->f, nowhere, NULL), "save", &msg);
	must(vault_push(d->v, d->f, d->id, &chunks, t->now_ms, &msg), "push", &msg);
	return count;
}

/* What a person reads there, fetched from the vault when the device does not have it; "-": there is no such file. */
static const char *text_of(struct device *d, const char *name, char out[80])
{
	struct errmsg msg = {0};
	struct view_row row = row_of(d, name);
	struct wr w = {0};
	snprintf(out, 80, "-");
	if (!row.content)
		return out;
	if (load(d, &row.content->pieces[0].addr, &w, &msg) != ERR_OK)
		must(vault_chunk(d->v, &row.content->pieces[0].addr, &w, &msg), name, &msg);
	snprintf(out, 80, "%.*s", (int)w.size, (const char *)w.data);
	wr_free(&w);
	return out;
}

static unsigned conflicts(struct device *d)
{
	struct conflict *list;
	uint32_t count = 0;
	if (view_conflicts(d->f, &list, &count) == ERR_OK)
		conflicts_free(list);
	return count;
}

/* ---- what is on the server ---- */

static int shell(const char *fmt, const struct test *t)
{
	char command[1024];
	snprintf(command, sizeof command, fmt, t->server);
	return system(command);
}

static void never_together(struct test *t, const uint8_t *key)
{
	struct device a, b, c;
	char text[80];
	open_device(t, &a, 1, key);
	open_device(t, &b, 2, key);
	make(t, &a, "secret-plan.txt", plain);
	make(t, &a, "other.txt", "first");
	meet(t, &a);
	ok(t, meet(t, &b) == 1 && !strcmp(text_of(&b, "secret-plan.txt", text), plain),
	   "what one device left, another one finds");
	ok(t, meet(t, &b) == 0, "heads that did not change are not read again");
	edit(t, &b, "secret-plan.txt", "changed by b");
	make(t, &b, "of-b.txt", "new at b");
	meet(t, &b);
	meet(t, &a);
	ok(t, !strcmp(text_of(&a, "secret-plan.txt", text), "changed by b") && !conflicts(&a),
	   "an edit comes back, and is no conflict");
	edit(t, &a, "other.txt", "a's");
	edit(t, &b, "other.txt", "b's");
	drop(t, &a, "of-b.txt");
	meet(t, &a);
	meet(t, &b);
	meet(t, &a);
	ok(t,
	   conflicts(&a) == 1 && conflicts(&b) == 1 &&
	       !strcmp(text_of(&a, "other.txt", text), "b's") &&
	       !strcmp(text_of(&b, "other.txt", text), "b's"),
	   "two edits that did not know of each other are a conflict on both, and the same is "
	   "shown");
	ok(t, !row_of(&a, "of-b.txt").entry && !row_of(&b, "of-b.txt").entry,
	   "what was removed is removed");
	open_device(t, &c, 3, key);
	ok(t,
	   meet(t, &c) == 2 && !strcmp(text_of(&c, "secret-plan.txt", text), "changed by b") &&
	       conflicts(&c) == 1,
	   "a third device gets all of it from the storage alone");
	ok(t,
	   shell("grep -rqE 'readable|secret-plan|changed by b' %s", t) != 0 &&
	       shell("find %s | grep -q secret-plan", t) != 0,
	   "no content and no name is readable on the server");
	close_device(&a);
	close_device(&b);
	close_device(&c);
}

static void backup(struct test *t, const uint8_t *key)
{
	struct errmsg msg = {0};
	struct device a;
	struct folder *f = NULL;
	struct vault_figures before, after;
	open_device(t, &a, 9, key);
	make(t, &a, "kept.txt", "kept");
	meet(t, &a);
	vault_figures(a.v, &before);
	meet(t, &a);
	vault_figures(a.v, &after);
	ok(t, after.chunks_sent - before.chunks_sent <= 1,
	   "what is there already is not sent again");
	ok(t,
	   vault_replica(a.v, a.id, &f, &msg) == ERR_OK && folder_count(f) == folder_count(a.f) &&
	       folder_writer(f) == 9,
	   "a device that has lost everything gets its replica back");
	folder_free(f);
	close_device(&a);
}

static void damage(struct test *t, const uint8_t *key)
{
	struct errmsg msg = {0};
	uint8_t wrong[VAULT_KEY_SIZE] = {1};
	struct device a, b;
	unsigned count;
	struct chunk_addr addr = chunk_addr_of(plain, strlen(plain));
	struct wr w = {0};
	open_device(t, &a, 1, wrong);
	ok(t, vault_pull(a.v, a.f, a.id, 1, &count, &msg) == ERR_AUTH, "another key opens nothing");
	close_device(&a);
	open_device(t, &b, 2, key);
	ok(t, vault_chunk(b.v, &addr, &w, &msg) == ERR_OK, "a chunk is read");
	wr_clear(&w);
	shell("for f in %s/chunks/*/*; do printf X | dd of=$f bs=1 seek=60 conv=notrunc "
	      "2>/dev/null; done",
	      t);
	ok(t,
	   vault_chunk(b.v, &addr, &w, &msg) == ERR_AUTH &&
	       strstr(msg.text, "is not what was stored"),
	   "one that was changed on the server is refused, with words");
	wr_free(&w);
	close_device(&b);
}

static void tell(void *ctx, const char *text)
{
	printf("# %s\n", text);
}

int main(int argc, char **argv)
{
	struct errmsg msg = {0};
	struct test t = {0};
	uint8_t key[VAULT_KEY_SIZE];
	if (argc != 6)
		return 2;
	t.cache = argv[4];
	t.server = argv[5];
	struct cloud_config c = {.name = "store",
	                         .url = argv[1],
	                         .user = argv[2],
	                         .secret = argv[3],
	                         .cache_folder = t.cache,
	                         .tell = tell};
	must(cloud_new(&c, &t.cloud, &msg), "cloud", &msg);
	crypto_random(key, sizeof key);
	never_together(&t, key);
	backup(&t, key);
	damage(&t, key);
	cloud_unref(t.cloud);
	printf("1..%u\n", t.points);
	return t.failed != 0;
}
