/* linux.c - hostile bytes as section "linux": folder, maps, signals, slots, terminal, eventfd, epoll, ptys. */
#include "open_files.h"

#include "node/process/wait.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wasi *new_wasi(struct wait *wait)
{
	struct wasi_config c = {.wait = wait, .ns = vfs_ns_new(), .fds = open_files()};
	struct errmsg msg = {0};
	struct wasi *w;
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
