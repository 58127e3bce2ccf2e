/* tty_line.c - a line that is being typed (tty_line.h). */
#include "node/terminal/tty_line.h"

#include <string.h>

enum { ICRNL = 0x100, INLCR = 0x40, IGNCR = 0x80 };
enum {
	ISIG = 1,
	ICANON = 2,
	ECHO = 8,
	ECHOE = 0x10,
	ECHOK = 0x20,
	ECHONL = 0x40,
	NOFLSH = 0x80,
	ECHOCTL = 0x200
};
enum { VINTR = 0, VQUIT = 1, VERASE = 2, VKILL = 3, VEOF = 4, VSUSP = 10, VEOL = 11, VWERASE = 14 };
enum { LINUX_INT = 2, LINUX_QUIT = 3, LINUX_TSTP = 20, BACKSPACE = 8 };

bool tty_line_edits(const struct tty_line_settings *s)
{
	return s->lflag & ICANON;
}

static void echo_bytes(struct tty_line_out *out, const char *bytes, size_t size)
{
	if (size > TTY_ECHO_MAX - out->echo)
		return;
	memcpy(out->echo_bytes + out->echo, bytes, size);
	out->echo += size;
}

static bool is_control(uint8_t key)
{
	return (key < ' ' && key != '\n' && key != '\t') || key == 127;
}

static void echo_key(const struct tty_line *l, uint8_t key, struct tty_line_out *out)
{
	char text[2] = {'^', (char)(key ^ 0x40)};
	if (!(l->set.lflag & ECHO) &&
	    !(key == '\n' && l->set.lflag & ECHONL && l->set.lflag & ICANON))
		return;
	if (is_control(key) && l->set.lflag & ECHOCTL)
		echo_bytes(out, text, 2);
	else
		echo_bytes(out, (const char *)&key, 1);
}

static bool is_key(const struct tty_line *l, int which, uint8_t key)
{
	return l->set.cc[which] && l->set.cc[which] == key;
}

/* ---- signals ---- */

static int signal_of(const struct tty_line *l, uint8_t key)
{
	if (!(l->set.lflag & ISIG))
		return 0;
	return is_key(l, VINTR, key)   ? LINUX_INT
	       : is_key(l, VQUIT, key) ? LINUX_QUIT
	       : is_key(l, VSUSP, key) ? LINUX_TSTP
	                               : 0;
}

static void take_signal(struct tty_line *l, uint8_t key, int signal, struct tty_line_out *out)
{
	echo_key(l, key, out);
	out->signal = signal;
	out->flush = !(l->set.lflag & NOFLSH);
	if (out->flush)
		l->size = 0;
}

/* ---- editing ---- */

/* The last character, all bytes of its UTF-8, and its cells on the screen (a control has two). */
static void erase_one(struct tty_line *l, struct tty_line_out *out)
{
	if (!l->size)
		return;
	while (l->size > 1 && (l->bytes[l->size - 1] & 0xc0) == 0x80)
		l->size--;
	uint8_t key = l->bytes[--l->size];
	if (!(l->set.lflag & ECHO))
		return;
	if (!(l->set.lflag & ECHOE)) {
		echo_key(l, l->set.cc[VERASE], out);
		return;
	}
	for (int cells = is_control(key) && l->set.lflag & ECHOCTL ? 2 : 1; cells; cells--)
		echo_bytes(out, "\b \b", 3);
}

static void erase_word(struct tty_line *l, struct tty_line_out *out)
{
	while (l->size && l->bytes[l->size - 1] == ' ')
		erase_one(l, out);
	while (l->size && l->bytes[l->size - 1] != ' ')
		erase_one(l, out);
}

static void end_line(struct tty_line *l, struct tty_line_out *out)
{
	memcpy(out->input_bytes, l->bytes, l->size);
	out->input = l->size;
	l->size = 0;
}

static void edit(struct tty_line *l, uint8_t key, struct tty_line_out *out)
{
	if (is_key(l, VERASE, key) || key == BACKSPACE) {
		erase_one(l, out);
	} else if (is_key(l, VWERASE, key)) {
		erase_word(l, out);
	} else if (is_key(l, VKILL, key)) {
		while (l->size)
			erase_one(l, out);
	} else if (is_key(l, VEOF, key)) {
		out->eof = !l->size;
		end_line(l, out);
	} else if (l->size < TTY_LINE_MAX - 1 || key == '\n') {
		l->bytes[l->size++] = key;
		echo_key(l, key, out);
		if (key == '\n' || is_key(l, VEOL, key))
			end_line(l, out);
	}
}

static bool translate(const struct tty_line *l, uint8_t *key)
{
	if (*key == '\r' && l->set.iflag & IGNCR)
		return false;
	if (*key == '\r' && l->set.iflag & ICRNL)
		*key = '\n';
	else if (*key == '\n' && l->set.iflag & INLCR)
		*key = '\r';
	return true;
}

void tty_line_key(struct tty_line *l, uint8_t key, struct tty_line_out *out)
{
	out->input = out->echo = 0;
	out->signal = 0;
	out->eof = out->flush = false;
	int signal = signal_of(l, key);
	if (signal) {
		take_signal(l, key, signal, out);
	} else if (translate(l, &key)) {
		if (tty_line_edits(&l->set)) {
			edit(l, key, out);
			return;
		}
		out->input_bytes[0] = key;
		out->input = 1;
		echo_key(l, key, out);
	}
}
