/* test_terminal.c - the terminal as a screen: what is drawn, and what bytes from it mean. */
#include "node/drivers/host.h"
#include "node/drivers/keys.h"

#include "base/os.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- keys ---- */

struct log {
	char text[1024];
};

static void note(void *ctx, const struct wasmos_event *e)
{
	struct log *l = ctx;
	static const char *const values[] = {"up", "down", "repeat"};
	char line[64] = "";

	if (e->type == WASMOS_KEY)
		snprintf(line, sizeof(line), "%s %u%s;", values[e->value], e->code,
		         e->mods & WASMOS_CTRL ? "+ctrl" : "");
	else if (e->type == WASMOS_TEXT)
		snprintf(line, sizeof(line), "text %x;", e->code);
	else if (e->type == WASMOS_BUTTON)
		snprintf(line, sizeof(line), "button %u %d;", e->code, e->value);
	else if (e->type == WASMOS_QUIT)
		snprintf(line, sizeof(line), "quit;");
	strncat(l->text, line, sizeof(l->text) - strlen(l->text) - 1);
}

/* What the bytes mean, and after that what a second of silence does. */
static const char *keys_of(const char *bytes, bool releases)
{
	static struct log l;
	struct keys k;

	l.text[0] = '\0';
	keys_init(&k, note, &l);
	k.has_releases = releases;
	keys_bytes(&k, (const uint8_t *)bytes, strlen(bytes), 1000);
	if (!releases)
		strcat(l.text, "| ");
	keys_time(&k, 1000000000);
	cr_assert_eq(keys_due_ns(&k), UINT64_MAX);
	return l.text;
}

Test(keys, a_letter_is_a_key_its_text_and_in_time_its_release)
{
	cr_assert_str_eq(keys_of("a", false), "down 4;text 61;| up 4;");
	cr_assert_str_eq(keys_of("\xc3\xa9", false), "text e9;| ");
	cr_assert_str_eq(keys_of(" ", false), "down 44;text 20;| up 44;");
	cr_assert_str_eq(keys_of("\r", false), "down 40;| up 40;");
}

Test(keys, an_escape_alone_is_the_key_and_with_more_a_sequence)
{
	cr_assert_str_eq(keys_of("\x1b", false), "| down 41;up 41;");
	cr_assert_str_eq(keys_of("\x1b[A", false), "down 82;| up 82;");
	cr_assert_str_eq(keys_of("\x1bOB", false), "down 81;| up 81;");
	cr_assert_str_eq(keys_of("\x1b[15~", false), "down 62;| up 62;");
	cr_assert_str_eq(keys_of("\x1b[1;5C", false), "down 224+ctrl;down 79+ctrl;| up 79;up 224;");
}

Test(keys, a_terminal_that_tells_releases_is_believed)
{
	cr_assert_str_eq(keys_of("\x1b[97;1:1u\x1b[97;1:2u\x1b[97;1:3u", true),
	                 "down 4;text 61;repeat 4;text 61;up 4;");
	cr_assert_str_eq(keys_of("\x1b[57442;5:1u\x1b[57442;1:3u", true), "down 224+ctrl;up 224;");
	cr_assert_str_eq(keys_of("\x1b[1;1:1A\x1b[1;1:3A", true), "down 82;up 82;");
}

Test(keys, the_answer_to_the_question_turns_releases_on)
{
	struct log l = {0};
	struct keys k;

	keys_init(&k, note, &l);
	keys_bytes(&k, (const uint8_t *)"\x1b[?11u", 6, 0);
	cr_assert(k.has_releases);
	cr_assert_str_empty(l.text);
}

Test(keys, the_mouse_has_buttons)
{
	cr_assert_str_eq(keys_of("\x1b[<0;10;5M\x1b[<0;10;5m", false), "button 1 1;button 1 0;| ");
}

Test(keys, control_c_asks_to_quit)
{
	cr_assert_str_eq(keys_of("\x03", false), "quit;| ");
	cr_assert_str_eq(keys_of("\x1b[99;5u", true), "quit;");
}

Test(keys, garbage_is_passed_over)
{
	cr_assert_str_eq(keys_of("\x1b[999999999999;;;:::;99~\xff\x80\x1b[!!!z", false), "| ");
}

/* ---- drawing ---- */

struct screen {
	pthread_mutex_t lock;
	uint8_t bytes[1 << 16];
	size_t size;
	bool raw, full;
};

static size_t screen_write(void *ctx, const uint8_t *bytes, size_t size)
{
	struct screen *s = ctx;

	pthread_mutex_lock(&s->lock);
	if (s->full || size > sizeof(s->bytes) - s->size)
		size = 0;
	memcpy(s->bytes + s->size, bytes, size);
	s->size += size;
	pthread_mutex_unlock(&s->lock);
	return size;
}

static bool screen_size(void *ctx, uint16_t *columns, uint16_t *rows)
{
	*columns = 8;
	*rows = 4;
	return true;
}

static void screen_raw(void *ctx, bool raw)
{
	((struct screen *)ctx)->raw = raw;
}

static size_t size_of(struct screen *s)
{
	pthread_mutex_lock(&s->lock);
	size_t size = s->size;
	pthread_mutex_unlock(&s->lock);
	return size;
}

static unsigned count(struct screen *s, const char *what, size_t from)
{
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = from; i + strlen(what) <= s->size; i++)
		n += memcmp(s->bytes + i, what, strlen(what)) == 0;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* Until the terminal got what n times, at most 5 s; the times it did. */
static unsigned wait_for(struct screen *s, const char *what, size_t from, unsigned n)
{
	for (int i = 0; i < 500 && count(s, what, from) < n; i++)
		usleep(10000);
	return count(s, what, from);
}

Test(terminal, draws_all_cells_once_and_then_those_that_change)
{
	static struct screen s = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct host_tty tty = {
	    .write = screen_write, .size = screen_size, .set_raw = screen_raw, .ctx = &s};
	struct panel_mode mode = {.width = 8, .height = 8, .format = WASMOS_XRGB8888};
	uint32_t pixels[64] = {0};
	struct hosts *hosts;
	struct panel *p;
	struct view *v;
	size_t seen;

	cr_assert_eq(hosts_new(&(struct hosts_config){0}, &hosts), ERR_OK);
	cr_assert_eq(panel_new(&(struct panel_hooks){0}, &p), ERR_OK);
	cr_assert_eq(panel_set_mode(p, &mode), ERR_OK);
	cr_assert_eq(view_open(hosts, SCREEN_AUTO, &tty, p, &v, NULL), ERR_OK);
	cr_assert_str_eq(view_host_name(v), "terminal");
	panel_present(p, (const uint8_t *)pixels, 32, NULL, 0);
	cr_assert_eq(wait_for(&s, "\xe2\x96\x80", 0, 32), 32);
	cr_assert_eq(wait_for(&s, "\x1b[?2026l", 0, 1), 1);
	cr_assert(s.raw);
	seen = size_of(&s);
	panel_present(p, (const uint8_t *)pixels, 32, NULL, 0);
	cr_assert_eq(wait_for(&s, "\x1b[?2026l", seen, 1), 1);
	cr_assert_eq(count(&s, "\xe2\x96\x80", seen), 0);
	pixels[9] = 0xff0000;
	seen = size_of(&s);
	panel_present(p, (const uint8_t *)pixels, 32, NULL, 0);
	cr_assert_eq(wait_for(&s, "\x1b[?2026l", seen, 1), 1);
	cr_assert_eq(count(&s, "\xe2\x96\x80", seen), 1);
	cr_assert_eq(count(&s, "248;0;0", seen), 1);
	view_close(v);
	cr_assert_not(s.raw);
	cr_assert_eq(count(&s, "\x1b[?1049l", 0), 1);
	panel_unref(p);
	hosts_free(hosts);
}
