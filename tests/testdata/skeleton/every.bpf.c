/* Every kind of member, variable and map that a skeleton knows; the values are read back through the generated classes. */
#include "mini_bpf.h"

#define LRU_HASH 9
#define PERCPU_HASH 5
#define PERCPU_ARRAY 6
#define HASH_OF_MAPS 13

typedef signed char __s8;
typedef short __s16;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 ip4;
typedef struct {
	ip4 from, to;
} pair_t;
typedef enum { MODE_OFF, MODE_ON = 7 } mode_t;
enum level { LEVEL_LOW = -1, LEVEL_HIGH = 1, __LEVEL_MAX, mro };
enum wide { WIDE_TOP = 0x8000000000000000ULL };

struct point {
	__s32 x, y;
};

struct in6_addr {
	__u8 s6_addr[16];
};

/* As a kernel's own struct, another one on each arch. */
struct regs {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__u64 di, si;
#else
	__u64 psw;
	__u64 gprs[16];
	__u32 si;
#endif
};

union address {
	__u32 v4;
	__u8 v6[16];
	struct {
		__u16 port;
		__u16 zone;
	};
	struct point point;
	unsigned low : 3;
};

struct packed_bits {
	unsigned int first : 3;
	int second : 7;
	unsigned long long third : 33;
	unsigned int : 2;
	_Bool fourth : 1;
	__u8 after;
} __attribute__((packed));

struct every {
	__u8 u8;
	__s8 s8;
	__u16 u16;
	__s16 s16;
	__u32 u32;
	__s32 s32;
	__u64 u64;
	__s64 s64;
	unsigned __int128 u128;
	__int128 s128;
	_Bool yes;
	float single;
	double dual;
	char letter;
	char text[8];
	unsigned char octets[4];
	signed char small[2];
	_Bool flags[2];
	__u16 ports[3];
	__s32 grid[2][3];
	char names[2][4];
	struct point points[2];
	enum level levels[2];
	mode_t mode;
	enum wide wide;
	pair_t pair;
	union address address;
	struct packed_bits bits;
	struct {
		__u32 inside;
		union {
			__u32 one;
			__u16 two[2];
		};
	};
	struct {
		__u8 deep;
	} named;
	union {
		__u64 whole;
		__u8 parts[8];
	};
	void *pointer;
	int (*function)(int, char);
	const char *const constant;
	/* Names that Python or the loader has taken. */
	__u8 class;
	__u8 int_;
	__u8 bytes;
	__u8 __hidden_name;
	__u8 codec;
	/* Numbers in network order, addresses, bytes that are no text and text that C calls bytes. */
	__be16 port;
	__be32 source __tag("ipv4");
	struct in6_addr destination;
	char blob[4] __tag("bytes");
	__u8 label[8] __tag("str");
	__u8 peers[2][16] __tag("ip");
	enum level few : 3;
	_Bool flag : 1;
	enum { NONE, SOME } many;
};

struct empty {};

struct record {
	__u32 length;
	__u8 kind;
	struct empty nothing;
	__u16 payload[];
};

struct pointed {
	__u8 at;
};

struct {
	struct record (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 4096);
} records SEC(".maps");

struct {
	__u64 (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 4096);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} untyped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct point);
} by_value SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} by_tag SEC(".maps") __tag("struct point");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} by_option SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct regs);
} last_regs SEC(".maps");

struct {
	__uint(type, LRU_HASH);
	__uint(max_entries, 8);
	__type(key, pair_t);
	__type(value, union address);
} lambda SEC(".maps");

struct {
	__uint(type, PERCPU_HASH);
	__uint(max_entries, 8);
	__uint(key_size, 6);
	__type(value, char[16]);
} counts SEC(".maps");

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, enum level);
} levels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct prefix {
	__u32 length;
	__be32 address __tag("ipv4");
};

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct point);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} tables SEC(".maps");

/* An inner map of its own types, which nothing else names. */
struct {
	__uint(type, HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, pair_t);
	__array(values, struct {
		__uint(type, PERCPU_ARRAY);
		__uint(max_entries, 2);
		__type(key, __u32);
		__type(value, struct {
			__u64 seen;
		});
	});
} tables_by_name SEC(".maps");

struct {
	__uint(type, HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct {
		struct point (*type)[BPF_MAP_TYPE_RINGBUF];
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__uint(value_size, 4);
} tables_of_whatever SEC(".maps");

#define MAP(name, number, k, v)                \
	struct {                               \
		__uint(type, number);          \
		__uint(max_entries, 8);        \
		__type(key, k);                \
		__type(value, v);              \
	} name SEC(".maps")
#define KEYLESS(name, number, v)               \
	struct {                               \
		__uint(type, number);          \
		__uint(max_entries, 8);        \
		__type(value, v);              \
	} name SEC(".maps")
#define UNTYPED(name, number, size)            \
	struct {                               \
		__uint(type, number);          \
		__uint(max_entries, 8);        \
		__uint(key_size, 4);           \
		__uint(value_size, size);      \
	} name SEC(".maps")

MAP(calls, BPF_MAP_TYPE_PROG_ARRAY, __u32, __u32);
UNTYPED(stacks, 7, 1016);
UNTYPED(groups, 8, 4);
MAP(routes, 11, struct prefix, struct point);
UNTYPED(interfaces, 14, 4);
UNTYPED(sockets, 15, 8);
MAP(processors, 16, __u32, struct point);
UNTYPED(xsks, 17, 4);
MAP(sockets_by_name, 18, struct point, __u64);
MAP(of_cgroup_before, 19, __u64, struct point);
UNTYPED(listeners, 20, 8);
MAP(per_cpu_of_cgroup_before, 21, __u64, struct point);
KEYLESS(waiting, 22, struct point);
KEYLESS(piled, 23, __u32);
MAP(of_socket, 24, int, struct point);
MAP(interfaces_by_name, 25, __u32, struct point);
MAP(of_file, 28, int, struct point);
MAP(of_task, 29, int, __u64);
KEYLESS(known, 30, struct point);
MAP(of_cgroup, 32, int, struct point);

struct {
	__uint(type, 33);
	__uint(max_entries, 8);
} arena SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

struct every every = {
	.u8 = 0xfe, .s8 = -2, .u16 = 0xfedc, .s16 = -3, .u32 = 0xfedcba98, .s32 = -4, .u64 = 0xfedcba9876543210ULL, .s64 = -5,
	.u128 = (unsigned __int128)1 << 100, .s128 = -6, .yes = 1, .single = 1.5, .dual = -0.25, .letter = 'A',
	.text = "na\xc3\xafve", .octets = {0, 1, 2, 255}, .small = {-1, 1}, .flags = {0, 1}, .ports = {22, 80, 443},
	.grid = {{1, 2, 3}, {-1, -2, -3}}, .names = {"abcd", "e"}, .points = {{1, -1}, {2, -2}},
	.levels = {LEVEL_HIGH, LEVEL_LOW}, .mode = MODE_ON, .wide = WIDE_TOP, .pair = {0x01020304, 0x05060708},
	.address = {.v6 = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	.bits = {.first = 5, .second = -33, .third = 0x123456789ULL, .fourth = 1, .after = 9},
	.inside = 77, .one = 0x00010002, .named = {.deep = 3}, .whole = 0x1122334455667788ULL,
	.class = 1, .int_ = 2, .bytes = 3, .__hidden_name = 4, .codec = 5,
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	.port = 0xbb01, .source = 0x0100007f,
#else
	.port = 0x01bb, .source = 0x7f000001,
#endif
	.destination = {{0x20, 1, 0xd, 0xb8, [15] = 1}}, .blob = "\0\xff", .label = "abc",
	.peers = {{[10] = 0xff, 0xff, 10, 0, 0, 1}, {[15] = 1}}, .few = LEVEL_LOW, .flag = 1, .many = SOME,
};
const struct every template;
const volatile __u16 limits[2] = {1, 65535};
struct record last SEC(".data.late") = {.length = 1};
const struct pointed *unused __attribute__((unused));
static __u32 kept_to_itself = 5;

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	return kept_to_itself++;
}

SEC("?xdp")
int on_packet(void *ctx)
{
	return 2;
}

SEC("iter/task")
int each_task(void *ctx)
{
	return 0;
}

SEC("unheard_of")
int lambda_(void *ctx)
{
	return 0;
}

/* A table of functions that the kernel is given. */
struct table {
	int (*init)(void *sk);
	char name[16];
};

SEC("struct_ops/init")
int table_init(void *ctx)
{
	return 0;
}

SEC(".struct_ops.link")
struct table table = {.init = (void *)table_init, .name = "every"};

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned long CONFIG_HZ __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[12] __kconfig __weak;

SEC("syscall")
int configured(void *ctx)
{
	return LINUX_KERNEL_VERSION + CONFIG_HZ + CONFIG_DEFAULT_HOSTNAME[0];
}
