/*
 * The native peer of the load rows: bus_dma loads in plain C, with and without bounce pages.
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
 *        d  a packet of 1500 bytes in three mbufs, into a list of the caller's
 *        e  b out of the device's reach: load, copy to the bounce pages, copy back, unload
 *
 * A bounced page is copied by host pointers that the load has noted: the kernel's mappings cost
 * nothing here, which flatters this side, too.
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

/* A bounce page: where it is, and the client's bytes that it stands for. */
struct bounce_page {
	struct bounce_page *next;
	addr_t at;
	uint8_t *bytes;
	addr_t data_va;
	uint8_t *data;
	uint64_t count;
};

struct page_list {
	struct bounce_page *first;
	struct bounce_page **end;
};

struct zone {
	struct page_list free_pages;
	int free;
	int reserved;
	int active;
	uint64_t bounced;
};

struct map {
	int pages_needed; /* bounce pages that this load wants */
	int pages_reserved;
	struct page_list pages;
	struct memory mem;
	callback_fn *callback;
	void *arg;
};

struct backend {
	int (*load_buffer)(struct tag *, struct map *, addr_t va, uint64_t len, int flags,
	    struct segment *segs, int *last);
	void (*wait_ok)(struct tag *, struct map *, const struct memory *, callback_fn *, void *arg);
	struct segment *(*complete)(struct tag *, struct map *, struct segment *segs, int count, int error);
	void (*sync)(struct tag *, struct map *, int ops);
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
	struct zone *zone;
};

enum { NOWAIT = 1 };
enum { POSTREAD = 2, PREWRITE = 4 };

/* One link of a packet. */
struct mbuf {
	struct mbuf *next;
	addr_t data;
	uint64_t len;
	int flags;
};

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

/* The bytes of the client memory of case e, by frame. */
#define RAM_FIRST 0x4000
#define RAM_PAGES 32
#define BOUNCE_FIRST 0x100
#define BOUNCE_PAGES 16
#define REACH (((addr_t)RAM_FIRST << PAGE_SHIFT) - 1)

static _Alignas(4096) uint8_t ram[RAM_PAGES << PAGE_SHIFT];
static _Alignas(4096) uint8_t bounce_ram[BOUNCE_PAGES << PAGE_SHIFT];

static uint8_t *
bytes_at(addr_t at)
{
	return ram + (at - ((addr_t)RAM_FIRST << PAGE_SHIFT));
}

/* ---- bounce pages: a file of its own in a kernel */

static void
empty_list(struct page_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void
insert_last(struct page_list *list, struct bounce_page *page)
{
	page->next = NULL;
	*list->end = page;
	list->end = &page->next;
}

/* Returns the pages that are lacking. */
static SEPARATE int
reserve_pages(struct tag *tag, struct map *map)
{
	struct zone *zone = tag->zone;
	int lacking = map->pages_needed - map->pages_reserved;
	int pages = zone->free < lacking ? zone->free : lacking;

	if (pages < lacking)
		return lacking - pages;
	zone->free -= pages;
	zone->reserved += pages;
	map->pages_reserved += pages;
	return 0;
}

static SEPARATE addr_t
add_bounce_page(struct tag *tag, struct map *map, addr_t va, addr_t at, uint64_t count)
{
	struct zone *zone = tag->zone;
	struct bounce_page *page = zone->free_pages.first;

	if (map->pages_needed == 0 || map->pages_reserved == 0 || page == NULL)
		abort();
	map->pages_needed--;
	map->pages_reserved--;
	zone->free_pages.first = page->next;
	if (page->next == NULL)
		zone->free_pages.end = &zone->free_pages.first;
	zone->reserved--;
	zone->active++;
	page->data_va = va;
	page->data = bytes_at(at);
	page->count = count;
	insert_last(&map->pages, page);
	return page->at;
}

static SEPARATE void
free_bounce_pages(struct tag *tag, struct map *map)
{
	struct zone *zone = tag->zone;
	int count = 0;

	if (map->pages.first == NULL)
		return;
	for (struct bounce_page *page = map->pages.first; page != NULL; page = page->next) {
		page->data_va = 0;
		page->count = 0;
		count++;
	}
	*zone->free_pages.end = map->pages.first;
	zone->free_pages.end = map->pages.end;
	empty_list(&map->pages);
	zone->free += count;
	zone->active -= count;
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
add_chunk(struct tag *tag, addr_t at, uint64_t size, struct segment *segs, int *last)
{
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
add_range(struct tag *tag, addr_t at, uint64_t size, struct segment *segs, int *last)
{
	while (size > 0) {
		uint64_t done = add_chunk(tag, at, size, segs, last);
		if (done == 0)
			return false;
		at += done;
		size -= done;
	}
	return true;
}

/* How many pages of the load must bounce. */
static void
count_pages(const struct tag *tag, struct map *map, addr_t va, uint64_t len)
{
	while (len > 0) {
		addr_t at = extract(va);
		uint64_t size = PAGE_BYTES - (at & PAGE_LOW);
		if (size > len)
			size = len;
		if (must_bounce(tag, at))
			map->pages_needed++;
		va += size;
		len -= size;
	}
}

static SEPARATE int
plain_load_buffer(struct tag *tag, struct map *map, addr_t va, uint64_t len, int flags,
    struct segment *segs, int *last)
{
	(void)flags;
	if (segs == NULL)
		segs = tag->segs;
	if (tag->could_bounce) {
		if (map->pages_needed == 0)
			count_pages(tag, map, va, len);
		if (map->pages_needed != 0 && reserve_pages(tag, map) != 0)
			abort(); /* no case waits */
	}
	while (len > 0) {
		addr_t at = extract(va);
		uint64_t size = PAGE_BYTES - (at & PAGE_LOW);
		if (size > len)
			size = len;
		if (map->pages_needed != 0 && must_bounce(tag, at))
			at = add_bounce_page(tag, map, va, at, size);
		if (!add_range(tag, at, size, segs, last))
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
plain_complete(struct tag *tag, struct map *map, struct segment *segs, int count, int error)
{
	(void)map;
	(void)count;
	(void)error;
	return segs == NULL ? tag->segs : segs;
}

static SEPARATE void
plain_sync(struct tag *tag, struct map *map, int ops)
{
	if (map->pages.first == NULL)
		return;
	if ((ops & PREWRITE) != 0) {
		for (struct bounce_page *page = map->pages.first; page != NULL; page = page->next)
			memcpy(page->bytes, page->data, page->count);
		tag->zone->bounced++;
	}
	if ((ops & POSTREAD) != 0) {
		for (struct bounce_page *page = map->pages.first; page != NULL; page = page->next)
			memcpy(page->data, page->bytes, page->count);
		tag->zone->bounced++;
	}
}

static SEPARATE void
plain_unload(struct tag *tag, struct map *map)
{
	if (!tag->could_bounce)
		return;
	map->pages_needed = 0;
	free_bounce_pages(tag, map);
}

static const struct backend plain = {
	.load_buffer = plain_load_buffer,
	.wait_ok = plain_wait_ok,
	.complete = plain_complete,
	.sync = plain_sync,
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
	int error = tag->backend->load_buffer(tag, map, va, len, flags, NULL, &last);
	if (error == EINPROGRESS)
		return error;
	struct segment *segs = tag->backend->complete(tag, map, NULL, last + 1, error);
	callback(arg, segs, error != 0 ? 0 : last + 1, error);
	return error == ENOMEM || error == EINVAL ? error : 0;
}

/* A packet into the caller's list. Never waits. */
static SEPARATE int
map_load_mbuf_sg(struct tag *tag, struct map *map, const struct mbuf *m, struct segment *segs,
    int *count, int flags)
{
	int error = 0;

	*count = -1;
	for (; m != NULL && error == 0; m = m->next)
		if (m->len > 0)
			error = tag->backend->load_buffer(tag, map, m->data, m->len, flags | NOWAIT, segs, count);
	++*count;
	tag->backend->complete(tag, map, segs, *count, error);
	return error;
}

static SEPARATE void
map_sync(struct tag *tag, struct map *map, int ops)
{
	tag->backend->sync(tag, map, ops);
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

enum kind { LOAD, PACKET, BOUNCED };

struct bench_case {
	const char *name;
	addr_t va;
	uint64_t len;
	uint64_t boundary;
	int segments; /* that the load must give */
	enum kind kind;
};

static const struct bench_case cases[] = {
	{ "a", KVA_BASE, 4096, 0, 1, LOAD },
	{ "b", KVA_BASE + 64 * PAGE_BYTES, 65536, 0, 16, LOAD },
	{ "b2", KVA_BASE + 64 * PAGE_BYTES, 65536, 65536, 16, LOAD },
	{ "c", KVA_BASE + 128 * PAGE_BYTES, 65536, 0, 1, LOAD },
	{ "d", KVA_BASE + 160 * PAGE_BYTES, 1500, 0, 3, PACKET },
	{ "e", KVA_BASE + 64 * PAGE_BYTES, 65536, 0, 1, BOUNCED },
};

/* The packet of case d: a header, and the rest in two clusters. */
static struct mbuf packet[3] = {
	{ &packet[1], KVA_BASE + 160 * PAGE_BYTES + 88, 54, 0 },
	{ &packet[2], KVA_BASE + 162 * PAGE_BYTES, 1000, 0 },
	{ NULL, KVA_BASE + 162 * PAGE_BYTES + 2048, 446, 0 },
};

static struct zone zone;

static void
make_zone(void)
{
	static struct bounce_page pages[BOUNCE_PAGES];

	empty_list(&zone.free_pages);
	for (int i = 0; i < BOUNCE_PAGES; i++) {
		pages[i].at = (addr_t)(BOUNCE_FIRST + i) << PAGE_SHIFT;
		pages[i].bytes = bounce_ram + ((size_t)i << PAGE_SHIFT);
		insert_last(&zone.free_pages, &pages[i]);
		zone.free++;
	}
	memset(ram, 1, sizeof ram);
	memset(bounce_ram, 2, sizeof bounce_ram);
}

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
	for (uint32_t i = 0; i < 4; i++)
		frames[160 + i] = 0x9000 + i;
}

static void
packet_loop(struct tag *tag, struct map *map, uint64_t *sum, long n)
{
	static struct segment segs[MOST_SEGMENTS];
	int count;

	for (long i = 0; i < n; i++) {
		if (map_load_mbuf_sg(tag, map, packet, segs, &count, 0) != 0)
			abort();
		*sum += (uint64_t)count + segs[count - 1].len;
		map_unload(tag, map);
	}
}

static void
load_loop(const struct bench_case *c, struct tag *tag, struct map *map, uint64_t *sum, long n)
{
	for (long i = 0; i < n; i++) {
		map_load(tag, map, c->va, c->len, take, sum, 0);
		map_unload(tag, map);
	}
}

static void
bounce_loop(const struct bench_case *c, struct tag *tag, struct map *map, uint64_t *sum, long n)
{
	for (long i = 0; i < n; i++) {
		map_load(tag, map, c->va, c->len, take, sum, 0);
		map_sync(tag, map, PREWRITE);
		map_sync(tag, map, POSTREAD);
		map_unload(tag, map);
	}
}

static void
loop(const struct bench_case *c, struct tag *tag, struct map *map, uint64_t *sum, long n)
{
	switch (c->kind) {
	case LOAD:
		load_loop(c, tag, map, sum, n);
		break;
	case PACKET:
		packet_loop(tag, map, sum, n);
		break;
	case BOUNCED:
		bounce_loop(c, tag, map, sum, n);
		break;
	}
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
		loop(c, tag, map, &sum, iterations);
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
	uint64_t last = c->kind == PACKET ? packet[2].len : c->len / (uint64_t)c->segments;

	loop(c, tag, map, &sum, 1);
	if (sum != (uint64_t)c->segments + last) {
		fprintf(stderr, "case %s gives wrong segments\n", c->name);
		exit(1);
	}
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
	make_zone();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct bench_case *c = &cases[i];
		if (!wanted(c->name, argc, argv))
			continue;
		struct tag tag = {
			.backend = &plain,
			.boundary = c->boundary,
			.max_segment = 65536,
			.segments = MOST_SEGMENTS,
			.low_addr = c->kind == BOUNCED ? REACH : UINT64_MAX,
			.alignment = 1,
			.could_bounce = c->kind == BOUNCED,
			.segs = segs,
			.zone = &zone,
		};
		struct map map = { 0 };
		empty_list(&map.pages);
		check(c, &tag, &map);
		/* A bounced load copies 128 KiB. */
		long n = c->kind == BOUNCED ? iterations / 64 + 1 : iterations;
		run(c, &tag, &map, n / 8 + 1);
		printf("{\"case\":\"%s\",\"ns\":%.3f}\n", c->name, run(c, &tag, &map, n));
	}
	return 0;
}
