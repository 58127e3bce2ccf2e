/* main_argc_argv.c - a program whose main has three parameters. */
#define _GNU_SOURCE
#include <unistd.h>

int __wali_main3(int, char **, char **) __asm__("main");

int __main_argc_argv(int argc, char **argv)
{
	return __wali_main3(argc, argv, environ);
}
