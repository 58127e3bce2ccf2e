#!/usr/bin/env python3
"""wat_header.py WAT2WASM IN.wat OUT.h - a module in text form as a C array, for tests: static const uint8_t wasm_IN[].
WAT2WASM "-": assembled by wast.py, for what wabt does not know."""
import os
import subprocess
import sys
import tempfile

import wast

wat2wasm, source, target = sys.argv[1:]
if wat2wasm == '-':
    with open(source) as f:
        data = wast.module_bytes(wast.parse(f.read())[0])[1]
else:
    with tempfile.TemporaryDirectory() as folder:
        wasm = os.path.join(folder, 'module.wasm')
        subprocess.run([wat2wasm, source, '-o', wasm], check=True)
        with open(wasm, 'rb') as f:
            data = f.read()
name = os.path.splitext(os.path.basename(source))[0]
with open(target, 'w') as out:
    out.write('static const uint8_t wasm_%s[] = {%s};\n' % (name, ','.join(map(str, data))))
