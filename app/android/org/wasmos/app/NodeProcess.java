/* NodeProcess.java - the node as a child process of the app: started, watched, started again when it ended by itself.
 *
 * The program is libwasmos.so in nativeLibraryDir: nothing else of an app may be executed. It stays in the foreground, so that
 * its end is ours to see; when Android kills the app the child goes with it, and NodeService is started again later. One
 * thread of its own; start() and stop() may be called from any. */
package org.wasmos.app;

import android.os.Build;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

final class NodeProcess {
	interface Listener {
		/** It ended by itself too often. Any thread. */
		void gaveUp();
	}

	private static final int TRIES = 5;
	private static final long TRIES_MS = 60000, STOP_MS = 20000, AGAIN_MS = 500;

	private final NodeApp app;
	private final Listener listener;
	private Process process;
	private boolean wanted;

	NodeProcess(NodeApp app, Listener listener) {
		this.app = app;
		this.listener = listener;
	}

	static File log(NodeApp app) {
		return new File(app.getFilesDir(), "node.out");
	}

	/** Again is nothing. */
	synchronized void start() {
		if (wanted)
			return;
		wanted = true;
		Thread thread = new Thread("node") {
			@Override
			public void run() {
				keep();
			}
		};
		thread.start();
	}

	private synchronized boolean isWanted() {
		return wanted;
	}

	private void keep() {
		long first = System.currentTimeMillis();
		for (int tries = 0; isWanted(); tries++) {
			if (System.currentTimeMillis() - first > TRIES_MS) {
				first = System.currentTimeMillis();
				tries = 0;
			}
			if (tries == TRIES) {
				synchronized (this) {
					wanted = false;
				}
				listener.gaveUp();
				return;
			}
			runOnce();
		}
	}

	private void runOnce() {
		try {
			Process p = launch();
			synchronized (this) {
				process = p;
			}
			p.waitFor();
			Thread.sleep(AGAIN_MS);
		} catch (IOException e) {
			pause();
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		}
	}

	private static void pause() {
		try {
			Thread.sleep(AGAIN_MS);
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		}
	}

	private Process launch() throws IOException {
		String program = app.getApplicationInfo().nativeLibraryDir + "/libwasmos.so";
		String name = Build.MODEL == null || Build.MODEL.isEmpty() ? "phone" : Build.MODEL;
		ProcessBuilder b = new ProcessBuilder(program, "up", "--foreground", "--home", app.home().getPath(), "--name",
				name, "--display", "headless");
		b.directory(app.getFilesDir());
		b.environment().put("HOME", app.getFilesDir().getPath());
		b.environment().put("TMPDIR", app.getCacheDir().getPath());
		b.environment().put("XDG_RUNTIME_DIR", app.getCacheDir().getPath());
		b.redirectErrorStream(true);
		b.redirectOutput(log(app));
		Process p = b.start();
		p.getOutputStream().close();
		return p;
	}

	/** Waits until the node has put its programs to sleep and is down; ends it when that takes too long. Not on the main
	 * thread. */
	void stop() {
		Process p;
		synchronized (this) {
			wanted = false;
			p = process;
			process = null;
		}
		try {
			app.node().down();
		} catch (IOException e) {
			if (p != null)
				p.destroy();
		}
		try {
			if (p != null && !p.waitFor(STOP_MS, TimeUnit.MILLISECONDS))
				p.destroyForcibly();
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		}
	}
}
