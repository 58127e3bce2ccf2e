/* KeysTest.java - keys, sticks and who holds what. */
package org.wasmos.test;

import static org.wasmos.test.Runner.same;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.wasmos.core.HeldKeys;
import org.wasmos.core.Stick;
import org.wasmos.core.Usage;

public final class KeysTest {
	private final List<String> told = new ArrayList<>();
	private final HeldKeys keys = new HeldKeys((usage, down) -> told.add((down ? "+" : "-") + usage));

	public void aKeyGoesUpWhenTheLastHolderLetsGo() {
		keys.press("button", 4);
		keys.press("keyboard", 4);
		keys.release("button", 4);
		same(told, List.of("+4"));
		keys.release("keyboard", 4);
		keys.release("keyboard", 4);
		same(told, List.of("+4", "-4"));
	}

	public void aTurnOfTheStickLetsGoBeforeItPresses() {
		keys.hold("stick", Set.of(Usage.UP));
		keys.hold("stick", Set.of(Usage.RIGHT));
		same(told, List.of("+82", "-82", "+79"));
	}

	public void lostAttentionLetsGoOfEverything() {
		keys.press("a", 5);
		keys.hold("b", Set.of(6, 7));
		told.clear();
		keys.releaseAll();
		same(told, List.of("-5", "-6", "-7"));
		same(keys.isDown(5), false);
	}

	private static String at(Stick s, double degrees, double far) {
		double a = Math.toRadians(degrees);
		return new TreeSet<>(s.move(far * Math.cos(a), far * Math.sin(a))).toString();
	}

	public void theStickHasEightDirectionsAndAStillMiddle() {
		String[] wanted = {"[79]", "[79, 81]", "[81]", "[80, 81]", "[80]", "[80, 82]", "[82]", "[79, 82]"};
		for (int i = 0; i < 8; i++)
			same(at(new Stick(), 45 * i, 1), wanted[i]);
		same(at(new Stick(), 0, 0.2), "[]");
		same(at(new Stick(), 0, 9), "[79]");
		same(new Stick().up(), Set.of());
	}

	public void atABorderTheStickDoesNotFlutter() {
		Stick s = new Stick();
		same(at(s, 0, 1), "[79]");
		same(at(s, 24, 1), "[79]");
		same(at(s, 30, 1), "[79, 81]");
		same(at(s, 21, 1), "[79, 81]");
		same(at(s, 10, 1), "[79]");
		same(at(s, -24, 1), "[79]");
		same(at(s, 180, 1), "[80]");
		same(at(s, -157, 1), "[80]");
	}

	public void androidsKeysHaveTheirUsages() {
		same(Usage.ofAndroid(29), 4); // A
		same(Usage.ofAndroid(54), 29); // Z
		same(Usage.ofAndroid(8), 30); // 1
		same(Usage.ofAndroid(7), 39); // 0
		same(Usage.ofAndroid(66), 40); // enter
		same(Usage.ofAndroid(21), Usage.LEFT);
		same(Usage.ofAndroid(131), 58); // F1
		same(Usage.ofAndroid(142), 69); // F12
		same(Usage.ofAndroid(113), Usage.CTRL);
		same(Usage.ofAndroid(4), 0); // back stays Android's
		same(Usage.ofAndroid(24), 0); // so does volume
		same(Usage.modsOfAndroid(0x1000 | 0x1), 3);
		Set<Integer> seen = new TreeSet<>();
		for (int code = 0; code < 400; code++)
			if (Usage.ofAndroid(code) > 255)
				seen.add(code);
		same(seen, Set.of());
	}
}
