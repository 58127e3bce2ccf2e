/* viewers.c - pictures, sound and events of a process to and from a client of the control socket.
 *
 * The worker that draws wakes the loop (uv_async); there each viewer brings its copy of the screen up to date and, while
 * no more than VIEWER_AHEAD frames are unacknowledged, sends the rows that changed. A client that is slow
 * thus skips frames and never holds the guest up. */
#include "node/terminal/viewers.h"

#include "node/control/control.h"
#include "node/drivers/drivers.h"
#include "node/drivers/host_client.h"
#include "node/links/link.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

struct viewer {
	struct node *node;
	struct process *process;
	struct control_call *call;
	struct screen_client *client;
	struct panel_frame now; /* what is on the screen */
	uint8_t *sent;          /* the pixels the client has; NULL: none of this mode */
	uint32_t sent_palette[256];
	uint64_t sent_seq, told_mode_seq;
	uint64_t acked_seq;
	unsigned ahead;
	uint64_t pulled_ms; /* the loop's time; 0: the client does not pull */
	struct viewer *next;
};

struct viewers {
	struct node *node;
	struct viewer *first;
	uv_async_t woken;
	uv_timer_t timer;
	unsigned handles;
};

/* ---- the end ---- */

static struct drivers *drivers_of(const struct process *p)
{
	return p->state == PROCESS_RUNNING || p->state == PROCESS_FROZEN ? p->drivers : NULL;
}

/* Out of the list and off the process; the call is the caller's. */
static void take_out(struct viewer *v, bool detach)
{
	for (struct viewer **at = &v->node->viewers->first; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	screen_client_leave(v->client);
	screen_client_release_keys(v->client);
	screen_client_pull_stop(v->client);
	struct drivers *d = detach ? drivers_of(v->process) : NULL;
	if (d)
		drivers_detach_client(d, v->client);
	screen_client_unref(v->client);
	panel_frame_free(&v->now);
	free(v->sent);
	free(v);
}

static void on_gone(void *ctx)
{
	take_out(ctx, true);
}

/* ---- pictures ---- */

static void tell_mode(struct viewer *v)
{
	const struct panel_mode *m = &v->now.mode;
	control_row(v->call);
	control_put_u64(v->call, "mode", v->now.mode_seq);
	control_put_u64(v->call, "width", m->width);
	control_put_u64(v->call, "height", m->height);
	control_put_u64(v->call, "format", m->format);
	control_put_u64(v->call, "aspect_x", m->aspect_x);
	control_put_u64(v->call, "aspect_y", m->aspect_y);
	control_put_flag(v->call, "grab", m->grab);
	control_put_u64(v->call, "rate", m->rate);
	control_put_u64(v->call, "channels", m->channels);
	control_put_str(v->call, "title", m->title);
	control_row_end(v->call);
	v->told_mode_seq = v->now.mode_seq;
}

/* A row of pixels as it is sent: XRGB is in the machine's order, which is little-endian everywhere we run. */
static size_t pitch(const struct viewer *v)
{
	return v->now.size_bytes / v->now.mode.height;
}

static bool row_changed(const struct viewer *v, uint32_t y)
{
	size_t p = pitch(v);
	return !v->sent || memcmp(v->sent + y * p, v->now.pixels + y * p, p) != 0;
}

/* The end of the run of changed rows that begins at y: small gaps included, no larger than a piece may be. */
static uint32_t band_end(const struct viewer *v, uint32_t y)
{
	uint32_t most = (uint32_t)(VIEWER_PIECE_MAX / pitch(v)), end = y + 1;
	for (uint32_t i = end; i < v->now.mode.height && i - y < most && i - end <= VIEWER_GAP_ROWS;
	     i++)
		if (row_changed(v, i))
			end = i + 1;
	return end;
}

static void put_palette(struct viewer *v)
{
	if (v->now.mode.format != WASMOS_INDEXED8 ||
	    (v->sent && !memcmp(v->sent_palette, v->now.palette, sizeof v->sent_palette)))
		return;
	control_put_bytes(v->call, "palette", v->now.palette, sizeof v->now.palette);
	memcpy(v->sent_palette, v->now.palette, sizeof v->sent_palette);
}

/* Each changed band is a row {"frame", "y", "rows", "data"}; the last row of a frame says so and may have no band. */
static void send_frame(struct viewer *v)
{
	uint32_t y = 0, height = v->now.mode.height;
	size_t p = pitch(v);
	bool first = true;
	do {
		while (y < height && !row_changed(v, y))
			y++;
		uint32_t end = y < height ? band_end(v, y) : y;
		control_row(v->call);
		control_put_u64(v->call, "frame", v->now.seq);
		if (first)
			put_palette(v);
		if (y < height) {
			control_put_u64(v->call, "y", y);
			control_put_u64(v->call, "rows", end - y);
			control_put_bytes(v->call, "data", v->now.pixels + y * p, (end - y) * p);
		} else {
			control_put_flag(v->call, "last", true);
		}
		control_row_end(v->call);
		first = false;
		y = y < height ? end : height + 1;
	} while (y <= height);
	v->ahead++;
	v->sent_seq = v->now.seq;
}

/* What the client has from now on. Without memory for it the next frame is whole again. */
static void remember(struct viewer *v, bool same_size)
{
	if (!v->sent || !same_size) {
		free(v->sent);
		v->sent = malloc(v->now.size_bytes);
	}
	if (v->sent)
		memcpy(v->sent, v->now.pixels, v->now.size_bytes);
}

/* The screen has another size: its frames are counted anew. */
static void forget_sent(struct viewer *v)
{
	free(v->sent);
	v->sent = NULL;
	v->sent_seq = v->acked_seq = 0;
	v->ahead = 0;
}

static bool may_send(const struct viewer *v)
{
	return v->ahead < (v->now.size_bytes >= VIEWER_BIG_FRAME ? 1 : VIEWER_AHEAD);
}

/* all: the client's acknowledgements are not waited for. */
static void show(struct viewer *v, bool all)
{
	struct panel_mode before = v->now.mode;
	if ((!all && !may_send(v)) || !screen_client_frame(v->client, &v->now))
		return;
	bool same = before.width == v->now.mode.width && before.height == v->now.mode.height &&
	            before.format == v->now.mode.format;
	if (v->told_mode_seq != v->now.mode_seq)
		tell_mode(v);
	if (!same)
		forget_sent(v);
	if (!v->now.seq || (same && v->sent && v->now.seq == v->sent_seq))
		return;
	send_frame(v);
	remember(v, same);
}

/* ---- sound ---- */

static void pull(struct viewer *v, uint64_t count)
{
	uint32_t channels = v->now.mode.channels;
	if (control_queued_bytes(v->call) > VIEWER_QUEUE_MAX)
		return; /* it asks and does not read */
	if (!count || !channels) {
		v->pulled_ms = 0;
		screen_client_pull_stop(v->client);
	}
	if (count > VIEWER_PULL_MAX)
		count = VIEWER_PULL_MAX;
	size_t size = (size_t)count * channels * sizeof(int16_t);
	int16_t *frames = size ? malloc(size) : NULL;
	if (frames) {
		v->pulled_ms = uv_now(&v->node->loop);
		screen_client_pull(v->client, frames, (uint32_t)count, channels);
	}
	control_row(v->call);
	control_put_bytes(v->call, "sound", frames, frames ? size : 0);
	control_row_end(v->call);
	free(frames);
}

static void on_timer(uv_timer_t *t)
{
	struct viewers *vs = t->data;
	for (struct viewer *v = vs->first; v; v = v->next)
		if (v->pulled_ms && uv_now(t->loop) - v->pulled_ms > VIEWER_PULL_SILENT_MS) {
			v->pulled_ms = 0;
			screen_client_pull_stop(v->client);
		}
	if (!vs->first)
		uv_timer_stop(t);
}

/* ---- the client's inputs ---- */

static void acknowledge(struct viewer *v, uint64_t seq)
{
	if (seq > v->sent_seq || seq <= v->acked_seq)
		return;
	v->acked_seq = seq;
	if (seq == v->sent_seq)
		v->ahead = 0;
	else if (v->ahead)
		v->ahead--;
	screen_client_shown(v->client, seq);
	show(v, false);
}

static int32_t number(struct control_call *c, const char *key)
{
	int64_t v;
	if (control_i64(c, key, &v) != ERR_OK || v < INT32_MIN || v > INT32_MAX)
		return 0;
	return (int32_t)v;
}

/* False: it is no event. */
static bool read_event(struct control_call *c, const char *name, struct wasmos_event *out)
{
	static const char *const names[] = {
	    [WASMOS_KEY] = "key",       [WASMOS_TEXT] = "text",   [WASMOS_POINTER] = "pointer",
	    [WASMOS_BUTTON] = "button", [WASMOS_WHEEL] = "wheel", [WASMOS_FOCUS] = "focus",
	    [WASMOS_QUIT] = "quit"};
	uint16_t type = 1;
	while (type < sizeof names / sizeof *names && strcmp(names[type], name) != 0)
		type++;
	*out = (struct wasmos_event){.type = type,
	                             .mods = (uint16_t)(control_u64_or(c, "mods", 0) & 15),
	                             .code = (uint32_t)number(c, "code"),
	                             .value = number(c, "value"),
	                             .x = number(c, "x"),
	                             .y = number(c, "y"),
	                             .dx = number(c, "dx"),
	                             .dy = number(c, "dy")};
	return type < sizeof names / sizeof *names;
}

/* Values that no person makes are not passed on. */
static bool event_is_good(const struct wasmos_event *e)
{
	switch (e->type) {
	case WASMOS_KEY: return e->code < PANEL_KEYS && e->value >= 0 && e->value <= WASMOS_REPEAT;
	case WASMOS_TEXT: return e->code < 0xd800 || (e->code >= 0xe000 && e->code <= 0x10ffff);
	case WASMOS_BUTTON: return e->code >= 1 && e->code <= 5 && (e->value & ~1) == 0;
	default: return true;
	}
}

static void on_input(void *ctx, struct control_call *c, const char *name)
{
	struct viewer *v = ctx;
	struct wasmos_event e;
	if (!strcmp(name, "shown")) {
		acknowledge(v, control_u64_or(c, "seq", 0));
	} else if (!strcmp(name, "pull")) {
		pull(v, control_u64_or(c, "frames", 0));
	} else if (!strcmp(name, "release")) {
		screen_client_release_keys(v->client);
	} else if (!strcmp(name, "detach")) {
		take_out(v, true);
		control_end(c, ERR_OK, NULL);
	} else if (read_event(c, name, &e) && event_is_good(&e)) {
		screen_client_event(v->client, &e);
	}
}

/* ---- start ---- */

static void wake(void *ctx)
{
	struct viewers *vs = ctx;
	uv_async_send(&vs->woken);
}

static void on_woken(uv_async_t *a)
{
	struct viewers *vs = a->data;
	for (struct viewer *v = vs->first; v; v = v->next)
		show(v, false);
}

/* The screen goes to somebody else. */
static void give_way(struct node *n, struct process *p)
{
	for (struct viewer *v = n->viewers->first, *next; v; v = next) {
		next = v->next;
		if (v->process != p)
			continue;
		struct control_call *c = v->call;
		take_out(v, true);
		control_fail(c, ERR_CLOSED, "another screen shows process %u now", p->pid);
	}
}

static struct viewer *new_viewer(struct process *p, struct control_call *c, bool every)
{
	struct viewer *v = calloc(1, sizeof *v);
	if (!v)
		return NULL;
	v->node = p->node;
	v->process = p;
	v->call = c;
	if (screen_client_new(every, wake, v->node->viewers, &v->client) != ERR_OK) {
		free(v);
		return NULL;
	}
	v->next = v->node->viewers->first;
	v->node->viewers->first = v;
	return v;
}

void control_screen(struct node *n, struct control_call *c)
{
	struct process *p = control_arg_process(c);
	struct errmsg msg = {0};
	if (!p)
		return;
	if (!drivers_of(p)) {
		control_fail(c, ERR_STATE, "process %u does not run", p->pid);
		return;
	}
	give_way(n, p);
	struct viewer *v = new_viewer(p, c, control_flag(c, "every"));
	enum err e = v ? drivers_attach_client(drivers_of(p), v->client, &msg) : ERR_NOMEM;
	if (e != ERR_OK) {
		if (v)
			take_out(v, false);
		control_end(c, e, &msg);
		return;
	}
	control_row(c);
	control_put_u64(c, "pid", p->pid);
	control_put_str(c, "name", p->name);
	control_row_end(c);
	uv_timer_start(&n->viewers->timer, on_timer, VIEWER_PULL_SILENT_MS, VIEWER_PULL_SILENT_MS);
	control_on_gone(c, on_gone, v);
	show(v, false);
	control_on_input(c, on_input, v); /* may end it at once */
}

/* ---- the process's events ---- */

static void on_ended(struct viewer *v)
{
	struct control_call *c = v->call;
	struct process *p = v->process;
	show(v, true);
	control_row(c);
	control_put_u64(c, "exit", (uint64_t)p->end.status);
	control_put_str(c, "state", process_state_text(p));
	control_put_str(c, "text", p->end.text);
	control_row_end(c);
	take_out(v, false);
	control_end(c, ERR_OK, NULL);
}

/* To another device, or to sleep on the disk. */
static void on_left(struct viewer *v)
{
	struct control_call *c = v->call;
	struct peer *to = peer_by_id(v->node, v->process->gone_to);
	show(v, true);
	control_row(c);
	control_put_str(c, "left", to ? peer_name(to) : "");
	control_row_end(c);
	take_out(v, false);
	control_end(c, ERR_OK, NULL);
}

static void on_process(void *ctx, struct process *p, enum process_event ev)
{
	struct viewers *vs = ctx;
	for (struct viewer *v = vs->first, *next; v; v = next) {
		next = v->next;
		if (v->process == p && ev == PROCESS_EVENT_ENDED)
			on_ended(v);
		else if (v->process == p && ev == PROCESS_EVENT_GONE)
			on_left(v);
	}
}

/* ---- the part ---- */

enum err viewers_open(struct node *n, struct errmsg *msg)
{
	struct viewers *vs = calloc(1, sizeof *vs);
	enum err e = vs ? process_subscribe(n, on_process, vs) : ERR_NOMEM;
	if (e != ERR_OK || uv_async_init(&n->loop, &vs->woken, on_woken) != 0) {
		free(vs);
		return err_set(msg, e != ERR_OK ? e : ERR_IO, "screens of clients: %s",
		               err_text(e));
	}
	uv_timer_init(&n->loop, &vs->timer);
	vs->woken.data = vs->timer.data = vs;
	vs->handles = 2;
	vs->node = n;
	n->viewers = vs;
	return ERR_OK;
}

static void handle_closed(uv_handle_t *h)
{
	struct viewers *vs = h->data;
	if (!--vs->handles)
		free(vs);
}

/* The control socket closed before: no call is left. */
void viewers_close(struct node *n)
{
	struct viewers *vs = n->viewers;
	while (vs->first)
		take_out(vs->first, true);
	uv_close((uv_handle_t *)&vs->woken, handle_closed);
	uv_close((uv_handle_t *)&vs->timer, handle_closed);
	n->viewers = NULL;
}
