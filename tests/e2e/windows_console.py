"""windows_console.py - `wasmos shell` in a Windows console, which wine draws on the terminal that it is started at.

	python3 tests/e2e/windows_console.py build/shell/wasmos build/tests/e2e/guest.wasm build/tests/e2e/counter.wasm [words of tests' names...]

As windows.py, whose nodes it uses. Skipped, with exit status 77, when wine, the program for Windows or the system image (scripts/userland) is
missing.
"""
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'wali'), os.path.join(HERE, '..', '..', 'scripts')]
import cases  # noqa: E402
import nodes  # noqa: E402
import windows  # noqa: E402
from painted import Screen  # noqa: E402
from terminal import IMAGE  # noqa: E402

PATIENCE_S = 40
UP, LEFT, ESCAPE, DETACH = '\x1b[A', '\x1b[D', '\x1b', '\x10\x11'


class Launcher:
    """A node's command, started by another."""

    def __init__(self, node, command):
        self.env, self.words = node.env, command

    def command(self, *args):
        return [*self.words, *args]


class Console(windows.Console):
    """The screen, and what is typed. Keys go out when the program reads them."""

    def __init__(self, node, *words, command=None):
        self.screen, self.raw = Screen(80, 24), ''
        super().__init__(node if not command else Launcher(node, command), *words)

    def read(self, timeout):
        self.text = ''
        came = windows.Terminal.read(self, timeout)
        self.raw += self.text
        self.screen.take(self.text)
        return came

    def see(self, pattern):
        end = time.monotonic() + PATIENCE_S
        while not (m := re.search(pattern, self.screen.text(), re.M)):
            assert time.monotonic() < end, f'{pattern!r} is not on the screen:\n{self.screen.text()}'
            self.read(0.2)
        return m

    def do(self, line, pattern):
        self.type(line + '\r')
        return self.see(pattern)


def prompt(t, name='windows'):
    t.see(r'user@%s:~\$ *\Z|user@%s:~\$\n*\Z' % (name, name))


def with_image(node):
    node.env['WASMOS_SYSTEM'] = windows.drive(IMAGE) if isinstance(node, windows.WindowsNode) else IMAGE
    return node


def shell(w, *words, **more):
    node = with_image(w.windows())
    node.up('--display', 'headless')
    t = Console(node, 'shell', *words, **more)
    prompt(t)
    return node, t


def leave(t, status=0):
    t.type(f'exit {status}\r')
    assert t.wait(20) == status


def test_a_shell_at_a_console_has_a_prompt_history_completion_and_colours(w):
    _, t = shell(w)
    t.do('echo one$((1+1)) > file; cat file', '^one2$')
    t.do('clear', r'\A\Z|^user')
    t.type(UP + UP)
    t.see(r'\$ echo one\$\(\(1\+1\)\) > file; cat file')
    t.type('\r')
    t.see('^one2$')
    t.do('ls /etc/pass\t', '^/etc/passwd$')
    t.do('echo acd' + LEFT + LEFT + 'b', '^abcd$')
    t.do('mkdir -p folder; ls -d folder', '^folder$')
    assert re.search(r'\x1b\[[0-9;]*(94|1;34|34;1|34)[0-9;]*mfolder', t.raw), repr(t.raw[-600:])
    t.do('gr\u00fc\u00df\u20ac', 'gr\u00fc\u00df\u20ac: command not found')
    leave(t, 7)


def test_a_loop_is_interrupted_and_a_job_is_stopped_and_goes_on(w):
    _, t = shell(w)
    t.do('while :; do :; done', 'done$')
    time.sleep(0.5)
    t.type('\x03')
    prompt(t)
    t.do('echo "was $?"', '^was 130$')
    t.do('sleep 100', 'sleep 100$')
    time.sleep(0.5)
    t.type('\x1a')
    t.see('Stopped +sleep 100')
    t.do('bg; jobs', 'Running +sleep 100')
    t.do('fg', '^sleep 100$')
    time.sleep(0.5)
    t.type('\x03')
    prompt(t)
    t.do('echo "then $?"', '^then 130$')
    leave(t)


def test_vim_draws_on_the_console_and_gives_the_screen_back(w):
    _, t = shell(w)
    t.do('echo before', '^before$')
    t.type('vim draft\r')
    t.see(r'^~$')
    t.see(r'"draft" \[New\]')
    t.type('iwords of a draft')
    t.see(r'\Awords of a draft$')
    t.see('-- INSERT --')
    t.type(ESCAPE)
    time.sleep(0.5)
    t.type('yyp')
    t.see(r'\Awords of a draft\nwords of a draft$')
    t.type(':wq\r')
    t.see('^before$')
    prompt(t)
    t.do('wc -l draft', '^2 draft$')
    leave(t)


def test_a_shell_at_a_console_is_left_and_joined_again(w):
    node, t = shell(w)
    t.do('mark=here; echo done', '^done$')
    t.type(DETACH)
    pid = t.see(r'wasmos attach (\d+)').group(1)
    assert t.wait(20) == 0
    t = Console(node, 'attach', pid)
    t.see('^done$')
    t.do('echo is $mark', '^is here$')
    leave(t, 3)


def test_a_shell_moves_from_linux_to_windows_and_back_under_its_console(w):
    win, linux = with_image(w.windows()), with_image(w.linux())
    for node in (win, linux):
        node.up('--display', 'headless', '--listen', '127.0.0.1:0')
    nodes.pair(linux, win, timeout_s=60)
    t = Console(win, 'shell', 'linux')
    prompt(t, 'linux')
    t.do('mark=here; uname -n', '^linux$')
    for there, before in (('windows', 'linux'), ('linux', 'windows')):
        t.do(f'migrate $$ {there}', f'^now on {there}$')
        prompt(t, there)
        t.do(f'echo {before} to $(uname -n): $mark', f'^{before} to {there}: here$')
        t.do('while :; do :; done', 'done$')
        time.sleep(0.5)
        t.type('\x03')
        prompt(t, there)
    leave(t, 5)


def test_a_console_that_changes_its_size_tells_the_shell(w):
    tool, go = w.place('resize.exe'), w.place('go')
    made = subprocess.run(['clang-19', '--target=x86_64-w64-mingw32', '-municode', '-fuse-ld=lld-19', os.path.join(HERE, 'resize_console.c'), '-o', tool],
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    node = with_image(w.windows())
    node.up('--display', 'headless')
    t = Console(node, 'shell', command=[windows.wine(), tool, windows.drive(go), '60', '20', windows.drive(windows.WINDOWS)])
    prompt(t)
    t.do('stty size', '^24 80$')
    with open(go, 'w', encoding='utf-8'):
        pass
    time.sleep(2)
    t.do('clear; stty size', '^20 60$')
    t.do('echo $LINES $COLUMNS', '^20 60$')
    leave(t, 4)


def main():
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'vim')):
        print('1..0 # SKIP vim is not made: scripts/userland makes it')
        return 77
    return windows.main(globals())


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
