/* test_process.c - processes of a whole node: start, freeze within a bounded time, sections, restore, end.
 * The programs are tests/e2e/guest.c. */
#include "node/process/process.h"

#include "base/os.h"
#include "engine/engine.h"
#include "node/node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000 };

struct world {
	char folder[64];
	struct node *n;
	struct process *p; /* of the last start */
	bool started, frozen;
	enum process_state frozen_state;
	enum err err;
	struct errmsg msg;
};

static void open_world(struct world *w)
{
	memset(w, 0, sizeof *w);
	snprintf(w->folder, sizeof w->folder, "/tmp/processXXXXXX");
	cr_assert(mkdtemp(w->folder));
	struct node_config cfg = {.home = w->folder,
	                          .name = "test",
	                          .listen = "127.0.0.1:0",
	                          .display = "headless",
	                          .log_level = LOG_ERROR};
	cr_assert_eq(node_open(&cfg, &w->n, &w->msg), ERR_OK, "%s", w->msg.text);
}

static void close_world(struct world *w)
{
	char command[128];
	node_stop(w->n, true);
	node_run(w->n);
	node_close(w->n);
	snprintf(command, sizeof command, "rm -rf %s", w->folder);
	cr_assert_eq(system(command), 0);
}

static bool turn_until(struct world *w, const bool *flag)
{
	uint64_t end = os_monotonic_ns() + (uint64_t)PATIENCE_MS * 1000000;
	while (!*flag && os_monotonic_ns() < end) {
		uv_run(&w->n->loop, UV_RUN_NOWAIT);
		if (!*flag)
			usleep(50);
	}
	return *flag;
}

static void turn_ms(struct world *w, unsigned ms)
{
	for (uint64_t end = os_monotonic_ns() + (uint64_t)ms * 1000000; os_monotonic_ns() < end;
	     usleep(100))
		uv_run(&w->n->loop, UV_RUN_NOWAIT);
}

static void on_started(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct world *w = ctx;
	w->started = true;
	w->p = p;
	w->err = e;
	if (msg)
		w->msg = *msg;
}

static struct process *start_shown(struct world *w, const char *what, const char *arg,
                                   const char *display)
{
	char *argv[] = {(char *)"guest", (char *)what, (char *)arg};
	struct process_config cfg = {
	    .path = GUEST, .argv = argv, .argc = arg ? 3 : 2, .display = {.display = display}};
	w->started = false;
	process_create(w->n, &cfg, on_started, w);
	cr_assert(turn_until(w, &w->started));
	return w->p;
}

static struct process *start(struct world *w, const char *what, const char *arg)
{
	return start_shown(w, what, arg, NULL);
}

static void on_frozen(void *ctx, struct process *p, enum process_state state)
{
	struct world *w = ctx;
	w->frozen = true;
	w->frozen_state = state;
}

static enum process_state freeze(struct world *w, struct process *p)
{
	w->frozen = false;
	process_freeze(p, on_frozen, w);
	cr_assert(turn_until(w, &w->frozen));
	return w->frozen_state;
}

static size_t recent(struct process *p, char *buf, size_t size)
{
	size_t n = tty_recent(p->tty, buf, size - 1, NULL);
	buf[n] = 0;
	return n;
}

static bool ended(void *p)
{
	return !process_alive(p);
}

static void wait_end(struct world *w, struct process *p)
{
	for (int ms = 0; ms < PATIENCE_MS && !ended(p); ms++)
		turn_ms(w, 1);
	cr_assert(ended(p));
}

/* What an image holds. */
struct image {
	struct wr sections[SECTIONS];
	struct process_sections in;
	uint8_t *memory;
	uint64_t memory_size;
};

static void take(struct world *w, struct process *p, struct image *im)
{
	memset(im, 0, sizeof *im);
	for (int s = 0; s < SECTIONS; s++) {
		cr_assert_eq(process_save_section(p, (enum section)s, &im->sections[s], &w->msg),
		             ERR_OK, "%s", w->msg.text);
		im->in.bytes[s] = rd_of(im->sections[s].data, im->sections[s].size);
	}
	memcpy(im->in.module_hash, p->module_hash, 32);
	const uint8_t *m = store_memory(p->store, 0, &im->memory_size);
	im->memory = malloc(im->memory_size);
	memcpy(im->memory, m, im->memory_size);
}

static void drop(struct image *im)
{
	for (int s = 0; s < SECTIONS; s++)
		wr_free(&im->sections[s]);
	free(im->memory);
}

static struct process *restore(struct world *w, const struct image *im)
{
	uint64_t size;
	w->started = false;
	process_restore(w->n, &im->in, on_started, w);
	cr_assert(turn_until(w, &w->started));
	if (w->p)
		memcpy(store_memory(w->p->store, 0, &size), im->memory, im->memory_size);
	return w->p;
}

Test(process, it_runs_and_its_exit_is_recorded)
{
	struct world w;
	open_world(&w);
	struct process *p = start(&w, "exit", "42");
	cr_assert(p, "%s", w.msg.text);
	wait_end(&w, p);
	cr_assert(p->end.reason == END_EXIT && p->end.status == 42);
	cr_assert_eq(process_find(w.n, p->pid), p, "the record is kept");
	close_world(&w);
}

Test(process, what_cannot_start_never_was_a_process)
{
	struct world w;
	open_world(&w);
	char *argv[] = {(char *)"x"};
	struct process_config cfg = {.path = "/dev/null", .argv = argv, .argc = 1};
	process_create(w.n, &cfg, on_started, &w);
	cr_assert(turn_until(&w, &w.started));
	cr_assert(!w.p && w.err != ERR_OK && w.msg.text[0]);
	cr_assert_null(process_first(w.n));
	close_world(&w);
}

Test(process, a_spinning_guest_and_a_sleeping_one_freeze_and_thaw_a_hundred_times)
{
	struct world w;
	open_world(&w);
	const char *const whats[] = {"spin", "tick"};
	for (int k = 0; k < 2; k++) {
		struct process *p = start(&w, whats[k], NULL);
		uint64_t worst = 0;
		for (int i = 0; i < 100; i++) {
			uint64_t before = os_monotonic_ns();
			cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
			uint64_t took = os_monotonic_ns() - before;
			worst = took > worst ? took : worst;
			uint64_t cpu = process_cpu_ns(p);
			usleep(100);
			cr_assert_lt(process_cpu_ns(p) - cpu, 5000000u,
			             "it stands while it is frozen");
			process_thaw(p);
			turn_ms(&w, 1);
		}
		/* Asked for 1 ms; the machine may be busy with other things. */
		cr_assert_lt(worst, 500000000u, "%llu us", (unsigned long long)worst / 1000);
		process_kill(p, 137);
		wait_end(&w, p);
	}
	close_world(&w);
}

Test(process, freezes_nest)
{
	struct world w;
	open_world(&w);
	struct process *p = start(&w, "spin", NULL);
	cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
	cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
	process_thaw(p);
	turn_ms(&w, 20);
	cr_assert_eq(p->state, PROCESS_FROZEN);
	process_thaw(p);
	cr_assert_eq(p->state, PROCESS_RUNNING);
	close_world(&w);
}

Test(process, a_freeze_of_one_that_ends_first_is_told_so)
{
	struct world w;
	open_world(&w);
	for (int i = 0; i < 20; i++) {
		struct process *p = start(&w, "exit", "0");
		enum process_state s = freeze(&w, p);
		if (s == PROCESS_FROZEN)
			process_thaw(p);
		wait_end(&w, p);
	}
	close_world(&w);
}

Test(process, a_pinned_one_keeps_its_store_after_the_end)
{
	struct world w;
	open_world(&w);
	struct process *p = start(&w, "spin", NULL);
	process_pin(p);
	process_kill(p, 137);
	wait_end(&w, p);
	cr_assert(p->store);
	process_unpin(p);
	cr_assert_null(p->store);
	close_world(&w);
}

Test(process, that_it_shall_have_no_screen_goes_along_and_what_else_was_chosen_does_not)
{
	static const char *const chosen[] = {"headless", "terminal", NULL};
	struct world w;
	open_world(&w);
	for (int i = 0; i < 3; i++) {
		struct image im;
		struct process *p = start_shown(&w, "spin", NULL, chosen[i]);
		cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
		take(&w, p, &im);
		process_forget(p);
		p = restore(&w, &im);
		cr_assert(p, "%s", w.msg.text);
		if (i == 0)
			cr_assert_str_eq(p->display.display, "headless");
		else
			cr_assert_null(p->display.display);
		process_kill(p, 137);
		wait_end(&w, p);
		drop(&im);
	}
	close_world(&w);
}

/* Of what a program does not have (Linux) there are no bytes. */
static bool same(const struct wr *a, const struct wr *b)
{
	return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

Test(process, one_that_became_sections_goes_on_where_it_stood)
{
	struct world w;
	static char before[70000], after[70000];
	open_world(&w);
	struct process *p = start(&w, "tick", NULL);
	turn_ms(&w, 100);
	for (int i = 0; i < 5; i++) {
		struct image im;
		uint32_t pid = p->pid;
		uint8_t uid[PROCESS_UID_SIZE];
		cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
		take(&w, p, &im);
		memcpy(uid, p->uid, sizeof uid);
		recent(p, before, sizeof before);
		cr_assert_null(restore(&w, &im),
		               "while it is here it is not restored a second time");
		process_forget(p);
		cr_assert_null(process_find_uid(w.n, uid));
		p = restore(&w, &im);
		cr_assert(p, "%s", w.msg.text);
		cr_assert(p->pid == pid && !memcmp(p->uid, uid, sizeof uid) &&
		          !strcmp(p->name, "guest"));
		cr_assert_eq(p->state, PROCESS_FROZEN);
		struct image again;
		take(&w, p, &again);
		for (int s = 0; s < SECTIONS; s++)
			if (s != SECTION_PROCESS) /* it has the processor time */
				cr_assert(same(&im.sections[s], &again.sections[s]), "section %s",
				          section_name((enum section)s));
		drop(&again);
		process_thaw(p);
		turn_ms(&w, 100);
		recent(p, after, sizeof after);
		cr_assert(strlen(after) > strlen(before) &&
		          !strncmp(after, before, strlen(before)));
		drop(&im);
	}
	int expected = 0;
	for (char *line = strtok(after, "\n"); line; line = strtok(NULL, "\n"), expected++) {
		char want[32];
		snprintf(want, sizeof want, "tick %d", expected);
		cr_assert_str_eq(line, want);
	}
	cr_assert_gt(expected, 10);
	close_world(&w);
}

Test(process, sections_that_were_changed_are_refused_or_run_and_nothing_is_left)
{
	struct world w;
	struct image im;
	open_world(&w);
	struct process *p = start(&w, "lines", NULL);
	turn_ms(&w, 50);
	cr_assert_eq(freeze(&w, p), PROCESS_FROZEN);
	take(&w, p, &im);
	process_forget(p);
	unsigned seed = 1, refused = 0;
	for (int i = 0; i < 300; i++) {
		enum section s = (enum section)(i % SECTIONS);
		if (!im.sections[s].size)
			continue;
		seed = seed * 1103515245 + 12345;
		size_t at = (seed >> 8) % im.sections[s].size;
		uint8_t was = im.sections[s].data[at];
		struct rd whole = im.in.bytes[s];
		if (i % 3 == 0)
			im.in.bytes[s] = rd_of(im.sections[s].data, at);
		else
			im.sections[s].data[at] ^= (uint8_t)(1u << (seed >> 28 & 7));
		p = restore(&w, &im);
		im.sections[s].data[at] = was;
		im.in.bytes[s] = whole;
		if (p) {
			process_thaw(p);
			process_kill(p, 137);
			wait_end(&w, p);
		} else {
			cr_assert(w.msg.text[0]);
			refused++;
		}
	}
	cr_assert_gt(refused, 100u);
	cr_assert_eq(w.n->table.alive, 0);
	drop(&im);
	close_world(&w);
}

Test(process, the_node_goes_down_with_running_waiting_frozen_and_starting_ones)
{
	struct world w;
	open_world(&w);
	start(&w, "spin", NULL);
	start(&w, "lines", NULL);
	freeze(&w, start(&w, "spin", NULL));
	char *argv[] = {(char *)"guest", (char *)"spin"};
	struct process_config cfg = {.path = GUEST, .argv = argv, .argc = 2};
	process_create(w.n, &cfg, on_started, &w);
	close_world(&w);
}
