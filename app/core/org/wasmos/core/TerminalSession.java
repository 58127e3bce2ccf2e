/* TerminalSession.java - the terminal of a process of this device: request `attach`, its output into a Vt, keys to the process.
 *
 * run() belongs to one thread; type() and size() may be called from any. Typed bytes that the node has not taken yet are
 * at most WINDOW: what is typed beyond is dropped. */
package org.wasmos.core;

import java.io.Closeable;
import java.io.IOException;

public final class TerminalSession implements Closeable {
	private static final int WINDOW = 64 * 1024;

	public interface Listener {
		/** The screen changed. On run()'s thread. */
		void changed(Vt vt);
	}

	private final Call call;
	private final Vt vt;
	private int ahead;

	public TerminalSession(Door door, long pid, Vt vt) throws IOException {
		this.vt = vt;
		call = new Call(door,
				Row.request("attach").put("pid", pid).put("cols", vt.columns()).put("rows", vt.rows()));
	}

	/** Until the program ends; what it says about that, "" when the terminal was left. */
	public String run(Listener listener) throws IOException {
		String end = "";
		for (Row row; (row = call.next()) != null;) {
			byte[] out = row.bytes("out") != null ? row.bytes("out") : row.bytes("err");
			if (out != null) {
				vt.feed(out);
				type(vt.takeReply());
				listener.changed(vt);
			}
			if (row.has("took"))
				took((int) row.number("took", 0));
			if (row.has("exit"))
				end = row.text("state") + ", " + row.number("exit", 0);
		}
		return end;
	}

	private synchronized void took(int bytes) {
		ahead = Math.max(0, ahead - bytes);
	}

	public void type(byte[] bytes) {
		synchronized (this) {
			if (bytes.length == 0 || ahead + bytes.length > WINDOW)
				return;
			ahead += bytes.length;
		}
		send(Row.input("bytes").put("data", bytes));
	}

	public void type(String text) {
		type(text.getBytes(Pack.UTF8));
	}

	public void size(int columns, int rows) {
		vt.resize(columns, rows);
		send(Row.input("size").put("cols", columns).put("rows", rows));
	}

	private void send(Row row) {
		try {
			call.input(row);
		} catch (IOException e) {
			return; // run() ends by it
		}
	}

	@Override
	public void close() throws IOException {
		call.close();
	}
}
