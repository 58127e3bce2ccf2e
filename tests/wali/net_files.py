#!/usr/bin/env python3
"""net_files.py - people's programs with files of another device, which goes away and comes back: two nodes, `wasmos shell`.

	tests/wali/net_files.py WASMOS [WORD...]       only cases whose name holds a WORD

Skipped where scripts/userland has not made bash, busybox and vim.
"""
import contextlib
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ['WASMOS'] = sys.argv[1]
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402
from terminal import IMAGE, Command, prompt  # noqa: E402

AT = '/net/desk/docs'


class Pair:
    """The desk has the files, the laptop the programs."""

    def __init__(self, folder):
        self.desk, self.laptop = (nodes.Node(f'{folder}/{n}', n, env={'XDG_RUNTIME_DIR': folder}) for n in ('desk', 'laptop'))
        self.docs = folder + '/docs'

    def up(self, node):
        node.up('--display', 'headless')

    def back(self):
        self.up(self.desk)
        nodes.wait_for_link(self.desk, self.laptop)

    def put(self, name, text):
        with open(f'{self.docs}/{name}', 'w') as f:
            f.write(text)

    def get(self, name):
        with open(f'{self.docs}/{name}') as f:
            return f.read()

    def run(self, text):
        return self.laptop.call('shell', '-c', text)


@contextlib.contextmanager
def pair():
    with tempfile.TemporaryDirectory() as folder:
        p = Pair(folder)
        os.mkdir(p.docs)
        try:
            for n in (p.desk, p.laptop):
                p.up(n)
            nodes.pair(p.desk, p.laptop)
            p.desk.call('share', 'add', p.docs)
            yield p
        finally:
            for n in (p.desk, p.laptop):
                if n.is_up():
                    n.down()


def until(why, look, limit_s=30):
    end = time.monotonic() + limit_s
    while not look():
        assert time.monotonic() < end, why
        time.sleep(0.1)


def test_vim_goes_on_when_the_device_of_its_file_was_away(p):
    p.put('letter', 'Dear reader\n')
    t = Command(p.laptop, 'shell', '-c', f'vim -u NONE -n {AT}/letter')
    t.see('Dear reader')
    p.desk.down()
    t.type('onever lost\x1b:w\r')
    t.see('E[0-9]+:')
    assert p.get('letter') == 'Dear reader\n'
    p.back()
    t.type('\r:w!\r')
    until('the letter is not written', lambda: p.get('letter') == 'Dear reader\nnever lost\n')
    t.type(':q\r')
    assert t.status() == 0


def test_what_was_read_is_read_while_the_device_is_away(p):
    at = AT + '/read'
    os.mkdir(p.docs + '/read')
    p.put('read/a', 'known\n')
    p.put('read/b', 'unknown\n')
    assert p.run(f'cd {at}; pwd; cat a; ls') == f'{at}\nknown\na\nb\n'
    p.desk.down()
    said = p.run(f'cd {at}; pwd; cat a; ls; {{ cat b; echo x >a; echo x >c; }} 2>&1; true')
    assert said.startswith(f'{at}\nknown\na\nb\n') and said.count('Host is down') == 3, said
    year = p.run(f'stat -c %x {at}/a').split('-')[0]
    assert year == time.strftime('%Y'), year
    p.back()
    assert p.run(f'cat {at}/b') == 'unknown\n' and p.get('read/a') == 'known\n'


def test_what_was_synced_is_there_when_the_writer_is_killed(p):
    t = Command(p.laptop, 'shell', '-c', f'dd if=/dev/zero of={AT}/zeros bs=4096 count=500 conv=fsync && echo syn\'\'ced; sleep 100')
    t.see('synced')
    p.laptop.kill9()
    assert os.path.getsize(p.docs + '/zeros') == 500 * 4096
    p.up(p.laptop)
    nodes.wait_for_link(p.desk, p.laptop)


def test_a_share_that_is_removed_is_an_error_for_who_has_its_file_open(p):
    t = Command(p.laptop, 'shell')
    prompt(t, 'laptop')
    t.do(f'exec 5>{AT}/open; echo one >&5; echo done-$?', 'done-0')
    p.desk.call('share', 'remove', 'docs')
    t.do('busybox dd if=/dev/zero bs=1 count=1 conv=fsync >&5; echo done-$?', 'done-[1-9]')
    t.do(f'cat {AT}/open; echo there-$?', 'there-1')
    p.desk.call('share', 'add', p.docs)
    t.do(f'cat {AT}/open; echo there-$?', '(?s)one.*there-0')
    t.type('exit\r')
    t.status()


def main():
    missing = [n for n in ('bash', 'busybox', 'vim') if not os.path.exists(os.path.join(IMAGE, 'bin', n))]
    if missing:
        print(f'1..0 # SKIP scripts/userland has not made {" and ".join(missing)}')
        return 77
    os.environ['WASMOS_SYSTEM'] = IMAGE
    with pair() as p:
        return cases.run(globals(), sys.argv[2:], fixture=lambda: contextlib.nullcontext(p))


if __name__ == '__main__':
    sys.exit(main())
