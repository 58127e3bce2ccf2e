/* link_speed.c - how fast a link is, against raw TCP in the same run: two nodes in two processes of this
 * machine.
 *
 *	link-speed [MEGABYTES]     one line of JSON: raw_mb_s, link_mb_s, ratio, processor time of both ends,
 *	                           call_us (an empty call), call_loaded_us (while the bulk lane is full)
 *	link-speed MEGABYTES SENDER RECEIVER ADDRESS      the ends in two network namespaces (files of /run/netns), the receiver
 *	                           at ADDRESS; without raw TCP: bench/link/run.py has iperf3 beside it
 */
#include "node/links/link.h"
#include "node/node.h"

#include "base/os.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVICE_BULK = 6, SERVICE_ECHO = 7, BODY_SIZE = 256 * 1024, CALLS = 200 };

struct end {
	struct node *n;
	uint64_t received, goal, replies;
	double call_us;
};

static void die(const char *what)
{
	fprintf(stderr, "link-speed: %s\n", what);
	exit(1);
}

/* One end: where it lives. */
struct place {
	const char *home, *netns, *listen; /* netns NULL: as we are */
};

static void enter(const char *netns)
{
	int fd = netns ? open(netns, O_RDONLY | O_CLOEXEC) : -1;
	if (netns && (fd < 0 || setns(fd, CLONE_NEWNET) != 0))
		die("no such network namespace, or not root");
	if (fd >= 0)
		close(fd);
}

static struct node *open_node(const struct place *at, const char *name)
{
	enter(at->netns);
	struct node_config cfg = {
	    .home = at->home, .name = name, .listen = at->listen, .display = "headless"};
	struct errmsg msg = {0};
	struct node *n;
	if (node_open(&cfg, &n, &msg) != ERR_OK)
		die(msg.text);
	return n;
}

/* --- raw TCP --- */

static double raw_mb_s(uint64_t bytes)
{
	static char buf[BODY_SIZE];
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t size = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(l, (struct sockaddr *)&a, size) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &size))
		die("no socket");
	pid_t pid = fork();
	if (pid == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a))
			_exit(1);
		for (uint64_t sent = 0; sent < bytes;) {
			ssize_t n = write(fd, buf, sizeof buf);
			if (n <= 0)
				_exit(1);
			sent += (uint64_t)n;
		}
		_exit(0);
	}
	int fd = accept(l, NULL, NULL);
	uint64_t start = os_monotonic_ns(), got = 0;
	for (ssize_t n; got < bytes && (n = read(fd, buf, sizeof buf)) > 0;)
		got += (uint64_t)n;
	double s = (double)(os_monotonic_ns() - start) / 1e9;
	close(fd);
	close(l);
	waitpid(pid, NULL, 0);
	return (double)got / 1e6 / s;
}

/* --- the receiving node --- */

static void take(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	struct end *e = ctx;
	e->received += size;
	if (e->received >= e->goal) {
		e->received = 0;
		link_answer(call, ERR_OK, NULL, 0);
	}
}

static void echo(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	link_answer(call, ERR_OK, body, size);
}

/* --- the sending node --- */

static void fill(struct peer *p, uint64_t *left)
{
	static uint8_t body[BODY_SIZE];
	while (*left && link_queued(p) < LINK_QUEUE_GOAL) {
		struct msg_call m = {
		    .tag = 1, .service = SERVICE_BULK, .body = bin_ref(body, BODY_SIZE)};
		if (link_send(p, MSG_CALL, &m, LINK_BULK, NULL) != ERR_OK)
			die("the link is lost");
		*left -= *left < BODY_SIZE ? *left : BODY_SIZE;
	}
}

static void on_reply(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
	struct end *end = ctx;
	if (e != ERR_OK)
		die(err_text(e));
	end->replies++;
}

/* The mean of CALLS empty calls, one after the other, while *left bytes go out in bulk. */
static double call_us(struct end *e, struct peer *p, uint64_t left)
{
	uint64_t spent = 0;
	for (int i = 0; i < CALLS; i++) {
		uint64_t before = e->replies, start = os_monotonic_ns();
		link_call(e->n, peer_id(p), SERVICE_ECHO, NULL, 0, 5000, on_reply, e);
		while (e->replies == before) {
			fill(p, &left);
			uv_run(&e->n->loop, UV_RUN_ONCE);
		}
		spent += os_monotonic_ns() - start;
	}
	return (double)spent / CALLS / 1e3;
}

static double bulk_s(struct end *e, struct peer *p, uint64_t bytes)
{
	uint64_t start = os_monotonic_ns(), left = bytes, before = e->replies;
	while (left) {
		fill(p, &left);
		uv_run(&e->n->loop, UV_RUN_ONCE);
	}
	while (link_queued(p))
		uv_run(&e->n->loop, UV_RUN_ONCE);
	/* What is left in the window goes before the call. */
	link_call(e->n, peer_id(p), SERVICE_ECHO, NULL, 0, 60000, on_reply, e);
	while (e->replies == before)
		uv_run(&e->n->loop, UV_RUN_ONCE);
	return (double)(os_monotonic_ns() - start) / 1e9;
}

static double cpu_s(int who)
{
	struct rusage u;
	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct card {
	uint8_t key[CRYPTO_KEY_SIZE];
	char address[1][LINK_ADDRESS_SIZE];
};

static void write_card(int fd, struct node *n)
{
	struct card c = {0};
	memcpy(c.key, n->device->key, sizeof c.key);
	link_local_address(n, c.address[0]);
	if (write(fd, &c, sizeof c) != sizeof c)
		die("pipe");
}

static struct peer *read_card(int fd, struct node *n, const char *name)
{
	struct card c;
	struct peer *p;
	struct errmsg msg = {0};
	if (read(fd, &c, sizeof c) != sizeof c)
		die("pipe");
	if (peer_add(n, c.key, name, (const char(*)[LINK_ADDRESS_SIZE])c.address, 1, &p, &msg) !=
	    ERR_OK)
		die(msg.text);
	return p;
}

static void receiver(const struct place *at, int in, int out)
{
	struct end e = {.n = open_node(at, "receiver"), .goal = UINT64_MAX};
	link_serve(e.n, SERVICE_BULK, take, &e);
	link_serve(e.n, SERVICE_ECHO, echo, &e);
	write_card(out, e.n);
	read_card(in, e.n, "sender");
	node_run(e.n); /* until it is killed by SIGTERM */
	node_close(e.n);
	exit(0);
}

static void sender(const struct place *at, int in, int out, uint64_t bytes, pid_t pid)
{
	struct end e = {.n = open_node(at, "sender")};
	write_card(out, e.n);
	struct peer *p = read_card(in, e.n, "receiver");
	while (!peer_is_up(p))
		uv_run(&e.n->loop, UV_RUN_ONCE);
	double raw = at->netns ? 0 : raw_mb_s(bytes), idle_us = call_us(&e, p, 0),
	       cpu = cpu_s(RUSAGE_SELF);
	double s = bulk_s(&e, p, bytes), own_cpu = cpu_s(RUSAGE_SELF) - cpu;
	double loaded_us = call_us(&e, p, UINT64_MAX / 4);
	double link = (double)bytes / 1e6 / s;
	printf("{\"bytes\": %llu, \"raw_mb_s\": %.0f, \"link_mb_s\": %.0f, \"ratio\": %.2f, "
	       "\"sender_cpu_s_per_gb\": %.2f, \"call_us\": %.0f, \"call_loaded_us\": %.0f}\n",
	       (unsigned long long)bytes, raw, link, raw > 0 ? link / raw : 0,
	       own_cpu / ((double)bytes / 1e9), idle_us, loaded_us);
	node_stop(e.n, true);
	node_close(e.n);
	kill(pid, SIGTERM);
}

int main(int argc, char **argv)
{
	uint64_t bytes = (argc > 1 ? strtoull(argv[1], NULL, 10) : 512) * 1000000;
	char folder[] = "/tmp/link-speed-XXXXXX", homes[2][64], command[96];
	int there[2], back[2];
	if (!mkdtemp(folder) || pipe(there) || pipe(back))
		die("no folder");
	setenv("XDG_RUNTIME_DIR", folder, 1);
	for (int i = 0; i < 2; i++)
		snprintf(homes[i], sizeof homes[i], "%s/%d", folder, i);
	pid_t pid = fork();
	bool apart = argc > 4;
	char listen[LINK_ADDRESS_SIZE] = "127.0.0.1:0";
	if (apart)
		snprintf(listen, sizeof listen, "%s:0", argv[4]);
	struct place sends = {homes[0], apart ? argv[2] : NULL, "127.0.0.1:0"},
	             receives = {homes[1], apart ? argv[3] : NULL, listen};
	if (pid == 0)
		receiver(&receives, there[0], back[1]);
	sender(&sends, back[0], there[1], bytes, pid);
	waitpid(pid, NULL, 0);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) != 0;
}
