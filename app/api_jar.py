#!/usr/bin/env python3
"""api_jar.py - Android's published API as a jar to compile against: api/current.txt becomes classes without bodies.

	app/api_jar.py CURRENT_TXT ANDROID_JAR

The file lists every public class, field and method, one a line. Classes get their names, modifiers, parents, fields (constants
with their values), methods and exceptions; generics are erased and annotations left out, so a list is a List. Packages that
the Java compiler brings itself are skipped. Class files: JVM specification, chapter 4.
"""
import re
import struct
import sys
import zipfile

OF_JAVA = ('java/', 'javax/', 'org/w3c', 'org/xml/sax', 'org/ietf')
PRIMITIVES = {'void': 'V', 'int': 'I', 'long': 'J', 'boolean': 'Z', 'byte': 'B', 'char': 'C', 'short': 'S', 'float': 'F',
              'double': 'D'}
MODIFIERS = {'public': 1, 'private': 2, 'protected': 4, 'static': 8, 'final': 16, 'synchronized': 32, 'volatile': 64,
             'transient': 128, 'native': 256, 'abstract': 1024, 'strictfp': 2048, 'default': 0}
STATIC, FINAL, SUPER, VARARGS, INTERFACE, ABSTRACT = 8, 16, 0x20, 0x80, 0x200, 0x400
ANNOTATION, ENUM, ENUM_CONSTANT = 0x2000, 0x4000, 0x4019
CLASS_VERSION = 52  # Java 8


# ---- text ----

def without(text, opening, closing):
    """The text without what stands in such brackets."""
    out, depth = [], 0
    for c in text:
        if c == opening:
            depth += 1
        elif c == closing:
            depth -= 1
        elif depth == 0:
            out.append(c)
    return ''.join(out)


def leading_brackets(text):
    """"<T extends X> rest" as ("<T extends X>", " rest")."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == '<') - (c == '>')
        if depth == 0:
            return text[:i + 1], text[i + 1:]
    return text, ''


def without_annotations(text):
    while m := re.search(r'@(?!interface\b)[\w.]+', text):
        end = m.end()
        if end < len(text) and text[end] == '(':
            depth = 0
            while True:
                depth += (text[end] == '(') - (text[end] == ')')
                end += 1
                if depth == 0:
                    break
        text = text[:m.start()] + text[end:].lstrip()
    return text


def take_modifiers(words):
    """The sum of the leading modifiers, and the other words."""
    flags = 0
    for i, word in enumerate(words):
        if word not in MODIFIERS:
            return flags, words[i:]
        flags |= MODIFIERS[word]
    return flags, []


def binary_name(name):
    """java.util.Map.Entry as java/util/Map$Entry: classes begin with a capital letter. A bare name is of java.lang."""
    parts = name.split('.') if '.' in name else ['java', 'lang', name]
    first = next((i for i, p in enumerate(parts) if p[:1].isupper()), len(parts) - 1)
    return '/'.join(parts[:first + 1]) + ''.join('$' + p for p in parts[first + 1:])


def type_variables(text):
    """"<T extends X, U>" as {T: X, U: Object}: what they are erased to."""
    found, depth, part, parts = {}, 0, '', []
    for c in text.strip()[1:-1]:
        if c == ',' and depth == 0:
            parts.append(part)
            part = ''
            continue
        depth += (c == '<') - (c == '>')
        part += c
    for part in parts + [part]:
        m = re.match(r'(\w+)(?:\s+extends\s+([\w.]+))?', without(part, '<', '>').strip())
        if m:
            found[m.group(1)] = m.group(2) or 'java.lang.Object'
    return found


def descriptor(name, variables):
    name, depth = without(name, '<', '>').strip(), 0
    if name.endswith('...'):
        name, depth = name[:-3], 1
    while name.endswith('[]'):
        name, depth = name[:-2], depth + 1
    for _ in range(9):
        name = variables.get(name.strip(), name.strip())
    return '[' * depth + (PRIMITIVES.get(name) or f'L{binary_name(name)};')


# ---- the list of the API ----

class Class:
    def __init__(self, package, flags, kind, name, rest):
        self.name, self.flags, self.kind = binary_name(f'{package}.{name}'), flags, kind
        self.fields, self.methods, self.variables = [], [], {}
        rest = rest.strip()
        if rest.startswith('<'):
            brackets, rest = leading_brackets(rest)
            self.variables = type_variables(brackets)
        rest = without(rest, '<', '>')
        self.parent = 'java.lang.Enum' if kind == 'enum' else 'java.lang.Object'
        if kind in ('interface', '@interface'):
            self.flags |= INTERFACE | ABSTRACT
            self.interfaces = re.sub(r'\b(extends|implements)\b', '', rest).split()
            if kind == '@interface':
                self.flags |= ANNOTATION
                self.interfaces.append('java.lang.annotation.Annotation')
            return
        if m := re.search(r'extends ([\w.]+)', rest):
            self.parent = m.group(1)
        m = re.search(r'implements (.*)', rest)
        self.interfaces = m.group(1).split() if m else []
        if kind == 'enum':
            self.flags |= ENUM
            me = f'L{self.name};'
            self.methods += [(9, 'values', f'()[{me}', []), (9, 'valueOf', f'(Ljava/lang/String;){me}', [])]

    def add_method(self, text, is_constructor):
        is_default = 'default' in text.split(' ')[:3]
        flags, words = take_modifiers(text.split(' '))
        text, variables = ' '.join(words), dict(self.variables)
        if text.startswith('<'):
            brackets, text = leading_brackets(text)
            variables.update(type_variables(brackets))
        opening, closing = text.index('('), text.index(')')
        arguments = [a.strip() for a in without(text[opening + 1:closing], '<', '>').split(',') if a.strip()]
        thrown = re.search(r'throws (.*?)(?: default|$)', text[closing:])
        head = without(text[:opening], '<', '>').split()
        result, name = ('void', '<init>') if is_constructor else head[-2:]
        if arguments and arguments[-1].endswith('...'):
            flags |= VARARGS
        if self.flags & INTERFACE and not is_default and not flags & STATIC:
            flags |= ABSTRACT | 1
        types = ''.join(descriptor(a.split(' ')[0], variables) for a in arguments)
        throws = [t.strip() for t in thrown.group(1).split(',')] if thrown else []
        self.methods.append((flags, name, f'({types}){descriptor(result, variables)}', throws))

    def add_field(self, text, is_constant):
        declared, _, value = text.split('; //')[0].partition(' = ')
        flags, words = take_modifiers(without(declared, '<', '>').split())
        flags |= ENUM_CONSTANT if is_constant else 0
        self.fields.append((flags, words[-1], descriptor(words[-2], self.variables), value.strip().rstrip(';')))


def read(path):
    """Every class of the list, by name."""
    classes, package, current = {}, '', None
    with open(path, encoding='utf-8') as f:
        for line in f:
            line = line.strip()
            if line.startswith('package '):
                package = re.match(r'package (?:@\S+ )?([\w.]+)', line).group(1)
                continue
            if not line or line.startswith(('//', '}')):
                continue
            line = without_annotations(line)
            kind, _, rest = line.partition(' ')
            rest = rest.rstrip(';')
            m = re.match(r'((?:[\w-]+ )*)(class|interface|@interface|enum) ([\w.]+)(.*)\{$', line)
            if kind in ('ctor', 'method'):
                current.add_method(rest, kind == 'ctor')
            elif kind in ('field', 'enum_constant'):
                current.add_field(rest, kind == 'enum_constant')
            elif m:
                current = Class(package, take_modifiers(m.group(1).split())[0], *m.groups()[1:])
                classes[current.name] = current
    return classes


# ---- class files ----

class ConstantPool:
    def __init__(self):
        self.parts, self.numbers, self.next = [], {}, 1

    def add(self, key, data, slots=1):
        if key not in self.numbers:
            self.numbers[key] = self.next
            self.parts.append(data)
            self.next += slots
        return self.numbers[key]

    def utf8(self, text):
        data = text.encode('utf-8', 'surrogatepass').replace(b'\0', b'\xc0\x80')
        return self.add(('utf8', text), struct.pack('>BH', 1, len(data)) + data)

    def class_of(self, name):
        return self.add(('class', name), struct.pack('>BH', 7, self.utf8(name)))

    def value(self, kind, text):
        """The number of a constant's value; 0 when it is none that is known."""
        try:
            if kind == 'Ljava/lang/String;':
                s = text[1:-1].encode('latin1', 'backslashreplace').decode('unicode_escape')
                return self.add(('string', s), struct.pack('>BH', 8, self.utf8(s)))
            if kind in 'ISBCZ':
                n = int(text == 'true') if kind == 'Z' else int(text)
                return self.add(('int', n), struct.pack('>Bi', 3, n))
            if kind == 'J':
                return self.add(('long', text), struct.pack('>Bq', 5, int(text.rstrip('L'))), 2)
            if kind == 'F':
                return self.add(('float', text), struct.pack('>Bf', 4, float(text.rstrip('f'))))
            if kind == 'D':
                return self.add(('double', text), struct.pack('>Bd', 6, float(text)), 2)
        except (ValueError, OverflowError, UnicodeError, struct.error):
            pass  # "(0.0f / 0.0f)": nobody compiles against it
        return 0


def member(pool, flags, name, kind, attribute):
    return struct.pack('>HHHH', flags, pool.utf8(name), pool.utf8(kind), 1 if attribute else 0) + attribute


def constant_attribute(pool, flags, kind, value):
    number = pool.value(kind, value) if value and flags & FINAL else 0
    return struct.pack('>HIH', pool.utf8('ConstantValue'), 2, number) if number else b''


def exceptions_attribute(pool, throws):
    if not throws:
        return b''
    numbers = b''.join(struct.pack('>H', pool.class_of(binary_name(t))) for t in throws)
    return struct.pack('>HIH', pool.utf8('Exceptions'), 2 + len(numbers), len(throws)) + numbers


def inner_attribute(pool, c, classes, nested):
    """Which classes stand in this one, and in which this one stands."""
    names, name = set(nested.get(c.name, ())), c.name
    while '$' in name:
        names.add(name)
        name = name.rsplit('$', 1)[0]
    rows = b''
    for name in sorted(n for n in names if n in classes):
        outer, own = name.rsplit('$', 1)
        rows += struct.pack('>HHHH', pool.class_of(name), pool.class_of(outer), pool.utf8(own), classes[name].flags)
    if not rows:
        return b''
    return struct.pack('>HIH', pool.utf8('InnerClasses'), 2 + len(rows), len(rows) // 8) + rows


def class_file(c, classes, nested):
    pool = ConstantPool()
    me, parent = pool.class_of(c.name), pool.class_of(binary_name(c.parent))
    interfaces = [pool.class_of(binary_name(i)) for i in c.interfaces]
    fields = b''.join(member(pool, flags, name, kind, constant_attribute(pool, flags, kind, value))
                      for flags, name, kind, value in c.fields)
    methods = b''.join(member(pool, flags & ~MODIFIERS['synchronized'], name, kind, exceptions_attribute(pool, throws))
                       for flags, name, kind, throws in c.methods)
    inner = inner_attribute(pool, c, classes, nested)
    flags = c.flags & ~(STATIC | MODIFIERS['private'] | MODIFIERS['protected']) | (0 if c.flags & INTERFACE else SUPER)
    return (struct.pack('>IHHH', 0xCAFEBABE, 0, CLASS_VERSION, pool.next) + b''.join(pool.parts) +
            struct.pack('>HHHH', flags, me, parent, len(interfaces)) + struct.pack(f'>{len(interfaces)}H', *interfaces) +
            struct.pack('>H', len(c.fields)) + fields + struct.pack('>H', len(c.methods)) + methods +
            struct.pack('>H', 1 if inner else 0) + inner)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split('\n\n')[1].strip())
    classes, nested = read(sys.argv[1]), {}
    for name in classes:
        if '$' in name:
            nested.setdefault(name.rsplit('$', 1)[0], []).append(name)
    with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED) as jar:
        for name, c in classes.items():
            if not name.startswith(OF_JAVA):
                jar.writestr(name + '.class', class_file(c, classes, nested))


if __name__ == '__main__':
    main()
