/* proc_text.c - what the files of /proc say, in the formats of proc(5): what ps, top, pgrep, free and uptime read. */
#include "node/wali/proc.h"

#include "base/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TICKS = 100, PAGE = 4096, PID_LARGEST = 999999, KIB = 1024 };

__attribute__((format(printf, 2, 3))) static void put(struct wr *w, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	wr_bytes(w, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

typedef unsigned long long ull;

static ull ticks(uint64_t ns)
{
	return ns / (1000000000 / TICKS);
}

/* ---- all processes ---- */

struct sums {
	uint64_t cpu_ns, memory_bytes;
	uint32_t count, running, last;
};

static void add_row(void *ctx, const struct proc_row *row)
{
	struct sums *s = ctx;
	s->cpu_ns += row->cpu_ns;
	s->memory_bytes += row->memory_bytes;
	s->count++;
	s->running += row->state == 'R';
	s->last = row->pid > s->last ? row->pid : s->last;
}

static enum ferr add_all(struct wali *k, struct sums *s)
{
	*s = (struct sums){0};
	return proc_each(k, add_row, s);
}

/* Time that is used never becomes less, though programs end. */
static uint64_t used_ns(struct wali *k, const struct sums *s)
{
	if (s->cpu_ns > k->family->cpu_shown_ns)
		k->family->cpu_shown_ns = s->cpu_ns;
	return k->family->cpu_shown_ns;
}

/* ---- the system ---- */

enum ferr proc_text_cpuinfo(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "processor\t: 0\nvendor_id\t: WasmOS\nmodel name\t: WebAssembly\n\n");
	return FE_OK;
}

enum ferr proc_text_filesystems(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "nodev\tproc\nnodev\tdevtmpfs\nnodev\ttmpfs\nnodev\thost\nnodev\tremote\n");
	return FE_OK;
}

/* Nobody counts over minutes: all three are of now. */
enum ferr proc_text_loadavg(struct wali *k, const struct proc_row *row, struct wr *out)
{
	struct sums s;
	FTRY(add_all(k, &s));
	uint32_t others = s.running ? s.running - 1 : 0; /* who asks does not count */
	put(out, "%u.00 %u.00 %u.00 %u/%u %u\n", others, others, others, s.running, s.count,
	    s.last);
	return FE_OK;
}

enum ferr proc_text_meminfo(struct wali *k, const struct proc_row *row, struct wr *out)
{
	struct sums s;
	FTRY(add_all(k, &s));
	uint64_t total = UINT64_C(4) << 30; /* as sysinfo() says: what one program may have */
	uint64_t left = s.memory_bytes < total ? total - s.memory_bytes : 0;
	put(out,
	    "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n"
	    "Buffers:               0 kB\nCached:                0 kB\nSwapCached:            0 "
	    "kB\n"
	    "Shmem:                 0 kB\nSReclaimable:          0 kB\nSwapTotal:             0 "
	    "kB\n"
	    "SwapFree:              0 kB\n",
	    (ull)total / KIB, (ull)left / KIB, (ull)left / KIB);
	return FE_OK;
}

enum ferr proc_text_system_stat(struct wali *k, const struct proc_row *row, struct wr *out)
{
	struct sums s;
	FTRY(add_all(k, &s));
	uint64_t now = wasi_clock_ns(k->w), used = used_ns(k, &s);
	ull busy = ticks(used), idle = now > used ? ticks(now - used) : 0;
	put(out, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\ncpu0 %llu 0 0 %llu 0 0 0 0 0 0\nintr 0\nctxt 0\n",
	    busy, idle, busy, idle);
	put(out, "btime %llu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n",
	    (ull)((os_wall_ns() - (now < os_wall_ns() ? now : 0)) / 1000000000), s.last, s.running);
	return FE_OK;
}

enum ferr proc_text_hostname(struct wali *k, const struct proc_row *row, struct wr *out)
{
	struct wali_about a = proc_about(k);
	put(out, "%s\n", a.controls && a.device ? a.device : "wasmos");
	return FE_OK;
}

enum ferr proc_text_osrelease(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "%s\n", WASMOS_VERSION);
	return FE_OK;
}

enum ferr proc_text_ostype(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "WasmOS\n");
	return FE_OK;
}

enum ferr proc_text_pid_max(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "%d\n", PID_LARGEST + 1);
	return FE_OK;
}

enum ferr proc_text_uptime(struct wali *k, const struct proc_row *row, struct wr *out)
{
	struct sums s;
	FTRY(add_all(k, &s));
	uint64_t now = wasi_clock_ns(k->w), used = used_ns(k, &s);
	ull up = ticks(now), idle = now > used ? ticks(now - used) : 0;
	put(out, "%llu.%02llu %llu.%02llu\n", up / TICKS, up % TICKS, idle / TICKS, idle % TICKS);
	return FE_OK;
}

enum ferr proc_text_version(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "WasmOS version %s (wasm32)\n", WASMOS_VERSION);
	return FE_OK;
}

/* ---- /proc/wasmos ---- */

/* The device on which the asker runs; without control of it no program learns more than that there is one. */
enum ferr proc_text_device(struct wali *k, const struct proc_row *row, struct wr *out)
{
	if (proc_about(k).controls)
		return proc_ask(k, "device", out);
	put(out, "name wasmos\nversion %s\n", WASMOS_VERSION);
	return FE_OK;
}

enum ferr proc_text_peers(struct wali *k, const struct proc_row *row, struct wr *out)
{
	return proc_about(k).controls ? proc_ask(k, "peers", out) : FE_OK;
}

/* The same lines as the node's own answer (proc.c, refresh()). */
static void put_line(void *ctx, const struct proc_row *row)
{
	const char *state = row->state == 'R'   ? "running"
	                    : row->state == 'S' ? "waiting"
	                    : row->state == 'T' ? "stopped"
	                    : row->state == 'Z' ? "ended"
	                                        : "held";
	put(ctx, "%u\t%u\t%s\t%llu\t%llu\t%lld\t%s\t", row->pid, row->parent, state,
	    (ull)row->cpu_ns / 1000000, (ull)row->memory_bytes, (long long)row->created_unix_ms,
	    row->comm);
	const struct wasi_strings *args = row->relative ? &row->relative->w->args : NULL;
	for (uint32_t i = 0; args && i < args->count && i < 64; i++)
		put(ctx, "%s%.*s", i ? " " : "", (int)strcspn(args->list[i], "\n\t"),
		    args->list[i]);
	put(ctx, "%s\t%s\n", row->command, row->device);
}

enum ferr proc_text_processes(struct wali *k, const struct proc_row *row, struct wr *out)
{
	return proc_each(k, put_line, out);
}

/* ---- a process ---- */

/* Its memory, arguments and files are its relatives' business. */
static enum ferr relative(const struct proc_row *row)
{
	return row->relative ? FE_OK : row->foreign ? FE_ACCES : FE_NOENT;
}

static void put_strings(const struct wasi_strings *s, struct wr *out)
{
	for (uint32_t i = 0; i < s->count; i++)
		wr_bytes(out, s->list[i], strlen(s->list[i]) + 1);
}

enum ferr proc_text_cmdline(struct wali *k, const struct proc_row *row, struct wr *out)
{
	if (row->relative)
		put_strings(&row->relative->w->args, out);
	if (row->device[0]) { /* ps shows a program by its arguments */
		put(out, "%s", row->comm);
		wr_u8(out, 0);
		put(out, "(on %s)", row->device);
		wr_u8(out, 0);
	}
	for (const char *p = row->command; *p; p++)
		wr_u8(out, *p == ' ' ? 0 : (uint8_t)*p);
	if (row->command[0])
		wr_u8(out, 0);
	return FE_OK;
}

enum ferr proc_text_comm(struct wali *k, const struct proc_row *row, struct wr *out)
{
	put(out, "%s\n", row->comm);
	return FE_OK;
}

enum ferr proc_text_environ(struct wali *k, const struct proc_row *row, struct wr *out)
{
	FTRY(relative(row));
	put_strings(&row->relative->w->env, out);
	return FE_OK;
}

static void put_limit(struct wr *out, uint64_t v)
{
	if (v == UINT64_MAX)
		put(out, "%-20s ", "unlimited");
	else
		put(out, "%-20llu ", (ull)v);
}

enum ferr proc_text_limits(struct wali *k, const struct proc_row *row, struct wr *out)
{
	static const char *const names[16][2] = {
	    {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
	    {"Max data size", "bytes"},      {"Max stack size", "bytes"},
	    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
	    {"Max processes", "processes"},  {"Max open files", "files"},
	    {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
	    {"Max file locks", "locks"},     {"Max pending signals", "signals"},
	    {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
	    {"Max realtime priority", ""},   {"Max realtime timeout", "us"}};
	FTRY(relative(row));
	put(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < 16; i++) {
		put(out, "%-25s ", names[i][0]);
		put_limit(out, row->relative->rlimits[i][0]);
		put_limit(out, row->relative->rlimits[i][1]);
		put(out, "%-10s\n", names[i][1]);
	}
	return FE_OK;
}

/* A blank or a backslash in a name is written as \040, \134. */
static void put_escaped(struct wr *out, const char *text)
{
	for (; *text; text++)
		if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\\')
			put(out, "\\%03o", (unsigned char)*text);
		else
			wr_u8(out, (uint8_t)*text);
}

/* Where a folder of a device is there is the device's business. */
static void put_mount(const struct vfs_mount *m, struct wr *out)
{
	bool remote = !strcmp(m->root->ops->name, "remote"), memory = m->kind == VFS_MOUNT_MEMORY;
	const char *type = memory ? "tmpfs" : remote ? "remote" : "host";
	if (remote)
		put(out, "%02x%02x%02x%02x ", m->home[0], m->home[1], m->home[2], m->home[3]);
	else
		put(out, "%s ", type);
	put_escaped(out, m->guest);
	put(out, " %s %s 0 0\n", type, m->read_only ? "ro" : "rw");
}

enum ferr proc_text_mounts(struct wali *k, const struct proc_row *row, struct wr *out)
{
	FTRY(relative(row));
	const struct vfs_ns *ns = row->relative->w->ns;
	for (uint32_t i = 0; ns && i < vfs_ns_count(ns); i++)
		put_mount(vfs_ns_at(ns, i), out);
	put(out, "dev /dev devtmpfs rw 0 0\nproc /proc proc rw 0 0\n");
	return FE_OK;
}

/* By the asker's clock, which counts since it began; 0 for who began before. */
static ull start_ticks(struct wali *k, const struct proc_row *row)
{
	int64_t age_ms = (int64_t)(os_wall_ns() / 1000000) - row->created_unix_ms;
	uint64_t now = wasi_clock_ns(k->w), age_ns = age_ms > 0 ? (uint64_t)age_ms * 1000000 : 0;
	return row->created_unix_ms && now > age_ns ? ticks(now - age_ns) : 0;
}

static uint64_t signals(const struct wali *r, bool ignored)
{
	uint64_t bits = 0;
	for (int s = 1; r && s <= LINUX_SIGNALS; s++)
		if (ignored ? r->actions[s].handler == SIG_IGNORE
		            : r->actions[s].handler > SIG_IGNORE)
			bits |= UINT64_C(1) << (s - 1);
	return bits;
}

enum ferr proc_text_stat(struct wali *k, const struct proc_row *row, struct wr *out)
{
	enum { TTY = 0x500 /* 5:0, /dev/tty */ };
	const struct wali *r = row->relative;
	const struct family_terminal *t = &k->family->terminal;
	bool mine = r && t->session == row->session;
	put(out, "%u (%s) %c %u %u %u %d %d 0 0 0 0 0 %llu 0 0 0 20 0 %u 0 %llu %llu %llu ",
	    row->pid, row->comm, row->state, row->parent, row->group, row->session, mine ? TTY : 0,
	    mine ? (int)t->foreground : -1, ticks(row->cpu_ns), r ? r->nthreads : 1,
	    start_ticks(k, row), (ull)row->memory_bytes, (ull)row->memory_bytes / PAGE);
	put(out, "18446744073709551615 0 0 0 0 0 %llu %llu %llu %llu ",
	    r ? (ull)r->task->pending : 0, r ? (ull)r->threads[0]->blocked : 0,
	    (ull)signals(r, true), (ull)signals(r, false));
	put(out, "0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
	return FE_OK;
}

enum ferr proc_text_statm(struct wali *k, const struct proc_row *row, struct wr *out)
{
	ull pages = row->memory_bytes / PAGE;
	put(out, "%llu %llu 0 0 0 %llu 0\n", pages, pages, pages);
	return FE_OK;
}

static const char *state_text(char letter)
{
	switch (letter) {
	case 'R': return "running";
	case 'S': return "sleeping";
	case 'T': return "stopped";
	case 'Z': return "zombie";
	default: return "disk sleep";
	}
}

enum ferr proc_text_status(struct wali *k, const struct proc_row *row, struct wr *out)
{
	const struct wali *r = row->relative;
	put(out,
	    "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n",
	    row->comm, r ? (unsigned)r->umask : 022u, row->state, state_text(row->state), row->pid,
	    row->pid, row->parent);
	if (row->device[0])
		put(out, "Device:\t%s\n", row->device);
	put(out, "TracerPid:\t0\nUid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\nFDSize:\t%u\n",
	    WALI_UID, WALI_UID, WALI_UID, WALI_UID, WALI_UID, WALI_UID, WALI_UID, WALI_UID,
	    r ? fdtable_size(r->w->fds) : 0);
	put(out, "VmSize:\t%8llu kB\nVmRSS:\t%8llu kB\nThreads:\t%u\n",
	    (ull)row->memory_bytes / KIB, (ull)row->memory_bytes / KIB, r ? r->nthreads : 1);
	put(out, "SigPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
	    r ? (ull)r->task->pending : 0, r ? (ull)r->threads[0]->blocked : 0,
	    (ull)signals(r, true), (ull)signals(r, false));
	return FE_OK;
}
