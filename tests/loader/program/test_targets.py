"""The target of an attach doesn't exist: the error names what is wrong there, not the kernel."""

import os
import re
import subprocess
from pathlib import Path

import bpfloader
import pytest
from compiling import compile_program

NOBODY = 1 << 22  # above every process's id (PID_MAX_LIMIT)


def refusal(attach, *where, **options) -> str:
    """Returns the first line of the AttachError."""
    with pytest.raises(bpfloader.AttachError) as caught:
        attach(*where, **options)
    assert "this kernel has no such" not in str(caught.value) and "no such thing" not in str(caught.value)
    return str(caught.value).splitlines()[0]


def test_a_function_that_a_binary_lacks(start, binary):
    attach = start("on_uprobe").progs.on_uprobe.attach
    said = refusal(attach, "libc.so.6", "maloc")
    assert "/libc.so.6 has no function maloc; nearest: malloc" in said
    assert f"{binary} has no function wrk; nearest: work" in refusal(attach, binary, "wrk")
    assert "nm" in refusal(attach, binary, "xyzzy")
    assert f"{binary} only calls strtol, which is a library's" in refusal(attach, binary, "strtol")
    end = f"the offset 0x{1 << 30:x} is beyond the end of {binary}, {os.path.getsize(binary):#x}"
    assert end in refusal(attach, binary, offset=1 << 30)


def test_an_indirect_function(start, cc, tmp_path):
    (tmp_path / "chosen.c").write_text("""
        static int __quick_fast(void) { return 1; }
        static void *choose(void) { return __quick_fast; }
        int quick(void) __attribute__((ifunc("choose")));
        int quick_plain(void) { return 2; }
        int main(void) { return quick(); }
    """)
    done = subprocess.run([*cc, "-o", tmp_path / "chosen", tmp_path / "chosen.c"], capture_output=True)
    if done.returncode:
        pytest.skip(f"{cc[-1]} makes no indirect functions here")
    said = refusal(start("on_uprobe").progs.on_uprobe.attach, tmp_path / "chosen", "quick")
    assert "an indirect function" in said and "take one of its implementations: __quick_fast" in said
    assert "quick_plain" not in said


def test_a_binary_that_is_not_there_or_is_none(start, tmp_path):
    attach = start("on_uprobe").progs.on_uprobe.attach
    assert "there is no library libcc.so.6 where libbpf looks for it; nearest: libc.so.6" in refusal(
        attach, "libcc.so.6", "malloc"
    )
    assert "there is no program c where libbpf looks for it; " in refusal(attach, "c", "malloc")
    assert """libraries go by their file's name: "libc.so.6\"""" in refusal(attach, "c", "malloc")
    assert f"there is no file {tmp_path}/gone; give the path" in refusal(attach, tmp_path / "gone", "malloc")
    assert f"{tmp_path} is a folder" in refusal(attach, tmp_path, "malloc")
    (tmp_path / "text").write_text("#!/bin/sh\n")
    assert f"{tmp_path}/text is no program or library" in refusal(attach, tmp_path / "text", "main")


def test_a_binary_that_its_section_names(clang, kernel):
    with bpfloader.Object.open(compile_program(clang, "targets")) as opened:
        opened.select(["on_maloc"])
        opened.load()
        assert "has no function maloc; nearest: malloc" in refusal(opened.attach)


def test_a_static_probe_that_a_binary_lacks(start, binary):
    attach = start("on_usdt").progs.on_usdt.attach
    assert f"{binary} has no static probe tests:bead; nearest: tests:beat" in refusal(attach, binary, "tests", "bead")
    assert "there is no library libcc.so.6" in refusal(attach, "libcc.so.6", "tests", "beat")


def test_a_process_that_is_not_there(start, binary):
    bpf = start("on_uprobe", "on_sample")
    for said in (
        refusal(bpf.progs.on_uprobe.attach, binary, "work", pid=NOBODY),
        refusal(bpf.progs.on_sample.attach, frequency=99, pid=NOBODY),
    ):
        assert f"(ESRCH: No such process): there is no process {NOBODY};" in said


def test_samples_of_what_is_not_there(start):
    attach = start("on_sample").progs.on_sample.attach
    assert "there is no event cpu-clok; nearest: cpu-clock" in refusal(attach, "cpu-clok", frequency=99)
    assert "there is no CPU 9999 online" in refusal(attach, frequency=99, cpu=9999)
    assert "no perf event of type 1, config 0x3e7" in refusal(attach, (1, 999), frequency=99)
    most = int(Path("/proc/sys/kernel/perf_event_max_sample_rate").read_text())
    said = refusal(attach, frequency=most + 1)
    assert f"a frequency of {most + 1} is above kernel.perf_event_max_sample_rate, {most}; give at most" in said


def test_a_counter_that_a_virtual_machine_lacks(start):
    if any(os.path.exists(f"/sys/bus/event_source/devices/{name}") for name in ("cpu", "cpu_core", "armv8_pmuv3_0")):
        pytest.skip("this machine has hardware counters")
    said = refusal(start("on_sample").progs.on_sample.attach, "cpu-cycles", frequency=99)
    assert 'this machine has no such hardware counter (is it a virtual one?); sample by "cpu-clock"' in said


def test_tracepoints_that_the_kernel_lacks(start, with_mount):
    bpf = start("on_raw_tracepoint", "on_tracepoint")
    said = refusal(bpf.progs.on_raw_tracepoint.attach, "sys_entr")
    assert "this kernel has no raw tracepoint sys_entr; nearest: sys_enter" in said and "tracefs" not in said

    def mounted():
        attach = bpf.progs.on_tracepoint.attach
        said = refusal(attach, "syscalls", "sys_enter_opnat")
        assert "no tracepoint syscalls/sys_enter_opnat; nearest: syscalls/sys_enter_openat" in said
        assert "it is syscalls/sys_enter_openat" in refusal(attach, "sycalls", "sys_enter_openat")
        assert "nearest: sched" in refusal(attach, "shed/no_such_name")

    with_mount("tracefs", "/sys/kernel/tracing", mounted)


def test_programs_that_read_beyond_what_a_tracepoint_gives(clang, kernel, with_mount):
    """The kernel says EINVAL or EACCES, and means neither the kind nor the user (libbpf-rs #1259)."""
    data = compile_program(clang, "targets")

    def said(program):
        with bpfloader.Object.open(data) as opened:
            opened.select([program])
            opened.load()
            return refusal(opened.attach)

    def mounted():
        for name, size, place in (("beyond_record", 24, "syscalls/sys_exit_munmap"), ("beyond_event", r"\d+", "sched/sched_process_exit")):
            assert re.search(f"EACCES.*beyond the {size} bytes that the tracepoint {place} gives it; .*/{place}/format", said(name))

    assert "EINVAL: Invalid argument): the program reads beyond the arguments of the raw tracepoint sys_enter, which has 2; " in (
        said("beyond_arguments"))
    with_mount("tracefs", "/sys/kernel/tracing", mounted)


def test_folders_that_are_no_cgroup(start, cgroup, tmp_path):
    bpf = start("on_connect4", "list_cgroups")
    for attach in (bpf.progs.on_connect4.attach, lambda path: bpf.progs.list_cgroups.attach(cgroup=path)):
        said = refusal(attach, tmp_path)
        assert f"EBADF: Bad file descriptor): {tmp_path} is no cgroup v2 folder; cgroup v2 is mounted at /" in said
        said = refusal(attach, tmp_path / "gone")
        assert f"(ENOENT: No such file or directory): can't open {tmp_path}/gone; cgroup v2 is mounted at /" in said
    assert "the descriptor 99999 is no cgroup v2 folder" in refusal(bpf.progs.on_connect4.attach, 99999)
    assert """no order 'selff'; give one of "self",""" in refusal(
        bpf.progs.list_cgroups.attach, cgroup=cgroup, order="selff"
    )
    with pytest.raises(bpfloader.AttachError, match="neither its section nor attach names a cgroup"):
        bpf.progs.list_cgroups.attach()


def test_interfaces_and_namespaces_that_are_not_there(start, tmp_path):
    bpf = start("on_xdp", "on_tc", "on_lookup")
    assert "there is no interface lo1; nearest: lo" in refusal(bpf.progs.on_xdp.attach, "lo1")
    assert "there is no interface lo1; nearest: lo" in refusal(bpf.progs.on_tc.attach, "lo1", "ingress")
    assert "there is no interface lo@if2; write lo: behind the @" in refusal(bpf.progs.on_xdp.attach, "lo@if2")
    for attach, *more in ((bpf.progs.on_xdp.attach,), (bpf.progs.on_tc.attach, "ingress")):
        assert "there is no interface with the index 99999; there are 1 lo" in refusal(attach, 99999, *more)
    assert """there is no mode 'fast'; give one of "generic",""" in refusal(bpf.progs.on_xdp.attach, "lo", mode="fast")
    assert f"{tmp_path} is no network namespace" in refusal(bpf.progs.on_lookup.attach, tmp_path)
    assert f"can't open {tmp_path}/gone; give the path" in refusal(bpf.progs.on_lookup.attach, tmp_path / "gone")
