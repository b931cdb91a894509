/* Programs that want different capabilities, and maps that want none but CAP_BPF. None is loaded unless asked for. */
#include "mini_bpf.h"

static void *(*bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static long (*bpf_seq_write)(void *seq, const void *data, __u32 len) = (void *)127;

struct bpf_iter_meta {
	void *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
} __attribute__((preserve_access_index));

struct event {
	__u32 pid;
};

struct {
	struct event (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 4096);
} events SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 target_pid;
__u64 hits;

#define TELL(section, name)                                                                   \
	SEC("?" section)                                                                      \
	int name(void *ctx)                                                                   \
	{                                                                                     \
		__u32 pid = bpf_get_current_pid_tgid() >> 32;                                 \
		struct event *event;                                                          \
		if (pid != target_pid)                                                        \
			return 0;                                                             \
		__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);                               \
		if ((event = bpf_ringbuf_reserve(&events, sizeof(*event), 0))) {              \
			event->pid = pid;                                                     \
			bpf_ringbuf_submit(event, 0);                                         \
		}                                                                             \
		return 0;                                                                     \
	}

TELL("tp_btf/sys_enter", on_tp_btf)
TELL("raw_tp/sys_enter", on_raw_tracepoint)
TELL("uprobe", on_uprobe)

SEC("?iter/task")
int list_tasks(struct bpf_iter__task *ctx)
{
	bpf_seq_write(ctx->meta->seq, "x\n", 2);
	return 0;
}

#define RETURN(section, name, value) \
	SEC("?" section)             \
	int name(void *ctx)          \
	{                            \
		return value;        \
	}

RETURN("xdp", on_xdp, 2)
RETURN("cgroup/connect4", on_connect4, 1)
RETURN("socket", on_socket, 0)
