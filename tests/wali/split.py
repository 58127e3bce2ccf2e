#!/usr/bin/env python3
"""split.py - a part of a family runs on another node: pipes, signals, status and wait go on between the parts.

	tests/wali/split.py WASMOS [NAME OF A CASE...]

Real nodes, real programs. Skipped where scripts/userland has not made dash, bash and busybox.
"""
import hashlib
import os
import re
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
os.environ['WASMOS'] = sys.argv[1]
import nodes  # noqa: E402
from terminal import IMAGE, Terminal  # noqa: E402

OPTIONS = ['--env', 'PATH=/bin', '--dir', os.path.join(IMAGE, 'bin') + '::/bin:ro']
BYTES = int(os.environ.get('FAMILY_MB', '40')) << 20
MOVES = int(os.environ.get('FAMILY_MOVES', '8'))
PATIENCE_S = 60
LIVES = ('running', 'waiting')


def script(node, text, *options):
    return node.start([os.path.join(IMAGE, 'bin', 'dash'), '-c', text], *OPTIONS, *options)


def living(node):
    return [r for r in node.ps() if r['state'] in LIVES]


def until(what, fn):
    end = time.monotonic() + PATIENCE_S
    while not (v := fn()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.02)
    return v


def named(node, name):
    """The number of the one that runs so called, or None."""
    return next((r['pid'] for r in living(node) if r['name'] == name), None)


def when(node, name):
    return until(lambda: f'{name} on {node.name}: {node.ps()}', lambda: named(node, name))


def part(here, there, name):
    """That process alone moves; its number there."""
    return here.migrate(when(here, name), there, '--alone')['pid']


def all_over(*all_nodes):
    for n in all_nodes:
        until(lambda: f'nobody is left on {n.name}: {living(n)}', lambda: not living(n))


def sleeper(node, seconds):
    return until(f'sleep {seconds}', lambda: next((r['pid'] for r in living(node) if r['command'] == f'sleep {seconds}'), None))


PIPELINE = f'yes | head -c {BYTES} | sha256sum; echo "pipeline $?"'


def expect_sum(text):
    want = hashlib.sha256(b'y\n' * (BYTES // 2)).hexdigest()
    assert want in text and 'pipeline 0' in text, text


def test_the_writer_of_a_pipeline_moves_alone(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'yes')
    assert named(a, 'head') and named(a, 'sha256sum'), living(a)
    assert len(living(b)) == 1, living(b)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_the_middle_of_a_pipeline_moves_alone(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'head')
    assert named(a, 'yes') and named(a, 'sha256sum'), living(a)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_kill_of_a_part_elsewhere(a, b):
    pid = script(a, """
        dash -c 'trap "echo caught; exit 7" USR1; echo "up $$ of $PPID"; while :; do sleep 0.1; done' & job=$!
        sleep 6; kill -0 $job && echo there; kill -USR1 $job; wait $job; echo "status $?"
        kill -0 $job 2>/dev/null || echo gone
    """)
    job = int(until('started', lambda: re.search(r'up (\d+) of', a.output(pid))).group(1))
    a.migrate(job, b, '--alone')
    assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert 'there' in text and 'status 7' in text and 'gone' in text, text
    all_over(a, b)


def test_who_is_killed_there_was_killed_here(a, b):
    pid = script(a, 'sleep 1000 & j=$!; sleep 2000 & k=$!; wait $j; echo "first $?"; kill $k; wait $k; echo "second $?"')
    until('three', lambda: len(living(a)) == 3)
    first, second = (sleeper(a, w) for w in ('1000', '2000'))
    first, second = (a.migrate(p, b, '--alone')['pid'] for p in (first, second))
    b.call('kill', first)
    assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert 'first 137' in text and 'second 143' in text, text
    all_over(a, b)


def test_both_parts_move_again_and_home(a, b):
    pid = script(a, PIPELINE)
    y = part(a, b, 'yes')
    where = {'yes': b, 'rest': a}
    numbers = {'yes': y, 'rest': pid}
    moves = 0
    try:
        for i in range(MOVES):
            who = 'yes' if i % 2 else 'rest'
            here = where[who]
            there = a if here is b else b
            numbers[who] = here.migrate(numbers[who], there)['pid']
            where[who] = there
            moves += 1
    except nodes.Failed as e:
        assert 'ended' in str(e) or 'no process' in str(e), e
    assert where['rest'].wait(numbers['rest'])['status'] == 0
    expect_sum(where['rest'].output(numbers['rest']))
    assert moves > 2, moves
    all_over(a, b)


def test_a_part_sleeps_and_wakes(a, b):
    pid = script(a, PIPELINE)
    y = part(a, b, 'yes')
    b.call('suspend', y)
    time.sleep(1)
    assert a.process(pid)['state'] in LIVES
    b.call('resume', y)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_the_rest_sleeps_and_wakes(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'yes')
    a.call('suspend', pid)
    time.sleep(1)
    assert named(b, 'yes')
    a.call('resume', pid)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_what_cannot_be_parted_is_refused_and_goes_on(a, b):
    with tempfile.TemporaryDirectory() as folder:
        pid = script(a, '(sleep 1000; echo x) > /out/file & (sleep 1001; echo y) | (sleep 2; wc -c; sleep 1002) & wait', '--dir', folder + '::/out')
        until('all', lambda: len([r for r in living(a) if r['name'] == 'sleep']) >= 3)
        n = len(living(a))
        holder = next(r['parent'] for r in living(a) if r['pid'] == sleeper(a, '1000'))
        try:
            a.migrate(holder, b, '--alone')
            raise AssertionError('it was parted')
        except nodes.Failed as e:
            assert 'a process that stays writes it too' in str(e), e
        assert len(living(a)) >= n - 1 and not living(b)
        a.call('kill', '--family', pid)
    all_over(a, b)


def main():
    for name in ('dash', 'bash', 'busybox', 'yes', 'sha256sum', 'cat', 'sleep'):
        if not os.path.exists(os.path.join(IMAGE, 'bin', name)):
            print(f'1..0 # SKIP {name} is not made: scripts/userland makes it')
            sys.exit(77)
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_') and (not wanted or any(w in n for w in wanted))]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        a, b = (nodes.Node(os.path.join(folder, n), n) for n in ('one', 'two'))
        try:
            for n in (a, b):
                n.up('--listen', '127.0.0.1:0', '--display', 'headless')
            nodes.pair(a, b)
            for i, (name, test) in enumerate(tests, 1):
                try:
                    test(a, b)
                    print(f'ok {i} - {name[5:].replace("_", " ")}', flush=True)
                except (AssertionError, nodes.Failed) as e:
                    failed += 1
                    print(f'not ok {i} - {name[5:].replace("_", " ")}')
                    print('# ' + repr(e).replace('\\n', '\n# '), flush=True)
                    for n in (a, b):
                        for r in living(n):
                            n.call('kill', r['pid'])
        finally:
            for n in (a, b):
                if failed:
                    print(n.name, n.log()[-1500:])
                if n.is_up():
                    n.call('down', '--end')
    print(f'1..{len(tests)}')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
