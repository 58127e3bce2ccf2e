#!/usr/bin/env python3
"""run.py - measures engines on the workloads of this folder, as multiples of native code.

	bench/engine/run.py                                     native, node (two ways), build/shell/wasmos
	bench/engine/run.py --engine 'wasm3=/path/to/wasm3'     another engine beside them: COMMAND FILE.wasm ARGS
	bench/engine/run.py --engine 'bare=build/bench/bare {bare}'   our engine alone, on the modules without imports
	bench/engine/run.py --only fib,lua --rounds 3 --json
	bench/engine/run.py --build                             only compiles, and prints where

Each workload is compiled by gcc -O2 for this machine and by clang-19 -O2 for wasm32-wasi. In a round every engine
runs every workload once, in random order; a run calls the workload several times and reports the thread's CPU time
of each call (main.c), of which the least counts; over the rounds the median counts. Each checksum is compared with
workloads.json. The last lines say how long a program takes from exec to exit where there is nothing to run
(tiny.wasm) and where the module is big (yosys, when scripts/npm-programs has fetched it).
"""
import argparse
import json
import math
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'wasmos')
OUT = os.path.join(ROOT, 'build', 'bench-engine')
WASMOS = os.path.join(ROOT, 'build', 'shell', 'wasmos')
# What both compilers get: no contraction of a * b + c, so that doubles have the same bits everywhere.
CFLAGS = ['-O2', '-ffp-contract=off', '-w', '-I' + HERE, '-I' + OUT]
WASM = ['clang-19', '--target=wasm32-wasi', '-I' + os.path.join(HERE, 'wasm-include')]
# Lua's errors end the program instead of jumping; its hash seed is fixed, so that runs are alike.
LUA_FLAGS = ['-DLUAI_THROW(L,c)=__builtin_trap()', '-DLUAI_TRY(L,c,a)={a}', '-Dluai_jmpbuf=int',
             '-Dl_signalT=int', '-Dluai_makeseed(L)=42u', '-Dl_randomizePivot()=42u']
LUA_LEFT_OUT = {'lua.c', 'luac.c', 'liolib.c', 'loslib.c', 'loadlib.c', 'linit.c', 'ldblib.c', 'lcorolib.c',
                'lutf8lib.c'}
REPEATS_NATIVE, REPEATS = 7, 3


# ---- building ----

def lua_sources():
    """Lua's files and its folder, or None when the source cannot be had."""
    r = subprocess.run([os.path.join(ROOT, 'scripts', 'debian-source'), 'lua5.4'], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL, text=True)
    if r.returncode != 0:
        return None
    src = os.path.join(r.stdout.strip(), 'src')
    return src, [os.path.join(src, f) for f in sorted(os.listdir(src))
                 if f.endswith('.c') and f not in LUA_LEFT_OUT]


def write_generated():
    """The script as an array, and a header that Debian's build of Lua makes."""
    with open(os.path.join(OUT, 'lua5.4-deb-multiarch.h'), 'w') as out:
        out.write('#define DEB_HOST_MULTIARCH "none"\n')
    with open(os.path.join(HERE, 'script.lua'), 'rb') as f, open(os.path.join(OUT, 'script.inc'), 'w') as out:
        out.write(','.join(map(str, f.read())))


def newest(paths):
    return max(os.path.getmtime(p) for p in paths)


def compile_to(target, compiler, sources, flags, libs):
    own = [os.path.join(HERE, f) for f in ('bench.h', 'script.lua', 'run.py')]
    if os.path.exists(target) and os.path.getmtime(target) > newest(sources + own):
        return
    # Compiled -O2 and linked without -O: clang would run an old wasm-opt at link time.
    with tempfile.TemporaryDirectory() as objects:
        subprocess.run(compiler + CFLAGS + flags + ['-c'] + sources, check=True, cwd=objects)
        objs = sorted(os.path.join(objects, f) for f in os.listdir(objects))
        subprocess.run(compiler + objs + libs + ['-o', target], check=True)


def build(names):
    """Compiles the workloads; returns the names of those that are there."""
    os.makedirs(OUT, exist_ok=True)
    write_generated()
    main = os.path.join(HERE, 'main.c')
    built = []
    for name in names:
        sources, flags = [os.path.join(HERE, name + '.c')], []
        if name == 'lua':
            lua = lua_sources()
            if lua is None:
                print('bench: the source of Lua is not there: without it', file=sys.stderr)
                continue
            flags = ['-I' + lua[0]] + LUA_FLAGS
            sources += lua[1]
        base = os.path.join(OUT, name)
        compile_to(base, ['gcc'], sources + [main], flags, ['-lm'])
        compile_to(base + '.wasm', WASM, sources + [main], flags, [])
        compile_to(base + '.bare.wasm', WASM, sources, flags, ['-mexec-model=reactor'])
        built.append(name)
    compile_to(os.path.join(OUT, 'tiny.wasm'), WASM, [os.path.join(HERE, 'tiny.c')], [],
               ['-nostdlib', '-Wl,--no-entry', '-Wl,--strip-all'])
    compile_to(os.path.join(OUT, 'launch'), ['gcc'], [os.path.join(HERE, 'launch.c')], [], [])
    return built


# ---- engines ----

def default_engines():
    engines = {'native': None}
    if node := shutil.which('node'):
        # Without fast API calls: node 20's WASI corrupts its heap with them when a guest grows its memory.
        base = [node, '--no-warnings', '--no-turbo-fast-api-calls']
        script = os.path.join(HERE, 'node-wasi.mjs')
        engines['node'] = base + [script]
        # Dynamic tiering would optimise hot functions in spite of --no-wasm-tier-up.
        engines['node-liftoff'] = base + ['--liftoff', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering', script]
    if os.path.exists(WASMOS):
        engines['wasmos'] = [WASMOS, 'run', '--solo']
    return engines


def command(engine, name, n, repeats):
    if engine is None:
        return [os.path.join(OUT, name), str(n), str(repeats)]
    if '{bare}' in engine:
        bare = os.path.join(OUT, name + '.bare.wasm')
        return [bare if word == '{bare}' else word for word in engine] + [str(n), str(repeats)]
    return engine + [os.path.join(OUT, name + '.wasm'), str(n), str(repeats)]


def measure(engine, name, spec, repeats):
    """The least CPU time of a call in ns, or a text that says what went wrong."""
    r = subprocess.run(command(engine, name, spec['n'], repeats), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, errors='replace', stdin=subprocess.DEVNULL)
    lines = [line.split() for line in r.stdout.splitlines()]
    if r.returncode != 0 or len(lines) != repeats:
        return f'exit code {r.returncode}: {(r.stderr.strip().splitlines() or ["no message"])[-1]}'
    for line in lines:
        if line[0] != spec['sum']:
            return f'checksum {line[0]} instead of {spec["sum"]}'
    return min(int(line[1]) for line in lines)


def run_rounds(engines, specs, rounds, progress):
    times = {e: {w: [] for w in specs} for e in engines}
    errors = {}
    for i in range(rounds):
        jobs = [(e, w) for e in engines for w in specs if (e, w) not in errors]
        random.shuffle(jobs)
        for e, w in jobs:
            got = measure(engines[e], w, specs[w], REPEATS_NATIVE if engines[e] is None else REPEATS)
            if isinstance(got, str):
                errors[e, w] = got
                print(f'bench: {e} on {w}: {got}', file=sys.stderr)
            else:
                times[e][w].append(got)
        if progress:
            print(f'bench: round {i + 1} of {rounds}', file=sys.stderr)
    return times, errors


# ---- start-up ----

def yosys_path():
    for where, _, files in os.walk(os.path.join(CACHE, 'npm')):
        for f in files:
            if f.startswith('yosys') and f.endswith('.wasm'):
                return os.path.join(where, f)
    return None


def start_up(engines, rounds):
    rows = {'tiny': [os.path.join(OUT, 'tiny.wasm')]}
    if yosys := yosys_path():
        rows['yosys --version'] = [yosys, '--version']
    seen = {row: {e: [] for e, c in engines.items() if c is not None and '{bare}' not in c} for row in rows}
    result_file = os.path.join(OUT, 'launch.txt')
    for _ in range(rounds):
        jobs = [(row, e) for row in rows for e in seen[row]]
        random.shuffle(jobs)
        for row, e in jobs:
            r = subprocess.run([os.path.join(OUT, 'launch'), result_file] + engines[e] + rows[row],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            if r.returncode == 0:
                with open(result_file) as f:
                    seen[row][e].append([int(x) for x in f.read().split()])
    return {row: {e: {'wall_ms': statistics.median(x[0] for x in runs) / 1000,
                      'least_wall_ms': min(x[0] for x in runs) / 1000,
                      'cpu_ms': statistics.median(x[1] for x in runs) / 1000,
                      'peak_mb': max(x[2] for x in runs) / 1024}
                  for e, runs in per.items() if runs} for row, per in seen.items()}


# ---- the report ----

def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def report(engines, specs, times, errors):
    median = {e: {w: statistics.median(t) for w, t in per.items() if t} for e, per in times.items()}
    native = median['native']
    ratios = {e: {w: t / native[w] for w, t in per.items() if w in native} for e, per in median.items()}
    return {
        'native_ms': {w: t / 1e6 for w, t in native.items()},
        'ratio_to_native': ratios,
        'geometric_mean': {e: geometric_mean(list(r.values())) for e, r in ratios.items() if r},
        'complete': {e: len(r) == len(specs) for e, r in ratios.items()},
        'errors': [f'{e} on {w}: {text}' for (e, w), text in errors.items()],
    }


def print_tables(result, names, start):
    engines = [e for e in result['ratio_to_native'] if e != 'native']
    width = max([12] + [len(e) + 2 for e in engines])
    print(f'{"workload":12}{"native ms":>11}' + ''.join(f'{e:>{width}}' for e in engines))
    for w in names:
        cells = [result['ratio_to_native'][e].get(w) for e in engines]
        print(f'{w:12}{result["native_ms"].get(w, 0):11.2f}' +
              ''.join(f'{"-":>{width}}' if c is None else f'{c:>{width}.2f}' for c in cells))
    print(f'{"geo. mean":12}{"x native":>11}' + ''.join(
        f'{"-":>{width}}' if result['geometric_mean'].get(e) is None else
        f'{result["geometric_mean"][e]:>{width - 1}.2f}{" " if result["complete"][e] else "*"}' for e in engines))
    if not all(result['complete'].values()):
        print('* not all workloads ran')
    for row, per in start.items():
        print(f'\n{row}, from exec to exit')
        for e, x in per.items():
            print(f'  {e:14}{x["wall_ms"]:8.1f} ms (least {x["least_wall_ms"]:.1f})  CPU {x["cpu_ms"]:.1f} ms'
                  f'  peak {x["peak_mb"]:.1f} MB')


def load_workloads(only):
    with open(os.path.join(HERE, 'workloads.json')) as f:
        all_specs = json.load(f)
    names = only.split(',') if only else list(all_specs)
    if unknown := [w for w in names if w not in all_specs]:
        sys.exit(f'bench: no workload {", ".join(unknown)}; there are {", ".join(all_specs)}')
    return {w: all_specs[w] for w in names}


def main():
    p = argparse.ArgumentParser(prog='bench/engine/run.py', description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--engine', action='append', default=[], metavar='NAME=COMMAND', help='one more engine')
    p.add_argument('--without', default='', metavar='NAMES', help='leave out default engines, e.g. node,node-liftoff')
    p.add_argument('--only', metavar='NAMES', help='only these workloads, separated by commas')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--start-rounds', type=int, default=20)
    p.add_argument('--build', action='store_true', help='compile the workloads and stop')
    p.add_argument('--json', action='store_true', help='one JSON object instead of tables')
    args = p.parse_args()
    specs = load_workloads(args.only)
    built = build(list(specs))
    specs = {w: specs[w] for w in built}
    if args.build:
        print(OUT)
        return 0
    engines = {e: c for e, c in default_engines().items() if e == 'native' or e not in args.without.split(',')}
    for given in args.engine:
        name, _, text = given.partition('=')
        engines[name] = shlex.split(text)
    times, errors = run_rounds(engines, specs, args.rounds, not args.json)
    start = start_up(engines, args.start_rounds) if args.start_rounds > 0 else {}
    result = report(engines, specs, times, errors)
    if args.json:
        print(json.dumps(dict(result, start_up=start)))
    else:
        print_tables(result, list(specs), start)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
