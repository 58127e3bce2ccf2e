/* launch.c - runs a command and says what it cost: wall time in us, CPU time in us, peak memory in
 * KiB, exit code.
 *
 * A small program of its own, because a child that a big one (Python) starts inherits that one's
 * peak memory in its own figures. The four numbers go to the file named first; the command's output
 * is its own.
 *
 *	launch RESULT_FILE COMMAND [ARGS...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long timeval_us(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage used;
	int status;
	if (argc < 3)
		return 2;
	FILE *out = fopen(argv[1], "w");
	if (out == NULL)
		return 2;
	long long start_us = now_us();
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
		return 2;
	long long wall_us = now_us() - start_us;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fprintf(out, "%lld %lld %ld %d\n", wall_us,
	        timeval_us(used.ru_utime) + timeval_us(used.ru_stime), used.ru_maxrss, code);
	return fclose(out) == 0 ? code : 2;
}
