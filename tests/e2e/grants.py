"""grants.py - folders given to programs: known as long as somebody may come back for them, forgotten then (person.py says how to run it)."""
import json
import os
import re
import signal
import sys

from person import GUEST, has_ended, main, paired, until

LINES = 16000  # 4 seconds of copying


def up(h, **env):
    h.env.pop('WASMOS_CRASH_AT', None)
    h.env.update(env)
    h.ok('up', '--listen', '127.0.0.1:0', '--display', 'headless')


def folder(h):
    data = h.folder + '-data'
    os.makedirs(data, exist_ok=True)
    with open(data + '/in', 'w') as f:
        f.writelines(f'line {i}\n' for i in range(LINES))
    return data


def give(h, data, *argv, wait=True):
    words = ['--dir', f'{data}::/data', GUEST, *argv]
    return h.ok('run', *words) if wait else int(h.ok('run', '-d', '--checkpoint', 1, *words))


def forgotten(h):
    with open(h.folder + '/log') as f:
        return sum(map(int, re.findall(r'what (\d+) programs that are over were given was forgotten', f.read())))


def end_of_copy(h, pid, data):
    until(lambda: h.ps('-a').get(pid, {}).get('state') == 'exited', timeout=40)
    with open(data + '/in') as a, open(data + '/out') as b:
        assert a.read() == b.read()


def start_copy(h, data):
    pid = give(h, data, 'copy', '/data/in', '/data/out', wait=False)
    until(lambda: h.ps()[pid].get('checkpoints', 0) > 0, timeout=30)
    return pid


def test_what_programs_were_given_is_forgotten_when_they_are_over_but_for_those_that_may_come_back(h):
    up(h)
    data, copy = folder(h), h.folder + '-snapshot'
    kept = give(h, data, 'copy', '/data/in', '/data/other', wait=False)
    until(lambda: 'copying' in h.ok('logs', kept))
    h.ok('snapshot', kept, '-o', copy)
    h.ok('kill', kept)
    pid = start_copy(h, data)
    for _ in range(25):
        give(h, data, 'args')
    until(lambda: forgotten(h) >= 20)
    os.kill(h.node_pid(), signal.SIGKILL)
    up(h)
    until(lambda: forgotten(h) >= 25)
    end_of_copy(h, pid, data)
    again = int(re.search(r'\d+', h.ok('restore', copy)).group(0))
    until(lambda: h.ps('-a')[again]['state'] == 'exited', timeout=40)
    with open(data + '/in') as a, open(data + '/other') as b:
        assert a.read() == b.read()


def crash_at(h, step):
    data = folder(h)
    up(h, WASMOS_CRASH_AT=step)
    node = h.node_pid()
    pid = start_copy(h, data)
    for _ in range(25):
        if h.run('run', '--dir', f'{data}::/data', GUEST, 'args')[0] != 0:
            break
    until(lambda: has_ended(node), timeout=20)
    up(h)
    end_of_copy(h, pid, data)
    return forgotten(h)


def test_a_node_killed_before_it_forgets_does_it_when_it_is_up_again(h):
    assert crash_at(h, 'grants.REMOVE') >= 20


def test_a_node_killed_when_it_has_just_forgotten_keeps_what_a_running_program_needs(h):
    crash_at(h, 'grants.REMOVED')


def test_a_program_that_moved_away_is_served_after_others_were_forgotten(h):
    data = folder(h)
    with paired(h) as other:
        pid = give(h, data, 'copy', '/data/in', '/data/out', wait=False)
        until(lambda: 'copying' in h.ok('logs', pid))
        pid = json.loads(h.ok('migrate', pid, 'laptop', '--json'))['pid']
        for _ in range(25):
            give(h, data, 'args')
        until(lambda: forgotten(h) >= 20)
        os.kill(h.node_pid(), signal.SIGKILL)
        up(h)
        end_of_copy(other, pid, data)


if __name__ == '__main__':
    sys.exit(main(globals()))
