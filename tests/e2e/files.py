"""files.py - open files follow a process over three devices and home again; TAP on standard output.

	python3 tests/e2e/files.py build/shell/wasmos files_guest.wasm

The guest (files_guest.c) checks its files at every step; here the steps are ordered and the program is moved between them.
"""
import os
import re
import struct
import sys
import tempfile
import time

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
from nodes import Node, pair, wait_for_link  # noqa: E402

GUEST = os.path.abspath(sys.argv[2])
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


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


class Guest:
    """The program, wherever it runs."""

    def __init__(self, folder, node):
        self.data = os.path.join(folder, 'data')
        fixed = os.path.join(folder, 'fixed')
        for d in (self.data, fixed, os.path.join(folder, 'outside')):
            os.mkdir(d)
        with open(os.path.join(folder, 'outside', 'secret'), 'w') as f:
            f.write('secret')
        with open(os.path.join(fixed, 'f'), 'w') as f:
            f.write('fixed')
        with open(os.path.join(self.data, 'big'), 'wb') as f:
            for at in range(0, 4 << 20, 8):
                f.write(struct.pack('<Q', at))
        os.symlink('../outside', os.path.join(self.data, 'trap'))
        self.step, self.node = 0, node
        self.pid = node.start([GUEST], '--dir', f'{self.data}::/data', '--dir', f'{fixed}::/fixed:ro')

    def go(self, what, meanwhile=None):
        self.step += 1
        open(os.path.join(self.data, f'go{self.step}'), 'w').close()
        if meanwhile:
            meanwhile()
        result = os.path.join(self.data, f'result{self.step}')
        end = time.monotonic() + 30
        while not (os.path.exists(result) and read(result).endswith('\n')) and time.monotonic() < end:
            time.sleep(0.02)
        found = read(result) if os.path.exists(result) else f'no result; {self.node.ps()}'
        ok(found == 'ok\n', what, found)

    def move(self, to):
        self.pid = self.node.migrate(self.pid, to).get('pid', self.pid)
        self.node = to


def main():
    with tempfile.TemporaryDirectory() as folder:
        a, b, c = (Node(os.path.join(folder, n), n, env={'XDG_RUNTIME_DIR': folder}) for n in ('desk', 'laptop', 'phone'))
        for n in (a, b, c):
            n.up('--display', 'headless')
        try:
            for x, y in ((a, b), (b, c), (a, c)):
                pair(x, y)
            g = Guest(folder, a)
            g.go('files work at home')
            g.move(b)
            g.go('after the first move they are reached through the link')
            g.go('and again')
            g.move(c)
            b.down()
            g.go('on a third device they are reached without the second')
            g.move(a)
            c.down()
            g.go('home again they are local')
            b.up('--display', 'headless')
            wait_for_link(a, b)
            g.move(b)
            g.go('away again')
            a.kill9()
            time.sleep(1)  # the program asks for its next order meanwhile
            a.up('--display', 'headless')
            g.go('a home that was killed and restarted finds them again')
            wait_for_link(a, b)
            g.go('home again from there, moved while it slept', lambda: (time.sleep(1.5), g.move(a)))
            snapshot = os.path.join(folder, 'snapshot')
            a.call('snapshot', g.pid, '-o', snapshot)
            a.call('suspend', g.pid)
            a.kill9()
            a.up('--display', 'headless')
            a.call('resume', g.pid)
            g.go('the last step, after its node was killed while it was suspended')
            end = a.wait(g.pid)
            ok(end['state'] == 'exited' and end.get('status') == 0, 'the program ends well', end)
            ok(read(os.path.join(g.data, 'log')) == ''.join(f'step {i}\n' for i in range(1, 10)),
               'each line stands once in the log, in order')
            copy = re.search(r'\d+', a.call('restore', snapshot)).group(0)
            ok(a.wait(int(copy))['state'] == 'exited', 'a snapshot is restored with its folders')
            ok(os.listdir(os.path.join(folder, 'outside')) == ['secret'], 'nothing was made outside')
        finally:
            for n in (a, b, c):
                if n.is_up():
                    n.down()
    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
