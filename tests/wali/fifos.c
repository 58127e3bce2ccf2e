/* fifos.c - a guest that makes named pipes, on the host and in memory, and speaks through them with its child. */
#include "guest.h"

SYS(mknod, const char *, int, s64)
SYS(mknodat, int, const char *, int, s64)

enum { FIFO = 010000, NXIO = -6 };

struct pollfd {
	int fd;
	u16 events, revents;
};

static char buf[200];

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	sys_nanosleep(&t, 0);
}

static int status_of_child(void)
{
	int status = -1;
	sys_wait4(-1, &status, 0, 0);
	return status >> 8;
}

static void fifos(const char *dir)
{
	struct stat st = {0};
	struct pollfd p = {0, 1, 0};
	sys_chdir(dir);
	sys_umask(022);
	expect(sys_mknod("pipe", FIFO | 0644, 0), 0, "a named pipe is made");
	expect(sys_mknodat(AT_CWD, "pipe", FIFO | 0644, 0), -17, "once");
	sys_stat("pipe", &st);
	expect(st.mode, FIFO | 0644, "it is one, with its mode");
	expect(sys_open("pipe", WRONLY | NONBLOCK, 0), NXIO, "nobody reads it");
	int r = (int)sys_open("pipe", RDONLY | NONBLOCK, 0);
	point(r >= 0, "reading does not wait when it is told so");
	expect(sys_read(r, buf, 1), 0, "nobody writes: it is the end");
	int w = (int)sys_open("pipe", WRONLY | NONBLOCK, 0);
	expect(sys_read(r, buf, 1), -11, "somebody does: nothing is there yet");
	expect(sys_write(w, "hello", 5), 5, "bytes go in");
	p.fd = r;
	expect(sys_poll(&p, 1, 0), 1, "are told");
	expect(sys_read(r, buf, 9), 5, "and come out");
	sys_close(w);
	expect(sys_read(r, buf, 1), 0, "the last writer's end is the end");
	sys_close(r);
	if (!sys_fork()) {
		sleep_ms(50);
		w = (int)sys_open("pipe", WRONLY, 0);
		sys_write(w, "late", 4);
		sys_exit_group(0);
	}
	r = (int)sys_open("pipe", RDONLY, 0);
	expect(sys_read(r, buf, 9), 4, "who reads waits for who writes");
	expect(sys_read(r, buf, 9), 0, "to the end");
	sys_close(r);
	status_of_child();
	if (!sys_fork()) {
		sleep_ms(50);
		r = (int)sys_open("pipe", RDONLY, 0);
		s64 n, all = 0;
		while ((n = sys_read(r, buf, sizeof buf)) > 0)
			all += n;
		sys_exit_group(all == 100000 ? 3 : 4);
	}
	w = (int)sys_open("pipe", WRONLY, 0);
	for (int i = 0; i < 1000; i++)
		sys_write(w, buf, 100);
	sys_close(w);
	expect(status_of_child(), 3,
	       "who writes waits for who reads, and more than fits goes through");
	expect(sys_unlink("pipe"), 0, "its name is removed");
	expect(sys_mknod("file", 0100644, 0), 0, "mknod makes files");
	expect(sys_mknod("dev", 020644, 259), -1, "but no devices");
	sys_unlink("file");
}

void _start(void)
{
	wali_init();
	fifos("/data");
	fifos("/tmp");
	finish();
}
