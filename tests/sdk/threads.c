/* threads.c - four threads with a variable of their own each; prints 34. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

static _Thread_local int mine = 7;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sum;

static void *add(void *number)
{
	pthread_mutex_lock(&lock);
	sum += mine + (int)(intptr_t)number;
	mine = 0;
	pthread_mutex_unlock(&lock);
	return number;
}

int main(void)
{
	pthread_t threads[4];

	for (intptr_t i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, add, (void *)i) != 0)
			return 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("%d\n", sum);
	return 0;
}
