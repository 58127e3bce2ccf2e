/* cmd_resume.c - `wasmos resume PID [--force]`. */
#include "shell/shell.h"

static const struct option options[] = {
    {"force", 0, OPTION_FLAG, NULL,
     "take back a program that is in flight to a device that is lost"},
    {"trimmed", 0, OPTION_FLAG, NULL, "all that sleep for want of memory (`wasmos trim`)"},
    {0}};

static int resume_trimmed(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "resume");
	client_put_flag(c, "trimmed", true);
	return client_report(sh, c, "{resumed} programs run again\n");
}

static int run(struct shell *sh)
{
	struct client *c;
	if (shell_flag(sh, "trimmed") && shell_argc(sh) == 0)
		return resume_trimmed(sh);
	if (shell_flag(sh, "trimmed") || shell_argc(sh) == 0)
		return shell_usage(sh, "resume needs either a PID or --trimmed");
	int status = client_open_pid(sh, "resume", &c);
	if (status)
		return status;
	client_put_flag(c, "force", shell_flag(sh, "force"));
	return client_report(sh, c, "{pid} runs again\n");
}

const struct command command_resume = {
    .name = "resume",
    .usage = "resume PID [--force] | resume --trimmed",
    .summary = "go on with a suspended program",
    .help = "A program that is in flight (`wasmos ps` says so) was given up by this device,\n"
            "and the other one has not yet said that it runs there. It arrives by itself\n"
            "when the two devices meet again. When the other device is lost for good,\n"
            "--force takes the program back from the image that was sent; should a copy\n"
            "turn up there after all, it is ended.\n",
    .options = options,
    .max_args = 1,
    .run = run,
};
