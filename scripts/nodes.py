"""nodes.py - drives WasmOS nodes through the `wasmos` command, as a person would: for the demo, bench/move and tests.

A Node is a home folder and a name. Nothing here knows more than the command line and its --json.

	with tempfile.TemporaryDirectory() as folder:
	    a, b = Node(folder + '/a', 'desk'), Node(folder + '/b', 'laptop')
	    a.up(); b.up(); pair(a, b)
	    pid = a.start(['prog.wasm', 'argument'], '--dir', 'data::/data')
	    print(a.migrate(pid, b)['pause_ms'])
	    print(b.wait(pid)['status'])
	    a.down(); b.down()
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WASMOS = os.environ.get('WASMOS') or os.path.join(ROOT, 'build', 'shell', 'wasmos')
ENDED = {'exited', 'trapped', 'killed'}
LIVES = {'running', 'waiting'}


class Failed(Exception):
    """A command that did not do what it was asked; the text is what it said."""


class Node:
    """program: the words that start `wasmos` (an emulator's before it); path: a path of this machine in the node's words."""

    def __init__(self, home, name, env=None, program=None, path=str):
        self.home, self.name = home, name
        self.program, self.path = program or [WASMOS], path
        self.env = dict(os.environ, WASMOS_HOME=path(home), **(env or {}))

    def command(self, *args):
        return [*self.program, *map(str, args)]

    def call(self, *args, timeout_s=60):
        """Runs a command of this node to its end; its standard output. Failed when the exit status is not 0."""
        r = subprocess.run(self.command(*args), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=timeout_s, text=True, errors='replace')
        if r.returncode != 0:
            raise Failed(f'{self.name}: wasmos {" ".join(map(str, args))}: exit status {r.returncode}: '
                         f'{r.stderr.strip() or r.stdout.strip()}')
        return r.stdout

    def json(self, *args, timeout_s=60):
        return json.loads(self.call(*args, '--json', timeout_s=timeout_s))

    def spawn(self, *args, **popen):
        """Starts a command of this node and returns its Popen."""
        return subprocess.Popen(self.command(*args), env=self.env, **popen)

    # ---- the node ----

    def up(self, *options):
        self.call('up', '--name', self.name, *options)

    def down(self):
        self.call('down')

    def is_up(self):
        return subprocess.run(self.command('status'), env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def host_pid(self):
        return self.json('status')['pid']

    def kill9(self):
        """As a crash: no handler of the node runs. Returns when it is gone."""
        pid = self.host_pid()
        os.kill(pid, 9)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it went while it was looked at
            while True:
                with open(f'/proc/{pid}/stat') as f:
                    ended = f.read().rsplit(')', 1)[1].split()[0] == 'Z'
                if ended and len(os.listdir(f'/proc/{pid}/task')) == 1:  # the other threads are gone too
                    break
                time.sleep(0.005)

    def log(self):
        with open(os.path.join(self.home, 'log'), errors='replace') as f:
            return f.read()

    # ---- processes ----

    def start(self, argv, *options):
        """`run -d`; the pid."""
        out = self.call('run', '-d', *options, *argv)
        return int(re.search(r'\d+', out).group(0))

    def ps(self):
        """The rows of those that are here."""
        return [row for row in self.json('ps', '--all') if row['state'] != 'elsewhere']

    def elsewhere(self):
        """The rows of relatives that other devices have."""
        return [row for row in self.json('ps') if row['state'] == 'elsewhere']

    def living(self):
        """The rows of those that run or wait."""
        return [row for row in self.ps() if row['state'] in LIVES]

    def process(self, pid):
        """The row of ps, or None."""
        for row in self.ps():
            if row['pid'] == pid:
                return row
        return None

    def wait(self, pid, timeout_s=120, states=frozenset(ENDED)):
        """Polls until the process is in one of the states; its row."""
        end = time.monotonic() + timeout_s
        while True:
            row = self.process(pid)
            if row is not None and row['state'] in states:
                return row
            if time.monotonic() > end:
                raise Failed(f'{self.name}: process {pid} is {row and row["state"]} after {timeout_s} s, '
                             f'not {" or ".join(sorted(states))}')
            time.sleep(0.05)

    def output(self, pid):
        return self.call('logs', pid)

    def migrate(self, pid, peer, *options, timeout_s=60):
        """Moves a process; what it cost, as the command's JSON object (pause_ms, bytes, total_ms, pid there)."""
        return self.json('migrate', pid, peer.name, *options, timeout_s=timeout_s)


class Journey:
    """A process that is moved between two nodes, to and fro: where it is, its number there, what each move cost."""

    def __init__(self, here, there, pid):
        self.here, self.there, self.pid, self.costs = here, there, pid, []

    def move(self):
        """One move; False when the process has ended before."""
        try:
            cost = self.here.migrate(self.pid, self.there)
        except Failed:
            if self.ended():
                return False
            raise
        self.costs.append(cost)
        self.pid, self.here, self.there = cost['pid'], self.there, self.here
        return True

    def ended(self):
        row = self.here.process(self.pid)
        return row is not None and row['state'] in ENDED

    def go(self, moves):
        """So many moves, or as many as it lives for; itself."""
        for _ in range(moves):
            if not self.move():
                break
        return self

    def end(self, status=0, timeout_s=120):
        """Waits for the end, which must be an exit with this status; all that it printed."""
        row = self.here.wait(self.pid, timeout_s)
        if row['state'] != 'exited' or row['status'] != status:
            raise Failed(f'{self.here.name}: {row["state"]} with {row["status"]} after {len(self.costs)} moves: {self.output()[-500:]}')
        return self.output()

    def output(self):
        return self.here.output(self.pid)


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, round(p / 100 * (len(values) - 1)))]


def summary(costs, key):
    """Of what moves cost, one figure: its median, 99th percentile and most."""
    values = [c[key] for c in costs]
    return {'p50': percentile(values, 50), 'p99': percentile(values, 99), 'max': max(values)}


@contextlib.contextmanager
def two(a='one', b='two', **node):
    """Two nodes without a screen that know each other; afterwards nothing of them is left."""
    with housed(lambda folder: [Node(os.path.join(folder, name), name, **node) for name in (a, b)]) as made:
        for n in made:
            n.up('--listen', '127.0.0.1:0', '--display', 'headless')
        pair(*made)
        yield made


@contextlib.contextmanager
def housed(make):
    """The nodes that make(folder) returns, in a folder of their own; afterwards nothing of them is left."""
    folder = tempfile.mkdtemp(prefix='wasmos-nodes-')
    made = []
    try:
        made = make(folder)
        yield made
    finally:
        for node in made:
            if node.is_up():
                node.call('down', '--end')
        shutil.rmtree(folder, ignore_errors=True)


def pair(a, b, timeout_s=20):
    """Makes two nodes that are up known to each other, through the words that `pair` prints."""
    shower = a.spawn('pair', '--yes', '--json', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, text=True)
    try:
        line = shower.stdout.readline()
        if '"words"' not in line:
            raise Failed(f'{a.name}: pair showed no words: {(line + shower.stdout.read()).strip()}')
        code = json.loads(line)
        b.call('pair', *code['words'].split(), f'127.0.0.1:{code["port"]}', '--yes', timeout_s=timeout_s)
        rest, _ = shower.communicate(timeout=timeout_s)
        if shower.returncode != 0:
            raise Failed(f'{a.name}: pair: exit status {shower.returncode}: {rest.strip()}')
    finally:
        if shower.poll() is None:
            shower.kill()
            shower.wait()
        shower.stdout.close()
    wait_for_link(a, b, timeout_s)


def wait_for_link(a, b, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not all(any(row['name'] == peer.name and row['up'] for row in node.json('peers'))
                  for node, peer in ((a, b), (b, a))):
        if time.monotonic() > end:
            raise Failed(f'{a.name} and {b.name} are paired, but no link comes up: {a.json("peers")}')
        time.sleep(0.05)


def end_wine(env):
    """Ends all programs of a system of wine. Debian's wine64 alone puts its server on no path."""
    server = shutil.which('wineserver') or '/usr/lib/wine/wineserver'
    if os.path.exists(server):
        subprocess.run([server, '-k'], env=dict(os.environ, **env), check=False, timeout=60, stderr=subprocess.DEVNULL)
