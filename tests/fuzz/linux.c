/* linux.c - hostile bytes as section "linux": folder, maps, signals, slots, terminal, eventfd, epoll, ptys. */
#include "node/wait.h"
#include "node/wali/wali.h"
#include "node/wasi.h"
#include "vfs/memory.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct fdtable *fds, struct vfs_obj *o, const char *stream)
{
	uint32_t fd;
	struct vfs_file *f = vfs_file_new(o, NULL, NULL, VFS_READ | VFS_WRITE);
	if (!f)
		abort();
	snprintf(f->stream, sizeof f->stream, "%s", stream);
	if (fdtable_add(fds, f, 0, 0, &fd) != FE_OK)
		abort();
}

/* 0 null, 1 an eventfd, 2 an epoll, 3 a file, 4 and 5 a pipe, 6 and 7 a pty. */
static struct wasi *new_wasi(struct wait *wait)
{
	struct wasi_config c = {.wait = wait, .ns = vfs_ns_new()};
	struct vfs_obj *o, *root, *ends[2];
	struct errmsg msg = {0};
	struct wasi *w;
	if (fdtable_new(&c.fds) != ERR_OK || vfs_memory_new(1 << 16, &root) != FE_OK ||
	    vfs_pipe_new(&ends[0], &ends[1]) != FE_OK)
		abort();
	add(c.fds, vfs_null_new(), "");
	if (wali_open_stream("eventfd 1", &o) != ERR_OK)
		abort();
	add(c.fds, o, "eventfd 1");
	if (wali_open_stream("epoll 1", &o) != ERR_OK)
		abort();
	add(c.fds, o, "epoll 1");
	if (vfs_open(root, "f", VFS_READ | VFS_WRITE | VFS_CREATE, &o) != FE_OK)
		abort();
	vfs_unref(root);
	add(c.fds, o, "");
	add(c.fds, ends[0], "");
	add(c.fds, ends[1], "");
	if (wali_open_stream("ptmx 0", &o) != ERR_OK)
		abort();
	add(c.fds, o, "ptmx 0");
	if (wali_open_stream("pts 0", &o) != ERR_OK)
		abort();
	add(c.fds, o, "pts 0");
	if (wasi_new(&c, &w, &msg) != ERR_OK)
		abort();
	return w;
}

/* Loads and writes again; empty when it is refused. */
static struct wr again(const uint8_t *data, size_t size)
{
	struct wait wait;
	struct wr out = {0};
	struct wali *k;
	struct errmsg msg = {0};
	struct rd in = rd_of(data, size);
	struct wali_config c = {.wasi = new_wasi(&wait), .pid = 7};
	if (wali_load(&in, &c, &k, &msg) == ERR_OK) {
		if (wali_save(k, &out, &msg) != ERR_OK)
			abort();
		wali_free(k);
	} else if (!msg.text[0]) {
		abort();
	}
	wasi_free(c.wasi);
	return out;
}

/* What is accepted can be written, and is then the same each time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr a = again(data, size);
	if (!a.size)
		return 0;
	struct wr b = again(a.data, a.size);
	if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
		abort();
	wr_free(&a);
	wr_free(&b);
	return 0;
}
