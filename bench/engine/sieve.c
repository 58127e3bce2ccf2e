/* sieve.c - the sieve of Eratosthenes over bytes: strided stores. */
#include "bench.h"

enum { LIMIT = 400000 };

uint32_t run(uint32_t n)
{
	uint8_t *composite = malloc(LIMIT);
	uint32_t sum = 0;
	for (uint32_t round = 0; round < n; round++) {
		memset(composite, 0, LIMIT);
		for (uint32_t i = 2; i * i < LIMIT; i++) {
			if (composite[i])
				continue;
			for (uint32_t j = i * i; j < LIMIT; j += i)
				composite[j] = 1;
		}
		uint32_t primes = 0;
		for (uint32_t i = 2 + round; i < LIMIT; i++)
			primes += !composite[i];
		sum = mix(sum, primes);
	}
	free(composite);
	return sum;
}
