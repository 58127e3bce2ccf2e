/* modules.h - the modules a node has loaded, one copy each, shared by its processes.
 *
 * Keyed by the hash of the bytes. A module stays while a process uses it, and a few more for the
 * next start. Bytes come from a host file, or from a source that others register (the store: bytes
 * by hash). Functions may be called from any thread (workers load; a 30 MB module takes a while).
 *
 *	modules_load_file(n->modules, "/home/me/yosys.wasm", &m, &msg);   // m is a reference: module_unref()
 */
#pragma once

#include "base/err.h"
#include "migrate/image.h"

#include <stddef.h>
#include <stdint.h>

struct module;
struct modules;

/* What runs here can be moved, put to sleep and restored, too. */
enum { MODULE_SIZE_MAX = IMAGE_MODULE_MAX };

/* Gives a reference. */
enum err modules_load_file(struct modules *c, const char *path, struct module **out,
                           struct errmsg *msg);
/* From the cache, else from the sources. ERR_NOTFOUND when no one has it. The bytes' hash is
 * checked. */
enum err modules_load_hash(struct modules *c, const uint8_t hash[32], struct module **out,
                           struct errmsg *msg);
/* From bytes (taken, also on failure: free()): an image that brought its module along. */
enum err modules_load_bytes(struct modules *c, uint8_t *bytes, size_t size, struct module **out,
                            struct errmsg *msg);

/* The modules of an image: references, each once. */
struct module_list {
	struct module *at[IMAGE_MODULES_MAX];
	uint32_t count;
};
/* Takes a reference of its own. ERR_LIMIT. */
enum err module_list_add(struct module_list *l, struct module *m);
/* NULL: not in it. */
struct module *module_list_find(const struct module_list *l, const uint8_t hash[32]);
void module_list_free(struct module_list *l);
/* The image names these, and no others. Takes a while: pieces are hashed. */
enum err module_list_name(const struct module_list *l, struct image *im);

/* Where bytes of a hash may be found: *bytes is given (free()). Called on the thread that loads;
 * ERR_NOTFOUND: ask on. */
struct modules_source {
	enum err (*find)(void *ctx, const uint8_t hash[32], uint8_t **bytes, size_t *size);
	void *ctx;
};
/* Before any process starts. At most 4. */
enum err modules_add_source(struct modules *c, const struct modules_source *s);
