/* NodeClient.java - what the app asks its node, each as one method that waits for the answer. Not for the thread that draws. */
package org.wasmos.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

public final class NodeClient {
	private final Door door;

	public NodeClient(Door door) {
		this.door = door;
	}

	/** All rows of a request. */
	public List<Row> ask(Row request) throws IOException {
		List<Row> rows = new ArrayList<Row>();
		Call call = new Call(door, request);
		try {
			for (Row row; (row = call.next()) != null;)
				rows.add(row);
		} finally {
			call.close();
		}
		return rows;
	}

	private Row one(Row request) throws IOException {
		List<Row> rows = ask(request);
		return rows.isEmpty() ? new Row() : rows.get(rows.size() - 1);
	}

	public Row status() throws IOException {
		return one(Row.request("status"));
	}

	public boolean isUp() {
		try {
			status();
			return true;
		} catch (IOException e) {
			return false;
		}
	}

	/** Devices first, then the processes of each that is up. A device that does not answer keeps what was known of it. */
	public void refresh(Devices devices) throws IOException {
		devices.setDevices(ask(Row.request("peers")));
		for (Devices.Device d : devices.all()) {
			if (!d.up)
				continue;
			Row ps = Row.request("ps");
			if (!d.self)
				ps.put("peer", d.id);
			try {
				devices.setProcesses(d.id, ask(ps));
			} catch (Call.Refused e) {
				devices.setTrouble(d.id, e.getMessage());
			}
		}
	}

	/** Starts a program that goes on when the app is closed, and sees the folder home as /home; its number. */
	public long run(String path, List<String> arguments, boolean terminal, String home) throws IOException {
		List<String> argv = new ArrayList<String>();
		argv.add(path);
		argv.addAll(arguments);
		Row run = Row.request("run").put("path", path).put("argv", argv).put("detached", true);
		run.put("env", terminal ? Collections.singletonList("TERM=xterm-256color") : new ArrayList<String>());
		run.put("in_terminal", terminal).put("out_terminal", terminal).put("err_terminal", terminal);
		run.put("cols", 80).put("rows", 24).put("display", "headless");
		run.put("mounts", Arrays.asList(home, "/home", "rw"));
		return one(run).number("pid", 0);
	}

	/** To another device; what it cost. */
	public Row send(long pid, String peer) throws IOException {
		return one(Row.request("migrate").put("pid", pid).put("peer", peer));
	}

	/** From another device to this one; the process's number here is "pid". */
	public Row bring(long pid, String peer) throws IOException {
		return one(Row.request("bring").put("pid", pid).put("peer", peer));
	}

	public void kill(long pid) throws IOException {
		ask(Row.request("kill").put("pid", pid));
	}

	public Row suspend(long pid) throws IOException {
		return one(Row.request("suspend").put("pid", pid));
	}

	public Row resume(long pid) throws IOException {
		return one(Row.request("resume").put("pid", pid));
	}

	/** Memory is short: programs that nobody looks at (all: every one) go to the disk and out of memory; how many did. */
	public long trim(boolean all) throws IOException {
		return one(Row.request("trim").put("all", all)).number("suspended", 0);
	}

	/** Those that trim(), or the node's own watch of memory, put to sleep go on; how many. */
	public long resumeTrimmed() throws IOException {
		return one(Row.request("resume").put("trimmed", true)).number("resumed", 0);
	}

	public void unpair(String peer) throws IOException {
		ask(Row.request("unpair").put("peer", peer));
	}

	public void answer(long question, boolean yes) throws IOException {
		ask(Row.request("pair_answer").put("question", question).put("yes", yes));
	}

	/** Returns when the node is really down. */
	public void down() throws IOException {
		try {
			ask(Row.request("down"));
		} catch (java.io.EOFException e) {
			return; // the end of the connection is the answer
		}
	}
}
