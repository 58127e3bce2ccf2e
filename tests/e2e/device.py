"""device.py - a node on a device that sleeps and whose memory is short: links come back at once, programs wait on disk.

	python3 tests/e2e/device.py WASMOS COUNTER.wasm [case...]        TAP

Nothing is pretended: a node is stopped (SIGSTOP) for longer than its peer waits, and the watch of memory is told that there
is never enough.
"""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

SILENT_S = 15    # CONN_SILENT_MS of node/links/link_impl.h: then a peer gives a link up
BACKOFF_S = 30   # LINK_BACKOFF_MAX_MS


def named(*names):
    return nodes.housed(lambda folder: [nodes.Node(os.path.join(folder, name), name) for name in names])


def up(node, *options):
    node.up('--display', 'headless', '--listen', '127.0.0.1:0', *options)


def is_linked(a, b):
    return any(row['name'] == b.name and row['up'] for row in a.json('peers'))


def until(what, holds, timeout_s):
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f'after {timeout_s} s {what}'
        time.sleep(0.1)


def state(node, pid):
    row = node.process(pid)
    return row and row['state']


def start(node, steps):
    pid = node.start([COUNTER, str(steps)])
    until('it does not run', lambda: state(node, pid) in ('running', 'waiting'), 20)
    time.sleep(0.3)
    return pid


def ends_well(node, pid, steps):
    """It prints what only an unbroken run can print."""
    row = node.wait(pid)
    assert row['state'] == 'exited' and row['status'] == 7, row
    unbroken = subprocess.run([nodes.WASMOS, 'run', '--solo', COUNTER, str(steps)], stdout=subprocess.PIPE, text=True,
                              check=False).stdout
    assert node.output(pid) == unbroken, (node.output(pid), unbroken)


def test_a_node_that_slept_longer_than_its_peer_waits_has_its_link_back_at_once_and_moves_a_program():
    with named('phone', 'desk') as (phone, desk):
        up(phone)
        up(desk)
        nodes.pair(phone, desk)
        pid = start(phone, 2000)
        sleeper = phone.host_pid()
        os.kill(sleeper, signal.SIGSTOP)
        try:
            until('the peer has not noticed', lambda: not is_linked(desk, phone), SILENT_S + 20)
            time.sleep(6)  # the peer's attempts are answered by nobody, and come less often
        finally:
            os.kill(sleeper, signal.SIGCONT)
        begin = time.monotonic()
        until('there is no link', lambda: is_linked(phone, desk) and is_linked(desk, phone), BACKOFF_S / 3)
        print(f'# linked again {time.monotonic() - begin:.1f} s after waking')
        moved = phone.migrate(pid, desk)
        ends_well(desk, moved['pid'], 2000)


def test_trim_puts_programs_to_sleep_on_disk_and_resume_trimmed_wakes_them_where_they_were():
    with named('phone') as (phone,):
        up(phone)
        pids = [start(phone, 400), start(phone, 400)]
        said = phone.json('trim')
        assert said['suspended'] == 2 and said['failed'] == 0 and said['bytes'] > 0, said
        assert [state(phone, p) for p in pids] == ['suspended'] * 2, phone.ps()
        assert phone.json('trim')['suspended'] == 0
        assert phone.json('resume', '--trimmed')['resumed'] == 2
        for pid in pids:
            ends_well(phone, pid, 400)
        assert phone.json('resume', '--trimmed')['resumed'] == 0


def test_what_was_trimmed_sleeps_over_a_restart():
    with named('phone') as (phone,):
        up(phone)
        pid = start(phone, 400)
        phone.json('trim')
        phone.down()
        up(phone)
        assert state(phone, pid) == 'suspended', phone.ps()
        assert phone.json('resume', '--trimmed')['resumed'] == 1
        ends_well(phone, pid, 400)


def test_a_node_without_memory_puts_what_nobody_looks_at_to_sleep_by_itself():
    with named('phone') as (phone,):
        up(phone, '--low-memory', '16000000')  # 16 TiB: never so much
        pid = phone.start([COUNTER, '400'])
        until('it is still awake', lambda: state(phone, pid) == 'suspended', 20)
        until('it is not on disk', lambda: 'sleeps on disk' in phone.log(), 20)
        phone.down()
        up(phone, '--low-memory', '1')  # as good as never short
        assert phone.json('resume', '--trimmed')['resumed'] == 1
        ends_well(phone, pid, 400)


def main():
    global COUNTER
    nodes.WASMOS, COUNTER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    return cases.run(globals(), sys.argv[3:])


if __name__ == '__main__':
    sys.exit(main())
