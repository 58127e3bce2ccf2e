#!/usr/bin/env python3
"""shell.py - dash and the tools of the userland do what a shell does all day, alone and in a node.

	tests/wali/shell.py WASMOS

Skipped where scripts/userland has not made dash and busybox.
"""
import difflib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
IMAGE = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'wasmos', 'userland'), 'image')


def run(*options):
    argv = [sys.argv[1], 'run', *options, '--env', 'PATH=/bin', '--dir', os.path.join(IMAGE, 'bin') + '::/bin:ro', '--dir', HERE + '::/test:ro',
            os.path.join(IMAGE, 'bin', 'dash'), '/test/shell.sh']
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)


def verdict(number, what, r):
    with open(os.path.join(HERE, 'shell.expected')) as f:
        want = f.read()
    good = r.stdout == want and r.returncode == 5
    print(f'{"" if good else "not "}ok {number} - {what}')
    if not good:
        print(f'# status {r.returncode}, {r.stderr!r}')
        print('# ' + '\n# '.join(difflib.unified_diff(want.splitlines(), r.stdout.splitlines(), 'wanted', 'got', lineterm='')))


def main():
    for name in ('dash', 'busybox', 'awk'):
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    verdict(1, 'a script of pipes, redirections, traps and children, alone', run('--solo'))
    with tempfile.TemporaryDirectory() as home:
        os.environ['WASMOS_HOME'] = home
        subprocess.run([sys.argv[1], 'up', '--listen', '127.0.0.1:0', '--display', 'headless'], stdout=subprocess.DEVNULL, check=True)
        try:
            verdict(2, 'the same in a node', run())
        finally:
            subprocess.run([sys.argv[1], 'down'], stdout=subprocess.DEVNULL, check=True)
    print('1..2')


main()
