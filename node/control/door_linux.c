/* door_linux.c - door.h on Linux and Android: a socket called "control" in the home folder. */
#include "node/control/door.h"

#include "base/file.h"
#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* A socket's name has 107 bytes: a long home is reached through a descriptor, *dir, that the caller closes. */
static void socket_name(const char *home, struct sockaddr_un *a, int *dir)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	*dir = -1;
	int size = snprintf(a->sun_path, sizeof a->sun_path, "%s/control", home);
	if (size >= 0 && (size_t)size < sizeof a->sun_path)
		return;
	*dir = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/control", *dir);
}

/* ---- the node's end ---- */

struct door {
	struct node *node;
	uv_pipe_t listener;
	door_fn on_client;
	void *ctx;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static int bind_socket(struct node *n)
{
	struct sockaddr_un a;
	int dir, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* We hold the home's lock: what is there was left behind by a node that was killed. */
	dir_remove(n->home, "control");
	socket_name(n->cfg.home, &a, &dir);
	mode_t before = umask(0177);
	int failed = bind(fd, (struct sockaddr *)&a, sizeof a), why = errno;
	umask(before);
	if (dir >= 0)
		close(dir);
	if (!failed)
		return fd;
	close(fd);
	errno = why;
	return -1;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct door *d = listener->data;
	if (status >= 0)
		d->on_client(d->ctx);
}

enum err door_open(struct node *n, door_fn on_client, void *ctx, struct door **out,
                   struct errmsg *msg)
{
	struct door *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "control socket: out of memory");
	*d = (struct door){.node = n, .on_client = on_client, .ctx = ctx};
	int fd = bind_socket(n);
	if (fd < 0) {
		free(d);
		return err_set(msg, ERR_IO, "%s/control: %s", n->cfg.home, strerror(errno));
	}
	uv_pipe_init(&n->loop, &d->listener, 0);
	d->listener.data = d;
	*out = d;
	if (uv_pipe_open(&d->listener, fd) == 0 &&
	    uv_listen((uv_stream_t *)&d->listener, BACKLOG, on_connection) == 0)
		return ERR_OK;
	door_close(d, NULL, NULL);
	return err_set(msg, ERR_IO, "%s/control: cannot listen", n->cfg.home);
}

static bool is_our_user(uv_pipe_t *pipe)
{
	struct ucred who;
	socklen_t size = sizeof who;
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)pipe, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
		return false;
	return who.uid == geteuid();
}

enum err door_accept(struct door *d, uv_pipe_t *pipe)
{
	if (uv_accept((uv_stream_t *)&d->listener, (uv_stream_t *)pipe) != 0)
		return ERR_IO;
	return is_our_user(pipe) ? ERR_OK : ERR_DENIED;
}

static void listener_closed(uv_handle_t *h)
{
	struct door *d = h->data;
	if (d->closed)
		d->closed(d->closed_ctx);
	free(d);
}

void door_close(struct door *d, void (*closed)(void *ctx), void *ctx)
{
	dir_remove(d->node->home, "control");
	d->closed = closed;
	d->closed_ctx = ctx;
	uv_close((uv_handle_t *)&d->listener, listener_closed);
}

/* ---- the command's end ---- */

struct wire {
	int fd;
};

static int connect_socket(const char *home)
{
	struct sockaddr_un a;
	int dir, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	socket_name(home, &a, &dir);
	int failed = connect(fd, (struct sockaddr *)&a, sizeof a), why = errno;
	if (dir >= 0)
		close(dir);
	if (!failed)
		return fd;
	close(fd);
	errno = why;
	return -1;
}

struct wire *wire_connect(const char *home, struct errmsg *msg, enum err *why)
{
	int fd = connect_socket(home);
	if (fd < 0) {
		*why = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOTFOUND : ERR_IO;
		err_set(msg, *why, "%s/control: %s", home, strerror(errno));
		return NULL;
	}
	struct wire *w = malloc(sizeof *w);
	if (w)
		w->fd = fd;
	else
		close(fd);
	*why = w ? ERR_OK : err_set(msg, ERR_NOMEM, "out of memory");
	return w;
}

bool wire_send(struct wire *w, const void *bytes, size_t size)
{
	for (const uint8_t *p = bytes; size;) {
		ssize_t n = send(w->fd, p, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = w->fd, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		else if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return true;
}

size_t wire_receive(struct wire *w, void *buf, size_t size)
{
	ssize_t n;
	do {
		n = recv(w->fd, buf, size, 0);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = w->fd, .events = POLLIN}, 1, -1);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n > 0 ? (size_t)n : 0;
}

intptr_t wire_waitable(const struct wire *w)
{
	return w->fd;
}

void wire_close(struct wire *w)
{
	if (!w)
		return;
	close(w->fd);
	free(w);
}
