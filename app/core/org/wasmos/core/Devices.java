/* Devices.java - what is shown as the list: this device and the paired ones, and the processes of each.
 *
 * Filled from rows of `peers` and `ps`; one thread fills, any may read the snapshot that all() gives. */
package org.wasmos.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class Devices {
	public enum Action {
		SHOW, TERMINAL, SEND, BRING, SUSPEND, RESUME, KILL
	}

	/** A process of one of the devices. */
	public static final class Process {
		public final long pid;
		public final String name, state, command, display;
		public final long memoryBytes, cpuMs;
		public final boolean here;

		Process(Row row, boolean here) {
			pid = row.number("pid", 0);
			name = row.text("name");
			state = row.text("state");
			command = row.text("command");
			display = row.text("display");
			memoryBytes = row.number("memory_bytes", 0);
			cpuMs = row.number("cpu_ms", 0);
			this.here = here;
		}

		/** What a person may do with it now. */
		public List<Action> actions() {
			List<Action> a = new ArrayList<Action>();
			if (!here) {
				if (runs(state))
					a.add(Action.BRING);
				return a;
			}
			if (runs(state)) {
				a.add(display.isEmpty() ? Action.TERMINAL : Action.SHOW);
				a.add(display.isEmpty() ? Action.SHOW : Action.TERMINAL);
				a.add(Action.SEND);
				a.add(Action.SUSPEND);
			} else if (state.equals("suspended")) {
				a.add(Action.RESUME);
			}
			a.add(Action.KILL);
			return a;
		}

		@Override
		public boolean equals(Object o) {
			return o instanceof Process && ((Process) o).text().equals(text());
		}

		@Override
		public int hashCode() {
			return text().hashCode();
		}

		private String text() {
			return pid + " " + here + " " + state + " " + memoryBytes + " " + display + " " + name + " " + command;
		}
	}

	/** A device: this one first, then the others by name, as the node lists them. */
	public static final class Device {
		public final String id, name, address;
		public final boolean self, up;
		/** Why its processes are not known; "" when they are. */
		public final String trouble;
		public final List<Process> processes;

		Device(Row row, List<Process> processes, String trouble) {
			id = row.text("id");
			name = row.text("name");
			address = row.text("address");
			self = row.flag("self");
			up = row.flag("up");
			this.processes = processes;
			this.trouble = trouble;
		}

		private Device(Device d, List<Process> processes, String trouble) {
			id = d.id;
			name = d.name;
			address = d.address;
			self = d.self;
			up = d.up;
			this.processes = processes;
			this.trouble = trouble;
		}
	}

	private Map<String, Device> devices = new LinkedHashMap<String, Device>();

	/** "running", "waiting": it has a life of its own just now. */
	public static boolean runs(String state) {
		return state.equals("running") || state.equals("waiting");
	}

	/** Rows of `peers`. What is known of a device's processes stays as long as the device is up. */
	public synchronized void setDevices(List<Row> rows) {
		Map<String, Device> now = new LinkedHashMap<String, Device>();
		for (Row row : rows) {
			String id = row.text("id");
			if (id.isEmpty() || now.containsKey(id))
				continue;
			Device before = devices.get(id);
			boolean keep = before != null && row.flag("up");
			List<Process> none = Collections.emptyList();
			now.put(id, new Device(row, keep ? before.processes : none, ""));
		}
		devices = now;
	}

	public synchronized void setProcesses(String id, List<Row> rows) {
		Device d = devices.get(id);
		if (d == null)
			return;
		List<Process> list = new ArrayList<Process>();
		for (Row row : rows)
			if (row.number("pid", 0) > 0)
				list.add(new Process(row, d.self));
		devices.put(id, new Device(d, Collections.unmodifiableList(list), ""));
	}

	public synchronized void setTrouble(String id, String why) {
		Device d = devices.get(id);
		if (d != null)
			devices.put(id, new Device(d, d.processes, why));
	}

	public synchronized List<Device> all() {
		return new ArrayList<Device>(devices.values());
	}

	/** To which a process can be sent. */
	public synchronized List<Device> targets() {
		List<Device> list = new ArrayList<Device>();
		for (Device d : devices.values())
			if (!d.self && d.up)
				list.add(d);
		return list;
	}

	/** How many programs of this device run: the processor must stay awake for them, and only for them. */
	public synchronized int runningHere() {
		int count = 0;
		for (Device d : devices.values())
			if (d.self)
				for (Process p : d.processes)
					if (runs(p.state) || p.state.equals("moving"))
						count++;
		return count;
	}
}
