#!/usr/bin/env python3
"""suspended.py - CPython computes, is suspended, its node is killed with -9 and started again, it goes on; TAP.

    tests/programs/suspended.py build/shell/wasmos

Exit code 77: CPython is not there (scripts/npm-programs fetches it).
"""

import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["WASMOS"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts"))
from nodes import Failed, Node  # noqa: E402

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "wasmos", "npm")
PYTHON = f"{CACHE}/python-wasi/dist/python.wasm"
SECONDS = 20
# Goes on until its own clock, which does not count the time it is suspended, has made its seconds full.
PROGRAM = f"""
import time
def step(n, x):
    for i in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
    return x
began, x, steps = time.monotonic(), 1, 0
while time.monotonic() - began < {SECONDS}:
    x = step(1000, x)
    steps += 1
print(steps, x)
"""


def expected(steps):
    # x -> a x + c, applied n times, by squaring.
    a, c, m, n = 6364136223846793005, 1442695040888963407, 2**64, steps * 1000
    ra, rc = 1, 0
    while n:
        if n & 1:
            ra, rc = ra * a % m, (rc * a + c) % m
        a, c = a * a % m, (a * c + c) % m
        n >>= 1
    return (ra * 1 + rc) % m


def up(node):
    for again in range(100):
        try:
            return node.up("--listen", "127.0.0.1:0", "--display", "headless")
        except Failed as e:  # the lock of a node that was killed goes when the last of its threads has
            if "serves this home already" not in str(e) or again == 99:
                raise
            time.sleep(0.05)


def main():
    if not os.path.exists(PYTHON):
        print("1..0 # SKIP CPython is missing: scripts/npm-programs fetches it")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        node = Node(os.path.join(folder, "home"), "desk", env={"XDG_RUNTIME_DIR": folder})
        up(node)
        try:
            pid = node.start([PYTHON, "-c", PROGRAM], "--name", "python")
            time.sleep(6)
            report = node.json("suspend", pid)
            node.kill9()
            up(node)
            state = node.process(pid)["state"]
            time.sleep(1)
            node.call("resume", pid)
            row = node.wait(pid, timeout_s=120)
            steps, x = map(int, node.output(pid).split()[-2:])
        finally:
            node.down()
    good = row["status"] == 0 and x == expected(steps)
    print("ok" if state == "suspended" else "not ok", "1 - a node that was killed shows what was suspended")
    print("ok" if good else "not ok", "2 - it goes on and prints the right answer")
    print(f"# {steps} steps, {x}; it stood {report['stood_ms']:.0f} ms for {report['bytes']} bytes")
    print("1..2")
    return 0 if good and state == "suspended" else 1


if __name__ == "__main__":
    sys.exit(main())
