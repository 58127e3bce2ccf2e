/* guest.c - what the C library does for a program: each argument names a thing, and its answer is printed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static jmp_buf back;

static void out_of_handler(int signal)
{
	longjmp(back, signal);
}

static int in_handler(void)
{
	volatile int kept = 5;

	signal(SIGUSR1, out_of_handler);
	int number = setjmp(back);
	if (number == 0) {
		kept = 6;
		raise(SIGUSR1);
	}
	return number * 10 + kept;
}

/* The arguments of pread64 are i32, i32, i32, i64: a wasm caller passes 4, 4, 4 and 8 bytes. */
static void by_number(void)
{
	char text[4] = "";
	int file = open("/tmp/by_number", O_RDWR | O_CREAT | O_TRUNC, 0600);

	syscall(SYS_write, file, "0123456789", (size_t)10);
	printf("%ld ", syscall(SYS_pread64, file, text, (size_t)3, 4L));
	printf("%s\n", text);
}

static void child(void)
{
	char line[32] = "";
	int status;
	FILE *f = popen("echo from a child", "r");

	if (f == NULL || fgets(line, sizeof line, f) == NULL)
		puts("popen failed");
	printf("%s", line);
	status = pclose(f);
	printf("%d %d\n", status, WEXITSTATUS(system("exit 7")));
}

static void memory(void)
{
	char *big = malloc(30 << 20), *page;

	memset(big, 7, 30 << 20);
	big = realloc(big, 40 << 20);
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("%d %d %d\n", big[(30 << 20) - 1], page[8191], page == MAP_FAILED);
	munmap(page, 8192);
	free(big);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "environment") == 0)
			printf("[%s]\n",
			       getenv("LINES_OF_TEXT") ? getenv("LINES_OF_TEXT") : "none");
		else if (strcmp(argv[i], "numbers") == 0)
			printf("%zu %zu %Lg %lld\n", sizeof(long), sizeof(char *), 1.0L / 3,
			       -(1LL << 40));
		else if (strcmp(argv[i], "jump") == 0)
			printf("%d\n", in_handler());
		else if (strcmp(argv[i], "by-number") == 0)
			by_number();
		else if (strcmp(argv[i], "child") == 0)
			child();
		else if (strcmp(argv[i], "memory") == 0)
			memory();
		else
			printf("%s\n", argv[i]);
	}
	return 3;
}
