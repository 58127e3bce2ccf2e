/* ScreenActivity.java - a process of this device on the whole screen: picture, controls, keys and sound.
 *
 * The session lasts while the activity is visible (also beside another app in multi-window); without it the process runs on,
 * unseen and silent. Rotation changes nothing but the size. Back leaves the process running. */
package org.wasmos.app;

import android.content.Context;
import android.content.Intent;
import android.content.res.Configuration;
import android.media.AudioManager;
import android.os.Bundle;
import android.view.Gravity;
import android.view.KeyCharacterMap;
import android.view.KeyEvent;
import android.view.View;
import android.view.WindowManager;
import android.view.inputmethod.InputMethodManager;
import android.widget.FrameLayout;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.IOException;
import org.wasmos.core.HeldKeys;
import org.wasmos.core.Picture;
import org.wasmos.core.ScreenSession;
import org.wasmos.core.Usage;

public final class ScreenActivity extends SessionActivity<ScreenSession>
		implements ScreenView.Screen, HeldKeys.Listener {
	private ScreenView view;
	private PadView pad;
	private TextView note;
	private final HeldKeys keys = new HeldKeys(this);

	static Intent of(Context context, long pid, String name) {
		return of(context, ScreenActivity.class, pid, name);
	}

	@Override
	protected void onCreate(Bundle saved) {
		super.onCreate(saved);
		getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
		setVolumeControlStream(AudioManager.STREAM_MUSIC);
		FrameLayout all = new FrameLayout(this);
		view = new ScreenView(this, this);
		view.setContentDescription(getString(R.string.screen_spoken, name()));
		note = Views.text(this, getString(R.string.screen_waits), Views.NORMAL);
		note.setGravity(Gravity.CENTER);
		pad = new PadView(this, keys);
		all.addView(view, new FrameLayout.LayoutParams(Views.MATCH, Views.MATCH));
		all.addView(note, new FrameLayout.LayoutParams(Views.MATCH, Views.WRAP, Gravity.CENTER));
		all.addView(pad, new FrameLayout.LayoutParams(Views.MATCH, Views.MATCH));
		all.addView(bar(), new FrameLayout.LayoutParams(Views.WRAP, Views.WRAP, Gravity.TOP | Gravity.END));
		setContentView(all);
		boolean typed = getResources().getConfiguration().keyboard == Configuration.KEYBOARD_QWERTY;
		pad.setVisibility(typed ? View.GONE : View.VISIBLE);
	}

	private View bar() {
		LinearLayout bar = new LinearLayout(this);
		bar.setAlpha(0.6f);
		bar.addView(Views.button(this, R.string.keyboard, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				view.requestFocus();
				InputMethodManager input = (InputMethodManager) getSystemService(Context.INPUT_METHOD_SERVICE);
				input.showSoftInput(view, 0);
			}
		}));
		bar.addView(Views.button(this, R.string.controls, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				pad.setVisibility(pad.getVisibility() == View.VISIBLE ? View.GONE : View.VISIBLE);
			}
		}));
		return bar;
	}

	@Override
	public void onWindowFocusChanged(boolean has) {
		super.onWindowFocusChanged(has);
		if (has)
			getWindow().getDecorView().setSystemUiVisibility(View.SYSTEM_UI_FLAG_IMMERSIVE_STICKY
					| View.SYSTEM_UI_FLAG_FULLSCREEN | View.SYSTEM_UI_FLAG_HIDE_NAVIGATION);
		else
			keys.releaseAll();
		ScreenSession s = session();
		if (s != null)
			s.focus(has);
	}

	// ---- the session ----

	private final class Showing extends Visit implements ScreenSession.Listener {
		private ScreenSession watched; // both: watch()'s thread
		private Speaker speaker;

		@Override
		ScreenSession open() throws IOException {
			return new ScreenSession(app().door(), pid());
		}

		@Override
		Object watch(ScreenSession session) throws IOException {
			watched = session;
			try {
				return session.run(this);
			} finally {
				if (speaker != null)
					speaker.stop();
			}
		}

		@Override
		void done(Object result) {
			ScreenSession.End end = (ScreenSession.End) result;
			if (!isCurrent() || end == null)
				return;
			if (end.exited)
				leave(getString(R.string.program_ended, end.text));
			else if (!end.device.isEmpty())
				leave(getString(R.string.program_left, end.device));
			else
				leave(getString(R.string.program_asleep));
		}

		@Override
		void failed(String why) {
			if (isCurrent())
				leave(why);
		}

		@Override
		public void frame(Picture picture) {
			if (isCurrent())
				view.show(picture);
		}

		@Override
		public void mode(final Picture picture) {
			int rate = picture.rate(), channels = picture.channels();
			if (speaker != null && !speaker.is(rate, channels)) {
				speaker.stop();
				speaker = null;
			}
			if (speaker == null && rate > 0)
				speaker = new Speaker(app(), watched, rate, channels);
			final boolean open = picture.format() != 0;
			final String title = picture.title().isEmpty() ? name() : picture.title();
			app().main().post(new Runnable() {
				@Override
				public void run() {
					note.setVisibility(open ? View.GONE : View.VISIBLE);
					setTitle(title);
				}
			});
		}

		@Override
		public void sound(byte[] samples) {
			if (speaker != null)
				speaker.sound(samples);
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

	private void leave(String why) {
		say(why);
		finish();
	}

	@Override
	protected void onStop() {
		keys.releaseAll();
		super.onStop();
	}

	// ---- keys ----

	@Override
	public void key(int usage, boolean down) {
		ScreenSession s = session();
		if (s != null)
			s.key(usage, down ? 1 : 0, 0);
	}

	@Override
	public boolean dispatchKeyEvent(KeyEvent e) {
		int usage = Usage.ofAndroid(e.getKeyCode());
		if (usage == 0 || e.getAction() == KeyEvent.ACTION_MULTIPLE)
			return super.dispatchKeyEvent(e);
		if (pad.hasFocus() && e.getKeyCode() != KeyEvent.KEYCODE_ESCAPE)
			return super.dispatchKeyEvent(e);
		if (e.getAction() == KeyEvent.ACTION_DOWN && e.getRepeatCount() == 0) {
			keys.press(this, usage);
			int typed = e.getUnicodeChar();
			ScreenSession s = session();
			if (s != null && typed > 0 && (typed & KeyCharacterMap.COMBINING_ACCENT) == 0)
				s.text(typed);
		} else if (e.getAction() == KeyEvent.ACTION_UP) {
			keys.release(this, usage);
		}
		return true;
	}

	/** Text of the keyboard on the screen: as text, and as the keys that would make it. */
	@Override
	public void typed(CharSequence text) {
		ScreenSession s = session();
		KeyEvent[] events = KeyCharacterMap.load(KeyCharacterMap.VIRTUAL_KEYBOARD)
				.getEvents(text.toString().toCharArray());
		for (int i = 0; events != null && i < events.length; i++) {
			int usage = Usage.ofAndroid(events[i].getKeyCode());
			if (s != null && usage != 0)
				s.key(usage, events[i].getAction() == KeyEvent.ACTION_DOWN ? 1 : 0,
						Usage.modsOfAndroid(events[i].getMetaState()));
		}
		for (int i = 0; s != null && i < text.length();) {
			int scalar = Character.codePointAt(text, i);
			i += Character.charCount(scalar);
			if (scalar >= ' ')
				s.text(scalar);
			else if (events == null)
				tap(s, scalar == '\b' ? Usage.BACKSPACE : Usage.ENTER);
		}
	}

	private static void tap(ScreenSession s, int usage) {
		s.key(usage, 1, 0);
		s.key(usage, 0, 0);
	}
}
