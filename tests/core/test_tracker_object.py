"""The project's own tracker, with the pinned headers: what its object holds, on a little and on a big endian."""

import pytest
from ebpfbuild.arch import arch_named
from ebpfbuild.btf_types import Kind
from ebpfbuild.btfext import BtfExt, access_path
from ebpfbuild.elf_strip import strip_dwarf
from ebpfbuild.objectspec import BpfObjectSpec
from ebpfbuild.prove import MODES, Verdict, prove


@pytest.fixture(params=["x86_64", "arm", "s390x"])
def tracker(request, compile_bpf, vmlinux, libbpf_headers, pytestconfig):
    arch, sources = arch_named(request.param), pytestconfig.rootpath / "bpf"
    headers = {path.name: path.read_text() for path in sources.glob("*.h")}
    headers |= {f"bpf/{name}": path.read_text() for name, path in libbpf_headers.items()}
    headers["vmlinux.h"] = vmlinux(arch.name).read_text()
    flags = (f"-D__TARGET_ARCH_{arch.kernel}",)
    return compile_bpf(sources / "socket_tracker.bpf.c", arch.target, flags, headers)


def test_its_programs_and_maps_are_read(tracker):
    spec = BpfObjectSpec.from_bytes(strip_dwarf(tracker), "socket_tracker.bpf.o")
    assert "GPL" in spec.license
    assert {"tracing", "kprobe"} <= {program.type for program in spec.programs}
    assert all(program.type for program in spec.programs)
    assert "ringbuf" in {each.type_name for each in spec.maps}
    connections = [each for each in spec.maps if each.key_type and each.value_type]
    assert connections and all(each.key_size == spec.btf.size_of(each.key_type) for each in connections)
    assert all(spec.btf[program.func].kind == Kind.FUNC for program in spec.programs)


def test_its_core_relocations_name_kernel_structs(tracker):
    spec = BpfObjectSpec.from_bytes(tracker)
    ext = BtfExt.parse(spec.elf.section(".BTF.ext").data, spec.btf)
    paths = {access_path(spec.btf, row) for row in ext.relocations}
    assert any(path.startswith("struct sock: __sk_common.skc_") for path in paths)


@pytest.mark.parametrize("mode", MODES)
def test_it_is_proven_to_be_itself(tracker, mode):
    assert prove(tracker, strip_dwarf(tracker), mode) == Verdict(mode, True)
