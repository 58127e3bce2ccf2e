/* NodeService.java - the foreground service that holds the node: its notification, the processor's sleep, short memory.
 *
 * The notification says how many programs run and has a Stop. The processor is kept awake only while a program runs; a node
 * that only waits for its other devices may doze. When memory runs short programs go to the store before Android
 * ends anything; they go on when the list is opened. Android starts the service again after it killed the app (START_STICKY). */
package org.wasmos.app;

import android.app.Notification;
import android.app.NotificationChannel;
import android.app.NotificationManager;
import android.app.PendingIntent;
import android.app.Service;
import android.content.ComponentCallbacks2;
import android.content.Context;
import android.content.Intent;
import android.graphics.drawable.Icon;
import android.os.IBinder;
import android.os.PowerManager;
import java.io.IOException;
import java.util.List;
import org.wasmos.core.Devices;
import org.wasmos.core.Row;

public final class NodeService extends Service implements NodeProcess.Listener {
	static final String STOP = "org.wasmos.app.STOP";
	private static final String CHANNEL = "node";
	private static final int NOTIFICATION = 1;
	private static final long LOOK_MS = 5000;

	private NodeApp app;
	private NodeProcess node;
	private PowerManager.WakeLock awake;
	private boolean stopping, asleep, gaveUp;
	private int running = -1;
	private final Runnable look = new Runnable() {
		@Override
		public void run() {
			lookAtPrograms();
		}
	};

	static void start(Context context) {
		context.startForegroundService(new Intent(context, NodeService.class));
	}

	static void stop(Context context) {
		context.startService(new Intent(context, NodeService.class).setAction(STOP));
	}

	@Override
	public void onCreate() {
		super.onCreate();
		app = (NodeApp) getApplication();
		node = new NodeProcess(app, this);
		PowerManager power = (PowerManager) getSystemService(Context.POWER_SERVICE);
		awake = power.newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "wasmos:program");
		awake.setReferenceCounted(false);
		NotificationChannel channel = new NotificationChannel(CHANNEL, getString(R.string.channel),
				NotificationManager.IMPORTANCE_LOW);
		channel.setDescription(getString(R.string.channel_help));
		notifications().createNotificationChannel(channel);
	}

	private NotificationManager notifications() {
		return (NotificationManager) getSystemService(Context.NOTIFICATION_SERVICE);
	}

	@Override
	public int onStartCommand(Intent intent, int flags, int id) {
		if (!showNotification())
			return START_NOT_STICKY;
		if (intent != null && STOP.equals(intent.getAction())) {
			stopNode();
			return START_NOT_STICKY;
		}
		gaveUp = false;
		if (!stopping) {
			app.setNodeWanted(true);
			node.start();
			app.main().removeCallbacks(look);
			app.main().postDelayed(look, LOOK_MS / 5);
		}
		return START_STICKY;
	}

	/** From Android 12 on an app that the person does not see may be refused: then it starts when it is opened. */
	private boolean showNotification() {
		try {
			startForeground(NOTIFICATION, notification());
			return true;
		} catch (IllegalStateException e) {
			stopSelf();
			return false;
		}
	}

	private void stopNode() {
		if (stopping)
			return;
		stopping = true;
		app.setNodeWanted(false);
		app.main().removeCallbacks(look);
		app.work(new NodeApp.Work() {
			@Override
			Object run() {
				node.stop();
				return null;
			}

			@Override
			void done(Object result) {
				stopForeground(STOP_FOREGROUND_REMOVE);
				stopSelf();
			}

			@Override
			void failed(String why) {
				done(null);
			}
		});
	}

	@Override
	public void onDestroy() {
		app.main().removeCallbacks(look);
		if (awake.isHeld())
			awake.release();
		super.onDestroy();
	}

	@Override
	public IBinder onBind(Intent intent) {
		return null;
	}

	// ---- what is shown ----

	private String text() {
		if (gaveUp)
			return getString(R.string.node_failed, NodeProcess.log(app).getPath());
		if (asleep && running <= 0)
			return getString(R.string.notification_asleep);
		if (running <= 0)
			return getString(R.string.notification_idle);
		return getResources().getQuantityString(R.plurals.notification_running, running, running);
	}

	private Notification notification() {
		int flags = PendingIntent.FLAG_IMMUTABLE | PendingIntent.FLAG_UPDATE_CURRENT;
		PendingIntent open = PendingIntent.getActivity(this, 0, new Intent(this, MainActivity.class), flags);
		PendingIntent stop = PendingIntent.getService(this, 1, new Intent(this, NodeService.class).setAction(STOP),
				flags);
		Icon icon = Icon.createWithResource(this, R.drawable.ic_node);
		return new Notification.Builder(this, CHANNEL).setSmallIcon(icon).setContentTitle(getString(R.string.app_name))
				.setContentText(text()).setContentIntent(open).setOngoing(true).setShowWhen(false)
				.addAction(new Notification.Action.Builder(icon, getString(R.string.stop), stop).build()).build();
	}

	private void lookAtPrograms() {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				int count = 0;
				List<Row> rows = app.node().ask(Row.request("ps"));
				for (Row row : rows)
					if (Devices.runs(row.text("state")) || row.text("state").equals("moving"))
						count++;
				return Integer.valueOf(count);
			}

			@Override
			void done(Object count) {
				seen(((Integer) count).intValue());
			}

			@Override
			void failed(String why) {
				seen(0);
			}
		});
	}

	private void seen(int count) {
		if (stopping)
			return;
		if (count > 0 && !awake.isHeld())
			awake.acquire();
		if (count == 0 && awake.isHeld())
			awake.release();
		if (count > 0)
			asleep = false;
		if (count != running) {
			running = count;
			notifications().notify(NOTIFICATION, notification());
		}
		app.main().removeCallbacks(look);
		app.main().postDelayed(look, LOOK_MS);
	}

	@Override
	public void gaveUp() {
		app.main().post(new Runnable() {
			@Override
			public void run() {
				gaveUp = true;
				notifications().notify(NOTIFICATION, notification());
			}
		});
	}

	// ---- short memory ----

	@Override
	public void onTrimMemory(int level) {
		super.onTrimMemory(level);
		boolean critical = level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL
				|| level >= ComponentCallbacks2.TRIM_MEMORY_MODERATE;
		if (critical)
			putToSleep(level == ComponentCallbacks2.TRIM_MEMORY_COMPLETE);
	}

	@Override
	public void onLowMemory() {
		super.onLowMemory();
		putToSleep(false);
	}

	/** all: also what is looked at. */
	private void putToSleep(final boolean all) {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return Long.valueOf(app.node().trim(all));
			}

			@Override
			void done(Object count) {
				asleep = ((Long) count).longValue() > 0;
				if (asleep)
					lookAtPrograms();
			}

			@Override
			void failed(String why) {
				asleep = false;
			}
		});
	}
}
