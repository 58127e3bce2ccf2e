/* Programs.java - programs the person opens from a file: copied into the app, run, and what all of it takes on the disk.
 *
 * A program sees the folder files/programs as /home and nothing else of the device. */
package org.wasmos.app;

import android.app.AlertDialog;
import android.content.Context;
import android.content.DialogInterface;
import android.database.Cursor;
import android.net.Uri;
import android.provider.OpenableColumns;
import android.text.InputType;
import android.widget.CheckBox;
import android.widget.EditText;
import android.widget.LinearLayout;
import android.widget.Toast;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

final class Programs {
	private static final int COPY = 1 << 16;

	private Programs() {
	}

	private static String nameOf(Context context, Uri document) {
		String name = null;
		try (Cursor c = context.getContentResolver().query(document, new String[] {OpenableColumns.DISPLAY_NAME}, null,
				null, null)) {
			if (c != null && c.moveToFirst())
				name = c.getString(0);
		}
		String safe = name == null ? "" : name.replaceAll("[^A-Za-z0-9._-]", "_");
		return safe.isEmpty() || safe.startsWith(".") ? "program.wasm" : safe;
	}

	private static File copy(Context context, NodeApp app, Uri document) throws IOException {
		File to = new File(app.programs(), nameOf(context, document));
		if (!app.programs().isDirectory() && !app.programs().mkdirs())
			throw new IOException(app.programs().getPath());
		try (InputStream in = context.getContentResolver().openInputStream(document);
				OutputStream out = new FileOutputStream(to)) {
			if (in == null)
				throw new IOException(document.toString());
			byte[] b = new byte[COPY];
			for (int n; (n = in.read(b)) >= 0;)
				out.write(b, 0, n);
		}
		return to;
	}

	/** Copies it and asks how to run it. */
	static void open(final MainActivity activity, final NodeApp app, final Uri document) {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return copy(activity, app, document);
			}

			@Override
			void done(Object file) {
				if (!activity.isDestroyed())
					ask(activity, app, (File) file);
			}

			@Override
			void failed(String why) {
				say(activity, activity.getString(R.string.not_copied, why));
			}
		});
	}

	private static void say(Context context, String text) {
		Toast.makeText(context, text, Toast.LENGTH_LONG).show();
	}

	private static void ask(final MainActivity activity, final NodeApp app, final File program) {
		LinearLayout form = Views.column(activity);
		final EditText arguments = new EditText(activity);
		arguments.setHint(R.string.run_arguments);
		arguments.setInputType(InputType.TYPE_CLASS_TEXT | InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS);
		final CheckBox terminal = new CheckBox(activity);
		terminal.setText(R.string.run_terminal);
		terminal.setMinHeight(Views.dp(activity, Views.TOUCH));
		Views.add(form, arguments);
		Views.add(form, terminal);
		new AlertDialog.Builder(activity).setTitle(activity.getString(R.string.run_title, program.getName())).setView(form)
				.setNegativeButton(R.string.cancel, null)
				.setPositiveButton(R.string.run, new DialogInterface.OnClickListener() {
					@Override
					public void onClick(DialogInterface dialog, int which) {
						run(activity, app, program, arguments.getText().toString(), terminal.isChecked());
					}
				}).show();
	}

	private static void run(final MainActivity activity, final NodeApp app, final File program, final String arguments,
			final boolean terminal) {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				return Long.valueOf(app.node().run(program.getPath(), MainActivity.words(arguments), terminal,
						app.programs().getPath()));
			}

			@Override
			void done(Object pid) {
				if (!activity.isDestroyed())
					activity.started(((Long) pid).longValue(), program.getName(), terminal);
			}

			@Override
			void failed(String why) {
				say(activity, why);
			}
		});
	}

	// ---- storage ----

	private static long sizeOf(File f) {
		File[] inside = f.listFiles();
		long size = f.isFile() ? f.length() : 0;
		for (int i = 0; inside != null && i < inside.length; i++)
			size += sizeOf(inside[i]);
		return size;
	}

	private static void remove(File f) throws IOException {
		File[] inside = f.listFiles();
		for (int i = 0; inside != null && i < inside.length; i++)
			remove(inside[i]);
		if (f.exists() && !f.delete())
			throw new IOException(f.getPath());
	}

	static void showStorage(final MainActivity activity, final NodeApp app) {
		app.work(new NodeApp.Work() {
			@Override
			Object run() {
				return new long[] {sizeOf(app.home()), sizeOf(app.programs())};
			}

			@Override
			void done(Object result) {
				long[] sizes = (long[]) result;
				if (!activity.isDestroyed())
					tell(activity, app, sizes);
			}

			@Override
			void failed(String why) {
				say(activity, why);
			}
		});
	}

	private static void tell(final MainActivity activity, final NodeApp app, long[] sizes) {
		String text = activity.getString(R.string.storage_text, Views.size(activity, sizes[0]),
				Views.size(activity, sizes[1]));
		new AlertDialog.Builder(activity).setTitle(R.string.storage).setMessage(text)
				.setPositiveButton(R.string.close, null)
				.setNeutralButton(R.string.storage_clear, new DialogInterface.OnClickListener() {
					@Override
					public void onClick(DialogInterface dialog, int which) {
						clear(activity, app);
					}
				}).show();
	}

	private static void clear(final MainActivity activity, final NodeApp app) {
		app.work(new NodeApp.Work() {
			@Override
			Object run() throws IOException {
				remove(app.programs());
				return null;
			}

			@Override
			void done(Object result) {
				showStorage(activity, app);
			}

			@Override
			void failed(String why) {
				say(activity, why);
			}
		});
	}
}
