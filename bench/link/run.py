#!/usr/bin/env python3
"""run.py - how much of raw TCP a link between two nodes gives to bulk: link-speed beside iperf3, over the same pair of veth, in turns.

	bench/link/run.py                                   1 Gb/s, 10 Gb/s and as fast as it goes; medians of 3
	bench/link/run.py --rates 1gbit --times 5 --megabytes 1024

Needs root, iproute2 and iperf3 (one stream, as a link is one connection). Each end is in a network namespace of its own; `tc tbf` on the
sending side makes the rate. The bytes are messages of the bulk lane, as chunks of a move are: sealed (Noise, ChaCha20-Poly1305), one thread an
end. The last line is all of it as JSON. Exit code 1: below 60 % at a rate that was asked for, `max` not counted: there the processors are measured.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('WASMOS_BUILD') or os.path.join(ROOT, 'build')
GOAL = 0.6
ENDS = ('sender', 'receiver')
ADDRESS = {'sender': '10.77.0.1', 'receiver': '10.77.0.2'}


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def inside(end, *words):
    return ['ip', 'netns', 'exec', end, *words]


def make_network():
    for end in ENDS:
        sh('ip', 'netns', 'add', end)
    sh('ip', 'link', 'add', 'v0', 'netns', 'sender', 'type', 'veth', 'peer', 'name', 'v0', 'netns', 'receiver')
    for end in ENDS:
        sh(*inside(end, 'ip', 'addr', 'add', f'{ADDRESS[end]}/24', 'dev', 'v0'))
        for device in ('lo', 'v0'):
            sh(*inside(end, 'ip', 'link', 'set', device, 'up'))


def set_rate(rate):
    for end in ENDS:
        subprocess.run(inside(end, 'tc', 'qdisc', 'del', 'dev', 'v0', 'root'), check=False, stderr=subprocess.DEVNULL)
        if rate != 'max':
            sh(*inside(end, 'tc', 'qdisc', 'add', 'dev', 'v0', 'root', 'tbf', 'rate', rate, 'burst', '4mb', 'latency', '20ms'))


def iperf_mb_s(megabytes):
    server = subprocess.Popen(inside('receiver', 'iperf3', '-s', '-1'), stdout=subprocess.DEVNULL)
    try:
        for _ in range(50):
            r = subprocess.run(inside('sender', 'iperf3', '-c', ADDRESS['receiver'], '-n', f'{megabytes}M', '-J'), check=False,
                               stdout=subprocess.PIPE, text=True, timeout=300)
            end = json.loads(r.stdout).get('end', {})
            if r.returncode == 0 and 'sum_received' in end:
                return end['sum_received']['bits_per_second'] / 8e6
            time.sleep(0.1)  # it does not listen yet
        raise SystemExit('link: iperf3 does not answer')
    finally:
        server.kill()
        server.wait()


def link(megabytes):
    r = subprocess.run([os.path.join(BUILD, 'tests', 'node', 'link-speed'), str(megabytes), '/run/netns/sender', '/run/netns/receiver',
                        ADDRESS['receiver']], check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(r.stdout)


def measure(rate, megabytes, times):
    raw, ours = [], []
    set_rate(rate)
    for _ in range(times):
        raw.append(iperf_mb_s(megabytes))
        ours.append(link(megabytes))
    row = {'rate': rate, 'iperf3_mb_s': round(statistics.median(raw)), 'link_mb_s': statistics.median(o['link_mb_s'] for o in ours),
           'sender_cpu_s_per_gb': statistics.median(o['sender_cpu_s_per_gb'] for o in ours),
           'call_loaded_us': statistics.median(o['call_loaded_us'] for o in ours)}
    row['part'] = round(row['link_mb_s'] / row['iperf3_mb_s'], 3)
    print(f'{rate:>7}: iperf3 {row["iperf3_mb_s"]} MB/s, a link {row["link_mb_s"]:.0f} MB/s: {row["part"] * 100:.0f} %; '
          f'the sender uses {row["sender_cpu_s_per_gb"]:.2f} s of a processor for a GB; a call beside it takes {row["call_loaded_us"]:.0f} us', flush=True)
    return row


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--rates', default='1gbit,10gbit,max')
    p.add_argument('--megabytes', type=int, default=1024)
    p.add_argument('--times', type=int, default=3)
    p.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    if os.geteuid() != 0 or not all(map(shutil.which, ('ip', 'tc', 'unshare', 'iperf3'))):
        print('link: needs root, iproute2 and iperf3')
        return 77
    if not args.inside:
        sh('ninja', '-C', BUILD, 'tests/node/link-speed')
        return subprocess.run(['unshare', '--net', '--mount', sys.executable, *sys.argv, '--inside'], check=False).returncode
    os.makedirs('/run/netns', exist_ok=True)
    sh('mount', '-t', 'tmpfs', 'none', '/run/netns')  # ours alone, as our namespaces are
    make_network()
    rows = [measure(rate, args.megabytes, args.times) for rate in args.rates.split(',')]
    print(json.dumps(rows))
    return any(row['part'] < GOAL for row in rows if row['rate'] != 'max')


if __name__ == '__main__':
    sys.exit(main())
