"""Kinds of programs that a kernel can't attach because of an option, and contexts of a 32-bit kernel: told by its BTF."""

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.kernels.matrix import check
from ebpfbuild.spec.object import ObjectSpec

FUNCTIONS = ("trace_event_raw_init", "ftrace_make_nop", "kprobe_ftrace_handler", "ftrace_call_adjust", "create_local_trace_kprobe",
             "register_fprobe_ips", "uprobe_mmap", "bpf_nf_link_attach", "do_exit", "__riscv_sys_openat")  # fmt: skip
SOURCE = """#include "mini_bpf.h"
SEC("{section}") long p(void *ctx) {{ return 0; }}
char LICENSE[] SEC("license") = "GPL";
"""


def kernel(arch="riscv64", release="6.12.1", without=()):
    names = [name for name in FUNCTIONS if name not in without]
    types = [(0, info(Kind.FUNC_PROTO), 0), *((number, info(Kind.FUNC), 1) for number in range(1, len(names) + 1))]
    return Kernel("k", arch, release, Btf.parse(assemble(types, ("", *names)), "k", None))


def problem_of(compile_bpf, section, of):
    spec = ObjectSpec.from_bytes(compile_bpf(SOURCE.format(section=section)), "one.bpf.o")
    found = check([("x", of.arch, spec)], [of]).findings()
    return found[0].problem if found else None


@pytest.mark.parametrize(
    "section, without, there, fix",
    [
        ("kprobe/do_exit", "kprobe_ftrace_handler ftrace_call_adjust", "CONFIG_KPROBES_ON_FTRACE is off", '"kprobe/do_exit+8"'),
        ("kretprobe/do_exit", "kprobe_ftrace_handler ftrace_call_adjust", "CONFIG_KPROBES_ON_FTRACE is off", 'SEC("fexit/do_exit")'),
        ("ksyscall/openat", "kprobe_ftrace_handler ftrace_call_adjust", "CONFIG_KPROBES_ON_FTRACE is off", 'SEC("fentry/__riscv_sys_openat")'),
        ("kprobe/do_exit+8", "kprobe_ftrace_handler ftrace_call_adjust", "", ""),
        ("kprobe/do_exit", "kprobe_ftrace_handler", "", ""),
        ("kprobe/do_exit", "kprobe_ftrace_handler ftrace_call_adjust ftrace_make_nop", "", ""),
        ("kprobe/do_exit", "create_local_trace_kprobe", "built without CONFIG_KPROBE_EVENTS", 'SEC("?fentry/FUNCTION")'),
        ("kprobe.multi/do_exit", "register_fprobe_ips", "built without CONFIG_FPROBE", 'SEC("?kprobe/FUNCTION")'),
        ("kprobe.multi/do_exit", "register_fprobe_ips trace_event_raw_init", "", ""),
        ("uprobe.s//bin/sh:main", "uprobe_mmap", "built without CONFIG_UPROBES", 'SEC("?uprobe…")'),
        ("netfilter", "bpf_nf_link_attach", "built without CONFIG_NETFILTER_BPF_LINK", 'SEC("?netfilter…")'),
        ("netfilter", "", "", ""),
    ],
)  # fmt: skip
def test_an_option_that_a_kernel_was_built_without_is_told_where_btf_lists_all_functions(compile_bpf, section, without, there, fix):
    found = problem_of(compile_bpf, section, kernel(without=without.split()))
    assert (found is None) == (not there), found
    if found:
        assert there in found.there and fix in "\n".join(found.fix) and found.fails


def test_another_arch_and_an_older_kernel_are_left_alone(compile_bpf):
    assert problem_of(compile_bpf, "kprobe/do_exit", kernel("x86_64", without=("kprobe_ftrace_handler", "ftrace_call_adjust"))) is None
    old = problem_of(compile_bpf, "kprobe.multi/do_exit", kernel(release="5.10.1", without=("register_fprobe_ips",)))
    assert "it came with Linux 5.18" in old.there


CONTEXT = """#include "mini_bpf.h"
struct bpf_sock {{ int family; }} __core;
struct __sk_buff {{ unsigned int len; struct bpf_sock *sk; }} __core;
SEC("cgroup_skb/egress") int p(struct __sk_buff *skb) {{ return {read} ? 1 : 0; }}
char LICENSE[] SEC("license") = "GPL";
"""
STRINGS = ("", "int", "__sk_buff", "len", "sk", "long")
TYPES = [(1, info(Kind.INT), 4, 1 << 24 | 32), (2, info(Kind.STRUCT, 2), 16, 15, 1, 0, 19, 3, 64), (0, info(Kind.PTR), 1)]


@pytest.mark.parametrize("pointer", [4, 8])
@pytest.mark.parametrize("read, narrowed", [("skb->sk", True), ("*(void **)((void *)skb + __builtin_offsetof(struct __sk_buff, sk))", False), ("skb->len", False)])
def test_a_context_s_pointer_that_co_re_makes_four_bytes_fails(compile_bpf, pointer, read, narrowed):
    spec = ObjectSpec.from_bytes(compile_bpf(CONTEXT.format(read=read)), "one.bpf.o")
    types = [*TYPES, (5, info(Kind.INT), pointer, 1 << 24 | 8 * pointer)]
    btf = Btf.parse(assemble(types, STRINGS), "k", None)
    assert btf.pointer == pointer
    found = [each.problem for each in check([("x", "arm", spec)], [Kernel("k", "arm", "6.1", btf)]).findings()]
    assert [each.kind for each in found] == (["field"] if narrowed and pointer == 4 else []), found
    if found:
        assert "the verifier wants all 8" in found[0].there and "__builtin_offsetof(struct __sk_buff, sk)" in found[0].fix[0]
