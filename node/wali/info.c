/* info.c - what a program asks about the system and itself: names, users, limits, use, randomness. */
#include "node/wali/proc.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the system ---- */

int64_t wali_uname(struct wali *k, const uint64_t *a)
{
	enum { FIELD = 65, FIELDS = 6 };
	struct wali_about about = proc_about(k);
	const char *device = about.controls && about.device ? about.device : "wasmos";
	const char *const names[FIELDS] = {"WasmOS", device,   WASMOS_VERSION,
	                                   "WALI",   "wasm32", "(none)"};
	uint8_t *p = wali_out(k, a[0], (uint64_t)FIELD * FIELDS);
	if (!p)
		return NO(FAULT);
	memset(p, 0, (size_t)FIELD * FIELDS);
	for (size_t i = 0; i < FIELDS; i++)
		snprintf((char *)p + i * FIELD, FIELD, "%s", names[i]);
	return 0;
}

int64_t wali_sysinfo(struct wali *k, const uint64_t *a)
{
	enum { SIZE = 112 };
	uint64_t total, left;
	uint8_t *p = wali_out(k, a[0], SIZE);
	if (!p)
		return NO(FAULT);
	memset(p, 0, SIZE);
	wasi_put_u64(p, wasi_clock_ns(k->w) / 1000000000);
	wali_family_memory(k, &total, &left);
	wasi_put_u64(p + 32, total);
	wasi_put_u64(p + 40, left);
	wasi_put_u16(p + 80, (uint16_t)k->family->alive);
	wasi_put_u32(p + 104, 1);
	return 0;
}

int64_t wali_getrandom(struct wali *k, const uint64_t *a)
{
	uint8_t *p = wali_out(k, a[0], arg32(a[1]));
	if (!p && arg32(a[1]))
		return NO(FAULT);
	if (arg32(a[2]) & ~7u)
		return NO(INVAL);
	if (arg32(a[1]))
		os_random(p, arg32(a[1]));
	return arg32(a[1]);
}

/* One processor runs a process. */
int64_t wali_sched_getaffinity(struct wali *k, const uint64_t *a)
{
	uint8_t *p = wali_out(k, a[2], 8);
	if ((int32_t)arg32(a[0]) < 0)
		return NO(SRCH);
	if (arg32(a[1]) < 8)
		return NO(INVAL);
	if (!p)
		return NO(FAULT);
	wasi_put_u64(p, 1);
	return 8;
}

/* ---- users: one, with one group ---- */

#define MY_ID(name)                                            \
	int64_t wali_##name(struct wali *k, const uint64_t *a) \
	{                                                      \
		return WALI_UID;                               \
	}
MY_ID(getuid)
MY_ID(geteuid)
MY_ID(getgid)
MY_ID(getegid)

static int64_t set_ids(const uint64_t *a, int n)
{
	for (int i = 0; i < n; i++)
		if (arg32(a[i]) != WALI_UID && arg32(a[i]) != UINT32_MAX)
			return NO(PERM);
	return 0;
}

#define SET_ID(name, n)                                        \
	int64_t wali_##name(struct wali *k, const uint64_t *a) \
	{                                                      \
		return set_ids(a, n);                          \
	}
SET_ID(setuid, 1)
SET_ID(setgid, 1)
SET_ID(setreuid, 2)
SET_ID(setregid, 2)
SET_ID(setresuid, 3)
SET_ID(setresgid, 3)

int64_t wali_getgroups(struct wali *k, const uint64_t *a)
{
	if ((int32_t)arg32(a[0]) < 0)
		return NO(INVAL);
	if (!arg32(a[0]))
		return 1;
	uint8_t *p = wali_out(k, a[1], 4);
	if (!p)
		return NO(FAULT);
	wasi_put_u32(p, WALI_UID);
	return 1;
}

int64_t wali_setgroups(struct wali *k, const uint64_t *a)
{
	return NO(PERM);
}

/* ---- limits and use ---- */

void wali_put_rusage(uint8_t *p, uint64_t cpu_ns)
{
	memset(p, 0, WALI_RUSAGE_SIZE);
	wasi_put_u64(p, cpu_ns / 1000000000);
	wasi_put_u64(p + 8, cpu_ns % 1000000000 / 1000);
}

int64_t wali_getrusage(struct wali *k, const uint64_t *a)
{
	enum { CHILDREN = -1, THREAD = 1 };
	if ((int32_t)arg32(a[0]) < CHILDREN || (int32_t)arg32(a[0]) > THREAD)
		return NO(INVAL);
	uint8_t *p = wali_out(k, a[1], WALI_RUSAGE_SIZE);
	if (!p)
		return NO(FAULT);
	wali_put_rusage(p, (int32_t)arg32(a[0]) == CHILDREN ? k->task->children_ns
	                                                    : wasi_cpu_ns(k->w));
	return 0;
}

/* At most 15 bytes are taken, as many as there are. */
static int64_t set_name(struct wali *k, uint64_t addr)
{
	char name[sizeof k->task->comm] = "";
	for (size_t i = 0; i + 1 < sizeof name; i++) {
		const uint8_t *p = wali_in(k, addr + i, 1);
		if (!p)
			return NO(FAULT);
		if (!*p)
			break;
		name[i] = (char)*p;
	}
	memcpy(k->task->comm, name, sizeof name);
	return 0;
}

int64_t wali_prctl(struct wali *k, const uint64_t *a)
{
	enum { SET_NAME = 15, GET_NAME = 16, NAME = 16 };
	uint8_t *p;
	switch (arg32(a[0])) {
	case SET_NAME: return set_name(k, a[1]);
	case GET_NAME:
		p = wali_out(k, a[1], NAME);
		if (!p)
			return NO(FAULT);
		memcpy(p, k->task->comm, NAME);
		return 0;
	default: return NO(INVAL);
	}
}
