#!/usr/bin/env python3
"""system.py - `wasmos shell` as a person uses it, and /proc as the programs in it do: one node, then two.

	tests/wali/system.py WASMOS [WORD...]       only cases whose name holds a WORD

Skipped where scripts/userland has not made bash, busybox and the system's own tools.
"""
import contextlib
import os
import re
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
from terminal import IMAGE, Command, prompt  # noqa: E402


class System:
    def __init__(self, folder):
        self.desk = nodes.Node(folder + '/desk', 'desk')
        self.phone = nodes.Node(folder + '/phone', 'phone')
        self.folder = folder

    def shell(self, *words):
        return Command(self.desk, 'shell', *words)

    def run(self, text, *words):
        """What `wasmos shell -c` prints; it must succeed."""
        return self.desk.call('shell', '-c', text, *words)


def test_a_shell_has_a_prompt_a_home_and_passes_its_status_on(s):
    t = s.shell()
    prompt(t)
    t.do('pwd', '\n/home/user\n')
    t.do('echo kept >note; cd /; exit 7', 'exit')
    assert t.status() == 7
    assert s.run('cat note') == 'kept\n'


def test_history_and_completion_are_there(s):
    t = s.shell()
    prompt(t)
    t.do('echo some"thing"', '\nsomething\n')
    t.type('exit\r')
    t.status()
    t = s.shell()
    prompt(t)
    t.type('\x1b[A\x1b[A\r')
    t.see('\nsomething\n')
    t.type('ls /etc/pass\t\r')
    t.see('\n/etc/passwd\n')
    t.do('exit 0', '')
    assert t.status() == 0


def test_a_job_and_a_device_are_completed_for_migrate(s):
    t = s.shell()
    prompt(t)
    t.do('sleep 1000 &', r'\[1\] \d+\n')
    prompt(t)
    t.type('migrate %sl\t')
    t.see('migrate %sleep ')
    t.type('ph\t')
    t.see('phone ')
    t.type('\x15echo $HISTFILE; alias ls grep\r')
    t.see('\n/home/user/.bash_history\n')
    t.see("ls --color=auto(.|\n)*grep --color=auto")
    t.do('kill %1; exit 0', '')
    assert t.status() == 0


def test_what_is_typed_while_a_command_runs_is_the_next_line(s):
    t = s.shell()
    prompt(t)
    t.type('sleep 1; echo first\r')
    time.sleep(0.4)
    t.type('echo typed "ah')
    t.see('first\n')
    prompt(t)
    t.type('ead"\r')
    t.see('\ntyped ahead\n')
    t.do('exit 0', '')
    assert t.status() == 0


def test_jobs_stop_and_go_on(s):
    t = s.shell()
    prompt(t)
    t.type('sleep 100\r')
    time.sleep(0.5)
    t.type('\x1a')
    t.see('Stopped')
    t.do('bg', re.escape('[1]+ sleep 100 &'))
    t.do('ps', r'user +sleep 100')
    t.do('kill %1; wait %1; echo "was $?"', 'was 143')
    t.do('exit 0', '')
    assert t.status() == 0


def test_programs_that_draw_on_the_screen_work(s):
    t = s.shell()
    prompt(t)
    t.do('less /etc/profile', 'what a shell of the system begins with')
    t.type('q')
    prompt(t)
    t.type('busybox vi new\r')
    t.see('~')
    t.type('itext\x1b')
    time.sleep(0.5)  # an escape with something behind it is a key of the terminal's
    t.type(':wq\r')
    prompt(t)
    t.do('cat new', '\ntext\n')
    t.do('top -d 1', 'Load average')
    t.type('q')
    prompt(t)
    t.do('exit 0', '')
    assert t.status() == 0


def test_a_detached_shell_is_found_again(s):
    t = s.shell()
    prompt(t)
    t.do('mark=here', '')
    prompt(t)
    t.type('\x10\x11')
    pid = t.see(r'wasmos attach (\d+)').group(1)
    assert t.status() == 0
    t = Command(s.desk, 'attach', pid)
    t.do('echo is $mark', 'is here')
    t.do('exit 3', '')
    assert t.status() == 3


def test_a_shell_sees_and_controls_all_programs_of_its_node(s):
    pid = s.desk.start([os.path.join(IMAGE, 'bin', 'dash'), '-c', 'sleep 100; exit 1'], '--dir', IMAGE + '::/:ro', '--env', 'PATH=/bin')
    assert re.search(rf'^ *{pid} .*sleep 100', s.run('ps'), re.M)
    assert s.run(f'cat /proc/{pid}/comm') == 'dash\n'
    s.run(f'wasmos kill -9 {pid}')
    assert s.desk.wait(pid)['status'] == 137
    assert s.run('cat /proc/sys/kernel/hostname') == 'desk\n'


def test_kill_of_the_shell_reaches_programs_of_the_node(s):
    pid = s.desk.start([os.path.join(IMAGE, 'bin', 'lua'), '-e', 'while true do end'])
    rows = {row['pid']: row for row in s.desk.json('top')}
    assert rows[pid]['device'] == 'desk' and rows[pid]['cpu_percent'] > 5 and rows[pid]['memory_bytes'], rows
    assert s.run(f'kill -0 {pid} && kill {pid} && echo done') == 'done\n'
    assert s.desk.wait(pid)['status'] == 143


def test_another_program_sees_its_family_only(s):
    t = s.shell()
    prompt(t)
    out = s.desk.call('run', '--dir', IMAGE + '::/:ro', '--env', 'PATH=/bin', os.path.join(IMAGE, 'bin', 'dash'), '-c',
                      'sleep 9 & ps; kill $!; cat /proc/sys/kernel/hostname /proc/wasmos/peers; ls -d /proc/[0-9]*')
    assert 'bash' not in out and 'sleep 9' in out and '\nwasmos\n' in out and 'desk' not in out, out
    assert len(re.findall(r'^/proc/\d+$', out, re.M)) == 1, out
    t.do('exit 0', '')
    t.status()


def test_a_confined_program_sees_its_family_only(s):
    other = s.desk.start([os.path.join(IMAGE, 'bin', 'lua'), '-e', 'while true do end'])
    out = s.run(f'wasmos confine dash -c "uname -n; ls -d /proc/{other}; kill {other}; cat /proc/wasmos/peers; sh -c \\"uname -n\\"" 2>/dev/null; uname -n')
    assert out == 'wasmos\nwasmos\ndesk\n', out
    s.desk.call('kill', other)


def test_a_folder_is_mounted_and_the_image_is_not_written_to(s):
    given = os.path.join(s.folder, 'given')
    os.makedirs(given, exist_ok=True)
    assert 'on /given type host (rw)' in s.run('mount; echo told >/given/file', '--dir', given + '::/given')
    with open(os.path.join(given, 'file'), encoding='utf-8') as f:
        assert f.read() == 'told\n'
    assert s.run('echo x 2>/dev/null >/bin/new || echo refused') == 'refused\n'


def test_what_is_no_image_is_refused(s):
    r = subprocess.run(s.desk.command('shell', '--system', s.folder), env=s.desk.env, capture_output=True, text=True, check=False)
    assert r.returncode == 1 and 'is no system image' in r.stderr, r.stderr


def test_a_shell_on_another_device(s):
    t = s.shell('phone')
    prompt(t, 'phone')
    t.do('peers', 'phone .*this device')
    t.do('exit 4', '')
    assert t.status() == 4


def test_a_program_moves_by_a_word_in_the_shell(s):
    pid = s.desk.start([os.path.join(IMAGE, 'bin', 'lua'), '-e', 'io.read()'])
    out = s.run(f'migrate {pid} phone')
    there = re.match(r'moved to phone; there it is (\d+), and stood still for [\d.]+ ms\n', out)
    assert there, out
    s.phone.call('kill', there.group(1))
    out = s.run('migrate $$ nowhere 2>&1; migrate 999998 phone 2>&1; migrate 1x phone 2>&1; true')
    assert 'nowhere' in out and 'there is no process 999998' in out and 'is named by its number' in out, out


def test_a_shell_moves_with_its_jobs_and_the_prompt_says_where(s):
    t = s.shell()
    prompt(t)
    t.do("lua -e 'while true do end' &", r'\[1\] \d+\n')
    t.do('migrate $$ phone', 'now on phone\n')
    prompt(t, 'phone')
    t.do('jobs', 'Running +lua')
    t.do('echo written >file; cat file; uname -n', '\nwritten\nphone\n')
    t.do('kill %1; wait; migrate $$ desk', 'now on desk\n')
    prompt(t)
    t.do('cat file; exit 5', '\nwritten\n')
    assert t.status() == 5


def test_a_job_moves_without_its_shell(s):
    t = s.shell()
    prompt(t)
    t.do('(sleep 2; echo done there; exit 4) | cat &', r'\[1\] \d+\n')
    t.do('migrate %1 phone', r'moved to phone; there it is .*\nits /tmp is its own from now on')
    prompt(t)
    assert sorted(r['name'] for r in s.phone.living() if r['name'] != 'bash') == ['cat', 'sleep'], s.phone.living()
    t.do('jobs; uname -n', r'(?s)Running.*\ndesk\n')
    t.do('migrate %1 phone; echo "no $?"', 'no 1\n')
    t.do('wait; echo "over $?"', '(?s)done there.*over')
    t.do('sleep 1000', '')
    time.sleep(0.5)
    t.type('\x1a')
    t.see('Stopped')
    t.do('migrate %1 phone', 'moved to phone')
    t.do('migrate %1 desk', 'now on desk')
    t.do('jobs', 'Stopped +sleep 1000')
    t.do('migrate %1 phone', 'now on phone')
    t.do('fg', 'sleep 1000')
    time.sleep(0.5)
    t.type('\x1a')
    t.see('Stopped')
    t.do('fg', 'sleep 1000')
    time.sleep(0.5)
    t.type('\x03')
    prompt(t)
    t.do('echo "by $?"; exit 5', 'by 130\n')
    assert t.status() == 5


def state_of(node, name):
    """Of the last one so called; None: there is none."""
    return next((r['state'] for r in reversed(node.ps()) if r['name'] == name), None)


def until(fn, node, limit_s=60):
    end = time.monotonic() + limit_s
    while not fn():
        assert time.monotonic() < end, node.ps()
        time.sleep(0.1)


def test_a_job_that_is_on_another_device_is_shown_moved_put_to_sleep_and_killed(s):
    t = s.shell()
    prompt(t)
    t.do('sleep 1000 &', r'\[1\] \d+\n')
    t.do('migrate %1 phone', 'moved to phone')
    prompt(t)
    t.do('ps', r'user +sleep \(on phone\)')
    t.do('wasmos ps', r'phone +sleep')
    t.do('suspend %1; echo "sleeps $?"', r'put to sleep on phone\nsleeps 0\n')
    until(lambda: state_of(s.phone, 'sleep') == 'suspended', s.phone)
    t.do('resume %1; echo "woken $?"', r'woken 0\n')
    t.do('migrate %1 nowhere; echo "no $?"', r'nowhere.*\nno 1\n')
    t.do('migrate %1 desk', 'now on desk')
    prompt(t)
    t.do('suspend %1; echo "sleeps $?"', r'\nsleeps 0\n')
    until(lambda: state_of(s.desk, 'sleep') == 'suspended', s.desk)
    t.do('resume %1; echo "woken $?"', r'woken 0\n')
    t.do('ps', r'user +sleep \(on desk\)')
    t.do('migrate %1 phone', 'now on phone')
    s.phone.kill9()
    t.do('migrate %1 desk; echo "no $?"', r'(?s)phone, which does not answer.*no 1\n')
    t.do('kill -9 %1; wait %1; echo "was $?"', r'was 137\n')
    t.do('jobs; echo none', r'jobs; echo none\nnone\n')
    s.phone.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(s.desk, s.phone)
    until(lambda: not any(r['name'] == 'sleep' for r in s.phone.living()), s.phone)
    t.do('exit 5', 'exit')
    assert t.status() == 5


def main():
    for name in ('bash', 'busybox', 'wasmos', 'lua'):
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.environ['WASMOS_SYSTEM'] = IMAGE
        s = System(folder)
        for node in (s.desk, s.phone):
            node.env['WASMOS_SYSTEM'] = IMAGE
            node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        try:
            nodes.pair(s.desk, s.phone)
            sys.exit(cases.run(globals(), sys.argv[2:], fixture=lambda: contextlib.nullcontext(s)))
        finally:
            for node in (s.desk, s.phone):
                subprocess.run(node.command('down', '--end'), env=node.env, check=False)


main()
