/* PadView.java - the controls over a picture: a stick on one side, buttons on the other, each a view that TalkBack can name.
 *
 * Fingers are told apart by Android's split of touches over views; which keys are down is core's HeldKeys. */
package org.wasmos.app;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.view.Gravity;
import android.view.MotionEvent;
import android.view.View;
import android.widget.Button;
import android.widget.FrameLayout;
import android.widget.GridLayout;
import java.util.Collections;
import org.wasmos.core.HeldKeys;
import org.wasmos.core.Stick;
import org.wasmos.core.Usage;

final class PadView extends FrameLayout {
	private static final int STICK_DP = 168, BUTTON_DP = 72, MARGIN_DP = 12, COLUMNS = 3;
	/** Text, usage: as DOOM has them, which is what most such programs do. */
	private static final int[][] BUTTONS = {{R.string.key_menu, Usage.ESCAPE}, {R.string.key_enter, Usage.ENTER},
			{R.string.key_yes, Usage.Y}, {R.string.key_map, Usage.TAB}, {R.string.key_run, Usage.SHIFT},
			{R.string.key_weapon, Usage.DIGIT_1 + 2}, {R.string.key_use, Usage.SPACE}, {R.string.key_fire, Usage.CTRL}};

	PadView(Context context, HeldKeys keys) {
		super(context);
		setMotionEventSplittingEnabled(true);
		int margin = Views.dp(context, MARGIN_DP), side = Views.dp(context, STICK_DP);
		LayoutParams left = new LayoutParams(side, side, Gravity.BOTTOM | Gravity.START);
		left.setMargins(margin, margin, margin, margin);
		addView(new StickView(context, keys), left);
		GridLayout grid = new GridLayout(context);
		grid.setColumnCount(COLUMNS);
		grid.setMotionEventSplittingEnabled(true);
		for (int[] b : BUTTONS)
			grid.addView(button(context, keys, b[0], b[1]));
		LayoutParams right = new LayoutParams(Views.WRAP, Views.WRAP, Gravity.BOTTOM | Gravity.END);
		right.setMargins(margin, margin, margin, margin);
		addView(grid, right);
	}

	/** Only the controls take touches: between them the finger is on the picture. */
	@Override
	public boolean onTouchEvent(MotionEvent e) {
		return false;
	}

	private static Button button(Context context, HeldKeys keys, int text, int usage) {
		KeyButton b = new KeyButton(context, keys, usage);
		b.setText(text);
		b.setAllCaps(false);
		b.setMinimumHeight(Views.dp(context, Views.TOUCH));
		b.setMinimumWidth(Views.dp(context, BUTTON_DP));
		b.setAlpha(0.7f);
		return b;
	}

	/** A key that is down as long as the finger is. A press by TalkBack or a keyboard is a short one. */
	private static final class KeyButton extends Button {
		private static final int SHORT_MS = 80;
		private final HeldKeys keys;
		private final int usage;

		KeyButton(Context context, HeldKeys keys, int usage) {
			super(context);
			this.keys = keys;
			this.usage = usage;
		}

		@Override
		public boolean onTouchEvent(MotionEvent e) {
			int action = e.getActionMasked();
			if (action == MotionEvent.ACTION_DOWN) {
				setPressed(true);
				keys.press(this, usage);
			} else if (action == MotionEvent.ACTION_UP || action == MotionEvent.ACTION_CANCEL) {
				setPressed(false);
				keys.release(this, usage);
			}
			return true;
		}

		@Override
		public boolean performClick() {
			super.performClick();
			keys.press(this, usage);
			postDelayed(new Runnable() {
				@Override
				public void run() {
					keys.release(KeyButton.this, usage);
				}
			}, SHORT_MS);
			return true;
		}
	}

	private static final class StickView extends View {
		private final HeldKeys keys;
		private final Stick stick = new Stick();
		private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
		private float x, y;

		StickView(Context context, HeldKeys keys) {
			super(context);
			this.keys = keys;
			paint.setColor(context.getColor(R.color.pad));
			setContentDescription(context.getString(R.string.stick));
		}

		@Override
		public boolean onTouchEvent(MotionEvent e) {
			int action = e.getActionMasked();
			float radius = getWidth() / 2f;
			if (action == MotionEvent.ACTION_UP || action == MotionEvent.ACTION_CANCEL) {
				x = y = 0;
				keys.hold(this, stick.up());
			} else {
				x = (e.getX() - radius) / radius;
				y = (e.getY() - radius) / radius;
				keys.hold(this, stick.move(x, y));
			}
			invalidate();
			return true;
		}

		@Override
		protected void onDetachedFromWindow() {
			keys.hold(this, Collections.<Integer>emptySet());
			super.onDetachedFromWindow();
		}

		@Override
		protected void onDraw(Canvas canvas) {
			float radius = getWidth() / 2f, knob = radius / 3;
			float far = (float) Math.max(1, Math.hypot(x, y));
			paint.setStyle(Paint.Style.STROKE);
			paint.setStrokeWidth(radius / 24);
			canvas.drawCircle(radius, radius, radius * 0.95f, paint);
			paint.setStyle(Paint.Style.FILL);
			canvas.drawCircle(radius + x / far * (radius - knob), radius + y / far * (radius - knob), knob, paint);
		}
	}
}
