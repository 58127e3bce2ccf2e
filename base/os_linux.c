/* os_linux.c - os.h on Linux (and Android): memory, page faults, clocks, randomness, waiting.
 * The handlers that were there before ours are the process', as ours is: the one mutable global state here.
 */
#include "base/os_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the machine ---- */

uint32_t os_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (uint32_t)n : 1;
}

uint64_t os_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

uint32_t os_files_max(void)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l))
		return UINT32_MAX;
	if (l.rlim_cur < l.rlim_max) {
		struct rlimit more = {l.rlim_max, l.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			l = more;
	}
	return l.rlim_cur < UINT32_MAX ? (uint32_t)l.rlim_cur : UINT32_MAX;
}

bool os_files_scarce(uint32_t kept)
{
	uint32_t max = os_files_max();
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	close(fd);
	return kept < max && (uint32_t)fd >= max - kept;
}

/* ---- memory ---- */

size_t os_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *os_reserve(size_t size_bytes)
{
	void *p =
	    mmap(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

enum err os_commit(void *p, size_t size_bytes)
{
	return os_protect(p, size_bytes, OS_READ_WRITE);
}

void os_decommit(void *p, size_t size_bytes)
{
	madvise(p, size_bytes, MADV_DONTNEED);
	os_protect(p, size_bytes, OS_NONE);
}

enum err os_protect(void *p, size_t size_bytes, enum os_access access)
{
	static const int prot[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
	if (size_bytes && mprotect(p, size_bytes, prot[access]) != 0)
		return ERR_NOMEM;
	return ERR_OK;
}

void os_release(void *p, size_t size_bytes)
{
	if (p)
		munmap(p, size_bytes);
}

/* ---- page faults ---- */

struct guard {
	sigjmp_buf env;
	struct guard *outer;
	uintptr_t addr;
};

static struct sigaction old_segv, old_bus;
static _Thread_local struct guard *guard_now;

static void on_fault(int sig, siginfo_t *info, void *machine)
{
	int saved = errno;
	uintptr_t addr = (uintptr_t)info->si_addr;
	enum os_fault_answer answer = os_fault_ask(addr);
	if (answer == OS_FAULT_RESOLVED) {
		errno = saved;
		return;
	}
	if (answer == OS_FAULT_REFUSED && guard_now) {
		guard_now->addr = addr;
		siglongjmp(guard_now->env, 1);
	}
	/* Not ours: the access is tried again under the handler that was there before us. */
	sigaction(sig, sig == SIGSEGV ? &old_segv : &old_bus, NULL);
	if (info->si_code <= 0) /* sent by kill(): nothing is tried again by itself */
		raise(sig);
	errno = saved;
}

void os_fault_install(void)
{
	static _Atomic int installed;
	int none = 0;
	if (!atomic_compare_exchange_strong(&installed, &none, 1))
		return;
	struct sigaction sa = {.sa_sigaction = on_fault,
	                       .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
}

bool os_fault_guarded(void (*body)(void *ctx), void *ctx, uintptr_t *addr)
{
	struct guard g = {.outer = guard_now};
	/* The signal mask is not saved: SA_NODEFER and an empty sa_mask leave it as it was. */
	if (sigsetjmp(g.env, 0) == 0) {
		guard_now = &g;
		body(ctx);
		guard_now = g.outer;
		return true;
	}
	struct guard *caught = guard_now;
	guard_now = caught->outer;
	*addr = caught->addr;
	return false;
}

/* ---- clocks and randomness ---- */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t os_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t os_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t os_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t os_process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void os_random(void *buf, size_t size_bytes)
{
	uint8_t *p = buf;
	while (size_bytes) {
		ssize_t n = getrandom(p, size_bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		p += n;
		size_bytes -= (size_t)n;
	}
}

/* ---- files ---- */

static enum err err_of_errno(void)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR: return ERR_NOTFOUND;
	case EACCES:
	case EPERM: return ERR_DENIED;
	case ENOMEM: return ERR_NOMEM;
	default: return ERR_IO;
	}
}

void os_ignore_broken_pipes(void)
{
	signal(SIGPIPE, SIG_IGN);
}

enum err os_map_file(const char *path, const uint8_t **bytes, size_t *size_bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_of_errno();
	enum err e = fstat(fd, &st) < 0 ? err_of_errno() : ERR_OK;
	if (e == ERR_OK && (!S_ISREG(st.st_mode) || st.st_size == 0))
		e = ERR_INVALID;
	if (e == ERR_OK) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		*bytes = p;
		*size_bytes = (size_t)st.st_size;
		e = p == MAP_FAILED ? err_of_errno() : ERR_OK;
	}
	close(fd);
	return e;
}

void os_unmap_file(const uint8_t *bytes, size_t size_bytes)
{
	if (bytes)
		munmap((void *)(uintptr_t)bytes, size_bytes);
}

/* ---- waiting ---- */

enum err os_wake_init(struct os_wake *w)
{
	w->timer = OS_NO_HANDLE;
	w->flag = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return w->flag < 0 ? ERR_LIMIT : ERR_OK;
}

void os_wake_free(struct os_wake *w)
{
	if (w->flag >= 0)
		close((int)w->flag);
	w->flag = OS_NO_HANDLE;
}

void os_wake_post(struct os_wake *w)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n = write((int)w->flag, &one, sizeof one);
	(void)n; /* EAGAIN: the flag is up already */
	errno = saved;
}

static void wake_lower(struct os_wake *w)
{
	uint64_t count;
	ssize_t n = read((int)w->flag, &count, sizeof count);
	(void)n;
}

/* What is left until the deadline; NULL for no deadline. */
static struct timespec *time_left(uint64_t deadline_ns, struct timespec *ts)
{
	if (deadline_ns == OS_NO_DEADLINE)
		return NULL;
	uint64_t now = os_monotonic_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
	*ts = (struct timespec){.tv_sec = (time_t)(left / 1000000000u),
	                        .tv_nsec = (long)(left % 1000000000u)};
	return ts;
}

int os_wait(struct os_wake *w, struct os_ready *on, int n, uint64_t deadline_ns)
{
	struct pollfd p[OS_MAX_WAITS + 1];
	if (n > OS_MAX_WAITS)
		n = OS_MAX_WAITS;
	p[0] = (struct pollfd){.fd = (int)w->flag, .events = POLLIN};
	for (int i = 0; i < n; i++) {
		p[i + 1] = (struct pollfd){.fd = (int)on[i].handle};
		p[i + 1].events =
		    (short)((on[i].want_read ? POLLIN : 0) | (on[i].want_write ? POLLOUT : 0));
		on[i].is_readable = on[i].is_writable = false;
	}
	struct timespec ts;
	if (ppoll(p, (nfds_t)n + 1, time_left(deadline_ns, &ts), NULL) <= 0)
		return 0;
	if (p[0].revents)
		wake_lower(w);
	int ready = 0;
	for (int i = 0; i < n; i++) {
		short broken = p[i + 1].revents & (POLLERR | POLLHUP | POLLNVAL);
		on[i].is_readable = on[i].want_read && (broken || p[i + 1].revents & POLLIN);
		on[i].is_writable = on[i].want_write && (broken || p[i + 1].revents & POLLOUT);
		ready += on[i].is_readable || on[i].is_writable;
	}
	return ready;
}
