"""restart.py - what is asked of a node that has just come up, and what a node keeps when it is ended (person.py says how to run it)."""
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from person import GUEST, WASMOS, Home, has_ended, main, paired, until

RUNS = ('running', 'waiting')
# 96 MiB, all of it written: bringing it back takes long enough to come in between.
LARGE = ('96', '1', '6000')


def up(h, *options):
    h.ok('up', '--listen', '127.0.0.1:0', '--display', 'headless', *options)


def start(h, *argv, options=()):
    pid = int(h.ok('run', '-d', '--name', 'large', *options, GUEST, *argv))
    until(lambda: 'ready' in h.ok('logs', pid), timeout=60)
    return pid


def until_saved(h, pid):
    until(lambda: h.ps()[pid].get('checkpoints', 0) > 0, timeout=60)


def ask_at_once_after_up(h, *words):
    """Of the only program there is, put to sleep by `down`; then of one that comes back after kill -9."""
    up(h)
    pid = start(h, *LARGE, options=('--checkpoint', 1))
    h.ok('down')
    up(h)
    words = [pid if w == 'PID' else w for w in words]
    out = h.ok(*words)
    yield pid, out
    until(lambda: h.ps().get(pid, {}).get('state') in RUNS)
    until_saved(h, pid)
    os.kill(h.node_pid(), signal.SIGKILL)
    up(h)
    yield pid, h.ok(*words)


def test_a_program_that_an_up_is_just_waking_can_be_suspended_at_once(h):
    for pid, _ in ask_at_once_after_up(h, 'suspend', 'PID'):
        assert h.ps()[pid]['state'] == 'suspended'
        h.ok('resume', pid)


def test_a_program_that_an_up_is_just_waking_can_be_copied_at_once(h):
    path = os.path.join(h.folder, 'copy')
    for pid, _ in ask_at_once_after_up(h, 'snapshot', 'PID', '-o', path):
        assert h.ps()[pid]['state'] in RUNS
        os.remove(path)


def test_the_output_of_a_program_that_an_up_is_just_waking_is_shown(h):
    for _, out in ask_at_once_after_up(h, 'logs', 'PID'):
        assert 'ready' in out


def test_a_program_that_an_up_is_just_waking_is_killed_for_good(h):
    up(h)
    for how in ('down', 'kill'):
        pid = start(h, *LARGE, options=('--checkpoint', 1))
        until_saved(h, pid)
        if how == 'down':
            h.ok('down')
        else:
            os.kill(h.node_pid(), signal.SIGKILL)
        up(h)
        h.ok('kill', pid)
        until(lambda: h.ps('-a').get(pid, {}).get('state') == 'killed')
        os.kill(h.node_pid(), signal.SIGKILL)
        up(h)
        assert not h.ps('-a'), h.ps('-a')


def move(h, pid, there):
    return json.loads(h.ok('migrate', pid, there, '--json', timeout=60))


def test_a_program_moves_right_after_up_also_when_the_devices_have_not_met_yet(h):
    with paired(h) as other:
        pid = start(h, *LARGE, options=('--checkpoint', 1))
        h.ok('down')
        up(h)
        there = move(h, pid, 'laptop')['pid']
        assert other.ps()[there]['state'] in RUNS and not h.ps()
        pid = move(other, there, 'desk')['pid']
        until_saved(h, pid)
        os.kill(h.node_pid(), signal.SIGKILL)
        up(h)
        there = move(h, pid, 'laptop')['pid']
        assert other.ps()[there]['state'] in RUNS and not h.ps()


def both_up_at_once(nodes):
    starting = [node.spawn('up', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for node in nodes]
    assert [one.wait(20) for one in starting] == [0, 0]


@contextlib.contextmanager
def busy_machine():
    """More to do than processors: what is ready waits."""
    loads = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(4 * os.cpu_count())]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


def link_log(node):
    with open(node.folder + '/log') as f:
        return [line for line in f if ' link: ' in line]


def test_two_nodes_that_start_at_once_and_dial_each_other_have_one_link_that_stays(h):
    with paired(h) as other, busy_machine():
        for _ in range(10):
            for node in (h, other):
                node.ok('down')
            seen = [len(link_log(node)) for node in (h, other)]
            both_up_at_once((h, other))
            until(lambda: all(any(p.get('state') == 'up' for p in json.loads(node.ok('peers', '--json'))) for node in (h, other)))
            time.sleep(0.3)
            ups = [link_log(node)[n + 1:] for node, n in zip((h, other), seen)]
            assert all(len(lines) == 1 and ' is up at ' in lines[0] for lines in ups), ups


def test_a_new_program_does_not_take_the_number_of_one_that_is_coming_back(h):
    up(h)
    pid = start(h, *LARGE, options=('--checkpoint', 1))
    until_saved(h, pid)
    os.kill(h.node_pid(), signal.SIGKILL)
    up(h)
    other = int(h.ok('run', '-d', GUEST, '1', '1', '6000'))
    assert other != pid
    until(lambda: h.ps().get(pid, {}).get('state') in RUNS)


def test_up_and_down_at_once_after_a_kill_loses_no_program(h):
    up(h)
    pid = start(h, *LARGE, options=('--checkpoint', 1))
    until_saved(h, pid)
    for pause in (0, 0.05, 0.1, 0.2):
        os.kill(h.node_pid(), signal.SIGKILL)
        up(h)
        time.sleep(pause)
        h.ok('down')
        up(h)
        until(lambda: h.ps().get(pid, {}).get('state') in RUNS)


# ---- SIGTERM, as service managers send it ----

def term(h):
    node = h.node_pid()
    os.kill(node, signal.SIGTERM)
    until(lambda: has_ended(node), timeout=60)


def test_a_program_that_is_just_being_saved_is_kept_by_sigterm(h):
    up(h)
    pid = start(h, *LARGE, options=('--checkpoint', 1))
    for i in range(6):
        time.sleep(0.13 * i)
        term(h)
        up(h)
        until(lambda: h.ps().get(pid, {}).get('state') in RUNS)


def fill_disk(node):
    """What a write beyond the limit meets is an error then, as on a full disk."""
    resource.prlimit(node, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def foreground(h, **more):
    """A node as a service manager starts it; SIGXFSZ is ignored, as Python does."""
    node = h.spawn('up', '--foreground', '--listen', '127.0.0.1:0', '--display', 'headless', stderr=subprocess.PIPE, text=True,
                   restore_signals=False, **more)
    until(lambda: h.run('status')[0] == 0)
    return node


def check_what_was_cut_off(h, saved, unsaved, said, may_fit=False):
    """may_fit: what changed since its last checkpoint may have found room after all: then nothing of it was lost."""
    told = re.search(rf'error keeper: {saved} \(large\) is ended: .*goes on from its last checkpoint, made \d+ s ago', said)
    assert told or (may_fit and not re.search(rf'keeper: {saved} ', said)), said
    assert re.search(rf'error keeper: {unsaved} \(large\) is lost: .*no checkpoint of it', said), said
    up(h)
    until(lambda: h.ps().get(saved, {}).get('state') in RUNS)
    row = h.ps('-a').get(unsaved)
    assert row['state'] == 'lost' and 'without keeping it' in row['note'], row


def test_sigterm_on_a_full_disk_names_what_is_lost_and_the_rest_goes_on_from_its_last_checkpoint(h):
    node = foreground(h)
    saved = start(h, '8', '1', '6000', options=('--checkpoint', 1))
    until_saved(h, saved)
    unsaved = start(h, '8', '1', '6000', options=('--checkpoint', 0))
    time.sleep(1.5)  # until it has a record
    fill_disk(node.pid)
    node.send_signal(signal.SIGTERM)
    _, said = node.communicate(timeout=60)
    check_what_was_cut_off(h, saved, unsaved, said)


def test_sigterm_on_a_file_system_without_room_does_the_same(h):
    disk = tempfile.mkdtemp(prefix='wasmos-disk-')
    if os.getuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=80m', 'none', disk], check=False,
                                          stderr=subprocess.DEVNULL).returncode != 0:
        os.rmdir(disk)
        print('# only root mounts a small file system: not tried')
        return
    small = Home(disk + '/home')
    try:
        node = foreground(small)
        saved = start(small, '4', '1', '6000', options=('--checkpoint', 1))
        until_saved(small, saved)
        unsaved = start(small, '60', '1', '6000', options=('--checkpoint', 0))
        time.sleep(1.5)
        with contextlib.suppress(OSError), open(disk + '/fill', 'wb', buffering=0) as f:
            while f.write(os.urandom(65536)):
                pass
        node.send_signal(signal.SIGTERM)
        _, said = node.communicate(timeout=60)
        with contextlib.suppress(FileNotFoundError):  # there was no room for it either
            os.remove(disk + '/fill')
        check_what_was_cut_off(small, saved, unsaved, said, may_fit=True)
    finally:
        small.end()
        subprocess.run(['umount', '-l', disk], check=False)
        os.rmdir(disk)


# ---- programs with a large memory ----

class Anon:
    """The most memory of its own that a node had while a block ran, beyond what it had before; MiB."""

    def __init__(self, h):
        self.path, self.most = f'/proc/{h.node_pid()}/status', 0

    def now(self):
        with open(self.path) as f:
            return int(re.search(r'RssAnon:\s+(\d+)', f.read()).group(1)) >> 10

    def __enter__(self):
        self.before, self.over = self.now(), threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, self.now() - self.before)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def end_of(h, pid):
    row = until(lambda: next((r for r in h.ps('--all').values() if r['pid'] == pid and r['state'] == 'exited'), None), timeout=120)
    assert row['status'] == 7, row
    return h.ok('logs', pid).split()[-1]


def unbroken(*argv):
    return subprocess.run([WASMOS, 'run', '--solo', GUEST, *argv], stdout=subprocess.PIPE, text=True, check=False).stdout.split()[-1]


def test_a_program_of_1536_mib_of_which_little_is_used_is_saved_suspended_copied_and_comes_back(h):
    up(h)
    argv = ('1536', '64', '1500')
    pid = start(h, *argv, options=('--checkpoint', 1))
    until_saved(h, pid)
    path = os.path.join(h.folder, 'copy')
    with Anon(h) as anon:
        h.ok('snapshot', pid, '-o', path)
        h.ok('suspend', pid)
        h.ok('resume', pid)
    assert anon.most < 200, anon.most
    h.ok('kill', int(h.ok('restore', path)))
    until_saved(h, pid)
    os.kill(h.node_pid(), signal.SIGKILL)
    up(h)
    assert end_of(h, pid) == unbroken(*argv)


def test_a_program_of_1536_mib_of_which_little_is_used_moves_there_and_back(h):
    argv = ('1536', '64', '1200')
    with paired(h) as other:
        pid = start(h, *argv)
        there = move(h, pid, 'laptop')
        back = move(other, there['pid'], 'desk')
        print('# stood still:', *(f'{m["pause_ms"]:.0f} ms,' for m in (there, back)), 'bytes:', *(m['bytes'] for m in (there, back)))
        assert end_of(h, back['pid']) == unbroken(*argv)


def test_a_program_is_put_to_sleep_without_a_copy_of_its_memory(h):
    up(h)
    pid = start(h, '256', '1', '6000', 'full', options=('--checkpoint', 0))
    with Anon(h) as anon:
        h.ok('suspend', pid)
    assert anon.most < 160, f'{anon.most} MiB more for one of 256'
    h.ok('resume', pid)
    h.ok('kill', pid)


def test_a_program_that_uses_more_than_a_gib_is_not_saved_and_ps_and_log_say_so(h):
    up(h)
    pid = start(h, '1100', '1', '6000', options=('--checkpoint', 1))
    note = until(lambda: h.ps()[pid].get('note'), timeout=60)
    assert 'not saved' in note and 'checkpoints' not in h.ps()[pid]
    assert f'{pid}: {note}' in h.ok('ps')
    with open(h.folder + '/log') as f:
        assert len(re.findall(rf'no checkpoint of {pid} \(large\): more than 1024 MiB', f.read())) == 1
    h.ok('kill', pid)


if __name__ == '__main__':
    sys.exit(main(globals()))
