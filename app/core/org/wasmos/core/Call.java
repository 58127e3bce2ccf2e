/* Call.java - one request to the node, on a connection of its own: rows come one by one, inputs go out meanwhile.
 *
 *	Call call = new Call(door, Row.request("ps"));
 *	try {
 *		for (Row row; (row = call.next()) != null;)
 *			use(row);
 *	} finally {
 *		call.close();
 *	}
 *
 * next() belongs to one thread and waits; input() and close() may be called from any thread. close() ends a next() that
 * waits. */
package org.wasmos.core;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

public final class Call implements Closeable {
	/** The node ended the request with an error; the message is for people. */
	public static final class Refused extends IOException {
		private static final long serialVersionUID = 1;
		/** Name of the error: "NOTFOUND" (base/err.def). */
		public final String error;

		Refused(String error, String text) {
			super(text.isEmpty() ? error : text);
			this.error = error;
		}
	}

	private final Door.Connection connection;
	private final InputStream in;
	private final OutputStream out;
	private final Object writing = new Object();
	private volatile boolean over;

	public Call(Door door, Row request) throws IOException {
		connection = door.open();
		boolean begun = false;
		try {
			in = new BufferedInputStream(connection.in(), 1 << 16);
			out = connection.out();
			send(request);
			begun = true;
		} finally {
			if (!begun)
				connection.close();
		}
	}

	/** The next row; null when the request ended well. */
	public Row next() throws IOException {
		if (over)
			return null;
		Row row = Pack.row(body());
		if (!row.has("end"))
			return row;
		over = true;
		if (!row.text("end").equals("OK"))
			throw new Refused(row.text("end"), row.text("text"));
		return null;
	}

	private byte[] body() throws IOException {
		byte[] head = read(4);
		long size = 0;
		for (int i = 3; i >= 0; i--)
			size = size << 8 | (head[i] & 0xff);
		if (size > Pack.FRAME_MAX)
			throw new Pack.BadRow("a frame of " + size + " bytes, the most is " + Pack.FRAME_MAX);
		return read((int) size);
	}

	private byte[] read(int size) throws IOException {
		byte[] b = new byte[size];
		for (int at = 0; at < size;) {
			int n = in.read(b, at, size - at);
			if (n < 0)
				throw new EOFException("the node went away");
			at += n;
		}
		return b;
	}

	/** Input to a request that lasts. */
	public void input(Row row) throws IOException {
		send(row);
	}

	private void send(Row row) throws IOException {
		byte[] body = Pack.body(row);
		byte[] frame = new byte[4 + body.length];
		for (int i = 0; i < 4; i++)
			frame[i] = (byte) (body.length >> 8 * i);
		System.arraycopy(body, 0, frame, 4, body.length);
		synchronized (writing) {
			out.write(frame);
			out.flush();
		}
	}

	@Override
	public void close() throws IOException {
		over = true;
		connection.close();
	}
}
