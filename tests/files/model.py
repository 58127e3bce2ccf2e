#!/usr/bin/env python3
"""model.py - random operations on files, done in one folder and in a plain one of this host: every answer must be the same.

	python3 tests/files/model.py FOLDER PLAIN [SEED [COUNT]]

FOLDER and PLAIN are empty folders. An operation is done in both: what it returns (bytes, sizes, names, modes, error numbers) is compared,
and from time to time both trees. The first difference ends it, with the seed, the number of the operation, and the last ones.
"""
import collections
import errno
import mmap
import os
import random
import stat
import sys

NAMES = ['a', 'b', 'c', 'dd', 'long name with blanks', 'ümlaut']
FOLDERS = ['', 'p', 'q', 'p/r']
SIZE_MAX = 300000
FLAGS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL,
         os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREAT | os.O_APPEND]


class Side:
    """One of the two: its folder and what is open in it, by slot."""

    def __init__(self, root):
        self.root, self.open = root, {}

    def at(self, name):
        return os.path.join(self.root, name)


def facts(st):
    kind = stat.S_IFMT(st.st_mode)
    if stat.S_ISDIR(st.st_mode):
        return kind, stat.S_IMODE(st.st_mode)
    return kind, stat.S_IMODE(st.st_mode), st.st_size, st.st_nlink


def op_open(s, slot, name, flags, mode):
    if slot in s.open:
        os.close(s.open.pop(slot))
    s.open[slot] = os.open(s.at(name), flags, mode)


def op_close(s, slot):
    os.close(s.open.pop(slot))


def op_write(s, slot, data, offset):
    return os.pwrite(s.open[slot], data, offset)


def op_append(s, slot, data):
    return os.write(s.open[slot], data)


def op_read(s, slot, size, offset):
    return os.pread(s.open[slot], size, offset)


def op_seek(s, slot, offset, whence):
    return os.lseek(s.open[slot], offset, whence)


def op_truncate(s, slot, size):
    os.ftruncate(s.open[slot], size)


def op_truncate_name(s, name, size):
    os.truncate(s.at(name), size)


def op_allocate(s, slot, offset, size):
    os.posix_fallocate(s.open[slot], offset, size)


def op_fstat(s, slot):
    return facts(os.fstat(s.open[slot]))


def op_sync(s, slot):
    os.fsync(s.open[slot])


def op_map(s, slot, offset, data):
    """Some bytes through a shared mapping, seen by read()."""
    size = os.fstat(s.open[slot]).st_size
    if size < offset + len(data) or not data:
        return None
    with mmap.mmap(s.open[slot], size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as m:
        was = m[offset:offset + len(data)]
        m[offset:offset + len(data)] = data
        m.flush()
    return was


def op_stat(s, name):
    return facts(os.lstat(s.at(name)))


def op_times(s, name, ns):
    os.utime(s.at(name), ns=(ns, ns + 7))
    return os.stat(s.at(name)).st_mtime_ns


def op_mode(s, name, mode):
    os.chmod(s.at(name), mode)


def op_list(s, name):
    return sorted(os.listdir(s.at(name)))


def op_mkdir(s, name, mode):
    os.mkdir(s.at(name), mode)


def op_rmdir(s, name):
    os.rmdir(s.at(name))


def op_unlink(s, name):
    os.unlink(s.at(name))


def op_rename(s, name, other):
    os.rename(s.at(name), s.at(other))


def op_link(s, name, other):
    os.link(s.at(name), s.at(other), follow_symlinks=False)


def op_symlink(s, target, name):
    os.symlink(target, s.at(name))


def op_readlink(s, name):
    return os.readlink(s.at(name))


def op_whole(s, name):
    with open(s.at(name), 'rb') as f:
        return f.read()


def do(fn, s, args):
    try:
        return fn(s, *args)
    except KeyError:
        return 'nothing open'
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


class Plan:
    """What is done next."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.kinds = [(getattr(self, n), int(w)) for n, w in
                      (line.split() for line in ('opens 10|data 40|ends 12|names 20|folders 6|looks 12').split('|'))]

    def name(self):
        return os.path.join(self.r.choice(FOLDERS), self.r.choice(NAMES))

    def slot(self):
        return self.r.randrange(6)

    def offset(self):
        r = self.r
        return r.choice([0, r.randrange(100), r.randrange(SIZE_MAX), 4096 * r.randrange(SIZE_MAX // 4096), 131072 - r.randrange(3)])

    def bytes(self):
        r = self.r
        return r.randbytes(r.choice([0, 1, r.randrange(100), r.randrange(5000), r.randrange(SIZE_MAX) if r.random() < 0.1 else 4096]))

    def opens(self):
        r = self.r
        if r.random() < 0.2:
            return op_close, (self.slot(),)
        return op_open, (self.slot(), self.name(), r.choice(FLAGS), r.choice([0o644, 0o600, 0o755, 0o444]))

    def data(self):
        r, slot = self.r, self.slot()
        return r.choice([
            lambda: (op_write, (slot, self.bytes(), self.offset())), lambda: (op_write, (slot, self.bytes(), self.offset())),
            lambda: (op_read, (slot, r.randrange(SIZE_MAX), self.offset())), lambda: (op_read, (slot, r.randrange(5000), self.offset())),
            lambda: (op_append, (slot, self.bytes()[:3000])), lambda: (op_map, (slot, self.offset(), self.bytes()[:9000])),
            lambda: (op_seek, (slot, self.offset(), r.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])))])()

    def ends(self):
        r, slot = self.r, self.slot()
        return r.choice([
            lambda: (op_truncate, (slot, self.offset())), lambda: (op_truncate_name, (self.name(), self.offset())),
            lambda: (op_fstat, (slot,)), lambda: (op_fstat, (slot,)), lambda: (op_sync, (slot,)) if r.random() < 0.2 else (op_fstat, (slot,)),
            lambda: (op_allocate, (slot, self.offset(), 1 + r.randrange(9000)))])()

    def names(self):
        r = self.r
        return r.choice([
            lambda: (op_unlink, (self.name(),)), lambda: (op_rename, (self.name(), self.name())), lambda: (op_rename, (self.name(), self.name())),
            lambda: (op_link, (self.name(), self.name())),
            lambda: (op_symlink, (r.choice(NAMES + ['nowhere', 'p/a', 'q/a']), self.name())), lambda: (op_readlink, (self.name(),)),
            lambda: (op_mode, (self.name(), r.choice([0o644, 0o600, 0o755]))), lambda: (op_times, (self.name(), r.randrange(2**31) * 10**9 + r.randrange(10**9)))])()

    def folders(self):
        r, name = self.r, self.r.choice(FOLDERS[1:])
        return r.choice([lambda: (op_mkdir, (name, r.choice([0o755, 0o700]))), lambda: (op_mkdir, (name, 0o755)), lambda: (op_rmdir, (name,)),
                         lambda: (op_rename, (name, r.choice(FOLDERS[1:])))])()

    def looks(self):
        r = self.r
        return r.choice([lambda: (op_stat, (self.name(),)), lambda: (op_list, (r.choice(FOLDERS),)), lambda: (op_whole, (self.name(),)),
                         lambda: (op_stat, (r.choice(FOLDERS[1:]),))])()

    def next(self):
        return self.r.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]()


def snapshot(s):
    out = {}
    for folder, folders, files in os.walk(s.root):
        for n in folders + files:
            path = os.path.join(folder, n)
            key, st = os.path.relpath(path, s.root), os.lstat(path)
            out[key] = facts(st), os.readlink(path) if stat.S_ISLNK(st.st_mode) else None
            if stat.S_ISREG(st.st_mode):
                with open(path, 'rb') as f:
                    out[key] += f.read(),
    return out


def brief(x):
    text = repr(x)
    return text if len(text) < 200 else f'{text[:90]}... ({len(x) if hasattr(x, "__len__") else "?"})'


def fail(seed, i, last, what):
    print(f'seed {seed}, operation {i}: {what}')
    for line in last:
        print('  ', line)
    sys.exit(1)


def main():
    two = [Side(p) for p in sys.argv[1:3]]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1000000
    plan, last = Plan(seed), collections.deque(maxlen=12)
    answers = collections.Counter()
    for i in range(count):
        fn, args = plan.next()
        mine, plain = (do(fn, s, args) for s in two)
        last.append(f'{i} {fn.__name__[3:]} {brief(args)} -> {brief(plain)}')
        answers[fn.__name__[3:] + (' refused' if isinstance(plain, str) and plain.startswith('E') else '')] += 1
        if mine != plain:
            fail(seed, i, last, f'{fn.__name__[3:]} answers {brief(mine)}, a plain folder {brief(plain)}')
        if (i + 1) % 2000 == 0 or i + 1 == count:
            a, b = (snapshot(s) for s in two)
            if a != b:
                odd = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
                fail(seed, i, last, f'the trees differ: {brief(odd)}: {brief(a.get(odd[0]))} here, {brief(b.get(odd[0]))} plain')
    print(f'{count} operations, seed {seed}: the same everywhere')
    print(', '.join(f'{k} {v}' for k, v in sorted(answers.items())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
