/* differential_names.c - the part of differential.c that is about names: opening, making, removing, renaming, what stat says. */
#include "differential.h"

/* ---- open ---- */

void opening(void)
{
	static const int how[] = {O_RDONLY,
	                          O_WRONLY,
	                          O_RDWR,
	                          3,
	                          O_CREAT | O_WRONLY,
	                          O_CREAT | O_EXCL | O_RDWR,
	                          O_TRUNC | O_RDWR,
	                          O_TRUNC,
	                          O_DIRECTORY,
	                          O_DIRECTORY | O_WRONLY,
	                          O_NOFOLLOW,
	                          O_CREAT | O_NOFOLLOW | O_RDWR,
	                          O_APPEND | O_WRONLY,
	                          O_PATH,
	                          O_EXCL,
	                          O_CREAT | O_TRUNC | O_WRONLY,
	                          O_CREAT | O_DIRECTORY,
	                          O_CREAT | O_DIRECTORY | O_WRONLY,
	                          O_NONBLOCK | O_WRONLY};
	static const char *const names[] = {
	    "file",       "none",        "dir",       "link",      "dangling", "loop",
	    "dirlink",    "file/",       "none/",     "dir/",      "dirlink/", "link/",
	    "dangling/",  "dir/none",    "none/none", "file/none", "",         ".",
	    "..",         "dir/.",       "dir/..",    "/",         "locked",   "secret",
	    "write-only", "locked/none", "dark/file", "fifo"};
	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
			if (!strcmp(names[n], "fifo") &&
			    !(how[h] & (O_NONBLOCK | O_PATH | O_DIRECTORY)))
				continue;
			make("file", "text"), mkdir("dir", 0755), symlink("file", "link"),
			    symlink("none", "dangling"), symlink("loop", "loop");
			symlink("dir", "dirlink"), close(make("secret", "x")), chmod("secret", 0),
			    mkdir("locked", 0555), mkfifo("fifo", 0600);
			close(make("write-only", "x")), chmod("write-only", 0200),
			    mkdir("dark", 0755), close(make("dark/file", "")), chmod("dark", 0600);
			int fd = open(names[n], how[h], 0640), error = errno;
			struct stat st = {0};
			printf("open %s %o: %d", names[n], how[h], fd < 0 ? error : 0);
			if (fd >= 0 && !fstat(fd, &st))
				printf(" mode %o size %d flags %o", st.st_mode,
				       S_ISDIR(st.st_mode) ? 0 : (int)st.st_size,
				       fcntl(fd, F_GETFL) &
				           (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH));
			printf("\n");
			for (int i = 3; i < 12; i++)
				close(i);
			clean(".");
		}
}

void opening_more(void)
{
	char longest[NAME_MAX + 2], path[PATH_MAX + 2];
	memset(longest, 'n', sizeof longest), longest[NAME_MAX + 1] = 0;
	memset(path, '/', sizeof path), path[PATH_MAX] = 0;
	SAY(open(NOPATH, O_RDONLY));
	SAY(open(NULL, O_RDONLY));
	SAY(open(longest, O_RDWR | O_CREAT, 0600));
	longest[NAME_MAX] = 0;
	DOES(open(longest, O_RDWR | O_CREAT, 0600));
	SAY(open(path, O_RDONLY));
	path[PATH_MAX - 1] = 0;
	DOES(open(path, O_RDONLY));
	SAY(openat(99, "x", O_RDONLY));
	SAY(openat(-1, "x", O_RDONLY));
	DOES(openat(-1, "/", O_RDONLY));
	int fd = make("f", "");
	SAY(openat(fd, "x", O_RDONLY));
	SAY(openat(fd, "", O_RDONLY));
	SAY(creat("f", 0));
	SAY(umask(0777));
	DOES(open("nothing", O_CREAT | O_RDWR, 0666));
	SAY(umask(01022));
	SAY(umask(022));
	SAY(open("nothing", O_RDONLY));
	SAY(access("nothing", F_OK));
	SAY(access("nothing", R_OK));
	SAY(access("f", 8));
	SAY(access("f", X_OK));
	SAY(access("", F_OK));
	SAY(faccessat(AT_FDCWD, "f", R_OK, AT_SYMLINK_NOFOLLOW));
	SAY(faccessat(AT_FDCWD, "f", R_OK, 0x4000));
	DOES(open(".", O_TMPFILE | O_RDWR, 0600));
}

static int names_in(const char *folder)
{
	int n = 0;
	DIR *d = opendir(folder);
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Files without a name. */
void nameless(void)
{
	struct stat st;
	mkdir("d", 0755), mkdir("closed", 0555), close(make("f", ""));
	symlink("d", "link");
	int fd = open("d", O_TMPFILE | O_RDWR, 0640);
	SAY(fd < 0 ? -1 : 0);
	SAY(names_in("d"));
	SAY(write(fd, "some text", 9));
	SAY(pread(fd, buf, 20, 5));
	SAY(fstat(fd, &st));
	SAY(st.st_nlink);
	SAY(st.st_mode);
	SAY(st.st_size);
	SAY(fcntl(fd, F_GETFD));
	SAY(rmdir("d"));
	SAY(write(fd, "!", 1));
	mkdir("d", 0755);
	DOES(open("d/", O_TMPFILE | O_WRONLY | O_EXCL | O_CLOEXEC, 0600));
	DOES(open("link", O_TMPFILE | O_RDWR, 0600));
	SAY(open("d", O_TMPFILE | O_RDONLY, 0600));
	SAY(open("d", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	SAY(open("d", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
	SAY(open("f", O_TMPFILE | O_RDWR, 0600));
	SAY(open("none", O_TMPFILE | O_RDWR, 0600));
	SAY(open("none/more", O_TMPFILE | O_RDWR, 0600));
	SAY(open("", O_TMPFILE | O_RDWR, 0600));
	SAY(open(NOPATH, O_TMPFILE | O_RDWR, 0600));
	SAY(open("closed", O_TMPFILE | O_RDWR, 0600));
	SAY(open("/proc", O_TMPFILE | O_RDWR, 0600));
	SAY(names_in("."));
}

/* ---- names ---- */

static void fresh(void)
{
	clean(".");
	close(make("file", "text")), close(make("other", "more")), mkdir("dir", 0755),
	    mkdir("full", 0755), close(make("full/in", ""));
	symlink("file", "link"), symlink("none", "dangling"), symlink("dir", "dirlink"),
	    symlink("loop", "loop"), mkfifo("fifo", 0600);
	mkdir("locked", 0755), close(make("locked/in", "")), chmod("locked", 0555);
}

static const char *const all[] = {"file",        "other",   "dir",   "full",      "link",
                                  "dangling",    "dirlink", "loop",  "fifo",      "none",
                                  "none/none",   "file/x",  "dir/x", "full/in",   "locked/in",
                                  "locked/new",  "",        ".",     "..",        "dir/.",
                                  "dir/..",      "dir/",    "full/", "file/",     "link/",
                                  "dirlink/",    "none/",   "/",     "dangling/", "./file",
                                  "dir/../file", "loop/x",  "dir/x/"};
enum { NAMES = sizeof all / sizeof *all };

static void two_names(int (*fn)(const char *, const char *), const char *what)
{
	for (int i = 0; i < NAMES; i++)
		for (int j = 0; j < NAMES; j++) {
			if (i % 4 == 0)
				fresh();
			int r = fn(all[i], all[j]);
			printf("%s %s %s: %d\n", what, all[i], all[j], r ? errno : 0);
			if (!r || i % 4)
				fresh();
		}
}

static int try_rename(const char *a, const char *b)
{
	return rename(a, b);
}

static int try_link(const char *a, const char *b)
{
	return link(a, b);
}

static int try_noreplace(const char *a, const char *b)
{
	return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 1);
}

static int try_symlink(const char *a, const char *b)
{
	return symlink(a, b);
}

static bool is_outside(const char *name)
{
	return !strcmp(name, "/") || !strcmp(name, "..");
}

static void one_name(void)
{
	static const char *const calls[] = {
	    "mkdir",     "rmdir",   "unlink", "mkfifo",  "truncate", "chdir",     "readlink",
	    "stat",      "lstat",   "chmod",  "opendir", "access w", "utimensat", "utimensat l",
	    "remove at", "symlink", "mknod",  "statfs",  "chown",    "lchown"};
	for (int i = 0; i < NAMES; i++)
		for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
			const char *n = all[i];
			struct stat st = {0};
			int r = -1, here = open(".", O_RDONLY);
			fresh();
			errno = 0;
			switch (c) {
			case 0: r = mkdir(n, 0700); break;
			case 1: r = rmdir(n); break;
			case 2: r = unlink(n); break;
			case 3: r = mkfifo(n, 0640); break;
			case 4: r = strcmp(n, "fifo") ? truncate(n, 2) : 0; break;
			case 5: r = chdir(n); break;
			case 6: r = (int)readlink(n, buf, sizeof buf); break;
			case 7:
				r = stat(n, &st) ? -1
				                 : (int)st.st_mode & (is_outside(n) ? S_IFMT : ~0);
				break;
			case 8:
				r = lstat(n, &st) ? -1
				                  : (int)st.st_mode & (is_outside(n) ? S_IFMT : ~0);
				break;
			case 9: r = strcmp(n, "/") && !strstr(n, "..") ? chmod(n, 0700) : 0; break;
			case 10: r = open(n, O_RDONLY | O_DIRECTORY) < 0 ? -1 : 0; break;
			case 11: r = is_outside(n) ? 0 : access(n, W_OK); break;
			case 12:
				r = strcmp(n, "/") && !strstr(n, "..")
				        ? utimensat(AT_FDCWD, n, NULL, 0)
				        : 0;
				break;
			case 13:
				r = strcmp(n, "/") && !strstr(n, "..")
				        ? utimensat(AT_FDCWD, n, NULL, AT_SYMLINK_NOFOLLOW)
				        : 0;
				break;
			case 14: r = unlinkat(AT_FDCWD, n, AT_REMOVEDIR); break;
			case 15: r = symlink("file", n); break;
			case 16: r = mknod(n, 0100644, 0); break;
			case 17: r = open(n, O_PATH) < 0 ? -1 : 0; break;
			case 18:
				r = strcmp(n, "/") && !strstr(n, "..") ? chown(n, 1000, 1000) : 0;
				break;
			default:
				r = strcmp(n, "/") && !strstr(n, "..") ? lchown(n, -1, -1) : 0;
				break;
			}
			printf("%s %s: %d\n", calls[c], n, r < 0 ? -errno : r);
			if (here >= 0 && fchdir(here))
				return;
			for (int f = 3; f < 9; f++)
				close(f);
		}
}

void names(void)
{
	one_name();
}

void renames(void)
{
	two_names(try_rename, "rename");
}

void links(void)
{
	two_names(try_link, "link");
}

void replaces(void)
{
	two_names(try_noreplace, "noreplace");
}

void symlinks(void)
{
	two_names(try_symlink, "symlink");
}

void name_arguments(void)
{
	struct stat st;
	struct timespec t[2] = {{1, 2}, {3, 4}}, wrong[2] = {{1, 1000000000}, {0, 0}},
	                omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	fresh();
	SAY(mkdir(NOPATH, 0));
	SAY(rename(NOPATH, "x"));
	SAY(rename("file", NOPATH));
	SAY(link("file", NOPATH));
	SAY(symlink("", "x"));
	SAY(symlink(NOPATH, "x"));
	SAY(unlinkat(AT_FDCWD, "file", 0x1000));
	SAY(unlinkat(AT_FDCWD, "dir", 0));
	SAY(unlinkat(99, "dir", 0));
	SAY(linkat(AT_FDCWD, "link", AT_FDCWD, "hard", 0));
	SAY(lstat("hard", &st));
	SAY(S_ISLNK(st.st_mode));
	SAY(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	SAY(lstat("followed", &st));
	SAY(S_ISREG(st.st_mode));
	SAY(st.st_nlink);
	SAY(linkat(AT_FDCWD, "file", AT_FDCWD, "x", 0x8000));
	SAY(readlink("link", buf, 2));
	SAY(readlink("link", buf, 0));
	SAY(readlink("link", BAD, 10));
	SAY(readlink("file", BAD, 10));
	SAY(readlinkat(AT_FDCWD, "", buf, 10));
	SAY(fstat(99, &st));
	SAY(fstatat(AT_FDCWD, "link", &st, 0x8000));
	SAY(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	SAY(S_ISDIR(st.st_mode));
	SAY(fstatat(AT_FDCWD, "", &st, 0));
	SAY(fstatat(99, "", &st, AT_EMPTY_PATH));
	SAY(utimensat(AT_FDCWD, "file", t, 0));
	SAY(stat("file", &st));
	SAY(st.st_atim.tv_nsec + st.st_mtim.tv_sec);
	SAY(utimensat(AT_FDCWD, "file", wrong, 0));
	SAY(utimensat(AT_FDCWD, "file", omit, 0));
	SAY(utimensat(AT_FDCWD, "none", omit, 0));
	SAY(utimensat(AT_FDCWD, "file", t, 0x8000));
	SAY(utimensat(AT_FDCWD, "link", t, AT_SYMLINK_NOFOLLOW));
	SAY(lstat("link", &st));
	SAY(st.st_mtim.tv_nsec);
	SAY(futimens(99, t));
	SAY(chmod("file", 0100644));
	SAY(chmod("file", 07777));
	SAY(chmod("link", 0600));
	SAY(stat("file", &st));
	SAY(st.st_mode);
	SAY(fchmodat(AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
	SAY(fchmod(99, 0));
	SAY(chown("file", 0, 0));
	SAY(fchownat(AT_FDCWD, "", -1, -1, AT_EMPTY_PATH));
	SAY(mkdir("a", 07777));
	SAY(stat("a", &st));
	SAY(st.st_mode);
	SAY(mknod("device", S_IFCHR | 0600, 0x103));
	SAY(mknod("socket", S_IFSOCK | 0600, 0));
	SAY(mknod("what", 0070000, 0));
	SAY(mknod("folder", S_IFDIR | 0700, 0));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 3));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 8));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 2));
	SAY(getcwd(buf, 1) ? 0 : -1);
	SAY(getcwd(buf, 0) ? 0 : -1);
	SAY(syscall(SYS_getcwd, BAD, 4096));
	SAY(chdir(NOPATH));
	SAY(fchdir(99));
	SAY(fchdir(1));
	SAY(chroot("none"));
}

void removed_folder(void)
{
	struct stat st;
	mkdir("gone", 0755);
	int fd = open("gone", O_RDONLY), file = make("f", "abc");
	SAY(chdir("gone"));
	SAY(rmdir("../gone"));
	SAY(open("new", O_CREAT | O_RDWR, 0600));
	SAY(mkdirat(fd, "sub", 0700));
	SAY(syscall(SYS_getcwd, buf, sizeof buf) < 0 ? -1 : 0);
	SAY(fstat(fd, &st));
	SAY(st.st_nlink);
	SAY(open("..", O_RDONLY) < 0 ? -1 : 0);
	SAY(syscall(SYS_getdents64, fd, buf, sizeof buf) < 0 ? -1 : 0);
	SAY(unlinkat(file, "x", 0));
	SAY(fstat(file, &st));
	SAY(st.st_nlink);
}
