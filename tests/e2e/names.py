"""names.py - `wasmos ls|cat|cp|mv|rm|stat|du|find` between two real nodes and this host; TAP on standard output.

	python3 tests/e2e/names.py build/shell/wasmos
"""
import filecmp
import os
import signal
import subprocess
import sys
import tempfile
import time

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
from nodes import Node, pair, wait_for_link  # noqa: E402

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


def do(node, *words):
    """Exit status, output, what went wrong."""
    r = subprocess.run(node.command(*words), env=node.env, capture_output=True, text=True, timeout=60, check=False)
    return r.returncode, r.stdout, r.stderr


def same(left, right):
    c = filecmp.dircmp(left, right)
    return not (c.left_only or c.right_only or c.diff_files or c.funny_files) and all(
        same(os.path.join(left, d), os.path.join(right, d)) for d in c.common_dirs)


def make_tree(at):
    os.makedirs(at + '/a/b')
    with open(at + '/a/b/big', 'wb') as f:
        f.write(os.urandom(3000000))
    with open(at + '/with a\nline', 'w', encoding='utf-8') as f:
        f.write('odd')
    os.symlink('a/b', at + '/link')
    os.chmod(at + '/a/b/big', 0o640)
    os.utime(at + '/a/b/big', (1000000000, 1100000000))


def copies(docs, here, b):
    make_tree(here + '/tree')
    ok(do(b, 'cp', '-r', here + '/tree', 'desk:docs/tree')[0] == 0 and same(here + '/tree', docs + '/tree'), 'a tree goes to a device')
    st = os.stat(docs + '/tree/a/b/big')
    ok((st.st_mode & 0o777, st.st_mtime) == (0o640, 1100000000), 'with times and modes', st)
    ok(os.readlink(docs + '/tree/link') == 'a/b', 'and symbolic links')
    ok(do(b, 'cp', '-r', 'desk:docs/tree', here + '/back')[0] == 0 and same(here + '/back', docs + '/tree'), 'and comes back')
    ok(do(b, 'cp', here + '/tree/a/b/big', 'desk:docs')[0] == 0 and os.path.exists(docs + '/big'), 'a folder as target gets the name into it')
    ok(do(b, 'cat', ':/net/desk/docs/tree/with a\nline')[1] == 'odd', 'cat takes a path of the whole tree')
    ok(do(b, 'mv', 'desk:docs/big', 'desk:docs/large')[0] == 0 and not os.path.exists(docs + '/big'), 'mv renames there')
    ok(do(b, 'mv', 'desk:docs/large', here + '/large')[0] == 0 and os.path.exists(here + '/large') and not os.path.exists(docs + '/large'),
       'mv takes a file away')


def looks(docs, b):
    ok([r['name'] for r in b.json('ls', ':/net')] == ['desk', 'laptop'], 'ls of /net: the devices', b.json('ls', ':/net'))
    ok([r['name'] for r in b.json('ls', 'desk:')] == ['docs'], 'ls of a device: its shares')
    ok([r['name'] for r in b.json('ls', 'desk:docs/tree')] == ['a', 'link', 'with a\nline'], 'ls of a folder', b.json('ls', 'desk:docs/tree'))
    text = do(b, 'ls', 'desk:docs/tree')[1]
    ok(len(text.splitlines()) == 4, 'a name with a line end is one line for people', text)
    row = b.json('stat', 'desk:docs/tree/a/b/big')[0]
    ok(row == {'name': 'desk:docs/tree/a/b/big', 'type': 'file', 'size_bytes': 3000000, 'mtime_ns': 1100000000 * 10**9, 'mode': '0640'}, 'stat', row)
    row = b.json('du', 'desk:docs')[0]
    ok((row['size_bytes'], row['files'], row['folders']) == (3000003, 3, 4), 'du', row)
    ok(do(b, 'find', 'desk:docs', '--name', 'b*')[1] == ':/net/desk/docs/tree/a/b\n:/net/desk/docs/tree/a/b/big\n', 'find by name')
    ok([r['path'] for r in b.json('find', 'desk:docs', '--type', 'link')] == [':/net/desk/docs/tree/link'], 'find by type')
    ok(do(b, 'ls', 'desk:docs/none')[0] == 1, 'what is not there is an error')


def refusals(docs, here, b):
    with open(docs + '/old', 'w', encoding='utf-8') as f:
        f.write('old')
    for words, status, want in (
            (('cp', 'desk:docs/none', here + '/y'), 1, 'no such file'),
            (('cp', 'desk:docs/tree', here + '/y'), 1, '-r'),
            (('cp', '-r', 'desk:docs', 'desk:docs/tree/in'), 1, 'into itself'),
            (('cp', 'desk:docs/old', 'desk:docs/old'), 1, 'itself'),
            (('cp', 'desk:docs/old', 'none:docs/old'), 1, 'no such file'),
            (('cp', 'desk:docs/old'), 2, ''),
            (('cp', 'desk:docs/old', 'desk:docs/tree', 'desk:docs/old'), 2, 'no folder'),
            (('rm', here + '/large'), 2, 'this host'),
            (('rm', 'desk:docs/tree'), 1, '-r'),
            (('rm', 'desk:docs/none'), 1, 'no such file'),
            (('cat', 'desk:docs/tree'), 1, 'directory'),
            (('find', 'desk:docs', '--type', 'x'), 2, '--type')):
        got = do(b, *words)
        ok(got[0] == status and want in got[2], 'refused: ' + ' '.join(os.path.basename(w) for w in words), got)
    with open(docs + '/old', encoding='utf-8') as f:
        ok(f.read() == 'old' and os.path.exists(here + '/large'), 'and what was there is as it was')
    ok(do(b, 'rm', '-f', 'desk:docs/none')[0] == 0 and do(b, 'rm', '-r', 'desk:docs/tree')[0] == 0 and os.listdir(docs) == ['old'],
       'rm -r removes a tree, and no part of a copy is left', os.listdir(docs))


def interrupted(docs, here, b):
    """A source that never ends: a copy that a person gives up leaves what was there."""
    with open(here + '/huge', 'wb') as f:
        f.truncate(8 << 30)
    p = subprocess.Popen(b.command('cp', here + '/huge', 'desk:docs/old'), env=b.env, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while len(os.listdir(docs)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    p.send_signal(signal.SIGINT)
    said = p.communicate(timeout=30)[1]
    with open(docs + '/old', encoding='utf-8') as f:
        ok(p.returncode == 1 and 'interrupted' in said and os.listdir(docs) == ['old'] and f.read() == 'old',
           'an interrupted copy leaves no part, and what was there', (p.returncode, said, os.listdir(docs)))


def offline(docs, here, a, b):
    a.down()
    began = time.monotonic()
    got = do(b, 'cp', here + '/large', 'desk:docs/old')
    ok(got[0] == 1 and 'not there now' in got[2] and time.monotonic() - began < 10, 'a device that is away is told at once', got)
    a.up('--display', 'headless')
    wait_for_link(a, b)
    ok(do(b, 'cp', here + '/large', 'desk:docs/old')[0] == 0 and os.path.getsize(docs + '/old') == 3000000, 'back again it takes the copy')
    b.down()
    got = do(b, 'ls', 'desk:')
    ok(got[0] == 1 and 'wasmos up' in got[2], 'without a node here: what to do', got)


def main():
    with tempfile.TemporaryDirectory() as folder:
        a, b = (Node(os.path.join(folder, n), n, env={'XDG_RUNTIME_DIR': folder}) for n in ('desk', 'laptop'))
        try:
            for n in (a, b):
                n.up('--display', 'headless')
            pair(a, b)
            docs, here = folder + '/docs', folder + '/here'
            os.mkdir(docs)
            os.mkdir(here)
            a.call('share', 'add', docs)
            wait_for_link(a, b)
            copies(docs, here, b)
            looks(docs, b)
            refusals(docs, here, b)
            interrupted(docs, here, b)
            offline(docs, here, a, b)
        finally:
            for n in (a, b):
                if n.is_up():
                    n.down()
    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
