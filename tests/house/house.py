#!/usr/bin/env python3
"""house.py - holds the rules of the house: who may include whom, and what no file may contain.

	tests/house/house.py [--build DIR] [RULE...]      TAP; one point a rule, offences as comments below it

The rules are docs/ARCHITECTURE.md (rooms and the include table) and docs/HACKING.md (style) in a form that a machine can
check. Each rule is a function that yields offences as text; its docstring is the rule.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Room: rooms whose headers it may include, besides its own.
INCLUDE_TABLE = {
    'base': set(),
    'engine': {'base'},
    'vfs': {'base'},
    'proto': {'base'},
    'migrate': {'base', 'proto'},
    'folder': {'base', 'vfs', 'migrate'},
    'cloud': {'base', 'vfs', 'migrate', 'folder'},
    'node': {'base', 'engine', 'vfs', 'proto', 'migrate', 'folder', 'cloud', 'sdk'},
    'shell': {'base', 'engine', 'vfs', 'proto', 'migrate', 'folder', 'cloud', 'sdk', 'node'},
    'sdk': set(),
    'bench': {'base', 'engine', 'vfs', 'proto', 'migrate', 'folder', 'cloud', 'node'},
}
# Of sdk/ the other rooms see only the lists of host calls and the constants that go with them.
SDK_VISIBLE = ('sdk/abi/', 'sdk/include/wasmos.h')
# Library header: where it may be included.
LIBRARY_DOORS = {
    'lmdb.h': 'node/store',
    'msgpack.h': 'base/pack.c',
    'msgpack/': 'base/pack.c',
    'sodium.h': 'base/crypto.c',
    'sodium/': 'base/crypto.c',
    'uv.h': 'node/',
    'SDL.h': 'node/drivers/',
    'SDL2/': 'node/drivers/',
    'curl/': 'cloud/http_curl.c',
    'expat.h': 'cloud/xml_expat.c',
    'fuse_lowlevel.h': 'shell/mount_inodes.h',
    'fuse3/': 'shell/mount_inodes.h',
}
# proto/, migrate/ and folder/ read no clock, draw no randomness, open nothing, start nothing.
ROOMS_WITHOUT_IO = ('proto', 'migrate', 'folder')
IO_HEADERS = re.compile(r'(sys/(?!types)|net/|netinet/|arpa/|time\.h|unistd\.h|fcntl\.h|pthread\.h|poll\.h|signal\.h|'
                        r'threads\.h|dirent\.h|base/os\.h)')
PLATFORM_MACRO = re.compile(r'^\s*#\s*(?:el)?if\w*\b.*\b(__linux__|__ANDROID__|_WIN32|__APPLE__|__FreeBSD__)\b')
# Written in pieces, so that this file does not offend.
UNFINISHED = re.compile(r'\b(' + '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK']) + r')\b')
MACHINE_PATH = re.compile('|'.join([
    r'(?<![\w.])/wo' + r'rk/', r'(?<![\w.])/ro' + r'ot\b', r'/private' + '/var',
    r'deb\.' + r'debian\.org', r'registry\.' + r'npmjs', r'pypi\.' + r'org', r'\.lib' + 'rary/search']))
LINES_MAX = 900
# State that belongs to the process and not to any object in it, with the reason.
GLOBALS_ALLOWED = {
    'console_windows.c': 'a handler of console events is given no context',
    'os_fault.c': 'a signal handler is given no context: what it watches is found from the process',
    'os_linux.c': 'the signal handlers that were there before ours are the process\'',
    'system_windows.c': 'what is given back at the end, by atexit(), which gives no context',
    'os_windows.c': 'the vectored handler is the process\'',
}
TEXT = ('.c', '.h', '.def', '.py', '.sh', '.md', '.build', '.txt', '.ini', '.mjs', '.js', '.lua', '.html', '.1', '.java', '.xml')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def tracked():
    out = subprocess.run(['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return sorted(f for f in set(out.split('\0')) if f and os.path.isfile(os.path.join(ROOT, f)))


FILES = tracked()


def lines_of(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as f:
        return f.read().splitlines()


def is_script(path):
    if '.' in os.path.basename(path):
        return path.endswith(('.sh', '.py'))
    with open(os.path.join(ROOT, path), 'rb') as f:
        return f.read(2) == b'#!'


def text_files():
    return [f for f in FILES if f.endswith(TEXT) or is_script(f)]


def c_files(*rooms):
    return [f for f in FILES if f.endswith(('.c', '.h')) and (not rooms or f.split('/')[0] in rooms)]


def includes(path):
    for number, line in enumerate(lines_of(path), 1):
        if m := INCLUDE.match(line):
            yield number, m.group(1), m.group(2)


def room_of(path):
    return path.split('/')[0]


# ---- the rules ----

def rule_include_table(_):
    """a room includes only the rooms below it"""
    for path in c_files(*INCLUDE_TABLE):
        room = room_of(path)
        for number, kind, name in includes(path):
            target = room_of(name)
            if kind != '"' or target == room or target not in INCLUDE_TABLE:
                continue
            if target not in INCLUDE_TABLE[room]:
                yield f'{path}:{number}: {room}/ may not include {name}'
            elif target == 'sdk' and not name.startswith(SDK_VISIBLE):
                yield f'{path}:{number}: of sdk/ only {", ".join(SDK_VISIBLE)} are for other rooms, not {name}'


def rule_quotes_resolve(_):
    """an include in quotes names a file of the tree from its root"""
    for path in c_files('base', 'engine', 'vfs', 'proto', 'migrate', 'folder', 'cloud', 'node', 'shell'):
        for number, kind, name in includes(path):
            if kind == '"' and '/' not in name:
                yield f'{path}:{number}: "{name}": write the room too'


def rule_library_doors(_):
    """LMDB, msgpack-c, libsodium, libuv, SDL, libcurl and expat are each included in one place"""
    for path in c_files():
        for number, kind, name in includes(path):
            for header, door in LIBRARY_DOORS.items():
                if kind == '<' and (name == header or (header.endswith('/') and name.startswith(header))):
                    if not path.startswith(door) and not path.startswith('sdk/'):
                        yield f'{path}:{number}: <{name}> may be included in {door} only'


def rule_no_io(_):
    """proto/, migrate/ and folder/ have no I/O: no clock, socket, file, thread"""
    for path in c_files(*ROOMS_WITHOUT_IO):
        for number, _kind, name in includes(path):
            if IO_HEADERS.match(name):
                yield f'{path}:{number}: {name} is input or output'


def rule_no_header_circles(_):
    """headers include each other without circles"""
    headers = {f: [n for _, k, n in includes(f) if k == '"'] for f in FILES if f.endswith('.h')}
    state = {}

    def visit(header, trail):
        if state.get(header) == 'done' or header not in headers:
            return None
        if header in trail:
            return trail[trail.index(header):] + [header]
        for name in headers[header]:
            if circle := visit(name, trail + [header]):
                return circle
        state[header] = 'done'
        return None
    for header in headers:
        if circle := visit(header, []):
            yield ' -> '.join(circle)
            return


def rule_platforms_are_files(_):
    """no #ifdef asks for a platform: platforms are files chosen by the build"""
    for path in c_files('base', 'engine', 'vfs', 'proto', 'migrate', 'folder', 'cloud', 'node', 'shell'):
        for number, line in enumerate(lines_of(path), 1):
            if m := PLATFORM_MACRO.match(line):
                yield f'{path}:{number}: {m.group(1)}'


def rule_no_mutable_globals(args):
    """no room has a mutable global (looked up in the objects that were built)"""
    nm = shutil.which('llvm-nm-19') or shutil.which('nm')
    archives = [os.path.join(args.build, room, f'lib{room}.a') for room in INCLUDE_TABLE]
    for archive in filter(os.path.exists, archives):
        out = subprocess.run([nm, archive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        member = '?'
        for line in out.splitlines():
            if line.endswith(':'):
                member = line[:-1]
            elif m := re.match(r'[0-9a-f]+ ([bBdDC]) (\S+)$', line):
                # .data.rel.ro (tables of pointers) is read-only once it is loaded; nm calls it d.
                if re.sub(r'\.o$', '', member.split('/')[-1]) in GLOBALS_ALLOWED:
                    continue
                if not read_only_data(archive, member, m.group(2)):
                    yield f'{member}: {m.group(2)}'


def read_only_data(archive, member, symbol, known={}):
    if archive not in known:
        dump = shutil.which('llvm-objdump-19') or shutil.which('objdump')
        known[archive] = subprocess.run([dump, '-t', archive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True).stdout
    return re.search(r'\.data\.rel\.ro\S*\s+[0-9a-f]+\s+(?:\.hidden\s+)?' + re.escape(symbol) + r'$', known[archive], re.M)


def rule_finished(_):
    """nothing is left for later"""
    for path in text_files():
        for number, line in enumerate(lines_of(path), 1):
            if m := UNFINISHED.search(line):
                yield f'{path}:{number}: {m.group(0)}'


def rule_no_machine_paths(_):
    """no path or host of the machine it was written on"""
    for path in text_files():
        for number, line in enumerate(lines_of(path), 1):
            if m := MACHINE_PATH.search(line):
                yield f'{path}:{number}: {m.group(0)}'


def rule_file_size(_):
    """source files longer than 900 lines are named here"""
    for path in FILES:
        if path.endswith(('.c', '.h', '.py', '.def')) or is_script(path):
            count = len(lines_of(path))
            if count > LINES_MAX:
                yield f'NOTE {path}: {count} lines'


def rule_opening_paragraph(_):
    """each C and Java file opens with a paragraph that starts with its name"""
    for path in c_files() + [f for f in FILES if f.endswith('.java')]:
        first = (lines_of(path) or [''])[0]
        if not first.startswith(f'/* {os.path.basename(path)} - '):
            yield f'{path}:1: opens with "{first[:50]}"'


def rule_comment_lines(_):
    """a line of a block comment has a space behind its star"""
    for path in c_files():
        inside = False
        for number, line in enumerate(lines_of(path), 1):
            if inside and re.match(r'\s*\*[^\s/*]', line):
                yield f'{path}:{number}: {line.strip()[:40]}'
            if '/*' in line or '*/' in line:
                inside = line.rfind('/*') > line.rfind('*/')


def rule_clang_format(_):
    """C files are as clang-format-19 writes them"""
    tool = shutil.which('clang-format-19')
    if tool is None:
        yield 'SKIP clang-format-19 is not installed'
        return
    r = subprocess.run([tool, '--dry-run', '--ferror-limit=1'] + c_files(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    seen = dict.fromkeys(m.group(1) for m in re.finditer(r'^(\S+?):\d+:\d+: \w+: code should be', r.stderr, re.M))
    for path in seen:
        yield path


def rule_shell_parses(_):
    """shell scripts parse"""
    for path in FILES:
        if not is_script(path):
            continue
        first = lines_of(path)[0]
        shell = 'bash' if 'bash' in first else 'sh' if re.search(r'/sh\b', first) else None
        if shell is None:
            continue
        r = subprocess.run([shell, '-n', os.path.join(ROOT, path)], stderr=subprocess.PIPE, text=True)
        if r.returncode != 0:
            yield f'{path}: {r.stderr.strip().splitlines()[0]}'


def rule_links(_):
    """links between documents lead somewhere"""
    for path in FILES:
        if not path.endswith('.md'):
            continue
        for number, line in enumerate(lines_of(path), 1):
            for target in re.findall(r'\]\(([^)#\s]+)', line):
                if '://' in target:
                    continue
                if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                    yield f'{path}:{number}: {target} is not there'


def rule_man_page(_):
    """the man page is without a warning"""
    page = os.path.join(ROOT, 'docs', 'wasmos.1')
    if not os.path.exists(page):
        yield 'docs/wasmos.1 is not there'
        return
    if not shutil.which('man'):
        yield 'SKIP man is not installed'
        return
    r = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', page], stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True, env=dict(os.environ, MANROFFSEQ=''))
    yield from r.stderr.splitlines()
    if r.returncode != 0 and not r.stderr:
        yield f'man: exit code {r.returncode}'


def main():
    p = argparse.ArgumentParser(prog='tests/house/house.py')
    p.add_argument('--build', default=os.path.join(ROOT, 'build'), help='where the rooms were built')
    p.add_argument('rules', nargs='*', help='only these (include_table, clang_format, ...)')
    args = p.parse_args()
    rules = {n[len('rule_'):]: f for n, f in globals().items() if n.startswith('rule_')}
    if unknown := [r for r in args.rules if r not in rules]:
        sys.exit(f'house: no rule {", ".join(unknown)}; there are {", ".join(rules)}')
    chosen = {n: f for n, f in rules.items() if not args.rules or n in args.rules}
    failed = 0
    print(f'1..{len(chosen)}')
    for number, (name, rule) in enumerate(chosen.items(), 1):
        offences = list(rule(args))
        if offences and offences[0].startswith('SKIP '):
            print(f'ok {number} - {name}: {rule.__doc__} # SKIP {offences[0][5:]}')
            continue
        bad = any(not o.startswith('NOTE ') for o in offences)
        failed += bad
        print(f'{"not " if bad else ""}ok {number} - {name}: {rule.__doc__}')
        for offence in offences:
            print(f'#   {offence}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
