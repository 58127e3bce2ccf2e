/* SessionActivity.java - an activity that shows a process of this device: its session lasts as long as the activity is visible.
 *
 * The process knows nothing of it and runs on without it. S is the session with the node (org.wasmos.core). */
package org.wasmos.app;

import android.app.Activity;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.widget.Toast;
import java.io.Closeable;
import java.io.IOException;

abstract class SessionActivity<S extends Closeable> extends Activity {
	private static final String PID = "pid", NAME = "name";

	private NodeApp app;
	private long pid;
	private String name;
	private volatile Visit visit;

	static Intent of(Context context, Class<? extends Activity> kind, long pid, String name) {
		return new Intent(context, kind).putExtra(PID, pid).putExtra(NAME, name);
	}

	@Override
	protected void onCreate(Bundle saved) {
		super.onCreate(saved);
		app = (NodeApp) getApplication();
		pid = getIntent().getLongExtra(PID, 0);
		name = getIntent().getStringExtra(NAME);
	}

	final NodeApp app() {
		return app;
	}

	final long pid() {
		return pid;
	}

	/** The program's, for people. */
	final String name() {
		return name;
	}

	/** From onStart() to onStop(), or to the program's end. An older one says and touches nothing any more. */
	abstract class Visit extends NodeApp.Work implements Closeable {
		private volatile S session;

		final boolean isCurrent() {
			return visit == this;
		}

		/** On the pool. */
		abstract S open() throws IOException;

		/** On the pool, for as long as the session lasts: what done() gets. */
		abstract Object watch(S session) throws IOException;

		@Override
		final Object run() throws IOException {
			S s = open();
			session = s;
			try {
				return isCurrent() ? watch(s) : null;
			} finally {
				s.close();
			}
		}

		/** Not on the main thread. */
		@Override
		public final void close() throws IOException {
			S s = session;
			if (s != null)
				s.close();
		}
	}

	abstract Visit newVisit();

	/** What draws the process: looked at again when a session is closed. */
	abstract View view();

	/** null: nothing is shown. */
	public final S session() {
		Visit v = visit;
		return v == null ? null : v.session;
	}

	final void say(String text) {
		Toast.makeText(this, text, Toast.LENGTH_LONG).show();
	}

	@Override
	protected void onStart() {
		super.onStart();
		visit = newVisit();
		app.work(visit);
	}

	@Override
	protected void onStop() {
		Visit last = visit;
		visit = null; // first: a session that only begins now sees it
		app.close(last, view());
		super.onStop();
	}
}
