/* ScreenView.java - the picture of a process on a surface, as large as fits, and the finger on it as the mouse.
 *
 * Frames are drawn on the session's thread, again when the surface changed on the main one; `drawing` is held meanwhile. */
package org.wasmos.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.graphics.Rect;
import android.view.InputDevice;
import android.view.MotionEvent;
import android.view.SurfaceHolder;
import android.view.SurfaceView;
import android.view.inputmethod.EditorInfo;
import android.view.inputmethod.InputConnection;
import org.wasmos.core.Fit;
import org.wasmos.core.Picture;
import org.wasmos.core.ScreenSession;

final class ScreenView extends SurfaceView implements SurfaceHolder.Callback {
	/** Whose picture this is. */
	interface Screen extends Views.Typist {
		/** Where the finger goes; null: nowhere. */
		ScreenSession session();
	}

	private static final int LEFT_BUTTON = 1;
	private final Object drawing = new Object();
	private final Paint paint = new Paint(Paint.FILTER_BITMAP_FLAG);
	private final Screen screen;
	private Bitmap bitmap;
	private double aspect = 1;
	private boolean ready;
	private int lastX, lastY;

	ScreenView(Context context, Screen screen) {
		super(context);
		this.screen = screen;
		setFocusable(true);
		setFocusableInTouchMode(true);
		getHolder().addCallback(this);
	}

	/** Any thread. */
	void show(Picture picture) {
		synchronized (drawing) {
			synchronized (picture) {
				int w = picture.width(), h = picture.height();
				if (w == 0 || h == 0)
					return;
				if (bitmap == null || bitmap.getWidth() != w || bitmap.getHeight() != h)
					bitmap = Bitmap.createBitmap(w, h, Bitmap.Config.ARGB_8888);
				bitmap.setPixels(picture.pixels(), 0, w, 0, 0, w, h);
				aspect = picture.aspect();
			}
			draw();
		}
	}

	private Fit fit() {
		return new Fit(getWidth(), getHeight(), bitmap.getWidth(), bitmap.getHeight(), aspect);
	}

	private void draw() {
		if (!ready || bitmap == null)
			return;
		Canvas canvas = getHolder().lockCanvas();
		if (canvas == null)
			return;
		try {
			Fit f = fit();
			canvas.drawColor(Color.BLACK);
			canvas.drawBitmap(bitmap, null, new Rect(f.left, f.top, f.left + f.width, f.top + f.height), paint);
		} finally {
			getHolder().unlockCanvasAndPost(canvas);
		}
	}

	@Override
	public void surfaceCreated(SurfaceHolder holder) {
		synchronized (drawing) {
			ready = true;
		}
	}

	@Override
	public void surfaceChanged(SurfaceHolder holder, int format, int width, int height) {
		synchronized (drawing) {
			draw();
		}
	}

	@Override
	public void surfaceDestroyed(SurfaceHolder holder) {
		synchronized (drawing) {
			ready = false;
		}
	}

	// ---- the finger ----

	@Override
	public boolean onTouchEvent(MotionEvent e) {
		ScreenSession s = screen.session();
		int x, y;
		synchronized (drawing) {
			if (s == null || bitmap == null)
				return false;
			Fit f = fit();
			x = f.column(e.getX());
			y = f.row(e.getY());
		}
		switch (e.getActionMasked()) {
		case MotionEvent.ACTION_DOWN:
			point(s, x, y, true);
			s.button(LEFT_BUTTON, true, x, y);
			return true;
		case MotionEvent.ACTION_MOVE:
			point(s, x, y, false);
			return true;
		case MotionEvent.ACTION_UP:
		case MotionEvent.ACTION_CANCEL:
			s.button(LEFT_BUTTON, false, x, y);
			return true;
		default:
			return false;
		}
	}

	/** A mouse: its wheel, and where it is without a button. */
	@Override
	public boolean onGenericMotionEvent(MotionEvent e) {
		ScreenSession s = screen.session();
		if (s == null || !e.isFromSource(InputDevice.SOURCE_CLASS_POINTER))
			return super.onGenericMotionEvent(e);
		if (e.getActionMasked() == MotionEvent.ACTION_SCROLL) {
			s.wheel(Math.round(e.getAxisValue(MotionEvent.AXIS_HSCROLL)), -Math.round(e.getAxisValue(MotionEvent.AXIS_VSCROLL)));
			return true;
		}
		synchronized (drawing) {
			if (bitmap == null || e.getActionMasked() != MotionEvent.ACTION_HOVER_MOVE)
				return super.onGenericMotionEvent(e);
			Fit f = fit();
			point(s, f.column(e.getX()), f.row(e.getY()), false);
			return true;
		}
	}

	/** A finger that comes down anew has not moved there. */
	private void point(ScreenSession s, int x, int y, boolean isNew) {
		s.pointer(x, y, isNew ? 0 : x - lastX, isNew ? 0 : y - lastY);
		lastX = x;
		lastY = y;
	}

	// ---- the keyboard on the screen ----

	@Override
	public boolean onCheckIsTextEditor() {
		return true;
	}

	@Override
	public InputConnection onCreateInputConnection(EditorInfo info) {
		return Views.keyboard(this, info, screen, "\b");
	}
}
