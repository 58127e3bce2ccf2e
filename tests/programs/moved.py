#!/usr/bin/env python3
"""moved.py - yosys and nextpnr between two nodes: the same bits unmoved and moved five times; TAP.

    tests/programs/moved.py build/shell/wasmos

Folders stay on the first device, so what the tools read and write goes over the link half of the time. Exit code 77: the programs are
not there (scripts/npm-programs fetches them).
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["WASMOS"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts"))
from nodes import Journey, two  # noqa: E402

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "wasmos", "npm")
YOSYS = f"{CACHE}/yosys/gen/yosys.core.wasm"
NEXTPNR = f"{CACHE}/nextpnr-ice40/gen/nextpnr-ice40.core.wasm"


def on_its_way(nodes, argv, *options):
    return Journey(*nodes, nodes[0].start(argv, *options))


def synthesise(nodes, folder, moves):
    """The placed design's md5, how often yosys and nextpnr (which may end before) were moved, pauses."""
    os.mkdir(folder)
    shutil.copy(os.path.join(HERE, "blink.v"), folder)
    yosys = on_its_way(nodes, [YOSYS, "-q", "-p", "synth_ice40 -top blink -json /data/blink.json", "/data/blink.v"],
                "--dir", f"{folder}::/data", "--dir", f"{CACHE}/yosys/root/share::/share:ro")
    time.sleep(0.3)
    for _ in range(moves):
        time.sleep(0.2)
        yosys.move()
    yosys.end(timeout_s=900)
    nextpnr = on_its_way(nodes, [NEXTPNR, "--hx1k", "--package", "tq144", "--json", "/data/blink.json", "--asc",
                          "/data/blink.asc", "--seed", "1", "--quiet"],
                  "--dir", f"{folder}::/data", "--dir", f"{CACHE}/nextpnr-ice40/root/share::/share:ro")
    nextpnr.go(moves).end(timeout_s=900)
    with open(os.path.join(folder, "blink.asc"), "rb") as f:
        return hashlib.md5(f.read()).hexdigest(), len(yosys.costs), len(nextpnr.costs), [c["pause_ms"] for c in yosys.costs + nextpnr.costs]


def main():
    if not os.path.exists(NEXTPNR):
        print("1..0 # SKIP the programs are missing: scripts/npm-programs fetches them")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        with two("desk", "laptop", env={"XDG_RUNTIME_DIR": folder}) as nodes:
            still, *_ = synthesise(nodes, os.path.join(folder, "still"), 0)
            moved, first, second, pauses = synthesise(nodes, os.path.join(folder, "moved"), 5)
    good = still == moved
    print("ok" if good else "not ok", "1 - the same md5 unmoved and moved")
    print(f"# {still} unmoved, {moved} moved; pauses (ms): {pauses}")
    print("ok" if first == 5 else "not ok", "2 - it was moved five times")
    print(f"# yosys {first} times, nextpnr {second} times")
    print("1..2")
    return 0 if good and first == 5 else 1


if __name__ == "__main__":
    sys.exit(main())
