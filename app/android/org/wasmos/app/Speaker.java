/* Speaker.java - the loudspeaker of a process: pulls sound from the session at the pace at which it is played.
 *
 * A thread of its own: it asks for 20 ms, waits for them, and hands them to an AudioTrack, whose write waits while 80 ms are
 * queued. Sound that does not come within a second ends nothing: it is asked for again. A call, an alarm or another player
 * that takes the audio focus silences it (or makes it quieter, when that is all that is asked for) until the focus is back: the
 * program plays on. */
package org.wasmos.app;

import android.content.Context;
import android.media.AudioAttributes;
import android.media.AudioFocusRequest;
import android.media.AudioFormat;
import android.media.AudioManager;
import android.media.AudioTrack;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.wasmos.core.ScreenSession;

final class Speaker implements AudioManager.OnAudioFocusChangeListener {
	private static final int PULLS_A_SECOND = 50, QUEUED_PULLS = 4, SAMPLE = 2;
	private static final float QUIETER = 0.2f;
	private static final AudioAttributes GAME = new AudioAttributes.Builder().setUsage(AudioAttributes.USAGE_GAME)
			.setContentType(AudioAttributes.CONTENT_TYPE_SONIFICATION).build();

	private final ScreenSession session;
	private final int rate, channels;
	private final BlockingQueue<byte[]> came = new ArrayBlockingQueue<byte[]>(QUEUED_PULLS);
	private final Thread thread;
	private final AudioManager manager;
	private final AudioFocusRequest focus;
	private volatile boolean stopped;
	private volatile float volume;

	Speaker(NodeApp app, ScreenSession session, int rate, int channels) {
		manager = (AudioManager) app.getSystemService(Context.AUDIO_SERVICE);
		focus = new AudioFocusRequest.Builder(AudioManager.AUDIOFOCUS_GAIN).setAudioAttributes(GAME)
				.setAcceptsDelayedFocusGain(true).setWillPauseWhenDucked(false)
				.setOnAudioFocusChangeListener(this, app.main()).build();
		this.session = session;
		this.rate = rate;
		this.channels = channels;
		thread = new Thread("speaker") {
			@Override
			public void run() {
				play();
			}
		};
		thread.start();
	}

	boolean is(int otherRate, int otherChannels) {
		return rate == otherRate && channels == otherChannels;
	}

	/** An answer to a pull; one that nobody waits for is dropped. */
	void sound(byte[] samples) {
		if (!came.offer(samples))
			came.poll();
	}

	void stop() {
		stopped = true;
		thread.interrupt();
	}

	@Override
	public void onAudioFocusChange(int change) {
		if (change == AudioManager.AUDIOFOCUS_GAIN)
			volume = 1;
		else if (change == AudioManager.AUDIOFOCUS_LOSS_TRANSIENT_CAN_DUCK)
			volume = QUIETER;
		else
			volume = 0;
	}

	private AudioTrack track() {
		int mask = channels == 2 ? AudioFormat.CHANNEL_OUT_STEREO : AudioFormat.CHANNEL_OUT_MONO;
		int least = AudioTrack.getMinBufferSize(rate, mask, AudioFormat.ENCODING_PCM_16BIT);
		int wanted = rate / PULLS_A_SECOND * QUEUED_PULLS * channels * SAMPLE;
		return new AudioTrack.Builder()
				.setAudioAttributes(GAME)
				.setAudioFormat(new AudioFormat.Builder().setSampleRate(rate).setChannelMask(mask)
						.setEncoding(AudioFormat.ENCODING_PCM_16BIT).build())
				.setBufferSizeInBytes(Math.max(least, wanted)).setTransferMode(AudioTrack.MODE_STREAM).build();
	}

	private void play() {
		AudioTrack track = track();
		if (manager.requestAudioFocus(focus) == AudioManager.AUDIOFOCUS_REQUEST_GRANTED)
			volume = 1; // else silent until it is given
		try {
			track.play();
			while (!stopped) {
				session.pull(rate / PULLS_A_SECOND);
				byte[] samples = came.poll(1, TimeUnit.SECONDS);
				track.setVolume(volume);
				if (samples != null && samples.length > 0)
					track.write(samples, 0, samples.length);
			}
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		} finally {
			track.release();
			manager.abandonAudioFocusRequest(focus);
		}
	}
}
