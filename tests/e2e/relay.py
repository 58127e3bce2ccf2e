"""relay.py - devices that cannot reach each other, with real nodes in three network namespaces: desk - hub - phone.

	python3 tests/e2e/relay.py WASMOS GUEST.wasm LARGE.wasm [case...]        TAP; as root, else exit code 77
	python3 tests/e2e/relay.py WASMOS GUEST.wasm LARGE.wasm doom             DOOM moves through the hub, then directly
	python3 tests/e2e/relay.py WASMOS GUEST.wasm LARGE.wasm silence          the direct way is gone again: 15 s of silence
"""
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import apart  # noqa: E402 (it stands in scripts/)
import cases  # noqa: E402
import nodes  # noqa: E402

ARGUMENTS = '24', '1', '100', 'full'  # MiB, each page, so long at least it writes to them, what cannot be compressed
HALF_WAY = 1 << 20  # bytes the target has got when something happens in the middle of a move
DEMO1 = ['-iwad', '/doom/freedoom1.wad', '-timedemo', 'demo1', '-frameclock']


def doom_folder():
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return os.environ.get('WASMOS_DOOM') or os.path.join(cache, 'wasmos', 'doom')


def expected(net):
    """What LARGE prints when nothing happens to it."""
    r = subprocess.run(net.hub.command('run', '--solo', LARGE, *ARGUMENTS), env=net.hub.env, stdout=subprocess.PIPE, text=True)
    assert r.returncode == 7, r
    return r.stdout


class Expecting(threading.Thread):
    """expected(), while something else is done."""

    def __init__(self, net):
        super().__init__()
        self.net, self.text = net, None
        self.start()

    def run(self):
        self.text = expected(self.net)

    def get(self):
        self.join()
        return self.text


def start_large(net):
    pid = net.desk.start([LARGE, *ARGUMENTS, '/go/end'], '--dir', f'{os.path.dirname(net.desk.home)}::/go:ro')
    net.until('it is not ready', lambda: 'ready' in net.desk.output(pid))
    return pid


QUEUE = 'dev', 'to-hub', 'root'


def slow_down():
    """So that a move takes 20 s."""
    apart.sh(*apart.inside('desk', 'tc', 'qdisc', 'add', *QUEUE, 'tbf', 'rate', '10mbit', 'burst', '64kb', 'latency', '100ms'))


def speed_up():
    apart.sh(*apart.inside('desk', 'tc', 'qdisc', 'delete', *QUEUE))


class Moving:
    """A move from desk to phone that is under way; HALF_WAY has arrived when it is made."""

    def __init__(self, net, pid):
        self.pid = pid
        before = net.row(net.phone, net.desk)['received_bytes']
        self.command = net.desk.spawn('migrate', pid, 'phone', '--json', stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        net.until('the move does not get half way',
                  lambda: net.row(net.phone, net.desk).get('received_bytes', 0) > before + HALF_WAY)
        assert self.command.poll() is None, f'the move is over already: {self.command.communicate()}'

    def end(self, timeout_s=90):
        out, err = self.command.communicate(timeout=timeout_s)
        return self.command.returncode, out + err


def begin_large_move(net):
    """From desk through the hub to phone, slowly. Returns the move and what the program's output will be."""
    text = Expecting(net)
    net.until_way(net.desk, net.phone, 'via hub')
    pid = start_large(net)
    slow_down()
    return Moving(net, pid), text


def copies(*which):
    return [(node, row) for node in which for row in node.ps() if row['state'] in nodes.LIVES | {'in flight', 'starting', 'frozen', 'moving'}]


def only_copy(net, *which):
    net.until(f'there is not one copy: {copies(*which)}', lambda: len(copies(*which)) == 1 and copies(*which)[0][1]['state'] in nodes.LIVES)
    return copies(*which)[0]


def ends_well(net, node, pid, text):
    with open(os.path.join(os.path.dirname(net.desk.home), 'end'), 'w'):
        pass
    row = node.wait(pid)
    assert row['state'] == 'exited' and row['status'] == 7 and node.output(pid) == text, (row, node.output(pid), text)


def test_a_device_is_reached_through_another_and_directly_when_there_is_a_way(net):
    desk, hub, phone = net.nodes()
    took = net.until_way(desk, phone, 'via hub')
    assert net.way(hub, phone) == net.way(hub, desk) == 'direct'
    assert 'via hub' in desk.call('peers')
    net.until('not all hold all for alive', lambda: all(net.row(a, b).get('member') == 'alive' for a in net.nodes() for b in net.nodes()))

    # A program that a person uses, with a file of where it began, goes there and back and there again.
    data = os.path.join(os.path.dirname(desk.home), 'data')
    os.mkdir(data)
    with open(os.path.join(data, 'from'), 'w') as f:
        f.writelines(f'line {n}\n' for n in range(4000))
    used = desk.spawn('run', GUEST, 'lines', stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert used.stdout.readline() == 'ready\n'
    pid = desk.living()[0]['pid']
    copying = nodes.Journey(desk, phone, desk.start([GUEST, 'copy', '/data/from', '/data/to'], '--dir', f'{data}::/data'))
    trip = nodes.Journey(desk, phone, pid)
    for n in range(3):
        assert trip.move()
        assert copying.move()
        used.stdin.write(f'{n}\n')
        assert used.stdout.readline() == f'got {n}\n'

    before = {node: len(node.log()) for node in (desk, phone)}
    net.join()
    up = net.until_way(desk, phone, 'direct')
    used.stdin.write('over both\n')
    assert used.stdout.readline() == 'got over both\n'
    used.stdin.close()
    assert used.stdout.readline() == 'end\n' and used.wait(20) == 0
    copying.end()
    with open(os.path.join(data, 'to')) as to, open(os.path.join(data, 'from')) as of:
        assert to.read() == of.read()
    for node in (desk, phone):
        since = node.log()[before[node]:]
        assert 'is lost' not in since and 'replaced' not in since, since
    print(f'# via hub after {took:.1f} s, direct {up:.1f} s after there was a route')


def test_a_link_becomes_direct_in_the_middle_of_a_move_and_the_move_goes_on(net):
    desk, _, phone = net.nodes()
    move, text = begin_large_move(net)
    net.join()
    net.until_way(desk, phone, 'direct')
    during = move.command.poll() is None
    speed_up()
    status, said = move.end()
    assert status == 0 and during, (during, said, desk.log()[-2000:])
    node, row = only_copy(net, desk, phone)
    assert node is phone
    ends_well(net, phone, row['pid'], text.get())


def test_the_device_in_between_is_killed_in_the_middle_of_a_move_and_nothing_is_lost(net):
    desk, hub, phone = net.nodes()
    move, text = begin_large_move(net)
    hub.kill9()
    status, said = move.end()
    assert status != 0, said
    node, row = only_copy(net, desk, phone)
    assert node is desk
    speed_up()
    apart.up(hub)
    net.until_way(desk, phone, 'via hub')
    net.until('it does not move', lambda: subprocess.run(desk.command('migrate', row['pid'], 'phone'), env=desk.env, stdout=subprocess.DEVNULL,
                                                         stderr=subprocess.DEVNULL).returncode == 0)
    node, row = only_copy(net, desk, phone)
    assert node is phone
    ends_well(net, phone, row['pid'], text.get())


def test_another_device_takes_over_when_the_one_in_between_is_killed(net):
    desk, hub, phone = net.nodes()
    folder = os.path.dirname(desk.home)
    second = nodes.Node(os.path.join(folder, 'second'), 'second', {'XDG_RUNTIME_DIR': folder}, apart.inside('second', nodes.WASMOS))
    with apart.spaces('second'):
        apart.wire('desk', '10.72.1.1', 'second', '10.72.1.2')
        apart.wire('phone', '10.72.2.1', 'second', '10.72.2.2')
        apart.up(second)
        try:
            apart.pair(desk, '10.72.1.1', second)
            net.until('the second is not linked with both', lambda: net.way(second, desk) == net.way(second, phone) == 'direct')
            net.until('they have no link', lambda: net.way(desk, phone).startswith('via') and net.way(desk, phone) == net.way(phone, desk))
            first, other = (hub, second) if net.way(desk, phone) == 'via hub' else (second, hub)
            first.kill9()
            took = net.until_way(desk, phone, f'via {other.name}')
            print(f'# via the other one after {took:.1f} s')
        finally:
            if second.is_up():
                second.kill9()


def removed_in_mid_move(net, removed):
    """Removed by the hub, which both have a link with."""
    desk, hub, phone = net.nodes()
    move, text = begin_large_move(net)
    hub.call('device', 'remove', removed.name)
    took = net.until('they talk on', lambda: not net.way(desk, phone) and not net.way(phone, desk), 5)
    status, said = move.end()
    assert status != 0, said
    assert [row['pid'] for row in phone.ps()] == [], phone.ps()
    node, row = only_copy(net, desk, phone)
    assert node is desk and row['pid'] == move.pid
    assert not any(row['up'] for row in removed.json('peers') if row['name'] != removed.name), removed.json('peers')
    ends_well(net, desk, move.pid, text.get())
    assert not net.way(desk, phone) and not net.way(phone, desk) and not phone.ps()
    print(f'# nothing between them {took:.1f} s after the removal')


def test_the_target_is_removed_in_the_middle_of_a_move_and_gets_nothing(net):
    removed_in_mid_move(net, net.phone)


def test_the_source_is_removed_in_the_middle_of_a_move_and_keeps_its_program(net):
    removed_in_mid_move(net, net.desk)


def silence(net):
    desk, _, phone = net.nodes()
    net.join()
    net.until_way(desk, phone, 'direct')
    used = desk.spawn('run', GUEST, 'lines', stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert used.stdout.readline() == 'ready\n'
    trip = nodes.Journey(desk, phone, desk.living()[0]['pid']).go(1)
    net.part()
    back = net.until_way(desk, phone, 'via hub')
    print(f'# via hub {back:.1f} s after the direct way was gone')
    trip.move()
    used.stdin.write('still there\n')
    assert used.stdout.readline() == 'got still there\n'
    used.stdin.close()
    assert used.stdout.readline() == 'end\n' and used.wait(20) == 0


def doom(net):
    """Moved through the hub, then directly, while it plays: the frames of a run that was not moved."""
    folder = doom_folder()
    desk, _, phone = net.nodes()
    argv, options = [os.path.join(folder, 'doom.wasm'), *DEMO1], ['--display', 'headless', '--frame-hash', '--dir', f'{folder}::/doom:ro']

    def end(node, pid):
        row = node.wait(pid, timeout_s=240)
        # A timed demo ends by telling its time as an "error".
        assert row['state'] == 'exited' and row['status'] in (0, 255), (row, node.output(pid)[-500:])
        return row['frames'], row['frame_hash']
    still = end(net.hub, net.hub.start(argv, *options, '--unpaced'))
    net.until_way(desk, phone, 'via hub')
    trip = nodes.Journey(desk, phone, desk.start(argv, *options))
    time.sleep(1)
    ways = {}
    for way, change in (('via hub', None), ('direct', net.join)):
        if change:
            change()
        net.until_way(desk, phone, way)
        for _ in range(6):
            assert trip.move(), 'it was over too soon'
            time.sleep(0.5)
        ways[way] = trip.costs[-6:]
        assert net.way(desk, phone) == way
    assert end(trip.here, trip.pid) == still, still
    for way, costs in ways.items():
        pauses, moved = ', '.join(f'{cost["pause_ms"]:.1f}' for cost in costs), sum(cost['bytes'] for cost in costs)
        print(f'# {way}: pauses of {pauses} ms, {moved >> 10} KiB in all')


def main():
    global GUEST, LARGE
    nodes.WASMOS, GUEST, LARGE = map(os.path.abspath, sys.argv[1:4])
    words, why = sys.argv[4:], apart.why_not()
    module = dict(globals())
    if words == ['silence']:
        module, words = {'test_a_direct_way_that_is_gone_is_noticed_and_the_other_one_taken': silence}, []
    if words == ['doom']:
        module, words = {'test_doom_moves_through_another_device_then_directly_and_draws_the_same_frames': doom}, []
        if not os.path.exists(os.path.join(doom_folder(), 'doom.wasm')):
            why = why or 'scripts/build-doom was not run'
    if why:
        print(f'1..0 # SKIP {why}')
        return 77
    return cases.run(module, words, fixture=apart.three)


if __name__ == '__main__':
    sys.exit(main())
