#!/usr/bin/env python3
"""programs.py - programs from npm that no one here built, run unmodified: the same output as under node.

    tests/programs/programs.py RUN TEST [WASM]  RUN: a command that runs a WASI program, e.g.
                                                "build/tests/wasi/wasi-run" or "build/wasmos run --solo"

TEST is one of the functions below without "test_". Output is TAP. Exit code 77: the programs are not there (scripts/npm-programs fetches
them) or node is not. Each run has its own folder, which the program finds at /data.
"""

import hashlib
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "wasmos", "npm")

PYTHON = "python-wasi/dist/python.wasm"
CLANG = "clang/gen/llvm.core.wasm"
ESBUILD = "wasi-preview1/esbuild.wasm"
YOSYS = "yosys/gen/yosys.core.wasm"
NEXTPNR = "nextpnr-ice40/gen/nextpnr-ice40.core.wasm"
PANDOC = "pandoc-wasm/src/pandoc.wasm"


class Result:
    def __init__(self, done, folder):
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.folder = folder

    def file(self, name):
        with open(os.path.join(self.folder, name), "rb") as f:
            return f.read()


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, what, good, detail=""):
        self.count += 1
        self.failed += not good
        print(("ok" if good else "not ok"), self.count, "-", what)
        if not good:
            for line in str(detail).splitlines()[:40]:
                print("#", line)
        sys.stdout.flush()

    def same(self, what, ours, theirs):
        self.ok(what, ours == theirs, f"ours:   {ours!r}\ntheirs: {theirs!r}")


class Side:
    """One of the two that run a program: ours or node. path: a path of this machine in the command's words. symlinks: whether programs
    can make symbolic links there."""

    def __init__(self, command, folder, path=str, env=None, symlinks=True):
        self.command = command
        self.folder = folder
        self.path, self.env, self.symlinks = path, env, symlinks
        os.makedirs(os.path.join(folder, "tmp"))

    def run(self, program, args=(), dirs=(), env=(), stdin=b"", at="/data"):
        options = []
        for d in (*dirs, f"{self.folder}::{at}"):
            here, there = d.split("::")
            options += ["--dir", f"{self.path(here)}::{there}"]
        for e in env:
            options += ["--env", e]
        done = subprocess.run(
            self.command + options + [self.path(os.path.join(CACHE, program)), *args], input=stdin,
            capture_output=True, timeout=600, check=False, env=self.env)
        return Result(done, self.folder)


def source(name):
    with open(os.path.join(HERE, name), "rb") as f:
        return f.read()


def give(sides, *names):
    for side in sides:
        for name in names:
            shutil.copy(os.path.join(HERE, name), side.folder)


def test_python(tap, ours, node):
    """CPython: a script that uses the library, files and errors."""
    give((ours, node), "work.py")
    env = ["PYTHONHASHSEED=0"] + ([] if ours.symlinks and node.symlinks else ["NO_SYMLINKS=1"])
    a, b = (s.run(PYTHON, ["/data/work.py", "x", "y z"], env=env) for s in (ours, node))
    tap.same("what it printed", a.out.decode().splitlines(), b.out.decode().splitlines())
    tap.same("standard error", a.err, b.err)
    tap.same("exit status", a.status, b.status)
    a, b = (s.run(PYTHON, ["-"], stdin=b"import sys\nprint(sys.stdin.read(), len(sys.path))\nprint(1/0)") for s in (ours, node))
    tap.same("a program from standard input", (a.out, a.err, a.status), (b.out, b.err, b.status))


def read_until(fd, text, limit_s):
    got, end = b"", time.monotonic() + limit_s
    while text not in got and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                got += os.read(fd, 4096)
            except OSError:
                break
    return got.decode(errors="replace")


def test_repl(tap, ours, node):
    """CPython's prompt on a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(ours.command[0], ours.command + [os.path.join(CACHE, PYTHON)])
    talk = [("import sys; sys.stdin.isatty()", "True"), ("6 * 7", "42"), ("def f(x):", "..."), ("    return x + 1", "..."),
            ("", ">>>"), ("f(1)", "2"), ("1/0", "ZeroDivisionError"), ("_ + 1", "3")]
    tap.ok("a prompt appears", ">>> " in read_until(fd, b">>> ", 60))
    for line, answer in talk:
        os.write(fd, line.encode() + b"\n")
        prompt = b"... " if answer == "..." else b">>> "
        got = read_until(fd, prompt, 20)
        tap.ok(f"{line!r} gives {answer!r}", answer in got.split("\n", 1)[-1], got)
    os.write(fd, b"\x04")
    tap.same("the end of input ends it", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


def clang_commands(run):
    """What the driver would start, in the words of its own -###."""
    done = run(["clang", "-O1", "-###", "/data/hello.c", "-o", "/data/hello.wasm"])
    commands = []
    for line in done.err.decode().splitlines():
        if line.startswith(' "'):
            words = shlex.split(line)
            commands.append(words[1:] if words[0] == "" else words)
    return commands


def test_clang(tap, ours, node):
    """clang compiles and links a C program, which then runs."""
    dirs = [f"{CACHE}/clang/root::/usr"]
    results = []
    for side in (ours, node):
        give((side,), "hello.c")
        run = lambda args: side.run(CLANG, args, dirs=[*dirs, f"{side.folder}/tmp::/tmp"])
        commands = clang_commands(run)
        results.append([run(c) for c in commands])
        tap.ok("the driver names two commands", len(commands) == 2, commands)
        tap.same("compiling and linking succeed", [(r.status, r.err) for r in results[-1]], [(0, b"")] * 2)
    a, b = (r[-1].file("hello.wasm") for r in results)
    tap.same("the same program comes out", hashlib.sha256(a).hexdigest(), hashlib.sha256(b).hexdigest())
    hello = os.path.join(ours.folder, "hello.wasm")
    a, b = (s.run(hello, ["one", "two"], stdin=b"3 4\n") for s in (ours, node))
    tap.ok("it runs", b"one two" in a.out and b"12" in a.out, a.out)
    tap.same("and says the same under node", (a.out, a.err, a.status), (b.out, b.err, b.status))


def test_esbuild(tap, ours, node):
    """esbuild bundles and minifies."""
    give((ours, node), "app.ts", "lib.ts")
    args = ["--bundle", "--minify", "--sourcemap", "--outfile=/out.js", "/app.ts"]
    a, b = (s.run(ESBUILD, args, env=["PWD=/"], at="/") for s in (ours, node))
    tap.same("exit status", a.status, b.status)
    tap.ok("it worked", a.status == 0, a.err)
    for name in ("out.js", "out.js.map"):
        tap.same(name, a.file(name), b.file(name))
    a, b = (s.run(ESBUILD, ["--loader=ts"], stdin=b"let x: number = ;", env=["PWD=/"], at="/") for s in (ours, node))
    tap.same("an error in the source", (a.out, a.err, a.status), (b.out, b.err, b.status))


def without_times(text):
    return re.sub(rb"(Time spent|End of script|CPU:|time ).*", b"", text)


def test_yosys(tap, ours, node):
    """yosys synthesises, nextpnr places and routes (--seed 1): the same bits."""
    give((ours, node), "blink.v")
    results = []
    for side in (ours, node):
        side.run(YOSYS, ["-q", "-p", "synth_ice40 -top blink -json /data/blink.json", "/data/blink.v"],
                 dirs=[f"{CACHE}/yosys/root/share::/share", f"{side.folder}/tmp::/tmp"])
        results.append(side.run(
            NEXTPNR, ["--hx1k", "--package", "tq144", "--json", "/data/blink.json", "--asc",
                      "/data/blink.asc", "--seed", "1", "--quiet"],
            dirs=[f"{CACHE}/nextpnr-ice40/root/share::/share", f"{side.folder}/tmp::/tmp"]))
    a, b = results
    tap.same("the netlist", a.file("blink.json"), b.file("blink.json"))
    tap.ok("a netlist of some size", len(a.file("blink.json")) > 10000)
    tap.same("exit status", a.status, b.status)
    tap.same("md5 of the placed design", *(hashlib.md5(r.file("blink.asc")).hexdigest() for r in results))
    tap.ok("a design of some size", a.file("blink.asc").count(b".logic_tile") > 100)


def test_pandoc(tap, ours, node):
    """pandoc, which GHC made of Haskell: a document goes through several formats and back."""
    give((ours, node), "letter.md")
    for fmt in ("html", "latex", "native", "docx"):
        words = ["-s", "-f", "markdown", "-t", fmt, "letter.md", "-o", f"letter.{fmt}"]
        a, b = (s.run(PANDOC, words, env=["SOURCE_DATE_EPOCH=1000000000"], at="/") for s in (ours, node))
        tap.same(f"{fmt}: how it ended", (a.out, a.err, a.status), (b.out, b.err, b.status))
        tap.same(f"{fmt}: what it made", *(hashlib.sha256(r.file(f"letter.{fmt}")).hexdigest() for r in (a, b)))
    a, b = (s.run(PANDOC, ["-f", "docx", "-t", "markdown", "letter.docx"], at="/") for s in (ours, node))
    tap.same("and back from docx", (a.out, a.err, a.status), (b.out, b.err, b.status))
    tap.ok("with its table", b"42" in a.out and b"---" in a.out, a.out)
    a, b = (s.run(PANDOC, ["-t", "no-such-format", "letter.md"], at="/") for s in (ours, node))
    tap.same("an unknown format", (a.out, a.err, a.status), (b.out, b.err, b.status))


def test_conform(tap, ours, node):
    """A guest that asks the functions of WASI themselves (tests/wasi/conform.c, sys.argv[3])."""
    a, b = (s.run(os.path.abspath(sys.argv[3]), stdin=b"abc") for s in (ours, node))
    ours_said, node_said = a.out.decode().splitlines(), b.out.decode().splitlines()
    tap.ok("it says something", len(ours_said) > 80, a)
    for i, (x, y) in enumerate(zip(ours_said, node_said)):
        # node 18, Debian's, takes two times for one file that exclude each other; node 20 refuses them, as WASI says
        if x != y and not x.startswith("set times both"):
            tap.same(f"line {i + 1}", x, y)
    tap.same("lines", len(ours_said), len(node_said))
    tap.same("exit status", a.status, b.status)


def main():
    run, name = sys.argv[1], sys.argv[2]
    tap = Tap()
    if not shutil.which("node") or (name != "conform" and not os.path.exists(os.path.join(CACHE, PYTHON))):
        print("1..0 # SKIP node or the programs are missing: scripts/npm-programs fetches them")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        ours = Side(shlex.split(run), os.path.join(folder, "ours"))
        # node 20's WASI corrupts its heap when a guest grows memory without this
        node = Side(["node", "--no-warnings", "--no-turbo-fast-api-calls", os.path.join(HERE, "node_wasi.mjs")],
                    os.path.join(folder, "node"))
        globals()["test_" + name](tap, ours, node)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
