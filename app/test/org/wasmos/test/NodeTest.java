/* NodeTest.java - the app's logic with a real node: lists, screens, pairing, terminals, sleep. */
package org.wasmos.test;

import static org.wasmos.test.Runner.check;
import static org.wasmos.test.Runner.same;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.wasmos.core.Call;
import org.wasmos.core.Devices;
import org.wasmos.core.Door;
import org.wasmos.core.NodeClient;
import org.wasmos.core.Pairing;
import org.wasmos.core.Picture;
import org.wasmos.core.Row;
import org.wasmos.core.ScreenSession;
import org.wasmos.core.TerminalSession;
import org.wasmos.core.Vt;

public final class NodeTest {
	private static final long WAIT_MS = 20000;
	private static final int KEY_A = 4;

	/** A node in a folder of its own, as NodeProcess starts one. */
	private static final class Node implements AutoCloseable {
		final Path folder, home;
		final Process process;
		final Door door;
		final NodeClient client;

		Node(String name) throws Exception {
			folder = Files.createTempDirectory("wasmos-app");
			home = folder.resolve("home");
			ProcessBuilder b = new ProcessBuilder(program(), "up", "--foreground", "--home", home.toString(), "--name", name,
					"--display", "headless", "--listen", "127.0.0.1:0");
			b.environment().put("XDG_RUNTIME_DIR", folder.toString());
			process = b.redirectErrorStream(true).redirectOutput(folder.resolve("out").toFile()).start();
			door = () -> new Connected(home.resolve("control"));
			client = new NodeClient(door);
			until(client::isUp);
		}

		@Override
		public void close() throws Exception {
			client.down();
			check(process.waitFor(20, java.util.concurrent.TimeUnit.SECONDS), "the node is still there");
			try (java.util.stream.Stream<Path> all = Files.walk(folder)) {
				for (Path p : all.sorted(Comparator.reverseOrder()).toList())
					Files.delete(p);
			}
		}

		long start(String path, boolean terminal) throws IOException {
			return client.run(path, List.of(), terminal, folder.toString());
		}

		Devices devices() {
			Devices d = new Devices();
			try {
				client.refresh(d);
			} catch (IOException e) {
				throw new AssertionError(e);
			}
			return d;
		}
	}

	/** A socket of the JVM, streams that can be used both at once. */
	private static final class Connected implements Door.Connection {
		private final SocketChannel channel;

		Connected(Path path) throws IOException {
			channel = SocketChannel.open(StandardProtocolFamily.UNIX);
			channel.connect(UnixDomainSocketAddress.of(path));
		}

		@Override
		public InputStream in() {
			return Channels.newInputStream(channel);
		}

		@Override
		public OutputStream out() {
			// Not Channels': its streams share a lock with the reader's.
			return new OutputStream() {
				@Override
				public void write(int b) throws IOException {
					write(new byte[] {(byte) b}, 0, 1);
				}

				@Override
				public void write(byte[] b, int from, int size) throws IOException {
					java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(b, from, size);
					while (buffer.hasRemaining())
						channel.write(buffer);
				}
			};
		}

		@Override
		public void close() throws IOException {
			channel.close();
		}
	}

	private static String given(String name) {
		String path = System.getenv(name);
		if (path == null || !Files.exists(Path.of(path)))
			throw new Runner.Skip(name + " names no file");
		return path;
	}

	private static String program() {
		return given("WASMOS");
	}

	private static String guest() {
		return given("WASMOS_GUEST");
	}

	private static void until(BooleanSupplier what) throws InterruptedException {
		long end = System.currentTimeMillis() + WAIT_MS;
		while (!what.getAsBoolean()) {
			check(System.currentTimeMillis() < end, "not within " + WAIT_MS + " ms");
			Thread.sleep(20);
		}
	}

	public void anEmptyNodeIsListed() throws Exception {
		try (Node n = new Node("phone")) {
			same(n.client.status().text("name"), "phone");
			List<Devices.Device> all = n.devices().all();
			same(all.size() + all.get(0).name + all.get(0).self + all.get(0).processes.size(), "1phonetrue0");
		}
	}

	public void whatIsWrongIsRefusedWithAReason() throws Exception {
		try (Node n = new Node("phone")) {
			for (Row request : List.of(Row.request("kill").put("pid", 99), Row.request("no such"), Row.request("screen"),
					Row.request("migrate").put("pid", 1).put("peer", "x"), new Row().put("x", 1))) {
				try {
					n.client.ask(request);
					throw new AssertionError("taken: " + request);
				} catch (Call.Refused e) {
					check(!e.getMessage().isEmpty() && !e.error.isEmpty(), request);
				}
			}
		}
	}

	/** A session on a thread of its own, and what it was told. */
	private static final class Watching implements ScreenSession.Listener, AutoCloseable {
		final ScreenSession session;
		final Thread thread;
		final ByteArrayOutputStream sound = new ByteArrayOutputStream();
		volatile int frames, modes;
		volatile ScreenSession.End end;
		volatile IOException failed;

		Watching(Node n, long pid) throws IOException {
			session = new ScreenSession(n.door, pid);
			thread = new Thread(() -> {
				try {
					end = session.run(this);
				} catch (IOException e) {
					failed = e;
				}
			});
			thread.start();
		}

		@Override
		public void frame(Picture picture) {
			frames++;
		}

		@Override
		public void mode(Picture picture) {
			modes++;
		}

		@Override
		public synchronized void sound(byte[] samples) {
			sound.write(samples, 0, samples.length);
		}

		@Override
		public void close() throws Exception {
			session.close();
			thread.join(WAIT_MS);
			check(!thread.isAlive(), "the session does not end");
		}
	}

	public void aProgramIsSeenAndFeelsTheKeys() throws Exception {
		try (Node n = new Node("phone")) {
			long pid = n.start(guest(), false);
			try (Watching w = new Watching(n, pid)) {
				until(() -> w.frames > 3);
				Picture p = w.session.picture();
				same(p.width() + "x" + p.height() + " " + p.title(), "64x48 Window guest");
				check(p.pixels()[0] == p.pixels()[64 * 48 - 1] && p.pixels()[0] >>> 24 == 0xff, "one colour");
				w.session.key(KEY_A, 1, 0);
				w.session.key(KEY_A, 0, 0);
				w.session.text('q');
				w.session.button(1, true, 3, 4);
				until(() -> output(n, pid).contains("key 4 1") && output(n, pid).contains("text q")
						&& output(n, pid).contains("button 1 1 at 3 4"));
				w.session.quit();
				until(() -> w.end != null);
				check(w.end.exited, "it ended");
			}
		}
	}

	private static String output(Node n, long pid) {
		try {
			StringBuilder s = new StringBuilder();
			for (Row row : n.client.ask(Row.request("logs").put("pid", pid)))
				if (row.bytes("out") != null)
					s.append(new String(row.bytes("out")));
			return s.toString();
		} catch (IOException e) {
			throw new AssertionError(e);
		}
	}

	public void aScreenThatIsClosedLetsTheProgramRunOn() throws Exception {
		try (Node n = new Node("phone")) {
			long pid = n.start(guest(), false);
			Watching w = new Watching(n, pid);
			until(() -> w.frames > 0);
			w.close();
			same(n.devices().runningHere(), 1);
			try (Watching again = new Watching(n, pid)) {
				until(() -> again.frames > 0);
			}
		}
	}

	public void whatSleptForWantOfMemoryGoesOn() throws Exception {
		try (Node n = new Node("phone")) {
			long pid = n.start(guest(), false);
			try (Watching w = new Watching(n, pid)) {
				until(() -> w.frames > 0);
				same(n.client.trim(false), 0L); // somebody looks at it
				same(n.client.trim(true), 1L);
				until(() -> w.end != null);
				check(!w.end.exited && w.end.device.isEmpty(), "asleep");
			}
			same(n.devices().all().get(0).processes.get(0).actions().toString(), "[RESUME, KILL]");
			same(n.client.resumeTrimmed(), 1L);
			same(n.client.resumeTrimmed(), 0L);
			same(n.devices().runningHere(), 1);
			n.client.suspend(pid);
			same(n.client.resumeTrimmed(), 0L); // the person wanted that
			n.client.resume(pid);
		}
	}

	/** Both sides, each with its own state machine, as two persons do it. */
	private static void pair(Node a, Node b) throws Exception {
		Pairing shower = new Pairing(), joiner = new Pairing();
		Thread one = follow(a, shower, shower.show());
		until(() -> shower.state() == Pairing.State.SHOWING);
		String where = a.devices().all().get(0).address.replaceAll(".*:", "127.0.0.1:");
		Thread two = follow(b, joiner, joiner.join(Pairing.readWords(shower.words()), where));
		until(() -> shower.state() == Pairing.State.ASKING && joiner.state() == Pairing.State.ASKING);
		same(shower.check().length(), 2);
		same(shower.check(), joiner.check());
		same(shower.name() + joiner.name(), "phonedesk");
		a.client.ask(shower.answer(true));
		b.client.ask(joiner.answer(true));
		one.join(WAIT_MS);
		two.join(WAIT_MS);
		same(shower.state() + shower.trouble() + " " + joiner.state() + joiner.trouble(), "PAIRED PAIRED");
		until(() -> a.devices().targets().size() == 1 && b.devices().targets().size() == 1);
	}

	private static Thread follow(Node n, Pairing pairing, Row request) {
		Thread t = new Thread(() -> {
			try (Call call = new Call(n.door, request)) {
				for (Row row; (row = call.next()) != null;)
					pairing.row(row);
				pairing.ended();
			} catch (IOException e) {
				pairing.failed(e.getMessage());
			}
		});
		t.start();
		return t;
	}

	public void twoDevicesArePairedAndAProgramIsBroughtAndSent() throws Exception {
		try (Node desk = new Node("desk"); Node phone = new Node("phone")) {
			pair(desk, phone);
			long pid = desk.start(guest(), false);
			until(() -> phone.devices().all().get(1).processes.size() == 1);
			Devices.Process there = phone.devices().all().get(1).processes.get(0);
			same(there.actions() + " " + there.pid, "[BRING] " + pid);
			Row cost = phone.client.bring(pid, phone.devices().all().get(1).id);
			check(cost.real("pause_ms") > 0, cost);
			try (Watching w = new Watching(phone, cost.number("pid", 0))) {
				until(() -> w.frames > 3);
				phone.client.send(w.session.pid(), "desk");
				until(() -> w.end != null);
				same(w.end.device, "desk");
			}
			same(desk.devices().runningHere() + " " + phone.devices().runningHere(), "1 0");
		}
	}

	public void wrongWordsPairNobody() throws Exception {
		try (Node desk = new Node("desk"); Node phone = new Node("phone")) {
			Pairing shower = new Pairing(), joiner = new Pairing();
			follow(desk, shower, shower.show());
			until(() -> shower.state() == Pairing.State.SHOWING);
			String where = desk.devices().all().get(0).address.replaceAll(".*:", "127.0.0.1:");
			String wrong = shower.words().startsWith("acorn") ? "zulu-zulu-zulu" : "acorn-acorn-acorn";
			follow(phone, joiner, joiner.join(wrong, where));
			until(() -> joiner.state() == Pairing.State.FAILED);
			check(!joiner.trouble().isEmpty() && phone.devices().all().size() == 1, joiner.trouble());
		}
	}

	public void aTerminalShowsWhatAProgramWrites() throws Exception {
		try (Node n = new Node("phone")) {
			long pid = n.start(guest(), true);
			Vt vt = new Vt(80, 24);
			try (TerminalSession t = new TerminalSession(n.door, pid, vt)) {
				List<String> ends = new ArrayList<>();
				Thread thread = new Thread(() -> {
					try {
						ends.add(t.run(v -> check(v == vt, "another")));
					} catch (IOException e) {
						ends.add(e.getMessage());
					}
				});
				thread.start();
				until(() -> vt.text(0).equals("frames 30"));
				t.size(40, 10);
				t.type("x");
				n.client.kill(pid);
				thread.join(WAIT_MS);
				same(ends, List.of("killed, 137"));
				same(vt.columns(), 40);
			}
		}
	}

	/** What comes from the node is not trusted either: a socket that speaks nonsense. */
	public void nonsenseInsteadOfTheNodeIsAnError() throws Exception {
		byte[][] answers = {{}, {1}, {0, 0, 0, 0}, {(byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff}, {1, 0, 0, 0, (byte) 0xc0},
			{5, 0, 0, 0, (byte) 0x81}, {4, 0, 0, 0, (byte) 0x81, (byte) 0xa1, 'a'}};
		for (byte[] answer : answers) {
			Door door = () -> new Door.Connection() {
				@Override
				public InputStream in() {
					return new java.io.ByteArrayInputStream(answer);
				}

				@Override
				public OutputStream out() {
					return new ByteArrayOutputStream();
				}

				@Override
				public void close() {
					check(true, "");
				}
			};
			try {
				new NodeClient(door).status();
				throw new AssertionError("believed");
			} catch (IOException e) {
				check(e.getMessage() != null, e);
			}
		}
	}
}
