/* Pairing.java - pairing as the person sees it: a state, what is shown in it, and what leads on.
 *
 *	IDLE --show()--> STARTING --row code--> SHOWING --row ask--> ASKING --answer(yes)--> FINISHING --row paired--> PAIRED
 *	IDLE --join()--> JOINING ----------------row ask--> ASKING ...
 *	any of them --failed()--> FAILED          cancel() --> IDLE
 *
 * It makes no request itself: show(), join() and answer() give the row to send. Rows that do not belong to the state are
 * ignored: they come from outside. */
package org.wasmos.core;

import java.io.IOException;
import java.net.InetAddress;

public final class Pairing {
	public enum State {
		IDLE, STARTING, SHOWING, JOINING, ASKING, FINISHING, PAIRED, FAILED
	}

	private static final int WORDS = 3;
	private State state = State.IDLE;
	private String words = "", address = "", name = "", id = "", check = "", trouble = "";
	private long question, validSeconds;

	public synchronized State state() {
		return state;
	}

	public synchronized String words() {
		return words;
	}

	public synchronized String address() {
		return address;
	}

	/** Of the other device, in ASKING and later. */
	public synchronized String name() {
		return name;
	}

	public synchronized String id() {
		return id;
	}

	/** Two digits, the same on both devices. */
	public synchronized String check() {
		return check;
	}

	public synchronized String trouble() {
		return trouble;
	}

	public synchronized long validSeconds() {
		return validSeconds;
	}

	/** Three words of letters, however they are parted; null when they are not that. */
	public static String readWords(String typed) {
		StringBuilder out = new StringBuilder();
		int count = 0;
		for (String word : typed.trim().toLowerCase(java.util.Locale.ROOT).split("[\\s\\-.,]+")) {
			if (!word.matches("[a-z]{3,16}"))
				return null;
			out.append(count++ > 0 ? "-" : "").append(word);
		}
		return count == WORDS ? out.toString() : null;
	}

	/** "192.0.2.7", "192.0.2.7:4747", "[::1]:4747"; what has no port gets the usual one; null: no address. */
	public static String readAddress(String typed) {
		String t = typed.trim();
		if (t.matches("[A-Za-z0-9.\\-]+"))
			return t + ":4747";
		boolean fits = t.matches("[A-Za-z0-9.\\-]+:[0-9]{1,5}") || t.matches("\\[[0-9A-Fa-f:.%a-z]+\\]:[0-9]{1,5}");
		return fits && Integer.parseInt(t.substring(t.lastIndexOf(':') + 1)) < 65536 ? t : null;
	}

	/** The address with the host's name, if it is one, as a number: the node asks no name server on Android. Waits. */
	public static String resolve(String address) throws IOException {
		int colon = address.lastIndexOf(':');
		String host = address.substring(0, colon);
		if (host.startsWith("[") || host.matches("[0-9.]+"))
			return address;
		String number = InetAddress.getByName(host).getHostAddress();
		return (number.indexOf(':') >= 0 ? "[" + number + "]" : number) + address.substring(colon);
	}

	private Row begin(State s) {
		state = s;
		words = address = name = id = check = trouble = "";
		return Row.request("pair").put("yes", false);
	}

	public synchronized Row show() {
		return begin(State.STARTING);
	}

	/** typed and where as readWords() and readAddress() gave them. */
	public synchronized Row join(String typed, String where) {
		return begin(State.JOINING).put("words", typed).put("address", where);
	}

	public synchronized void row(Row row) {
		String event = row.text("event");
		if (event.equals("code") && state == State.STARTING) {
			words = row.text("words");
			address = row.text("address");
			validSeconds = row.number("valid_s", 0);
			state = State.SHOWING;
		} else if (event.equals("ask") && (state == State.SHOWING || state == State.JOINING)) {
			question = row.number("question", 0);
			name = row.text("name");
			id = row.text("id");
			check = row.text("check");
			state = State.ASKING;
		} else if (event.equals("paired") && state == State.FINISHING) {
			name = row.text("name");
			state = State.PAIRED;
		}
	}

	/** The person's answer; the row to send on a connection of its own, null when nothing was asked. */
	public synchronized Row answer(boolean yes) {
		if (state != State.ASKING)
			return null;
		state = State.FINISHING;
		return Row.request("pair_answer").put("question", question).put("yes", yes);
	}

	public synchronized void failed(String why) {
		if (state == State.PAIRED || state == State.IDLE)
			return;
		state = State.FAILED;
		trouble = why;
	}

	/** The request ended without an error. */
	public synchronized void ended() {
		if (state != State.PAIRED)
			failed("");
	}

	public synchronized void cancel() {
		state = State.IDLE;
	}
}
