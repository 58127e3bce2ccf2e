/* test_hostfd.c - the program's own descriptors as streams. */
#include "tests/vfs/tree.h"

#include "vfs/stream.h"

#include <criterion/criterion.h>
#include <unistd.h>

static enum ferr get(struct vfs_obj *o, char *c, size_t *done)
{
	struct vfs_iov iov = {c, 1};
	return vfs_read(o, 0, &iov, 1, done);
}

/* As a process does: waits for what the stream names, then reads again. */
static enum ferr get_waiting(struct vfs_obj *o, char *c, size_t *done)
{
	struct os_wake w;
	enum ferr e;
	cr_assert_eq(os_wake_init(&w), ERR_OK);
	while ((e = get(o, c, done)) == FE_AGAIN) {
		struct os_ready on = {.handle = vfs_wait_handle(o, VFS_READABLE),
		                      .want_read = true};
		cr_assert_neq(on.handle, OS_NO_HANDLE);
		cr_assert_eq(os_wait(&w, &on, 1, os_monotonic_ns() + 5000000000u), 1,
		             "nothing came");
	}
	os_wake_free(&w);
	return e;
}

Test(hostfd, a_read_would_wait_instead_of_blocking)
{
	int fds[2];
	char c = 'c';
	size_t done;
	host_pipe(fds);
	struct vfs_obj *o = vfs_hostfd_new(fds[0], true);
	cr_expect_eq(get(o, &c, &done), FE_AGAIN);
	cr_expect_eq(vfs_ready(o, VFS_READABLE), 0);
	cr_expect_eq(write(fds[1], "xy", 2), 2);
	cr_expect(get_waiting(o, &c, &done) == FE_OK && c == 'x');
	cr_expect_eq(vfs_ready(o, VFS_READABLE), VFS_READABLE);
	cr_expect(get_waiting(o, &c, &done) == FE_OK && c == 'y');
	cr_expect_eq(get(o, &c, &done), FE_AGAIN);
	close(fds[1]);
	cr_expect(get_waiting(o, &c, &done) == FE_OK && done == 0, "the end");
	cr_expect(get_waiting(o, &c, &done) == FE_OK && done == 0, "and again");
	vfs_unref(o);
}

Test(hostfd, a_stream_that_waits_for_input_can_be_closed)
{
	int fds[2];
	char c;
	size_t done;
	host_pipe(fds);
	struct vfs_obj *o = vfs_hostfd_new(fds[0], false);
	cr_expect_eq(get(o, &c, &done), FE_AGAIN);
	uint64_t before = os_monotonic_ns();
	vfs_unref(o);
	cr_assert_lt(os_monotonic_ns() - before, 1000000000u);
	close(fds[1]);
	close(fds[0]);
}
