/* DeviceList.java - the rows of MainActivity's list: a heading for each device, a line for each of its programs. */
package org.wasmos.app;

import android.content.Context;
import android.graphics.Typeface;
import android.view.Gravity;
import android.view.View;
import android.view.ViewGroup;
import android.widget.BaseAdapter;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.util.ArrayList;
import java.util.List;
import org.wasmos.core.Devices;

final class DeviceList extends BaseAdapter {
	/** A program and the device it is on. */
	static final class Line {
		final Devices.Device device;
		final Devices.Process process;

		Line(Devices.Device device, Devices.Process process) {
			this.device = device;
			this.process = process;
		}
	}

	private static final int HEADING = 0, LINE = 1, NOTE = 2, KINDS = 3;
	private final Context context;
	/** Devices.Device, Line or String. */
	private List<Object> items = new ArrayList<Object>();

	DeviceList(Context context) {
		this.context = context;
	}

	void show(List<Devices.Device> devices) {
		List<Object> now = new ArrayList<Object>();
		for (Devices.Device d : devices) {
			now.add(d);
			for (Devices.Process p : d.processes)
				now.add(new Line(d, p));
			if (!d.trouble.isEmpty())
				now.add(d.trouble);
			else if (d.up && d.processes.isEmpty())
				now.add(context.getString(R.string.nothing_runs));
		}
		if (devices.size() == 1)
			now.add(context.getString(R.string.no_peers));
		items = now;
		notifyDataSetChanged();
	}

	/** Instead of the list. */
	void say(String text) {
		items = new ArrayList<Object>();
		items.add(text);
		notifyDataSetChanged();
	}

	@Override
	public int getCount() {
		return items.size();
	}

	@Override
	public Object getItem(int position) {
		return position < items.size() ? items.get(position) : null;
	}

	@Override
	public long getItemId(int position) {
		return position;
	}

	@Override
	public int getViewTypeCount() {
		return KINDS;
	}

	@Override
	public int getItemViewType(int position) {
		Object item = items.get(position);
		return item instanceof Line ? LINE : item instanceof Devices.Device ? HEADING : NOTE;
	}

	@Override
	public boolean isEnabled(int position) {
		Object item = items.get(position);
		if (item instanceof Devices.Device)
			return !((Devices.Device) item).self;
		return item instanceof Line && !((Line) item).process.actions().isEmpty();
	}

	@Override
	public boolean areAllItemsEnabled() {
		return false;
	}

	@Override
	public View getView(int position, View old, ViewGroup parent) {
		LinearLayout row = old instanceof LinearLayout ? (LinearLayout) old : newRow();
		TextView first = (TextView) row.getChildAt(0), second = (TextView) row.getChildAt(1);
		Object item = items.get(position);
		second.setVisibility(item instanceof String ? View.GONE : View.VISIBLE);
		row.setContentDescription(null);
		if (item instanceof Line)
			fill(row, first, second, ((Line) item).process);
		else if (item instanceof Devices.Device)
			fill(first, second, (Devices.Device) item);
		else
			first.setText((String) item);
		return row;
	}

	private LinearLayout newRow() {
		LinearLayout row = Views.column(context);
		row.setGravity(Gravity.CENTER_VERTICAL);
		row.setMinimumHeight(Views.dp(context, Views.TOUCH));
		Views.add(row, Views.text(context, "", Views.NORMAL));
		Views.add(row, Views.text(context, "", Views.SMALL));
		return row;
	}

	private void fill(TextView first, TextView second, Devices.Device d) {
		first.setText(d.self ? context.getString(R.string.this_device, d.name) : d.name);
		first.setTypeface(Typeface.DEFAULT_BOLD);
		first.setTextColor(context.getColor(R.color.heading));
		String state = context.getString(d.up ? R.string.device_up : R.string.device_down);
		second.setText(d.self || d.address.isEmpty() ? d.address : state + ", " + d.address);
	}

	private void fill(LinearLayout row, TextView first, TextView second, Devices.Process p) {
		String state = stateOf(p.state), size = Views.size(context, p.memoryBytes);
		first.setText(p.name);
		second.setText(context.getString(R.string.process_line, state, size));
		row.setContentDescription(context.getString(R.string.process_spoken, p.name, Long.valueOf(p.pid), state, size));
	}

	private String stateOf(String state) {
		switch (state) {
		case "running":
			return context.getString(R.string.state_running);
		case "waiting":
			return context.getString(R.string.state_waiting);
		case "suspended":
			return context.getString(R.string.state_suspended);
		case "moving":
			return context.getString(R.string.state_moving);
		case "in flight":
			return context.getString(R.string.state_in_flight);
		default:
			return state;
		}
	}
}
