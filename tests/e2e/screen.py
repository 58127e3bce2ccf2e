"""screen.py - a client of the control socket shows a process's screen: pictures, sound and keys (docs/formats/screen.md).

	python3 tests/e2e/screen.py WASMOS WINDOW_GUEST [test...]     TAP; DOOM's tests need scripts/build-doom

This is what the Android app does, from Python: Screen below keeps the picture as the rows make it.
"""
import hashlib
import os
import shutil
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import cases  # noqa: E402
import control  # noqa: E402 (it stands in scripts/)
import nodes  # noqa: E402

CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos')
DOOM = os.environ.get('WASMOS_DOOM') or os.path.join(CACHE, 'doom')
INDEXED = 2
ESCAPE, KEY_A = 41, 4  # USB HID usages
SECONDS = 20


class Screen:
    """A process's screen: the rows of request `screen`, made into a picture."""

    def __init__(self, node, pid, every=False):
        self.c = control.Control(node.home)
        self.mode, self.picture, self.palette, self.seq, self.end = None, bytearray(), b'', 0, None
        self.missed, self.chain, self.sound, self.last_row = 0, bytes(32), b'', {}
        self.c.send(request='screen', pid=pid, every=every)
        self.started = self.c.row()

    def close(self):
        self.c.close()

    def input(self, name, **values):
        self.c.send(input=name, **values)

    def key(self, usage):
        self.input('key', code=usage, value=1)
        self.input('key', code=usage, value=0)

    def row(self, ack=True):
        """Takes one row; True when it completed a frame."""
        row = self.c.row()
        self.last_row = row
        if 'end' in row:
            self.end = row
        elif 'mode' in row:
            if not self.mode or [row[k] for k in ('width', 'height', 'format')] != \
                    [self.mode[k] for k in ('width', 'height', 'format')]:
                self.seq, pixel = 0, 1 if row['format'] == INDEXED else 4
                self.picture = bytearray(row['width'] * row['height'] * pixel)
            self.mode = row
        elif 'sound' in row:
            self.sound += row['sound']
        elif 'frame' in row:
            return self.piece(row, ack)
        return False

    def piece(self, row, ack):
        self.palette = row.get('palette', self.palette)
        if row.get('last'):
            self.missed += row['frame'] - self.seq - 1
            self.seq = row['frame']
            head = struct.pack('<III', self.mode['width'], self.mode['height'], self.mode['format'])
            palette = self.palette if self.mode['format'] == INDEXED else b''
            self.chain = hashlib.blake2b(self.chain + head + palette + self.picture, digest_size=32).digest()
            if ack:
                self.input('shown', seq=self.seq)
            return True
        pitch = len(self.picture) // self.mode['height']
        assert len(row['data']) == row['rows'] * pitch, row
        self.picture[row['y'] * pitch:(row['y'] + row['rows']) * pitch] = row['data']
        return False

    def until(self, what, ack=True):
        """Takes rows until what() holds."""
        end = time.monotonic() + SECONDS
        while not what():
            assert not self.end, self.end
            assert time.monotonic() < end, f'not within {SECONDS} s; frame {self.seq}'
            self.row(ack)

    def until_end(self):
        while not self.end:
            before = self.last_row
            self.row()
        return before


class OneNode:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='wasmos-screen-')
        self.node = nodes.Node(os.path.join(self.folder, 'a'), 'desk')
        self.node.up('--display', 'headless')
        return self.node

    def __exit__(self, *_):
        if self.node.is_up():
            self.node.down()
        shutil.rmtree(self.folder, ignore_errors=True)


def doom(node, *arguments, options=()):
    return node.start([os.path.join(DOOM, 'doom.wasm'), '-iwad', '/doom/freedoom1.wad', *arguments],
                      '--dir', f'{DOOM}::/doom:ro', *options)


def ended_row(node, pid):
    return next(r for r in control.Control(node.home).request('ps', all=True) if r['pid'] == pid)


# ---- DOOM ----

def test_the_pictures_of_doom_have_the_hash_that_the_node_has():
    with OneNode() as node:
        for _ in range(5):  # on a busy machine it may have drawn before we looked: then it proves nothing
            pid = doom(node, '-timedemo', 'demo1', '-frameclock', options=['--frame-hash'])
            s = Screen(node, pid, every=True)
            s.until(lambda: s.seq >= 120)
            node.call('kill', pid)
            s.until_end()
            row = ended_row(node, pid)
            if not s.missed:
                break
        assert not s.missed, f'{s.missed} pictures were missed'
        assert (row['frames'], row['frame_hash']) == (s.seq, s.chain.hex()), (row, s.seq, s.chain.hex())
        assert (s.mode['width'], s.mode['height'], s.mode['format']) == (320, 200, INDEXED), s.mode
        assert s.started['name'] and s.mode['title'], (s.started, s.mode)


def test_a_key_opens_and_closes_dooms_menu_and_is_heard():
    with OneNode() as node:
        s = Screen(node, doom(node))
        s.until(lambda: s.seq > 3)
        title = bytes(s.picture)
        time.sleep(0.5)  # the picture it starts with fades in
        s.until(lambda: s.seq > 60)
        title = bytes(s.picture)
        s.key(ESCAPE)
        s.until(lambda: sum(a != b for a, b in zip(s.picture, title)) > 1000)
        assert s.mode['rate'] == 44100 and s.mode['channels'] == 2, s.mode
        heard = time.monotonic()
        while not any(s.sound) and time.monotonic() - heard < SECONDS:
            s.input('pull', frames=882)
            s.sound = b''
            s.until(lambda: s.sound)
            assert len(s.sound) == 882 * 4, len(s.sound)
        assert any(s.sound), 'the menu made no sound'
        s.key(ESCAPE)
        s.until(lambda: sum(a != b for a, b in zip(s.picture, title)) < 100)


for test in list(globals().values()):
    if callable(test) and 'doom' in getattr(test, '__name__', ''):
        test.needs = os.path.join(DOOM, 'doom.wasm')


# ---- the window guest ----

def window(node):
    return node.start([WINDOW])


def output(node, pid, text):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if text in node.call('logs', pid):
            return
        time.sleep(0.05)
    raise AssertionError(f'no "{text}" in:\n{node.call("logs", pid)}')


def test_what_the_person_does_reaches_the_program():
    with OneNode() as node:
        pid = window(node)
        s = Screen(node, pid)
        s.until(lambda: s.seq)
        assert s.mode['title'] == 'Window guest', s.mode
        s.key(KEY_A)
        s.input('text', code=0x61)
        s.input('button', code=1, value=1, x=5, y=6)
        for line in ('key 4 1', 'key 4 0', 'text a', 'button 1 1 at 5 6'):
            output(node, pid, line)
        s.input('release')
        output(node, pid, 'button 1 0')
        s.input('quit')
        last = s.until_end()
        assert (last['exit'], last['state'], s.end['end']) == (7, 'exited', 'OK'), (last, s.end)


def test_a_client_that_goes_away_lets_go_of_its_keys_and_the_device_shows_the_program_again():
    with OneNode() as node:
        pid = window(node)
        assert node.process(pid)['display'] == 'headless'
        s = Screen(node, pid)
        assert node.process(pid)['display'] == 'client'
        s.input('key', code=KEY_A, value=1)
        output(node, pid, 'key 4 1')
        s.close()
        output(node, pid, 'key 4 0')
        assert node.process(pid)['display'] == 'headless'
        again = Screen(node, pid)
        again.until(lambda: again.seq)
        again.input('detach')
        again.until_end()
        assert again.end['end'] == 'OK' and node.process(pid)['display'] == 'headless'


def test_a_newer_client_takes_the_screen_over():
    with OneNode() as node:
        pid = window(node)
        first = Screen(node, pid)
        second = Screen(node, pid)
        first.until_end()
        assert first.end['end'] == 'CLOSED', first.end
        second.until(lambda: second.seq)
        second.key(KEY_A)
        output(node, pid, 'key 4 1')
        assert node.process(pid)['display'] == 'client'


def test_a_client_that_does_not_look_gets_two_frames_and_holds_nothing_up():
    with OneNode() as node:
        pid = window(node)
        s = Screen(node, pid)
        before = node.process(pid)['frames']
        time.sleep(1)
        assert node.process(pid)['frames'] > before + 20, 'the program stood still'
        s.until(lambda: s.seq, ack=False)
        s.c.sock.settimeout(0.5)
        frames = 1
        try:
            while True:
                frames += s.row(ack=False)
        except TimeoutError:
            pass
        assert frames == 2, frames
        s.c.sock.settimeout(SECONDS)
        s.input('shown', seq=s.seq)
        seq = s.seq
        s.until(lambda: s.seq > seq + 10)
        assert s.missed > 10


def test_only_what_changed_is_sent():
    with OneNode() as node:
        s = Screen(node, window(node))
        s.until(lambda: s.seq)
        pixels = struct.unpack(f'<{64 * 48}I', s.picture)
        assert len(set(pixels)) == 1 and pixels[0] % 0x010203 == 0, pixels[0]
        colours = set()
        for _ in range(20):
            seq = s.seq
            s.until(lambda: s.seq > seq)
            colours.add(struct.unpack_from('<I', s.picture)[0])
        assert len(colours) > 10, colours


def test_nonsense_from_the_client_harms_nobody():
    with OneNode() as node:
        pid = window(node)
        s = Screen(node, pid)
        big = 2 ** 63
        for values in ({'code': 70000, 'value': 1}, {'code': -1, 'value': 1}, {'code': 4, 'value': 99},
                       {'code': 4, 'value': -5}, {'code': big, 'value': big}, {'code': 'a'}, {}):
            for name in ('key', 'text', 'button', 'pointer', 'wheel', 'focus', 'nothing', ''):
                s.input(name, **values)
        s.input('shown', seq=2 ** 64 - 1)
        s.input('shown', seq='x')
        s.input('pull', frames=2 ** 64 - 1)
        s.key(KEY_A)
        output(node, pid, 'key 4 1')
        out = node.call('logs', pid)
        assert 'key 70000' not in out and 'key 4 99' not in out, out
        s.c.send(nothing=1)  # neither request nor input: the connection ends, nothing else
        try:
            s.until_end()
            raise AssertionError('the connection is still there')
        except ConnectionError:
            pass
        assert node.process(pid)['state'] in ('running', 'waiting')
        assert control.Control(node.home).request('status')[0]['name'] == 'desk'


def test_a_program_without_a_screen_and_none_at_all_are_refused_or_wait():
    with OneNode() as node:
        for pid in (4711, 10 ** 12):
            try:
                control.Control(node.home).request('screen', pid=pid)
                raise AssertionError('a screen of nothing')
            except control.Refused as e:
                assert e.args[0] == 'NOTFOUND', e.args
        pid = window(node)
        node.call('kill', pid)
        node.wait(pid)
        try:
            control.Control(node.home).request('screen', pid=pid)
            raise AssertionError('a screen of the dead')
        except control.Refused as e:
            assert e.args[0] == 'STATE', e.args


def test_a_program_that_is_put_to_sleep_or_moves_away_says_so():
    with OneNode() as node:
        pid = window(node)
        s = Screen(node, pid)
        s.until(lambda: s.seq)
        node.call('suspend', pid)
        last = s.until_end()
        assert last['left'] == '' and s.end['end'] == 'OK', (last, s.end)
        pid = node.json('resume', pid)['pid']
        s = Screen(node, pid)
        s.until(lambda: s.seq)


# ---- `migrate PID best` ----

def told(node):
    return {row['name']: row for row in node.json('peers') if row.get('member') == 'alive' and 'abilities' in row}


def until(what, holds):
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_program_that_is_looked_at_goes_to_a_device_with_a_screen_only():
    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, env={'XDG_RUNTIME_DIR': folder, 'DISPLAY': display, 'WAYLAND_DISPLAY': ''})
                for name, display in (('desk', ''), ('attic', ''), ('den', ':59'))]

    with nodes.housed(make) as (desk, attic, den):
        for node in (desk, attic, den):
            node.up('--listen', '127.0.0.1:0', *(['--display', 'headless'] if node is not den else []))
        nodes.pair(desk, attic)
        until('the attic has told nothing', lambda: 'attic' in told(desk))
        pid = window(desk)
        s = Screen(desk, pid)
        s.until(lambda: s.seq)
        try:
            desk.call('migrate', pid, 'best')
            raise AssertionError('it went where it cannot be seen')
        except nodes.Failed as e:
            assert 'room and a screen' in str(e), e
        nodes.pair(desk, den)
        until('the den has told nothing', lambda: 'den' in told(desk))
        rows = told(desk)
        assert 'screen' in rows['den']['abilities'].split() and 'screen' not in rows['attic']['abilities'].split(), rows
        desk.call('migrate', pid, 'best')
        assert den.living() and not desk.living()


def missing(test):
    path = getattr(test, 'needs', '/')
    return None if os.path.exists(path) else f'{os.path.relpath(path, CACHE)} is not in the cache'


def main():
    return cases.run(globals(), sys.argv[3:], missing)


if __name__ == '__main__':
    WINDOW = os.path.abspath(sys.argv[2])
    nodes.WASMOS = os.path.abspath(sys.argv[1])
    sys.exit(main())
