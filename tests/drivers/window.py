#!/usr/bin/env python3
"""window.py - a program in a window on a real X server: window.py SCREEN-RUN GUEST. TAP on standard output."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xserver import Server  # noqa: E402

SCREEN_RUN, GUEST = sys.argv[1:3]
number = 0


def ok(good, text):
    global number
    number += 1
    print(f'{"ok" if good else "not ok"} {number} - {text}', flush=True)


class Program:
    def __init__(self, display):
        env = dict(os.environ, DISPLAY=display, SDL_AUDIODRIVER='dummy')
        env.pop('WAYLAND_DISPLAY', None)
        self.env = env
        self.process = subprocess.Popen([SCREEN_RUN, '--display', 'auto', GUEST], env=env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.seen = ''

    def says(self, line, timeout_s=10):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.seen += (self.process.stdout.read() or b'').decode()
            if line + '\n' in self.seen:
                return True
            time.sleep(0.02)
        print(f'# waited for "{line}", seen: {self.seen!r}')
        return False

    def forget(self):
        self.seen = ''

    def xdotool(self, *args):
        r = subprocess.run(['xdotool', *args], env=self.env, capture_output=True, text=True)
        return r.stdout.split()

    def window(self, timeout_s=10):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = self.xdotool('search', '--name', '^Window guest$')
            if found:
                return found[0]
            time.sleep(0.05)
        return None


def until_says(program, line, action):
    """Does it again until the window has the keyboard."""
    for _ in range(10):
        action()
        if program.says(line, 1):
            return True
    return False


def in_a_window():
    server = Server()
    program = Program(server.display)
    window = program.window()
    ok(window is not None, 'a program with a display has a window with its title')
    program.xdotool('windowfocus', window or '')
    ok(until_says(program, 'key 29 1', lambda: program.xdotool('key', 'z')),
       'a key is told by its place on the keyboard (z is usage 29)')
    ok(program.says('key 29 0') and program.says('text z'), 'and let go, and told as text')
    # 64 x 48 goes nine times into three quarters of 800 x 600.
    program.xdotool('mousemove', '--window', window or '', '288', '216', 'click', '1')
    ok(program.says('button 1 1 at 32 24'), 'the pointer is told in pixels of the frame')
    program.process.terminate()
    program.process.wait()
    server.end()


def without_its_server():
    server = Server()
    program = Program(server.display)
    ok(program.window() is not None and program.says('frames 30'), 'a program draws')
    server.end()
    program.forget()
    ok(program.says('frames 900', 40) and program.process.wait(10) == 0,
       'a display server that dies does not take the program along')
    print('# ' + program.process.stderr.read().decode().strip().replace('\n', '\n# '))


for tool in ('Xvfb', 'xdotool'):
    if not shutil.which(tool):
        print(f'1..0 # SKIP {tool} is not installed')
        sys.exit(77)
print('1..6')
in_a_window()
without_its_server()
