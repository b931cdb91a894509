/* A map of each type, and the programs that give it its meaning. Tests load what they need. */
#include "mini_bpf.h"

enum {
	CGROUP_ARRAY = 8, STACK_TRACE = 7, PERCPU_HASH = 5, PERCPU_ARRAY = 6, LRU_HASH = 9, LPM_TRIE = 11,
	HASH_OF_MAPS = 13, DEVMAP = 14, SOCKMAP = 15, CPUMAP = 16, XSKMAP = 17, SOCKHASH = 18, REUSEPORT_SOCKARRAY = 20,
	QUEUE = 22, STACK = 23, SK_STORAGE = 24, DEVMAP_HASH = 25, INODE_STORAGE = 28, TASK_STORAGE = 29, BLOOM_FILTER = 30,
	CGRP_STORAGE = 32, CGROUP_STORAGE = 19, PERCPU_CGROUP_STORAGE = 21, ARENA = 33, NO_PREALLOC = 1, MMAPABLE = 1 << 10, CREATE = 1,
};

static long (*bpf_tail_call)(void *ctx, void *map, __u32 index) = (void *)12;
static __u64 (*bpf_perf_event_read)(void *map, __u64 flags) = (void *)22;
static long (*bpf_get_stackid)(void *ctx, void *map, __u64 flags) = (void *)27;
static long (*bpf_current_task_under_cgroup)(void *map, __u32 index) = (void *)37;
static long (*bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;
static long (*bpf_sk_redirect_map)(void *skb, void *map, __u32 key, __u64 flags) = (void *)52;
static long (*bpf_sk_redirect_hash)(void *skb, void *map, void *key, __u64 flags) = (void *)72;
static void *(*bpf_get_local_storage)(void *map, __u64 flags) = (void *)81;
static long (*bpf_sk_select_reuseport)(void *ctx, void *map, void *key, __u64 flags) = (void *)82;
static long (*bpf_map_push_elem)(void *map, const void *value, __u64 flags) = (void *)87;
static long (*bpf_map_pop_elem)(void *map, void *value) = (void *)88;
static long (*bpf_map_peek_elem)(void *map, void *value) = (void *)89;
struct bpf_spin_lock {
	__u32 val;
};
static long (*bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
static void *(*bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)107;
static void *(*bpf_task_storage_get)(void *map, void *task, void *value, __u64 flags) = (void *)156;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static void *(*bpf_cgrp_storage_get)(void *map, void *cgroup, void *value, __u64 flags) = (void *)210;

struct cgroup {
	int level;
} __core;
struct css_set {
	struct cgroup *dfl_cgrp;
} __core;
struct task_struct {
	struct css_set *cgroups;
} __core;

struct pair {
	__u32 low, high;
};

struct guarded {
	struct bpf_spin_lock lock;
	__u32 writes;
	__u64 first, second;
};

struct prefix {
	__u32 length;
	__u8 address[16];
};

#define MAP(name, kind, entries, k, v)                                                 \
	struct {                                                                       \
		__uint(type, kind);                                                    \
		__uint(max_entries, entries);                                          \
		__type(key, k);                                                        \
		__type(value, v);                                                      \
	} name SEC(".maps")
#define FLAGGED(name, kind, entries, flags, k, v)                                      \
	struct {                                                                       \
		__uint(type, kind);                                                    \
		__uint(max_entries, entries);                                          \
		__uint(map_flags, flags);                                              \
		__type(key, k);                                                        \
		__type(value, v);                                                      \
	} name SEC(".maps")
#define KEYLESS(name, kind, entries, v)                                                \
	struct {                                                                       \
		__uint(type, kind);                                                    \
		__uint(max_entries, entries);                                          \
		__type(value, v);                                                      \
	} name SEC(".maps")
#define STORAGE(name, kind, v) FLAGGED(name, kind, 0, NO_PREALLOC, int, v)

MAP(counts, BPF_MAP_TYPE_HASH, 64, __u32, __u64);
MAP(big, BPF_MAP_TYPE_HASH, 200000, __u64, struct pair);
MAP(recent, LRU_HASH, 64, __u32, __u64);
MAP(guarded, BPF_MAP_TYPE_HASH, 16, __u32, struct guarded);
struct text {
	char name[8];
};

MAP(by_text, BPF_MAP_TYPE_HASH, 16, struct text, __u32);
MAP(slots, BPF_MAP_TYPE_ARRAY, 6, __u32, struct pair);
MAP(percpu_counts, PERCPU_HASH, 16, __u32, __u32);
MAP(percpu_pairs, PERCPU_ARRAY, 5, __u32, struct pair);
FLAGGED(shared, BPF_MAP_TYPE_ARRAY, 300, MMAPABLE, __u32, struct pair);
FLAGGED(routes, LPM_TRIE, 64, NO_PREALLOC, struct prefix, __u32);
KEYLESS(queue, QUEUE, 8, struct pair);
KEYLESS(stack, STACK, 8, __u32);
KEYLESS(bloom, BLOOM_FILTER, 1000, __u64);
MAP(next, BPF_MAP_TYPE_PROG_ARRAY, 4, __u32, __u32);
MAP(cgroups, CGROUP_ARRAY, 2, __u32, __u32);
MAP(counters, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 0, __u32, __u32);
STORAGE(of_socket, SK_STORAGE, struct pair);
STORAGE(of_inode, INODE_STORAGE, __u64);
STORAGE(of_task, TASK_STORAGE, __u64);
STORAGE(of_cgroup, CGRP_STORAGE, __u64);
MAP(sockets, SOCKMAP, 4, __u32, __u64);
MAP(sockets_by_name, SOCKHASH, 4, struct pair, __u64);
MAP(blind_sockets, SOCKMAP, 4, __u32, __u32);
MAP(listeners, REUSEPORT_SOCKARRAY, 4, __u32, __u64);
MAP(devices, DEVMAP, 4, __u32, __u32);
MAP(devices_by_name, DEVMAP_HASH, 4, __u32, __u32);
MAP(cpus, CPUMAP, 4, __u32, __u32);
MAP(xsks, XSKMAP, 4, __u32, __u32);

struct bpf_cgroup_storage_key {
	__u64 cgroup_inode_id;
	__u32 attach_type;
};

MAP(of_cgroup_before, CGROUP_STORAGE, 0, struct bpf_cgroup_storage_key, __u64);
MAP(of_cgroup_per_cpu, PERCPU_CGROUP_STORAGE, 0, struct bpf_cgroup_storage_key, __u64);

struct {
	__uint(type, STACK_TRACE);
	__uint(max_entries, 1024);
	__uint(key_size, 4);
	__uint(value_size, 8 * 32);
} traces SEC(".maps");

struct {
	__uint(type, ARENA);
	__uint(map_flags, MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct pair);
} first_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &first_inner}};

struct {
	__uint(type, HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, struct pair);
	__array(values, struct inner);
} outer_by_name SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

__u32 number, answer;
__s64 stack_id = -1;
__u64 count;
__u32 target_pid;
__u64 stack_flags;

SEC("?tc")
int fill(void *ctx)
{
	struct pair pair = {number, number + 1};
	__u64 value = number;
	bpf_map_push_elem(&queue, &pair, 0);
	bpf_map_push_elem(&stack, &number, 0);
	return bpf_map_update_elem(&big, &value, &pair, 0);
}

SEC("?tc")
int take(void *ctx)
{
	struct pair pair = {};
	if (bpf_map_pop_elem(&queue, &pair))
		return -1;
	return bpf_map_peek_elem(&stack, &number) ? -2 : pair.high;
}

SEC("?tc")
int seen(void *ctx)
{
	__u64 value = number;
	return bpf_map_peek_elem(&bloom, &value) == 0;
}

SEC("?tc")
int route(void *ctx)
{
	struct prefix prefix = {.length = 128, .address = {0x20, 1, 0xd, 0xb8, number}};
	__u32 *found = bpf_map_lookup_elem(&routes, &prefix);
	return found ? *found : 0;
}

SEC("?tc")
int guard(void *ctx)
{
	__u32 key = 1;
	struct guarded *found = bpf_map_lookup_elem(&guarded, &key);
	if (!found)
		return 0;
	bpf_spin_lock(&found->lock);
	found->writes++;
	found->first++;
	found->second++;
	bpf_spin_unlock(&found->lock);
	return 1;
}

SEC("?tc")
int jump(void *ctx)
{
	bpf_tail_call(ctx, &next, number);
	return 1;
}

SEC("?tc")
int target(void *ctx)
{
	return 42;
}

SEC("?tc")
int nested(void *ctx)
{
	struct pair key = {1, 2}, value = {number, answer};
	void *inner = bpf_map_lookup_elem(&outer, &number);
	void *named = bpf_map_lookup_elem(&outer_by_name, &key);
	int done = 0;
	if (inner && !bpf_map_update_elem(inner, &number, &value, 0))
		done |= 1;
	if (named && !bpf_map_update_elem(named, &number, &value, 0))
		done |= 2;
	return done;
}

SEC("?tc")
int share(void *ctx)
{
	struct pair *found = bpf_map_lookup_elem(&shared, &number);
	if (!found)
		return 0;
	found->low = found->high + 1;
	return found->high;
}

SEC("?tp_btf/sys_enter")
int on_enter(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *found;
	if (bpf_get_current_pid_tgid() >> 32 != target_pid)
		return 0;
	stack_id = bpf_get_stackid(ctx, &traces, stack_flags);
	found = bpf_task_storage_get(&of_task, task, 0, CREATE);
	if (found)
		*found += 1;
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_enter_cgroup(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *found;
	if (bpf_get_current_pid_tgid() >> 32 != target_pid)
		return 0;
	found = bpf_cgrp_storage_get(&of_cgroup, task->cgroups->dfl_cgrp, 0, CREATE);
	if (found)
		*found += 1;
	return 0;
}

SEC("?raw_tp/sys_enter")
int on_enter_test(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != target_pid)
		return 0;
	answer = bpf_current_task_under_cgroup(&cgroups, 1);
	count = bpf_perf_event_read(&counters, 0xffffffffULL);
	return 0;
}

SEC("?cgroup/sock_create")
int on_socket(void *ctx)
{
	struct pair *found = bpf_sk_storage_get(&of_socket, ctx, 0, CREATE);
	if (found) {
		found->low = 7;
		found->high = bpf_get_current_pid_tgid() >> 32;
	}
	return 1;
}

SEC("?cgroup_skb/egress")
int on_egress(void *ctx)
{
	__u64 *all = bpf_get_local_storage(&of_cgroup_before, 0), *here = bpf_get_local_storage(&of_cgroup_per_cpu, 0);
	__atomic_fetch_add(all, 1, __ATOMIC_RELAXED);
	*here += 1;
	return 1;
}

SEC("?sk_skb/stream_verdict")
int forward(void *ctx)
{
	return bpf_sk_redirect_map(ctx, &sockets, 1, 0);
}

SEC("?sk_skb/stream_verdict")
int forward_by_name(void *ctx)
{
	struct pair key = {5, 6};
	return bpf_sk_redirect_hash(ctx, &sockets_by_name, &key, 0);
}

SEC("?sk_reuseport")
int choose(void *ctx)
{
	return bpf_sk_select_reuseport(ctx, &listeners, &number, 0) == 0;
}

#define REDIRECT(name, map)                                                            \
	SEC("?xdp")                                                                    \
	int name(void *ctx)                                                            \
	{                                                                              \
		return bpf_redirect_map(&map, number, 0);                              \
	}

REDIRECT(to_device, devices)
REDIRECT(to_device_by_name, devices_by_name)
REDIRECT(to_cpu, cpus)
REDIRECT(to_xsk, xsks)

#define __arena __attribute__((address_space(1)))

__u64 shared_address;

SEC("?syscall")
int use_arena(void *ctx)
{
	void *map = &arena;
	asm volatile("" : "+r"(map)); /* the program must name its arena */
	int __arena *place = (int __arena *)shared_address;
	*place += 1;
	return *place;
}
