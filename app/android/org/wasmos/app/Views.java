/* Views.java - the few views that the activities are made of, with sizes that follow the person's settings. */
package org.wasmos.app;

import android.content.Context;
import android.util.TypedValue;
import android.view.View;
import android.view.ViewGroup;
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

	static String size(Context context, long bytes) {
		if (bytes < 10L << 20)
			return context.getString(R.string.bytes_kib, Long.valueOf((bytes + 1023) / 1024));
		return context.getString(R.string.bytes_mib, Double.valueOf(bytes / 1048576.0));
	}
}
