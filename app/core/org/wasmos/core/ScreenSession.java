/* ScreenSession.java - this device as the screen, loudspeaker and keyboard of a process that runs here.
 *
 * run() belongs to one thread: it waits for rows and tells the listener. All else may be called from any thread. An input
 * that cannot be sent is dropped: run() hears that the connection is gone. */
package org.wasmos.core;

import java.io.Closeable;
import java.io.IOException;

public final class ScreenSession implements Closeable {
	/** Called on run()'s thread. */
	public interface Listener {
		/** A frame is complete; the session acknowledges it when this returns. */
		void frame(Picture picture);

		/** Size, title or sound changed. */
		void mode(Picture picture);

		/** The answer to pull(). */
		void sound(byte[] samples);
	}

	/** How it ended. */
	public static final class End {
		/** The program itself ended; text and status say how. */
		public final boolean exited;
		/** The device it went to; "" when it sleeps on the disk or the screen was taken over. */
		public final String device;
		public final String text;

		End(boolean exited, String device, String text) {
			this.exited = exited;
			this.device = device;
			this.text = text;
		}
	}

	private final Call call;
	private final Picture picture = new Picture();
	private final long pid;

	public ScreenSession(Door door, long pid) throws IOException {
		this(door, pid, false);
	}

	/** every: no frame is skipped, the program waits for this screen. */
	public ScreenSession(Door door, long pid, boolean every) throws IOException {
		this.pid = pid;
		call = new Call(door, Row.request("screen").put("pid", pid).put("every", every));
	}

	public long pid() {
		return pid;
	}

	public Picture picture() {
		return picture;
	}

	/** Until the program ends, leaves, or close(). Refused when there is no such program, or another screen took it. */
	public End run(Listener listener) throws IOException {
		End end = new End(false, "", "");
		for (Row row; (row = call.next()) != null;) {
			if (row.has("exit"))
				end = new End(true, "", row.text("text"));
			else if (row.has("left"))
				end = new End(false, row.text("left"), "");
			else
				take(row, listener);
		}
		return end;
	}

	private void take(Row row, Listener listener) throws IOException {
		byte[] samples = row.bytes("sound");
		if (samples != null) {
			listener.sound(samples);
		} else if (picture.take(row)) {
			listener.frame(picture);
			send(Row.input("shown").put("seq", picture.sequence()));
		} else if (row.has("mode")) {
			listener.mode(picture);
		}
	}

	private void send(Row row) {
		try {
			call.input(row);
		} catch (IOException e) {
			return; // run() ends by it
		}
	}

	/** value: 0 up, 1 down. */
	public void key(int usage, int value, int mods) {
		send(Row.input("key").put("code", usage).put("value", value).put("mods", mods));
	}

	public void text(int scalar) {
		send(Row.input("text").put("code", scalar));
	}

	public void pointer(int x, int y, int dx, int dy) {
		send(Row.input("pointer").put("x", x).put("y", y).put("dx", dx).put("dy", dy));
	}

	public void button(int button, boolean down, int x, int y) {
		send(Row.input("button").put("code", button).put("value", down ? 1 : 0).put("x", x).put("y", y));
	}

	public void wheel(int dx, int dy) {
		send(Row.input("wheel").put("dx", dx).put("dy", dy));
	}

	public void focus(boolean has) {
		send(Row.input("focus").put("value", has ? 1 : 0));
	}

	/** All keys go up: the app went to the background. */
	public void release() {
		send(Row.input("release"));
	}

	/** The program is asked to save and exit. */
	public void quit() {
		send(Row.input("quit"));
	}

	/** So many frames of sound for the loudspeaker; 0: it is silent from now on. */
	public void pull(int frames) {
		send(Row.input("pull").put("frames", frames));
	}

	@Override
	public void close() throws IOException {
		call.close();
	}
}
