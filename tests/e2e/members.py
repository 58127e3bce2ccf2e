"""members.py - who of a system's devices is there, with real nodes and datagrams: they meet, one dies, comes back, says good-bye.

	python3 tests/e2e/members.py WASMOS COUNTER.wasm [case...]        TAP
"""
import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

DEAD_S = 30  # the goal is 10 (scripts/sim); here other tests may run beside


@contextlib.contextmanager
def system(*names):
    """Nodes that are up, all paired with the first only."""
    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, {'XDG_RUNTIME_DIR': folder}) for name in names]
    with nodes.housed(make) as made:
        for node in made:
            node.call('up', '--display', 'headless', '--listen', '127.0.0.1:0', '--name', node.name)
        for other in made[1:]:
            nodes.pair(made[0], other)
        yield made


def member(node, other):
    return {row['name']: row for row in node.json('peers')}[other.name].get('member', '')


def until(what, holds, timeout_s=20):
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() < begin + timeout_s, f'after {timeout_s} s {what}'
        time.sleep(0.05)
    return time.monotonic() - begin


def all_alive(made):
    until('not all hold all for alive', lambda: all(member(a, b) == 'alive' for a in made for b in made))


def test_devices_hold_each_other_for_alive_and_tell_what_they_are():
    with system('desk', 'laptop', 'phone') as made:
        all_alive(made)
        until('nothing is told', lambda: all('cores' in row for row in made[1].json('peers')))
        rows = {row['name']: row for row in made[1].json('peers')}
        assert rows['desk']['memory_mib'] == rows['laptop']['memory_mib'] > 0, rows
        assert rows['phone']['cores'] == rows['laptop']['cores'], rows
        assert 'MEMBER' in made[0].call('peers')


def test_one_that_is_killed_is_dead_for_all_and_alive_when_it_begins_anew():
    with system('desk', 'laptop', 'phone') as made:
        desk, laptop, phone = made
        all_alive(made)
        phone.kill9()
        took = until('it is not dead', lambda: all(member(n, phone) == 'dead' for n in (desk, laptop)), DEAD_S)
        phone.call('up', '--display', 'headless', '--listen', '127.0.0.1:0', '--name', 'phone')
        back = until('it is not back', lambda: all(member(n, phone) == 'alive' for n in (desk, laptop)))
        print(f'# dead for all after {took:.1f} s, back after {back:.1f} s')
        assert member(desk, laptop) == 'alive'


def test_one_that_goes_down_says_good_bye():
    with system('desk', 'laptop', 'phone') as made:
        desk, laptop, phone = made
        all_alive(made)
        phone.down()
        until('nobody heard of it', lambda: all(member(n, phone) == 'left' for n in (desk, laptop)), 10)


def test_one_that_was_removed_is_no_member():
    with system('desk', 'laptop', 'phone') as made:
        desk, laptop, phone = made
        all_alive(made)
        desk.call('device', 'remove', 'phone')
        until('it is still there', lambda: all('phone' not in [row['name'] for row in n.json('peers') if row.get('member') == 'alive']
                                               for n in (desk, laptop)), 10)


def test_a_program_goes_to_the_device_that_would_do_best():
    with system('desk', 'laptop') as made:
        desk, laptop = made
        pid = desk.start([COUNTER])
        all_alive(made)
        until('nothing is told', lambda: all('cores' in row for row in desk.json('peers')))
        desk.call('migrate', pid, 'best')
        assert laptop.living() and not desk.living()


def main():
    global COUNTER
    nodes.WASMOS, COUNTER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    return cases.run(globals(), sys.argv[3:])


if __name__ == '__main__':
    sys.exit(main())
