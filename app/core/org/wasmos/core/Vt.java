/* Vt.java - a terminal's screen: bytes of a program in, cells out. What xterm has and text programs use: UTF-8, cursor movement, erasing,
 * scrolling in a region, inserting and deleting, 16, 256 and 24-bit colours, the alternate screen, and answers to questions.
 *
 * Unknown sequences are read to their end and do nothing. Numbers are limited: no sequence takes more time than a screen
 * has cells. One lock: feed() on one thread, readers on another hold the Vt's monitor.
 *
 * States: GROUND --ESC--> ESCAPE --[--> CSI --final--> GROUND;  ESCAPE --]--> OSC --BEL or ESC \--> GROUND */
package org.wasmos.core;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;

public final class Vt {
	public static final int SIDE_MAX = 500, HISTORY = 500;
	/** Attributes of a cell: colours as 0x1000000 | rgb, palette index, or DEFAULT. */
	public static final int DEFAULT = -1, BOLD = 1, UNDERLINE = 2, INVERSE = 4;

	private enum State {
		GROUND, ESCAPE, CHARSET, CSI, OSC, OSC_ESCAPE
	}

	private static final int NUMBERS_MAX = 16, NUMBER_MAX = 9999, REPLY_MAX = 4096;

	/** A line of cells. */
	private static final class Line {
		final int[] text, ink, paper;
		final byte[] style;

		Line(int columns, int paper) {
			text = new int[columns];
			ink = new int[columns];
			this.paper = new int[columns];
			style = new byte[columns];
			clear(0, columns, paper);
		}

		void clear(int from, int to, int colour) {
			Arrays.fill(text, from, to, ' ');
			Arrays.fill(ink, from, to, DEFAULT);
			Arrays.fill(paper, from, to, colour);
			Arrays.fill(style, from, to, (byte) 0);
		}

		Line resized(int columns) {
			Line l = new Line(columns, DEFAULT);
			int n = Math.min(columns, text.length);
			System.arraycopy(text, 0, l.text, 0, n);
			System.arraycopy(ink, 0, l.ink, 0, n);
			System.arraycopy(paper, 0, l.paper, 0, n);
			System.arraycopy(style, 0, l.style, 0, n);
			return l;
		}

		/** Moves cells from..to by n to the right (or left); what is laid bare is blank. */
		void shift(int from, int to, int n, int colour) {
			int keep = to - from - Math.abs(n);
			if (keep > 0) {
				int source = n > 0 ? from : from - n, target = n > 0 ? from + n : from;
				System.arraycopy(text, source, text, target, keep);
				System.arraycopy(ink, source, ink, target, keep);
				System.arraycopy(paper, source, paper, target, keep);
				System.arraycopy(style, source, style, target, keep);
			}
			int bare = Math.min(Math.abs(n), to - from);
			clear(n > 0 ? from : to - bare, n > 0 ? from + bare : to, colour);
		}
	}

	private int columns, rows;
	private Line[] lines, otherLines;
	private final java.util.ArrayDeque<Line> history = new java.util.ArrayDeque<Line>();
	private int x, y, top, bottom; // bottom: the row after the region
	private boolean wrapNext, alternate, cursorVisible = true, applicationKeys, autoWrap = true, insert;
	private int ink = DEFAULT, paper = DEFAULT, style;
	private int savedX, savedY, savedInk = DEFAULT, savedPaper = DEFAULT, savedStyle;
	private State state = State.GROUND;
	private final int[] numbers = new int[NUMBERS_MAX];
	private int count, scalar, more;
	private char mark;
	private final ByteArrayOutputStream reply = new ByteArrayOutputStream();
	private int bells;

	public Vt(int columns, int rows) {
		this.columns = side(columns);
		this.rows = side(rows);
		lines = blank();
		otherLines = blank();
		bottom = this.rows;
	}

	private static int side(int n) {
		return Math.max(1, Math.min(SIDE_MAX, n));
	}

	private Line[] blank() {
		Line[] l = new Line[rows];
		for (int i = 0; i < rows; i++)
			l[i] = new Line(columns, DEFAULT);
		return l;
	}

	// ---- what is shown ----

	public synchronized int columns() {
		return columns;
	}

	public synchronized int rows() {
		return rows;
	}

	public synchronized int cursorColumn() {
		return x;
	}

	public synchronized int cursorRow() {
		return y;
	}

	public synchronized boolean cursorVisible() {
		return cursorVisible;
	}

	/** Arrow keys are ESC O A instead of ESC [ A. */
	public synchronized boolean applicationKeys() {
		return applicationKeys;
	}

	public synchronized int bells() {
		return bells;
	}

	/** Lines that scrolled away. */
	public synchronized int historySize() {
		return history.size();
	}

	/** row below 0: of the history, -1 the last. */
	private Line line(int row) {
		if (row >= 0)
			return lines[row];
		int at = history.size() + row;
		for (Line l : history)
			if (at-- == 0)
				return l;
		return lines[0];
	}

	public synchronized int scalar(int row, int column) {
		Line l = line(row);
		return column < l.text.length ? l.text[column] : ' ';
	}

	/** DEFAULT, an index below 256, or 0x1000000 | rgb. */
	public synchronized int ink(int row, int column) {
		Line l = line(row);
		return column < l.ink.length ? l.ink[column] : DEFAULT;
	}

	public synchronized int paper(int row, int column) {
		Line l = line(row);
		return column < l.paper.length ? l.paper[column] : DEFAULT;
	}

	public synchronized int style(int row, int column) {
		Line l = line(row);
		return column < l.style.length ? l.style[column] : 0;
	}

	/** A line's text without blanks at its end. */
	public synchronized String text(int row) {
		StringBuilder s = new StringBuilder();
		for (int scalarAt : line(row).text)
			s.appendCodePoint(scalarAt);
		int end = s.length();
		while (end > 0 && s.charAt(end - 1) == ' ')
			end--;
		return s.substring(0, end);
	}

	/** What the program is to be told: answers to its questions. */
	public synchronized byte[] takeReply() {
		byte[] b = reply.toByteArray();
		reply.reset();
		return b;
	}

	public synchronized void resize(int newColumns, int newRows) {
		int c = side(newColumns), r = side(newRows);
		if (c == columns && r == rows)
			return;
		int drop = Math.max(0, y + 1 - r); // the cursor's line stays on the screen
		for (int i = 0; i < drop && !alternate; i++)
			remember(lines[i]);
		columns = c;
		rows = r;
		lines = fitted(lines, drop);
		otherLines = fitted(otherLines, 0);
		top = 0;
		bottom = rows;
		y = Math.min(y - drop, rows - 1);
		x = Math.min(x, columns - 1);
		wrapNext = false;
	}

	private Line[] fitted(Line[] old, int drop) {
		Line[] now = blank();
		for (int i = 0; i < rows && i + drop < old.length; i++)
			now[i] = old[i + drop].resized(columns);
		return now;
	}

	// ---- bytes ----

	public synchronized void feed(byte[] bytes) {
		for (byte b : bytes)
			byteIn(b & 0xff);
	}

	private void byteIn(int b) {
		if (state == State.GROUND && (more > 0 || b >= 0x80))
			utf8(b);
		else if (b < 0x20 || b == 0x7f)
			control(b);
		else
			printable(b);
	}

	private void utf8(int b) {
		if ((b & 0xc0) == 0x80 && more > 0) {
			scalar = scalar << 6 | (b & 0x3f);
			if (--more == 0)
				put(scalar < 0xa0 || scalar > 0x10ffff || (scalar >= 0xd800 && scalar < 0xe000) ? 0xfffd : scalar);
			return;
		}
		boolean cut = more > 0;
		more = b >= 0xf0 && b < 0xf8 ? 3 : b >= 0xe0 ? 2 : b >= 0xc0 ? 1 : 0;
		scalar = b & (0x3f >> more);
		if (b >= 0xf8 || (b & 0xc0) == 0x80)
			more = 0;
		if (cut || (more == 0 && b >= 0x80))
			put(0xfffd);
		if (b < 0x80)
			byteIn(b);
	}

	private void control(int b) {
		if (state == State.OSC || state == State.OSC_ESCAPE) {
			state = b == 0x1b ? State.OSC_ESCAPE : b == 7 ? State.GROUND : State.OSC;
			return;
		}
		switch (b) {
		case 7:
			bells++;
			break;
		case 8:
			x = Math.max(0, x - 1);
			wrapNext = false;
			break;
		case 9:
			x = Math.min(columns - 1, (x / 8 + 1) * 8);
			break;
		case 10:
		case 11:
		case 12:
			lineFeed();
			break;
		case 13:
			x = 0;
			wrapNext = false;
			break;
		case 0x18:
		case 0x1a:
			state = State.GROUND;
			break;
		case 0x1b:
			state = State.ESCAPE;
			break;
		default:
			break;
		}
	}

	private void printable(int b) {
		switch (state) {
		case ESCAPE:
			escape(b);
			break;
		case CHARSET:
			state = State.GROUND;
			break;
		case CSI:
			sequence(b);
			break;
		case OSC:
			break;
		case OSC_ESCAPE:
			state = State.GROUND;
			break;
		default:
			put(b);
		}
	}

	private void put(int s) {
		if (wrapNext && autoWrap) {
			x = 0;
			lineFeed();
		}
		wrapNext = false;
		if (insert)
			lines[y].shift(x, columns, 1, paper);
		Line l = lines[y];
		l.text[x] = s;
		l.ink[x] = ink;
		l.paper[x] = paper;
		l.style[x] = (byte) style;
		if (x == columns - 1)
			wrapNext = true;
		else
			x++;
	}

	private void lineFeed() {
		wrapNext = false;
		if (y == bottom - 1)
			scroll(top, bottom, 1);
		else if (y < rows - 1)
			y++;
	}

	private void remember(Line l) {
		history.addLast(l);
		if (history.size() > HISTORY)
			history.removeFirst();
	}

	/** The lines from..to go up by n (down when negative). */
	private void scroll(int from, int to, int n) {
		int by = Math.max(-(to - from), Math.min(to - from, n));
		for (int i = 0; i < by && from == 0 && !alternate; i++)
			remember(lines[i]);
		Line[] moved = new Line[to - from];
		for (int i = from; i < to; i++) {
			int source = i + by;
			moved[i - from] = source >= from && source < to ? lines[source] : new Line(columns, paper);
		}
		System.arraycopy(moved, 0, lines, from, moved.length);
	}

	// ---- sequences ----

	private void escape(int b) {
		state = State.GROUND;
		switch (b) {
		case '[':
			state = State.CSI;
			Arrays.fill(numbers, 0);
			count = 0;
			mark = 0;
			break;
		case ']':
		case 'P':
		case '^':
		case '_':
			state = State.OSC;
			break;
		case '(':
		case ')':
		case '#':
		case ' ':
		case '%':
			state = State.CHARSET;
			break;
		case '7':
			save();
			break;
		case '8':
			restore();
			break;
		case 'D':
			lineFeed();
			break;
		case 'E':
			x = 0;
			lineFeed();
			break;
		case 'M':
			if (y == top)
				scroll(top, bottom, -1);
			else
				y = Math.max(0, y - 1);
			break;
		case 'c':
			reset();
			break;
		default:
			break;
		}
	}

	private void save() {
		savedX = x;
		savedY = y;
		savedInk = ink;
		savedPaper = paper;
		savedStyle = style;
	}

	private void restore() {
		moveTo(savedX, savedY);
		ink = savedInk;
		paper = savedPaper;
		style = savedStyle;
	}

	private void reset() {
		alternate = insert = applicationKeys = false;
		cursorVisible = autoWrap = true;
		ink = paper = DEFAULT;
		style = 0;
		top = 0;
		bottom = rows;
		lines = blank();
		moveTo(0, 0);
		save();
	}

	private void moveTo(int column, int row) {
		x = Math.max(0, Math.min(columns - 1, column));
		y = Math.max(0, Math.min(rows - 1, row));
		wrapNext = false;
	}

	private void sequence(int b) {
		if (b >= '0' && b <= '9') {
			if (count == 0)
				count = 1;
			numbers[count - 1] = Math.min(NUMBER_MAX, numbers[count - 1] * 10 + b - '0');
		} else if (b == ';' || b == ':') {
			count = Math.min(NUMBERS_MAX, Math.max(count, 1) + 1);
		} else if (b >= 0x40) {
			state = State.GROUND;
			if (mark == 0)
				perform(b);
			else if (mark == '?' && (b == 'h' || b == 'l'))
				for (int i = 0; i < count; i++)
					mode(numbers[i], b == 'h');
		} else {
			mark = (char) b;
		}
	}

	/** Number i, 1 when it is missing or 0. */
	private int n(int i) {
		return i < count && numbers[i] > 0 ? numbers[i] : 1;
	}

	private void perform(int b) {
		switch (b) {
		case 'A':
			moveTo(x, y >= top ? Math.max(top, y - n(0)) : y - n(0));
			break;
		case 'B':
		case 'e':
			moveTo(x, y < bottom ? Math.min(bottom - 1, y + n(0)) : y + n(0));
			break;
		case 'C':
		case 'a':
			moveTo(x + n(0), y);
			break;
		case 'D':
			moveTo(x - n(0), y);
			break;
		case 'E':
			moveTo(0, y + n(0));
			break;
		case 'F':
			moveTo(0, y - n(0));
			break;
		case 'G':
		case '`':
			moveTo(n(0) - 1, y);
			break;
		case 'd':
			moveTo(x, n(0) - 1);
			break;
		case 'H':
		case 'f':
			moveTo(n(1) - 1, n(0) - 1);
			break;
		case 'm':
			colours();
			break;
		case 'r':
			region();
			break;
		case 'h':
		case 'l':
			if (count > 0 && numbers[0] == 4)
				insert = b == 'h';
			break;
		case 's':
			save();
			break;
		case 'u':
			restore();
			break;
		case 'n':
			if (count > 0 && numbers[0] == 6)
				answer("\033[" + (y + 1) + ";" + (x + 1) + "R");
			else if (count > 0 && numbers[0] == 5)
				answer("\033[0n");
			break;
		case 'c':
			answer("\033[?6c");
			break;
		default:
			edit(b);
		}
	}

	private void answer(String text) {
		byte[] b = text.getBytes(Pack.UTF8);
		if (reply.size() + b.length <= REPLY_MAX)
			reply.write(b, 0, b.length);
	}

	private void region() {
		int from = n(0) - 1, to = count > 1 && numbers[1] > 0 ? Math.min(rows, numbers[1]) : rows;
		if (to - from < 2)
			return;
		top = from;
		bottom = to;
		moveTo(0, 0);
	}

	/** What erases, inserts and deletes. */
	private void edit(int b) {
		int how = count > 0 ? numbers[0] : 0;
		switch (b) {
		case 'J':
			eraseScreen(how);
			break;
		case 'K':
			lines[y].clear(how == 0 ? x : 0, how == 1 ? x + 1 : columns, paper);
			break;
		case 'X':
			lines[y].clear(x, Math.min(columns, x + n(0)), paper);
			break;
		case 'P':
			lines[y].shift(x, columns, -Math.min(n(0), columns - x), paper);
			break;
		case '@':
			lines[y].shift(x, columns, Math.min(n(0), columns - x), paper);
			break;
		case 'L':
			if (y >= top && y < bottom)
				scrollHere(-n(0));
			break;
		case 'M':
			if (y >= top && y < bottom)
				scrollHere(n(0));
			break;
		case 'S':
			scroll(top, bottom, n(0));
			break;
		case 'T':
			scroll(top, bottom, -n(0));
			break;
		default:
			break;
		}
	}

	/** Lines are deleted or inserted at the cursor: they are no history. */
	private void scrollHere(int by) {
		boolean was = alternate;
		alternate = true;
		scroll(y, bottom, by);
		alternate = was;
	}

	private void eraseScreen(int how) {
		for (int i = 0; i < rows; i++)
			if ((how == 0 && i > y) || (how == 1 && i < y) || how == 2)
				lines[i].clear(0, columns, paper);
		if (how == 0)
			lines[y].clear(x, columns, paper);
		else if (how == 1)
			lines[y].clear(0, x + 1, paper);
		else if (how == 3)
			history.clear();
	}

	private void mode(int number, boolean on) {
		switch (number) {
		case 1:
			applicationKeys = on;
			break;
		case 7:
			autoWrap = on;
			break;
		case 25:
			cursorVisible = on;
			break;
		case 47:
		case 1047:
		case 1049:
			showAlternate(on);
			break;
		default:
			break;
		}
	}

	private void showAlternate(boolean on) {
		if (on == alternate)
			return;
		if (on)
			save();
		Line[] shown = lines;
		lines = otherLines;
		otherLines = shown;
		alternate = on;
		if (on)
			eraseScreen(2);
		else
			restore();
	}

	private void colours() {
		for (int i = 0; i < Math.max(count, 1); i++) {
			int c = numbers[i];
			if (c == 38 || c == 48)
				i = wide(i, c == 38);
			else
				colour(c);
		}
	}

	private void colour(int c) {
		if (c == 0) {
			ink = paper = DEFAULT;
			style = 0;
		} else if (c == 1 || c == 4 || c == 7) {
			style |= c == 1 ? BOLD : c == 4 ? UNDERLINE : INVERSE;
		} else if (c == 22 || c == 24 || c == 27) {
			style &= ~(c == 22 ? BOLD : c == 24 ? UNDERLINE : INVERSE);
		} else if ((c >= 30 && c <= 37) || (c >= 90 && c <= 97)) {
			ink = c < 90 ? c - 30 : c - 82;
		} else if ((c >= 40 && c <= 47) || (c >= 100 && c <= 107)) {
			paper = c < 100 ? c - 40 : c - 92;
		} else if (c == 39) {
			ink = DEFAULT;
		} else if (c == 49) {
			paper = DEFAULT;
		}
	}

	/** 38;5;N or 38;2;R;G;B at i; where it ends. */
	private int wide(int i, boolean isInk) {
		int value = DEFAULT, end = i;
		if (i + 2 < count && numbers[i + 1] == 5) {
			value = numbers[i + 2] & 0xff;
			end = i + 2;
		} else if (i + 4 < count && numbers[i + 1] == 2) {
			value = 0x1000000 | (numbers[i + 2] & 0xff) << 16 | (numbers[i + 3] & 0xff) << 8 | (numbers[i + 4] & 0xff);
			end = i + 4;
		} else {
			return count;
		}
		if (isInk)
			ink = value;
		else
			paper = value;
		return end;
	}
}
