/* MainActivity.java - the list: this device and the paired ones, what runs on each, and what can be done with it. */
package org.wasmos.app;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.DialogInterface;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.os.Build;
import android.os.Bundle;
import android.provider.Settings;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.widget.AdapterView;
import android.widget.ListView;
import android.widget.Toast;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.wasmos.core.Devices;
import org.wasmos.core.Row;

public final class MainActivity extends Activity implements AdapterView.OnItemClickListener {
	private static final String NOTIFICATIONS = "android.permission.POST_NOTIFICATIONS";
	private static final int PICK_PROGRAM = 1, MAY_NOTIFY = 2;
	private static final int MENU_PAIR = 1, MENU_RUN = 2, MENU_STORAGE = 3, MENU_BATTERY = 4, MENU_STOP = 5, MENU_START = 6;
	private static final int TIRAMISU = 33;
	private static final long REFRESH_MS = 1500;

	private NodeApp app;
	private final Devices devices = new Devices();
	private DeviceList list;
	private boolean visible;
	private final Runnable refresh = new Runnable() {
		@Override
		public void run() {
			look();
		}
	};

	@Override
	protected void onCreate(Bundle saved) {
		super.onCreate(saved);
		app = (NodeApp) getApplication();
		list = new DeviceList(this);
		ListView view = new ListView(this);
		view.setAdapter(list);
		view.setDivider(null);
		view.setOnItemClickListener(this);
		setContentView(view);
		list.say(getString(R.string.node_starting));
		if (saved == null)
			startNode();
	}

	private void startNode() {
		app.setNodeWanted(true);
		boolean mayAsk = Build.VERSION.SDK_INT >= TIRAMISU;
		if (mayAsk && checkSelfPermission(NOTIFICATIONS) != PackageManager.PERMISSION_GRANTED)
			requestPermissions(new String[] {NOTIFICATIONS}, MAY_NOTIFY);
		NodeService.start(this);
	}

	@Override
	protected void onStart() {
		super.onStart();
		visible = true;
		wakeUp();
	}

	/** What was put to sleep for want of memory goes on when the person is back. */
	private void wakeUp() {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return Long.valueOf(app.node().resumeTrimmed());
			}

			@Override
			void done(Object count) {
				look();
			}

			@Override
			void failed(String why) {
				look();
			}
		});
	}

	@Override
	protected void onStop() {
		visible = false;
		app.main().removeCallbacks(refresh);
		super.onStop();
	}

	// ---- the list ----

	private void look() {
		app.main().removeCallbacks(refresh);
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				app.node().refresh(devices);
				return null;
			}

			@Override
			void done(Object result) {
				list.show(devices.all());
				again();
			}

			@Override
			void failed(String why) {
				list.say(getString(app.isNodeWanted() ? R.string.node_starting : R.string.node_stopped));
				again();
			}
		});
	}

	private void again() {
		app.main().removeCallbacks(refresh);
		if (visible)
			app.main().postDelayed(refresh, REFRESH_MS);
	}

	@Override
	public void onItemClick(AdapterView parent, View row, int position, long id) {
		Object item = list.getItem(position);
		if (item instanceof DeviceList.Line)
			offer((DeviceList.Line) item);
		else if (item instanceof Devices.Device && !((Devices.Device) item).self)
			offerUnpair((Devices.Device) item);
	}

	private void offer(final DeviceList.Line line) {
		final List<Devices.Action> actions = line.process.actions();
		if (actions.isEmpty())
			return;
		CharSequence[] names = new CharSequence[actions.size()];
		for (int i = 0; i < names.length; i++)
			names[i] = getString(nameOf(actions.get(i)));
		new AlertDialog.Builder(this).setTitle(line.process.name).setItems(names, new DialogInterface.OnClickListener() {
			@Override
			public void onClick(DialogInterface dialog, int which) {
				perform(line, actions.get(which));
			}
		}).show();
	}

	private static int nameOf(Devices.Action action) {
		switch (action) {
		case SHOW:
			return R.string.show;
		case TERMINAL:
			return R.string.terminal;
		case SEND:
			return R.string.send_to;
		case BRING:
			return R.string.bring_here;
		case SUSPEND:
			return R.string.suspend;
		case RESUME:
			return R.string.resume;
		default:
			return R.string.end;
		}
	}

	private void perform(DeviceList.Line line, Devices.Action action) {
		final Devices.Process p = line.process;
		switch (action) {
		case SHOW:
			startActivity(ScreenActivity.of(this, p.pid, p.name));
			break;
		case TERMINAL:
			startActivity(TerminalActivity.of(this, p.pid, p.name));
			break;
		case SEND:
			chooseTarget(p);
			break;
		case BRING:
			bring(p, line.device);
			break;
		case SUSPEND:
			change(new Change() {
				@Override
				String make() throws IOException {
					app.node().suspend(p.pid);
					return null;
				}
			});
			break;
		case RESUME:
			change(new Change() {
				@Override
				String make() throws IOException {
					app.node().resume(p.pid);
					return null;
				}
			});
			break;
		default:
			askEnd(p);
		}
	}

	/** Something that changes the list; make() gives what to say, or null. */
	private abstract class Change extends NodeApp.Work {
		abstract String make() throws IOException;

		@Override
		Object run() throws IOException {
			return make();
		}

		@Override
		void done(Object said) {
			if (said != null)
				say((String) said);
			look();
		}

		@Override
		void failed(String why) {
			say(why);
			look();
		}
	}

	private void change(Change change) {
		app.work(change);
	}

	private void say(String text) {
		Toast.makeText(this, text, Toast.LENGTH_LONG).show();
	}

	private static String pause(Row row) {
		return String.format(Locale.getDefault(), "%.1f", Double.valueOf(row.real("pause_ms")));
	}

	private void bring(final Devices.Process p, final Devices.Device from) {
		say(getString(R.string.working));
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return app.node().bring(p.pid, from.id);
			}

			@Override
			void done(Object result) {
				Row row = (Row) result;
				say(getString(R.string.brought, p.name, pause(row)));
				look();
				if (visible && !p.display.isEmpty())
					startActivity(ScreenActivity.of(MainActivity.this, row.number("pid", 0), p.name));
			}

			@Override
			void failed(String why) {
				say(why);
				look();
			}
		});
	}

	private void chooseTarget(final Devices.Process p) {
		final List<Devices.Device> targets = devices.targets();
		if (targets.isEmpty()) {
			say(getString(R.string.no_targets));
			return;
		}
		CharSequence[] names = new CharSequence[targets.size()];
		for (int i = 0; i < names.length; i++)
			names[i] = targets.get(i).name;
		new AlertDialog.Builder(this).setTitle(getString(R.string.send_to_title, p.name))
				.setItems(names, new DialogInterface.OnClickListener() {
					@Override
					public void onClick(DialogInterface dialog, int which) {
						send(p, targets.get(which));
					}
				}).show();
	}

	private void send(final Devices.Process p, final Devices.Device to) {
		say(getString(R.string.working));
		change(new Change() {
			@Override
			String make() throws IOException {
				return getString(R.string.sent, p.name, to.name, pause(app.node().send(p.pid, to.id)));
			}
		});
	}

	private void ask(String question, int yes, final Change change) {
		new AlertDialog.Builder(this).setMessage(question).setNegativeButton(R.string.cancel, null)
				.setPositiveButton(yes, new DialogInterface.OnClickListener() {
					@Override
					public void onClick(DialogInterface dialog, int which) {
						change(change);
					}
				}).show();
	}

	private void askEnd(final Devices.Process p) {
		ask(getString(R.string.end_question, p.name), R.string.end, new Change() {
			@Override
			String make() throws IOException {
				app.node().kill(p.pid);
				return null;
			}
		});
	}

	private void offerUnpair(final Devices.Device d) {
		ask(getString(R.string.unpair_question, d.name), R.string.unpair, new Change() {
			@Override
			String make() throws IOException {
				app.node().unpair(d.id);
				return null;
			}
		});
	}

	// ---- the menu ----

	@Override
	public boolean onCreateOptionsMenu(Menu menu) {
		menu.add(0, MENU_PAIR, 0, R.string.pair).setShowAsAction(MenuItem.SHOW_AS_ACTION_IF_ROOM);
		menu.add(0, MENU_RUN, 1, R.string.run_program);
		menu.add(0, MENU_STORAGE, 2, R.string.storage);
		menu.add(0, MENU_BATTERY, 3, R.string.battery);
		menu.add(0, MENU_STOP, 4, R.string.stop_node);
		menu.add(0, MENU_START, 5, R.string.start_node);
		return true;
	}

	@Override
	public boolean onPrepareOptionsMenu(Menu menu) {
		boolean wanted = app.isNodeWanted();
		menu.findItem(MENU_STOP).setVisible(wanted);
		menu.findItem(MENU_START).setVisible(!wanted);
		menu.findItem(MENU_PAIR).setEnabled(wanted);
		menu.findItem(MENU_RUN).setEnabled(wanted);
		return true;
	}

	@Override
	public boolean onOptionsItemSelected(MenuItem item) {
		switch (item.getItemId()) {
		case MENU_PAIR:
			startActivity(new Intent(this, PairActivity.class));
			return true;
		case MENU_RUN:
			pickProgram();
			return true;
		case MENU_STORAGE:
			Programs.showStorage(this, app);
			return true;
		case MENU_BATTERY:
			startActivity(new Intent(Settings.ACTION_IGNORE_BATTERY_OPTIMIZATION_SETTINGS));
			return true;
		case MENU_STOP:
			NodeService.stop(this);
			return true;
		case MENU_START:
			startNode();
			return true;
		default:
			return super.onOptionsItemSelected(item);
		}
	}

	private void pickProgram() {
		Intent pick = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*");
		startActivityForResult(pick, PICK_PROGRAM);
	}

	@Override
	protected void onActivityResult(int request, int result, Intent data) {
		if (request == PICK_PROGRAM && result == RESULT_OK && data != null && data.getData() != null)
			Programs.open(this, app, data.getData());
	}

	/** Programs tells it. */
	void started(long pid, String name, boolean terminal) {
		look();
		startActivity(terminal ? TerminalActivity.of(this, pid, name) : ScreenActivity.of(this, pid, name));
	}

	static List<String> words(String text) {
		List<String> words = new ArrayList<String>();
		for (String word : text.trim().split("\\s+"))
			if (!word.isEmpty())
				words.add(word);
		return words;
	}
}
