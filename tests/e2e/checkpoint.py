"""checkpoint.py - suspend, resume, snapshot and restore as someone uses them (person.py says how to run it)."""
import ctypes
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

from person import GUEST, WASMOS, main, until

STEPS = '250'


def up(h):
    # The lock of a node that was killed goes when the last of its threads has.
    until(lambda: h.run('up', '--listen', '127.0.0.1:0', '--display', 'headless')[0] == 0)


def kill9(h):
    os.kill(h.node_pid(), signal.SIGKILL)


def start(h):
    up(h)
    pid = int(h.ok('run', '-d', '--name', 'counter', GUEST, STEPS))
    time.sleep(0.4)
    return pid


def unbroken():
    return subprocess.run([WASMOS, 'run', '--solo', GUEST, STEPS], stdout=subprocess.PIPE, text=True).stdout.strip()


def end_of(h, pid):
    """What it printed, once it has ended as it should."""
    row = until(lambda: next((r for r in h.ps('--all').values() if r['pid'] == pid and r['state'] == 'exited'), None),
                timeout=60)
    assert row['status'] == 7, row
    return h.ok('logs', pid).strip()


def test_a_suspended_program_survives_kill_9_of_its_node_and_goes_on(h):
    pid = start(h)
    report = json.loads(h.ok('suspend', pid, '--json'))
    assert report['pid'] == pid and report['bytes'] > 4 << 20, report
    assert h.ps()[pid]['state'] == 'suspended'
    kill9(h)
    up(h)
    assert h.ps()[pid]['state'] == 'suspended'
    h.ok('resume', pid)
    assert h.ps()[pid]['state'] in ('running', 'waiting')
    assert end_of(h, pid) == unbroken()
    status, _, err = h.run('resume', pid)
    assert status == 1 and 'suspended or in flight' in err, err


def test_a_program_that_was_resumed_comes_back_when_its_node_is_killed(h):
    pid = start(h)
    h.ok('suspend', pid)
    h.ok('resume', pid)
    kill9(h)
    up(h)
    until(lambda: pid in h.ps())
    assert end_of(h, pid) == unbroken()


def test_a_snapshot_starts_copies_and_the_program_runs_on(h):
    pid = start(h)
    path = os.path.join(h.folder, 'a snapshot')
    h.ok('snapshot', pid, '-o', path)
    copies = [int(h.ok('restore', path)) for _ in range(2)]
    assert len({pid, *copies}) == 3
    assert len({h.ps('--all')[p]['uid'] for p in (pid, *copies)}) == 3
    expected = unbroken()
    for p in (pid, *copies):
        assert end_of(h, p) == expected


class Bytes:
    """Little-endian values off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), 'little')

    def ended(self):
        return self.at == len(self.data)


def blake2b(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def unpacked(packed):
    b = Bytes(packed)
    form, size = b.number(1), b.number(4)
    if form == 0:
        return b.take(size)
    zstd = ctypes.CDLL('libzstd.so.1')
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    assert zstd.ZSTD_decompress(out, ctypes.c_size_t(size), packed[5:], ctypes.c_size_t(len(packed) - 5)) == size
    return out.raw


def addresses(chunk):
    return [chunk[i:i + 33] for i in range(0, len(chunk), 33)]


def test_a_snapshot_file_is_byte_for_byte_what_docs_formats_image_says(h):
    pid = start(h)
    path = h.folder + '/snapshot'
    h.ok('snapshot', pid, '-o', path)
    with open(path, 'rb') as f:
        b = Bytes(f.read())
    assert (b.take(4), b.number(2), b.number(2)) == (b'WOSN', 1, 0)
    manifest = Bytes(b.take(b.number(4)))
    chunks = {bytes(33): b''}
    while b.number(1) == 1:
        address = b.take(33)
        chunks[address] = unpacked(b.take(b.number(4)))
        assert address == b'\1' + blake2b(chunks[address])
    assert b.take(32) == blake2b(b.data[:b.at - 32]) and b.ended()
    assert (manifest.take(4), manifest.number(2), manifest.number(2)) == (b'WOSI', 1, 0)
    assert manifest.number(4) == 1
    module, size, pieces = manifest.take(32), manifest.number(8), manifest.take(33)
    code = b''.join(chunks[a] for a in addresses(chunks[pieces]))
    with open(GUEST, 'rb') as f:
        assert code == f.read() and len(code) == size and blake2b(code) == module
    spaces = []
    for _ in range(manifest.number(4)):
        kind, name, version, size = manifest.number(1), manifest.take(manifest.number(1)), manifest.number(4), manifest.number(8)
        pages = (size + 4095) // 4096
        for group in range((pages + 63) // 64):
            chunk = chunks[manifest.take(33)]
            assert len(chunk) in (0, 33 * min(64, pages - 64 * group))
            assert all(len(chunks[a]) in (0, 4096) for a in addresses(chunk))
        spaces.append((kind, name, version))
    assert manifest.ended()
    assert spaces == [(1, b'drivers', 1), (1, b'engine', 1), (1, b'process', 1), (1, b'wasi', 1), (2, b'00', 0)], spaces


def test_a_snapshot_that_is_cut_or_changed_is_refused_and_nothing_is_started(h):
    pid = start(h)
    path, bad = os.path.join(h.folder, 'snapshot'), os.path.join(h.folder, 'bad')
    h.ok('snapshot', pid, '-o', path)
    with open(path, 'rb') as f:
        whole = f.read()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:]
    for content in (b'', whole[:40], whole[:-1], changed, b'\0' * 5000, whole + b'x'):
        with open(bad, 'wb') as f:
            f.write(content)
        status, out, err = h.run('restore', bad)
        assert status == 1 and 'snapshot' in err and not out, (status, out, err)
    assert list(h.ps('--all')) == [pid]
    h.ok('kill', pid)


def until_saved(h, pid):
    until(lambda: h.ps()[pid].get('checkpoints', 0) > 0, timeout=30)


def start_saved(h, *options, steps=STEPS):
    """A program that has been saved at least once; its pid."""
    pid = int(h.ok('run', '-d', '--name', 'counter', *options, GUEST, steps))
    until_saved(h, pid)
    return pid


def test_a_running_program_that_was_saved_goes_on_when_its_node_is_killed(h):
    up(h)
    pid = start_saved(h, '--checkpoint', 1, steps='1000')
    for _ in range(2):
        saved = h.ps()[pid]['checkpoint_unix_ms']
        until(lambda: h.ps()[pid]['checkpoint_unix_ms'] > saved, timeout=30)
        cpu = h.ps()[pid]['cpu_ms']
        kill9(h)
        up(h)
        until(lambda: pid in h.ps())
        assert h.ps()[pid]['cpu_ms'] <= cpu + 50
        until_saved(h, pid)  # the one that came back, too
    expected = subprocess.run([WASMOS, 'run', '--solo', GUEST, '1000'], stdout=subprocess.PIPE, text=True).stdout.strip()
    assert end_of(h, pid) == expected


def test_what_runs_in_the_background_is_saved_without_being_asked_and_stands_no_longer_than_in_a_move(h):
    up(h)
    pid = start_saved(h, steps='1500')
    row = h.ps()[pid]
    assert row['checkpoint_stood_ms'] < 500, row  # generous: other tests share the machine
    kill9(h)
    up(h)
    until(lambda: pid in h.ps())
    h.ok('kill', pid)


def test_what_a_terminal_waits_for_or_wants_no_checkpoint_is_not_saved(h):
    up(h)
    waited = h.spawn('run', GUEST, '1500', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    unsaved = int(h.ok('run', '-d', '--checkpoint', 0, GUEST, '1500'))
    saved = start_saved(h, steps='1500')
    rows = h.ps()
    assert len(rows) == 3 and [p for p in rows if 'checkpoints' in rows[p]] == [saved], rows
    kill9(h)
    waited.wait(10)
    up(h)
    until(lambda: saved in h.ps())
    assert list(h.ps()) == [saved] and h.ps('--all')[unsaved]['state'] == 'lost'
    h.ok('kill', saved)


def test_a_suspended_program_shows_its_command_its_size_its_time_and_its_last_lines(h):
    up(h)
    pid = int(h.ok('run', '-d', '--name', 'sleeper', GUEST, '100000', 'two words'))
    time.sleep(0.3)
    before = h.ps()[pid]
    h.ok('suspend', pid)
    for again in False, True:
        if again:
            kill9(h)
            up(h)
        row = h.ps()[pid]
        assert row['state'] == 'suspended' and row['name'] == 'sleeper', row
        for key in 'command', 'memory_bytes', 'parent', 'created_unix_ms', 'module':
            assert row[key] == before[key], (key, row, before)
        assert row['command'].endswith('100000 two words') and row['cpu_ms'] >= before['cpu_ms'], row
        line = next(line for line in h.ok('ps').split('\n') if 'sleeper' in line)
        assert 'two words' in line and '4.' in line and 'M' in line, line
        assert h.ok('logs', pid) == ''
    status, out, err = h.run('logs', '-f', pid)
    assert status == 1 and not out and 'is suspended' in err, (status, out, err)
    h.ok('resume', pid)
    assert h.ps()[pid]['command'] == before['command']


def padded(path, mib):
    """The guest with a section of zeros, which takes no room on the disk."""
    def number(n):
        return bytes([n & 0x7f | 0x80]) + number(n >> 7) if n > 0x7f else bytes([n])
    shutil.copy(GUEST, path)
    with open(path, 'ab') as f:
        f.write(b'\0' + number((mib << 20) + 4) + b'\3pad')
        end = f.tell() + (mib << 20)
    os.truncate(path, end)


def test_the_largest_program_that_runs_can_be_suspended_too(h):
    up(h)
    path = h.folder + '-large.wasm'
    try:
        padded(path, 511)
        pid = int(h.ok('run', '-d', path, '100000', timeout=120))
        h.ok('suspend', pid, timeout=120)
        h.ok('resume', pid, timeout=120)
        assert h.ps()[pid]['state'] in ('running', 'waiting')
        h.ok('kill', pid)
        padded(path, 512)
        status, _, err = h.run('run', path)
        assert status == 1 and 'at most 536870912' in err, err
    finally:
        os.remove(path)


def test_a_program_that_is_always_being_saved_can_be_suspended_copied_and_killed(h):
    up(h)
    pid = start_saved(h, '--checkpoint', 1, steps='1000')
    path = os.path.join(h.folder, 'copy')
    for _ in range(4):
        h.ok('suspend', pid)
        h.ok('resume', pid)
        h.ok('snapshot', pid, '-o', path)
        os.remove(path)
        time.sleep(0.6)
    h.ok('kill', pid)
    kill9(h)
    up(h)
    assert pid not in h.ps('--all')


def test_a_program_that_a_killed_node_has_lost_is_shown_as_lost(h):
    pid = start(h)
    time.sleep(2)
    kill9(h)
    up(h)
    assert h.ps('--all')[pid]['state'] == 'lost' and not h.ps()
    assert int(h.ok('run', '-d', GUEST, '1')) > 0


def test_a_snapshot_replaces_a_file_and_nothing_else(h):
    pid = start(h)
    pipe, file, link = (os.path.join(h.folder, name) for name in ('pipe', 'file', 'link'))
    os.mkfifo(pipe)
    os.symlink(file, link)
    with open(file, 'w') as f:
        f.write('old')
    for path in pipe, h.folder:
        status, _, err = h.run('snapshot', pid, '-o', path)
        assert status == 1 and path in err, (path, status, err)
    h.ok('snapshot', pid, '-o', link)
    assert os.path.islink(link) and os.path.getsize(file) > 1000
    assert not [name for name in os.listdir(h.folder) if name.endswith('.part')]
    assert h.run('restore', pipe)[0] == 1 and stat.S_ISFIFO(os.stat(pipe).st_mode)
    h.ok('kill', int(h.ok('restore', link)))


def test_a_program_that_is_killed_while_it_falls_asleep_or_wakes_up_is_gone(h):
    up(h)
    for first in 'suspend', 'resume', 'kill':
        for turn in range(6):
            pid = int(h.ok('run', '-d', GUEST, '3000'))
            if first != 'suspend':
                h.ok('suspend', pid)
            other = h.spawn(first, pid, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(turn * 0.004)
            killed = h.run('kill', pid)[0] == 0
            killed = other.wait(20) == 0 and first == 'kill' or killed
            until(lambda: not killed or not h.ps())
            for left in h.ps():
                h.ok('kill', left)
    kill9(h)
    up(h)
    assert not h.ps(), h.ps()


def test_what_cannot_be_done_is_said(h):
    up(h)
    for words, said in ((('suspend', 99), 'no process 99'), (('resume', 99), 'no process 99'),
                        (('snapshot', 99, '-o', '/dev/null'), 'no process 99'), (('restore', '/no such file'), 'no such file'),
                        (('migrate', 99, 'nobody'), 'no process 99')):
        status, _, err = h.run(*words)
        assert status == 1 and said in err, (words, status, err)
    status, _, err = h.run('restore', GUEST)
    assert status == 1 and 'is no snapshot' in err, err
    assert h.run('snapshot', 1)[0] == 2
    assert h.run('run', '--checkpoint', 'often', GUEST)[0] == 2
    assert h.run('migrate', 1, 'x', '--max-pause', 'soon')[0] == 2


if __name__ == '__main__':
    sys.exit(main(globals()))
