#!/usr/bin/env python3
"""soak.py - each kind of program is moved a hundred times between two busy nodes while somebody uses it; nothing may be lost.

	bench/move/soak.py [--moves N] [--json] [KIND...]          WASMOS=PROGRAM: another than build/shell/wasmos

	shell      `wasmos shell` with counters in the background: its jobs, half-typed lines and history
	vim        a buffer that nobody saved, typed into while it moves; in the end the file has what was typed
	nethack    a game; in the end the inventory is what it was
	pipeline   yes | head | sha256sum with bytes in flight: the sum
	parted     the same as three parts: yes, head and the shell with sha256sum move by turns, each to the device where it is not
	server     nc -ll -e cat, a child for each connection; connections of the host and of programs on both devices stay open all the time
	threads    eight threads that compute: their sum
	files      a parent and a child append by one open file, another reads one over and over
	database   sqlite3 in a pipeline

Beside them each node runs a guest that never waits, and the machine a program of least priority a processor. One line a kind: pauses,
bytes and whole times of its moves, and what was lost. Exit status: 1 when something was; 77 when no kind's programs are made.
"""
import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, p) for p in ('scripts', 'tests/wali', 'tests/e2e')]
import nethack  # noqa: E402 (they stand in those folders)
import nodes  # noqa: E402
from terminal import IMAGE, Terminal  # noqa: E402

SDK = os.environ.get('WASMOS_SDK') or os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos', 'sdk')
PATIENCE_S = 60
SEED = 4


def program(name):
    return os.path.join(IMAGE, 'bin', name)


def count(to, often_s=0.1):
    """A piece of shell that writes 1, 2, 3, ... until /data/stop is there."""
    return f'i=0; until [ -e /data/stop ]; do i=$((i+1)); echo $i; sleep {often_s}; done >{to}'


def expect_count(text, least):
    """Each number once, in order."""
    got = text.split()
    assert got == [str(n) for n in range(1, len(got) + 1)], got
    assert len(got) >= least, got


def until(what, fn):
    end = time.monotonic() + PATIENCE_S
    while not (value := fn()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


class Kind:
    """What is moved. begin() starts it on the first node; use() is one move, with what a person does before, meanwhile and afterwards; end()
    says by an AssertionError what was lost."""
    needs = ('dash', 'busybox')

    def __init__(self, a, b, moves, folder):
        self.a, self.b, self.moves, self.folder = a, b, moves, folder
        self.trip, self.costs = None, []

    def begin(self):
        raise NotImplementedError

    def use(self, i):
        self.move()

    def end(self):
        raise NotImplementedError

    def move(self):
        assert self.trip.move(), f'it has ended: {self.trip.output()[-500:]}'
        self.costs.append(self.trip.costs[-1])

    # ---- what several do ----

    def start(self, argv, *options, node=None):
        """A program of the image with /data, on the first node if none is named; its number."""
        return (node or self.a).start([program(argv[0]), *argv[1:]], '--env', 'PATH=/bin', '--dir', IMAGE + '::/:ro',
                                      '--dir', self.folder + '::/data', *options)

    def travels(self, pid):
        self.trip = nodes.Journey(self.a, self.b, pid)

    def at_a_terminal(self, *words):
        """A command of the first node at a terminal; what it starts there is what travels."""
        before = {row['pid'] for row in self.a.living()}
        terminal = Terminal(self.a.command(*words), dict(self.a.env, TERM='xterm', COLUMNS='100', LINES='30'), plain=True)
        self.travels(until('it runs', lambda: [row['pid'] for row in self.a.living() if row['pid'] not in before])[0])
        return terminal

    def tell_to_stop(self):
        with open(os.path.join(self.folder, 'stop'), 'w'):
            pass

    def read(self, name):
        with open(os.path.join(self.folder, name)) as f:
            return f.read()


class Shell(Kind):
    needs = ('bash', 'busybox')
    JOBS = 3

    def begin(self):
        self.t = self.at_a_terminal('shell', '--dir', self.folder + '::/data')
        self.prompt()
        self.do('HISTSIZE=100000; pids=')
        self.do(f'for n in {" ".join(str(n + 1) for n in range(self.JOBS))}; do ({count("/data/count$n")}; exit $n) & pids="$pids $!"; done')

    def prompt(self):
        self.t.see(r'user@\w+:~\$ ')

    def do(self, line, pattern=''):
        self.t.type(line + '\r')
        self.t.see(pattern)
        self.prompt()

    def use(self, i):
        (self.half_a_line, self.a_stopped_job, self.a_foreground_job, self.a_pipeline)[i % 4](i)

    def half_a_line(self, i):
        self.t.type(f'echo "word{i}')
        self.move()
        self.do(' rest"', f'\nword{i} rest\n')

    def a_stopped_job(self, i):
        self.t.type('cat\r')
        until('cat runs', lambda: any(row['name'] == 'cat' for row in self.trip.here.living()))
        self.t.type(f'to cat {i}\r')
        self.t.see(f'to cat {i}\n(?s:.*)to cat {i}\n')
        self.t.type('\x1a')
        self.t.see('Stopped')
        self.prompt()
        self.move()
        self.t.type('fg\r')
        self.t.see('\ncat\n')
        self.t.type(f'again {i}\r')
        self.t.see(f'again {i}\n(?s:.*)again {i}\n')
        self.t.type('\x04')
        self.prompt()

    def a_foreground_job(self, i):
        self.t.type('sleep 1000\r')
        self.move()
        time.sleep(0.5)
        self.t.type('\x03')
        self.prompt()
        self.do(f'echo "was $?, turn {i}"', f'was 130, turn {i}\n')

    def a_pipeline(self, i):
        self.move()
        self.do(f'jobs | grep -c Running; echo "turn {i}"', rf'\n{self.JOBS}\nturn {i}\n')

    def end(self):
        self.tell_to_stop()
        self.t.type('for p in $pids; do wait $p; echo "ended $?"; done\r')
        for n in range(self.JOBS):
            self.t.see(f'ended {n + 1}\n')
        self.prompt()
        words = len(range(0, self.moves, 4))
        self.do('history | grep -c \'echo "word\'', rf'\n{words + 1}\n')  # and this one
        self.t.type('exit 3\r')
        assert self.t.status() == 3
        for n in range(self.JOBS):
            expect_count(self.read(f'count{n + 1}'), self.moves // 2)


class Vim(Kind):
    needs = ('vim',)

    def begin(self):
        self.random, self.typed = random.Random(SEED), []
        self.t = self.at_a_terminal('run', '--env', 'TERM=xterm', '--dir', IMAGE + '::/:ro', '--dir', self.folder + '::/data', program('vim'),
                                    '-u', 'NONE', '/data/letter')
        self.t.see('~')
        self.t.type('i')

    def use(self, i):
        words = [f'{i}:', *(f'{self.random.randrange(10**6)}' for _ in range(6))]
        typist = threading.Thread(target=self.type, args=(words,))
        typist.start()
        self.move()
        typist.join()
        self.t.type('\r')
        self.t.drain()
        self.typed.append(' '.join(words))

    def type(self, words):
        for n, word in enumerate(words):
            for key in ' ' * (n > 0) + word:
                self.t.type(key)
                time.sleep(0.005)

    def end(self):
        assert not os.path.exists(os.path.join(self.folder, 'letter'))
        self.t.type('\x1b')
        time.sleep(1)  # an escape with something behind it is a key of the terminal's
        self.t.type(':wq\r')
        assert self.t.status() == 0
        assert self.read('letter').split('\n') == [*self.typed, '', ''], (self.read('letter'), self.typed)


class Nethack(Kind):
    needs = ('nethack',)

    def begin(self):
        self.playground = nethack.new_playground(self.folder)
        self.t = self.at_a_terminal(*nethack.command(self.playground))
        self.t.see('Dlvl:1')
        nethack.the_dagger_is_there(self.t)

    def use(self, i):
        self.t.type('hjkl'[i % 4])
        self.move()
        self.t.drain()

    def end(self):
        nethack.the_dagger_is_there(self.t)
        nethack.save(self.t)
        assert self.t.status() == 0
        assert os.listdir(os.path.join(self.playground, 'save'))


class Pipeline(Kind):
    MIB_A_MOVE = 25

    def begin(self):
        self.mib = min(1024, self.MIB_A_MOVE * self.moves)
        self.travels(self.start(['dash', '-c', f'yes | head -c {self.mib << 20} | sha256sum; echo "status $?"']))
        until('all four', lambda: len(self.a.living()) == 5)  # one is the load

    def end(self):
        said = self.trip.end(timeout_s=1800)
        assert hashlib.sha256(b'y\n' * (self.mib << 19)).hexdigest() in said and 'status 0' in said, said


class Parted(Pipeline):
    MIB_A_MOVE = 6

    def begin(self):
        super().begin()
        rest, parts = self.trip, []
        for name in ('yes', 'head'):
            pid = until(name, lambda: next((row['pid'] for row in self.a.living() if row['name'] == name), None))
            parts.append(nodes.Journey(self.b, self.a, self.a.migrate(pid, self.b, '--alone')['pid']))
        self.rest, self.parts = rest, [*parts, rest]

    def use(self, i):
        self.trip = self.parts[i % len(self.parts)]
        self.move()

    def end(self):
        self.trip = self.rest
        super().end()


class Client(threading.Thread):
    """Somebody on the host who sends pieces of all sizes by one connection and wants each byte back once, in order."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.random, self.socket = random.Random(seed), connect(port)
        self.over, self.lost, self.bytes = threading.Event(), None, 0

    def run(self):
        try:
            while not self.over.is_set():
                piece = self.random.randbytes(self.random.randrange(1, 20000))
                self.socket.sendall(piece)
                got = receive(self.socket, len(piece))
                assert got == piece, f'of {len(piece)} bytes after {self.bytes} {len(got)} came, not the same'
                self.bytes += len(piece)
        except (AssertionError, OSError) as e:
            self.lost = e

    def end(self):
        self.over.set()
        self.join(PATIENCE_S)
        assert not self.is_alive() and not self.lost and self.bytes, (self.lost, self.bytes)
        self.socket.shutdown(socket.SHUT_WR)
        assert self.socket.recv(1) == b''
        self.socket.close()


def connect(port):
    s = socket.create_connection(('127.0.0.1', port), PATIENCE_S)
    s.settimeout(PATIENCE_S)
    return s


def receive(s, size):
    got = bytearray()
    while len(got) < size and (piece := s.recv(size - len(got))):
        got += piece
    return bytes(got)


def echo(s, text):
    s.sendall(text)
    got = receive(s, len(text))
    assert got == text, (got, text)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server(Kind):
    CLIENTS, IDLE = 3, 16

    def begin(self):
        self.port = free_port()
        self.travels(self.start(['busybox', 'nc', '-ll', '-p', '7000', '-e', 'cat'], '--net', 'system', '--publish', f'{self.port}:7000'))
        until('it listens', lambda: any(p['state'] == 'listening' for p in self.a.json('ports')))
        self.clients = [Client(self.port, SEED + n) for n in range(self.CLIENTS)]
        for c in self.clients:
            c.start()
        self.guests = [(n, self.start(['dash', '-c', f'({count("/dev/stdout")}) | nc {self.a.name}.wasmos 7000 >/data/{n.name}'],
                                      '--net', 'system', node=n)) for n in (self.a, self.b)]
        self.idle = []

    def use(self, i):
        if i % max(1, self.moves // self.IDLE) == 0:
            self.idle.append(connect(self.port))
        self.move()
        with connect(self.port) as new:
            echo(new, b'turn %d' % i)
        assert not [c.lost for c in self.clients if c.lost], [c.lost for c in self.clients]

    def end(self):
        for n, s in enumerate(self.idle):
            echo(s, b'all the time %d' % n)
            s.close()
        for c in self.clients:
            c.end()
        self.tell_to_stop()
        for node, pid in self.guests:
            assert node.wait(pid)['status'] == 0, node.output(pid)
            expect_count(self.read(node.name), self.moves // 2)
        until('the children have ended', lambda: [r['pid'] for r in self.trip.here.living() if r['parent']] == [])


class Threads(Kind):
    needs = ()
    ROUNDS_A_MOVE = 200

    def begin(self):
        self.guest, self.rounds = os.path.join(self.folder, 'pthreads.wasm'), str(min(8000, self.ROUNDS_A_MOVE * self.moves))
        if not os.path.exists(self.guest):
            subprocess.run([os.path.join(ROOT, 'sdk/bin/wasmos-cc'), '-pthread', '-O2', os.path.join(ROOT, 'tests/sdk/pthreads.c'), '-o', self.guest],
                           check=True)
            self.right = subprocess.run(self.a.command('run', '--solo', self.guest, self.rounds, 'few'), stdout=subprocess.PIPE, text=True, check=True).stdout
        self.travels(self.a.start([self.guest, self.rounds, 'few']))

    def use(self, i):
        while not self.trip.move():
            self.end()
            self.begin()
        self.costs.append(self.trip.costs[-1])

    def end(self):
        said = self.trip.end(timeout_s=600)
        assert said == self.right, (said, self.right)


class Files(Kind):
    def begin(self):
        with open(os.path.join(self.folder, 'large'), 'wb') as f:
            f.write(random.Random(SEED).randbytes(1 << 20))
        self.travels(self.start(['dash', '-c', 'exec 3>>/data/log; '
                                 f'({count("/data/once")}) & '
                                 '(i=0; until [ -e /data/stop ]; do i=$((i+1)); echo "child $i" >&3; done) & '
                                 '(until [ -e /data/stop ]; do sha256sum /data/large; done >/data/sums) & '
                                 'i=0; until [ -e /data/stop ]; do i=$((i+1)); echo "parent $i" >&3; done; wait']))

    def end(self):
        self.tell_to_stop()
        self.trip.end()
        lines = self.read('log').split('\n')
        assert lines.pop() == ''
        for who in ('parent', 'child'):
            expect_count('\n'.join(line.split()[1] for line in lines if line.split()[0] == who), self.moves)
        expect_count(self.read('once'), self.moves // 2)
        with open(os.path.join(self.folder, 'large'), 'rb') as f:
            right = hashlib.sha256(f.read()).hexdigest()
        sums = {line.split()[0] for line in self.read('sums').splitlines()}
        assert sums == {right}, sums


class Database(Kind):
    needs = ('dash', 'busybox', 'sqlite3')

    def begin(self):
        self.travels(self.start(['dash', '-c', '(echo "create table t(n integer primary key, what text);"; i=0; until [ -e /data/stop ]; do i=$((i+1)); '
                                 'echo "insert into t values($i, hex(randomblob(100)));"; sleep 0.05; done) | sqlite3 /data/base']))

    def end(self):
        self.tell_to_stop()
        assert self.trip.end() == ''
        with contextlib.closing(sqlite3.connect(os.path.join(self.folder, 'base'))) as base:
            assert base.execute('pragma integrity_check').fetchall() == [('ok',)]
            rows, most = base.execute('select count(*), max(n) from t').fetchone()
        assert rows == most >= self.moves // 2, (rows, most)


KINDS = {'shell': Shell, 'vim': Vim, 'nethack': Nethack, 'pipeline': Pipeline, 'parted': Parted, 'server': Server, 'threads': Threads, 'files': Files, 'database': Database}


def missing(kind):
    if kind is Threads and not os.path.exists(os.path.join(SDK, 'made')):
        return 'the C library is not made: scripts/setup --sdk && scripts/sdk'
    return next((f'{name} is not made: scripts/userland makes it' for name in kind.needs if not os.path.exists(program(name))), None)


@contextlib.contextmanager
def load():
    """Programs of the host that always want the processor and have least right to it."""
    busy = [subprocess.Popen(['nice', '-n', '19', sys.executable, '-c', 'while True: pass']) for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for p in busy:
            p.kill()
            p.wait()


def soak(kind, moves):
    """What the moves cost, and what was lost: None or a text."""
    with nodes.two(env={'WASMOS_SYSTEM': IMAGE}) as (a, b), tempfile.TemporaryDirectory(prefix='wasmos-soak-') as folder:
        k = kind(a, b, moves, folder)
        for node in (a, b):
            k.start(['dash', '-c', 'while :; do :; done'], node=node)
        try:
            k.begin()
            for i in range(moves):
                k.use(i)
            k.end()
        except Exception:  # whatever it is, the next kind is run too
            logs = ''.join(f'\n---- {n.name}\n' + n.log()[-3000:] for n in (a, b))
            return k.costs, traceback.format_exc() + logs
        return k.costs, None


def result(name, moves):
    costs, lost = soak(KINDS[name], moves)
    row = {'kind': name, 'moves': len(costs), 'lost': lost}
    if costs:
        row.update({key: nodes.summary(costs, key) for key in ('pause_ms', 'total_ms', 'bytes')})
    return row


def text(row):
    figures = ''.join('  ' + '/'.join(f'{row[key][c] / scale:.{digits}f}' for c in ('p50', 'p99', 'max')) + f' {unit}' if key in row else ''
                      for key, unit, scale, digits in (('pause_ms', 'ms', 1, 1), ('total_ms', 'ms in all', 1, 0), ('bytes', 'KiB', 1024, 0)))
    return f'{row["kind"]:10}{row["moves"]:4} moves{figures}  {"LOST" if row["lost"] else "nothing lost"}'


def main():
    p = argparse.ArgumentParser(prog='bench/move/soak.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--moves', type=int, default=100)
    p.add_argument('--json', action='store_true')
    p.add_argument('kinds', nargs='*', metavar='KIND')
    o = p.parse_args()
    if wrong := [k for k in o.kinds if k not in KINDS]:
        p.error(f'no such kind: {wrong[0]}; there are {" ".join(KINDS)}')
    rows = []
    with load():
        for name in o.kinds or KINDS:
            if why := missing(KINDS[name]):
                print(f'{name}: {why}', file=sys.stderr)
                continue
            rows.append(result(name, o.moves))
            if not o.json:
                print(text(rows[-1]), flush=True)
            if rows[-1]['lost']:
                print(rows[-1]['lost'], file=sys.stderr, flush=True)
    if o.json:
        print(json.dumps(rows))
    return 77 if not rows else 1 if any(row['lost'] for row in rows) else 0


if __name__ == '__main__':
    sys.exit(main())
