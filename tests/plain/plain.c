/* plain.c - runs the cases of a test program where Criterion is not. */
#include "criterion/criterion.h"

#include <stdarg.h>

static struct {
	struct plain_case *cases; /* the last one first, as constructors add them */
	jmp_buf end;
	int failed;
} plain;

void plain_add(struct plain_case *c)
{
	c->next = plain.cases;
	plain.cases = c;
}

void plain_failed(const char *file, int line, bool fatal, const char *what, const char *format, ...)
{
	va_list args;
	plain.failed++;
	printf("# %s:%d: %s:", file, line, what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (fatal)
		longjmp(plain.end, 1);
}

static bool is_wanted(const struct plain_case *c, int argc, char **argv)
{
	bool any = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue; /* Criterion's --tap and --quiet */
		any = true;
		if (!strcmp(argv[i], c->name))
			return true;
	}
	return !any;
}

static bool run(const struct plain_case *c, int number)
{
	plain.failed = 0;
	if (setjmp(plain.end) == 0)
		c->run();
	printf("%s %d - %s::%s\n", plain.failed ? "not ok" : "ok", number, c->suite, c->name);
	fflush(stdout);
	return plain.failed == 0;
}

int main(int argc, char **argv)
{
	struct plain_case *in_order = NULL;
	int count = 0, bad = 0;
	while (plain.cases) {
		struct plain_case *c = plain.cases;
		plain.cases = c->next;
		c->next = in_order;
		in_order = c;
	}
	for (struct plain_case *c = in_order; c; c = c->next)
		if (!c->disabled && is_wanted(c, argc, argv))
			bad += !run(c, ++count);
	printf("1..%d\n", count);
	return bad || !count;
}
