#!/usr/bin/env python3
"""differential.py - Linux calls with odd arguments answer here what they answer on Linux: differential*.c, compiled twice, in one run.

	tests/wali/differential.py WASMOS [--show] [GROUP...]

Each group runs in a folder of the host and in one in memory. A line that differs must be named, with its reason, in
differential.expected (GROUP[@host|@memory]/PATTERN, two spaces, why). Skipped without the SDK
or a C compiler of this machine. The native program runs as user 1000, as who every guest sees itself.
"""
import difflib
import fnmatch
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CC = HERE.parent.parent / 'sdk' / 'bin' / 'wasmos-cc'
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'wasmos'
SDK = pathlib.Path(os.environ.get('WASMOS_SDK') or CACHE / 'sdk')
UID = 1000
TIMEOUT_S = 30


def skip(why):
    print(f'1..0 # SKIP {why}\nskipped: {why}')
    sys.exit(77)


def expected():
    """Group, pattern of a line's call, reason."""
    for line in (HERE / 'differential.expected').read_text().splitlines():
        if line and not line.startswith('#'):
            what, why = line.split('  ', 1)
            yield (*what.split('/', 1), why.strip())


def compiled(folder):
    source = [HERE / f'differential{part}.c' for part in ('', '_names', '_signals', '_devices')]
    native, guest = folder / 'native', folder / 'guest.wasm'
    if subprocess.run(['cc', '-O1', '-w', '-pthread', *source, '-o', native], check=False, capture_output=True).returncode:
        skip('no C compiler of this machine')
    subprocess.run([CC, '-O1', '-w', '-pthread', *source, '-o', guest], check=True)
    native.chmod(0o755)
    return native, guest


def run(words, **more):
    try:
        r = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
                           check=False, **more)
        return r.stdout.decode(errors='replace').splitlines() + [f'ended {r.returncode}']
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace').splitlines() + ['did not end']


def both(folder, native, guest, wasmos, group):
    as_user = {'user': UID, 'group': UID, 'extra_groups': []} if os.getuid() == 0 else {}
    out = []
    for kind in ('native', 'host', 'memory'):
        there = folder / f'{kind}-{group}'
        there.mkdir()
        if as_user and kind == 'native':
            os.chown(there, UID, UID)
        mount = ['--dir', f'{there}::/'] if kind == 'host' else []
        out.append(run([native, group], cwd=there, **as_user) if kind == 'native' else
                   run([*wasmos, 'run', '--solo', '--net', 'system', *mount, guest, group, *(['/tmp'] if kind == 'memory' else [])],
                       preexec_fn=lambda: os.umask(0o077)))
    return out


def differences(want, got):
    for op, a, b, c, d in difflib.SequenceMatcher(None, want, got, autojunk=False).get_opcodes():
        if op == 'equal':
            continue
        pairs = [(want[i], got[c + i - a] if c + i - a < d else '(nothing)') for i in range(a, b)]
        yield from pairs
        yield from (('(nothing)', got[j]) for j in range(c + (b - a), d))


def compare(kind, group, want, got, known, show):
    """How many lines differ that nobody has named."""
    wrong = 0
    for a, b in differences(want, got):
        name = (a if a != '(nothing)' else b).rsplit(': ', 1)[0]
        why = [w for g, p, w in known if g in (group, f'{group}@{kind}', '*') and fnmatch.fnmatchcase(name, p)]
        wrong += not why
        if show or not why:
            print(f'# {group} {kind}: Linux {a!r}, here {b!r}{" - " + why[0] if why else ""}')
    return wrong


def main():
    words = [w for w in sys.argv[2:] if w != '--show']
    if not (SDK / 'made').exists():
        skip('the C library is not made: scripts/setup --sdk && scripts/sdk')
    known, count = list(expected()), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        native, guest = compiled(folder)
        for group in words or run([native])[:-1]:
            want, *got = both(folder, native, guest, sys.argv[1].split(), group)
            for kind, lines in zip(('host', 'memory'), got):
                count += 1
                wrong = compare(kind, group, want, lines, known, '--show' in sys.argv)
                print(f'{"not " if wrong else ""}ok {count} - {group} ({kind}): {len(want)} lines', flush=True)
    print(f'1..{count}')


main()
