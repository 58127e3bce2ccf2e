"""windows.py - the node and the command on Windows, run by wine beside a node of this machine.

	python3 tests/e2e/windows.py build/shell/wasmos build/tests/e2e/guest.wasm build/tests/e2e/counter.wasm [words of tests' names...]

The program is build-windows-x86_64/shell/wasmos.exe, or $WASMOS_WINDOWS. TAP; 1..0 # SKIP and exit status 77 when it or wine is
missing. Functions named test_* are the tests; their names are sentences. wine has a folder of its own, and is ended afterwards.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)
from person import Terminal  # noqa: E402

LINUX, GUEST, COUNTER = (os.path.abspath(p) for p in sys.argv[1:4])
WINDOWS = os.environ.get('WASMOS_WINDOWS') or os.path.join(ROOT, 'build-windows-x86_64', 'shell', 'wasmos.exe')
COUNTER_STEPS = 600
DOOM = os.environ.get('WASMOS_DOOM') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos', 'doom')


def wine():
    return next((p for p in ('/usr/lib/wine/wine64', shutil.which('wine64'), shutil.which('wine')) if p and os.path.exists(p)), None)


def drive(path):
    """A path of this machine as the programs under wine see it."""
    return 'Z:' + path.replace('/', '\\')


class WindowsNode(nodes.Node):
    """As nodes.Node; its command is run by wine."""

    def __init__(self, home, name, prefix, env=None):
        super().__init__(home, name, env, [wine(), WINDOWS], drive)
        self.env.update(WINEPREFIX=prefix, WINEDEBUG='-all', WINEDLLOVERRIDES='mscoree,mshtml=')
        if not env or 'DISPLAY' not in env:
            self.env.pop('DISPLAY', None)

    def call(self, *args, timeout_s=120):
        status, out, err = run(self, *args, timeout=timeout_s)
        if status != 0:
            raise nodes.Failed(f'{self.name}: wasmos {" ".join(map(str, args))}: exit status {status}: {err.decode(errors="replace")}')
        return out.decode(errors='replace')

    def terminate(self):
        """TerminateProcess(): nothing of the node runs any more."""
        subprocess.run([wine(), 'taskkill', '/f', '/pid', str(self.host_pid())], env=self.env, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=60, check=True)
        end = time.monotonic() + 20
        while self.is_up():
            assert time.monotonic() < end, 'the node answers although it was ended'


class World:
    """A folder, wine's system, and nodes that are ended at the end."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wasmos-windows-')
        self.prefix = os.environ.get('WINEPREFIX') or os.path.join(self.folder, 'wine')
        self.ours = 'WINEPREFIX' not in os.environ
        self.count, self.nodes = 0, []
        run(WindowsNode(self.folder, 'none', self.prefix), '--version', timeout=300)  # wine makes its system, and speaks of it

    def close(self):
        if self.ours:
            nodes.end_wine({'WINEPREFIX': self.prefix})
        shutil.rmtree(self.folder, ignore_errors=True)

    def place(self, name):
        self.count += 1
        return os.path.join(self.folder, f'{self.count}-{name}')

    def windows(self, name='windows', **env):
        node = WindowsNode(self.place(name), name, self.prefix, env)
        self.nodes.append(node)
        return node

    def linux(self, name='linux'):
        node = nodes.Node(self.place(name), name)
        node.env.pop('DISPLAY', None)
        self.nodes.append(node)
        return node

    def pair(self):
        w, x = self.windows(), self.linux()
        for node in (w, x):
            node.up('--display', 'headless', '--listen', '127.0.0.1:0')
        nodes.pair(x, w, timeout_s=60)
        return w, x

    @contextlib.contextmanager
    def nodes_of_a_case(self):
        try:
            yield self
        finally:
            for node in self.nodes:
                with contextlib.suppress(nodes.Failed, subprocess.TimeoutExpired):
                    if node.is_up():
                        node.call('down', '--end')
            self.nodes = []


def run(node, *args, input=b'', timeout=120):
    """(exit status, stdout, stderr) as bytes."""
    # Into files: under wine a background node holds the standard error of whoever started it, and a pipe would not end.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(input)
        stdin.seek(0)
        r = subprocess.run(node.command(*args), env=node.env, stdin=stdin, stdout=out, stderr=err, timeout=timeout, check=False)
        out.seek(0)
        err.seek(0)
        return r.returncode, out.read(), err.read()


def without_time(row):
    return row['state'], row['status']


# ---- running ----

def test_run_starts_a_node_in_the_background_and_passes_arguments_output_and_status(w):
    node = w.windows()
    status, out, err = run(node, 'run', drive(GUEST), 'args', 'a', 'b c', 'quote"d', 'ends\\', '', 'gr\u00fc\u00df')
    assert (status, out.decode()) == (0, '[a][b c][quote"d][ends\\][][gr\u00fc\u00df]\n'), (status, out, err)
    assert err == b'to stderr\n', err
    assert node.is_up()
    assert run(node, 'run', drive(GUEST), 'exit', '42')[0] == 42
    node.down()
    assert not node.is_up()


def test_a_program_is_told_its_own_name_with_slashes(w):
    """Programs that are several go by the last part of it, and part it as wasm programs do."""
    node = w.windows()
    status, out, err = run(node, 'run', '--solo', drive(GUEST), 'name')
    assert (status, out.decode().strip()) == (0, GUEST), (status, out, err)


def test_bytes_of_a_pipe_go_through_unchanged(w):
    node = w.windows()
    data = bytes(range(256)) * 4000 + b'\r\n\n\x1a\xff'
    status, out, err = run(node, 'run', drive(GUEST), 'cat', input=data)
    assert status == 0 and out == data, (status, len(out), err)


def test_ps_logs_and_kill_work_on_a_program_in_the_background(w):
    node = w.windows()
    node.up('--display', 'headless')
    pid = node.start([drive(COUNTER), '100000'], '--name', 'counter')
    row = node.wait(pid, states={'running', 'waiting'})
    assert row['name'] == 'counter', row
    node.call('kill', pid)
    assert node.wait(pid)['state'] == 'killed'
    pid = node.start([drive(GUEST), 'args', 'said'])
    node.wait(pid)
    assert '[said]' in node.output(pid)


def test_a_second_node_does_not_serve_the_same_home(w):
    node = w.windows()
    node.up()
    status, _, err = run(node, 'up')
    assert status == 1 and b'serves this home already' in err, (status, err)
    # Windows' paths have no case.
    other = WindowsNode(node.home, 'other', node.env['WINEPREFIX'])
    other.env['WASMOS_HOME'] = node.env['WASMOS_HOME'].upper().replace('Z:', 'z:') + '\\.'
    assert run(node, 'status')[0] == 0


def test_homes_files_and_folders_have_names_of_all_languages(w):
    node = w.windows('\u0434\u043e\u043c-\u5bb6-\U0001f600')
    node.up('--display', 'headless')
    assert os.path.exists(os.path.join(node.home, 'lock'))
    prog = os.path.join(w.place('\u30d7\u30ed\u30b0'), '\u00fcber prog.wasm')
    os.makedirs(os.path.dirname(prog))
    shutil.copy(GUEST, prog)
    assert run(node, 'run', drive(prog), 'exit', '3')[0] == 3


def test_a_folder_with_a_drive_letter_is_given_to_a_program(w):
    node = w.windows()
    folder = w.place('data')
    os.makedirs(folder)
    with open(os.path.join(folder, 'in.txt'), 'w') as f:
        f.write('from outside\n')
    args = ['--dir', f'{drive(folder)}::/data', drive(GUEST), 'copy', '/data/in.txt', '/data/\u00fcber.txt']
    status, out, err = run(node, 'run', *args)
    assert (status, out) == (0, b'copying\n'), (status, out, err)
    with open(os.path.join(folder, '\u00fcber.txt')) as f:
        assert f.read() == 'from outside\n'


# ---- a console: wine draws it on the terminal it is started at ----

def without_suspension(fd):
    """Control Z is for the program; wine would be stopped."""
    how = termios.tcgetattr(fd)
    how[6][termios.VSUSP] = b'\0'
    termios.tcsetattr(fd, termios.TCSANOW, how)


class Console(Terminal):
    """What wine draws, without colours and movements; a gap that it jumps over, from the row's begin too, is a space."""

    def __init__(self, node, *args, **more):
        node.env['TERM'] = 'xterm'
        super().__init__(node, *args, prepare=without_suspension, **more)

    def read(self, timeout):
        came = super().read(timeout)
        whole, half, rest = self.text, '', re.search('\x1b[^a-zA-Z]*$', self.text)
        if rest:
            whole, half = self.text[:rest.start()], rest.group(0)
        self.text = re.sub('\x1b\\[[<>?0-9;]*[a-zA-Z]|\x1b[=>]', '', re.sub('(\x1b\\[K)?\r?\x1b\\[[0-9]*C', ' ', whole)) + half
        return came

    def type(self, text):
        """wine takes the keys over when the program reads for the first time."""
        end = time.monotonic() + 20
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            assert time.monotonic() < end, 'nobody reads keys'
            time.sleep(0.02)
        super().type(text)


def console(node, *args):
    return Console(node, *args)


def test_a_console_shows_what_a_command_says_in_whole_letters(w):
    node = w.windows()
    t = console(node, 'up', '--display', 'headless')
    t.expect('The node is up (process', 60)
    assert t.wait(20) == 0
    t = console(node, 'run', drive(GUEST), 'nothing-\u00fc\u20ac')
    t.expect('guest: what is "nothing-\u00fc\u20ac"?', 20)
    assert t.wait(20) == 99
    t = console(node, 'kill', '7')
    t.expect('wasmos: ', 20)
    assert t.wait(20) == 1


def test_lines_typed_at_a_console_are_edited_and_read_until_control_z(w):
    t = console(w.windows(), 'run', drive(GUEST), 'lines')
    t.expect('ready', 60)
    t.type('hex\x7fllo\r')
    t.expect('got hello', 20)
    t.type('gr\u00fc\u00df\r')
    t.expect('got gr\u00fc\u00df', 20)
    t.type('\x1a\r')
    t.expect('end', 20)
    assert t.wait(20) == 0


def test_control_c_at_a_console_ends_the_program_and_not_the_node(w):
    node = w.windows()
    node.up('--display', 'headless')
    t = console(node, 'run', drive(GUEST), 'lines')
    t.expect('ready', 20)
    t.type('\x03')
    assert t.wait(20) == 130
    assert node.wait(1)['state'] == 'killed'


def test_a_console_detaches_and_attach_comes_back(w):
    node = w.windows()
    t = console(node, 'run', drive(GUEST), 'lines')
    t.expect('ready', 60)
    t.type('one\r')
    t.expect('got one', 20)
    t.type('\x10\x11')
    t.expect('detached', 20)
    assert t.wait(20) == 0
    t = console(node, 'attach', '1')
    t.expect('got one', 20)
    t.type('two\r')
    t.expect('got two', 20)
    t.type('\x1a\r')
    t.expect('end', 20)
    assert t.wait(20) == 0


# ---- sleeping ----

def member(node, other):
    return {row['name']: row for row in node.json('peers')}[other.name].get('member')


def test_both_systems_hold_each_other_for_alive_and_tell_what_they_are(w):
    windows, linux = w.pair()
    end = time.monotonic() + 60
    while not (member(linux, windows) == 'alive' and member(windows, linux) == 'alive' and
               all('cores' in row for row in linux.json('peers'))):
        assert time.monotonic() < end, linux.json('peers') + windows.json('peers')
        time.sleep(0.5)
    windows.down()
    end = time.monotonic() + 60
    while member(linux, windows) != 'left':
        assert time.monotonic() < end, linux.json('peers')
        time.sleep(0.5)


def test_a_program_is_suspended_and_goes_on(w):
    node = w.windows()
    node.up('--display', 'headless')
    pid = node.start([drive(COUNTER), '300'])
    time.sleep(0.5)
    node.call('suspend', pid)
    assert node.process(pid)['state'] == 'suspended', node.process(pid)
    node.call('resume', pid)
    assert without_time(node.wait(pid)) == ('exited', 7)


def test_a_snapshot_is_restored_on_the_other_system(w):
    node, other = w.windows(), w.linux()
    other.up('--display', 'headless')
    node.up('--display', 'headless')
    expected = counter_output(other)
    pid = node.start([drive(COUNTER), str(COUNTER_STEPS)])
    time.sleep(1)
    file = w.place('snapshot')
    node.call('snapshot', pid, '-o', drive(file))
    node.call('kill', pid)
    again = int(re.search(r'\d+', other.call('restore', file)).group(0))
    other.wait(again)
    assert other.output(again) == expected


def test_down_puts_background_programs_to_sleep_and_up_wakes_them(w):
    node = w.windows()
    node.up('--display', 'headless')
    pid = node.start([drive(COUNTER), '400'])
    time.sleep(0.5)
    node.down()
    node.up('--display', 'headless')
    assert without_time(node.wait(pid)) == ('exited', 7)


# ---- moving ----

def counter_output(node):
    pid = node.start([COUNTER, str(COUNTER_STEPS)])
    assert node.wait(pid)['status'] == 7
    return node.output(pid)


def test_a_program_moves_to_linux_and_back_while_it_counts(w):
    win, linux = w.pair()
    expected = counter_output(linux)
    pid = win.start([drive(COUNTER), str(COUNTER_STEPS)])
    here, there = win, linux
    for _ in range(4):
        time.sleep(0.3)
        pid = here.migrate(pid, there)['pid']
        here, there = there, here
    assert without_time(here.wait(pid)) == ('exited', 7)
    assert here.output(pid).replace('\r\n', '\n') == expected


def test_doom_draws_the_same_frames_when_it_moves_to_linux_and_back(w):
    if not os.path.exists(os.path.join(DOOM, 'doom.wasm')):
        raise cases.Skip('DOOM was not built (scripts/build-doom)')
    win, linux = w.pair()
    game = ['-iwad', '/doom/freedoom1.wad', '-timedemo', 'demo1', '-frameclock']
    options = ['--display', 'headless', '--frame-hash']
    pid = linux.start([os.path.join(DOOM, 'doom.wasm'), *game], *options, '--dir', f'{DOOM}::/doom:ro')
    here, there, count = linux, win, 0
    while count < 4 and here.process(pid)['state'] not in nodes.ENDED:
        time.sleep(0.3)
        try:
            pid = here.migrate(pid, there)['pid']
        except nodes.Failed as why:
            # On a busy machine an answer may come too late, or the demo may be over first: then it ran on where it was.
            if 'did not answer' not in str(why) and 'ended' not in str(why):
                raise
            continue
        here, there, count = there, here, count + 1
    moved = here.wait(pid, timeout_s=300)
    still = linux.start([os.path.join(DOOM, 'doom.wasm'), *game], *options, '--unpaced', '--dir', f'{DOOM}::/doom:ro')
    still = linux.wait(still, timeout_s=300)
    assert moved['state'] == still['state'] == 'exited', (moved, still)
    assert moved['frame_hash'] == still['frame_hash'], (moved, still)
    if count < 2:
        raise cases.Skip(f'this machine is too busy: the demo was over after {count} moves (its frames were right)')


def test_a_node_that_is_ended_in_the_middle_of_a_move_loses_no_program(w):
    win, linux = w.pair()
    expected = counter_output(linux)
    for step in ('target.PREPARE', 'target.RUN'):
        win.down()
        win.env['WASMOS_CRASH_AT'] = step
        win.up('--display', 'headless', '--listen', '127.0.0.1:0')
        nodes.wait_for_link(win, linux, 60)
        pid = linux.start([COUNTER, str(COUNTER_STEPS)])
        time.sleep(0.3)
        linux.spawn('migrate', str(pid), win.name, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while win.is_up():
            assert time.monotonic() < end, f'the node was not ended at {step}'
        del win.env['WASMOS_CRASH_AT']
        win.up('--display', 'headless', '--listen', '127.0.0.1:0')
        assert ended_somewhere([linux, win]) == expected, step


def test_a_node_that_was_terminated_brings_back_what_it_had_saved(w):
    node = w.windows()
    node.up('--display', 'headless')
    pid = node.start([drive(COUNTER), '300'])
    time.sleep(0.3)
    node.call('suspend', pid)
    node.terminate()
    node.up('--display', 'headless')
    node.call('resume', pid)
    assert without_time(node.wait(pid)) == ('exited', 7)


def ended_somewhere(all_nodes):
    """The output of the one counter that ended with status 7 since."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        for node in all_nodes:
            for row in node.ps():
                if row['state'] == 'exited' and row['status'] == 7 and row['name'].startswith('counter'):
                    if (node.name, row['pid']) not in SEEN:
                        SEEN.add((node.name, row['pid']))
                        return node.output(row['pid']).replace('\r\n', '\n')
        time.sleep(0.2)
    raise AssertionError([node.ps() for node in all_nodes])


SEEN = set()


# ---- the runner ----

def main(module):
    """module: the globals() that hold the cases."""
    why = None if wine() else 'wine64 is not installed (scripts/setup --cross)'
    why = why or (None if os.path.exists(WINDOWS) else f'{os.path.relpath(WINDOWS, ROOT)} is not built (scripts/build-all windows)')
    if why:
        print(f'1..0 # SKIP {why}')
        return 77
    os.environ['WASMOS'] = nodes.WASMOS = LINUX
    with contextlib.closing(World()) as world:
        return cases.run(module, sys.argv[4:], fixture=world.nodes_of_a_case)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(globals()))
