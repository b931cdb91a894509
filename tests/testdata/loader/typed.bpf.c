/* Maps whose types have all that C has, to be opened without their object. */
#include "mini_bpf.h"

typedef __u16 __be16;
typedef __u32 ipv4_t __tag("ipv4");
typedef struct {
	__u8 low, high;
} range_t;

enum color { COLOR_RED = 1, COLOR_BLUE = 2 };
enum level { LEVEL_LOW = -1, name = 3 };
enum wide { WIDE = 0x100000000ULL };
struct in6_addr {
	__u8 bytes[16];
};

struct event_key {
	__u32 id;
	char comm[8];
};

struct everything {
	__u8 small;
	bool yes;
	__be16 port;
	__s32 below;
	double real;
	void *pointer;
	enum color color;
	enum level level;
	enum wide wide;
	char text[5];
	__u8 raw[3];
	signed char chars[3] __tag("str");
	char as_bytes[4] __tag("bytes");
	ipv4_t here;
	__u32 there[2] __tag("ipv4");
	struct in6_addr six;
	__u8 any[16] __tag("ip");
	__u32 flags : 3, signed_one : 5;
	__s32 low_bits : 7;
	enum color colored : 4;
	bool one : 1;
	range_t range;
	range_t ranges[3];
	__u16 table[2][3];
	struct {
		__u32 inside;
		union {
			__u32 word;
			__u8 octets[4];
			struct {
				__u16 first, second;
			};
		};
	};
	union {
		__u64 whole;
		struct event_key as_key;
	} named;
	__u32 from, codec, __own, _own;
	unsigned __int128 huge;
};

#define MAP(kind, entries, flags, k, v)                                                \
	struct {                                                                       \
		__uint(type, kind);                                                    \
		__uint(max_entries, entries);                                          \
		__uint(map_flags, flags);                                              \
		__type(key, k);                                                        \
		__type(value, v);                                                      \
	}

MAP(BPF_MAP_TYPE_HASH, 16, 0, struct event_key, struct everything) all_that_c_can_say SEC(".maps");
MAP(5, 16, 0, __u32, struct event_key) per_cpu SEC(".maps");	/* PERCPU_HASH */
MAP(BPF_MAP_TYPE_HASH, 16, 0, ipv4_t, enum color) colors SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct event_key);
} first_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &first_inner}};

struct {
	struct event_key (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 4096);
} events SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
__u64 hits = 7;
struct event_key last = {5, "begin"};

static long (*bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;

SEC("tc")
int emit(void *ctx)
{
	hits++;
	return bpf_ringbuf_output(&events, &last, sizeof(last), 0) ? 1 : 0;
}
