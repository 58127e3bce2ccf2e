/* casts.c - calls through pointers of other types, as old programs make them; prints 1 5 7 0 9. */
#include <stdio.h>

typedef int one(int);
typedef int two(int, int);
typedef long wide(long);

static int calls;

static void nothing(void)
{
	calls++;
}

static int add(int a, int b)
{
	return a + b;
}

static long narrow(int a)
{
	return a;
}

int main(int argc, char **argv)
{
	void *volatile pointers[] = {(void *)nothing, (void *)add, (void *)narrow};

	((one *)pointers[0])(3);
	printf("%d ", calls);
	printf("%d ", ((one *)pointers[1])(5));
	printf("%ld ", ((wide *)pointers[2])(7));
	printf("%d ", ((two *)pointers[0])(1, 2));
	printf("%d\n", ((two *)pointers[1])(4, 5));
	return 0;
}
