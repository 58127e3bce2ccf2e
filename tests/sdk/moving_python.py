#!/usr/bin/env python3
"""moving_python.py - a Python program with children, threads and a database goes on on another device, many times.

	tests/sdk/moving_python.py WASMOS [MOVES]

Two real nodes. Skipped where scripts/userland has not made python.
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / 'scripts'), str(HERE.parent / 'e2e')]
os.environ['WASMOS'] = sys.argv[1]
import cases  # noqa: E402
import nodes  # noqa: E402

CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'wasmos'
IMAGE = pathlib.Path(os.environ.get('WASMOS_USERLAND') or CACHE / 'userland') / 'image'
MOVES = int(sys.argv[2]) if sys.argv[2:] else 10

# What it prints does not depend on who is first: each number comes once.
SCRIPT = '''
import os, signal, sqlite3, threading
ROUNDS, CHILDREN, THREADS = 300000, 3, 2
alarms = []
signal.signal(signal.SIGALRM, lambda number, frame: alarms.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
base = sqlite3.connect(':memory:')
base.execute('create table squares (who int, n int)')
def child(who, to):
    for n in range(ROUNDS // 100):
        s = sum(i * i % 7 for i in range(100))
        os.write(to, b'%d %d\\n' % (who, n + s))
    os._exit(who)
ends = []
for who in range(CHILDREN):
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(r)
        child(who, w)
    os.close(w)
    ends.append((pid, os.fdopen(r)))
totals = [0] * THREADS
def thread(which):
    for n in range(ROUNDS):
        totals[which] += n
threads = [threading.Thread(target=thread, args=(i,)) for i in range(THREADS)]
for t in threads:
    t.start()
for pid, lines in ends:
    base.executemany('insert into squares values (?, ?)', (line.split() for line in lines))
for t in threads:
    t.join()
signal.setitimer(signal.ITIMER_REAL, 0)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, lines in ends], totals, len(alarms) > 0)
print(base.execute('select who, count(*), sum(n) from squares group by who').fetchall())
'''


def test_children_threads_and_a_database_are_what_they_were_after_many_moves():
    with nodes.two('desk', 'phone') as (desk, phone):
        pid = desk.start([str(IMAGE / 'bin' / 'python3.11'), '-c', SCRIPT], '--dir', f'{IMAGE}::/:ro')
        trip = nodes.Journey(desk, phone, pid).go(MOVES)
        said = trip.end()
        unbroken = subprocess.run([sys.executable, '-c', SCRIPT], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert said == unbroken, (said, unbroken)
        assert len(trip.costs) == MOVES, trip.costs


if __name__ == '__main__':
    if not (IMAGE / 'bin' / 'python3.11').exists():
        print('1..0 # SKIP python is not made: scripts/userland python')
        sys.exit(77)
    sys.exit(cases.run(globals()))
