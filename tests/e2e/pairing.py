"""pairing.py - pairing and links through the `wasmos` command, as two people would; TAP on standard output.

	python3 tests/e2e/pairing.py build/shell/wasmos [test...]

Each test gets two homes of its own. Functions named test_* are the tests; their names are sentences.
"""
import ctypes.util
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

WASMOS = os.path.abspath(sys.argv[1])
WORDS = re.compile(r'\b[a-z]+-[a-z]+-[a-z]+\b')
PATIENCE_S = 20


class Device:
    def __init__(self, folder, name):
        self.name = name
        self.env = {k: v for k, v in os.environ.items() if k not in ('DISPLAY', 'WAYLAND_DISPLAY')}
        self.env.update(WASMOS_HOME=os.path.join(folder, name), XDG_RUNTIME_DIR=folder, TERM='xterm')
        self.up()

    def run(self, *args):
        """(exit status, standard output, standard error)"""
        r = subprocess.run([WASMOS, *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=PATIENCE_S)
        return r.returncode, r.stdout, r.stderr

    def ok(self, *args):
        status, out, err = self.run(*args)
        assert status == 0, f'{self.name}: {args}: status {status}: {err}'
        return out

    def up(self):
        self.ok('up', '--name', self.name, '--display', 'headless')

    def status(self):
        return json.loads(self.ok('status', '--json'))

    def peers(self):
        return {p['name']: p for p in json.loads(self.ok('peers', '--json')) if not p['self']}

    def kill(self):
        os.kill(self.status()['pid'], signal.SIGKILL)

    def show(self, *args):
        """Starts `pair`; (its Popen, the words)."""
        p = subprocess.Popen([WASMOS, 'pair', *args], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        for line in p.stdout:
            if found := WORDS.search(line):
                return p, found.group(0)
        raise AssertionError('pair showed no words')

    def terminal(self, *args):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(WASMOS, [WASMOS, *args], self.env)
        return Terminal(pid, fd)


class Terminal:
    def __init__(self, pid, fd):
        self.pid, self.fd, self.text = pid, fd, ''

    def until(self, pattern):
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f'no {pattern!r} in {self.text!r}'
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode()
                except OSError:
                    break
        return re.search(pattern, self.text)

    def type(self, text):
        os.write(self.fd, text.encode())

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ended(p):
    out, _ = p.communicate(timeout=PATIENCE_S)
    return p.returncode, out


def until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f'waited in vain until {what}'
        time.sleep(0.05)


def linked(a, b):
    until('the link is up', lambda: a.peers()[b.name]['up'] and b.peers()[a.name]['up'])


def make_pair(a, b):
    host, words = a.show('--yes')
    b.ok('pair', words, '--yes')
    assert ended(host)[0] == 0
    linked(a, b)


def test_three_words_make_a_pair_and_a_link_that_survives_kill_and_restart(a, b):
    host, words = a.show('--yes')
    began = time.monotonic()
    said = b.ok('pair', words, '--yes')
    status, heard = ended(host)
    assert status == 0
    checks = [re.search(r'Paired with (\w+) \(id \w+, check (\d\d)\)', text).groups() for text in (said, heard)]
    assert [name for name, _ in checks] == ['alpha', 'beta'] and checks[0][1] == checks[1][1], checks
    print(f'# paired {time.monotonic() - began:.2f} s after the words were there, two commands included')
    linked(a, b)
    assert time.monotonic() - began < 10, 'it takes longer than docs/DEVICES.md says'
    b.kill()
    until('the loss is seen', lambda: not a.peers()['beta']['up'])
    b.up()
    linked(a, b)
    a.ok('down')
    until('the end is seen', lambda: not b.peers()['alpha']['up'])
    a.up()
    linked(a, b)


def test_nodes_that_start_again_in_another_order_find_each_other(a, b):
    make_pair(a, b)
    before = [d.status()['listen'] for d in (a, b)]
    a.ok('down')
    b.ok('down')
    b.up()
    a.up()
    assert [d.status()['listen'] for d in (a, b)] == before
    linked(a, b)


def test_pairing_the_same_devices_again_changes_nothing(a, b):
    make_pair(a, b)
    make_pair(b, a)
    assert len(a.peers()) == 1 and len(b.peers()) == 1


def test_an_address_and_shortened_words_do_too(a, b):
    host, words = a.show('--yes')
    b.ok('pair', *(w[:3].upper() for w in words.split('-')), a.status()['listen'], '--yes')
    assert ended(host)[0] == 0
    linked(a, b)


def test_wrong_words_void_the_code_and_after_five_the_address_is_refused(a, b):
    for _ in range(5):
        host, words = a.show('--yes')
        wrong = 'acorn-acorn-acorn' if words != 'acorn-acorn-acorn' else 'zebra-zebra-zebra'
        status, _, err = b.run('pair', wrong, '--yes')
        assert status == 1 and 'not the right ones' in err, err
        status, out = ended(host)
        assert status == 1 and 'someone at 127.0.0.1 typed wrong words' in out, out
        status, _, err = b.run('pair', words, a.status()['listen'], '--yes')
        assert status == 1, 'a void code was taken'
    host, words = a.show('--yes')
    status, _, err = b.run('pair', words, '--yes')
    assert status == 1 and 'too many wrong words' in err and '--from' in err, err
    assert host.poll() is None, 'one that is refused made the code void'
    host.send_signal(signal.SIGINT)
    host.communicate()
    assert not a.peers() and not b.peers()
    host, words = a.show('--yes', '--from', '127.0.0.1')
    b.ok('pair', words, '--yes')
    assert ended(host)[0] == 0
    linked(a, b)


def test_words_are_taken_only_from_the_address_that_was_named(a, b):
    host, words = a.show('--yes', '--from', '192.0.2.77')
    for typed in ('acorn-acorn-acorn', words):
        status, _, err = b.run('pair', typed, '--yes')
        assert status == 1 and 'shows no code' in err, err
    assert host.poll() is None
    host.kill()
    host.communicate()
    status, _, err = a.run('pair', '--from', 'nowhere')
    assert status == 2 and '192.0.2.7' in err, err


class Thief:
    """Stands between guest and host and takes frame number `at` of one direction away, then cuts the connection."""

    def __init__(self, port, from_host, at):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.port, self.from_host, self.at, self.taken = port, from_host, at, threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        guest, _ = self.listener.accept()
        self.listener.close()
        host = socket.create_connection(('127.0.0.1', self.port))
        host.sendall(guest.recv(4, socket.MSG_WAITALL))
        for back in (False, True):
            threading.Thread(target=self.carry, args=(host, guest, True) if back else (guest, host, False), daemon=True).start()

    def carry(self, source, sink, back):
        number = 0
        while len(head := source.recv(2, socket.MSG_WAITALL)) == 2:
            frame = source.recv(int.from_bytes(head, 'little'), socket.MSG_WAITALL)
            number += 1
            if back == self.from_host and number == self.at:
                self.taken.set()
                time.sleep(0.3)  # what goes the other way arrives
                for s in (source, sink):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:  # it has hung up itself
                        pass
                return
            sink.sendall(head + frame)


def test_a_lost_answer_leaves_no_device_known_by_one_side_only(a, b):
    for from_host in (True, False):
        host, words = a.show('--yes')
        thief = Thief(int(a.status()['listen'].rsplit(':', 1)[1]), from_host, 4)
        guest = b.run('pair', words, thief.address, '--yes')
        status, out = ended(host)
        assert thief.taken.is_set()
        assert (guest[0], status) == ((1, 0) if from_host else (0, 1)), (guest, status, out)
        assert 'find each other by themselves' in (guest[2] if from_host else out), (guest, out)
        linked(a, b)
        for d, peer in ((a, 'beta'), (b, 'alpha')):
            d.ok('unpair', peer)


def test_a_lost_no_is_shown_as_half_paired_until_it_is_forgotten(a, b):
    host, words = a.show()
    thief = Thief(int(a.status()['listen'].rsplit(':', 1)[1]), True, 4)
    status, _, err = b.run('pair', words, thief.address, '--yes')
    assert status == 1 and 'peers' in err, err
    assert ended(host)[0] == 1
    assert not a.peers() and b.peers()['alpha']['state'] == 'half paired', b.peers()
    b.ok('down')
    b.up()
    assert b.peers()['alpha']['state'] == 'half paired' and not b.peers()['alpha']['up']
    b.ok('unpair', 'alpha')
    assert not b.peers()


def test_the_answer_is_no_without_a_terminal_and_nobody_is_added(a, b):
    host, words = a.show('--yes')
    status, out, _ = b.run('pair', words)
    assert status == 1 and '[y/N]' in out and '"alpha"' in out, out
    assert ended(host)[0] == 1
    assert not a.peers() and not b.peers()


def test_both_people_are_shown_the_other_name_and_both_must_say_yes(a, b):
    for first, second in (('n', 'y'), ('y', ''), ('y', 'y')):
        host = a.terminal('pair')
        words = host.until(WORDS).group(0)
        guest = b.terminal('pair', words)
        host.until(r'(?s)"beta".*\[y/N\]')
        guest.until(r'(?s)"alpha".*\[y/N\]')
        host.type(first + '\n')
        guest.type(second + '\n')
        both = first == second == 'y'
        assert (host.status() == 0) is both and (guest.status() == 0) is both
        assert (len(a.peers()) == 1) is both and (len(b.peers()) == 1) is both


def test_a_code_is_void_when_its_command_is_given_up(a, b):
    host, words = a.show('--yes')
    host.send_signal(signal.SIGINT)
    host.communicate()
    until('the code is void', lambda: 'shows no code' in b.run('pair', words, a.status()['listen'], '--yes')[2])


def test_mistakes_are_told_before_a_guess_is_spent(a, b):
    host, words = a.show('--yes')
    for typed, text in ((['xyzzy-acorn-acorn'], 'not a word'), (['acorn'], 'three words'), ([words, 'a b'], 'HOST:PORT'),
                        ([words, '127.0.0.1:1'], 'nobody answers')):
        status, _, err = b.run('pair', *typed, '--yes')
        assert status in (1, 2) and text in err, (typed, err)
    b.ok('pair', words, '--yes')
    assert ended(host)[0] == 0


def test_an_unpaired_device_is_refused(a, b):
    make_pair(a, b)
    a.ok('unpair', 'beta')
    until('the link is down', lambda: not b.peers()['alpha']['up'])
    b.ok('down')
    b.up()
    until('it is shown', lambda: b.peers()['alpha']['state'] == 'refuses')
    assert not a.peers() and not b.peers()['alpha']['up']
    make_pair(a, b)


def test_strangers_on_the_port_are_dropped_and_the_link_stays(a, b):
    make_pair(a, b)
    host, port = a.status()['listen'].rsplit(':', 1)
    for junk in (b'GET / HTTP/1.0\r\n\r\n', b'WOS1' + b'\xff' * 600, b'WOSP' + b'\0' * 600, os.urandom(5000)):
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(junk)
            s.settimeout(8)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert a.peers()['beta']['up'] and b.peers()['alpha']['up']


def test_the_key_stays_with_the_home_and_is_private(a, b):
    path = os.path.join(a.env['WASMOS_HOME'], 'device')
    assert os.stat(path).st_mode & 0o777 == 0o600
    device = a.status()['device']
    a.ok('down')
    a.up()
    assert a.status()['device'] == device != b.status()['device']


def zbar_is_there():
    return ctypes.util.find_library('zbar') or os.path.exists('/usr/lib/x86_64-linux-gnu/libzbar.so.0')


def test_a_picture_of_the_code_pairs_and_both_people_see_the_same_check(a, b):
    if not zbar_is_there():
        return 'libzbar0 is not installed'
    for words, yes in (('--qr', True), ('--qr', False)):
        picture = os.path.join(os.path.dirname(a.env['WASMOS_HOME']), 'code.png')
        host = a.terminal('pair', '--png', picture)
        host.until(r'for one try')
        rows = [line for line in host.text.split('\n') if '48;5;231' in line]
        assert 20 < len(rows) <= 29, len(rows)
        guest = b.terminal('pair', words, picture)
        checks = [t.until(r'the check (\d\d) now[^[]*\[y/N\]').group(1) for t in (host, guest)]
        assert checks[0] == checks[1], checks
        assert '"beta"' in host.text and '"alpha"' in guest.text
        host.type('y\n')
        guest.type('y\n' if yes else '\n')
        assert (host.status() == 0) is yes and (guest.status() == 0) is yes
        if yes:
            linked(a, b)
            a.ok('unpair', 'beta')
            until('it has heard', lambda: json.loads(b.ok('devices', '--json'))[0]['removed'])
    assert not a.peers()


def code_of(device, *options):
    p = subprocess.Popen([WASMOS, 'pair', '--json', *options], env=device.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return p, json.loads(p.stdout.readline())


def test_the_text_of_a_picture_pairs_once_and_the_one_who_scans_always_looks(a, b):
    host, code = code_of(a, '--yes')
    assert code['qr'].startswith('WASMOS:1/') and 'acorn' not in code['qr'], code
    status, _, err = b.run('pair', '--qr', code['qr'], '--yes')
    assert status == 2 and 'look' in err, err
    for bad, text in ((code['qr'][:-2], 'not whole'), ('WASMOS:2/AAAA', 'another version'), ('/nowhere.png', 'nowhere')):
        status, _, err = b.run('pair', '--qr', bad)
        assert status in (1, 2) and text in err, (bad, err)
    # --yes of who shows the code is for the words: it is asked, and nobody is there.
    guest = b.terminal('pair', '--qr', code['qr'].lower())
    guest.until(r'\[y/N\]')
    guest.type('y\n')
    assert guest.status() == 1 and ended(host)[0] == 1
    assert not a.peers() and not b.peers()


def test_a_wrong_picture_voids_the_words_too(a, b):
    host, code = code_of(a)
    other = code['qr'][:-20] + ('A' if code['qr'][-20] != 'A' else 'B') + code['qr'][-19:]
    wrong = code['qr'][:len('WASMOS:1/') + 60] + ('A' if code['qr'][len('WASMOS:1/') + 60] != 'A' else 'B') + \
        code['qr'][len('WASMOS:1/') + 61:]
    assert other != code['qr'] != wrong
    status, _, err = b.run('pair', '--qr', wrong)
    assert status == 1 and 'not the right ones' in err, err
    status, _, err = b.run('pair', code['words'], a.status()['listen'], '--yes')
    assert status == 1 and 'shows no code' in err, err
    assert ended(host)[0] == 1


def test_who_was_wrong_too_often_is_shown_to_the_one_who_pairs(a, b):
    for _ in range(5):
        host, words = a.show()
        b.run('pair', 'acorn-acorn-acorn' if words != 'acorn-acorn-acorn' else 'zebra-zebra-zebra', '--yes')
        ended(host)
    host, code = code_of(a)
    assert '127.0.0.1 (10 min)' in code['refused'], code
    host.kill()
    host.communicate()


def test_a_device_can_be_paired_as_files_only(a, b):
    host, words = a.show('--yes', '--files-only')
    b.ok('pair', words, '--yes')
    assert ended(host)[0] == 0
    linked(a, b)
    for d in (a, b):
        rows = {r['name']: r['role'] for r in json.loads(d.ok('devices', '--json'))}
        assert rows == {'alpha': 'full', 'beta': 'files only'}, rows
    status, _, err = b.run('pair')
    assert status == 1 and 'files only' in err, err


def test_a_removed_device_that_is_paired_elsewhere_brings_no_ghosts(a, b):
    make_pair(a, b)
    a.ok('device', 'remove', 'beta')
    until('it has heard', lambda: json.loads(b.ok('devices', '--json'))[0]['removed'])
    a.ok('down')
    c = Device(os.path.dirname(a.env['WASMOS_HOME']), 'gamma')
    try:
        make_pair(c, b)
        for d in (b, c):
            assert {r['name'] for r in json.loads(d.ok('devices', '--json'))} == {'beta', 'gamma'}
    finally:
        c.ok('down')


def main():
    # A job in the background of a script is started with ^C ignored, and so would be the commands started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tests = [f for name, f in globals().items() if name.startswith('test_') and (not sys.argv[2:] or name in sys.argv[2:])]
    failed = 0
    print(f'1..{len(tests)}')
    for i, test in enumerate(tests, 1):
        name = test.__name__[len('test_'):].replace('_', ' ')
        with tempfile.TemporaryDirectory(prefix='wasmos-pair-') as folder:
            devices = []
            try:
                devices = [Device(folder, 'alpha'), Device(folder, 'beta')]
                why = test(*devices)  # a text: it cannot run here
                print(f'ok {i} - {name}' + (f' # SKIP {why}' if why else ''), flush=True)
            except Exception:
                failed += 1
                print(f'not ok {i} - {name}')
                print(*('# ' + line for line in traceback.format_exc().splitlines()), sep='\n', flush=True)
            for d in devices:
                try:
                    d.run('down')
                except subprocess.TimeoutExpired:
                    d.kill()
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
