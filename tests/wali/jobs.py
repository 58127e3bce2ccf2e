#!/usr/bin/env python3
"""jobs.py - an interactive shell in a terminal, of a node and alone: what is typed, ^C, ^Z, background, ^D.

	tests/wali/jobs.py WASMOS

Skipped where scripts/userland has not made dash and busybox.
"""
import os
import re
import sys
import tempfile
import time

from terminal import IMAGE, Terminal

RUN = []  # options of the shells that tests start


class Shell(Terminal):
    def __init__(self, *options):
        super().__init__([sys.argv[1], 'run', *options, '--env', 'PATH=/bin', '--env', 'PS1=ready> ', '--dir',
                          os.path.join(IMAGE, 'bin') + '::/bin:ro', os.path.join(IMAGE, 'bin', 'dash'), '-i'])

    def do(self, line, pattern):
        self.type(line + '\r')
        self.see(re.escape(line) + '\n')
        self.see(pattern)


def shell():
    s = Shell(*RUN)
    s.see('ready> ')
    return s


def leave(s):
    s.type('exit 3\r')
    assert s.status() == 3


def test_a_line_is_edited_before_it_is_read():
    s = shell()
    s.type('echo wrong\x17right\r')
    s.see('\nright\n')
    leave(s)


def test_control_c_ends_the_foreground_and_not_the_shell():
    s = shell()
    s.do('while :; do :; done', '')
    s.type('\x03')
    s.see('ready> ')
    s.do('sleep 100', '')
    time.sleep(0.2)
    s.type('\x03')
    s.see('ready> ')
    s.do('echo "got $?"', 'got 130\n')
    s.type('half a line\x03')
    s.see('ready> ')
    s.do('echo still here', 'still here\n')
    leave(s)


def test_control_z_stops_a_job_that_goes_on_in_the_background():
    s = shell()
    s.do('sleep 100', '')
    time.sleep(0.3)
    s.type('\x1a')
    s.see('Stopped')
    s.see('ready> ')
    s.do('bg', 'sleep 100')
    s.do('jobs', 'Running')
    s.do('kill %1; wait; echo "all over"', 'all over\n')
    leave(s)


def test_control_d_ends_what_reads_and_then_the_shell():
    s = shell()
    s.do('cat', '')
    s.type('typed\r')
    s.see('typed\ntyped\n')
    s.type('\x04')
    s.see('ready> ')
    s.type('\x04')
    assert s.status() == 0


def main():
    for name in ('dash', 'busybox', 'sleep'):
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_')]
    all_tests = [(solo, *t) for solo in (False, True) for t in tests]
    with tempfile.TemporaryDirectory() as home:
        os.environ['WASMOS_HOME'] = home
        os.system(f"'{sys.argv[1]}' up --listen 127.0.0.1:0 --display headless >/dev/null")
        try:
            for i, (solo, name, test) in enumerate(all_tests, 1):
                RUN[:] = ['--solo'] if solo else []
                what = name[5:].replace('_', ' ') + (' (alone)' if solo else '')
                try:
                    test()
                    print(f'ok {i} - {what}')
                except AssertionError as e:
                    print(f'not ok {i} - {what}\n# {e!r}')
        finally:
            os.system(f"'{sys.argv[1]}' down >/dev/null")
    print(f'1..{len(all_tests)}')


main()
