/* store_prefixes.c - every prefix of what the store has written, as a crash could leave it: no acknowledged write is lost, no batch is half there.
 *
 * This program stands between the store (with LMDB in it) and the system: its own pwrite(), fdatasync() and so on are used by all of it, and note what
 * is written. A run of batches of every kind, and of collections, is recorded. Then for each place in the record the files are built as
 *
 *	killed    all that was written until there: the process died, the system lives
 *	synced    what was synced until there alone: the power was cut, and nothing else had reached the disk
 *	mixed     that, and some of the writes since, the last of them cut in half: the disk wrote what it liked
 *
 * and the store is opened on them. Every batch that was acknowledged by then must be there whole, the next one whole or not at all.
 * A name that was made is only there for sure when its folder was synced, and one that was removed is only gone for sure then.
 *
 *	store_prefixes DIR [SEED] [ROUNDS]       DIR is made and removed; prints TAP
 */
#undef _FILE_OFFSET_BITS /* both names of each function are the program's own: libraries call either */
#include "node/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 64, FDS_MAX = 256, BATCHES = 16, PAGES = 24, NAME_SIZE = 48 };

/* ---- the record ---- */

enum event_kind { WRITE, CUT, SYNC, MAKE, REMOVE, SYNC_NAMES, ACKNOWLEDGED };

struct event {
	enum event_kind kind;
	int file;
	uint64_t offset, size; /* CUT: the size it has then. ACKNOWLEDGED: the batch */
	uint8_t *bytes;        /* owned */
};

/* The wrappers have no context: they are the system's functions. */
static struct {
	bool on;
	const char *root;
	size_t root_size;
	char names
	    [FILES_MAX]
	    [NAME_SIZE]; /* below root; a name that is made again after it was removed is another file */
	bool removed[FILES_MAX];
	int count;
	int file_of[FDS_MAX]; /* -1: not below root; FILES_MAX: a folder */
	bool dsync[FDS_MAX];
	struct event *events;
	size_t event_count, event_cap;
} tape;

static void note(struct event e, const void *bytes)
{
	if (!tape.on)
		return;
	if (tape.event_count == tape.event_cap) {
		tape.event_cap = tape.event_cap ? 2 * tape.event_cap : 1024;
		tape.events = realloc(tape.events, tape.event_cap * sizeof *tape.events);
	}
	if (bytes) {
		e.bytes = malloc(e.size + 1);
		memcpy(e.bytes, bytes, e.size);
	}
	tape.events[tape.event_count++] = e;
}

static int file_named(const char *name)
{
	for (int i = 0; i < tape.count; i++)
		if (!tape.removed[i] && !strcmp(tape.names[i], name))
			return i;
	if (tape.count == FILES_MAX)
		abort();
	snprintf(tape.names[tape.count], NAME_SIZE, "%s", name);
	return tape.count++;
}

static int file_of(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? tape.file_of[fd] : -1;
}

/* The path of an open file, and so of what is in an open folder. */
static void opened(int fd, int flags, bool is_new)
{
	char link[64], path[512];
	struct stat st;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (fd < 0 || fd >= FDS_MAX)
		return;
	tape.file_of[fd] = -1;
	if (!tape.root || n < 0 || fstat(fd, &st) != 0)
		return;
	path[n] = 0;
	if (strncmp(path, tape.root, tape.root_size) != 0)
		return;
	tape.dsync[fd] = flags & O_DSYNC;
	const char *name = path + tape.root_size;
	if (S_ISDIR(st.st_mode) || *name != '/' || !strcmp(name, "/lock.mdb")) {
		tape.file_of[fd] = S_ISDIR(st.st_mode) ? FILES_MAX : -1;
		return;
	}
	tape.file_of[fd] = file_named(name + 1);
	if (is_new)
		note((struct event){.kind = MAKE, .file = tape.file_of[fd]}, NULL);
}

/* ---- the system's functions, as the store and LMDB call them ---- */

static int open_and_note(int at, const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool is_new = (flags & O_CREAT) && fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) != 0;
	int fd = (int)syscall(SYS_openat, at, path, flags, mode);
	int error = errno;
	opened(fd, flags, is_new);
	errno = error;
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;
}

#define OPEN(name, at, ...)                                  \
	int name(__VA_ARGS__, int flags, ...)                \
	{                                                    \
		va_list ap;                                  \
		va_start(ap, flags);                         \
		mode_t mode = mode_of(flags, ap);            \
		va_end(ap);                                  \
		return open_and_note(at, path, flags, mode); \
	}
OPEN(open, AT_FDCWD, const char *path)
OPEN(open64, AT_FDCWD, const char *path)
OPEN(openat, folder, int folder, const char *path)
OPEN(openat64, folder, int folder, const char *path)

static ssize_t wrote(int fd, const void *bytes, ssize_t n, off_t offset)
{
	int file = file_of(fd);
	if (n <= 0 || file < 0 || file == FILES_MAX)
		return n;
	note(
	    (struct event){
	        .kind = WRITE, .file = file, .offset = (uint64_t)offset, .size = (uint64_t)n},
	    bytes);
	if (tape.dsync[fd])
		note((struct event){.kind = SYNC, .file = file}, NULL);
	return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
	return wrote(fd, bytes, syscall(SYS_pwrite64, fd, bytes, size, offset), offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return pwrite64(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	off_t at = file_of(fd) >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
	return wrote(fd, bytes, syscall(SYS_write, fd, bytes, size), at);
}

/* One after the other: what is noted is what was done. */
ssize_t pwritev64(int fd, const struct iovec *v, int count, off_t offset)
{
	ssize_t sum = 0;
	for (int i = 0; i < count; i++) {
		ssize_t n = pwrite64(fd, v[i].iov_base, v[i].iov_len, offset + sum);
		if (n < 0)
			return sum ? sum : n;
		sum += n;
	}
	return sum;
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
	return pwritev64(fd, v, count, offset);
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	ssize_t sum = 0;
	for (int i = 0; i < count; i++) {
		ssize_t n = write(fd, v[i].iov_base, v[i].iov_len);
		if (n < 0)
			return sum ? sum : n;
		sum += n;
	}
	return sum;
}

static int synced(int fd, int rc)
{
	int file = file_of(fd);
	if (rc == 0 && file == FILES_MAX)
		note((struct event){.kind = SYNC_NAMES}, NULL);
	else if (rc == 0 && file >= 0)
		note((struct event){.kind = SYNC, .file = file}, NULL);
	return rc;
}

/* The disk is not asked: what a crash leaves is made up here. */
int fdatasync(int fd)
{
	return synced(fd, 0);
}

int fsync(int fd)
{
	return synced(fd, 0);
}

int ftruncate64(int fd, off_t size)
{
	int rc = (int)syscall(SYS_ftruncate, fd, size), file = file_of(fd);
	if (rc == 0 && file >= 0)
		note((struct event){.kind = CUT, .file = file, .size = (uint64_t)size}, NULL);
	return rc;
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int unlinkat(int folder, const char *path, int flags)
{
	char name[NAME_SIZE];
	int rc = (int)syscall(SYS_unlinkat, folder, path, flags);
	snprintf(name, sizeof name, "packs/%s", path);
	if (rc == 0 && file_of(folder) == FILES_MAX && strstr(path, ".pack")) {
		int file = file_named(name);
		tape.removed[file] = true;
		note((struct event){.kind = REMOVE, .file = file}, NULL);
	}
	return rc;
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		tape.file_of[fd] = -1;
	return (int)syscall(SYS_close, fd);
}

/* ---- what is recorded ---- */

static uint64_t mix(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x;
}

/* Page n of batch i; every second packs well and lies in LMDB. */
static struct chunk_addr page_of(unsigned i, unsigned n, uint8_t *page)
{
	uint64_t x = (uint64_t)i * 1000003 + n + 1;
	memset(page, 0, CHUNK_PAGE);
	for (size_t at = 0; at < (n % 4 == 3 ? 64u : (unsigned)CHUNK_PAGE); at += 8) {
		uint64_t v = mix(&x);
		memcpy(page + at, &v, 8);
	}
	return chunk_addr_of(page, CHUNK_PAGE);
}

static unsigned pages_of(unsigned i)
{
	return i % 3 == 2 ? 2 : PAGES; /* small ones take another way */
}

static unsigned kept_from; /* batches that a collection keeps */

static enum err keep(void *ctx, depot_mark_fn mark, void *gc, struct errmsg *msg)
{
	uint8_t page[CHUNK_PAGE];
	(void)msg;
	for (unsigned i = kept_from; i < *(unsigned *)ctx; i++)
		for (unsigned n = 0; n < pages_of(i); n++) {
			struct chunk_addr a = page_of(i, n, page);
			mark(gc, &a);
		}
	return ERR_OK;
}

static void die(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	exit(1);
}

static void write_batch(struct depot *d, unsigned i)
{
	uint8_t page[CHUNK_PAGE];
	struct errmsg msg = {0};
	struct depot_batch *b = depot_batch_new(d);
	depot_put(b, DEPOT_SETTINGS, &i, sizeof i, "row", 3);
	for (unsigned n = 0; n < pages_of(i); n++) {
		struct chunk_addr a = page_of(i, n, page);
		depot_put_chunk(b, &a, page, sizeof page);
	}
	if (depot_write(b, &msg) != ERR_OK)
		die("writing", msg.text);
	depot_batch_free(b);
}

static void run(const char *dir)
{
	struct depot *d;
	struct errmsg msg = {0};
	struct depot_gc_result res;
	unsigned done = 0;
	uint64_t moved = 0, removed = 0;
	if (depot_open(dir, &d, &msg) != ERR_OK)
		die("opening", msg.text);
	depot_keeper(d, "all", keep, &done);
	depot_pack_size(d, 200 << 10); /* so that packs are begun, emptied and removed */
	tape.on = true;
	for (unsigned i = 0; i < BATCHES; i++) {
		write_batch(d, i);
		done = i + 1;
		note((struct event){.kind = ACKNOWLEDGED, .offset = i}, NULL);
		if (i % 5 == 4) {
			kept_from = i - 3;
			note((struct event){.kind = ACKNOWLEDGED, .offset = i, .size = kept_from},
			     NULL);
			if (depot_gc(d, 0, &res, &msg) != ERR_OK)
				die("collecting", msg.text);
			moved += res.moved_bytes;
			removed += res.packs_removed;
		}
	}
	tape.on = false;
	depot_close(d);
	if (!moved || !removed)
		die("collecting", "no pack was emptied");
}

/* ---- what a crash leaves ---- */

struct built {
	uint8_t *bytes;
	uint64_t size, cap;
	bool exists;
};

static void grow(struct built *f, uint64_t size)
{
	if (size > f->cap) {
		f->bytes = realloc(f->bytes, size * 2);
		memset(f->bytes + f->cap, 0, size * 2 - f->cap);
		f->cap = size * 2;
	}
	if (size > f->size)
		f->size = size;
}

static void apply(struct built *f, const struct event *e, uint64_t size)
{
	if (e->kind == WRITE) {
		grow(f, e->offset + size);
		memcpy(f->bytes + e->offset, e->bytes, size);
	} else if (e->kind == CUT) {
		if (e->size < f->size)
			memset(f->bytes + e->size, 0, f->size - e->size);
		grow(f, e->size);
		f->size = e->size;
	}
}

enum crash { KILLED, SYNCED, MIXED, CRASHES };

/* The last sync of each file, and of the names, before the end. */
struct barriers {
	size_t file[FILES_MAX], names;
};

static void find_barriers(size_t end, struct barriers *b)
{
	memset(b, 0, sizeof *b);
	for (size_t i = 0; i < end; i++)
		if (tape.events[i].kind == SYNC)
			b->file[tape.events[i].file] = i;
		else if (tape.events[i].kind == SYNC_NAMES)
			b->names = i;
}

static void build_files(size_t end, enum crash how, uint64_t *x, struct built *files)
{
	struct barriers b;
	find_barriers(end, &b);
	for (size_t i = 0; i < end; i++) {
		const struct event *e = &tape.events[i];
		struct built *f = &files[e->file];
		bool names = e->kind == MAKE || e->kind == REMOVE;
		bool sure = how == KILLED || i < (names ? b.names : b.file[e->file]);
		if (!sure && (how == SYNCED || mix(x) % 2))
			continue;
		if (names)
			f->exists = e->kind == MAKE;
		else if (e->kind == WRITE && !sure && mix(x) % 4 == 0)
			apply(f, e, e->size / 512 / 2 * 512); /* half of its sectors */
		else
			apply(f, e, e->size);
	}
}

/* ---- whether it is right ---- */

static void write_file(const char *dir, const char *name, const struct built *f)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *out = fopen(path, "wb");
	if (!out || fwrite(f->bytes, 1, f->size, out) != f->size || fclose(out) != 0)
		die("writing a file", path);
}

static void remove_dir(const char *dir)
{
	char command[700];
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	if (system(command) != 0)
		die("removing", dir);
}

/* 1: the batch is there whole; 0: nothing of it that counts; -1: something else. */
static int batch_state(struct depot *d, unsigned i)
{
	uint8_t page[CHUNK_PAGE];
	struct wr w = {0};
	unsigned whole = 0, broken = 0;
	bool row = depot_get(d, DEPOT_SETTINGS, &i, sizeof i, &w) == ERR_OK;
	for (unsigned n = 0; n < pages_of(i); n++) {
		struct chunk_addr a = page_of(i, n, page);
		wr_clear(&w);
		enum err e = depot_get_chunk(d, &a, &w, NULL);
		whole += e == ERR_OK && w.size == sizeof page && !memcmp(w.data, page, sizeof page);
		broken += e != ERR_OK && e != ERR_NOTFOUND;
	}
	wr_free(&w);
	if (row && whole == pages_of(i))
		return 1;
	return !row && !whole && !broken ? 0 : -1;
}

static bool is_right(const char *dir, int acknowledged, unsigned kept, char *why, size_t why_size)
{
	struct depot *d;
	struct errmsg msg = {0};
	bool right = true;
	if (depot_open(dir, &d, &msg) != ERR_OK) {
		snprintf(why, why_size, "it does not open: %s", msg.text);
		return false;
	}
	for (int i = (int)kept; right && i <= acknowledged + 1 && i < BATCHES; i++) {
		int state = batch_state(d, (unsigned)i);
		right = state == 1 || (state == 0 && i > acknowledged);
		if (!right)
			snprintf(why, why_size, "batch %d is %s, acknowledged until %d", i,
			         state ? "in pieces" : "lost", acknowledged);
	}
	if (right) { /* and it goes on */
		write_batch(d, 1000);
		right = batch_state(d, 1000) == 1;
		snprintf(why, why_size, "what is written then is not there");
	}
	depot_close(d);
	return right;
}

struct replay {
	const char *dir;
	struct built *base; /* the files when the record began */
	int base_count;
	uint64_t random;
	char why[300];
};

static bool crash_at(struct replay *r, size_t end, enum crash how)
{
	static const char *const names[] = {"killed", "synced", "mixed"};
	struct built files[FILES_MAX] = {0};
	int acknowledged = -1;
	unsigned kept = 0;
	char why[200];
	for (size_t i = 0; i < end; i++)
		if (tape.events[i].kind == ACKNOWLEDGED) {
			acknowledged = (int)tape.events[i].offset;
			if (tape.events[i].size)
				kept = (unsigned)tape.events[i].size;
		}
	for (int i = 0; i < r->base_count; i++) {
		grow(&files[i], r->base[i].size);
		memcpy(files[i].bytes, r->base[i].bytes, r->base[i].size);
		files[i].exists = true;
	}
	build_files(end, how, &r->random, files);
	char packs[600];
	snprintf(packs, sizeof packs, "%s/packs", r->dir);
	mkdir(r->dir, 0700);
	mkdir(packs, 0700);
	for (int i = 0; i < tape.count; i++) {
		if (files[i].exists)
			write_file(r->dir, tape.names[i], &files[i]);
		free(files[i].bytes);
	}
	bool right = is_right(r->dir, acknowledged, kept, why, sizeof why);
	if (!right)
		snprintf(r->why, sizeof r->why, "event %zu of %zu, %s: %s", end, tape.event_count,
		         names[how], why);
	remove_dir(r->dir);
	return right;
}

/* ---- all of it ---- */

static void read_file(const char *dir, const char *name, struct built *f)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *in = fopen(path, "rb");
	if (!in)
		die("reading", path);
	fseek(in, 0, SEEK_END);
	grow(f, (uint64_t)ftell(in));
	rewind(in);
	if (fread(f->bytes, 1, f->size, in) != f->size)
		die("reading", path);
	fclose(in);
}

int main(int argc, char **argv)
{
	struct built base[FILES_MAX] = {0};
	char live[512], crashed[512];
	struct errmsg msg = {0};
	struct depot *d;
	size_t tried = 0, wrong = 0;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
	if (argc < 2)
		return 2;
	memset(tape.file_of, -1, sizeof tape.file_of);
	mkdir(argv[1], 0700);
	snprintf(live, sizeof live, "%s/live", argv[1]);
	snprintf(crashed, sizeof crashed, "%s/crashed", argv[1]);
	if (depot_open(live, &d, &msg) != ERR_OK) /* a store that has been used */
		die("making", msg.text);
	depot_close(d);
	tape.root = realpath(live, NULL);
	tape.root_size = strlen(tape.root);
	read_file(live, "data.mdb", &base[file_named("data.mdb")]);
	read_file(live, "used", &base[file_named("used")]);
	struct replay r = {crashed, base, tape.count, argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
	                   ""};
	r.random = r.random * 0x9e3779b97f4a7c15u + 1;
	run(live);
	for (unsigned round = 0; round < rounds; round++)
		for (size_t end = 0; end <= tape.event_count; end++)
			for (int how = round ? MIXED : KILLED; how < CRASHES; how++, tried++)
				if (!crash_at(&r, end, (enum crash)how) && ++wrong <= 20)
					printf("# %s\n", r.why);
	remove_dir(argv[1]);
	printf("1..1\n%sok 1 - %zu crashes in %zu recorded events, %zu of them lost or broke "
	       "something\n",
	       wrong ? "not " : "", tried, tape.event_count, wrong);
	return wrong != 0;
}
