/* NodeApp.java - what the app's parts share: where the node's home is, the way to its control socket, and a thread for waiting.
 *
 * Nobody waits for the node on the thread that draws: work() runs a Work on the pool and hands its result to the main
 * thread. A Work whose activity is gone by then is dropped by its own check. */
package org.wasmos.app;

import android.app.Application;
import android.net.LocalSocket;
import android.net.LocalSocketAddress;
import android.os.Handler;
import android.os.Looper;
import android.view.View;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.wasmos.core.Door;
import org.wasmos.core.NodeClient;

public final class NodeApp extends Application {
	/** Something that takes time. */
	abstract static class Work {
		/** On the pool. */
		abstract Object run() throws IOException;

		/** On the main thread. */
		abstract void done(Object result);

		/** On the main thread; why is for people. */
		abstract void failed(String why);
	}

	private final ExecutorService pool = Executors.newCachedThreadPool();
	private Handler main;
	private Door door;
	private NodeClient client;
	private volatile boolean wanted;

	@Override
	public void onCreate() {
		super.onCreate();
		main = new Handler(Looper.getMainLooper());
		door = new SocketDoor(new File(home(), "control").getPath());
		client = new NodeClient(door);
	}

	/** The node's home folder; only this app can enter it. */
	File home() {
		return new File(getFilesDir(), "node");
	}

	/** Programs the person opened, and the folder they see as /home. */
	File programs() {
		return new File(getFilesDir(), "programs");
	}

	Door door() {
		return door;
	}

	NodeClient node() {
		return client;
	}

	/** The person wants the node to run: NodeService says so. */
	boolean isNodeWanted() {
		return wanted;
	}

	void setNodeWanted(boolean is) {
		wanted = is;
	}

	Handler main() {
		return main;
	}

	void work(final Work work) {
		pool.execute(new Runnable() {
			@Override
			public void run() {
				try {
					over(work, work.run(), null);
				} catch (IOException e) {
					over(work, null, e.getMessage() == null ? e.toString() : e.getMessage());
				}
			}
		});
	}

	/** Ends a session off the main thread; then its view is drawn once more. */
	void close(final Closeable session, final View view) {
		work(new Work() {
			@Override
			Object run() throws IOException {
				session.close();
				return null;
			}

			@Override
			void done(Object result) {
				view.invalidate();
			}

			@Override
			void failed(String why) {
				view.invalidate();
			}
		});
	}

	private void over(final Work work, final Object result, final String why) {
		main.post(new Runnable() {
			@Override
			public void run() {
				if (why == null)
					work.done(result);
				else
					work.failed(why);
			}
		});
	}

	/** The control socket has a name in the file system. */
	private static final class SocketDoor implements Door {
		private final String path;

		SocketDoor(String path) {
			this.path = path;
		}

		@Override
		public Connection open() throws IOException {
			final LocalSocket socket = new LocalSocket();
			try {
				socket.connect(new LocalSocketAddress(path, LocalSocketAddress.Namespace.FILESYSTEM));
			} catch (IOException e) {
				socket.close();
				throw e;
			}
			return new Connection() {
				@Override
				public InputStream in() throws IOException {
					return socket.getInputStream();
				}

				@Override
				public OutputStream out() throws IOException {
					return socket.getOutputStream();
				}

				/** close() alone does not end a read that waits. */
				@Override
				public void close() throws IOException {
					try {
						socket.shutdownInput();
						socket.shutdownOutput();
					} catch (IOException e) {
						socket.close();
						return;
					}
					socket.close();
				}
			};
		}
	}
}
