/* Runner.java - runs the tests of the app's logic and says the result as TAP.
 *
 *	java -cp CLASSES org.wasmos.test.Runner [WORD...]     only cases whose name has one of the words
 *
 * A test is a public method without arguments, of a class of LIST; its name is a sentence. Tests that talk with a node need
 * WASMOS, the program, and WASMOS_GUEST, a program with a window (tests/drivers/window_guest.c); without them they are skipped. */
package org.wasmos.test;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

public final class Runner {
	private static final List<Class<?>> LIST = List.of(PackTest.class, PictureTest.class, DevicesTest.class,
			PairingTest.class, KeysTest.class, VtTest.class, NodeTest.class);

	/** A test that cannot run here. */
	static final class Skip extends RuntimeException {
		private static final long serialVersionUID = 1;

		Skip(String why) {
			super(why);
		}
	}

	private Runner() {
	}

	static void check(boolean holds, Object what) {
		if (!holds)
			throw new AssertionError(what);
	}

	static void same(Object got, Object wanted) {
		if (!wanted.equals(got))
			throw new AssertionError("got " + got + ", wanted " + wanted);
	}

	private static String sentence(Method m) {
		StringBuilder s = new StringBuilder();
		for (char c : m.getName().toCharArray()) {
			if (Character.isUpperCase(c))
				s.append(' ');
			s.append(Character.toLowerCase(c));
		}
		return s.toString();
	}

	private static List<Method> tests(String[] words) {
		List<Method> list = new ArrayList<>();
		for (Class<?> c : LIST) {
			List<Method> own = new ArrayList<>();
			for (Method m : c.getDeclaredMethods())
				if (java.lang.reflect.Modifier.isPublic(m.getModifiers()) && m.getParameterCount() == 0)
					own.add(m);
			own.sort(Comparator.comparing(Method::getName));
			for (Method m : own)
				if (words.length == 0 || List.of(words).stream().anyMatch(w -> sentence(m).contains(w)))
					list.add(m);
		}
		return list;
	}

	public static void main(String[] words) throws ReflectiveOperationException {
		List<Method> tests = tests(words);
		int number = 0, failed = 0;
		System.out.println("1.." + tests.size());
		for (Method m : tests) {
			String name = ++number + " - " + m.getDeclaringClass().getSimpleName() + ": " + sentence(m);
			try {
				m.invoke(m.getDeclaringClass().getDeclaredConstructor().newInstance());
				System.out.println("ok " + name);
			} catch (InvocationTargetException e) {
				if (e.getCause() instanceof Skip) {
					System.out.println("ok " + name + " # SKIP " + e.getCause().getMessage());
					continue;
				}
				failed++;
				System.out.println("not ok " + name);
				System.out.println("# " + e.getCause());
				for (StackTraceElement at : e.getCause().getStackTrace())
					if (at.getClassName().startsWith("org.wasmos"))
						System.out.println("#   " + at);
			}
		}
		System.exit(failed > 0 ? 1 : 0);
	}
}
