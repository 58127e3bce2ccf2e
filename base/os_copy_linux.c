/* os_copy_linux.c - os_copy.h on Linux (and Android): memfd, and what /proc/self/pagemap says of each page.
 *
 *	plain     anonymous memory; a copy is made of its present pages, while these are few (SMALL_PAGES)
 *	sealed    the range is a private mapping of an image (a memfd) as far as that reaches. Pages written since
 *	          are anonymous. A copy maps the image, and copies those
 *
 * A range is sealed when it is copied and is not small. When its copies are gone at the next one, what it has written since goes into the
 * image; else it is sealed again, with all its pages, when what was copied beside the image since is as much
 * as the image has: so copying stays within twice what it would cost at least. An image lives as long as a range maps it.
 *
 * Pages that the tracker of written ones (os_track_linux.c) has marked and nobody has touched look as if they were swapped out;
 * they are compared before they are copied.
 */
#include "base/os_copy.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SMALL_PAGES = 256, ENTRIES = 4096, PAGE = 4096 };

struct image {
	_Atomic uint32_t refs;
	int fd;
	size_t size_bytes, pages;
};

struct os_copied {
	struct image *image;
	size_t debt; /* pages that were copied beside it */
};

/* ---- which pages there are ---- */

/* A byte a page of the system's. */
enum { ABSENT, PRESENT, PERHAPS };

struct pages {
	uint8_t *state;
	size_t count, present, unit;
};

static uint8_t state_of(uint64_t entry)
{
	const uint64_t present = UINT64_C(1) << 63, swapped = UINT64_C(1) << 62;
	const uint64_t file = UINT64_C(1) << 61, marked = UINT64_C(1) << 57;
	if (!(entry & (present | swapped)) || entry & file)
		return ABSENT;
	return !(entry & present) && entry & marked ? PERHAPS : PRESENT;
}

static bool read_states(int fd, const uint8_t *base, struct pages *p)
{
	uint64_t entries[ENTRIES];
	for (size_t i = 0; i < p->count;) {
		size_t n = p->count - i < ENTRIES ? p->count - i : ENTRIES;
		off_t at = (off_t)((uintptr_t)base / p->unit + i) * (off_t)sizeof *entries;
		ssize_t got = pread(fd, entries, n * sizeof *entries, at);
		if (got <= 0 || got % (ssize_t)sizeof *entries)
			return false;
		for (size_t k = 0; k < (size_t)got / sizeof *entries; k++) {
			p->state[i] = state_of(entries[k]);
			p->present += p->state[i++] == PRESENT;
		}
	}
	return true;
}

/* The pages of [base, base + size) that are its own: of no image. False: the system does not say. */
static bool look(const uint8_t *base, size_t size_bytes, struct pages *p)
{
	*p = (struct pages){.unit = os_page_size()};
	p->count = size_bytes / p->unit;
	p->state = malloc(p->count + 1);
	int fd = p->state ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
	bool ok = fd >= 0 && read_states(fd, base, p);
	if (fd >= 0)
		close(fd);
	if (!ok)
		free(p->state);
	return ok;
}

/* The next run of pages of one state from *i on. */
static size_t run_of(const struct pages *p, size_t i)
{
	size_t from = i;
	while (i < p->count && p->state[i] == p->state[from])
		i++;
	return i - from;
}

static void copy_different(const uint8_t *from, uint8_t *to, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at += PAGE)
		if (memcmp(from + at, to + at, PAGE) != 0)
			memcpy(to + at, from + at, PAGE);
}

static void copy_own(const struct pages *p, const uint8_t *from, uint8_t *to)
{
	for (size_t i = 0, n; i < p->count; i += n) {
		n = run_of(p, i);
		if (p->state[i] == PRESENT)
			memcpy(to + i * p->unit, from + i * p->unit, n * p->unit);
		else if (p->state[i] == PERHAPS)
			copy_different(from + i * p->unit, to + i * p->unit, n * p->unit);
	}
}

/* ---- images ---- */

static void image_unref(struct image *im)
{
	if (!im || atomic_fetch_sub(&im->refs, 1) != 1)
		return;
	close(im->fd);
	free(im);
}

static bool put(int fd, const uint8_t *from, size_t at, size_t size_bytes)
{
	while (size_bytes) {
		ssize_t n = pwrite(fd, from + at, size_bytes, (off_t)at);
		if (n <= 0)
			return false;
		at += (size_t)n;
		size_bytes -= (size_t)n;
	}
	return true;
}

/* What the range shows where its old image has bytes. */
static bool put_old(int fd, const struct image *old, const uint8_t *from)
{
	off_t end = 0;
	for (;;) {
		off_t at = lseek(old->fd, end, SEEK_DATA);
		if (at < 0)
			return true;
		end = lseek(old->fd, at, SEEK_HOLE);
		if (end < at || !put(fd, from, (size_t)at, (size_t)(end - at)))
			return false;
	}
}

static bool put_own(int fd, const struct pages *p, const uint8_t *from)
{
	for (size_t i = 0, n; i < p->count; i += n) {
		n = run_of(p, i);
		if (p->state[i] != ABSENT && !put(fd, from, i * p->unit, n * p->unit))
			return false;
	}
	return true;
}

static struct image *image_new(const uint8_t *from, size_t size_bytes, const struct pages *p,
                               const struct image *old)
{
	struct image *im = calloc(1, sizeof *im);
	if (!im)
		return NULL;
	atomic_store(&im->refs, 1);
	im->fd = memfd_create("wasmos", MFD_CLOEXEC);
	im->size_bytes = size_bytes;
	im->pages = p->present + (old ? old->pages : 0);
	if (im->fd >= 0 && ftruncate(im->fd, (off_t)size_bytes) == 0 &&
	    (!old || put_old(im->fd, old, from)) && put_own(im->fd, p, from))
		return im;
	if (im->fd >= 0)
		close(im->fd);
	free(im);
	return NULL;
}

static bool map_image(const struct image *im, uint8_t *at)
{
	return mmap(at, im->size_bytes, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, im->fd, 0) != MAP_FAILED;
}

/* The range takes a reference. */
static bool set_image(struct os_copied **c, struct image *im)
{
	if (!*c && !(*c = calloc(1, sizeof **c)))
		return false;
	atomic_fetch_add(&im->refs, 1);
	image_unref((*c)->image);
	(*c)->image = im;
	(*c)->debt = 0;
	return true;
}

void os_copied_free(struct os_copied *c)
{
	if (c)
		image_unref(c->image);
	free(c);
}

/* Nobody else maps the image any more: what the range has written goes into it, and is its own no more. */
static void settle(uint8_t *from, const struct image *im, struct pages *p)
{
	for (size_t i = 0, n; i < p->count && i * p->unit < im->size_bytes; i += n) {
		size_t at = i * p->unit;
		n = run_of(p, i);
		if (at + n * p->unit > im->size_bytes)
			n = (im->size_bytes - at) / p->unit;
		if (p->state[i] != PRESENT || !put(im->fd, from, at, n * p->unit))
			continue;
		madvise(from + at, n * p->unit, MADV_DONTNEED);
		memset(p->state + i, ABSENT, n);
		p->present -= n;
	}
}

/* ---- copying ---- */

static bool has_to_seal(const struct os_copied *c, const struct pages *p)
{
	if (!c)
		return p->present > SMALL_PAGES;
	return p->present > SMALL_PAGES && c->debt + p->present > c->image->pages;
}

/* A failure leaves the range as it is. */
static bool seal(uint8_t *from, struct os_copied **c, size_t size_bytes, const struct pages *p)
{
	struct image *im = image_new(from, size_bytes, p, *c ? (*c)->image : NULL);
	if (!im)
		return false;
	bool ok = set_image(c, im);
	if (ok && !map_image(im, from))
		abort(); /* a mapping in place of one, of a file that was just written */
	image_unref(im);
	return ok;
}

static enum err copy_sealed(uint8_t *from, struct os_copied *c, uint8_t *to,
                            struct os_copied **to_c, size_t size_bytes, const struct pages *p)
{
	size_t rest = size_bytes - c->image->size_bytes;
	if (!set_image(to_c, c->image) || !map_image(c->image, to) ||
	    os_commit(to + c->image->size_bytes, rest) != ERR_OK)
		return ERR_NOMEM;
	copy_own(p, from, to);
	c->debt += p->present;
	return ERR_OK;
}

static enum err copy_plain(const uint8_t *from, uint8_t *to, size_t size_bytes,
                           const struct pages *p)
{
	TRY(os_commit(to, size_bytes));
	if (p)
		copy_own(p, from, to);
	else
		os_copy_pages(from, to, size_bytes);
	return ERR_OK;
}

enum err os_copy(uint8_t *from, struct os_copied **from_copied, uint8_t *to,
                 struct os_copied **to_copied, size_t size_bytes, bool may_share)
{
	struct pages p;
	if (!look(from, size_bytes, &p))
		return copy_plain(from, to, size_bytes, NULL);
	if (may_share && *from_copied && atomic_load(&(*from_copied)->image->refs) == 1)
		settle(from, (*from_copied)->image, &p);
	if (may_share && has_to_seal(*from_copied, &p) && seal(from, from_copied, size_bytes, &p)) {
		memset(p.state, ABSENT, p.count);
		p.present = 0;
	}
	enum err e = *from_copied ? copy_sealed(from, *from_copied, to, to_copied, size_bytes, &p)
	                          : copy_plain(from, to, size_bytes, &p);
	free(p.state);
	return e;
}
