/* wasi.c - a WASI program that a Linux program executes: finds a file by its name, and says how many arguments it has. */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *f = fopen("/data/there", "r");
	return f && argc == 3 ? 5 : 1;
}
