/* fdtable.c - hostile bytes as section "wasi": arguments, clocks, mounts, open files, memory files, pipes. */
#include "node/process/wait.h"
#include "node/wasi/wasi.h"
#include "vfs/memory.h"
#include "vfs/stream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder with a file, so that some paths are found. */
static enum err open_mount(void *ctx, struct vfs_mount_config *c, struct vfs_obj **root,
                           struct errmsg *msg)
{
	struct vfs_obj *f;
	if (vfs_memory_new(1 << 20, root) != FE_OK)
		return err_set(msg, ERR_NOMEM, "no memory");
	if (vfs_mkdir(*root, "d") == FE_OK &&
	    vfs_open(*root, "d/f", VFS_WRITE | VFS_CREATE, &f) == FE_OK)
		vfs_unref(f);
	return ERR_OK;
}

static enum err open_stream(void *ctx, const char *name, struct vfs_obj **out, struct errmsg *msg)
{
	*out = vfs_null_new();
	return *out ? ERR_OK : err_set(msg, ERR_NOMEM, "no memory");
}

static struct wasi *load(const uint8_t *data, size_t size, struct wait *wait)
{
	struct fdtable_loader l = {.open_mount = open_mount, .open_stream = open_stream};
	struct rd in = rd_of(data, size);
	struct errmsg msg = {0};
	struct wasi *w;
	if (wasi_load(&in, &l, wait, &w, &msg) == ERR_OK)
		return w;
	if (!msg.text[0])
		abort();
	return NULL;
}

static struct wr save(struct wasi *w)
{
	struct wr out = {0};
	struct errmsg msg = {0};
	if (wasi_save(w, &out, &msg) != ERR_OK)
		abort();
	return out;
}

/* What is accepted can be written, and is then the same each time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wait wait;
	struct wasi *w = load(data, size, &wait);
	if (!w)
		return 0;
	struct wr a = save(w);
	wasi_free(w);
	w = load(a.data, a.size, &wait);
	if (!w)
		abort();
	struct wr b = save(w);
	if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
		abort();
	wasi_free(w);
	wr_free(&a);
	wr_free(&b);
	return 0;
}
