"""The tracker's object for every arch: compiled without a warning, with the same programs, open to libbpf."""

import sys
import tempfile
from pathlib import Path

import pytest
from ebpfbuild.arch import ARCHES
from ebpfbuild.spec.object import ObjectSpec

import bpfloader

HOOKS = {
    "state": ("fentry/tcp_set_state", "kprobe/tcp_set_state", "tp_btf/inet_sock_set_state"),
    "accept": ("fentry/security_sock_graft", "kprobe/security_sock_graft", "tp/syscalls/sys_exit_accept"),
    "accept4": (None, None, "tp/syscalls/sys_exit_accept4"),
    "send": (None, None, "cgroup_skb/egress"),
    "send4": ("fentry/ip_send_skb", "kprobe/ip_send_skb", None),
    "send6": ("fentry/ip6_send_skb", "kprobe/ip6_send_skb", None),
    "echo4": ("fentry/ip_push_pending_frames", "kprobe/ip_push_pending_frames", None),
    "echo6": ("fentry/ip6_push_pending_frames", "kprobe/ip6_push_pending_frames", None),
}
PROGRAMS = {
    f"{job}_{variant}": section
    for job, sections in HOOKS.items()
    for variant, section in zip(("fentry", "kprobe", "tp_btf"), sections, strict=True)
    if section
}


@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.name)
def test_every_arch_has_every_variant(compiled, arch):
    data, warnings, _ = compiled(arch)
    assert warnings == ""
    spec = ObjectSpec.from_bytes(data)
    assert {program.name: program.section for program in spec.programs} == PROGRAMS
    assert {it.name for it in spec.maps} >= {"events", "connections"}
    assert spec.license == "Dual BSD/GPL"


@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.name)
def test_libbpf_opens_every_arch(compiled, arch):
    if (arch.target == "bpfel") != (sys.byteorder == "little"):
        pytest.skip(f"libbpf on this machine opens no {arch.target} object")
    data = compiled(arch).data
    try:
        with bpfloader.Object.open(data):
            pass
    except bpfloader.LibraryError as error:
        pytest.skip(str(error))


def test_no_object_names_a_path_of_this_machine(compiled, tmp_path):
    data = compiled(ARCHES[0]).data
    folders = str(Path.cwd()), str(tmp_path.parent), tempfile.gettempdir() + "/"
    assert not [folder for folder in folders if folder.encode() in data]
