"""The project's own tracker, with the pinned headers: what its object holds, on a little and on a big endian."""

import struct

import pytest
from bpfloader.inspect import report as inspection
from ebpfbuild.arch import ARCHES, Arch, arch_named
from ebpfbuild.btf.types import Kind
from ebpfbuild.btf.ext import BtfExt, access_path
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.prove.objects import PROVABLE_MODES, Verdict, prove

ATOMIC_32, ATOMIC_64, ADD = 0xC3, 0xDB, 0x00  # BPF_STX | BPF_ATOMIC | BPF_W or BPF_DW; BPF_ADD without BPF_FETCH
EXECUTABLE = 4  # SHF_EXECINSTR


@pytest.fixture
def tracker_for(compile_bpf, vmlinux, libbpf_headers, pytestconfig):
    """A function: an arch -> the tracker's object for it."""

    def compiled(arch: Arch) -> bytes:
        sources = pytestconfig.rootpath / "bpf"
        headers = {path.name: path.read_text() for path in sources.glob("*.h")}
        headers |= {f"bpf/{name}": path.read_text() for name, path in libbpf_headers.items()}
        headers["vmlinux.h"] = vmlinux(arch.name).read_text()
        flags = (f"-D__TARGET_ARCH_{arch.kernel}",)
        return compile_bpf(sources / "socket_tracker.bpf.c", arch.target, flags, headers)

    return compiled


@pytest.fixture(params=["x86_64", "arm", "s390x"])
def tracker(request, tracker_for):
    return tracker_for(arch_named(request.param))


def test_its_programs_and_maps_are_read(tracker):
    spec = ObjectSpec.from_bytes(strip_dwarf(tracker), "socket_tracker.bpf.o")
    assert "GPL" in spec.license
    assert {"tracing", "kprobe"} <= {program.type for program in spec.programs}
    assert all(program.type for program in spec.programs)
    assert "ringbuf" in {each.type_name for each in spec.maps}
    connections = [each for each in spec.maps if each.key_type and each.value_type]
    assert connections and all(each.key_size == spec.btf.size_of(each.key_type) for each in connections)
    assert all(spec.btf[program.func].kind == Kind.FUNC for program in spec.programs)


def test_its_core_relocations_name_kernel_structs(tracker):
    spec = ObjectSpec.from_bytes(tracker)
    ext = BtfExt.parse(spec.elf.section(".BTF.ext").data, spec.btf)
    paths = {access_path(spec.btf, row) for row in ext.relocations}
    assert any(path.startswith("struct sock: __sk_common.skc_") for path in paths)


@pytest.mark.parametrize("mode", PROVABLE_MODES)
def test_it_is_proven_to_be_itself(tracker, mode):
    assert prove(tracker, strip_dwarf(tracker), mode) == Verdict(mode, True)


@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.name)
def test_it_needs_no_newer_kernel_than_5_8(tracker_for, arch):
    """clang makes a fetching atomic, which came with 5.12, of a `__sync_fetch_and_add` whose result nobody uses."""
    data = strip_dwarf(tracker_for(arch))
    assert inspection.inspect_object(data, "socket_tracker.bpf.o")["kernel"] == "5.8"
    spec = ObjectSpec.from_bytes(data)
    order = ">" if arch.target == "bpfeb" else "<"
    code = [section.data for section in spec.elf.sections if section.flags & EXECUTABLE]
    atomics = {
        value
        for opcode, value in struct.iter_unpack(f"{order}B3xi", b"".join(code))
        if opcode in (ATOMIC_32, ATOMIC_64)
    }
    assert atomics == {ADD}
