/* PairActivity.java - pairing: the words of this device, or those of the other one, and the question on both sides. The state is
 * core's Pairing; this only draws it. */
package org.wasmos.app;

import android.app.Activity;
import android.graphics.Typeface;
import android.os.Bundle;
import android.text.InputType;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.EditText;
import android.widget.LinearLayout;
import android.widget.ScrollView;
import android.widget.TextView;
import java.io.IOException;
import org.wasmos.core.Call;
import org.wasmos.core.Pairing;
import org.wasmos.core.Row;

public final class PairActivity extends Activity {
	private NodeApp app;
	private final Pairing pairing = new Pairing();
	private volatile Call call;
	private LinearLayout start, question;
	private TextView said, words, asked;
	private EditText typed, address;

	@Override
	protected void onCreate(Bundle saved) {
		super.onCreate(saved);
		app = (NodeApp) getApplication();
		getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
		LinearLayout all = Views.column(this);
		said = Views.text(this, "", Views.NORMAL);
		said.setAccessibilityLiveRegion(View.ACCESSIBILITY_LIVE_REGION_POLITE);
		words = Views.text(this, "", Views.LARGE);
		words.setTypeface(Typeface.MONOSPACE);
		words.setTextIsSelectable(true);
		Views.add(all, said);
		Views.add(all, words);
		Views.add(all, start = startForm());
		Views.add(all, question = questionForm());
		ScrollView scroll = new ScrollView(this);
		scroll.addView(all);
		setContentView(scroll);
		draw();
	}

	private LinearLayout startForm() {
		LinearLayout form = Views.column(this);
		Views.add(form, Views.button(this, R.string.pair_show, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				begin(pairing.show());
			}
		}));
		Views.add(form, Views.text(this, getString(R.string.pair_join), Views.NORMAL));
		typed = field(form, R.string.pair_words_hint);
		address = field(form, R.string.pair_address_hint);
		Views.add(form, Views.button(this, R.string.pair_now, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				join();
			}
		}));
		return form;
	}

	private EditText field(LinearLayout form, int hint) {
		EditText e = new EditText(this);
		e.setHint(hint);
		e.setInputType(InputType.TYPE_CLASS_TEXT | InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS);
		e.setSingleLine(true);
		Views.add(form, e);
		return e;
	}

	private LinearLayout questionForm() {
		LinearLayout form = Views.column(this);
		asked = Views.text(this, "", Views.NORMAL);
		Views.add(form, asked);
		Views.add(form, answerButton(R.string.yes, true));
		Views.add(form, answerButton(R.string.no, false));
		return form;
	}

	private Button answerButton(int text, final boolean yes) {
		return Views.button(this, text, new View.OnClickListener() {
			@Override
			public void onClick(View v) {
				answer(yes);
			}
		});
	}

	private void join() {
		String code = Pairing.readWords(typed.getText().toString());
		String where = Pairing.readAddress(address.getText().toString());
		if (code == null)
			typed.setError(getString(R.string.pair_words_wrong));
		else if (where == null)
			address.setError(getString(R.string.pair_address_wrong));
		else
			begin(pairing.join(code, where));
	}

	/** The request lasts until the two are paired: rows come on a thread of the pool. */
	private void begin(final Row request) {
		draw();
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				if (!request.text("address").isEmpty())
					request.put("address", Pairing.resolve(request.text("address")));
				Call c = new Call(app.door(), request);
				call = c;
				try {
					for (Row row; (row = c.next()) != null;) {
						pairing.row(row);
						drawLater();
					}
				} finally {
					c.close();
				}
				return null;
			}

			@Override
			void done(Object result) {
				pairing.ended();
				draw();
			}

			@Override
			void failed(String why) {
				pairing.failed(why);
				draw();
			}
		});
	}

	private void drawLater() {
		app.main().post(new Runnable() {
			@Override
			public void run() {
				draw();
			}
		});
	}

	private void answer(boolean yes) {
		final Row row = pairing.answer(yes);
		if (row == null)
			return;
		draw();
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return app.node().ask(row);
			}

			@Override
			void done(Object result) {
				draw();
			}

			@Override
			void failed(String why) {
				pairing.failed(why);
				draw();
			}
		});
	}

	private void draw() {
		Pairing.State state = pairing.state();
		boolean asking = state == Pairing.State.ASKING;
		boolean waiting = state == Pairing.State.SHOWING || state == Pairing.State.STARTING
				|| state == Pairing.State.JOINING || state == Pairing.State.FINISHING;
		start.setVisibility(asking || waiting || state == Pairing.State.PAIRED ? View.GONE : View.VISIBLE);
		question.setVisibility(asking ? View.VISIBLE : View.GONE);
		asked.setText(getString(R.string.pair_ask, pairing.name(), pairing.id(), pairing.check()));
		boolean showing = state == Pairing.State.SHOWING;
		words.setVisibility(showing ? View.VISIBLE : View.GONE);
		words.setText(pairing.words() + "\n" + pairing.address());
		words.setContentDescription(
				getString(R.string.pair_words_spoken, pairing.words().replace('-', ' ')) + ", " + pairing.address());
		said.setText(textOf(state));
	}

	private String textOf(Pairing.State state) {
		switch (state) {
		case SHOWING:
			return getString(R.string.pair_show_help) + "\n"
					+ getString(R.string.pair_valid, Long.valueOf(pairing.validSeconds() / 60));
		case PAIRED:
			return getString(R.string.pair_done, pairing.name());
		case FAILED:
			return pairing.trouble();
		case IDLE:
		case ASKING:
			return "";
		default:
			return getString(R.string.pair_wait);
		}
	}

	/** Leaving makes the words void. */
	@Override
	protected void onDestroy() {
		pairing.cancel();
		final Call c = call;
		if (c != null)
			app.work(new NodeApp.Work() {
				@Override
				Object run() throws IOException {
					c.close();
					return null;
				}

				@Override
				void done(Object result) {
					call = null;
				}

				@Override
				void failed(String why) {
					call = null;
				}
			});
		super.onDestroy();
	}
}
