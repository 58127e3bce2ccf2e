#!/usr/bin/env python3
"""limits.py - programs that take what they can get harm nobody beside them: a fork bomb, a memory hog, hundreds that compute.

	tests/wali/limits.py WASMOS GUESTS          GUESTS: the folder with the built guests
"""
import os
import resource
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


def memory_of_node():
    """MiB that the node has."""
    with open(f'/proc/{NODE[0]}/status') as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith('VmRSS'))


NODE = []
BUDGET_MIB = min(1024, max(64, os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 16 >> 20))
KINDS = ('pipes', 'files', 'texts', 'watches', 'fifos', 'ptys', 'sockets', 'memory-files', 'folders', 'locks')
TAKERS = 12


def taken(kind, data):
    """A family takes all it can; a program beside goes on, others start, and the node keeps no more than it says."""
    alone, before = count(300), memory_of_node()
    begun = time.monotonic()
    wasmos('run', '-d', '--dir', f'{data}::/data', '--env', 'A=' + 'a' * 100000, HUNGRY, 'take', kind, str(TAKERS))
    time.sleep(1)
    beside = count(300)
    time.sleep(max(0, 2.5 - (time.monotonic() - begun)))
    there = memory_of_node() - before
    answer = time.monotonic()
    assert wasmos('run', '--dir', f'{data}::/data', HUNGRY, 'limits').returncode == 0
    answer = time.monotonic() - answer
    pid = wasmos('ps').stdout.splitlines()[1].split()[0]
    took = end_family(pid)
    left = memory_of_node() - before
    print(f'# {kind}: alone {alone}, beside {beside}; {there} MiB, {left} after; a start {answer:.2f} s, the end {took:.1f} s')
    assert beside * 12 > alone, (kind, alone, beside)
    assert there < BUDGET_MIB + 512, (kind, there)
    assert wasmos('status').returncode == 0


def test_who_takes_what_the_node_keeps_for_programs_harms_nobody():
    with tempfile.TemporaryDirectory() as data:
        for kind in KINDS:
            taken(kind, data)


def test_memory_that_grows_by_itself_stays_below_its_limit():
    for options in ([], ['--solo']):
        out = subprocess.Popen([WASMOS, 'run', *options, '--max-memory', '8', HUNGRY, 'grow', '100'], stdout=subprocess.PIPE, text=True)
        line = out.stdout.readline()
        out.terminate()
        out.wait(PATIENCE_S)
        assert 0 < int(line.split()[0]) * 65536 <= 8 << 20, line
    until(lambda: processes() == 0, 'it has ended')


def test_no_family_grows_beyond_the_machine():
    out = subprocess.Popen([WASMOS, 'run', HUNGRY, 'greedy', '30'], stdout=subprocess.PIPE, text=True)
    got = int(out.stdout.readline().split()[0])
    out.wait(PATIENCE_S)
    most = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') * 3 // 4
    assert got * (1 << 30) <= most, (got, most)
    assert got >= min(most >> 30, 30) - 2, (got, most)


def test_a_fork_bomb_leaves_files_to_a_node_that_may_open_few():
    with tempfile.TemporaryDirectory() as home:
        few = {'env': dict(os.environ, WASMOS_HOME=home)}
        up = wasmos('up', '--listen', '127.0.0.1:0', '--display', 'headless', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)), **few)
        assert up.returncode == 0, up
        try:
            assert wasmos('run', '-d', HUNGRY, 'bomb', **few).returncode == 0
            time.sleep(3)
            assert int(wasmos('run', HUNGRY, 'count', '200', **few).stdout) > 0
            assert wasmos('kill', '--family', '1', **few).returncode == 0
        finally:
            wasmos('down', '--end', **few)


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_')]
    with tempfile.TemporaryDirectory() as home:
        os.environ['WASMOS_HOME'] = home
        up = wasmos('up', '--listen', '127.0.0.1:0', '--display', 'headless')
        assert up.returncode == 0
        NODE.append(int(up.stdout.split('(process ')[1].split(')')[0]))
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
