/* HeldKeys.java - which keys are down, whoever holds them: a stick, buttons on the screen, a keyboard, a gamepad.
 *
 * Each holder has a set of keys; a key goes down when the first holder holds it and up when the last one lets go. One
 * thread: the one that draws. */
package org.wasmos.core;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

public final class HeldKeys {
	public interface Listener {
		void key(int usage, boolean down);
	}

	private final Listener listener;
	private final Map<Object, Set<Integer>> holders = new HashMap<Object, Set<Integer>>();

	public HeldKeys(Listener listener) {
		this.listener = listener;
	}

	/** The holder holds exactly these keys from now on. Ups come before downs. */
	public void hold(Object holder, Set<Integer> keys) {
		Set<Integer> before = all();
		holders.put(holder, new HashSet<Integer>(keys));
		tell(before);
	}

	public void press(Object holder, int usage) {
		Set<Integer> keys = keysOf(holder);
		keys.add(usage);
		hold(holder, keys);
	}

	public void release(Object holder, int usage) {
		Set<Integer> keys = keysOf(holder);
		keys.remove(usage);
		hold(holder, keys);
	}

	/** Everything goes up: the app lost the person's attention. */
	public void releaseAll() {
		Set<Integer> before = all();
		holders.clear();
		tell(before);
	}

	public boolean isDown(int usage) {
		return all().contains(usage);
	}

	private Set<Integer> keysOf(Object holder) {
		Set<Integer> keys = holders.get(holder);
		return keys == null ? new HashSet<Integer>() : new HashSet<Integer>(keys);
	}

	private Set<Integer> all() {
		Set<Integer> keys = new TreeSet<Integer>();
		for (Set<Integer> of : holders.values())
			keys.addAll(of);
		return keys;
	}

	private void tell(Set<Integer> before) {
		Set<Integer> now = all();
		for (Integer key : before)
			if (!now.contains(key))
				listener.key(key.intValue(), false);
		for (Integer key : now)
			if (!before.contains(key))
				listener.key(key.intValue(), true);
	}
}
