/* questions.c - from a question in /proc to a request, and from its rows to text.
 *
 * Truths, under the lock: a question is in its process's list until it is taken or dropped; it is in the list until the
 * loop has begun it; it is freed by whoever finds it without a process and answered.
 */
#include "node/control/questions.h"

#include "node/control/control.h"
#include "node/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUESTION_MAX = 320, ANSWER_MAX = 4 << 20, QUESTIONS_MAX = 8 };

struct question {
	struct node *node;
	struct process *process; /* NULL: dropped */
	char text[QUESTION_MAX];
	bool is_over;
	enum ferr error;
	struct wr answer;
	struct question *next;    /* that waits for the loop */
	struct question *sibling; /* of the same process */
};

struct questions {
	struct node *node;
	uv_async_t async;
	uv_mutex_t lock;
	struct question *first;
};

static void free_question(struct question *q)
{
	wr_free(&q->answer);
	free(q);
}

/* ---- the answer as text ---- */

/* A text of another device or program is one field of a line. */
static void put_text(struct wr *out, const char *text)
{
	for (const char *p = text; *p; p++)
		wr_u8(out, (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : (uint8_t)*p);
}

static void put_value(struct wr *out, const struct control_value *v)
{
	char text[64] = "";
	if (v && v->type == CONTROL_U64)
		snprintf(text, sizeof text, "%" PRIu64, v->u64);
	else if (v && v->type == CONTROL_I64)
		snprintf(text, sizeof text, "%" PRId64, v->i64);
	else if (v && v->type == CONTROL_F64)
		snprintf(text, sizeof text, "%.1f", v->f64);
	else if (v && v->type == CONTROL_FLAG)
		snprintf(text, sizeof text, "%s", v->flag ? "yes" : "no");
	else if (v && v->type == CONTROL_TEXT)
		put_text(out, v->text.p);
	wr_bytes(out, text, strlen(text));
}

/* The named values of a row with tabs between; as NAME VALUE lines when keyed. */
static void put_row(struct wr *out, const struct control_values *row, const char *const *keys,
                    bool keyed)
{
	for (size_t i = 0; keys[i]; i++) {
		if (keyed) {
			wr_bytes(out, keys[i], strlen(keys[i]));
			wr_u8(out, ' ');
		} else if (i) {
			wr_u8(out, '\t');
		}
		put_value(out, control_values_find(row, keys[i]));
		if (keyed)
			wr_u8(out, '\n');
	}
	if (!keyed)
		wr_u8(out, '\n');
}

static void put_sentence(struct wr *out, const struct control_values *row)
{
	const struct control_value *to = control_values_find(row, "to");
	const struct control_value *pause = control_values_find(row, "pause_ms");
	const struct control_value *pid = control_values_find(row, "pid");
	if (!to || !pause || !pid)
		return; /* of progress, or of a command that has nothing to tell */
	static const char moved[] = "moved to ", there[] = "; there it is ",
	                  stood[] = ", and stood still for ";
	wr_bytes(out, moved, sizeof moved - 1);
	put_value(out, to);
	wr_bytes(out, there, sizeof there - 1);
	put_value(out, pid);
	wr_bytes(out, stood, sizeof stood - 1);
	put_value(out, pause);
	wr_bytes(out, " ms\n", 4);
}

/* "state 12 phone" */
static bool is_about_state(const struct question *q)
{
	return !strncmp(q->text, "state ", 6);
}

static void add_state(struct question *q, const struct control_values *row)
{
	static const char *const state[] = {"state", NULL};
	const struct control_value *pid = control_values_find(row, "pid");
	if (pid && pid->type == CONTROL_U64 && pid->u64 == strtoul(q->text + 6, NULL, 10))
		put_row(&q->answer, row, state, false);
}

static void add_row(struct question *q, const struct control_values *row)
{
	static const char *const processes[] = {"pid",    "parent",       "state",
	                                        "cpu_ms", "memory_bytes", "created_unix_ms",
	                                        "name",   "command",      NULL};
	static const char *const peers[] = {"name", "id",   "state", "address",
	                                    "rtt",  "seen", "way",   NULL};
	static const char *const device[] = {"name", "device", "version", "processes", NULL};
	if (is_about_state(q))
		add_state(q, row);
	else if (!strcmp(q->text, "processes"))
		put_row(&q->answer, row, processes, false);
	else if (!strcmp(q->text, "peers"))
		put_row(&q->answer, row, peers, false);
	else if (!strcmp(q->text, "device"))
		put_row(&q->answer, row, device, true);
	else
		put_sentence(&q->answer, row);
}

static enum ferr error_of(const char *name)
{
	static const struct {
		const char *name;
		enum ferr error;
	} errors[] = {{"OK", FE_OK},           {"NOTFOUND", FE_SRCH}, {"UNSUPPORTED", FE_NOTSUP},
	              {"BUSY", FE_BUSY},       {"LIMIT", FE_NOSPC},   {"NOMEM", FE_NOMEM},
	              {"DENIED", FE_ACCES},    {"USAGE", FE_INVAL},   {"STATE", FE_BUSY},
	              {"TIMEOUT", FE_TIMEDOUT}};
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].error;
	return FE_IO;
}

static void add_end(struct question *q, const char *end, const struct control_value *text)
{
	q->error = error_of(end);
	if (q->error == FE_OK || !text || text->type != CONTROL_TEXT)
		return;
	put_text(&q->answer, text->text.p);
	wr_u8(&q->answer, '\n');
}

static void read_answer(struct question *q, const uint8_t *frames, size_t size)
{
	struct rd in = rd_of(frames, size), body;
	struct control_values v;
	while (control_frame_next(&in, &body) == ERR_OK &&
	       control_values_read(body, &v) == ERR_OK) {
		const struct control_value *end = control_values_find(&v, "end");
		if (end && end->type == CONTROL_TEXT)
			add_end(q, end->text.p, control_values_find(&v, "text"));
		else if (q->answer.size < ANSWER_MAX)
			add_row(q, &v);
		control_values_free(&v);
	}
}

/* ---- on the loop ---- */

static void end_question(struct question *q, enum ferr e)
{
	struct questions *qs = q->node->questions;
	uv_mutex_lock(&qs->lock);
	q->is_over = true;
	if (e != FE_OK)
		q->error = e;
	if (q->process)
		process_wake(q->process);
	bool dropped = !q->process;
	uv_mutex_unlock(&qs->lock);
	if (dropped)
		free_question(q);
}

static void on_answer(void *ctx, enum err e, const uint8_t *frames, size_t size)
{
	struct question *q = ctx;
	if (e == ERR_OK)
		read_answer(q, frames, size);
	end_question(q, e == ERR_OK ? FE_OK : FE_IO);
}

/* "control 12 migrate phone" */
static enum err write_control(const char *text, struct control_map *m)
{
	char verb[16] = "", rest[QUESTION_MAX] = "";
	unsigned pid;
	int n = sscanf(text, "control %u %15s %300[^\n]", &pid, verb, rest);
	bool job = !strcmp(verb, "migrate-job"), alone = !strcmp(verb, "migrate-alone");
	bool moves = job || alone || !strcmp(verb, "migrate"), kills = !strcmp(verb, "kill");
	bool wakes = !strcmp(verb, "resume"), job_sleeps = !strcmp(verb, "suspend-job");
	if (n < 2 || ((moves || kills || wakes) && n < 3) ||
	    (!moves && !kills && !wakes && !job_sleeps && strcmp(verb, "suspend")))
		return ERR_USAGE;
	control_map_text(m, "request", moves ? "migrate" : job_sleeps ? "suspend" : verb);
	if (job || alone || job_sleeps)
		control_map_flag(m, alone ? "alone" : "job", true);
	control_map_u64(m, "pid", pid);
	if (moves || wakes)
		control_map_text(m, "peer", rest);
	if (kills)
		control_map_u64(m, "status", 128 + strtoul(rest, NULL, 10) % 65);
	return ERR_OK;
}

static enum err write_state(const struct question *q, struct control_map *m)
{
	const char *device = strchr(q->text + 6, ' ');
	if (!device)
		return ERR_USAGE;
	control_map_text(m, "request", "ps");
	if (strcmp(device + 1, q->node->name) != 0)
		control_map_text(m, "peer", device + 1);
	return ERR_OK;
}

static enum err write_request(const struct question *q, struct control_map *m)
{
	if (is_about_state(q))
		return write_state(q, m);
	if (!strcmp(q->text, "processes"))
		control_map_text(m, "request", "ps");
	else if (!strcmp(q->text, "peers"))
		control_map_text(m, "request", "peers");
	else if (!strcmp(q->text, "device"))
		control_map_text(m, "request", "status");
	else
		return write_control(q->text, m);
	return ERR_OK;
}

static enum err begin(struct question *q)
{
	struct control_map m = {0};
	struct control_values values;
	struct wr frame = {0};
	struct rd body;
	enum err e = write_request(q, &m);
	if (e == ERR_OK)
		e = control_map_frame(&m, &frame);
	struct rd in = rd_of(frame.data, frame.size);
	if (e == ERR_OK)
		e = control_frame_next(&in, &body);
	if (e == ERR_OK)
		e = control_values_read(body, &values);
	if (e == ERR_OK)
		e = control_collect(q->node, &values, on_answer, q);
	control_map_free(&m);
	wr_free(&frame);
	return e;
}

static void on_questions(uv_async_t *async)
{
	struct questions *qs = async->data;
	for (;;) {
		uv_mutex_lock(&qs->lock);
		struct question *q = qs->first;
		if (q)
			qs->first = q->next;
		uv_mutex_unlock(&qs->lock);
		if (!q)
			return;
		enum err e = begin(q);
		if (e != ERR_OK)
			end_question(q, e == ERR_USAGE ? FE_INVAL : FE_IO);
	}
}

/* ---- on the process's thread ---- */

/* The lock is held. NULL: it has not asked that. */
static struct question **find(struct process *p, const char *text, uint32_t *count)
{
	struct question **found = NULL, **at = &p->questions;
	for (*count = 0; *at; at = &(*at)->sibling, ++*count)
		if (!strcmp((*at)->text, text))
			found = at;
	return found;
}

/* The lock is held. */
static enum ferr take(struct question **at, struct wr *out)
{
	struct question *q = *at;
	enum ferr e = q->error;
	*at = q->sibling;
	wr_bytes(out, q->answer.data, q->answer.size);
	free_question(q);
	return wr_ok(out) ? e : FE_NOMEM;
}

/* Answers that nobody came for: of calls that a signal has ended. The lock is held. */
static void forget_answers(struct process *p)
{
	for (struct question **at = &p->questions; *at;) {
		struct question *q = *at;
		if (!q->is_over) {
			at = &q->sibling;
			continue;
		}
		*at = q->sibling;
		free_question(q);
	}
}

/* The lock is held. */
static enum ferr put(struct process *p, const char *text)
{
	struct questions *qs = p->node->questions;
	struct question *q = calloc(1, sizeof *q), **at = &qs->first;
	if (!q || strlen(text) >= sizeof q->text) {
		free(q);
		return q ? FE_INVAL : FE_NOMEM;
	}
	q->node = p->node;
	q->process = p;
	strcpy(q->text, text);
	while (*at)
		at = &(*at)->next;
	*at = q;
	q->sibling = p->questions;
	p->questions = q;
	uv_async_send(&qs->async);
	return FE_INPROGRESS;
}

enum ferr questions_ask(struct process *p, const char *question, bool asked, struct wr *out)
{
	struct questions *qs = p->node->questions;
	enum ferr e;
	uint32_t count;
	uv_mutex_lock(&qs->lock);
	struct question **at = find(p, question, &count);
	if (at)
		e = (*at)->is_over ? take(at, out) : FE_INPROGRESS;
	else if (asked)
		e = FE_OK;
	else if (count < QUESTIONS_MAX)
		e = put(p, question);
	else
		e = FE_INPROGRESS;
	if (count >= QUESTIONS_MAX)
		forget_answers(p);
	uv_mutex_unlock(&qs->lock);
	return e;
}

void questions_drop(struct process *p)
{
	/* One that was only read from an image (asleep.c) is of no node. */
	struct questions *qs = p->node ? p->node->questions : NULL;
	if (!qs)
		return;
	uv_mutex_lock(&qs->lock);
	forget_answers(p);
	for (struct question *q = p->questions; q; q = q->sibling)
		q->process = NULL;
	p->questions = NULL;
	uv_mutex_unlock(&qs->lock);
}

/* ---- the part ---- */

enum err questions_open(struct node *n, struct errmsg *msg)
{
	struct questions *qs = calloc(1, sizeof *qs);
	if (!qs)
		return err_set(msg, ERR_NOMEM, "questions: out of memory");
	qs->node = n;
	qs->async.data = qs;
	uv_mutex_init(&qs->lock);
	uv_async_init(&n->loop, &qs->async, on_questions);
	n->questions = qs;
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct questions *qs = h->data;
	uv_mutex_destroy(&qs->lock);
	free(qs);
}

/* Every process has ended, and the control part has answered what was begun. */
void questions_close(struct node *n)
{
	struct questions *qs = n->questions;
	for (struct question *q = qs->first; q; q = q->next)
		q->is_over = true;
	for (struct process *p = process_first(n); p; p = p->next)
		questions_drop(p);
	n->questions = NULL;
	uv_close((uv_handle_t *)&qs->async, closed);
}
