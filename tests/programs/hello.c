/* hello.c - what clang, itself a WASI program, compiles and links. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
	int v[] = {5, 3, 9, 1}, x, y;
	printf("hello:");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	qsort(v, 4, sizeof *v, by_value);
	printf("\n%d %d %d %d %.3f\n", v[0], v[1], v[2], v[3], sqrt(2));
	if (scanf("%d %d", &x, &y) == 2)
		printf("%d\n", x * y);
	char *p = malloc(1 << 20);
	memset(p, 'x', 1 << 20);
	fprintf(stderr, "%c\n", p[(1 << 20) - 1]);
	return argc;
}
