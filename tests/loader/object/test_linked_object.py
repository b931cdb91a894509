"""An object of two sources in this kernel: externs, a shared map, a weak function that gives way to a strong one."""

import bpfloader
from compiling import compile_program
from ebpfbuild.btf.canonical import canonical_object
from ebpfbuild.link.linker import linked_object
from ebpfbuild.link.part import Part


def test_a_linked_object_runs(clang, linker, kernel, tmp_path):
    names = ("linked_main", "linked_lib")
    parts = [Part(name, canonical_object(compile_program(clang, name))) for name in names]
    path = tmp_path / "linked.bpf.o"
    path.write_bytes(linked_object(parts, linker, path.name))
    with bpfloader.Object.open(path) as bpf:
        bpf.load()
        results = [bpf.progs.count.test_run(bytes(64)).value for _ in range(2)]
    assert results == [1 + 500 + 1000 + 20000, 2 + 700 + 2000 + 20000]
