/* Door.java - how to reach the node: each open() is a connection of its own to its control socket. Android opens a LocalSocket, the
 * tests a socket of the JVM. */
package org.wasmos.core;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

public interface Door {
	interface Connection extends Closeable {
		InputStream in() throws IOException;

		OutputStream out() throws IOException;
	}

	Connection open() throws IOException;
}
