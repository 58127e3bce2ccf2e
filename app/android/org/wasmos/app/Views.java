/* Views.java - the few views that the activities are made of, with sizes that follow the person's settings. */
package org.wasmos.app;

import android.content.Context;
import android.text.InputType;
import android.util.TypedValue;
import android.view.View;
import android.view.ViewGroup;
import android.view.inputmethod.BaseInputConnection;
import android.view.inputmethod.EditorInfo;
import android.view.inputmethod.InputConnection;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.TextView;

final class Views {
	static final int MATCH = ViewGroup.LayoutParams.MATCH_PARENT, WRAP = ViewGroup.LayoutParams.WRAP_CONTENT;
	static final float SMALL = 14, NORMAL = 16, LARGE = 28;
	/** What a finger needs, in dp. */
	static final int TOUCH = 48, SPACE = 16;

	private Views() {
	}

	static int dp(Context context, float size) {
		return Math.round(TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_DIP, size,
				context.getResources().getDisplayMetrics()));
	}

	static TextView text(Context context, CharSequence text, float sp) {
		TextView v = new TextView(context);
		v.setText(text);
		v.setTextSize(TypedValue.COMPLEX_UNIT_SP, sp);
		v.setPaddingRelative(0, dp(context, 4), 0, dp(context, 4));
		return v;
	}

	static Button button(Context context, int text, View.OnClickListener listener) {
		Button b = new Button(context);
		b.setText(text);
		b.setMinHeight(dp(context, TOUCH));
		b.setOnClickListener(listener);
		return b;
	}

	static LinearLayout column(Context context) {
		LinearLayout l = new LinearLayout(context);
		l.setOrientation(LinearLayout.VERTICAL);
		int space = dp(context, SPACE);
		l.setPaddingRelative(space, space, space, space);
		return l;
	}

	static void add(LinearLayout to, View v) {
		to.addView(v, new LinearLayout.LayoutParams(MATCH, WRAP));
	}

	/** Who gets what is typed on the keyboard on the screen. */
	interface Typist {
		void typed(CharSequence text);
	}

	/** The keyboard on the screen for a view that is no text field: nothing is composed or suggested. erase: what its key to
	 * delete types. */
	static InputConnection keyboard(View view, EditorInfo info, final Typist typist, final String erase) {
		info.inputType = InputType.TYPE_CLASS_TEXT | InputType.TYPE_TEXT_VARIATION_VISIBLE_PASSWORD
				| InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS;
		info.imeOptions = EditorInfo.IME_FLAG_NO_FULLSCREEN | EditorInfo.IME_FLAG_NO_EXTRACT_UI;
		return new BaseInputConnection(view, false) {
			@Override
			public boolean commitText(CharSequence text, int position) {
				typist.typed(text);
				return true;
			}

			@Override
			public boolean deleteSurroundingText(int before, int after) {
				for (int i = 0; i < before; i++)
					typist.typed(erase);
				return true;
			}
		};
	}

	static String size(Context context, long bytes) {
		if (bytes < 10L << 20)
			return context.getString(R.string.bytes_kib, Long.valueOf((bytes + 1023) / 1024));
		return context.getString(R.string.bytes_mib, Double.valueOf(bytes / 1048576.0));
	}
}
