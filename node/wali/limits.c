/* limits.c - what a process and its family may have: memory, processes, files. Others of Linux's limits are kept and mean nothing.
 *
 * A process's own limits are setrlimit's; RLIMIT_AS begins as `run --max-memory`, and goes along with fork, exec and a move. A family may
 * have three quarters of the machine's memory in all: linear memories count as large as they are, whether they were written to or not.
 * What a system call asks for beyond is ENOMEM, and memory.grow fails; who got there by itself all the same, with a relative that grew in
 * the same moment, is killed when that is seen.
 *
 * What the node itself keeps for open files (vfs/budget.h) is limited too: a sixteenth of the memory, at least 64 MiB and at most a GiB, and
 * half of the files that the node may have open. Beyond that nothing is opened: ENFILE.
 */
#include "node/wali/device.h"

#include "base/os.h"
#include "vfs/host.h"
#include "vfs/pipe.h"

enum { LINUX_SIGXFSZ = 25, WASM_PAGE = 65536 };

void wali_limits_reset(struct wali *k, uint64_t memory_bytes)
{
	for (int i = 0; i < 16; i++)
		k->rlimits[i][0] = k->rlimits[i][1] = UINT64_MAX;
	k->rlimits[LIMIT_STACK][0] = 8 << 20;
	k->rlimits[LIMIT_NOFILE][0] = k->rlimits[LIMIT_NOFILE][1] = FDTABLE_MAX;
	k->rlimits[LIMIT_NPROC][0] = k->rlimits[LIMIT_NPROC][1] = FAMILY_MAX;
	if (memory_bytes)
		k->rlimits[LIMIT_AS][0] = k->rlimits[LIMIT_AS][1] = memory_bytes;
}

/* ---- what open files cost the node ---- */

static struct vfs_budget *budget_of(struct family *f)
{
	enum { LEAST = 64 << 20, MOST = 1 << 30 };
	uint64_t bytes = os_memory_bytes() / 16;
	if (!f->files)
		f->files = vfs_budget_new(bytes < LEAST  ? LEAST
		                          : bytes > MOST ? MOST
		                                         : bytes,
		                          os_files_max() / 2);
	return f->files;
}

/* A text of /proc is a file in memory that has no name (proc.c). */
static bool is_text(const struct vfs_file *f)
{
	return !f->mount && f->obj->type == VFS_TYPE_FILE;
}

static uint64_t size_of(struct vfs_obj *o)
{
	struct vfs_stat st;
	return vfs_stat(o, &st) == FE_OK ? st.size_bytes : 0;
}

static uint64_t price_of(const struct vfs_file *f)
{
	enum { DESCRIPTION = 512, STREAM = 65536, TEXT = 2048 };
	const struct device *d = wali_device(f->obj);
	if (vfs_is_pipe(f->obj))
		return DESCRIPTION + VFS_PIPE_BYTES / 2; /* the other end pays the rest */
	if (d)
		return DESCRIPTION + d->text_size;
	if (is_text(f))
		return DESCRIPTION + TEXT + size_of(f->obj);
	return f->obj->type == VFS_TYPE_STREAM ? DESCRIPTION + STREAM : DESCRIPTION;
}

bool wali_charge_file(struct wali *k, struct vfs_file *f, uint64_t more_bytes)
{
	struct vfs_budget *b = budget_of(k->family);
	uint32_t host_files = !f->budget && vfs_is_host(f->obj);
	return b &&
	       vfs_file_charge(f, b, f->budget ? more_bytes : price_of(f) + more_bytes, host_files);
}

/* What came from elsewhere is there, whether it is paid for or not. */
static void charge_all(struct wali *k)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && !e->file->budget)
			wali_charge_file(k, e->file, 0);
}

void wali_limits_set(struct wali *k)
{
	uint64_t files = k->rlimits[LIMIT_NOFILE][0];
	fdtable_set_limit(k->w->fds, files < FDTABLE_MAX ? (uint32_t)files : FDTABLE_MAX);
	charge_all(k);
}

/* ---- memory ---- */

static uint64_t own_limit(const struct wali *k)
{
	uint64_t as = k->rlimits[LIMIT_AS][0], data = k->rlimits[LIMIT_DATA][0];
	return as < data ? as : data;
}

uint32_t wali_memory_pages(const struct wali *k)
{
	uint64_t pages = k->rlimits[LIMIT_AS][0] / WASM_PAGE;
	return pages < WASM_PAGE ? (uint32_t)(pages ? pages : 1) : 0;
}

static uint64_t family_limit(struct family *f)
{
	if (!f->memory_limit_bytes)
		f->memory_limit_bytes = os_memory_bytes() / 4 * 3;
	return f->memory_limit_bytes ? f->memory_limit_bytes : UINT64_MAX;
}

void wali_family_memory(struct wali *k, uint64_t *total, uint64_t *left)
{
	*total = family_limit(k->family);
	*left = *total > k->family->memory_bytes ? *total - k->family->memory_bytes : 0;
}

static void charge(struct wali *k, uint64_t memory_bytes)
{
	k->family->memory_bytes += memory_bytes - k->charged_bytes;
	k->charged_bytes = memory_bytes;
}

bool wali_charge(struct wali *k, uint64_t memory_bytes)
{
	struct family *f = k->family;
	uint64_t all = f->memory_bytes - k->charged_bytes + memory_bytes;
	if (memory_bytes > k->charged_bytes &&
	    (memory_bytes > own_limit(k) || all > family_limit(f)))
		return false;
	charge(k, memory_bytes);
	return true;
}

bool wali_may_copy(struct wali *k)
{
	return wali_charge_now(k, thread_store(k->t)) &&
	       k->charged_bytes <= family_limit(k->family) - k->family->memory_bytes;
}

void wali_set_room(struct wali *k, struct store *s)
{
	const struct family *f = k->family;
	uint64_t all = family_limit(k->family), others = f->memory_bytes - k->charged_bytes;
	uint64_t mine = all > others ? all - others : 0, own = own_limit(k);
	uint64_t pages = (mine < own ? mine : own) / WASM_PAGE;
	store_set_memory_room(s, pages < WASM_PAGE ? (uint32_t)(pages ? pages : 1) : 0);
}

bool wali_charge_now(struct wali *k, struct store *s)
{
	uint64_t size = 0;
	instance_memory(store_instance(s, 0), &size);
	bool grew = size > k->charged_bytes;
	if (size != k->charged_bytes)
		charge(k, size);
	return !grew || k->family->memory_bytes <= family_limit(k->family);
}

/* ---- files ---- */

uint64_t wali_file_room(struct wali *k, uint64_t offset, uint64_t size)
{
	uint64_t limit = k->rlimits[LIMIT_FSIZE][0];
	if (limit == UINT64_MAX || (offset <= limit && size <= limit - offset))
		return size;
	if (offset < limit)
		return limit - offset;
	family_raise(k->family, k->task, LINUX_SIGXFSZ);
	return 0;
}

/* ---- calls ---- */

static int64_t limits(struct wali *k, uint32_t which, uint64_t set, uint64_t get)
{
	uint8_t *out = arg32(get) ? wali_out(k, get, 16) : NULL;
	const uint8_t *in = arg32(set) ? wali_in(k, set, 16) : NULL;
	if (which >= 16)
		return NO(INVAL);
	if ((arg32(get) && !out) || (arg32(set) && !in))
		return NO(FAULT);
	uint64_t soft = in ? wasi_get_u64(in) : 0, hard = in ? wasi_get_u64(in + 8) : 0;
	if (in && soft > hard)
		return NO(INVAL);
	if (in && hard > k->rlimits[which][1])
		return NO(PERM);
	if (out) {
		wasi_put_u64(out, k->rlimits[which][0]);
		wasi_put_u64(out + 8, k->rlimits[which][1]);
	}
	if (in) {
		k->rlimits[which][0] = soft;
		k->rlimits[which][1] = hard;
		wali_limits_set(k);
	}
	return 0;
}

int64_t wali_getrlimit(struct wali *k, const uint64_t *a)
{
	return limits(k, arg32(a[0]), 0, a[1]);
}

int64_t wali_setrlimit(struct wali *k, const uint64_t *a)
{
	return limits(k, arg32(a[0]), a[1], 0);
}

int64_t wali_prlimit64(struct wali *k, const uint64_t *a)
{
	if (arg32(a[0]) && arg32(a[0]) != k->task->pid)
		return family_find(k->family, arg32(a[0])) ? NO(PERM) : NO(SRCH);
	return limits(k, arg32(a[1]), a[2], a[3]);
}
