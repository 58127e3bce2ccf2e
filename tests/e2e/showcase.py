"""showcase.py - what WasmOS is for, with the programs people know: each test moves one while it works, and looks at its result.

	python3 tests/e2e/showcase.py [test...]       TAP; needs the DOOM guest (scripts/build-doom) and scripts/npm-programs

Nodes are driven through the command only (scripts/nodes.py). 1..0 # SKIP and exit code 77 when the programs are missing.
"""
import hashlib
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos')
NPM = os.path.join(CACHE, 'npm')
DOOM = os.environ.get('WASMOS_DOOM') or os.path.join(CACHE, 'doom')
YOSYS = os.path.join(NPM, 'yosys', 'gen', 'yosys.core.wasm')
NEXTPNR = os.path.join(NPM, 'nextpnr-ice40', 'gen', 'nextpnr-ice40.core.wasm')


class Pair:
    """Two nodes that know each other, in a folder of their own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='wasmos-showcase-')
        self.a = nodes.Node(os.path.join(self.folder, 'a'), 'desk')
        self.b = nodes.Node(os.path.join(self.folder, 'b'), 'laptop')
        self.a.up('--display', 'headless')
        self.b.up('--display', 'headless')
        nodes.pair(self.a, self.b)
        return self

    def __exit__(self, *_):
        for node in (self.a, self.b):
            if node.is_up():
                node.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_moved(self, argv, options, moves, wait_s):
        """Starts it on a and moves it to and fro while it runs; its last row of ps and how often it moved."""
        here, there = self.a, self.b
        pid, done = here.start(argv, *options), 0
        while done < moves:
            time.sleep(wait_s)
            row = here.process(pid)
            if row is None or row['state'] in nodes.ENDED:
                break
            pid = here.migrate(pid, there)['pid']
            here, there, done = there, here, done + 1
        return here.wait(pid, timeout_s=600), done


def needs(*paths):
    for path in paths:
        if not os.path.exists(path):
            return f'{os.path.relpath(path, CACHE)} is not in the cache'
    return None


def exited_well(row):
    assert row['state'] == 'exited' and row['status'] == 0, row


# ---- DOOM ----

def test_demo1_draws_the_same_frames_when_it_is_moved_20_times():
    argv = [os.path.join(DOOM, 'doom.wasm'), '-iwad', '/doom/freedoom1.wad', '-timedemo', 'demo1', '-frameclock']
    options = ['--display', 'headless', '--frame-hash', '--dir', f'{DOOM}::/doom:ro']
    with Pair() as p:
        still, _ = p.run_moved(argv, options + ['--unpaced'], 0, 0)
        moved, count = p.run_moved(argv, options, 20, 0.5)
    # A timed demo ends by telling its time as an "error".
    assert still['state'] == moved['state'] == 'exited', (still, moved)
    assert count == 20, f'it was over after {count} moves'
    assert (moved['frames'], moved['frame_hash']) == (still['frames'], still['frame_hash']), (still, moved)
    assert still['frames'] == 1569, still['frames']


test_demo1_draws_the_same_frames_when_it_is_moved_20_times.needs = (os.path.join(DOOM, 'doom.wasm'),)


# ---- yosys, nextpnr ----

def design(p, folder, moves, wait_s):
    """Synthesis, then place and route, of busy.v; md5 of the result, and how often they moved."""
    data, tmp = os.path.join(p.folder, folder), os.path.join(p.folder, folder + '-tmp')
    os.makedirs(data)
    os.makedirs(tmp)
    shutil.copy(os.path.join(HERE, 'busy.v'), data)
    common = ['--dir', f'{data}::/data', '--dir', f'{tmp}::/tmp']
    row, first = p.run_moved([YOSYS, '-q', '-p', 'synth_ice40 -top busy -json /data/busy.json', '/data/busy.v'],
                             common + ['--dir', f'{NPM}/yosys/root/share::/share:ro'], moves, wait_s)
    exited_well(row)
    row, second = p.run_moved([NEXTPNR, '--hx1k', '--package', 'tq144', '--json', '/data/busy.json', '--asc',
                               '/data/busy.asc', '--seed', '1', '--quiet'],
                              common + ['--dir', f'{NPM}/nextpnr-ice40/root/share::/share:ro'], moves, wait_s)
    exited_well(row)
    with open(os.path.join(data, 'busy.asc'), 'rb') as f:
        return hashlib.md5(f.read()).hexdigest(), first, second


def test_yosys_and_nextpnr_make_the_same_design_when_each_is_moved_five_times():
    with Pair() as p:
        still, _, _ = design(p, 'still', 0, 0)
        moved, first, second = design(p, 'moved', 5, 0.2)
    assert still == moved, (still, moved)
    assert (first, second) == (5, 5), f'yosys moved {first} times, nextpnr {second} times'


test_yosys_and_nextpnr_make_the_same_design_when_each_is_moved_five_times.needs = (YOSYS, NEXTPNR)


def main():
    return cases.run(globals(), sys.argv[1:], lambda test: needs(*test.needs))


if __name__ == '__main__':
    sys.exit(main())
