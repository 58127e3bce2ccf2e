/* bare.c - runs NAME.bare.wasm in the engine alone: no node, no WASI. For work on the engine itself.
 *
 *	build/bench/bare FILE.bare.wasm N REPEATS      prints what main.c prints: checksum and thread CPU ns, a line each
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = NULL;
	long end;
	if (f != NULL && fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) > 0) {
		rewind(f);
		bytes = malloc((size_t)end);
		*size = bytes != NULL ? fread(bytes, 1, (size_t)end, f) : 0;
	}
	if (f != NULL)
		fclose(f);
	return bytes;
}

static bool resolve_nothing(void *ctx, const char *module, const char *name, const char *type,
                            host_fn *fn, void **env)
{
	return false;
}

static int run(struct store *s, struct module *m, uint64_t n, unsigned repeats, struct errmsg *msg)
{
	const struct host_resolver none = {.resolve = resolve_nothing};
	struct instance *in;
	struct thread *t;
	uint32_t count;

	if (store_instantiate(s, m, &none, &in, msg) != ERR_OK || thread_new(s, &t) != ERR_OK)
		return 1;
	for (unsigned i = 0; i < repeats; i++) {
		uint64_t start_ns = now_ns();
		if (thread_call_export(t, in, "run", &n, 1, msg) != ERR_OK)
			return 1;
		if (thread_run(t) != RUN_DONE) {
			char where[128];
			err_set(msg, ERR_INVALID, "%s at %s",
			        thread_trap_text(t, where, sizeof(where)), where);
			return 1;
		}
		uint64_t end_ns = now_ns();
		printf("%08x %llu\n", (unsigned)thread_results(t, &count)[0],
		       (unsigned long long)(end_ns - start_ns));
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct store_config cfg = {0};
	struct errmsg msg = {0};
	struct module *m = NULL;
	struct store *s = NULL;
	size_t size = 0;
	uint8_t *bytes = argc == 4 ? read_file(argv[1], &size) : NULL;
	int status = 1;

	if (bytes == NULL) {
		fprintf(stderr, "usage: bare FILE.bare.wasm N REPEATS\n");
		return 2;
	}
	if (module_load(bytes, size, true, &m, &msg) == ERR_OK && store_new(&cfg, &s) == ERR_OK)
		status = run(s, m, strtoul(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10),
		             &msg);
	if (status != 0)
		fprintf(stderr, "bare: %s\n", msg.text);
	store_free(s);
	module_unref(m);
	return status;
}
