/* main_void.c - a program whose main has parameters; one with main(void) has __main_void itself. */
#include <features.h>

int __main_argc_argv(int, char **);

extern hidden int __wali_main_argc;
extern hidden char **__wali_main_argv;

int __main_void(void)
{
	return __main_argc_argv(__wali_main_argc, __wali_main_argv);
}
