#!/usr/bin/env python3
"""families.py - related processes move, sleep and come back together: a pipeline with bytes in flight, a shell and its jobs.

	tests/wali/families.py WASMOS [NAME OF A CASE...]

Real nodes, real programs. Skipped where scripts/userland has not made dash, bash and busybox.
"""
import contextlib
import hashlib
import os
import re
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'scripts'), os.path.join(ROOT, 'tests', 'e2e')]
os.environ['WASMOS'] = sys.argv[1]
import cases  # noqa: E402
import nodes  # noqa: E402
from terminal import IMAGE, Terminal  # noqa: E402

OPTIONS = ['--env', 'PATH=/bin', '--dir', os.path.join(IMAGE, 'bin') + '::/bin:ro']
BYTES = int(os.environ.get('FAMILY_MB', '40')) << 20
MOVES = int(os.environ.get('FAMILY_MOVES', '8'))
PATIENCE_S = int(os.environ.get('FAMILY_PATIENCE', '60'))
NEEDS = ('dash', 'bash', 'busybox', 'yes', 'sha256sum', 'cat', 'sleep')


def script(node, text, *options):
    return node.start([os.path.join(IMAGE, 'bin', 'dash'), '-c', text], *OPTIONS, *options)


def until(what, fn):
    end = time.monotonic() + PATIENCE_S
    while not (v := fn()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return v


def wait_for_family(node, count):
    until(f'{count} processes', lambda: len(node.living()) == count)


PIPELINE = f'yes | head -c {BYTES} | sha256sum; echo "pipeline $?"'


def expect_sum(text):
    want = hashlib.sha256(b'y\n' * (BYTES // 2)).hexdigest()
    assert want in text and 'pipeline 0' in text, text


def test_a_pipeline_moves_with_its_bytes_in_flight(a, b):
    trip = nodes.Journey(a, b, script(a, PIPELINE))
    wait_for_family(a, 4)
    while len(trip.costs) < MOVES and trip.move():
        assert not trip.there.living(), trip.there.living()
    expect_sum(trip.end())
    assert len(trip.costs) > 2 and trip.costs[-1]['pids'], trip.costs


def test_any_member_moves_the_family(a, b):
    pid = script(a, 'sleep 1000 & sleep 2000 & wait')
    wait_for_family(a, 3)
    child = [r['pid'] for r in a.living() if r['pid'] != pid][1]
    pid = a.migrate(child, b)['pid']
    rows = b.living()
    assert len(rows) == 3 and not a.living(), rows
    assert sorted(r['parent'] for r in rows) == [0, pid, pid], rows
    b.call('kill', '--family', pid)
    until('all are gone', lambda: not b.living())


def test_numbers_status_and_signals_are_the_same_after_a_move(a, b):
    pid = script(a, '''
        trap 'echo "told $?"; told=1' USR1
        me=$$
        (sleep 2; kill -USR1 $me; exit 7) & job=$!
        echo "job $job of $me"
        while [ -z "$told" ]; do wait $job; s=$?; done
        wait $job; echo "me $$ job $job status $?"
    ''')
    until('started', lambda: 'job' in a.output(pid))
    pid = a.migrate(pid, b)['pid']
    assert b.wait(pid)['status'] == 0
    text = b.output(pid)
    job, me = re.search(r'job (\d+) of (\d+)', text).groups()
    assert f'me {me} job {job} status 7' in text and 'told' in text, text


def test_numbers_that_are_taken_stay_what_the_programs_know(a, b):
    others = [script(b, 'sleep 1000') for _ in range(8)]
    pid = script(a, 'echo "I am $$"; (sleep 2; exit 5) & echo "job $!"; wait $!; echo "$$ $! $?"; sleep 1 & wait $!; echo "new $?"')
    until('started', lambda: 'job' in a.output(pid))
    now = a.migrate(pid, b)['pid']
    assert now not in others
    assert b.wait(now)['status'] == 0
    text = b.output(now)
    me, job = re.search(r'I am (\d+)', text).group(1), re.search(r'job (\d+)', text).group(1)
    assert f'{me} {job} 5' in text and 'new 0' in text, text
    for p in others:
        b.call('kill', p)
        b.wait(p)


def test_a_family_sleeps_and_wakes(a, b):
    pid = script(a, PIPELINE)
    wait_for_family(a, 4)
    for _ in range(3):
        a.call('suspend', pid)
        assert not a.living() and a.process(pid)['state'] == 'suspended'
        a.call('resume', pid)
        wait_for_family(a, 4)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))


def test_one_whose_other_programs_just_ended_moves_and_sleeps(a, b):
    """Between the offer and the last look a program comes or goes: the image names the programs of those that are left."""
    pid = script(a, 'i=0; while [ $i -lt 250 ]; do i=$((i+1)); j=0; while [ $j -lt 500 ]; do j=$((j+1)); done; cat /dev/null; done; echo "all $i"')
    trip = nodes.Journey(a, b, pid)
    for _ in range(10):
        trip.go(1)
        trip.here.call('suspend', trip.pid)
        trip.here.call('resume', trip.pid)
    assert len(trip.costs) == 10, trip.costs
    assert trip.end() == 'all 250\n', trip.output()


def test_a_snapshot_of_a_family_runs_beside_it(a, b):
    pid = script(a, PIPELINE)
    wait_for_family(a, 4)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'pipeline')
        a.call('snapshot', pid, '-o', path)
        copy = a.json('restore', path)['pid']
        assert copy != pid and len(a.living()) == 8, a.living()
        again = a.json('restore', path)['pid']
    for p in (pid, copy, again):
        assert a.wait(p)['status'] == 0
        expect_sum(a.output(p))


def test_a_node_that_goes_down_keeps_a_family(a, b):
    pid = script(a, PIPELINE)
    wait_for_family(a, 4)
    a.down()
    a.up('--listen', '127.0.0.1:0', '--display', 'headless')
    wait_for_family(a, 4)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    nodes.wait_for_link(a, b)


def test_a_node_that_is_killed_brings_a_family_back(a, b):
    pid = script(a, 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; sleep 0.2; done | cat; echo "all $?"', '--checkpoint', '1')
    until('a checkpoint', lambda: (a.process(pid) or {}).get('checkpoints'))
    a.kill9()
    a.up('--listen', '127.0.0.1:0', '--display', 'headless')
    until('it is back', lambda: a.living())
    assert a.wait(pid)['status'] == 0
    lines = re.findall(r'line (\d+)', a.output(pid))
    assert lines == [str(i) for i in range(1, 41)] and 'all 0' in a.output(pid), a.output(pid)
    nodes.wait_for_link(a, b)


def test_a_link_that_is_cut_leaves_one_family(a, b):
    for step in ('got.MOVE_ACCEPT', 'source.FINAL', 'send.MOVE_PREPARE', 'send.MOVE_COMMIT', 'got.MOVE_RUNS'):
        home = tempfile.mkdtemp()
        c = nodes.Node(home, 'three', env={'WASMOS_CUT_AT': step})
        c.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.pair(c, b)
        pid = script(c, PIPELINE)
        wait_for_family(c, 4)
        uid = c.process(pid)['uid']
        try:
            c.migrate(pid, b)
        except nodes.Failed:
            pass
        # It may be in flight for a while, but it is never on both.
        here = until(f'{step}: it runs', lambda: [n for n in (c, b) for r in n.ps() if r['uid'] == uid and r['state'] in ('exited', *nodes.LIVES)])
        assert len(here) == 1, (step, here)
        pid = next(r['pid'] for r in here[0].ps() if r['uid'] == uid)
        assert here[0].wait(pid)['status'] == 0, step
        expect_sum(here[0].output(pid))
        assert not c.living() + b.living()
        c.down()


def is_at(nodes_up, uid):
    return [n for n in nodes_up for r in n.ps() if r['uid'] == uid and r['state'] in ('exited', *nodes.LIVES)]


def crash(step, b, source):
    """A node dies at a step of a move to or from b, and comes up again: the family is on one of them, whole."""
    c = nodes.Node(tempfile.mkdtemp(), 'dies-at-' + step.replace('.', '-').replace('_', '-').lower(), env={'WASMOS_CRASH_AT': step})
    c.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.pair(c, b)
    here, there = (c, b) if source else (b, c)
    pid = script(here, PIPELINE, '--checkpoint', '1')
    until('a checkpoint', lambda: (here.process(pid) or {}).get('checkpoints'))
    uid = here.process(pid)['uid']
    said = ''
    try:
        here.migrate(pid, there)
    except nodes.Failed as e:
        said = str(e)
    until(f'{step}: it died ({said})', lambda: not c.is_up())
    del c.env['WASMOS_CRASH_AT']
    c.up('--listen', '127.0.0.1:0', '--display', 'headless')
    at = until(f'{step}: it runs', lambda: is_at((c, b), uid))
    assert len(at) == 1, (step, at)
    pid = next(r['pid'] for r in at[0].ps() if r['uid'] == uid)
    assert at[0].wait(pid)['status'] == 0, step
    expect_sum(at[0].output(pid))
    assert not c.living() + b.living(), step
    c.down()


def test_a_source_that_dies_leaves_one_family(a, b):
    for step in ('job.scan', 'source.FINAL', 'send.MOVE_PREPARE', 'send.MOVE_COMMIT', 'source.FORGET'):
        crash(step, b, True)


def test_a_target_that_dies_leaves_one_family(a, b):
    for step in ('target.BARRIER', 'target.PREPARE', 'got.MOVE_COMMIT', 'target.RUN', 'send.MOVE_OWNED'):
        crash(step, b, False)


# ---- a shell in a terminal ----

class Shell(Terminal):
    def __init__(self, node, program, *args, options=(), term='dumb'):
        super().__init__([sys.argv[1], 'run', *OPTIONS, *options, '--env', 'PS1=ready> ', '--env', f'TERM={term}',
                          os.path.join(IMAGE, 'bin', program), *args], node.env)

    def do(self, line, pattern):
        self.type(line + '\r')
        self.see(re.escape(line) + '\n')
        return self.see(pattern)

    def leave(self):
        self.type('exit 3\r')
        return self.status()


def job_control(a, b, program, *args):
    s = Shell(a, program, *args)
    s.see('ready> ')
    pid = max(r['pid'] for r in a.living())
    s.do('sleep 1000 &', 'ready> ')
    s.do('(sleep 3; exit 9) &', 'ready> ')
    s.do('job=$!', 'ready> ')
    s.do('cat', '')
    until('cat runs', lambda: any(r['name'] == 'cat' for r in a.living()))
    s.type('before\r')
    s.see('before\nbefore\n')
    s.type('half a ')
    time.sleep(0.3)
    pid = a.migrate(pid, b)['pid']
    s.type('line\r')
    s.see('half a line\n')
    s.type('\x1a')
    s.see('Stopped')
    s.see('ready> ')
    s.do('fg', '(?s)cat.*')
    s.type('again\r')
    s.see('again\nagain\n')
    s.type('\x03')
    s.see('ready> ')
    s.do('echo "got $?"', 'got 130\n')
    s.do('wait $job; echo "job $?"', 'job 9\n')
    s.do('jobs', 'sleep 1000')
    b.migrate(pid, a)
    s.do('kill %1; wait; echo "all over"', 'all over\n')
    assert s.leave() == 3
    assert not a.living() + b.living()


def test_dash_keeps_its_jobs(a, b):
    job_control(a, b, 'dash', '-i')


def test_bash_keeps_its_jobs(a, b):
    job_control(a, b, 'bash', '--norc', '--noediting', '-i')


def test_vim_keeps_its_unsaved_buffer(a, b):
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'vim')):
        return
    s = Shell(a, 'dash', '-i', options=('--dir', IMAGE + '::/:ro'), term='xterm')
    s.see('ready> ')
    pid = max(r['pid'] for r in a.living())
    s.type('vim -u NONE /tmp/letter\r')
    until('vim runs', lambda: any(r['name'] == 'vim' for r in a.living()))
    s.see('~')
    s.type('ione line that nobody saved')
    s.see('nobody saved')
    pid = a.migrate(pid, b)['pid']
    s.type(' yet\x1b')
    time.sleep(0.5)
    b.migrate(pid, a)
    s.type(':wq\r')
    s.see('ready> ')
    s.type('cat /tmp/letter\r')
    s.see('cat /tmp/letter')
    s.see('one line that nobody saved yet')
    assert s.leave() == 3


@contextlib.contextmanager
def cleared(a, b):
    """What a case that fails leaves behind is not the next one's."""
    try:
        yield a, b
    finally:
        for n in (a, b):
            for r in n.living():
                with contextlib.suppress(nodes.Failed):
                    n.call('kill', r['pid'])


def main(tests):
    for name in NEEDS:
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    with nodes.two() as (a, b):
        sys.exit(cases.run(tests, sys.argv[2:], fixture=lambda: cleared(a, b)))


if __name__ == '__main__':
    main(globals())
