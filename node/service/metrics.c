/* metrics.c - a listener, a few clients, one answer each. */
#include "node/service/metrics.h"

#include "node/service/figures.h"
#include "node/service/http_request.h"
#include "node/links/link_impl.h"
#include "node/links/net.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 8, BACKLOG = 16, DEADLINE_MS = 5000 };

struct asker {
	uv_tcp_t tcp;
	uv_timer_t deadline;
	uv_write_t write;
	struct metrics *metrics;
	struct asker *next;
	unsigned handles;
	bool closing, answered;
	size_t size;
	char in[HTTP_REQUEST_MAX];
	struct wr out;
};

struct metrics {
	struct node *node;
	uv_tcp_t listener;
	struct asker *askers;
	unsigned count;
	unsigned handles; /* the listener and the askers: the last to go frees */
};

static void drop(struct metrics *m)
{
	if (!--m->handles)
		free(m);
}

/* ---- one client ---- */

static void asker_closed(uv_handle_t *h)
{
	struct asker *a = h->data;
	if (--a->handles)
		return;
	struct metrics *m = a->metrics;
	for (struct asker **at = &m->askers; *at; at = &(*at)->next)
		if (*at == a) {
			*at = a->next;
			break;
		}
	m->count--;
	wr_free(&a->out);
	free(a);
	drop(m);
}

static void close_asker(struct asker *a)
{
	if (a->closing)
		return;
	a->closing = true;
	uv_close((uv_handle_t *)&a->tcp, asker_closed);
	uv_close((uv_handle_t *)&a->deadline, asker_closed);
}

static void on_deadline(uv_timer_t *t)
{
	close_asker(t->data);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	(void)status;
	close_asker(req->handle->data);
	free(req);
}

/* What the other side still sends is read and thrown away until then: closing over it would take the answer back. */
static void on_written(uv_write_t *req, int status)
{
	struct asker *a = req->handle->data;
	uv_shutdown_t *shut = status == 0 && !a->closing ? malloc(sizeof *shut) : NULL;
	if (!shut || uv_shutdown(shut, (uv_stream_t *)&a->tcp, on_shut) != 0) {
		free(shut);
		close_asker(a);
	}
}

static void answer(struct asker *a, const char *status, const char *type, const struct wr *body,
                   bool head)
{
	char text[256];
	int size = snprintf(text, sizeof text,
	                    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	                    "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
	                    status, type, body->size);
	a->answered = true;
	wr_bytes(&a->out, text, (size_t)size);
	if (!head)
		wr_bytes(&a->out, body->data, body->size);
	uv_buf_t buf = uv_buf_init((char *)a->out.data, (unsigned)a->out.size);
	if (!wr_ok(&a->out) ||
	    uv_write(&a->write, (uv_stream_t *)&a->tcp, &buf, 1, on_written) != 0)
		close_asker(a);
}

static void refuse(struct asker *a, const char *status)
{
	struct wr body = {0};
	wr_bytes(&body, status, strlen(status));
	wr_u8(&body, '\n');
	answer(a, status, "text/plain; charset=utf-8", &body, false);
	wr_free(&body);
}

static void give_figures(struct asker *a, bool head)
{
	struct wr body = {0};
	figures_write(a->metrics->node, &body);
	if (wr_ok(&body))
		answer(a, "200 OK", "text/plain; version=0.0.4; charset=utf-8", &body, head);
	else
		close_asker(a);
	wr_free(&body);
}

/* A page from elsewhere whose name was made to lead here (DNS rebinding) comes with that name. */
static bool is_own_name(const char *host)
{
	return !*host || !strcmp(host, "localhost") ||
	       strspn(host, "0123456789abcdefABCDEF.:[]") == strlen(host);
}

static void serve(struct asker *a, const struct http_request *r)
{
	bool head = !strcmp(r->method, "HEAD");
	if (!a->metrics->node->cfg.metrics_open && !is_own_name(r->host))
		refuse(a, "403 Forbidden");
	else if (strcmp(r->path, "/metrics") != 0)
		refuse(a, "404 Not Found");
	else if (!head && strcmp(r->method, "GET") != 0)
		refuse(a, "405 Method Not Allowed");
	else
		give_figures(a, head);
}

static void look(struct asker *a)
{
	struct http_request r;
	switch (http_request_read(a->in, a->size, &r)) {
	case HTTP_MORE: break;
	case HTTP_WHOLE: serve(a, &r); break;
	case HTTP_BAD: refuse(a, "400 Bad Request"); break;
	case HTTP_TOO_LONG: refuse(a, "431 Request Header Fields Too Large"); break;
	}
}

static void give_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct asker *a = h->data;
	(void)suggested;
	if (a->answered) /* what follows is of no interest: over what was read */
		*buf = uv_buf_init(a->in, sizeof a->in);
	else
		*buf = uv_buf_init(a->in + a->size, (unsigned)(sizeof a->in - a->size));
}

static void on_read(uv_stream_t *s, ssize_t got, const uv_buf_t *buf)
{
	struct asker *a = s->data;
	(void)buf;
	if (got < 0 && !(a->answered && got == UV_EOF)) {
		close_asker(a);
	} else if (got > 0 && !a->answered) {
		a->size += (size_t)got;
		look(a);
	}
}

/* ---- the listener ---- */

static struct asker *asker_new(struct metrics *m)
{
	struct asker *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->metrics = m;
	a->handles = 2;
	uv_tcp_init(&m->node->loop, &a->tcp);
	uv_timer_init(&m->node->loop, &a->deadline);
	a->tcp.data = a->deadline.data = a;
	a->next = m->askers;
	m->askers = a;
	m->count++;
	m->handles++;
	return a;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct metrics *m = listener->data;
	struct asker *a = status == 0 ? asker_new(m) : NULL;
	if (!a)
		return;
	uv_timer_start(&a->deadline, on_deadline, DEADLINE_MS, 0);
	if (uv_accept(listener, (uv_stream_t *)&a->tcp) != 0 || m->count > CLIENTS_MAX ||
	    uv_read_start((uv_stream_t *)&a->tcp, give_room, on_read) != 0)
		close_asker(a);
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	static const uint8_t v6[16] = {[15] = 1};
	return a->ss_family == AF_INET
	           ? ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127
	           : !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, v6, sizeof v6);
}

static enum err find_address(struct node *n, struct sockaddr_storage *a, struct errmsg *msg)
{
	memset(a, 0, sizeof *a);
	if (address_parse(n->cfg.metrics, a) != ERR_OK)
		return err_set(msg, ERR_USAGE, "metrics: '%.80s' is no address", n->cfg.metrics);
	if (!n->cfg.metrics_open && !is_loopback(a))
		return err_set(
		    msg, ERR_USAGE,
		    "metrics = %.80s: everyone who reaches this address could read the figures: "
		    "take 127.0.0.1 or [::1], or say metrics-beyond-loopback = yes, too",
		    n->cfg.metrics);
	return ERR_OK;
}

static enum err listen_at(struct metrics *m, const struct sockaddr_storage *a, struct errmsg *msg)
{
	uv_os_sock_t fd = 0;
	struct sockaddr_storage own;
	int size = sizeof own, e = net_listen((const struct sockaddr *)a, BACKLOG, &fd);
	if (e == 0)
		e = uv_tcp_open(&m->listener, fd);
	if (e == 0)
		e = uv_listen((uv_stream_t *)&m->listener, BACKLOG, on_connection);
	if (e == 0)
		e = uv_tcp_getsockname(&m->listener, (struct sockaddr *)&own, &size);
	if (e != 0)
		return err_set(msg, ERR_IO, "cannot listen at %.80s: %s", m->node->cfg.metrics,
		               uv_strerror(e == NET_TAKEN ? UV_EADDRINUSE : e));
	char text[LINK_ADDRESS_SIZE];
	address_text((struct sockaddr *)&own, 0, text);
	node_log(m->node, LOG_INFO, "metrics", "figures at http://%s/metrics", text);
	return ERR_OK;
}

static void listener_closed(uv_handle_t *h)
{
	drop(h->data);
}

enum err metrics_open(struct node *n, struct errmsg *msg)
{
	struct sockaddr_storage a;
	if (!n->cfg.metrics)
		return ERR_OK;
	TRY(find_address(n, &a, msg));
	struct metrics *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(msg, ERR_NOMEM, "out of memory");
	m->node = n;
	m->handles = 1;
	uv_tcp_init(&n->loop, &m->listener);
	m->listener.data = m;
	enum err e = listen_at(m, &a, msg);
	if (e == ERR_OK)
		n->metrics = m;
	else
		uv_close((uv_handle_t *)&m->listener, listener_closed);
	return e;
}

void metrics_close(struct node *n)
{
	struct metrics *m = n->metrics;
	n->metrics = NULL;
	if (!m)
		return;
	for (struct asker *a = m->askers; a; a = a->next)
		close_asker(a);
	uv_close((uv_handle_t *)&m->listener, listener_closed);
}
