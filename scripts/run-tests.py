#!/usr/bin/env python3
"""run-tests.py - runs the tests of build/ and build-asan/ and counts them (scripts/test calls it).

The tests are those meson knows. Suites in RELEASE_SUITES run in build/, all others in build-asan/; the suite
'full' is for --full, or by its whole name; those of the suite 'waits' hardly need the processor and run together. A TAP test
counts each of its points, any other one counts as one; exit code 77 is "skipped". A sanitizer's report in the output is a failure even when the program did not notice (Criterion
prints a leak and passes).

A test that passed leaves a stamp in build/stamps, named by the hash of what it is made of: its program, what meson
says it depends on, and the files beside it. While that hash is the same it is not run again.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE, ASAN = os.path.join(ROOT, 'build'), os.path.join(ROOT, 'build-asan')
STAMPS = os.path.join(RELEASE, 'stamps')
RELEASE_SUITES = {'e2e', 'spec', 'npm', 'house'}
SANITIZER_REPORT = re.compile(
    r'ERROR: (Address|Leak)Sanitizer|SUMMARY: \w+Sanitizer|: runtime error: ')
SKIP_EXIT = 77
# Machines differ and two tests run at a time: meson's timeouts are for an idle one.
TIMEOUT_FACTOR = 4
SMALL_FILE_BYTES = 16 << 20
AT_A_TIME = 2  # of those that wait, for each of the others
SANITIZER_ENV = {
    # The engine answers SIGSEGV itself; Criterion reports a crash when the test process dies of its signal.
    'ASAN_OPTIONS': 'handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=1:allocator_may_return_null=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1',
}


class Test:
    def __init__(self, build, raw, targets):
        self.build = build
        self.name = raw['name']
        self.cmd = raw['cmd']
        self.env = raw['env']
        self.workdir = raw['workdir']
        self.timeout_s = raw['timeout'] * TIMEOUT_FACTOR if raw['timeout'] > 0 else None
        self.alone = not raw['is_parallel']
        self.tap = raw['protocol'] == 'tap'
        self.suites = {s.split(':')[-1] for s in raw['suite']}
        self.depends = [f for t in raw['depends'] for f in targets.get(t, [])]


class Result:
    def __init__(self, passed=0, failed=0, skipped=0, seconds=0.0, output='', notes=(), cached=False):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.seconds, self.output, self.notes, self.cached = seconds, output, list(notes), cached


def load_tests(build):
    def introspect(what):
        return json.loads(subprocess.check_output(['meson', 'introspect', what, build]))
    targets = {t['id']: t['filename'] for t in introspect('--targets')}
    return [Test(build, raw, targets) for raw in introspect('--tests')]


def wanted_of_release():
    """What build/ must have: all but the programs of tests that only run in build-asan/."""
    own, others, needed = set(), set(), set()
    for raw in json.loads(subprocess.check_output(['meson', 'introspect', '--tests', RELEASE])):
        if {s.split(':')[-1] for s in raw['suite']} & RELEASE_SUITES:
            own.update(raw['cmd'])
            needed.update(raw['depends'])
        else:
            others.update(raw['cmd'])
    for t in json.loads(subprocess.check_output(['meson', 'introspect', '--targets', RELEASE])):
        files = set(t['filename'])
        if t['id'] in needed or files & own or (t['build_by_default'] and not files & others):
            yield from (os.path.relpath(f, RELEASE) for f in sorted(files))


def select(tests, args):
    def wanted(t):
        if bool(t.suites & RELEASE_SUITES) != (t.build == RELEASE):
            return False
        if 'full' in t.suites and not args.full and t.name not in args.names:
            return False
        return not args.names or any(t.name.startswith(n) for n in args.names)
    return [t for t in tests if wanted(t)]


# ---- what a test is made of ----

def hash_file(path, known={}):
    if path not in known:
        h = hashlib.sha256()
        with open(path, 'rb') as f:
            while block := f.read(1 << 20):
                h.update(block)
        known[path] = h.hexdigest()
    return known[path]


def hash_tree(folder):
    """Of a folder outside the source tree (test data, guests that were built): names, and contents unless big."""
    lines = []
    for where, dirs, files in os.walk(folder):
        dirs.sort()
        for f in sorted(files):
            path = os.path.join(where, f)
            if not os.path.isfile(path):
                continue
            size = os.stat(path).st_size
            lines.append(f'{path} {size} {hash_file(path) if size < SMALL_FILE_BYTES else ""}')
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()


def parts(test):
    """Strings that change when anything the test is made of changes."""
    yield json.dumps([test.name, test.cmd, test.env, test.tap, sorted(SANITIZER_ENV.items())])
    paths = list(dict.fromkeys(test.cmd + test.depends + list(test.env.values())))
    if test.build == RELEASE:
        paths += [os.path.join(RELEASE, 'shell', 'wasmos'), os.path.join(ROOT, 'scripts')]
    for path in paths:
        path = path if os.path.isabs(path) else os.path.join(test.workdir or test.build, path)
        if os.path.isdir(path):
            if path not in (ROOT, RELEASE, ASAN, '/'):
                yield path + hash_tree(path)
        elif os.path.isfile(path):
            yield path + hash_file(path)
            if path.startswith(os.path.join(ROOT, 'tests') + os.sep):
                yield hash_tree(os.path.dirname(path))
    if 'house' in test.suites:  # they look at the whole source tree
        for path in subprocess.check_output(['git', '-C', ROOT, 'ls-files', '-z']).decode().split('\0'):
            if path and os.path.isfile(os.path.join(ROOT, path)):
                yield path + hash_file(os.path.join(ROOT, path))


def stamp_path(test):
    h = hashlib.sha256()
    for part in parts(test):
        h.update(part.encode() + b'\n')
    return os.path.join(STAMPS, h.hexdigest())


# ---- running ----

def run_command(test):
    """Returns (exit code or None when it took too long, output)."""
    env = dict(os.environ, **SANITIZER_ENV)
    env.update(test.env)
    process = subprocess.Popen(test.cmd, cwd=test.workdir or test.build, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=test.timeout_s)
        return process.returncode, output.decode(errors='replace')
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output.decode(errors='replace')


def count_tap(output, result):
    planned, seen = None, 0
    for line in output.splitlines():
        if m := re.match(r'1\.\.(\d+)', line):
            planned = int(m.group(1))
        elif m := re.match(r'(not )?ok\b(.*)', line):
            seen += 1
            if re.search(r'#\s*skip', m.group(2), re.I):
                result.skipped += 1
            elif m.group(1):
                result.failed += 1
                result.notes.append(line.strip())
            else:
                result.passed += 1
    if planned is None or planned != seen:
        result.failed += 1
        result.notes.append(f'{seen} of {"an unknown number of" if planned is None else planned} tests reported')


def run_test(test):
    started = time.monotonic()
    code, output = run_command(test)
    result = Result(output=output, seconds=time.monotonic() - started)
    if code is None:
        result.failed += 1
        result.notes.append(f'no end within {test.timeout_s} s')
    elif code == SKIP_EXIT:
        result.skipped += 1
        result.notes.append((output.strip().splitlines() or ['no reason given'])[-1])
    elif test.tap:
        count_tap(output, result)
        if code != 0 and result.failed == 0:
            result.failed += 1
            result.notes.append(f'exit code {code}')
    elif code == 0:
        result.passed += 1
    else:
        result.failed += 1
        result.notes.append(f'exit code {code}')
    if SANITIZER_REPORT.search(output):
        result.failed += 1
        result.notes.append('a sanitizer reported')
    return result


def run_or_recall(test, again):
    stamp = stamp_path(test)
    if not again and os.path.exists(stamp):
        with open(stamp) as f:
            return Result(passed=json.load(f)['passed'], cached=True)
    result = run_test(test)
    if result.failed == 0 and result.skipped == 0:
        with open(stamp, 'w') as f:
            json.dump({'name': test.name, 'passed': result.passed}, f)
    return result


def show(test, r):
    word = 'FAIL' if r.failed else 'skip' if r.skipped and not r.passed else 'ok'
    counts = f'{r.passed} passed' + (f', {r.failed} failed' if r.failed else '') + \
        (f', {r.skipped} skipped' if r.skipped else '')
    print(f'{word:4}  {test.name:40}  {counts}' + ('  (unchanged)' if r.cached else f'  {r.seconds:.1f} s'))
    for note in r.notes[:20]:
        print(f'        {note}')
    if r.failed:
        print('\n'.join('    | ' + line for line in r.output.splitlines()[-60:]))
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser(prog='scripts/test')
    p.add_argument('--full', action='store_true', help='the long tests too')
    p.add_argument('--again', action='store_true', help='also what passed and did not change')
    p.add_argument('-j', type=int, default=os.cpu_count() or 2, metavar='N', help='tests at a time')
    p.add_argument('--wanted', action='store_true', help='runs nothing: the targets of build/ that the tests want')
    p.add_argument('names', nargs='*', help='only tests whose name starts so')
    args = p.parse_args()
    if args.wanted:
        print(*wanted_of_release(), sep='\n')
        return 0
    os.makedirs(STAMPS, exist_ok=True)
    tests = select(load_tests(RELEASE) + load_tests(ASAN), args)
    if not tests:
        print(f'test: no test is named {" or ".join(args.names)}*', file=sys.stderr)
    total = Result(failed=0 if tests else 1)

    def account(test, result):
        show(test, result)
        total.passed += result.passed
        total.failed += result.failed
        total.skipped += result.skipped

    def run_together(some, at_a_time):
        with concurrent.futures.ThreadPoolExecutor(max(1, at_a_time)) as pool:
            running = {pool.submit(run_or_recall, t, args.again): t for t in some}
            for future in concurrent.futures.as_completed(running):
                account(running[future], future.result())

    run_together([t for t in tests if not t.alone], args.j)
    waiting = sorted((t for t in tests if t.alone and 'waits' in t.suites), key=lambda t: -t.timeout_s)  # the longest first
    run_together(waiting, AT_A_TIME * args.j)
    run_together([t for t in tests if t.alone and t not in waiting], 1)
    print(f'{total.passed} passed, {total.failed} failed, {total.skipped} skipped')
    return 1 if total.failed else 0


if __name__ == '__main__':
    sys.exit(main())
