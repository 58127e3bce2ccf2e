#!/usr/bin/env python3
"""python.py - CPython's own tests, on the python3 of scripts/userland and on the native one of the same version, in the same run.

    tests/userland/python.py [--wasmos PROGRAM] [--show] [--json FILE] [MODULE...]        MODULE: test_os and so on; without one, those of MODULES

The tests are the files of the Debian source package that python3 was made from, the same for both. Each module is a process; a case that
gives no sign of life for a minute is killed, and the rest of its module goes on without it. Prints each case that does not end alike and the scores.
Exit status: 0; 1 when a case that docs/USERLAND.md does not name passes natively and not here; 77 when there is no python3 made, or no native 3.11.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos')
IMAGE = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'userland'), 'image')
NATIVE = '/usr/bin/python3.11'
QUIET_S = 60
MODULES = '''test_os test_posix test_subprocess test_signal test_fcntl test_select test_poll test_epoll test_selectors test_pty test_socket test_threading
    test_thread test_tempfile test_shutil test_mmap test_io test_fileio test_file test_largefile test_time test_wait3 test_wait4 test_fork1 test_popen
    test_pathlib test_glob test_stat test_posixpath test_genericpath test_resource test_pwd test_grp test_termios test_tty test_ioctl test_getpass
    test_eintr test_threadsignals test_openpty test_sqlite3 test_zlib test_gzip test_tarfile test_zipfile test_struct test_math test_float test_re
    test_json test_hashlib test_random test_queue test_concurrent_futures test_faulthandler test_cmd_line test_repl test_unicode test_list test_dict
    test_generators test_builtin test_exceptions test_syntax test_datetime test_decimal test_array test_locale test_atexit test_sched
    test_mailbox test_filecmp test_fileinput test_socketserver test_asyncore'''.split()


class Native:
    """As a user who is not root: root may do what the tests expect to fail."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, module, without):
        tmp = own_folder(self.folder, module)
        env = {'PATH': '/usr/bin:/bin', 'HOME': tmp, 'TMPDIR': tmp, **settings(self.folder + '/suite')}
        user = {'user': 1000, 'group': 1000, 'extra_groups': []} if os.geteuid() == 0 else {}
        return [NATIVE, self.folder + '/suite/cpython_cases.py', module, *without], {'env': env, 'cwd': tmp, **user}


class Here:
    """Each module is a family of processes without a node."""

    def __init__(self, folder, wasmos):
        self.folder, self.wasmos = folder, wasmos

    def command(self, module, without):
        env = {'PATH': '/bin:/usr/bin', 'HOME': '/tmp', 'TMPDIR': '/tmp', 'PWD': '/tmp', **settings('/suite')}
        options = [w for k, v in env.items() for w in ('--env', f'{k}={v}')]
        return [self.wasmos, 'run', '--solo', '--net', 'system', '--dir', IMAGE + '::/:ro', '--dir', self.folder + '/suite::/suite:ro',
                '--dir', self.folder + '/suite/test::/usr/lib/python3.11/test:ro', '--dir', own_folder(self.folder, module) + '::/tmp', *options, os.path.join(IMAGE, 'bin', 'dash'), '-c', 'cd /tmp && exec /bin/python3 "$@"', 'sh',
                '/suite/cpython_cases.py', module, *without], {}


def own_folder(folder, module):
    """Modules name their files after the number of their process, which is 1 for each without a node."""
    to = os.path.join(folder, 'tmp', module)
    if not os.path.exists(to):
        os.mkdir(to)
        if os.geteuid() == 0:
            os.chown(to, 1000, 1000)
    return to


def settings(suite):
    return {'PYTHONPATH': suite, 'PYTHONDONTWRITEBYTECODE': '1', 'LC_ALL': 'C.UTF-8', 'USER': 'user', 'TERM': 'dumb', 'TZ': 'UTC'}


def run_module(place, module):
    """{case: (end, text)}; a process that is lost is started again without the cases that have ended."""
    cases = {}
    for _ in range(12):
        whole, last = run_once(place, module, cases)
        if whole:
            return cases
        if not last:
            cases[f'test.{module}'] = ('fail', 'does not begin')
            return cases
    cases[f'test.{module}'] = ('fail', 'too many cases end the process')
    return cases


def run_once(place, module, cases):
    argv, options = place.command(module, sorted(cases))
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **options)
    now, whole, text, began = '', False, [], False
    for line in lines_of(p):
        word, _, rest = line.partition(' ')
        if word == 'BEGIN':
            now, text, began = rest.strip(), [], True
        elif word == 'END':
            name, _, how = rest.strip().rpartition(' ')
            cases[name], now = (how, '\n'.join(text)), ''
        elif word in ('DONE', 'SKIP'):
            whole = True
        else:
            text.append(line.rstrip())
    lost = p.poll() is None
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    p.wait()
    if not whole and now:
        cases[now] = ('hangs' if lost else 'crash', '\n'.join(text[-15:]))
    elif not whole:
        cases.setdefault(f'test.{module}', ('crash', '\n'.join(text[-15:])))
    return whole, began


def lines_of(p):
    """Until the end, or a minute of silence."""
    buffer, wait = b'', selectors.DefaultSelector()
    wait.register(p.stdout, selectors.EVENT_READ)
    while wait.select(QUIET_S):
        piece = os.read(p.stdout.fileno(), 65536)
        if not piece:
            p.wait()
            return
        buffer += piece
        *whole, buffer = buffer.split(b'\n')
        for line in whole:
            yield line.decode(errors='replace')
            if line in (b'DONE',):
                return


def make_folder(work, name):
    folder = os.path.join(work, name)
    os.makedirs(folder + '/tmp')
    os.makedirs(folder + '/suite')
    source = subprocess.run([os.path.join(ROOT, 'scripts', 'debian-source'), 'python3.11'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    shutil.copytree(os.path.join(source, 'Lib', 'test'), folder + '/suite/test', symlinks=True)
    shutil.copy(os.path.join(HERE, 'cpython_cases.py'), folder + '/suite')
    subprocess.run([NATIVE, '-m', 'compileall', '-q', '-j2', '--invalidation-mode', 'unchecked-hash', '-x', 'bad|lib2to3', folder + '/suite'],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if os.geteuid() == 0:
        os.chmod(work, 0o755)
        subprocess.run(['chown', '-R', '1000:1000', folder], check=True)
    return folder


def named():
    """Cases that docs/USERLAND.md explains: lines of a table that begin with `test_module.Class.case`, with stars."""
    with open(os.path.join(ROOT, 'docs', 'USERLAND.md'), encoding='utf-8') as f:
        return [n for row in re.findall(r'^\| (`[^|]*)', f.read(), re.M) for n in re.findall(r'`([^`]+)`', row)]


def is_named(names, case):
    return any(fnmatch.fnmatchcase(case.removeprefix('test.'), n) for n in names)


def both(places, module):
    begin = time.monotonic()
    native, here = (run_module(place, module) for place in places)
    return module, native, here, time.monotonic() - begin


def options():
    a = argparse.ArgumentParser(description='CPython\'s own tests here and natively')
    a.add_argument('--wasmos', default=os.path.join(ROOT, 'build', 'shell', 'wasmos'))
    a.add_argument('--show', action='store_true', help='what a case says that fails here only')
    a.add_argument('--json', help='a file for all of it')
    a.add_argument('--jobs', type=int, default=2)
    a.add_argument('modules', nargs='*')
    return a.parse_args()


def main():
    o = options()
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'python3')) or not os.path.exists(NATIVE):
        print('python.py: no python3 of scripts/userland, or no native python3.11')
        sys.exit(77)
    rows, scores, names = [], {}, named()
    with tempfile.TemporaryDirectory(prefix='wasmos-cpython-', ignore_cleanup_errors=True) as work:
        places = Native(make_folder(work, 'native')), Here(make_folder(work, 'here'), os.path.abspath(o.wasmos))
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            for module, native, here, seconds in pool.map(lambda m: both(places, m), o.modules or MODULES):
                scores[module] = tell(module, native, here, names, rows, o.show, seconds)
    total = [sum(s[i] for s in scores.values()) for i in range(2)]
    bad = sum(r['worse'] and not r['named'] for r in rows)
    print(f'CPython: {total[1]} pass here, {total[0]} natively; of these {sum(r["worse"] for r in rows)} not here, {bad} of them unexplained')
    if o.json:
        with open(o.json, 'w', encoding='utf-8') as f:
            json.dump({'scores': scores, 'cases': rows}, f, indent=1)
    sys.exit(1 if bad else 0)


def tell(module, native, here, names, rows, show, seconds):
    score = [sum(how == 'pass' for how, _ in side.values()) for side in (native, here)]
    print(f'{module}: {score[1]} pass here, {score[0]} natively ({seconds:.0f} s)', flush=True)
    for case in sorted({*native, *here}):
        n, (h, text) = native.get(case, ('missing', ''))[0], here.get(case, ('missing', ''))
        row = {'case': case, 'native': n, 'here': h, 'worse': n == 'pass' and h != 'pass', 'named': is_named(names, case), 'text': text}
        if n != h:
            rows.append(row)
            print(f'    {case}: natively {n}, here {h}{" (explained)" if row["named"] else ""}')
            if show and row['worse']:
                print(re.sub('^', '        ', text, flags=re.M), flush=True)
    return score


if __name__ == '__main__':
    main()
