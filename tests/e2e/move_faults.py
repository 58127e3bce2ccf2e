#!/usr/bin/env python3
"""move_faults.py - each of the two nodes of a move is killed with -9 at each step of it, and the link is cut at each step.

The process has arrived on the first node before, so that its image is on a disk when that node is killed while it still
runs there. After the fault the dead node is started again and the two meet. Then exactly one copy must run (or one is
shown as in flight, which `wasmos resume --force` must bring back), and it must end as an unbroken run ends.

	tests/e2e/move_faults.py WASMOS GUEST.wasm [quick | all] [STEP ...]
"""
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
GUEST = os.path.abspath(sys.argv[2])
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import nodes  # noqa: E402

STEPS = '250'
LIVE = {'running', 'waiting', 'starting', 'frozen', 'moving'}
# In order of the protocol (migrate/mover.h); :2 is the second time the node passes there. The source has written one record
# (its arrival: two writes, and FORGOTTEN's) before, so its counts for both.* go on from three.
SOURCE = ['send.MOVE_OFFER', 'got.MOVE_ACCEPT', 'source.SCAN', 'send.MOVE_ROUND', 'source.ROUND', 'source.FREEZE', 'source.FINAL',
          'send.MOVE_PREPARE', 'got.MOVE_PREPARED', 'both.WRITE', 'both.WRITTEN', 'send.MOVE_COMMIT', 'got.MOVE_RUNS',
          'got.MOVE_OWNED', 'both.WRITTEN:2', 'send.MOVE_FORGOTTEN', 'source.FORGET', 'source.OVER']
TARGET = ['got.MOVE_OFFER', 'target.ADMIT', 'send.MOVE_ACCEPT', 'target.BULK', 'target.BARRIER', 'send.MOVE_ROUND_OK',
          'got.MOVE_PREPARE', 'target.PREPARE', 'send.MOVE_PREPARED', 'got.MOVE_COMMIT', 'both.WRITE', 'both.WRITTEN',
          'target.RUN', 'send.MOVE_RUNS', 'both.WRITTEN:2', 'send.MOVE_OWNED', 'target.KEEP', 'got.MOVE_FORGOTTEN']
QUICK = {'source.ROUND', 'got.MOVE_PREPARED', 'both.WRITTEN', 'send.MOVE_COMMIT', 'got.MOVE_RUNS', 'source.FORGET',
         'target.PREPARE', 'got.MOVE_COMMIT', 'target.RUN', 'both.WRITTEN:2', 'send.MOVE_OWNED'}


class Wrong(Exception):
    pass


def rows_of(node):
    return [r for r in node.json('ps') if r['name'] == 'counter']


def wait_until(what, text, timeout_s=25):
    end = time.monotonic() + timeout_s
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise Wrong(text)
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def linked(a, b):
    return all(any(r['name'] == p.name and (r.get('up') or r.get('state') == 'up') for r in n.json('peers'))
               for n, p in ((a, b), (b, a)))


def copies(a, b):
    """Live copies as (node, row), and those in flight."""
    live, flying = [], []
    for node in (a, b):
        for row in rows_of(node):
            (flying if row['state'] == 'in flight' else live if row['state'] in LIVE else []).append((node, row))
    return live, flying


def settled(a, b):
    live, flying = copies(a, b)
    if len(live) > 1:
        time.sleep(0.3)  # one look at each node is not one moment: look again
        live, flying = copies(a, b)
        if len(live) > 1:
            raise Wrong(f'two copies live: {live}')
    return live[0] if len(live) == 1 and not flying else None


def up_again(node):
    """The lock of a node that was killed goes when the last of its threads has."""
    for again in range(50):
        try:
            return node.up(*node.options)
        except nodes.Failed as e:
            if 'serves this home already' not in str(e) or again == 49:
                raise
            time.sleep(0.05)


def give_hook(node, name, step):
    """The node is started again with a step to fail at: nothing it has is lost by that."""
    node.env.pop('WASMOS_CRASH_AT', None)
    node.env.pop('WASMOS_CUT_AT', None)
    if name:
        node.env[name] = step


def scenario(folder, kind, role, step, expected):
    a, b = nodes.Node(f'{folder}/a', 'desk'), nodes.Node(f'{folder}/b', 'laptop')
    for node in (a, b):  # the same port after a restart: that is where the other looks
        node.options = ['--listen', f'127.0.0.1:{free_port()}', '--display', 'headless']
    hook = 'WASMOS_CRASH_AT' if kind == 'kill' else 'WASMOS_CUT_AT'
    failing = a if role == 'source' else b
    try:
        a.up(*a.options)
        b.up(*b.options)
        nodes.pair(a, b)
        pid = b.start([GUEST, STEPS], '--name', 'counter')
        pid = b.migrate(pid, a)['pid']
        # Both start anew, so that every step is counted from here; the process comes back from its image.
        a.kill9()
        b.kill9()
        give_hook(failing, hook, step)
        up_again(a)
        up_again(b)
        wait_until(lambda: linked(a, b), 'the nodes do not meet')
        try:  # perhaps while it is still rebuilt from its image: that is waited for
            a.migrate(pid, b, timeout_s=20)
            said = 'moved'
        except (nodes.Failed, subprocess.TimeoutExpired) as e:
            said = str(e)
        if kind == 'kill':
            wait_until(lambda: not failing.is_up(), f'step {step} was not passed; {said}')
            give_hook(failing, None, None)
            up_again(failing)
        wait_until(lambda: linked(a, b), 'the nodes do not meet again')
        forced = False
        try:
            node, row = wait_until(lambda: settled(a, b), 'it stays in flight', 8)
        except Wrong:
            live, flying = copies(a, b)
            if live or len(flying) != 1:
                raise Wrong(f'live {live}, in flight {flying}') from None
            flying[0][0].call('resume', flying[0][1]['pid'], '--force')
            forced = True
            node, row = wait_until(lambda: settled(a, b), f'force does not help: {copies(a, b)}')
        end = node.wait(row['pid'], timeout_s=40)
        text = node.output(row['pid'])
        if end['status'] != 7 or expected not in text:
            raise Wrong(f'it ended otherwise: {end["state"]} {end.get("status")} {text!r}')
        return 'one copy, which ' + ('taken back by force, ' if forced else '') + f'ended on {node.name}'
    except (Wrong, nodes.Failed, subprocess.TimeoutExpired) as e:
        logs = '\n'.join(f'# {n.name}: {line}' for n in (a, b) for line in n.log().splitlines()[-12:])
        raise Wrong(f'{e}\n{logs}') from None
    finally:
        for node in (a, b):
            give_hook(node, None, None)
            if node.is_up():
                node.kill9()


def passed(file, step):
    if not os.path.exists(file):
        return False
    with open(file) as f:
        return any(line.split()[-1] == step for line in f)


def gone_while_it_is_written(folder):
    """The link goes while the source writes that it gives the process up, and the other device does not come back. False: it did, that
    was too late."""
    a, b = nodes.Node(f'{folder}/a', 'desk'), nodes.Node(f'{folder}/b', 'laptop')
    a.env.update(WASMOS_CUT_AT='both.WRITE', WASMOS_STEPS=f'{folder}/steps')
    try:
        a.up('--listen', '127.0.0.1:0', '--display', 'headless')
        b.up('--listen', '127.0.0.1:0', '--display', 'headless')
        nodes.pair(a, b)
        pid = a.start([GUEST, STEPS], '--name', 'counter')
        move = a.spawn('migrate', pid, 'laptop', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while move.poll() is None and not passed(f'{folder}/steps', 'both.WRITE'):
            time.sleep(0.001)
        b.kill9()
        try:
            said = move.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            move.kill()
            raise Wrong('who asked for the move waits for ever') from None
        flying = [r for r in rows_of(a) if r['state'] == 'in flight']
        if flying and 'in flight' not in said:
            raise Wrong(f'it is in flight, and that is not said: {said!r}')
        if flying:
            a.call('resume', pid, '--force')
            if a.wait(pid, timeout_s=40)['status'] != 7:
                raise Wrong('it ended otherwise')
        return bool(flying)
    finally:
        for node in (a, b):
            if node.is_up():
                node.kill9()


def told_when_it_is_gone(folder):
    if not any(gone_while_it_is_written(f'{folder}/gone{i}') for i in range(8)):
        raise Wrong('in 8 tries the other device was never gone in time')
    return 'who waits is told'


def solo(folder):
    """What an unbroken run prints."""
    node = nodes.Node(f'{folder}/ref', 'ref')
    r = subprocess.run(node.command('run', '--solo', GUEST, STEPS), env=node.env, stdout=subprocess.PIPE, text=True)
    if r.returncode != 7:
        raise SystemExit(f'the guest does not run alone: exit status {r.returncode}')
    return r.stdout.strip()


def main():
    words = sys.argv[3:]
    quick = 'all' not in words
    only = [w for w in words if w not in ('quick', 'all')]
    cases = [(kind, role, step) for kind in ('kill', 'cut')
             for role, steps in (('source', SOURCE), ('target', TARGET)) for step in steps
             if (step in only if only else not quick or step in QUICK)]
    folder = tempfile.mkdtemp(prefix='wasmos-faults-')
    expected = solo(folder)
    runs = [(f'{role} {"is killed" if kind == "kill" else "loses its link"} at {step}',
             functools.partial(scenario, f'{folder}/{i}', kind, role, step, expected)) for i, (kind, role, step) in enumerate(cases, 1)]
    if not only:
        runs.append(('a link that is gone for good while the source writes', functools.partial(told_when_it_is_gone, folder)))
    print(f'1..{len(runs)}', flush=True)
    bad = 0
    for i, (name, run) in enumerate(runs, 1):
        try:
            print(f'ok {i} - {name}: {run()}', flush=True)
        except Wrong as e:
            bad += 1
            print(f'not ok {i} - {name}\n# ' + str(e).replace('\n', '\n# '), flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
