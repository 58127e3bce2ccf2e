/* Pack.java - rows to bytes and back: msgpack, as far as the control protocol uses it, with its limits.
 *
 * A body is one map of at most 64 values with keys of at most 31 bytes. Everything that is read is checked; what is not
 * a row is a BadRow, and nothing of it is given out. */
package org.wasmos.core;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

public final class Pack {
	public static final int FRAME_MAX = 4 << 20;
	static final int VALUES_MAX = 64;
	static final int KEY_MAX = 31;
	static final int LIST_MAX = 16384;
	static final Charset UTF8 = Charset.forName("UTF-8");

	/** Bytes that are no row. */
	public static final class BadRow extends IOException {
		private static final long serialVersionUID = 1;

		BadRow(String text) {
			super(text);
		}
	}

	private Pack() {
	}

	// ---- writing ----

	public static byte[] body(Row row) throws BadRow {
		Map<String, Object> values = row.values();
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		if (values.size() > VALUES_MAX)
			throw new BadRow("a row of " + values.size() + " values, the most is " + VALUES_MAX);
		head(out, values.size(), 0x80, 16, 0, 0xde, 0xdf);
		for (Map.Entry<String, Object> e : values.entrySet()) {
			text(out, e.getKey());
			value(out, e.getValue());
		}
		if (out.size() > FRAME_MAX)
			throw new BadRow("a row of " + out.size() + " bytes, the most is " + FRAME_MAX);
		return out.toByteArray();
	}

	private static void value(ByteArrayOutputStream out, Object v) {
		if (v instanceof Boolean) {
			out.write(((Boolean) v).booleanValue() ? 0xc3 : 0xc2);
		} else if (v instanceof Long) {
			integer(out, ((Long) v).longValue());
		} else if (v instanceof Double) {
			out.write(0xcb);
			bigEndian(out, Double.doubleToLongBits(((Double) v).doubleValue()), 8);
		} else if (v instanceof String) {
			text(out, (String) v);
		} else if (v instanceof byte[]) {
			byte[] b = (byte[]) v;
			head(out, b.length, 0, 0, 0xc4, 0xc5, 0xc6);
			out.write(b, 0, b.length);
		} else {
			List<?> list = (List<?>) v;
			head(out, list.size(), 0x90, 16, 0, 0xdc, 0xdd);
			for (Object item : list)
				text(out, (String) item);
		}
	}

	/** The shortest form, as the node's own writer has it. */
	private static void integer(ByteArrayOutputStream out, long v) {
		if (v >= -32 && v < 128) {
			out.write((int) v & 0xff);
			return;
		}
		int size = 0;
		while (size < 3 && (v >= 0 ? v >>> (8 << size) != 0 : v < -(1L << ((8 << size) - 1))))
			size++;
		out.write((v >= 0 ? 0xcc : 0xd0) + size);
		bigEndian(out, v, 1 << size);
	}

	private static void text(ByteArrayOutputStream out, String s) {
		byte[] b = s.getBytes(UTF8);
		head(out, b.length, 0xa0, 32, 0xd9, 0xda, 0xdb);
		out.write(b, 0, b.length);
	}

	/** A length: in the type's byte below `below`, else in 1, 2 or 4 bytes; code8 0: there is no form of 1 byte. */
	private static void head(ByteArrayOutputStream out, int n, int fix, int below, int code8, int code16,
			int code32) {
		if (n < below) {
			out.write(fix | n);
		} else if (n < 256 && code8 != 0) {
			out.write(code8);
			bigEndian(out, n, 1);
		} else if (n < 65536) {
			out.write(code16);
			bigEndian(out, n, 2);
		} else {
			out.write(code32);
			bigEndian(out, n, 4);
		}
	}

	private static void bigEndian(ByteArrayOutputStream out, long v, int size) {
		for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
			out.write((int) (v >> shift) & 0xff);
	}

	// ---- reading ----

	public static Row row(byte[] body) throws BadRow {
		Reader r = new Reader(body);
		Row row = new Row();
		int count = r.count(r.u8(), 0x80, 0xde, VALUES_MAX);
		for (int i = 0; i < count; i++) {
			String key = r.text(r.u8(), KEY_MAX);
			row.values().put(key, r.value());
		}
		if (r.at != body.length)
			throw new BadRow((body.length - r.at) + " bytes too many");
		return row;
	}

	private static final class Reader {
		final byte[] in;
		int at;

		Reader(byte[] in) {
			this.in = in;
		}

		int u8() throws BadRow {
			need(1);
			return in[at++] & 0xff;
		}

		void need(long n) throws BadRow {
			if (n > in.length - at)
				throw new BadRow("cut off at byte " + at);
		}

		long unsigned(int size) throws BadRow {
			need(size);
			long v = 0;
			for (int i = 0; i < size; i++)
				v = v << 8 | (in[at++] & 0xff);
			return v;
		}

		Object value() throws BadRow {
			int t = u8();
			if (t < 0x80 || t >= 0xe0 || (t >= 0xcc && t <= 0xd3))
				return Long.valueOf(integer(t));
			if (t == 0xc2 || t == 0xc3)
				return Boolean.valueOf(t == 0xc3);
			if (t == 0xcb)
				return Double.valueOf(Double.longBitsToDouble(unsigned(8)));
			if (t >= 0xc4 && t <= 0xc6)
				return take(unsigned(1 << (t - 0xc4)), FRAME_MAX);
			if ((t & 0xf0) == 0x90 || t == 0xdc || t == 0xdd)
				return list(t);
			return text(t, FRAME_MAX);
		}

		/** What is above the largest long becomes the largest long. */
		long integer(int t) throws BadRow {
			if (t < 0x80)
				return t;
			if (t >= 0xe0)
				return (byte) t;
			int size = 1 << ((t - 0xcc) & 3);
			long v = unsigned(size);
			if (t < 0xd0)
				return v < 0 ? Long.MAX_VALUE : v;
			int unused = 64 - 8 * size;
			return v << unused >> unused;
		}

		List<String> list(int t) throws BadRow {
			int n = count(t, 0x90, 0xdc, LIST_MAX);
			List<String> items = new ArrayList<String>();
			for (int i = 0; i < n; i++)
				items.add(text(u8(), FRAME_MAX));
			return items;
		}

		/** Of a list or map: in the type's low 4 bits, or code16, code16 + 1. */
		int count(int t, int fix, int code16, int max) throws BadRow {
			long n;
			if ((t & 0xf0) == fix)
				n = t & 15;
			else if (t == code16 || t == code16 + 1)
				n = unsigned(2 << (t - code16));
			else
				throw new BadRow("type " + t + " at byte " + (at - 1));
			if (n > max)
				throw new BadRow(n + " items, the most is " + max);
			return (int) n;
		}

		byte[] take(long size, int max) throws BadRow {
			if (size > max)
				throw new BadRow(size + " bytes, the most is " + max);
			need(size);
			byte[] b = new byte[(int) size];
			System.arraycopy(in, at, b, 0, b.length);
			at += b.length;
			return b;
		}

		String text(int t, int max) throws BadRow {
			long size;
			if ((t & 0xe0) == 0xa0)
				size = t & 31;
			else if (t >= 0xd9 && t <= 0xdb)
				size = unsigned(1 << (t - 0xd9));
			else
				throw new BadRow("type " + t + " at byte " + (at - 1));
			try {
				CharBuffer chars = UTF8.newDecoder().decode(ByteBuffer.wrap(take(size, max)));
				return chars.toString();
			} catch (CharacterCodingException e) {
				throw new BadRow("a text that is not UTF-8 before byte " + at);
			}
		}
	}
}
