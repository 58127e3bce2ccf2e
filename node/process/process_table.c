/* process_table.c - rows in order of pid, letters from the workers, subscribers. */
#include "node/process/process_table.h"

#include "base/os.h"
#include "node/control/awake.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/terminal/session.h"

#include <stdlib.h>
#include <string.h>

/* By a row, or by another process that sleeps on disk or is on its way from there. */
static bool pid_taken(struct node *n, uint32_t pid, const uint8_t uid[PROCESS_UID_SIZE])
{
	const struct owner *o = n->moves ? moves_record_by_pid(n, pid) : NULL;
	const uint8_t *coming = awake_coming(n, pid);
	return process_find(n, pid) || (coming && memcmp(coming, uid, PROCESS_UID_SIZE) != 0) ||
	       (o && (o->state == OWNER_SUSPENDED || o->state == OWNER_RELEASED) &&
	        memcmp(o->uid, uid, PROCESS_UID_SIZE));
}

static uint32_t next_pid(struct node *n, const uint8_t uid[PROCESS_UID_SIZE])
{
	do {
		if (++n->table.next_pid > PROCESS_PID_MAX)
			n->table.next_pid = 1;
	} while (pid_taken(n, n->table.next_pid, uid));
	return n->table.next_pid;
}

/* Those that programs make leave a sixteenth of all, and some of the files that each needs, to people and to the node. */
static uint32_t most_of(const struct node *n, const struct process *p)
{
	enum { PEOPLE_FILES = 64, NODE_FILES = 128 };
	uint32_t most = n->cfg.max_processes ? n->cfg.max_processes : PROCESSES_MAX;
	uint32_t files = os_files_max(), kept = p->parent ? NODE_FILES : PEOPLE_FILES;
	/* One that is just being made has not opened its file yet. */
	uint32_t fit = files > kept ? files - kept : 0;
	if (os_files_scarce(kept))
		return 0;
	if (p->parent)
		most -= most / 16;
	return most < fit ? most : fit;
}

enum err process_table_add(struct node *n, struct process *p, struct errmsg *msg)
{
	if (n->stopping)
		return err_set(msg, ERR_STATE, "the node is going down");
	if (n->table.alive >= most_of(n, p))
		return err_set(msg, ERR_LIMIT,
		               "%u processes run on this node, which is the most it allows",
		               n->table.alive);
	if (!p->pid || pid_taken(n, p->pid, p->uid))
		p->pid = next_pid(n, p->uid);
	if (!p->guest_pid)
		p->guest_pid = p->pid;
	struct process **at = &n->table.first;
	while (*at && (*at)->pid < p->pid)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	n->table.alive++;
	return ERR_OK;
}

void process_table_unlink(struct node *n, struct process *p)
{
	for (struct process **at = &n->table.first; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next; /* p->next stays: someone may be walking the list */
			return;
		}
}

void process_table_remove(struct node *n, struct process *p)
{
	process_table_unlink(n, p);
	n->table.alive--;
}

void process_table_prune(struct node *n)
{
	while (n->table.ended > PROCESSES_ENDED_MAX) {
		struct process *oldest = NULL;
		for (struct process *p = n->table.first; p; p = p->next)
			if (p->state == PROCESS_ENDED && !p->pins && !p->waiters && !p->sessions &&
			    (!oldest || p->end.ended_unix_ms < oldest->end.ended_unix_ms))
				oldest = p;
		if (!oldest)
			return;
		process_table_unlink(n, oldest);
		n->table.ended--;
		process_free(oldest);
	}
}

struct process *process_find(struct node *n, uint32_t pid)
{
	for (struct process *p = n->table.first; p; p = p->next)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct process *process_find_uid(struct node *n, const uint8_t uid[PROCESS_UID_SIZE])
{
	for (struct process *p = n->table.first; p; p = p->next)
		if (process_alive(p) && !memcmp(p->uid, uid, PROCESS_UID_SIZE))
			return p;
	return NULL;
}

struct process *process_of_terminal(struct process *p)
{
	for (struct process *o = p->node->table.first; o; o = o->next)
		if (process_alive(o) && o->tty == p->terminal)
			return o;
	return p;
}

struct process *process_first(struct node *n)
{
	return n->table.first;
}

enum err process_subscribe(struct node *n, process_event_fn fn, void *ctx)
{
	if (n->table.nsubscribers == NODE_SUBSCRIBERS_MAX)
		return ERR_LIMIT;
	n->table.subscribers[n->table.nsubscribers].fn = fn;
	n->table.subscribers[n->table.nsubscribers++].ctx = ctx;
	return ERR_OK;
}

void process_table_tell(struct process *p, enum process_event ev)
{
	struct node *n = p->node;
	session_event(p, ev);
	for (uint32_t i = 0; i < n->table.nsubscribers; i++)
		n->table.subscribers[i].fn(n->table.subscribers[i].ctx, p, ev);
}

void process_mail(struct node *n)
{
	uv_mutex_lock(&n->mailbox.lock);
	struct letter *l = n->mailbox.first;
	n->mailbox.first = n->mailbox.last = NULL;
	uv_mutex_unlock(&n->mailbox.lock);
	while (l) {
		struct letter *next =
		    l->next; /* l stands in a worker that may be gone afterwards */
		process_letter(l);
		l = next;
	}
	for (struct process *p = n->table.first, *next; p; p = next) {
		next = p->next;
		if (atomic_exchange(&p->has_output, false))
			session_pump(p);
		if (atomic_exchange(&p->was_interrupted, false))
			process_kill(p, 130);
		if (atomic_exchange(&p->has_shown, false))
			process_table_tell(p, PROCESS_EVENT_SHOWN);
		process_deliver(p);
	}
}

void process_kill_all(struct node *n)
{
	for (struct process *p = n->table.first; p; p = p->next)
		process_kill(p, 137);
}

void process_table_free(struct node *n)
{
	while (n->table.first) {
		struct process *p = n->table.first;
		n->table.first = p->next;
		process_free(p);
	}
}
