/* TerminalView.java - draws a Vt and takes what is typed: in cells of a fixed-width font whose size follows the person's settings. */
package org.wasmos.app;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.graphics.Typeface;
import android.util.TypedValue;
import android.view.MotionEvent;
import android.view.View;
import android.view.inputmethod.EditorInfo;
import android.view.inputmethod.InputConnection;
import android.view.inputmethod.InputMethodManager;
import org.wasmos.core.Vt;

final class TerminalView extends View {
	interface Listener {
		void typed(CharSequence text);

		void sized(int columns, int rows);
	}

	private static final float TEXT_SP = 13;
	private static final int INK = 0xffe0e0e0, PAPER = Color.BLACK;
	/** The first 16 colours, as xterm has them. */
	private static final int[] COLOURS = {0xff000000, 0xffcd0000, 0xff00cd00, 0xffcdcd00, 0xff3b78ff, 0xffcd00cd, 0xff00cdcd,
			0xffe5e5e5, 0xff7f7f7f, 0xffff0000, 0xff00ff00, 0xffffff00, 0xff5c5cff, 0xffff00ff, 0xff00ffff, 0xffffffff};

	private final Vt vt;
	private final Listener listener;
	private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
	private final float cellWidth, cellHeight, baseline;
	private float scrolled, lastY;

	TerminalView(Context context, Vt vt, Listener listener) {
		super(context);
		this.vt = vt;
		this.listener = listener;
		paint.setTypeface(Typeface.MONOSPACE);
		paint.setTextSize(TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, TEXT_SP,
				context.getResources().getDisplayMetrics()));
		cellWidth = paint.measureText("M");
		cellHeight = paint.getFontSpacing();
		baseline = -paint.ascent();
		setFocusable(true);
		setFocusableInTouchMode(true);
	}

	@Override
	protected void onSizeChanged(int width, int height, int oldWidth, int oldHeight) {
		super.onSizeChanged(width, height, oldWidth, oldHeight);
		listener.sized(Math.max(1, (int) (width / cellWidth)), Math.max(1, (int) (height / cellHeight)));
	}

	// ---- drawing ----

	private static int colour(int c, int missing) {
		if (c == Vt.DEFAULT)
			return missing;
		if (c >= 0x1000000)
			return 0xff000000 | (c & 0xffffff);
		if (c < COLOURS.length)
			return COLOURS[c];
		if (c >= 232)
			return Color.rgb(8 + 10 * (c - 232), 8 + 10 * (c - 232), 8 + 10 * (c - 232));
		return Color.rgb(level((c - 16) / 36), level((c - 16) / 6 % 6), level((c - 16) % 6));
	}

	private static int level(int step) {
		return step == 0 ? 0 : 55 + 40 * step;
	}

	@Override
	protected void onDraw(Canvas canvas) {
		canvas.drawColor(PAPER);
		synchronized (vt) {
			int back = Math.min(vt.historySize(), (int) (scrolled / cellHeight));
			for (int row = 0; row < vt.rows(); row++)
				for (int column = 0; column < vt.columns(); column++)
					drawCell(canvas, row, column, row - back);
		}
	}

	private void drawCell(Canvas canvas, int row, int column, int source) {
		int style = vt.style(source, column);
		boolean cursor = vt.cursorVisible() && source == vt.cursorRow() && column == vt.cursorColumn();
		boolean inverse = ((style & Vt.INVERSE) != 0) != cursor;
		int ink = colour(vt.ink(source, column), INK), paper = colour(vt.paper(source, column), PAPER);
		float x = column * cellWidth, y = row * cellHeight;
		int back = inverse ? ink : paper;
		if (back != PAPER) {
			paint.setColor(back);
			canvas.drawRect(x, y, x + cellWidth, y + cellHeight, paint);
		}
		int scalar = vt.scalar(source, column);
		if (scalar == ' ' && (style & Vt.UNDERLINE) == 0)
			return;
		paint.setColor(inverse ? paper : ink);
		paint.setFakeBoldText((style & Vt.BOLD) != 0);
		paint.setUnderlineText((style & Vt.UNDERLINE) != 0);
		canvas.drawText(new String(Character.toChars(scalar)), x, y + baseline, paint);
	}

	// ---- the finger: looks back, or calls the keyboard ----

	@Override
	public boolean onTouchEvent(MotionEvent e) {
		if (e.getActionMasked() == MotionEvent.ACTION_DOWN) {
			lastY = e.getY();
		} else if (e.getActionMasked() == MotionEvent.ACTION_MOVE) {
			float most = vt.historySize() * cellHeight;
			scrolled = Math.max(0, Math.min(most, scrolled + e.getY() - lastY));
			lastY = e.getY();
			invalidate();
		} else if (e.getActionMasked() == MotionEvent.ACTION_UP && e.getEventTime() - e.getDownTime() < 300) {
			performClick();
		}
		return true;
	}

	@Override
	public boolean performClick() {
		super.performClick();
		requestFocus();
		InputMethodManager input = (InputMethodManager) getContext().getSystemService(Context.INPUT_METHOD_SERVICE);
		input.showSoftInput(this, 0);
		return true;
	}

	@Override
	public boolean onCheckIsTextEditor() {
		return true;
	}

	@Override
	public InputConnection onCreateInputConnection(EditorInfo info) {
		return Views.keyboard(this, info, new Views.Typist() {
			@Override
			public void typed(CharSequence text) {
				scrolled = 0;
				listener.typed(text);
			}
		}, "\177");
	}
}
