/* exec.c - execve: another program takes the process over. What it is, its bytes say: a wasm module (WASI or WALI, by its imports), or
 * text that begins with "#!" and names its interpreter. Everything that can fail is done before anything changes.
 */
#include "node/wali/wali_state.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPTS_MAX = 4, LINE_MAX = 255, PROGRAM_MAX = 512 << 20, MAY_AGAIN_NS = 20000000 };

/* Arguments or environment, one owned list. */
struct words {
	char **list;
	uint32_t count;
	size_t bytes;
};

struct exec {
	struct words args, env;
	char path[VFS_PATH_MAX], first[VFS_PATH_MAX]; /* first: as it was asked for */
	uint8_t *bytes;                               /* of the file. Owned */
	size_t size;
	char line[LINE_MAX + 1];
};

static void free_words(struct words *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		free(w->list[i]);
	free(w->list);
}

static enum ferr add_word(struct words *w, uint32_t at, const char *text)
{
	w->bytes += strlen(text) + 1;
	if (w->bytes > WALI_ENV_MAX || w->count == WASI_ARGS_MAX)
		return FE_2BIG;
	char **p = realloc(w->list, (w->count + 2) * sizeof *p);
	char *copy = strdup(text);
	if (p)
		w->list = p;
	if (!p || !copy) {
		free(copy);
		return FE_NOMEM;
	}
	memmove(p + at + 1, p + at, (w->count - at) * sizeof *p);
	p[at] = copy;
	w->count++;
	return FE_OK;
}

/* A list of pointers to texts, which ends with a null pointer. */
static enum ferr read_words(struct wali *k, uint64_t addr, struct words *w)
{
	char *text = malloc(WALI_ENV_MAX);
	enum ferr e = text ? FE_OK : FE_NOMEM;
	for (uint32_t at = arg32(addr); e == FE_OK && at; at += 4) {
		const uint8_t *p = wali_in(k, at, 4);
		if (!p)
			e = FE_FAULT;
		else if (!wasi_get_u32(p))
			break;
		else
			e = wali_text(k, wasi_get_u32(p), text, WALI_ENV_MAX);
		if (e == FE_NAMETOOLONG)
			e = FE_2BIG;
		if (e == FE_OK)
			e = add_word(w, w->count, text);
	}
	free(text);
	return e;
}

/* ---- the file ---- */

static enum ferr read_all(struct vfs_obj *o, size_t size, uint8_t *to)
{
	for (size_t done = 0; done < size;) {
		struct vfs_iov iov = {.p = to + done, .size = size - done};
		size_t n = 0;
		FTRY(vfs_read(o, done, &iov, 1, &n));
		if (!n)
			return FE_IO;
		done += n;
	}
	return FE_OK;
}

static enum ferr read_program(struct wali *k, const char *path, struct exec *x)
{
	struct wali_at at = {0};
	struct vfs_file *f;
	struct vfs_stat st;
	enum ferr e = wali_at_text(k, (uint32_t)AT_FDCWD_, path, true, &at);
	if (e == FE_OK && at.has_stat && at.st.has_mode && !(at.st.mode & 0100))
		e = FE_ACCES;
	if (e == FE_OK)
		e = wali_open_at(k, &at, VFS_READ, &f);
	wali_at_end(&at);
	FTRY(e);
	e = f->obj->type == VFS_TYPE_FILE ? vfs_stat(f->obj, &st) : FE_ACCES;
	if (e == FE_OK && st.size_bytes > PROGRAM_MAX)
		e = FE_NOMEM;
	free(x->bytes);
	x->bytes = NULL;
	x->size = e == FE_OK ? (size_t)st.size_bytes : 0;
	if (e == FE_OK && !(x->bytes = malloc(x->size + 1)))
		e = FE_NOMEM;
	if (e == FE_OK)
		e = read_all(f->obj, x->size, x->bytes);
	vfs_file_unref(f);
	return e;
}

static bool is_module(const struct exec *x)
{
	return x->size >= 8 && !memcmp(x->bytes, "\0asm\1\0\0", 8);
}

/* "#!/bin/sh -e": the interpreter, at most one argument, then the script's own name in place of its first. */
static enum ferr use_interpreter(struct exec *x)
{
	size_t n = x->size < LINE_MAX ? x->size : LINE_MAX;
	if (x->size < 3 || memcmp(x->bytes, "#!", 2))
		return FE_NOEXEC;
	memcpy(x->line, x->bytes, n);
	x->line[n] = 0;
	char *end = strchr(x->line, '\n');
	if (!end)
		return FE_NOEXEC;
	while (end > x->line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = 0;
	char *name = x->line + 2 + strspn(x->line + 2, " \t");
	char *arg = name + strcspn(name, " \t");
	if (*arg)
		*arg++ = 0;
	arg += strspn(arg, " \t");
	if (!*name)
		return FE_NOEXEC;
	if (x->args.count) {
		free(x->args.list[0]);
		memmove(x->args.list, x->args.list + 1, --x->args.count * sizeof *x->args.list);
	}
	FTRY(add_word(&x->args, 0, x->path));
	if (*arg)
		FTRY(add_word(&x->args, 0, arg));
	FTRY(add_word(&x->args, 0, name));
	snprintf(x->path, sizeof x->path, "%s", name);
	return FE_OK;
}

static enum ferr find_program(struct wali *k, struct exec *x)
{
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		FTRY(read_program(k, x->path, x));
		if (is_module(x))
			return FE_OK;
		FTRY(use_interpreter(x));
	}
	return FE_LOOP;
}

/* ---- taking over ---- */

static enum ferr load_module(struct wali *k, struct exec *x)
{
	struct errmsg msg = {0};
	uint8_t *bytes = x->bytes;
	x->bytes = NULL;
	enum err e = k->host.load(k->host.ctx, bytes, x->size, &k->exec, &msg);
	if (e != ERR_OK && k->host.log)
		k->host.log(k->host.ctx, msg.text);
	return e == ERR_OK ? FE_OK : e == ERR_NOMEM ? FE_NOMEM : FE_NOEXEC;
}

static void close_on_exec(struct wali *k)
{
	struct fdtable *fds = k->w->fds;
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < fdtable_size(fds); fd++)
		if (fdtable_use(fds, fd, 0, &e) != FE_BADF && e->cloexec) {
			wali_closing(k, e->file);
			fdtable_close(fds, fd);
		}
}

/* WASI programs know no names but below folders that are open, from descriptor 3 on: what has their numbers gets others. */
static void preopen_mounts(struct wasi *w)
{
	uint32_t fd, other, end = 3 + vfs_ns_count(w->ns);
	for (fd = 3; fd < end; fd++)
		if (fdtable_dup(w->fds, fd, end, &other) == FE_OK)
			fdtable_close(w->fds, fd);
	for (uint32_t i = 0; i < vfs_ns_count(w->ns); i++)
		fdtable_preopen(w->fds, vfs_ns_at(w->ns, i), &fd);
}

/* The last name of what was asked for, a script's own too. */
static void set_comm(struct task *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	snprintf(t->comm, sizeof t->comm, "%.15s", slash ? slash + 1 : path);
}

static void take_over(struct wali *k, struct exec *x)
{
	wali_maps_write(k);
	wali_memory_reset(k);
	wali_signals_exec(k);
	close_on_exec(k);
	if (!module_is_wali(k->exec))
		preopen_mounts(k->w);
	wasi_set_strings(&k->w->args, x->args.list, x->args.count, x->args.bytes);
	wasi_set_strings(&k->w->env, x->env.list, x->env.count, x->env.bytes);
	x->args = x->env = (struct words){0};
	k->w->poll_pending = false;
	k->exec_path = strdup(x->path);
	free(k->exe);
	k->exe = strdup(x->path);
	set_comm(k->task, x->first);
	k->task->has_execed = true;
	k->task->runs = false; /* a WASI program's calls do not say */
	k->task->waits_for = NULL;
}

static int64_t execute(struct wali *k, const uint64_t *a, struct exec *x)
{
	WTRY(wali_text(k, a[0], x->path, sizeof x->path));
	snprintf(x->first, sizeof x->first, "%s", x->path);
	WTRY(read_words(k, a[1], &x->args));
	WTRY(read_words(k, a[2], &x->env));
	WTRY(find_program(k, x));
	WTRY(load_module(k, x));
	take_over(k, x);
	return WALI_EXIT;
}

int64_t wali_execve(struct wali *k, const uint64_t *a)
{
	if (!k->host.load)
		return NO(NOSYS);
	if (k->host.may_exec && !k->host.may_exec(k->host.ctx)) {
		wait_until(k->w->wait, os_monotonic_ns() + MAY_AGAIN_NS);
		return WALI_BLOCK;
	}
	struct exec *x = calloc(1, sizeof *x);
	int64_t r = x ? execute(k, a, x) : NO(NOMEM);
	if (r != WALI_EXIT && k->host.exec_failed)
		k->host.exec_failed(k->host.ctx);
	if (!x)
		return r;
	free_words(&x->args);
	free_words(&x->env);
	free(x->bytes);
	free(x);
	return r;
}

struct module *wali_take_exec(struct wali *k, char **path)
{
	struct module *m = k->exec;
	*path = k->exec_path;
	k->exec = NULL;
	k->exec_path = NULL;
	return m;
}
