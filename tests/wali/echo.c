/* echo.c - a guest that talks over the network while it is moved:
 *
 *	echo tcp PORT              answers every client of a port with what it sends, up to 64 at once
 *	echo udp PORT              answers every datagram with itself
 *	echo ping A.B.C.D PORT N   sends N numbered datagrams, one after the other's answer, each again after 300 ms without one;
 *	                           says how many were sent, answered, and answered more than once
 *	echo silent PORT           takes a connection, and never reads or writes
 *	echo wait A.B.C.D PORT [S] connects, and says what read() answers when the other end is gone; S: SO_KEEPALIVE, gives up after so many seconds
 */
#include "guest.h"

enum { INET = 2, STREAM = 1, DGRAM = 2, CLIENTS = 64 };

struct in {
	u16 family, port;
	u8 ip[4], zero[8];
};
struct pollfd {
	int fd;
	short events, got;
};

static char buf[65536], args[6][64];

static u64 number(const char **s)
{
	u64 v = 0;
	while (**s >= '0' && **s <= '9')
		v = v * 10 + (u64)(*(*s)++ - '0');
	return v;
}

static struct in address(const char *ip, const char *port_text)
{
	u16 port = (u16)number(&port_text);
	struct in a = {INET, (u16)(port >> 8 | port << 8), {0}, {0}};
	for (int i = 0; i < 4; i++) {
		a.ip[i] = (u8)number(&ip);
		ip += *ip == '.';
	}
	return a;
}

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (sys_nanosleep(&t, &t) == -4)
		;
}

static void all(int fd, const char *p, s64 n)
{
	while (n > 0) {
		s64 w = sys_write(fd, p, (u32)n);
		if (w <= 0)
			return;
		p += w;
		n -= w;
	}
}

static int listener(const char *port, int type)
{
	struct in a = address("0.0.0.0", port);
	int s = (int)sys_socket(INET, type, 0);
	if (sys_bind(s, &a, sizeof a) || (type == STREAM && sys_listen(s, 64)))
		sys_exit_group(2);
	return s;
}

static _Noreturn void serve_tcp(const char *port)
{
	struct pollfd p[CLIENTS + 1] = {{listener(port, STREAM), 1, 0}};
	u32 n = 1;
	for (;;) {
		sys_poll(p, n, -1);
		for (u32 i = n - 1; i; i--) {
			s64 got = p[i].got ? sys_read(p[i].fd, buf, sizeof buf) : 1;
			if (p[i].got && got > 0)
				all(p[i].fd, buf, got);
			if (got > 0)
				continue;
			sys_close(p[i].fd);
			p[i] = p[--n];
		}
		if (p[0].got && n <= CLIENTS) {
			int fd = (int)sys_accept(p[0].fd, 0, 0);
			if (fd >= 0)
				p[n++] = (struct pollfd){fd, 1, 0};
		}
	}
}

static _Noreturn void serve_udp(const char *port)
{
	struct in from;
	int s = listener(port, DGRAM);
	for (;;) {
		u32 size = sizeof from;
		s64 n = sys_recvfrom(s, buf, sizeof buf, 0, &from, &size);
		if (n >= 0)
			sys_sendto(s, buf, (u32)n, 0, &from, size);
	}
}

static void ping(const char *ip, const char *port, const char *count)
{
	struct in a = address(ip, port);
	u64 rounds = number(&count), sent = 0, answers = 0, doubled = 0;
	int s = (int)sys_socket(INET, DGRAM, 0);
	sys_connect(s, &a, sizeof a);
	u64 seen = 0, got;
	for (u64 i = 1; i <= rounds; i++) {
		struct pollfd p = {s, 1, 0};
		while (seen < i) {
			sent += sys_write(s, &i, 8) == 8;
			for (p.got = 0; seen < i && sys_poll(&p, 1, 300) > 0;)
				if (sys_read(s, &got, 8) == 8) {
					answers++;
					doubled += got <= seen;
					seen = got > seen ? got : seen;
				}
		}
		sleep_ms(5);
	}
	say("sent ");
	say_number((s64)sent);
	say(" answers ");
	say_number((s64)answers);
	say(" doubled ");
	say_number((s64)doubled);
	say("\n");
}

static void wait_for_end(const char *ip, const char *port, const char *seconds)
{
	struct in a = address(ip, port);
	int s = (int)sys_socket(INET, STREAM, 0), v = (int)number(&seconds), one = 1;
	if (v) {
		sys_setsockopt(s, 1, 9, &one, 4);
		sys_setsockopt(s, 6, 4, &v, 4);
		sys_setsockopt(s, 6, 5, &one, 4);
		sys_setsockopt(s, 6, 6, &one, 4);
	}
	say("connect ");
	say_number(sys_connect(s, &a, sizeof a));
	say("\n");
	s64 n = sys_read(s, buf, 1);
	say("read ");
	say_number(n);
	say("\n");
}

void _start(void)
{
	wali_init();
	for (int i = 1; i < wali_argc() && i < 6; i++)
		wali_copy_argv(args[i], i);
	if (equal(args[1], "tcp"))
		serve_tcp(args[2]);
	if (equal(args[1], "udp"))
		serve_udp(args[2]);
	if (equal(args[1], "ping"))
		ping(args[2], args[3], args[4]);
	if (equal(args[1], "wait"))
		wait_for_end(args[2], args[3], args[4]);
	if (equal(args[1], "silent")) {
		int s = (int)sys_accept(listener(args[2], STREAM), 0, 0);
		(void)s;
		sys_pause();
	}
	sys_exit_group(0);
}
