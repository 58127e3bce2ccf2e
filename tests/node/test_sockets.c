/* test_sockets.c - sockets without a node: addresses, who meets whom, buffers that end, names that are answered. */
#include "node/sockets/resolver.h"
#include "node/sockets/socket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void count_wake(void *ctx)
{
	++*(int *)ctx;
}

static struct space *space_in(struct net *n, enum net_mode mode, int *wakes)
{
	struct space *s;
	struct space_config c = {
	    .mode = mode, .wake = count_wake, .wake_own = count_wake, .ctx = wakes};
	cr_assert_eq(space_new(n, &c, &s), ERR_OK);
	return s;
}

static struct net *new_net(void)
{
	static const uint8_t id[32] = {1, 2, 3};
	struct net *n;
	cr_assert_eq(net_new(id, "Peter's Phone", &n), ERR_OK);
	return n;
}

static struct vfs_obj *stream_in(struct space *s)
{
	struct vfs_obj *o;
	cr_assert_eq(socket_new(s, ADDRESS_IP4, SOCKET_STREAM, &o), FE_OK);
	return o;
}

static struct vfs_obj *listener(struct space *s, struct address a)
{
	struct vfs_obj *o = stream_in(s);
	cr_assert_eq(socket_bind(o, &a), FE_OK);
	cr_assert_eq(socket_listen(o, 3, 1), FE_OK);
	return o;
}

Test(sockets, an_address_is_read_and_written)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"10.1.2.3", "10.1.2.3:7"},
	             {"::1", "[0:0:0:0:0:0:0:1]:7"},
	             {"fd00:1::2:3", "[fd00:1:0:0:0:0:2:3]:7"},
	             {"::ffff:1.2.3.4", NULL},
	             {"1.2.3", NULL},
	             {"1.2.3.256", NULL},
	             {"1:2:3:4:5:6:7", NULL},
	             {"1:2:3:4:5:6:7:8:9", NULL},
	             {":", NULL},
	             {"1::2::3", NULL},
	             {"", NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		char text[ADDRESS_TEXT_MAX];
		bool ok = address_from_text(cases[i].in, &a);
		cr_expect_eq(ok, cases[i].out != NULL, "%s", cases[i].in);
		if (!ok || !cases[i].out)
			continue;
		a.port = 7;
		address_to_text(&a, text);
		cr_expect_str_eq(text, cases[i].out);
	}
}

Test(sockets, each_range_of_addresses_has_its_reach)
{
	static const struct {
		const char *text;
		enum address_reach reach;
	} cases[] = {{"127.5.5.5", REACH_LOOPBACK},   {"0.0.0.0", REACH_ANY},
	             {"10.0.0.1", REACH_LAN},         {"172.31.0.1", REACH_LAN},
	             {"172.32.0.1", REACH_WORLD},     {"192.168.1.1", REACH_LAN},
	             {"169.254.1.1", REACH_LAN},      {"8.8.8.8", REACH_WORLD},
	             {"224.0.0.1", REACH_NOWHERE},    {"255.255.255.255", REACH_NOWHERE},
	             {"0.1.2.3", REACH_NOWHERE},      {"::", REACH_ANY},
	             {"::1", REACH_LOOPBACK},         {"fe80::1", REACH_LAN},
	             {"fd12::1", REACH_LAN},          {"2001:db8::1", REACH_WORLD},
	             {"::7f00:1", REACH_NOWHERE},     {"64:ff9b::7f00:1", REACH_NOWHERE},
	             {"2002:7f00:1::", REACH_NOWHERE}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		cr_assert(address_from_text(cases[i].text, &a));
		cr_expect_eq(address_reach(&a), cases[i].reach, "%s", cases[i].text);
	}
	struct address hidden = {.family = ADDRESS_IP6,
	                         .ip = {[10] = 0xff, [11] = 0xff, [12] = 127}};
	cr_expect_eq(address_reach(&hidden), REACH_LOOPBACK, "mapped IPv4 is what it maps");
}

Test(sockets, families_meet_at_the_devices_address_only_if_both_may)
{
	static const enum net_mode modes[] = {NET_NONE, NET_SYSTEM};
	for (int i = 0; i < 4; i++) {
		int wakes[2] = {0};
		struct net *n = new_net();
		struct space *a = space_in(n, modes[i & 1], &wakes[0]);
		struct space *b = space_in(n, modes[i >> 1], &wakes[1]);
		struct address any = address_ip4(0, 0, 0, 0, 80), at = net_address(n, false);
		struct vfs_obj *l = listener(a, any), *c = stream_in(b), *d = stream_in(b);
		at.port = 80;
		cr_expect_eq(socket_connect(c, &at, 1), i == 3 ? FE_OK : FE_CONNREFUSED);
		cr_expect_eq(wakes[0] > 0, i == 3, "the listener hears of it");
		struct address loop = address_ip4(127, 0, 0, 1, 80);
		cr_expect_eq(socket_connect(d, &loop, 1), FE_CONNREFUSED, "loopbacks are apart");
		struct vfs_obj *again = stream_in(b);
		cr_expect_eq(socket_bind(again, &any), i == 3 ? FE_ADDRINUSE : FE_OK);
		vfs_unref(l);
		vfs_unref(c);
		vfs_unref(d);
		vfs_unref(again);
		space_free(a);
		space_free(b);
		net_free(n);
	}
}

static void no_poke(void *ctx)
{
}

Test(sockets, the_world_is_reached_as_far_as_the_mode_says)
{
	static const struct {
		const char *to;
		enum net_mode least;
	} cases[] = {{"192.168.7.7", NET_LAN},
	             {"198.51.100.7", NET_ALL},
	             {"224.0.0.1", NET_MODES},
	             {"192.0.0.8", NET_ALL},
	             {"10.9.9.9", NET_LAN}};
	for (int m = NET_NONE; m < NET_MODES; m++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			int wakes = 0;
			struct address a;
			struct net *n = new_net();
			n->poke = no_poke;
			struct space *s = space_in(n, (enum net_mode)m, &wakes);
			struct vfs_obj *o = stream_in(s);
			cr_assert(address_from_text(cases[i].to, &a));
			a.port = 80;
			enum ferr e = socket_connect(o, &a, 1);
			cr_expect_eq(e, m < (int)cases[i].least ? FE_NETUNREACH : FE_INPROGRESS,
			             "%s, %s: %s", cases[i].to, net_mode_name((enum net_mode)m),
			             ferr_text(e));
			vfs_unref(o);
			space_free(s);
			net_free(n);
		}
}

Test(sockets, a_family_cannot_fill_the_nodes_memory)
{
	int wakes = 0;
	static uint8_t bytes[SOCKET_BUFFER];
	struct net *n = new_net();
	struct space *s = space_in(n, NET_NONE, &wakes);
	enum { PAIRS = 600 };
	struct vfs_obj *ends[PAIRS][2];
	size_t total = 0;
	for (int i = 0; i < PAIRS; i++) {
		size_t done = 0;
		struct vfs_iov iov = {bytes, sizeof bytes};
		uint64_t end;
		cr_assert_eq(socket_pair(s, SOCKET_STREAM, 1, ends[i]), FE_OK);
		cr_assert_eq(vfs_write(ends[i][0], 0, 0, &iov, 1, &done, &end), FE_OK);
		total += done;
	}
	cr_expect_leq(total, SPACE_BYTES_MAX + PAIRS * SOCKET_BUFFER_LEAST + SOCKET_BUFFER);
	cr_expect_gt(total, SPACE_BYTES_MAX - 1);
	for (int i = 0; i < PAIRS; i++) {
		vfs_unref(ends[i][0]);
		vfs_unref(ends[i][1]);
	}
	space_free(s);
	net_free(n);
}

Test(sockets, there_is_an_end_to_the_sockets_of_a_family)
{
	int wakes = 0;
	struct net *n = new_net();
	struct space *s = space_in(n, NET_NONE, &wakes);
	struct vfs_obj *all[SPACE_SOCKETS_MAX + 1];
	uint32_t count = 0;
	while (count <= SPACE_SOCKETS_MAX &&
	       socket_new(s, ADDRESS_UNIX, SOCKET_DGRAM, &all[count]) == FE_OK)
		count++;
	cr_expect_eq(count, SPACE_SOCKETS_MAX);
	while (count)
		vfs_unref(all[--count]);
	space_free(s);
	net_free(n);
}

Test(sockets, a_family_that_could_not_be_taken_has_not_ended)
{
	int wakes = 0;
	struct net *n = new_net();
	struct space *s = space_in(n, NET_ALL, &wakes);
	space_leave(s);
	space_free(s);
	cr_expect(n->left_keys && !n->over_keys, "it is elsewhere");
	s = space_in(n, NET_ALL, &wakes);
	space_arrives(s, true);
	space_free(s);
	cr_expect(n->left_keys && !n->over_keys, "as it was before it came");
	s = space_in(n, NET_ALL, &wakes);
	space_arrives(s, true);
	space_arrives(s, false);
	space_free(s);
	cr_expect(!n->left_keys && n->over_keys, "one that ran has");
	net_free(n);
}

static size_t ask(struct space *s, const char *labels, uint16_t type, uint8_t out[512])
{
	uint8_t q[512] = {0, 7, 1, 0, 0, 1};
	size_t size = 12 + strlen(labels) + 1, done = 0;
	struct vfs_obj *o;
	struct address ns = address_ip4(127, 0, 0, 1, 53);
	memcpy(q + 12, labels, strlen(labels) + 1);
	q[size + 1] = (uint8_t)type;
	q[size + 3] = 1;
	struct vfs_iov iov = {q, size + 4}, in = {out, 512};
	struct socket_send send = {.iov = &iov, .n = 1, .to = &ns};
	struct socket_receive r = {.iov = &in, .n = 1};
	cr_assert_eq(socket_new(s, ADDRESS_IP4, SOCKET_DGRAM, &o), FE_OK);
	cr_assert_eq(socket_send(o, &send, &done), FE_OK);
	done = 0;
	enum ferr e = socket_receive(o, &r, &done);
	cr_expect(e == FE_OK || e == FE_AGAIN);
	vfs_unref(o);
	return done;
}

Test(sockets, names_of_the_system_are_answered_others_do_not_exist)
{
	int wakes = 0;
	uint8_t out[512];
	struct net *n = new_net();
	struct space *s = space_in(n, NET_NONE, &wakes);
	size_t size = ask(s, "\015peter-s-phone\006WasmOS", 1, out);
	struct address at = net_address(n, false);
	cr_assert_gt(size, 16);
	cr_expect_eq(out[7], 1);
	cr_expect_arr_eq(out + size - 4, at.ip + 12, 4);
	size = ask(s, "\011localhost", 28, out);
	cr_assert_gt(size, 16);
	cr_expect_eq(out[size - 1], 1, "::1");
	ask(s, "\005other\006wasmos", 1, out);
	cr_expect_eq(out[3] & 15, 3, "no such name");
	ask(s, "\007example\003com", 1, out);
	cr_expect_eq(out[3] & 15, 3);
	cr_expect_eq(ask(s, "\077cut", 1, out), 0, "what is no question is not answered");
	space_free(s);
	net_free(n);
}
