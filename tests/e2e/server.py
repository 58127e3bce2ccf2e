"""server.py - a node without a person in front of it: settings, logs, a service manager, installing (person.py says how to run it).

The service manager is a socket of the test's own, as systemd's is (NOTIFY_SOCKET); units are checked by systemd-analyze where it is.
"""
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import cases
from person import GUEST, WASMOS, Terminal, main, paired, until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUIET = ('--listen', '127.0.0.1:0', '--display', 'headless')


def configure(h, *lines, name='config'):
    os.makedirs(h.folder, mode=0o700, exist_ok=True)
    path = os.path.join(h.folder, name)
    with open(path, 'w') as f:
        f.write('\n'.join(lines) + '\n')
    return path


def log_lines(h):
    with open(os.path.join(h.folder, 'log')) as f:
        return f.read().splitlines()


def settings(h, *args):
    return {s['key']: s for s in json.loads(h.ok('config', '--json', *args))}


# ---- settings ----

def test_a_setting_comes_from_the_file_or_is_the_default_and_config_says_which(h):
    path = configure(h, '# a comment', '', 'checkpoint = 7  # of seconds', '  name=  my desk ')
    all_ = settings(h)
    assert (all_['checkpoint']['value'], all_['checkpoint']['from']) == ('7', path + ':3'), all_['checkpoint']
    assert (all_['name']['value'], all_['name']['from']) == ('my desk', path + ':4'), all_['name']
    assert (all_['max-processes']['value'], all_['max-processes']['from']) == ('4096', 'default')
    other = configure(h, 'checkpoint = 8', name='other')
    assert settings(h, '--config', other)['checkpoint']['value'] == '8'


def test_an_option_wins_over_the_file_and_the_file_over_the_default(h):
    configure(h, 'name = filed', 'listen = 127.0.0.1:0', 'display = headless')
    h.ok('up')
    assert json.loads(h.ok('status', '--json'))['name'] == 'filed'
    h.ok('down')
    h.ok('up', '--name', 'typed')
    assert json.loads(h.ok('status', '--json'))['name'] == 'typed'


def test_every_option_of_up_is_a_setting_and_what_example_prints_can_be_read(h):
    path = configure(h, *[line.removeprefix('#') if re.match(r'#[a-z-]+ = .', line) else line
                          for line in h.ok('config', '--example').splitlines()])
    keys = settings(h)
    assert all(s['value'] == s['default'] for s in keys.values()), keys
    assert keys['checkpoint']['from'].startswith(path)
    help_ = set(re.findall(r'--([a-z-]+)', h.ok('help', 'up').split('Options:')[1]))
    assert set(keys) <= help_, set(keys) - help_


def test_a_wrong_setting_names_file_line_key_and_what_is_allowed_and_no_node_is_started(h):
    for line, words in {
            'chekpoint = 7': ('config:2', '"chekpoint"', 'there are name, listen'),
            'checkpoint = soon': ('config:2', 'checkpoint = soon', 'a number of seconds from 0 to 86400'),
            'checkpoint = 99999999999999999999': ('config:2', 'from 0 to 86400'),
            'display = cinema': ('config:2', 'display = cinema', 'auto, sdl2, terminal or headless'),
            'listen = here': ('config:2', 'listen = here', '192.0.2.7:4747'),
            'log-level = info lnk=debug': ('config:2', '"lnk"', 'link'),
            'log-level = loud': ('config:2', '"loud"', 'debug'),
            'name = ' + 'x' * 64: ('config:2', '1 to 63 bytes'),
            'name': ('config:2', 'KEY = VALUE'),
            'log-format = json\nlog-format = json': ('config:3', 'line 2 already')}.items():
        configure(h, '# settings', line)
        status, _, err = h.run('up')
        assert status == 1 and all(w in err for w in words), (line, err)
        assert h.run('status')[0] == 1
    configure(h, 'x' * 70000)
    assert 'at most 65536 bytes' in h.run('up')[2]
    status, _, err = h.run('up', '--config', os.path.join(h.folder, 'nowhere'))
    assert status == 1 and 'nowhere' in err, err
    status, _, err = h.run('up', '--display', 'cinema')
    assert status == 2 and 'it must be auto' in err, err


def test_no_more_programs_run_at_once_than_the_settings_allow(h):
    configure(h, 'max-processes = 2')
    h.ok('up', *QUIET)
    for _ in range(2):
        h.start('sleep', '60000')
    status, _, err = h.run('run', '-d', GUEST, 'sleep', '60000')
    assert status == 1 and '2 processes run' in err, err


# ---- logs ----

def test_a_log_of_json_is_one_object_a_line_whatever_a_program_is_called(h):
    configure(h, 'log-format = json', 'log-level = debug')
    h.ok('up', *QUIET)
    name = 'a"b\\c\nd\x01é'
    pid = int(h.ok('run', '-d', '--name', name, GUEST, 'sleep', '60000'))
    h.ok('suspend', pid)
    h.ok('resume', pid)
    h.ok('kill', pid)
    h.ok('down')
    rows = [json.loads(line) for line in log_lines(h)]
    always, fields = {'time', 'level', 'part', 'text'}, {'event', 'pid', 'program', 'device', 'status', 'error'}
    assert rows and all(always <= set(r) <= always | fields for r in rows), rows
    events = {r['event']: r for r in rows if 'event' in r}
    assert {'node_up', 'node_stopping', 'node_down', 'program_ended'} <= set(events), rows
    ended = events['program_ended']
    assert ended['pid'] == pid and ended['status'] == 137 and ended['program'] in ended['text'], ended
    assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', r['time']) for r in rows)
    assert any(r['part'] == 'node' and 'is up' in r['text'] for r in rows)


def test_a_part_has_a_level_of_its_own(h):
    configure(h, 'log-format = json', 'log-level = error node=info')
    h.ok('up', *QUIET)
    h.ok('down')
    assert {json.loads(line)['part'] for line in log_lines(h)} == {'node'}


def test_a_log_can_go_to_stderr_alone(h):
    configure(h, 'log-file = no', 'log-format = json')
    node = h.spawn('up', '--foreground', *QUIET, stderr=subprocess.PIPE, text=True)
    until(lambda: h.run('status')[0] == 0)
    h.ok('down')
    err = node.communicate(timeout=20)[1]
    assert any('is up' in json.loads(line)['text'] for line in err.splitlines()), err
    assert not os.path.exists(os.path.join(h.folder, 'log'))


def test_sighup_makes_a_node_read_its_file_again_and_a_mistake_changes_nothing(h):
    configure(h, 'log-format = text')
    h.ok('up', *QUIET)
    pid = h.node_pid()
    configure(h, 'log-format = json')
    os.kill(pid, signal.SIGHUP)
    until(lambda: log_lines(h)[-1].startswith('{') and 'read again' in log_lines(h)[-1])
    configure(h, 'log-format = xml')
    os.kill(pid, signal.SIGHUP)
    until(lambda: 'text or json' in json.loads(log_lines(h)[-1])['text'])
    assert h.node_pid() == pid


# ---- a service manager ----

class Manager:
    """What systemd is to a service of Type=notify."""

    def __init__(self, h, watchdog_ms=0):
        self.path = h.folder + '-notify'
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.told = []
        h.env.update(NOTIFY_SOCKET=self.path)
        if watchdog_ms:
            h.env.update(WATCHDOG_USEC=str(watchdog_ms * 1000))

    def close(self):
        self.socket.close()
        os.unlink(self.path)

    def hear(self, timeout):
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        text = self.socket.recv(4096).decode()
        self.told.append(text)
        return text

    def expect(self, line, timeout=20):
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if line in (self.hear(left) or '').split('\n'):
                return
        raise AssertionError(f'{line} did not come: {self.told}')


@contextlib.contextmanager
def managed(h, **more):
    m = Manager(h, **more)
    node = h.spawn('up', '--foreground', *QUIET, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield m, node
    finally:
        if node.poll() is None:
            node.kill()
        node.wait()
        m.close()


def test_a_manager_hears_that_the_node_is_ready_when_it_answers_and_that_it_stops(h):
    with managed(h) as (m, node):
        m.expect('READY=1')
        assert h.run('status')[0] == 0
        node.send_signal(signal.SIGTERM)
        m.expect('STOPPING=1')
        assert node.wait(20) == 0
        assert not any('WATCHDOG' in t for t in m.told), m.told


def test_a_manager_hears_how_many_programs_run(h):
    with managed(h) as (m, _):
        m.expect('READY=1')
        h.start('sleep', '60000')
        end = time.monotonic() + 15
        while not any(t.startswith('STATUS=') and '1 programs run' in t for t in m.told):
            assert time.monotonic() < end, m.told
            m.hear(1)


def test_a_watchdog_is_fed_at_half_its_time_and_not_by_a_node_that_hangs(h):
    with managed(h, watchdog_ms=600) as (m, node):
        m.expect('READY=1')
        began = time.monotonic()
        for _ in range(5):
            m.expect('WATCHDOG=1')
        took = time.monotonic() - began
        assert 1.0 < took < 3.0, took
        node.send_signal(signal.SIGSTOP)
        while m.hear(0.1):
            pass
        assert m.hear(1.5) is None
        node.send_signal(signal.SIGCONT)
        m.expect('WATCHDOG=1')


def test_a_manager_hears_that_settings_are_read_again(h):
    with managed(h) as (m, node):
        m.expect('READY=1')
        node.send_signal(signal.SIGHUP)
        m.expect('RELOADING=1')
        m.expect('READY=1')


def test_a_node_in_the_background_tells_nobody(h):
    m = Manager(h, watchdog_ms=200)
    h.ok('up', *QUIET)
    assert m.hear(1) is None
    m.close()


# ---- figures ----

def figures_address(h):
    """Where the node of h says that its figures are: (host, port)."""
    return until(lambda: next((('127.0.0.1', int(m.group(1))) for m in re.finditer(
        r'figures at http://127\.0\.0\.1:(\d+)/metrics', '\n'.join(log_lines(h)))), None))


def exchange(address, request, timeout=10):
    """What comes back until the other side closes."""
    with socket.create_connection(address, timeout=timeout) as s:
        s.sendall(request)
        got = b''
        while part := s.recv(65536):
            got += part
    return got.decode()


def page(h):
    got = exchange(figures_address(h), b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
    head, body = got.split('\r\n\r\n', 1)
    assert head.startswith('HTTP/1.1 200 OK') and 'text/plain; version=0.0.4' in head, head
    assert int(re.search(r'Content-Length: (\d+)', head).group(1)) == len(body.encode())
    return body


def figure(h, sample):
    m = re.search('^' + re.escape(sample) + r' (\S+)$', page(h), re.M)
    assert m, (sample, page(h))
    return float(m.group(1))


def test_figures_can_be_read_where_the_settings_say_and_promtool_finds_nothing_wrong(h):
    configure(h, 'metrics = 127.0.0.1:0', 'name = de"sk')
    h.ok('up', *QUIET)
    h.start('sleep', '60000')
    with open(h.folder + '-page', 'w') as f:
        f.write(page(h))
    assert figure(h, 'wasmos_families') == 1
    assert figure(h, 'wasmos_guest_memory_bytes') > 60000
    assert figure(h, 'process_start_time_seconds') == float(f'{json.loads(h.ok("status", "--json"))["started_unix_ms"] / 1000}')
    if not shutil.which('promtool'):
        raise cases.Skip('promtool (Debian package prometheus) is not installed: the page was read, but not checked by it')
    with open(h.folder + '-page') as f:
        r = subprocess.run(['promtool', 'check', 'metrics'], stdin=f, capture_output=True, text=True)
    assert r.returncode == 0 and not r.stdout.strip() and not r.stderr.strip(), r


def test_figures_count_moves_bytes_checkpoints_and_processor_time(h):
    configure(h, 'metrics = 127.0.0.1:0')
    with paired(h) as other:
        until(lambda: figure(h, 'wasmos_links_up') == 1)
        pid = h.start('sleep', '60000')
        h.ok('migrate', pid, 'laptop')
        assert figure(h, 'wasmos_moves_total{direction="away",result="done"}') == 1
        assert figure(h, 'wasmos_move_pause_seconds_count') == 1
        assert 0 < figure(h, 'wasmos_move_pause_seconds_sum') < 5
        assert figure(h, 'wasmos_move_pause_seconds_bucket{le="+Inf"}') == 1
        sent = re.search(r'wasmos_peer_sent_bytes_total\{peer="laptop",id="\w+",kind="move"\} (\d+)', page(h))
        assert int(sent.group(1)) > 1000, page(h)
        assert figure(h, 'wasmos_move_sent_bytes_total') > 1000
        h.ok('bring', json.loads(other.ok('ps', '--json'))[0]['pid'], 'laptop')
        assert figure(h, 'wasmos_moves_total{direction="here",result="done"}') == 1
        assert figure(h, 'wasmos_store_bytes') > 0
        before = figure(h, 'wasmos_guest_cpu_seconds_total')
        until(lambda: not h.ok('kill', pid) and figure(h, 'wasmos_families') == 0)
        assert figure(h, 'wasmos_guest_cpu_seconds_total') >= before


def test_figures_are_for_this_machine_alone_unless_the_settings_say_it_twice(h):
    configure(h, 'metrics = 0.0.0.0:0')
    status, _, err = h.run('up', *QUIET)
    assert status != 0 and 'metrics-beyond-loopback' in err, err
    h.ok('up', *QUIET, '--metrics-beyond-loopback', 'yes')


def test_what_is_no_request_for_figures_is_refused_and_harms_nothing(h):
    configure(h, 'metrics = 127.0.0.1:0')
    h.ok('up', *QUIET)
    at = figures_address(h)
    for request, status in {
            b'GET / HTTP/1.1\r\n\r\n': 404, b'POST /metrics HTTP/1.1\r\n\r\n': 405, b'\x16\x03\x01\n': 400,
            b'GET /metrics\r\n\r\n': 400, b'GET /metrics HTTP/2.0\r\n\r\n': 400,
            b'GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n': 403,
            b'GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n': 400,
            b'GET /' + b'a' * 300 + b' HTTP/1.1\r\n\r\n': 400,
            b'GET /metrics HTTP/1.1\r\nX: ' + b'a' * 8192: 431}.items():
        got = exchange(at, request)
        assert got.startswith(f'HTTP/1.1 {status} '), (request[:60], got[:80])
    assert exchange(at, b'HEAD /metrics HTTP/1.0\r\n\r\n').endswith('\r\n\r\n')
    idle = [socket.create_connection(at) for _ in range(30)]
    for s in idle:
        with contextlib.suppress(OSError):
            s.sendall(b'GET /met')
    until(lambda: not any_open(idle), timeout=15)
    for s in idle:
        s.close()
    assert figure(h, 'wasmos_links_up') == 0


def any_open(sockets):
    for s in sockets:
        s.setblocking(False)
        try:
            if s.recv(1):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
    return False


# ---- completion ----

class Typist:
    """A shell at a terminal, with completion switched on, in which `wasmos` is ours; Terminal's home."""

    def __init__(self, h, words, name):
        if not shutil.which(words[0]):
            raise cases.Skip(f'{words[0]} is not installed')
        self.words = words
        self.env = dict(h.env, PATH=os.path.dirname(WASMOS) + ':' + h.env['PATH'], PS1='> ', HISTFILE='/dev/null')
        self.terminal = Terminal(self, cols=200)
        self.terminal.type(f'source <(wasmos completion {name}); PS1="re""ady> "\n')
        self.terminal.expect('ready> ')

    def command(self):
        return [shutil.which(self.words[0]), *self.words[1:]]

    def typed(self, text, becomes):
        """text, then a tab: the line becomes that, as the shell itself says."""
        self.terminal.type(text + '\t')
        time.sleep(0.1)
        self.terminal.type('\x01echo GO""T=\x05;\n')  # ^A, ^E
        self.terminal.expect(f'GOT={becomes}')
        self.terminal.expect('ready> ')

    def listed(self, text, *words):
        """text, then two tabs: all of the words are shown."""
        self.terminal.type(text + '\t\t')
        until(lambda: not self.terminal.read(0.1) and all(w in self.terminal.text for w in words))
        self.terminal.type('\x15')
        time.sleep(0.2)

    def end(self):
        self.terminal.type('\x15exit\n')
        self.terminal.wait()


def shell_completes(h, words, name):
    with paired(h):
        pid = h.start('sleep', '60000')
        t = Typist(h, words, name)
        for text, becomes in {
                'wasmos mig': 'wasmos migrate', 'wasmos up --disp': 'wasmos up --display',
                'wasmos up --display he': 'wasmos up --display headless',
                'wasmos up --display=he': 'wasmos up --display=headless', 'wasmos kill ': f'wasmos kill {pid}',
                f'wasmos migrate {pid} l': f'wasmos migrate {pid} laptop', f'wasmos migrate {pid} b': f'wasmos migrate {pid} best', 'wasmos device ren': 'wasmos device rename',
                'wasmos ps --on l': 'wasmos ps --on laptop', 'wasmos restore /etc/pass': 'wasmos restore /etc/passwd',
                f'wasmos --home {h.folder} ki': f'wasmos --home {h.folder} kill'}.items():
            t.typed(text, becomes)
        t.listed('wasmos p', 'pair', 'peers', 'ports', 'ps')
        t.end()


def test_bash_completes_commands_options_values_devices_programs_and_files(h):
    shell_completes(h, ['bash', '--norc', '--noprofile', '-i'], 'bash')


def test_zsh_completes_commands_options_values_devices_programs_and_files(h):
    init = os.path.join(h.folder + '-zsh')
    os.makedirs(init)
    with open(os.path.join(init, '.zshrc'), 'w') as f:
        f.write("autoload -Uz compinit; compinit -u -d '" + init + "/dump'; unsetopt zle_bracketed_paste\n")
    h.env['ZDOTDIR'] = init
    shell_completes(h, ['zsh', '-d', '-i'], 'zsh')


def test_completing_asks_a_node_for_a_second_at_most_and_says_nothing_when_there_is_none(h):
    assert h.ok('completion', 'next', '--', 'kill', '') == 'words\n'
    h.ok('up', *QUIET)
    pid = h.node_pid()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    out = h.ok('completion', 'next', '--', 'kill', '')
    took = time.monotonic() - began
    os.kill(pid, signal.SIGCONT)
    assert out == 'words\n' and took < 3, (out, took)


def test_a_device_is_offered_with_what_one_chooses_it_by(h):
    with paired(h):
        def offered():
            lines = h.ok('completion', 'next', '--', 'migrate', '1', '').splitlines()
            return dict(line.split('\t') for line in lines[1:])
        until(lambda: 'MiB free' in offered().get('laptop', ''))
        assert re.match(r'up, \d+ % load, \d+ MiB free', offered()['laptop']) and 'best' in offered(), offered()
        assert set(dict(line.split('\t') for line in h.ok('completion', 'next', '--', 'unpair', '').splitlines()[1:])) == {'laptop'}


def test_a_name_that_a_shell_would_run_is_completed_as_a_name(h):
    h.ok('up', *QUIET)
    pid = int(h.ok('run', '-d', '--name', '$(touch pwned)\n`id`\x1b[2J', GUEST, 'sleep', '60000'))
    out = h.ok('completion', 'next', '--', 'kill', '')
    assert len(out.splitlines()) == 2 and '\x1b' not in out, out
    script = ('source <("$0" completion bash); COMP_WORDS=("$0" kill ""); COMP_CWORD=2; _wasmos; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    r = subprocess.run(['bash', '-c', script, WASMOS], env=h.env, cwd=h.folder, capture_output=True, text=True)
    assert r.stdout.split() == [str(pid)] and not os.path.exists(os.path.join(h.folder, 'pwned')), r


# ---- installing ----

def install(h, *args, ok=True, **env):
    r = subprocess.run([os.path.join(ROOT, 'scripts', 'install'), '--binary', WASMOS, *args],
                       env=dict(h.env, **env), capture_output=True, text=True, timeout=120)
    assert not ok or r.returncode == 0, r.stdout + r.stderr
    return r


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, names in os.walk(folder) for f in names)


def unit_of(h, scope):
    """The unit that an install makes, in a folder of the test's, with the program where it really is."""
    dest = h.folder + '-dest'
    install(h, '--' + scope, '--prefix', '/usr', DESTDIR=dest)
    folder = {'system': 'lib/systemd/system', 'user': 'share/systemd/user'}[scope]
    with open(os.path.join(dest, 'usr', folder, 'wasmos.service')) as f:
        text = f.read()
    path = os.path.join(h.folder, 'wasmos.service')
    configure(h, text.replace('/usr/bin/wasmos', WASMOS), name='wasmos.service')
    shutil.rmtree(dest)
    return path, text


def analyze(h, *args):
    if not shutil.which('systemd-analyze'):
        raise cases.Skip('systemd-analyze is not installed')
    return subprocess.run(['systemd-analyze', *args], env=dict(h.env, XDG_RUNTIME_DIR=h.folder), capture_output=True,
                          text=True, timeout=60)


def test_what_is_installed_runs_and_uninstalling_leaves_nothing_of_it(h):
    prefix = h.folder + '-prefix'
    install(h, '--user', '--prefix', prefix)
    r = subprocess.run([os.path.join(prefix, 'bin', 'wasmos'), '--version'], capture_output=True, text=True)
    assert r.stdout.startswith('wasmos '), r
    assert {'share/man/man1/wasmos.1', 'share/bash-completion/completions/wasmos',
            'share/zsh/site-functions/_wasmos'} <= set(files_below(prefix))
    install(h, '--user', '--prefix', prefix)
    install(h, '--user', '--prefix', prefix, '--uninstall')
    assert files_below(prefix) == []
    shutil.rmtree(prefix)


def test_a_system_install_writes_a_config_once_and_leaves_it_when_it_goes(h):
    dest = h.folder + '-dest'
    config = os.path.join(dest, 'etc/wasmos/config')
    install(h, '--system', DESTDIR=dest)
    with open(config) as f:
        assert f.read() == h.ok('config', '--example')
    with open(config, 'w') as f:
        f.write('name = mine\n')
    install(h, '--system', DESTDIR=dest)
    install(h, '--system', '--uninstall', DESTDIR=dest)
    assert files_below(dest) == ['etc/wasmos/config']
    with open(config) as f:
        assert f.read() == 'name = mine\n'
    shutil.rmtree(dest)


def test_systemd_finds_nothing_wrong_with_the_units(h):
    for scope, words in {'system': [], 'user': ['--user']}.items():
        path, _ = unit_of(h, scope)
        r = analyze(h, *words, 'verify', '--man=no', path)
        assert r.returncode == 0 and not r.stderr.strip(), r.stderr


def test_systemd_calls_the_system_unit_hardly_exposed(h):
    path, text = unit_of(h, 'system')
    r = analyze(h, 'security', '--offline=true', '--no-pager', path)
    score = float(re.search(r'exposure level for wasmos.service: ([\d.]+)', r.stdout).group(1))
    print(f'# systemd-analyze security: {score}')
    assert score < 2, r.stdout
    assert 'Type=notify' in text and 'WatchdogSec=' in text


# ---- under a systemd that runs ----

class Systemd:
    """One of the test's own (own_systemd), in which the node is installed for the system."""

    def __init__(self, h):
        needed = ('unshare', 'nsenter', 'runuser', '/lib/systemd/systemd')
        if os.geteuid() != 0 or not all(shutil.which(p) for p in needed):
            raise cases.Skip('a systemd of its own is booted by root alone, with unshare and nsenter: not here')
        self.folder = h.folder + '-systemd'
        os.makedirs(self.folder)
        self.out = open(self.folder + '-out', 'w+')
        self.boot = subprocess.Popen(
            ['unshare', '-fpmiuCn', '--kill-child', os.path.join(ROOT, 'tests/e2e/own_systemd'), self.folder, ROOT,
             WASMOS, GUEST], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def init(self):
        with open(f'/proc/{self.boot.pid}/task/{self.boot.pid}/children') as f:
            return f.read().split()[0]

    def run(self, *words, timeout=60):
        """Inside; (exit status, all output)."""
        r = subprocess.run(['nsenter', '-t', self.init(), '-m', '-p', '-i', '-u', '-C', '-n', '-r', '-w', *map(str, words)],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        return r.returncode, r.stdout.decode(errors='replace')

    def ok(self, *words, **more):
        status, out = self.run(*words, **more)
        assert status == 0, (words, status, out)
        return out

    def wasmos(self, *words):
        return self.ok('runuser', '-u', 'wasmos', '--', 'wasmos', '--home', '/var/lib/wasmos', *words)

    def show(self, what):
        return self.ok('systemctl', 'show', '-P', what, 'wasmos').strip()

    def wait_until_up(self):
        """Skips where no systemd can be booted like this (an overlay over an overlay, a kernel without cgroup2)."""
        end = time.monotonic() + 40
        while self.boot.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError, IndexError, subprocess.TimeoutExpired):
                if self.run('systemctl', 'is-system-running', timeout=10)[1].strip() in ('running', 'degraded'):
                    return
            time.sleep(0.3)
        self.out.seek(0)
        raise cases.Skip('systemd does not boot in namespaces here: ' + ' '.join(self.out.read().split())[-200:])

    def end(self):
        self.boot.kill()
        self.boot.wait()
        self.out.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def systemd(h):
    s = Systemd(h)
    try:
        s.wait_until_up()
        yield s
    finally:
        s.end()


def write_inside(s, path, *lines):
    s.ok('sh', '-c', 'mkdir -p "$(dirname "$0")"; printf "%s\\n" "$@" > "$0"', path, *lines)


def test_the_unit_works_under_systemd_with_all_that_it_forbids(h):
    with systemd(h) as s:
        s.ok('ip', 'link', 'set', 'lo', 'up')
        write_inside(s, '/etc/wasmos/config', 'listen = 127.0.0.1:0', 'log-format = json')
        write_inside(s, '/etc/systemd/system/wasmos.service.d/quick.conf', '[Service]', 'WatchdogSec=3')
        assert 'Start it' in s.ok('/wasmos/scripts/install', '--system', '--binary', '/wasmos-program', timeout=120)
        s.ok('systemctl', 'start', 'wasmos')  # returns when READY=1 came
        pid = int(s.wasmos('run', '-d', '--checkpoint', '1', '/guest.wasm', 'sleep', '600000'))
        until(lambda: json.loads(s.wasmos('ps', '--json'))[0].get('checkpoints', 0) > 0, timeout=30)
        s.wasmos('suspend', pid)
        s.wasmos('resume', pid)
        until(lambda: '1 programs run' in s.show('StatusText'), timeout=20)
        s.ok('systemctl', 'reload', 'wasmos')
        until(lambda: 'read again' in s.ok('journalctl', '-u', 'wasmos', '-o', 'cat', '--no-pager'))
        before = s.show('MainPID')
        s.ok('kill', '-STOP', before)  # it hangs: the watchdog ends it, and what was saved goes on
        until(lambda: s.show('NRestarts') == '1' and s.show('ActiveState') == 'active', timeout=30)
        until(lambda: [p['pid'] for p in json.loads(s.wasmos('ps', '--json'))] == [pid], timeout=20)
        s.ok('systemctl', 'stop', 'wasmos')
        assert s.show('Result') == 'success'
        s.ok('systemctl', 'start', 'wasmos')
        until(lambda: json.loads(s.wasmos('ps', '--json'))[0]['state'] in ('running', 'waiting'))
        s.ok('/wasmos/scripts/install', '--system', '--uninstall')
        assert s.run('systemctl', 'is-active', 'wasmos')[1].strip() == 'inactive'


if __name__ == '__main__':
    sys.exit(main(globals()))
