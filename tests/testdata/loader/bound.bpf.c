/* Structs with members of each form: in variables, and in an array that can be mapped. */
#include "mini_bpf.h"
struct point { __u16 x, y; };
struct settings {
	__u32 level : 4, depth : 12;
	char name[8];
	struct point corner;
	struct point route[2];
	union { __u32 whole; struct point half; };
	union { __u64 number; struct point point; } other;
};
struct settings current, all[3];
const volatile struct settings fixed;
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, 1 << 10);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct settings);
} table SEC(".maps");
SEC("socket")
int level(void *context)
{
	return current.level * 100 + current.corner.y * 10 + fixed.route[1].x;
}
char LICENSE[] SEC("license") = "GPL";
