/* os_fault.c - the ranges whose page faults are answered.
 *
 * The list is mutable global state, because the handler that asks it is the process'. Its slots are
 * claimed with an atomic flag and read without locks: the handler may run on any thread at any
 * time. A watch must not be removed while its range can still fault.
 */
#include "base/os_fault.h"

#include <stdatomic.h>

struct watch {
	_Atomic int claimed;
	_Atomic uintptr_t start; /* 0: not in use; written last, cleared first */
	size_t size;
	os_fault_fn fn;
	void *ctx;
};

static struct watch watches[OS_MAX_WATCHES];
static _Atomic int watch_top; /* one past the highest slot ever used */

static struct watch *watch_find(uintptr_t addr)
{
	int n = atomic_load_explicit(&watch_top, memory_order_acquire);
	for (int i = 0; i < n; i++) {
		uintptr_t start = atomic_load_explicit(&watches[i].start, memory_order_acquire);
		if (start && addr >= start && addr - start < watches[i].size)
			return &watches[i];
	}
	return NULL;
}

enum os_fault_answer os_fault_ask(uintptr_t addr)
{
	struct watch *w = watch_find(addr);
	if (!w)
		return OS_FAULT_FOREIGN;
	return w->fn(w->ctx, addr - atomic_load(&w->start)) ? OS_FAULT_RESOLVED : OS_FAULT_REFUSED;
}

enum err os_fault_watch(void *start, size_t size_bytes, os_fault_fn fn, void *ctx, int *id)
{
	os_fault_install();
	for (int i = 0; i < OS_MAX_WATCHES; i++) {
		int none = 0;
		struct watch *w = &watches[i];
		if (!atomic_compare_exchange_strong(&w->claimed, &none, 1))
			continue;
		w->size = size_bytes;
		w->fn = fn;
		w->ctx = ctx;
		atomic_store_explicit(&w->start, (uintptr_t)start, memory_order_release);
		int top = atomic_load(&watch_top);
		while (top < i + 1 && !atomic_compare_exchange_weak(&watch_top, &top, i + 1))
			;
		*id = i;
		return ERR_OK;
	}
	return ERR_LIMIT;
}

void os_fault_unwatch(int id)
{
	if (id < 0)
		return;
	atomic_store_explicit(&watches[id].start, 0, memory_order_release);
	atomic_store_explicit(&watches[id].claimed, 0, memory_order_release);
}
