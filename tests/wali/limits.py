#!/usr/bin/env python3
"""limits.py - programs that take what they can get harm nobody beside them: a fork bomb, a memory hog, hundreds that compute.

	tests/wali/limits.py WASMOS GUESTS          GUESTS: the folder with the built guests
"""
import os
import subprocess
import sys
import tempfile
import time

WASMOS = sys.argv[1]
HUNGRY = os.path.join(sys.argv[2], 'hungry.wasm')
PATIENCE_S = 60
PAGES = 65536


def wasmos(*args, **more):
    return subprocess.run([WASMOS, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False, **more)


def count(ms=1000):
    r = wasmos('run', HUNGRY, 'count', str(ms))
    assert r.returncode == 0, r
    return int(r.stdout)


def processes():
    return len(wasmos('ps').stdout.splitlines()) - 1


def until(true, what):
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def start(*args):
    r = wasmos('run', '-d', HUNGRY, *args)
    assert r.returncode == 0, r
    return r.stdout.split()[-1]


def end_family(pid):
    begun = time.monotonic()
    r = wasmos('kill', '--family', pid)
    assert r.returncode == 0, r
    until(lambda: processes() == 0, 'the family has ended')
    return time.monotonic() - begun


def test_limits_of_a_process():
    for options in ([], ['--solo']):
        r = wasmos('run', *options, HUNGRY, 'limits')
        assert 'not ok' not in r.stdout and '1..10' in r.stdout, r


def test_a_fork_bomb_harms_nobody():
    alone = count()
    pid = start('bomb')
    until(lambda: processes() >= 50, 'it forks')
    beside = count()
    took = end_family(pid)
    print(f'# alone {alone}, beside a fork bomb {beside}; its {took:.1f} s to the end')
    assert beside * 12 > alone, (alone, beside)
    assert wasmos('status').returncode == 0


def test_many_that_compute_have_no_more_than_one():
    alone = count()
    pid = start('spin', '60')
    until(lambda: processes() >= 50, 'they run')
    beside = count()
    took = end_family(pid)
    print(f'# alone {alone}, beside 60 that compute {beside}; their {took:.1f} s to the end')
    assert beside * 12 > alone, (alone, beside)


def test_a_memory_hog_gets_what_it_may_have():
    out = subprocess.Popen([WASMOS, 'run', '--max-memory', '64', HUNGRY, 'hog'], stdout=subprocess.PIPE, text=True)
    got = int(out.stdout.readline().split()[0])
    assert 48 <= got <= 64, got
    assert count(200) > 0
    wasmos('kill', wasmos('ps').stdout.splitlines()[1].split()[0])
    out.wait(PATIENCE_S)


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_')]
    with tempfile.TemporaryDirectory() as home:
        os.environ['WASMOS_HOME'] = home
        assert wasmos('up', '--listen', '127.0.0.1:0', '--display', 'headless').returncode == 0
        try:
            for i, (name, test) in enumerate(tests, 1):
                try:
                    test()
                    print(f'ok {i} - {name[5:].replace("_", " ")}', flush=True)
                except AssertionError as e:
                    print(f'not ok {i} - {name[5:].replace("_", " ")}\n# {e!r}', flush=True)
        finally:
            wasmos('down', '--end')
    print(f'1..{len(tests)}')


main()
