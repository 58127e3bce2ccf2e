#!/usr/bin/env python3
"""run.py - what files of another device cost: writing and reading through /net, on a link with a delay and without.

	bench/share/run.py                       0 and 20 ms there and back; WASMOS=PROGRAM for another one
	bench/share/run.py --delays 20 --mib 64

Needs root and iproute2: two nodes in network namespaces that reach each other only through delay.py in a third one. The guest is tests/e2e/share_guest.c. The last line is all
of it as JSON.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('WASMOS_BUILD') or os.path.join(ROOT, 'build')
os.environ.setdefault('WASMOS', os.path.join(BUILD, 'shell', 'wasmos'))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import apart  # noqa: E402
import nodes  # noqa: E402

GUEST = os.path.join(BUILD, 'tests', 'e2e', 'share_guest.wasm')
DELAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'delay.py')


def delay(ms):
    """Half of it each way."""
    way = subprocess.Popen(apart.inside('between', sys.executable, DELAY, str(apart.PORT), '10.78.1.1', str(ms / 2)), stdout=subprocess.PIPE)
    way.stdout.readline()
    return way


def measure(laptop, mib, ms):
    def took(*words):
        return int(laptop.call('run', '--dir', 'net:', GUEST, *words, timeout_s=600))
    at = '/net/desk/docs'
    row = {'delay_ms': ms}
    for name, chunk in (('write_1m_mb_s', 1 << 20), ('write_4k_mb_s', 4096)):
        row[name] = round(mib * 1048.576 / max(1, took('fill', f'{at}/f', mib * 1024, chunk)), 1)
    row['read_mb_s'] = round(mib * 1048.576 / max(1, took('time', f'{at}/f')), 1)
    row['small_file_ms'] = round(took('many', at, 50) / 50, 1)
    print(f'{ms:>3} ms: written {row["write_1m_mb_s"]} MB/s by 1 MiB, {row["write_4k_mb_s"]} MB/s by 4 KiB; read {row["read_mb_s"]} MB/s; '
          f'a small file made in {row["small_file_ms"]} ms', flush=True)
    return row


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--delays', default='0,20')
    p.add_argument('--mib', type=int, default=64)
    args = p.parse_args()
    folder = tempfile.mkdtemp()
    desk, laptop = (nodes.Node(os.path.join(folder, n), n, {'XDG_RUNTIME_DIR': folder}, apart.inside(n, nodes.WASMOS)) for n in ('desk', 'laptop'))
    try:
        with apart.spaces('desk', 'between', 'laptop'):
            apart.wire('desk', '10.78.1.1', 'between', '10.78.1.2')
            apart.wire('laptop', '10.78.2.1', 'between', '10.78.2.2')
            for n in (desk, laptop):
                apart.up(n)
            os.mkdir(os.path.join(folder, 'docs'))
            rows = []
            for ms in args.delays.split(','):
                way = delay(int(ms))
                if not rows:
                    apart.pair(desk, '10.78.2.2', laptop)
                    desk.call('share', 'add', os.path.join(folder, 'docs'))
                nodes.wait_for_link(desk, laptop, 60)
                rows.append(measure(laptop, args.mib, int(ms)))
                way.kill()
                way.wait()
                way.stdout.close()
            for n in (desk, laptop):
                n.down()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(rows))


if __name__ == '__main__':
    main()
