/* DevicesTest.java - the list of devices and programs, and what may be done with each. */
package org.wasmos.test;

import static org.wasmos.test.Runner.same;

import java.util.List;
import org.wasmos.core.Devices;
import org.wasmos.core.Row;

public final class DevicesTest {
	private static Row device(String name, boolean self, boolean up) {
		return new Row().put("id", "id-" + name).put("name", name).put("self", self).put("up", up);
	}

	private static Row process(int pid, String state, String display) {
		return new Row().put("pid", pid).put("name", "p" + pid).put("state", state).put("display", display);
	}

	private static Devices two() {
		Devices d = new Devices();
		d.setDevices(List.of(device("phone", true, true), device("desk", false, true)));
		d.setProcesses("id-phone", List.of(process(1, "running", "client"), process(2, "suspended", "")));
		d.setProcesses("id-desk", List.of(process(9, "waiting", "sdl2"), process(10, "in flight", "")));
		return d;
	}

	public void whatRunsElsewhereCanBeBroughtHere() {
		same(two().all().get(1).processes.get(0).actions(), List.of(Devices.Action.BRING));
		same(two().all().get(1).processes.get(1).actions(), List.of());
	}

	public void whatRunsHereCanBeShownSentAndPutToSleep() {
		same(two().all().get(0).processes.get(0).actions().toString(), "[SHOW, TERMINAL, SEND, SUSPEND, KILL]");
		same(two().all().get(0).processes.get(1).actions().toString(), "[RESUME, KILL]");
	}

	public void aDeviceThatWentAwayHasNoProgramsToBring() {
		Devices d = two();
		d.setDevices(List.of(device("phone", true, true), device("desk", false, false)));
		same(d.all().get(1).processes.size(), 0);
		same(d.all().get(0).processes.size(), 2);
		same(d.targets().size(), 0);
	}

	public void aDeviceThatDoesNotAnswerKeepsItsListAndSaysWhy() {
		Devices d = two();
		d.setTrouble("id-desk", "slow");
		same(d.all().get(1).trouble + d.all().get(1).processes.size(), "slow2");
		d.setTrouble("id-nobody", "x");
		d.setProcesses("id-nobody", List.of());
		same(d.all().size(), 2);
	}

	public void theProcessorStaysAwakeOnlyForWhatRunsHere() {
		Devices d = two();
		same(d.runningHere(), 1);
		d.setProcesses("id-phone", List.of(process(2, "suspended", "")));
		same(d.runningHere(), 0);
	}

	public void oddRowsDoNoHarm() {
		Devices d = new Devices();
		d.setDevices(List.of(new Row(), device("a", true, true), device("a", false, true)));
		d.setProcesses("id-a", List.of(new Row(), new Row().put("pid", "x"), process(-4, "", "")));
		same(d.all().size() + " " + d.all().get(0).processes.size(), "1 0");
	}
}
