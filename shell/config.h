/* config.h - the settings of `wasmos up` as they come together from its options and its config file; for `up` and `config`.
 *
 *	if ((e = config_load(sh, &settings, &msg)) != ERR_OK)
 *		return config_fail(sh, e, &settings, &msg);
 */
#pragma once

#include "node/service/settings.h"
#include "shell/shell.h"

/* Options of the command that are called as a setting, then --config, else HOME/config where there is one. To be
 * ended by settings_end(), also when it fails. */
enum err config_load(struct shell *sh, struct settings *s, struct errmsg *msg);
/* Says what was wrong; the exit status: 2 when it was an option. */
int config_fail(struct shell *sh, enum err e, const struct settings *s, const struct errmsg *msg);
