/* test_pipe.c - pipes: bytes in order, ends that close, threads at both ends. */
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

static enum ferr put(struct vfs_obj *o, void *p, size_t size, size_t *done)
{
	struct vfs_iov iov = {p, size};
	uint64_t end;
	return vfs_write(o, 0, 0, &iov, 1, done, &end);
}

static enum ferr get(struct vfs_obj *o, void *p, size_t size, size_t *done)
{
	struct vfs_iov iov = {p, size};
	return vfs_read(o, 0, &iov, 1, done);
}

Test(pipe, a_full_pipe_and_an_empty_one_would_wait)
{
	struct vfs_obj *r, *w;
	static char buf[VFS_PIPE_BYTES + 10];
	size_t done;
	cr_assert_eq(vfs_pipe_new(&r, &w), FE_OK);
	cr_expect_eq(get(r, buf, 10, &done), FE_AGAIN);
	cr_expect_eq(vfs_ready(r, VFS_READABLE), 0);
	cr_expect_eq(put(w, buf, sizeof buf, &done), FE_OK);
	cr_expect_eq(done, VFS_PIPE_BYTES);
	cr_expect_eq(put(w, buf, 1, &done), FE_AGAIN);
	cr_expect_eq(vfs_ready(w, VFS_WRITABLE), 0);
	cr_expect_eq(vfs_ready(r, VFS_READABLE), VFS_READABLE);
	vfs_unref(w);
	cr_expect_eq(get(r, buf, sizeof buf, &done), FE_OK);
	cr_expect_eq(done, VFS_PIPE_BYTES);
	cr_expect_eq(get(r, buf, 1, &done), FE_OK);
	cr_expect_eq(done, 0, "the end");
	vfs_unref(r);
}

Test(pipe, a_page_is_written_as_one_or_not_at_all)
{
	struct vfs_obj *r, *w;
	static char buf[VFS_PIPE_BYTES];
	size_t done;
	cr_assert_eq(vfs_pipe_new(&r, &w), FE_OK);
	cr_expect_eq(put(w, buf, VFS_PIPE_BYTES - 100, &done), FE_OK);
	cr_expect_eq(put(w, buf, 101, &done), FE_AGAIN);
	cr_expect_eq(vfs_ready(w, VFS_WRITABLE), 0);
	cr_expect_eq(put(w, buf, 100, &done), FE_OK);
	cr_expect_eq(done, 100);
	vfs_unref(r);
	vfs_unref(w);
}

Test(pipe, its_size_is_set_to_powers_of_two)
{
	struct vfs_obj *r, *w;
	static char buf[VFS_PIPE_BYTES];
	size_t done;
	cr_assert_eq(vfs_pipe_new(&r, &w), FE_OK);
	cr_expect_eq(vfs_pipe_set_room(w, 5000), FE_OK);
	cr_expect_eq(vfs_pipe_room(r), 8192);
	cr_expect_eq(put(w, buf, sizeof buf, &done), FE_OK);
	cr_expect_eq(done, 8192);
	cr_expect_eq(vfs_pipe_set_room(r, 1), FE_BUSY);
	cr_expect_eq(vfs_pipe_set_room(r, VFS_PIPE_BYTES + 1), FE_PERM);
	cr_expect_eq(vfs_pipe_set_room(r, VFS_PIPE_BYTES), FE_OK);
	cr_expect_eq(vfs_ready(w, VFS_WRITABLE), VFS_WRITABLE);
	vfs_unref(r);
	vfs_unref(w);
}

Test(pipe, writing_where_nobody_reads_is_a_broken_pipe)
{
	struct vfs_obj *r, *w;
	size_t done;
	cr_assert_eq(vfs_pipe_new(&r, &w), FE_OK);
	vfs_unref(r);
	cr_expect_eq(put(w, "x", 1, &done), FE_PIPE);
	cr_expect(vfs_ready(w, VFS_WRITABLE) & VFS_HANGUP);
	vfs_unref(w);
}

enum { TOTAL = 1 << 22 };

static void *writer(void *arg)
{
	uint8_t buf[777];
	for (uint32_t at = 0; at < TOTAL;) {
		uint32_t n = TOTAL - at < sizeof buf ? TOTAL - at : sizeof buf;
		size_t done;
		for (uint32_t i = 0; i < n; i++)
			buf[i] = (uint8_t)((at + i) * 2654435761u >> 24);
		if (put(arg, buf, n, &done) == FE_OK)
			at += (uint32_t)done;
		else
			sched_yield();
	}
	vfs_unref(arg);
	return NULL;
}

static void count_wake(void *ctx, const void *pipe)
{
	atomic_fetch_add((atomic_int *)ctx, 1);
}

Test(pipe, bytes_arrive_in_order_between_threads)
{
	struct vfs_obj *r, *w;
	pthread_t thread;
	uint8_t buf[1000];
	uint32_t at = 0;
	size_t done;
	atomic_int wakes = 0;
	enum ferr e;
	cr_assert_eq(vfs_pipe_new(&r, &w), FE_OK);
	vfs_pipe_set_wake(r, (struct vfs_wake){count_wake, &wakes, false});
	cr_assert_eq(pthread_create(&thread, NULL, writer, w), 0);
	while ((e = get(r, buf, sizeof buf, &done)) == FE_AGAIN || done) {
		for (size_t i = 0; e == FE_OK && i < done; i++, at++)
			cr_assert_eq(buf[i], (uint8_t)(at * 2654435761u >> 24));
		if (e == FE_AGAIN)
			sched_yield();
	}
	cr_expect_eq(at, TOTAL);
	cr_expect(atomic_load(&wakes) > 0);
	pthread_join(thread, NULL);
	vfs_unref(r);
}

Test(pipe, null_reads_the_end_and_swallows_all)
{
	struct vfs_obj *o = vfs_null_new();
	size_t done = 9;
	char c;
	cr_expect(get(o, &c, 1, &done) == FE_OK && done == 0);
	cr_expect(put(o, &c, 1, &done) == FE_OK && done == 1);
	vfs_unref(o);
}
