/* Fit.java - where a picture stands in a view: as large as fits, in its shape, in the middle; and which pixel is touched. */
package org.wasmos.core;

public final class Fit {
	public final int left, top, width, height;
	private final int pictureWidth, pictureHeight;

	/** aspect: the picture's width to its height as it is to be looked at. */
	public Fit(int viewWidth, int viewHeight, int pictureWidth, int pictureHeight, double aspect) {
		boolean wide = (double) viewWidth / Math.max(viewHeight, 1) > aspect;
		width = Math.max(1, wide ? (int) Math.round(viewHeight * aspect) : viewWidth);
		height = Math.max(1, wide ? viewHeight : (int) Math.round(viewWidth / aspect));
		left = (viewWidth - width) / 2;
		top = (viewHeight - height) / 2;
		this.pictureWidth = pictureWidth;
		this.pictureHeight = pictureHeight;
	}

	/** The picture's column at x of the view, or the nearest one. */
	public int column(double x) {
		return clamp((x - left) * pictureWidth / width, pictureWidth);
	}

	public int row(double y) {
		return clamp((y - top) * pictureHeight / height, pictureHeight);
	}

	private static int clamp(double at, int size) {
		return (int) Math.max(0, Math.min(size - 1, Math.floor(at)));
	}
}
