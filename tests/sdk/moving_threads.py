#!/usr/bin/env python3
"""moving_threads.py - a program of eight threads is moved, suspended, and comes back after its node was killed.

	tests/sdk/moving_threads.py WASMOS [WORD...]       only cases whose name holds a WORD

The program is tests/sdk/pthreads.c, made by wasmos-cc; skipped where the C library was not made.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / 'scripts'), str(HERE.parent / 'e2e')]
os.environ['WASMOS'] = sys.argv[1]
import cases  # noqa: E402
import nodes  # noqa: E402

CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'wasmos'
SDK = pathlib.Path(os.environ.get('WASMOS_SDK') or CACHE / 'sdk')
SHELL = pathlib.Path(os.environ.get('WASMOS_USERLAND') or CACHE / 'userland') / 'image' / 'bin' / 'sh'
ROUNDS, MOVES = '20000', 20


def missing(_test):
    return None if (SDK / 'made').exists() else 'the C library is not made: scripts/setup --sdk && scripts/sdk'


class Two:
    """Two nodes that know each other, the program, and what it says when nobody disturbs it."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix='wasmos-threads-')
        folder = pathlib.Path(self.holder.name)
        self.guest = folder / 'pthreads.wasm'
        subprocess.run([ROOT / 'sdk' / 'bin' / 'wasmos-cc', '-pthread', '-O2', HERE / 'pthreads.c', '-o', self.guest], check=True)
        self.unbroken = subprocess.run([sys.argv[1], 'run', '--solo', self.guest, ROUNDS, 'few'], stdout=subprocess.PIPE, text=True,
                                       timeout=120, check=True).stdout
        self.nodes = nodes.two()

    def __enter__(self):
        self.a, self.b = self.nodes.__enter__()
        return self

    def __exit__(self, *raised):
        self.nodes.__exit__(*raised)
        self.holder.cleanup()

    def start(self, *options):
        return self.a.start([self.guest, ROUNDS, 'few'], *options)

    def check(self, node, pid):
        row = node.wait(pid)
        assert row['status'] == 0, row
        assert node.output(pid) == self.unbroken, node.output(pid)


def test_eight_threads_are_what_they_were_after_twenty_moves(w):
    moved = 0
    while moved < MOVES:  # where moves are slow the program ends before: again then
        trip = nodes.Journey(w.a, w.b, w.start()).go(MOVES - moved)
        assert trip.costs and trip.end() == w.unbroken, trip.output()
        moved += len(trip.costs)


def test_eight_threads_of_rust_are_what_they_were_after_twenty_moves(w):
    if not (SDK / 'rust' / 'made').exists() or not SHELL.exists():
        raise cases.Skip('they are not made: scripts/sdk-rust, scripts/userland dash')
    guest = w.guest.parent / 'rust.wasm'
    subprocess.run([SDK / 'rust' / 'bin' / 'rustc', '-O', '--edition', '2021', HERE / 'rust.rs', '-o', guest], check=True)
    words = [guest, '1500'], ['--dir', f'{SHELL.parent.parent}::/:ro', '--dir', f'{guest.parent}::/tmp', '--env', 'PATH=/bin']
    unbroken = subprocess.run([sys.argv[1], 'run', '--solo', *words[1], *words[0]], stdout=subprocess.PIPE, text=True, check=False).stdout
    trip = nodes.Journey(w.a, w.b, w.a.start(*words[:1], *words[1])).go(MOVES)
    assert trip.end(status=5) == unbroken, trip.output()
    assert len(trip.costs) > MOVES // 4, trip.costs  # it may end before


def test_eight_threads_survive_suspend_and_resume(w):
    pid = w.start()
    for _ in range(5):
        w.a.call('suspend', pid)
        w.a.call('resume', pid)
    w.check(w.a, pid)


def test_eight_threads_come_back_after_their_node_was_killed(w):
    pid = w.start('--checkpoint', '1')
    while not w.a.process(pid).get('checkpoints'):
        assert w.a.process(pid)['state'] not in nodes.ENDED
    w.a.kill9()
    w.a.up('--listen', '127.0.0.1:0', '--display', 'headless')
    w.check(w.a, pid)


if __name__ == '__main__':
    sys.exit(cases.run(globals(), sys.argv[2:], missing, Two))
