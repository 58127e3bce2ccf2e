/* wasi_save.c - section "wasi" of an image: arguments, environment, clocks, open files.
 *
 * Layout (little-endian): u32 version 1; arguments and environment, each: u32 count, each string u32 size, bytes;
 * u64 monotonic time; u64 CPU time; u8 a poll is pending, u64 since when; u8 exited, u32 exit code; then
 * the mounts and open files (vfs/fdtable_save.c).
 */
#include "node/wasi/wasi_state.h"

#include "node/text.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1 };

static void save_strings(const struct wasi_strings *s, struct wr *out)
{
	wr_u32(out, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		wr_u32(out, (uint32_t)strlen(s->list[i]));
		wr_bytes(out, s->list[i], strlen(s->list[i]));
	}
}

static void save_state(struct wasi *w, struct wr *out)
{
	wr_u32(out, FORMAT_VERSION);
	save_strings(&w->args, out);
	save_strings(&w->env, out);
	wr_u64(out, wasi_clock_ns(w));
	wr_u64(out, w->cpu_seen_ns);
	wr_u8(out, w->poll_pending);
	wr_u64(out, w->poll_pending ? w->poll_start_ns : 0);
	wr_u8(out, w->exited);
	wr_u32(out, w->exit_code);
}

enum err wasi_save(struct wasi *w, struct wr *out, struct errmsg *msg)
{
	save_state(w, out);
	return fdtable_save(w->fds, w->ns, out, msg);
}

enum err wasi_save_in(struct wasi *w, const struct fdset *set, struct wr *out, struct errmsg *msg)
{
	save_state(w, out);
	return fdtable_save_in(w->fds, set, out);
}

static enum err load_strings(struct rd *in, struct wasi_strings *s)
{
	uint32_t count, size;
	const uint8_t *p;
	TRY(rd_u32(in, &count));
	if (count > WASI_ARGS_MAX)
		return ERR_LIMIT;
	s->list = calloc(count + 1u, sizeof *s->list);
	if (!s->list)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		TRY(rd_u32(in, &size));
		TRY(rd_bytes(in, size, &p));
		if (size >= WASI_STRINGS_MAX - s->bytes || memchr(p, 0, size))
			return ERR_MALFORMED;
		s->list[i] = text_copy(p, size);
		if (!s->list[i])
			return ERR_NOMEM;
		s->count = i + 1;
		s->bytes += size + 1;
	}
	return ERR_OK;
}

static enum err rd_flag(struct rd *in, bool *out)
{
	uint8_t v;
	TRY(rd_u8(in, &v));
	*out = v == 1;
	return v <= 1 ? ERR_OK : ERR_MALFORMED;
}

static enum err load_state(struct rd *in, struct wasi *w)
{
	uint32_t version;
	TRY(rd_u32(in, &version));
	if (version != FORMAT_VERSION)
		return ERR_UNSUPPORTED;
	TRY(load_strings(in, &w->args));
	TRY(load_strings(in, &w->env));
	TRY(rd_u64(in, &w->clock_paused_ns));
	TRY(rd_u64(in, &w->cpu_before_ns));
	TRY(rd_flag(in, &w->poll_pending));
	TRY(rd_u64(in, &w->poll_start_ns));
	TRY(rd_flag(in, &w->exited));
	TRY(rd_u32(in, &w->exit_code));
	return w->clock_paused_ns > INT64_MAX || w->cpu_before_ns > INT64_MAX ? ERR_MALFORMED
	                                                                      : ERR_OK;
}

static enum err load_files_in(struct rd *in, struct fdset *set, struct wasi *w, struct errmsg *msg)
{
	w->ns = vfs_ns_copy(fdset_ns(set));
	return w->ns ? fdtable_load_in(in, set, &w->fds, msg) : ERR_NOMEM;
}

/* l: the files are all its own; else they are in set. */
static enum err load(struct rd *in, const struct fdtable_loader *l, struct fdset *set,
                     struct wait *wait, struct wasi **out, struct errmsg *msg)
{
	struct wasi *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(msg, ERR_NOMEM, "section wasi: out of memory");
	w->paused = true;
	w->wait = wait;
	size_t start = rd_offset(in);
	enum err e = load_state(in, w);
	w->cpu_seen_ns = w->cpu_before_ns;
	if (e != ERR_OK)
		err_set(msg, e, "section wasi: byte %zu: %s", rd_offset(in) - start, err_text(e));
	else if ((e = l ? fdtable_load(in, l, &w->fds, &w->ns, msg)
	                : load_files_in(in, set, w, msg)) != ERR_OK)
		err_prefix(msg, e, "section wasi");
	if (e != ERR_OK) {
		wasi_free(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

enum err wasi_load(struct rd *in, const struct fdtable_loader *l, struct wait *wait,
                   struct wasi **out, struct errmsg *msg)
{
	return load(in, l, NULL, wait, out, msg);
}

enum err wasi_load_in(struct rd *in, struct fdset *set, struct wait *wait, struct wasi **out,
                      struct errmsg *msg)
{
	return load(in, NULL, set, wait, out, msg);
}
