/* sockets.c - a guest of sockets between relatives: pairs, names, the loopback, datagrams, options, what poll says. */
#include "guest.h"

enum { UNIX = 1, INET = 2, INET6 = 10, STREAM = 1, DGRAM = 2, SEQPACKET = 5 };
enum { PEEK = 2, WAITALL = 0x100, TRUNC_MSG = 0x20, DONTWAIT = 0x40, NOSIGNAL = 0x4000 };

struct in {
	u16 family, port;
	u8 ip[4], zero[8];
};
struct in6 {
	u16 family, port;
	u32 flow;
	u8 ip[16];
	u32 scope;
};
struct un {
	u16 family;
	char path[108];
};
struct iov {
	void *p;
	u32 size;
};
struct msg {
	void *name;
	u32 name_size;
	struct iov *iov;
	int count, pad1;
	void *control;
	u32 control_size;
	int pad2, flags;
};
struct control {
	u32 size, pad;
	int level, type, fds[4];
};
struct pollfd {
	int fd;
	short events, got;
};

static char buf[70000];

static struct in loopback(u16 port)
{
	struct in a = {INET, (u16)(port >> 8 | port << 8), {127, 0, 0, 1}, {0}};
	return a;
}

static short ready(int fd)
{
	struct pollfd f = {fd, 1 | 4 | 0x2000, 0};
	sys_poll(&f, 1, 0);
	return f.got;
}

static void nap(s64 ms)
{
	struct timespec t = {0, ms * 1000000};
	sys_nanosleep(&t, 0);
}

static void pairs(void)
{
	int p[2], status = 0;
	expect(sys_socketpair(UNIX, STREAM, 0, p), 0, "socketpair");
	struct stat st;
	sys_fstat(p[0], &st);
	expect(st.mode & 0170000, 0140000, "fstat says that it is a socket");
	expect(sys_write(p[0], "hello", 5), 5, "bytes are written into one end");
	expect(ready(p[1]), 5, "the other is to be read and written");
	expect(sys_recvfrom(p[1], buf, 9, PEEK, 0, 0), 5, "PEEK leaves them");
	int n = 0;
	sys_ioctl(p[1], 0x541b, &n);
	expect(n, 5, "FIONREAD counts them");
	expect(sys_read(p[1], buf, 9), 5, "and they are read");
	point(same(buf, "hello", 5), "as they were written");
	expect(sys_recvfrom(p[1], buf, 9, DONTWAIT, 0, 0), -11, "then there is nothing");
	s64 pid = sys_fork();
	if (!pid) {
		sys_close(p[1]);
		nap(20);
		sys_write(p[0], "ab", 2);
		nap(20);
		sys_write(p[0], "cd", 2);
		sys_exit_group(0);
	}
	expect(sys_recvfrom(p[1], buf, 4, WAITALL, 0, 0), 4, "WAITALL waits for all of it");
	point(same(buf, "abcd", 4), "in order");
	sys_wait4((int)pid, &status, 0, 0);
	expect(sys_shutdown(p[0], 1), 0, "shutdown of one direction");
	expect(sys_read(p[1], buf, 9), 0, "is the end for the reader");
	expect(ready(p[1]), 1 | 4 | 0x2000, "which poll says");
	expect(sys_sendto(p[0], "x", 1, NOSIGNAL, 0, 0), -32, "nothing more can be written");
	expect(sys_write(p[1], "back", 4), 4, "the other direction lives");
	expect(sys_read(p[0], buf, 9), 4, "and arrives");
	sys_close(p[0]);
	point(ready(p[1]) & 16, "an end that is closed is told as HUP");
	expect(sys_sendto(p[1], "x", 1, NOSIGNAL, 0, 0), -32, "writing to it is EPIPE");
	sys_close(p[1]);
	expect(sys_socketpair(UNIX, SEQPACKET, 0, p), 0, "SEQPACKET");
	sys_write(p[0], "one", 3);
	sys_write(p[0], "three", 5);
	expect(sys_read(p[1], buf, 9), 3, "keeps the borders of what was written");
	expect(sys_recvfrom(p[1], buf, 2, TRUNC_MSG, 0, 0), 5, "TRUNC tells how large it was");
	sys_close(p[0]);
	sys_close(p[1]);
	expect(sys_socketpair(INET, STREAM, 0, p), -95, "pairs are AF_UNIX");
	expect(sys_socket(INET, 3, 0), -94, "no raw sockets");
	expect(sys_socket(17, DGRAM, 0), -97, "no packet sockets");
	expect(sys_socket(INET, STREAM, 17), -93, "TCP is no datagram");
	expect(sys_listen(1, 1), -88, "what is no socket is ENOTSOCK");
}

/* 4 MiB each way through small reads. */
static void much(void)
{
	int p[2], status = 1;
	enum { TOTAL = 4 << 20 };
	sys_socketpair(UNIX, STREAM, 0, p);
	s64 pid = sys_fork();
	if (!pid) {
		u32 at = 0;
		sys_close(p[0]);
		while (at < TOTAL) {
			for (u32 i = 0; i < 65536; i++)
				buf[i] = (char)((at + i) * 7 >> 3);
			s64 n = sys_write(p[1], buf, 65536);
			if (n != 65536)
				sys_exit_group(1);
			at += (u32)n;
		}
		sys_exit_group(0);
	}
	sys_close(p[1]);
	u32 at = 0, wrong = 0;
	s64 n;
	while ((n = sys_read(p[0], buf, 3001)) > 0) {
		for (s64 i = 0; i < n; i++, at++)
			wrong += buf[i] != (char)(at * 7 >> 3);
	}
	sys_wait4((int)pid, &status, 0, 0);
	expect(at, TOTAL, "much goes through, and its writer waits for room");
	expect(wrong + (u32)status, 0, "every byte in its place");
	sys_close(p[0]);
}

static void files_travel(void)
{
	int p[2], q[2];
	struct control c = {16 + 8, 0, 1, 1, {0}};
	struct iov v = {"x", 1};
	struct msg m = {.iov = &v, .count = 1, .control = &c, .control_size = sizeof c};
	sys_socketpair(UNIX, STREAM, 0, p);
	sys_pipe(q);
	c.fds[0] = q[0];
	c.fds[1] = q[1];
	m.control_size = 24;
	expect(sys_sendmsg(p[0], &m, 0), 1, "sendmsg with two files");
	sys_close(q[0]);
	sys_close(q[1]);
	sys_write(p[0], "y", 1);
	c = (struct control){0};
	v = (struct iov){buf, 10};
	m.control_size = sizeof c;
	expect(sys_recvmsg(p[1], &m, 0), 1, "recvmsg reads up to what came with them");
	point(c.size == 24 && c.level == 1 && c.type == 1, "and has two descriptors");
	sys_write(c.fds[1], "through", 7);
	expect(sys_read(c.fds[0], buf, 20), 7, "which are the pipe's");
	m.control_size = 20;
	struct control d = {20, 0, 1, 1, {c.fds[0]}};
	m.control = &d;
	m.control_size = 20;
	v = (struct iov){"z", 1};
	sys_sendmsg(p[0], &m, 0);
	m.control_size = 8;
	v = (struct iov){buf, 10};
	sys_read(p[1], buf, 1);
	expect(sys_recvmsg(p[1], &m, 0), 1, "without room for them");
	point(m.flags & 8 && !m.control_size, "CTRUNC says that they are lost");
	m.control = &d;
	m.control_size = 20;
	d = (struct control){20, 0, 1, 1, {p[1]}};
	v = (struct iov){"z", 1};
	expect(sys_sendmsg(p[0], &m, 0), 1, "a socket that travels over itself");
	d.fds[0] = 999;
	expect(sys_sendmsg(p[0], &m, 0), -9, "what is not open cannot");
	sys_close(p[0]);
	sys_close(p[1]); /* and ends with the family */
}

static void names(void)
{
	struct un a = {UNIX, "/tmp/name"}, b = {UNIX, "\0abstract"}, c;
	u32 size = sizeof c;
	struct stat st;
	int s = (int)sys_socket(UNIX, STREAM, 0), t = (int)sys_socket(UNIX, STREAM, 0);
	expect(sys_connect(t, &a, sizeof a), -2, "a name that is not there");
	expect(sys_bind(s, &a, sizeof a), 0, "a socket gets a name");
	expect(sys_stat("/tmp/name", &st), 0, "in a folder");
	expect(st.mode & 0170000, 0140000, "that stat says is a socket's");
	expect(sys_bind(t, &a, sizeof a), -98, "which nobody else can have");
	expect(sys_connect(t, &a, sizeof a), -111, "nobody listens yet");
	expect(sys_listen(s, 5), 0, "listen");
	expect(sys_connect(t, &a, sizeof a), 0, "connect");
	expect(ready(s), 1, "a listener that has a connection is readable");
	int u = (int)sys_accept(s, &c, &size);
	point(u > 0, "accept");
	expect(size, 2, "from one without a name");
	size = sizeof c;
	sys_getpeername(t, &c, &size);
	expect(size, 12, "getpeername has the listener's name");
	point(equal(c.path, "/tmp/name"), "as it was given");
	u32 cred[3], n = 12;
	expect(sys_getsockopt(t, 1, 17, cred, &n), 0, "PEERCRED");
	point(cred[0] == sys_getpid() && cred[1] == 1000, "is who we are");
	expect(sys_connect(t, &a, sizeof a), -106, "once is enough");
	sys_close(u);
	sys_close(t);
	sys_close(s);
	t = (int)sys_socket(UNIX, STREAM, 0);
	expect(sys_connect(t, &a, sizeof a), -111, "a name whose socket is gone is refused");
	s = (int)sys_socket(UNIX, DGRAM, 0);
	expect(sys_bind(s, &b, 2 + 9), 0, "a name in no folder");
	int d = (int)sys_socket(UNIX, DGRAM, 0);
	expect(sys_sendto(d, "dgram", 5, 0, &b, 2 + 9), 5, "a datagram to it");
	expect(sys_recvfrom(s, buf, 3, 0, 0, 0), 3, "is cut to the room there is");
	expect(sys_recvfrom(s, buf, 3, DONTWAIT, 0, 0), -11, "and the rest is gone");
	b.path[3] = 'x';
	expect(sys_sendto(d, "dgram", 5, 0, &b, 2 + 9), -111, "another name is nobody's");
	expect(sys_unlink("/tmp/name"), 0, "names are removed like files");
}

static void loopbacks(void)
{
	struct in a = loopback(0), b;
	u32 size = sizeof a;
	int s = (int)sys_socket(INET, STREAM, 0), one = 1, error = 1;
	expect(sys_setsockopt(s, 1, 2, &one, 4), 0, "REUSEADDR");
	expect(sys_bind(s, &a, sizeof a), 0, "bind to the loopback");
	sys_getsockname(s, &a, &size);
	point(size == 16 && a.port, "to a port that was free");
	int t = (int)sys_socket(INET, STREAM, 0);
	expect(sys_connect(t, &a, sizeof a), -111, "nobody listens: refused");
	expect(sys_listen(s, 1), 0, "listen");
	s64 pid = sys_fork();
	if (!pid) {
		int c = (int)sys_socket(INET, STREAM, 0);
		nap(20);
		if (sys_connect(c, &a, sizeof a))
			sys_exit_group(1);
		sys_write(c, "GET", 3);
		s64 n = sys_read(c, buf, 100);
		sys_exit_group(n == 4 && same(buf, "DONE", 4) ? 0 : 2);
	}
	size = sizeof b;
	int c = (int)sys_accept4(s, &b, &size, CLOEXEC);
	point(c > 0 && b.family == INET && b.ip[0] == 127 && b.port, "accept waits for a child");
	expect(sys_read(c, buf, 100), 3, "its request");
	expect(sys_write(c, "DONE", 4), 4, "the answer");
	int status = 1;
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 0, "arrives");
	expect(sys_read(c, buf, 100), 0, "the child's end closes it");
	sys_close(c);
	struct in other = loopback(1), far = {INET, 0x5000, {192, 0, 2, 1}, {0}};
	expect(sys_connect(t, &other, sizeof other), -111, "another port is nobody's");
	expect(sys_connect(t, &far, sizeof far), -101, "the world outside is not reached");
	expect(sys_bind(t, &far, sizeof far), -99, "nor is its address ours");
	expect(sys_bind(t, &a, sizeof a), -98, "a port has one listener");
	int p[2] = {(int)sys_socket(INET, STREAM | NONBLOCK, 0)};
	expect(sys_connect(p[0], &a, sizeof a), -115, "connect, not waiting, is under way");
	point(ready(p[0]) == 4, "poll says when it has come about");
	size = 4;
	expect(sys_getsockopt(p[0], 1, 4, &error, &size), 0, "SO_ERROR");
	expect(error, 0, "is none");
	expect(sys_connect(p[0], &a, sizeof a), 0, "connect says so too");
	expect(sys_connect(p[0], &a, sizeof a), -106, "once");
	expect(sys_read(p[0], buf, 1), -11, "nothing to read yet");
	sys_close(s);
	expect(sys_read(p[0], buf, 1), -104, "a listener that is closed resets who waits");
	struct in6 six = {INET6, 0, 0, {[15] = 1}, 0};
	int e = (int)sys_socket(INET6, STREAM, 0);
	expect(sys_bind(e, &six, sizeof six), 0, "the loopback of IPv6");
	s = (int)sys_socket(INET, STREAM, 0);
	sys_listen(s, 1);
	size = sizeof a;
	sys_getsockname(s, &a, &size);
	a.ip[0] = 127;
	a.ip[3] = 1;
	t = (int)sys_socket(INET, STREAM, 0);
	sys_connect(t, &a, sizeof a);
	sys_close((int)sys_accept(s, 0, 0));
	expect(sys_sendto(t, "x", 1, NOSIGNAL, 0, 0), 1,
	       "the first write to who has hung up is lost");
	expect(sys_sendto(t, "x", 1, NOSIGNAL, 0, 0), -32, "the next one is EPIPE");
	sys_close(t);
	sys_close(s);
	size = sizeof six;
	sys_getsockname(e, &six, &size);
	expect(size, 28, "has an address of its own form");
	expect(sys_listen(e, 0), 0, "listens");
	a = loopback((u16)(six.port >> 8 | six.port << 8));
	sys_close(t);
	t = (int)sys_socket(INET, STREAM, 0);
	expect(sys_connect(t, &a, sizeof a), -111, "not by IPv4");
	sys_close(e);
	e = (int)sys_socket(INET6, STREAM, 0);
	six = (struct in6){INET6, six.port, 0, {0}, 0};
	expect(sys_bind(e, &six, sizeof six), 0, "any address, IPv6");
	sys_listen(e, 0);
	expect(sys_connect(t, &a, sizeof a), 0, "takes IPv4 too");
	size = sizeof six;
	c = (int)sys_accept(e, &six, &size);
	point(c > 0 && six.ip[10] == 0xff && six.ip[12] == 127, "and shows it mapped");
	sys_close(c);
	sys_close(e);
	sys_close(t);
}

static void datagrams(void)
{
	struct in a = loopback(0), from;
	u32 size = sizeof a;
	int s = (int)sys_socket(INET, DGRAM, 0), t = (int)sys_socket(INET, DGRAM, 0);
	sys_bind(s, &a, sizeof a);
	sys_getsockname(s, &a, &size);
	expect(sys_sendto(t, "one", 3, 0, &a, sizeof a), 3, "a datagram");
	expect(sys_sendto(t, "", 0, 0, &a, sizeof a), 0, "an empty one");
	size = sizeof from;
	expect(sys_recvfrom(s, buf, 99, 0, &from, &size), 3, "arrives");
	point(from.ip[0] == 127 && from.port, "and says from where");
	expect(sys_recvfrom(s, buf, 99, 0, 0, 0), 0, "the empty one too");
	expect(sys_sendto(s, "back", 4, 0, &from, size), 4, "an answer");
	expect(sys_connect(t, &a, sizeof a), 0, "connect of a datagram socket");
	expect(sys_read(t, buf, 99), 4, "reads the answer");
	expect(sys_sendto(t, buf, 65508, 0, 0, 0), -90, "one can be too large");
	sys_close(s);
	expect(sys_write(t, "x", 1), 1, "to nobody");
	expect(sys_write(t, "x", 1), -111, "is refused the next time");
	u64 wait[2] = {0, 30000};
	expect(sys_setsockopt(t, 1, 20, wait, 16), 0, "RCVTIMEO");
	expect(sys_read(t, buf, 1), -11, "gives up after a while");
	/* A question for localhost, type A, to the name server every guest has. */
	static const char q[] = "\1\2\1\0\0\1\0\0\0\0\0\0\11localhost\0\0\1\0\1";
	struct in ns = loopback(53);
	int d = (int)sys_socket(INET, DGRAM, 0);
	expect(sys_sendto(d, q, sizeof q - 1, 0, &ns, sizeof ns), sizeof q - 1,
	       "a question of the DNS");
	s64 n = sys_recvfrom(d, buf, 512, 0, 0, 0);
	point(n == sizeof q - 1 + 16 && same(buf + n - 4, "\177\0\0\1", 4),
	      "localhost is 127.0.0.1");
	sys_close(d);
	sys_close(t);
}

static void signals(void)
{
	int p[2], status = 0;
	sys_socketpair(UNIX, STREAM, 0, p);
	sys_close(p[0]);
	s64 pid = sys_fork();
	if (!pid) {
		sys_write(p[1], "x", 1);
		sys_exit_group(0);
	}
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 13, "writing to nobody is SIGPIPE");
	expect(sys_setsockopt(p[1], 99, 1, &status, 4), -92, "an option nobody knows");
	int n = 0;
	u32 size = 4;
	expect(sys_getsockopt(p[1], 1, 3, &n, &size), 0, "SO_TYPE");
	expect(n, STREAM, "is what it was made as");
	u32 count = 0;
	s64 fd;
	while ((fd = sys_socket(UNIX, STREAM, 0)) >= 0)
		count++;
	point(count > 1000 && (fd == -23 || fd == -24), "there is an end to sockets");
}

void _start(void)
{
	wali_init();
	pairs();
	much();
	files_travel();
	names();
	loopbacks();
	datagrams();
	signals();
	finish();
}
