/* pthreads.c - what a program with threads does: computes in eight that share a queue, waits with and without a time, blocks in a read
 * while others run, is cancelled and signalled, forks. One line for each; the last is the sum that eight threads have made.
 *
 *	pthreads [ROUNDS]       of the computation; it takes about that many milliseconds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, QUEUE = 16 };

/* ---- a queue with a lock and two conditions; the sum must not depend on who took what ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static uint32_t queue[QUEUE], head, tail;
static uint64_t sum;
static _Thread_local uint64_t mine;

static uint32_t take(void)
{
	pthread_mutex_lock(&lock);
	while (head == tail)
		pthread_cond_wait(&filled, &lock);
	uint32_t job = queue[head++ % QUEUE];
	pthread_cond_signal(&emptied);
	pthread_mutex_unlock(&lock);
	return job;
}

static void put(uint32_t job)
{
	pthread_mutex_lock(&lock);
	while (tail - head == QUEUE)
		pthread_cond_wait(&emptied, &lock);
	queue[tail++ % QUEUE] = job;
	pthread_cond_signal(&filled);
	pthread_mutex_unlock(&lock);
}

static uint64_t compute(uint32_t job)
{
	uint64_t h = job * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < 20000; i++) {
		h ^= h >> 29;
		h *= UINT64_C(0xbf58476d1ce4e5b9);
		h += (uint64_t)i;
	}
	return h;
}

static void *worker(void *arg)
{
	for (uint32_t job; (job = take()) != 0;)
		mine += compute(job);
	pthread_mutex_lock(&lock);
	sum += mine;
	pthread_mutex_unlock(&lock);
	return arg;
}

static void eight_compute(uint32_t rounds)
{
	pthread_t threads[THREADS];
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)i) != 0)
			puts("no thread");
	for (uint32_t i = 1; i <= rounds; i++)
		put(i);
	for (int i = 0; i < THREADS; i++)
		put(0);
	intptr_t joined = 0;
	for (int i = 0; i < THREADS; i++) {
		void *number;
		pthread_join(threads[i], &number);
		joined += (intptr_t)number;
	}
	printf("joined %d\n", (int)joined);
}

/* ---- waiting ---- */

static void *reader(void *pipe_end)
{
	char c = 0;
	return read((int)(intptr_t)pipe_end, &c, 1) == 1 ? (void *)(intptr_t)c : NULL;
}

static volatile int stop_spinning;

static void *spin(void *arg)
{
	while (!stop_spinning)
		;
	return arg;
}

/* One is in a read, another never gives way: both must come to an end. */
static void one_blocks_one_spins(void)
{
	int ends[2];
	pthread_t blocked, spinning;
	void *got;
	if (pipe(ends))
		return;
	pthread_create(&blocked, NULL, reader, (void *)(intptr_t)ends[0]);
	pthread_create(&spinning, NULL, spin, NULL);
	struct timespec nap = {.tv_nsec = 20000000};
	nanosleep(&nap, NULL);
	write(ends[1], "x", 1);
	pthread_join(blocked, &got);
	stop_spinning = 1;
	pthread_join(spinning, NULL);
	printf("read %c while another ran\n", (char)(intptr_t)got);
}

static void a_wait_ends_by_its_time(void)
{
	struct timespec at, now;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += 30000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	int e = pthread_cond_timedwait(&filled, &lock, &at);
	pthread_mutex_unlock(&lock);
	clock_gettime(CLOCK_REALTIME, &now);
	printf("%s, %s\n", e == ETIMEDOUT ? "timed out" : "woken",
	       now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec)
	           ? "in time"
	           : "early");
}

/* ---- signals ---- */

static _Thread_local int told;
static pthread_t told_thread;

static void on_signal(int signal)
{
	told = signal;
	told_thread = pthread_self();
}

static volatile int waited;

static void *wait_for_signal(void *arg)
{
	struct timespec long_time = {.tv_sec = 100};
	int r = nanosleep(&long_time, NULL);
	waited = 1;
	return (void *)(intptr_t)(r == -1 && errno == EINTR ? told : -1);
}

static void a_signal_is_for_one(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	pthread_t t;
	void *got;
	sigaction(SIGUSR1, &act, NULL);
	pthread_create(&t, NULL, wait_for_signal, NULL);
	do { /* one that comes before it sleeps does not wake it */
		usleep(10000);
		pthread_kill(t, SIGUSR1);
	} while (!waited);
	pthread_join(t, &got);
	printf("signal %d, %s\n", (int)(intptr_t)got,
	       pthread_equal(told_thread, t) ? "in its thread" : "elsewhere");
}

static int cleaned;

static void clean(void *arg)
{
	cleaned += *(int *)arg;
}

static void *wait_for_ever(void *arg)
{
	int one = 1;
	pthread_cleanup_push(clean, &one);
	for (;;)
		sleep(100);
	pthread_cleanup_pop(0);
	return arg;
}

static void *spin_for_ever(void *arg)
{
	int ten = 10;
	pthread_cleanup_push(clean, &ten);
	for (;;)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return arg;
}

static void threads_are_cancelled(void)
{
	pthread_t waits, spins;
	void *a, *b;
	pthread_create(&waits, NULL, wait_for_ever, NULL);
	pthread_create(&spins, NULL, spin_for_ever, NULL);
	usleep(20000);
	pthread_cancel(waits);
	pthread_cancel(spins);
	pthread_join(waits, &a);
	pthread_join(spins, &b);
	printf("cancelled %d %d, cleaned %d\n", a == PTHREAD_CANCELED, b == PTHREAD_CANCELED,
	       cleaned);
}

/* ---- processes ---- */

static void *fork_in_a_thread(void *arg)
{
	pid_t child = fork();
	if (child == 0)
		_exit(syscall(SYS_gettid) == getpid() ? 7 : 8);
	int status = 0;
	if (waitpid(child, &status, 0) != child)
		return NULL;
	return (void *)(intptr_t)WEXITSTATUS(status);
}

static void a_thread_forks(void)
{
	pthread_t t, spinning;
	void *got;
	stop_spinning = 0;
	pthread_create(&spinning, NULL, spin, NULL);
	pthread_create(&t, NULL, fork_in_a_thread, NULL);
	pthread_join(t, &got);
	stop_spinning = 1;
	pthread_join(spinning, NULL);
	printf("child ended with %d\n", (int)(intptr_t)got);
}

static void *nothing(void *arg)
{
	return arg;
}

static void many_come_and_go(void)
{
	enum { MANY = 300 };
	int made = 0;
	for (int i = 0; i < MANY; i++) {
		pthread_t t;
		pthread_attr_t detached;
		pthread_attr_init(&detached);
		pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
		made += pthread_create(&t, i % 2 ? &detached : NULL, nothing, NULL) == 0;
		if (!(i % 2))
			pthread_join(t, NULL);
	}
	printf("%d came and went\n", made);
}

static pthread_barrier_t barrier;

static void *meet(void *arg)
{
	return (void *)(intptr_t)(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void a_thousand_at_once(void)
{
	enum { THOUSAND = 1000 };
	static pthread_t threads[THOUSAND];
	pthread_attr_t small;
	int made = 0, serial = 0;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	pthread_barrier_init(&barrier, NULL, THOUSAND);
	for (int i = 0; i < THOUSAND; i++)
		made += pthread_create(&threads[i], &small, meet, NULL) == 0;
	for (int i = 0; i < made; i++) {
		void *got;
		pthread_join(threads[i], &got);
		serial += (int)(intptr_t)got;
	}
	printf("%d met, %d was the last\n", made, serial);
}

static volatile int all_forked;

static void *wait_for_all(void *arg)
{
	intptr_t got = 0;
	for (;;) {
		int forked = all_forked; /* before the look: then none comes after it */
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid > 0)
			got++;
		else if (forked && pid < 0)
			return (void *)got;
	}
}

/* A child may be gone, and waited for, before the thread that made it hears its number. */
static void another_waits_for_what_one_forks(void)
{
	enum { CHILDREN = 50 };
	pthread_t waiter;
	void *got;
	int good = 0;
	pthread_create(&waiter, NULL, wait_for_all, NULL);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		good += pid > 0;
	}
	all_forked = 1;
	pthread_join(waiter, &got);
	printf("%d forked, %d waited for\n", good, (int)(intptr_t)got);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	a_wait_ends_by_its_time();
	one_blocks_one_spins();
	a_signal_is_for_one();
	threads_are_cancelled();
	a_thread_forks();
	many_come_and_go();
	another_waits_for_what_one_forks();
	if (argc <= 2)
		a_thousand_at_once();
	eight_compute(argc > 1 ? (uint32_t)atoi(argv[1]) : 200);
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
