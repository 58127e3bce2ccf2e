// node-wasi.mjs - runs a WASI command under node: node FLAGS node-wasi.mjs PROG.wasm ARGS
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const [path, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: [path, ...args], env: { LANG: 'C' }, returnOnExit: true });
const module = new WebAssembly.Module(readFileSync(path));
const instance = new WebAssembly.Instance(module, wasi.getImportObject());
if (instance.exports.memory)
	process.exitCode = wasi.start(instance);
else
	instance.exports._start();
