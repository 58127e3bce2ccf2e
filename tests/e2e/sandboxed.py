"""sandboxed.py - a whole node inside a filter of system calls like the one Android puts around an app.

	python3 tests/e2e/sandboxed.py WASMOS SANDBOXED SANDBOX COUNTER.wasm [case...]        TAP

SANDBOXED is the command with Android's platform file (base/os_device_android.c) for this processor, SANDBOX (tests/base/sandbox.c) starts
a program inside the filter, which its children keep. The Android program itself cannot be tested so: under qemu-user the filter
would refuse the calls of qemu, which are others, and their SIGSYS comes to the program at another instruction.
"""
import contextlib
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts'))
import cases  # noqa: E402
import nodes  # noqa: E402 (it stands in scripts/)

FILTERED = '2'  # of the line Seccomp in /proc/PID/status
STEPS, STATUS = 300, 7


@contextlib.contextmanager
def two_nodes():
    """inside: in the filter; outside: an ordinary one. Both are up."""
    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, program=program, env={'XDG_RUNTIME_DIR': folder})
                for name, program in (('inside', [SANDBOX, SANDBOXED]), ('outside', [WASMOS]))]

    with nodes.housed(make) as both:
        for node in both:
            node.up('--display', 'headless', '--listen', '127.0.0.1:0')
        yield both


def answer_unmoved():
    done = subprocess.run([WASMOS, 'run', '--solo', COUNTER, str(STEPS)], capture_output=True, timeout=60, check=False)
    assert done.returncode == STATUS, done
    return done.stdout.decode().strip()


def filter_of(node):
    with open(f'/proc/{node.host_pid()}/status') as f:
        return next(line.split()[1] for line in f if line.startswith('Seccomp:'))


def check_ended(node, pid, text):
    row = node.wait(pid)
    assert (row['state'], row['status']) == ('exited', STATUS), row
    assert node.output(pid).strip() == text, node.output(pid)


def test_a_node_in_the_sandbox_comes_up_runs_a_program_lists_it_and_goes_down():
    with two_nodes() as (inside, outside):
        assert (filter_of(inside), filter_of(outside)) == (FILTERED, '0')
        pid = inside.start([COUNTER, str(STEPS)])
        assert [row['state'] in ('running', 'waiting') for row in inside.ps()] == [True], inside.ps()
        check_ended(inside, pid, answer_unmoved())
        inside.down()
        assert not inside.is_up()


def test_a_telephone_tells_the_others_of_the_screen_that_its_app_has():
    with two_nodes() as (inside, outside):
        nodes.pair(inside, outside)
        end = time.monotonic() + 20
        while not (tells := next(row.get('abilities', '') for row in outside.json('peers') if row['name'] == 'inside')):
            assert time.monotonic() < end, outside.json('peers')
            time.sleep(0.05)
        assert {'screen', 'sound', 'touch'} <= set(tells.split()), tells


def test_a_program_goes_on_after_a_restart_of_the_node_in_the_sandbox():
    with two_nodes() as (inside, _):
        pid = inside.start([COUNTER, str(STEPS)])
        inside.down()
        inside.up('--display', 'headless', '--listen', '127.0.0.1:0')
        check_ended(inside, pid, answer_unmoved())


def test_a_program_moves_out_of_the_sandbox_and_back():
    with two_nodes() as (inside, outside):
        nodes.pair(inside, outside)
        pid = inside.start([COUNTER, str(STEPS)])
        pid = inside.migrate(pid, outside)['pid']
        pid = outside.migrate(pid, inside)['pid']
        check_ended(inside, pid, answer_unmoved())


if __name__ == '__main__':
    WASMOS, SANDBOXED, SANDBOX, COUNTER = (os.path.abspath(a) for a in sys.argv[1:5])
    sys.exit(cases.run(globals(), sys.argv[5:]))
