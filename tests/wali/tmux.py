#!/usr/bin/env python3
"""tmux.py - `wasmos shell` in a pane of tmux: colours, sizes, job control, a screen that is left and found again.

	tests/wali/tmux.py WASMOS [WORD...]       only cases whose name holds a WORD

Skipped where tmux is not installed, or scripts/userland has not made bash and busybox. tmux runs with a socket and a configuration of its own.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ['WASMOS'] = sys.argv[1]
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402
from terminal import IMAGE, PATIENCE_S, Terminal  # noqa: E402

PROMPT = 'user@desk:~$'


class Pane:
    """A session of tmux with one window, in which the shell runs."""

    def __init__(self, node, folder):
        self.node = node
        self.socket = os.path.join(tempfile.mkdtemp(dir=folder), 'tmux')  # a server that ends holds its own a while
        self.env = dict(node.env, TERM='xterm-256color', LC_ALL='C.UTF-8')
        self.env.pop('TMUX', None)
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', '100', '-y', '30', '-s', 's',
                  ' '.join(node.command('shell')) + '; echo "left with $?"; sleep 1000')
        self.see(re.escape(PROMPT))

    def tmux(self, *words):
        return subprocess.run(['tmux', '-S', self.socket, *words], env=self.env, check=True, capture_output=True, text=True).stdout

    def screen(self, *options):
        return self.tmux('capture-pane', '-p', '-t', 's:0.0', *options)

    def see(self, pattern, *options):
        """Waits until the screen shows it."""
        end = time.monotonic() + PATIENCE_S
        while not (m := re.search(pattern, self.screen(*options))):
            assert time.monotonic() < end, f'{pattern!r} is not on the screen:\n{self.screen(*options)}'
            time.sleep(0.05)
        return m

    def keys(self, *keys):
        self.tmux('send-keys', '-t', 's:0.0', *keys)

    def do(self, line, pattern):
        self.keys(line, 'Enter')
        return self.see(pattern)

    def clear(self):
        self.keys('C-l')
        self.see(r'\A' + re.escape(PROMPT))

    def join(self):
        """tmux itself in a terminal."""
        return Terminal([shutil.which('tmux'), '-S', self.socket, 'attach', '-t', 's'], self.env, plain=True)

    def end(self):
        self.tmux('kill-server')


def test_the_prompt_and_ls_have_colours(p):
    p.do('echo $TERM; mkdir -p folder; ls -d folder', r'\nfolder')
    assert re.search(r'\x1b\[1m\x1b\[34mfolder|\x1b\[1;34mfolder', p.screen('-e')), p.screen('-e')
    assert re.search(r'\x1b\[1m\x1b\[32muser@desk|\x1b\[1;32muser@desk', p.screen('-e')), p.screen('-e')


def test_history_and_completion_work_with_the_keys_of_tmux(p):
    p.do('echo one$((1+1))', r'\none2')
    p.clear()
    p.keys('Up')
    p.see(r'echo one\$\(\(1\+1\)\)')
    p.keys('Enter')
    p.see(r'\none2')
    p.keys('ls /etc/pass', 'Tab', 'Enter')
    p.see(r'\n/etc/passwd')


def test_a_pane_that_is_split_gives_the_shell_its_new_size(p):
    p.do('stty size', r'\n29 100|\n30 100')
    before = p.see(r'\n(\d+) 100').group(1)
    p.tmux('split-window', '-d', '-t', 's:0.0', 'sleep 1000')
    p.clear()
    p.do('stty size; echo $LINES', r'\n\d+ 100')
    rows = int(p.see(r'\n(\d+) 100').group(1))
    assert rows < int(before) - 5, rows
    p.see(rf'\n{rows}\n')
    p.tmux('resize-window', '-t', 's', '-x', '70', '-y', '40')
    time.sleep(1)  # tmux waits for more of the kind
    p.clear()
    p.do('stty size', r'\n\d+ 70')


def test_jobs_are_stopped_and_go_on(p):
    p.keys('sleep 100', 'Enter')
    time.sleep(0.5)
    p.keys('C-z')
    p.see('Stopped')
    p.do('bg; jobs', r'Running +sleep 100')
    p.do('fg', r'\nsleep 100')
    time.sleep(0.3)
    p.keys('C-c')
    p.do('echo "was $?"', 'was 130')
    p.keys('while :; do :; done', 'Enter')
    time.sleep(0.5)
    p.keys('C-c')
    p.do('echo "loop $?"', 'loop 130')


def test_a_screen_is_there_again_after_tmux_was_left_and_joined(p):
    p.keys('vim draft', 'Enter')
    p.see(r'\n~')
    p.keys('i', 'words of a draft')
    p.see('words of a draft')
    t = p.join()
    t.see('words of a draft')
    t.size(90, 25)
    time.sleep(0.5)
    t.type('\x02d')  # tmux's own keys
    t.see('detached')
    assert t.status() == 0
    t = p.join()
    t.see('words of a draft')
    p.keys('Escape')
    time.sleep(0.5)
    p.keys(':wq', 'Enter')
    p.see(re.escape(PROMPT))
    p.do('cat draft', r'\nwords of a draft')
    t.type('\x02d')
    t.status()


def test_the_shell_is_left_running_and_joined_from_another_pane(p):
    p.do('mark=here', re.escape(PROMPT))
    p.keys('C-p', 'C-q')
    pid = p.see(r'wasmos attach (\d+)').group(1)
    p.see('left with 0')
    p.tmux('split-window', '-d', '-t', 's:0.0', ' '.join(p.node.command('attach', pid)) + '; sleep 1000')
    p.tmux('send-keys', '-t', 's:0.1', 'echo is $mark', 'Enter')
    end = time.monotonic() + PATIENCE_S
    while '\nis here' not in p.tmux('capture-pane', '-p', '-t', 's:0.1'):
        assert time.monotonic() < end, p.tmux('capture-pane', '-p', '-t', 's:0.1')
        time.sleep(0.1)


def test_a_pane_that_is_closed_ends_its_shell(p):
    pid = p.do('echo "i am $$"', r'\ni am (\d+)').group(1)
    p.tmux('kill-server')
    end = time.monotonic() + PATIENCE_S
    while any(row['pid'] == int(pid) for row in p.node.ps() if row['state'] not in nodes.ENDED):
        assert time.monotonic() < end, p.node.ps()
        time.sleep(0.1)


def test_the_exit_status_arrives(p):
    p.do('exit 7', 'left with 7')


def main():
    why = None if shutil.which('tmux') else 'tmux is not installed (scripts/setup)'
    for name in ('bash', 'busybox', 'vim'):
        if not why and not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            why = f'{name} is not made: scripts/userland makes it'
    if why:
        print(f'1..0 # SKIP {why}')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        node = nodes.Node(folder + '/desk', 'desk')
        node.env['WASMOS_SYSTEM'] = IMAGE
        node.up('--listen', '127.0.0.1:0', '--display', 'headless')

        @contextlib.contextmanager
        def pane():
            p = Pane(node, folder)
            try:
                yield p
            finally:
                with contextlib.suppress(subprocess.CalledProcessError):
                    p.end()
        try:
            sys.exit(cases.run(globals(), sys.argv[2:], fixture=pane))
        finally:
            subprocess.run(node.command('down', '--end'), env=node.env, check=False)


main()
