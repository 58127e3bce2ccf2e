/* asleep.c - one section and one size of an image, read from the depot; rows of them. */
#include "node/asleep.h"

#include "migrate/image.h"
#include "node/awake.h"
#include "node/control.h"
#include "node/disk.h"
#include "node/moves.h"
#include "node/node.h"
#include "node/process_section.h"
#include "node/process_table.h"
#include "node/store.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

enum { SECTION_MAX = 8 << 20 };

struct asleep {
	struct owner record;
	struct wr section;
	uint64_t memory_bytes;
	uint8_t module[32];
	enum err err;
	struct errmsg msg;
};

struct looking {
	struct node *node;
	struct control_call *call; /* NULL: the client is gone */
	bool all, follow;
	struct asleep *list;
	size_t count;
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

static enum err read_spaces(struct depot *d, const struct manifest *m, struct asleep *a)
{
	if (m->nmodules)
		memcpy(a->module, m->modules[0].hash, sizeof a->module);
	for (uint32_t i = 0; i < m->nspaces; i++) {
		const struct manifest_space *s = &m->spaces[i];
		if (s->info.kind == SPACE_MEMORY)
			a->memory_bytes += s->info.size;
		else if (!strcmp(s->info.name, section_name(SECTION_PROCESS)))
			TRY(read_space(d, s, &a->section, &a->msg));
	}
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
	for (size_t i = 0; i < l->count; i++)
		wr_free(&l->list[i].section);
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
static struct process *describe(struct asleep *a)
{
	static const struct tty_hooks none = {
	    .wake_guest = nobody, .wake_client = nobody, .ctx = NULL};
	struct process *p = a->err == ERR_OK ? calloc(1, sizeof *p) : NULL;
	if (!p)
		return NULL;
	a->err = process_section_load(rd_of(a->section.data, a->section.size), &none, p, &a->msg);
	if (a->err == ERR_OK)
		return p;
	process_free(p);
	return NULL;
}

/* ---- ps ---- */

static void put_row(struct looking *l, struct asleep *a)
{
	char line[PROCESS_COMMAND_MAX];
	struct process *p = describe(a);
	moves_ps_row(l->node, l->call, &a->record);
	if (p) {
		process_command_line(p, line, sizeof line);
		control_put_u64(l->call, "parent", p->parent);
		control_put_u64(l->call, "memory_bytes", a->memory_bytes);
		control_put_u64(l->call, "cpu_ms", p->cpu_ns_before / 1000000);
		control_put_i64(l->call, "created_unix_ms", p->created_unix_ms);
		control_put_hex(l->call, "module", a->module, sizeof a->module);
		control_put_str(l->call, "command", line);
	}
	control_row_end(l->call);
	process_free(p);
}

static void end_ps(struct looking *l)
{
	for (size_t i = 0; l->call && i < l->count; i++)
		put_row(l, &l->list[i]);
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
	struct process *p = l->call ? describe(a) : NULL;
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

bool asleep_logs(struct node *n, struct control_call *c)
{
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK || pid > PROCESS_PID_MAX ||
	    awake_coming(n, (uint32_t)pid) || process_find(n, (uint32_t)pid))
		return false;
	const struct owner *o = moves_record_by_pid(n, (uint32_t)pid);
	if (!o)
		return false;
	struct looking *l = looking_new(n, c);
	l->follow = control_flag(c, "follow");
	add(l, o);
	start(l, logs_read);
	return true;
}
