/* open_files.c - see the header. What does not come about here is a fault of the target's, not of its bytes. */
#include "open_files.h"

#include "node/wali/family.h"
#include "node/wali/wali.h"
#include "vfs/memory.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>

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

static void add_stream(struct fdtable *fds, const char *name)
{
	struct vfs_obj *o;
	if (wali_open_stream(name, &o) != ERR_OK)
		abort();
	add(fds, o, name);
}

struct fdtable *open_files(void)
{
	struct fdtable *fds;
	struct vfs_obj *ends[2], *root, *o;
	if (fdtable_new(&fds) != ERR_OK || vfs_pipe_new(&ends[0], &ends[1]) != FE_OK ||
	    vfs_memory_new(1 << 16, &root) != FE_OK ||
	    vfs_open(root, "f", VFS_READ | VFS_WRITE | VFS_CREATE, &o) != FE_OK)
		abort();
	vfs_unref(root);
	add(fds, vfs_null_new(), "");
	add_stream(fds, "eventfd 1");
	add_stream(fds, "epoll 1");
	add(fds, o, "");
	add(fds, ends[0], "");
	add(fds, ends[1], "");
	add_stream(fds, "ptmx 0");
	add_stream(fds, "pts 0");
	return fds;
}

void stop_alarms(struct family *f)
{
	if (f->has_alarms || os_wake_init(&f->alarm_wake) != ERR_OK)
		abort();
	f->has_alarms = true;
}

void let_alarms(struct family *f)
{
	f->has_alarms = false;
	os_wake_free(&f->alarm_wake);
}
