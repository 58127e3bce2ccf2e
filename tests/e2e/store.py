"""store.py - `wasmos store check|gc|du`, and a disk that loses bits: noticed, and healed from a device that has them (person.py says how to run it)."""
import contextlib
import glob
import json
import os
import subprocess
import sys
import tempfile

from person import GUEST, Home, main, paired, until

MIB = 6


def up(h):
    h.ok('up', '--listen', '127.0.0.1:0', '--display', 'headless')


def start(h, mib=MIB):
    """A program with so many pages that do not pack."""
    pid = int(h.ok('run', '-d', '--checkpoint', 0, GUEST, mib, 1, 1000000, 'full'))
    until(lambda: 'ready' in h.ok('logs', pid), timeout=60)
    return pid


def rot(h, every):
    """Flips a bit in the middle of every so many thousandth byte of the packs; how many."""
    flipped = 0
    for path in glob.glob(h.folder + '/store/packs/*.pack'):
        with open(path, 'r+b') as f:
            size = os.path.getsize(path)
            for at in range(2000, size, every * 1000):
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 4]))
                flipped += 1
    assert flipped, 'there are no packs'
    return flipped


def check(h, *options):
    status, out, err = h.run('store', 'check', '--json', *options)
    return status, json.loads(out), err


def down_rot_up(h, every):
    h.ok('down')
    flipped = rot(h, every)
    up(h)
    return flipped


def test_what_the_disk_has_damaged_is_noticed_and_comes_back_from_the_device_that_has_it(h):
    with paired(h) as other:
        pid = start(h)
        moved = json.loads(h.ok('migrate', pid, 'laptop', '--json', timeout=60))
        other.ok('suspend', moved['pid'], timeout=60)
        until(lambda: json.loads(other.ok('store', 'check', '--json', timeout=60))['sound'])
        packs = glob.glob(other.folder + '/store/packs/*.pack')
        assert packs, 'what came lies in packs'
        # Both have the pages now: there as a program that sleeps, here as what stays of one that left.
        flipped = down_rot_up(other, 500)
        status, row, err = check(other)
        assert status == 1 and 0 < row['damaged'] <= flipped and not row['sound'], (row, err)
        assert '--repair' in err, err
        until(lambda: any(p['up'] for p in json.loads(other.ok('peers', '--json'))), timeout=40)
        status, row, err = check(other, '--repair')
        assert status == 0 and row['sound'] and not row['damaged'] - row['healed'], (row, err)
        assert check(other)[0] == 0
        other.ok('resume', moved['pid'], timeout=60)
        other.ok('kill', moved['pid'])


def test_du_says_what_takes_the_room_and_gc_gives_it_back(h):
    up(h)
    pid = start(h)
    h.ok('suspend', pid, timeout=60)
    rows = json.loads(h.ok('store', 'du', '--json'))
    program = next(r for r in rows if r['kind'] == 'program' and r.get('pid') == pid)
    assert program['kib'] >= MIB * 1024 and program['own_kib'] > program['kib'] / 2, program
    assert next(r for r in rows if r['kind'] == 'disk')['kib'] >= program['kib']
    h.ok('kill', pid)
    row = json.loads(h.ok('store', 'gc', '--all', '--json', timeout=60))
    assert row['removed_bytes'] > MIB << 20 and row['packs_removed'] >= 1, row
    rows = json.loads(h.ok('store', 'du', '--json'))
    assert not [r for r in rows if r['kind'] == 'program'], rows
    assert next(r for r in rows if r['kind'] == 'chunks')['kib'] < 1024, rows
    status, row, _ = check(h)
    assert status == 0 and row['sound']


def on_a_small_disk(do):
    disk = tempfile.mkdtemp(prefix='wasmos-disk-')
    if os.getuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=40m', 'none', disk], check=False,
                                          stderr=subprocess.DEVNULL).returncode != 0:
        os.rmdir(disk)
        print('# only root mounts a small file system: not tried')
        return
    small = Home(disk + '/home')
    try:
        do(small)
    finally:
        small.end()
        subprocess.run(['umount', '-l', disk], check=False)
        os.rmdir(disk)


def fill_up(h):
    up(h)
    small, large = start(h, 4), start(h, 60)
    h.ok('suspend', small, timeout=60)
    for _ in range(3):
        status, _, err = h.run('suspend', large, timeout=60)
        assert status == 1 and 'no space' in err.lower(), err
        assert h.ps()[large]['state'] in ('running', 'waiting'), 'it goes on'
    status, row, err = check(h)
    assert status == 0 and row['sound'], (row, err)
    h.ok('kill', large)
    h.ok('store', 'gc', '--all', timeout=60)
    h.ok('resume', small, timeout=60)
    h.ok('suspend', small, timeout=60)
    h.ok('down')
    up(h)
    status, row, err = check(h)
    assert status == 0 and row['sound'], (row, err)
    h.ok('resume', small, timeout=60)
    h.ok('kill', small)
    with contextlib.suppress(AssertionError):
        h.ok('down')


def test_a_full_disk_refuses_what_does_not_fit_and_nothing_else_breaks(_h):
    on_a_small_disk(fill_up)


if __name__ == '__main__':
    sys.exit(main(globals()))
