/* random_run.c - runs random modules (gen.h) and prints all that can be seen of it, one line a call.
 *
 *	random-run [--stress-safepoints N | random[:SEED]] [--dump DIR] FIRST COUNT | FILE.wasm
 *
 * Two runs of the same seeds must print the same, stopped at safepoints or not, and so must random_run.js, which runs the
 * modules that --dump left in DIR under V8: random_diff compares. A NaN is printed as "nan", its bits are the engine's.
 */
#include "gen.h"
#include "spec_world.h"

#include "engine/module.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_EACH = 3 };

/* The k-th call's i-th argument; random_run.js has the same lists. */
static uint64_t argument(uint8_t type, uint32_t k, uint32_t i)
{
	static const int32_t i32s[] = {0, 7, -1, 1000, INT32_MIN};
	static const int64_t i64s[] = {1, -5, 1ll << 40, 0, INT64_MIN};
	static const float f32s[] = {0.5f, -3.25f, 1e10f, -0.0f, 0.0f};
	static const double f64s[] = {1e9 + 0.25, -0.0, 1e300, -7.0, 0.0};
	uint32_t at = (k + 2 * i) % 5;
	uint64_t bits = 0;
	uint32_t bits32;
	switch (type) {
	case VT_I32: return (uint32_t)i32s[at];
	case VT_I64: return (uint64_t)i64s[at];
	case VT_F32: memcpy(&bits32, &f32s[at], 4); return bits32;
	default: memcpy(&bits, &f64s[at], 8); return bits;
	}
}

static void print_value(uint8_t type, uint64_t slot)
{
	float f;
	double d;
	uint32_t low = (uint32_t)slot;
	memcpy(&f, &low, 4);
	memcpy(&d, &slot, 8);
	if ((type == VT_F32 && isnan(f)) || (type == VT_F64 && isnan(d)))
		printf(" nan");
	else if (type == VT_I32 || type == VT_F32)
		printf(" %08x", low);
	else
		printf(" %016llx", (unsigned long long)slot);
}

static uint32_t hash_bytes(const uint8_t *p, uint64_t size)
{
	uint32_t h = 2166136261u;
	for (uint64_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

struct program {
	struct world *world;
	const struct module *m;
	uint32_t instance;
};

static bool call(struct program *p, const struct export *e, uint32_t k)
{
	const struct functype *t = module_functype(p->m, e->index);
	uint64_t args[16];
	const uint64_t *results;
	uint32_t nresults;
	struct errmsg text = {0};
	for (uint32_t i = 0; i < t->nparams; i++)
		args[i] = argument(t->params[i], k, i);
	enum outcome out = world_invoke(p->world, p->instance, e->name.p, e->name.size, args,
	                                t->nparams, &results, &nresults, &text);
	printf("%.*s %u:", (int)e->name.size, e->name.p, k);
	if (out == OUT_FAILED) {
		printf(" failed: %s\n", text.text);
		return false;
	}
	for (uint32_t i = 0; out == OUT_RETURNED && i < nresults; i++)
		print_value(t->results[i], results[i]);
	printf(out == OUT_TRAPPED ? " trap\n" : "\n");
	return true;
}

static bool call_all(struct program *p)
{
	const struct export *refuel = module_export(p->m, "refuel", 6);
	for (uint32_t i = 0; i < p->m->nexports; i++) {
		const struct export *e = &p->m->exports[i];
		if (e->kind != EXT_FUNC || e == refuel)
			continue;
		for (uint32_t k = 0; k < CALLS_EACH; k++)
			if (!call(p, refuel, 0) || !call(p, e, k))
				return false;
	}
	return true;
}

static void print_state(struct program *p)
{
	uint64_t size, value[2];
	uint32_t n;
	struct errmsg text;
	const uint8_t *memory = world_memory(p->world, p->instance, &size);
	printf("memory: %08x\n", hash_bytes(memory, size));
	for (uint32_t i = 0; i < p->m->nexports; i++) {
		const struct export *e = &p->m->exports[i];
		if (e->kind != EXT_GLOBAL ||
		    world_get(p->world, p->instance, e->name.p, e->name.size, value, &n, &text) !=
		        OUT_RETURNED)
			continue;
		printf("%.*s:", (int)e->name.size, e->name.p);
		print_value(p->m->globals[e->index].type.type, value[0]);
		printf("\n");
	}
}

static void dump(const char *dir, uint64_t seed, const struct wr *w)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%llu.wasm", dir, (unsigned long long)seed);
	FILE *f = fopen(path, "wb");
	if (f) {
		fwrite(w->data, 1, w->size, f);
		fclose(f);
	}
}

/* Takes w's bytes. */
static bool run_module(struct wr *w, const struct stress_config *stress)
{
	struct errmsg msg = {0};
	struct module *m;
	size_t size;
	uint8_t *bytes = wr_take(w, &size);
	if (module_load(bytes, size, true, &m, &msg) != ERR_OK) {
		printf("refused: %s\n", msg.text);
		return false;
	}
	struct program p = {.world = world_new(stress), .m = m};
	bool ok =
	    p.world && world_instantiate(p.world, m, &p.instance, &msg) == ERR_OK && call_all(&p);
	if (ok)
		print_state(&p);
	else
		printf("failed %s\n", msg.text);
	if (p.world)
		world_free(p.world);
	return ok;
}

static bool run_seed(uint64_t seed, const struct stress_config *stress, const char *dir)
{
	struct wr w = {0};
	gen_module(&w, seed);
	if (dir)
		dump(dir, seed, &w);
	printf("seed %llu\n", (unsigned long long)seed);
	return run_module(&w, stress);
}

/* A module that was dumped, and perhaps made smaller since. */
static bool run_file(const char *path, const struct stress_config *stress)
{
	struct wr w = {0};
	FILE *f = fopen(path, "rb");
	for (int c; f && (c = getc(f)) != EOF;)
		wr_u8(&w, (uint8_t)c);
	if (f)
		fclose(f);
	return run_module(&w, stress);
}

static int usage(void)
{
	fprintf(stderr, "usage: random-run [--stress-safepoints N | random[:SEED]] [--dump DIR] "
	                "FIRST COUNT | FILE.wasm\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct stress_config stress = {0};
	const char *dir = NULL;
	int i = 1;
	bool ok = true;
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		if (strcmp(argv[i], "--dump") == 0)
			dir = argv[i + 1];
		else if (strcmp(argv[i], "--stress-safepoints") != 0 ||
		         !stress_parse(argv[i + 1], &stress))
			return usage();
	}
	if (argc - i == 1)
		return run_file(argv[i], &stress) ? 0 : 1;
	if (argc - i != 2)
		return usage();
	uint64_t first = strtoull(argv[i], NULL, 10), count = strtoull(argv[i + 1], NULL, 10);
	for (uint64_t seed = first; seed < first + count; seed++)
		ok &= run_seed(seed, &stress, dir);
	return ok ? 0 : 1;
}
