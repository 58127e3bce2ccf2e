/* sockets.c - hostile bytes as a socket of an image, and as a question of the DNS. What is accepted is used and written again. */
#include "node/sockets/resolver.h"
#include "node/sockets/socket.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_wake(void *ctx)
{
}

/* As a guest would, in every way that needs no other end. */
static void use(struct vfs_obj *o)
{
	uint8_t bytes[300];
	struct vfs_iov iov = {.p = bytes, .size = sizeof bytes};
	struct socket_receive r = {.iov = &iov, .n = 1};
	struct vfs_obj *end;
	struct address a;
	struct vfs_stat st;
	char text[ADDRESS_TEXT_MAX];
	size_t done = 0;
	uint64_t at;
	memset(bytes, 7, sizeof bytes);
	vfs_ready(o, VFS_READABLE | VFS_WRITABLE);
	(void)vfs_stat(o, &st);
	socket_local(o, &a);
	address_to_text(&a, text);
	if (socket_peer(o, &a) == FE_OK)
		address_to_text(&a, text);
	(void)socket_receive(o, &r, &done);
	done = 0;
	(void)vfs_write(o, 0, 0, &iov, 1, &done, &at);
	(void)socket_listen(o, 3, 1);
	a = address_ip4(127, 0, 0, 1, 80);
	(void)socket_connect(o, &a, 1);
	(void)socket_connected(o);
	if (socket_accept(o, &end) == FE_OK)
		vfs_unref(end);
	a = address_ip4(198, 51, 100, 7, 53);
	struct socket_send out = {.iov = &iov, .n = 1, .to = &a};
	(void)socket_send(o, &out, &done);
	(void)socket_shutdown(o, SOCKET_SHUT_READ | SOCKET_SHUT_WRITE);
}

static struct vfs_obj *load(struct rd in, struct space *s)
{
	struct vfs_obj *o;
	struct errmsg msg = {0};
	if (socket_object_load(&in, &o, &msg) != ERR_OK) {
		if (!msg.text[0])
			abort();
		return NULL;
	}
	/* Twice the same is a connection with itself: both ends are here. */
	if (socket_adopt(s, o, false) != ERR_OK)
		abort();
	return o;
}

static void save(struct vfs_obj *o, struct wr *out)
{
	if (o->ops->save(o, out) != ERR_OK)
		abort();
}

static void try_socket(const uint8_t *data, size_t size)
{
	struct net *n;
	struct space *s;
	struct space_config c = {.wake = no_wake, .wake_own = no_wake};
	if (net_new(NULL, "fuzz", &n) != ERR_OK || space_new(n, &c, &s) != ERR_OK)
		abort();
	n->poke = no_wake; /* as in a node, whose loop never comes */
	struct vfs_obj *one = load(rd_of(data, size), s),
	               *two = one ? load(rd_of(data, size), s) : NULL;
	struct wr a = {0}, b = {0};
	if (two) {
		save(one, &a);
		save(two, &b);
		if (a.size != b.size || memcmp(a.data, b.data, a.size))
			abort();
		struct vfs_obj *three = load(rd_of(a.data, a.size), s);
		if (!three)
			abort(); /* what was written can be read */
		vfs_unref(three);
		socket_of(two)->side ^= 1;
		socket_go(one);
		socket_go(two);
		use(one);
		use(two);
		vfs_unref(two);
	}
	if (one)
		vfs_unref(one);
	wr_free(&a);
	wr_free(&b);
	space_free(s);
	net_free(n);
}

static void try_question(const uint8_t *data, size_t size)
{
	struct question q;
	uint8_t out[RESOLVER_MESSAGE_MAX];
	struct address found[40];
	if (!question_read(data, size, &q))
		return;
	for (int i = 0; i < 40; i++)
		found[i] = i & 1 ? address_ip4(1, 2, 3, (uint8_t)i, 0)
		                 : (struct address){.family = ADDRESS_IP6, .ip = {0xfd, 1}};
	if (question_answer(&q, size & 1, found, 40, out) > sizeof out)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		try_question(data + 1, size - 1);
	else
		try_socket(data + 1, size - 1);
	return 0;
}
