#!/usr/bin/env python3
"""moves.py - a Linux program that is moved between two nodes while it computes, sleeps, jumps and its handler runs.

	tests/wali/moves.py WASMOS GUESTS [WORD...]       GUESTS: the folder with the built guests; only cases whose name holds a WORD
"""
import contextlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'scripts'), os.path.join(ROOT, 'tests', 'e2e')]
os.environ['WASMOS'] = sys.argv[1]
import cases  # noqa: E402
import nodes  # noqa: E402

ROUNDS, MOVES = 600, 20


def guest(name):
    return os.path.join(sys.argv[2], name + '.wasm')


def unbroken(name):
    return subprocess.run([sys.argv[1], 'run', '--solo', guest(name), str(ROUNDS)], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def moved_it_says_the_same(a, b, name):
    trip = nodes.Journey(a, b, a.start([guest(name), str(ROUNDS)])).go(MOVES)
    said = trip.end(status=7).strip()
    assert said == unbroken(name), said
    assert len(trip.costs) >= 5, trip.costs


def test_a_program_is_what_it_was_after_twenty_moves(a, b):
    moved_it_says_the_same(a, b, 'movable')


def test_a_family_with_a_pty_says_the_same_after_twenty_moves(a, b):
    moved_it_says_the_same(a, b, 'talk')


def test_it_survives_suspend_and_resume(a, b):
    pid = a.start([guest('movable'), str(ROUNDS)])
    for _ in range(3):
        a.call('suspend', pid)
        a.call('resume', pid)
    assert a.wait(pid)['status'] == 7
    assert a.output(pid).strip() == unbroken('movable')


def test_a_limit_of_memory_holds_after_a_move(a, b):
    pid = a.start(['--max-memory', '4', guest('hungry'), 'later', '40'])
    a.migrate(pid, b)
    assert b.wait(pid)['status'] == 0
    got = int(b.output(pid).split()[0])
    assert 2 <= got <= 4, got


def test_a_family_moves_as_a_whole(a, b):
    pid = a.start([guest('family')])
    while len(a.living()) < 2:
        pass
    report = a.migrate(pid, b)
    assert len(report['pids'].split()) == 2, report
    rows = b.living()
    assert [r['parent'] for r in rows] == [0, pid], rows
    assert not a.living()
    for r in rows[::-1]:
        b.call('kill', r['pid'])
        b.wait(r['pid'])


if __name__ == '__main__':
    with nodes.two() as (one, two):
        sys.exit(cases.run(globals(), sys.argv[3:], fixture=lambda: contextlib.nullcontext((one, two))))
