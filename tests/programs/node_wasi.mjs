// node_wasi.mjs - runs a WASI program under node's own WASI: the other side of a comparison.
//
//	node node_wasi.mjs [--dir HOST::GUEST]... [--env K=V]... PROG.wasm ARGS...
import fs from "node:fs";
import { WASI } from "node:wasi";

const args = process.argv.slice(2);
const preopens = {};
const env = { NODE_NEEDS_ONE: "1" }; // with none, node's WASI gives EINVAL
while (args[0]?.startsWith("--")) {
	const option = args.shift();
	const value = args.shift();
	if (option === "--dir") {
		const [host, guest] = value.split("::");
		preopens[guest ?? host] = host;
	} else {
		const at = value.indexOf("=");
		env[value.slice(0, at)] = value.slice(at + 1);
	}
}
const wasi = new WASI({ version: "preview1", args, env, preopens, returnOnExit: true });
const module = await WebAssembly.compile(fs.readFileSync(args[0]));
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
