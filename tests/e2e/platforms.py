"""platforms.py - the same programs on every platform, and on their way between every two of them (scripts/test-platforms).

	python3 tests/e2e/platforms.py                      what fits 15 minutes on two cores
	python3 tests/e2e/platforms.py --full               everything
	python3 tests/e2e/platforms.py doom python          only these: doom python design linux share spec wasi
	python3 tests/e2e/platforms.py --on linux-x86_64,windows-x86_64 doom       one pair, both ways

Each platform's node is a process of its own on this machine: arm64 under qemu-user, Windows under wine. They are paired by words and
talk over loopback. A moving case makes a round through all ordered pairs of platforms and goes on until it has made its hops; what
comes out must be what comes out unmoved. One line a hop: from, to, how long the program stood, bytes sent, time in all.

The programs are those scripts/build-all made (--build NAME=FOLDER: another build folder). A platform that is missing is named and
counts as skipped; exit code 1 when something failed, 77 when something was skipped, else 0.
"""
import argparse
import hashlib
import json
import os
import platform as host
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, 'scripts'), os.path.join(ROOT, 'tests', 'programs')]
import nodes  # noqa: E402 (it stands in scripts/)
import programs  # noqa: E402 (in tests/programs/)

CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos')
NPM = os.path.join(CACHE, 'npm')
DOOM = os.path.join(CACHE, 'doom')
SPEC = os.path.join(CACHE, 'spec', 'small')
HOPS = 20
# Emulators are 12 times slower than the machine, and a machine that tests is busy.
SLOW_S, MOVE_S, END_S, TRIES = 60, 180, 1800, 3
# Of the core tests' files, every third one where a processor is emulated, without --full.
SPEC_SAMPLE = 3
# How a move is refused when there is nothing left to move.
ENDED_ANSWERS = ('the program ended while it was moving', 'has ended (exited)')


# ---- platforms ----

class Platform:
    """Where the programs of one platform are, and what runs them here."""

    def __init__(self, name, folder, suffix='', emulators=(), native=False):
        self.name, self.folder, self.suffix = name, os.path.join(ROOT, folder), suffix
        self.native, self.emulators, self.runner = native or not emulators, emulators, []
        self.windows = suffix == '.exe'
        self.env = {}

    def program(self, name):
        return [*self.runner, os.path.join(self.folder, name + self.suffix)]

    def path(self, path):
        return 'Z:' + path.replace('/', '\\') if self.windows else path

    def missing(self):
        """Why it cannot run here, or None; finds the emulator."""
        path = self.program('shell/wasmos')[-1]
        if not os.path.exists(path):
            return f'{os.path.relpath(path, ROOT)} is not built (scripts/build-all)'
        if not self.native:
            found = [f for e in self.emulators if (f := shutil.which(e))]
            if not found:
                return f'{" or ".join(os.path.basename(e) for e in self.emulators)} is not installed (scripts/setup --cross)'
            self.runner = found[:1]
        return None

    def prepare(self, folder):
        """wine gets a system of its own, which the first command makes."""
        if self.windows:
            self.env = {'WINEPREFIX': os.path.join(folder, 'wine'), 'WINEDEBUG': '-all',
                        'WINEDLLOVERRIDES': 'mscoree,mshtml='}
            self.run(['--help'], timeout_s=300)

    def clear(self):
        if self.windows and self.env:
            nodes.end_wine(self.env)

    def run(self, args, program='shell/wasmos', timeout_s=SLOW_S):
        return subprocess.run([*self.program(program), *args], env=dict(os.environ, **self.env), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout_s, check=False)


def all_platforms():
    arm, qemu = host.machine() == 'aarch64', ['qemu-aarch64-static', 'qemu-aarch64']
    return [Platform('linux-x86_64', 'build'),
            Platform('linux-arm64', 'build-linux-arm64', emulators=qemu, native=arm),
            Platform('android-arm64', 'build-android-arm64', emulators=qemu, native=arm),
            Platform('windows-x86_64', 'build-windows-x86_64', '.exe', ['wine64', '/usr/lib/wine/wine64', 'wine'])]


def circuit(count):
    """A list of numbers below count whose neighbours make up every ordered pair once, from 0 to 0 (Hierholzer)."""
    left = {i: [j for j in range(count) if j != i] for i in range(count)}
    stack, done = [0], []
    while stack:
        here = stack[-1]
        if left[here]:
            stack.append(left[here].pop())
        else:
            done.append(stack.pop())
    return done


def round_trip(count, hops):
    """hops + 1 numbers below count: every ordered pair as soon as possible, then the longest ways from 0 back to 0, where no
    processor is emulated, so that it ends there (if that can be: an odd number of hops between two leads to 1)."""
    whole = circuit(count)
    backs = [i for i, n in enumerate(whole) if n == 0]
    loops = [whole, *sorted((whole[a:b + 1] for a, b in zip(backs, backs[1:])), key=len, reverse=True)]
    way = [0]
    while left := hops + 1 - len(way):
        way += next((loop for loop in loops if len(loop) - 1 <= left), whole[:left + 1])[1:]
    return way


# ---- a node of each platform, all paired ----

class World:
    def __init__(self, platforms, say):
        self.platforms, self.say = platforms, say
        self.nodes, self.running, self.hops = [], [], []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='wasmos-platforms-')
        try:
            for p in self.platforms:
                self.start(p)
            for i, a in enumerate(self.nodes):
                for b in self.nodes[:i]:
                    nodes.pair(a, b, timeout_s=SLOW_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, p):
        """In the foreground: a child of ours whatever runs it, which goes when we do."""
        node = nodes.Node(os.path.join(self.folder, p.name), p.name, program=p.program('shell/wasmos'), path=p.path,
                          env=dict(p.env, XDG_RUNTIME_DIR=self.folder))
        os.makedirs(node.home)
        with open(os.path.join(self.folder, p.name + '.out'), 'wb') as out:
            process = node.spawn('up', '--foreground', '--name', p.name, '--display', 'headless', '--listen', '127.0.0.1:0',
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.nodes.append(node)
        self.running.append(process)
        end = time.monotonic() + SLOW_S
        while not node.is_up():
            if process.poll() is not None or time.monotonic() > end:
                raise nodes.Failed(f'the node of {p.name} did not come up: {self.said(p.name)}')
            time.sleep(0.1)

    def said(self, name):
        """The last that a node said."""
        with open(os.path.join(self.folder, name + '.out'), errors='replace') as f:
            return f.read()[-3000:].strip()

    def __exit__(self, *_):
        for node, process in zip(self.nodes, self.running):
            try:
                node.call('down', timeout_s=SLOW_S)
                process.wait(SLOW_S)
            except (nodes.Failed, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_program(self, at, argv, options=(), dirs=()):
        """dirs: (folder here, folder there) pairs."""
        node, words = self.nodes[at], []
        for ours, theirs in dirs:
            words += ['--dir', f'{node.path(ours)}::{theirs}']
        return node.start([node.path(argv[0]), *argv[1:]], *options, *words)

    def know(self, program, *args):
        """Every node has run it once: the first moves then send its memory only, not a module of 70 MB too."""
        for i, node in enumerate(self.nodes):
            self.end_of(i, self.start_program(i, [program, *args]))

    def move(self, a, b, pid):
        """An emulated node on a machine that is busy with more may take longer than a node waits for an answer. The program
        then runs on where it was: said, and tried again."""
        for _ in range(TRIES - 1):
            try:
                return a.migrate(pid, b, timeout_s=MOVE_S)
            except nodes.Failed as e:
                if 'did not answer' not in str(e):
                    raise
                self.say(f'again: {e}')
        return a.migrate(pid, b, timeout_s=MOVE_S)

    def hop(self, case, pid, here, there):
        a, b = self.nodes[here], self.nodes[there]
        cost = self.move(a, b, pid)
        self.hops.append({'case': case, 'from': a.name, 'to': b.name,
                          **{k: cost[k] for k in ('pause_ms', 'bytes', 'total_ms')}})
        self.say(f'{case:8}{sum(h["case"] == case for h in self.hops):3}  {a.name:14} -> {b.name:14} '
                 f'stood {cost["pause_ms"]:8.1f} ms  {cost["bytes"] / 2**20:7.2f} MiB  in all {cost["total_ms"] / 1000:6.2f} s')
        return cost['pid']

    def hop_if_alive(self, case, pid, here, there):
        """The pid there; None when it ended first, and then the answer says so."""
        try:
            return self.hop(case, pid, here, there)
        except nodes.Failed as e:
            check(str(e), any(a in str(e) for a in ENDED_ANSWERS))
            self.say(f'{self.nodes[here].name}: {e}')
            return None

    def kill_all(self):
        """What a case that failed left behind."""
        for node in self.nodes:
            for row in node.ps():
                if row['state'] not in nodes.ENDED:
                    node.call('kill', row['pid'])

    def end_of(self, at, pid):
        return self.nodes[at].wait(pid, timeout_s=END_S)


def check(what, good):
    if not good:
        raise nodes.Failed(what)


# ---- DOOM ----

DEMO = [os.path.join(DOOM, 'doom.wasm'), '-iwad', '/doom/freedoom1.wad', '-timedemo', 'demo1', '-frameclock']
DEMO_FRAMES, DEMO_FPS = 1569, 60


def play(world, at, *options):
    return world.start_program(at, DEMO, ['--display', 'headless', '--frame-hash', '--name', 'doom', *options],
                               [(DOOM, '/doom:ro')])


def has_come_to(node, pid, frame):
    """Sleeps for about as long as the frames need at full speed, then looks. False when it was over before."""
    while True:
        row = node.process(pid)
        check(f'{node.name}: DOOM is gone', row)
        if row['state'] in nodes.ENDED:
            return False
        if row.get('frames', 0) >= frame:
            return True
        time.sleep(max(0.05, (frame - row.get('frames', 0)) / DEMO_FPS))


def play_along(world, way, step):
    """DOOM plays, and moves along the way, a hop each so many frames; (hops made before it was over, its row then)."""
    pid = play(world, way[0])
    for made, (here, there) in enumerate(zip(way, way[1:])):
        new = world.hop_if_alive('doom', pid, here, there) if has_come_to(world.nodes[here], pid, (made + 1) * step) else None
        if not new:
            return made, world.end_of(here, pid)
        pid = new
    return len(way) - 1, world.end_of(way[-1], pid)


def case_doom(world, args):
    """DOOM plays demo1 on the frame clock: the frames of the unmoved run, and their hash. Where all is slow the demo, of 26 s, is over
    before all hops are made; it then plays again."""
    still = world.end_of(0, play(world, 0, '--unpaced'))
    check(f'unmoved it drew {still["frames"]} frames', still['frames'] == DEMO_FRAMES)
    way, step = round_trip(len(world.nodes), args.hops), DEMO_FRAMES * 2 // 3 // args.hops
    for _ in range(TRIES):
        made, moved = play_along(world, way, step)
        check(f'unmoved: {still}, moved: {moved}', moved['state'] == still['state'] == 'exited'
              and (moved['frames'], moved['frame_hash']) == (still['frames'], still['frame_hash']))
        way = way[made:]
        if len(way) == 1:
            return f'{moved["frames"]} frames with the hash {moved["frame_hash"][:16]}... of the unmoved run'
    raise nodes.Failed(f'DOOM played {TRIES} times and still had {len(way) - 1} hops to make')


# ---- CPython ----

PYTHON = os.path.join(NPM, programs.PYTHON)
# Works until a file appears, or for the given number of steps. x can be told without working, the rest by an unmoved run.
COMPUTE = '''
import hashlib, math, os, sys
from fractions import Fraction
def step(x, h, f):
    for i in range(100):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
    return x, hashlib.sha256(h + x.to_bytes(8, "little")).digest(), math.sin(f * 3 + Fraction(x, 2**64))
x, h, f, steps, limit = 1, b"", 0.5, 0, int(sys.argv[1])
while steps != limit if limit else not os.path.exists("/data/stop"):
    for i in range(50):
        x, h, f = step(x, h, f)
    steps += 1
print(steps, x, h.hex(), f.hex())
'''


def told(steps):
    """x after so many steps: x -> a x + c, applied n times, by squaring."""
    a, c, m, n, ra, rc = 6364136223846793005, 1442695040888963407, 2**64, steps * 5000, 1, 0
    while n:
        if n & 1:
            ra, rc = ra * a % m, (rc * a + c) % m
        a, c, n = a * a % m, (a * c + c) % m, n >> 1
    return (ra + rc) % m


def answer(world, at, pid):
    row, output = world.end_of(at, pid), world.nodes[at].output(pid)
    check(f'CPython ended as {row}: {output}', row['state'] == 'exited' and row['status'] == 0)
    return output.split()[-4:]


def case_python(world, args):
    """CPython computes while it is moved: the right answer, which an unmoved run gives too."""
    data = os.path.join(world.folder, 'python')
    os.makedirs(data)
    way, dirs = round_trip(len(world.nodes), args.hops), [(data, '/data')]
    pid = world.start_program(way[0], [PYTHON, '-c', COMPUTE, '0'], ['--name', 'python'], dirs)
    for here, there in zip(way, way[1:]):
        time.sleep(1)
        pid = world.hop('python', pid, here, there)
    with open(os.path.join(data, 'stop'), 'w'):
        pass
    moved = answer(world, way[-1], pid)
    still = answer(world, 0, world.start_program(0, [PYTHON, '-c', COMPUTE, moved[0]], (), dirs))
    check(f'unmoved: {still}, moved: {moved}', moved == still)
    check(f'{moved[1]} after {moved[0]} steps, not {told(int(moved[0]))}', int(moved[1]) == told(int(moved[0])))
    return f'the right answer after {moved[0]} steps'


# ---- yosys and nextpnr ----

YOSYS, NEXTPNR = os.path.join(NPM, programs.YOSYS), os.path.join(NPM, programs.NEXTPNR)


# nextpnr by annealing: it takes longer, and so is still at work when the memory of 240 MB has come to an emulated processor.
SYNTHESIS = ('yosys', [YOSYS, '-q', '-p', 'synth_ice40 -top busy -json /data/busy.json', '/data/busy.v'])
PLACEMENT = ('nextpnr-ice40', [NEXTPNR, '--hx1k', '--package', 'tq144', '--placer', 'sa', '--json', '/data/busy.json',
                               '--asc', '/data/busy.asc', '--seed', '1', '--quiet'])


def hops_until_end(world, pid, way, wait_s):
    """Moves it along the way; (hops made before it ended, its last pid)."""
    for made, (here, there) in enumerate(zip(way, way[1:])):
        time.sleep(wait_s)
        new = world.hop_if_alive('design', pid, here, there)
        if not new:
            return made, pid
        pid = new
    return len(way) - 1, pid


def work(world, tool, folders, way, wait_s):
    """The tool runs while it makes the hops, and again when it had ended before it had made all. The last node of the way gets it."""
    share, argv = tool
    dirs = [*folders, (os.path.join(NPM, share, 'root', 'share'), '/share:ro')]
    for _ in range(TRIES):
        pid = world.start_program(way[0], argv, (), dirs)
        made, pid = hops_until_end(world, pid, way, wait_s)
        row = world.end_of(way[made], pid)
        check(f'{share} ended as {row}: {world.nodes[way[made]].output(pid)}', row['state'] == 'exited' and row['status'] == 0)
        way = way[made:]
        if len(way) == 1:
            return
    raise nodes.Failed(f'{share} ran {TRIES} times and still had {len(way) - 1} hops to make')


def design(world, name, way, wait_s):
    """Synthesis over all pairs, place and route on a way back to where it began; md5 of the result."""
    data, tmp = os.path.join(world.folder, name), os.path.join(world.folder, name + '-tmp')
    os.makedirs(data)
    os.makedirs(tmp)
    shutil.copy(os.path.join(HERE, 'busy.v'), data)
    turns = [i for i, n in enumerate(way) if n == way[0] and i >= len(way) * 3 // 5]
    turn = turns[0] if turns else len(way) - 1
    for tool, part in ((SYNTHESIS, way[:turn + 1]), (PLACEMENT, way[turn:])):
        work(world, tool, [(data, '/data'), (tmp, '/tmp')], part, wait_s)
    with open(os.path.join(data, 'busy.asc'), 'rb') as f:
        return hashlib.md5(f.read()).hexdigest()


def case_design(world, args):
    """yosys, then nextpnr: the design of the unmoved run (md5)."""
    world.know(YOSYS, '-V')
    world.know(NEXTPNR, '--version')
    still = design(world, 'still', [0], 0)
    moved = design(world, 'moved', round_trip(len(world.nodes), args.hops), 0.2)
    check(f'unmoved: {still}, moved: {moved}', moved == still)
    return f'md5 {moved}, as unmoved'


# ---- Linux programs ----

SYSTEM = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'userland'), 'image')
DASH = os.path.join(SYSTEM, 'bin', 'dash')
COUNT = 'i=0; while [ ! -e /data/stop ]; do i=$((i+1)); echo $i; sleep 0.05; done | cat >/data/lines; echo "cat ended with $?"'


def case_linux(world, args):
    """A shell, its subshell, what that runs and a pipe move together: every line comes through once."""
    data = os.path.join(world.folder, 'linux')
    os.makedirs(data)
    way = round_trip(len(world.nodes), args.hops)
    pid = world.start_program(way[0], [DASH, '-c', COUNT], ['--env', 'PATH=/bin'], [(SYSTEM, '/:ro'), (data, '/data')])
    for here, there in zip(way, way[1:]):
        time.sleep(0.3)
        pid = world.hop('linux', pid, here, there)
    with open(os.path.join(data, 'stop'), 'w'):
        pass
    row = world.end_of(way[-1], pid)
    said = world.nodes[way[-1]].output(pid).strip()
    check(f'{row}: {said}', row['status'] == 0 and said == 'cat ended with 0')
    with open(os.path.join(data, 'lines')) as f:
        lines = f.read().split()
    check(f'lines are missing or doubled: {lines}', lines == [str(i + 1) for i in range(len(lines))])
    return f'{len(lines)} lines, each once'


SHARE_GUEST = os.path.join(ROOT, 'build', 'tests', 'e2e', 'share_guest.wasm')


def use_share(a, b, docs):
    """A program on a uses the folder that b shares, which is docs here."""
    def do(*words):
        return a.call('run', '--dir', 'net:', a.path(SHARE_GUEST), *words, timeout_s=MOVE_S)
    at, ours = f'/net/{b.name}/docs', f'from-{a.name}'
    check(f'{a.name} cannot write to {b.name}', do('put', f'{at}/{ours}', 'hello') == 'ok\n')
    with open(os.path.join(docs, ours)) as f:
        check(f'{b.name} does not have what {a.name} wrote', f.read() == 'hello')
    with open(os.path.join(docs, ours), 'w') as f:
        f.write('changed there')
    said = do('cat', f'{at}/{ours}')
    check(f'{a.name} reads of {b.name}: {said}', said == 'changed there')
    said = do('random', f'{at}/random', 7, 60)
    check(f'{a.name}, random things with a file of {b.name}: {said}', said == 'ok\n')
    do('make', f'{at}/folder')
    do('move', f'{at}/{ours}', f'{at}/folder/moved')
    check(f'{a.name} lists of {b.name}', sorted(do('list', at).split()) == ['folder', 'random'])
    for words in (('drop', f'{at}/folder/moved'), ('drop', f'{at}/random')):
        check(f'{a.name} cannot remove at {b.name}', do(*words) == 'ok\n')
    os.rmdir(os.path.join(docs, 'folder'))


def case_share(world, args):
    """Every platform's programs use the folder that each other one shares."""
    docs = [os.path.join(world.folder, f'docs-{n.name}') for n in world.nodes]
    for node, folder in zip(world.nodes, docs):
        os.makedirs(folder)
        node.call('share', 'add', node.path(folder), '--as', 'docs', timeout_s=SLOW_S)
    ways = [(a, b) for a in range(len(docs)) for b in range(len(docs)) if a != b]
    for a, b in ways:
        use_share(world.nodes[a], world.nodes[b], docs[b])
    return f'{len(ways)} ways'


# ---- what runs on one platform ----

def case_spec(p, args, _):
    """The core tests of the engine."""
    program = p.program('tests/spec-run')[-1]
    if os.path.exists(os.path.join(p.folder, 'build.ninja')):
        done = subprocess.run(['ninja', '-C', p.folder, os.path.relpath(program, p.folder)], capture_output=True, text=True, check=False)
        check(f'ninja: {done.stdout[-2000:]}', done.returncode == 0)
    files = [p.path(os.path.join(SPEC, f)).replace('\\', '/') for f in sorted(os.listdir(SPEC)) if f.endswith('.json')]
    # qemu-user keeps books of every page of every reservation for as long as it runs: 50 MB for each memory of 8 GiB.
    emulated = not p.native and not p.windows
    if emulated and not args.full:
        files = files[::SPEC_SAMPLE]
    runs = [[f] for f in files] if emulated else [files]
    passed = 0
    for group in runs:
        done = p.run(group, 'tests/spec-run', END_S)
        out, err = (t.decode(errors='replace') for t in (done.stdout, done.stderr))
        last = (out.strip().splitlines() or [''])[-1]
        good = re.fullmatch(r'(\d+) passed, 0 failed', last)
        check(f'{last or group}; exit status {done.returncode}: {err[-2000:]}\n{out[-2000:]}', good and done.returncode == 0)
        passed += int(good.group(1))
    check(f'only {passed} commands', passed > (30000 if args.full or not emulated else 5000))
    return f'{passed} commands of {len(files)} files'


class Quiet(programs.Tap):
    """Points that are only spoken about when they fail."""

    def __init__(self):
        super().__init__()
        self.wrong = []

    def ok(self, what, good, detail=''):
        self.count += 1
        if not good:
            self.wrong.append(f'{what}: {detail}')


def case_wasi(p, args, first):
    """Programs from npm: what they print and write is what they do on the first platform. wine has no symbolic links."""
    tap = Quiet()
    for name in ('python', 'esbuild', 'clang', 'yosys'):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = (programs.Side([*q.program('shell/wasmos'), 'run', '--solo'], os.path.join(folder, side), q.path,
                                          dict(os.environ, **q.env), not q.windows) for side, q in (('ours', p), ('theirs', first)))
            getattr(programs, 'test_' + name)(tap, ours, theirs)
    check('\n'.join(tap.wrong), not tap.wrong)
    return f'{tap.count} comparisons'


MOVING = {'doom': (case_doom, [DEMO[0]]), 'python': (case_python, [PYTHON]), 'design': (case_design, [YOSYS, NEXTPNR]),
          'linux': (case_linux, [DASH]), 'share': (case_share, [SHARE_GUEST])}
ALONE = {'spec': (case_spec, [os.path.join(SPEC, 'spec.i32.json')]), 'wasi': (case_wasi, [PYTHON, YOSYS, NEXTPNR])}


# ---- the run ----

class Report:
    """Results as they come: for people, as TAP, or (at the end) as one JSON object."""

    def __init__(self, kind):
        self.kind, self.cases, self.began = kind, [], time.monotonic()

    def say(self, text):
        if self.kind != 'json':
            print(('# ' if self.kind == 'tap' else '') + text, flush=True)

    def add(self, name, result, text, seconds=0.0):
        self.cases.append({'case': name, 'result': result, 'text': text, 'seconds': round(seconds, 1)})
        first, *more = text.splitlines() or ['']
        if self.kind == 'tap':
            word = {'passed': 'ok', 'skipped': 'ok', 'failed': 'not ok'}[result]
            print(f'{word} {len(self.cases)} - {name}: ' + (f'# SKIP {first}' if result == 'skipped' else first), flush=True)
        else:
            self.say(f'{result:8}{name}: {first}' + (f'  {seconds:.0f} s' if seconds else ''))
        for line in more:
            self.say('    | ' + line)

    def run(self, name, missing, work):
        if missing:
            return self.add(name, 'skipped', missing)
        began = time.monotonic()
        try:
            self.add(name, 'passed', work(), time.monotonic() - began)
        except Exception as e:
            text = str(e) if isinstance(e, nodes.Failed) else traceback.format_exc()
            self.add(name, 'failed', text, time.monotonic() - began)

    def count(self, result):
        return sum(c['result'] == result for c in self.cases)

    def end(self, world_hops):
        counts = {r: self.count(r) for r in ('passed', 'failed', 'skipped')}
        if self.kind == 'tap':
            print(f'1..{len(self.cases)}')
            return 1 if counts['failed'] else 0 if counts['passed'] else 77
        if self.kind == 'json':
            print(json.dumps({**counts, 'seconds': round(time.monotonic() - self.began, 1), 'cases': self.cases,
                              'hops': world_hops}))
        else:
            print(', '.join(f'{n} {r}' for r, n in counts.items()))
        return 1 if counts['failed'] else 77 if counts['skipped'] else 0


def absent(paths):
    for path in paths:
        if not os.path.exists(path):
            return f'{os.path.relpath(path, CACHE)} is not in the cache (scripts/test makes or fetches it)'
    return None


def move_cases(report, chosen, present, args):
    """The moving cases; the hops that were made."""
    wanted = {n: c for n, c in MOVING.items() if n in chosen}
    if not wanted:
        return []
    why = 'a move needs two platforms' if len(present) < 2 else None
    if why:
        for name in wanted:
            report.add(name, 'skipped', why)
        return []
    hops = []
    try:
        with World(present, report.say) as world:
            for name, (case, files) in wanted.items():
                failed = report.count('failed')
                report.run(name, absent(files), lambda: case(world, args) + f'; {args.hops} hops')
                if report.count('failed') > failed:
                    for p in present:
                        report.say(f'---- {p.name}\n{world.said(p.name)}')
                    world.kill_all()
            hops = world.hops
    except (nodes.Failed, subprocess.TimeoutExpired) as e:
        report.add('nodes', 'failed', str(e))
    return hops


def lone_cases(report, chosen, present, args):
    for p in present:
        for name, (case, files) in ALONE.items():
            if name in chosen and not (case is case_wasi and p is present[0]):
                report.run(f'{name} on {p.name}', absent(files), lambda: case(p, args, present[0]))


def arguments():
    names = [*MOVING, *ALONE]
    a = argparse.ArgumentParser(prog='scripts/test-platforms', description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--full', action='store_true', help='all of the core tests where a processor is emulated, not every third file')
    a.add_argument('--on', metavar='NAME,NAME', help='only these platforms')
    a.add_argument('--build', action='append', default=[], metavar='NAME=FOLDER', help='where a platform is built')
    a.add_argument('--hops', type=int, default=HOPS)
    a.add_argument('--json', action='store_const', dest='kind', const='json', help='one JSON object instead of lines')
    a.add_argument('--tap', action='store_const', dest='kind', const='tap', help='Test Anything Protocol')
    a.add_argument('cases', nargs='*', metavar='CASE', help=' '.join(names))
    args = a.parse_args()
    if wrong := set(args.cases) - set(names):
        a.error(f'there is no case {", ".join(wrong)}: they are {" ".join(names)}')
    return args


def chosen_platforms(args):
    known = {p.name: p for p in all_platforms()}
    wanted = args.on.split(',') if args.on else list(known)
    builds = dict(b.split('=', 1) for b in args.build)
    for name in [*wanted, *builds]:
        if name not in known:
            sys.exit(f'test-platforms: there is no platform {name}: they are {" ".join(known)}')
    for name, folder in builds.items():
        known[name].folder = os.path.abspath(folder)
    return [known[n] for n in wanted]


def main():
    args = arguments()
    report, present = Report(args.kind), []
    for p in chosen_platforms(args):
        if why := p.missing():
            report.add(p.name, 'skipped', why)
        else:
            present.append(p)
    chosen = args.cases or [*MOVING, *ALONE]
    folder = tempfile.mkdtemp(prefix='wasmos-platforms-')
    try:
        for p in present:
            p.prepare(folder)
        hops = move_cases(report, chosen, present, args)
        lone_cases(report, chosen, present, args)
    finally:
        for p in present:
            p.clear()
        shutil.rmtree(folder, ignore_errors=True)
    return report.end(hops)


if __name__ == '__main__':
    sys.exit(main())
