/* asleep.c - one section and one size of an image, read from the depot; rows of them. */
#include "node/moves/asleep.h"

#include "migrate/image.h"
#include "node/control/awake.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/process/process_section.h"
#include "node/moves/revive.h"
#include "node/process/process_table.h"
#include "node/store.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTION_MAX = 8 << 20 };

/* One process of an image. */
struct sleeper {
	uint32_t number; /* by which its relatives know it; 0: the leader, or one that is alone */
	struct wr section;
	uint64_t memory_bytes;
	uint8_t module[32];
};

struct asleep {
	struct owner record;
	struct sleeper *list; /* the leader first */
	uint32_t count;
	enum err err;
	struct errmsg msg;
};

struct looking {
	struct node *node;
	struct control_call *call; /* NULL: the client is gone */
	bool all, follow;
	struct asleep *list;
	size_t count;
	uint32_t pid; /* that is looked for */
	asleep_found_fn found;
};

/* ---- on the pool: what is in the depot ---- */

/* A page or a group: bytes of zeros when it has the null address. */
static enum err get(struct depot *d, const struct chunk_addr *addr, size_t size, struct wr *out,
                    struct errmsg *msg)
{
	size_t before = out->size;
	if (chunk_addr_is_null(addr)) {
		uint8_t *room = wr_space(out, size);
		if (!room)
			return ERR_NOMEM;
		memset(room, 0, size);
		return ERR_OK;
	}
	TRY(depot_get_chunk(d, addr, out, msg));
	return out->size - before == size ? ERR_OK : ERR_MALFORMED;
}

static enum err read_group(struct depot *d, const struct chunk_addr *group, uint32_t count,
                           struct wr *out, struct errmsg *msg)
{
	struct chunk_addr pages[IMAGE_GROUP_PAGES];
	struct wr w = {0};
	if (chunk_addr_is_null(group))
		return get(d, group, (size_t)count * CHUNK_PAGE, out, msg);
	enum err e = depot_get_chunk(d, group, &w, msg);
	if (e == ERR_OK)
		e = group_read(w.data, w.size, count, pages, msg);
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		e = get(d, &pages[i], CHUNK_PAGE, out, msg);
	wr_free(&w);
	return e;
}

static enum err read_space(struct depot *d, const struct manifest_space *s, struct wr *out,
                           struct errmsg *msg)
{
	uint64_t pages = (s->info.size + CHUNK_PAGE - 1) / CHUNK_PAGE;
	if (s->info.size > SECTION_MAX)
		return err_set(msg, ERR_LIMIT, "its section has %llu bytes",
		               (unsigned long long)s->info.size);
	for (uint32_t g = 0; g < s->ngroups; g++) {
		uint64_t left = pages - (uint64_t)g * IMAGE_GROUP_PAGES;
		uint32_t count = left < IMAGE_GROUP_PAGES ? (uint32_t)left : IMAGE_GROUP_PAGES;
		TRY(read_group(d, &s->groups[g], count, out, msg));
	}
	if (out->size < s->info.size)
		return ERR_MALFORMED;
	out->size = (size_t)s->info.size;
	return ERR_OK;
}

/* NULL: no memory. */
static struct sleeper *sleeper_of(struct asleep *a, uint32_t number)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (a->list[i].number == number)
			return &a->list[i];
	struct sleeper *list = realloc(a->list, (a->count + 1) * sizeof *list);
	if (!list)
		return NULL;
	a->list = list;
	list[a->count] = (struct sleeper){.number = number};
	return &list[a->count++];
}

/* Of a relative: its section "process" out of the one that holds all of its own. */
static enum err read_member(struct depot *d, const struct manifest_space *space, struct sleeper *s,
                            struct errmsg *msg)
{
	struct wr all = {0};
	struct process_sections in = {0};
	enum err e = read_space(d, space, &all, msg);
	if (e == ERR_OK && !member_section_read(rd_of(all.data, all.size), &in))
		e = err_set(msg, ERR_MALFORMED, "section %s is cut off", space->info.name);
	if (e == ERR_OK) {
		struct rd process = in.bytes[SECTION_PROCESS];
		const uint8_t *bytes;
		size_t size = rd_left(&process);
		memcpy(s->module, in.module_hash, sizeof s->module);
		if (rd_bytes(&process, size, &bytes) == ERR_OK)
			wr_bytes(&s->section, bytes, size);
	}
	wr_free(&all);
	return e;
}

/* "member 17", "17/00": 17; "process", "00": 0. */
static uint32_t number_of(const struct manifest_space *s)
{
	unsigned number = 0;
	if (s->info.kind == SPACE_MEMORY && strchr(s->info.name, '/'))
		sscanf(s->info.name, "%9u/", &number);
	else if (s->info.kind == SPACE_SECTION)
		sscanf(s->info.name, "member %9u", &number);
	return number;
}

static enum err read_process(struct depot *d, const struct manifest_space *space, struct asleep *a)
{
	uint32_t number = number_of(space);
	bool is_own = !strcmp(space->info.name, section_name(SECTION_PROCESS));
	if (space->info.kind != SPACE_MEMORY && !number && !is_own)
		return ERR_OK;
	struct sleeper *s = sleeper_of(a, number);
	if (!s)
		return ERR_NOMEM;
	if (space->info.kind == SPACE_MEMORY)
		s->memory_bytes += space->info.size;
	else if (is_own)
		return read_space(d, space, &s->section, &a->msg);
	else
		return read_member(d, space, s, &a->msg);
	return ERR_OK;
}

static enum err read_spaces(struct depot *d, const struct manifest *m, struct asleep *a)
{
	struct sleeper *leader = sleeper_of(a, 0);
	if (!leader)
		return ERR_NOMEM;
	if (m->nmodules)
		memcpy(leader->module, m->modules[0].hash, sizeof leader->module);
	for (uint32_t i = 0; i < m->nspaces; i++)
		TRY(read_process(d, &m->spaces[i], a));
	return ERR_OK;
}

static enum err read_one(struct depot *d, struct asleep *a)
{
	struct wr w = {0};
	struct manifest m;
	enum err e = depot_get_chunk(d, &a->record.image, &w, &a->msg);
	if (e == ERR_OK)
		e = manifest_read(w.data, w.size, &m, &a->msg);
	if (e == ERR_OK) {
		e = read_spaces(d, &m, a);
		manifest_free(&m);
	}
	wr_free(&w);
	return e;
}

static void read_all(void *ctx)
{
	struct looking *l = ctx;
	for (size_t i = 0; i < l->count; i++)
		l->list[i].err = read_one(node_depot(l->node), &l->list[i]);
}

/* ---- on the loop ---- */

static void on_gone(void *ctx)
{
	((struct looking *)ctx)->call = NULL;
}

static struct looking *looking_new(struct node *n, struct control_call *c)
{
	struct looking *l = calloc(1, sizeof *l);
	if (!l)
		abort();
	l->node = n;
	l->call = c;
	return l;
}

static void looking_free(struct looking *l)
{
	for (size_t i = 0; i < l->count; i++) {
		for (uint32_t k = 0; k < l->list[i].count; k++)
			wr_free(&l->list[i].list[k].section);
		free(l->list[i].list);
	}
	free(l->list);
	free(l);
}

static void add(void *ctx, const struct owner *o)
{
	struct looking *l = ctx;
	struct asleep *list = realloc(l->list, (l->count + 1) * sizeof *list);
	if (!list)
		abort();
	l->list = list;
	l->list[l->count++] = (struct asleep){.record = *o};
}

static void start(struct looking *l, work_fn done)
{
	control_on_gone(l->call, on_gone, l);
	work_start(l->node, moves_work_count(l->node), read_all, done, l);
}

static void nobody(void *ctx)
{
}

/* Freed with process_free(). NULL: its image could not be read, a->msg may say why. */
static struct process *describe(struct asleep *a, uint32_t i)
{
	static const struct tty_hooks none = {
	    .wake_guest = nobody, .wake_client = nobody, .ctx = NULL};
	struct process *p = a->err == ERR_OK && i < a->count ? calloc(1, sizeof *p) : NULL;
	if (!p)
		return NULL;
	const struct wr *section = &a->list[i].section;
	a->err = process_section_load(rd_of(section->data, section->size), &none, p, &a->msg);
	if (a->err == ERR_OK)
		return p;
	process_free(p);
	return NULL;
}

/* ---- ps ---- */

static void put_described(struct control_call *c, const struct process *p, const struct sleeper *s)
{
	char line[PROCESS_COMMAND_MAX];
	process_command_line(p, line, sizeof line);
	control_put_u64(c, "parent", p->parent);
	control_put_u64(c, "memory_bytes", s->memory_bytes);
	control_put_u64(c, "cpu_ms", p->cpu_ns_before / 1000000);
	control_put_i64(c, "created_unix_ms", p->created_unix_ms);
	control_put_hex(c, "module", s->module, sizeof s->module);
	control_put_str(c, "command", line);
}

static void put_leader(struct looking *l, struct asleep *a)
{
	struct process *p = describe(a, 0);
	moves_ps_row(l->node, l->call, &a->record);
	if (p)
		put_described(l->call, p, &a->list[0]);
	control_row_end(l->call);
	process_free(p);
}

/* A relative, which wakes with its leader. */
static void put_relative(struct looking *l, struct asleep *a, uint32_t i)
{
	char tree[PROCESS_NAME_MAX + 3];
	struct process *p = describe(a, i);
	if (!p)
		return;
	snprintf(tree, sizeof tree, "  %s", p->name);
	control_row(l->call);
	control_put_u64(l->call, "pid", p->pid);
	control_put_str(l->call, "state", owner_state_text(a->record.state));
	control_put_str(l->call, "name", p->name);
	control_put_str(l->call, "tree", tree);
	control_put_hex(l->call, "uid", p->uid, sizeof p->uid);
	control_put_u64(l->call, "epoch", a->record.epoch);
	put_described(l->call, p, &a->list[i]);
	control_row_end(l->call);
	process_free(p);
}

static void put_rows(struct looking *l, struct asleep *a)
{
	put_leader(l, a);
	for (uint32_t i = 1; i < a->count; i++)
		put_relative(l, a, i);
}

static void end_ps(struct looking *l)
{
	for (size_t i = 0; l->call && i < l->count; i++)
		put_rows(l, &l->list[i]);
	if (l->call && l->all)
		moves_ps_lost(l->node, l->call);
	if (l->call)
		control_end(l->call, ERR_OK, NULL);
	looking_free(l);
}

static void ps_read(void *ctx)
{
	end_ps(ctx);
}

void asleep_ps(struct node *n, struct control_call *c, bool all)
{
	struct looking *l = looking_new(n, c);
	l->all = all;
	moves_each_asleep(n, add, l);
	if (l->count)
		start(l, ps_read);
	else
		end_ps(l);
}

/* ---- logs ---- */

static void put_recent(struct control_call *c, const struct process *p)
{
	uint8_t *buf = malloc(TTY_RECENT_SIZE);
	if (!buf)
		abort();
	size_t size = tty_recent(p->tty, buf, TTY_RECENT_SIZE, NULL);
	control_row(c);
	control_put_bytes(c, "out", buf, size);
	control_row_end(c);
	free(buf);
}

static void logs_read(void *ctx)
{
	struct looking *l = ctx;
	struct asleep *a = &l->list[0];
	struct process *p = l->call ? describe(a, 0) : NULL;
	if (p)
		put_recent(l->call, p);
	if (l->call && a->err != ERR_OK)
		control_end(l->call, a->err, &a->msg);
	else if (l->call && l->follow)
		control_fail(l->call, ERR_STATE, "process %u is %s, so it writes nothing more",
		             a->record.pid, owner_state_text(a->record.state));
	else if (l->call)
		control_end(l->call, ERR_OK, NULL);
	process_free(p);
	looking_free(l);
}

static void show_logs(struct node *n, struct control_call *c, const struct owner *o)
{
	struct looking *l = looking_new(n, c);
	l->follow = control_flag(c, "follow");
	add(l, o);
	start(l, logs_read);
}

static void logs_found(struct node *n, struct control_call *c, const struct owner *o,
                       uint32_t number)
{
	if (o)
		show_logs(n, c, o);
	else if (control_arg_process(c)) /* else it has said why not */
		control_again(c);
}

bool asleep_logs(struct node *n, struct control_call *c)
{
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK || pid > PROCESS_PID_MAX ||
	    awake_coming(n, (uint32_t)pid) || process_find(n, (uint32_t)pid))
		return false;
	const struct owner *o = moves_record_by_pid(n, (uint32_t)pid);
	if (o)
		show_logs(n, c, o);
	else
		asleep_find(n, c, (uint32_t)pid, logs_found);
	return true;
}

/* ---- relatives by their numbers ---- */

static bool has_number(struct asleep *a, uint32_t i, uint32_t pid)
{
	struct process *p = describe(a, i);
	bool found = p && p->pid == pid;
	process_free(p);
	return found;
}

static void find_read(void *ctx)
{
	struct looking *l = ctx;
	const struct owner *found = NULL;
	uint32_t number = 0;
	for (size_t i = 0; l->call && !found && i < l->count; i++)
		for (uint32_t k = 1; !found && k < l->list[i].count; k++)
			if (has_number(&l->list[i], k, l->pid)) {
				found = moves_record(l->node, l->list[i].record.uid);
				number = l->list[i].list[k].number;
			}
	if (l->call) {
		control_on_gone(l->call, NULL, NULL);
		l->found(l->node, l->call, found, number);
	}
	looking_free(l);
}

void asleep_find(struct node *n, struct control_call *c, uint32_t pid, asleep_found_fn fn)
{
	struct looking *l = looking_new(n, c);
	l->pid = pid;
	l->found = fn;
	moves_each_asleep(n, add, l);
	start(l, find_read);
}
