/* differential.c - calls with odd arguments, one line each: what it answers, and what is to be seen afterwards. Compiled natively and for
 * WasmOS, the lines must be the same (differential.py). Argument: a group of cases; it runs in an empty folder of its own.
 */
#include "differential.h"

/* ---- reading and writing ---- */

static void transfers(void)
{
	int f = make("f", "0123456789"), w = open("f", O_WRONLY), d = open(".", O_RDONLY), p[2],
	    q = open("/dev/null", O_RDWR);
	struct iovec v[3] = {{buf, 2}, {buf + 2, 0}, {buf + 4, 3}}, worse[2] = {{buf, 2}, {BAD, 4}},
	             many[2] = {{buf, SIZE_MAX}, {buf, 1}};
	pipe(p);
	SAY(read(99, buf, 1));
	SAY(read(-1, buf, 1));
	SAY(read(f, BAD, 1));
	SAY(read(f, BAD, 0));
	SAY(read(f, NULL, 1));
	SAY(read(f, buf, 0));
	SAY(read(w, buf, 1));
	SAY(read(d, buf, 1));
	SAY(read(w, BAD, 1));
	SAY(write(f, BAD, 1));
	SAY(write(f, NULL, 0));
	SAY(write(d, buf, 1));
	SAY(write(q, BAD, 10));
	SAY(read(q, BAD, 10));
	SAY(read(p[1], buf, 1));
	SAY(write(p[0], buf, 1));
	SAY(write(p[1], BAD, 1));
	SAY(write(p[1], "abc", 3));
	SAY(read(p[0], BAD, 3));
	SAY(read(p[0], buf, 0));
	SAY(read(p[0], buf, 10));
	SAY(pread(p[0], buf, 1, 0));
	SAY(pwrite(p[1], buf, 1, 0));
	SAY(pread(f, buf, 3, 8));
	SAY(pread(f, buf, 3, 10));
	SAY(pread(f, buf, 3, 1000));
	SAY(pread(f, buf, 3, -1));
	SAY(pread(99, buf, 3, -1));
	SAY(pwrite(f, "x", 1, -1));
	SAY(pwrite(f, "x", 1, 20));
	size_of(f);
	SAY(pread(d, buf, 3, 0));
	SAY(pread(w, buf, 3, 0));
	SAY(readv(f, v, 3));
	SAY(readv(f, v, 0));
	SAY(readv(f, v, -1));
	SAY(readv(f, v, 1025));
	SAY(readv(f, BAD, 1));
	SAY(readv(99, BAD, 1));
	SAY(lseek(f, 0, SEEK_SET));
	SAY(readv(f, worse, 2));
	SAY(lseek(f, 0, SEEK_CUR));
	SAY(writev(f, many, 2));
	SAY(writev(f, worse, 2));
	SAY(writev(w, v, 3));
	SAY(lseek(w, 0, SEEK_CUR));
	SAY(preadv(f, v, 3, -1));
	SAY(pwritev(f, v, 3, 0));
	SAY(lseek(f, -1, SEEK_SET));
	SAY(lseek(f, -100, SEEK_END));
	SAY(lseek(f, 1000, SEEK_END));
	SAY(read(f, buf, 10));
	SAY(write(f, "!", 1));
	size_of(f);
	SAY(lseek(f, 0, 5));
	SAY(lseek(f, 0, 99));
	SAY(lseek(99, 0, 99));
	SAY(lseek(p[0], 0, SEEK_CUR));
	SAY(lseek(1, 0, 77));
	SAY(lseek(q, 100, SEEK_SET));
	SAY(lseek(f, LLONG_MAX, SEEK_SET));
	SAY(lseek(f, LLONG_MAX, SEEK_CUR));
	SAY(lseek(f, 0, SEEK_DATA));
	SAY(lseek(f, 0, SEEK_HOLE));
	SAY(lseek(f, 5000, SEEK_DATA));
	SAY(lseek(f, 5000, SEEK_HOLE));
	SAY(lseek(f, -1, SEEK_DATA));
	SAY(lseek(p[0], 0, SEEK_DATA));
	SAY(ftruncate(f, -1));
	SAY(ftruncate(f, 4));
	SAY(ftruncate(99, 4));
	SAY(ftruncate(p[1], 4));
	SAY(ftruncate(d, 4));
	int r = open("f", O_RDONLY);
	SAY(ftruncate(r, 4));
	SAY(truncate("f", -1));
	SAY(truncate(".", 1));
	SAY(fsync(p[0]));
	SAY(fsync(f));
	SAY(fsync(d));
	SAY(fsync(q));
	SAY(fdatasync(99));
	SAY(posix_fadvise(f, 0, 0, 99));
	SAY(posix_fadvise(p[0], 0, 0, 0));
	SAY(posix_fadvise(f, 0, -1, 0));
	SAY(posix_fadvise(99, 0, 0, 0));
	SAY(posix_fallocate(f, 0, 0));
	SAY(posix_fallocate(f, -1, 1));
	SAY(posix_fallocate(p[1], 0, 1));
	SAY(sendfile(q, f, NULL, 10));
	SAY(sendfile(q, p[0], NULL, 0));
	SAY(sendfile(99, f, NULL, 1));
	SAY(sendfile(q, d, NULL, 1));
	int a = open("f", O_WRONLY | O_APPEND);
	SAY(lseek(a, 0, SEEK_SET));
	SAY(write(a, "end", 3));
	SAY(lseek(a, 0, SEEK_CUR));
	SAY(pwrite(a, "more", 4, 0));
	size_of(a);
	SAY(sendfile(a, f, NULL, 1));
	SAY(close(99));
	SAY(close(-1));
	SAY(close(f));
	SAY(close(f));
	SAY(sync_file_range(99, 0, 0, 0) == -1);
}

static void pipes(void)
{
	int p[2], nb[2];
	SAY(pipe(BAD));
	SAY(pipe2(p, 0x40));
	SAY(pipe2(p, O_CLOEXEC));
	SAY(p[1] - p[0]);
	SAY(fcntl(p[0], F_GETFD));
	SAY(fcntl(p[0], F_GETFL));
	SAY(fcntl(p[1], F_GETFL));
	SAY(pipe2(nb, O_NONBLOCK));
	SAY(read(nb[0], buf, 1));
	SAY(fcntl(nb[1], F_GETPIPE_SZ));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 5000));
	SAY(fcntl(nb[1], F_GETPIPE_SZ));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 1));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, -1));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 0));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 1 << 29));
	SAY(fcntl(0, F_GETPIPE_SZ) == -1);
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 8192));
	SAY(write(nb[1], buf, 4000));
	SAY(write(nb[1], buf, 4000));
	SAY(write(nb[1], buf, 4000));
	SAY(write(nb[1], buf, 4096));
	struct pollfd w = {nb[1], POLLOUT, 0};
	SAY(poll(&w, 1, 0));
	SAY(read(nb[0], buf, 8000));
	SAY(poll(&w, 1, 0));
	SAY(w.revents);
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 65536));
	char *big = calloc(1, 100000);
	SAY(write(nb[1], big, 100000));
	SAY(write(nb[1], big, 1));
	int n = -1;
	SAY(ioctl(nb[0], FIONREAD, &n));
	SAY(n);
	SAY(ioctl(nb[0], FIONREAD, BAD));
	SAY(fcntl(nb[1], F_SETPIPE_SZ, 4096));
	SAY(close(nb[1]));
	struct pollfd r = {nb[0], POLLIN, 0};
	SAY(poll(&r, 1, 0));
	SAY(r.revents);
	SAY(read(nb[0], big, 100000));
	SAY(read(nb[0], big, 100000));
	SAY(poll(&r, 1, 0));
	SAY(r.revents);
	signal(SIGPIPE, SIG_IGN);
	SAY(close(p[0]));
	SAY(write(p[1], "x", 1));
	SAY(write(p[1], "x", 0));
	w.fd = p[1];
	SAY(poll(&w, 1, 0));
	SAY(w.revents);
}

/* ---- descriptors ---- */

static void descriptors(void)
{
	int f = make("f", "0123456789"), v;
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, odd = {.l_type = 9};
	SAY(dup(99));
	SAY(dup(-1));
	SAY(dup2(99, 5));
	SAY(dup2(f, f));
	SAY(dup2(f, -1));
	SAY(dup2(f, 1 << 20));
	SAY(dup2(99, 99));
	SAY(dup2(f, 20));
	SAY(dup3(f, f, 0));
	SAY(dup3(f, 21, 1));
	SAY(dup3(f, 21, O_CLOEXEC));
	SAY(fcntl(21, F_GETFD));
	SAY(fcntl(20, F_GETFD));
	SAY(fcntl(20, F_SETFD, 0xff));
	SAY(fcntl(20, F_GETFD));
	SAY(fcntl(f, F_DUPFD, 30));
	SAY(fcntl(f, F_DUPFD, -1));
	SAY(fcntl(f, F_DUPFD, 1 << 21));
	SAY(fcntl(f, F_DUPFD_CLOEXEC, 30));
	SAY(fcntl(99, F_GETFD));
	SAY(fcntl(f, 9999));
	SAY(fcntl(f, F_GETFL) & ~0100000);
	SAY(fcntl(f, F_SETFL, O_APPEND | O_WRONLY | O_CREAT));
	SAY(fcntl(f, F_GETFL) & ~0100000);
	SAY(fcntl(f, F_SETFL, O_NONBLOCK));
	SAY(fcntl(20, F_GETFL) & ~0100000);
	SAY(fcntl(f, F_SETFL, 0));
	SAY(fcntl(f, F_GETLK, &l));
	SAY(l.l_type);
	SAY(fcntl(f, F_SETLK, &l));
	SAY(fcntl(f, F_SETLK, &odd));
	SAY(fcntl(f, F_SETLK, BAD));
	SAY(fcntl(99, F_SETLK, &l));
	l.l_start = -1;
	SAY(fcntl(f, F_SETLK, &l));
	l.l_start = 0, l.l_whence = 7;
	SAY(fcntl(f, F_SETLK, &l));
	l.l_whence = SEEK_END, l.l_len = -5, l.l_type = F_RDLCK;
	SAY(fcntl(f, F_SETLK, &l));
	int r = open("f", O_RDONLY), p[2];
	l.l_type = F_WRLCK;
	SAY(fcntl(r, F_SETLK, &l));
	pipe(p);
	SAY(fcntl(p[0], F_SETLK, &l) == -1);
	SAY(flock(r, LOCK_EX | LOCK_NB));
	int again = open("f", O_RDONLY);
	SAY(flock(again, LOCK_EX | LOCK_NB));
	SAY(flock(again, LOCK_SH | LOCK_NB));
	SAY(flock(r, LOCK_SH | LOCK_NB));
	SAY(flock(again, LOCK_SH | LOCK_NB));
	SAY(flock(again, 99));
	SAY(flock(99, LOCK_UN));
	SAY(flock(p[0], LOCK_SH));
	SAY(ioctl(f, FIONREAD, &v));
	SAY(v);
	SAY(ioctl(f, TCGETS, buf));
	SAY(ioctl(f, 0x1234, buf));
	SAY(ioctl(99, FIONREAD, &v));
	v = 1;
	SAY(ioctl(p[0], FIONBIO, &v));
	SAY(fcntl(p[0], F_GETFL));
	SAY(ioctl(p[0], FIOCLEX));
	SAY(fcntl(p[0], F_GETFD));
	SAY(ioctl(p[0], FIONCLEX));
	SAY(ioctl(p[0], TIOCGWINSZ, buf));
	SAY(isatty(f));
	SAY(fcntl(f, F_GETOWN));
	SAY(fcntl(f, F_GETSIG));
	SAY(fcntl(f, F_GETLEASE));
	SAY(fcntl(f, F_SETLEASE, F_UNLCK));
}

static void listings(void)
{
	int d = open(".", O_RDONLY), f = make("f", "");
	SAY(syscall(SYS_getdents64, d, buf, 1));
	SAY(syscall(SYS_getdents64, d, BAD, 100));
	SAY(syscall(SYS_getdents64, f, buf, 100));
	SAY(syscall(SYS_getdents64, 99, buf, 100));
	SAY(syscall(SYS_getdents64, d, buf, 1000) > 0);
	SAY(syscall(SYS_getdents64, d, buf, 1000));
	SAY(syscall(SYS_getdents64, d, buf, 1000));
	SAY(lseek(d, 0, SEEK_SET));
	SAY(syscall(SYS_getdents64, d, buf, 1000) > 0);
	mkdir("many", 0755);
	for (int i = 0; i < 200; i++) {
		sprintf(buf, "many/%d", i);
		close(open(buf, O_CREAT | O_RDWR, 0600));
	}
	DIR *dir = opendir("many");
	int seen = 0, left = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		sprintf(buf, "many/%s", e->d_name);
		seen += e->d_name[0] != '.' && !unlink(buf);
	}
	rewinddir(dir);
	for (struct dirent *e; (e = readdir(dir));)
		left += e->d_name[0] != '.';
	SAY(seen);
	SAY(left);
	long at = telldir(dir);
	seekdir(dir, at);
	SAY(readdir(dir) != NULL);
	SAY(rmdir("many"));
	rewinddir(dir);
	SAY(readdir(dir) != NULL);
}

/* ---- waiting for several ---- */

static volatile int handled;

static void on_signal(int n)
{
	handled++;
}

static void polling(void)
{
	int f = make("f", "x"), d = open(".", O_RDONLY), p[2], e = eventfd(0, 0),
	    q = open("/dev/null", O_RDWR), s[2];
	pipe(p), socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	int each[] = {f, d, p[0], p[1], e, q, s[0], 99, -1};
	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		struct pollfd one = {
		    each[i], POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDHUP, 0};
		int r = poll(&one, 1, 0);
		printf("poll %zu: %d %x\n", i, r, one.revents);
		struct pollfd none = {each[i], 0, 77};
		r = poll(&none, 1, 0);
		printf("poll %zu nothing: %d %x\n", i, r, none.revents);
		int ep = epoll_create1(0);
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};
		r = epoll_ctl(ep, EPOLL_CTL_ADD, each[i], &ev);
		printf("epoll add %zu: %d\n", i, r ? errno : 0);
		if (!r)
			printf("epoll wait %zu: %d", i, epoll_wait(ep, &ev, 1, 0)),
			    printf(" %x\n", ev.events);
		close(ep);
	}
	SAY(poll(BAD, 1, 0));
	SAY(poll(NULL, 0, 0));
	SAY(poll(BAD, 0, 0));
	SAY(poll(BAD, -1, 0));
	fd_set in, out;
	struct timeval now = {0, 0}, wrong = {0, -1}, over = {0, 2000000};
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	SAY(select(p[1] + 1, &in, &out, NULL, &now));
	SAY(FD_ISSET(p[0], &in));
	SAY(FD_ISSET(p[1], &out));
	SAY(select(-1, &in, NULL, NULL, &now));
	SAY(select(0, NULL, NULL, NULL, &now));
	SAY(select(0, NULL, NULL, NULL, &wrong));
	FD_ZERO(&in);
	FD_SET(99, &in);
	SAY(select(100, &in, NULL, NULL, &now));
	SAY(select(100, BAD, NULL, NULL, &now));
	SAY(select(0, BAD, NULL, NULL, &over) == -1);
	struct timespec zero = {0, 0}, bad = {0, 1000000000}, neg = {-1, 0};
	SAY(ppoll(NULL, 0, &bad, NULL));
	SAY(ppoll(NULL, 0, &neg, NULL));
	SAY(pselect(0, NULL, NULL, NULL, &bad, NULL));
	sigset_t usr, empty;
	sigemptyset(&usr), sigaddset(&usr, SIGUSR1), sigemptyset(&empty);
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &a, NULL);
	sigprocmask(SIG_BLOCK, &usr, NULL);
	raise(SIGUSR1);
	SAY(ppoll(NULL, 0, &zero, NULL));
	SAY(handled);
	SAY(ppoll(NULL, 0, &zero, &empty));
	SAY(handled);
	raise(SIGUSR1);
	SAY(pselect(0, NULL, NULL, NULL, &zero, &empty));
	SAY(handled);
	raise(SIGUSR1);
	struct pollfd ready = {p[1], POLLOUT, 0};
	SAY(ppoll(&ready, 1, &zero, &empty));
	SAY(handled);
	int ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	SAY(epoll_pwait(ep, &ev, 1, 0, &empty));
	SAY(handled);
	SAY(sigpending(&usr));
	SAY(sigismember(&usr, SIGUSR1));
	SAY(epoll_create1(1));
	SAY(epoll_create(0));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &ev));
	SAY(epoll_ctl(99, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(f, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_MOD, e, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_DEL, e, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, e, BAD));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(ep, 9, e, &ev));
	SAY(epoll_ctl(ep, EPOLL_CTL_DEL, e, NULL));
	SAY(epoll_wait(ep, &ev, 0, 0));
	SAY(epoll_wait(ep, &ev, -1, 0));
	SAY(epoll_wait(f, &ev, 1, 0));
	SAY(epoll_wait(99, &ev, 1, 0));
	SAY(epoll_wait(ep, BAD, 1, 0));
	unsigned long long v = 5;
	SAY(read(e, buf, 7));
	SAY(write(e, &v, 7));
	SAY(write(e, &v, 8));
	SAY(read(e, &v, 100));
	SAY(v);
	v = ~0ull;
	SAY(write(e, &v, 8));
	SAY(eventfd(0, 0x40));
	int sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	SAY(read(sem, &v, 8));
	SAY(v);
	SAY(read(sem, &v, 8));
	SAY(read(sem, &v, 8));
	SAY(pread(sem, &v, 8, 0));
	SAY(lseek(sem, 0, SEEK_SET));
}

/* What an edge-triggered epoll tells now; -1: nothing. */
static int edge(int ep)
{
	struct epoll_event ev;
	return epoll_wait(ep, &ev, 1, 0) == 1 ? (int)ev.events : -1;
}

static int drained(int fd)
{
	char b[64];
	int n = 0;
	while (read(fd, b, sizeof b) > 0)
		n++;
	return n;
}

static void edges(void)
{
	int p[2], s[2], ep = epoll_create1(0), e = eventfd(0, EFD_NONBLOCK);
	uint64_t one = 1;
	struct epoll_event in = {.events = EPOLLIN | EPOLLET},
	                   both = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	pipe2(p, O_NONBLOCK);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &in));
	SAY(edge(ep));
	SAY(write(p[1], "ab", 2));
	SAY(edge(ep));
	SAY(edge(ep));
	SAY(drained(p[0]));
	SAY(write(p[1], "cd", 2)); /* before it was asked again */
	SAY(edge(ep));
	SAY(edge(ep));
	SAY(drained(p[0]));
	SAY(edge(ep));
	SAY(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &both));
	SAY(edge(ep));
	SAY(edge(ep));
	SAY(write(s[1], "ab", 2));
	SAY(edge(ep));
	SAY(edge(ep));
	SAY(drained(s[0]));
	SAY(write(s[1], "cd", 2));
	SAY(edge(ep));
	SAY(epoll_ctl(ep, EPOLL_CTL_DEL, s[0], NULL));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, e, &in));
	SAY(edge(ep));
	SAY(write(e, &one, sizeof one));
	SAY(edge(ep));
	SAY(drained(e));
	SAY(write(e, &one, sizeof one));
	SAY(edge(ep));
	SAY(edge(ep));
}

/* ---- signals ---- */

static void signals(void)
{
	struct sigaction a = {.sa_handler = on_signal}, old;
	sigset_t set, was;
	stack_t st = {.ss_sp = malloc(65536), .ss_size = 65536},
	        small = {.ss_sp = buf, .ss_size = 10}, odd = {.ss_flags = 99}, got;
	sigfillset(&set);
	SAY(sigaction(0, &a, NULL));
	SAY(sigaction(65, &a, NULL));
	SAY(sigaction(SIGKILL, &a, NULL));
	SAY(sigaction(SIGKILL, NULL, &old));
	SAY(sigaction(SIGSTOP, &a, NULL));
	SAY(sigaction(SIGUSR1, &a, NULL));
	SAY(sigaction(SIGUSR1, NULL, &old));
	SAY(old.sa_handler == on_signal);
	SAY(kill(getpid(), 0));
	SAY(kill(getpid(), 65));
	SAY(kill(getpid(), -1));
	SAY(kill(999999, 0));
	SAY(kill(-999999, 0));
	SAY(kill(getpid(), SIGUSR1));
	SAY(handled);
	SAY(syscall(SYS_tkill, (int)syscall(SYS_gettid), SIGUSR1));
	SAY(handled);
	SAY(syscall(SYS_tkill, 0, SIGUSR1));
	SAY(syscall(SYS_tkill, -1, SIGUSR1));
	SAY(syscall(SYS_tkill, 999999, SIGUSR1));
	SAY(sigprocmask(99, &set, NULL));
	SAY(sigprocmask(99, NULL, &was));
	SAY(sigprocmask(SIG_BLOCK, &set, &was));
	SAY(sigprocmask(SIG_BLOCK, NULL, &was));
	SAY(sigismember(&was, SIGKILL));
	SAY(sigismember(&was, SIGTERM));
	raise(SIGUSR1), raise(SIGUSR1), raise(SIGUSR2);
	SAY(sigpending(&was));
	SAY(sigismember(&was, SIGUSR1));
	SAY(sigismember(&was, SIGUSR2));
	signal(SIGUSR2, SIG_IGN);
	sigpending(&was);
	SAY(sigismember(&was, SIGUSR2));
	struct timespec zero = {0, 0};
	SAY(sigtimedwait(&set, NULL, &zero));
	SAY(sigtimedwait(&set, NULL, &zero));
	siginfo_t info;
	raise(SIGUSR1);
	SAY(sigtimedwait(&set, &info, &zero));
	SAY(info.si_signo == SIGUSR1);
	sigemptyset(&set);
	SAY(sigprocmask(SIG_SETMASK, &set, NULL));
	SAY(handled);
	SAY(sigaltstack(NULL, &got));
	SAY(got.ss_flags);
	SAY(sigaltstack(&small, NULL));
	SAY(sigaltstack(&odd, NULL));
	SAY(sigaltstack(&st, &got));
	SAY(sigaltstack(NULL, &got));
	SAY(got.ss_flags);
	SAY(got.ss_sp == st.ss_sp);
	SAY(got.ss_size);
	st.ss_flags = SS_DISABLE;
	SAY(sigaltstack(&st, NULL));
	SAY(sigaltstack(NULL, &got));
	SAY(got.ss_flags);
	SAY(alarm(100));
	SAY(alarm(0));
	SAY(alarm(0));
	struct itimerval t = {{0, 0}, {100, 0}}, o, wrong = {{0, 0}, {0, 1000000}},
	                 negative = {{0, 0}, {-1, 0}};
	SAY(setitimer(ITIMER_REAL, &t, NULL));
	SAY(setitimer(ITIMER_REAL, &wrong, NULL));
	SAY(setitimer(ITIMER_REAL, &negative, NULL));
	SAY(getitimer(ITIMER_REAL, &o));
	SAY(o.it_value.tv_sec);
	SAY(o.it_interval.tv_sec);
	SAY(setitimer(9, &t, NULL));
	SAY(getitimer(9, &t));
	SAY(getitimer(ITIMER_REAL, BAD));
	t.it_interval.tv_sec = 7, t.it_interval.tv_usec = 250000;
	SAY(setitimer(ITIMER_REAL, &t, &o));
	SAY(o.it_interval.tv_sec);
	SAY(getitimer(ITIMER_REAL, &o));
	SAY(o.it_interval.tv_sec * 1000000 + o.it_interval.tv_usec);
	SAY(alarm(0));
	SAY(getitimer(ITIMER_REAL, &o));
	SAY(o.it_value.tv_sec + o.it_value.tv_usec + o.it_interval.tv_sec);
	a.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR1, &a, NULL);
	raise(SIGUSR1);
	SAY(sigaction(SIGUSR1, NULL, &old));
	SAY(old.sa_handler == SIG_DFL);
	a.sa_flags = 0;
	sigaction(SIGALRM, &a, NULL);
	struct itimerval soon = {{0, 0}, {0, 50000}};
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(pause());
	setitimer(ITIMER_REAL, &soon, NULL);
	struct timespec second = {5, 0}, rest;
	SAY(nanosleep(&second, &rest));
	SAY(rest.tv_sec);
	int p[2];
	pipe(p);
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(read(p[0], buf, 1));
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(poll(NULL, 0, 2000));
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(nanosleep(&second, NULL));
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(sigsuspend(&set));
	struct itimerval often = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &often, NULL);
	SAY(pause());
	SAY(pause());
	SAY(setitimer(ITIMER_REAL, &off, &o));
	SAY(o.it_interval.tv_usec);
}

/* ---- processes ---- */

static int setsid_twice(void)
{
	return setsid() == getpid() ? (setsid() == -1 ? errno : 99) : 98;
}

static int leader_setpgid(void)
{
	setsid();
	return setpgid(0, 0) ? errno : 0;
}

static int exit_256(void)
{
	return 256 + 7;
}

static int dies(void)
{
	signal(SIGTERM, SIG_DFL);
	raise(SIGTERM);
	return 0;
}

static void processes(void)
{
	int status;
	siginfo_t info;
	SAY(waitpid(-1, &status, 0));
	SAY(waitpid(getpid(), &status, 0));
	SAY(waitpid(-1, &status, 0x100));
	SAY(waitpid(999999, &status, WNOHANG));
	SAY(waitid(P_ALL, 0, &info, WEXITED));
	SAY(waitid(9, 0, &info, WEXITED));
	SAY(waitid(P_ALL, 0, &info, 0));
	SAY(child(exit_256));
	SAY(child(dies));
	SAY(child(setsid_twice));
	SAY(child(leader_setpgid));
	SAY(setpgid(0, -1));
	SAY(setpgid(-1, 0));
	SAY(setpgid(999999, 0));
	SAY(setpgid(0, 999999));
	SAY(getpgid(999999));
	SAY(getpgid(-1));
	SAY(getsid(999999));
	SAY(setpgid(0, 0));
	SAY(getpgid(0) == getpid());
	SAY(setsid());
	pid_t p = fork();
	if (!p) {
		pause();
		_exit(0);
	}
	SAY(setpgid(p, p));
	SAY(getpgid(p) == p);
	SAY(waitpid(p, &status, WNOHANG));
	SAY(waitpid(-p, &status, WNOHANG));
	SAY(waitpid(0, &status, WNOHANG));
	SAY(kill(p, SIGSTOP));
	SAY(waitpid(p, &status, WUNTRACED) == p);
	SAY(status);
	SAY(waitpid(p, &status, WUNTRACED | WNOHANG));
	SAY(kill(p, SIGCONT));
	SAY(waitpid(p, &status, WCONTINUED) == p);
	SAY(status);
	SAY(kill(-p, SIGKILL));
	SAY(waitid(P_PID, p, &info, WEXITED | WNOWAIT));
	SAY(info.si_status);
	SAY(info.si_code);
	SAY(kill(p, 0));
	SAY(waitpid(p, &status, 0) == p);
	SAY(kill(p, 0));
	SAY(execve("none", (char *[]){"x", NULL}, NULL));
	SAY(execve(".", (char *[]){"x", NULL}, NULL));
	close(make("plain", "text"));
	SAY(execve("plain", (char *[]){"x", NULL}, NULL));
	chmod("plain", 0755);
	SAY(execve("plain", (char *[]){"x", NULL}, NULL));
	close(make("script", "#!/none/at/all\n"));
	chmod("script", 0755);
	SAY(execve("script", (char *[]){"x", NULL}, NULL));
	SAY(execve("script/", (char *[]){"x", NULL}, NULL));
	SAY(execve("", (char *[]){"x", NULL}, NULL));
	SAY(execve(NOPATH, (char *[]){"x", NULL}, NULL));
	SAY(execve("script", BAD, NULL));
	struct rlimit l, wrong = {10, 5};
	SAY(getrlimit(99, &l));
	SAY(getrlimit(RLIMIT_CORE, BAD));
	SAY(setrlimit(RLIMIT_NOFILE, &wrong));
	SAY(prlimit(999999, RLIMIT_CORE, NULL, &l));
	SAY(prlimit(getpid(), RLIMIT_CORE, NULL, &l));
	struct rusage u;
	SAY(getrusage(RUSAGE_SELF, &u));
	SAY(getrusage(99, &u));
	SAY(getrusage(RUSAGE_SELF, BAD));
	SAY(getpriority(PRIO_PROCESS, 0));
	SAY(nice(0));
	SAY(uname(BAD));
	SAY(setuid(getuid()));
	SAY(setuid(0));
	SAY(setgid(0));
	SAY(setreuid(-1, -1));
	SAY(setresuid(-1, 0, -1));
	SAY(setgroups(0, NULL));
	SAY(getgroups(-1, NULL));
	SAY(sched_yield());
	SAY(syscall(SYS_getrandom, buf, 10, 0x100));
	SAY(getrandom(buf, 10, 0));
	SAY(syscall(SYS_getrandom, BAD, 10, 0));
	SAY(sethostname("x", 1));
}

/* ---- time ---- */

static void times_of_day(void)
{
	struct timespec t, wrong = {0, 1000000000}, negative = {-1, 0}, zero = {0, 0},
	                   past = {1, 0};
	struct timeval tv;
	SAY(clock_gettime(99, &t));
	SAY(syscall(SYS_clock_gettime, CLOCK_REALTIME, BAD));
	SAY(clock_getres(99, &t));
	SAY(clock_getres(CLOCK_MONOTONIC, NULL));
	SAY(clock_gettime(CLOCK_BOOTTIME, &t));
	SAY(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t));
	SAY(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	SAY(clock_gettime(CLOCK_MONOTONIC_COARSE, &t));
	SAY(clock_gettime(CLOCK_TAI, &t));
	SAY(nanosleep(&wrong, NULL));
	SAY(nanosleep(&negative, NULL));
	SAY(nanosleep(&zero, NULL));
	SAY(nanosleep(BAD, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));
	SAY(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL));
	SAY(clock_nanosleep(99, 0, &zero, NULL));
	SAY(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &zero, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL));
	SAY(gettimeofday(&tv, NULL));
	SAY(clock_settime(CLOCK_REALTIME, &t));
	SAY(clock_settime(CLOCK_MONOTONIC, &t));
}

/* ---- memory ---- */

static void memory(void)
{
	int f = make("f", "file"), r = open("f", O_RDONLY), w = open("f", O_WRONLY),
	    d = open(".", O_RDONLY), p[2];
	const int both = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	pipe(p);
	SAY(mmap(NULL, 0, both, anonymous, -1, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, anonymous, -1, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_PRIVATE, 99, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_PRIVATE, d, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_PRIVATE, p[0], 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, w, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_SHARED, r, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_PRIVATE, r, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(NULL, 4096, both, MAP_SHARED, f, 1) == MAP_FAILED ? -1 : 0);
	char *m = mmap(NULL, 3 * 4096, both, anonymous, -1, 0),
	     *s = mmap(NULL, 4096, both, MAP_SHARED, f, 0);
	SAY(memcmp(s, "file", 5));
	s[0] = 'F';
	SAY(msync(s, 4096, MS_SYNC));
	SAY(msync(s, 4096, MS_SYNC | MS_ASYNC));
	SAY(msync(s, 4096, 99));
	SAY(msync(s + 1, 4096, MS_SYNC));
	SAY(pread(f, buf, 4, 0));
	SAY(buf[0]);
	SAY(munmap(s + 1, 1));
	SAY(munmap(s, 0));
	SAY(munmap(s, 1));
	size_of(f);
	m[0] = 'a', m[4096] = 'b', m[8192] = 'c';
	SAY(munmap(m + 4096, 4096));
	SAY(m[0]);
	SAY(m[8192]);
	SAY(munmap(m + 4096, 4096));
	SAY(mmap(m + 4096, 4096, both, anonymous | MAP_FIXED, -1, 0) == m + 4096);
	SAY(m[4096]);
	SAY(mmap(m, 4096, both, anonymous | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(m + 1, 4096, both, anonymous | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
	SAY(mprotect(m + 1, 4096, both));
	SAY(mprotect(m, 4096, PROT_READ));
	SAY(mprotect(m, 4096, both));
	SAY(mprotect(m, 0, both));
	SAY(mprotect(m, 4096, 0x80));
	SAY(madvise(m, 4096, MADV_DONTNEED));
	SAY(m[0]);
	SAY(madvise(m, 4096, 9999));
	SAY(madvise(m + 1, 4096, MADV_NORMAL));
	char *n = mmap(NULL, 8192, both, anonymous, -1, 0);
	n[0] = 'n', n[4096] = 'm';
	SAY(mremap(n, 8192, 0, 0) == MAP_FAILED ? -1 : 0);
	SAY(mremap(n + 1, 8192, 4096, 0) == MAP_FAILED ? -1 : 0);
	SAY(mremap(n, 8192, 4096, 0) == n);
	char *big = mremap(n, 4096, 1 << 20, MREMAP_MAYMOVE);
	SAY(big == MAP_FAILED ? -1 : big[0]);
	SAY(big == MAP_FAILED ? -1 : big[4096]);
	SAY(mremap(big, 1 << 20, 4096, 99) == MAP_FAILED ? -1 : 0);
	SAY(mremap(BAD, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	char *shared = mmap(NULL, 4096, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared[0] = 1;
	SAY(shared[0]);
	void *end = sbrk(0);
	SAY(sbrk(4096) == end);
	SAY(brk(end));
	SAY(brk((void *)1));
	SAY(mlock(m, 4096) && 0);
	char *h = mmap(NULL, 8192, both, MAP_PRIVATE, f, 0);
	SAY(h == MAP_FAILED ? -1 : h[0]);
	h[1] = 'X';
	SAY(pread(f, buf, 4, 0));
	SAY(buf[1]);
}

/* In a child: no leader of a group, and nobody's parent. */
static void alone(void (*run)(void))
{
	int status = 0;
	pid_t p = fork();
	if (!p) {
		run();
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, &status, 0);
	if (status)
		printf("its status: %d\n", status);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} groups[] = {{"opening", opening},
	              {"opening-more", opening_more},
	              {"nameless", nameless},
	              {"names", names},
	              {"renames", renames},
	              {"links", links},
	              {"replaces", replaces},
	              {"symlinks", symlinks},
	              {"name-arguments", name_arguments},
	              {"removed-folder", removed_folder},
	              {"transfers", transfers},
	              {"pipes", pipes},
	              {"descriptors", descriptors},
	              {"listings", listings},
	              {"polling", polling},
	              {"edges", edges},
	              {"signals", signals},
	              {"stacks", stacks},
	              {"processes", processes},
	              {"waits", waits},
	              {"times", times_of_day},
	              {"memory", memory},
	              {"terminals", terminals},
	              {"devices", devices},
	              {"sockets", sockets}};
	umask(022);
	if (argc > 2 && chdir(argv[2]))
		return 1;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (argc < 2)
			puts(groups[i].name);
		else if (!strcmp(argv[1], groups[i].name))
			alone(groups[i].run);
	return 0;
}
