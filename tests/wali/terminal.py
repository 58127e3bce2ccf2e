"""terminal.py - a command in a terminal of its own, as a person has it: what it prints is waited for, keys are typed.

	t = Terminal(['wasmos', 'run', 'program.wasm'])
	t.see('name: '); t.type('me\r'); assert t.status() == 0
"""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

PATIENCE_S = 30
ESCAPE = re.compile(r'\x1b\[[0-9;?]*[a-zA-Z]')
CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
IMAGE = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'wasmos', 'userland'), 'image')


class Terminal:
    """plain: what moves the cursor and colours letters is left out of what is seen."""

    def __init__(self, argv, env=None, plain=False):
        self.pid, self.fd = pty.fork()
        self.out, self.plain = '', plain
        if self.pid == 0:
            os.execve(argv[0], argv, dict(os.environ, **(env or {})))

    def see(self, pattern):
        """Waits until the pattern was printed since the last time; how it was found."""
        end = time.monotonic() + PATIENCE_S
        while not (m := re.search(pattern, self.out)):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f'{pattern!r} is not in {self.out!r}')
            try:
                self.out += os.read(self.fd, 4096).decode(errors='replace').replace('\r', '')
                if self.plain:
                    self.out = ESCAPE.sub('', self.out)
            except OSError:
                raise AssertionError(f'it ended; {pattern!r} is not in {self.out!r}') from None
        self.out = self.out[m.end():]
        return m

    def drain(self):
        """Forgets what was printed until now."""
        while select.select([self.fd], [], [], 0)[0] and os.read(self.fd, 4096):
            pass
        self.out = ''

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def size(self, cols, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.fd)

    def status(self):
        """Reads to the end; the exit status."""
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Command(Terminal):
    """A command of a node at a terminal; node: what has env and command()."""

    def __init__(self, node, *words, cols=100, rows=30):
        super().__init__(node.command(*words), dict(node.env, TERM='xterm'), plain=True)
        self.size(cols, rows)

    def do(self, line, pattern):
        self.type(line + '\r')
        return self.see(pattern)


def prompt(t, device='desk', folder='~'):
    """The prompt of `wasmos shell`."""
    t.see(re.escape(f'user@{device}:{folder}$ '))
