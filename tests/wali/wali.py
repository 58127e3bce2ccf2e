#!/usr/bin/env python3
"""wali.py - Linux programs run alone or in a node: the guests of this folder say TAP themselves.

	tests/wali/wali.py WASI-RUN GUESTS [NAME...]      GUESTS: the folder with the built guests
	tests/wali/wali.py 'WASMOS run' GUESTS            the same in a node, which is started and stopped

A guest finds /data, a folder of the host with what its cases need, and /tmp, which is in memory.
"""
import os
import shutil
import subprocess
import sys
import tempfile

NAMES = ['files', 'signals', 'processes', 'polling', 'proc', 'ptys', 'locks', 'fifos', 'sockets', 'unwinding', 'vectors']
TIMEOUT = 120


def make_data(guests, folder):
    def put(name, text):
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(text)
    put('there', b'there')
    put('text', b'text\n')
    put('script', b'#!/data/processes.wasm script-arg\nnothing\n')
    put('broken.wasm', b'\0asm\1\0\0\0\xff\xff')
    for name in ('script', 'text', 'broken.wasm'):
        os.chmod(os.path.join(folder, name), 0o755)
    for name, to in (('abs', '/data/there'), ('nul', '/dev/null'), ('out', '/../../../etc/passwd'), ('loop', 'loop')):
        os.symlink(to, os.path.join(folder, name))
    for name in ('processes.wasm', 'wasi.wasm'):
        shutil.copy(os.path.join(guests, name), folder)


def run(runner, guests, name):
    with tempfile.TemporaryDirectory() as folder:
        make_data(guests, folder)
        env = ['--env', 'A=1', '--env', 'B=x']
        try:
            out = subprocess.run([*runner, '--dir', folder + '::/data', *env, os.path.join(guests, name + '.wasm')], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired as e:
            return (e.stdout or b'').decode(errors='replace'), 'it did not end', -1
    return out.stdout.decode(errors='replace'), out.stderr.decode(errors='replace'), out.returncode


def main():
    runner = sys.argv[1].split()
    if len(runner) == 1:
        cases(runner)
        return
    with tempfile.TemporaryDirectory() as home:
        os.environ['WASMOS_HOME'] = home
        subprocess.run([runner[0], 'up', '--listen', '127.0.0.1:0', '--display', 'headless'], stdout=subprocess.DEVNULL, check=True)
        try:
            cases(runner)
        finally:
            subprocess.run([runner[0], 'down'], stdout=subprocess.DEVNULL, check=True)


def cases(runner):
    guests = sys.argv[2]
    count = 0
    for name in sys.argv[3:] or NAMES:
        out, err, status = run(runner, guests, name)
        ended = False
        for line in out.splitlines():
            if line.startswith('1..'):
                ended = True
            elif line.startswith(('ok ', 'not ok ')):
                count += 1
                verdict, text = line.split(' - ', 1)
                print(f'{"not " if verdict.startswith("not") else ""}ok {count} - {name}: {text}')
            else:
                print(line)
        count += 1
        good = ended and status == 0 and 'Sanitizer' not in err and 'runtime error' not in err
        print(f'{"" if good else "not "}ok {count} - {name}: the program ends well')
        if not good:
            print(f'# status {status}: ' + err.replace('\n', '\n# '))
    print(f'1..{count}')


main()
