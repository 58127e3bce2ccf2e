/* cmd_resume.c - `wasmos resume PID [--force]`. */
#include "shell/shell.h"

static const struct option options[] = {
    {"force", 0, OPTION_FLAG, NULL,
     "take back a program that is in flight to a device that is lost"},
    {0}};

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_pid(sh, "resume", &c);
	if (status)
		return status;
	client_put_flag(c, "force", shell_flag(sh, "force"));
	return client_report(sh, c, "{pid} runs again\n");
}

const struct command command_resume = {
    .name = "resume",
    .usage = "resume PID [--force]",
    .summary = "go on with a suspended program",
    .help = "A program that is in flight (`wasmos ps` says so) was given up by this device,\n"
            "and the other one has not yet said that it runs there. It arrives by itself\n"
            "when the two devices meet again. When the other device is lost for good,\n"
            "--force takes the program back from the image that was sent; should a copy\n"
            "turn up there after all, it is ended.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
