/* USDT with vmlinux.h: libbpf's usdt.bpf.h asks for <linux/errno.h>, and the program for more constants. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const volatile int constants[] = {
	ETH_P_IP, TC_ACT_SHOT, EPERM, O_CREAT, SIGKILL, CLONE_NEWNS, IPPROTO_TCP, S_IFREG, BPF_REG_0, UINT8_MAX,
};
long seen;

SEC("usdt/./traced:provider:name")
int BPF_USDT(on_probe, long argument)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool negative = argument == -EPERM;

	seen += offsetof(struct ethhdr, h_proto) + negative + (task != NULL);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
