#!/usr/bin/env python3
"""network.py - programs on the network: relatives, the host, devices, policy, ports; with programs of the userland as they are.

	WASMOS=build/shell/wasmos tests/e2e/network.py [NAME...]      only cases whose name holds one of the words

Skipped where scripts/userland has not made busybox.
"""
import contextlib
import hashlib
import http.server
import os
import socket
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
import cases
from nodes import Failed, Node

CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
IMAGE = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'wasmos', 'userland'), 'image')
SYSTEM = ['--dir', IMAGE + '::/:ro']
LARGE = 20_000_000


def until(what, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if got := what():
            return got
        time.sleep(0.05)
    raise AssertionError('it did not come about')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Given:
    """One node, a folder with a page and a large file, and a web server of the host's with the same."""

    def __init__(self, folder):
        self.www = os.path.join(folder, 'www')
        os.mkdir(self.www)
        with open(self.www + '/page', 'w') as f:
            f.write('a page\n')
        with open(self.www + '/large', 'wb') as f:
            f.write(os.urandom(LARGE))
        with open(self.www + '/large', 'rb') as f:
            self.hash = hashlib.md5(f.read()).hexdigest()
        self.node = Node(folder + '/home', 'here')
        www = self.www

        class Server(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *a):
                super().__init__(*a, directory=www)

            def log_message(self, *a):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
        self.web = f'http://host.wasmos:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, mode, *argv):
        """Standard output of a program of busybox's."""
        return self.node.call('run', '--net', mode, *SYSTEM, '--dir', self.www + '::/www', os.path.join(IMAGE, 'bin', 'busybox'), *argv)

    def start(self, mode, *argv, options=()):
        busybox = os.path.join(IMAGE, 'bin', 'busybox')
        return int(self.node.call('run', '-d', '--net', mode, *options, *SYSTEM, '--dir', self.www + '::/www', busybox, *argv))

    def httpd(self, mode, port, *options):
        pid = self.start(mode, 'httpd', '-f', '-p', str(port), '-h', '/www', options=options)
        until(lambda: [p for p in self.ports() if p['pid'] == pid and p['state'] == 'listening'])
        return pid

    def ports(self):
        return self.node.json('ports')


@contextlib.contextmanager
def fixture():
    with tempfile.TemporaryDirectory() as folder:
        g = Given(folder)
        g.node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        try:
            yield g
        finally:
            g.server.shutdown()
            g.node.call('down', '--end')


def fetch(port, name='page'):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/{name}', timeout=20) as r:
        return r.read()


def refused(g, mode, url):
    try:
        out = g.run(mode, 'wget', '-q', '-O', '-', url)
    except Failed as e:
        return str(e)
    raise AssertionError(f'{mode} reached {url}: {out}')


def test_a_shell_serves_a_page_to_its_own_children(g):
    script = ('httpd -p 127.0.0.1:80 -h /www; wget -q -O - http://localhost/page; '
              'wget -q -O - http://127.0.0.1/large | md5sum; (echo served | nc -l -p 81 &) ; sleep 1; nc 127.0.0.1 81 </dev/null')
    out = g.node.call('run', *SYSTEM, '--dir', g.www + '::/www', '--env', 'PATH=/bin', os.path.join(IMAGE, 'bin', 'busybox'), 'ash', '-c', script)
    assert out == f'a page\n{g.hash}  -\nserved\n', out


def test_the_host_is_reached_by_all_and_by_its_name_only(g):
    assert g.run('all', 'wget', '-q', '-O', '-', g.web + '/page') == 'a page\n'
    assert g.run('all', 'ash', '-c', f'wget -q -O - {g.web}/large | md5sum').split()[0] == g.hash
    for mode in ('none', 'system', 'lan'):
        assert 'bad address' in refused(g, mode, g.web + '/page')
        assert 'unreachable' in refused(g, mode, g.web.replace('host.wasmos', '192.0.0.8') + '/page')
    assert 'refused' in refused(g, 'all', g.web.replace('host.wasmos', '127.0.0.1') + '/page')


def test_addresses_outside_are_refused_as_far_as_the_mode_says(g):
    for mode in ('none', 'system'):
        assert 'unreachable' in refused(g, mode, 'http://192.168.255.254:9/')
    for mode in ('none', 'system', 'lan'):
        assert 'unreachable' in refused(g, mode, 'http://198.51.100.7:9/')


def test_a_published_port_leads_to_a_program_that_reaches_nobody(g):
    port = free_port()
    pid = g.httpd('none', '127.0.0.1:80', '--publish', f'{port}:80')
    assert fetch(port) == b'a page\n'
    assert hashlib.md5(fetch(port, 'large')).hexdigest() == g.hash
    row = [p for p in g.ports() if p['pid'] == pid]
    assert row[0]['host'] == f'127.0.0.1:{port}' and row[0]['address'] == '127.0.0.1:80', row
    try:
        g.httpd('none', '127.0.0.1:80', '--publish', f'{port}:80')
        raise AssertionError('a port was published twice')
    except Failed as e:
        assert 'taken' in str(e)
    g.node.call('kill', pid)
    until(lambda: not g.ports())
    with socket.socket() as s:
        assert s.connect_ex(('127.0.0.1', port)) != 0


def test_a_program_with_the_lan_listens_at_the_host_too(g):
    port = free_port()
    g.httpd('lan', port)
    assert fetch(port) == b'a page\n'
    assert [p['host'] for p in g.ports()] == [f'0.0.0.0:{port}']


def test_programs_started_apart_meet_at_the_devices_name_if_both_may(g):
    g.httpd('system', 8080)
    assert g.run('system', 'wget', '-q', '-O', '-', 'http://here.wasmos:8080/page') == 'a page\n'
    assert g.ports()[0]['host'] == ''
    assert 'refused' in refused(g, 'none', 'http://here.wasmos:8080/page')
    assert 'refused' in refused(g, 'system', 'http://localhost:8080/page')


def test_many_clients_at_once_each_get_all_of_it(g):
    port = free_port()
    g.httpd('none', 80, '--publish', f'{port}:80')
    got = []
    threads = [threading.Thread(target=lambda: got.append(hashlib.md5(fetch(port, 'large')).hexdigest())) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [g.hash] * 8, got


def test_a_client_that_hangs_up_or_never_reads_harms_nobody(g):
    port = free_port()
    g.httpd('none', 80, '--publish', f'{port}:80')
    lazy = []
    for _ in range(20):
        s = socket.create_connection(('127.0.0.1', port))
        s.sendall(b'GET /large HTTP/1.0\r\n\r\n')
        lazy.append(s)
    for s in lazy[:10]:
        s.close()
    assert fetch(port) == b'a page\n'
    for s in lazy[10:]:
        s.close()


def missing(test):
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'busybox')):
        return 'busybox is not made: scripts/userland makes it'
    return None


if __name__ == '__main__':
    sys.exit(cases.run(globals(), sys.argv[1:], missing=missing, fixture=fixture))
