/* host_terminal.c - the host half that draws a panel into a terminal, two pixels a character cell.
 *
 * A cell shows an upper half block: its foreground is the upper pixel, its background the lower one. The
 * frame is averaged down to the cells it gets, and only cells that changed are sent. A view has a
 * thread; the terminal itself is a struct host_tty of the node (a file descriptor, or someone who is
 * attached over the control socket or a link).
 */
#include "node/drivers/host.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "node/drivers/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COLUMNS_MAX = 500,
	ROWS_MAX = 300,
	INPUT_MAX = 4096,
	CELL_BYTES_MAX = 64,    /* place, two colours, the block */
	COLOUR_MASK = 0xf8f8f8, /* finer steps are not seen, and would be sent */
};

#define RETRY_NS UINT64_C(4000000)
#define LOOK_NS UINT64_C(250000000) /* how often the size is asked for */
#define GOODBYE_NS UINT64_C(500000000)

/* Alternate screen, no cursor, mouse buttons, kitty's keys (disambiguate, releases, all as escape
 * codes) and the question whether the terminal knows them; then a clear screen. */
static const char hello[] =
    "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[>11u\x1b[?u\x1b[0m\x1b[2J";
static const char goodbye[] = "\x1b[0m\x1b[<u\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";

struct cell {
	uint32_t upper, lower; /* xrgb */
};

struct terminal {
	struct host_tty tty;
	struct panel *panel;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* under the lock */
	bool changed, closing, frozen;
	uint8_t input[INPUT_MAX];
	size_t ninput;
	/* the thread's own */
	struct keys keys;
	struct panel_frame frame;
	uint64_t shown_seq;
	uint16_t columns, rows;
	struct cell *cells; /* as the terminal shows them; columns * rows */
	bool cells_known;
	bool greeted;     /* the terminal is ours */
	uint32_t *pixels; /* the picture, averaged */
	uint32_t *row_pixels;
	uint32_t left, top, width, height; /* where the picture is: cells left, pixels else */
	uint8_t *out;
	size_t nout, sent;
	uint64_t looked_ns;
};

/* ---- output ---- */

static void put(struct terminal *t, const char *text)
{
	size_t size = strlen(text);

	memcpy(t->out + t->nout, text, size);
	t->nout += size;
}

/* Nearest of xterm's 6 x 6 x 6 colours. */
static unsigned colour_256(uint32_t c)
{
	unsigned r = c >> 16 & 255, g = c >> 8 & 255, b = c & 255;

	return 16 + 36 * ((r * 5 + 127) / 255) + 6 * ((g * 5 + 127) / 255) + (b * 5 + 127) / 255;
}

static void put_colour(struct terminal *t, int what, uint32_t c)
{
	char text[40];

	if (t->tty.colours_256)
		snprintf(text, sizeof(text), "\x1b[%d;5;%um", what, colour_256(c));
	else
		snprintf(text, sizeof(text), "\x1b[%d;2;%u;%u;%um", what, c >> 16 & 255,
		         c >> 8 & 255, c & 255);
	put(t, text);
}

/* Sends what is left of out; false when the terminal has no room now. */
static bool flush(struct terminal *t)
{
	while (t->sent < t->nout) {
		size_t took = t->tty.write(t->tty.ctx, t->out + t->sent, t->nout - t->sent);
		if (took == 0)
			return false;
		t->sent += took;
	}
	t->sent = t->nout = 0;
	return true;
}

/* ---- the picture ---- */

/* The largest rectangle of the frame's shape; a pixel is as wide as it is high. */
static void place_picture(struct terminal *t)
{
	const struct panel_mode *m = &t->frame.mode;
	uint64_t shape_x = m->aspect_x ? m->aspect_x : m->width;
	uint64_t shape_y = m->aspect_y ? m->aspect_y : m->height;
	uint64_t width = t->columns, height = t->rows * 2u;

	if (width * shape_y > height * shape_x)
		width = height * shape_x / shape_y;
	else
		height = width * shape_y / shape_x;
	t->width = width > 0 ? (uint32_t)width : 1;
	t->height = height > 2 ? (uint32_t)height & ~1u : 2;
	t->left = (t->columns - t->width) / 2;
	t->top = (t->rows * 2u - t->height) / 2 & ~1u;
}

/* Adds row y of the frame to the sums (red, green, blue, count) of the picture's columns. */
static void add_row(struct terminal *t, uint32_t y, uint32_t *sums)
{
	uint32_t source = t->frame.mode.width;

	panel_frame_row(&t->frame, y, t->row_pixels);
	for (uint32_t x = 0; x < t->width; x++) {
		uint32_t from = (uint32_t)((uint64_t)x * source / t->width);
		uint32_t to = (uint32_t)((uint64_t)(x + 1) * source / t->width);
		for (uint32_t i = from; i < (to > from ? to : from + 1); i++) {
			sums[x * 4] += t->row_pixels[i] >> 16 & 255;
			sums[x * 4 + 1] += t->row_pixels[i] >> 8 & 255;
			sums[x * 4 + 2] += t->row_pixels[i] & 255;
			sums[x * 4 + 3]++;
		}
	}
}

static void average(struct terminal *t)
{
	uint32_t source = t->frame.mode.height;
	uint32_t sums[COLUMNS_MAX * 4];

	for (uint32_t y = 0; y < t->height; y++) {
		uint32_t from = (uint32_t)((uint64_t)y * source / t->height);
		uint32_t to = (uint32_t)((uint64_t)(y + 1) * source / t->height);
		memset(sums, 0, t->width * 4 * sizeof(sums[0]));
		for (uint32_t i = from; i < (to > from ? to : from + 1); i++)
			add_row(t, i, sums);
		for (uint32_t x = 0; x < t->width; x++) {
			const uint32_t *s = &sums[x * 4];
			t->pixels[y * t->width + x] =
			    (s[0] / s[3] << 16 | s[1] / s[3] << 8 | s[2] / s[3]) & COLOUR_MASK;
		}
	}
}

static void draw_cells(struct terminal *t)
{
	uint32_t at_x = UINT32_MAX, at_y = UINT32_MAX, upper = UINT32_MAX, lower = UINT32_MAX;
	char text[32];

	for (uint32_t y = 0; y < t->height; y += 2) {
		for (uint32_t x = 0; x < t->width; x++) {
			struct cell new = {t->pixels[y * t->width + x],
			                   t->pixels[(y + 1) * t->width + x]};
			uint32_t row = (t->top + y) / 2, column = t->left + x;
			struct cell *old = &t->cells[row * t->columns + column];
			if (t->cells_known && old->upper == new.upper && old->lower == new.lower)
				continue;
			*old = new;
			if (at_x != column || at_y != row) {
				snprintf(text, sizeof(text), "\x1b[%u;%uH", row + 1, column + 1);
				put(t, text);
			}
			if (upper != new.upper)
				put_colour(t, 38, upper = new.upper);
			if (lower != new.lower)
				put_colour(t, 48, lower = new.lower);
			put(t, "\xe2\x96\x80");
			at_x = column + 1;
			at_y = row;
		}
	}
	t->cells_known = true;
}

/* New memory for a new size of the terminal or the frame. */
static bool resize(struct terminal *t, uint16_t columns, uint16_t rows)
{
	size_t cells = (size_t)columns * rows;

	free(t->cells);
	free(t->pixels);
	free(t->out);
	t->cells = calloc(cells, sizeof(*t->cells));
	t->pixels = calloc(cells * 2, sizeof(*t->pixels));
	t->out = malloc(cells * CELL_BYTES_MAX + 256);
	t->nout = t->sent = 0;
	t->cells_known = false;
	t->columns = t->cells && t->pixels && t->out ? columns : 0;
	t->rows = t->columns ? rows : 0;
	if (t->columns > 0)
		put(t, "\x1b[0m\x1b[2J");
	return t->columns > 0;
}

/* All of it, unless the terminal does not take it for half a second. */
static void write_all(const struct host_tty *tty, const uint8_t *bytes, size_t size)
{
	uint64_t end_ns = os_monotonic_ns() + GOODBYE_NS;

	while (size > 0 && os_monotonic_ns() < end_ns) {
		size_t took = tty->write(tty->ctx, bytes, size);
		bytes += took;
		size -= took;
		if (took == 0)
			os_sleep_ns(RETRY_NS);
	}
}

/* Someone came to look: the terminal becomes a screen. */
static void greet(struct terminal *t)
{
	if (t->tty.set_raw != NULL)
		t->tty.set_raw(t->tty.ctx, true);
	write_all(&t->tty, (const uint8_t *)hello, sizeof(hello) - 1);
	t->nout = t->sent = 0;
	t->cells_known = false;
	t->greeted = true;
}

static bool set_size(struct terminal *t, uint16_t columns, uint16_t rows)
{
	if (columns == 0 || rows == 0) {
		columns = 80;
		rows = 24;
	}
	if (columns > COLUMNS_MAX)
		columns = COLUMNS_MAX;
	if (rows > ROWS_MAX)
		rows = ROWS_MAX;
	if (columns == t->columns && rows == t->rows)
		return true;
	return resize(t, columns, rows);
}

static bool look_at_size(struct terminal *t, uint64_t now_ns)
{
	uint16_t columns = 0, rows = 0;

	if (t->looked_ns != 0 && now_ns - t->looked_ns < LOOK_NS)
		return t->greeted && t->columns > 0;
	t->looked_ns = now_ns;
	if (t->tty.size != NULL && !t->tty.size(t->tty.ctx, &columns, &rows)) {
		t->greeted = false;
		return false;
	}
	if (!t->greeted)
		greet(t);
	return set_size(t, columns, rows);
}

static void draw(struct terminal *t, uint64_t now_ns)
{
	uint64_t mode_seq = t->frame.mode_seq;

	if (!look_at_size(t, now_ns) || !flush(t))
		return;
	panel_frame(t->panel, &t->frame);
	if (t->frame.seq == 0 || (t->frame.seq == t->shown_seq && t->cells_known))
		return;
	if (mode_seq != t->frame.mode_seq || t->row_pixels == NULL) {
		free(t->row_pixels);
		t->row_pixels = calloc(t->frame.mode.width, sizeof(*t->row_pixels));
		t->cells_known = false;
		put(t, "\x1b[0m\x1b[2J");
	}
	if (t->row_pixels == NULL)
		return;
	place_picture(t);
	average(t);
	put(t, "\x1b[?2026h");
	draw_cells(t);
	put(t, "\x1b[?2026l");
	t->shown_seq = t->frame.seq;
	flush(t);
	panel_shown(t->panel, t->shown_seq);
}

/* ---- input ---- */

static void key(void *ctx, const struct wasmos_event *e)
{
	struct terminal *t = ctx;

	panel_event(t->panel, e);
}

static void take_input(struct terminal *t, uint64_t now_ns)
{
	uint8_t bytes[INPUT_MAX];

	pthread_mutex_lock(&t->lock);
	size_t size = t->ninput;
	memcpy(bytes, t->input, size);
	t->ninput = 0;
	pthread_mutex_unlock(&t->lock);
	keys_bytes(&t->keys, bytes, size, now_ns);
	keys_time(&t->keys, now_ns);
	if (t->keys.interrupts >= 2 && t->tty.interrupt != NULL) {
		t->keys.interrupts = 0;
		t->tty.interrupt(t->tty.ctx);
	}
}

static bool terminal_tty_input(void *state, const uint8_t *bytes, size_t size)
{
	struct terminal *t = state;

	pthread_mutex_lock(&t->lock);
	if (size > INPUT_MAX - t->ninput)
		size = INPUT_MAX - t->ninput;
	memcpy(t->input + t->ninput, bytes, size);
	t->ninput += size;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	return true;
}

/* ---- the thread ---- */

static void terminal_changed(void *ctx)
{
	struct terminal *t = ctx;

	pthread_mutex_lock(&t->lock);
	t->changed = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

/* Until something is to be done. False when the view is over. */
static bool wait_for_work(struct terminal *t)
{
	uint64_t until_ns = keys_due_ns(&t->keys), now_ns = os_monotonic_ns();
	uint64_t look_ns = now_ns + (t->sent < t->nout ? RETRY_NS : LOOK_NS);

	if (look_ns < until_ns)
		until_ns = look_ns;
	pthread_mutex_lock(&t->lock);
	while (!t->changed && !t->closing && t->ninput == 0)
		if (!os_cond_wait(&t->wake, &t->lock, until_ns))
			break;
	t->changed = false;
	bool goes_on = !t->closing;
	pthread_mutex_unlock(&t->lock);
	return goes_on;
}

static void *terminal_thread(void *arg)
{
	struct terminal *t = arg;

	do {
		uint64_t now_ns = os_monotonic_ns();
		take_input(t, now_ns);
		draw(t, now_ns);
	} while (wait_for_work(t));
	return NULL;
}

/* ---- the view ---- */

void terminal_give_back(const struct host_tty *tty)
{
	write_all(tty, (const uint8_t *)goodbye, sizeof(goodbye) - 1);
	if (tty->set_raw != NULL)
		tty->set_raw(tty->ctx, false);
}

static enum err terminal_open(void *service, const struct host_tty *tty, struct panel *panel,
                              void **state, struct errmsg *msg)
{
	struct terminal *t;

	if (tty == NULL || tty->write == NULL)
		return err_set(msg, ERR_NOTFOUND, "the process has no terminal");
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return err_set(msg, ERR_NOMEM, "out of memory for a terminal");
	t->tty = *tty;
	t->panel = panel;
	keys_init(&t->keys, key, t);
	pthread_mutex_init(&t->lock, NULL);
	os_cond_init(&t->wake);
	panel_refresh(panel, 0, 0);
	if (pthread_create(&t->thread, NULL, terminal_thread, t) != 0) {
		pthread_mutex_destroy(&t->lock);
		pthread_cond_destroy(&t->wake);
		free(t);
		return err_set(msg, ERR_LIMIT, "no thread for a terminal");
	}
	panel_watch(panel, terminal_changed, t);
	*state = t;
	return ERR_OK;
}

static void stop_thread(struct terminal *t)
{
	panel_unwatch(t->panel, t);
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
}

static void terminal_freeze(void *state)
{
	struct terminal *t = state;

	stop_thread(t);
	t->frozen = true;
}

static void terminal_close(void *state)
{
	struct terminal *t = state;

	if (!t->frozen) {
		stop_thread(t);
		write_all(&t->tty, t->out + t->sent, t->nout - t->sent);
		if (t->greeted)
			terminal_give_back(&t->tty);
	}
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->wake);
	panel_frame_free(&t->frame);
	free(t->cells);
	free(t->pixels);
	free(t->row_pixels);
	free(t->out);
	free(t);
}

const struct host_ops host_terminal = {
    .name = "terminal",
    .open = terminal_open,
    .freeze = terminal_freeze,
    .close = terminal_close,
    .tty_input = terminal_tty_input,
};
