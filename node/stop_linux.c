/* stop_linux.c - stop.h on Linux and Android: SIGTERM and SIGINT end the node; SIGHUP too, where it comes from a
 * terminal that goes away, else settings are read again. */
#include "node/stop.h"

#include "node/node.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGNALS = 3 };

struct stops {
	uv_signal_t at[SIGNALS];
	unsigned open;
};

static void on_signal(uv_signal_t *h, int signum)
{
	struct node *n = h->data;
	node_log(n, LOG_INFO, "node", "signal %d", signum);
	if (signum == SIGHUP && !(n->cfg.foreground && isatty(STDIN_FILENO)))
		node_reload(n);
	else
		node_stop(n, false);
}

enum err stops_open(struct node *n, struct errmsg *msg)
{
	static const int signums[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
	struct stops *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(msg, ERR_NOMEM, "out of memory");
	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&n->loop, &s->at[i]);
		s->at[i].data = n;
		uv_signal_start(&s->at[i], on_signal, signums[i]);
	}
	s->open = SIGNALS;
	n->stops = s;
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct stops *s = h->data;
	if (!--s->open)
		free(s);
}

void stops_close(struct node *n)
{
	struct stops *s = n->stops;
	n->stops = NULL;
	for (int i = 0; i < SIGNALS; i++) {
		s->at[i].data = s;
		uv_close((uv_handle_t *)&s->at[i], closed);
	}
}

void stop_crash(void)
{
	kill(getpid(), SIGKILL);
	abort();
}

bool stop_boot_id(char text[64])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	bool known = f && fgets(text, 64, f);
	if (f)
		fclose(f);
	return known;
}
