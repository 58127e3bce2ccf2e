"""discovery.py - devices that find each other on a network: real nodes in network namespaces on one switch, which move to other addresses.

	sudo python3 tests/e2e/discovery.py WASMOS [case...]        TAP

No address that a node remembers is good any more when it has to find another one: only a beacon can tell.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

PORT, BEACONS, SIZE = 4747, 4746, 172
FOUND_S = 20  # it takes about one; other tests may run beside
HAS_V6 = os.path.exists('/proc/sys/net/ipv6')


def sh(*words, **more):
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL, **more)


class Place:
    """A network namespace on the switch, with one interface e0."""

    def __init__(self, lan, number, v4=True):
        self.name, self.number = f'{lan.name}-{number}', number
        sh('ip', 'netns', 'add', self.name)
        sh('ip', '-n', lan.switch, 'link', 'add', f'v{number}', 'type', 'veth', 'peer', 'name', 'e0', 'netns', self.name)
        sh('ip', '-n', lan.switch, 'link', 'set', f'v{number}', 'master', 'meet', 'up')
        for key, value in (('all/disable_ipv6', 0), ('all/accept_dad', 0), ('e0/accept_dad', 0), ('e0/addr_gen_mode', 1)):
            if HAS_V6:
                self.sh('sh', '-c', f'echo {value} >/proc/sys/net/ipv6/conf/{key}')
        self.sh('ip', 'link', 'set', 'lo', 'up')
        self.sh('ip', 'link', 'set', 'e0', 'up')
        self.v4, self.at, self.used = v4, None, number
        self.move()

    def sh(self, *words):
        sh(*self.inside(*words))

    def inside(self, *words):
        return ['ip', 'netns', 'exec', self.name, *words]

    def move(self):
        """To an address at which nobody was before."""
        if self.at:
            self.sh('ip', 'addr', 'del', self.at, 'dev', 'e0')
        self.used += 20
        self.at = f'10.77.0.{self.used}/24' if self.v4 else f'fe80::{self.used}/64'
        self.sh('ip', 'addr', 'add', self.at, 'dev', 'e0', *([] if self.v4 else ['nodad']))
        if self.v4:
            self.sh('ip', 'route', 'replace', 'default', 'dev', 'e0')

    def address(self):
        ip = self.at.split('/')[0]
        return f'{ip}:{PORT}' if self.v4 else f'[{ip}%e0]:{PORT}'

    def python(self, code, *words, **more):
        return subprocess.Popen(self.inside(sys.executable, '-c', code, *map(str, words)), **more)


class Lan:
    def __init__(self, name):
        self.name, self.switch, self.places = name, name + '-switch', []
        sh('ip', 'netns', 'add', self.switch)
        sh('ip', '-n', self.switch, 'link', 'add', 'name', 'meet', 'type', 'bridge')
        sh('ip', '-n', self.switch, 'link', 'set', 'meet', 'up')

    def place(self, **more):
        self.places.append(Place(self, len(self.places) + 1, **more))
        return self.places[-1]

    def end(self):
        for name in [*(p.name for p in self.places), f'{self.name}-{len(self.places) + 1}', self.switch]:
            subprocess.run(['ip', 'netns', 'del', name], stderr=subprocess.DEVNULL, check=False)


class Device(nodes.Node):
    """A node in a place."""

    def __init__(self, place, folder, name, before=()):
        super().__init__(os.path.join(folder, name), name, {'XDG_RUNTIME_DIR': os.path.join(folder, 'run-' + name)},
                         program=place.inside(*before, nodes.WASMOS))
        os.makedirs(self.env['XDG_RUNTIME_DIR'], mode=0o700, exist_ok=True)
        self.place = place

    def start(self, *options):
        listen = f'0.0.0.0:{PORT}' if self.place.v4 else f'[::]:{PORT}'
        self.up('--display', 'headless', '--listen', listen, '--log-level', 'info link=debug discovery=debug', *options)

    def links(self):
        return {row['name'] for row in self.json('peers') if row['up'] and row['name'] != self.name}

    def log_from(self, mark=0):
        return self.log()[mark:]


@contextlib.contextmanager
def lan(*names, before=(), **more):
    """A switch, and nodes that are up and all paired with the first."""
    net = Lan(f'wd{os.getpid()}')
    try:
        with nodes.housed(lambda folder: [Device(net.place(**more), folder, name, before) for name in names]) as made:
            for device in made:
                device.start()
            for device in made[1:]:
                pair(made[0], device)
            all_linked(*made)
            try:
                yield net, made
            except AssertionError:
                for device in made:
                    print(''.join(f'# {device.name}: {line}\n' for line in device.log().splitlines()[-30:]))
                raise
    finally:
        net.end()


def pair(a, b):
    shower = a.spawn('pair', '--yes', '--json', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    words = json.loads(shower.stdout.readline())['words']
    b.call('pair', *words.split(), a.place.address(), '--yes')
    shower.communicate(timeout=30)


def until(what, holds, timeout_s=FOUND_S):
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() < begin + timeout_s, f'after {timeout_s} s {what()}'
        time.sleep(0.03)
    return time.monotonic() - begin


def all_linked(*made, timeout_s=FOUND_S):
    names = {d.name for d in made}
    return until(lambda: f'not all are linked: {[(d.name, d.links()) for d in made]}',
                 lambda: all(d.links() >= names - {d.name} for d in made), timeout_s)


def elsewhere(*made, options=()):
    """They are stopped, move, and start again; how long until all are linked."""
    for device in made:
        device.down()
    for device in made:
        device.place.move()
        device.start(*options)
    return all_linked(*made)


def test_by_broadcast_alone_after_both_have_moved():
    with lan('desk', 'laptop') as (_, (desk, laptop)):
        took = elsewhere(desk, laptop)
        assert laptop.place.address().split(':')[0] in desk.call('peers')
        mark = len(desk.log())
        laptop.place.move()  # while it runs: nobody tells it
        again = until(lambda: desk.call('peers'), lambda: f'laptop is up at {laptop.place.address().split(":")[0]}' in desk.log_from(mark))
        again += all_linked(desk, laptop)
        print(f'# linked {took:.2f} s after the second was started, and {again:.2f} s after its address was changed under it')


def test_by_multicast_of_ipv6_alone_after_both_have_moved():
    if not HAS_V6:
        raise cases.Skip('this kernel has no IPv6')
    with lan('desk', 'laptop', v4=False) as (_, (desk, laptop)):
        took = elsewhere(desk, laptop)
        assert 'fe80::' in desk.call('peers')
        print(f'# linked {took:.2f} s after the second was started')


def test_one_that_takes_no_part_learns_addresses_from_a_member():
    with lan('desk', 'laptop', 'phone') as (_, (desk, laptop, phone)):
        laptop.down()
        phone.down()
        laptop.place.move()
        phone.place.move()
        marks = [len(d.log()) for d in (laptop, phone)]
        laptop.start('--discovery', 'off')
        phone.start('--discovery', 'off')
        took = all_linked(desk, laptop, phone)
        assert not any('discovery:' in d.log_from(mark) for d, mark in zip((laptop, phone), marks))
        print(f'# linked {took:.2f} s after it was started')


# Runs a program that may open no netlink socket, as Android forbids its apps to ask for interfaces.
NO_NETLINK = '''
import ctypes, os, platform, struct, sys
call = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
filter = [(0x20, 0, 0, 0), (0x15, 0, 3, call), (0x20, 0, 0, 16), (0x15, 0, 1, 16), (0x06, 0, 0, 0x50000 | 13), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *f) for f in filter))
program = struct.pack('HxxxxxxQ', len(filter), ctypes.addressof(code))
c = ctypes.CDLL(None, use_errno=True)
if c.prctl(38, 1, 0, 0, 0) or c.prctl(22, 2, program, 0, 0): sys.exit('no filter: ' + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
'''


def test_where_the_system_does_not_tell_programs_its_interfaces():
    if os.uname().machine not in ('x86_64', 'aarch64'):
        raise cases.Skip('the filter does not know this processor')
    with lan('desk', 'phone', before=(sys.executable, '-c', NO_NETLINK)) as (_, (desk, phone)):
        took = elsewhere(desk, phone)
        assert desk.place.address() in desk.call('peers')
        print(f'# linked {took:.2f} s after the second was started')


def test_a_static_address_is_called_until_it_is_taken_back():
    with lan('desk', 'laptop') as (_, (desk, laptop)):
        for device in (desk, laptop):
            device.down()
            device.place.move()
            device.start('--discovery', 'off')
        status = subprocess.run(desk.command('device', 'address', 'laptop', 'nowhere'), env=desk.env, capture_output=True).returncode
        assert status == 2, status
        desk.call('device', 'address', 'laptop', laptop.place.address())
        all_linked(desk, laptop)
        desk.kill9()
        desk.place.move()
        desk.start('--discovery', 'off')
        took = all_linked(desk, laptop)
        assert laptop.place.address() in desk.call('device', 'address', 'laptop', laptop.place.address())
        desk.call('device', 'address', 'laptop', 'none')
        print(f'# linked {took:.2f} s after a crash')


LISTEN = f'''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', {BEACONS}))
print('ready', flush=True)
while True:
    data, at = s.recvfrom(2048)
    print(at[0], data.hex(), flush=True)
'''

SHOUT = f'''
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
again = [bytes.fromhex(h) for h in sys.argv[2:]]
junk = [os.urandom({SIZE}) for _ in range(500)] + again
end, sent = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    s.sendto(junk[sent % len(junk)], ('10.77.0.255', {BEACONS}))
    sent += 1
    if sent % 50 == 0: time.sleep(0.002)
print(sent)
'''


def collect(place, act):
    """What a stranger hears at the port of the beacons while act() runs: [(address, bytes)]."""
    ear = place.python(LISTEN, stdout=subprocess.PIPE, text=True)
    assert ear.stdout.readline() == 'ready\n'
    try:
        act()
    finally:
        ear.terminate()
        heard = [line.split() for line in ear.communicate(timeout=20)[0].splitlines()]
    return [(h[0], bytes.fromhex(h[1])) for h in heard if len(h) == 2]


def processor_s(device):
    with open(f'/proc/{device.host_pid()}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_a_stranger_learns_nothing_and_his_noise_changes_nothing():
    with lan('desk', 'laptop') as (net, (desk, laptop)):
        stranger = net.place()
        heard = collect(stranger, lambda: elsewhere(desk, laptop))
        assert heard and all(len(b) == SIZE for _, b in heard), [(a, len(b)) for a, b in heard]
        parts = [b[i:i + 6] for _, b in heard for i in range(SIZE - 5)]
        assert len(set(parts)) == len(parts), 'two beacons have six bytes in common'
        mark, before, began = len(desk.log()), processor_s(desk), time.monotonic()
        noise = stranger.python(SHOUT, 3, *(b.hex() for _, b in heard), stdout=subprocess.PIPE, text=True)
        took = elsewhere(laptop) + all_linked(desk, laptop)
        sent = int(noise.communicate(timeout=60)[0])
        spent = (processor_s(desk) - before) / (time.monotonic() - began)
        stranger_at = stranger.address().split(':')[0]
        assert stranger_at not in desk.log_from(mark) and stranger_at not in desk.call('peers')
        assert desk.links() == {'laptop'}
        print(f'# {len(heard)} beacons heard; while {sent} datagrams of noise came laptop was found in {took:.2f} s; '
              f'desk: {100 * spent:.1f} % of a core')


def test_who_is_removed_hears_no_more_and_is_not_heard():
    with lan('desk', 'laptop', 'phone') as (_, (desk, laptop, phone)):
        until(lambda: 'no key of the first epoch', lambda: 'epoch 1' in phone.log())
        phone.kill9()
        sh('cp', '-a', phone.home, phone.home + '-before')
        phone.start()
        all_linked(desk, laptop, phone)
        desk.call('device', 'remove', 'phone')
        took = until(lambda: 'no key of the next epoch', lambda: all('epoch 2' in d.log() for d in (desk, laptop)))
        until(lambda: 'it was not told', lambda: 'was removed from its system' in phone.log())
        assert 'epoch 2' not in phone.log()
        phone.kill9()
        for device in (desk, laptop):
            device.kill9()
        sh('rm', '-rf', phone.home)
        sh('mv', phone.home + '-before', phone.home)  # a thief who put the clock of the phone back
        phone.place.move()
        phone.start()
        marks = [len(d.log()) for d in (desk, laptop, phone)]
        desk.place.move()
        laptop.place.move()
        desk.start()
        laptop.start()
        again = all_linked(desk, laptop)
        time.sleep(3.5)  # three beacons of a burst: whoever would hear has heard
        for device, mark in zip((desk, laptop, phone), marks):
            others = {'desk': ('phone',), 'laptop': ('phone',), 'phone': ('desk', 'laptop')}[device.name]
            said = [line for line in device.log_from(mark).splitlines() if any(f'{o} is at' in line for o in others)]
            assert not said, (device.name, said)
        assert not phone.links() and desk.links() == {'laptop'}
        print(f'# the next key {took:.2f} s after the removal; linked under it after {again:.2f} s')


def test_two_removals_that_do_not_know_of_each_other_end_in_one_key():
    with lan('desk', 'laptop', 'phone', 'tablet') as (_, (desk, laptop, phone, tablet)):
        laptop.down()
        phone.down()
        desk.call('device', 'remove', 'tablet')  # the phone still trusts it, and it the phone
        desk.down()
        tablet.kill9()
        laptop.start()
        laptop.call('device', 'remove', 'phone')
        assert 'epoch 2' in desk.log() and 'epoch 2' in laptop.log()
        mark = len(laptop.log())
        laptop.place.move()
        desk.place.move()
        desk.start()
        took = until(lambda: [d.log()[-600:] for d in (desk, laptop)], lambda: 'epoch 3' in desk.log() and 'epoch 3' in laptop.log_from(mark))
        all_linked(desk, laptop)
        again = elsewhere(desk, laptop)  # they understand each other under it
        print(f'# the third key {took:.2f} s after they met again; linked under it after {again:.2f} s')


def test_a_key_outlives_a_crash_and_nothing_is_sent_of_one_that_takes_no_part():
    with lan('desk', 'laptop') as (net, (desk, laptop)):
        stranger = net.place()
        for device in (desk, laptop):
            device.kill9()
            device.place.move()
        marks = [len(d.log()) for d in (desk, laptop)]
        desk.start()
        laptop.start()
        all_linked(desk, laptop)
        assert not any('epoch' in d.log_from(m) for d, m in zip((desk, laptop), marks)), 'another key was made'
        laptop.down()
        desk.down()

        def quiet():
            desk.start('--discovery', 'off')
            time.sleep(2)
        assert not collect(stranger, quiet)


def why_not():
    if sys.platform != 'linux' or os.geteuid() != 0:
        return 'network namespaces are root\'s'
    try:
        probe = f'wd{os.getpid()}-probe'
        sh('ip', 'netns', 'add', probe, stderr=subprocess.DEVNULL)
        try:
            sh('ip', '-n', probe, 'link', 'add', 'name', 'meet', 'type', 'bridge', stderr=subprocess.DEVNULL)
        finally:
            sh('ip', 'netns', 'del', probe)
    except (OSError, subprocess.CalledProcessError) as e:
        return f'no network namespaces or bridges here: {e}'
    return None


if __name__ == '__main__':
    if len(sys.argv) > 1:
        nodes.WASMOS = sys.argv[1]
    if why := why_not():
        print(f'1..0 # SKIP {why}')
        sys.exit(77)
    sys.exit(cases.run(globals(), sys.argv[2:]))
