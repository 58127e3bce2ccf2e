#!/usr/bin/env python3
"""jump.py - a program's window goes along when it moves: jump.py WASMOS GUEST. TAP on standard output.

Two nodes on one X server. The window of the device a program leaves shows its last frame until the other device has
shown its first, and closes then.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

os.environ['WASMOS'], GUEST = sys.argv[1:3]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nodes  # noqa: E402
from xserver import Server  # noqa: E402

number = 0


def ok(good, text):
    global number
    number += 1
    print(f'{"ok" if good else "not ok"} {number} - {text}', flush=True)


class Watch:
    """Which windows the guest has."""

    def __init__(self, display):
        self.env = dict(os.environ, DISPLAY=display)

    def xdotool(self, *args):
        return subprocess.run(['xdotool', *args], env=self.env, capture_output=True, text=True).stdout

    def titles(self):
        found = self.xdotool('search', '--name', 'Window guest').split()
        return {self.xdotool('getwindowname', w).strip() for w in found}

    def until(self, titles, timeout_s):
        """Waits for exactly these; the union of all sets that were seen on the way, and whether they came."""
        seen, end = [], time.monotonic() + timeout_s
        while time.monotonic() < end:
            seen.append(self.titles())
            if seen[-1] == titles:
                return True, seen
        print(f'# the last windows seen: {seen[-1]}')
        return False, seen


def jumps(watch, here, there, pid):
    cost = here.migrate(pid, there)
    came, seen = watch.until({f'Window guest - {there.name}'}, 20)
    ok(came, f'after a move to {there.name} there is one window, and it is there')
    # A look takes a while: what appears meanwhile is not in it, and what closes neither.
    ok(all(one or other for one, other in zip(seen, seen[1:])), 'and at no time, twice looked, there was none')
    return cost.get('pid', pid)


def picture(node, pid, folder):
    path = os.path.join(folder, 'picture.png')
    node.call('screenshot', pid, '-o', path)
    with open(path, 'rb') as f:
        head = f.read(24)
    ok(head[:8] == b'\x89PNG\r\n\x1a\n' and head[16:24] == (64).to_bytes(4, 'big') + (48).to_bytes(4, 'big'),
       'a screenshot has the frame in its own size')


def play(watch, a, b, folder):
    a.up()
    b.up()
    nodes.pair(a, b)
    pid = a.start([GUEST])
    came, _ = watch.until({'Window guest - desk'}, 20)
    if not came:
        print(f'# {a.ps()}')
    ok(came, 'the window is called after the program and the device')
    picture(a, pid, folder)
    pid = jumps(watch, a, b, pid)
    pid = jumps(watch, b, a, pid)
    a.call('kill', pid)
    came, _ = watch.until(set(), 10)
    ok(came, 'a program that ends has no window')


def main():
    for tool in ('Xvfb', 'xdotool'):
        if not shutil.which(tool):
            print(f'1..0 # SKIP {tool} is not installed')
            return 77
    print('1..7')
    server = Server()
    env = {'DISPLAY': server.display, 'SDL_AUDIODRIVER': 'dummy'}
    os.environ.pop('WAYLAND_DISPLAY', None)
    with tempfile.TemporaryDirectory() as folder:
        a = nodes.Node(os.path.join(folder, 'a'), 'desk', env)
        b = nodes.Node(os.path.join(folder, 'b'), 'laptop', env)
        try:
            play(Watch(server.display), a, b, folder)
        finally:
            for n in (a, b):
                if n.is_up():
                    n.down()
            server.end()
    return 0


sys.exit(main())
