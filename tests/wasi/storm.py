#!/usr/bin/env python3
"""storm.py - runs storm.wasm with several seeds: the runner must survive it, and nothing outside of its folder may change; TAP.

	tests/wasi/storm.py wasi-run storm.wasm
"""
import os
import subprocess
import sys
import tempfile

SEEDS, CALLS = 4, 50000
failed = 0
for seed in range(1, SEEDS + 1):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, 'mount'))
        with open(os.path.join(folder, 'x'), 'w') as f:
            f.write('untouched')
        r = subprocess.run([sys.argv[1], '--dir', f'{folder}/mount::/', sys.argv[2], str(seed), str(CALLS)],
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)
        with open(os.path.join(folder, 'x')) as f:
            good = r.returncode == 0 and f.read() == 'untouched' and sorted(os.listdir(folder)) == ['mount', 'x']
    failed += not good
    print('ok' if good else 'not ok', seed, f'- {CALLS} senseless calls, seed {seed}')
    if not good:
        for line in r.stderr.decode(errors='replace').splitlines()[:40]:
            print('#', line)
print(f'1..{SEEDS}')
sys.exit(failed != 0)
