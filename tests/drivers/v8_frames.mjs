// v8_frames.mjs - runs DOOM under node and writes the frames it presents to standard output (frame_hash.c).
//
//	node --no-warnings --no-turbo-fast-api-calls v8_frames.mjs DOOM_FOLDER ARGS...
//
// Nothing is paced and nothing is heard: it shows what the game draws under another engine.
import { WASI } from 'node:wasi';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const [, , folder, ...args] = process.argv;
const save = fs.mkdtempSync(path.join(os.tmpdir(), 'v8-frames-'));
process.on('exit', () => fs.rmSync(save, { recursive: true, force: true }));
const wasi = new WASI({
	version: 'preview1', args: ['doom.wasm', ...args], env: { HOME: '/save' }, stdout: 2,
	preopens: { '/doom': folder, '/save': save, '/tmp': save }, returnOnExit: true,
});
const head = Buffer.alloc(12 + 1024);
let memory, size;
const bytes = () => Buffer.from(memory.buffer);

function write(buffer) {
	for (let at = 0; at < buffer.length;) {
		try {
			at += fs.writeSync(1, buffer, at);
		} catch (e) {
			if (e.code !== 'EAGAIN') throw e;
		}
	}
}

const wasmos = {
	display_open(width, height, format) {
		[width, height, format].forEach((v, i) => head.writeUInt32LE(v, i * 4));
		size = width * height;
		return 0;
	},
	display_title: () => 0,
	display_aspect: () => 0,
	display_palette(display, first, count, at) {
		bytes().copy(head, 12 + first * 4, at, at + count * 4);
		return 0;
	},
	display_present(display, at) {
		write(head);
		write(bytes().subarray(at, at + size));
		return 0;
	},
	display_close: () => 0,
	input_poll: () => 0,
	input_wait: () => 0,
	input_grab: () => 0,
	audio_open: () => 0,
	audio_write: (audio, at, count) => count,
	audio_queued: () => 0,
	audio_space: () => 4096,
	audio_close: () => 0,
};
const module = new WebAssembly.Module(fs.readFileSync(path.join(folder, 'doom.wasm')));
const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport, wasmos });
memory = instance.exports.memory;
wasi.start(instance);
