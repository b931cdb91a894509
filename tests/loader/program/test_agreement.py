"""Attaching a program of each kind does what `attach_kind` answers."""

import socket

import bpfloader
import pytest

# Where the programs of kinds.bpf.c attach whose section doesn't say it all.
UPROBES = "on_uprobe", "on_uretprobe", "on_uprobe_sleepable", "on_uprobe_multi", "on_uprobe_session"
CGROUPS = """on_cgroup_ingress on_cgroup_egress on_sock_create on_sock_release on_bind4 on_bind6 on_post_bind4 on_connect4
on_connect6 on_connect_unix on_sendmsg4 on_recvmsg4 on_getpeername4 on_getsockname4 on_getsockopt on_setsockopt on_sysctl
on_device on_sockops on_lsm_cgroup""".split()
OTHERS = """on_kprobe_multi on_kprobe_session on_tracepoint on_raw_tracepoint on_tp_btf on_fentry on_fexit on_fmod_ret
on_lsm list_tasks list_numbers on_sample""".split()
# Each arch has names of its own for the system calls of kinds.bpf.c's sections, and not each kernel's ftrace lists them.
# This function is there for BPF's own tests.
FUNCTION = "bpf_fentry_test1"
TARGETS = {
    **dict.fromkeys(OTHERS, ()), "on_kprobe": (FUNCTION,), "on_kretprobe": (FUNCTION,), "on_ksyscall": ("getpgid",),
    "on_xdp": ("lo",), "on_tcx": ("lo",), "on_tc": ("lo", "ingress"),
    "on_netfilter": ("input",), "on_lookup": ("/proc/thread-self/ns/net",), "on_flow": ("/proc/thread-self/ns/net",),
}  # fmt: skip
TRACED = {"functions": [FUNCTION]}
OPTIONS = {"on_sample": {"frequency": 100}, "on_netfilter": {"priority": -100}, "on_kprobe_multi": TRACED,
           "on_kprobe_session": TRACED}  # fmt: skip


def attaches(kinds, name, target) -> tuple[bool, str]:
    """(whether the program loads and attaches, why not)."""
    with kinds.open() as bpf:
        bpf.select([name])
        try:
            bpf.load()
            options = {"elements": bpf.maps.numbers} if name == "list_numbers" else OPTIONS.get(name, {})
            bpf.progs[name].attach(*target, **options)
        except (bpfloader.RefusedError, bpfloader.LibraryError) as error:
            return False, str(error)
    return True, ""


@pytest.mark.parametrize("name", [*TARGETS, *UPROBES, *CGROUPS])
def test_attach_kind_agrees_with_attaching(kinds, kernel, own_network, request, name):
    target = TARGETS.get(name)
    if target is None:
        uprobe = name in UPROBES
        target = (request.getfixturevalue("binary"), "work") if uprobe else (request.getfixturevalue("cgroup"),)
    with kinds.open() as bpf:
        section = bpf.progs[name].section
    said = bpfloader.attach_kind(section)
    happened = own_network(lambda: attaches(kinds, name, target))
    if "is not modifiable" in happened[1]:
        pytest.skip("this kernel has fmod_ret, and not for the function that BPF's own tests modify")
    assert said.ok is happened[0], f"{said}, but {happened[1] or 'it attaches'}"


def test_attach_kind_agrees_with_attaching_to_a_socket(kinds, kernel):
    for name, section in (("on_socket", "socket"), ("on_reuseport", "sk_reuseport")):
        with kinds.open() as bpf, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bpf.select([name])
            bpf.load()
            bpf.progs[name].attach(mine)
        assert bpfloader.supports(section)
