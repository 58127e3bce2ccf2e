/* files.c - a guest that asks the Linux calls on files, names and memory, and says TAP. Mounts: /data (writable), /tmp in memory. */
#include "guest.h"

static char buf[8192];

static void reading(const char *dir)
{
	s64 fd;
	struct stat st;
	expect(sys_chdir(dir), 0, "the current folder changes");
	expect(sys_getcwd(buf, sizeof buf), length(dir) + 1, "getcwd says its size");
	point(equal(buf, dir), "getcwd says its name");
	expect(sys_open("none", RDONLY, 0), -2, "a missing file is ENOENT");
	fd = sys_open("f", RDWR | CREAT | EXCL, 0644);
	point(fd >= 3, "a new file is opened");
	expect(sys_open("f", RDWR | CREAT | EXCL, 0644), -17, "EXCL of what is there is EEXIST");
	expect(sys_write((int)fd, "hello world", 11), 11, "write takes all");
	expect(sys_lseek((int)fd, -5, 2), 6, "lseek from the end");
	expect(sys_read((int)fd, buf, 100), 5, "read to the end");
	point(same(buf, "world", 5), "what was written is read");
	expect(sys_read((int)fd, buf, 100), 0, "the end is 0");
	expect(sys_pread64((int)fd, buf, 5, 0), 5, "pread at 0");
	expect(sys_pwrite64((int)fd, "HE", 2, 0), 2, "pwrite");
	expect(sys_ftruncate((int)fd, 5), 0, "ftruncate");
	expect(sys_fstat((int)fd, &st), 0, "fstat");
	expect((s64)st.size, 5, "its size");
	expect(st.mode & 0170000, 0100000, "it is a regular file");
	expect(st.uid, sys_getuid(), "it is ours");
	struct {
		const void *p;
		u32 n;
	} v[2] = {{"ab", 2}, {"cd", 2}};
	expect(sys_writev((int)fd, v, 2), 4, "writev");
	expect(sys_close((int)fd), 0, "close");
	expect(sys_close((int)fd), -9, "close again is EBADF");
	expect(sys_write(99, "x", 1), -9, "a number that is not open is EBADF");
	expect(sys_read(0, (void *)0xfffffff0, 100), -14, "a buffer outside of memory is EFAULT");
	expect(sys_open((const char *)0xfffffff0, 0, 0), -14, "a name outside of memory is EFAULT");
	expect(sys_open("f", 0, 0) >= 0 && sys_open("f/x", 0, 0) == -20, 1,
	       "through a file is ENOTDIR");
}

static void names(void)
{
	struct stat st;
	expect(sys_mkdir("d", 0755), 0, "mkdir");
	expect(sys_mkdir("d", 0755), -17, "mkdir again is EEXIST");
	expect(sys_symlink("../f", "d/l"), 0, "symlink");
	expect(sys_readlink("d/l", buf, 100), 4, "readlink");
	point(same(buf, "../f", 4), "a link's text");
	expect(sys_lstat("d/l", &st), 0, "lstat");
	expect(st.mode & 0170000, 0120000, "lstat of a link");
	expect(sys_stat("d/l", &st), 0, "stat through a link with ..");
	expect(st.mode & 0170000, 0100000, "stat is of the file");
	expect(sys_stat("./d/..//d/../f", &st), 0, "dots and slashes");
	expect(sys_open("d/l", NOFOLLOW, 0), -40, "NOFOLLOW of a link is ELOOP");
	expect(sys_link("f", "g"), 0, "link");
	sys_stat("f", &st);
	expect((s64)st.nlink, 2, "two names");
	expect(sys_rename("g", "d/g"), 0, "rename");
	expect(sys_access("g", 0), -2, "the old name is gone");
	expect(sys_access("d/g", 4), 0, "the new one is there");
	expect(sys_rmdir("d"), -39, "a full folder is ENOTEMPTY");
	expect(sys_unlink("d"), -21, "unlink of a folder is EISDIR");
	s64 fd = sys_open("d", DIRECTORY, 0);
	expect(sys_openat((int)fd, "g", RDONLY, 0) >= 0, 1, "openat");
	expect(sys_newfstatat((int)fd, "", &st, 0x1000), 0, "fstatat of the descriptor itself");
	expect(st.mode & 0170000, 040000, "it is a folder");
	s64 n = sys_getdents64((int)fd, buf, sizeof buf);
	int found = 0, count = 0;
	for (s64 at = 0; at < n; at += *(u16 *)(buf + at + 16), count++)
		found += equal(buf + at + 19, "g") && buf[at + 18] == 8;
	expect(count, 4, "four entries");
	expect(found, 1, "the file among them");
	expect(sys_getdents64((int)fd, buf, sizeof buf), 0, "and no more");
	expect(sys_fchdir((int)fd), 0, "fchdir");
	expect(sys_access("g", 0), 0, "names are relative to it");
	expect(sys_chdir(".."), 0, "chdir ..");
	expect(sys_unlinkat((int)fd, "g", 0), 0, "unlinkat");
	expect(sys_unlink("d/l"), 0, "unlink of a link");
	expect(sys_unlinkat(AT_CWD, "d", 0x200), 0, "unlinkat of a folder");
	struct timespec t[2] = {{1000000000, 5}, {0, 0x3ffffffe}};
	expect(sys_utimensat(AT_CWD, "f", t, 0), 0, "utimensat");
	sys_stat("f", &st);
	expect((s64)st.atime[0], 1000000000, "the time that was set");
}

static void descriptors(void)
{
	int p[2];
	s64 fd = sys_open("f", RDONLY | CLOEXEC, 0), other;
	expect(sys_fcntl((int)fd, 1, 0), 1, "CLOEXEC is a descriptor's");
	other = sys_dup((int)fd);
	expect(sys_fcntl((int)other, 1, 0), 0, "dup has none");
	sys_lseek((int)fd, 3, 0);
	expect(sys_lseek((int)other, 0, 1), 3, "dup'ed descriptors share the offset");
	expect(sys_fcntl((int)fd, 0, 40), 40, "F_DUPFD from a number on");
	expect(sys_dup2((int)fd, 50), 50, "dup2");
	expect(sys_dup3((int)fd, (int)fd, 0), -22, "dup3 onto itself is EINVAL");
	expect(sys_fcntl((int)fd, 3, 0), 0, "GETFL: read only");
	expect(sys_write((int)fd, "x", 1), -9, "writing to it is EBADF");
	expect(sys_pipe2(p, NONBLOCK), 0, "pipe2");
	expect(sys_read(p[0], buf, 10), -11, "an empty pipe is EAGAIN");
	expect(sys_write(p[1], "abc", 3), 3, "a pipe takes");
	expect(sys_read(p[0], buf, 10), 3, "and gives");
	expect(sys_lseek(p[0], 0, 1), -29, "a pipe has no offset");
	long null = sys_open("/dev/null", 2, 0);
	expect(sys_lseek((int)null, 5, 0), 0, "/dev/null begins everywhere");
	sys_close((int)null);
	sys_close(p[1]);
	expect(sys_read(p[0], buf, 10), 0, "without a writer a pipe ends");
}

static void devices(void)
{
	struct stat st;
	s64 fd = sys_open("/dev/null", RDWR, 0);
	expect(sys_write((int)fd, "x", 1), 1, "/dev/null swallows");
	expect(sys_read((int)fd, buf, 10), 0, "/dev/null is empty");
	expect(sys_fstat((int)fd, &st), 0, "fstat of a device");
	expect(st.mode & 0170000, 020000, "it is one");
	fd = sys_open("/dev/zero", RDWR, 0);
	buf[7] = 1;
	expect(sys_read((int)fd, buf, 10), 10, "/dev/zero");
	expect(buf[7], 0, "reads zeros");
	fd = sys_open("/dev/full", RDWR, 0);
	expect(sys_write((int)fd, "x", 1), -28, "/dev/full is full");
	fd = sys_open("/dev/urandom", RDONLY, 0);
	expect(sys_read((int)fd, buf, 16), 16, "/dev/urandom");
	u64 *r = (u64 *)buf;
	point(r[0] != r[1], "which is random");
	expect(sys_open("/dev/nothing", 0, 0), -2, "no such device");
	fd = sys_open("/dev", DIRECTORY, 0);
	point(sys_getdents64((int)fd, buf, sizeof buf) > 100, "/dev has entries");
	expect(sys_stat("/", &st), 0, "the root is there");
	fd = sys_open("/", DIRECTORY, 0);
	point(sys_getdents64((int)fd, buf, sizeof buf) > 60, "and has entries");
	expect(sys_mkdir("/new", 0), -2, "which cannot be made");
}

static void memory(void)
{
	u8 *at = (u8 *)(u32)sys_brk(0);
	expect(sys_brk(at + 100000), (u32)at + 100000, "brk grows");
	at[99999] = 7;
	expect(sys_brk(at), (u32)at, "and shrinks");
	u8 *m = (u8 *)(u32)sys_mmap(0, 10000, 3, 0x22, -1, 0);
	point((s64)(u32)m > 0 && !((u32)m & 4095), "mmap");
	m[9999] = 5;
	u8 *bigger = (u8 *)(u32)sys_mremap(m, 10000, 200000, 1, 0);
	expect(bigger[9999], 5, "mremap keeps what is there");
	expect(bigger[150000], 0, "and adds zeros");
	expect(sys_munmap(bigger, 200000), 0, "munmap");
	m = (u8 *)(u32)sys_mmap(0, 200000, 3, 0x22, -1, 0);
	expect(m[9999], 0, "what is mapped again is zero");
	expect(sys_madvise(m, 4096, 4), 0, "madvise");
	s64 fd = sys_open("m", RDWR | CREAT | TRUNC, 0644);
	sys_write((int)fd, "0123456789", 10);
	u8 *shared = (u8 *)(u32)sys_mmap(0, 10, 3, 1, (int)fd, 0);
	u8 *private = (u8 *)(u32)sys_mmap(0, 10, 3, 2, (int)fd, 0);
	point(same(shared, "0123456789", 10), "a mapped file is read in");
	shared[3] = 'X';
	private[4] = 'Y';
	expect(sys_msync(shared, 10, 4), 0, "msync");
	sys_pread64((int)fd, buf, 10, 0);
	point(same(buf, "012X456789", 10), "writes a shared map back, a private one never");
	shared[0] = 'Z';
	sys_munmap(shared, 10);
	sys_pread64((int)fd, buf, 10, 0);
	point(buf[0] == 'Z', "munmap does too");
	expect(sys_mmap(0, 0, 3, 0x22, -1, 0), -22, "no size is EINVAL");
	expect((s64)sys_mmap(0, 0xfffff000, 3, 0x22, -1, 0), -12, "too much is ENOMEM");
}

static void the_rest(void)
{
	char name[390];
	struct timespec t, u;
	expect(sys_uname(name), 0, "uname");
	point(equal(name, "WasmOS"), "the system's own name");
	point(equal(name + 4 * 65, "wasm32"), "and its machine");
	expect(sys_getrandom(buf, 32, 0), 32, "getrandom");
	expect(sys_clock_gettime(1, &t), 0, "clock_gettime");
	struct timespec d = {0, 20000000};
	expect(sys_nanosleep(&d, 0), 0, "nanosleep");
	sys_clock_gettime(1, &u);
	s64 slept = (u.s - t.s) * 1000000000 + u.ns - t.ns;
	point(slept >= 20000000 && slept < 2000000000, "sleeps as long as it was told");
	expect(sys_clock_gettime(77, &t), -22, "an unknown clock is EINVAL");
	expect(sys_setuid(0), -1, "nobody becomes root");
	expect(sys_never_heard_of(1, 2), -38, "an unknown call is ENOSYS");
	u64 limit[2];
	expect(sys_prlimit64(0, 7, 0, limit), 0, "prlimit64");
	expect((s64)limit[0], 4096, "open files have a limit");
	expect(sys_umask(027), 022, "umask says what was");
	expect(sys_ioctl(sys_open("f", 0, 0), 0x5413, buf), -25, "a file is no terminal");
}

static void streams(void)
{
	struct stat st = {0};
	expect(sys_readlink("/dev/stdin", buf, sizeof buf), 15, "/dev/stdin is a link");
	point(same(buf, "/proc/self/fd/0", 15), "into /proc");
	expect(sys_readlink("/dev/fd", buf, sizeof buf), 13, "and /dev/fd");
	s64 first = sys_open("/data/there", RDONLY, 0), fd = sys_dup2((int)first, 9);
	const char *name = "/dev/fd/9";
	sys_close((int)first);
	sys_lstat(name, &st);
	expect(st.mode & 0170000, 0120000, "what is open is a link there");
	s64 again = sys_open(name, RDONLY, 0);
	point(again >= 0 && sys_read((int)again, buf, 5) == 5 && same(buf, "there", 5),
	      "to the file");
	sys_close((int)again);
	sys_close((int)fd);
	expect(sys_open(name, RDONLY, 0), -2, "as long as it is open");
}

/* Links that the test's driver made, on the host: a guest makes none that lead out of its mount. */
static void absolute_links(void)
{
	s64 fd = sys_open("/data/abs", RDONLY, 0);
	point(fd >= 0 && sys_read((int)fd, buf, 5) == 5 && same(buf, "there", 5),
	      "an absolute link leads through the guest's own tree");
	fd = sys_open("/data/nul", RDWR, 0);
	expect(sys_write((int)fd, "x", 1), 1, "also into another part of it");
	expect(sys_open("/data/out", RDONLY, 0), -2, "a link never leads out");
	expect(sys_open("/data/loop", RDONLY, 0), -40, "a link to itself is ELOOP");
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "/tmp/mine" : "/data/mine";
		sys_unlink(name);
		expect(sys_symlink("/data/there", name), 0, "an absolute link is made");
		expect(sys_readlink(name, buf, sizeof buf), 11, "and reads back");
		point(same(buf, "/data/there", 11), "as it was written");
		fd = sys_open(name, RDONLY, 0);
		point(fd >= 0 && sys_read((int)fd, buf, 5) == 5 && same(buf, "there", 5),
		      "it leads through the guest's tree");
		sys_close((int)fd);
		sys_unlink(name);
		sys_symlink("/tmp/far", name);
		sys_close((int)sys_open(name, WRONLY | CREAT, 0600));
		expect(sys_access("/tmp/far", 0), 0, "a file is made where it leads");
		sys_unlink("/tmp/far");
		sys_unlink(name);
	}
}

static u32 mode_of(const char *name)
{
	struct stat st = {0};
	sys_stat(name, &st);
	return st.mode & 07777;
}

/* In a folder of the host and in memory. */
static void modes(const char *dir)
{
	sys_chdir(dir);
	sys_umask(022);
	int fd = (int)sys_open("made", RDWR | CREAT, 0666);
	expect(mode_of("made"), 0644, "a new file has its mode without the umask");
	sys_umask(077);
	sys_close((int)sys_open("own", RDWR | CREAT, 0644));
	expect(mode_of("own"), 0600, "a file may be its owner's alone");
	sys_mkdir("room", 0777);
	expect(mode_of("room"), 0700, "and a folder");
	expect(sys_chmod("made", 0555), 0, "chmod");
	expect(mode_of("made"), 0555, "is kept");
	expect(sys_open("made", WRONLY, 0), -13, "who may not write does not");
	expect(sys_write(fd, "x", 1), 1, "but who has it open does");
	expect(sys_access("made", 2), -13, "access knows");
	expect(sys_access("made", 5), 0, "what is allowed too");
	expect(sys_fchmod(fd, 0200), 0, "fchmod");
	expect(sys_open("made", RDONLY, 0), -13, "who may not read does not");
	expect(sys_fchmod(fd, 0644), 0, "the owner changes it whatever it was");
	char *argv[] = {"made", 0}, *env[] = {0};
	expect(sys_execve("made", argv, env), -13, "what is not executable is not executed");
	expect(sys_chmod("gone", 0644), -2, "what is not there has no mode");
	sys_close(fd);
	sys_unlink("made");
	sys_unlink("own");
	sys_rmdir("room");
	sys_umask(022);
}

void _start(void)
{
	wali_init();
	reading("/data");
	names();
	descriptors();
	absolute_links();
	streams();
	devices();
	memory();
	the_rest();
	reading("/tmp");
	names();
	modes("/data");
	modes("/tmp");
	finish();
}
