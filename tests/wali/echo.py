#!/usr/bin/env python3
"""echo.py - datagrams between devices and with the world, ports that outlive their node, ends that are gone, many clients over many moves.

	tests/wali/echo.py build/shell/wasmos build/tests/wali [NAME...]      only cases whose name holds one of the words
"""
import contextlib
import os
import socket
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', '..', 'scripts')]
os.environ['WASMOS'] = sys.argv[1]
import cases
from network import Slow, free_port, until
from nodes import Failed, Node, pair

ECHO = os.path.join(os.path.abspath(sys.argv[2]), 'echo.wasm')
PINGS = 150
CLIENTS, MOVES = 20, 20


class Given:
    def __init__(self, folder, count):
        self.nodes = [Node(f'{folder}/{name}', name) for name in ('here', 'there', 'yonder')[:count]]
        for n in self.nodes:
            n.up('--listen', '127.0.0.1:0', '--display', 'headless')
        for i, n in enumerate(self.nodes):
            for other in self.nodes[:i]:
                pair(other, n)

    def start(self, node, mode, *argv, options=()):
        return int(node.call('run', '-d', '--net', mode, *options, ECHO, *argv))


@contextlib.contextmanager
def devices(count):
    with tempfile.TemporaryDirectory() as folder:
        g = Given(folder, count)
        try:
            yield g
        finally:
            for n in g.nodes:
                n.call('down', '--end')


def udp_port(family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Echo(threading.Thread):
    """An echo server of the host's by UDP; .heard are the addresses that it heard from."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', 0))
        self.port, self.heard = self.sock.getsockname()[1], set()
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, who = self.sock.recvfrom(65536)
                self.heard.add(who)
                self.sock.sendto(data, who)


def said(node, pid, timeout_s=60):
    node.wait(pid, timeout_s=timeout_s)
    return node.output(pid)


def numbers(text):
    words = text.split()
    return {words[i]: int(words[i + 1]) for i in range(0, len(words) - 1, 2)}


def exchange(port, data, timeout=1.0, tries=5):
    """What a port of the host's answers by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        for _ in range(tries):
            s.sendto(data, ('127.0.0.1', port))
            with contextlib.suppress(TimeoutError):
                return s.recv(65536)
    return None


def address_of(node):
    """The system's own address of a device: 10, then three bytes of its id."""
    b = bytes.fromhex(node.json('status')['device'])
    return f'10.{b[0]}.{b[1]}.{1 + b[2] % 254}'


def rows(node, **what):
    return [p for p in node.json('ports') if all(p[k] == v for k, v in what.items())]


# ---- datagrams ----


def test_datagrams_go_out_and_their_answers_come_back_over_moves_by_one_port():
    with devices(3) as g:
        a, b, c = g.nodes
        echo = Echo()
        pid = g.start(a, 'all', 'ping', '192.0.0.8', str(echo.port), str(PINGS))
        path = [a, b, c, a, b, c]
        for at, to in zip(path, path[1:]):
            time.sleep(0.1)
            pid = at.migrate(pid, to)['pid']
        got = numbers(said(c, pid))
        assert got['answers'] >= PINGS and got['doubled'] <= got['sent'] - PINGS, got
        assert len(echo.heard) == 1, echo.heard
        print('#', got)


def test_who_may_not_reach_the_world_does_not_by_datagrams():
    with devices(1) as g:
        echo = Echo()
        for mode in ('none', 'system', 'lan'):
            pid = g.start(g.nodes[0], mode, 'ping', '192.0.0.8', str(echo.port), '1')
            time.sleep(0.5)
            g.nodes[0].call('kill', pid)
        assert not echo.heard, echo.heard


def test_a_published_port_of_datagrams_follows_its_program():
    port = udp_port()
    with devices(3) as g:
        a, b, c = g.nodes
        pid = g.start(a, 'none', 'udp', '5000', options=('--publish', f'{port}:5000/udp'))
        assert exchange(port, b'one') == b'one'
        assert rows(a, proto='udp', host=f'127.0.0.1:{port}'), a.json('ports')
        try:
            g.start(a, 'none', 'udp', '5000', options=('--publish', f'{port}:5000/udp'))
            raise AssertionError('a port was published twice')
        except Failed as e:
            assert 'taken' in str(e), e
        pid = a.migrate(pid, b)['pid']
        assert exchange(port, b'two') == b'two'
        assert rows(a, proto='udp', state='elsewhere'), a.json('ports')
        pid = b.migrate(pid, c)['pid']
        assert exchange(port, b'x' * 60000) == b'x' * 60000
        c.call('kill', pid)
        until(lambda: not a.json('ports'))


def test_datagrams_go_between_devices_over_moves_of_both_ends():
    with devices(3) as g:
        a, b, c = g.nodes
        server = g.start(a, 'system', 'udp', '5000')
        client = g.start(b, 'system', 'ping', address_of(a), '5000', str(PINGS))
        time.sleep(0.2)
        server = a.migrate(server, c)['pid']
        time.sleep(0.2)
        client = b.migrate(client, a)['pid']
        time.sleep(0.2)
        server = c.migrate(server, b)['pid']
        got = numbers(said(a, client))
        assert got['answers'] >= PINGS and got['doubled'] <= got['sent'] - PINGS, got
        print('#', got)
        b.call('kill', server)


def test_a_bound_port_is_open_outside_as_far_as_the_mode_says():
    port = udp_port()
    with devices(1) as g:
        g.start(g.nodes[0], 'lan', 'udp', str(port))
        until(lambda: rows(g.nodes[0], host=f'0.0.0.0:{port}'))
        assert exchange(port, b'lan') == b'lan'


# ---- ports that outlive the node ----


def tcp_echo(port, data, timeout=20):
    with socket.create_connection(('127.0.0.1', port), timeout=timeout) as s:
        s.sendall(data)
        got = b''
        while len(got) < len(data) and (piece := s.recv(65536)):
            got += piece
        return got


def test_published_ports_come_back_with_their_program_after_a_restart():
    port, udp = free_port(), udp_port()
    with devices(1) as g:
        a = g.nodes[0]
        pids = [g.start(a, 'none', 'tcp', '80', options=('--publish', f'{port}:80')),
                g.start(a, 'none', 'udp', '53', options=('--publish', f'{udp}:53/udp'))]
        assert tcp_echo(port, b'before') == b'before' and exchange(udp, b'before') == b'before'
        a.down()
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        assert tcp_echo(port, b'after') == b'after' and exchange(udp, b'after') == b'after'
        a.call('suspend', pids[0])
        a.down()
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        assert rows(a, host=f'127.0.0.1:{port}'), a.json('ports')
        a.call('resume', pids[0])
        assert tcp_echo(port, b'resumed') == b'resumed'
        for pid in pids:
            a.call('kill', pid)
        until(lambda: not a.json('ports'))
        a.down()
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        assert not a.json('ports'), a.json('ports')


def test_published_ports_come_back_after_a_crash():
    port = free_port()
    with devices(1) as g:
        a = g.nodes[0]
        g.start(a, 'none', 'tcp', '80', options=('--publish', f'{port}:80', '--checkpoint', '1'))
        assert tcp_echo(port, b'before') == b'before'
        time.sleep(3)
        a.kill9()
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        assert tcp_echo(port, b'after') == b'after'


def test_a_home_that_restarts_still_leads_to_its_programs_elsewhere():
    port, listening = free_port(), free_port()
    with devices(2) as g:
        a, b = g.nodes
        pids = [g.start(a, 'none', 'tcp', '80', options=('--publish', f'{port}:80')), g.start(a, 'lan', 'tcp', str(listening))]
        until(lambda: len(rows(a, state='listening')) == 2)
        pids = [a.migrate(pid, b)['pid'] for pid in pids]
        a.down()
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        assert tcp_echo(port, b'published') == b'published'
        until(lambda: rows(a, host=f'0.0.0.0:{listening}'))
        assert tcp_echo(listening, b'listening') == b'listening'
        b.call('kill', pids[0])
        until(lambda: len(a.json('ports')) == 1)
        a.down()
        b.call('kill', pids[1])
        time.sleep(0.5)
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        until(lambda: not a.json('ports'))


# ---- ends that are gone ----


def test_an_end_whose_other_one_is_killed_elsewhere_hears_of_it():
    with devices(2) as g:
        a, b = g.nodes
        server = g.start(a, 'system', 'silent', '80')
        until(lambda: rows(a, state='listening'))
        client = g.start(b, 'system', 'wait', address_of(a), '80')
        until(lambda: 'connect 0' in b.output(client))
        a.call('kill', server)
        assert 'read 0' in said(b, client, 20)


def test_a_device_that_was_removed_has_no_ends_any_more():
    with devices(2) as g:
        a, b = g.nodes
        g.start(a, 'system', 'silent', '80')
        until(lambda: rows(a, state='listening'))
        client = g.start(b, 'system', 'wait', address_of(a), '80')
        until(lambda: 'connect 0' in b.output(client))
        b.call('unpair', 'here')
        assert 'read -104' in said(b, client, 30)


def test_keepalive_gives_up_on_a_device_that_is_away():
    with devices(2) as g:
        a, b = g.nodes
        g.start(a, 'system', 'silent', '80')
        until(lambda: rows(a, state='listening'))
        patient = g.start(b, 'system', 'wait', address_of(a), '80')
        pid = g.start(b, 'system', 'wait', address_of(a), '80', '3')
        a.kill9()
        assert 'read -110' in said(b, pid, 30)
        assert b.process(patient)['state'] == 'waiting' or not b.process(patient)['state'] in ('exited', 'killed')
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        b.call('kill', patient)


# ---- much at once ----


class Client(threading.Thread):
    """Sends numbered pieces to the echo and compares every byte, until it is told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.create_connection(('127.0.0.1', port), timeout=60)
        self.rounds, self.error, self.over = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                data = os.urandom(1 + self.rounds * 977 % 30000)
                self.sock.sendall(data)
                got = b''
                while len(got) < len(data) and (piece := self.sock.recv(65536)):
                    got += piece
                if got != data:
                    raise AssertionError(f'round {self.rounds}: other bytes')
                self.rounds += 1
                time.sleep(0.01)
            self.sock.shutdown(socket.SHUT_WR)
            if self.sock.recv(1):
                raise AssertionError('a byte too many')
        except (OSError, AssertionError) as e:
            self.error = e


def test_an_echo_server_with_twenty_clients_moves_twenty_times():
    port = free_port()
    with devices(3) as g:
        pid = g.start(g.nodes[0], 'none', 'tcp', '80', options=('--publish', f'{port}:80'))
        until(lambda: rows(g.nodes[0], state='listening'))
        clients = [Client(port) for _ in range(CLIENTS)]
        for i in range(MOVES):
            pid = g.nodes[i % 3].migrate(pid, g.nodes[(i + 1) % 3])['pid']
        for c in clients:
            c.over.set()
        for c in clients:
            c.join(60)
        assert not [c.error for c in clients if c.error], [c.error for c in clients]
        assert min(c.rounds for c in clients) > 5, [c.rounds for c in clients]
        print('# rounds', min(c.rounds for c in clients), max(c.rounds for c in clients))


def test_a_socket_that_nobody_reads_moves_on_and_on():
    port = free_port()
    with devices(2) as g:
        a, b = g.nodes
        pid = g.start(a, 'none', 'silent', '80', options=('--publish', f'{port}:80'))
        until(lambda: rows(a, state='listening'))
        slow = Slow(socket.create_connection(('127.0.0.1', port)), gives=True)
        slow.start()
        for i in range(12):
            pid = g.nodes[i % 2].migrate(pid, g.nodes[(i + 1) % 2])['pid']
            time.sleep(0.3)
        a.call('kill', pid)


if __name__ == '__main__':
    sys.exit(cases.run({k: v for k, v in globals().items()}, sys.argv[3:]))
