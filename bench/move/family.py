#!/usr/bin/env python3
"""family.py - a pipeline of four processes is moved between two nodes that are busy, a hundred times; its sum must be right.

	bench/move/family.py [--moves N] [--mib N] [--json]

Prints the pauses in percentiles. Needs the programs of scripts/userland.
"""
import argparse
import hashlib
import json
import os
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import nodes  # noqa: E402

CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
BIN = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'wasmos', 'userland'), 'image', 'bin')


def start(node, text):
    return node.start([os.path.join(BIN, 'dash'), '-c', text], '--env', 'PATH=/bin', '--dir', BIN + '::/bin:ro')


def move(a, b, pid, moves):
    """Pauses in ms, and the node where the pipeline is."""
    pauses = []
    for _ in range(moves):
        report = a.migrate(pid, b)
        pauses.append(report['pause_ms'])
        pid = report['pid']
        a, b = b, a
    return pauses, a, pid


def measure(a, b, moves, mib):
    for n in (a, b):
        start(n, 'while :; do :; done')
    pid = start(a, f'yes | head -c {mib << 20} | sha256sum; echo "status $?"')
    while len([r for r in a.ps() if r['state'] in ('running', 'waiting')]) < 5:
        time.sleep(0.02)
    pauses, where, pid = move(a, b, pid, moves)
    assert where.wait(pid, timeout_s=1200)['status'] == 0
    want = hashlib.sha256(b'y\n' * (mib << 19)).hexdigest()
    assert want in where.output(pid), where.output(pid)
    pauses.sort()
    return {'moves': moves, 'mib': mib, **{f'pause_p{q}_ms': round(pauses[min(len(pauses) - 1, len(pauses) * q // 100)], 1) for q in (50, 90, 99, 100)}}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--moves', type=int, default=100)
    p.add_argument('--mib', type=int, default=400)
    p.add_argument('--json', action='store_true')
    o = p.parse_args()
    if not os.path.exists(os.path.join(BIN, 'sha256sum')):
        sys.exit('scripts/userland makes the programs that are moved')
    with tempfile.TemporaryDirectory() as folder:
        a, b = (nodes.Node(os.path.join(folder, n), n) for n in ('one', 'two'))
        try:
            for n in (a, b):
                n.up('--listen', '127.0.0.1:0', '--display', 'headless')
            nodes.pair(a, b)
            r = measure(a, b, o.moves, o.mib)
        finally:
            for n in (a, b):
                if n.is_up():
                    n.call('down', '--end')
    print(json.dumps(r) if o.json else '\n'.join(f'{k}: {v}' for k, v in r.items()))


main()
