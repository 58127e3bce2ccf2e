"""pages.py - a program moves to and from an arm64 node; and it works where pages have 16 or 64 KiB, as on Android 15 devices.

	python3 tests/e2e/pages.py WASMOS COUNTER.wasm [ARM64-WASMOS]       TAP

qemu-aarch64-static runs the arm64 program (default: the one in build-android-arm64, else in build-linux-arm64; scripts/build-all makes
them) and tells it the page size (-p). Under -p only solo runs are tried: qemu then maps no further than a file's end, and the
node's store grows its file. tests/base/test_track.c has the tracker of written pages with such pages. Exit code 77 where qemu or the
program is missing.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

STEPS, MOVED_STEPS, HOPS, SLOW_S = '30', '1500', 4, 180


def arm64_program():
    if sys.argv[3:]:
        return os.path.abspath(sys.argv[3])
    for name in ('build-android-arm64', 'build-linux-arm64'):
        path = os.path.join(ROOT, name, 'shell', 'wasmos')
        if os.path.exists(path):
            return path
    return None


def unbroken(steps=STEPS):
    return subprocess.run([nodes.WASMOS, 'run', '--solo', COUNTER, steps], stdout=subprocess.PIPE, text=True,
                          check=False).stdout


def runs_with_pages_of(size):
    r = subprocess.run([QEMU, '-p', str(size), ARM64, 'run', '--solo', COUNTER, STEPS], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=SLOW_S, check=False)
    assert r.returncode == 7 and r.stdout == unbroken(), r


def test_a_program_works_with_pages_of_16_kib():
    runs_with_pages_of(16384)


def test_a_program_works_with_pages_of_64_kib():
    runs_with_pages_of(65536)


def test_a_program_moves_to_an_arm64_node_and_back_twice_while_it_works():
    def make(folder):
        return [nodes.Node(os.path.join(folder, 'desk'), 'desk'),
                nodes.Node(os.path.join(folder, 'phone'), 'phone', program=[QEMU, ARM64])]

    with nodes.housed(make) as (desk, phone):
        for node in (desk, phone):
            node.up('--display', 'headless', '--listen', '127.0.0.1:0')
        nodes.pair(desk, phone, timeout_s=SLOW_S)
        pid, here, there = desk.start([COUNTER, MOVED_STEPS]), desk, phone
        for _ in range(HOPS):
            done = here.migrate(pid, there, timeout_s=SLOW_S)
            print(f'# {here.name} to {there.name}: stood {done["pause_ms"]:.0f} ms, {done["bytes"]} bytes (one side emulated)',
                  flush=True)
            pid, here, there = done['pid'], there, here
        row = here.wait(pid, timeout_s=SLOW_S)
        assert row['state'] == 'exited' and row['status'] == 7, row
        assert here.output(pid) == unbroken(MOVED_STEPS), here.output(pid)


def main():
    global QEMU, ARM64, COUNTER
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    nodes.WASMOS, COUNTER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    QEMU, ARM64 = shutil.which('qemu-aarch64-static') or shutil.which('qemu-aarch64'), arm64_program()
    if not QEMU or not ARM64:
        print('1..0 # SKIP ' + ('no program for arm64 is built (scripts/build-all)' if QEMU else
                                'qemu-aarch64-static is not installed (scripts/setup --cross)'))
        return 77
    return cases.run(globals())


if __name__ == '__main__':
    sys.exit(main())
