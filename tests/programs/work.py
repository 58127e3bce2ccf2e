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

with open("/data/a.txt", "w") as f:
	print("one\ntwo\nthree", file=f)
with open("/data/a.txt", "a+") as f:
	f.write("four\n")
	f.seek(4)
	print(f.read().split(), f.tell())
os.makedirs("/data/d/e", exist_ok=True)
os.rename("/data/a.txt", "/data/d/b.txt")
symlinks = "NO_SYMLINKS" not in os.environ # a file system that has none
if symlinks:
	os.symlink("d/b.txt", "/data/link")
else:
	os.link("/data/d/b.txt", "/data/link")
os.link("/data/d/b.txt", "/data/hard")
# node 18 counts the zero that ends a link's text; node 20 and we do not
print(sorted(os.listdir("/data")), symlinks and os.readlink("/data/link").rstrip("\0"), os.stat("/data/hard").st_nlink)
print(open("/data/link").read().splitlines(), os.path.getsize("/data/link"))
print([(r, sorted(d), sorted(f)) for r, d, f in sorted(os.walk("/data"))])
os.utime("/data/hard", (1, 2))
print(os.stat("/data/hard").st_mtime)
os.truncate("/data/hard", 5)
print(open("/data/hard", "rb").read())
attempt("missing", lambda: open("/data/none"))
attempt("folder", lambda: open("/data/d", "w"))
attempt("not empty", lambda: os.rmdir("/data/d"))
attempt("exists", lambda: os.mkdir("/data/d"))
attempt("exclusively", lambda: open("/data/hard", "x"))
attempt("not a folder", lambda: os.listdir("/data/hard"))
attempt("through a file", lambda: open("/data/hard/x"))
attempt("bad descriptor", lambda: os.read(99, 1))
os.remove("/data/link")
os.remove("/data/hard")
os.remove("/data/d/b.txt")
os.removedirs("/data/d/e")
print(time.monotonic() <= time.monotonic(), time.time() > 1.7e9, len(os.urandom(16)))
if "sleep" in sys.argv: # not under node 20, where it never ends
	before = time.monotonic()
	time.sleep(0.05)
	print(0.05 <= time.monotonic() - before < 5)
print(sum(i * i for i in range(200000)))
sys.stderr.write("to standard error\n")
sys.exit(7)
