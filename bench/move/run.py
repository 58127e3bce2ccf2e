#!/usr/bin/env python3
"""run.py - what it costs to move DOOM while it plays: pause, bytes and total time of many moves between two nodes.

	bench/move/run.py                     100 moves over loopback, both nodes on this machine
	bench/move/run.py --moves 20 --json   one JSON object, every move in it
	bench/move/run.py --via               between two that reach each other through a third only, in network namespaces; as root

Demo 1 is played on the frame clock, as often as it takes, each time with some moves in it. A run that was moved must end with the same
number of frames and the same hash over all of them as one that was not: no tic was lost, none happened twice.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import apart  # noqa: E402 (it stands in scripts/)
import nodes  # noqa: E402

DEMO1 = ['-iwad', '/doom/freedoom1.wad', '-timedemo', 'demo1', '-frameclock']
MOVES_IN_A_RUN = 25
# Demo 1 has 1,569 frames at 60 a second; the last moves must be over before its end.
SECONDS_OF_MOVES = 20


def play(node, doom, *options):
    return node.start([os.path.join(doom, 'doom.wasm')] + DEMO1, '--display', 'headless', '--frame-hash', '--name',
                      'doom', '--dir', f'{doom}::/doom:ro', *options)


def result_of(node, pid):
    row = node.wait(pid, timeout_s=240)
    # A timed demo ends with its timing as an "error".
    if row['state'] != 'exited' or row['status'] not in (0, 255):
        raise nodes.Failed(f'{node.name}: DOOM ended as {row["state"]}: {node.output(pid)[-500:]}')
    return row['frames'], row['frame_hash']


def moved_run(here, there, doom, count, moves):
    trip = nodes.Journey(here, there, play(here, doom))
    time.sleep(1)
    for _ in range(count):
        if not trip.move():
            raise nodes.Failed(f'{trip.here.name}: DOOM ended after {len(trip.costs)} moves')
        time.sleep(SECONDS_OF_MOVES / MOVES_IN_A_RUN / 2)
    moves += trip.costs
    return result_of(trip.here, trip.pid)


@contextlib.contextmanager
def two_through_a_third():
    if why := apart.why_not():
        raise nodes.Failed(why)
    with apart.three() as net:
        net.until_way(net.desk, net.phone, 'via hub')
        yield net.desk, net.phone


def measure(args):
    doom = subprocess.check_output([os.path.join(ROOT, 'scripts', 'build-doom')], text=True).strip()
    moves, equal = [], True
    with two_through_a_third() if args.via else nodes.two('desk', 'laptop') as (a, b):
        still = result_of(a, play(a, doom, '--unpaced'))
        while len(moves) < args.moves:
            equal &= moved_run(a, b, doom, min(MOVES_IN_A_RUN, args.moves - len(moves)), moves) == still
            if not args.json:
                print(f'{len(moves)} moves', file=sys.stderr)
    return {'count': len(moves), **{key: nodes.summary(moves, key) for key in ('pause_ms', 'bytes', 'total_ms')},
            'frames': still[0], 'same_frames': equal, 'moves': moves}


def main():
    p = argparse.ArgumentParser(prog='bench/move/run.py', description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--moves', type=int, default=100)
    p.add_argument('--json', action='store_true')
    p.add_argument('--via', action='store_true')
    args = p.parse_args()
    try:
        result = measure(args)
    except nodes.Failed as e:
        sys.exit(f'bench: {e}')
    if args.json:
        print(json.dumps(result))
    else:
        print(f'{"":10}{"p50":>12}{"p99":>12}{"most":>12}')
        for key, unit, scale in (('pause_ms', 'ms', 1), ('total_ms', 'ms', 1), ('bytes', 'KiB', 1024)):
            row = result[key]
            print(f'{key.split("_")[0]:10}' + ''.join(f'{row[c] / scale:9.1f} {unit:3}' for c in ('p50', 'p99', 'max')))
        print(f'{result["count"]} moves; frames and hashes {"as" if result["same_frames"] else "NOT as"} without a move')
    return 0 if result['same_frames'] else 1


if __name__ == '__main__':
    sys.exit(main())
