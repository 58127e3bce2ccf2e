/* test_vectors.c - v128 where it meets what is around the interpreter: callers, the host, jumps, threads, saved states. */
#include "engine/engine.h"
#include "marks_wasm.h"
#include "vectors_wasm.h"
#include "wasm_build.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A place that jump leads back to. */
struct marked {
	uint64_t id;
	uint32_t jumps;
};

static enum host_result mark(void *env, struct thread *t, uint64_t *args)
{
	struct marked *m = env;
	uint32_t value = 0;
	if (!thread_jumped(t, &m->id, &value) && thread_setjmp(t, args[0], &m->id) != ERR_OK)
		return HOST_TRAP;
	args[0] = value;
	return HOST_DONE;
}

static enum host_result jump(void *env, struct thread *t, uint64_t *args)
{
	struct marked *m = env;
	m->jumps++;
	return thread_jump(t, m->id, (uint32_t)args[0]) == ERR_OK ? HOST_STOP : HOST_TRAP;
}

static enum host_result add(void *env, struct thread *t, uint64_t *args)
{
	args[0] = (uint32_t)args[0] + args[1];
	return HOST_DONE;
}

/* Takes whatever it is asked for. */
static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	*fn = !strcmp(name, "mark") ? mark : !strcmp(name, "jump") ? jump : add;
	*env = ctx;
	return true;
}

struct box {
	struct marked marked;
	struct host_resolver resolver;
	struct module *module;
	struct store *store;
	struct instance *in;
	struct thread *t;
};

static struct module *find(void *ctx, const uint8_t hash[32])
{
	struct box *b = ctx;
	return memcmp(hash, module_hash(b->module), 32) == 0 ? b->module : NULL;
}

static enum err try_load(struct box *b, struct wr *w, struct errmsg *msg)
{
	struct module_finder finder = {find, b};
	struct rd r = rd_of(w->data, w->size);
	return store_load(&r, &finder, &b->resolver, &b->store, msg);
}

static enum err open_module(struct box *b, const uint8_t *bytes, size_t size, struct errmsg *msg)
{
	*b = (struct box){.resolver = {.resolve = resolve}};
	b->resolver.ctx = &b->marked;
	cr_assert_eq(module_load(bytes, size, false, &b->module, msg), ERR_OK, "%s", msg->text);
	cr_assert_eq(store_new(NULL, &b->store), ERR_OK);
	return store_instantiate(b->store, b->module, &b->resolver, &b->in, msg);
}

static void open_box(struct box *b)
{
	struct errmsg msg = {0};
	cr_assert_eq(open_module(b, wasm_marks, sizeof wasm_marks, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(thread_new(b->store, &b->t), ERR_OK);
}

static void close_box(struct box *b)
{
	store_free(b->store);
	module_unref(b->module);
}

static void rebuild(struct box *b)
{
	struct wr w = {0};
	struct errmsg msg = {0};
	cr_assert_eq(store_save(b->store, SAVE_MEMORY, &w), ERR_OK);
	store_free(b->store);
	cr_assert_eq(try_load(b, &w, &msg), ERR_OK, "%s", msg.text);
	b->in = store_instance(b->store, 0);
	b->t = store_thread(b->store, 0);
	wr_free(&w);
}

static void begin(struct box *b, const char *name, const uint64_t *args, uint32_t nargs)
{
	struct errmsg msg = {0};
	cr_assert_eq(thread_call_export(b->t, b->in, name, args, nargs, &msg), ERR_OK, "%s",
	             msg.text);
}

/* ---- from outside ---- */

Test(vectors, a_caller_gives_and_gets_a_vector_as_two_values)
{
	struct box b;
	uint32_t n;
	struct errmsg msg = {0};
	const uint64_t args[] = {1, 2, 41, 10, 20};
	open_box(&b);
	begin(&b, "turn", args, 5);
	cr_assert_eq(thread_run(b.t), RUN_DONE);
	const uint64_t *r = thread_results(b.t, &n);
	cr_assert_eq(n, 4);
	cr_assert(r[0] == 42 && r[1] == 9 && r[2] == 18 && r[3] == 7);
	cr_assert_eq(thread_call_export(b.t, b.in, "turn", args, 3, &msg), ERR_INVALID);
	cr_assert_str_eq(msg.text, "3 arguments for 5 parameters");
	close_box(&b);
}

Test(vectors, an_exported_global_shows_both_halves)
{
	struct box b;
	struct export_info ex;
	open_box(&b);
	cr_assert(instance_export(b.in, "g", 1, &ex));
	cr_assert_str_eq(ex.type, "Vv");
	cr_assert(ex.value == 5 && ex.high == 6);
	cr_assert(instance_export(b.in, "minus", 5, &ex));
	cr_assert(ex.value == UINT64_MAX && ex.high == UINT64_MAX);
	close_box(&b);
}

/* A module that imports host.f of type (param v128) and host.g of type (result v128), as one of them says. */
static void import_one(struct wr *w, bool result)
{
	wasm_header(w);
	size_t at = wasm_section(w, 1);
	if (result)
		wasm_bytes(w, "\x01\x60\x00\x01\x7b");
	else
		wasm_bytes(w, "\x01\x60\x01\x7b\x00");
	wasm_end(w, at);
	at = wasm_section(w, 2);
	wr_u8(w, 1);
	wasm_name(w, "host");
	wasm_name(w, "f");
	wasm_bytes(w, "\x00\x00");
	wasm_end(w, at);
}

Test(vectors, a_host_function_takes_and_gives_none)
{
	for (int result = 0; result < 2; result++) {
		struct box b;
		struct wr w = {0};
		struct errmsg msg = {0};
		import_one(&w, result);
		cr_assert_eq(open_module(&b, w.data, w.size, &msg), ERR_UNLINKABLE);
		cr_assert_str_eq(msg.text,
		                 result ? "import host.f of type ()Vv: a host function takes and "
		                          "gives no v128"
		                        : "import host.f of type (Vv): a host function takes and "
		                          "gives no v128");
		close_box(&b);
		wr_free(&w);
	}
}

/* ---- jumps and threads ---- */

Test(vectors, a_jump_brings_back_those_of_its_frame_also_in_a_rebuilt_store)
{
	for (int rebuilt = 0; rebuilt < 2; rebuilt++) {
		struct box b;
		uint32_t n;
		enum run_status st;
		const uint64_t times = 3;
		open_box(&b);
		begin(&b, "run_marked", &times, 1);
		while ((st = thread_run(b.t)) == RUN_STOPPED)
			if (rebuilt)
				rebuild(&b);
		cr_assert_eq(st, RUN_DONE);
		const uint64_t *r = thread_results(b.t, &n);
		cr_assert_eq(n, 2);
		cr_assert_eq(b.marked.jumps, 3);
		/* lanes: each is twice 1000 and its number, but lane 2 of the local is what mark said last */
		cr_assert_eq(r[0], 2002ull << 32 | 2001);
		cr_assert_eq(r[1], 2004ull << 32 | (1003 + 3));
		close_box(&b);
	}
}

static uint64_t global_of(struct box *b, struct thread *t)
{
	uint32_t n;
	struct errmsg msg = {0};
	cr_assert_eq(thread_call_export(t, b->in, "take_global", NULL, 0, &msg), ERR_OK);
	cr_assert_eq(thread_run(t), RUN_DONE);
	const uint64_t *r = thread_results(t, &n);
	return r[0] * 100 + r[1];
}

Test(vectors, a_spawned_thread_has_its_own_in_globals)
{
	struct box b;
	struct thread *own;
	open_box(&b);
	cr_assert_eq(global_of(&b, b.t), 506);
	cr_assert_eq(thread_spawn(b.in, &own), ERR_OK);
	cr_assert_eq(global_of(&b, own), 506);
	cr_assert_eq(global_of(&b, own), 607);
	rebuild(&b);
	own = store_thread(b.store, 1);
	cr_assert_eq(global_of(&b, b.t), 607);
	cr_assert_eq(global_of(&b, own), 708);
	close_box(&b);
}

/* ---- hostile states ---- */

/* The program of vectors.wat in the middle of a function of type (Vv i Vv)Vvi. */
static void middle(struct box *b, struct wr *w)
{
	struct errmsg msg = {0};
	const uint64_t n = 9;
	cr_assert_eq(open_module(b, wasm_vectors, sizeof wasm_vectors, &msg), ERR_OK);
	cr_assert_eq(thread_new(b->store, &b->t), ERR_OK);
	begin(b, "run_vectors", &n, 1);
	thread_stop_every(b->t, 21);
	cr_assert_eq(thread_run(b->t), RUN_STOPPED);
	cr_assert_eq(store_save(b->store, SAVE_MEMORY, w), ERR_OK);
	store_free(b->store);
	b->store = NULL;
}

static uint8_t *find_bytes(struct wr *w, const char *bytes)
{
	for (size_t i = 0; i + strlen(bytes) <= w->size; i++)
		if (!memcmp(w->data + i, bytes, strlen(bytes)))
			return w->data + i;
	return NULL;
}

Test(vectors, half_a_vector_in_a_type_is_refused)
{
	static const char *const wrong[] = {"(iVVfVv", "(ivVFVv", "(iVvFvV", "(iVvFVF"};
	struct box b;
	struct wr w = {0};
	middle(&b, &w);
	uint8_t *type = find_bytes(&w, "(iVvFVv)"); /* of the tag */
	cr_assert(type);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct errmsg msg = {0};
		memcpy(type, wrong[i], 7);
		cr_assert_eq(try_load(&b, &w, &msg), ERR_INVALID);
		cr_assert(strstr(msg.text, "a function type is not one") ||
		              strstr(msg.text, "is not what the module declares"),
		          "%s", msg.text);
	}
	wr_free(&w);
	module_unref(b.module);
}

Test(vectors, a_state_cut_short_in_one_is_an_error)
{
	struct box b;
	struct wr w = {0};
	middle(&b, &w);
	for (size_t size = w.size; size-- > 0;) {
		struct errmsg msg = {0};
		struct wr part = {.data = w.data, .size = size};
		cr_assert_neq(try_load(&b, &part, &msg), ERR_OK);
	}
	wr_free(&w);
	module_unref(b.module);
}
