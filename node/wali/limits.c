/* limits.c - what a process and its family may have: memory, processes, files. Others of Linux's limits are kept and mean nothing.
 *
 * A process's own limits are setrlimit's; RLIMIT_AS begins as `run --max-memory`, and goes along with fork, exec and a move. A family may
 * have three quarters of the machine's memory in all: linear memories count as large as they are, whether they were written to or not.
 * What a system call asks for beyond is ENOMEM; who got there by itself is killed when that is seen.
 */
#include "node/wali/wali_state.h"

#include "base/os.h"

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

void wali_limits_set(struct wali *k)
{
	uint64_t files = k->rlimits[LIMIT_NOFILE][0];
	fdtable_set_limit(k->w->fds, files < FDTABLE_MAX ? (uint32_t)files : FDTABLE_MAX);
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
