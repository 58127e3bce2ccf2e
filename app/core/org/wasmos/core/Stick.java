/* Stick.java - a finger on a round field as arrow keys: eight directions, with a still middle.
 *
 * A direction once taken is kept until the finger is well inside its neighbour: at the border it does not flutter. */
package org.wasmos.core;

import java.util.HashSet;
import java.util.Set;

public final class Stick {
	private static final double STILL = 0.25; // of the radius
	private static final double SECTOR = Math.PI / 4, STICKY = SECTOR * 0.12;
	private static final int NONE = -1;
	/** By sector, from the right, clockwise (y grows downwards). */
	private static final int[][] KEYS = {{Usage.RIGHT}, {Usage.RIGHT, Usage.DOWN}, {Usage.DOWN},
			{Usage.LEFT, Usage.DOWN}, {Usage.LEFT}, {Usage.LEFT, Usage.UP}, {Usage.UP}, {Usage.RIGHT, Usage.UP}};
	private int sector = NONE;

	/** The finger's place from the middle, in radii. */
	public Set<Integer> move(double x, double y) {
		if (x * x + y * y < STILL * STILL)
			return up();
		double angle = Math.atan2(y, x);
		int now = (int) Math.round(angle / SECTOR) & 7;
		if (sector != NONE && now != sector) {
			double off = Math.abs(Math.IEEEremainder(angle - sector * SECTOR, 2 * Math.PI));
			if (off < SECTOR / 2 + STICKY)
				now = sector;
		}
		sector = now;
		return keys();
	}

	/** The finger is gone. */
	public Set<Integer> up() {
		sector = NONE;
		return keys();
	}

	private Set<Integer> keys() {
		Set<Integer> keys = new HashSet<Integer>();
		if (sector != NONE)
			for (int key : KEYS[sector])
				keys.add(key);
		return keys;
	}
}
