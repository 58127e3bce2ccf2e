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
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
import cases
from nodes import Failed, Node, pair, wait_for_link

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


class Moving(Given):
    """Two nodes more: the first one's programs can go there."""

    def __init__(self, folder):
        super().__init__(folder)
        self.others = [Node(folder + '/' + name, name) for name in ('there', 'yonder')]


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


def on_one_node(test):
    def run():
        with fixture() as g:
            test(g)
    return run


def fetch(port, name='page'):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/{name}', timeout=20) as r:
        return r.read()


def refused(g, mode, url):
    try:
        out = g.run(mode, 'wget', '-q', '-O', '-', url)
    except Failed as e:
        return str(e)
    raise AssertionError(f'{mode} reached {url}: {out}')


@on_one_node
def test_a_shell_serves_a_page_to_its_own_children(g):
    script = ('httpd -p 127.0.0.1:80 -h /www; wget -q -O - http://localhost/page; '
              'wget -q -O - http://127.0.0.1/large | md5sum; (echo served | nc -l -p 81 &) ; sleep 1; nc 127.0.0.1 81 </dev/null')
    out = g.node.call('run', *SYSTEM, '--dir', g.www + '::/www', '--env', 'PATH=/bin', os.path.join(IMAGE, 'bin', 'busybox'), 'ash', '-c', script)
    assert out == f'a page\n{g.hash}  -\nserved\n', out


@on_one_node
def test_the_host_is_reached_by_all_and_by_its_name_only(g):
    assert g.run('all', 'wget', '-q', '-O', '-', g.web + '/page') == 'a page\n'
    assert g.run('all', 'ash', '-c', f'wget -q -O - {g.web}/large | md5sum').split()[0] == g.hash
    for mode in ('none', 'system', 'lan'):
        assert 'bad address' in refused(g, mode, g.web + '/page')
        assert 'unreachable' in refused(g, mode, g.web.replace('host.wasmos', '192.0.0.8') + '/page')
    assert 'refused' in refused(g, 'all', g.web.replace('host.wasmos', '127.0.0.1') + '/page')


@on_one_node
def test_addresses_outside_are_refused_as_far_as_the_mode_says(g):
    for mode in ('none', 'system'):
        assert 'unreachable' in refused(g, mode, 'http://192.168.255.254:9/')
    for mode in ('none', 'system', 'lan'):
        assert 'unreachable' in refused(g, mode, 'http://198.51.100.7:9/')


@on_one_node
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


@on_one_node
def test_a_program_with_the_lan_listens_at_the_host_too(g):
    port = free_port()
    g.httpd('lan', port)
    assert fetch(port) == b'a page\n'
    assert [p['host'] for p in g.ports()] == [f'0.0.0.0:{port}']


@on_one_node
def test_programs_started_apart_meet_at_the_devices_name_if_both_may(g):
    g.httpd('system', 8080)
    assert g.run('system', 'wget', '-q', '-O', '-', 'http://here.wasmos:8080/page') == 'a page\n'
    assert g.ports()[0]['host'] == ''
    assert 'refused' in refused(g, 'none', 'http://here.wasmos:8080/page')
    assert 'refused' in refused(g, 'system', 'http://localhost:8080/page')


@on_one_node
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


@on_one_node
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


# ---- datagrams, by programs as they are ----


class Datagrams(threading.Thread):
    """A server of the host's by UDP: answer(bytes, who) gives the bytes that go back."""

    def __init__(self, answer, port=0):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', port))
        self.port, self.answer, self.asked = self.sock.getsockname()[1], answer, []
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, who = self.sock.recvfrom(65536)
                self.asked.append(data)
                if (back := self.answer(data, who)) is not None:
                    self.sock.sendto(back, who)


def name_answer(data, _who):
    """1.2.3.4 for every name; nothing of type AAAA."""
    end = data.find(b'\0', 12) + 5
    if end < 5:
        return None  # no question
    one = data[end - 4:end - 2] == b'\0\1'
    record = b'\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4' if one else b''
    return data[:2] + b'\x81\x80\0\1' + (b'\0\1' if one else b'\0\0') + b'\0\0\0\0' + data[12:end] + record


@on_one_node
def test_a_name_server_of_the_hosts_is_asked_by_datagrams(g):
    try:
        server = Datagrams(name_answer, 53)
    except OSError as e:
        raise cases.Skip(f'port 53 of the host is not to be had: {e}') from None
    with server.sock:
        os.mkdir(g.www + '/etc')
        with open(g.www + '/etc/resolv.conf', 'w') as f:
            f.write('nameserver 192.0.0.8\n')
        args = ['run', '--net', 'all', *SYSTEM, '--dir', g.www + '/etc::/etc', os.path.join(IMAGE, 'bin', 'busybox')]
        assert '1.2.3.4' in g.node.call(*args, 'nslookup', 'name.example')
        try:
            out = g.node.call(*args, 'wget', '-T', '1', '-q', '-O', '-', 'http://other.example:9/')
        except Failed as e:
            out = str(e)
        assert 'bad address' not in out, out
        assert any(b'\5other\7example' in q for q in server.asked), server.asked


def tftp_answer(name):
    """The first block of a file: from a port of its own, as such servers do."""
    def answer(data, who):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, open(name, 'rb') as f:
            s.bind(('127.0.0.1', 0))
            s.settimeout(10)
            body = f.read()
            for block in range(len(body) // 512 + 1):
                s.sendto(b'\0\3' + (block + 1).to_bytes(2, 'big') + body[512 * block:512 * block + 512], who)
                assert s.recv(512)[:2] == b'\0\4'
    return answer


@on_one_node
def test_a_file_is_fetched_by_tftp(g):
    with open(g.www + '/page', 'wb') as f:
        f.write(os.urandom(5000))
    server = Datagrams(tftp_answer(g.www + '/page'))
    with server.sock:
        g.run('all', 'tftp', '-g', '-r', 'page', '-l', '/www/got', 'host.wasmos', str(server.port))
        assert made(g, 'got') == made(g, 'page')


def bash(g, mode, script, options=()):
    return g.node.call('run', '--net', mode, *options, *SYSTEM, '--env', 'PATH=/bin', os.path.join(IMAGE, 'bin', 'bash'), '-c', script)


@on_one_node
def test_bash_talks_by_its_own_files_for_tcp_and_udp(g):
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'bash')):
        raise cases.Skip('bash is not made')
    server = Datagrams(lambda data, who: data.upper())
    with server.sock:
        out = bash(g, 'all', f'exec 3<>/dev/udp/host.wasmos/{server.port}; echo hello >&3; dd bs=99 count=1 <&3 2>/dev/null')
        assert out == 'HELLO\n', out
    host, port = g.web[len('http://'):].split(':')
    out = bash(g, 'all', f'exec 3<>/dev/tcp/{host}/{port}; printf "GET /page HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3')
    assert out.endswith('\na page\n'), out


@on_one_node
def test_curl_fetches_by_name_and_by_number(g):
    curl = os.path.join(IMAGE, 'bin', 'curl')
    if not os.path.exists(curl):
        raise cases.Skip('curl is not made')
    for url in (g.web, g.web.replace('host.wasmos', '192.0.0.8')):
        assert g.node.call('run', '--net', 'all', *SYSTEM, curl, '-sS', url + '/page') == 'a page\n', url


# ---- moves ----

MOVES = 5
BULK = 50_000_000


@contextlib.contextmanager
def moving():
    """Three devices that know each other."""
    with tempfile.TemporaryDirectory() as folder:
        g = Moving(folder)
        nodes = [g.node, *g.others]
        for n in nodes:
            n.up('--listen', '127.0.0.1:0', '--display', 'headless')
        pair(nodes[0], nodes[1])
        pair(nodes[0], nodes[2])
        pair(nodes[1], nodes[2])
        try:
            yield g
        finally:
            g.server.shutdown()
            for n in nodes:
                n.call('down', '--end')


def hop(path, pid):
    """Moves a program along nodes; its number on the last one."""
    for here, to in zip(path, path[1:]):
        pid = here.migrate(pid, to)['pid']
    return pid


def tour(g, moves=MOVES):
    """here, there, yonder, here ..."""
    nodes = [g.node, *g.others]
    return [nodes[i % 3] for i in range(moves + 1)]


class Slow(threading.Thread):
    """Gives or takes BULK bytes over a connection of the host's, over some seconds; .hash is theirs."""

    def __init__(self, sock, gives):
        super().__init__(daemon=True)
        self.sock, self.gives, self.md5, self.count, self.error = sock, gives, hashlib.md5(), 0, None

    def run(self):
        try:
            while self.count < BULK if self.gives else True:
                if self.gives:
                    piece = os.urandom(min(500_000, BULK - self.count))
                    self.sock.sendall(piece)
                elif not (piece := self.sock.recv(500_000)):
                    break
                self.md5.update(piece)
                self.count += len(piece)
                time.sleep(0.02)
            if self.gives:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.error = e


def made(g, name):
    with open(os.path.join(g.www, name), 'rb') as f:
        return hashlib.md5(f.read()).hexdigest()


def got_all(g, slow, node, pid):
    """The program ends there, and has written what was given."""
    slow.join(60)
    assert slow.error is None, slow.error
    node.wait(pid, timeout_s=60)
    assert made(g, 'got') == slow.md5.hexdigest(), (os.path.getsize(g.www + '/got'), slow.count)


def test_a_download_from_outside_goes_on_through_moves():
    with moving() as g, socket.create_server(('127.0.0.1', 0)) as listener:
        pid = g.start('all', 'ash', '-c', f'exec nc host.wasmos {listener.getsockname()[1]} > /www/got </dev/null')
        sock, _ = listener.accept()
        slow = Slow(sock, gives=True)
        slow.start()
        time.sleep(0.3)
        path = tour(g)
        pid = hop(path, pid)
        assert slow.count < BULK, 'the moves were not under way'
        got_all(g, slow, path[-1], pid)


def test_an_upload_to_a_published_port_goes_on_through_moves():
    port = free_port()
    with moving() as g:
        pid = g.start('none', 'ash', '-c', 'exec nc -l -p 99 > /www/got </dev/null', options=('--publish', f'{port}:99'))
        until(lambda: [p for p in g.ports() if p['state'] == 'listening'])
        slow = Slow(socket.create_connection(('127.0.0.1', port)), gives=True)
        slow.start()
        path = tour(g)
        pid = hop(path, pid)
        assert slow.count < BULK, 'the moves were not under way'
        got_all(g, slow, path[-1], pid)


def test_a_listener_that_moved_is_still_reached_at_its_published_port():
    port = free_port()
    with moving() as g:
        pid = g.start('none', 'ash', '-c', 'exec nc -l -p 99 </www/large', options=('--publish', f'{port}:99'))
        until(lambda: [p for p in g.ports() if p['state'] == 'listening'])
        path = tour(g, 2)
        pid = hop(path, pid)
        assert [p['state'] for p in g.ports()] == ['elsewhere'], g.ports()
        slow = Slow(socket.create_connection(('127.0.0.1', port)), gives=False)
        slow.run()
        slow.sock.close()
        assert slow.error is None and slow.md5.hexdigest() == g.hash, (slow.error, slow.count)
        path[-1].wait(pid, timeout_s=60)
        until(lambda: not g.ports())


def test_two_programs_on_two_devices_both_move_and_lose_nothing():
    with moving() as g:
        a, b, c = g.node, *g.others
        with open(g.www + '/bulk', 'wb') as f:
            for _ in range(8):  # more than goes through while they move
                f.write(os.urandom(BULK))
        one = g.start('system', 'ash', '-c', 'exec nc -l -p 99 </www/bulk >/dev/null')
        until(lambda: [p for p in g.ports() if p['state'] == 'listening'])
        two = g.start('system', 'ash', '-c', 'exec nc here.wasmos 99 > /www/got')
        until(lambda: os.path.exists(g.www + '/got') and os.path.getsize(g.www + '/got') > 100_000)
        one = hop([a, b], one)
        two = hop([a, c], two)
        one = hop([b, c], one)
        two = hop([c, a, b], two)
        one = hop([c, a], one)
        was = os.path.getsize(g.www + '/got')
        b.wait(two, timeout_s=120)
        assert made(g, 'got') == made(g, 'bulk'), (was, os.path.getsize(g.www + '/got'))
        a.wait(one, timeout_s=20)


def test_a_forking_server_moves_with_its_connections():
    port = free_port()
    with moving() as g:
        with open(g.www + '/bulk', 'wb') as f:
            f.write(os.urandom(BULK))
        pid = g.httpd('none', 80, '--publish', f'{port}:80')
        clients = []
        for _ in range(3):
            slow = Slow(socket.create_connection(('127.0.0.1', port)), gives=False)
            slow.sock.sendall(b'GET /bulk HTTP/0.9\r\n\r\n')
            slow.start()
            clients.append(slow)
        until(lambda: all(c.count > 1_000_000 for c in clients))
        path = tour(g)
        pid = hop(path, pid)
        assert all(c.is_alive() for c in clients), 'the moves were not under way'
        assert fetch(port) == b'a page\n'
        for c in clients:
            c.join(60)
            assert c.error is None and BULK < c.count < BULK + 1000, (c.error, c.count)
        path[-1].call('kill', '--family', pid)
        until(lambda: not g.ports())


def cut(node):
    """The kernel ends all connections to and from the node's port for links."""
    port = str(node.json('peers')[0]['port'])
    for end in ('dport', 'sport'):
        subprocess.run(['ss', '-K', 'state', 'established', end, '=', port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def can_cut():
    with socket.create_server(('127.0.0.1', 0)) as listener, socket.create_connection(listener.getsockname()) as s:
        with contextlib.suppress(OSError):
            subprocess.run(['ss', '-K', 'dport', '=', str(listener.getsockname()[1])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        s.settimeout(0.2)
        try:
            s.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def test_a_link_that_breaks_loses_nothing():
    if not can_cut():
        raise cases.Skip('ss -K cannot end connections here')
    with moving() as g, socket.create_server(('127.0.0.1', 0)) as listener:
        pid = g.start('all', 'ash', '-c', f'exec nc host.wasmos {listener.getsockname()[1]} > /www/got </dev/null')
        slow = Slow(listener.accept()[0], gives=True)
        slow.start()
        pid = hop([g.node, g.others[0]], pid)
        for _ in range(4):
            cut(g.node)
            cut(g.others[0])
            wait_for_link(g.node, g.others[0])
            time.sleep(0.2)
        assert slow.count < BULK, 'the cuts were not under way'
        got_all(g, slow, g.others[0], pid)
        assert g.node.log().count('link: there is up') >= 5, g.node.log()


def test_a_program_that_moved_goes_out_by_its_home_as_far_as_that_says():
    with moving() as g:
        script = f'sleep 3; wget -q -O /www/MODE {g.web}/page || wget -O - http://192.0.0.8:{g.server.server_address[1]}/ 2>/www/MODE.err; echo >/www/MODE.over'
        for mode in ('all', 'system'):
            pid = g.start(mode, 'ash', '-c', script.replace('MODE', mode))
            pid = hop([g.node, *g.others], pid)
            until(lambda: os.path.exists(f'{g.www}/{mode}.over'), timeout=40)
        with open(g.www + '/all') as f:
            assert f.read() == 'a page\n'
        with open(g.www + '/system.err') as f:
            assert 'unreachable' in f.read()


def test_a_program_of_one_device_finds_that_of_another_by_name():
    with moving() as g:
        g.httpd('system', 8080)
        other = g.others[0]
        args = ['run', '--net', 'system', *SYSTEM, os.path.join(IMAGE, 'bin', 'busybox')]
        assert other.call(*args, 'wget', '-q', '-O', '-', 'http://here.wasmos:8080/page') == 'a page\n'
        assert other.call(*args, 'ash', '-c', 'wget -q -O - http://here.wasmos:8080/large | md5sum').split()[0] == g.hash
        for url in ('here.wasmos:8081', 'there.wasmos:8080', 'yonder.wasmos:8080'):
            try:
                raise AssertionError(other.call(*args, 'wget', '-q', '-O', '-', f'http://{url}/page'))
            except Failed as e:
                assert 'refused' in str(e), e


def test_a_shell_on_another_device_reaches_what_it_was_given():
    with moving() as g:
        get = f'wget -q -O - {g.web}/page'
        env = dict(os.environ, WASMOS_HOME=g.others[0].home)
        words = [os.environ['WASMOS'], 'shell', '-c', get]
        said = [subprocess.run([*words, *options, 'here'], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False).stdout
                for options in ((), ('--net', 'all'))]
        assert said[0].strip() != 'a page' and said[1].replace('\r', '').strip() == 'a page', said


def test_a_program_is_suspended_and_resumed_in_the_middle_of_a_download():
    with moving() as g, socket.create_server(('127.0.0.1', 0)) as listener:
        pid = g.start('all', 'ash', '-c', f'exec nc host.wasmos {listener.getsockname()[1]} > /www/got </dev/null')
        slow = Slow(listener.accept()[0], gives=True)
        slow.start()
        for _ in range(2):
            time.sleep(0.3)
            g.node.call('suspend', pid)
            time.sleep(0.3)
            g.node.call('resume', pid)
        got_all(g, slow, g.node, pid)


def test_a_copy_of_a_program_has_no_part_in_its_connections():
    with moving() as g, socket.create_server(('127.0.0.1', 0)) as listener:
        pid = g.start('all', 'ash', '-c', f'exec nc host.wasmos {listener.getsockname()[1]} > /www/got </dev/null')
        slow = Slow(listener.accept()[0], gives=True)
        slow.start()
        time.sleep(0.3)
        g.node.call('snapshot', pid, '-o', g.www + '/copy')
        copy = int(g.node.call('restore', g.www + '/copy').split()[-1])
        g.node.wait(copy, timeout_s=20)
        slow.join(60)
        g.node.wait(pid, timeout_s=60)
        assert slow.error is None and slow.count == BULK, (slow.error, slow.count)


def missing(test):
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'busybox')):
        return 'busybox is not made: scripts/userland makes it'
    return None


if __name__ == '__main__':
    sys.exit(cases.run(globals(), sys.argv[1:], missing=missing))
