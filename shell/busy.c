/* busy.c - what a terminal shows while an answer takes more than a second: what is done, and for how long.
 *
 * A thread of its own, because the command waits in wire_receive(), and on Windows so does its pipe. */
#include "shell/internal.h"

#include "base/os.h"
#include "shell/console.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FIRST_MS = 1000, STEP_MS = 500 };

struct busy {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *what;
	bool over, shown;
};

static void wait_ms(struct busy *b, unsigned ms)
{
	uint64_t ns = os_wall_ns() + ms * UINT64_C(1000000);
	struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
	                         .tv_nsec = (long)(ns % 1000000000)};
	pthread_cond_timedwait(&b->changed, &b->lock, &until);
}

static void *show(void *arg)
{
	struct busy *b = arg;
	uint64_t began_ns = os_monotonic_ns();
	pthread_mutex_lock(&b->lock);
	while (!b->over) {
		uint64_t ms = (os_monotonic_ns() - began_ns) / 1000000;
		if (ms >= FIRST_MS) {
			fprintf(stderr, "\r\033[K%s: %u s", b->what, (unsigned)(ms / 1000));
			fflush(stderr);
			b->shown = true;
		}
		wait_ms(b, ms < FIRST_MS ? (unsigned)(FIRST_MS - ms) : STEP_MS);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

struct busy *busy_begin(const struct shell *sh)
{
	struct busy *b = sh->json || !console_is_terminal(2) ? NULL : calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->what = sh->command->name;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	if (pthread_create(&b->thread, NULL, show, b) == 0)
		return b;
	free(b);
	return NULL;
}

void busy_end(struct busy **busy)
{
	struct busy *b = *busy;
	*busy = NULL;
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->over = true;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	if (b->shown) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
