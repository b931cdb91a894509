"""The class of a program, by its section."""

import bpfloader
import pytest
from bpfloader.program.kprobe import split_offset
from bpfloader.program.sections import CLASS_BY_SECTION, LIBBPF_BY_SECTION, libbpf_needed
from ebpfbuild.spec.sections import PROGRAM_TYPE_BY_SECTION

PLAIN = {"lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local", "lirc_mode2"}  # netlink's and the infrared's own


@pytest.mark.parametrize("section, kind", [
    ("kprobe/tcp_connect", "KprobeProgram"), ("?kretprobe/tcp_connect", "KprobeProgram"),
    ("kprobe.multi/tcp_*", "KprobeMultiProgram"), ("ksyscall/openat", "KsyscallProgram"),
    ("uprobe.s//bin/sh:main", "UprobeProgram"), ("uprobe.multi", "UprobeMultiProgram"), ("usdt", "UsdtProgram"),
    ("tp/syscalls/sys_enter_openat", "TracepointProgram"), ("raw_tp.w/x", "RawTracepointProgram"),
    ("fentry/tcp_connect", "TracingProgram"), ("lsm.s/file_open", "TracingProgram"), ("iter/task", "IterProgram"),
    ("perf_event", "PerfEventProgram"), ("xdp.frags", "XdpProgram"), ("tcx/egress", "TcProgram"),
    ("action", "TcProgram"), ("netkit/peer", "NetkitProgram"), ("cgroup/connect4", "CgroupProgram"),
    ("lsm_cgroup/socket_bind", "CgroupProgram"), ("sockops", "CgroupProgram"), ("sk_msg", "SockmapProgram"),
    ("sk_lookup", "NetnsProgram"), ("sk_reuseport/migrate", "ReuseportProgram"), ("socket", "SocketFilterProgram"),
    ("netfilter", "NetfilterProgram"), ("freplace/f", "ExtensionProgram"), ("struct_ops/init", "StructOpsProgram"),
    ("syscall", "SyscallProgram"), ("socket1", "Program"), ("kprobes/x", "Program"), ("xdp/other", "Program"),
    ("", "Program"),
])  # fmt: skip
def test_a_section_tells_the_class(section, kind):
    assert bpfloader.program_class(section) is getattr(bpfloader, kind)


def test_every_kind_that_libbpf_attaches_has_a_class():
    assert {name for name in PROGRAM_TYPE_BY_SECTION if name not in CLASS_BY_SECTION} == PLAIN
    assert set(CLASS_BY_SECTION) <= set(PROGRAM_TYPE_BY_SECTION)
    assert set(LIBBPF_BY_SECTION) <= set(PROGRAM_TYPE_BY_SECTION)


def test_the_libbpf_that_a_section_needs():
    assert libbpf_needed("?netfilter") == "1.3" and libbpf_needed("uprobe.session/a:b") == "1.6"
    assert libbpf_needed("kprobe/f") == libbpf_needed("nothing") == "1.0"


@pytest.mark.parametrize("target, split", [
    ("f", ("f", 0)), ("f+16", ("f", 16)), ("f+0x10", ("f", 16)), ("f+0", ("f", 0)), ("a::operator+", ("a::operator+", 0)),
    ("f+010", ("f", 8)),  # as libbpf's %li reads it
    ("a::operator++", ("a::operator++", 0)), ("a::operator++1", ("a::operator+", 1)), ("f+x", ("f+x", 0)),
    ("a::operator+(int) const+0x4", ("a::operator+(int) const", 4)), ("f+08", ("f+08", 0)), ("+4", ("", 4)),
])  # fmt: skip
def test_only_a_number_at_the_end_is_an_offset(target, split):
    assert split_offset(target) == split
