/* sort.c - quicksort with insertion sort for short runs, and a heap sort of the same numbers. */
#include "bench.h"

enum { COUNT = 20000 };

static void quick(int32_t *a, int lo, int hi)
{
	while (hi - lo > 12) {
		int32_t pivot = a[lo + (hi - lo) / 2];
		int i = lo, j = hi;
		while (i <= j) {
			while (a[i] < pivot)
				i++;
			while (a[j] > pivot)
				j--;
			if (i <= j) {
				int32_t t = a[i];
				a[i++] = a[j];
				a[j--] = t;
			}
		}
		if (j - lo < hi - i) {
			quick(a, lo, j);
			lo = i;
		} else {
			quick(a, i, hi);
			hi = j;
		}
	}
	for (int i = lo + 1; i <= hi; i++) {
		int32_t v = a[i];
		int j = i - 1;
		for (; j >= lo && a[j] > v; j--)
			a[j + 1] = a[j];
		a[j + 1] = v;
	}
}

static void sift(int32_t *a, int root, int count)
{
	int32_t v = a[root];
	for (int child; (child = 2 * root + 1) < count; root = child) {
		if (child + 1 < count && a[child + 1] > a[child])
			child++;
		if (a[child] <= v)
			break;
		a[root] = a[child];
	}
	a[root] = v;
}

static void heap(int32_t *a, int count)
{
	for (int i = count / 2 - 1; i >= 0; i--)
		sift(a, i, count);
	for (int i = count - 1; i > 0; i--) {
		int32_t t = a[0];
		a[0] = a[i];
		a[i] = t;
		sift(a, 0, i);
	}
}

uint32_t run(uint32_t n)
{
	int32_t *a = malloc(COUNT * sizeof(*a)), *b = malloc(COUNT * sizeof(*b));
	uint32_t state = 521288629u, sum = 0;
	for (uint32_t round = 0; round < n; round++) {
		for (int i = 0; i < COUNT; i++)
			a[i] = b[i] = (int32_t)next_random(&state);
		quick(a, 0, COUNT - 1);
		heap(b, COUNT);
		for (int i = 0; i < COUNT; i += 97)
			sum = mix(sum, (uint32_t)a[i] + (uint32_t)b[COUNT - 1 - i]);
	}
	free(a);
	free(b);
	return sum;
}
