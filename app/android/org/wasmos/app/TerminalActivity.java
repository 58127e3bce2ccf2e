/* TerminalActivity.java - the terminal of a text program of this device, with the keys that a phone's keyboard lacks. */
package org.wasmos.app;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.KeyEvent;
import android.view.View;
import android.widget.Button;
import android.widget.HorizontalScrollView;
import android.widget.LinearLayout;
import java.io.IOException;
import org.wasmos.core.TerminalSession;
import org.wasmos.core.Vt;

public final class TerminalActivity extends SessionActivity<TerminalSession> implements TerminalView.Listener {
	private static final String ESCAPE = "\033";
	private static final int COLUMNS = 80, ROWS = 24;

	private final Vt vt = new Vt(COLUMNS, ROWS);
	private TerminalView view;
	private Button control;
	private boolean controlHeld;

	static Intent of(Context context, long pid, String name) {
		return of(context, TerminalActivity.class, pid, name);
	}

	@Override
	protected void onCreate(Bundle saved) {
		super.onCreate(saved);
		view = new TerminalView(this, vt, this);
		view.setContentDescription(getString(R.string.terminal_spoken, name()));
		LinearLayout all = new LinearLayout(this);
		all.setOrientation(LinearLayout.VERTICAL);
		all.setFitsSystemWindows(true);
		all.addView(view, new LinearLayout.LayoutParams(Views.MATCH, 0, 1));
		HorizontalScrollView scroll = new HorizontalScrollView(this);
		scroll.addView(keys());
		all.addView(scroll, new LinearLayout.LayoutParams(Views.MATCH, Views.WRAP));
		setContentView(all);
	}

	private LinearLayout keys() {
		LinearLayout bar = new LinearLayout(this);
		control = Views.button(this, R.string.key_ctrl, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				holdControl(!controlHeld);
			}
		});
		bar.addView(control);
		bar.addView(key(R.string.key_escape, ESCAPE));
		bar.addView(key(R.string.key_tab, "\t"));
		String[][] arrows = {{"\u2190", "D"}, {"\u2193", "B"}, {"\u2191", "A"}, {"\u2192", "C"}};
		for (final String[] arrow : arrows) {
			Button b = Views.button(this, R.string.key_tab, new View.OnClickListener() {
				@Override
				public void onClick(View v) {
					type(arrow(arrow[1]));
				}
			});
			b.setText(arrow[0]);
			bar.addView(b);
		}
		return bar;
	}

	private Button key(int text, final String bytes) {
		return Views.button(this, text, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				type(bytes);
			}
		});
	}

	private void holdControl(boolean held) {
		controlHeld = held;
		control.setSelected(held);
		control.setAlpha(held ? 1 : 0.6f);
	}

	private String arrow(String letter) {
		return ESCAPE + (vt.applicationKeys() ? "O" : "[") + letter;
	}

	private void type(String text) {
		TerminalSession s = session();
		if (s != null)
			s.type(text);
	}

	@Override
	public void typed(CharSequence text) {
		StringBuilder out = new StringBuilder();
		for (char c : text.toString().replace('\n', '\r').toCharArray())
			out.append(controlHeld && c >= '@' && c < 0x7f ? (char) (c & 0x1f) : c);
		holdControl(false);
		type(out.toString());
	}

	@Override
	public void sized(int columns, int rows) {
		TerminalSession s = session();
		if (s != null)
			s.size(columns, rows);
		else
			vt.resize(columns, rows);
	}

	@Override
	public boolean onKeyDown(int code, KeyEvent e) {
		String special = special(code);
		int typed = e.getUnicodeChar(e.getMetaState() & ~KeyEvent.META_CTRL_MASK);
		if (special != null)
			type(special);
		else if (typed > 0 && e.isCtrlPressed() && typed >= '@' && typed < 0x7f)
			type(String.valueOf((char) (typed & 0x1f)));
		else if (typed > 0)
			type(new String(Character.toChars(typed)));
		else
			return super.onKeyDown(code, e);
		return true;
	}

	private String special(int code) {
		switch (code) {
		case KeyEvent.KEYCODE_ENTER:
			return "\r";
		case KeyEvent.KEYCODE_DEL:
			return "\177";
		case KeyEvent.KEYCODE_TAB:
			return "\t";
		case KeyEvent.KEYCODE_ESCAPE:
			return ESCAPE;
		case KeyEvent.KEYCODE_DPAD_UP:
			return arrow("A");
		case KeyEvent.KEYCODE_DPAD_DOWN:
			return arrow("B");
		case KeyEvent.KEYCODE_DPAD_RIGHT:
			return arrow("C");
		case KeyEvent.KEYCODE_DPAD_LEFT:
			return arrow("D");
		default:
			return null;
		}
	}

	// ---- the session ----

	private final class Showing extends Visit implements TerminalSession.Listener {
		@Override
		TerminalSession open() throws IOException {
			return new TerminalSession(app().door(), pid(), vt);
		}

		@Override
		Object watch(TerminalSession session) throws IOException {
			return session.run(this);
		}

		/** The last output stays to be read. */
		@Override
		void done(Object end) {
			if (isCurrent() && !((String) end).isEmpty())
				say(getString(R.string.program_ended, end));
		}

		@Override
		void failed(String why) {
			if (isCurrent())
				say(why);
		}

		@Override
		public void changed(Vt changed) {
			view.postInvalidate();
		}
	}

	@Override
	Visit newVisit() {
		return new Showing();
	}

	@Override
	View view() {
		return view;
	}

	@Override
	protected void onStart() {
		holdControl(false);
		super.onStart();
	}
}
