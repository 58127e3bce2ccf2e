/* Usage.java - keys as WasmOS names them, USB HID usages of page 7, and Android's key codes as those.
 *
 * Android's numbers are written out: this class knows no Android. */
package org.wasmos.core;

public final class Usage {
	public static final int A = 4, Y = 28, N = 17, DIGIT_1 = 30, DIGIT_0 = 39;
	public static final int ENTER = 40, ESCAPE = 41, BACKSPACE = 42, TAB = 43, SPACE = 44;
	public static final int F1 = 58, PAGE_UP = 75, PAGE_DOWN = 78;
	public static final int RIGHT = 79, LEFT = 80, DOWN = 81, UP = 82;
	public static final int CTRL = 224, SHIFT = 225, ALT = 226, META = 227;

	/** Pairs: Android's code, usage. Letters and digits are ranges. */
	private static final int[] CODES = {
		19, UP, 20, DOWN, 21, LEFT, 22, RIGHT, 23, ENTER, // d-pad
		55, 54, 56, 55, 57, ALT, 58, 230, 59, SHIFT, 60, 229, 61, TAB, 62, SPACE, 66, ENTER, 67, BACKSPACE,
		68, 53, 69, 45, 70, 46, 71, 47, 72, 48, 73, 49, 74, 51, 75, 52, 76, 56, // ` - = [ ] \ ; ' /
		92, PAGE_UP, 93, PAGE_DOWN, 111, ESCAPE, 112, 76, 113, CTRL, 114, 228, 115, 57, 116, 71, 117, META, 118, 231,
		120, 70, 121, 72, 122, 74, 123, 77, 124, 73, 143, 83,
		96, CTRL, 97, SPACE, 99, SHIFT, 100, ENTER, 102, 54, 103, 55, 104, ALT, 105, CTRL, 108, ESCAPE, 109, TAB, // gamepad
		154, 84, 155, 85, 156, 86, 157, 87, 158, 99, 160, 88};

	private Usage() {
	}

	/** 0: no key of ours. */
	public static int ofAndroid(int code) {
		if (code >= 29 && code <= 54)
			return A + code - 29;
		if (code == 7)
			return DIGIT_0;
		if (code >= 8 && code <= 16)
			return DIGIT_1 + code - 8;
		if (code >= 131 && code <= 142)
			return F1 + code - 131;
		if (code >= 144 && code <= 153)
			return code == 144 ? 98 : 89 + code - 145;
		for (int i = 0; i < CODES.length; i += 2)
			if (CODES[i] == code)
				return CODES[i + 1];
		return 0;
	}

	/** Android's meta state as ours: 1 shift, 2 control, 4 alt, 8 meta. */
	public static int modsOfAndroid(int meta) {
		return ((meta & 0x1) != 0 ? 1 : 0) | ((meta & 0x1000) != 0 ? 2 : 0) | ((meta & 0x2) != 0 ? 4 : 0)
				| ((meta & 0x10000) != 0 ? 8 : 0);
	}
}
