/* process.c - calls that make, replace, end and wait for processes, and put them into groups and sessions. */
#include "node/wali/family_image.h"
#include "node/wali/wali_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- fork ---- */

/* The child's one thread is as the one that forks. */
static bool copy_thread(const struct wali_thread *me, struct wali_thread *th)
{
	th->handlers = malloc((me->nhandlers + 1) * sizeof *th->handlers);
	th->slots = malloc(me->slots_cap * sizeof *th->slots);
	if (!th->handlers || !th->slots)
		return false;
	if (me->nhandlers)
		memcpy(th->handlers, me->handlers, me->nhandlers * sizeof *th->handlers);
	memcpy(th->slots, me->slots, me->nslots * sizeof *th->slots);
	th->nhandlers = me->nhandlers;
	th->nslots = me->nslots;
	th->slots_cap = me->slots_cap;
	th->blocked = me->blocked;
	th->stack = me->stack;
	th->stack_size = me->stack_size;
	return true;
}

/* A copy for the child, standing before the same call, which will answer 0 there. */
static enum err copy_wali(struct wali *k, struct wasi *w, struct wali **out)
{
	struct wali_config c = {.wasi = w, .family = k->family};
	struct wali *child;
	TRY(wali_alloc(&c, &child));
	char *cwd = strdup(k->cwd);
	struct wali_map *maps = malloc((k->nmaps + 1) * sizeof *maps);
	free(child->cwd);
	child->cwd = cwd;
	child->maps = maps;
	if (!cwd || !maps || !copy_thread(k->me, child->me)) {
		wali_free(child);
		return ERR_NOMEM;
	}
	child->exe = k->exe ? strdup(k->exe) : NULL;
	child->umask = k->umask;
	child->brk_start = k->brk_start;
	child->brk_end = k->brk_end;
	if (k->nmaps)
		memcpy(maps, k->maps, k->nmaps * sizeof *maps);
	child->nmaps = k->nmaps;
	for (uint32_t i = 0; i < k->nmaps; i++)
		if (maps[i].file)
			maps[i].file->refs++;
	memcpy(child->actions, k->actions, sizeof child->actions);
	memcpy(child->rlimits, k->rlimits, sizeof child->rlimits);
	*out = child;
	return ERR_OK;
}

/* The one place that knows how a process's memory is copied. */
static enum err copy_process(struct wali *k, struct wali_child *c)
{
	struct wasi *w;
	TRY(store_save(thread_store(k->t), 0, &c->state));
	TRY(store_copy_memories(thread_store(k->t), &c->memories));
	while (k->threads[c->thread] != k->me)
		c->thread++;
	TRY(wasi_fork(k->w, &w));
	c->wasi = w;
	w->family = k->family;
	TRY(copy_wali(k, w, &c->wali));
	struct wali_slot *s = &c->wali->me->slots[c->wali->me->nslots - 1];
	s->has_result = true;
	s->result = 0;
	c->module = module_ref(instance_module(k->in));
	return ERR_OK;
}

static void poke_parent(struct family *f, const struct task *t)
{
	struct task *parent = family_find(f, t->parent);
	if (parent)
		family_poke(parent);
}

/* pid, unless a relative that came from elsewhere is known by that number, or it is one of another part's. */
static uint32_t own_number(struct family *f, uint32_t pid)
{
	uint32_t first = f->pid_first ? f->pid_first : 1;
	uint32_t last = f->pid_first ? f->pid_last : FAMILY_PID_MAX;
	if (pid < first || pid > last)
		pid = f->next_pid < first || f->next_pid > last ? first : f->next_pid;
	while (!family_is_free(f, pid))
		pid = pid < last ? pid + 1 : first;
	if (f->pid_first)
		f->next_pid = pid < last ? pid + 1 : first;
	return pid;
}

void wali_child_adopt(struct wali_child *c, const struct wali_host *host, struct wait *wait,
                      struct os_wake *waker, uint32_t pid)
{
	struct wali *k = c->wali;
	k->host = *host;
	k->w->wait = wait;
	k->task->pid = own_number(k->family, pid);
	k->me->tid = k->task->pid;
	k->task->wali = k;
	family_set_waker(k->family, k->task, waker);
	family_changed(k->family, k->task);
	poke_parent(k->family, k->task);
	c->wali = NULL;
	c->wasi = NULL;
}

void wali_child_threads(const struct wali_child *c, struct store *s)
{
	for (uint32_t i = store_thread_count(s); i > 0; i--)
		if (i - 1 != c->thread)
			thread_free(store_thread(s, i - 1));
}

/* A zombie without a number, for its parent's fork to find. */
void wali_child_undo(struct wali *k)
{
	k->task->state = TASK_ZOMBIE;
	k->task->pid = 0;
	family_set_waker(k->family, k->task, NULL);
	k->family->alive--;
	commons_wait_end(k->family->commons, &k->waiter);
	wali_charge(k, 0);
	poke_parent(k->family, k->task);
	k->task = NULL;
	wali_maps_free(k);
	wasi_close_files(k->w);
	k->w->family = NULL;
}

void wali_child_free(struct wali_child *c)
{
	if (!c)
		return;
	wr_free(&c->state);
	memories_free(c->memories);
	if (c->wali && c->wali->task)
		wali_child_undo(c->wali);
	wali_free(c->wali);
	wasi_free(c->wasi);
	if (c->module)
		module_unref(c->module);
	free(c);
}

/* The child has its number, or there will be none. It may have ended by now, and somebody may have waited for it. */
int64_t wali_born(struct wali *k)
{
	struct task *t = k->born;
	if (!t->pid && t->state != TASK_ZOMBIE)
		return WALI_BLOCK;
	int64_t r = t->pid ? (int64_t)t->pid : NO(AGAIN);
	k->born = NULL;
	if (!t->pid)
		family_remove(k->family, t);
	family_let_go(t);
	return r;
}

void wali_disown_born(struct wali *k)
{
	if (k->born)
		family_let_go(k->born);
	k->born = NULL;
}

static int64_t make_child(struct wali *k)
{
	struct wali_child *c = calloc(1, sizeof *c);
	enum err e = c ? copy_process(k, c) : ERR_NOMEM;
	if (e == ERR_OK)
		c->wali->task = family_add(k->family, 0, k->task, NULL);
	if (e != ERR_OK || !c->wali->task) {
		wali_child_free(c);
		return NO(NOMEM);
	}
	wali_charge(c->wali, k->charged_bytes);
	k->born = c->wali->task;
	family_hold(k->born);
	k->mother = k->me;
	k->host.fork(k->host.ctx, c);
	return wali_born(k);
}

int64_t wali_fork(struct wali *k, const uint64_t *a)
{
	if (k->born)
		return k->mother == k->me ? wali_born(k) : WALI_BLOCK;
	if (!k->host.fork)
		return NO(NOSYS);
	if (k->family->alive >= FAMILY_MAX || k->family->alive >= k->rlimits[LIMIT_NPROC][0] ||
	    k->task->pending >> (LINUX_SIGKILL - 1) & 1)
		return NO(AGAIN);
	return wali_slot(k) && wali_may_copy(k) ? make_child(k) : NO(NOMEM);
}

/* The child has memory of its own, so the parent need not wait for it. */
int64_t wali_vfork(struct wali *k, const uint64_t *a)
{
	return wali_fork(k, a);
}

/* ---- the end ---- */

int64_t wali_exit_group(struct wali *k, const uint64_t *a)
{
	wali_maps_write(k);
	k->w->exited = true;
	k->w->exit_code = arg32(a[0]);
	return WALI_EXIT;
}

/* ---- wait ---- */

enum { NOHANG = 1, STOPPED = 2, EXITED = 4, CONTINUED = 8, NOWAIT = 0x01000000 };
static const uint32_t of_threads = 0xe0000000;

/* A process, 0 the own group, a negated group, or: */
static const int64_t any_child = INT64_MIN;

static bool is_waited_for(const struct wali *k, const struct task *t, int64_t whom)
{
	if (t->parent != k->task->pid || !t->pid)
		return false;
	if (whom > 0)
		return t->pid == whom;
	return whom == any_child || t->group == (whom ? -whom : k->task->group);
}

static bool has_news(const struct task *t, uint32_t options)
{
	if (t->state == TASK_ZOMBIE)
		return options & EXITED;
	if (!t->status_is_news)
		return false;
	return options & (t->state == TASK_STOPPED ? STOPPED : CONTINUED);
}

static void take_news(struct wali *k, struct task *t)
{
	t->status_is_news = false;
	if (t->state == TASK_ZOMBIE) {
		k->task->children_ns += t->used_ns;
		family_remove(k->family, t);
	}
}

/* A child of which there is news; NULL: *r is what the call says. */
static struct task *find_news(struct wali *k, int64_t whom, uint32_t options, int64_t *r)
{
	bool any = false;
	for (struct task *t = k->family->tasks; t; t = t->next) {
		if (!is_waited_for(k, t, whom))
			continue;
		any |= t->state != TASK_ZOMBIE || options & EXITED;
		if (has_news(t, options))
			return t;
	}
	*r = !any ? NO(CHILD) : options & NOHANG ? 0 : wali_block_alone(k, true);
	return NULL;
}

int64_t wali_wait4(struct wali *k, const uint64_t *a)
{
	uint32_t options = arg32(a[2]);
	uint8_t *status = arg32(a[1]) ? wali_out(k, a[1], 4) : NULL;
	uint8_t *usage = arg32(a[3]) ? wali_out(k, a[3], WALI_RUSAGE_SIZE) : NULL;
	int64_t r;
	if (options & ~(uint32_t)(NOHANG | STOPPED | CONTINUED | of_threads))
		return NO(INVAL);
	if ((arg32(a[1]) && !status) || (arg32(a[3]) && !usage))
		return NO(FAULT);
	int32_t pid = (int32_t)arg32(a[0]);
	struct task *t = find_news(k, pid == -1 ? any_child : pid, options | EXITED, &r);
	if (!t)
		return r;
	r = t->pid;
	if (status)
		wasi_put_u32(status, (uint32_t)t->status);
	if (usage)
		wali_put_rusage(usage, t->used_ns);
	take_news(k, t);
	return r;
}

/* Of a siginfo_t what waitid says. */
enum { INFO_CODE = 8, INFO_PID = 16, INFO_UID = 20, INFO_STATUS = 24, INFO_SIZE = 28 };

static void put_child(uint8_t *p, const struct task *t)
{
	enum { BY_ITSELF = 1, KILLED = 2, STOPS = 5, CONTINUES = 6, DUMPED = 3 };
	uint32_t status = (uint32_t)t->status, code = status & 0x80 ? DUMPED : KILLED;
	uint32_t what = status & 0x7f;
	if (t->state != TASK_ZOMBIE) {
		code = t->state == TASK_STOPPED ? STOPS : CONTINUES;
		what = code == STOPS ? status >> 8 & 0xff : LINUX_SIGCONT;
	} else if (!what) {
		code = BY_ITSELF;
		what = status >> 8 & 0xff;
	}
	wasi_put_u32(p, LINUX_SIGCHLD);
	wasi_put_u32(p + INFO_CODE, code);
	wasi_put_u32(p + INFO_PID, t->pid);
	wasi_put_u32(p + INFO_UID, WALI_UID);
	wasi_put_u32(p + INFO_STATUS, what);
}

static bool waitid_whom(uint32_t type, int64_t id, int64_t *whom)
{
	enum { ALL, ONE, GROUP };
	*whom = type == ALL ? any_child : type == ONE ? id : -id;
	return type == ALL || (type == ONE && id > 0) || (type == GROUP && id >= 0);
}

int64_t wali_waitid(struct wali *k, const uint64_t *a)
{
	uint32_t options = arg32(a[3]);
	uint8_t *info = arg32(a[2]) ? wali_out(k, a[2], INFO_SIZE) : NULL;
	uint8_t *usage = arg32(a[4]) ? wali_out(k, a[4], WALI_RUSAGE_SIZE) : NULL;
	int64_t whom, r = 0;
	if (options & ~(uint32_t)(NOHANG | STOPPED | EXITED | CONTINUED | NOWAIT | of_threads) ||
	    !(options & (STOPPED | EXITED | CONTINUED)) ||
	    !waitid_whom(arg32(a[0]), (int32_t)arg32(a[1]), &whom))
		return NO(INVAL);
	if ((arg32(a[2]) && !info) || (arg32(a[4]) && !usage))
		return NO(FAULT);
	struct task *t = find_news(k, whom, options, &r);
	if (info && r >= 0)
		memset(info, 0, INFO_SIZE);
	if (!t)
		return r;
	if (info)
		put_child(info, t);
	if (usage)
		wali_put_rusage(usage, t->used_ns);
	if (!(options & NOWAIT))
		take_news(k, t);
	return 0;
}

/* ---- who is who ---- */

int64_t wali_getpid(struct wali *k, const uint64_t *a)
{
	return k->task->pid;
}

int64_t wali_getppid(struct wali *k, const uint64_t *a)
{
	return k->task->parent ? k->task->parent : 1;
}

int64_t wali_getpgrp(struct wali *k, const uint64_t *a)
{
	return k->task->group;
}

static struct task *task_or_me(struct wali *k, uint64_t pid)
{
	return arg32(pid) ? family_find(k->family, arg32(pid)) : k->task;
}

int64_t wali_getpgid(struct wali *k, const uint64_t *a)
{
	struct task *t = task_or_me(k, a[0]);
	return t ? t->group : NO(SRCH);
}

int64_t wali_getsid(struct wali *k, const uint64_t *a)
{
	struct task *t = task_or_me(k, a[0]);
	return t ? t->session : NO(SRCH);
}

static bool has_group(const struct wali *k, uint32_t group)
{
	for (const struct task *t = k->family->tasks; t; t = t->next)
		if (t->group == group && t->session == k->task->session)
			return true;
	return false;
}

int64_t wali_setpgid(struct wali *k, const uint64_t *a)
{
	struct task *t = task_or_me(k, a[0]);
	if ((int32_t)arg32(a[1]) < 0 || (!arg32(a[1]) && (int32_t)arg32(a[0]) < 0))
		return NO(INVAL);
	if (!t || (t != k->task && t->parent != k->task->pid))
		return NO(SRCH);
	uint32_t group = arg32(a[1]) ? arg32(a[1]) : t->pid;
	if (t != k->task && (t->has_execed || t->away))
		return NO(ACCES);
	if (t->session == t->pid || t->session != k->task->session)
		return NO(PERM);
	if (group != t->pid && !has_group(k, group))
		return NO(PERM);
	t->group = group;
	family_changed(k->family, t);
	return 0;
}

int64_t wali_setsid(struct wali *k, const uint64_t *a)
{
	for (const struct task *t = k->family->tasks; t; t = t->next)
		if (t->group == k->task->pid)
			return NO(PERM);
	k->task->group = k->task->session = k->task->pid;
	family_changed(k->family, k->task);
	return k->task->pid;
}
