"""apart.py - three nodes in network namespaces, two of which cannot reach each other: for tests/e2e/relay.py and bench/move.

	desk 10.71.1.1 ---- 10.71.1.2 hub 10.71.2.2 ---- 10.71.2.1 phone

Both are paired with the hub, so all three know each other. Needs root and iproute2. The namespaces are gone with the block:

	with apart.three() as net:
	    net.until_way(net.desk, net.phone, 'via hub')
	    net.join()                                    # from now on the hub's kernel forwards, and both have a route
	    net.until_way(net.desk, net.phone, 'direct')
"""
import contextlib
import json
import os
import shutil
import subprocess
import time

import nodes

PORT = 4747


def why_not():
    """Why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return 'network namespaces need root'
    if not shutil.which('ip'):
        return 'there is no `ip` (Debian: iproute2)'
    probe = subprocess.run(['ip', 'netns', 'add', space('probe')], stderr=subprocess.PIPE, text=True)
    if probe.returncode != 0:
        return f'no network namespaces here: {probe.stderr.strip()}'
    probe = subprocess.run(inside('probe', 'true'), stderr=subprocess.PIPE, text=True)
    sh('ip', 'netns', 'delete', space('probe'))
    return f'no network namespaces here: {probe.stderr.strip()}' if probe.returncode != 0 else None


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def space(name):
    return f'wasmos-{os.getpid()}-{name}'


def inside(name, *words):
    return ['ip', 'netns', 'exec', space(name), *words]


def wire(a, a_address, b, b_address):
    """A cable between two namespaces."""
    sh('ip', '-n', space(a), 'link', 'add', f'to-{b}', 'type', 'veth', 'peer', 'name', f'to-{a}', 'netns', space(b))
    for here, there, address in ((a, b, a_address), (b, a, b_address)):
        sh('ip', '-n', space(here), 'addr', 'add', f'{address}/24', 'dev', f'to-{there}')
        sh('ip', '-n', space(here), 'link', 'set', f'to-{there}', 'up')


class Net:
    def __init__(self, made):
        self.desk, self.hub, self.phone = made

    def nodes(self):
        return self.desk, self.hub, self.phone

    def row(self, node, other):
        return next((row for row in node.json('peers') if row['name'] == other.name), {})

    def way(self, node, other):
        return self.row(node, other).get('way', '')

    def until(self, what, holds, timeout_s=60):
        begin = time.monotonic()
        while not holds():
            if time.monotonic() > begin + timeout_s:
                raise nodes.Failed(f'after {timeout_s} s {what}')
            time.sleep(0.05)
        return time.monotonic() - begin

    def until_way(self, a, b, way, timeout_s=60):
        """Until both see their link so; the seconds that took."""
        return self.until(f'the link of {a.name} and {b.name} is not "{way}" but "{self.way(a, b)}" and "{self.way(b, a)}"',
                          lambda: self.way(a, b) == way == self.way(b, a), timeout_s)

    def join(self):
        sh(*inside('hub', 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'))
        sh('ip', '-n', space('desk'), 'route', 'add', '10.71.2.0/24', 'via', '10.71.1.2')
        sh('ip', '-n', space('phone'), 'route', 'add', '10.71.1.0/24', 'via', '10.71.2.2')

    def part(self):
        """As before join(); nobody is told, as when a cable is pulled somewhere."""
        sh(*inside('hub', 'sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward'))
        sh('ip', '-n', space('desk'), 'route', 'delete', '10.71.2.0/24')
        sh('ip', '-n', space('phone'), 'route', 'delete', '10.71.1.0/24')


def pair(shower, address, typer):
    shows = shower.spawn('pair', '--yes', '--json', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    words = json.loads(shows.stdout.readline())['words']
    typer.call('pair', *words.split(), f'{address}:{PORT}', '--yes')
    shows.communicate(timeout=30)


def up(node):
    node.up('--display', 'headless', '--listen', f'0.0.0.0:{PORT}')


@contextlib.contextmanager
def spaces(*names):
    made = []
    try:
        for name in names:
            sh('ip', 'netns', 'add', space(name))
            made.append(name)
            sh('ip', '-n', space(name), 'link', 'set', 'lo', 'up')
            sh(*inside(name, 'sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward'))
        yield
    finally:
        for name in made:
            sh('ip', 'netns', 'delete', space(name))


@contextlib.contextmanager
def three():
    """A Net whose nodes are up and paired. A node may be killed and begun again (up) in the block."""
    def make(folder):
        made = [nodes.Node(os.path.join(folder, name), name, {'XDG_RUNTIME_DIR': folder}, inside(name, nodes.WASMOS))
                for name in ('desk', 'hub', 'phone')]
        for node in made:
            up(node)
        return made
    with spaces('desk', 'hub', 'phone'):
        wire('desk', '10.71.1.1', 'hub', '10.71.1.2')
        wire('phone', '10.71.2.1', 'hub', '10.71.2.2')
        with nodes.housed(make) as made:
            net = Net(made)
            pair(net.hub, '10.71.1.2', net.desk)
            pair(net.hub, '10.71.2.2', net.phone)
            yield net
