/* replay.c - runs a fuzz target as an ordinary test: over its seeds, and over mutations of them.
 *
 * The mutations (truncation, bit flips, bytes overwritten, pieces removed or repeated) come from a
 * fixed seed, so that every run tries the same inputs; libFuzzer (scripts/fuzz) is for finding new
 * ones. A finding of libFuzzer becomes a file in tests/fuzz/seeds/NAME/ and is from then on run
 * here.
 *
 *	replay-NAME SEEDS_DIR [MUTATIONS_PER_SEED]      the folder may be missing: then it starts
 * from nothing
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GROWTH_BYTES = 64, DEFAULT_MUTATIONS = 500 };

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t n)
{
	return n == 0 ? 0 : (size_t)(random_next(state) % n);
}

/* One change to buf, which has room for size + GROWTH_BYTES bytes; returns the new size. */
static size_t mutate(uint8_t *buf, size_t size, uint64_t *state)
{
	size_t at = random_below(state, size);
	size_t span = random_below(state, size - at < GROWTH_BYTES ? size - at : GROWTH_BYTES);

	switch (random_next(state) % 6) {
	case 0: return at; /* truncate */
	case 1:            /* remove a piece */
		memmove(buf + at, buf + at + span, size - at - span);
		return size - span;
	case 2: /* repeat a piece */
		memmove(buf + at + span, buf + at, size - at);
		return size + span;
	case 3: /* a byte that means much: 0, -1, LEB ends */
		if (size > 0)
			buf[at] = (uint8_t[]){0x00, 0xff, 0x7f, 0x80}[random_next(state) % 4];
		return size;
	case 4:
		if (size > 0)
			buf[at] = (uint8_t)random_next(state);
		return size;
	default:
		if (size > 0)
			buf[at] ^= (uint8_t)(1u << (random_next(state) % 8));
		return size;
	}
}

/* The input is copied to a block of its exact size, so that ASan sees a read past its end. */
static void try_input(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size > 0 ? size : 1);
	if (exact == NULL)
		abort();
	if (size > 0)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void try_seed(const uint8_t *data, size_t size, unsigned mutations)
{
	uint64_t state = 0x5eed;
	uint8_t *buf = malloc(size + 4 * GROWTH_BYTES);
	if (buf == NULL)
		abort();
	try_input(data, size);
	for (unsigned i = 0; i < mutations; i++) {
		size_t n = size;
		if (size > 0)
			memcpy(buf, data, size);
		for (unsigned changes = 1 + random_next(&state) % 3; changes > 0; changes--)
			n = mutate(buf, n, &state);
		try_input(buf, n);
	}
	free(buf);
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data = NULL;
	*size = 0;
	if (f == NULL || fstat(fileno(f), &st) != 0)
		goto out;
	data = malloc((size_t)st.st_size + 1);
	if (data != NULL)
		*size = fread(data, 1, (size_t)st.st_size, f);
out:
	if (f != NULL)
		fclose(f);
	return data;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, in order: each free()d, and the list. */
static size_t list(const char *folder, char ***names)
{
	DIR *dir = opendir(folder);
	size_t count = 0;
	*names = NULL;
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		*names = realloc(*names, (count + 1) * sizeof(**names));
		if (*names == NULL || ((*names)[count++] = strdup(e->d_name)) == NULL)
			abort();
	}
	if (dir != NULL)
		closedir(dir);
	if (count != 0)
		qsort(*names, count, sizeof(**names), by_name);
	return count;
}

int main(int argc, char **argv)
{
	unsigned mutations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : DEFAULT_MUTATIONS;
	char **names = NULL;
	size_t count = argc > 1 ? list(argv[1], &names) : 0;

	uint8_t zeros[GROWTH_BYTES] = {0};
	try_seed(zeros, 0, 0);
	try_seed(zeros, sizeof(zeros), mutations);
	for (size_t i = 0; i < count; i++) {
		char path[4096];
		size_t size;
		snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]);
		uint8_t *data = read_file(path, &size);
		if (data == NULL) {
			fprintf(stderr, "replay: cannot read %s\n", path);
			return 1;
		}
		try_seed(data, size, mutations);
		free(data);
		free(names[i]);
	}
	free(names);
	printf("%zu seeds, %u mutations each: no finding\n", count, mutations);
	return 0;
}
