/* VtTest.java - what a terminal shows for what a program writes. */
package org.wasmos.test;

import static org.wasmos.test.Runner.check;
import static org.wasmos.test.Runner.same;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.wasmos.core.Vt;

public final class VtTest {
	private static Vt vt(String text) {
		Vt v = new Vt(10, 4);
		v.feed(text.getBytes(StandardCharsets.UTF_8));
		return v;
	}

	private static String screen(Vt v) {
		return v.text(0) + "|" + v.text(1) + "|" + v.text(2) + "|" + v.text(3);
	}

	public void linesWrapAndScroll() {
		same(screen(vt("0123456789ab")), "0123456789|ab||");
		same(screen(vt("0123456789\r\nx")), "0123456789|x||");
		Vt v = vt("a\r\nb\r\nc\r\nd\r\ne");
		same(screen(v), "b|c|d|e");
		same(v.historySize() + v.text(-1), "1a");
	}

	public void theCursorGoesWhereItIsSent() {
		same(screen(vt("\033[2;3Hx\033[Ay\033[3Dz\033[4;1Hq")), " zy|  x||q".replace(" zy", " z y"));
		same(screen(vt("abc\rX\b\bY\tZ")), "Ybc     Z|||");
		Vt v = vt("\033[99;99H");
		same(v.cursorColumn() + " " + v.cursorRow(), "9 3");
	}

	public void whatIsErasedIsGone() {
		same(screen(vt("abc\r\ndef\r\nghi\033[2;2H\033[K")), "abc|d|ghi|");
		same(screen(vt("abc\r\ndef\r\nghi\033[2;2H\033[J")), "abc|d||");
		same(screen(vt("abc\r\ndef\r\nghi\033[2;2H\033[1J")), "|  f|ghi|");
		same(screen(vt("abcdef\033[3G\033[2P")), "abef|||");
		same(screen(vt("abcdef\033[3G\033[2@")), "ab  cdef|||");
		same(screen(vt("abcdef\033[3G\033[99P")), "ab|||");
		same(screen(vt("a\r\nb\r\nc\033[2;1H\033[L")), "a||b|c");
		same(screen(vt("a\r\nb\r\nc\033[1;1H\033[M")), "b|c||");
	}

	public void aRegionScrollsAlone() {
		Vt v = vt("a\r\nb\r\nc\r\nd\033[2;3r\033[3;1H\nx");
		same(screen(v), "a|c|x|d");
		same(v.historySize(), 0);
		same(screen(vt("a\r\nb\r\nc\r\nd\033[2;3r\033[2;1H\033My")), "a|y|b|d");
	}

	public void theOtherScreenLeavesTheFirstAlone() {
		same(screen(vt("abc\033[?1049hxyz\033[?1049l")), "abc|||");
		same(screen(vt("abc\033[?1049h\033[Hxyz")), "xyz|||");
	}

	public void coloursStickToTheirCells() {
		Vt v = vt("\033[1;31ma\033[0mb\033[38;5;200mc\033[48;2;1;2;3md\033[97me\033[7mf");
		same(v.ink(0, 0) + " " + v.style(0, 0), "1 " + Vt.BOLD);
		same(v.ink(0, 1) + " " + v.style(0, 1), "-1 0");
		same(v.ink(0, 2), 200);
		same(v.paper(0, 3), 0x1010203);
		same(v.ink(0, 4), 15);
		same(v.style(0, 5), Vt.INVERSE);
	}

	public void questionsAreAnswered() {
		same(new String(vt("ab\033[6n").takeReply()), "\033[1;3R");
		same(new String(vt("\033[5n\033[c").takeReply()), "\033[0n\033[?6c");
	}

	public void charactersMayComeInPieces() {
		Vt v = new Vt(10, 2);
		for (byte b : "\u00e4\u20ac\ud83d\ude00".getBytes(StandardCharsets.UTF_8))
			v.feed(new byte[] {b});
		same(v.text(0), "\u00e4\u20ac\ud83d\ude00");
		Vt bad = new Vt(10, 2);
		bad.feed(PackTest.bytes(0xe2, 0x82, 'x', 0xff, 0x80, 'y'));
		same(bad.text(0), "\ufffdx\ufffd\ufffdy");
	}

	public void titlesAndUnknownSequencesShowNothing() {
		same(screen(vt("a\033]0;title\007b\033]8;;x\033\\c\033[>4;2m\033[?2004hd\033(Be\033=f")), "abcdef|||");
	}

	public void aNewSizeKeepsTheCursorsLine() {
		Vt v = vt("a\r\nb\r\nc\r\nd");
		v.resize(5, 2);
		same(v.text(0) + v.text(1) + v.cursorRow(), "cd1");
		same(v.text(-1), "b");
		v.resize(20, 6);
		same(v.text(0) + v.text(1) + v.cursorRow(), "cd1");
	}

	public void noBytesBreakIt() {
		Random random = new Random(7);
		String alphabet = "\033[];?0123456789ABCDEFGHJKLMPSTX@cdfhlmnrsu \r\n\b\tx\u00e4";
		Vt v = new Vt(7, 5);
		for (int i = 0; i < 20000; i++) {
			StringBuilder s = new StringBuilder();
			for (int k = 0; k < 12; k++)
				s.append(alphabet.charAt(random.nextInt(alphabet.length())));
			v.feed(s.toString().getBytes(StandardCharsets.UTF_8));
			byte[] noise = new byte[8];
			random.nextBytes(noise);
			v.feed(noise);
			if (i % 100 == 0)
				v.resize(1 + random.nextInt(20), 1 + random.nextInt(9));
			check(v.cursorColumn() < v.columns() && v.cursorRow() < v.rows() && v.historySize() <= Vt.HISTORY, i);
		}
	}
}
