/* proc.c - the tree of /proc: who is there, names, links, listings, and commands for a process. */
#include "node/wali/proc.h"

#include "node/wali/far_requests.h"
#include "node/wali/pty.h"

#include "base/os.h"
#include "vfs/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_NS = 300000000, LISTED_MAX = 8192, COMMAND_MAX = 256 };

/* ---- who is there ---- */

struct wali_about proc_about(const struct wali *k)
{
	struct wali_about a = {.pid = k->task ? k->task->pid : 0};
	if (k->host.about)
		k->host.about(k->host.ctx, &a);
	return a;
}

enum ferr proc_ask(struct wali *k, const char *question, struct wr *answer)
{
	if (!proc_about(k).controls)
		return FE_PERM;
	return k->host.ask ? k->host.ask(k->host.ctx, question, false, answer) : FE_NOTSUP;
}

static uint64_t memory_of(const struct wali *asker, const struct task *t)
{
	uint64_t sum = 0, size;
	struct store *store = t == asker->task ? thread_store(asker->t) : t->store;
	if (!store)
		return 0;
	for (uint32_t i = 0; i < store_memory_count(store); i++) {
		store_memory(store, i, &size);
		sum += size;
	}
	return sum;
}

static char state_of(const struct wali *asker, const struct task *t)
{
	if (t->state == TASK_ZOMBIE)
		return 'Z';
	if (t->state == TASK_STOPPED)
		return 'T';
	return t == asker->task || t->runs ? 'R' : 'S';
}

/* Devices have names for who controls its own. */
static void place_of(struct wali *k, const struct task *t, struct proc_row *out)
{
	bool known = proc_about(k).controls && t->device[0];
	snprintf(out->device, sizeof out->device, "%s", known ? t->device : "another device");
}

static void row_of_task(struct wali *k, const struct task *t, struct proc_row *out)
{
	*out = (struct proc_row){.pid = t->pid,
	                         .parent = t->parent,
	                         .group = t->group,
	                         .session = t->session,
	                         .state = state_of(k, t)};
	snprintf(out->comm, sizeof out->comm, "%s", t->comm);
	if (t->away)
		place_of(k, t, out);
	if (t->state == TASK_ZOMBIE || !t->wali)
		return;
	struct wali_about a = proc_about(t->wali);
	out->relative = t->wali;
	out->node_pid = a.pid;
	out->memory_bytes = memory_of(k, t);
	out->cpu_ns = t == k->task && !a.cpu_ns ? wasi_cpu_ns(k->w) : a.cpu_ns;
	out->created_unix_ms = a.created_unix_ms;
}

/* What the node said of all its processes, not long ago: lines of pid, parent, state, milliseconds of processor time, bytes,
 * milliseconds since 1970, name, command, with tabs between. */
static enum ferr refresh(struct wali *k)
{
	struct wr answer = {0};
	uint64_t now = os_monotonic_ns();
	if (k->proc_text && now - k->proc_text_ns < SNAPSHOT_NS)
		return FE_OK;
	FTRY(proc_ask(k, "processes", &answer));
	wr_u8(&answer, 0);
	if (!wr_ok(&answer))
		return FE_NOMEM;
	free(k->proc_text);
	k->proc_text = (char *)answer.data;
	k->proc_text_ns = now;
	return FE_OK;
}

static char letter_of(const char *state)
{
	static const struct {
		const char *text;
		char letter;
	} letters[] = {{"running", 'R'},
	               {"starting", 'R'},
	               {"waiting", 'S'},
	               {"suspending", 'T'},
	               {"suspended", 'T'}};
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
		if (!strcmp(letters[i].text, state))
			return letters[i].letter;
	return 'D';
}

/* The line at *p, which is advanced behind it. False at the end. */
static bool next_foreign(const char **p, struct proc_row *out)
{
	char state[32] = "", name[64] = "";
	unsigned long long cpu_ms = 0, memory = 0;
	long long created = 0;
	*out = (struct proc_row){.foreign = true};
	if (!**p)
		return false;
	size_t size = strcspn(*p, "\n");
	char line[1024];
	snprintf(line, sizeof line, "%.*s", (int)(size < 1023 ? size : 1023), *p);
	*p += size + ((*p)[size] == '\n');
	if (sscanf(line, "%u\t%u\t%31[^\t]\t%llu\t%llu\t%lld\t%63[^\t]\t%511[^\n]", &out->pid,
	           &out->parent, state, &cpu_ms, &memory, &created, name, out->command) < 7)
		out->pid = 0;
	out->group = out->session = out->pid;
	out->state = letter_of(state);
	out->cpu_ns = (uint64_t)cpu_ms * 1000000;
	out->memory_bytes = memory;
	out->created_unix_ms = created;
	snprintf(out->comm, sizeof out->comm, "%.15s", name);
	return true;
}

enum ferr proc_find(struct wali *k, uint32_t pid, struct proc_row *out)
{
	const struct task *t = family_find(k->family, pid);
	if (t) {
		row_of_task(k, t, out);
		return FE_OK;
	}
	if (!pid || !proc_about(k).controls)
		return FE_NOENT;
	FTRY(refresh(k));
	for (const char *p = k->proc_text; next_foreign(&p, out);)
		if (out->pid == pid)
			return FE_OK;
	return FE_NOENT;
}

static int by_pid(const void *a, const void *b)
{
	uint32_t x = ((const struct proc_row *)a)->pid, y = ((const struct proc_row *)b)->pid;
	return (x > y) - (x < y);
}

/* Whether the node knows one of the first n rows, which are relatives, by the number, or a relative has it for itself. */
static bool is_known(const struct proc_row *rows, uint32_t n, uint32_t pid)
{
	for (uint32_t i = 0; i < n; i++)
		if (rows[i].node_pid == pid || rows[i].pid == pid)
			return true;
	return false;
}

static uint32_t collect(struct wali *k, struct proc_row *rows)
{
	uint32_t n = 0;
	for (const struct task *t = k->family->tasks; t && n < LISTED_MAX; t = t->next)
		if (t->pid)
			row_of_task(k, t, &rows[n++]);
	uint32_t relatives = n;
	for (const char *p = k->proc_text; p && n < LISTED_MAX && next_foreign(&p, &rows[n]);)
		n += rows[n].pid && !is_known(rows, relatives, rows[n].pid);
	qsort(rows, n, sizeof *rows, by_pid);
	return n;
}

enum ferr proc_each(struct wali *k, proc_row_fn fn, void *ctx)
{
	if (proc_about(k).controls)
		FTRY(refresh(k));
	uint32_t most = 1;
	for (const struct task *t = k->family->tasks; t; t = t->next)
		most++;
	for (const char *p = k->proc_text; p && *p; p++)
		most += *p == '\n';
	struct proc_row *rows = calloc(most < LISTED_MAX ? most + 1 : LISTED_MAX + 1, sizeof *rows);
	if (!rows)
		return FE_NOMEM;
	uint32_t n = collect(k, rows);
	for (uint32_t i = 0; i < n; i++)
		fn(ctx, &rows[i]);
	free(rows);
	return FE_OK;
}

/* ---- names ---- */

static const struct entry {
	const char *path;
	proc_text_fn text;
} system_files[] =
    {
#define PROC_SYSTEM(name, path) {path, proc_text_##name},
#define PROC_PROCESS(name, path)
#define PROC_LINK(name, path)
#include "node/wali/proc.def"
#undef PROC_SYSTEM
#undef PROC_PROCESS
#undef PROC_LINK
},
  process_files[] =
      {
#define PROC_SYSTEM(name, path)
#define PROC_PROCESS(name, path) {path, proc_text_##name},
#define PROC_LINK(name, path)
#include "node/wali/proc.def"
#undef PROC_SYSTEM
#undef PROC_PROCESS
#undef PROC_LINK
},
  process_links[] = {
#define PROC_SYSTEM(name, path)
#define PROC_PROCESS(name, path)
#define PROC_LINK(name, path) {path, NULL},
#include "node/wali/proc.def"
#undef PROC_SYSTEM
#undef PROC_PROCESS
#undef PROC_LINK
};
#define COUNT(table) (sizeof table / sizeof *table)

static const struct entry *find_entry(const struct entry *table, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(table[i].path, path))
			return &table[i];
	return NULL;
}

bool wali_in_proc(const struct wali *k, const char *whole)
{
	const char *rest;
	if (strncmp(whole, "/proc", 5) || (whole[5] && whole[5] != '/'))
		return false;
	const struct vfs_mount *m = vfs_ns_find(k->w->ns, whole, &rest);
	return !m || strncmp(m->guest, "/proc", 5);
}

/* "12/fd/3": 12, and "fd/3". False: it does not begin with a number. */
static bool split_pid(const char *path, uint32_t *pid, const char **rest)
{
	size_t digits = strspn(path, "0123456789");
	if (!digits || digits > 9 || (path[digits] && path[digits] != '/'))
		return false;
	*pid = (uint32_t)strtoul(path, NULL, 10);
	*rest = path + digits + (path[digits] == '/');
	return true;
}

/* ---- links ---- */

static enum ferr put_link(const char *text, char *out, size_t *size)
{
	size_t n = strlen(text);
	*size = n < *size ? n : *size;
	memcpy(out, text, *size);
	return FE_OK;
}

/* As Linux says it: a path, or what it is. */
static enum ferr file_name(const struct fd_entry *e, char *out, size_t *size)
{
	char text[VFS_PATH_MAX + 64], below[VFS_PATH_MAX], form[VFS_PATH_MAX], dir[VFS_PATH_MAX];
	const struct vfs_file *f = e->file;
	if (f->mount) {
		enum ferr r = vfs_path_of(f->obj, f->mount->root, below, sizeof below);
		bool is_root = !strcmp(f->mount->guest, "/");
		const char *path = form;
		vfs_path_form(f->mount->root, r == FE_OK ? below : f->path, false, form);
		snprintf(text, sizeof text, "%s%s%s%s", is_root ? "" : f->mount->guest,
		         strcmp(path, ".") || is_root ? "/" : "", strcmp(path, ".") ? path : "",
		         r == FE_NOENT ? " (deleted)" : "");
	} else if (pty_is_end(f->obj)) {
		snprintf(text, sizeof text, "/dev/%s", f->stream);
		char *space = strchr(text, ' ');
		if (space && pty_is_master(f->obj))
			*space = 0;
		else if (space)
			*space = '/';
	} else if (wali_is_terminal(f->obj)) {
		strcpy(text, "/dev/tty");
	} else if (wali_device_path(f->obj, dir) == FE_OK) {
		snprintf(text, sizeof text, "%s", dir);
	} else if (f->obj->type == VFS_TYPE_CHAR && f->stream[0]) {
		snprintf(text, sizeof text, "/dev/%s", f->stream);
	} else {
		uint64_t dev = 0, ino = 0;
		(void)vfs_identity(f->obj, &dev, &ino);
		snprintf(text, sizeof text, "%s:[%llu]",
		         f->obj->type == VFS_TYPE_STREAM ? "pipe" : "anon_inode",
		         (unsigned long long)ino);
	}
	return put_link(text, out, size);
}

static enum ferr process_link(struct wali *k, const struct proc_row *row, const char *name,
                              char *out, size_t *size)
{
	struct fd_entry *e;
	struct wali *r = row->relative;
	uint32_t fd;
	const char *rest;
	char form[VFS_PATH_MAX];
	bool in_fd = !strncmp(name, "fd/", 3) && split_pid(name + 3, &fd, &rest) && !*rest;
	if (!in_fd && !find_entry(process_links, COUNT(process_links), name))
		return FE_INVAL;
	if (!r)
		return row->foreign ? FE_ACCES : FE_NOENT;
	if (in_fd)
		return wali_fd(r, fd, &e) == FE_OK ? file_name(e, out, size) : FE_NOENT;
	if (!strcmp(name, "cwd")) {
		vfs_ns_path_form(r->w->ns, r->cwd, false, form);
		return put_link(form, out, size);
	}
	if (!strcmp(name, "root"))
		return put_link("/", out, size);
	return r->exe ? put_link(r->exe, out, size) : FE_NOENT;
}

enum ferr wali_proc_link(struct wali *k, const char *whole, char *out, size_t *size)
{
	const char *path = whole[5] ? whole + 6 : "", *rest;
	char text[32];
	uint32_t pid;
	struct proc_row *row;
	if (!strcmp(path, "self") || !strcmp(path, "thread-self")) {
		snprintf(text, sizeof text, "%u", k->task->pid);
		return put_link(text, out, size);
	}
	if (!strcmp(path, "mounts"))
		return put_link("self/mounts", out, size);
	if (!split_pid(path, &pid, &rest) || !*rest)
		return FE_INVAL;
	row = malloc(sizeof *row);
	enum ferr e = row ? proc_find(k, pid, row) : FE_NOMEM;
	if (e == FE_OK)
		e = process_link(k, row, rest, out, size);
	free(row);
	return e;
}

void wali_proc_magic(struct wali *k, char whole[VFS_PATH_MAX])
{
	const char *rest = whole + 6;
	char fd[32];
	uint32_t pid;
	if (strncmp(whole, "/proc/", 6))
		return;
	if (!strncmp(rest, "self/", 5))
		rest += 5;
	else if (!split_pid(rest, &pid, &rest) || pid != k->task->pid)
		return;
	if (strncmp(rest, "fd/", 3) || !rest[3] ||
	    strspn(rest + 3, "0123456789") != strlen(rest + 3) || strlen(rest) > 12)
		return;
	snprintf(fd, sizeof fd, "/dev/%s", rest);
	strcpy(whole, fd);
}

/* ---- objects ---- */

static void put_name(struct wr *w, enum vfs_type type, const char *name, size_t size)
{
	wr_u8(w, (uint8_t)type);
	wr_bytes(w, name, size);
	wr_u8(w, 0);
}

/* A name for each process. */
static void put_pid(void *ctx, const struct proc_row *row)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%u", row->pid);
	put_name(ctx, VFS_TYPE_DIR, text, (size_t)n);
}

/* The names of system_files right below dir ("", "sys/"), each once; the table is sorted by path below each folder. */
static uint32_t put_system(struct wr *w, const char *dir)
{
	const char *last = "";
	size_t n = strlen(dir), last_size = 0;
	uint32_t count = 0;
	for (size_t i = 0; i < COUNT(system_files); i++) {
		const char *path = system_files[i].path;
		if (strncmp(path, dir, n))
			continue;
		size_t size = strcspn(path + n, "/");
		if (size == last_size && !memcmp(last, path + n, size))
			continue;
		last = path + n;
		last_size = size;
		put_name(w, path[n + size] ? VFS_TYPE_DIR : VFS_TYPE_FILE, last, size);
		count++;
	}
	return count;
}

static void put_fds(struct wali *r, struct wr *w)
{
	struct fd_entry *e;
	char text[16];
	for (uint32_t fd = 0; fd < fdtable_size(r->w->fds); fd++) {
		int n = snprintf(text, sizeof text, "%u", fd);
		if (wali_fd(r, fd, &e) == FE_OK)
			put_name(w, VFS_TYPE_SYMLINK, text, (size_t)n);
	}
}

static void put_process(struct wr *w)
{
	for (size_t i = 0; i < COUNT(process_files); i++)
		put_name(w, VFS_TYPE_FILE, process_files[i].path, strlen(process_files[i].path));
	for (size_t i = 0; i < COUNT(process_links); i++)
		put_name(w, VFS_TYPE_SYMLINK, process_links[i].path, strlen(process_links[i].path));
	put_name(w, VFS_TYPE_FILE, "ctl", 3);
	put_name(w, VFS_TYPE_DIR, "fd", 2);
}

/* Names stay the same for a path: programs compare. */
static uint64_t ino_of(const char *path)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * UINT64_C(1099511628211);
	return h >> 16 | 1;
}

/* Takes the bytes of w. */
static enum ferr give(struct wali_at *at, enum device_kind kind, struct wr *w)
{
	struct device *d = wr_ok(w) ? wali_device_alloc(kind) : NULL;
	if (!d) {
		wr_free(w);
		return FE_NOMEM;
	}
	d->text = (char *)w->data;
	d->text_size = w->size;
	d->ino = ino_of(at->whole);
	d->path = strdup(at->whole);
	at->dev = &d->base;
	at->fixed = kind != DEVICE_CTL;
	return d->path ? FE_OK : FE_NOMEM;
}

static enum ferr give_folder(struct wali_at *at, struct wr *names)
{
	snprintf(at->dev_name, sizeof at->dev_name, "dir /proc");
	return give(at, DEVICE_DIR, names);
}

/* A file in memory that has no name. */
static enum ferr give_text(struct wali_at *at, struct wr *w)
{
	struct vfs_obj *root = NULL, *obj = NULL;
	struct vfs_iov iov = {.p = w->data, .size = w->size};
	size_t done = 0;
	uint64_t end;
	enum ferr e = wr_ok(w) ? vfs_memory_new(UINT32_MAX, &root) : FE_NOMEM;
	if (e == FE_OK)
		e = vfs_open(root, "text", VFS_READ | VFS_WRITE | VFS_CREATE, &obj);
	if (e == FE_OK && w->size)
		e = vfs_write(obj, 0, 0, &iov, 1, &done, &end);
	if (e == FE_OK)
		e = vfs_unlink(root, "text");
	vfs_unref(root);
	wr_free(w);
	at->dev = e == FE_OK ? obj : NULL;
	if (e != FE_OK)
		vfs_unref(obj);
	at->dev_name[0] = 0;
	at->fixed = true;
	return e;
}

static enum ferr root_at(struct wali *k, struct wali_at *at, struct wr *names)
{
	FTRY(proc_each(k, put_pid, names));
	put_name(names, VFS_TYPE_SYMLINK, "self", 4);
	put_name(names, VFS_TYPE_SYMLINK, "mounts", 6);
	put_system(names, "");
	return give_folder(at, names);
}

static enum ferr system_at(struct wali *k, struct wali_at *at, const char *path, struct wr *w)
{
	const struct entry *e = find_entry(system_files, COUNT(system_files), path);
	char dir[64];
	if (e) {
		wr_clear(w);
		FTRY(e->text(k, NULL, w));
		return give_text(at, w);
	}
	snprintf(dir, sizeof dir, "%.60s/", path);
	return put_system(w, dir) ? give_folder(at, w) : FE_NOENT;
}

static enum ferr process_at(struct wali *k, struct wali_at *at, const struct proc_row *row,
                            const char *name, struct wr *w)
{
	const struct entry *e = find_entry(process_files, COUNT(process_files), name);
	if (!*name) {
		put_process(w);
		return give_folder(at, w);
	}
	if (!strcmp(name, "fd")) {
		if (!row->relative)
			return row->foreign ? FE_ACCES : FE_NOENT;
		put_fds(row->relative, w);
		return give_folder(at, w);
	}
	wr_clear(w);
	if (!strcmp(name, "ctl")) {
		snprintf(at->dev_name, sizeof at->dev_name, "ctl %u", row->pid);
		return give(at, DEVICE_CTL, w);
	}
	if (!e)
		return FE_NOENT;
	FTRY(e->text(k, row, w));
	return give_text(at, w);
}

static enum ferr link_at(struct wali *k, struct wali_at *at, struct wr *w)
{
	char text[VFS_PATH_MAX + 64];
	size_t size = sizeof text;
	FTRY(wali_proc_link(k, at->whole, text, &size));
	wr_clear(w);
	wr_bytes(w, text, size);
	at->dev_name[0] = 0;
	return give(at, DEVICE_LINK, w);
}

static enum ferr at_path(struct wali *k, struct wali_at *at, struct proc_row *row, struct wr *w)
{
	const char *path = at->whole[5] ? at->whole + 6 : "", *name;
	uint32_t pid;
	enum ferr e = link_at(k, at, w);
	if (e != FE_INVAL)
		return e;
	put_name(w, VFS_TYPE_DIR, ".", 1);
	put_name(w, VFS_TYPE_DIR, "..", 2);
	if (!*path)
		return root_at(k, at, w);
	if (!split_pid(path, &pid, &name))
		return system_at(k, at, path, w);
	FTRY(proc_find(k, pid, row));
	return process_at(k, at, row, name, w);
}

enum ferr wali_proc_at(struct wali *k, struct wali_at *at)
{
	struct wr w = {0};
	struct proc_row *row = malloc(sizeof *row);
	at->mount = NULL;
	enum ferr e = row ? at_path(k, at, row, &w) : FE_NOMEM;
	free(row);
	if (e != FE_OK) {
		wr_free(&w);
		wali_at_end(at);
	}
	return e;
}

/* ---- commands for a process ---- */

static void answer_is(struct device *d, struct wr *answer)
{
	free(d->text);
	d->text = (char *)answer->data;
	d->text_size = wr_ok(answer) ? answer->size : 0;
}

static int64_t kill_it(struct wali *k, uint32_t pid, const char *signal)
{
	char *end;
	unsigned long n = strtoul(signal, &end, 10);
	if (end == signal || *end || n > LINUX_SIGNALS)
		return NO(INVAL);
	return -family_kill(k->family, k->task, pid, (int)n);
}

/* The call may be made again: before an answer is there, and on another device when the process itself has moved. */
static int64_t ask_for(struct wali *k, struct device *d, const char *question)
{
	struct wr answer = {0};
	struct wali_slot *s = wali_slot(k);
	if (!k->host.ask || !s)
		return k->host.ask ? NO(NOMEM) : wali_error(k, FE_NOTSUP);
	enum ferr e = k->host.ask(k->host.ctx, question, s->progress != 0, &answer);
	if (e == FE_INPROGRESS)
		s->progress = 1;
	else
		answer_is(d, &answer);
	return e == FE_OK ? 0 : wali_error(k, e);
}

static bool is_command(const char *text)
{
	static const char *const known[] = {"migrate ", "migrate-job ", "migrate-alone ",
	                                    "suspend",  "resume",       "kill "};
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strncmp(text, known[i], strlen(known[i])))
			return true;
	return false;
}

/* *number: as the node counts, where a relative may have another one than among its own. */
static enum ferr find_alive(struct wali *k, uint32_t pid, bool *relative, uint32_t *number)
{
	struct proc_row *row = malloc(sizeof *row);
	enum ferr e = row ? proc_find(k, pid, row) : FE_NOMEM;
	if (e == FE_OK && (row->state == 'Z' || (!row->relative && !row->foreign)))
		e = FE_SRCH; /* it has ended, or is with another part of the family on another device */
	*relative = e == FE_OK && row->relative;
	*number = *relative ? row->node_pid : pid;
	free(row);
	return e == FE_NOENT ? FE_SRCH : e;
}

int64_t wali_proc_kill(struct wali *k, uint32_t pid, int signal)
{
	char question[64];
	bool relative;
	uint32_t number;
	struct device answer = {0};
	if (!proc_about(k).controls)
		return NO(SRCH);
	enum ferr e = find_alive(k, pid, &relative, &number);
	if (e != FE_OK && !wali_progress(k)) /* else it may have ended already */
		return wali_error(k, e);
	if (!signal)
		return 0;
	snprintf(question, sizeof question, "control %u kill %d", number, signal);
	int64_t r = ask_for(k, &answer, question);
	free(answer.text);
	return r;
}

static int64_t confine(struct wali *k, uint32_t pid)
{
	if (pid != k->task->pid)
		return NO(PERM);
	if (k->host.confine)
		k->host.confine(k->host.ctx);
	free(k->proc_text);
	k->proc_text = NULL;
	return 0;
}

/* Asked of the part that has it; then for the answer. */
static int64_t ask_far(struct wali *k, struct device *d, uint32_t pid, const char *command)
{
	struct wali_slot *s = wali_slot(k);
	struct wr answer = {0};
	int error;
	if (!s || (!s->progress && !(s->progress = far_request_new(k, pid, command))))
		return s ? NO(AGAIN) : NO(NOMEM);
	if (!far_request_over(k, (uint32_t)s->progress, &error, &answer))
		return wali_error(k, FE_INPROGRESS);
	answer_is(d, &answer);
	return -error;
}

/* Of a relative in another part of the family. Who sleeps hears nothing: its device is asked to wake it. */
static int64_t control_away(struct wali *k, struct device *d, uint32_t pid, const char *command)
{
	char question[COMMAND_MAX + 96];
	const struct task *t = family_find(k->family, pid);
	if (!strncmp(command, "kill ", 5))
		return kill_it(k, pid, command + 5);
	if (strcmp(command, "resume") != 0)
		return ask_far(k, d, pid, command);
	if (!t->node_pid || !t->device[0])
		return NO(SRCH);
	snprintf(question, sizeof question, "control %u resume %s", t->node_pid, t->device);
	return ask_for(k, d, question);
}

static bool is_away(const struct wali *k, uint32_t pid)
{
	const struct task *t = family_find(k->family, pid);
	return t && t->away && t->state != TASK_ZOMBIE;
}

static int64_t control(struct wali *k, struct device *d, const char *command)
{
	char question[COMMAND_MAX + 32];
	const char *rest;
	uint32_t pid, number;
	bool relative;
	if (!split_pid(d->path + 6, &pid, &rest))
		return NO(INVAL);
	if (!strcmp(command, "confine"))
		return confine(k, pid);
	if (!is_command(command))
		return NO(INVAL);
	uint64_t progress = wali_progress(k);
	/* One that this node was asked to move may have left its relatives by now. */
	bool far = progress && strcmp(command, "resume") != 0
	               ? far_request_has(k, (uint32_t)progress)
	               : is_away(k, pid);
	if (far)
		return control_away(k, d, pid, command);
	enum ferr e = find_alive(k, pid, &relative, &number);
	if (e != FE_OK && !progress) /* else it may have moved already */
		return wali_error(k, e);
	if (relative && !strncmp(command, "kill ", 5))
		return kill_it(k, pid, command + 5);
	snprintf(question, sizeof question, "control %u %s", number, command);
	return ask_for(k, d, question);
}

int64_t wali_proc_control(struct wali *k, struct device *d, const void *text, size_t size)
{
	char command[COMMAND_MAX];
	if (!size || size >= sizeof command || memchr(text, 0, size))
		return NO(INVAL);
	memcpy(command, text, size);
	command[size] = 0;
	command[strcspn(command, "\n")] = 0;
	int64_t r = control(k, d, command);
	return r ? r : (int64_t)size;
}
