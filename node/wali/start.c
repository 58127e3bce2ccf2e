/* start.c - the functions of the module "wali" that are no system calls: a program's start and end, setjmp. */
#include "node/wali/wali_state.h"

#include <string.h>

/* ---- start and end ---- */

int64_t wali_aux___init(struct wali *k, const uint64_t *a)
{
	return 0;
}

int64_t wali_aux___deinit(struct wali *k, const uint64_t *a)
{
	return 0;
}

int64_t wali_aux___proc_exit(struct wali *k, const uint64_t *a)
{
	return wali_exit_group(k, a);
}

int64_t wali_aux___cl_get_argc(struct wali *k, const uint64_t *a)
{
	return k->w->args.count;
}

int64_t wali_aux___cl_get_argv_len(struct wali *k, const uint64_t *a)
{
	uint32_t i = arg32(a[0]);
	return i < k->w->args.count ? (int64_t)strlen(k->w->args.list[i]) : -1;
}

int64_t wali_aux___cl_copy_argv(struct wali *k, const uint64_t *a)
{
	uint32_t i = arg32(a[1]);
	if (i >= k->w->args.count)
		return -1;
	size_t size = strlen(k->w->args.list[i]) + 1;
	uint8_t *out = wali_out(k, a[0], size);
	if (!out)
		return -1;
	memcpy(out, k->w->args.list[i], size);
	return 0;
}

/* A device that only its own process can read: the environment, with a NUL behind each. */
int64_t wali_aux___get_init_envfile(struct wali *k, const uint64_t *a)
{
	static const char name[] = "/dev/environ";
	uint8_t *out = wali_out(k, a[0], arg32(a[1]));
	if (!out || arg32(a[1]) < sizeof name || !k->w->env.count)
		return 0;
	memcpy(out, name, sizeof name);
	return 1;
}

/* ---- setjmp: a jmp_buf holds the number of the note, whether it has a signal mask, and that ---- */

enum { JMP_BUF_SIZE = 24 };

static int64_t set_jump(struct wali *k, uint64_t buf, bool with_mask)
{
	uint64_t id;
	uint32_t value;
	uint8_t *out = wali_out(k, buf, JMP_BUF_SIZE);
	if (thread_jumped(k->t, &id, &value))
		return value;
	if (!out || thread_setjmp(k->t, arg32(buf), &id) != ERR_OK) {
		thread_trap_set(k->t, "setjmp: no room");
		return WALI_TRAP;
	}
	wasi_put_u64(out, id);
	wasi_put_u64(out + 8, with_mask);
	wasi_put_u64(out + 16, with_mask ? k->me->blocked : 0);
	return 0;
}

int64_t wali_aux_setjmp(struct wali *k, const uint64_t *a)
{
	return set_jump(k, a[0], false);
}

int64_t wali_aux__setjmp(struct wali *k, const uint64_t *a)
{
	return set_jump(k, a[0], false);
}

int64_t wali_aux_sigsetjmp(struct wali *k, const uint64_t *a)
{
	return set_jump(k, a[0], arg32(a[1]) != 0);
}

/* What the frames that are left remembered is over; the masks of handlers that will not return stay as they are. */
static void forget_frames(struct wali *k)
{
	uint32_t depth = thread_depth(k->t);
	while (k->me->nslots && k->me->slots[k->me->nslots - 1].depth >= depth)
		k->me->nslots--;
	k->me->nhandlers = thread_interrupts(k->t);
}

static int64_t jump(struct wali *k, const uint64_t *a)
{
	const uint8_t *in = wali_in(k, a[0], JMP_BUF_SIZE);
	uint32_t value = arg32(a[1]) ? arg32(a[1]) : 1;
	uint64_t has_mask = in ? wasi_get_u64(in + 8) : 0;
	uint64_t mask = in ? wasi_get_u64(in + 16) : 0;
	if (!in || thread_jump(k->t, wasi_get_u64(in), value) != ERR_OK) {
		thread_trap_set(k->t, "longjmp to a function that has returned");
		return WALI_TRAP;
	}
	if (has_mask)
		k->me->blocked = mask & WALI_BLOCKABLE;
	forget_frames(k);
	return WALI_STOP;
}

int64_t wali_aux_longjmp(struct wali *k, const uint64_t *a)
{
	return jump(k, a);
}

int64_t wali_aux__longjmp(struct wali *k, const uint64_t *a)
{
	return jump(k, a);
}
