#!/usr/bin/env python3
"""wast.py - assembles our own core tests: FILE.wast to FILE.json and FILE.N.wasm, in wast2json's form.

	tests/engine/wast.py OUTPUT-FOLDER FILE.wast ...      prints the names of the JSON files

The text format of the spec as far as the tests here use it, with the proposals that the packaged wabt does not know. The
instructions and their immediates are read from engine/opcodes.def, so that a new row needs nothing here.
"""
import json
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B, "funcref": 0x70, "externref": 0x6F, "exnref": 0x69}
HEAPS = {"func": 0x70, "extern": 0x6F, "exn": 0x69}
KINDS = {"func": 0, "table": 1, "memory": 2, "global": 3, "tag": 4}
CATCHES = {"catch": 0, "catch_ref": 1, "catch_all": 2, "catch_all_ref": 3}


def read_opcodes():
    rows = {}
    with open(os.path.join(HERE, "..", "..", "engine", "opcodes.def")) as f:
        for m in re.finditer(r'^OP\((0x\w+), (\w+), "([^"]+)", (\w+),', f.read(), re.M):
            rows.setdefault(m[3], (int(m[1], 16), m[4]))
    return rows


OPS = read_opcodes()


# ---- S-expressions: lists, strings (bytes), atoms (str); each list knows its line ----


class List(list):
    line = 0


TOKEN = re.compile(r'\s+|;;[^\n]*|\(;.*?;\)|("(?:[^"\\]|\\.)*")|([()])|([^\s()";]+)', re.S)
ESCAPES = {"n": 10, "t": 9, "r": 13, '"': 34, "'": 39, "\\": 92}


def string(text):
    out, i = bytearray(), 1
    while i < len(text) - 1:
        if text[i] != "\\":
            out += text[i].encode()
            i += 1
        elif text[i + 1] in ESCAPES:
            out.append(ESCAPES[text[i + 1]])
            i += 2
        else:
            out.append(int(text[i + 1 : i + 3], 16))
            i += 3
    return bytes(out)


def parse(source):
    stack, line, at = [List()], 1, 0
    while at < len(source):
        m = TOKEN.match(source, at)
        if not m:
            raise SyntaxError(f"line {line}: {source[at:at + 20]!r}")
        if m[1]:
            stack[-1].append(string(m[1]))
        elif m[2] == "(":
            stack.append(List())
            stack[-1].line = line
        elif m[2] == ")":
            done = stack.pop()
            stack[-1].append(done)
        elif m[3]:
            stack[-1].append(m[3])
        line += m[0].count("\n")
        at = m.end()
    return stack[0]


def head(x):
    return x[0] if isinstance(x, list) and x and isinstance(x[0], str) else None


# ---- encoding ----


def uleb(v):
    out = bytearray()
    while True:
        out.append(v & 0x7F | (0x80 if v > 0x7F else 0))
        v >>= 7
        if not v:
            return bytes(out)


def sleb(v):
    out = bytearray()
    while True:
        b = v & 0x7F
        v >>= 7
        if v == (-1 if b & 0x40 else 0):
            return bytes(out + bytes([b]))
        out.append(b | 0x80)


def vec(items):
    return uleb(len(items)) + b"".join(items)


def name(b):
    return uleb(len(b)) + b


def integer(text, bits):
    v = int(text.replace("_", ""), 0)
    return v - (1 << bits) if v >= 1 << (bits - 1) else v


def float_bits(text, bits):
    if text.startswith(("nan", "-nan")):
        return 0x7FC00000 if bits == 32 else 0x7FF8000000000000
    v = float.fromhex(text) if "0x" in text else float(text)
    return struct.unpack("<I" if bits == 32 else "<Q", struct.pack("<f" if bits == 32 else "<d", v))[0]


def vector(shape, lanes):
    """The bytes of "i32x4" and its lanes."""
    bits = int(shape[1:].split("x")[0])
    if shape[0] == "f":
        return b"".join(float_bits(x, bits).to_bytes(bits // 8, "little") for x in lanes)
    return b"".join((integer(x, bits) & (1 << bits) - 1).to_bytes(bits // 8, "little") for x in lanes)


class Names:
    """An index space: things by $name or number."""

    def __init__(self):
        self.of, self.n = {}, 0

    def add(self, x):
        if x:
            self.of[x] = self.n
        self.n += 1
        return self.n - 1

    def __call__(self, x):
        return self.of[x] if x.startswith("$") else int(x, 0)


class Body:
    """One function's or expression's instructions."""

    def __init__(self, module, local_names=None):
        self.m, self.locals, self.labels, self.out = module, local_names or Names(), [], bytearray()

    def label(self, x):
        if not x.startswith("$"):
            return int(x, 0)
        return self.labels[::-1].index(x)

    # -- immediates; each takes the rest of the items and returns what is left --

    def memarg(self, items, natural):
        offset, align = 0, natural
        while items and isinstance(items[0], str) and re.match(r"(offset|align)=", items[0]):
            key, value = items[0].split("=")
            items = items[1:]
            if key == "offset":
                offset = int(value, 0)
            else:
                align = int(value, 0)
        self.out += uleb(align.bit_length() - 1) + uleb(offset)
        return items

    def index(self, items, space, default=None):
        if items and isinstance(items[0], str) and re.match(r"\$|\d", items[0]):
            self.out += uleb(space(items[0]))
            return items[1:]
        assert default is not None, items
        self.out += uleb(default)
        return items

    def block_type(self, items):
        use, items = self.m.type_use(items)
        params, results = use[1]
        if use[0] is None and not params and len(results) < 2:
            self.out.append(results[0] if results else 0x40)
        else:
            self.out += sleb(self.m.type_index(use))
        return items

    def two(self, items, first, second):
        given = [x for x in items[:2] if isinstance(x, str) and re.match(r"\$|\d", x)]
        self.out += uleb(first(given[0]) if given else 0) + uleb(second(given[1]) if len(given) > 1 else 0)
        return items[len(given) :]

    def immediates(self, kind, items):
        m = self.m
        if kind.startswith(("MEMARG", "ATOMIC")):
            return self.memarg(items, int(kind[6:]))
        if kind.startswith("MEMLANE"):
            items = self.memarg(items, int(kind[7:]))
            kind = "LANE"
        if kind.startswith("LANE"):
            self.out.append(int(items[0], 0))
            return items[1:]
        if kind == "SHUFFLE":
            self.out += bytes(int(x, 0) for x in items[:16])
            return items[16:]
        if kind == "V128":
            n = int(items[0].split("x")[1])
            self.out += vector(items[0], items[1 : n + 1])
            return items[n + 1 :]
        if kind == "LABEL":
            self.out += uleb(self.label(items[0]))
            return items[1:]
        if kind == "BR_TABLE":
            n = 0
            while n < len(items) and isinstance(items[n], str) and re.match(r"\$|\d", items[n]):
                n += 1
            labels = [uleb(self.label(x)) for x in items[:n]]
            self.out += vec(labels[:-1]) + labels[-1]
            return items[n:]
        if kind == "CALL_INDIRECT":
            table = 0
            if items and isinstance(items[0], str) and re.match(r"\$|\d", items[0]):
                table = m.tables(items[0])
                items = items[1:]
            use, items = m.type_use(items)
            self.out += uleb(m.type_index(use)) + uleb(table)
            return items
        if kind in ("I32", "I64"):
            self.out += sleb(integer(items[0], int(kind[1:])))
            return items[1:]
        if kind in ("F32", "F64"):
            bits = int(kind[1:])
            self.out += float_bits(items[0], bits).to_bytes(bits // 8, "little")
            return items[1:]
        if kind == "REFTYPE":
            self.out.append(HEAPS[items[0]])
            return items[1:]
        if kind in ("MEM", "FENCE"):
            self.out.append(0)
            return items
        if kind == "MEM_MEM":
            self.out += b"\0\0"
            return items
        if kind == "DATA_MEM":
            self.out += uleb(m.datas(items[0])) + b"\0"
            return items[1:]
        if kind == "ELEM_TABLE":
            return self.two(items, m.elems, m.tables)
        if kind == "TABLE_TABLE":
            return self.two(items, m.tables, m.tables)
        spaces = {"FUNC": m.funcs, "LOCAL": self.locals, "GLOBAL": m.globals, "TAG": m.tags, "DATA": m.datas,
                  "ELEM": m.elems}
        if kind in spaces:
            return self.index(items, spaces[kind])
        if kind == "TABLE":
            return self.index(items, m.tables, 0)
        return items

    # -- instructions --

    def opcode(self, code):
        self.out += bytes([code]) if code < 0x100 else bytes([code >> 8]) + uleb(code & 0xFF)

    def catches(self, items):
        clauses = []
        while items and head(items[0]) in CATCHES:
            c = items[0]
            tag = uleb(self.m.tags(c[1])) if len(c) == 3 else b""
            clauses.append(bytes([CATCHES[c[0]]]) + tag + uleb(self.label(c[-1])))
            items = items[1:]
        self.out += vec(clauses)
        return items

    def open(self, text, items):
        """block, loop, if, try, try_table: up to their bodies."""
        label = None
        if items and isinstance(items[0], str) and items[0].startswith("$"):
            label, items = items[0], items[1:]
        self.opcode(OPS[text][0])
        items = self.block_type(items)
        if text == "try_table":
            items = self.catches(items)
        self.labels.append(label)
        return items

    def plain(self, text, items):
        """One instruction without its operands; what is left of items."""
        if text == "select" and items and head(items[0]) == "result":
            self.out += b"\x1c" + vec([bytes([TYPES[x]]) for x in items[0][1:]])
            return items[1:]
        code, kind = OPS[text]
        self.opcode(code)
        return self.immediates(kind, items)

    def folded(self, x):
        text, items = x[0], x[1:]
        if text in ("block", "loop", "try_table"):
            self.sequence(self.open(text, items))
        elif text == "if":
            then = next(i for i, y in enumerate(items) if head(y) == "then")
            first = next((i for i, y in enumerate(items) if isinstance(y, list) and head(y) not in
                          ("param", "result", "type")), then)
            self.sequence(items[first:then])
            self.open(text, items[:first])
            self.sequence(items[then][1:])
            if len(items) > then + 1:
                self.out.append(0x05)
                self.sequence(items[then + 1][1:])
        elif text == "try":
            items = self.open(text, items)
            for part in items:
                if part[0] == "do":
                    self.sequence(part[1:])
                elif part[0] == "delegate":
                    self.labels.pop()
                    self.out += b"\x18" + uleb(self.label(part[1]))
                    return
                elif part[0] == "catch":
                    self.out += b"\x07" + uleb(self.m.tags(part[1]))
                    self.sequence(part[2:])
                else:
                    self.out.append(0x19)
                    self.sequence(part[1:])
        else:
            start = len(self.out)
            rest = self.plain(text, items)
            me = bytes(self.out[start:])
            del self.out[start:]
            self.sequence(rest)
            self.out += me
            return
        self.labels.pop()
        self.out.append(0x0B)

    def sequence(self, items):
        while items:
            x, items = items[0], items[1:]
            if isinstance(x, list):
                self.folded(x)
            elif x in ("block", "loop", "if", "try", "try_table"):
                items = self.open(x, items)
            elif x == "end":
                self.labels.pop()
                self.out.append(0x0B)
            elif x == "delegate":
                self.labels.pop()
                self.out += b"\x18" + uleb(self.label(items[0]))
                items = items[1:]
            else:
                items = self.plain(x, items)


class Module:
    def __init__(self, fields):
        self.types, self.type_names = [], Names()
        self.funcs, self.tables, self.mems, self.globals, self.tags = (Names() for _ in range(5))
        self.elems, self.datas = Names(), Names()
        self.sections = {i: [] for i in range(14)}
        self.bodies, self.later = [], []
        for f in fields:
            if f[0] == "type":
                self.type_names.add(f[1] if isinstance(f[1], str) else None)
                self.types.append(self.signature(f[-1][1:])[0])
        for f in fields:
            getattr(self, "field_" + f[0])(f[1:])
        for do in self.later:
            do()

    # -- types --

    def signature(self, items, names=None):
        params, results = [], []
        while items and head(items[0]) in ("param", "result"):
            x = items[0]
            if x[0] == "param" and len(x) == 3 and x[1].startswith("$"):
                if names:
                    names.add(x[1])
                params.append(TYPES[x[2]])
            else:
                for y in x[1:]:
                    (params if x[0] == "param" else results).append(TYPES[y])
                    if names and x[0] == "param":
                        names.add(None)
            items = items[1:]
        return (tuple(params), tuple(results)), items

    def type_use(self, items, names=None):
        index = None
        if items and head(items[0]) == "type":
            index = self.type_names(items[0][1])
            items = items[1:]
            if names and not (items and head(items[0]) == "param"):
                for _ in self.types[index][0]:
                    names.add(None)
        sig, items = self.signature(items, names)
        return (index, sig), items

    def type_index(self, use):
        if use[0] is not None:
            return use[0]
        if use[1] not in self.types:
            self.types.append(use[1])
        return self.types.index(use[1])

    # -- fields; inline exports and imports --

    def exported(self, items, kind, index):
        while items and head(items[0]) == "export":
            self.sections[7].append(name(items[0][1]) + bytes([KINDS[kind]]) + uleb(index))
            items = items[1:]
        return items

    def named(self, items, space, kind):
        label = items[0] if items and isinstance(items[0], str) and items[0].startswith("$") else None
        items = items[1:] if label else items
        index = space.add(label)
        return self.exported(items, kind, index)

    def limits(self, items):
        numbers = [x for x in items[:2] if isinstance(x, str) and x[0].isdigit()]
        rest = items[len(numbers) :]
        shared = bool(rest) and rest[0] == "shared"
        flags = (len(numbers) > 1) | shared << 1
        return bytes([flags]) + b"".join(uleb(int(x, 0)) for x in numbers), rest[1:] if shared else rest

    def global_type(self, x):
        return bytes([TYPES[x[1]], 1]) if head(x) == "mut" else bytes([TYPES[x], 0])

    def field_type(self, items):
        pass

    def field_import(self, items):
        what = items[2]
        kind, rest = what[0], what[1:]
        space = {"func": self.funcs, "table": self.tables, "memory": self.mems, "global": self.globals,
                 "tag": self.tags}[kind]
        rest = self.named(rest, space, kind)
        if kind in ("func", "tag"):
            desc = (b"\0" if kind == "tag" else b"") + uleb(self.type_index(self.type_use(rest)[0]))
        elif kind == "table":
            limits, rest = self.limits(rest)
            desc = bytes([TYPES[rest[0]]]) + limits
        elif kind == "memory":
            desc = self.limits(rest)[0]
        else:
            desc = self.global_type(rest[0])
        self.sections[2].append(name(items[0]) + name(items[1]) + bytes([KINDS[kind]]) + desc)

    def field_func(self, items):
        items = self.named(items, self.funcs, "func")
        names = Names()
        use, items = self.type_use(items, names)
        self.sections[3].append(uleb(self.type_index(use)))
        local_types = []
        while items and head(items[0]) == "local":
            x = items[0]
            if x[1].startswith("$"):
                names.add(x[1])
                local_types.append(TYPES[x[2]])
            else:
                for y in x[1:]:
                    names.add(None)
                    local_types.append(TYPES[y])
            items = items[1:]
        self.bodies.append((names, local_types, items))

        def make(at=len(self.bodies) - 1):
            names, local_types, items = self.bodies[at]
            body = Body(self, names)
            body.labels.append(None)
            body.sequence(items)
            code = vec([uleb(1) + bytes([t]) for t in local_types]) + bytes(body.out) + b"\x0b"
            self.sections[10].append(uleb(len(code)) + code)

        self.later.append(make)

    def field_table(self, items):
        items = self.named(items, self.tables, "table")
        if items[0] in TYPES:  # (table funcref (elem $f ...))
            names = items[1][1:]
            index, n = self.tables.n - 1, str(len(names))
            self.field_elem([List(["table", str(index)]), List(["i32.const", "0"]), "func", *names])
            items = [n, n, items[0]]
        limits, rest = self.limits(items)
        self.sections[4].append(bytes([TYPES[rest[0]]]) + limits)

    def field_memory(self, items):
        items = self.named(items, self.mems, "memory")
        self.sections[5].append(self.limits(items)[0])

    def field_tag(self, items):
        items = self.named(items, self.tags, "tag")
        self.sections[13].append(b"\0" + uleb(self.type_index(self.type_use(items)[0])))

    def expr(self, items):
        body = Body(self)
        body.sequence(items)
        return bytes(body.out) + b"\x0b"

    def field_global(self, items):
        items = self.named(items, self.globals, "global")
        self.later.append(lambda: self.sections[6].append(self.global_type(items[0]) + self.expr(items[1:])))

    def field_export(self, items):
        kind, what = items[1]
        space = {"func": self.funcs, "table": self.tables, "memory": self.mems, "global": self.globals,
                 "tag": self.tags}[kind]
        self.later.append(lambda: self.sections[7].append(name(items[0]) + bytes([KINDS[kind]]) + uleb(space(what))))

    def field_start(self, items):
        self.later.append(lambda: self.sections[8].append(uleb(self.funcs(items[0]))))

    def field_elem(self, items):
        label = items[0] if isinstance(items[0], str) and items[0].startswith("$") else None
        items = items[1:] if label else items
        self.elems.add(label)

        def make(items=items):
            flags, start, declared = 1, b"", False
            if items[0] == "declare":
                flags, items = 3, items[1:]
            elif head(items[0]) == "table":
                flags, start = 2, uleb(self.tables(items[0][1]))
                items = items[1:]
            if isinstance(items[0], list) and flags != 3:
                start += self.expr([items[0]])
                flags = 2 if flags == 2 else 0
                items = items[1:]
            if items and items[0] == "func":
                items = items[1:]
            kind = b"\0" if flags else b""
            self.sections[9].append(uleb(flags) + start + kind + vec([uleb(self.funcs(x)) for x in items]))

        self.later.append(make)

    def field_data(self, items):
        label = items[0] if isinstance(items[0], str) and items[0].startswith("$") else None
        items = items[1:] if label else items
        self.datas.add(label)

        def make(items=items):
            if isinstance(items[0], list):
                self.sections[11].append(b"\0" + self.expr([items[0]]) + name(b"".join(items[1:])))
            else:
                self.sections[11].append(b"\1" + name(b"".join(items)))

        self.later.append(make)

    def encode(self):
        self.sections[1] = [
            b"\x60" + vec([bytes([x]) for x in p]) + vec([bytes([x]) for x in r]) for p, r in self.types
        ]
        out = bytearray(b"\0asm\1\0\0\0")
        for i in (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11):
            body = vec(self.sections[i]) if self.sections[i] else b""
            if i == 8 and body:
                body = self.sections[8][0]
            if i == 12 and self.sections[11]:
                body = uleb(len(self.sections[11]))
            if body:
                out += bytes([i]) + uleb(len(body)) + body
        return bytes(out)


# ---- scripts ----


def module_bytes(x):
    """(module $name? field*) or (module binary "..."): name and bytes."""
    items = x[1:]
    label = items[0] if items and isinstance(items[0], str) and items[0].startswith("$") else None
    items = items[1:] if label else items
    if items and items[0] == "binary":
        return label, b"".join(items[1:])
    return label, Module(items).encode()


def value(x):
    op, rest = x[0], x[1:]
    if op in ("i32.const", "i64.const"):
        bits = int(op[1:3])
        return {"type": op[:3], "value": str(int(rest[0].replace("_", ""), 0) % (1 << bits))}
    if op in ("f32.const", "f64.const"):
        bits = int(op[1:3])
        text = rest[0] if rest[0].startswith("nan:") else str(float_bits(rest[0], bits))
        return {"type": op[:3], "value": text}
    if op == "v128.const":
        half = vector(rest[0], rest[1:])
        lanes = [str(int.from_bytes(half[i : i + 8], "little")) for i in (0, 8)]
        return {"type": "v128", "lane_type": "i64", "value": lanes}
    if op == "ref.null":
        return {"type": rest[0] + "ref", "value": "null"}
    if op == "ref.extern" and rest:
        return {"type": "externref", "value": rest[0]}
    return {"type": op[4:] + "ref"}


def action(x):
    items = x[1:]
    label = items[0] if isinstance(items[0], str) else None
    items = items[1:] if label else items
    a = {"type": x[0], "field": items[0].decode(), "args": [value(v) for v in items[1:]]}
    if label:
        a["module"] = label
    return a


class Script:
    def __init__(self, folder, path):
        self.stem = os.path.splitext(os.path.basename(path))[0]
        self.folder, self.count = folder, 0
        with open(path) as f:
            self.commands = [self.command(x) for x in parse(f.read())]
        self.out = os.path.join(folder, self.stem + ".json")
        with open(self.out, "w") as f:
            json.dump({"source_filename": os.path.basename(path), "commands": self.commands}, f)

    def module(self, c, x):
        label, data = module_bytes(x)
        c["filename"] = f"{self.stem}.{self.count}.wasm"
        c["module_type"] = "binary"
        self.count += 1
        with open(os.path.join(self.folder, c["filename"]), "wb") as f:
            f.write(data)
        if label:
            c["name"] = label
        return c

    def command(self, x):
        c = {"type": x[0], "line": x.line}
        try:
            if x[0] == "module":
                return self.module(c, x)
            if x[0] in ("assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable"):
                c["text"] = x[2].decode()
                return self.module(c, x[1])
            if x[0] == "register":
                c["as"] = x[1].decode()
                if len(x) > 2:
                    c["name"] = x[2]
                return c
            if x[0] == "invoke":
                c["type"] = "action"
                c["action"] = action(x)
                return c
            c["action"] = action(x[1])
            if x[0] == "assert_return":
                c["expected"] = [value(v) for v in x[2:]]
            elif len(x) > 2:
                c["text"] = x[2].decode()
            return c
        except (KeyError, IndexError, ValueError, AssertionError, AttributeError, StopIteration) as e:
            raise SystemExit(f"wast.py: {self.stem}.wast:{x.line}: {type(e).__name__} {e}")


def main():
    for path in sys.argv[2:]:
        print(Script(sys.argv[1], path).out)


if __name__ == "__main__":
    main()
