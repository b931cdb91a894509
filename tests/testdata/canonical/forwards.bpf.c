/* Many structs that only pointers reach: clang writes a forward declaration for each at the end of the types, in the
 * order of its heap's addresses, and the type tags of such pointers among them. */
#include "mini_bpf.h"

#define EACH(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) \
	X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33) X(34) X(35) X(36) X(37) \
	X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47)

#define __user __attribute__((btf_type_tag("user")))
#define __rcu __attribute__((btf_type_tag("rcu")))

#define DEFINE(n) \
	struct far_##n { int x; struct far_##n *next; }; \
	union odd_##n { int x; long y; }; \
	struct tagged_##n { int x; };
EACH(DEFINE)

#define POINT(n) \
	struct far_##n *far##n; const union odd_##n *odd##n; struct tagged_##n __user *user##n; struct tagged_##n __rcu *rcu##n;
struct hub {
	EACH(POINT)
	int (*call)(struct far_3 *, union odd_7 *, void __user *);
} __core;

struct again { struct hub *hub; struct hub **many; struct only_declared *never; union never_either *nor; };

struct again pinned;

SEC("kprobe/one") int one(struct hub *hub) { return !hub->far3 + !hub->odd7; }

SEC("kprobe/two") int two(struct again *more)
{
	struct shadow { int a; } here = { more->hub->far5 == 0 };
	return here.a;
}

static __noinline int three(struct hub *hub)
{
	struct shadow { long b; struct hub *hub; } here = { 3, hub };
	return here.b + !here.hub->user9;
}

SEC("kprobe/four") int four(struct hub *hub) { return three(hub); }

char LICENSE[] SEC("license") = "GPL";
