/*
 * The native peer of T7: the dirty pages of an object, found in a bitmap.
 *
 *   scan ITERATIONS      reads the bitmap as 64-bit hexadecimal words, prints {"case":"scan","ns":12.3}
 *
 * One bit a page; each set bit's number goes into an array, as write-back wants it. The best of some
 * slices counts, as on the other side.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_WORDS 1024
#define SLICES 8

static uint64_t bitmap[MOST_WORDS];
static uint64_t found[MOST_WORDS * 64];
static volatile uint64_t sink;

/* Numbers of the set bits of `words` words, into `into`; how many. */
static __attribute__((noinline, noclone)) size_t
scan(const uint64_t *words, size_t count, uint64_t *into)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (uint64_t bits = words[i]; bits != 0; bits &= bits - 1)
			into[n++] = i * 64 + (size_t)__builtin_ctzll(bits);
	return n;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int
main(int argc, char **argv)
{
	long iterations = argc > 1 ? atol(argv[1]) : 10000;
	size_t words = 0;
	double best = 0;

	while (words < MOST_WORDS && scanf("%" SCNx64, &bitmap[words]) == 1)
		words++;
	for (int slice = 0; slice < SLICES; slice++) {
		double begin = now();
		for (long i = 0; i < iterations; i++)
			sink += scan(bitmap, words, found);
		double ns = (now() - begin) / (double)iterations;
		if (slice == 0 || ns < best)
			best = ns;
	}
	printf("{\"case\":\"scan\",\"ns\":%.2f}\n", best);
	return 0;
}
