/* time.c - clocks and sleeping. Monotonic time is the process's own (wasi.h), wall clock the device's. */
#include "node/wali/wali_state.h"

#include "base/os.h"

#include <string.h>

enum {
	REALTIME,
	MONOTONIC,
	PROCESS_CPU,
	THREAD_CPU,
	MONOTONIC_RAW,
	REALTIME_COARSE,
	MONOTONIC_COARSE,
	BOOTTIME,
	REALTIME_ALARM,
	BOOTTIME_ALARM,
	TAI = 11,
	CLOCKS
};

static bool is_clock(uint32_t clock)
{
	return clock < CLOCKS && clock != TAI - 1;
}

static uint64_t read_clock(struct wali *k, uint32_t clock)
{
	switch (clock) {
	case REALTIME:
	case REALTIME_ALARM:
	case TAI: /* whose distance nobody has told */
	case REALTIME_COARSE: return os_wall_ns();
	case PROCESS_CPU:
	case THREAD_CPU: return wasi_cpu_ns(k->w);
	default: return wasi_clock_ns(k->w);
	}
}

static void put_timespec(uint8_t *p, uint64_t ns)
{
	wasi_put_u64(p, ns / 1000000000);
	wasi_put_u64(p + 8, ns % 1000000000);
}

enum ferr wali_timespec(struct wali *k, uint64_t addr, uint64_t *ns)
{
	const uint8_t *p = wali_in(k, addr, 16);
	if (!p)
		return FE_FAULT;
	uint64_t s = wasi_get_u64(p), part = wasi_get_u64(p + 8);
	if (s > INT64_MAX || part >= 1000000000)
		return FE_INVAL;
	*ns = s > INT64_MAX / 1000000000 ? WAIT_FOREVER : s * 1000000000 + part;
	return FE_OK;
}

int64_t wali_clock_gettime(struct wali *k, const uint64_t *a)
{
	if (!is_clock(arg32(a[0])))
		return NO(INVAL);
	uint8_t *p = wali_out(k, a[1], 16);
	if (!p)
		return NO(FAULT);
	put_timespec(p, read_clock(k, arg32(a[0])));
	return 0;
}

int64_t wali_clock_getres(struct wali *k, const uint64_t *a)
{
	if (!is_clock(arg32(a[0])))
		return NO(INVAL);
	uint8_t *p = wali_out(k, a[1], 16);
	if (!p && arg32(a[1]))
		return NO(FAULT);
	if (arg32(a[1]))
		put_timespec(p, 1);
	return 0;
}

int64_t wali_gettimeofday(struct wali *k, const uint64_t *a)
{
	uint64_t now = os_wall_ns();
	uint8_t *p = arg32(a[0]) ? wali_out(k, a[0], 16) : NULL;
	if (arg32(a[0]) && !p)
		return NO(FAULT);
	if (p) {
		wasi_put_u64(p, now / 1000000000);
		wasi_put_u64(p + 8, now % 1000000000 / 1000);
	}
	return 0;
}

/* ---- sleeping ---- */

/* Until the guest's clock shows until_ns. rest: where what is left of it goes when a handler ended the sleep; 0: nowhere. */
static int64_t sleep_until(struct wali *k, uint64_t until_ns, uint64_t rest)
{
	uint64_t now = wasi_clock_ns(k->w);
	if (now >= until_ns)
		return 0;
	int64_t r = wali_block_alone(k, false);
	if (r == WALI_BLOCK)
		wait_until(k->w->wait, wasi_host_time(k->w, until_ns));
	else if (rest)
		put_timespec(wali_out(k, rest, 16), until_ns - now);
	return r;
}

static int64_t sleep_for(struct wali *k, uint64_t time, uint64_t rest)
{
	uint64_t ns;
	WTRY(wali_timespec(k, time, &ns));
	if (arg32(rest) && !wali_out(k, rest, 16))
		return NO(FAULT);
	return sleep_until(k, wali_deadline(k, ns), arg32(rest));
}

int64_t wali_nanosleep(struct wali *k, const uint64_t *a)
{
	return sleep_for(k, a[0], a[1]);
}

int64_t wali_clock_nanosleep(struct wali *k, const uint64_t *a)
{
	enum { ABSTIME = 1 };
	uint64_t ns;
	uint32_t clock = arg32(a[0]);
	if (!is_clock(clock) || clock == THREAD_CPU)
		return NO(INVAL);
	if (clock == PROCESS_CPU)
		return -95;
	if (!(arg32(a[1]) & ABSTIME))
		return sleep_for(k, a[2], a[3]);
	WTRY(wali_timespec(k, a[2], &ns));
	uint64_t now = read_clock(k, clock), mine = wasi_clock_ns(k->w);
	return sleep_until(k, ns > now ? mine + (ns - now) : 0, 0);
}
