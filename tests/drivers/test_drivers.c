/* test_drivers.c - the guest halves, as a real guest in the engine sees them, and their section. */
#include "base/crypto.h"
#include "base/os.h"
#include "engine/engine.h"
#include "node/drivers/drivers.h"
#include "node/drivers/guest.h"
#include "node/process/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERRNO_BADF = -8, ERRNO_BUSY = -10, ERRNO_FAULT = -21, ERRNO_INVAL = -28 };

/* A guest with its drivers. */
struct rig {
	struct wait wait;
	unsigned pokes, showns;
	struct hosts *hosts;
	struct drivers *drivers;
	struct module *module;
	struct store *store;
	struct instance *instance;
	struct thread *thread;
};

static void on_poke(void *ctx)
{
	((struct rig *)ctx)->pokes++;
}

static void on_shown(void *ctx)
{
	((struct rig *)ctx)->showns++;
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = malloc(1 << 20);

	cr_assert_not_null(f, "%s", path);
	*size = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

static struct drivers_config config_of(struct rig *r)
{
	return (struct drivers_config){.hosts = r->hosts,
	                               .screen = SCREEN_HEADLESS,
	                               .name = "guest",
	                               .wait = &r->wait,
	                               .poke = on_poke,
	                               .shown = on_shown,
	                               .ctx = r,
	                               .frame_hash = true};
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	struct host_resolver r = drivers_resolver(ctx);

	return r.resolve(r.ctx, module, name, type, fn, env);
}

static void load_guest(struct rig *r)
{
	struct store_config sc = {0};
	struct host_resolver res = {.resolve = resolve, .ctx = r->drivers};
	struct errmsg msg = {0};
	size_t size;
	uint8_t *bytes = read_file(getenv("DRIVERS_GUEST"), &size);

	cr_assert_eq(module_load(bytes, size, true, &r->module, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(store_new(&sc, &r->store), ERR_OK);
	cr_assert_eq(store_instantiate(r->store, r->module, &res, &r->instance, &msg), ERR_OK, "%s",
	             msg.text);
	cr_assert_eq(thread_new(r->store, &r->thread), ERR_OK);
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	cr_assert_eq(hosts_new(&(struct hosts_config){.device = "desk"}, &r->hosts), ERR_OK);
	struct drivers_config cfg = config_of(r);
	cr_assert_eq(drivers_new(&cfg, &r->drivers), ERR_OK);
	drivers_start(r->drivers);
	load_guest(r);
	return r;
}

static void rig_free(struct rig *r)
{
	store_free(r->store);
	module_unref(r->module);
	drivers_free(r->drivers);
	hosts_free(r->hosts);
	free(r);
}

/* The section of r's drivers, as bytes. */
static struct wr save(struct rig *r)
{
	struct wr w = {0};

	cr_assert_eq(drivers_save(r->drivers, &w), ERR_OK);
	return w;
}

/* Another device: new drivers from r's section, and a guest that makes its calls there. */
static struct rig *moved(struct rig *r)
{
	struct rig *to = calloc(1, sizeof(*to));
	struct wr w = save(r);
	struct rd in = rd_of(w.data, w.size);
	struct errmsg msg = {0};

	cr_assert_eq(hosts_new(&(struct hosts_config){.device = "laptop"}, &to->hosts), ERR_OK);
	struct drivers_config cfg = config_of(to);
	cr_assert_eq(drivers_load(&in, &cfg, &to->drivers, &msg), ERR_OK, "%s", msg.text);
	wr_free(&w);
	drivers_start(to->drivers);
	load_guest(to);
	return to;
}

static enum run_status start_call(struct rig *r, const char *name, uint64_t a, uint64_t b,
                                  uint64_t c)
{
	uint64_t args[3] = {a, b, c};
	struct errmsg msg = {0};
	enum err e = ERR_INVALID;

	thread_reset(r->thread);
	wait_clear(&r->wait);
	for (uint32_t n = 0; n <= 3 && e != ERR_OK; n++)
		e = thread_call_export(r->thread, r->instance, name, args, n, &msg);
	cr_assert_eq(e, ERR_OK, "%s", msg.text);
	return thread_run(r->thread);
}

static int32_t result(struct rig *r)
{
	uint32_t count;
	const uint64_t *results = thread_results(r->thread, &count);

	cr_assert_eq(count, 1);
	return (int32_t)results[0];
}

/* The call's result; it is made again while it blocks. */
static int32_t call(struct rig *r, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
	enum run_status st = start_call(r, name, a, b, c);

	while (st == RUN_BLOCKED) {
		struct os_wake w;
		cr_assert_eq(os_wake_init(&w), ERR_OK);
		os_wait(&w, NULL, 0, r->wait.deadline_ns);
		os_wake_free(&w);
		wait_clear(&r->wait);
		st = thread_run(r->thread);
	}
	cr_assert_eq(st, RUN_DONE);
	return result(r);
}

static void type_key(struct rig *r, uint32_t code, int32_t value)
{
	panel_event(r->drivers->panel,
	            &(struct wasmos_event){.type = WASMOS_KEY, .code = code, .value = value});
}

static void let_frame_grow_old(struct rig *r)
{
	r->drivers->presented_ns -= DRIVERS_REDRAW_NS;
}

Test(display, opens_once_and_only_in_a_form_that_exists)
{
	struct rig *r = rig_new();

	cr_assert_eq(call(r, "open", 0, 64, WASMOS_INDEXED8), ERRNO_INVAL);
	cr_assert_eq(call(r, "open", 4097, 64, WASMOS_INDEXED8), ERRNO_INVAL);
	cr_assert_eq(call(r, "open", 64, 64, 3), ERRNO_INVAL);
	cr_assert_eq(call(r, "present", 0, 64, 0), ERRNO_BADF);
	cr_assert_eq(call(r, "open", 64, 64, WASMOS_INDEXED8), 0);
	cr_assert_eq(call(r, "open", 64, 64, WASMOS_INDEXED8), ERRNO_BUSY);
	cr_assert_eq(call(r, "close", 0, 0, 0), 0);
	cr_assert_eq(call(r, "open", 32, 16, WASMOS_XRGB8888), 0);
	rig_free(r);
}

Test(display, refuses_frames_and_palettes_outside_of_memory_and_bounds)
{
	struct rig *r = rig_new();

	cr_assert_eq(call(r, "open", 64, 64, WASMOS_INDEXED8), 0);
	cr_assert_eq(call(r, "present", 0, 63, 0), ERRNO_INVAL);
	cr_assert_eq(call(r, "present_at", 0xfffffff0u, 64, 0), ERRNO_FAULT);
	cr_assert_eq(call(r, "present_at", 0, 0xffffffffu, 0), ERRNO_FAULT);
	cr_assert_eq(call(r, "set_palette", 1, 256, 0), ERRNO_INVAL);
	cr_assert_eq(call(r, "set_palette", 0xffffffffu, 2, 0), ERRNO_INVAL);
	cr_assert_eq(call(r, "set_palette", 0, 256, 0), 0);
	cr_assert_eq(call(r, "aspect", 4, 0, 0), ERRNO_INVAL);
	cr_assert_eq(call(r, "aspect", 4, 3, 0), 0);
	rig_free(r);
}

Test(display, a_present_that_blocks_has_not_begun)
{
	struct rig *r = rig_new();
	struct drivers_stats st;
	unsigned shown = 1;

	call(r, "open", 64, 64, WASMOS_INDEXED8);
	cr_assert_eq(call(r, "present", 1, 64, 0), 0);
	/* Where more than a frame's time has passed since, it need not wait. */
	while (start_call(r, "present", 2, 64, 0) != RUN_BLOCKED)
		cr_assert_lt(shown++, 1000);
	drivers_stats(r->drivers, &st);
	cr_assert_eq(st.frames, shown);
	cr_assert_neq(r->wait.deadline_ns, WAIT_FOREVER);
	cr_assert_lt(r->wait.deadline_ns, os_monotonic_ns() + 17000000);
	cr_assert_eq(call(r, "present", 2, 64, 0), 0);
	drivers_stats(r->drivers, &st);
	cr_assert_eq(st.frames, shown + 1);
	rig_free(r);
}

Test(display, the_frame_hash_is_what_the_page_says_and_moves_along)
{
	struct rig *r = rig_new(), *to;
	struct drivers_stats st;
	struct {
		uint8_t hash[32];
		uint32_t width, height, format, palette[256];
		uint8_t rows[4][8];
	} frame = {.width = 8, .height = 4, .format = WASMOS_INDEXED8};

	for (uint32_t i = 0; i < 256; i++)
		frame.palette[i] = 0x010203 * i & 0xffffff;
	call(r, "open", 8, 4, WASMOS_INDEXED8);
	call(r, "set_palette", 0, 256, 0);
	call(r, "present", 7, 64, 0);
	memset(frame.rows, 7, sizeof(frame.rows));
	crypto_blake2b(frame.hash, &frame, sizeof(frame));
	to = moved(r);
	call(to, "present", 9, 8, 0);
	memset(frame.rows, 9, sizeof(frame.rows));
	crypto_blake2b(frame.hash, &frame, sizeof(frame));
	drivers_stats(to->drivers, &st);
	cr_assert_eq(st.frames, 2);
	cr_assert_arr_eq(st.hash, frame.hash, 32);
	rig_free(r);
	rig_free(to);
}

Test(input, waits_for_an_event_or_until_the_deadline)
{
	struct rig *r = rig_new();

	cr_assert_eq(call(r, "wait", 0, 0, 0), 0);
	cr_assert_eq(start_call(r, "wait", WASMOS_FOREVER, 0, 0), RUN_BLOCKED);
	cr_assert_eq(r->wait.deadline_ns, WAIT_FOREVER);
	type_key(r, 4, WASMOS_DOWN);
	cr_assert_eq(r->pokes, 1);
	cr_assert_eq(thread_run(r->thread), RUN_DONE);
	cr_assert_eq(result(r), 1);
	cr_assert_eq(call(r, "poll", 64, 0, 0), 1);
	cr_assert_eq(call(r, "wait", os_monotonic_ns() + 5000000, 0, 0), 0);
	rig_free(r);
}

Test(input, keys_that_are_held_come_up_on_the_new_device)
{
	struct rig *r = rig_new(), *to;

	type_key(r, 82, WASMOS_DOWN);
	cr_assert_eq(call(r, "poll", 64, 0, 0), 1);
	to = moved(r);
	cr_assert_eq(call(to, "poll", 64, 0, 0), 1);
	cr_assert_eq(call(to, "event_type", 0, 0, 0), WASMOS_KEY);
	cr_assert_eq(call(to, "event_code", 0, 0, 0), 82);
	cr_assert_eq(call(to, "event_value", 0, 0, 0), WASMOS_UP);
	/* And its up, when the person lifts the finger there, is not told again. */
	type_key(to, 82, WASMOS_UP);
	cr_assert_eq(call(to, "poll", 64, 0, 0), 0);
	rig_free(r);
	rig_free(to);
}

Test(input, events_that_waited_come_first_and_then_the_releases)
{
	struct rig *r = rig_new(), *to;

	type_key(r, 4, WASMOS_DOWN);
	type_key(r, 4, WASMOS_UP);
	type_key(r, 5, WASMOS_DOWN);
	to = moved(r);
	cr_assert_eq(call(to, "poll", 64, 0, 0), 4);
	cr_assert_eq(call(to, "event_value", 1, 0, 0), WASMOS_UP);
	cr_assert_eq(call(to, "event_value", 2, 0, 0), WASMOS_DOWN);
	cr_assert_eq(call(to, "event_code", 3, 0, 0), 5);
	cr_assert_eq(call(to, "event_value", 3, 0, 0), WASMOS_UP);
	rig_free(r);
	rig_free(to);
}

Test(input, a_guest_that_never_looks_loses_the_oldest_but_no_release)
{
	struct rig *r = rig_new();
	uint32_t ups = 0;

	for (uint32_t i = 0; i < 3000; i++) {
		type_key(r, 4, WASMOS_DOWN);
		panel_event(r->drivers->panel,
		            &(struct wasmos_event){.type = WASMOS_TEXT, .code = 'a'});
	}
	type_key(r, 4, WASMOS_UP);
	for (int32_t n; (n = call(r, "poll", 64, 0, 0)) > 0;)
		for (uint64_t i = 0; i < (uint64_t)n; i++)
			ups += call(r, "event_type", i, 0, 0) == WASMOS_KEY &&
			       call(r, "event_value", i, 0, 0) == WASMOS_UP;
	cr_assert_eq(ups, 1);
	rig_free(r);
}

Test(audio, takes_half_a_second_and_plays_it_by_the_clock)
{
	struct rig *r = rig_new();

	cr_assert_eq(call(r, "audio_open", 44100, 3, 0), ERRNO_INVAL);
	cr_assert_eq(call(r, "audio_open", 44100, 2, 0), 0);
	cr_assert_eq(call(r, "audio_open", 44100, 2, 0), ERRNO_BUSY);
	cr_assert_eq(call(r, "audio_write", 24000, 0, 0), 22050);
	cr_assert_eq(call(r, "audio_write", 1u << 31, 0, 0), ERRNO_FAULT);
	uint64_t until_ns = os_monotonic_ns() + 30000000;
	while (os_monotonic_ns() < until_ns)
		;
	int32_t queued = call(r, "audio_queued", 0, 0, 0);
	cr_assert_lt(queued, 22050 - 1200);
	cr_assert_leq(abs(call(r, "audio_space", 0, 0, 0) + queued - 22050), 400);
	rig_free(r);
}

Test(audio, what_was_queued_before_a_move_is_not_heard_after_it)
{
	struct rig *r = rig_new(), *to;

	call(r, "audio_open", 22050, 1, 0);
	call(r, "audio_write", 8000, 0, 0);
	to = moved(r);
	cr_assert_eq(call(to, "audio_queued", 0, 0, 0), 0);
	cr_assert_eq(call(to, "audio_write", 100, 0, 0), 100);
	cr_assert_eq(to->drivers->written, 8100);
	rig_free(r);
	rig_free(to);
}

Test(section, written_again_after_a_move_is_the_same)
{
	struct rig *r = rig_new(), *to;

	call(r, "open", 64, 48, WASMOS_XRGB8888);
	call(r, "title", 0, 0, 0);
	call(r, "aspect", 4, 3, 0);
	call(r, "audio_open", 44100, 2, 0);
	call(r, "present", 5, 256, 0);
	let_frame_grow_old(r);
	to = moved(r);
	struct wr a = save(r), b = save(to);
	cr_assert_eq(a.size, b.size);
	cr_assert_arr_eq(a.data, b.data, a.size);
	wr_free(&a);
	wr_free(&b);
	rig_free(r);
	rig_free(to);
}

Test(section, leaves_out_a_frame_that_will_be_redrawn_at_once)
{
	struct rig *r = rig_new();

	call(r, "open", 64, 64, WASMOS_XRGB8888);
	call(r, "present", 5, 256, 0);
	struct wr young = save(r);
	let_frame_grow_old(r);
	struct wr old = save(r);
	cr_assert_lt(young.size, 200);
	cr_assert_eq(old.size, young.size + 64 * 64 * 4);
	wr_free(&young);
	wr_free(&old);
	rig_free(r);
}

Test(section, an_old_frame_is_on_the_new_screen_before_the_guest_draws)
{
	struct rig *r = rig_new(), *to;
	struct wr png = {0};

	call(r, "open", 64, 64, WASMOS_INDEXED8);
	call(r, "present", 5, 64, 0);
	let_frame_grow_old(r);
	to = moved(r);
	cr_assert_eq(to->showns, 1);
	cr_assert_eq(drivers_screenshot(to->drivers, &png, NULL), ERR_OK);
	cr_assert_arr_eq(png.data, "\x89PNG\r\n\x1a\n", 8);
	wr_free(&png);
	rig_free(r);
	rig_free(to);
}

Test(section, the_first_frame_after_a_move_is_told_once)
{
	struct rig *r = rig_new(), *to;

	call(r, "open", 64, 64, WASMOS_INDEXED8);
	call(r, "present", 5, 64, 0);
	to = moved(r);
	cr_assert_eq(to->showns, 0);
	call(to, "present", 6, 64, 0);
	call(to, "present", 7, 64, 0);
	cr_assert_eq(to->showns, 1);
	rig_free(r);
	rig_free(to);
}

Test(section, cut_short_or_flipped_gives_one_clear_error_or_a_process)
{
	struct rig *r = rig_new();

	call(r, "open", 16, 16, WASMOS_INDEXED8);
	call(r, "title", 0, 0, 0);
	call(r, "audio_open", 44100, 2, 0);
	type_key(r, 4, WASMOS_DOWN);
	call(r, "present", 5, 16, 0);
	let_frame_grow_old(r);
	struct wr w = save(r);
	for (size_t i = 0; i < w.size * 9; i++) {
		struct drivers_config cfg = config_of(r);
		struct drivers *d = NULL;
		struct errmsg msg = {0};
		uint8_t *bytes = malloc(w.size);
		memcpy(bytes, w.data, w.size);
		if (i >= w.size)
			bytes[(i - w.size) / 8] ^= (uint8_t)(1u << (i & 7));
		struct rd in = rd_of(bytes, i < w.size ? i : w.size);
		enum err e = drivers_load(&in, &cfg, &d, &msg);
		cr_assert(i >= w.size || e != ERR_OK, "%zu bytes of %zu were enough", i, w.size);
		cr_assert(e == ERR_OK || (d == NULL && msg.text[0] != '\0'));
		drivers_free(d);
		free(bytes);
	}
	wr_free(&w);
	rig_free(r);
}

Test(view, another_host_half_can_be_put_on_and_taken_off)
{
	struct rig *r = rig_new();
	struct errmsg msg = {0};
	struct drivers_stats st;

	call(r, "open", 16, 16, WASMOS_INDEXED8);
	drivers_stats(r->drivers, &st);
	cr_assert_str_eq(st.host, "headless");
	cr_assert_eq(drivers_attach(r->drivers, SCREEN_TERMINAL, NULL, &msg), ERR_NOTFOUND);
	cr_assert_str_eq(msg.text, "the process has no terminal");
	view_close(drivers_take_view(r->drivers));
	drivers_stats(r->drivers, &st);
	cr_assert_str_eq(st.host, "none");
	cr_assert_eq(drivers_attach(r->drivers, SCREEN_HEADLESS, NULL, &msg), ERR_OK);
	call(r, "close", 0, 0, 0);
	drivers_stats(r->drivers, &st);
	cr_assert_str_eq(st.host, "none");
	rig_free(r);
}

static size_t swallow(void *ctx, const uint8_t *bytes, size_t size)
{
	return size;
}

Test(view, a_process_that_was_drawn_in_its_terminal_still_is_after_a_move)
{
	struct rig *r = rig_new(), *to;
	struct host_tty tty = {.write = swallow};
	struct drivers_stats st;

	cr_assert_eq(drivers_attach(r->drivers, SCREEN_TERMINAL, &tty, NULL), ERR_OK);
	call(r, "open", 16, 16, WASMOS_INDEXED8);
	struct wr w = save(r);
	to = moved(r);
	view_close(drivers_take_view(to->drivers));
	drivers_free(to->drivers);
	struct rd in = rd_of(w.data, w.size);
	struct drivers_config cfg = config_of(to);
	cfg.screen = SCREEN_AUTO;
	cfg.tty = tty;
	cr_assert_eq(drivers_load(&in, &cfg, &to->drivers, NULL), ERR_OK);
	drivers_start(to->drivers);
	drivers_stats(to->drivers, &st);
	cr_assert_str_eq(st.host, "terminal");
	wr_free(&w);
	rig_free(r);
	rig_free(to);
}
