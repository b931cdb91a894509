/* The types that a program reads, and the same types as other kernels have them: -DKERNEL=1 and so on. */
#pragma once
#ifndef KERNEL
#define KERNEL 0
#endif
#define MOVED (KERNEL == 1)
#define LACKS (KERNEL == 2)
#define OTHER (KERNEL == 3)
#define TWICE (KERNEL == 4)

enum level { LOW = 1, MIDDLE = MOVED ? -7 : 2, HIGH = 0xffffffffU & 3 };
#if !LACKS
enum plain { GONE = 5, STAYS = MOVED ? 60 : 6 };
#else
enum plain { STAYS = 6 };
#endif
#if OTHER
enum level___wide { OTHERS = 4 };
#endif
enum wide { WIDE = MOVED ? 0x123456789aULL : 0xabcdef0123ULL, WIDER = -1ULL };

struct inner {
#if MOVED
	long before;
#endif
	int number;
	union {
		struct { short left, right; };
#if !LACKS
		long both;
#endif
	};
};
union choice { int one; struct inner two; };
typedef struct { int x; struct inner in; } pair_t;
typedef int (*callback_t)(struct inner *, long);

struct whole {
#if MOVED
	char moved[48];
#endif
	void *pointer;
	struct inner parts[4];
#if OTHER
	unsigned int unsigned_one;		/* a smaller one that can be read */
	int signed_one;				/* one that can't */
	struct inner became;
	int *points;
#else
	unsigned long unsigned_one;
	long signed_one;
	int became;
	long points;
#endif
	unsigned int low : 3;
	int high : MOVED ? 11 : 7;
	unsigned long across : 40;
	struct {
		struct {
#if !LACKS
			int hidden;
#endif
			callback_t call;
		};
		enum plain plain;
	};
	struct inner *next;
	double nothing[0];
	unsigned char flexible[];
};
#if TWICE
struct whole___2 { void *pointer; long padding[9]; struct inner parts[4]; };
#endif
struct arrays { int grid[OTHER ? 2 : 5][3]; struct whole *list[2]; };
#if !LACKS
struct only_here { int a; };
#endif
