/* test_store.c - the depot: what was acknowledged is there after kill -9, what was not is not; damage is noticed;
 * garbage goes and nothing else. */
#include "migrate/image.h"
#include "migrate/owner.h"
#include "node/store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof dir, "%s/wasmos-store-XXXXXX", P_tmpdir);
	cr_assert(mkdtemp(dir));
}

static void remove_all_in(const char *path)
{
	char name[512];
	DIR *names = opendir(path);
	for (struct dirent *e; names && (e = readdir(names));) {
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlink(name);
	}
	if (names)
		closedir(names);
	rmdir(path);
}

static void remove_dir(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/packs", dir);
	remove_all_in(path);
	remove_all_in(dir);
}

TestSuite(store, .init = make_dir, .fini = remove_dir);

static struct depot *opened(void)
{
	struct depot *d = NULL;
	struct errmsg msg = {0};
	cr_assert_eq(depot_open(dir, &d, &msg), ERR_OK, "%s", msg.text);
	return d;
}

static void write_ok(struct depot_batch *b)
{
	struct errmsg msg = {0};
	cr_assert_eq(depot_write(b, &msg), ERR_OK, "%s", msg.text);
}

Test(store, keeps_rows_over_a_restart_in_key_order)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	depot_put(b, DEPOT_PEERS, "b", 1, "two", 3);
	depot_put(b, DEPOT_PEERS, "a", 1, "one", 3);
	depot_put(b, DEPOT_PEERS, "c", 1, "three", 5);
	depot_del(b, DEPOT_PEERS, "c", 1);
	depot_del(b, DEPOT_PEERS, "never there", 11);
	write_ok(b);
	depot_batch_free(b);
	depot_close(d);
	d = opened();
	struct wr w = {0};
	cr_assert_eq(depot_get(d, DEPOT_PEERS, "a", 1, &w), ERR_OK);
	cr_assert(w.size == 3 && memcmp(w.data, "one", 3) == 0);
	cr_assert_eq(depot_get(d, DEPOT_PEERS, "c", 1, &w), ERR_NOTFOUND);
	cr_assert_eq(depot_get(d, DEPOT_OWNERS, "a", 1, &w), ERR_NOTFOUND);
	wr_free(&w);
	depot_close(d);
}

static void fill(uint8_t *page, uint32_t n)
{
	memset(page, 0, CHUNK_PAGE);
	for (size_t i = 0; i < CHUNK_PAGE; i += 4)
		memcpy(page + i, &(uint32_t){n * 2654435761u + (uint32_t)i * 40503u}, 4);
}

Test(store, grows_beyond_its_first_map_and_gives_every_chunk_back)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	uint8_t page[CHUNK_PAGE];
	enum { N = 30000 };
	for (uint32_t i = 0; i < N; i++) {
		fill(page, i);
		struct chunk_addr a = chunk_addr_of(page, sizeof page);
		depot_put_chunk(b, &a, page, sizeof page);
		if (depot_batch_size(b) > 40 << 20)
			write_ok(b);
	}
	write_ok(b);
	uint8_t *big = calloc(1, 1 << 20);
	for (uint32_t i = 0; i < 80; i++)
		depot_put(b, DEPOT_SETTINGS, &i, sizeof i, big, 1 << 20);
	write_ok(b);
	free(big);
	struct depot_stats st;
	cr_assert_eq(depot_stats(d, &st), ERR_OK);
	cr_assert_eq(st.chunks, N);
	cr_assert_gt(st.map_bytes, 64 << 20);
	cr_assert_geq(st.packs, 2);
	cr_assert_eq(st.dead_bytes, 0);
	for (uint32_t i = 0; i < N; i += 997) {
		struct wr w = {0};
		fill(page, i);
		struct chunk_addr a = chunk_addr_of(page, sizeof page);
		cr_assert_eq(depot_get_chunk(d, &a, &w, NULL), ERR_OK);
		cr_assert(w.size == sizeof page && memcmp(w.data, page, sizeof page) == 0);
		wr_free(&w);
	}
	depot_batch_free(b);
	depot_close(d);
}

/* Flips one byte of the chunk's stored form in the file. */
static void damage(const char *file, const void *needle, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	FILE *f = fopen(path, "r+b");
	cr_assert(f);
	fseek(f, 0, SEEK_END);
	size_t n = (size_t)ftell(f);
	uint8_t *all = malloc(n);
	rewind(f);
	cr_assert_eq(fread(all, 1, n, f), n);
	uint8_t *at = memmem(all, n, needle, size);
	cr_assert(at);
	fseek(f, at - all + 3, SEEK_SET);
	fputc(at[3] ^ 1, f);
	fclose(f);
	free(all);
}

Test(store, notices_a_damaged_chunk)
{
	const char text[] = "a short chunk is stored as it is";
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	struct chunk_addr a = chunk_addr_of(text, sizeof text);
	struct errmsg msg = {0};
	struct wr w = {0};
	depot_put_chunk(b, &a, text, sizeof text);
	write_ok(b);
	depot_batch_free(b);
	depot_close(d);
	damage("data.mdb", text, sizeof text);
	d = opened();
	cr_assert_eq(depot_get_chunk(d, &a, &w, &msg), ERR_MALFORMED);
	cr_assert(strstr(msg.text, "damaged"), "%s", msg.text);
	cr_assert_eq(w.size, 0);
	wr_free(&w);
	depot_close(d);
}

/* Pages that do not pack: they go into a pack. */
static struct chunk_addr put_random(struct depot_batch *b, uint32_t n, uint8_t *page)
{
	uint64_t x = n + 1;
	for (size_t i = 0; i < CHUNK_PAGE; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = (uint8_t)x;
	}
	struct chunk_addr a = chunk_addr_of(page, CHUNK_PAGE);
	if (b)
		depot_put_chunk(b, &a, page, CHUNK_PAGE);
	return a;
}

static enum err read_random(struct depot *d, uint32_t n)
{
	uint8_t page[CHUNK_PAGE];
	struct chunk_addr a = put_random(NULL, n, page);
	struct wr w = {0};
	enum err e = depot_get_chunk(d, &a, &w, NULL);
	cr_assert(e != ERR_OK || (w.size == sizeof page && memcmp(w.data, page, sizeof page) == 0));
	wr_free(&w);
	return e;
}

static void put_randoms(struct depot *d, uint32_t first, uint32_t count)
{
	struct depot_batch *b = depot_batch_new(d);
	uint8_t page[CHUNK_PAGE];
	for (uint32_t i = 0; i < count; i++)
		put_random(b, first + i, page);
	write_ok(b);
	depot_batch_free(b);
}

Test(store, a_damaged_chunk_of_a_pack_is_noticed_and_healed_by_putting_it_again)
{
	uint8_t page[CHUNK_PAGE];
	struct depot *d = opened();
	put_randoms(d, 0, 100);
	depot_close(d);
	struct chunk_addr a = put_random(NULL, 50, page);
	damage("packs/00000001.pack", page + 1000, 100);
	d = opened();
	cr_assert(depot_has_chunk(d, &a), "nobody has looked");
	cr_assert_eq(read_random(d, 50), ERR_MALFORMED);
	cr_assert_not(depot_has_chunk(d, &a), "it is asked for again");
	cr_assert_eq(read_random(d, 49), ERR_OK);
	put_randoms(d, 50, 1);
	cr_assert(depot_has_chunk(d, &a));
	cr_assert_eq(read_random(d, 50), ERR_OK);
	depot_close(d);
	d = opened();
	cr_assert_eq(read_random(d, 50), ERR_OK);
	depot_close(d);
}

Test(store, what_a_pack_has_behind_the_last_acknowledged_write_goes)
{
	char path[128];
	struct stat st;
	struct depot *d = opened();
	put_randoms(d, 0, 100);
	depot_close(d);
	snprintf(path, sizeof path, "%s/packs/00000001.pack", dir);
	cr_assert_eq(stat(path, &st), 0);
	FILE *f = fopen(path, "ab");
	fputs("a torn record", f);
	fclose(f);
	snprintf(path, sizeof path, "%s/packs/00000007.pack", dir);
	f = fopen(path, "wb"); /* one whose transaction never came */
	fputs("a torn record", f);
	fclose(f);
	off_t size = st.st_size;
	d = opened();
	cr_assert_neq(stat(path, &st), 0);
	snprintf(path, sizeof path, "%s/packs/00000001.pack", dir);
	cr_assert(stat(path, &st) == 0 && st.st_size == size);
	put_randoms(d, 100, 100);
	for (uint32_t i = 0; i < 200; i++)
		cr_assert_eq(read_random(d, i), ERR_OK);
	depot_close(d);
}

static enum err keep_some(void *ctx, depot_mark_fn mark, void *gc, struct errmsg *msg)
{
	uint8_t page[CHUNK_PAGE];
	(void)msg;
	for (uint32_t i = 0; i < *(uint32_t *)ctx; i++) {
		struct chunk_addr a = put_random(NULL, 10 * i, page);
		mark(gc, &a);
	}
	return ERR_OK;
}

Test(store, packs_that_hold_mostly_garbage_are_emptied_and_their_space_comes_back, .timeout = 60)
{
	struct depot *d = opened();
	struct depot_gc_result res;
	struct errmsg msg = {0};
	struct depot_stats st;
	enum { N = 20000 }; /* more than one pack */
	uint32_t kept = N / 10;
	depot_keeper(d, "test", keep_some, &kept);
	put_randoms(d, 0, N / 2);
	put_randoms(d, N / 2, N / 2);
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(res.removed, N - kept);
	cr_assert_eq(res.kept, kept);
	cr_assert_geq(res.packs_removed, 1);
	cr_assert_eq(depot_stats(d, &st), ERR_OK);
	cr_assert_eq(st.chunks, kept);
	cr_assert_lt(st.dead_bytes, st.pack_bytes / 2 + (4 << 20));
	for (uint32_t i = 0; i < kept; i++)
		cr_assert_eq(read_random(d, 10 * i), ERR_OK);
	depot_close(d);
	d = opened();
	for (uint32_t i = 0; i < kept; i++)
		cr_assert_eq(read_random(d, 10 * i), ERR_OK);
	kept = 0;
	depot_keeper(d, "test", keep_some, &kept);
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(depot_stats(d, &st), ERR_OK);
	cr_assert_eq(st.chunks + st.packs + st.pack_bytes, 0);
	put_randoms(d, 5, 100);
	cr_assert_eq(read_random(d, 5), ERR_OK);
	depot_close(d);
}

Test(store, a_check_finds_what_is_cut_short_and_a_scrub_what_is_damaged)
{
	struct depot *d = opened();
	struct depot_soundness sound;
	struct chunk_addr from = {0}, addrs[8];
	struct depot_scrub sum = {0};
	char path[128];
	bool end = false;
	put_randoms(d, 0, 600);
	cr_assert_eq(depot_check(d, false, &sound, NULL), ERR_OK);
	cr_assert_eq(sound.lost + sound.short_packs + sound.wrong_packs, 0, "%s", sound.first);
	for (int i = 0; !end; i++) {
		cr_assert_eq(depot_scrub(d, &from, 1 << 20, &sum, &end, NULL), ERR_OK);
		cr_assert_lt(i, 10);
	}
	cr_assert_eq(sum.chunks, 600);
	cr_assert_eq(sum.damaged, 0);
	depot_close(d);
	snprintf(path, sizeof path, "%s/packs/00000001.pack", dir);
	cr_assert_eq(truncate(path, 597 * (CHUNK_PAGE + 62)), 0);
	d = opened();
	cr_assert_eq(depot_check(d, false, &sound, NULL), ERR_OK);
	cr_assert_eq(sound.short_packs, 1);
	cr_assert(strstr(sound.first, "pack 00000001"), "%s", sound.first);
	from = (struct chunk_addr){0};
	sum = (struct depot_scrub){0};
	for (end = false; !end;)
		cr_assert_eq(depot_scrub(d, &from, 1 << 20, &sum, &end, NULL), ERR_OK);
	cr_assert_eq(sum.damaged, 3);
	cr_assert_eq(depot_damaged(d, addrs, 8), 3);
	put_randoms(d, 597, 3);
	cr_assert_eq(depot_damaged(d, addrs, 8), 0);
	for (uint32_t i = 0; i < 600; i++)
		cr_assert_eq(read_random(d, i), ERR_OK);
	depot_close(d);
}

/* One of the threads that write at once. */
static void *write_some(void *ctx)
{
	struct depot *d = *(struct depot **)ctx;
	uint32_t first = 1000000 + (uint32_t)((uintptr_t)ctx / sizeof(void *)) % 1000 * 1000;
	for (uint32_t i = 0; i < 20; i++)
		put_randoms(d, first + 30 * i, 30);
	for (uint32_t i = 0; i < 600; i++)
		cr_assert_eq(read_random(d, first + i), ERR_OK);
	return NULL;
}

Test(store, many_threads_write_at_once_and_each_has_its_own_when_it_is_told_so, .timeout = 60)
{
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	struct depot *d = opened(), *same[THREADS];
	for (int i = 0; i < THREADS; i++) {
		same[i] = d;
		cr_assert_eq(pthread_create(&threads[i], NULL, write_some, &same[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(depot_chunk_count(d), THREADS * 600);
	depot_close(d);
}

static void put_chunk(void *ctx, const struct chunk_addr *a, const void *bytes, size_t size)
{
	depot_put_chunk(ctx, a, bytes, size);
}

static enum err get_chunk(void *ctx, const struct chunk_addr *a, struct wr *out, struct errmsg *msg)
{
	return depot_get_chunk(ctx, a, out, msg);
}

/* An image of n pages and the record that names it. */
static struct chunk_addr put_image(struct depot_batch *b, uint8_t uid, uint32_t first, uint32_t n)
{
	struct image *im = image_new();
	uint32_t mem;
	uint8_t page[CHUNK_PAGE];
	struct owner o = {.uid = {uid}, .epoch = 1, .state = OWNER_SUSPENDED};
	cr_assert_eq(image_put_space(im, SPACE_MEMORY, "00", 0, n * CHUNK_PAGE, &mem), ERR_OK);
	for (uint32_t i = 0; i < n; i++) {
		fill(page, first + i);
		image_write_page(im, mem, i, page);
	}
	cr_assert_eq(image_store(im, put_chunk, b), ERR_OK);
	cr_assert_eq(image_id(im, &o.image), ERR_OK);
	struct wr w = {0};
	owner_write(&w, &o);
	depot_put(b, DEPOT_OWNERS, o.uid, UID_SIZE, w.data, w.size);
	wr_free(&w);
	image_free(im);
	return o.image;
}

static bool loads(struct depot *d, const struct chunk_addr *id)
{
	struct wr w = {0};
	struct image *im;
	struct errmsg msg = {0};
	struct chunk_source from = {get_chunk, d};
	enum err e = depot_get_chunk(d, id, &w, &msg);
	if (e == ERR_OK)
		e = image_load(w.data, w.size, &from, &im, &msg);
	if (e == ERR_OK)
		image_free(im);
	wr_free(&w);
	return e == ERR_OK;
}

Test(store, garbage_goes_and_what_an_image_names_stays)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	struct depot_gc_result res;
	struct errmsg msg = {0};
	struct chunk_addr one = put_image(b, 1, 0, 3000), two = put_image(b, 2, 2000, 3000);
	write_ok(b);
	depot_hold(d);
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_BUSY);
	depot_release(d);
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(res.removed, 0);
	depot_del(b, DEPOT_OWNERS, (uint8_t[UID_SIZE]){1}, UID_SIZE);
	write_ok(b);
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_OK, "%s", msg.text);
	cr_assert_geq(res.removed, 2000, "pages of the first only, its groups, its manifest");
	cr_assert_not(loads(d, &one));
	cr_assert(loads(d, &two));
	cr_assert_eq(depot_gc(d, 0, &res, &msg), ERR_OK);
	cr_assert_eq(res.removed, 0);
	cr_assert_geq(res.kept, 3000);
	depot_batch_free(b);
	depot_close(d);
}

Test(store, of_what_no_image_names_the_newest_stays_as_long_as_there_is_room)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	struct depot_gc_result res;
	struct depot_stats before, after;
	struct chunk_addr one = put_image(b, 1, 0, 1000);
	write_ok(b);
	struct chunk_addr two = put_image(b, 2, 1000, 1000);
	depot_del(b, DEPOT_OWNERS, (uint8_t[UID_SIZE]){1}, UID_SIZE);
	depot_del(b, DEPOT_OWNERS, (uint8_t[UID_SIZE]){2}, UID_SIZE);
	write_ok(b);
	cr_assert_eq(depot_stats(d, &before), ERR_OK);
	cr_assert_eq(depot_gc(d, before.chunk_bytes, &res, NULL), ERR_OK);
	cr_assert_eq(res.removed, 0);
	uint64_t half = before.chunk_bytes / 2 + 5000;
	cr_assert_eq(depot_gc(d, half, &res, NULL), ERR_OK);
	cr_assert_eq(depot_stats(d, &after), ERR_OK);
	cr_assert(res.removed && after.chunk_bytes <= half && after.chunk_bytes > half - 5000);
	cr_assert_not(loads(d, &one));
	cr_assert(loads(d, &two));
	cr_assert_eq(depot_gc(d, 0, &res, NULL), ERR_OK);
	cr_assert_eq(depot_chunk_count(d), 0);
	depot_batch_free(b);
	depot_close(d);
}

enum { KILL_PAGES = 20, KILLS = 20 };

/* Writes batches of three rows and chunks, and says each number on the pipe once it was acknowledged. */
static void write_forever(int fd)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	uint8_t page[CHUNK_PAGE];
	for (uint32_t i = 0;; i++) {
		for (uint32_t k = 0; k < 3; k++)
			depot_put(b, DEPOT_SETTINGS, &k, sizeof k, &i, sizeof i);
		for (uint32_t n = 0; n < (i % 4 ? KILL_PAGES : 1); n++)
			put_random(b, KILL_PAGES * i + n, page);
		if (depot_write(b, NULL) != ERR_OK || write(fd, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static uint32_t run_and_kill(unsigned wait_us)
{
	int fds[2];
	uint32_t last = UINT32_MAX, n;
	cr_assert_eq(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0)
		write_forever(fds[1]);
	close(fds[1]);
	usleep(wait_us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(fds[0], &n, sizeof n) == sizeof n)
		last = n;
	close(fds[0]);
	return last;
}

Test(store, what_was_acknowledged_survives_kill_9_and_batches_are_whole, .timeout = 900)
{
	const char *asked = getenv("WASMOS_STORE_KILLS");
	unsigned rounds = asked ? (unsigned)atoi(asked) : KILLS;
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t last = run_and_kill(3000 + round % 40 * 2711);
		struct depot *d = opened();
		uint32_t first = 0, n;
		for (uint32_t k = 0; k < 3 && last != UINT32_MAX; k++) {
			struct wr w = {0};
			cr_assert_eq(depot_get(d, DEPOT_SETTINGS, &k, sizeof k, &w), ERR_OK);
			memcpy(&n, w.data, sizeof n);
			first = k == 0 ? n : first;
			cr_assert_eq(n, first, "a batch is whole");
			cr_assert(n == last || n == last + 1, "%u after %u", n, last);
			wr_free(&w);
		}
		for (n = 0; last != UINT32_MAX && n < (last % 4 ? KILL_PAGES : 1); n++)
			cr_assert_eq(read_random(d, KILL_PAGES * last + n), ERR_OK, "%u of %u", n,
			             last);
		depot_close(d);
	}
}

/* ---- the file itself ---- */

static off_t data_size(void)
{
	struct stat st;
	char path[128];
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

static void cut(off_t size)
{
	char path[128];
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	cr_assert_eq(truncate(path, size), 0);
}

enum { CUT_CHUNKS = 300 };

/* Values of many pages, chunks, and rows that are removed again at the end: so the last pages are free ones. */
static void fill_store(bool free_at_end)
{
	struct depot *d = opened();
	struct depot_batch *b = depot_batch_new(d);
	uint8_t page[CHUNK_PAGE], *big = calloc(1, 100000);
	for (uint32_t i = 0; i < CUT_CHUNKS; i++) {
		fill(page, i);
		struct chunk_addr a = chunk_addr_of(page, sizeof page);
		depot_put_chunk(b, &a, page, sizeof page);
	}
	depot_put(b, DEPOT_SETTINGS, "first", 5, big, 100000);
	write_ok(b);
	depot_put(b, DEPOT_SETTINGS, "last", 4, big, 100000);
	write_ok(b);
	if (free_at_end) {
		depot_del(b, DEPOT_SETTINGS, "last", 4);
		write_ok(b);
		for (int i = 0; i < 8; i++) { /* the trees move into what was freed */
			depot_put(b, DEPOT_SETTINGS, "again", 5, &i, sizeof i);
			write_ok(b);
		}
	}
	free(big);
	depot_batch_free(b);
	depot_close(d);
}

static void expect_everything(void)
{
	struct depot *d = opened();
	struct wr w = {0};
	uint8_t page[CHUNK_PAGE];
	for (uint32_t i = 0; i < CUT_CHUNKS; i++) {
		fill(page, i);
		struct chunk_addr a = chunk_addr_of(page, sizeof page);
		cr_assert_eq(depot_get_chunk(d, &a, &w, NULL), ERR_OK);
		wr_clear(&w);
	}
	cr_assert_eq(depot_get(d, DEPOT_SETTINGS, "first", 5, &w), ERR_OK);
	wr_free(&w);
	depot_close(d);
}

Test(store, a_file_that_was_cut_short_is_refused_wherever_it_was_cut, .timeout = 60)
{
	fill_store(false);
	for (off_t size = data_size() - 1; size > 0; size -= size > 20000 ? 4095 : 511) {
		struct depot *d;
		struct errmsg msg = {0};
		cut(size);
		cr_assert_eq(depot_open(dir, &d, &msg), ERR_MALFORMED, "cut to %lld",
		             (long long)size);
		cr_assert(strstr(msg.text, "damaged") && strstr(msg.text, "are forgotten"), "%s",
		          msg.text);
		cr_assert_eq(data_size(), size, "it is left as it is");
	}
}

Test(store, a_file_that_is_shorter_than_its_last_page_but_whole_is_opened)
{
	struct depot *d;
	int opened_short = 0;
	fill_store(true);
	for (off_t size = data_size() - 4096;; size -= 4096) {
		struct errmsg msg = {0};
		cut(size);
		if (depot_open(dir, &d, &msg) != ERR_OK)
			break;
		depot_close(d);
		opened_short++;
		if (data_size() != size)
			break; /* it was written again */
		expect_everything();
	}
	cr_assert_gt(opened_short, 0);
}

Test(store, an_empty_or_missing_file_is_no_new_store_where_one_was_used)
{
	struct depot *d;
	struct errmsg msg = {0};
	char path[128];
	fill_store(false);
	cut(0);
	cr_assert_eq(depot_open(dir, &d, &msg), ERR_MALFORMED);
	cr_assert(strstr(msg.text, "it is empty") && strstr(msg.text, "removed"), "%s", msg.text);
	cr_assert_eq(data_size(), 0);
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	unlink(path);
	cr_assert_eq(depot_open(dir, &d, &msg), ERR_MALFORMED);
	cr_assert(strstr(msg.text, "it is gone"), "%s", msg.text);
	/* One whose beginning was interrupted may begin again. */
	snprintf(path, sizeof path, "%s/used", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	depot_close(opened());
}
