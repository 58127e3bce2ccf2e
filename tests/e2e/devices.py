"""devices.py - the log of a system's devices, with real nodes: who is paired with one belongs to all; who is removed is out for all.

	python3 tests/e2e/devices.py WASMOS COUNTER.wasm [case...]        TAP
"""
import contextlib
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

OUT_S = 5  # within that every reachable device refuses one that was removed


def up(node, *options):
    node.call('up', '--display', 'headless', '--listen', '127.0.0.1:0', *options)


@contextlib.contextmanager
def system(*names):
    """Nodes that are up, each paired with the one before it only."""
    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, {'XDG_RUNTIME_DIR': folder}) for name in names]
    with nodes.housed(make) as made:
        for node in made:
            up(node, '--name', node.name)
        for a, b in zip(made, made[1:]):
            nodes.pair(a, b)
        for i, a in enumerate(made):
            for b in made[i + 1:]:
                nodes.wait_for_link(a, b)
        yield made


def until(what, holds, timeout_s=20):
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() < begin + timeout_s, f'after {timeout_s} s {what}'
        time.sleep(0.03)
    return time.monotonic() - begin


def devices(node, *options):
    return {row['name']: row for row in node.json('devices', *options)}


def peers(node):
    return {row['name']: row for row in node.json('peers') if not row['self']}


def refused(node, *args):
    try:
        node.call(*args)
    except nodes.Failed as e:
        return str(e)
    raise AssertionError(f'{args} was done')


def start(node, steps):
    pid = node.start([COUNTER, str(steps)])
    until('it does not run', lambda: node.process(pid)['state'] in ('running', 'waiting'))
    time.sleep(0.2)
    return pid


def unbroken(steps):
    return subprocess.run([nodes.WASMOS, 'run', '--solo', COUNTER, str(steps)], stdout=subprocess.PIPE, text=True, check=False).stdout


def ends_well(node, pid, steps):
    row = node.wait(pid)
    assert row['state'] == 'exited' and row['status'] == 7, row
    assert node.output(pid) == unbroken(steps), node.output(pid)


def test_who_is_paired_with_one_device_is_known_to_all_and_takes_their_programs():
    with system('laptop', 'server', 'phone') as (a, b, c):
        for node in (a, b, c):
            rows = devices(node)
            assert set(rows) == {'laptop', 'server', 'phone'}, rows
            assert rows[node.name]['state'] == 'this device' and all(r['up'] for r in rows.values()), rows
        assert devices(a)['phone']['by'] in ('server', 'phone'), devices(a)
        pid = start(a, 200)
        moved = a.migrate(pid, c)
        ends_well(c, moved['pid'], 200)


def test_a_removed_device_is_refused_by_all_within_seconds_and_is_told():
    with system('laptop', 'server', 'phone') as (a, b, c):
        a.call('device', 'remove', 'phone')
        begin = time.monotonic()
        until('the server still has it', lambda: 'phone' not in peers(b), OUT_S)
        until('the phone believes to be one of them', lambda: devices(c)['phone']['state'] == 'removed', OUT_S)
        print(f'# out after {time.monotonic() - begin:.2f} s')
        assert devices(c)['phone']['by'] == 'laptop', devices(c)
        assert all(not p['up'] and p['state'] == 'refuses' for p in peers(c).values()), peers(c)
        assert 'phone' not in devices(b) and devices(b, '--all')['phone']['removed']
        pid = start(c, 100000)
        said = refused(c, 'migrate', pid, 'server')
        assert 'removed from its system' in said, said
        for node in (b, c):  # and it stays so
            node.kill9()
            up(node)
        assert devices(c)['phone']['state'] == 'removed' and 'phone' not in peers(b)
        time.sleep(1)
        assert not any(p['up'] for p in peers(c).values())
        nodes.wait_for_link(a, b)


def test_a_device_that_was_away_hears_that_it_was_removed_and_of_nothing_else():
    with system('laptop', 'server', 'phone') as (a, b, c):
        c.down()
        a.call('device', 'remove', 'phone')
        a.call('device', 'rename', 'server', 'rack')
        up(c)
        until('the phone has not heard', lambda: devices(c)['phone']['state'] == 'removed')
        assert 'rack' not in devices(c), devices(c)
        assert not any(p['up'] for p in peers(c).values())


def test_a_removed_device_that_is_paired_again_is_back_for_all():
    with system('laptop', 'server', 'phone') as (a, b, c):
        pid = start(c, 400)
        a.call('device', 'remove', 'phone')
        until('the phone has not heard', lambda: devices(c)['phone']['state'] == 'removed')
        nodes.pair(b, c)
        nodes.wait_for_link(a, c)
        assert set(devices(a)) == set(devices(c)) == {'laptop', 'server', 'phone'}
        moved = c.migrate(pid, a)
        ends_well(a, moved['pid'], 400)


def test_a_name_is_changed_on_all_devices_and_stays():
    with system('laptop', 'server', 'phone') as (a, b, c):
        a.call('device', 'rename', 'phone', 'pocket')
        until('not all know', lambda: all('pocket' in devices(n) for n in (b, c)))
        assert c.json('status')['name'] == 'pocket' and 'pocket' in peers(b)
        c.down()
        up(c)
        assert c.json('status')['name'] == 'pocket'
        c.name = 'pocket'
        nodes.wait_for_link(a, c)


def test_files_only_runs_nothing_and_sends_nothing():
    with system('laptop', 'server', 'disk') as (a, b, c):
        pid, theirs = start(a, 100000), start(c, 600)
        kept = os.path.join(os.path.dirname(c.home), 'kept')
        c.call('snapshot', theirs, '-o', kept)
        a.call('device', 'role', 'disk', 'files-only')
        until('the disk has not heard', lambda: devices(c)['disk']['role'] == 'files only')
        until('what ran there runs on', lambda: c.process(theirs)['state'] == 'suspended')
        for said in (refused(a, 'migrate', pid, 'disk'), refused(c, 'run', COUNTER), refused(c, 'resume', theirs), refused(c, 'restore', kept)):
            assert 'files only' in said, said
        c.down()
        up(c)
        nodes.wait_for_link(a, c)
        assert not c.living(), c.ps()
        assert 'permission denied' in refused(c, 'ps', '--on', 'laptop')
        assert 'permission denied' in refused(b, 'bring', theirs, 'disk')
        assert 'files only' in refused(c, 'device', 'remove', 'server')
        assert devices(c)['laptop']['up']
        a.call('device', 'role', 'disk', 'full')
        until('the disk has not heard', lambda: devices(c)['disk']['role'] == 'full')
        c.call('resume', theirs)
        ends_well(c, theirs, 600)
        pid = a.migrate(pid, c)['pid']
        a.call('device', 'role', 'disk', 'files-only')
        until('what ran there runs on', lambda: c.process(pid)['state'] == 'suspended')
        a.call('device', 'remove', 'disk')
        until('the disk has not heard', lambda: devices(c)['disk']['state'] == 'removed', OUT_S)
        c.call('resume', pid)  # it is on its own now
        assert c.living()


def test_a_new_key_keeps_the_device_its_links_and_its_id():
    with system('laptop', 'server', 'phone') as (a, b, c):
        before = devices(c)['phone']['id']
        c.call('device', 'rotate')
        until('not all know', lambda: all(devices(n)['phone']['keys'] == 2 for n in (a, b)))
        c.down()
        up(c)
        for node in (a, b):
            nodes.wait_for_link(node, c)
            assert devices(node)['phone']['id'] == before == devices(c)['phone']['id']
        a.down()
        said = refused(c, 'device', 'rotate')
        assert '--force' in said, said
        c.call('device', 'rotate', '--force')
        up(a)
        nodes.wait_for_link(a, c)  # the server told it
        assert devices(a)['phone']['keys'] == 3


def test_a_device_leaves_by_itself_and_the_others_know():
    with system('laptop', 'server', 'phone') as (a, b, c):
        c.call('device', 'remove', 'phone')
        until('not all know', lambda: all('phone' not in devices(n) and 'phone' not in peers(n) for n in (a, b)), OUT_S)
        assert devices(c)['phone']['state'] == 'removed' and devices(c)['phone']['by'] == 'phone'
        nodes.wait_for_link(a, b)


def test_two_that_remove_each_other_while_apart_are_both_out():
    with system('laptop', 'server', 'phone') as (a, b, c):
        b.down()
        c.down()
        a.call('device', 'remove', 'server')
        a.down()
        up(b)
        b.call('device', 'remove', 'laptop')
        up(c)
        until('the phone knows one half', lambda: 'laptop' not in devices(c))
        up(a)
        until('the laptop has not heard', lambda: devices(a)['laptop']['state'] == 'removed')
        for node, rest in ((a, 'laptop'), (b, 'server')):
            assert devices(node)[rest]['state'] in ('removed', 'this device')
        # The phone has both halves when either of them, turned away, tries it; alone it is a system of one.
        assert devices(c)['phone']['state'] == 'this device'


def test_a_device_that_is_removed_in_mid_move_costs_no_program():
    with system('laptop', 'server', 'phone') as (a, b, c):
        ran = {'stayed': 0, 'moved': 0, 'was forced back': 0}
        for delay_ms in (0, 10, 30, 60, 90, 150):
            pid = start(a, 150)
            move = a.spawn('migrate', pid, 'phone', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay_ms / 1000)
            b.call('device', 'remove', 'phone')
            move.wait(timeout=60)
            until('the laptop has not heard', lambda: 'phone' not in devices(a), OUT_S)
            until('the phone has not heard', lambda: devices(c)['phone']['state'] == 'removed', OUT_S)
            row = a.process(pid)
            if row is None:  # gone to the phone
                ran['moved'] += 1
                ends_well(c, max(r['pid'] for r in c.ps()), 150)
            elif row['state'] == 'in flight':
                ran['was forced back'] += 1
                a.call('resume', '--force', pid)
                ends_well(a, pid, 150)
            else:
                ran['stayed'] += 1
                ends_well(a, pid, 150)
            for row in c.ps():
                if row['state'] in ('running', 'waiting'):
                    c.wait(row['pid'])
            nodes.pair(b, c)
            nodes.wait_for_link(a, c)
        print('# of 6 programs:', ', '.join(f'{n} {what}' for what, n in ran.items()))


def main():
    global COUNTER
    nodes.WASMOS, COUNTER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    return cases.run(globals(), sys.argv[3:])


if __name__ == '__main__':
    sys.exit(main())
