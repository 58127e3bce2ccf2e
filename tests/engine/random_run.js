// random_run.js - random_run.c's other half: the same modules under V8, printed the same way.
//	node random_run.js DIR FIRST COUNT
'use strict';
const fs = require('fs');

const [dir, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const CALLS_EACH = 3;
const ARGS = {
  0x7f: [0, 7, -1, 1000, -2147483648],
  0x7e: [1n, -5n, 1n << 40n, 0n, -(1n << 63n)],
  0x7d: [0.5, -3.25, 1e10, -0, 0],
  0x7c: [1e9 + 0.25, -0, 1e300, -7, 0],
};

const view = new DataView(new ArrayBuffer(8));

function text(type, v) {
  if ((type === 0x7d || type === 0x7c) && Number.isNaN(v)) return ' nan';
  if (type === 0x7f) return ' ' + (v >>> 0).toString(16).padStart(8, '0');
  if (type === 0x7e) return ' ' + BigInt.asUintN(64, v).toString(16).padStart(16, '0');
  if (type === 0x7d) {
    view.setFloat32(0, v);
    return ' ' + view.getUint32(0).toString(16).padStart(8, '0');
  }
  view.setFloat64(0, v);
  return ' ' + view.getBigUint64(0).toString(16).padStart(16, '0');
}

// Types of functions and globals, which the JavaScript API does not tell.
function readTypes(bytes) {
  let at = 8;
  const u = () => {
    let v = 0, shift = 0, b;
    do {
      b = bytes[at++];
      v += (b & 0x7f) * 2 ** shift;
      shift += 7;
    } while (b & 0x80);
    return v;
  };
  const types = [], funcs = [], globals = [], exports = {};
  while (at < bytes.length) {
    const id = bytes[at++], size = u(), end = at + size;
    if (id === 1) {
      for (let n = u(); n > 0; n--) {
        at++;
        const params = Array.from({length: u()}, () => bytes[at++]);
        types.push({params, results: Array.from({length: u()}, () => bytes[at++])});
      }
    } else if (id === 3) {
      for (let n = u(); n > 0; n--) funcs.push(types[u()]);
    } else if (id === 7) {
      for (let n = u(); n > 0; n--) {
        const len = u(), name = Buffer.from(bytes.slice(at, at + len)).toString();
        at += len;
        const kind = bytes[at++];
        exports[name] = {kind, index: u()};
      }
    }
    at = end;
  }
  return {funcs, exports};
}

function hash(bytes) {
  let h = 2166136261;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 16777619);
  return (h >>> 0).toString(16).padStart(8, '0');
}

function call(out, f, name, type, k) {
  const args = type.params.map((t, i) => ARGS[t][(k + 2 * i) % 5]);
  let line = `${name} ${k}:`;
  try {
    let r = f(...args);
    if (type.results.length === 1) r = [r];
    type.results.forEach((t, i) => { line += text(t, r[i]); });
  } catch (e) {
    if (!(e instanceof WebAssembly.RuntimeError)) throw e;
    line += ' trap';
  }
  out.push(line);
}

function run(bytes) {
  const {funcs, exports} = readTypes(bytes);
  const e = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  const out = [];
  for (const [name, x] of Object.entries(exports)) {
    if (x.kind !== 0 || name === 'refuel') continue;
    for (let k = 0; k < CALLS_EACH; k++) {
      call(out, e.refuel, 'refuel', {params: [], results: []}, 0);
      call(out, e[name], name, funcs[x.index], k);
    }
  }
  out.push(`memory: ${hash(new Uint8Array(e.m.buffer))}`);
  for (let i = 0; i < 8; i++) out.push(`g${i}:${text([0x7f, 0x7e, 0x7d, 0x7c][i % 4], e['g' + i].value)}`);
  return out.join('\n');
}

for (let seed = first; seed < first + count; seed++) {
  console.log(`seed ${seed}`);
  console.log(run(fs.readFileSync(`${dir}/${seed}.wasm`)));
}
