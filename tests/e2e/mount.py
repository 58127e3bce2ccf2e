"""mount.py - `wasmos mount`: programs of this host on files of another device; TAP on standard output.

	python3 tests/e2e/mount.py build/shell/wasmos
"""
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'scripts'))
from nodes import Node, pair, wait_for_link  # noqa: E402

OPERATIONS = 1500
count = failed = 0


def ok(good, what, detail=''):
    global count, failed
    count += 1
    failed += not good
    print('ok' if good else 'not ok', count, '-', what)
    if not good:
        for line in str(detail).splitlines():
            print('#', line)
    sys.stdout.flush()


def skip(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(77)


def until(look, limit_s=30):
    end = time.monotonic() + limit_s
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def error_of(fn):
    try:
        fn()
    except OSError as e:
        return errno.errorcode[e.errno]
    return None


def write(path, text, mode='w'):
    with open(path, mode, encoding='utf-8') as f:
        f.write(text)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def files(mnt, docs):
    at = mnt + '/net/desk/docs'
    ok(sorted(os.listdir(mnt + '/net')) == ['desk', 'laptop'], 'the mount has every device', os.listdir(mnt))
    write(at + '/a', 'one\n')
    ok(read(docs + '/a') == 'one\n', 'what a host program writes is on the other device when it closes')
    write(docs + '/a', 'changed there, and longer\n')
    ok(read(at + '/a') == 'changed there, and longer\n', 'what changed there is seen at the next open')
    with open(at + '/a', 'r+', encoding='utf-8') as f:
        os.unlink(at + '/a')
        f.seek(0, 2)
        f.write('and more')
        f.flush()
        f.seek(0)
        ok(f.read() == 'changed there, and longer\nand more' and os.fstat(f.fileno()).st_nlink == 0,
           'a file that is removed while it is open can be used')
    ok(error_of(lambda: write(mnt + '/net/x', '')) in ('EROFS', 'EACCES', 'ENOTSUP', 'EPERM', 'ENOENT'), 'no files beside devices')
    ok(error_of(lambda: os.rename(docs, mnt + '/docs')) == 'EXDEV', 'a rename from elsewhere is EXDEV')
    ok(error_of(lambda: os.setxattr(at, 'user.x', b'')) == 'ENOTSUP', 'extended attributes are ENOTSUP')
    write(at + '/b', 'b')
    write(at + '/c', 'c')
    said = subprocess.run(['mv', '-n', at + '/b', at + '/c'], check=False).returncode
    ok(read(docs + '/c') == 'c' and read(docs + '/b') == 'b', 'mv -n replaces nothing', said)
    for n in 'bc':
        os.unlink(at + '/' + n)
    ok(os.listdir(docs) == [], 'all is removed there', os.listdir(docs))


def programs(mnt, folder):
    at = mnt + '/net/desk/docs'
    plain = folder + '/plain'
    os.mkdir(plain)
    os.mkdir(at + '/model')
    r = subprocess.run([sys.executable, os.path.join(HERE, '..', 'files', 'model.py'), at + '/model', plain, '7', str(OPERATIONS)],
                       capture_output=True, text=True, check=False)
    ok(r.returncode == 0, f'{OPERATIONS} random operations answer as in a plain folder', r.stdout + r.stderr)
    db = sqlite3.connect(at + '/data.db')
    db.execute('create table t(n integer)')
    with db:
        db.executemany('insert into t values(?)', ((i,) for i in range(500)))
    ok(db.execute('select sum(n) from t').fetchone() == (124750,) and db.execute('pragma integrity_check').fetchone() == ('ok',),
       'a database of SQLite')
    db.close()
    if not shutil.which('git'):
        return
    env = dict(os.environ, GIT_CONFIG_GLOBAL='/dev/null', GIT_AUTHOR_NAME='a', GIT_AUTHOR_EMAIL='a@b', GIT_COMMITTER_NAME='a',
               GIT_COMMITTER_EMAIL='a@b')
    r = subprocess.run('git init -q repo && cd repo && seq 2000 > numbers && git add . && git commit -qm one && sed -i s/7/8/ numbers && '
                       'git commit -qam two && cd .. && git clone -q repo copy && cd copy && git fsck --strict && git log --oneline | wc -l',
                       shell=True, cwd=at, env=env, capture_output=True, text=True, check=False)
    ok(r.returncode == 0 and r.stdout.split()[-1:] == ['2'], 'git: commits, a clone, fsck', r.stdout + r.stderr)


def ends(mnt, a, b, p):
    at = mnt + '/net/desk/docs'
    write(at + '/kept', 'kept')
    held = open(at + '/kept', encoding='utf-8')
    a.down()
    ok(until(lambda: error_of(lambda: os.listdir(at)) in ('EHOSTDOWN', 'EHOSTUNREACH')), 'a device that is away is EHOSTDOWN',
       error_of(lambda: os.listdir(at)))
    ok(error_of(lambda: write(at + '/new', 'x')) in ('EHOSTDOWN', 'EHOSTUNREACH'), 'and nothing is written to it')
    a.up('--display', 'headless')
    wait_for_link(a, b)
    ok(until(lambda: error_of(lambda: os.listdir(at)) is None), 'and is there again')
    b.kill9()
    ok(until(lambda: error_of(lambda: os.listdir(mnt + '/net'))) == 'EIO', 'without a node it is EIO')
    b.up('--display', 'headless')
    wait_for_link(a, b)
    ok(until(lambda: error_of(lambda: os.listdir(at)) is None), 'with the node it is back')
    ok(held.read() == 'kept', 'with what was open')
    held.close()
    p.send_signal(signal.SIGTERM)
    ok(p.wait(timeout=30) == 0 and not os.path.ismount(mnt), 'SIGTERM takes it away')
    b.call('mount', mnt)
    ok(os.path.ismount(mnt) and read(at + '/kept') == 'kept', 'in the background it is there when the command returns')
    with open(at + '/kept', encoding='utf-8'):
        r = subprocess.run(b.command('umount', mnt), env=b.env, capture_output=True, text=True, check=False)
        ok(r.returncode == 1 and os.path.ismount(mnt), 'it is not taken away while it is used', r.stderr)
    b.down()
    ok(until(lambda: error_of(lambda: os.listdir(mnt + '/net'))) == 'EIO', 'the node goes down: EIO')
    ok(subprocess.run(b.command('umount', mnt), env=b.env, check=False).returncode == 0 and not os.path.ismount(mnt), 'and it can be unmounted')


def main():
    if not os.path.exists('/dev/fuse'):
        skip('there is no /dev/fuse here')
    with tempfile.TemporaryDirectory() as folder:
        a, b = (Node(os.path.join(folder, n), n, env={'XDG_RUNTIME_DIR': folder}) for n in ('desk', 'laptop'))
        docs, mnt = folder + '/docs', folder + '/mnt'
        os.mkdir(docs)
        os.mkdir(mnt)
        p = None
        try:
            for n in (a, b):
                n.up('--display', 'headless')
            pair(a, b)
            a.call('share', 'add', docs)
            wait_for_link(a, b)
            p = b.spawn('mount', '-f', mnt, stderr=subprocess.PIPE, text=True)
            if not until(lambda: os.path.ismount(mnt) or p.poll() is not None) or p.poll() is not None:
                skip('nothing can be mounted here: ' + p.communicate()[1].strip())
            files(mnt, docs)
            programs(mnt, folder)
            ends(mnt, a, b, p)
        finally:
            if os.path.ismount(mnt):
                subprocess.run(b.command('umount', '-l', mnt), env=b.env, check=False)
            if p and p.poll() is None:
                p.kill()
                p.wait()
            for n in (a, b):
                if n.is_up():
                    n.down()
    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
