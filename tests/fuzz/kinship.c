/* kinship.c - hostile bytes as what another part of a family says (node/wali/kinship.h): told to a family of which one process is here, one
 * beyond that part and one beyond another. Afterwards all that is here is as it was, or has a signal, and the family can be written.
 *
 * Each input is told as it is, and after a message of each kind. */
#include "open_files.h"

#include "node/sockets/socket.h"
#include "node/process/wait.h"
#include "node/wali/family_image.h"
#include "node/wali/far_requests.h"
#include "node/wali/kinship.h"
#include "node/wali/wali_state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ME = 7, THEIRS = 8, OTHERS = 9, TOLD_MAX = 1 << 16 };

struct world {
	struct net *net;
	struct wait wait;
	struct wali *k;
	struct vfs_obj *ends[2]; /* the other parts' */
};

static struct kinship *join(struct world *w, int i, uint32_t pid)
{
	struct family *f = w->k->family;
	struct vfs_obj *o[2];
	if (socket_pair(f->space, SOCKET_STREAM, ME, o) != FE_OK)
		abort();
	struct kinship *c = kinship_add(f, o[0]);
	struct task *t = family_add(f, pid, w->k->task, NULL);
	w->ends[i] = o[1];
	t->away = c;
	f->alive--;
	return c;
}

static void begin(struct world *w)
{
	struct errmsg msg;
	struct wasi_config wc = {.wait = &w->wait, .ns = vfs_ns_new(), .fds = open_files()};
	struct wali_config c = {.pid = ME};
	if (net_new(NULL, "fuzz", &w->net) != ERR_OK)
		abort();
	c.net = w->net;
	if (wasi_new(&wc, &c.wasi, &msg) != ERR_OK || wali_new(&c, &w->k) != ERR_OK)
		abort();
	stop_alarms(w->k->family);
	join(w, 0, THEIRS);
	join(w, 1, OTHERS);
	w->k->family->pid_first = 1;
	w->k->family->pid_last = 400000;
}

static void end(struct world *w)
{
	struct wasi *wasi = w->k->w;
	let_alarms(w->k->family);
	wali_free(w->k);
	wasi_free(wasi);
	for (int i = 0; i < 2; i++)
		vfs_unref(w->ends[i]);
	net_free(w->net);
}

static void say(struct world *w, const uint8_t *bytes, size_t size)
{
	struct family *f = w->k->family;
	family_lock(f);
	socket_push(w->ends[0], bytes, size < TOLD_MAX ? size : TOLD_MAX);
	atomic_store(&f->has_news, true);
	kinships_hear(w->k);
	family_unlock(f);
}

/* Of whom another part may not speak. */
static void check(struct world *w)
{
	struct family *f = w->k->family;
	struct errmsg msg;
	struct wr out = {0};
	struct fdset *set;
	const struct task *me = family_find(f, ME), *other = family_find(f, OTHERS);
	if (f->alive != 1 || !me || me->away || me->state != TASK_RUNS || me->group != ME ||
	    !other || other->state != TASK_RUNS || other->group != ME || !other->away)
		abort();
	if (fdset_new(&set) != ERR_OK || fdset_add(set, wasi_fds(w->k->w)) != ERR_OK ||
	    family_image_save(&w->k, 1, set, wasi_ns(w->k->w), &out, &msg) != ERR_OK)
		abort();
	fdset_free(set);
	wr_free(&out);
}

static void try_after(const uint8_t *first, size_t n, const uint8_t *data, size_t size)
{
	struct world w = {0};
	begin(&w);
	say(&w, first, n);
	say(&w, data, size);
	check(&w);
	end(&w);
}

/* One of theirs was killed, and they say nothing for so long that it is dead. */
static void try_after_kill(const uint8_t *data, size_t size)
{
	struct world w = {0};
	begin(&w);
	struct family *f = w.k->family;
	family_lock(f);
	family_kill(f, NULL, THEIRS, LINUX_SIGKILL);
	family_find(f, THEIRS)->alarm_ns = 1;
	kinships_bury(f);
	if (family_find(f, THEIRS)->state != TASK_ZOMBIE)
		abort();
	family_unlock(f);
	say(&w, data, size);
	check(&w);
	end(&w);
}

/* They were asked for something, and an answer is what they say. */
static void try_asking(const uint8_t *data, size_t size)
{
	struct world w = {0};
	struct wr answer = {0};
	int error;
	begin(&w);
	family_lock(w.k->family);
	uint32_t id = far_request_new(w.k, THEIRS, "migrate there");
	family_unlock(w.k->family);
	const uint8_t done[18] = {7,
	                          3,
	                          ME,
	                          0,
	                          0,
	                          0,
	                          THEIRS,
	                          0,
	                          0,
	                          0,
	                          (uint8_t)id,
	                          (uint8_t)(id >> 8),
	                          (uint8_t)(id >> 16),
	                          (uint8_t)(id >> 24)};
	say(&w, data, size);
	check(&w);
	say(&w, done, sizeof done);
	if (far_request_over(w.k, id, &error, &answer) && error < 0)
		abort();
	wr_free(&answer);
	end(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t row[54] = {1, THEIRS, 0, 0, 0, ME, 0, 0,    0,    ME,       0,   0,
	                                0, ME,     0, 0, 0, 1,  1, 0x7f, 0x13, [51] = 2, 'a', 'b'};
	static const uint8_t signals[13] = {2, OTHERS, 0, 0, 0, 0, 2};
	static const uint8_t output[6] = {3, 1, 2, 0, 'h', 'i'}, asks[1] = {5}, terminal[49] = {6};
	static const uint8_t ask[25] = {7, 0, ME, 0, 0, 0,   THEIRS, 0,   0,   0,   1,   0,  0,
	                                0, 0, 0,  7, 0, 's', 'u',    's', 'p', 'e', 'n', 'd'};
	try_after(NULL, 0, data, size);
	try_after(row, sizeof row, data, size);
	try_after(signals, sizeof signals, data, size);
	try_after(output, sizeof output, data, size);
	try_after(asks, sizeof asks, data, size);
	try_after(terminal, sizeof terminal, data, size);
	try_after(ask, sizeof ask, data, size);
	try_after_kill(data, size);
	try_asking(data, size);
	return 0;
}
