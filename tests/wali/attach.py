#!/usr/bin/env python3
"""attach.py - a program's terminal from anywhere: from the device it began on, the one it is on, a third one; of a family; of a run without a node.

	tests/wali/attach.py WASMOS [WORD...]       only cases whose name holds a WORD

Skipped where scripts/userland has not made bash, busybox and the system's own tools.
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ['WASMOS'] = sys.argv[1]
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402
from terminal import IMAGE, Command, Terminal, prompt  # noqa: E402

DETACH = '\x10\x11'
DASH = os.path.join(IMAGE, 'bin', 'dash')


class System:
    def __init__(self, folder):
        self.desk, self.phone, self.tablet = (nodes.Node(f'{folder}/{name}', name) for name in ('desk', 'phone', 'tablet'))
        self.all = [self.desk, self.phone, self.tablet]


def leave(t):
    """Detaches; what the command says brings one back."""
    t.type(DETACH)
    place = t.see(r'wasmos attach (\S+)`').group(1)
    assert t.status() == 0
    return place


def moved_shell(s):
    """A shell that was started on desk, is on phone, and has a variable; its terminal, its number on desk, and on phone."""
    t = Command(s.desk, 'shell')
    prompt(t)
    t.do('mark=here; echo $$ is it', r'\n(\d+) is it\n')
    place = leave(t)
    there = s.desk.migrate(int(place), s.phone)['pid']
    return int(place), there


def test_a_shell_that_moved_is_attached_from_each_of_three_devices(s):
    old, there = moved_shell(s)
    for node, place in ((s.desk, str(old)), (s.phone, str(there)), (s.tablet, f'phone:{there}'), (s.desk, f'phone:{there}')):
        t = Command(node, 'attach', place)
        t.do(f'echo {node.name}: $mark on $(uname -n)', f'\n{node.name}: here on phone\n')
        t.type('while :; do :; done\r')
        time.sleep(0.5)
        t.type('\x03')
        prompt(t, 'phone')
        assert leave(t) == place
    t = Command(s.tablet, 'attach', f'desk:{old}')  # desk knows where it went
    t.do('echo again $mark', '\nagain here\n')
    t.do('exit 5', '')
    assert t.status() == 5


def test_who_attaches_sees_what_was_printed_before(s):
    old, there = moved_shell(s)
    for node, place in ((s.tablet, f'phone:{there}'), (s.desk, str(old)), (s.phone, str(there))):
        t = Command(node, 'attach', place)
        t.see(r'\d+ is it\n')
        leave(t)
    s.phone.call('kill', there)


def test_a_shell_that_came_home_is_attached_from_a_third_device_by_either_number(s):
    old, there = moved_shell(s)
    home = s.phone.migrate(there, s.desk)['pid']
    for place in (f'phone:{there}', f'desk:{home}'):
        t = Command(s.tablet, 'attach', place)
        t.do('echo $mark on $(uname -n)', 'here on desk\n')
        leave(t)
    s.desk.call('kill', home)


def test_two_terminals_see_the_same_and_the_last_one_gives_the_size(s):
    old, there = moved_shell(s)
    near = Command(s.phone, 'attach', str(there), cols=90, rows=20)
    near.see(r'\d+ is it\n')
    far = Command(s.tablet, 'attach', f'phone:{there}', cols=70, rows=33)
    far.see(r'\d+ is it\n')
    far.do('stty size', '\n33 70\n')
    near.see('\n33 70\n')
    near.size(111, 44)
    time.sleep(0.5)
    near.do('stty size', '\n44 111\n')
    far.see('\n44 111\n')
    far.size(71, 34)
    time.sleep(0.5)
    far.do('stty size', '\n34 71\n')
    leave(far)
    near.do('exit 6', '')
    assert near.status() == 6


def test_a_terminal_stays_joined_while_the_shell_moves_on(s):
    old, there = moved_shell(s)
    t = Command(s.tablet, 'attach', f'phone:{there}')
    t.do('migrate $$ desk', 'now on desk\n')
    prompt(t)
    t.do('migrate $$ tablet', 'now on tablet\n')
    prompt(t, 'tablet')
    t.do('echo $mark; exit 9', '\nhere\n')
    assert t.status() == 9


def test_a_shell_on_another_device_is_left_and_found_by_what_is_said(s):
    t = Command(s.desk, 'shell', 'phone')
    prompt(t, 'phone')
    t.do('mark=far', '')
    prompt(t, 'phone')
    place = leave(t)
    assert re.fullmatch(r'phone:\d+', place), place
    t = Command(s.desk, 'attach', place)
    t.do('echo $mark', '\nfar\n')
    t.do('exit 0', '')
    assert t.status() == 0


def test_what_cannot_be_attached_is_said(s):
    def why(*words):
        r = subprocess.run(s.desk.command(*words), env=s.desk.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert r.returncode, words
        return r.stderr
    assert 'phone: there is no process 99999' in why('attach', 'phone:99999')
    assert 'nowhere' in why('attach', 'nowhere:1')
    assert 'is no DEVICE:PID' in why('attach', ':1')
    assert 'is no PID' in why('attach', 'phone:x')
    pid = s.phone.start([DASH, '-c', 'exit 1'])
    s.phone.wait(pid)
    assert f'process {pid} has ended' in why('attach', f'phone:{pid}')


def test_logs_and_kill_reach_a_program_of_another_device(s):
    pid = s.phone.start([DASH, '-c', 'echo said; while :; do sleep 1; done'], '--dir', IMAGE + '::/:ro', '--env', 'PATH=/bin')
    end = time.monotonic() + 20
    while 'said' not in s.desk.call('logs', f'phone:{pid}'):
        assert time.monotonic() < end
        time.sleep(0.1)
    s.desk.call('kill', '-f', f'phone:{pid}')
    assert s.phone.wait(pid)['status'] == 137


# ---- relatives have one terminal ----

def family(s, text):
    pid = s.desk.start([DASH, '-c', text], '--dir', IMAGE + '::/:ro', '--env', 'PATH=/bin')
    return pid


def until(what, holds):
    end = time.monotonic() + 20
    while not (value := holds()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return value


def child_of(s, pid):
    return until('no child', lambda: [row['pid'] for row in s.desk.ps() if row['parent'] == pid and row['state'] in ('running', 'waiting')])[0]


def test_what_relatives_write_is_in_the_logs_of_each_and_attach_finds_their_terminal(s):
    pid = family(s, 'echo first; (while read line; do echo "got $line"; done)')
    child = child_of(s, pid)
    for one in (pid, child):
        assert 'first' in s.desk.call('logs', one)
        t = Command(s.desk, 'attach', str(one))
        t.do(f'by {one}', f'got by {one}\n')
        leave(t)
    s.desk.call('kill', '-f', pid)


def test_the_terminal_of_a_family_lives_on_when_its_first_process_has_ended(s):
    pid = family(s, 'trap "" HUP; echo first; (while read line; do echo "got $line"; done) <&1 & exit 3')
    child = pid + 1
    assert s.desk.wait(pid)['status'] == 3
    assert s.desk.process(child)['state'] in ('running', 'waiting'), s.desk.ps()
    assert 'first' in s.desk.call('logs', child)
    t = Command(s.desk, 'attach', str(child))
    t.do('hello', 'got hello\n')
    leave(t)
    for one in (pid, child):
        assert 'got hello' in s.desk.call('logs', one), one
    there = s.desk.migrate(child, s.phone)['pid']
    assert 'got hello' in s.phone.call('logs', there)
    t = Command(s.tablet, 'attach', f'phone:{there}')
    t.do('there', 'got there\n')
    leave(t)
    s.phone.call('kill', there)


def test_relatives_that_sleep_are_listed_and_each_number_wakes_or_ends_them(s):
    pid = family(s, 'echo first; (while read line; do echo "got $line"; done); echo over')
    child = child_of(s, pid)
    for _ in range(2):
        s.desk.call('suspend', child)
        rows = {row['pid']: row for row in s.desk.ps()}
        assert rows[pid]['state'] == rows[child]['state'] == 'suspended', rows
        assert rows[child]['parent'] == pid and rows[child]['memory_bytes'] > 60000, rows
        assert 'first' in s.desk.call('logs', child)
        s.desk.call('resume', child)
        assert s.desk.process(child)['state'] in ('running', 'waiting')
    s.desk.down()
    s.desk.up('--listen', '127.0.0.1:0', '--display', 'headless')
    t = Command(s.desk, 'attach', str(child))
    t.do('hello', 'got hello\n')
    leave(t)
    s.desk.call('suspend', pid)
    s.desk.call('kill', child)
    row = s.desk.wait(pid)
    assert row['state'] == 'exited' and 'over' in s.desk.call('logs', pid), row
    r = subprocess.run(s.desk.command('resume', '99998'), env=s.desk.env, capture_output=True, text=True, check=False)
    assert r.returncode == 1 and 'no process 99998 is suspended' in r.stderr, r.stderr


def test_top_has_all_devices_fits_its_terminal_and_sorts(s):
    busy = s.phone.start([os.path.join(IMAGE, 'bin', 'lua'), '-e', 'while true do end'])
    large = s.desk.start([os.path.join(IMAGE, 'bin', 'lua'), '-e', 'x = string.rep("x", 50000000) io.read()'])
    until('it is not large', lambda: s.desk.process(large)['memory_bytes'] > 50000000 and s.desk.process(large)['state'] == 'waiting')
    time.sleep(0.5)
    rows = s.desk.json('top')
    assert rows[0]['device'] == 'phone' and rows[0]['pid'] == busy and rows[0]['cpu_percent'] > 1, rows
    rows = s.desk.json('top', '--sort', 'memory')
    assert rows[0]['device'] == 'desk' and rows[0]['pid'] == large, rows
    for key, of in (('time', lambda r: -r['cpu_ms']), ('pid', lambda r: r['pid']), ('device', lambda r: r['device'])):
        values = [of(row) for row in s.desk.json('top', '--sort', key)]
        assert values == sorted(values), (key, values)
    t = Command(s.desk, 'top', '-d', '1', '-n', '2', cols=80, rows=24)
    t.see('PID DEVICE +STATE +CPU% +MEMORY +TIME')
    t.see(rf' {busy} phone +running +\d')
    screen = t.out
    assert t.status() == 0
    assert all(len(line) <= 80 for line in screen.split('\n')), screen
    r = subprocess.run(s.desk.command('top', '--sort', 'size'), env=s.desk.env, capture_output=True, text=True, check=False)
    assert r.returncode == 2 and 'there are cpu, memory' in r.stderr, r.stderr
    s.desk.call('kill', f'phone:{busy}')
    s.desk.call('kill', large)


# ---- without a node ----

def test_a_run_without_a_node_that_is_told_to_end_leaves_the_terminal_as_it_was(s):
    for number in (signal.SIGTERM, signal.SIGHUP):
        t = Terminal([sys.argv[1], 'run', '--solo', '--env', 'PS1=ready> ', DASH, '-i'])
        before = t.modes()
        t.see('ready> ')
        assert t.modes() != before
        os.kill(t.pid, number)
        status = os.waitpid(t.pid, 0)[1]
        assert os.WTERMSIG(status) == number, status
        assert t.modes() == before, (before, t.modes())


def main():
    for name in ('bash', 'busybox', 'wasmos'):
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.environ['WASMOS_SYSTEM'] = IMAGE
        s = System(folder)
        for node in s.all:
            node.env['WASMOS_SYSTEM'] = IMAGE
            node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        try:
            for i, node in enumerate(s.all):
                nodes.pair(node, s.all[i - 1])
            sys.exit(cases.run(globals(), sys.argv[2:], fixture=lambda: contextlib.nullcontext(s)))
        finally:
            for node in s.all:
                subprocess.run(node.command('down', '--end'), env=node.env, check=False)


main()
