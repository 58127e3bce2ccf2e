"""e2e.py - the `wasmos` command and its node, used as a person would (person.py says how to run it)."""
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from person import GUEST, WASMOS, Home, Terminal, has_ended, main, until

# ---- running ----

def test_run_starts_a_node_and_passes_arguments_output_and_error(h):
    status, out, err = h.run('run', GUEST, 'args', 'a', 'b c', '--json', '-d')
    assert (status, out, err) == (0, '[a][b c][--json][-d]\n', 'to stderr\n'), (status, out, err)
    assert 'is up' in h.ok('status')


def test_run_passes_the_exit_status_through(h):
    for status in (0, 1, 2, 42, 255):
        assert h.run('run', GUEST, 'exit', status)[0] == status


def test_a_trap_is_status_134_and_names_the_function(h):
    status, _, err = h.run('run', GUEST, 'trap')
    assert status == 134 and 'integer divide by zero' in err and 'main' in err, (status, err)


def test_a_pipe_goes_through_unchanged_and_ends(h):
    data = random.Random(1).randbytes(3_000_000)
    r = subprocess.run([WASMOS, 'run', GUEST, 'cat'], env=h.env, input=data, capture_output=True, timeout=60)
    assert r.returncode == 0 and r.stdout == data, (r.returncode, len(r.stdout), r.stderr)


def test_a_file_as_standard_input_goes_through(h):
    with open(GUEST, 'rb') as f:
        r = subprocess.run([WASMOS, 'run', GUEST, 'cat'], env=h.env, stdin=f, capture_output=True, timeout=60)
    with open(GUEST, 'rb') as f:
        assert r.stdout == f.read()


def test_closed_standard_streams_are_empty_ones(h):
    for closed in ('<&-', '>&-', '2>&-', '<&- >&- 2>&-'):
        for solo in ('', '--solo'):
            r = subprocess.run(f'exec {WASMOS} run {solo} {GUEST} cat {closed}', shell=True, env=h.env,
                               stdin=subprocess.DEVNULL, timeout=20)
            assert r.returncode == 0, closed


def test_pipes_are_no_terminals(h):
    assert h.ok('run', GUEST, 'tty') == 'tty 000\n'


def test_a_reader_that_stops_early_ends_the_program(h):
    p = subprocess.Popen(f'{WASMOS} run {GUEST} flood 100000000 | head -2', shell=True, env=h.env,
                         stdout=subprocess.PIPE)
    assert p.communicate(timeout=20)[0] == b'line 0\nline 1\n'
    until(lambda: not h.ps())


def test_a_folder_is_seen_where_it_was_mounted_and_ro_is_only_read(h):
    with tempfile.TemporaryDirectory() as d:
        with open(d + '/f.txt', 'w') as f:
            f.write('inside\n')
        assert h.ok('run', '--dir', d + '::/data', GUEST, 'show', '/data/f.txt') == 'inside\n'
        assert h.run('run', GUEST, 'show', '/data/f.txt')[0] == 1
        assert h.run('run', '--dir', d + '::/data:ro', GUEST, 'write', '/data/new')[0] == 1
        assert not os.path.exists(d + '/new')
        assert h.run('run', '--dir', d + '::/data', GUEST, 'write', '/data/new')[0] == 0
        assert os.path.exists(d + '/new')


def test_a_folder_is_opened_as_it_was_given_however_it_was_written(h):
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(d + '/here/dd')
        with open(d + '/here/dd/f', 'w') as f:
            f.write('inside\n')
        for given, opened in (('dd', 'dd/f'), ('dd/', '/dd/f'), ('./dd', '/dd/f'), ('./dd/', 'dd/f'), ('.', './dd/f'),
                              ('dd::/a//./b/', '/a/b/f'), ('../here/dd', '../here/dd/f'), (d + '/here/dd/', d + '/here/dd/f')):
            p = h.spawn('run', '--dir', given, GUEST, 'show', opened, cwd=d + '/here', stdout=subprocess.PIPE, text=True)
            assert p.communicate(timeout=20)[0] == 'inside\n', (given, opened)
        p = h.spawn('run', '--dir', 'dd', '--dir', './dd/', GUEST, 'args', cwd=d + '/here', stderr=subprocess.PIPE, text=True)
        assert 'exists already' in p.communicate(timeout=20)[1] and p.returncode == 1


def test_the_home_of_a_node_is_shown_to_no_program(h):
    h.ok('up')
    above, name = os.path.split(h.folder)
    for solo in ((), ('--solo',)):
        for given, seen in ((above, f'/host/{name}'), ('/', '/host' + h.folder)):
            for file in 'device', 'store/data.mdb', 'log', 'store/../device':
                status, out, err = h.run('run', *solo, '--dir', given + '::/host', GUEST, 'show', f'{seen}/{file}')
                assert status == 1 and not out and 'ermission denied' in err, (given, file, status, err)
            assert h.run('run', *solo, '--dir', given + '::/host', GUEST, 'write', f'{seen}/new')[0] == 1
        for given in h.folder, h.folder + '/store', h.folder + '/store/..':
            status, _, err = h.run('run', *solo, '--dir', given + '::/', GUEST, 'show', '/device')
            assert status == 1 and 'home of a node' in err, (given, err)
    assert not os.path.exists(h.folder + '/new')


def test_a_program_that_overwrites_its_own_file_goes_on_with_the_code_that_was_checked(h):
    for solo in ([], ['--solo']):
        with tempfile.TemporaryDirectory() as d:
            shutil.copy(GUEST, d + '/own.wasm')
            out = h.run('run', *solo, '--dir', d + '::/', d + '/own.wasm', 'overwrite', '/own.wasm')
            assert out[:2] == (0, '7 in hay 2.5\n'), (solo, out)


def test_misuse_is_status_2_and_says_what_would_be_right(h):
    for args, text in ((['up', '--listen', 'here'], '192.0.2.7:4747'), (['up', '--name', ''], '1 to 63'),
                       (['run', '--env', 'A', GUEST], 'NAME=VALUE'), (['run', GUEST] + ['x'] * 20000, 'at most'),
                       (['snapshot', '1', '-o', '-'], 'file'), (['kill', 'one'], 'wasmos ps'), (['ps', '-z'], '-z')):
        status, _, err = h.run(*args)
        assert status == 2 and text in err and 'Try `wasmos help' in err, (args[:3], status, err)
    assert h.run('status')[0] == 1


def test_what_is_no_file_is_refused_at_once(h):
    os.mkfifo(h.folder + '.pipe')
    for solo in ([], ['--solo']):
        for path in (h.folder + '.pipe', '/dev/null', '/'):
            status, _, err = h.run('run', *solo, path, timeout=5)
            assert status == 1 and 'not a regular file' in err, (path, err)
    os.remove(h.folder + '.pipe')


def test_only_given_environment_reaches_the_program(h):
    assert h.ok('run', '--env', 'A=1=2', GUEST, 'env', 'A') == '1=2\n'
    assert h.ok('run', GUEST, 'env', 'PATH') == 'unset\n'


def test_a_program_that_is_larger_than_it_may_be_is_refused_with_both_numbers(h):
    with tempfile.NamedTemporaryFile(suffix='.wasm') as f:  # a memory of 40 pages and an empty _start
        f.write(b'\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x28\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b')
        f.flush()
        for solo in ((), ('--solo',)):
            h.ok('run', *solo, '--max-memory', 3, f.name)
            status, _, err = h.run('run', *solo, '--max-memory', 2, f.name)
            assert status == 1 and 'begins with 2.5 MiB, and 2.0 are allowed' in err, err


def test_what_was_said_last_of_a_variable_counts(h):
    for solo in ((), ('--solo',)):
        assert h.ok('run', *solo, '-e', 'A=1', '-e', 'AB=2', '-e', 'A=3', GUEST, 'env', 'A') == '3\n'
        assert h.ok('run', *solo, '-e', 'A=1', '-e', 'AB=2', '-e', 'A=3', GUEST, 'env', 'AB') == '2\n'


def test_what_is_no_program_is_refused_with_its_reason(h):
    status, _, err = h.run('run', '/etc/passwd')
    assert status == 1 and 'magic' in err, err
    status, _, err = h.run('run', '/nowhere.wasm')
    assert status == 1 and '/nowhere.wasm' in err, err
    assert h.run('run', '--dir', '/nowhere::/', GUEST, 'tty')[0] == 1
    assert not h.ps('-a')


def test_solo_behaves_as_on_a_node(h):
    assert h.run('run', '--solo', GUEST, 'args', 'x')[:2] == (0, '[x]\n')
    assert h.run('run', '--solo', GUEST, 'exit', 7)[0] == 7
    assert h.run('run', '--solo', GUEST, 'trap')[0] == 134
    assert not os.path.exists(h.folder + '/control')


# ---- ps, kill, logs, attach ----

def test_a_detached_program_is_listed_logged_and_killed(h):
    pid = h.start('tick')
    until(lambda: 'tick 3' in h.ok('logs', pid))
    row = h.ps()[pid]
    assert row['name'] == 'guest' and row['command'].endswith('tick') and row['state'] in ('running', 'waiting'), row
    assert f'{pid}  ' in h.ok('ps')
    h.ok('kill', pid)
    until(lambda: pid not in h.ps())
    row = h.ps('-a')[pid]
    assert row['state'] == 'killed' and row['status'] == 137, row
    assert 'tick 3' in h.ok('logs', pid)
    assert h.run('kill', pid)[0] == 1


def test_logs_of_a_suspended_program_are_its_last_lines(h):
    pid = h.start('tick')
    until(lambda: h.ok('logs', pid).count('\n') > 2)
    h.ok('suspend', pid)
    out = h.ok('logs', pid)
    assert out.count('\n') > 2 and out == h.ok('logs', pid), out
    status, again, err = h.run('logs', '-f', pid)
    assert status == 1 and again == out and 'is suspended' in err, (status, again, err)
    h.ok('resume', pid)
    until(lambda: len(h.ok('logs', pid)) > len(out))
    assert h.ok('logs', pid).startswith(out)


def test_a_program_that_never_waits_is_killed_too(h):
    pid = h.start('spin')
    until(lambda: h.ps()[pid]['cpu_ms'] > 50)
    h.ok('kill', pid)
    until(lambda: pid not in h.ps())


def test_run_that_is_killed_exits_with_137(h):
    p = h.spawn('run', GUEST, 'tick', stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    pid = until(lambda: h.run('status')[0] == 0 and list(h.ps()))[0]
    h.ok('kill', pid)
    _, err = p.communicate(timeout=10)
    assert p.returncode == 137 and b'killed' in err, (p.returncode, err)


def test_logs_f_follows_until_the_end(h):
    pid = h.start('tick')
    p = h.spawn('logs', '-f', pid, stdout=subprocess.PIPE)
    time.sleep(0.3)
    h.ok('kill', pid)
    out = p.communicate(timeout=10)[0].decode()
    lines = out.splitlines()
    assert p.returncode == 0 and lines[:3] == ['tick 0', 'tick 1', 'tick 2'], (p.returncode, out)
    assert lines == [f'tick {i}' for i in range(len(lines))], out


def test_a_client_that_goes_away_ends_the_program_it_started(h):
    p = h.spawn('run', GUEST, 'tick', stdout=subprocess.PIPE)
    p.stdout.readline()
    p.kill()
    p.wait()
    until(lambda: not h.ps())


def test_a_slow_reader_holds_the_program_and_not_the_node(h):
    p = h.spawn('run', GUEST, 'flood', 3000000, stdout=subprocess.PIPE)
    p.stdout.read(1000)
    time.sleep(0.5)
    start = time.monotonic()
    assert h.run('run', GUEST, 'exit', 3)[0] == 3
    assert time.monotonic() - start < 2
    with open(f'/proc/{h.node_pid()}/status') as f:
        rss_kib = int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))
    assert rss_kib < 60_000, rss_kib
    rest = p.stdout.read()
    assert p.wait(20) == 0 and rest.endswith(b'line 2999999\n')


def test_fifty_programs_run_at_once(h):
    h.ok('up')
    procs = [h.spawn('run', GUEST, 'lines', stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(50)]
    for p in procs:
        assert p.stdout.readline() == b'ready\n'
    assert len(h.ps()) == 50
    for i, p in enumerate(procs):
        p.stdin.write(f'number {i}\n'.encode())
        p.stdin.flush()
    for i, p in enumerate(procs):
        out, _ = p.communicate(timeout=20)
        assert p.returncode == 0 and out == f'got number {i}\nend\n'.encode(), (i, out)
    assert not h.ps()


# ---- terminals ----

def test_a_terminal_passes_through(h):
    t = Terminal(h, 'run', GUEST, 'tty')
    t.expect('tty 111')
    assert t.wait() == 0


def test_lines_typed_at_a_terminal_are_echoed_edited_and_read(h):
    t = Terminal(h, 'run', GUEST, 'lines')
    t.expect('ready')
    t.type('hex\x7fllo\n')
    t.expect('got hello')
    t.type('\x04')
    t.expect('end')
    assert t.wait() == 0


def test_control_z_gives_the_terminal_back_as_it_was(h):
    import termios
    t = Terminal(h, 'run', GUEST, 'lines')
    t.expect('ready')
    t.type('\x1a')
    assert os.WIFSTOPPED(os.waitpid(t.pid, os.WUNTRACED)[1])
    before = termios.tcgetattr(t.fd)
    assert before[0] & termios.IXON and before[6][termios.VEOL] != b'\x10', before
    os.kill(t.pid, signal.SIGCONT)
    until(lambda: termios.tcgetattr(t.fd)[6][termios.VEOL] == b'\x10')
    t.type('one\n')
    t.expect('got one')
    t.type('\x04')
    assert t.wait() == 0


def test_what_takes_longer_than_a_second_is_shown_at_a_terminal_and_taken_away(h):
    pid = h.start('tick')
    node = h.node_pid()
    os.kill(node, signal.SIGSTOP)
    try:
        t = Terminal(h, 'suspend', pid)
        t.expect('suspend: 1 s')
    finally:
        os.kill(node, signal.SIGCONT)
    t.expect('\r\x1b[K' + f'{pid} is suspended')
    assert t.wait() == 0


def test_control_c_ends_the_program(h):
    t = Terminal(h, 'run', GUEST, 'spin')
    until(lambda: h.run('status')[0] == 0 and h.ps())
    time.sleep(0.2)
    t.type('\x03')
    assert t.wait() == 130
    until(lambda: not h.ps())


def test_detach_leaves_it_running_and_attach_comes_back(h):
    t = Terminal(h, 'run', GUEST, 'lines')
    t.expect('ready')
    t.type('one\n')
    t.expect('got one')
    t.type('\x10\x11')
    t.expect('detached')
    assert t.wait() == 0
    pid = list(h.ps())[0]
    t = Terminal(h, 'attach', pid)
    t.expect('got one')
    t.type('two\n')
    t.expect('got two')
    t.type('\x04')
    t.expect('end')
    assert t.wait() == 0


def test_two_terminals_see_the_same_program(h):
    pid = h.start('lines')
    a, b = Terminal(h, 'attach', pid), Terminal(h, 'attach', pid)
    a.expect('ready')
    b.expect('ready')
    a.type('from a\n')
    b.expect('got from a')
    b.type('from b\n')
    a.expect('got from b')
    b.type('\x04')
    assert a.wait() == 0 and b.wait() == 0


def test_the_terminal_is_as_before_when_the_program_ended(h):
    import termios
    t = Terminal(h, 'run', GUEST, 'lines')
    before = termios.tcgetattr(t.fd)
    t.expect('ready')
    t.type('\x04')
    t.expect('end')
    time.sleep(0.2)
    after = termios.tcgetattr(t.fd)
    before[6], after[6] = [c for c in before[6]], [c for c in after[6]]
    assert before == after
    assert t.wait() == 0


# ---- the node ----

def test_down_ends_everything_and_says_when_there_is_nothing(h):
    h.start('spin')
    node = h.node_pid()
    h.ok('down')
    until(lambda: has_ended(node))
    status, _, err = h.run('ps')
    assert status == 1 and 'wasmos up' in err, err
    h.ok('up')
    h.ok('down')


def test_down_is_refused_when_a_program_cannot_be_kept_and_nothing_is_lost(h):
    import resource
    # What a write beyond the limit meets is an error then, as on a full disk, and not a signal.
    subprocess.run([WASMOS, 'up', '-q'], env=h.env, restore_signals=False, check=True)
    kept = [h.start('tick') for _ in range(3)]
    resource.prlimit(h.node_pid(), resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    status, _, err = h.run('down')
    assert status == 1 and 'cannot be kept' in err and 'stays up' in err, err
    until(lambda: [h.ps()[pid]['state'] for pid in kept] == ['waiting'] * 3)
    resource.prlimit(h.node_pid(), resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    h.ok('down')
    h.ok('up')
    until(lambda: [h.ps()[pid]['state'] for pid in kept] == ['waiting'] * 3)


def test_down_end_ends_also_what_an_up_is_just_waking(h):
    for _ in range(30):
        h.start('tick')
    h.ok('down')
    h.ok('up')
    h.ok('down', '--end')
    h.ok('up')
    assert not h.ps('-a'), h.ps('-a')


def test_logs_of_a_program_that_trapped_tell_why(h):
    pid = h.start('trap')
    until(lambda: not h.ps())
    status, out, err = h.run('logs', pid)
    assert (status, out) == (0, '') and 'trapped: integer divide by zero in main' in err, (status, out, err)


def test_help_that_cannot_be_written_is_an_error(h):
    with open('/dev/full', 'w') as full:
        for words in ('help',), ('help', 'run'), ('run', '--help'), ('status',):
            h.ok('up', '-q')
            p = h.spawn(*words, stdout=full, stderr=subprocess.PIPE, text=True)
            assert 'cannot be written' in p.communicate(timeout=20)[1] and p.returncode == 1, words


def test_without_home_the_users_folder_is_used(h):
    env = {k: v for k, v in h.env.items() if k not in ('HOME', 'WASMOS_HOME')}
    for more in {}, {'HOME': ''}:
        p = subprocess.run([WASMOS, 'status'], env={**env, **more}, capture_output=True, text=True, timeout=20)
        assert os.path.join(pwd.getpwuid(os.geteuid()).pw_dir, '.wasmos') in p.stdout + p.stderr, p


def test_a_second_node_for_the_same_home_is_refused(h):
    h.ok('up')
    status, _, err = h.run('up')
    assert status == 1 and 'already' in err and str(h.node_pid()) in err, err


def test_after_kill_9_the_stale_socket_is_recognised_and_the_node_starts_again(h):
    h.start('spin')
    os.kill(h.node_pid(), signal.SIGKILL)
    until(lambda: h.run('ps')[0] == 1)
    assert os.path.exists(h.folder + '/control')
    assert h.run('run', GUEST, 'exit', 5)[0] == 5


def test_a_client_hears_that_its_node_was_killed(h):
    p = h.spawn('run', GUEST, 'tick', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    os.kill(h.node_pid(), signal.SIGKILL)
    _, err = p.communicate(timeout=10)
    assert p.returncode == 1 and b'went away' in err, err


def test_sigterm_ends_the_node_cleanly(h):
    h.start('spin')
    node = h.node_pid()
    os.kill(node, signal.SIGTERM)
    until(lambda: h.run('ps')[0] == 1)
    until(lambda: not os.path.exists(h.folder + '/control'))
    with open(h.folder + '/log') as f:
        assert 'is down' in f.read()


def test_many_runs_at_once_start_one_node(h):
    procs = [h.spawn('run', GUEST, 'exit', i) for i in range(10)]
    assert [p.wait(20) for p in procs] == list(range(10))
    with open(h.folder + '/log') as f:
        assert f.read().count('is up') == 1


def test_two_homes_do_not_know_of_each_other(h):
    with tempfile.TemporaryDirectory() as folder:
        other = Home(folder)
        try:
            h.start('tick')
            other.ok('up')
            assert len(h.ps()) == 1 and not other.ps()
        finally:
            other.end()


def test_a_home_with_a_very_long_path_works(h):
    long = Home(h.folder + '/' + '/'.join(['x' * 60] * 4))
    try:
        assert long.run('run', GUEST, 'exit', 4)[0] == 4
        assert long.ps('-a')
    finally:
        long.end()


def test_home_and_socket_are_private(h):
    h.ok('up')
    assert stat.S_IMODE(os.stat(h.folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(h.folder + '/control').st_mode) == 0o600
    if os.geteuid() == 0:
        os.chmod(h.folder, 0o711)
        os.chmod(h.folder + '/control', 0o666)
        os.chmod(os.path.dirname(h.folder), 0o755)
        code = f'import socket,os; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect({h.folder!r} + "/control"); ' \
               's.send(bytes([9, 0, 0, 0])); print(len(s.recv(10)))'
        r = subprocess.run([shutil.which('python3', path='/usr/bin:/bin') or sys.executable, '-c', code],
                           capture_output=True, text=True)
        assert r.stdout.strip() in ('0', '') and r.stdout.strip() != '10', (r.stdout, r.stderr)


def test_a_folder_that_others_may_enter_is_no_home(h):
    os.makedirs(h.folder, exist_ok=True)
    open(h.folder + '/something', 'w').close()
    os.chmod(h.folder, 0o755)
    status, _, err = h.run('up')
    assert status == 1 and 'chmod 700' in err, err


def test_a_damaged_home_is_refused_with_what_to_do_and_is_left_as_it_is(h):
    h.ok('up')
    h.ok('down')
    for name, said in ('device', 'a new identity'), ('store/data.mdb', 'are forgotten'):
        path = os.path.join(h.folder, name)
        shutil.copy(path, h.folder + '.good')
        bad = os.urandom(os.path.getsize(path))
        with open(path, 'wb') as f:
            f.write(bad)
        status, out, err = h.run('up')
        assert status == 1 and 'is damaged' in err and said in err and err.count('\n') == 1 and not out, (status, err)
        with open(path, 'rb') as f:
            assert f.read() == bad, name
        shutil.copy(h.folder + '.good', path)
    path = h.folder + '/store/data.mdb'
    for size, said in (os.path.getsize(path) - 4096, 'cut short'), (0, 'is empty'):
        os.truncate(path, size)
        status, out, err = h.run('up')
        assert status == 1 and 'is damaged' in err and said in err and err.count('\n') == 1 and not out, (status, err)
        assert os.path.getsize(path) == size
    shutil.copy(h.folder + '.good', path)
    os.remove(h.folder + '.good')
    h.ok('up')


def test_garbage_on_the_socket_does_not_disturb_the_node(h):
    h.ok('up')
    rng = random.Random(2)
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX)
        s.connect(h.folder + '/control')
        body = rng.randbytes(rng.randrange(64))
        s.send(len(body).to_bytes(4, 'little') + body if rng.random() < 0.7 else rng.randbytes(40))
        s.close()
    assert h.run('run', GUEST, 'exit', 6)[0] == 6


# ---- the command line ----

def test_wrong_usage_is_status_2_and_says_what_to_do(h):
    for args in ([], ['nonsense'], ['ps', '--nonsense'], ['run'], ['kill'], ['kill', 'x'], ['ps', 'too', 'much'],
                 ['run', '--env', 'novalue', GUEST], ['run', '--dir'], ['run', '--display', 'moon', GUEST],
                 ['run', '--solo', '-d', GUEST]):
        status, _, err = h.run(*args)
        assert status == 2 and 'help' in err, (args, status, err)


def test_every_command_has_help(h):
    overview = h.ok('help')
    names = re.findall(r'^  (\w+) {2,}', overview, re.M)
    assert {'up', 'down', 'run', 'ps', 'kill', 'attach', 'logs'} <= set(names)
    for name in names:
        assert h.ok('help', name) == h.ok(name, '--help')
        assert h.ok('help', name).startswith('Usage: wasmos ' + name)
    assert 'wasmos' in h.ok('--version')


def test_the_manual_names_every_command_and_option(h):
    with open(os.path.join(os.path.dirname(__file__), '../../docs/wasmos.1'), encoding='utf-8') as f:
        manual = f.read()
    for name in re.findall(r'^  (\w+) ', h.ok('help').split('A first try')[0], re.M):
        assert re.search(r'^\.It (Xo )?Ic ' + name + r'\b', manual, re.M), name
        for option in re.findall(r'^  (?:-\w, |    )--([\w-]+)', h.ok('help', name), re.M):
            assert re.search(r'Fl (\w \| )?-' + option + r'\b|\| -' + option + r'\b', manual), (name, option)


def test_tables_are_json_when_asked(h):
    h.start('tick')
    assert isinstance(json.loads(h.ok('ps', '--json')), list)
    assert isinstance(json.loads(h.ok('--json', 'status')), dict)
    assert json.loads(h.ok('run', '-d', '--json', GUEST, 'tick'))['pid'] == 2


def test_columns_stand_below_each_other_whatever_a_name_is(h):
    for name in 'plain', 'Ünï', '漢字', 'e\u0301':
        h.ok('run', '-d', '--name', name, GUEST, 'tick', 'COLUMN')
    starts = set()
    for line in h.ok('ps').splitlines()[1:]:
        before = line.split(GUEST)[0]
        starts.add(sum(0 if c == '\u0301' else 2 if c > '\u2e80' else 1 for c in before))
    assert len(starts) == 1, h.ok('ps')


def test_up_tells_where_the_node_is_also_as_json(h):
    up = json.loads(h.ok('up', '--json', '--listen', '127.0.0.1:0'))
    assert up['pid'] == h.node_pid() and up['home'] == h.folder, up
    listens = json.loads(h.ok('status', '--json'))['listen']
    peers = json.loads(h.ok('peers', '--json'))
    assert up['address'] == listens == peers[0]['address'] and listens.startswith('127.0.0.1:'), (up, listens, peers)


def test_a_program_that_was_sent_sigsegv_without_a_node_ends(h):
    p = h.spawn('run', '--solo', GUEST, 'spin')
    time.sleep(0.5)
    p.send_signal(signal.SIGSEGV)
    assert p.wait(5) == -signal.SIGSEGV


def test_control_characters_in_names_do_not_reach_the_terminal(h):
    _, _, err = h.run('run', '/no\x1b[31mwhere\x7f.wasm')
    assert '\x1b' not in err and '\x7f' not in err and 'where' in err, err
    pid = int(h.ok('run', '-d', '--name', 'a\x1b[2Jb', GUEST, 'tick', '\x1b]0;x\x07'))
    h.start('tick', '\x9b31m', b'\xff\x9b1m'.decode(errors='surrogateescape'))
    out = h.ok('ps') + h.ok('ps', '--json')
    assert '\x1b' not in out and '\x07' not in out, out
    assert '\x9b' not in h.ok('ps') and '\ufffd' not in h.ok('ps'), h.ok('ps')
    assert h.ps()[pid]['name'].startswith('a'), out


def test_commands_of_no_process_say_so(h):
    h.ok('up')
    for command in ('kill', 'attach', 'logs'):
        status, _, err = h.run(command, 77)
        assert status == 1 and '77' in err, (command, err)


if __name__ == '__main__':
    sys.exit(main(globals()))
