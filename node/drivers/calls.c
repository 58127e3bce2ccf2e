/* calls.c - the host calls of the module "wasmos" (sdk/abi/wasmos.def), on the worker's thread. */
#include "node/drivers/guest.h"

#include "base/os.h"
#include "node/process/wait.h"

#include <assert.h>
#include <string.h>

/* Errnos of WASI preview 1 (the order of its list); results are negated. */
enum {
	WASI_EBADF = 8,
	WASI_EBUSY = 10,
	WASI_EFAULT = 21,
	WASI_EINVAL = 28,
	WASI_ENOMEM = 48,
};

/* Handles: there is one display and one queue of sound. */
enum { THE_DISPLAY = 0, THE_AUDIO = 0 };

static enum host_result done(uint64_t *args, int32_t result)
{
	args[0] = (uint32_t)result;
	return HOST_DONE;
}

static bool no_display(const struct drivers *d, uint64_t handle)
{
	return (uint32_t)handle != THE_DISPLAY || d->mode.format == 0;
}

static bool no_audio(const struct drivers *d, uint64_t handle)
{
	return (uint32_t)handle != THE_AUDIO || d->mode.rate == 0;
}

/* The panel takes the mode, or all stays as it was. */
static enum host_result change_mode(struct drivers *d, const struct panel_mode *mode,
                                    uint64_t *args, int32_t result)
{
	if (panel_set_mode(d->panel, mode) != ERR_OK)
		return done(args, -WASI_ENOMEM);
	d->mode = *mode;
	drivers_check(d);
	drivers_follow(d);
	return done(args, result);
}

/* ---- display ---- */

static bool side_is_good(uint64_t side)
{
	return (uint32_t)side >= 1 && (uint32_t)side <= PANEL_SIDE_MAX;
}

static enum host_result call_display_open(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;
	uint32_t format = (uint32_t)args[2];

	if (mode.format != 0)
		return done(args, -WASI_EBUSY);
	if (!side_is_good(args[0]) || !side_is_good(args[1]) ||
	    (format != WASMOS_XRGB8888 && format != WASMOS_INDEXED8))
		return done(args, -WASI_EINVAL);
	mode.width = (uint32_t)args[0];
	mode.height = (uint32_t)args[1];
	mode.format = format;
	mode.aspect_x = mode.aspect_y = 0;
	mode.grab = false;
	memcpy(mode.title, d->name, sizeof(mode.title));
	memset(d->palette, 0, sizeof(d->palette));
	return change_mode(d, &mode, args, THE_DISPLAY);
}

static enum host_result call_display_title(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;
	uint32_t size = (uint32_t)args[2];
	const uint8_t *text;

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	text = thread_mem_read(t, (uint32_t)args[1], size);
	if (text == NULL)
		return done(args, -WASI_EFAULT);
	if (size > PANEL_TITLE_MAX || !panel_title_is_good(text, size))
		return done(args, -WASI_EINVAL);
	memset(mode.title, 0, sizeof(mode.title));
	memcpy(mode.title, text, size);
	return change_mode(d, &mode, args, 0);
}

static enum host_result call_display_aspect(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;
	uint32_t x = (uint32_t)args[1], y = (uint32_t)args[2];

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	if (x > PANEL_ASPECT_MAX || y > PANEL_ASPECT_MAX || (x == 0) != (y == 0))
		return done(args, -WASI_EINVAL);
	mode.aspect_x = x;
	mode.aspect_y = y;
	return change_mode(d, &mode, args, 0);
}

static enum host_result call_display_palette(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t first = (uint32_t)args[1], count = (uint32_t)args[2];
	const uint8_t *xrgb;

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	if (d->mode.format != WASMOS_INDEXED8 || first > 256 || count > 256 - first)
		return done(args, -WASI_EINVAL);
	xrgb = thread_mem_read(t, (uint32_t)args[3], (uint64_t)count * 4);
	if (xrgb == NULL)
		return done(args, -WASI_EFAULT);
	for (uint32_t i = 0; i < count; i++, xrgb += 4)
		d->palette[first + i] =
		    (uint32_t)xrgb[0] | (uint32_t)xrgb[1] << 8 | (uint32_t)xrgb[2] << 16;
	return done(args, 0);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "frames are hashed as they lie in memory");

/* chain = BLAKE2b-256(chain, width, height, format, palette when indexed, rows without gaps), with
 * integers of 32 bits, little-endian. The first chain is 32 zeros. docs/ABI.md says it to others. */
static void hash_frame(struct drivers *d, const uint8_t *pixels, uint32_t pitch_bytes)
{
	uint32_t head[3] = {d->mode.width, d->mode.height, d->mode.format};
	size_t row = (size_t)d->mode.width * (d->mode.format == WASMOS_INDEXED8 ? 1 : 4);
	struct crypto_hash h;
	uint8_t out[CRYPTO_HASH_SIZE];

	crypto_hash_init(&h, CRYPTO_HASH_SIZE, NULL, 0);
	crypto_hash_add(&h, d->hash, sizeof(d->hash));
	crypto_hash_add(&h, head, sizeof(head));
	if (d->mode.format == WASMOS_INDEXED8)
		crypto_hash_add(&h, d->palette, sizeof(d->palette));
	for (uint32_t y = 0; y < d->mode.height; y++)
		crypto_hash_add(&h, pixels + (size_t)y * pitch_bytes, row);
	crypto_hash_end(&h, out);
	pthread_mutex_lock(&d->lock);
	memcpy(d->hash, out, sizeof(d->hash));
	pthread_mutex_unlock(&d->lock);
}

static void take_frame(struct drivers *d, const uint8_t *pixels, uint32_t pitch_bytes,
                       uint64_t now_ns)
{
	if (d->hashing)
		hash_frame(d, pixels, pitch_bytes);
	panel_present(d->panel, pixels, pitch_bytes, d->palette, now_ns);
	d->presented_ns = now_ns;
	pthread_mutex_lock(&d->lock);
	d->frames++;
	bool seen_by_view = d->view != NULL;
	pthread_mutex_unlock(&d->lock);
	if (!seen_by_view)
		panel_shown(d->panel, 1);
}

static enum host_result call_display_present(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t pitch = (uint32_t)args[2];
	uint64_t row, now_ns = os_monotonic_ns();
	const uint8_t *pixels;

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	row = (uint64_t)d->mode.width * (d->mode.format == WASMOS_INDEXED8 ? 1 : 4);
	if (pitch < row)
		return done(args, -WASI_EINVAL);
	pixels =
	    thread_mem_read(t, (uint32_t)args[1], (uint64_t)pitch * (d->mode.height - 1) + row);
	if (pixels == NULL)
		return done(args, -WASI_EFAULT);
	if (!d->cfg.unpaced && now_ns < panel_slot(d->panel)) {
		wait_until(d->cfg.wait, panel_slot(d->panel));
		return HOST_BLOCK;
	}
	take_frame(d, pixels, pitch, now_ns);
	return done(args, 0);
}

static enum host_result call_display_close(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = {.rate = d->mode.rate, .channels = d->mode.channels};

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	return change_mode(d, &mode, args, 0);
}

/* ---- input ---- */

static enum host_result call_input_poll(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t count = (uint32_t)args[1];
	struct wasmos_event events[64];
	uint8_t *out;

	d->asked_input = true;
	if (count > 64)
		count = 64;
	out = thread_mem_write(t, (uint32_t)args[0], (uint64_t)count * sizeof(*events));
	if (out == NULL)
		return done(args, -WASI_EFAULT);
	count = panel_events(d->panel, events, count);
	drivers_told(d, events, count);
	memcpy(out, events, count * sizeof(*events));
	return done(args, (int32_t)count);
}

static enum host_result call_input_wait(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint64_t deadline_ns = args[0];

	d->asked_input = true;
	if (panel_peek_events(d->panel, NULL) > 0)
		return done(args, 1);
	if (deadline_ns == WASMOS_FOREVER)
		return HOST_BLOCK;
	if (d->cfg.host_time_ns != NULL)
		deadline_ns = d->cfg.host_time_ns(d->cfg.ctx, deadline_ns);
	if (os_monotonic_ns() >= deadline_ns)
		return done(args, 0);
	wait_until(d->cfg.wait, deadline_ns);
	return HOST_BLOCK;
}

static enum host_result call_input_grab(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;

	if (no_display(d, args[0]))
		return done(args, -WASI_EBADF);
	mode.grab = (uint32_t)args[1] != 0;
	return change_mode(d, &mode, args, 0);
}

/* ---- audio ---- */

static enum host_result call_audio_open(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;
	uint32_t rate = (uint32_t)args[0], channels = (uint32_t)args[1];

	if (mode.rate != 0)
		return done(args, -WASI_EBUSY);
	if (rate < PANEL_RATE_MIN || rate > PANEL_RATE_MAX || channels < 1 || channels > 2)
		return done(args, -WASI_EINVAL);
	mode.rate = rate;
	mode.channels = channels;
	return change_mode(d, &mode, args, THE_AUDIO);
}

static enum host_result call_audio_write(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t count = (uint32_t)args[2], taken;
	const uint8_t *frames;

	if (no_audio(d, args[0]))
		return done(args, -WASI_EBADF);
	frames = thread_mem_read(t, (uint32_t)args[1], (uint64_t)count * d->mode.channels * 2);
	if (frames == NULL)
		return done(args, -WASI_EFAULT);
	if ((uint32_t)args[1] % _Alignof(int16_t) != 0)
		return done(args, -WASI_EINVAL);
	taken =
	    panel_sound(d->panel, (const int16_t *)(const void *)frames, count, os_monotonic_ns());
	d->written += taken;
	return done(args, (int32_t)taken);
}

static enum host_result call_audio_queued(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t space;

	if (no_audio(d, args[0]))
		return done(args, -WASI_EBADF);
	return done(args, (int32_t)panel_sound_queued(d->panel, os_monotonic_ns(), &space));
}

static enum host_result call_audio_space(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	uint32_t space;

	if (no_audio(d, args[0]))
		return done(args, -WASI_EBADF);
	panel_sound_queued(d->panel, os_monotonic_ns(), &space);
	return done(args, (int32_t)space);
}

static enum host_result call_audio_close(void *env, struct thread *t, uint64_t *args)
{
	struct drivers *d = env;
	struct panel_mode mode = d->mode;

	if (no_audio(d, args[0]))
		return done(args, -WASI_EBADF);
	mode.rate = mode.channels = 0;
	return change_mode(d, &mode, args, 0);
}

/* ---- the table ---- */

bool calls_resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                   void **env)
{
	static const struct {
		const char *name, *type;
		host_fn fn;
	} calls[] = {
#define HOST_SECTION(title, text)
#define HOST_CALL(name, signature, result, parameters, text) {#name, signature, call_##name},
#include "sdk/abi/wasmos.def"
#undef HOST_CALL
#undef HOST_SECTION
	};

	if (strcmp(module, "wasmos") != 0)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(name, calls[i].name) == 0 && strcmp(type, calls[i].type) == 0) {
			*fn = calls[i].fn;
			*env = ctx;
			return true;
		}
	}
	return false;
}
