/* client.c - the connection to the node: requests out, rows in; and starting a node when there is none. */
#include "shell/internal.h"

#include "base/os_thread.h"
#include "shell/system.h"

#include <stdlib.h>
#include <string.h>

enum { START_MAX_MS = 10000, START_STEP_MS = 5, START_AGAIN_MS = 200 };

static int make_client(struct shell *sh, struct wire *wire, struct client **out)
{
	struct client *c = calloc(1, sizeof *c);
	if (!c) {
		wire_close(wire);
		return shell_fail(sh, "out of memory");
	}
	c->shell = sh;
	c->wire = wire;
	*out = c;
	return 0;
}

int client_open(struct shell *sh, struct client **out)
{
	struct errmsg msg = {0};
	enum err e;
	struct wire *wire = wire_connect(sh->home, &msg, &e);
	if (wire)
		return make_client(sh, wire, out);
	if (e == ERR_NOTFOUND)
		return shell_fail(sh, "no node is up in %s: `wasmos up` starts one", sh->home);
	return shell_fail(sh, "%s", msg.text);
}

int client_open_or_start(struct shell *sh, struct client **out)
{
	enum err e;
	struct wire *wire = wire_connect(sh->home, NULL, &e);
	/* Another command may be starting the node at this very moment, or a node that was killed may not be quite
	 * gone: then it is tried again. */
	for (int ms = 0; !wire && ms < START_MAX_MS; ms += START_STEP_MS) {
		if (ms % START_AGAIN_MS == 0 && !system_run_up(sh, sh->home))
			return 1;
		wire = wire_connect(sh->home, NULL, &e);
		if (!wire)
			os_sleep_ns(START_STEP_MS * UINT64_C(1000000));
	}
	return wire ? make_client(sh, wire, out) : client_open(sh, out);
}

static int open_about(struct shell *sh, const char *name, const char *number, struct client **out)
{
	uint64_t pid;
	if (!options_pid(sh, number, &pid))
		return 2;
	if (client_open(sh, out) != 0)
		return 1;
	client_request(*out, name);
	client_put_u64(*out, "pid", pid);
	return 0;
}

int client_open_pid(struct shell *sh, const char *name, struct client **out)
{
	return open_about(sh, name, shell_arg(sh, 0), out);
}

int client_open_place(struct shell *sh, const char *name, struct client **out)
{
	const char *place = shell_arg(sh, 0), *colon = strrchr(place, ':');
	char peer[256];
	size_t size = colon ? (size_t)(colon - place) : 0;
	if (!colon)
		return client_open_pid(sh, name, out);
	if (!size || size >= sizeof peer)
		return shell_usage(sh, "\"%s\" is no DEVICE:PID", place);
	memcpy(peer, place, size);
	peer[size] = 0;
	int status = open_about(sh, name, colon + 1, out);
	if (!status)
		client_put_str(*out, "peer", peer);
	return status;
}

void client_close(struct client *c)
{
	busy_end(&c->busy);
	wire_close(c->wire);
	control_values_free(&c->row);
	control_map_free(&c->request);
	wr_free(&c->in);
	wr_free(&c->out);
	free(c);
}

/* ---- out ---- */

void client_request(struct client *c, const char *name)
{
	control_map_text(&c->request, "request", name);
}

void client_put_u64(struct client *c, const char *key, uint64_t v)
{
	control_map_u64(&c->request, key, v);
}

void client_put_str(struct client *c, const char *key, const char *v)
{
	control_map_text(&c->request, key, v);
}

void client_put_flag(struct client *c, const char *key, bool v)
{
	control_map_flag(&c->request, key, v);
}

void client_put_bytes(struct client *c, const char *key, const void *bytes, size_t size)
{
	control_map_bytes(&c->request, key, bytes, size);
}

void client_put_list(struct client *c, const char *key, const char *const *v, uint32_t count)
{
	control_map_list(&c->request, key, v, count);
}

int client_encode(struct client *c)
{
	enum err e = control_map_frame(&c->request, &c->out);
	if (e == ERR_LIMIT)
		return shell_fail(c->shell, "the request is too long: at most %d bytes",
		                  CONTROL_FRAME_MAX);
	return e == ERR_OK ? 0 : shell_fail(c->shell, "out of memory");
}

static int gone(struct client *c)
{
	return shell_fail(c->shell, "the node in %s went away; %s/log may say why", c->shell->home,
	                  c->shell->home);
}

int client_flush(struct client *c)
{
	bool sent = wire_send(c->wire, c->out.data, c->out.size);
	wr_clear(&c->out);
	return sent ? 0 : 1;
}

/* ---- in ---- */

bool client_read(struct client *c)
{
	if (c->in_start == c->in.size) {
		wr_clear(&c->in);
		c->in_start = 0;
	} else if (c->in_start > 1 << 20) {
		memmove(c->in.data, c->in.data + c->in_start, c->in.size - c->in_start);
		c->in.size -= c->in_start;
		c->in_start = 0;
	}
	char buf[65536];
	size_t n = wire_receive(c->wire, buf, sizeof buf);
	wr_bytes(&c->in, buf, n);
	return n && wr_ok(&c->in);
}

int client_take(struct client *c)
{
	if (c->in_start == c->in.size)
		return 0;
	struct rd in = rd_of(c->in.data + c->in_start, c->in.size - c->in_start), body;
	enum err e = control_frame_next(&in, &body);
	if (e == ERR_AGAIN)
		return 0;
	control_values_free(&c->row);
	if (e == ERR_OK)
		e = control_values_read(body, &c->row);
	if (e != ERR_OK) {
		shell_fail(c->shell, "the node's answer makes no sense: %s", err_text(e));
		return -1;
	}
	c->in_start += rd_offset(&in);
	return 1;
}

/* Connecting alone says nothing: a node that was just killed is connected to as well. */
bool client_is_up(struct shell *sh)
{
	enum err e;
	struct client c = {.shell = sh, .wire = wire_connect(sh->home, NULL, &e)};
	bool up = false;
	if (!c.wire)
		return false;
	client_request(&c, "status");
	if (client_encode(&c) == 0 && client_flush(&c) == 0)
		up = client_read(&c);
	wire_close(c.wire);
	control_map_free(&c.request);
	wr_free(&c.in);
	wr_free(&c.out);
	return up;
}

bool client_is_end(struct client *c, int *status)
{
	const char *end = row_str(c, "end");
	if (!end)
		return false;
	*status = !strcmp(end, "OK") ? 0 : !strcmp(end, "USAGE") ? 2 : 1;
	const char *text = row_str(c, "text");
	if (*status == 2)
		shell_usage(c->shell, "%s", text ? text : end);
	else if (*status)
		shell_fail(c->shell, "%s", text ? text : end);
	return true;
}

int client_next(struct shell *sh, struct client *c, int *status)
{
	*status = 1;
	if (c->request.count && (client_encode(c) != 0 || client_flush(c) != 0)) {
		gone(c);
		return 0;
	}
	for (;;) {
		int n = client_take(c);
		if (n)
			busy_end(&c->busy);
		if (n < 0 || (n > 0 && client_is_end(c, status)))
			return 0;
		if (n > 0)
			return 1;
		if (!client_read(c)) {
			busy_end(&c->busy);
			gone(c);
			return 0;
		}
	}
}
