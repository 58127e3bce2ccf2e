/* wire_tables.c - the message table as it stands in docs/formats/wire.md.
 *
 *	wire-tables            prints it
 *	wire-tables FILE       fails, with what to do, when FILE does not hold it (a test)
 */
#include "proto/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	if (f && text)
		text[fread(text, 1, (1 << 20) - 1, f)] = 0;
	if (f)
		fclose(f);
	return text;
}

int main(int argc, char **argv)
{
	struct wr w = {0};
	msg_document(&w);
	wr_u8(&w, 0);
	if (!wr_ok(&w))
		return 1;
	int status = 0;
	if (argc < 2) {
		fputs((const char *)w.data, stdout);
	} else {
		char *text = read_file(argv[1]);
		status = !text || !strstr(text, (const char *)w.data);
		if (status)
			fprintf(
			    stderr,
			    "%s does not hold the table of proto/messages.def: put in what this "
			    "program prints without arguments\n",
			    argv[1]);
		free(text);
	}
	wr_free(&w);
	return status;
}
