/* far_requests.c - requests between the parts of a family (far_requests.h). */
#include "node/wali/far_requests.h"

#include "node/wali/kinship.h"
#include "node/wali/wali_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_ID = 1 << 20,
	LAST_ID = 1 << 30 /* a slot's progress, beyond what a call's own steps are */
};
enum { STAGE_ASK, STAGE_READY, STAGE_GO, STAGE_DONE, STAGES };
enum { IS_THEIRS = 1, IS_UNTOLD = 2, IS_ASKED = 4, FLAGS = 7 };

/* How far one is, on either side: it was asked; it goes on; it is over (the asker's: to be fetched; else: to be told). */
enum step { STEP_ASKED, STEP_GOES, STEP_OVER, STEPS };

struct far_request {
	struct far_request *next;
	uint32_t asker, target, id;
	uint8_t step;
	bool theirs;       /* of another part, to be done here */
	bool untold;       /* the other part is to hear of the step */
	bool asked;        /* this node has been asked: to do it, or whether it sleeps there */
	uint8_t looks;     /* how often, whether it sleeps */
	uint16_t error;    /* when it is over */
	uint64_t until_ns; /* host monotonic time: the next that happens when nothing else does */
	char text[FAR_TEXT_MAX + 1]; /* the command; when it is over: the answer */
};

static const uint64_t second_ns = 1000000000;

/* How long the other part may be silent, before it was ready and after; a part that was ready says that it goes on more often. */
static const uint64_t reach_s = 10, silence_s = 30, word_s = 5, look_s = 1, kept_s = 60;

/* ---- which there are ---- */

static void until(struct family *f, struct far_request *r, uint64_t seconds)
{
	r->until_ns = os_monotonic_ns() + seconds * second_ns;
	family_watch_alarms(f);
}

static uint32_t count(const struct family *f)
{
	uint32_t n = 0;
	for (const struct far_request *r = f->far_requests; r; r = r->next)
		n++;
	return n;
}

static struct far_request *add(struct family *f)
{
	struct far_request *r = count(f) < FAR_REQUESTS_MAX ? calloc(1, sizeof *r) : NULL;
	if (r) {
		r->next = f->far_requests;
		f->far_requests = r;
	}
	return r;
}

static void forget(struct family *f, struct far_request *r)
{
	struct far_request **at = &f->far_requests;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	free(r);
}

/* Each with the task that waits for it, or is to do it. */
void far_requests_part(struct family *from, struct family *to)
{
	for (struct far_request **at = &from->far_requests; *at;) {
		struct far_request *r = *at;
		const struct task *t = family_find(to, r->theirs ? r->target : r->asker);
		if (!t || t->away) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->next = to->far_requests;
		to->far_requests = r;
		to->has_untold |= r->untold;
	}
	to->far_last = from->far_last;
}

void far_requests_free(struct family *f)
{
	while (f->far_requests)
		forget(f, f->far_requests);
}

static struct far_request *find(const struct family *f, bool theirs, uint32_t asker, uint32_t id)
{
	struct far_request *r = f->far_requests;
	while (r && (r->theirs != theirs || r->asker != asker || r->id != id))
		r = r->next;
	return r;
}

static void tell_step(struct family *f, struct far_request *r, enum step step)
{
	r->step = (uint8_t)step;
	r->untold = true;
	f->has_untold = true;
}

/* ---- who asks ---- */

uint32_t far_request_new(struct wali *k, uint32_t target, const char *command)
{
	struct family *f = k->family;
	struct far_request *r = strlen(command) < FAR_COMMAND_MAX ? add(f) : NULL;
	if (!r)
		return 0;
	if (f->far_last < FIRST_ID || f->far_last >= LAST_ID)
		f->far_last = FIRST_ID;
	*r = (struct far_request){
	    .next = r->next, .asker = k->task->pid, .target = target, .id = ++f->far_last};
	strcpy(r->text, command);
	until(f, r, reach_s);
	tell_step(f, r, STEP_ASKED);
	return r->id;
}

bool far_request_has(const struct wali *k, uint32_t id)
{
	return find(k->family, false, k->task->pid, id);
}

bool far_request_over(struct wali *k, uint32_t id, int *error, struct wr *answer)
{
	struct far_request *r = find(k->family, false, k->task->pid, id);
	if (r && r->step != STEP_OVER)
		return false;
	*error = r ? r->error : 0;
	if (r)
		wr_bytes(answer, r->text, strlen(r->text));
	if (r)
		forget(k->family, r);
	return true;
}

static void over(struct family *f, struct far_request *r, unsigned error, const char *text)
{
	struct task *asker = family_find(f, r->asker);
	r->step = STEP_OVER;
	r->untold = false;
	r->error = (uint16_t)error;
	snprintf(r->text, sizeof r->text, "%s", text);
	until(f, r, kept_s);
	if (asker && !asker->away)
		family_poke(asker);
	else
		forget(f, r);
}

static bool is_sleep(const struct far_request *r)
{
	return !strcmp(r->text, "suspend") || !strcmp(r->text, "suspend-job");
}

/* Nothing was heard for too long. */
static void give_up(struct family *f, struct far_request *r)
{
	const struct task *t = family_find(f, r->target);
	const char *where = t && t->device[0] ? t->device : "another device";
	char text[384];
	if (r->step == STEP_GOES)
		snprintf(text, sizeof text,
		         "%s began with it, and was not heard of since: whether it was done is not "
		         "known\n",
		         where);
	else
		snprintf(
		    text, sizeof text,
		    "process %u is on %s, which does not answer: there is no link, or it sleeps "
		    "there (resume wakes it). Nothing was done\n",
		    r->target, where);
	over(f, r, (unsigned)-NO(TIMEDOUT), text);
}

/* ---- whether it sleeps there: a part that does cannot say so, its device can ---- */

static void ask_state(struct family *f, struct far_request *r)
{
	char question[128], text[128];
	const struct task *t = family_find(f, r->target), *asker = family_find(f, r->asker);
	struct wali *k = asker ? asker->wali : NULL;
	struct wr answer = {0};
	if (!k || !k->host.ask || !t || !t->device[0] || !t->node_pid)
		return;
	snprintf(question, sizeof question, "state %u %s", t->node_pid, t->device);
	enum ferr e = k->host.ask(k->host.ctx, question, r->asked, &answer);
	r->asked = e == FE_INPROGRESS;
	wr_u8(&answer, 0);
	if (e == FE_OK && wr_ok(&answer) && !strcmp((const char *)answer.data, "suspended\n")) {
		snprintf(text, sizeof text, "put to sleep on %s\n", t->device);
		over(f, r, 0, text);
	}
	wr_free(&answer);
}

/* It is asked again until it does. */
static void look(struct family *f, struct far_request *r)
{
	if (r->looks++ * look_s >= silence_s) {
		give_up(f, r);
		return;
	}
	until(f, r, look_s);
	ask_state(f, r);
}

/* ---- who does it ---- */

static void done(struct family *f, struct far_request *r, unsigned error, struct wr *answer)
{
	size_t n = answer && wr_ok(answer) ? answer->size : 0;
	n = n < FAR_TEXT_MAX ? n : FAR_TEXT_MAX;
	if (n)
		memcpy(r->text, answer->data, n);
	r->text[n] = 0;
	r->error = (uint16_t)error;
	until(f, r, kept_s);
	tell_step(f, r, STEP_OVER);
}

static void tell_where(const struct wali *k, struct wr *answer)
{
	struct wali_about a = {0};
	char text[128];
	if (k->host.about)
		k->host.about(k->host.ctx, &a);
	int n = a.device ? snprintf(text, sizeof text, "now on %s\n", a.device) : 0;
	wr_bytes(answer, text, (size_t)n);
}

/* The node is asked once, for the process that is meant: its thread is woken with the answer. */
static void serve(struct family *f, struct far_request *r)
{
	enum { QUESTION = FAR_COMMAND_MAX + 32 };
	char question[QUESTION];
	const struct task *t = family_find(f, r->target);
	struct wali *k = t && !t->away ? t->wali : NULL;
	struct wali_about a = {.pid = r->target};
	struct wr answer = {0};
	if (!k || !k->host.ask) {
		done(f, r, (unsigned)-(k ? wali_error(k, FE_NOTSUP) : NO(SRCH)), NULL);
		return;
	}
	if (k->host.about)
		k->host.about(k->host.ctx, &a);
	snprintf(question, sizeof question, "control %u %.*s", a.pid, FAR_COMMAND_MAX - 1, r->text);
	enum ferr e = k->host.ask(k->host.ctx, question, r->asked, &answer);
	r->asked = true;
	if (e != FE_INPROGRESS) {
		if (e == FE_OK && !answer.size)
			tell_where(k, &answer);
		done(f, r, e == FE_OK ? 0 : (unsigned)-wali_error(k, e), &answer);
	}
	wr_free(&answer);
}

void far_requests_serve(struct family *f)
{
	for (struct far_request *r = f->far_requests, *next; r; r = next) {
		next = r->next;
		if (r->step == STEP_GOES && r->theirs)
			serve(f, r);
		else if (r->step == STEP_GOES && is_sleep(r) && r->asked)
			ask_state(f, r);
	}
}

/* ---- time ---- */

static void due(struct family *f, struct far_request *r)
{
	if (r->step == STEP_OVER || (r->theirs && r->step == STEP_ASKED)) {
		forget(f, r); /* nobody came for it */
	} else if (r->theirs) {
		until(f, r, word_s);
		tell_step(f, r, STEP_GOES);
	} else if (r->step == STEP_GOES && is_sleep(r)) {
		look(f, r);
	} else {
		give_up(f, r);
	}
}

uint64_t far_requests_due(struct family *f)
{
	uint64_t now = os_monotonic_ns(), at = OS_NO_DEADLINE;
	for (struct far_request *r = f->far_requests, *next; r; r = next) {
		next = r->next;
		if (r->until_ns <= now)
			due(f, r);
	}
	for (const struct far_request *r = f->far_requests; r; r = r->next)
		at = r->until_ns < at ? r->until_ns : at;
	return at;
}

/* ---- telling ---- */

static unsigned stage_of(const struct far_request *r)
{
	if (r->theirs)
		return r->step == STEP_OVER ? STAGE_DONE : STAGE_READY;
	return r->step == STEP_ASKED ? STAGE_ASK : STAGE_GO;
}

static void write_message(unsigned stage, uint32_t to, uint32_t from, uint32_t id, unsigned error,
                          const char *text, struct wr *w)
{
	wr_u8(w, FAR_REQUEST);
	wr_u8(w, (uint8_t)stage);
	wr_u32(w, to);
	wr_u32(w, from);
	wr_u32(w, id);
	wr_u16(w, (uint16_t)error);
	wr_u16(w, (uint16_t)strlen(text));
	wr_bytes(w, text, strlen(text));
}

/* False: not now. */
static bool tell(struct family *f, struct far_request *r)
{
	unsigned stage = stage_of(r);
	uint32_t to = r->theirs ? r->asker : r->target, from = r->theirs ? r->target : r->asker;
	bool has_text = stage == STAGE_ASK || stage == STAGE_DONE;
	const struct task *t = family_find(f, to);
	struct wr w = {0};
	if (!t || !t->away) { /* it has ended */
		r->untold = false;
		if (r->theirs)
			forget(f, r);
		else
			over(f, r, (unsigned)-NO(SRCH), "");
		return true;
	}
	write_message(stage, to, from, r->id, r->error, has_text ? r->text : "", &w);
	bool ok = kinship_send(t->away, &w);
	wr_free(&w);
	r->untold = !ok;
	if (ok && stage == STAGE_DONE)
		forget(f, r);
	return ok;
}

bool far_requests_tell(struct family *f)
{
	bool left = false;
	for (struct far_request *r = f->far_requests, *next; r; r = next) {
		next = r->next;
		if (r->untold)
			left |= !tell(f, r);
	}
	return left;
}

/* ---- hearing ---- */

struct message {
	uint8_t stage;
	uint32_t to, from, id;
	uint16_t error, size;
	const uint8_t *text;
};

uint32_t far_request_size(const uint8_t *bytes, size_t size)
{
	if (size < FAR_REQUEST_HEAD)
		return 0;
	return FAR_REQUEST_HEAD + ((uint32_t)bytes[16] | (uint32_t)bytes[17] << 8);
}

static enum err read_message(struct rd *in, struct message *m)
{
	uint8_t kind;
	TRY(rd_u8(in, &kind));
	TRY(rd_u8(in, &m->stage));
	TRY(rd_u32(in, &m->to));
	TRY(rd_u32(in, &m->from));
	TRY(rd_u32(in, &m->id));
	TRY(rd_u16(in, &m->error));
	TRY(rd_u16(in, &m->size));
	TRY(rd_bytes(in, m->size, &m->text));
	bool fits = m->size <= (m->stage == STAGE_ASK ? FAR_COMMAND_MAX - 1 : FAR_TEXT_MAX);
	return m->stage < STAGES && fits && m->error < 4096 ? ERR_OK : ERR_MALFORMED;
}

/* What a terminal would act on is none of a text. */
static void copy_text(char to[FAR_TEXT_MAX + 1], const struct message *m)
{
	for (uint32_t i = 0; i < m->size; i++)
		to[i] = m->text[i] == '\n' || (m->text[i] >= ' ' && m->text[i] != 0x7f)
		            ? (char)m->text[i]
		            : ' ';
	to[m->size] = 0;
}

static bool is_command(const char *text)
{
	static const char *const known[] = {"migrate ", "migrate-job ", "migrate-alone "};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strncmp(text, known[i], strlen(known[i])))
			return !strchr(text, '\n');
	return !strcmp(text, "suspend") || !strcmp(text, "suspend-job");
}

static void refuse(struct kinship *c, const struct message *m, int64_t error)
{
	struct wr w = {0};
	write_message(STAGE_DONE, m->from, m->to, m->id, (unsigned)-error, "", &w);
	kinship_send(c, &w);
	wr_free(&w);
}

/* A relative beyond c asks: it has the right that kill() asks for. */
static void take_ask(struct family *f, struct kinship *c, const struct message *m)
{
	const struct task *t = family_find(f, m->to);
	char text[FAR_TEXT_MAX + 1];
	copy_text(text, m);
	bool known = find(f, true, m->from, m->id);
	int64_t why = !t || t->state == TASK_ZOMBIE ? NO(SRCH) : is_command(text) ? 0 : NO(INVAL);
	struct far_request *r = why || known ? NULL : add(f);
	if (known)
		return;
	if (!r) {
		refuse(c, m, why ? why : NO(AGAIN));
		return;
	}
	*r = (struct far_request){
	    .next = r->next, .asker = m->from, .target = m->to, .id = m->id, .theirs = true};
	strcpy(r->text, text);
	until(f, r, kept_s);
	tell_step(f, r, STEP_ASKED);
}

static void take_go(struct family *f, const struct message *m)
{
	struct far_request *r = find(f, true, m->from, m->id);
	if (!r || r->step != STEP_ASKED || r->target != m->to)
		return;
	r->step = STEP_GOES;
	until(f, r, word_s);
	serve(f, r);
}

static void take_answer(struct family *f, const struct message *m)
{
	struct far_request *r = find(f, false, m->to, m->id);
	char text[FAR_TEXT_MAX + 1];
	if (!r || r->step == STEP_OVER || r->target != m->from)
		return;
	if (m->stage == STAGE_DONE) {
		copy_text(text, m);
		over(f, r, m->error, text);
		return;
	}
	if (r->step == STEP_ASKED) {
		tell_step(f, r, STEP_GOES);
		until(f, r, is_sleep(r) ? look_s : silence_s);
	} else if (!is_sleep(r)) {
		until(f, r, silence_s);
	}
}

/* Between others: what finds no room there is not kept, but the asker hears of it. */
static void pass_on(struct kinship *c, struct kinship *to, const struct message *m)
{
	char text[FAR_TEXT_MAX + 1];
	struct wr w = {0};
	copy_text(text, m);
	write_message(m->stage, m->to, m->from, m->id, m->error, text, &w);
	if (!kinship_send(to, &w) && m->stage == STAGE_ASK)
		refuse(c, m, NO(TIMEDOUT));
	wr_free(&w);
}

enum err far_request_take(struct family *f, struct kinship *c, struct rd *in)
{
	struct message m;
	TRY(read_message(in, &m));
	const struct task *from = family_find(f, m.from), *to = family_find(f, m.to);
	if (!from || from->away != c || (to && to->away == c))
		return ERR_OK; /* none of theirs, or what is theirs */
	if (to && to->away)
		pass_on(c, to->away, &m);
	else if (m.stage == STAGE_ASK)
		take_ask(f, c, &m);
	else if (m.stage == STAGE_GO)
		take_go(f, &m);
	else
		take_answer(f, &m);
	return ERR_OK;
}

/* ---- in an image: u16 count, each: u8 step (0 asked, 1 goes on, 2 over), u8 flags (1 of another part, 2 to be told, 4 the node has been
 * asked), u32 asker, u32 whom it is about, u32 id, u16 errno, u8 seconds left, u16 size, text ---- */

void far_requests_save(const struct family *f, struct wr *out)
{
	uint64_t now = os_monotonic_ns();
	wr_u16(out, (uint16_t)count(f));
	for (const struct far_request *r = f->far_requests; r; r = r->next) {
		uint64_t left = r->until_ns > now ? r->until_ns - now + second_ns - 1 : 0;
		wr_u8(out, r->step);
		wr_u8(out, (uint8_t)((r->theirs ? IS_THEIRS : 0) | (r->untold ? IS_UNTOLD : 0) |
		                     (r->asked ? IS_ASKED : 0)));
		wr_u32(out, r->asker);
		wr_u32(out, r->target);
		wr_u32(out, r->id);
		wr_u16(out, r->error);
		wr_u8(out, (uint8_t)(left / second_ns));
		wr_u16(out, (uint16_t)strlen(r->text));
		wr_bytes(out, r->text, strlen(r->text));
	}
}

static enum err load_one(struct rd *in, struct far_request *r)
{
	uint8_t flags, left_s;
	uint16_t size;
	const uint8_t *text;
	TRY(rd_u8(in, &r->step));
	TRY(rd_u8(in, &flags));
	TRY(rd_u32(in, &r->asker));
	TRY(rd_u32(in, &r->target));
	TRY(rd_u32(in, &r->id));
	TRY(rd_u16(in, &r->error));
	TRY(rd_u8(in, &left_s));
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &text));
	if (r->step >= STEPS || flags > FLAGS || left_s > kept_s || r->error >= 4096 ||
	    size > FAR_TEXT_MAX || memchr(text, 0, size) ||
	    (r->step != STEP_OVER && size >= FAR_COMMAND_MAX))
		return ERR_MALFORMED;
	r->theirs = flags & IS_THEIRS;
	r->untold = flags & IS_UNTOLD;
	r->asked = flags & IS_ASKED;
	r->until_ns = os_monotonic_ns() + left_s * second_ns;
	memcpy(r->text, text, size);
	r->text[size] = 0;
	return ERR_OK;
}

enum err far_requests_load(struct family *f, struct rd *in)
{
	uint16_t n;
	struct far_request **at = f ? &f->far_requests : NULL;
	TRY(rd_u16(in, &n));
	if (n > FAR_REQUESTS_MAX)
		return ERR_MALFORMED;
	for (; n; n--) {
		struct far_request r = {0};
		TRY(load_one(in, &r));
		if (!f)
			continue;
		*at = malloc(sizeof r);
		if (!*at)
			return ERR_NOMEM;
		**at = r;
		at = &(*at)->next;
		f->has_untold |= r.untold;
		f->far_last = r.theirs || r.id < f->far_last ? f->far_last : r.id;
	}
	return ERR_OK;
}
