/* config.c - settings from options and a config file. */
#include "shell/config.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static enum err take_options(struct shell *sh, struct settings *s, struct errmsg *msg)
{
	for (int i = 0; i < SETTINGS; i++) {
		const char *text = shell_value(sh, settings_table[i].key);
		if (text)
			TRY(settings_set(s, (enum setting)i, text, msg));
	}
	if (shell_flag(sh, "verbose") && !shell_value(sh, "log-level"))
		TRY(settings_set(s, SETTING_AT_log_level, "debug", msg));
	return ERR_OK;
}

static enum err read_given(struct settings *s, const char *path, struct errmsg *msg)
{
	char *whole = path_absolute(path); /* the node leaves this folder, and may read it again */
	enum err e =
	    whole ? settings_read(s, whole, msg) : err_set(msg, ERR_NOMEM, "out of memory");
	free(whole);
	return e;
}

static enum err read_of_home(struct settings *s, const char *home, struct errmsg *msg)
{
	size_t size = strlen(home) + sizeof "/config";
	char *path = malloc(size);
	if (!path)
		return err_set(msg, ERR_NOMEM, "out of memory");
	snprintf(path, size, "%s/config", home);
	enum err e = settings_read(s, path, msg);
	free(path);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum err config_load(struct shell *sh, struct settings *s, struct errmsg *msg)
{
	const char *given = shell_value(sh, "config");
	settings_begin(s);
	TRY(take_options(sh, s, msg));
	return given ? read_given(s, given, msg) : read_of_home(s, shell_home(sh), msg);
}

int config_fail(struct shell *sh, enum err e, const struct settings *s, const struct errmsg *msg)
{
	const char *text = msg->text[0] ? msg->text : err_text(e);
	bool by_option = e == ERR_USAGE && !s->file;
	return by_option ? shell_usage(sh, "%s", text) : shell_fail(sh, "%s", text);
}
