# work.py - what CPython is asked to do: arithmetic, text, files, time, randomness, errors.
import collections, decimal, hashlib, json, math, os, random, re, struct, sys, tempfile, time, zlib

print(sys.version_info[:3], sys.platform, sys.argv)
print(math.factorial(60), decimal.Decimal(2).sqrt(), round(math.sin(1) * 1e15))
print(hashlib.sha256(b"wasm" * 1000).hexdigest(), zlib.crc32(b"wasm"))
print(json.dumps({"a": [1, 2.5, None, True], "ü": "ß"}, sort_keys=True, ensure_ascii=False))
print(collections.Counter("the quick brown fox jumps over the lazy dog".split()).most_common(2))
print(re.sub(r"(\w+)@(\w+)", r"\2 at \1", "me@home you@work"))
print(struct.pack("<dIq", math.pi, 7, -1).hex())
random.seed(1)
print([random.randrange(100) for _ in range(8)])

def attempt(what, f):
	try:
		print(what, f())
	except OSError as e:
		print(what, "fails:", e.errno, e.strerror)

with open("/work/a.txt", "w") as f:
	print("one\ntwo\nthree", file=f)
with open("/work/a.txt", "a+") as f:
	f.write("four\n")
	f.seek(4)
	print(f.read().split(), f.tell())
os.makedirs("/work/d/e", exist_ok=True)
os.rename("/work/a.txt", "/work/d/b.txt")
os.symlink("d/b.txt", "/work/link")
os.link("/work/d/b.txt", "/work/hard")
print(sorted(os.listdir("/work")), os.readlink("/work/link"), os.stat("/work/hard").st_nlink)
print(open("/work/link").read().splitlines(), os.path.getsize("/work/link"))
print([(r, sorted(d), sorted(f)) for r, d, f in sorted(os.walk("/work"))])
os.utime("/work/hard", (1, 2))
print(os.stat("/work/hard").st_mtime)
os.truncate("/work/hard", 5)
print(open("/work/hard", "rb").read())
attempt("missing", lambda: open("/work/none"))
attempt("folder", lambda: open("/work/d", "w"))
attempt("not empty", lambda: os.rmdir("/work/d"))
attempt("exists", lambda: os.mkdir("/work/d"))
attempt("exclusively", lambda: open("/work/hard", "x"))
attempt("not a folder", lambda: os.listdir("/work/hard"))
attempt("through a file", lambda: open("/work/hard/x"))
attempt("bad descriptor", lambda: os.read(99, 1))
os.remove("/work/link")
os.remove("/work/hard")
os.remove("/work/d/b.txt")
os.removedirs("/work/d/e")
print(time.monotonic() <= time.monotonic(), time.time() > 1.7e9, len(os.urandom(16)))
if "sleep" in sys.argv: # not under node 20, where it never ends
	before = time.monotonic()
	time.sleep(0.05)
	print(0.05 <= time.monotonic() - before < 5)
print(sum(i * i for i in range(200000)))
sys.stderr.write("to standard error\n")
sys.exit(7)
