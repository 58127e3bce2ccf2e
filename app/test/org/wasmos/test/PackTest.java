/* PackTest.java - rows as bytes, and bytes that are no rows. */
package org.wasmos.test;

import static org.wasmos.test.Runner.check;
import static org.wasmos.test.Runner.same;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.wasmos.core.Pack;
import org.wasmos.core.Row;

public final class PackTest {
	private static Row sample() {
		return new Row().put("request", "run").put("n", 7).put("big", 1L << 40).put("less", -70000).put("yes", true)
				.put("half", 0.5).put("data", new byte[300]).put("argv", List.of("a", "b\u00e4\u20ac")).put("long", "x".repeat(70000));
	}

	public void whatIsWrittenIsRead() throws Exception {
		Row row = Pack.row(Pack.body(sample()));
		same(row.toString().replaceAll("\\[B@[0-9a-f]+", "B"), sample().toString().replaceAll("\\[B@[0-9a-f]+", "B"));
		same(row.bytes("data").length, 300);
	}

	public void numbersTakeTheirShortestForm() throws Exception {
		long[] values = {0, 127, 128, 255, 256, 65535, 65536, 0xffffffffL, 1L << 32, Long.MAX_VALUE, -1, -32, -33, -128, -129,
			-32768, -32769, Integer.MIN_VALUE, Integer.MIN_VALUE - 1L, Long.MIN_VALUE};
		int[] sizes = {1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9};
		for (int i = 0; i < values.length; i++) {
			byte[] body = Pack.body(new Row().put("", values[i]));
			same(body.length, 2 + sizes[i]);
			same(Pack.row(body).number("", 1), values[i]);
		}
	}

	public void bytesThatAreCutOffAreRefused() throws Exception {
		byte[] body = Pack.body(new Row().put("text", "hello").put("n", 70000).put("list", List.of("a", "b")));
		for (int size = 0; size < body.length; size++)
			refused(Arrays.copyOf(body, size));
		refused(Arrays.copyOf(body, body.length + 1));
	}

	public void claimsOfGreatSizeTakeNoMemory() throws Exception {
		refused(bytes(0x81, 0xa1, 'a', 0xc6, 0xff, 0xff, 0xff, 0xff));
		refused(bytes(0x81, 0xa1, 'a', 0xdd, 0x7f, 0xff, 0xff, 0xff));
		refused(bytes(0x81, 0xa1, 'a', 0xdb, 0x80, 0, 0, 0));
		refused(bytes(0xdf, 0xff, 0xff, 0xff, 0xff));
		refused(bytes(0x81, 0xd9, 32, 'a'));
	}

	public void whatTheProtocolDoesNotHaveIsRefused() throws Exception {
		refused(bytes(0x81, 0xa1, 'a', 0xc0)); // nil
		refused(bytes(0x81, 0xa1, 'a', 0x80)); // a map inside
		refused(bytes(0x81, 0xa1, 'a', 0x91, 0x01)); // a list of numbers
		refused(bytes(0x81, 0x01, 0x01)); // a key that is no text
		refused(bytes(0x81, 0xa1, 'a', 0xa1, 0xff)); // no UTF-8
		refused(bytes(0x90));
	}

	public void anyBytesAreARowOrRefused() throws Exception {
		Random random = new Random(1);
		byte[] good = Pack.body(new Row().put("frame", 3).put("data", new byte[40]).put("name", "doom").put("l", List.of("x")));
		for (int i = 0; i < 100000; i++) {
			byte[] b = good.clone();
			for (int k = random.nextInt(4); k >= 0; k--)
				b[random.nextInt(b.length)] = (byte) random.nextInt(256);
			try {
				Pack.row(b);
			} catch (Pack.BadRow e) {
				check(!e.getMessage().isEmpty(), "no reason");
			}
		}
	}

	public void gettersGiveTheirDefaultForAnotherType() {
		Row row = new Row().put("n", 5).put("s", "x");
		same(row.text("n"), "");
		same(row.number("s", 9), 9L);
		same(row.number("n", 6, 7, -1), -1);
		check(row.bytes("s") == null && !row.flag("s") && row.real("s") == 0, row);
	}

	static byte[] bytes(int... values) {
		byte[] b = new byte[values.length];
		for (int i = 0; i < b.length; i++)
			b[i] = (byte) values[i];
		return b;
	}

	private static void refused(byte[] b) {
		try {
			throw new AssertionError("taken: " + Pack.row(b) + " of " + Arrays.toString(b));
		} catch (Pack.BadRow e) {
			check(!e.getMessage().isEmpty(), "no reason");
		}
	}
}
