/* terminal.c - one loop over the node, standard input and what happens to the terminal.
 *
 * At most WINDOW bytes of input are under way. */
#include "shell/terminal.h"

#include "shell/console.h"
#include "shell/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 64 * 1024, KEY_P = 'P' & 31, KEY_Q = 'Q' & 31 };

struct session {
	struct shell *shell;
	struct client *client;
	unsigned flags;
	struct console *console;
	bool input_over; /* nothing more will be read */
	bool held_p;     /* ^P was typed and not passed on yet */
	bool detached, interrupted;
	size_t under_way; /* input bytes the guest has not taken */
	uint64_t pid;
	char place[300]; /* what `attach` knows it by */
	int status;
};

void terminal_put_size(struct client *c)
{
	uint16_t cols, rows;
	if (!console_size(&cols, &rows))
		return;
	client_put_u64(c, "cols", cols);
	client_put_u64(c, "rows", rows);
}

/* ---- to the guest ---- */

static void input(struct session *s, const char *name)
{
	control_map_text(&s->client->request, "input", name);
}

static bool send_input(struct session *s)
{
	return client_encode(s->client) == 0 && client_flush(s->client) == 0;
}

static bool send_bytes(struct session *s, const char *bytes, size_t size)
{
	if (!size)
		return true;
	input(s, "bytes");
	client_put_bytes(s->client, "data", bytes, size);
	s->under_way += size;
	return send_input(s);
}

/* Takes the detach keys out of what was typed. Room for one byte more than size. */
static size_t look_for_detach(struct session *s, const char *in, size_t size, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < size && !s->detached; i++) {
		if (s->held_p && in[i] == KEY_Q) {
			s->detached = true;
			continue;
		}
		if (s->held_p)
			out[n++] = KEY_P;
		s->held_p = in[i] == KEY_P;
		if (!s->held_p)
			out[n++] = in[i];
	}
	return n;
}

static bool read_input(struct session *s)
{
	char buf[32768], out[32768 + 1];
	size_t room = WINDOW - s->under_way;
	long n = console_read(s->console, buf, room < sizeof buf ? room : sizeof buf);
	if (n == CONSOLE_NOTHING)
		return true;
	if (n <= 0) {
		/* ^D at a terminal is one end of file; a pipe's is for good. */
		s->input_over = !console_types(s->console) || n == CONSOLE_GONE;
		input(s, "eof");
		return send_input(s);
	}
	if (!console_types(s->console))
		return send_bytes(s, buf, (size_t)n);
	size_t size = look_for_detach(s, buf, (size_t)n, out);
	if (!send_bytes(s, out, size))
		return false;
	if (!s->detached)
		return true;
	input(s, "detach");
	return send_input(s);
}

static bool on_event(struct session *s, int event)
{
	uint16_t cols, rows;
	if (event == CONSOLE_RESIZED) {
		if (!console_size(&cols, &rows))
			return true;
		input(s, "size");
		terminal_put_size(s->client);
		return send_input(s);
	}
	if (s->flags & TERMINAL_ATTACHED && event != CONSOLE_INTERRUPT) {
		input(s, "detach");
		return send_input(s);
	}
	if (s->interrupted) { /* the node does not answer */
		s->status = 128 + event;
		return false;
	}
	s->interrupted = true;
	input(s, "signal");
	client_put_u64(s->client, "signal", (uint64_t)event);
	return send_input(s);
}

static bool read_events(struct session *s)
{
	int event;
	while ((event = console_event(s->console)))
		if (!on_event(s, event))
			return false;
	return true;
}

/* ---- from the guest ---- */

static void on_exit_row(struct session *s, uint64_t status)
{
	const char *state = row_str(s->client, "state"), *text = row_str(s->client, "text");
	bool shows =
	    s->flags & TERMINAL_FOLLOW; /* logs: the program's status is not the command's */
	s->status = shows ? 0 : (int)status;
	if (state && !strcmp(state, "trapped"))
		shell_fail(s->shell, "the program trapped: %s", text ? text : "");
	else if (state && !strcmp(state, "failed"))
		shell_fail(s->shell, "%s", text ? text : "the program failed");
	else if (state && !strcmp(state, "killed") && status == 137 && !shows)
		shell_fail(s->shell, "process %llu was killed", (unsigned long long)s->pid);
}

static void note_place(struct session *s, uint64_t pid)
{
	const char *peer = row_str(s->client, "peer");
	s->pid = pid;
	snprintf(s->place, sizeof s->place, "%s%s%llu", peer ? peer : "", peer ? ":" : "",
	         (unsigned long long)pid);
}

static void on_row(struct session *s)
{
	s->interrupted = false; /* the node answers, and the program goes on */
	size_t size;
	uint64_t n;
	const char *bytes = row_bytes(s->client, "out", &size);
	if (bytes)
		console_show(s->console, 1, bytes, size);
	bytes = row_bytes(s->client, "err", &size);
	if (bytes)
		console_show(s->console, 2, bytes, size);
	if (row_u64(s->client, "took", &n))
		s->under_way -= n < s->under_way ? n : s->under_way;
	if (control_values_find(&s->client->row, "raw"))
		console_set_raw(s->console, row_flag(s->client, "raw"));
	if (row_u64(s->client, "pid", &n))
		note_place(s, n);
	if (row_u64(s->client, "exit", &n))
		on_exit_row(s, n);
	const char *note = row_str(s->client, "note");
	if (note && console_is_terminal(2))
		fprintf(stderr, "\r\n[%s]\r\n", note);
	if (row_flag(s->client, "detached"))
		s->detached = true;
}

/* False: it is over. */
static bool read_rows(struct session *s)
{
	if (!client_read(s->client)) {
		s->status = shell_fail(s->shell, "the node in %s went away; %s/log may say why",
		                       s->shell->home, s->shell->home);
		return false;
	}
	for (;;) {
		int n = client_take(s->client), end;
		if (n == 0)
			return true;
		if (n > 0 && !client_is_end(s->client, &end)) {
			on_row(s);
			continue;
		}
		if (n < 0 || end)
			s->status = n < 0 ? 1 : end;
		return false;
	}
}

static bool wait_once(struct session *s)
{
	bool reads = !s->input_over && !s->detached && !(s->flags & TERMINAL_FOLLOW) &&
	             s->under_way < WINDOW;
	unsigned what = console_wait(s->console, s->client->wire, reads);
	if (what & CONSOLE_BROKEN)
		return false;
	if (what & CONSOLE_NODE && !read_rows(s))
		return false;
	if (what & CONSOLE_EVENT && !read_events(s))
		return false;
	/* A write that fails means that the node is gone; reading says so, and has what it said last. */
	if (what & CONSOLE_INPUT && !read_input(s))
		s->input_over = true;
	return true;
}

int terminal_session(struct shell *sh, struct client *c, unsigned flags)
{
	struct session s = {.shell = sh, .client = c, .flags = flags};
	if (flags & TERMINAL_ATTACHED)
		snprintf(s.place, sizeof s.place, "%s", shell_arg(sh, 0));
	if (client_encode(c) != 0 || client_flush(c) != 0) {
		client_close(c);
		return 1;
	}
	s.console = console_open(!(flags & TERMINAL_FOLLOW));
	if (!s.console) {
		client_close(c);
		return shell_fail(sh, "out of memory");
	}
	while (wait_once(&s))
		;
	console_close(s.console);
	if (s.detached && !s.status && console_is_terminal(2))
		fprintf(stderr, "\r\n[detached; `wasmos attach %s` comes back]\n", s.place);
	client_close(c);
	return s.status;
}
