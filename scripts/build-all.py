#!/usr/bin/env python3
"""build-all.py - builds WasmOS for other platforms, packs and checks it (scripts/build-all calls it).

A platform is a row of PLATFORMS: its build folder, how meson is set up, and functions that pack and check. A product is
a file in dist/. Beside it dist/.stamps/PLATFORM says of which bytes it was made (a digest of program and packing
files) and what the checks found, so that an unchanged one is not packed and looked at again.

The checks read the files that are given away and not the build: the program is taken out of the .deb or .zip, its kind, what
it needs of the system and its alignment are read from its headers, and it is run (by qemu-user or wine where it is foreign).
"""
import argparse
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIST = os.path.join(ROOT, 'dist')
PACKAGING = os.path.join(ROOT, 'scripts', 'packaging')
LOG_LINES = 40
RUN_TIMEOUT_S = 300
PAGE_16K = 0x4000
# Libraries that every Windows has; wasmos.exe may import of no other.
WINDOWS_DLLS = {
    'advapi32', 'bcrypt', 'dbghelp', 'gdi32', 'imm32', 'iphlpapi', 'kernel32', 'msvcrt', 'ntdll', 'ole32', 'oleaut32',
    'psapi', 'setupapi', 'shell32', 'user32', 'userenv', 'version', 'winmm', 'ws2_32'}
# What is inside a Debian program: the packages whose archives were linked.
STATIC_PACKAGES = ('libuv1-dev', 'libsodium-dev', 'liblmdb-dev', 'libmsgpack-dev', 'libzstd-dev', 'libpng-dev', 'zlib1g-dev')


class Failure(Exception):
    pass


def run(cmd, **kw):
    """The command's output; a Failure with the end of it when it fails."""
    r = subprocess.run(cmd, cwd=kw.pop('cwd', ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors='replace', timeout=kw.pop('timeout', None), stdin=subprocess.DEVNULL, **kw)
    if r.returncode != 0:
        tail = '\n'.join(r.stdout.splitlines()[-LOG_LINES:])
        raise Failure(f'{" ".join(map(str, cmd))}: exit code {r.returncode}\n{tail}')
    return r.stdout


def read(*path, mode='r'):
    with open(os.path.join(*path), mode) as f:
        return f.read()


def version():
    return re.search(r"^\s*version: '([^']+)'", read(ROOT, 'meson.build'), re.M).group(1)


def source_time():
    """When the source was committed: the time of files in products, so that the same source gives the same bytes."""
    r = subprocess.run(['git', 'log', '-1', '--format=%ct'], cwd=ROOT, capture_output=True, text=True)
    return int(r.stdout) if r.returncode == 0 and r.stdout.strip() else 1700000000


def filled(name, **values):
    text = read(PACKAGING, name)
    for key, value in values.items():
        text = text.replace(f'@{key}@', str(value))
    return text


# ---- building ----

def build(platform):
    """The platform's program, built."""
    folder = os.path.join(ROOT, platform['folder'])
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        shutil.rmtree(folder, ignore_errors=True)
        run(['meson', 'setup', folder, *platform['setup']])
    run(['ninja', '-C', folder, platform['program']])
    return os.path.join(folder, platform['program'])


def stripped(program, to):
    run(['llvm-strip-19', '-o', to, program])
    os.chmod(to, 0o755)
    return to


# ---- packing ----

def licences(folders):
    """The copyright files of the libraries inside a program, one after the other."""
    parts = []
    for name, path in folders:
        if os.path.exists(path):
            parts.append(f'{"=" * 78}\n{name}\n{"=" * 78}\n\n{read(path)}')
    return '\n'.join(parts)


def licences_of_subprojects(platform):
    used = sorted(os.path.basename(d) for d in glob.glob(os.path.join(ROOT, platform['folder'], 'subprojects', '*')))
    text = licences((name, os.path.join(ROOT, 'subprojects', name, 'debian/debian/copyright')) for name in used)
    expect(text, f'{platform["folder"]}/subprojects: no library was built')
    return text


def licences_of_packages():
    return licences((p, f'/usr/share/doc/{p}/copyright') for p in STATIC_PACKAGES)


def needed_packages(program, arch):
    """Depends of a program: which packages have its shared libraries, and from which version on they do."""
    with tempfile.TemporaryDirectory() as tmp:
        os.mkdir(os.path.join(tmp, 'debian'))
        with open(os.path.join(tmp, 'debian', 'control'), 'w') as f:
            f.write('Source: wasmos\n\nPackage: wasmos\nArchitecture: any\n')
        out = run(['dpkg-shlibdeps', '-O', '--warnings=0', '-e', program], cwd=tmp, env=dict(os.environ, DEB_HOST_ARCH=arch))
    return re.search(r'^shlibs:Depends=(.*)$', out, re.M).group(1)


def write(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)


def deb_service(tree, runner, wasmos):
    """What scripts/install puts beside the program, where Debian wants it: units, their user, a config file, completion."""
    def says(*words):
        return run([*runner, wasmos, *words])

    places = {'WASMOS': '/usr/bin/wasmos', 'CONFIG': '/etc/wasmos/config'}
    write(os.path.join(tree, 'usr/share/bash-completion/completions/wasmos'), says('completion', 'bash'))
    write(os.path.join(tree, 'usr/share/zsh/vendor-completions/_wasmos'), says('completion', 'zsh'))
    for scope in ('system', 'user'):
        write(os.path.join(tree, 'usr/lib/systemd', scope, 'wasmos.service'), filled(f'systemd/{scope}.in', **places))
    write(os.path.join(tree, 'usr/lib/sysusers.d/wasmos.conf'), read(PACKAGING, 'systemd', 'sysusers.conf'))
    write(os.path.join(tree, 'etc/wasmos/config'), says('config', '--example'))
    write(os.path.join(tree, 'DEBIAN/conffiles'), '/etc/wasmos/config\n')
    for name in ('postinst', 'prerm', 'postrm'):
        write(os.path.join(tree, 'DEBIAN', name), read(PACKAGING, 'debian', name), 0o755)


def deb_tree(tree, platform, program):
    """The files of the package, as they will lie in the file system."""
    os.makedirs(os.path.join(tree, 'usr/bin'))
    deb_service(tree, platform['runner'], stripped(program, os.path.join(tree, 'usr/bin/wasmos')))
    write(os.path.join(tree, 'usr/share/man/man1/wasmos.1.gz'), gzip.compress(read(ROOT, 'docs', 'wasmos.1', mode='rb'), mtime=0))
    doc = os.path.join(tree, 'usr/share/doc/wasmos')
    write(os.path.join(doc, 'copyright'), 'WasmOS is under the Apache License 2.0, on Debian systems in '
          '/usr/share/common-licenses/Apache-2.0.\nThe program contains these libraries, whose terms follow.\n\n' + licences_of_packages())
    write(os.path.join(doc, 'changelog.gz'), gzip.compress(
        f'wasmos ({version()}) unstable; urgency=medium\n\n  * Built from the project\'s source.\n\n'
        f' -- The WasmOS authors <wasmos@localhost>  {time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(source_time()))}\n'
        .encode(), mtime=0))


def pack_deb(platform, program, product):
    with tempfile.TemporaryDirectory() as tree:
        os.chmod(tree, 0o755)
        deb_tree(tree, platform, program)
        files = sorted(os.path.relpath(os.path.join(d, f), tree) for d, _, fs in os.walk(tree) for f in fs
                       if not d.startswith((os.path.join(tree, 'DEBIAN'), os.path.join(tree, 'etc'))))
        kib = sum(-(-os.path.getsize(os.path.join(tree, f)) // 1024) for f in files)
        sums = ''.join(f'{hashlib.md5(read(tree, f, mode="rb")).hexdigest()}  {f}\n' for f in files)
        write(os.path.join(tree, 'DEBIAN/md5sums'), sums)
        write(os.path.join(tree, 'DEBIAN/control'), filled(
            'control.in', VERSION=version(), ARCHITECTURE=platform['arch'], INSTALLED_KIB=kib,
            DEPENDS=needed_packages(os.path.join(tree, 'usr/bin/wasmos'), platform['arch'])))
        run(['dpkg-deb', '--root-owner-group', '-Zxz', '--build', tree, product],
            env=dict(os.environ, SOURCE_DATE_EPOCH=str(source_time())))


def pack_zip(platform, program, product):
    """A zip of the program, what to do with it, and the licences."""
    name = os.path.splitext(os.path.basename(product))[0]
    when = time.gmtime(max(source_time(), 315532800))[:6]
    with tempfile.TemporaryDirectory() as tmp, zipfile.ZipFile(product, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        def add(file, data, mode=0o644):
            info = zipfile.ZipInfo(f'{name}/{file}', when)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, (0o100000 | mode) << 16
            z.writestr(info, data)

        def text(t):
            return t.replace('\r\n', '\n').replace('\n', platform['newline'])

        exe = stripped(program, os.path.join(tmp, 'program'))
        add(os.path.basename(program), read(exe, mode='rb'), 0o755)
        add('README.txt', text(filled(platform['readme'], VERSION=version())))
        add('LICENSE.txt', text(read(ROOT, 'LICENSE')))
        add('THIRD-PARTY.txt', text(licences_of_subprojects(platform)))


# ---- checking ----

def expect(truth, what):
    if not truth:
        raise Failure(what)


def unpacked(product, tmp):
    """The program inside the product."""
    if product.endswith('.deb'):
        run(['dpkg-deb', '--extract', product, tmp])
        return os.path.join(tmp, 'usr/bin/wasmos')
    with zipfile.ZipFile(product) as z:
        expect(z.testzip() is None, f'{product} is damaged')
        z.extractall(tmp)
    found = glob.glob(os.path.join(tmp, '*', 'wasmos*'))
    expect(len(found) == 1, f'{product}: not one program but {found}')
    os.chmod(found[0], 0o755)
    return found[0]


def elf(program):
    headers = run(['llvm-readelf-19', '-h', '-l', '-d', '-W', program])
    return {
        'machine': re.search(r'Machine:\s+(.*)', headers).group(1).strip(),
        'type': re.search(r'Type:\s+(\w+)', headers).group(1),
        'interpreter': 'INTERP' in headers,
        'needed': re.findall(r'\(NEEDED\)\s+Shared library: \[(.*?)\]', headers),
        'aligned': [int(x, 16) for x in re.findall(r'^\s*LOAD\s.*\s(0x[0-9a-f]+)\s*$', headers, re.M)],
        'stack_executable': bool(re.search(r'GNU_STACK.*\sRWE\s', headers)),
    }


def says_version(program, runner):
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    env = dict(os.environ, WINEDEBUG='-all')
    env.setdefault('WINEPREFIX', os.path.join(cache, 'wasmos', 'wine'))
    os.makedirs(env['WINEPREFIX'], exist_ok=True)
    out = run([*runner, program, '--version'], env=env, timeout=RUN_TIMEOUT_S)
    expect(f'wasmos {version()}' in out, f'{program} --version says {out!r}')


def check_deb(platform, product):
    with tempfile.TemporaryDirectory() as tmp:
        program = unpacked(product, tmp)
        e = elf(program)
        expect(e['machine'] == platform['machine'], f'{product} is for {e["machine"]}')
        expect(not e['stack_executable'], f'{product}: its stack is executable')
        says_version(program, platform['runner'])
    contents = run(['dpkg-deb', '--contents', product]).splitlines()
    expect(all(' root/root ' in line for line in contents), f'{product} has files that are not root\'s')
    fields = run(['dpkg-deb', '--field', product])
    depends = re.search(r'^Depends: (.*)$', fields, re.M).group(1)
    files = [line.split()[-1] for line in contents if not line.startswith('d')]
    for wanted in ('usr/lib/systemd/system/wasmos.service', 'usr/lib/systemd/user/wasmos.service', 'usr/lib/sysusers.d/wasmos.conf',
                   'etc/wasmos/config', 'usr/share/bash-completion/completions/wasmos', 'usr/share/zsh/vendor-completions/_wasmos'):
        expect(f'./{wanted}' in files, f'{product} lacks {wanted}')
    return [f'ELF {e["machine"]}', f'{len(files)} files', f'needs {depends}', '--version runs']


def check_windows(platform, product):
    with tempfile.TemporaryDirectory() as tmp:
        program = unpacked(product, tmp)
        headers = run(['llvm-readobj-19', '--file-headers', '--coff-imports', program])
        expect('IMAGE_FILE_MACHINE_AMD64' in headers, f'{product} is not for x86-64')
        dlls = sorted({d.lower().removesuffix('.dll') for d in re.findall(r'^\s+Name: (\S+)$', headers, re.M)})
        foreign = [d for d in dlls if d not in WINDOWS_DLLS and not d.startswith('api-ms-win-')]
        expect(not foreign, f'wasmos.exe imports what not every Windows has: {" ".join(foreign)}')
        for protection in ('DYNAMIC_BASE', 'NX_COMPAT', 'HIGH_ENTROPY_VA'):
            expect(f'CHARACTERISTICS_{protection}' in headers, f'wasmos.exe lacks {protection}')
        says_version(program, platform['runner'])
    return ['PE32+ x86-64', f'imports only {" ".join(dlls)}', '--version runs']


def check_android_program(program):
    e = elf(program)
    expect(e['machine'] == 'AArch64' and e['type'] == 'DYN', f'{program} is {e["machine"]} {e["type"]}')
    expect(not e['interpreter'] and not e['needed'], f'{program} needs an interpreter or {e["needed"]}')
    expect(e['aligned'] and min(e['aligned']) >= PAGE_16K, f'{program}: segments are aligned to {e["aligned"]}')
    expect(not e['stack_executable'], f'{program}: its stack is executable')
    says_version(program, ['qemu-aarch64-static'])
    return ['ELF AArch64 static-pie', 'no interpreter, no shared library', 'segments aligned to 16 KiB', '--version runs']


def check_android(platform, product):
    with tempfile.TemporaryDirectory() as tmp:
        return check_android_program(unpacked(product, tmp))


def check_app(platform, product):
    """tests/app/apk.py looks at signature, alignment, manifest and contents, and runs the node; here the node's headers."""
    run([sys.executable, 'tests/app/apk.py', 'build'], env=dict(os.environ, WASMOS_APK=product), timeout=RUN_TIMEOUT_S)
    with tempfile.TemporaryDirectory() as tmp:
        with zipfile.ZipFile(product) as z:
            z.extract('lib/arm64-v8a/libwasmos.so', tmp)
        program = os.path.join(tmp, 'lib/arm64-v8a/libwasmos.so')
        os.chmod(program, 0o755)
        return ['signed', 'its node: ' + ', '.join(check_android_program(program))]


def pack_app(platform, program, product):
    with tempfile.TemporaryDirectory() as tmp:
        made = run(['scripts/build-apk', '--node', stripped(program, os.path.join(tmp, 'wasmos'))])
    shutil.copyfile(os.path.join(ROOT, made.splitlines()[-1]), product)


# ---- platforms ----

def platforms():
    v = version()
    android = {'folder': 'build-android-arm64', 'setup': ['--cross-file', 'scripts/cross/android-arm64.ini'],
               'program': 'shell/wasmos'}
    table = {
        'linux-x86_64': {
            'folder': 'build', 'setup': ['--native-file', 'scripts/clang-19.ini'], 'program': 'shell/wasmos',
            'arch': 'amd64', 'machine': 'Advanced Micro Devices X86-64', 'runner': [],
            'product': f'wasmos_{v}_amd64.deb', 'pack': pack_deb, 'check': check_deb},
        'linux-arm64': {
            'folder': 'build-linux-arm64', 'setup': ['--cross-file', 'scripts/cross/linux-arm64.ini'], 'program': 'shell/wasmos',
            'arch': 'arm64', 'machine': 'AArch64', 'runner': ['qemu-aarch64-static'],
            'product': f'wasmos_{v}_arm64.deb', 'pack': pack_deb, 'check': check_deb},
        'windows': {
            'folder': 'build-windows-x86_64', 'setup': ['--cross-file', 'scripts/cross/windows-x86_64.ini'],
            'program': 'shell/wasmos.exe', 'runner': ['/usr/lib/wine/wine64'], 'newline': '\r\n', 'readme': 'windows.txt',
            'product': f'wasmos-{v}-windows-x86_64.zip', 'pack': pack_zip, 'check': check_windows},
        'android': {
            **android, 'newline': '\n', 'readme': 'android.txt',
            'product': f'wasmos-{v}-android-arm64.zip', 'pack': pack_zip, 'check': check_android},
        'app': {
            **android, 'product': f'wasmos-{v}.apk', 'pack': pack_app, 'check': check_app, 'also': ['app', 'scripts/build-apk']},
    }
    if not os.path.exists(os.path.join(ROOT, 'scripts', 'build-apk')):
        del table['app']
    return table


def digest(platform, program):
    """Of everything that a product is made of besides the machine's tools."""
    h = hashlib.sha256(read(program, mode='rb'))
    files = [os.path.abspath(__file__), os.path.join(ROOT, 'LICENSE'), os.path.join(ROOT, 'docs', 'wasmos.1')]
    files += filter(os.path.isfile, glob.glob(os.path.join(PACKAGING, '**'), recursive=True))
    for more in platform.get('also', []):
        path = os.path.join(ROOT, more)
        files += [path] if os.path.isfile(path) else [os.path.join(d, f) for d, _, fs in os.walk(path) for f in fs]
    for f in sorted(files):
        h.update(f.encode() + read(f, mode='rb'))
    return h.hexdigest()


def make(name, platform):
    """Builds, packs and checks one product; what there is to say about it."""
    started = time.monotonic()
    program = build(platform)
    product = os.path.join(DIST, platform['product'])
    stamp = os.path.join(DIST, '.stamps', name)
    made_of = digest(platform, program)
    old = json.loads(read(stamp)) if os.path.exists(stamp) and os.path.exists(product) else {}
    if old.get('made_of') != made_of:
        if os.path.exists(stamp):
            os.remove(stamp)
        platform['pack'](platform, program, product)
        old = {'made_of': made_of, 'checked': platform['check'](platform, product)}
        write(stamp, json.dumps(old))
    with tempfile.TemporaryDirectory() as tmp:
        program_bytes = os.path.getsize(stripped(program, os.path.join(tmp, 'program')))
    return {'platform': name, 'product': os.path.relpath(product, ROOT), 'bytes': os.path.getsize(product),
            'program_bytes': program_bytes, 'seconds': round(time.monotonic() - started, 1), 'checked': old['checked']}


def line_of(r):
    if 'error' in r:
        return f'{r["platform"]:13} FAILED: {r["error"]}'
    return f'{r["platform"]:13} {r["product"]:40} {r["bytes"] / 1e6:5.1f} MB {r["seconds"]:7.1f} s  {"; ".join(r["checked"])}'


def main():
    table = platforms()
    parser = argparse.ArgumentParser(prog='build-all', add_help=False)
    parser.add_argument('--json', action='store_true')
    parser.add_argument('platform', nargs='*')
    args = parser.parse_args()
    for name in args.platform:
        if name not in table:
            sys.exit(f'build-all: there is no platform "{name}": {" ".join(table)}')
    os.makedirs(os.path.join(DIST, '.stamps'), exist_ok=True)
    results = []
    for name in args.platform or table:
        try:
            results.append(make(name, table[name]))
        except (Failure, subprocess.TimeoutExpired) as e:
            results.append({'platform': name, 'error': str(e)})
        if not args.json:
            print(line_of(results[-1]), flush=True)
    if args.json:
        print(json.dumps({'products': results, 'failed': sum('error' in r for r in results)}, indent=1))
    sys.exit(1 if any('error' in r for r in results) else 0)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
