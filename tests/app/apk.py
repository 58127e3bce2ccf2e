#!/usr/bin/env python3
"""apk.py - the APK as Android would look at it: signature, alignment, manifest, contents; and its node, taken out and run.

	tests/app/apk.py BUILD_DIR        TAP; builds the APK by scripts/build-apk. 77 without its tools or the Android node
	WASMOS_APK=FILE tests/app/apk.py BUILD_DIR       looks at that one (scripts/build-all does)
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))
import cases  # noqa: E402 (it stands in tests/e2e/)

NODE = os.environ.get('WASMOS_ANDROID_NODE') or os.path.join(ROOT, 'build-android-arm64', 'shell', 'wasmos')
TOOLS = ('javac', 'aapt2', 'zipalign', 'apksigner', 'keytool', 'zip')
LIBRARY = 'lib/arm64-v8a/libwasmos.so'
PERMISSIONS = {'INTERNET', 'ACCESS_NETWORK_STATE', 'FOREGROUND_SERVICE', 'POST_NOTIFICATIONS', 'WAKE_LOCK'}
PAGE = 16384
PT_LOAD, PT_INTERP = 1, 3
AARCH64 = 183


def output(*command, **more):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert r.returncode == 0, f'{" ".join(command)}: exit status {r.returncode}: {r.stdout}'
    return r.stdout


def dump(*what):
    return output('aapt2', 'dump', *what, APK)


# ---- as a file ----

def test_it_is_signed_by_one_key_in_the_schemes_of_android_8_and_later():
    out = output('apksigner', 'verify', '--verbose', '--print-certs', '--min-sdk-version', '26', APK)
    assert re.search(r'Verified using v2 scheme .*: true', out), out
    assert 'Number of signers: 1' in out, out


def test_a_changed_byte_breaks_the_signature():
    with open(APK, 'rb') as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    with tempfile.NamedTemporaryFile(suffix='.apk') as f:
        f.write(data)
        f.flush()
        r = subprocess.run(['apksigner', 'verify', '--min-sdk-version', '26', f.name], capture_output=True)
        assert r.returncode != 0


def test_it_is_aligned():
    output('zipalign', '-c', '-p', '4', APK)


def test_it_holds_what_it_should_and_nothing_else():
    with zipfile.ZipFile(APK) as z:
        names = [n for n in z.namelist() if not n.startswith(('META-INF/', 'res/'))]
        assert sorted(names) == ['AndroidManifest.xml', 'classes.dex', LIBRARY, 'resources.arsc'], names
        assert z.read('classes.dex')[:4] == b'dex\n'
        assert b'Lorg/wasmos/core/Pack;' in z.read('classes.dex')
        assert z.testzip() is None


# ---- as an app ----

def test_the_manifest_says_what_the_app_is():
    badging = dump('badging')
    assert "package: name='org.wasmos.app'" in badging, badging
    assert "sdkVersion:'26'" in badging and "targetSdkVersion:'33'" in badging, badging
    assert "launchable-activity: name='org.wasmos.app.MainActivity'" in badging, badging
    assert "native-code: 'arm64-v8a'" in badging, badging
    asked = set(re.findall(r"uses-permission: name='android\.permission\.(\w+)'", badging))
    assert asked == PERMISSIONS, asked


def test_only_the_list_can_be_started_from_outside_and_libraries_are_extracted():
    tree = dump('xmltree', '--file', 'AndroidManifest.xml')
    assert re.search(r'extractNativeLibs\(0x\w+\)=true', tree), tree
    assert re.search(r'allowBackup\(0x\w+\)=false', tree), tree
    parts = re.split(r'\n\s+E: (?=activity|service)', tree)[1:]
    exported = [re.search(r'name\(0x\w+\)="([^"]+)"', p).group(1) for p in parts if re.search(r'exported\(0x\w+\)=true', p)]
    assert exported == ['org.wasmos.app.MainActivity'] or exported == ['.MainActivity'], exported


def test_every_class_of_the_manifest_is_in_the_code():
    tree = dump('xmltree', '--file', 'AndroidManifest.xml')
    with zipfile.ZipFile(APK) as z:
        dex = z.read('classes.dex')
    names = set(re.findall(r'="(?:org\.wasmos\.app)?\.(\w+)"', tree)) - {'STOP'}
    assert {'MainActivity', 'NodeService', 'NodeApp', 'ScreenActivity', 'PairActivity', 'TerminalActivity'} <= names, names
    for name in names:
        assert f'Lorg/wasmos/app/{name};'.encode() in dex, name


def test_texts_are_resources():
    """What a person reads can be translated: no text of more than a few characters is given to a view as a constant."""
    for folder, _, files in os.walk(os.path.join(ROOT, 'app', 'android')):
        for name in files:
            with open(os.path.join(folder, name), encoding='utf-8') as f:
                for number, line in enumerate(f, 1):
                    assert not re.search(r'set(Text|Title|Hint|Message|ContentDescription)\("[^"]{3,}"', line), f'{name}:{number}'


# ---- its node ----

def library(folder):
    with zipfile.ZipFile(APK) as z:
        path = z.extract(LIBRARY, folder)
    os.chmod(path, 0o755)
    return path


def test_its_node_is_a_static_arm64_program_for_pages_of_16_kib():
    with tempfile.TemporaryDirectory() as folder, open(library(folder), 'rb') as f:
        data = f.read()
    assert data[:4] == b'\x7fELF' and struct.unpack_from('<H', data, 18)[0] == AARCH64
    assert struct.unpack_from('<H', data, 16)[0] == 3, 'not position independent'
    start, = struct.unpack_from('<Q', data, 32)
    size, count = struct.unpack_from('<HH', data, 54)
    kinds = []
    for i in range(count):
        kind, _, offset, address, _, _, _, align = struct.unpack_from('<IIQQQQQQ', data, start + i * size)
        kinds.append(kind)
        if kind == PT_LOAD:
            assert align % PAGE == 0 and offset % PAGE == address % PAGE, (hex(offset), hex(address), align)
    assert PT_LOAD in kinds and PT_INTERP not in kinds, kinds


def test_its_node_taken_out_runs_a_program_and_goes_down():
    qemu = shutil.which('qemu-aarch64-static')
    if not qemu:
        raise cases.Skip('qemu-aarch64-static is missing: scripts/setup --cross installs it')
    guest = os.path.join(sys.argv[1], 'tests', 'e2e', 'guest.wasm')
    if not os.path.exists(guest):
        raise cases.Skip('tests/e2e/guest.wasm is not built')
    with tempfile.TemporaryDirectory(prefix='wasmos-apk-') as folder:
        program, home = library(folder), os.path.join(folder, 'home')
        env = {'HOME': folder, 'TMPDIR': folder, 'XDG_RUNTIME_DIR': folder, 'PATH': ''}

        def wasmos(*args):
            return output(qemu, program, '--home', home, *args, env=env, timeout=120)

        node = subprocess.Popen([qemu, program, 'up', '--foreground', '--home', home, '--name', 'phone', '--display', 'headless',
                                 '--listen', '127.0.0.1:0'], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            up = False
            for _ in range(300):
                up = os.path.exists(os.path.join(home, 'control')) or node.poll() is not None
                if up:
                    break
                try:
                    node.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
            assert up and node.poll() is None, node.stdout.read()
            assert 'phone' in wasmos('status')
            assert 'hello' in wasmos('run', guest, 'args', 'hello'), 'the program said nothing'
            wasmos('down')
            assert node.wait(60) == 0
        finally:
            if node.poll() is None:
                node.kill()
            node.stdout.close()
            node.wait()


def build():
    if os.environ.get('WASMOS_APK'):
        return os.path.abspath(os.environ['WASMOS_APK'])
    env = dict(os.environ, WASMOS_APK_DIR=os.path.join(os.path.abspath(sys.argv[1]), 'apk'))
    command = [os.path.join(ROOT, 'scripts', 'build-apk'), '--node', NODE]
    r = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        print('1..1\nnot ok 1 - the apk is built')
        print('\n'.join('# ' + line for line in r.stderr.splitlines()[-40:]))
        sys.exit(1)
    return r.stdout.splitlines()[-1]


def main():
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing or not (os.environ.get('WASMOS_APK') or os.path.exists(NODE)):
        why = f'{missing[0]} is missing: scripts/setup --cross installs it' if missing else \
            'the Android node is not built: scripts/build-all'
        print(f'1..0 # SKIP {why}')
        return 77
    global APK
    APK = build()
    return cases.run(globals(), sys.argv[2:])


if __name__ == '__main__':
    sys.exit(main())
