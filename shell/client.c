/* client.c - the connection to the node: requests out, rows in; and starting a node when there is none. */
#include "shell/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MAX_MS = 10000, START_STEP_MS = 5, START_AGAIN_MS = 200 };

/* -1 and errno. A home too long for a socket's name is reached through a descriptor. */
static int connect_socket(const char *home)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int size = snprintf(a.sun_path, sizeof a.sun_path, "%s/control", home);
	if (size < 0 || (size_t)size >= sizeof a.sun_path) {
		dir = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/control", dir);
	}
	int failed = connect(fd, (struct sockaddr *)&a, sizeof a), why = errno;
	if (dir >= 0)
		close(dir);
	if (!failed)
		return fd;
	close(fd);
	errno = why;
	return -1;
}

static int make_client(struct shell *sh, int fd, struct client **out)
{
	struct client *c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return shell_fail(sh, "out of memory");
	}
	c->shell = sh;
	c->fd = fd;
	*out = c;
	return 0;
}

int client_open(struct shell *sh, struct client **out)
{
	int fd = connect_socket(sh->home);
	if (fd >= 0)
		return make_client(sh, fd, out);
	if (errno == ENOENT || errno == ECONNREFUSED)
		return shell_fail(sh, "no node is up in %s: `wasmos up` starts one", sh->home);
	return shell_fail(sh, "%s/control: %s", sh->home, strerror(errno));
}

/* `wasmos up` in a process of its own: it says itself why it failed. */
static int start_node(struct shell *sh)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return shell_fail(sh, "cannot find this program: %s", strerror(errno));
	self[n] = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, "wasmos", "up", "--quiet", "--home", sh->home, (char *)NULL);
		_exit(127);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return shell_fail(sh, "the node cannot be started: %s", strerror(errno));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int client_open_or_start(struct shell *sh, struct client **out)
{
	int fd = connect_socket(sh->home);
	/* Another command may be starting the node at this very moment, or a node that was killed may not be quite
	 * gone: then it is tried again. */
	for (int ms = 0; fd < 0 && ms < START_MAX_MS; ms += START_STEP_MS) {
		if (ms % START_AGAIN_MS == 0 && start_node(sh) != 0)
			return 1;
		fd = connect_socket(sh->home);
		if (fd < 0)
			nanosleep(&(struct timespec){.tv_nsec = START_STEP_MS * 1000000}, NULL);
	}
	return fd >= 0 ? make_client(sh, fd, out) : client_open(sh, out);
}

int client_open_pid(struct shell *sh, const char *name, struct client **out)
{
	uint64_t pid;
	if (!options_pid(sh, shell_arg(sh, 0), &pid))
		return 2;
	if (client_open(sh, out) != 0)
		return 1;
	client_request(*out, name);
	client_put_u64(*out, "pid", pid);
	return 0;
}

void client_close(struct client *c)
{
	close(c->fd);
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
	size_t done = 0;
	while (done < c->out.size) {
		ssize_t n = send(c->fd, c->out.data + done, c->out.size - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return 1;
		else if (n > 0)
			done += (size_t)n;
	}
	wr_clear(&c->out);
	return 0;
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
	ssize_t n;
	do
		n = recv(c->fd, buf, sizeof buf, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	wr_bytes(&c->in, buf, (size_t)n);
	return wr_ok(&c->in);
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
	struct client c = {.shell = sh, .fd = connect_socket(sh->home)};
	bool up = false;
	if (c.fd < 0)
		return false;
	client_request(&c, "status");
	if (client_encode(&c) == 0 && client_flush(&c) == 0)
		up = client_read(&c);
	close(c.fd);
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
		if (n < 0 || (n > 0 && client_is_end(c, status)))
			return 0;
		if (n > 0)
			return 1;
		if (!client_read(c)) {
			gone(c);
			return 0;
		}
	}
}
