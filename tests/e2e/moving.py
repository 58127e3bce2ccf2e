"""moving.py - programs move between devices while someone uses them (person.py says how to run it)."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from person import GUEST, Home, Terminal, main, until


class Device(Home):
    def __init__(self, folder, name):
        super().__init__(folder)
        self.name = name
        self.env['XDG_RUNTIME_DIR'] = os.path.dirname(folder)

    def up(self):
        self.ok('up', '--name', self.name, '--listen', '127.0.0.1:0', '--display', 'headless')

    def migrate(self, pid, to):
        """The pid on the other device, and what it cost."""
        out = json.loads(self.ok('migrate', pid, to.name, '--json', timeout=60))
        return out.get('there', out.get('pid', pid)), out


def link_is_up(a, b):
    return any(p['name'] == b.name and p['up'] for p in json.loads(a.ok('peers', '--json')))


def pair(a, b):
    shower = a.spawn('pair', '--yes', '--json', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    code = json.loads(shower.stdout.readline())
    b.ok('pair', *code['words'].split(), f'127.0.0.1:{code["port"]}', '--yes')
    shower.communicate(timeout=20)
    until(lambda: link_is_up(a, b) and link_is_up(b, a))


class Devices:
    """Some devices, each paired with each; ended when the test is over."""

    def __init__(self, home, *names):
        self.base = os.path.dirname(home.folder)
        self.all = [Device(f'{self.base}/{n}', n) for n in names]

    def __enter__(self):
        for d in self.all:
            d.up()
        for i, a in enumerate(self.all):
            for b in self.all[i + 1:]:
                pair(a, b)
        return self.all

    def __exit__(self, *_):
        for d in self.all:
            d.end()


def the_pid(d):
    return until(lambda: list(d.ps()))[0]


# ---- asked from the other side ----

def test_a_program_is_seen_from_another_device_and_brought_there(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        a.ok('run', '-d', GUEST, 'lines')
        pid = the_pid(a)
        there = json.loads(b.ok('ps', '--on', 'alpha', '--json'))
        assert [(r['pid'], r['name']) for r in there] == [(pid, 'guest')], there
        assert b.ok('ps', '--on', 'alpha').split('\n')[1].split()[0] == str(pid)
        out = json.loads(b.ok('bring', pid, 'alpha', '--json'))
        assert (out['old_pid'], out['from'], out['to']) == (pid, 'alpha', 'beta'), out
        assert not a.ps() and list(b.ps()) == [out['pid']], (a.ps(), b.ps())
        assert json.loads(a.ok('bring', out['pid'], 'beta', '--json'))['to'] == 'alpha'


def test_what_cannot_be_brought_says_why(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        for command, said in ((('bring', 77, 'alpha'), 'alpha: there is no process 77'),
                              (('bring', 77, 'gamma'), 'gamma'), (('ps', '--on', 'gamma'), 'gamma'),
                              (('ps', '--on', 'beta'), "'beta' is this device itself")):
            status, _, err = b.run(*command)
            assert status == 1 and said in err, (command, err)
        a.ok('down')
        status, _, err = b.run('ps', '--on', 'alpha')
        assert status == 1 and 'alpha: the device is not connected' in err, err


# ---- terminals and pipes ----

def test_a_terminal_stays_attached_there_and_back(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        t = Terminal(a, 'run', GUEST, 'lines')
        t.expect('ready')
        t.type('one\n')
        t.expect('got one')
        pid, cost = a.migrate(the_pid(a), b)
        assert not a.ps() and list(b.ps()) == [pid], (a.ps(), b.ps())
        t.type('two\n')
        t.expect('got two')
        pid, _ = b.migrate(pid, a)
        assert list(a.ps()) == [pid] and not b.ps()
        t.type('three\n')
        t.expect('got three')
        t.type('\x04')
        t.expect('end')
        assert t.wait() == 0


def test_the_old_device_says_where_a_program_went(h):
    """attach follows it (tests/wali/attach.py); what would act on it is told where it is."""
    with Devices(h, 'desk', 'laptop') as (a, b):
        pid = a.start('tick')
        a.migrate(pid, b)
        for command in (['logs', pid], ['kill', pid], ['migrate', pid, 'laptop']):
            status, _, err = a.run(*command)
            assert status == 1 and 'went to "laptop"' in err, (command, err)


CLOCK = """#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, clock, t);
	t->tv_sec += clock == CLOCK_REALTIME ? 400L * 24 * 3600 : 0;
	return (int)r;
}
"""


def test_a_clock_that_jumps_a_year_ahead_makes_no_device_forget_where_a_program_went(h):
    with Devices(h, 'desk', 'laptop') as (a, b):
        pid = a.start('tick')
        there, _ = a.migrate(pid, b)
        a.ok('down')
        library = a.folder + '-clock.so'
        subprocess.run(['clang-19', '-shared', '-fPIC', '-x', 'c', '-', '-o', library], input=CLOCK, text=True, check=True)
        a.env['LD_PRELOAD'] = library
        a.up()
        now = json.loads(a.ok('status', '--json'))['started_unix_ms'] / 1000
        assert now > time.time() + 300 * 24 * 3600, 'the clock was to jump'
        a.ok('down')
        del a.env['LD_PRELOAD']
        a.up()
        status, _, err = a.run('logs', pid)
        assert status == 1 and 'went to "laptop"' in err, err
        assert there in b.ps()


def test_after_a_to_b_to_c_the_terminal_does_not_need_b(h):
    with Devices(h, 'alpha', 'beta', 'gamma') as (a, b, c):
        t = Terminal(a, 'run', GUEST, 'lines')
        t.expect('ready')
        pid, _ = a.migrate(the_pid(a), b)
        t.type('on b\n')
        t.expect('got on b')
        pid, _ = b.migrate(pid, c)
        t.type('on c\n')
        t.expect('got on c')
        b.ok('down')
        t.type('without b\n')
        t.expect('got without b')
        t.type('\x04')
        t.expect('end')
        assert t.wait() == 0


def test_pipes_lose_and_double_nothing_while_the_program_moves_ten_times(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        count = 40000
        p = a.spawn('run', GUEST, 'lines', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b'ready\n'

        def write():
            for i in range(count):
                p.stdin.write(b'number %d\n' % i)
                if i % 400 == 0:
                    p.stdin.flush()
                    time.sleep(0.02)
            p.stdin.close()

        writer = threading.Thread(target=write)
        got = []
        reader = threading.Thread(target=lambda: got.extend(p.stdout))
        writer.start()
        reader.start()
        here, there, pid = a, b, the_pid(a)
        for _ in range(10):
            if p.poll() is not None:
                break
            try:
                pid, _ = here.migrate(pid, there)
            except AssertionError as e:  # all was read before the tenth move: on a machine that is busy
                if 'ended while it was moving' not in str(e):
                    raise
                break
            here, there = there, here
        writer.join(60)
        reader.join(60)
        assert p.wait(20) == 0
        assert got[-1] == b'end\n' and len(got) == count + 1, (len(got), got[-3:])
        assert all(line == b'got number %d\n' % i for i, line in enumerate(got[:-1]))


def test_output_of_a_flood_is_whole_after_moves(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        p = a.spawn('run', GUEST, 'flood', 1500000, stdout=subprocess.PIPE)
        got = [p.stdout.readline()]
        reader = threading.Thread(target=lambda: got.extend(p.stdout))
        reader.start()
        here, there, pid = a, b, the_pid(a)
        for _ in range(3):
            pid, _ = here.migrate(pid, there)
            here, there = there, here
        reader.join(60)
        assert p.wait(20) == 0
        assert len(got) == 1500000 and all(line == b'line %d\n' % i for i, line in enumerate(got))


def test_exit_status_and_traps_come_back_to_run(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        p = a.spawn('run', GUEST, 'then', 'exit', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdout.readline()
        a.migrate(the_pid(a), b)
        p.communicate(b'go\n', timeout=20)
        assert p.returncode == 42
        p = a.spawn('run', GUEST, 'then', 'trap', stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.readline()
        a.migrate(the_pid(a), b)
        _, err = p.communicate(b'go\n', timeout=20)
        assert p.returncode == 134 and b'divide by zero' in err, (p.returncode, err)


def test_control_c_at_the_old_device_ends_the_program_on_the_new_one(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        t = Terminal(a, 'run', GUEST, 'spin')
        a.migrate(the_pid(a), b)
        time.sleep(0.3)
        t.type('\x03')
        assert t.wait() == 130
        until(lambda: not b.ps())


def test_a_terminal_whose_program_cannot_be_reached_says_so_and_is_given_back(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        t = Terminal(a, 'run', GUEST, 'lines')
        t.expect('ready')
        a.migrate(the_pid(a), b)
        node = b.node_pid()
        os.kill(node, signal.SIGKILL)
        t.expect('beta cannot be reached')
        b.up()
        t.expect('beta is there again')
        t.type('hello\n')
        t.expect('got hello')
        os.kill(b.node_pid(), signal.SIGKILL)
        t.expect('beta cannot be reached')
        t.type('\x03')
        t.expect('the program is on beta, which cannot be reached: it was not ended')
        assert t.wait() == 1
        b.up()
        until(lambda: len(b.ps()) == 1)


def test_closing_the_old_terminal_leaves_a_moved_program_alone_and_the_new_device_attaches(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        p = a.spawn('run', GUEST, 'lines', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b'ready\n'
        pid, _ = a.migrate(the_pid(a), b)
        p.kill()
        p.wait()
        time.sleep(0.3)
        assert list(b.ps()) == [pid]
        t = Terminal(b, 'attach', pid)
        t.expect('ready')
        t.type('hello b\n')
        t.expect('got hello b')
        t.type('\x04')
        assert t.wait() == 0


def test_logs_know_what_was_written_on_both_devices(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        pid = a.start('tick')
        until(lambda: 'tick 5' in a.ok('logs', pid))
        pid, _ = a.migrate(pid, b)
        until(lambda: 'tick 30' in b.ok('logs', pid))
        lines = b.ok('logs', pid).splitlines()
        assert lines == [f'tick {i}' for i in range(len(lines))], lines


# ---- files ----

def test_open_files_follow_and_stay_on_their_device(h):
    with Devices(h, 'alpha', 'beta') as (a, b), tempfile.TemporaryDirectory() as d:
        with open(d + '/in.txt', 'w') as f:
            f.writelines(f'line {i}\n' for i in range(2000))
        p = a.spawn('run', '--dir', d + '::/data', GUEST, 'copy', '/data/in.txt', '/data/out.txt',
                    stdout=subprocess.PIPE)
        p.stdout.readline()
        here, there, pid = a, b, the_pid(a)
        for _ in range(3):
            pid, _ = here.migrate(pid, there)
            here, there = there, here
            time.sleep(0.1)
        p.communicate(timeout=60)
        assert p.returncode == 0
        with open(d + '/in.txt') as f, open(d + '/out.txt') as g:
            assert f.read() == g.read()


# ---- suspending ----

def test_suspend_survives_kill_9_and_resume_goes_on(h):
    h.ok('up', '--display', 'headless')
    pid = h.start('tick')
    until(lambda: 'tick 5' in h.ok('logs', pid))
    h.ok('suspend', pid)
    assert h.ps()[pid]['state'] == 'suspended'
    os.kill(h.node_pid(), 9)
    until(lambda: h.run('ps')[0] == 1)
    h.ok('up', '--display', 'headless')
    assert h.ps()[pid]['state'] == 'suspended'
    h.ok('resume', pid)
    until(lambda: 'tick 40' in h.ok('logs', pid))
    lines = h.ok('logs', pid).splitlines()
    assert lines == [f'tick {i}' for i in range(len(lines))], lines


def test_a_program_that_went_to_and_fro_often_survives_kill_9_where_it_is(h):
    with Devices(h, 'alpha', 'beta') as (a, b):
        pid = int(a.ok('run', '-d', '--checkpoint', 0, GUEST, 'lines'))
        for _ in range(20):
            pid, _ = a.migrate(pid, b)
            pid, _ = b.migrate(pid, a)
        pid, _ = a.migrate(pid, b)
        time.sleep(1.5)  # alpha throws away what it has stored of programs that are gone
        pid, _ = b.migrate(pid, a)
        time.sleep(0.5)
        os.kill(a.node_pid(), signal.SIGKILL)
        until(lambda: a.run('up', '--listen', '127.0.0.1:0', '--display', 'headless')[0] == 0)
        until(lambda: pid in a.ps())
        a.ok('kill', pid)


def test_run_whose_program_is_suspended_says_what_became_of_it(h):
    h.ok('up', '--display', 'headless')
    p = h.spawn('run', GUEST, 'tick', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    pid = the_pid(h)
    h.ok('suspend', pid)
    _, err = p.communicate(timeout=10)
    assert p.returncode == 1 and b'wasmos' in err, err
    h.ok('resume', pid)
    t = Terminal(h, 'attach', pid)
    t.expect('tick')
    t.type('\x03')
    assert t.wait() == 130


def test_programs_in_the_background_outlive_down_and_up(h):
    h.ok('up', '--display', 'headless')
    pids = [h.start('tick'), h.start('spin'), h.start('lines')]
    until(lambda: 'tick 5' in h.ok('logs', pids[0]))
    waiting = h.spawn('run', GUEST, 'tick', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    waiting.stdout.readline()
    h.ok('down')
    assert waiting.wait(10) != 0
    for _ in range(3):  # up and down at once
        h.ok('up', '--display', 'headless')
        h.ok('down')
    h.ok('up', '--display', 'headless')
    until(lambda: [p['state'] for p in h.ps().values() if p['state'] in ('running', 'waiting')].__len__() == 3)
    assert sorted(h.ps()) == sorted(pids)
    until(lambda: 'tick 40' in h.ok('logs', pids[0]))
    lines = h.ok('logs', pids[0]).splitlines()
    assert lines == [f'tick {i}' for i in range(len(lines))], lines
    h.ok('down', '--end')
    h.ok('up', '--display', 'headless')
    assert not h.ps()


def test_numbers_of_sleeping_programs_are_not_given_to_others_and_kill_ends_them(h):
    h.ok('up', '--display', 'headless')
    first = h.start('tick')
    h.ok('suspend', first)
    h.ok('down')
    h.ok('up', '--display', 'headless')
    second = h.start('lines')
    assert second != first and sorted(h.ps()) == sorted([first, second]), h.ps()
    h.ok('kill', first)
    until(lambda: list(h.ps()) == [second])
    assert h.ps('-a')[first]['state'] == 'killed'
    h.ok('down')
    h.ok('up', '--display', 'headless')
    until(lambda: list(h.ps()) == [second])


def test_a_snapshot_is_a_program_of_its_own_when_restored(h):
    h.ok('up', '--display', 'headless')
    pid = h.start('tick')
    until(lambda: 'tick 5' in h.ok('logs', pid))
    file = os.path.dirname(h.folder) + '/image'
    h.ok('snapshot', pid, '-o', file)
    copy = int(re.search(r'\d+', h.ok('restore', file)).group())
    assert copy != pid
    until(lambda: 'tick 40' in h.ok('logs', copy) and 'tick 40' in h.ok('logs', pid))


if __name__ == '__main__':
    sys.exit(main(globals()))
