"""painted.py - what stands on a terminal of fixed size after a program has drawn on it, as far as wine's console draws.

	s = Screen(80, 24); s.take('text\x1b[2;5Hmore'); s.text()
"""
import re

PIECE = re.compile(r'\x1b\[([<>?0-9;]*)([@-~])|\x1b\][^\x07]*\x07|\x1b[()].|\x1b[^\[\]()]|([\x00-\x1a\x1c-\x1f])|([^\x00-\x1f\x1b])')


class Screen:
    def __init__(self, cols, rows):
        self.cols, self.rows = cols, rows
        self.cells = [[' '] * cols for _ in range(rows)]
        self.x = self.y = 0
        self.rest = ''

    def text(self):
        return '\n'.join(''.join(row).rstrip() for row in self.cells)

    def take(self, text):
        text, at = self.rest + text, 0
        while m := PIECE.match(text, at):
            self.draw(m)
            at = m.end()
        self.rest = text[at:]

    def draw(self, m):
        params, final, key, letter = m.group(1), m.group(2), m.group(3), m.group(4)
        if letter:
            if self.x == self.cols:
                self.x = 0
                self.down()
            self.cells[self.y][self.x] = letter
            self.x += 1
        elif key == '\r':
            self.x = 0
        elif key == '\n':
            self.down()
        elif key == '\b':
            self.x = max(0, self.x - 1)
        elif final:
            self.control(params, final)

    def down(self):
        if self.y + 1 < self.rows:
            self.y += 1
        else:
            self.cells = self.cells[1:] + [[' '] * self.cols]

    def control(self, params, final):
        n = [int(p or 0) for p in params.split(';')] if re.fullmatch('[0-9;]*', params) else None
        if n is None:
            return
        first, second = n[0] or 1, (n + [1])[1] or 1
        if final in 'Hf':
            self.y, self.x = first - 1, second - 1
        elif final in 'ABCD':
            self.x += {'C': first, 'D': -first}.get(final, 0)
            self.y += {'B': first, 'A': -first}.get(final, 0)
        elif final == 'G':
            self.x = first - 1
        elif final == 'd':
            self.y = first - 1
        elif final == 'K':
            self.erase(self.y, 0 if n[0] else self.x, self.x + 1 if n[0] == 1 else self.cols)
        elif final == 'J':
            for y in range(0 if n[0] else self.y + 1, self.rows):
                self.erase(y, 0, self.cols)
            self.erase(self.y, 0 if n[0] == 2 else self.x, self.cols)
        self.x, self.y = max(0, min(self.x, self.cols - 1)), max(0, min(self.y, self.rows - 1))

    def erase(self, y, begin, end):
        for x in range(begin, min(end, self.cols)):
            self.cells[y][x] = ' '
