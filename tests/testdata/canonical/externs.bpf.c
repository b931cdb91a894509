/* Many functions and variables of the kernel's, their types reached from no other place; and all that a type's number
 * stands in: tags, maps, CO-RE relocations of each kind, instructions that hold one. */
#include "mini_bpf.h"

#define EACH(X) \
	X(31) X(2) X(17) X(4) X(25) X(6) X(7) X(28) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(3) X(18) X(19) X(20)

#define DECLARE(n) \
	struct arg_##n { struct seen_##n { int x; } *seen; struct arg_##n *next; }; \
	extern struct arg_##n *kfunc_##n(struct arg_##n *arg, union value_##n *value) __ksym __weak; \
	extern const int variable_##n __ksym;
EACH(DECLARE)
extern int option __kconfig;
extern bool also __kconfig __weak;
extern int alone(struct alone *);

struct kernel { int a; long b; struct { int c : 3; int d : 5; }; } __core;
enum wide : __u64 { WIDE = 1ULL << 40, NARROW = 1 };
enum choice { NONE, ONE, MANY };
typedef struct { int x; } nameless __tag("first") __tag("second");
struct event { __u32 pid; char name[16] __tag("text"); enum wide wide; float ratio; const volatile int *restrict flags; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, nameless);
	__type(value, struct event);
} second SEC(".maps"), first SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps") __tag("struct event");

const volatile int level = 2;
static int hits[4];
__u64 total __tag("total") = 1;

SEC("kprobe/calls") int calls(struct kernel *kernel)
{
	int sum = kernel->d + option + also + alone(0);
#define CALL(n) if (kfunc_##n) sum += !kfunc_##n((void *)kernel, 0) + (variable_##n ? *&variable_##n : 0);
	EACH(CALL)
	hits[sum & 3] += level;
	return sum;
}

SEC("kprobe/ids") int ids(void *ctx)
{
	__u64 sum = __builtin_btf_type_id(*(struct kernel *)0, 0) * 3;
	sum += __builtin_btf_type_id(*(struct event *)0, 1) * 5;
	sum += __builtin_preserve_type_info(*(struct kernel *)0, 0);
	sum += __builtin_preserve_enum_value(*(typeof(enum choice) *)MANY, 1);
	sum += __builtin_preserve_field_info(((struct kernel *)0)->b, 2);
	total += sum;
	return bpf_map_lookup_elem(&second, ctx) != bpf_map_lookup_elem(&first, ctx);
}

char LICENSE[] SEC("license") = "GPL";
