/* PictureTest.java - pictures out of rows, and where they stand in a view. */
package org.wasmos.test;

import static org.wasmos.test.Runner.check;
import static org.wasmos.test.Runner.same;

import org.wasmos.core.Fit;
import org.wasmos.core.Pack;
import org.wasmos.core.Picture;
import org.wasmos.core.Row;

public final class PictureTest {
	private static Row mode(int w, int h, int format) {
		return new Row().put("mode", 1).put("width", w).put("height", h).put("format", format).put("aspect_x", 4)
				.put("aspect_y", 3).put("rate", 44100).put("channels", 2).put("title", "T");
	}

	private static Picture indexed() throws Exception {
		Picture p = new Picture();
		p.take(mode(4, 3, 2));
		byte[] palette = new byte[1024];
		palette[4] = 0x11;
		palette[5] = 0x22;
		palette[6] = 0x33;
		check(!p.take(new Row().put("frame", 1).put("palette", palette).put("y", 0).put("rows", 3).put("data", new byte[12])),
				"not complete yet");
		check(p.take(new Row().put("frame", 1).put("last", true)), "complete");
		return p;
	}

	public void aBandOfIndicesBecomesColours() throws Exception {
		Picture p = indexed();
		p.take(new Row().put("frame", 2).put("y", 1).put("rows", 1).put("data", new byte[] {0, 1, 1, 0}));
		check(p.take(new Row().put("frame", 2).put("last", true)), "complete");
		same(p.pixels()[4], 0xff000000);
		same(p.pixels()[5], 0xff332211);
		same(p.sequence(), 2L);
		same(p.aspect(), 4.0 / 3);
		same(p.rate() + " " + p.channels() + " " + p.title(), "44100 2 T");
	}

	public void aNewPaletteColoursWhatWasThere() throws Exception {
		Picture p = indexed();
		byte[] palette = new byte[1024];
		palette[0] = (byte) 0xff;
		check(p.take(new Row().put("frame", 2).put("palette", palette).put("last", true)), "complete");
		same(p.pixels()[11], 0xff0000ff);
	}

	public void rowsThatDoNotFitAreRefused() throws Exception {
		Row[] bad = {new Row().put("frame", 2).put("y", 2).put("rows", 2).put("data", new byte[8]),
			new Row().put("frame", 2).put("y", -1).put("rows", 1).put("data", new byte[4]),
			new Row().put("frame", 2).put("y", 0).put("rows", 1).put("data", new byte[5]),
			new Row().put("frame", 2).put("y", 0).put("data", new byte[4]),
			new Row().put("frame", 2).put("palette", new byte[3]), mode(5000, 2, 1), mode(4, 0, 1), mode(4, 4, 3), mode(-1, 4, 1),
			new Row().put("mode", 1)};
		for (Row row : bad) {
			Picture p = indexed();
			try {
				p.take(row);
				throw new AssertionError("taken: " + row);
			} catch (Pack.BadRow e) {
				same(p.width(), 4);
			}
		}
	}

	public void aFrameWithoutAModeIsRefused() throws Exception {
		try {
			new Picture().take(new Row().put("frame", 1).put("y", 0).put("rows", 1).put("data", new byte[0]));
			throw new AssertionError("taken");
		} catch (Pack.BadRow e) {
			check(!new Picture().take(new Row().put("frame", 1).put("last", true)), "nothing to show");
		}
	}

	public void aPictureStandsInTheMiddleInItsShape() {
		Fit wide = new Fit(2000, 1000, 320, 200, 4.0 / 3);
		same(wide.left + " " + wide.top + " " + wide.width + " " + wide.height, "333 0 1333 1000");
		Fit tall = new Fit(1000, 2000, 320, 200, 1.6);
		same(tall.left + " " + tall.top + " " + tall.width + " " + tall.height, "0 687 1000 625");
		same(tall.column(0) + " " + tall.column(999) + " " + tall.row(0) + " " + tall.row(1999), "0 319 0 199");
		same(tall.column(500) + " " + tall.row(1000), "160 100");
		same(new Fit(0, 0, 320, 200, 1.6).column(5), 319);
	}
}
