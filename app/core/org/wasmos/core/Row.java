/* Row.java - one frame of the control protocol: a flat map of named values (proto/control.h).
 *
 * Values are Long, Double, Boolean, String, byte[] or a list of texts. A Row is built by put() and read by the typed
 * getters, which give a default for what is missing or of another type: rows come from outside. */
package org.wasmos.core;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class Row {
	private final Map<String, Object> values = new LinkedHashMap<String, Object>();

	/** A request to the node. */
	public static Row request(String name) {
		return new Row().put("request", name);
	}

	/** An input to a request that lasts. */
	public static Row input(String name) {
		return new Row().put("input", name);
	}

	public Row put(String key, String value) {
		values.put(key, value);
		return this;
	}

	public Row put(String key, long value) {
		values.put(key, Long.valueOf(value));
		return this;
	}

	public Row put(String key, boolean value) {
		values.put(key, Boolean.valueOf(value));
		return this;
	}

	public Row put(String key, double value) {
		values.put(key, Double.valueOf(value));
		return this;
	}

	public Row put(String key, byte[] value) {
		values.put(key, value);
		return this;
	}

	public Row put(String key, List<String> value) {
		values.put(key, value);
		return this;
	}

	public boolean has(String key) {
		return values.containsKey(key);
	}

	public String text(String key) {
		Object v = values.get(key);
		return v instanceof String ? (String) v : "";
	}

	public long number(String key, long missing) {
		Object v = values.get(key);
		return v instanceof Long ? ((Long) v).longValue() : missing;
	}

	/** A number that fits lowest..highest, else the default. */
	public int number(String key, int lowest, int highest, int missing) {
		long v = number(key, (long) missing);
		return v >= lowest && v <= highest ? (int) v : missing;
	}

	public double real(String key) {
		Object v = values.get(key);
		return v instanceof Number ? ((Number) v).doubleValue() : 0;
	}

	public boolean flag(String key) {
		return Boolean.TRUE.equals(values.get(key));
	}

	/** null when there are none. */
	public byte[] bytes(String key) {
		Object v = values.get(key);
		return v instanceof byte[] ? (byte[]) v : null;
	}

	Map<String, Object> values() {
		return values;
	}

	@Override
	public String toString() {
		return values.toString();
	}
}
