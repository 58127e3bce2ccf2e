#!/usr/bin/env python3
"""moves.py - a Linux program that is moved between two nodes while it computes, sleeps, jumps and its handler runs.

	tests/wali/moves.py WASMOS GUESTS          GUESTS: the folder with the built guests
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
os.environ['WASMOS'] = sys.argv[1]
import nodes  # noqa: E402

ROUNDS, MOVES = 600, 20


def unbroken(guest):
    return subprocess.run([sys.argv[1], 'run', '--solo', guest, str(ROUNDS)], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def test_a_program_is_what_it_was_after_twenty_moves(a, b, guest):
    here, there = a, b
    pid = here.start([guest, str(ROUNDS)])
    moved = 0
    for _ in range(MOVES):
        try:
            pid = here.migrate(pid, there)['pid']
        except nodes.Failed as e:
            assert 'ended' in str(e), e
            break
        moved += 1
        here, there = there, here
    row = here.wait(pid)
    assert row['status'] == 7, row
    assert here.output(pid).strip() == unbroken(guest), here.output(pid)
    assert moved >= 5, moved


def test_a_family_with_a_pty_says_the_same_after_twenty_moves(a, b, guest):
    guest = os.path.join(os.path.dirname(guest), 'talk.wasm')
    here, there, moved = a, b, 0
    pid = here.start([guest, str(ROUNDS)])
    for _ in range(MOVES):
        try:
            pid = here.migrate(pid, there)['pid']
        except nodes.Failed as e:
            assert 'ended' in str(e), e
            break
        moved += 1
        here, there = there, here
    assert here.wait(pid)['status'] == 7
    assert here.output(pid).strip() == unbroken(guest), here.output(pid)
    assert moved >= 5, moved


def test_it_survives_suspend_and_resume(a, b, guest):
    pid = a.start([guest, str(ROUNDS)])
    for _ in range(3):
        a.call('suspend', pid)
        a.call('resume', pid)
    assert a.wait(pid)['status'] == 7
    assert a.output(pid).strip() == unbroken(guest)


def test_a_family_moves_as_a_whole(a, b, guest):
    pid = a.start([os.path.join(os.path.dirname(guest), 'family.wasm')])
    while len([r for r in a.ps() if r['state'] in ('running', 'waiting')]) < 2:
        pass
    report = a.migrate(pid, b)
    assert len(report['pids'].split()) == 2, report
    rows = [r for r in b.ps() if r['state'] in ('running', 'waiting')]
    assert [r['parent'] for r in rows] == [0, pid], rows
    assert not [r for r in a.ps() if r['state'] in ('running', 'waiting')]
    for r in rows[::-1]:
        b.call('kill', r['pid'])
        b.wait(r['pid'])


def main():
    guest = os.path.join(sys.argv[2], 'movable.wasm')
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_')]
    with tempfile.TemporaryDirectory() as folder:
        a, b = (nodes.Node(os.path.join(folder, n), n) for n in ('one', 'two'))
        try:
            for n in (a, b):
                n.up('--listen', '127.0.0.1:0', '--display', 'headless')
            nodes.pair(a, b)
            for i, (name, test) in enumerate(tests, 1):
                try:
                    test(a, b, guest)
                    print(f'ok {i} - {name[5:].replace("_", " ")}')
                except (AssertionError, nodes.Failed) as e:
                    print(f'not ok {i} - {name[5:].replace("_", " ")}')
                    print('# ' + repr(e).replace('\\n', '\n# '))
        finally:
            for n in (a, b):
                if n.is_up():
                    n.down()
    print(f'1..{len(tests)}')


main()
