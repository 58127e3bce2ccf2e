"""person.py - what the end-to-end tests share: a home and its command, a terminal, waiting.

	python3 tests/e2e/e2e.py build/shell/wasmos build/tests/e2e/guest.wasm [words of tests' names...]

Functions named test_* are the tests; their names are sentences. Each gets a home of its own, and its node is
ended afterwards.
"""
import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cases

WASMOS, GUEST = (os.path.abspath(p) for p in sys.argv[1:3])


class Home:
    """A home folder and the command used with it."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if k not in ('DISPLAY', 'WAYLAND_DISPLAY')}
        self.env.update(WASMOS_HOME=folder, TERM='xterm')

    def command(self, *args):
        return [WASMOS, *map(str, args)]

    def run(self, *args, input=None, timeout=30):
        """(exit status, stdout, stderr)"""
        r = subprocess.run(self.command(*args), env=self.env, input=input, timeout=timeout,
                           stdin=subprocess.DEVNULL if input is None else None, capture_output=True)
        return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')

    def ok(self, *args, **more):
        status, out, err = self.run(*args, **more)
        assert status == 0, f'{args}: status {status}: {err}'
        return out

    def start(self, *args):
        return int(self.ok('run', '-d', GUEST, *args))

    def ps(self, *args):
        return {p['pid']: p for p in json.loads(self.ok('ps', '--json', *args))}

    def spawn(self, *args, **more):
        return subprocess.Popen(self.command(*args), env=self.env, **more)

    def node_pid(self):
        return json.loads(self.ok('status', '--json'))['pid']

    def end(self):
        self.run('down', '--end')


@contextlib.contextmanager
def paired(h):
    """Another home whose node, "laptop", knows that of h, "desk"; both are up."""
    other = Home(h.folder + '-other')
    try:
        for node in (h, other):
            node.ok('up', '--name', 'desk' if node is h else 'laptop', '--listen', '127.0.0.1:0', '--display', 'headless')
        shower = h.spawn('pair', '--yes', '--json', stdout=subprocess.PIPE, text=True)
        code = json.loads(shower.stdout.readline())
        other.ok('pair', *code['words'].split(), f'127.0.0.1:{code["port"]}', '--yes')
        assert shower.wait(20) == 0
        shower.stdout.close()
        yield other
    finally:
        other.end()


class Terminal:
    """A command on a pseudo terminal of its own. home: what has env and command(). prepare: called with the terminal's descriptor before
    the command is there."""

    def __init__(self, home, *args, cols=80, rows=24, prepare=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if prepare:
                prepare(0)
            words = home.command(*args)
            os.execve(words[0], words, home.env)
        self.text = ''
        self.size(cols, rows)

    def size(self, cols, rows):
        import fcntl
        import struct
        import termios
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data.decode(errors='replace')
        return bool(data)

    def expect(self, text, timeout=10):
        end = time.monotonic() + timeout
        while text not in self.text:
            left = end - time.monotonic()
            assert left > 0 and (self.read(left) or text in self.text), f'"{text}" did not come: {self.text!r}'
        self.text = self.text.split(text, 1)[1]

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, timeout=10):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            self.read(0.05)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError('the command did not end')


def until(what, timeout=10):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError('it did not happen in time')


def has_ended(pid):
    """Also a process that nobody has waited for yet."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    except FileNotFoundError:
        return True


@contextlib.contextmanager
def own_home():
    folder = tempfile.mkdtemp(prefix='wasmos-e2e-')
    home = Home(folder + '/home')
    try:
        yield home
    finally:
        home.end()
        shutil.rmtree(folder, ignore_errors=True)


def main(module):
    return cases.run(module, sys.argv[3:], fixture=own_home)
