#!/usr/bin/env python3
"""split.py - a part of a family runs on another node: pipes, signals, status and wait go on between the parts.

	tests/wali/split.py WASMOS [NAME OF A CASE...]

Real nodes, real programs. Skipped where scripts/userland has not made dash, bash and busybox.
"""
import contextlib
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import families  # noqa: E402
from families import MOVES, PIPELINE, Shell, expect_sum, nodes, script, until  # noqa: E402


def named(node, name):
    """The number of the one that runs so called, or None."""
    return next((r['pid'] for r in node.living() if r['name'] == name), None)


def when(node, name):
    return until(f'{name} on {node.name}', lambda: named(node, name))


def part(here, there, name):
    """The process of that name alone moves; its number there."""
    return here.migrate(when(here, name), there, '--alone')['pid']


def all_over(*all_nodes):
    for n in all_nodes:
        until(f'nobody is left on {n.name}', lambda: not n.living())


def now_sleeps(node, seconds):
    return next((r['pid'] for r in node.living() if r['command'] == f'sleep {seconds}'), None)


def sleeper(node, seconds):
    return until(f'sleep {seconds}', lambda: now_sleeps(node, seconds))


def test_the_writer_of_a_pipeline_moves_alone(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'yes')
    assert named(a, 'head') and named(a, 'sha256sum'), a.living()
    assert len(b.living()) == 1, b.living()
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_the_middle_of_a_pipeline_moves_alone(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'head')
    assert named(a, 'yes') and named(a, 'sha256sum'), a.living()
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


def ctl(number, words, opened=4):
    """Shell text: the words are written to the process's ctl; what came of it is printed."""
    return f'exec {opened}<>/proc/{number}/ctl; if echo "{words}" >&{opened}; then echo done; else echo refused; fi; cat <&{opened}'


@contextlib.contextmanager
def signs():
    """A folder that a script waits in for names (told()), as /out; its options."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder, ('--dir', folder + '::/out')


def told(folder, name):
    with open(os.path.join(folder, name), 'w', encoding='utf-8'):
        pass


@contextlib.contextmanager
def third(a, b):
    with tempfile.TemporaryDirectory() as folder:
        c = nodes.Node(folder, 'three')
        c.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.pair(a, c)
        nodes.pair(b, c)
        try:
            yield c
        finally:
            a.call('unpair', 'three')
            c.call('down', '--end')


def places(node):
    """Of the relatives elsewhere, name, device and number there."""
    return [(r['name'], r['device'], r['pid_there']) for r in node.elsewhere()]


def test_ps_and_top_of_the_device_say_where_the_others_are(a, b):
    pid = script(a, 'dash -c "sleep 1000; exit 1" & sleep 2000 & wait; wait')
    child = until('the child', lambda: next((r['parent'] for r in a.living() if r['command'] == 'sleep 1000'), None))
    sleeper(a, 2000)
    assert not a.elsewhere()
    there = a.migrate(child, b, '--alone')['pid']
    until('where it is', lambda: places(a) == [('dash', 'two', there)])
    row, rows = a.elsewhere()[0], a.call('ps').splitlines()
    assert row['parent'] == pid and row['pid'] == child, row
    lines = [line for line in rows if 'elsewhere' in line]
    assert len(lines) == 1 and re.search(rf'  dash .*\(on two, where it is {there}\)', lines[0]), rows
    until('its relatives, there', lambda: len(b.elsewhere()) == 3 and all(d == 'one' for _, d, _ in places(b)))
    assert 'on one' in b.call('ps') and 'on one' in a.call('ps', '--on', 'two')
    top = a.json('top')
    assert [r['device'] for r in top if r['pid'] == there and r['name'] == 'dash'] == ['two'], top
    assert not [r for r in top if r['state'] == 'elsewhere'], top  # each device speaks for itself
    b.down()
    until('top knows of it', lambda: [r['pid'] for r in a.json('top') if r['state'] == 'elsewhere' and r['device'] == 'two'] == [there])
    b.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    until('it is awake', lambda: b.living())
    b.migrate(next(r['pid'] for r in b.living() if r['name'] == 'dash'), a)
    until('nobody is elsewhere there', lambda: not b.elsewhere())
    until('it is known to be here', lambda: [d for _, d, _ in places(a)] == ['one'] * 4)
    a.call('kill', '--family', pid)
    until('it is not listed any more', lambda: not places(a) or len(a.living()) < 2)
    for r in a.living():
        a.call('kill', r['pid'])
    all_over(a, b)


def test_one_that_is_elsewhere_is_moved_on_and_home_by_its_ctl(a, b):
    with third(a, b) as c:
        pid = script(a, f"""
            sleep 1000 & j=$!; {ctl('$j', 'migrate-alone two')}
            {ctl('$j', 'migrate three')}; grep Device /proc/$j/status; {ctl('$j', 'migrate nowhere')}; {ctl('$j', 'kill 0')}
            {ctl('$j', 'migrate-job one')}; {ctl('$j', 'migrate one')}; {ctl('$j', 'kill 15')}; wait $j; echo "status $?"
        """)
        assert a.wait(pid)['status'] == 0
        text = a.output(pid)
        ends = re.findall('done|refused', text)
        assert ends == ['done', 'done', 'refused', 'done', 'done', 'refused', 'done'], text
        assert 'now on three' in text and 'now on one' in text and 'nowhere' in text and 'status 143' in text, text
        assert 'Device:\tanother device' in text, text  # only who has control of its device is told names
        all_over(a, b, c)


def test_one_that_is_elsewhere_is_put_to_sleep_and_woken_by_its_ctl(a, b):
    with signs() as (folder, options):
        pid = script(a, f"""
            dash -c 'trap "exit 9" USR1; while :; do sleep 0.1; done' & j=$!; sleep 1; {ctl('$j', 'migrate-alone two')}; {ctl('$j', 'suspend')}
            until [ -e /out/woken ]; do sleep 0.1; done
            {ctl('$j', 'resume')}; kill -USR1 $j; wait $j; echo "status $?"
        """, *options)
        until('it was put to sleep', lambda: 'put to sleep on two' in a.output(pid))
        assert {r['state'] for r in b.ps() if r['state'] != 'exited'} == {'suspended'}, b.ps()  # what was said was true then
        told(folder, 'woken')
        assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert re.findall('done|refused', text) == ['done'] * 3 and 'status 9' in text, text
    all_over(a, b)


def test_one_that_cannot_be_reached_is_not_moved_later(a, b):
    with signs() as (folder, options):
        pid = script(a, f"""
            sleep 1000 & j=$!; {ctl('$j', 'migrate-alone two')}; until [ -e /out/cut ]; do sleep 0.1; done
            {ctl('$j', 'migrate-alone one')}; until [ -e /out/back ]; do sleep 0.1; done
            {ctl('$j', 'kill 9')}; wait $j; echo "status $?"
        """, *options)
        until('it has moved', lambda: 'done' in a.output(pid))
        b.down()
        start = time.monotonic()
        told(folder, 'cut')
        until('it was refused', lambda: 'refused' in a.output(pid))
        assert time.monotonic() - start < 30 and 'does not answer' in a.output(pid), a.output(pid)
        b.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.wait_for_link(a, b)
        until('it runs there', lambda: named(b, 'sleep'))
        time.sleep(1)  # what was given up would come now
        assert named(b, 'sleep') and not now_sleeps(a, 1000)
        told(folder, 'back')
        assert a.wait(pid)['status'] == 0
    assert 'status 137' in a.output(pid), a.output(pid)
    all_over(a, b)


def test_a_killed_one_on_a_lost_device_is_dead_and_dies_there_when_that_is_back(a, b):
    with signs() as (folder, options):
        pid = script(a, 'sleep 1000 & j=$!; sleep 2000 & k=$!; until [ -e /out/cut ]; do sleep 0.1; done; '
                        'kill -9 $j $k; wait $j; echo "first $?"; wait $k; echo "second $?"', *options)
        until('both', lambda: now_sleeps(a, 1000) and now_sleeps(a, 2000))
        there = [a.migrate(sleeper(a, w), b, '--alone')['pid'] for w in (1000, 2000)]
        b.call('suspend', there[1])
        b.down()  # the first sleeps too, and wakes when it comes up
        told(folder, 'cut')
        assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert 'first 137' in text and 'second 137' in text, text
    b.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    b.call('resume', there[1])
    all_over(a, b)


def test_who_is_killed_there_was_killed_here(a, b):
    pid = script(a, 'sleep 1000 & j=$!; sleep 2000 & k=$!; wait $j; echo "first $?"; kill $k; wait $k; echo "second $?"')
    until('three', lambda: len(a.living()) == 3)
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
    assert a.process(pid)['state'] in nodes.LIVES
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
        until('all', lambda: len([r for r in a.living() if r['name'] == 'sleep']) >= 3)
        n = len(a.living())
        holder = next(r['parent'] for r in a.living() if r['pid'] == sleeper(a, '1000'))
        try:
            a.migrate(holder, b, '--alone')
            raise AssertionError('it was parted')
        except nodes.Failed as e:
            assert re.search(r'/out/file: dash \(\d+\) and sleep \(\d+\) write it at one place: open it with >>', str(e)), e
        assert len(a.living()) >= n - 1 and not b.living()
        a.call('kill', '--family', pid)
    all_over(a, b)


def test_a_pipe_that_two_read_is_not_read_on_two_devices(a, b):
    pid = script(a, 'sleep 1001 | (sleep 1000; read x; echo "$x")')
    try:
        a.migrate(sleeper(a, 1000), b, '--alone')
        raise AssertionError('it was parted')
    except nodes.Failed as e:
        assert re.search(r'pipe: sleep \(\d+\) and dash \(\d+\) both read it: move them together', str(e)), e
    assert not b.living() and sleeper(a, 1001)
    a.call('kill', '--family', pid)
    all_over(a, b)


def test_a_family_is_parted_where_its_folders_are(a, b):
    with signs() as (_, options):
        pid = script(a, 'sleep 1000 & wait $!; echo "status $?"', *options)
        sleeper(a, 1000)
        pid = a.migrate(pid, b)['pid']
        try:
            b.migrate(sleeper(b, 1000), a, '--alone')
            raise AssertionError('it was parted')
        except nodes.Failed as e:
            assert 'is a folder of one, and a family is parted where its folders are: move all of it to one first' in str(e), e
        pid = b.migrate(pid, a)['pid']
        there = a.migrate(sleeper(a, 1000), b, '--alone')['pid']
        b.call('kill', there)
        assert a.wait(pid)['status'] == 0 and 'status 137' in a.output(pid), a.output(pid)
    all_over(a, b)


WRITER = 'i=0; trap stop=1 USR1; until [ "$stop" ]; do i=$((i+1)); echo "$0 $i $LONG"; done; echo "$0 $i end" >&2'
CHECK = '{ if ($2 != n[$1] + 1 || length($3) != 3000) bad++; n[$1] = $2 } END { print "read", n["one"], n["two"], "bad", bad + 0 }'
WRITERS = f"""export LONG=$(printf %03000d 7)
    (dash -c '{WRITER}' one & one=$!; dash -c '{WRITER}' two & two=$!
    until [ -e /out/two ]; do sleep 0.1; done; kill -USR1 $two; until [ -e /out/one ]; do sleep 0.1; done; kill -USR1 $one; wait; wait) | awk '{CHECK}'
    echo "over $?"
"""


def writer(node, name):
    return until(f'writer {name}', lambda: next((r['pid'] for r in node.living() if r['command'].endswith(' ' + name)), None))


def expect_lines(text):
    ends = dict(re.findall(r'(one|two) (\d+) end', text))
    read = re.search(r'read (\d+) (\d+) bad (\d+)', text)
    assert read and read.groups() == (ends.get('one'), ends.get('two'), '0'), text
    assert int(read.group(1)) > 20 and int(read.group(2)) > 20 and 'over 0' in text, text


def test_a_pipe_that_two_write_is_written_on_two_devices(a, b):
    with signs() as (folder, options):
        pid = script(a, WRITERS, *options)
        writer(a, 'two')
        there = a.migrate(writer(a, 'one'), b, '--alone')['pid']
        assert writer(a, 'two') and named(a, 'awk') and len(b.living()) == 1, (a.living(), b.living())
        pid, there = a.migrate(pid, b)['pid'], b.migrate(there, a)['pid']
        b.call('suspend', pid)
        b.call('resume', pid)
        pid = until('it is awake', lambda: named(b, 'awk') and next(r['pid'] for r in b.living() if not r['parent']))
        a.call('suspend', there)
        a.call('resume', there)
        told(folder, 'two')
        until('two has ended', lambda: ' end' in b.output(pid))
        assert 'read' not in b.output(pid), b.output(pid)
        told(folder, 'one')
        assert b.wait(pid)['status'] == 0
        expect_lines(b.output(pid))
    all_over(a, b)


def test_all_who_write_a_pipe_hear_that_nobody_reads_it(a, b):
    with signs() as (folder, options):
        pid = script(a, """
            (dash -c 'while echo line; do :; done' one & one=$!; dash -c 'while echo line; do :; done' two & two=$!
            wait $one; echo "one $?" >&2; wait $two; echo "two $?" >&2) | (until [ -e /out/end ]; do read x; done; echo "read $x")
        """, *options)
        writer(a, 'two')
        a.migrate(writer(a, 'one'), b, '--alone')
        told(folder, 'end')
        assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert 'read line' in text and 'one 141' in text and 'two 141' in text, text
    all_over(a, b)


def test_what_a_part_elsewhere_writes_is_shown_in_order(a, b):
    pid = script(a, """
        dash -c 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; sleep 0.1; done; echo "err $?" >&2; exit 5' & job=$!
        wait $job; echo "status $?"
    """)
    until('it began', lambda: 'line 3' in a.output(pid))
    child = next(r['pid'] for r in a.living() if r['name'] == 'dash' and r['pid'] != pid)
    there = a.migrate(child, b, '--alone')['pid']
    time.sleep(1)
    b.migrate(there, a)
    assert a.wait(pid)['status'] == 0
    text = a.output(pid)
    assert re.findall(r'line (\d+)', text) == [str(i) for i in range(1, 41)] and text.rstrip().endswith('status 5'), text
    all_over(a, b)


def job_elsewhere(a, b, program, *args):
    s = Shell(a, program, *args)
    s.see('ready> ')
    s.do('cat', '')
    cat = when(a, 'cat')
    s.type('before\r')
    s.see('before\nbefore\n')
    there = a.migrate(cat, b, '--alone')['pid']
    s.type('after\r')
    s.see('after\nafter\n')
    assert b.process(there)['state'] in nodes.LIVES
    s.type('\x1a')
    s.see('Stopped')
    s.see('ready> ')
    s.do('jobs', 'cat')
    s.do('echo "still $?"', 'still 0\n')
    s.do('bg', 'ready> ')
    time.sleep(0.5)  # it stops there, in the background, for input
    s.do('fg', '(?s)cat.*')
    s.type('again\r')
    s.see('again\nagain\n')
    s.type('\x03')
    s.see('ready> ')
    s.do('echo "got $?"', 'got 130\n')
    until('it has ended there', lambda: not b.living())
    s.do('(sleep 3; echo from afar; exit 4) &', 'ready> ')
    s.do('job=$!', 'ready> ')
    sleeping = until('it sleeps', lambda: next((r['parent'] for r in a.living() if r['command'] == 'sleep 3'), None))
    a.migrate(sleeping, b, '--job')
    assert len(b.living()) == 2, b.living()
    s.do('wait $job; echo "job $?"', '(?s)from afar.*job 4\n')
    assert s.leave() == 3
    all_over(a, b)


def test_dash_has_a_job_elsewhere(a, b):
    job_elsewhere(a, b, 'dash', '-i')


def test_bash_has_a_job_elsewhere(a, b):
    job_elsewhere(a, b, 'bash', '--norc', '--noediting', '-i')


def test_the_leader_of_a_pipeline_moves_alone(a, b):
    pid = script(a, PIPELINE)
    until('all', lambda: named(a, 'sha256sum'))
    pid = a.migrate(pid, b, '--alone')['pid']
    assert named(a, 'yes') and named(a, 'head') and named(a, 'sha256sum'), a.living()
    assert [r['pid'] for r in b.living()] == [pid], b.living()
    assert b.wait(pid)['status'] == 0
    expect_sum(b.output(pid))
    all_over(a, b)


def test_a_shell_moves_and_its_jobs_stay(a, b):
    s = Shell(a, 'bash', '--norc', '--noediting', '-i')
    s.see('ready> ')
    pid = named(a, 'bash')
    s.do('sleep 1000 &', 'ready> ')
    s.do('(i=0; until [ $i = 60 ]; do i=$((i+1)); echo "here $i"; sleep 0.1; done; exit 4) &', 'here 3\n')
    s.do('job=$!', 'ready> ')
    pid = a.migrate(pid, b, '--alone')['pid']
    assert [r['pid'] for r in b.living()] == [pid] and len(a.living()) >= 3, (a.living(), b.living())
    s.see('here 20\n')
    s.do('kill %1; wait %1; echo "first $?"', '(?s)first 143\n')
    s.see('here 60\n')
    s.do('wait $job; echo "second $?"', 'second 4\n')
    until('its jobs are over', lambda: len(b.living()) == 1 and not a.living())
    s.do('echo $((6*7)) | cat', '42\n')
    b.migrate(pid, a)
    assert s.leave() == 3
    all_over(a, b)


def test_who_stayed_comes_back_with_its_node_and_its_leader_elsewhere_is_told(a, b):
    pid = script(a, 'dash -c "sleep 12; exit 9" & wait $!; echo "status $?"', '--checkpoint', '1')
    until('it sleeps', lambda: named(a, 'sleep'))
    child = next(r['parent'] for r in a.living() if r['name'] == 'sleep')
    pid = a.migrate(pid, b, '--alone')['pid']
    n = (a.process(child) or {}).get('checkpoints', 0)
    until('a checkpoint', lambda: (a.process(child) or {}).get('checkpoints', 0) > n)
    a.kill9()
    a.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    until('it is back', lambda: a.living())
    assert b.wait(pid)['status'] == 0
    assert 'status 9' in b.output(pid), b.output(pid)
    all_over(a, b)


def test_a_link_that_is_cut_is_waited_for(a, b):
    pid = script(a, PIPELINE)
    part(a, b, 'head')
    for _ in range(3):
        b.down()  # what runs there sleeps meanwhile
        time.sleep(0.3)
        assert a.process(pid)['state'] in nodes.LIVES
        b.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.wait_for_link(a, b)
    assert a.wait(pid)['status'] == 0
    expect_sum(a.output(pid))
    all_over(a, b)


def test_a_part_that_was_killed_with_its_node_comes_back_and_its_status_is_told(a, b):
    pid = script(a, 'dash -c "sleep 12; exit 9" & wait $!; echo "status $?"', '--checkpoint', '1')
    until('it sleeps', lambda: named(a, 'sleep'))
    child = next(r['parent'] for r in a.living() if r['name'] == 'sleep')
    there = a.migrate(child, b, '--alone')['pid']
    until('a checkpoint there', lambda: (b.process(there) or {}).get('checkpoints'))
    b.kill9()
    b.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    until('it is back', lambda: b.living())
    assert a.wait(pid)['status'] == 0
    assert 'status 9' in a.output(pid), a.output(pid)
    all_over(a, b)


def crash_of_a_new_part(a, b, comes):
    """The device that a part has come to, or that has those that it has left, is killed before the time of a checkpoint."""
    pid = script(a, 'dash -c "sleep 10; exit 9" & wait $!; echo "status $?"', '--checkpoint', '3000')
    until('it sleeps', lambda: named(a, 'sleep'))
    child = next(r['parent'] for r in a.living() if r['name'] == 'sleep')
    there = a.migrate(child, b, '--alone')['pid']
    node, number = (b, there) if comes else (a, pid)
    until(f'a checkpoint on {node.name}', lambda: (node.process(number) or {}).get('checkpoints'))
    node.kill9()
    node.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    until('it is back', lambda: node.living())
    assert a.wait(pid)['status'] == 0
    assert 'status 9' in a.output(pid), a.output(pid)
    all_over(a, b)


def test_a_part_is_checkpointed_when_it_comes(a, b):
    crash_of_a_new_part(a, b, True)


def test_who_stays_is_checkpointed_when_a_part_leaves(a, b):
    crash_of_a_new_part(a, b, False)


def checkpoints(node, number):
    return (node.process(number) or {}).get('checkpoints', 0)


def test_parts_whose_devices_crash_in_turn_find_each_other_again(a, b):
    pid = script(a, 'dash -c "sleep 20; exit 9" & wait $!; echo "status $?"', '--checkpoint', '3000')
    until('it sleeps', lambda: named(a, 'sleep'))
    child = next(r['parent'] for r in a.living() if r['name'] == 'sleep')
    there = a.migrate(child, b, '--alone')['pid']
    until('both have one', lambda: checkpoints(a, pid) and checkpoints(b, there))
    time.sleep(1)  # what was told while one was made gives another
    for node, number, other, its in ((a, pid, b, there), (b, there, a, pid)):
        before = checkpoints(other, its)
        node.kill9()
        node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.wait_for_link(a, b)
        until('it is back', lambda n=node: n.living())
        until('what it told is kept', lambda o=other, i=its, n=before: checkpoints(o, i) > n)
        until('it is kept again', lambda n=node, i=number: checkpoints(n, i))
    assert a.wait(pid)['status'] == 0
    assert 'status 9' in a.output(pid), a.output(pid)
    all_over(a, b)


def test_the_rest_that_was_killed_with_its_node_comes_back_once(a, b):
    pid = script(a, 'sleep 1000 & j=$!; sleep 12; kill $j; wait $j; echo "status $?"', '--checkpoint', '1')
    until('a checkpoint', lambda: (a.process(pid) or {}).get('checkpoints'))
    a.migrate(sleeper(a, 1000), b, '--alone')
    sleeper(b, 1000)
    before = a.process(pid)['checkpoints']
    until('a checkpoint after all that was told', lambda: a.process(pid)['checkpoints'] > before + 1)
    a.kill9()
    a.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    until('it is back', lambda: a.living())
    assert not any(r['command'] == 'sleep 1000' for r in a.living()), a.living()
    assert a.wait(pid)['status'] == 0
    assert 'status 143' in a.output(pid), a.output(pid)
    all_over(a, b)


def test_who_brings_an_older_image_back_has_lost_the_other_part(a, b):
    pid = script(a, PIPELINE, '--checkpoint', '1')
    y = part(a, b, 'yes')
    until('a checkpoint there', lambda: (b.process(y) or {}).get('checkpoints'))
    time.sleep(1)
    b.kill9()
    b.up('--listen', '127.0.0.1:0', '--display', 'headless')
    nodes.wait_for_link(a, b)
    assert a.wait(pid)['state'] == 'exited', a.process(pid)  # with what came, or head says that the connection was reset
    all_over(a, b)


def test_three_parts_on_three_devices_and_one_that_is_removed(a, b):
    with tempfile.TemporaryDirectory() as folder:
        c = nodes.Node(folder, 'three')
        c.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.pair(a, c)
        nodes.pair(b, c)
        pid, yes, head = script(a, PIPELINE), part(a, b, 'yes'), part(a, c, 'head')
        yes = b.migrate(yes, c)['pid']
        pid = a.migrate(pid, b)['pid']
        c.migrate(head, a)
        c.migrate(yes, b)
        pid = b.migrate(pid, c)['pid']
        assert c.wait(pid)['status'] == 0
        expect_sum(c.output(pid))
        pid = script(a, 'sleep 1000; echo "status $?"')
        part(a, c, 'sleep')
        a.call('unpair', 'three')
        assert a.wait(pid)['status'] == 0
        assert 'status 137' in a.output(pid), a.output(pid)
        c.call('down', '--end')
    all_over(a, b)


if __name__ == '__main__':
    families.main(globals())
