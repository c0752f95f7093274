/*
 * The native peer of the load rows: bus_dma loads without bounce pages, in plain C.
 *
 *   busdma ITERATIONS [CASE...]      prints {"case":"a","ns":12.3} a line; the iterations of a slice
 *
 * Structure, not text, of a kernel's code: a table of functions a backend, a page at a time, a
 * segment list that coalesces and cuts, a completion hook and a callback. What a kernel keeps in
 * separate files, or reaches through a pointer, is never inlined here (SEPARATE); what it keeps in
 * one file may be. The page table is an array, and there are no locks: both flatter this side.
 *
 * Cases: a  4 KiB, page aligned        b   64 KiB in 16 scattered pages
 *        c  64 KiB contiguous          b2  b with a boundary of 64 KiB
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEPARATE __attribute__((noinline, noclone))

#define PAGE_SHIFT 12
#define PAGE_BYTES ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_LOW (PAGE_BYTES - 1)
#define KVA_BASE ((uint64_t)1 << 46)
#define KVA_PAGES 4096
#define MOST_SEGMENTS 32
#define SLICES 8

typedef uint64_t addr_t;

struct segment {
	addr_t addr;
	uint64_t len;
};

struct tag;

typedef void callback_fn(void *arg, struct segment *segs, int count, int error);

/* Memory as a load is told of it: what a deferred load would load again. */
struct memory {
	enum { MEM_VIRTUAL, MEM_PHYSICAL } kind;
	addr_t at;
	uint64_t length;
};

struct map {
	int pages_needed; /* bounce pages that this load wants */
	struct memory mem;
	callback_fn *callback;
	void *arg;
};

struct backend {
	int (*load_buffer)(struct tag *, struct map *, addr_t va, uint64_t len, int flags, int *last);
	void (*wait_ok)(struct tag *, struct map *, const struct memory *, callback_fn *, void *arg);
	struct segment *(*complete)(struct tag *, struct map *, int count, int error);
	void (*unload)(struct tag *, struct map *);
};

struct tag {
	const struct backend *backend;
	uint64_t boundary;
	uint64_t max_segment;
	int segments;
	addr_t low_addr;
	uint64_t alignment;
	bool could_bounce;
	struct segment *segs;
};

enum { NOWAIT = 1 };

/* ---- the page table: frames of the pages from KVA_BASE on, ~0 where nothing is mapped */

static uint32_t frames[KVA_PAGES];

/* The physical address behind va. In a kernel it lies with the pmap, not with the DMA code. */
static SEPARATE addr_t
extract(addr_t va)
{
	uint32_t frame = frames[(va - KVA_BASE) >> PAGE_SHIFT];

	if (frame == UINT32_MAX)
		abort();
	return ((addr_t)frame << PAGE_SHIFT) | (va & PAGE_LOW);
}

/* ---- the backend */

static inline bool
within(addr_t at, uint64_t size, uint64_t boundary)
{
	return boundary == 0 || ((at ^ (at + size - 1)) & ~(boundary - 1)) == 0;
}

static inline bool
must_bounce(const struct tag *tag, addr_t at)
{
	return at > tag->low_addr || (at & (tag->alignment - 1)) != 0;
}

/* Append what fits of [at, at + size) as one chunk. Returns its size; 0: the list is full. */
static uint64_t
add_chunk(struct tag *tag, addr_t at, uint64_t size, int *last)
{
	struct segment *segs = tag->segs;
	int i = *last;

	if (size > tag->max_segment)
		size = tag->max_segment;
	if (!within(at, size, tag->boundary))
		size = tag->boundary - (at & (tag->boundary - 1));
	if (i >= 0 && segs[i].addr + segs[i].len == at && segs[i].len + size <= tag->max_segment &&
	    within(segs[i].addr, segs[i].len + size, tag->boundary)) {
		segs[i].len += size;
		return size;
	}
	if (++i >= tag->segments)
		return 0;
	segs[i].addr = at;
	segs[i].len = size;
	*last = i;
	return size;
}

static bool
add_range(struct tag *tag, addr_t at, uint64_t size, int *last)
{
	while (size > 0) {
		uint64_t done = add_chunk(tag, at, size, last);
		if (done == 0)
			return false;
		at += done;
		size -= done;
	}
	return true;
}

static SEPARATE int
plain_load_buffer(struct tag *tag, struct map *map, addr_t va, uint64_t len, int flags, int *last)
{
	(void)flags;
	if (tag->could_bounce && map->pages_needed == 0)
		abort(); /* no case bounces */
	while (len > 0) {
		addr_t at = extract(va);
		uint64_t size = PAGE_BYTES - (at & PAGE_LOW);
		if (size > len)
			size = len;
		if (map->pages_needed != 0 && must_bounce(tag, at))
			abort();
		if (!add_range(tag, at, size, last))
			return EFBIG;
		va += size;
		len -= size;
	}
	return 0;
}

static SEPARATE void
plain_wait_ok(struct tag *tag, struct map *map, const struct memory *mem, callback_fn *callback,
    void *arg)
{
	if (!tag->could_bounce)
		return;
	map->mem = *mem;
	map->callback = callback;
	map->arg = arg;
}

static SEPARATE struct segment *
plain_complete(struct tag *tag, struct map *map, int count, int error)
{
	(void)map;
	(void)count;
	(void)error;
	return tag->segs;
}

static SEPARATE void
plain_unload(struct tag *tag, struct map *map)
{
	if (tag->could_bounce)
		map->pages_needed = 0;
}

static const struct backend plain = {
	.load_buffer = plain_load_buffer,
	.wait_ok = plain_wait_ok,
	.complete = plain_complete,
	.unload = plain_unload,
};

/* ---- the machine-independent part */

static SEPARATE int
map_load(struct tag *tag, struct map *map, addr_t va, uint64_t len, callback_fn *callback, void *arg,
    int flags)
{
	int last = -1;

	if ((flags & NOWAIT) == 0) {
		struct memory mem = { .kind = MEM_VIRTUAL, .at = va, .length = len };
		tag->backend->wait_ok(tag, map, &mem, callback, arg);
	}
	int error = tag->backend->load_buffer(tag, map, va, len, flags, &last);
	if (error == EINPROGRESS)
		return error;
	struct segment *segs = tag->backend->complete(tag, map, last + 1, error);
	callback(arg, segs, error != 0 ? 0 : last + 1, error);
	return error == ENOMEM || error == EINVAL ? error : 0;
}

static SEPARATE void
map_unload(struct tag *tag, struct map *map)
{
	tag->backend->unload(tag, map);
}

/* ---- the cases */

static volatile uint64_t sink;

static SEPARATE void
take(void *arg, struct segment *segs, int count, int error)
{
	if (error != 0)
		abort();
	*(uint64_t *)arg += (uint64_t)count + segs[count - 1].len;
}

struct bench_case {
	const char *name;
	addr_t va;
	uint64_t len;
	uint64_t boundary;
	int segments; /* that the load must give */
};

static const struct bench_case cases[] = {
	{ "a", KVA_BASE, 4096, 0, 1 },
	{ "b", KVA_BASE + 64 * PAGE_BYTES, 65536, 0, 16 },
	{ "b2", KVA_BASE + 64 * PAGE_BYTES, 65536, 65536, 16 },
	{ "c", KVA_BASE + 128 * PAGE_BYTES, 65536, 0, 1 },
};

static void
map_pages(void)
{
	memset(frames, 0xff, sizeof frames);
	frames[0] = 0x1234;
	/* 0x4000 + an odd permutation, every second frame: no two in a row. */
	for (uint32_t i = 0; i < 16; i++)
		frames[64 + i] = 0x4000 + 2 * ((i * 7 + 3) % 16);
	for (uint32_t i = 0; i < 16; i++)
		frames[128 + i] = 0x8000 + i;
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds per load + unload: the best of SLICES, since somebody else's turn only ever adds. */
static double
run(const struct bench_case *c, struct tag *tag, struct map *map, long iterations)
{
	double best = 0;

	for (int slice = 0; slice < SLICES; slice++) {
		uint64_t sum = 0;
		double begin = now_ns();
		for (long i = 0; i < iterations; i++) {
			map_load(tag, map, c->va, c->len, take, &sum, 0);
			map_unload(tag, map);
		}
		double ns = (now_ns() - begin) / (double)iterations;
		sink += sum;
		if (slice == 0 || ns < best)
			best = ns;
	}
	return best;
}

static void
check(const struct bench_case *c, struct tag *tag, struct map *map)
{
	uint64_t sum = 0;

	map_load(tag, map, c->va, c->len, take, &sum, 0);
	if (sum != (uint64_t)c->segments + c->len / (uint64_t)c->segments) {
		fprintf(stderr, "case %s gives wrong segments\n", c->name);
		exit(1);
	}
	map_unload(tag, map);
}

static bool
wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 2;
}

int
main(int argc, char **argv)
{
	static struct segment segs[MOST_SEGMENTS];
	long iterations = argc > 1 ? strtol(argv[1], NULL, 10) : 0;

	if (iterations <= 0) {
		fprintf(stderr, "usage: busdma ITERATIONS [CASE...]\n");
		return 2;
	}
	map_pages();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct bench_case *c = &cases[i];
		if (!wanted(c->name, argc, argv))
			continue;
		struct tag tag = {
			.backend = &plain,
			.boundary = c->boundary,
			.max_segment = 65536,
			.segments = MOST_SEGMENTS,
			.low_addr = UINT64_MAX,
			.alignment = 1,
			.could_bounce = false,
			.segs = segs,
		};
		struct map map = { 0 };
		check(c, &tag, &map);
		run(c, &tag, &map, iterations / 8 + 1);
		printf("{\"case\":\"%s\",\"ns\":%.3f}\n", c->name, run(c, &tag, &map, iterations));
	}
	return 0;
}
