/* share_message.c - hostile calls about shares to a device, and hostile lists of shares from one.
 *
 * Input: a byte that says which side, then the bytes. A call that is a request is answered from a folder in memory, as node/links/shares.c does.
 */
#include "node/links/share_message.h"

#include "vfs/memory.h"
#include "vfs/serve.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two names for one folder, as `wasmos share` has them: "docs", and "fixed", which is read only. */
static struct vfs_export *open_shares(void)
{
	static const uint8_t home[VFS_DEVICE_ID_BYTES] = {1};
	struct vfs_mount_config docs = {
	    .guest = "/docs", .kind = VFS_MOUNT_HOST, .id = share_number("docs")};
	struct vfs_mount_config fixed = {.guest = "/fixed",
	                                 .kind = VFS_MOUNT_HOST,
	                                 .id = share_number("fixed"),
	                                 .read_only = true};
	struct vfs_ns *ns = vfs_ns_new();
	struct vfs_obj *root, *f;
	struct vfs_export *x;
	if (vfs_memory_new(1 << 20, &root) != FE_OK ||
	    vfs_open(root, "a", VFS_WRITE | VFS_CREATE, &f) != FE_OK)
		abort();
	vfs_unref(f);
	vfs_ns_add(ns, &docs, vfs_ref(root), NULL);
	vfs_ns_add(ns, &fixed, root, NULL);
	if (vfs_export_new(ns, NULL, home, &x) != ERR_OK)
		abort();
	vfs_ns_free(ns);
	return x;
}

static void request(struct rd in)
{
	struct vfs_export *x = open_shares();
	struct wr answer = {0};
	enum err e = vfs_export_request(x, in.p, rd_left(&in), &answer);
	if ((e == ERR_OK) != (answer.size >= 2))
		abort();
	wr_free(&answer);
	vfs_export_free(x);
}

/* What is taken writes the same bytes. */
static void call(struct rd in)
{
	const uint8_t *start = in.p;
	struct share_head head;
	struct wr same = {0};
	if (share_head_get(&in, &head) != ERR_OK)
		return;
	share_head_put(&same, head.kind, head.session);
	if (same.size != (size_t)(in.p - start) || memcmp(same.data, start, same.size) != 0)
		abort();
	wr_free(&same);
	if (head.kind == SHARE_REQUEST)
		request(in);
}

static void list(struct rd in)
{
	struct share_name *names;
	struct wr same = {0};
	uint32_t count;
	if (share_list_get(in, &names, &count) != ERR_OK)
		return;
	share_list_begin(&same, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!share_name_is_fit(names[i].name))
			abort();
		share_list_put(&same, &names[i]);
	}
	if (count > SHARES_MAX || same.size != rd_left(&in) ||
	    memcmp(same.data, in.p, same.size) != 0)
		abort();
	wr_free(&same);
	free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	uint8_t side;
	if (rd_u8(&in, &side) != ERR_OK)
		return 0;
	if (side & 1)
		list(in);
	else
		call(in);
	return 0;
}
