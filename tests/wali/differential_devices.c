/* differential_devices.c - the part of differential.c that is about terminals, devices, /proc and sockets. */
#include "differential.h"

/* ---- terminals ---- */

void terminals(void)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), n = -1;
	struct termios t;
	struct winsize w = {10, 20, 0, 0};
	SAY(m < 0 ? -1 : 0);
	SAY(open(ptsname(m) ? ptsname(m) : "x", O_RDWR | O_NOCTTY) < 0 ? -1 : 0);
	SAY(grantpt(m));
	SAY(unlockpt(m));
	int s = open(ptsname(m), O_RDWR | O_NOCTTY | O_NONBLOCK);
	SAY(s < 0 ? -1 : 0);
	SAY(isatty(s));
	SAY(isatty(m));
	SAY(ioctl(s, TIOCSWINSZ, &w));
	w.ws_row = 0;
	SAY(ioctl(m, TIOCGWINSZ, &w));
	SAY(w.ws_row);
	SAY(ioctl(s, TIOCGWINSZ, BAD));
	SAY(tcgetattr(s, &t));
	SAY(t.c_lflag & (ICANON | ECHO | ISIG));
	SAY(tcsetattr(s, 99, &t));
	SAY(ioctl(s, TCSETS, BAD));
	SAY(read(s, buf, 10));
	SAY(write(m, "ab", 2));
	usleep(50000);
	SAY(read(s, buf, 10));
	SAY(ioctl(s, FIONREAD, &n));
	SAY(n);
	SAY(write(m, "c\nd", 3));
	usleep(50000);
	SAY(ioctl(s, FIONREAD, &n));
	SAY(n);
	SAY(read(s, buf, 2));
	SAY(read(s, buf, 10));
	SAY(read(s, buf, 10));
	SAY(read(m, buf, 100));
	SAY(write(s, "x\n", 2));
	SAY(read(m, buf, 100));
	SAY(buf[1]);
	SAY(tcflush(s, TCIOFLUSH));
	SAY(tcflush(s, 99));
	SAY(tcdrain(s));
	SAY(tcflow(s, 99));
	SAY(tcsendbreak(s, 0));
	SAY(tcgetpgrp(s));
	SAY(tcsetpgrp(s, getpgrp()));
	SAY(tcgetsid(s));
	SAY(ioctl(s, TIOCNOTTY, 0));
	SAY(ioctl(s, TIOCSCTTY, 0));
	SAY(ioctl(s, 0x5499, 0));
	pid_t p = fork();
	if (!p) {
		SAY(setsid() < 0 ? -1 : 0);
		SAY(open("/dev/tty", O_RDWR));
		SAY(ioctl(s, TIOCSCTTY, 0));
		SAY(tcgetpgrp(s) == getpgrp());
		SAY(tcgetsid(s) == getpid());
		SAY(open("/dev/tty", O_RDWR) < 0 ? -1 : 0);
		SAY(tcsetpgrp(s, 999999));
		SAY(tcsetpgrp(s, -1));
		SAY(tcsetpgrp(m, getpgrp()) && 0);
		pid_t q = fork();
		if (!q) {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			SAY(tcsetpgrp(s, getpgrp()));
			SAY(tcsetpgrp(s, getppid()));
			signal(SIGTTIN, SIG_IGN);
			SAY(read(s, buf, 1));
			signal(SIGTTOU, SIG_DFL);
			tcsetpgrp(s, getpgrp());
			_exit(9);
		}
		int status;
		SAY(waitpid(q, &status, WUNTRACED) == q);
		SAY(WIFSTOPPED(status) ? WSTOPSIG(status) : -2);
		kill(q, SIGKILL);
		waitpid(q, &status, 0);
		_exit(0);
	}
	waitpid(p, &n, 0);
	SAY(n);
	SAY(lseek(s, 0, SEEK_SET));
	SAY(pread(s, buf, 1, 0));
	SAY(ftruncate(s, 0));
	SAY(close(m));
	SAY(read(s, buf, 1));
	SAY(write(s, "x", 1));
}

/* ---- devices ---- */

void devices(void)
{
	static const char *const which[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
	                                    "/dev/urandom"};
	for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
		int d = open(which[i], O_RDWR);
		struct stat st = {0};
		SAY(i);
		SAY(d < 0 ? -1 : 0);
		SAY(read(d, buf, 10));
		SAY(write(d, buf, 10) == -1 ? -1 : 10);
		SAY(read(d, BAD, 10));
		SAY(lseek(d, 5, SEEK_SET));
		SAY(pread(d, buf, 5, 3));
		SAY(pwrite(d, buf, 5, 3) == -1 ? -1 : 5);
		SAY(ftruncate(d, 0));
		SAY(fstat(d, &st));
		SAY(st.st_mode);
		SAY(open(which[i], O_RDWR | O_TRUNC) < 0 ? -1 : 0);
		SAY(open(which[i], O_RDWR | O_CREAT | O_EXCL, 0600) < 0 ? -1 : 0);
		SAY(open(which[i], O_RDONLY | O_DIRECTORY) < 0 ? -1 : 0);
		SAY(unlink(which[i]) == 0);
		SAY(ioctl(d, TCGETS, buf));
		SAY(access(which[i], X_OK));
		close(d);
	}
	SAY(open("/dev/none", O_RDONLY));
	SAY(open("/dev/null/x", O_RDONLY));
	SAY(open("/proc/none", O_RDONLY));
	SAY(open("/proc/self/none", O_RDONLY));
	SAY(open("/proc/999999/stat", O_RDONLY));
	SAY(mkdir("/proc/x", 0700) == 0);
	SAY(open("/proc/self/stat", O_RDONLY) < 0 ? -1 : 0);
	SAY(readlink("/proc/self/cwd", buf, sizeof buf) > 0);
	SAY(readlink("/proc/self/none", buf, sizeof buf));
	SAY(readlink("/proc/self/fd/99", buf, sizeof buf));
	SAY(open("/proc/self/fd", O_RDONLY | O_DIRECTORY) < 0 ? -1 : 0);
	int p[2];
	pipe(p);
	sprintf(buf, "/proc/self/fd/%d", p[0]);
	SAY(readlink(buf, buf + 100, 100) > 0);
	SAY(memcmp(buf + 100, "pipe:[", 6));
	SAY(open(buf, O_RDONLY | O_NONBLOCK) < 0 ? -1 : 0);
}

/* ---- sockets ---- */

void sockets(void)
{
	struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "name"},
	                   other = {.sun_family = AF_UNIX, .sun_path = "none"};
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t size = sizeof u;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), p[2], v = 0,
	    f = make("f", "");
	SAY(socket(99, SOCK_STREAM, 0));
	SAY(socket(AF_INET, 99, 0));
	SAY(socket(AF_INET, SOCK_STREAM, 99));
	SAY(socketpair(AF_INET, SOCK_STREAM, 0, p));
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD));
	SAY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p));
	SAY(fcntl(p[0], F_GETFL));
	SAY(fcntl(p[0], F_GETFD));
	SAY(read(p[0], buf, 1));
	SAY(listen(f, 1));
	SAY(listen(99, 1));
	SAY(listen(p[0], 1));
	SAY(accept(s, NULL, NULL));
	SAY(bind(s, BAD, size));
	SAY(bind(s, (void *)&u, 1));
	SAY(bind(s, (void *)&in, sizeof in));
	SAY(bind(s, (void *)&u, size));
	SAY(bind(s, (void *)&u, size));
	int again = socket(AF_UNIX, SOCK_STREAM, 0);
	SAY(bind(again, (void *)&u, size));
	SAY(connect(again, (void *)&other, size));
	SAY(connect(again, (void *)&u, size));
	SAY(listen(s, 1));
	SAY(connect(again, (void *)&u, size));
	SAY(connect(again, (void *)&u, size));
	int c = accept(s, NULL, NULL);
	SAY(c < 0 ? -1 : 0);
	SAY(getsockname(c, (void *)&other, &size));
	SAY(size);
	SAY(getpeername(s, (void *)&other, &size));
	SAY(getpeername(f, (void *)&other, &size));
	SAY(getsockname(s, (void *)&other, BAD));
	SAY(send(again, "abc", 3, 0));
	SAY(recv(c, buf, 10, MSG_PEEK));
	SAY(recv(c, buf, 2, 0));
	SAY(recv(c, buf, 10, MSG_DONTWAIT));
	SAY(recv(c, buf, 10, MSG_DONTWAIT));
	SAY(recv(c, BAD, 10, MSG_DONTWAIT));
	SAY(send(f, "abc", 3, 0));
	SAY(send(s, "abc", 3, MSG_NOSIGNAL));
	SAY(shutdown(s, 99));
	SAY(shutdown(f, 0));
	SAY(shutdown(again, SHUT_WR));
	SAY(send(again, "x", 1, MSG_NOSIGNAL));
	SAY(recv(c, buf, 10, 0));
	SAY(lseek(c, 0, SEEK_SET));
	SAY(pread(c, buf, 1, 0));
	size = sizeof v;
	SAY(getsockopt(c, SOL_SOCKET, SO_TYPE, &v, &size));
	SAY(v);
	SAY(getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &size));
	SAY(v);
	SAY(getsockopt(c, SOL_SOCKET, 9999, &v, &size));
	SAY(getsockopt(f, SOL_SOCKET, SO_TYPE, &v, &size));
	SAY(setsockopt(t, SOL_SOCKET, SO_REUSEADDR, &v, 1));
	SAY(setsockopt(t, SOL_SOCKET, SO_REUSEADDR, BAD, 4));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SAY(bind(t, (void *)&in, 3));
	SAY(bind(t, (void *)&in, sizeof in));
	SAY(send(t, "x", 1, MSG_NOSIGNAL));
	SAY(recv(t, buf, 1, MSG_DONTWAIT));
	size = sizeof in;
	SAY(getpeername(t, (void *)&in, &size));
	SAY(close(c));
	signal(SIGPIPE, SIG_IGN);
	SAY(write(p[0], "x", 1));
	close(p[1]);
	SAY(write(p[0], "x", 1));
	SAY(read(p[0], buf, 1));
	SAY(open("name", O_RDWR));
	SAY(unlink("name"));
}
