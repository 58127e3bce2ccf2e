"""js_wast.py - core tests that stand as JavaScript with modules in text form, as Firefox has those of later proposals, to .wast text.

	js_wast.convert(source)      the script, one command a line; SyntaxError for what it does not know

wast.py assembles the result. Assertions about the text format itself are left out.
"""
import re
import struct

STATEMENT = re.compile(
    r"""
  let\s+\$\w+\s*=\s*instantiate\(`(?P<module>(?:[^`\\]|\\.)*)`\);
| assert_invalid\(\s*\(\)\s*=>\s*instantiate\(\s*`(?P<invalid>(?:[^`\\]|\\.)*)`\s*,?\s*\),\s*`(?P<why>[^`]*)`,?\s*\);
| (?P<text>assert_malformed)\(\s*\(\)\s*=>\s*instantiate\(\s*`(?:[^`\\]|\\.)*`\s*,?\s*\),\s*`[^`]*`,?\s*\);
| (?P<kind>assert_return|assert_trap|assert_exhaustion|assert_exception)\(\s*\(\)\s*=>\s*
      invoke\(\$\w+,\s*`(?P<name>[^`]*)`,\s*\[(?P<args>.*?)\]\)\s*
      (?:,\s*(?:\[(?P<results>.*?)\]|`(?P<words>[^`]*)`))?,?\s*\);
| invoke\(\$\w+,\s*`(?P<run>[^`]*)`,\s*\[(?P<run_args>.*?)\]\);
| register\(\$\w+,\s*`(?P<register>[^`]*)`\);
| /\*.*?\*/ | //[^\n]*\n | \s+
""",
    re.X | re.S,
)
VALUE = re.compile(r'value\("(?P<type>\w+)", (?P<v>[^)]*)\)|bytes\("(?P<float>\w+)", \[(?P<b>[^\]]*)\]\)|(?P<i64>-?\d+)n|(?P<i32>-?\d+)')


def plain(text):
    """A template literal's own text; $$ stands for $ there."""
    return re.sub(r"\\(.)", r"\1", text.replace("$$", "$"), flags=re.S).strip()


def value(m):
    if m["type"]:
        return f"({m['type']}.const {m['v'].rstrip('n')})"
    if m["float"]:
        bits = bytes(int(x, 16) for x in m["b"].split(","))
        return f"({m['float']}.const {struct.unpack('<f' if len(bits) == 4 else '<d', bits)[0].hex()})"
    return f"(i64.const {m['i64']})" if m["i64"] else f"(i32.const {m['i32']})"


def values(text):
    return " ".join(value(m) for m in VALUE.finditer(text or ""))


def command(m):
    if m["module"]:
        return plain(m["module"])
    if m["invalid"]:
        return f'(assert_invalid {plain(m["invalid"])} "{m["why"]}")'
    if m["register"]:
        return f'(register "{m["register"]}")'
    if m["run"]:
        return f'(invoke "{plain(m["run"])}" {values(m["run_args"])})'
    if not m["kind"]:
        return None
    call = f'(invoke "{plain(m["name"])}" {values(m["args"])})'
    if m["kind"] == "assert_return":
        return f"(assert_return {call} {values(m['results'])})"
    return f"(assert_exception {call})" if m["kind"] == "assert_exception" else f'({m["kind"]} {call} "{m["words"]}")'


def convert(source):
    commands, at = [], 0
    while at < len(source):
        m = STATEMENT.match(source, at)
        if not m:
            raise SyntaxError(f"not understood: {source[at : at + 200]!r}")
        at = m.end()
        commands.append(command(m))
    return "\n".join(c for c in commands if c) + "\n"
