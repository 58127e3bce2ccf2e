/* Picture.java - a process's screen as the rows of request `screen` make it (docs/formats/screen.md): 0xAARRGGBB pixels.
 *
 * One thread gives rows; whoever draws holds the picture's monitor while it reads the pixels. Rows that do not fit the
 * picture are refused as a whole. */
package org.wasmos.core;

public final class Picture {
	public static final int SIDE_MAX = 4096;
	private static final int INDEXED = 2, PALETTE = 256; // format 1: 32 bits a pixel
	private static final int OPAQUE = 0xff000000;

	private int width, height, format, aspectX, aspectY;
	private int[] pixels = new int[0];
	private byte[] indices = new byte[0];
	private final int[] palette = new int[PALETTE];
	private boolean paletteChanged;
	private long sequence;
	private int rate, channels;
	private String title = "";

	/** True when a frame is complete: it is to be shown and acknowledged. */
	public synchronized boolean take(Row row) throws Pack.BadRow {
		if (row.has("mode"))
			takeMode(row);
		else if (row.has("frame"))
			return takePiece(row);
		return false;
	}

	private void takeMode(Row row) throws Pack.BadRow {
		int w = row.number("width", 0, SIDE_MAX, -1), h = row.number("height", 0, SIDE_MAX, -1);
		int f = row.number("format", 0, INDEXED, -1);
		if (w < 0 || h < 0 || f < 0 || (f != 0 && (w == 0 || h == 0)))
			throw new Pack.BadRow("a screen of " + row.number("width", 0) + " x " + row.number("height", 0));
		if (w != width || h != height || f != format) {
			width = w;
			height = h;
			format = f;
			sequence = 0;
			pixels = new int[f == 0 ? 0 : w * h];
			indices = new byte[f == INDEXED ? w * h : 0];
		}
		aspectX = row.number("aspect_x", 0, 65535, 0);
		aspectY = row.number("aspect_y", 0, 65535, 0);
		rate = row.number("rate", 8000, 192000, 0);
		channels = row.number("channels", 1, 2, 0);
		title = row.text("title");
	}

	private boolean takePiece(Row row) throws Pack.BadRow {
		byte[] colours = row.bytes("palette");
		if (colours != null)
			takePalette(colours);
		byte[] data = row.bytes("data");
		if (data != null)
			takeBand(row, data);
		if (!row.flag("last"))
			return false;
		if (paletteChanged)
			colour(0, indices.length);
		paletteChanged = false;
		sequence = row.number("frame", 0);
		return format != 0;
	}

	private void takePalette(byte[] b) throws Pack.BadRow {
		if (b.length != PALETTE * 4)
			throw new Pack.BadRow("a palette of " + b.length + " bytes");
		for (int i = 0; i < PALETTE; i++)
			palette[i] = OPAQUE | xrgb(b, 4 * i);
		paletteChanged = true;
	}

	private static int xrgb(byte[] b, int at) {
		return (b[at] & 0xff) | (b[at + 1] & 0xff) << 8 | (b[at + 2] & 0xff) << 16;
	}

	private void takeBand(Row row, byte[] data) throws Pack.BadRow {
		int y = row.number("y", 0, SIDE_MAX, -1), rows = row.number("rows", 1, SIDE_MAX, -1);
		int pixel = format == INDEXED ? 1 : 4;
		if (format == 0 || y < 0 || rows < 0 || y + rows > height || data.length != rows * width * pixel)
			throw new Pack.BadRow("rows " + row.number("y", 0) + " + " + row.number("rows", 0) + " of "
					+ height + " in " + data.length + " bytes");
		if (format == INDEXED) {
			System.arraycopy(data, 0, indices, y * width, data.length);
			if (!paletteChanged)
				colour(y * width, (y + rows) * width);
			return;
		}
		for (int i = 0, at = y * width; i < data.length; i += 4)
			pixels[at++] = OPAQUE | xrgb(data, i);
	}

	private void colour(int from, int to) {
		for (int i = from; i < to; i++)
			pixels[i] = palette[indices[i] & 0xff];
	}

	public synchronized int width() {
		return width;
	}

	public synchronized int height() {
		return height;
	}

	/** Width to height as it is to be looked at. */
	public synchronized double aspect() {
		if (aspectX > 0 && aspectY > 0)
			return (double) aspectX / aspectY;
		return height > 0 ? (double) width / height : 1;
	}

	/** The picture's own array: hold the monitor while it is read. */
	public synchronized int[] pixels() {
		return pixels;
	}

	/** The frame's number; 0: there is none yet. */
	public synchronized long sequence() {
		return sequence;
	}

	/** Samples a second; 0: no sound. */
	public synchronized int rate() {
		return channels > 0 ? rate : 0;
	}

	public synchronized int channels() {
		return channels;
	}

	public synchronized String title() {
		return title;
	}

	/** 0: no display is open. */
	public synchronized int format() {
		return format;
	}
}
