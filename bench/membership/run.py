#!/usr/bin/env python3
"""run.py - membership by real nodes, each in a network namespace of its own with datagrams lost, beside Serf in the same run.

	bench/membership/run.py                             10 nodes, 30 % of all datagrams lost, two minutes each
	bench/membership/run.py --nodes 30 --loss 0.3 --seconds 300 --kills 5
	bench/membership/run.py --only wasmos

Needs root, iptables and iproute2; Debian's serf for the comparison. Everything is made in namespaces of this program's own and is gone with it.
For each: bytes a node sends (UDP and TCP, with headers), processor time it uses, members taken for dead that were up, and how long after
kill -9 the others said that a member is dead, from their logs (Serf's have whole seconds). Only datagrams are lost. What TCP carries is not the same
thing: Serf compares its tables by it, our nodes hold the links that programs use, one for each two. The last line is all of it as JSON.
"""
import argparse
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import nodes  # noqa: E402 (it stands in scripts/)

PORT, MEET_S, SEEN_S = 4747, 180, 45


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def inside(number, *words):
    return ['ip', 'netns', 'exec', f'w{number}', *words]


def address(number):
    return f'10.9.{number // 200}.{number % 200 + 1}'


def make_network(count, loss):
    sh('ip', 'link', 'add', 'meet', 'type', 'bridge')
    sh('ip', 'link', 'set', 'meet', 'up')
    for n in range(count):
        sh('ip', 'netns', 'add', f'w{n}')
        sh('ip', 'link', 'add', f'v{n}', 'type', 'veth', 'peer', 'name', 'e0', 'netns', f'w{n}')
        sh('ip', 'link', 'set', f'v{n}', 'master', 'meet', 'up')
        sh(*inside(n, 'ip', 'link', 'set', 'lo', 'up'))
        sh(*inside(n, 'ip', 'addr', 'add', f'{address(n)}/16', 'dev', 'e0'))
        sh(*inside(n, 'ip', 'link', 'set', 'e0', 'up'))
        for protocol in ('udp', 'tcp'):
            sh(*inside(n, 'iptables', '-A', 'OUTPUT', '-p', protocol, '-o', 'e0'))
        if loss:
            sh(*inside(n, 'iptables', '-A', 'INPUT', '-p', 'udp', '-i', 'e0', '-m', 'statistic', '--mode', 'random',
                       '--probability', str(loss), '-j', 'DROP'))


def sent_bytes(number):
    """(by UDP, by TCP) of a node so far."""
    out = subprocess.run(inside(number, 'iptables-save', '-c'), check=True, stdout=subprocess.PIPE, text=True).stdout
    return [int(re.search(rf'^\[\d+:(\d+)\] -A OUTPUT .*-p {protocol}', out, re.M).group(1)) for protocol in ('udp', 'tcp')]


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Wasmos:
    name = 'wasmos'

    def __init__(self, count, folder):
        self.count = count
        self.nodes = [nodes.Node(os.path.join(folder, f'n{n}'), f'n{n}', {'XDG_RUNTIME_DIR': folder},
                                 program=inside(n, nodes.WASMOS)) for n in range(count)]

    def start(self):
        first = self.nodes[0]
        for n, node in enumerate(self.nodes):
            node.up('--display', 'headless', '--listen', f'{address(n)}:{PORT}')
        for node in self.nodes[1:]:
            shower = first.spawn('pair', '--yes', '--json', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            words = re.search(r'"words":\s*"([^"]*)"', shower.stdout.readline()).group(1)
            node.call('pair', *words.split(), f'{address(0)}:{PORT}', '--yes')
            shower.communicate(timeout=30)

    def pid(self, number):
        return self.nodes[number].host_pid()

    def knows(self, number):
        return sum(row.get('member') == 'alive' for row in self.nodes[number].json('peers'))

    def kill(self, number):
        self.nodes[number].kill9()

    def deaths(self, number):
        """(seconds since 1970, number of the member) of each "is dead" in a log."""
        with open(os.path.join(self.nodes[number].home, 'log')) as f:
            for line in f:
                if m := re.match(r'(\S+)Z info members: n(\d+) is dead', line):
                    at = datetime.datetime.fromisoformat(m.group(1)).replace(tzinfo=datetime.timezone.utc)
                    yield at.timestamp(), int(m.group(2))

    def end(self):
        for node in self.nodes:
            if node.is_up():
                node.kill9()


class Serf:
    name = 'serf'

    def __init__(self, count, folder):
        self.count, self.folder, self.agents = count, folder, []

    def log(self, number):
        return os.path.join(self.folder, f'serf{number}.log')

    def start(self):
        for n in range(self.count):
            with open(self.log(n), 'w') as log:
                self.agents.append(subprocess.Popen(
                    inside(n, 'serf', 'agent', f'-node=n{n}', f'-bind={address(n)}', f'-rpc-addr={address(n)}:7373',
                           '-profile=lan', *([f'-join={address(0)}'] if n else [])),
                    stdout=log, stderr=subprocess.STDOUT, start_new_session=True))
            time.sleep(0.2)

    def pid(self, number):
        return self.agents[number].pid

    def knows(self, number):
        out = subprocess.run(inside(number, 'serf', 'members', f'-rpc-addr={address(number)}:7373', '-status=alive'),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        return len(out.split('\n')) - 1

    def kill(self, number):
        self.agents[number].send_signal(signal.SIGKILL)
        self.agents[number].wait()

    def deaths(self, number):
        with open(self.log(number)) as f:
            for line in f:
                if m := re.search(r'(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) .*EventMemberFailed: n(\d+)', line):
                    yield time.mktime(time.strptime(m.group(1), '%Y/%m/%d %H:%M:%S')) + 0.5, int(m.group(2))

    def end(self):
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
                agent.wait()


def meet(system):
    end = time.monotonic() + MEET_S
    for n in range(system.count):
        while system.knows(n) != system.count:
            if time.monotonic() > end:
                raise nodes.Failed(f'{system.name}: after {MEET_S} s n{n} knows {system.knows(n)} of {system.count}')
            time.sleep(0.5)


def percentile(sorted_list, part):
    return sorted_list[min(int(part * len(sorted_list)), len(sorted_list) - 1)] if sorted_list else float('nan')


def measure(system, seconds, kills):
    begun = time.monotonic()
    system.start()
    meet(system)
    met = time.monotonic() - begun
    pids = [system.pid(n) for n in range(system.count)]
    since, before, cpu = time.time(), [sent_bytes(n) for n in range(system.count)], sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    took, after = time.time() - since, [sent_bytes(n) for n in range(system.count)]
    cpu = (sum(map(cpu_seconds, pids)) - cpu) / system.count / took
    killed = {}
    for n in range(system.count - kills, system.count):
        killed[n] = time.time()
        system.kill(n)
        time.sleep(5)
    time.sleep(SEEN_S)
    false, seen, missed = 0, [], 0
    alive = [n for n in range(system.count) if n not in killed]
    for n in alive:
        found = {}
        for at, about in system.deaths(n):
            if about in killed and at >= killed[about] - 1:
                found.setdefault(about, max(0, at - killed[about]))
            elif at >= since:
                false += 1
        seen += found.values()
        missed += kills - len(found)
    seen.sort()
    hours = system.count * (time.time() - since) / 3600
    udp, tcp = (sum(a[i] - b[i] for a, b in zip(after, before)) / system.count / took for i in (0, 1))
    print(f'{system.name:8} all know all after {met:.0f} s; {udp:.0f} bytes/s a node by UDP ({tcp:.0f} by TCP), {cpu * 100:.2f} % of a processor; '
          f'false deaths {false} in {hours:.1f} node-hours; a death is seen: p50 {percentile(seen, 0.5):.1f} s, '
          f'p99 {percentile(seen, 0.99):.1f} s, never {missed} of {kills * len(alive)}', flush=True)
    return {'met_s': round(met), 'udp_bytes_s': round(udp), 'tcp_bytes_s': round(tcp), 'cpu_percent': round(cpu * 100, 3),
            'false_deaths': false, 'node_hours': round(hours, 2), 'death_p50_s': round(percentile(seen, 0.5), 2),
            'death_p99_s': round(percentile(seen, 0.99), 2), 'unseen': missed, 'sightings': len(seen)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--nodes', type=int, default=10)
    p.add_argument('--loss', type=float, default=0.3)
    p.add_argument('--seconds', type=int, default=120)
    p.add_argument('--kills', type=int, default=3)
    p.add_argument('--only', choices=['wasmos', 'serf'])
    p.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    if os.geteuid() != 0 or not all(map(shutil.which, ('ip', 'iptables', 'unshare'))):
        print('membership: needs root, iproute2 and iptables')
        return 77
    if not args.inside:
        return subprocess.run(['unshare', '--net', '--mount', sys.executable, *sys.argv, '--inside'], check=False).returncode
    os.makedirs('/run/netns', exist_ok=True)
    sh('mount', '-t', 'tmpfs', 'none', '/run/netns')  # ours alone, as our namespaces are
    make_network(args.nodes, args.loss)
    result = {'nodes': args.nodes, 'loss': args.loss}
    for kind in (Wasmos, Serf):
        if args.only not in (None, kind.name) or (kind is Serf and not shutil.which('serf')):
            continue
        with tempfile.TemporaryDirectory(prefix='wasmos-membership-') as folder:
            system = kind(args.nodes, folder)
            try:
                result[kind.name] = measure(system, args.seconds, args.kills)
            finally:
                system.end()
    print(json.dumps(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
