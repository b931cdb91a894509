"""The first kernel of each BPF feature: the numbers and names of linux/bpf.h with the versions that brought them.

Versions are those of the kernel's history (docs/kernel-versions.md in iovisor/bcc lists its commits; where a helper's
number shows that its commit missed that release, the next one is meant). A distribution's kernel may have a feature
before its version says so: `probe` asks the kernel itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# bpf_prog_type and bpf_map_type in the order of their numbers, each `name kernel`.
PROGRAM_TYPE_VERSIONS = """unspec 0 socket_filter 3.19 kprobe 4.1 sched_cls 4.1 sched_act 4.1 tracepoint 4.7 xdp 4.8
perf_event 4.9 cgroup_skb 4.10 cgroup_sock 4.10 lwt_in 4.10 lwt_out 4.10 lwt_xmit 4.10 sock_ops 4.13 sk_skb 4.14
cgroup_device 4.15 sk_msg 4.17 raw_tracepoint 4.17 cgroup_sock_addr 4.17 lwt_seg6local 4.18 lirc_mode2 4.18
sk_reuseport 4.19 flow_dissector 4.20 cgroup_sysctl 5.2 raw_tracepoint_writable 5.2 cgroup_sockopt 5.3 tracing 5.5
struct_ops 5.6 ext 5.6 lsm 5.7 sk_lookup 5.9 syscall 5.14 netfilter 6.4"""
MAP_TYPE_VERSIONS = """unspec 0 hash 3.19 array 3.19 prog_array 4.2 perf_event_array 4.3 percpu_hash 4.6
percpu_array 4.6
stack_trace 4.6 cgroup_array 4.8 lru_hash 4.10 lru_percpu_hash 4.10 lpm_trie 4.11 array_of_maps 4.12 hash_of_maps 4.12
devmap 4.14 sockmap 4.14 cpumap 4.15 xskmap 4.18 sockhash 4.18 cgroup_storage 4.19 reuseport_sockarray 4.19
percpu_cgroup_storage 4.20 queue 4.20 stack 4.20 sk_storage 5.2 devmap_hash 5.4 struct_ops 5.6 ringbuf 5.8
inode_storage 5.10 task_storage 5.11 bloom_filter 5.16 user_ringbuf 6.1 cgrp_storage 6.2 arena 6.9 insn_array 6.19
rhash 7.2"""
# The helpers in the order of their numbers (___BPF_FUNC_MAPPER), each after the kernel that brought it.
HELPER_VERSIONS = """3.19 map_lookup_elem map_update_elem map_delete_elem
4.1 probe_read ktime_get_ns trace_printk get_prandom_u32 get_smp_processor_id skb_store_bytes l3_csum_replace
l4_csum_replace 4.2 tail_call clone_redirect get_current_pid_tgid get_current_uid_gid get_current_comm
4.3 get_cgroup_classid skb_vlan_push skb_vlan_pop skb_get_tunnel_key skb_set_tunnel_key perf_event_read
4.4 redirect get_route_realm perf_event_output 4.5 skb_load_bytes
4.6 get_stackid csum_diff skb_get_tunnel_opt skb_set_tunnel_opt
4.8 skb_change_proto skb_change_type skb_under_cgroup get_hash_recalc get_current_task probe_write_user
4.9 current_task_under_cgroup skb_change_tail skb_pull_data csum_update set_hash_invalid
4.10 get_numa_node_id skb_change_head xdp_adjust_head 4.11 probe_read_str 4.12 get_socket_cookie get_socket_uid
4.13 set_hash setsockopt skb_adjust_room 4.14 redirect_map sk_redirect_map sock_map_update
4.15 xdp_adjust_meta perf_event_read_value perf_prog_read_value getsockopt 4.16 override_return sock_ops_cb_flags_set
4.17 msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data bind
4.18 xdp_adjust_tail skb_get_xfrm_state get_stack skb_load_bytes_relative fib_lookup sock_hash_update msg_redirect_hash
sk_redirect_hash lwt_push_encap lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action rc_repeat rc_keydown
skb_cgroup_id get_current_cgroup_id 4.19 get_local_storage sk_select_reuseport skb_ancestor_cgroup_id
4.20 sk_lookup_tcp sk_lookup_udp sk_release map_push_elem map_pop_elem map_peek_elem msg_push_data
5.0 msg_pop_data rc_pointer_rel 5.1 spin_lock spin_unlock sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock
5.2 skc_lookup_tcp tcp_check_syncookie sysctl_get_name sysctl_get_current_value sysctl_get_new_value
sysctl_set_new_value strtol strtoul sk_storage_get sk_storage_delete 5.3 send_signal tcp_gen_syncookie
5.5 skb_output probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str
5.6 tcp_send_ack send_signal_thread jiffies64 read_branch_records
5.7 get_ns_current_pid_tgid xdp_output get_netns_cookie get_current_ancestor_cgroup_id sk_assign
5.8 ktime_get_boot_ns seq_printf seq_write sk_cgroup_id sk_ancestor_cgroup_id ringbuf_output ringbuf_reserve
ringbuf_submit ringbuf_discard ringbuf_query csum_level
5.9 skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock get_task_stack
5.10 load_hdr_opt store_hdr_opt reserve_hdr_opt inode_storage_get inode_storage_delete d_path copy_from_user
snprintf_btf seq_printf_btf skb_cgroup_classid redirect_neigh per_cpu_ptr this_cpu_ptr redirect_peer
5.11 task_storage_get task_storage_delete get_current_task_btf bprm_opts_set ktime_get_coarse_ns ima_inode_hash
sock_from_file 5.12 check_mtu 5.13 for_each_map_elem snprintf 5.14 sys_bpf btf_find_by_name_kind sys_close
5.15 timer_init timer_set_callback timer_start timer_cancel get_func_ip get_attach_cookie task_pt_regs
5.16 get_branch_snapshot trace_vprintk skc_to_unix_sock kallsyms_lookup_name
5.17 find_vma loop strncmp get_func_arg get_func_ret get_func_arg_cnt
5.18 get_retval set_retval xdp_get_buff_len xdp_load_bytes xdp_store_bytes copy_from_user_task skb_set_tstamp
ima_file_hash 5.19 kptr_xchg map_lookup_percpu_elem skc_to_mptcp_sock dynptr_from_mem ringbuf_reserve_dynptr
ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data
6.0 tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6
6.1 ktime_get_tai_ns user_ringbuf_drain 6.2 cgrp_storage_get cgrp_storage_delete"""
# Sections as libbpf's section_defs has them, each `section type kernel`; a `/` and a target may follow. The kernel is
# the first that attaches it; fentry and its like need the arch's trampoline too (arm64: 6.0).
SECTION_VERSIONS = """socket socket_filter 3.19; kprobe kprobe 4.1; kretprobe kprobe 4.1; uprobe kprobe 4.1
uretprobe kprobe 4.1; uprobe.s kprobe 6.0; uretprobe.s kprobe 6.0; kprobe.multi kprobe 5.18; kretprobe.multi kprobe 5.18
kprobe.session kprobe 6.10; uprobe.multi kprobe 6.6; uretprobe.multi kprobe 6.6; uprobe.multi.s kprobe 6.6
uretprobe.multi.s kprobe 6.6; uprobe.session kprobe 6.13; uprobe.session.s kprobe 6.13; ksyscall kprobe 4.1
kretsyscall kprobe 4.1; usdt kprobe 4.1; usdt.s kprobe 6.0; tc sched_cls 4.1; classifier sched_cls 4.1
action sched_act 4.1; tc/ingress sched_cls 6.6; tc/egress sched_cls 6.6; tcx/ingress sched_cls 6.6
tcx/egress sched_cls 6.6; netkit/primary sched_cls 6.7; netkit/peer sched_cls 6.7; tracepoint tracepoint 4.7
tp tracepoint 4.7; raw_tracepoint raw_tracepoint 4.17; raw_tp raw_tracepoint 4.17
raw_tp.w raw_tracepoint_writable 5.2; raw_tracepoint.w raw_tracepoint_writable 5.2; tp_btf tracing 5.5
fentry tracing 5.5; fexit tracing 5.5; fmod_ret tracing 5.7; fentry.s tracing 5.10; fexit.s tracing 5.10
fmod_ret.s tracing 5.10; fsession tracing 7.0; fsession.s tracing 7.0; fentry.multi tracing 7.2
fexit.multi tracing 7.2; fsession.multi tracing 7.2; fentry.multi.s tracing 7.2; fexit.multi.s tracing 7.2
fsession.multi.s tracing 7.2; freplace ext 5.6; lsm lsm 5.7; lsm.s lsm 5.10; lsm_cgroup lsm 6.0; iter tracing 5.8
iter.s tracing 5.18; syscall syscall 5.14; xdp xdp 4.8; xdp.frags xdp 5.18; xdp/devmap xdp 5.8; xdp/cpumap xdp 5.9
xdp.frags/devmap xdp 5.18; xdp.frags/cpumap xdp 5.18; perf_event perf_event 4.9; lwt_in lwt_in 4.10
lwt_out lwt_out 4.10; lwt_xmit lwt_xmit 4.10; lwt_seg6local lwt_seg6local 4.18; sockops sock_ops 4.13
sk_skb sk_skb 4.14; sk_skb/stream_parser sk_skb 4.14; sk_skb/stream_verdict sk_skb 4.14; sk_skb/verdict sk_skb 5.13
sk_msg sk_msg 4.17; lirc_mode2 lirc_mode2 4.18; flow_dissector flow_dissector 4.20; cgroup/skb cgroup_skb 4.10
cgroup_skb/ingress cgroup_skb 4.10; cgroup_skb/egress cgroup_skb 4.10; cgroup/sock cgroup_sock 4.10
cgroup/sock_create cgroup_sock 4.10; cgroup/sock_release cgroup_sock 5.9; cgroup/post_bind4 cgroup_sock 4.17
cgroup/post_bind6 cgroup_sock 4.17; cgroup/bind4 cgroup_sock_addr 4.17; cgroup/bind6 cgroup_sock_addr 4.17
cgroup/connect4 cgroup_sock_addr 4.17; cgroup/connect6 cgroup_sock_addr 4.17
cgroup/connect_unix cgroup_sock_addr 6.7; cgroup/sendmsg4 cgroup_sock_addr 4.18
cgroup/sendmsg6 cgroup_sock_addr 4.18; cgroup/sendmsg_unix cgroup_sock_addr 6.7; cgroup/recvmsg4 cgroup_sock_addr 5.2
cgroup/recvmsg6 cgroup_sock_addr 5.2; cgroup/recvmsg_unix cgroup_sock_addr 6.7
cgroup/getpeername4 cgroup_sock_addr 5.8; cgroup/getpeername6 cgroup_sock_addr 5.8
cgroup/getpeername_unix cgroup_sock_addr 6.7; cgroup/getsockname4 cgroup_sock_addr 5.8
cgroup/getsockname6 cgroup_sock_addr 5.8; cgroup/getsockname_unix cgroup_sock_addr 6.7
cgroup/sysctl cgroup_sysctl 5.2; cgroup/getsockopt cgroup_sockopt 5.3; cgroup/setsockopt cgroup_sockopt 5.3
cgroup/dev cgroup_device 4.15; struct_ops struct_ops 5.6; struct_ops.s struct_ops 5.19; sk_lookup sk_lookup 5.9
sk_reuseport sk_reuseport 4.19; sk_reuseport/migrate sk_reuseport 5.14; netfilter netfilter 6.4"""


class Feature(NamedTuple):
    """A program type, map type or helper: its number, its name in lower case, the first kernel that has it."""

    number: int
    name: str
    kernel: str


class SectionKind(NamedTuple):
    """The meaning of a section's name: the program type, and the first kernel that attaches it."""

    section: str
    type: str
    kernel: str


def program_types() -> list[Feature]:
    """Returns the program types by number, without BPF_PROG_TYPE_UNSPEC."""
    return _numbered(PROGRAM_TYPE_VERSIONS)


def map_types() -> list[Feature]:
    """Returns the map types by number, without BPF_MAP_TYPE_UNSPEC."""
    return _numbered(MAP_TYPE_VERSIONS)


def _numbered(table: str) -> list[Feature]:
    words = table.split()
    return [Feature(i, *pair) for i, pair in enumerate(zip(words[::2], words[1::2])) if i]


def helpers() -> list[Feature]:
    """Returns the helpers by number, their names without `bpf_`."""
    found: list[Feature] = []
    kernel = ""
    for word in HELPER_VERSIONS.split():
        if word[0].isdigit():
            kernel = word
        else:
            found.append(Feature(len(found) + 1, word, kernel))
    return found


def section_kinds() -> list[SectionKind]:
    """Returns the kinds of sections in libbpf's order."""
    return [SectionKind(*row.split()) for row in re.split(r";\s|\n", SECTION_VERSIONS)]


def section_kind(section: str) -> SectionKind | None:
    """Returns the kind that libbpf takes a section for (a leading `?` means off at first); None if it knows none."""
    known = {kind.section: kind for kind in section_kinds()}
    name = section.removeprefix("?")
    while name and name not in known:
        name = name.rpartition("/")[0]
    return known.get(name)


def version_of(text: str) -> tuple[int, int]:
    """Returns a text's first two numbers: (5, 15) for `5.15.0-91-generic`, (1, 4) for `1.4`; (0, 0) if it has none."""
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
