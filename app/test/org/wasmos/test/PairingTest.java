/* PairingTest.java - pairing's states, and what a person may type. */
package org.wasmos.test;

import static org.wasmos.test.Runner.check;
import static org.wasmos.test.Runner.same;

import org.wasmos.core.Pairing;
import org.wasmos.core.Row;

public final class PairingTest {
	private static Row event(String name) {
		return new Row().put("event", name).put("words", "a-b-c").put("name", "desk").put("id", "12ab").put("question", 5)
				.put("valid_s", 180);
	}

	public void theOneThatShowsGoesThroughItsStates() {
		Pairing p = new Pairing();
		same(p.show().text("request"), "pair");
		p.row(event("code"));
		same(p.state() + " " + p.words() + " " + p.validSeconds(), "SHOWING a-b-c 180");
		p.row(event("ask"));
		same(p.state() + " " + p.name() + " " + p.id(), "ASKING desk 12ab");
		Row answer = p.answer(true);
		same(answer.number("question", 0) + " " + answer.flag("yes"), "5 true");
		p.row(event("paired"));
		p.ended();
		same(p.state(), Pairing.State.PAIRED);
	}

	public void nobodyIsPairedWithoutTheQuestion() {
		Pairing p = new Pairing();
		p.join("a-b-c", "h:1");
		p.row(event("paired"));
		p.row(event("code"));
		same(p.state(), Pairing.State.JOINING);
		check(p.answer(true) == null, "nothing was asked");
		p.row(event("ask"));
		p.row(event("paired"));
		same(p.state(), Pairing.State.ASKING);
	}

	public void aFailureSaysWhyAndANewOneBegins() {
		Pairing p = new Pairing();
		p.show();
		p.failed("the words were wrong");
		same(p.state() + p.trouble(), "FAILEDthe words were wrong");
		p.show();
		same(p.state() + p.trouble(), "STARTING");
		p.cancel();
		p.failed("late");
		same(p.state(), Pairing.State.IDLE);
	}

	public void wordsMayBePartedInManyWays() {
		for (String typed : new String[] {"acorn-badge-copper", " Acorn badge  COPPER ", "acorn, badge, copper", "aco bad cop"})
			check(Pairing.readWords(typed) != null, typed);
		for (String typed : new String[] {"", "acorn badge", "acorn badge copper four", "acorn b4dge copper", "ac ba co", "--"})
			check(Pairing.readWords(typed) == null, typed);
		same(Pairing.readWords("Acorn  badge,copper"), "acorn-badge-copper");
	}

	public void anAddressMayLackItsPortAndBeAName() throws Exception {
		same(Pairing.readAddress(" 192.0.2.7 "), "192.0.2.7:4747");
		same(Pairing.readAddress("desk.local:80"), "desk.local:80");
		same(Pairing.resolve("localhost:80").replace("[0:0:0:0:0:0:0:1]", "127.0.0.1"), "127.0.0.1:80");
		same(Pairing.resolve("192.0.2.7:4747"), "192.0.2.7:4747");
		same(Pairing.readAddress("[fe80::1%wlan0]:4747"), "[fe80::1%wlan0]:4747");
		for (String typed : new String[] {"", "a b", "host:", "host:99999", "fe80::1", "x:1:2"})
			check(Pairing.readAddress(typed) == null, typed);
	}
}
