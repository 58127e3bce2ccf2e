#!/usr/bin/env python3
"""run.py - Unix programs on WasmOS and natively, in one run: what a kernel is asked all the time, and programs on real data.

    bench/kernel/run.py                    ratios to native Linux: median and 90th percentile of each
    bench/kernel/run.py --node             in a node instead of alone (run --solo)
    bench/kernel/run.py --only fork,pipe --samples 50 --rounds 1
    bench/kernel/run.py --json

kernel.c is compiled by cc and by wasmos-cc and measures itself; of dash, sort, grep and sqlite3 the time from start to end counts, natively
of Debian's programs, on WasmOS of those that scripts/userland made of the same sources. sort and grep are busybox's there; natively too if
there is one in PATH or BUSYBOX says where, else coreutils' and GNU's. The data is text of this machine: Python's library and
Debian's licences. Rounds take turns. In brackets: the ratio of processor times, which other load on the machine changes little.
"""
import argparse
import glob
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import nodes  # noqa: E402 (it stands in scripts/)

CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
IMAGE = os.path.join(os.environ.get('WASMOS_USERLAND') or os.path.join(CACHE, 'wasmos', 'userland'), 'image')
DATA_BYTES = 8 << 20
# Samples of one run of kernel.c, and what one is of.
KERNEL = {'null': (100, 'getppid'), 'switch': (20, 'to another process, by pipes'), 'pipe': (10, 'a MiB, in pieces of 64 KiB'),
          'fork': (100, 'fork, exit, wait'), 'forkbig': (30, 'the same with 64 MiB written'), 'exec': (50, 'fork, exec, exit, wait'),
          'file': (20, 'create, stat, unlink'), 'thousand': (1, '1 of 1,000 processes at once')}
SCRIPT = 'i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done'
# Words of a command, natively; on WasmOS the first is a program of the image.
PROGRAMS = {'script': (['dash', '-c', SCRIPT], 'dash: 1,000 commands'),
            'sort': (['sort', 'DATA/text'], f'sort of {DATA_BYTES >> 20} MiB'),
            'grep': (['grep', '-c', 'th[aeiou].*copy', 'DATA/text'], 'grep by a pattern'),
            'sqlite3': (['sqlite3', ':memory:', '.read DATA/sql'], 'sqlite3: 60,000 rows in, an index, groups')}


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, round(p / 100 * (len(values) - 1)))]


def make_data(folder):
    text = bytearray()
    for path in sorted(glob.glob('/usr/lib/python3*/*.py') + glob.glob('/usr/share/doc/*/copyright')):
        with open(path, 'rb') as f:
            text += f.read()
        if len(text) >= DATA_BYTES:
            break
    with open(os.path.join(folder, 'text'), 'wb') as f:
        f.write(text[:DATA_BYTES])
    lines = text[:DATA_BYTES].decode(errors='replace').split('\n')[:60000]
    with open(os.path.join(folder, 'sql'), 'w') as f:
        f.write('create table t(n integer primary key, line text);\nbegin;\n')
        for line in lines:
            f.write("insert into t(line) values('" + line.replace("'", "''").replace('\0', '') + "');\n")
        f.write('commit;\ncreate index i on t(line);\nselect count(distinct line), sum(length(line)) from t;\n'
                'select length(line) as l, count(*) from t group by l order by 2 desc limit 5;\n')


class Native:
    name = 'native'

    def __init__(self, folder):
        self.folder, self.kernel = folder, os.path.join(folder, 'kernel')
        subprocess.run(['cc', '-O2', os.path.join(HERE, 'kernel.c'), '-o', self.kernel], check=True)

    def kernel_command(self, what, samples):
        return [self.kernel, what, str(samples), *([self.kernel] if what == 'exec' else [])]

    def command(self, words):
        busybox = os.environ.get('BUSYBOX') or shutil.which('busybox')
        return [*([busybox] if busybox and words[0] in ('sort', 'grep') else []), *(w.replace('DATA', self.folder) for w in words)]


class WasmOS:
    name = 'wasmos'

    def __init__(self, folder, node):
        self.folder = folder
        self.run = [nodes.WASMOS, 'run', *([] if node else ['--solo'])]
        os.mkdir(os.path.join(folder, 'tmp'))
        self.kernel = os.path.join(folder, 'kernel.wasm')
        subprocess.run([os.path.join(ROOT, 'sdk', 'bin', 'wasmos-cc'), '-O2', os.path.join(HERE, 'kernel.c'), '-o', self.kernel], check=True)

    def kernel_command(self, what, samples):
        return [*self.run, '--dir', f'{self.folder}::/', self.kernel, what, str(samples), *(['/kernel.wasm'] if what == 'exec' else [])]

    def command(self, words):
        return [*self.run, '--dir', f'{IMAGE}::/', '--dir', f'{self.folder}::/data', '--env', 'PATH=/bin',
                os.path.join(IMAGE, 'bin', words[0]), *(w.replace('DATA', '/data') for w in words[1:])]


def cpu_ns():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def sample_kernel(system, what, samples):
    out = subprocess.run(system.kernel_command(what, samples), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True).stdout
    return [int(n) for n in out.split()]


def sample_program(system, words):
    before, began = cpu_ns(), time.monotonic_ns()
    r = subprocess.run(system.command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True,
                       env=dict(os.environ, LC_ALL='C'))
    return time.monotonic_ns() - began, cpu_ns() - before, r.stdout


def measure(args, systems):
    only = args.only.split(',') if args.only else [*KERNEL, *PROGRAMS]
    samples = {what: {s.name: [] for s in systems} for what in only}
    cpu = {what: {s.name: [] for s in systems} for what in only if what in PROGRAMS and not args.node}
    for _ in range(args.rounds):
        for what in only:
            outputs = []
            for s in systems:
                if what in KERNEL:
                    samples[what][s.name] += sample_kernel(s, what, min(args.samples or KERNEL[what][0], 10**6))
                else:
                    took, used, out = sample_program(s, PROGRAMS[what][0])
                    samples[what][s.name].append(took)
                    cpu.get(what, {s.name: []})[s.name].append(used)
                    outputs.append(out)
            if len(set(outputs)) > 1:
                sys.exit(f'{what}: the two say different things')
    return samples, cpu


def summary(samples, cpu):
    rows = {}
    for what, both in samples.items():
        row = {name: {'p50': percentile(v, 50), 'p90': percentile(v, 90), 'least': min(v), 'samples': len(v)} for name, v in both.items()}
        row['ratio'] = row['wasmos']['p50'] / max(1, row['native']['p50'])
        if what in cpu:
            row['cpu_ratio'] = percentile(cpu[what]['wasmos'], 50) / max(1, percentile(cpu[what]['native'], 50))
        rows[what] = row
    return rows


def us(ns):
    return f'{ns / 1000:.2f}' if ns < 10**5 else f'{ns / 1000:.0f}'


def show(rows):
    print(f'{"microseconds":12} {"native p50":>11} {"p90":>10} {"wasmos p50":>11} {"p90":>10} {"ratio":>7}')
    for what, r in rows.items():
        n, w = r['native'], r['wasmos']
        of = KERNEL[what][1] if what in KERNEL else PROGRAMS[what][1]
        cpu = f'  ({r["cpu_ratio"]:.2f} of the processor)' if 'cpu_ratio' in r else ''
        print(f'{what:12} {us(n["p50"]):>11} {us(n["p90"]):>10} {us(w["p50"]):>11} {us(w["p90"]):>10} {r["ratio"]:7.2f}  {of}{cpu}')


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('--only', help='names, with commas between them')
    p.add_argument('--samples', type=int, help='of each thing that kernel.c measures, a round')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--node', action='store_true', help='in a node')
    p.add_argument('--json', action='store_true')
    args = p.parse_args()
    folder = tempfile.mkdtemp(prefix='wasmos-kernel-')
    node = None
    try:
        make_data(folder)
        if args.node:
            os.environ['WASMOS_HOME'] = os.path.join(folder, 'home')
            node = nodes.Node(os.environ['WASMOS_HOME'], 'bench')
            node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        rows = summary(*measure(args, [Native(folder), WasmOS(folder, args.node)]))
    finally:
        if node and node.is_up():
            node.call('down', '--end')
        shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps(rows))
    else:
        show(rows)


main()
