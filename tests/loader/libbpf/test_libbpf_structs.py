"""The ctypes structs against the headers of libbpf and the kernel, where those are installed.

A struct of another layout would have libbpf read what isn't there.
"""

import ctypes
import subprocess
import sys

import pytest
from bpfloader.kernel import perf_event
from bpfloader.kernel.attach_type import AttachType
from bpfloader.kernel.link_type import LinkType
from bpfloader.kernel.map_type import MapType
from bpfloader.kernel.versions import map_types
from bpfloader.libbpf import structs

# The ctypes struct -> the C one; a shorter one than C's is fine (sz says so), another offset isn't.
NAMES = {
    structs.OpenOptions: "struct bpf_object_open_opts",
    structs.TestRunOptions: "struct bpf_test_run_opts",
    structs.BatchOptions: "struct bpf_map_batch_opts",
    structs.CreateOptions: "struct bpf_map_create_opts",
    structs.MapInformation: "struct bpf_map_info",
    structs.LinkInfo: "struct bpf_link_info",
    structs.ProgramInformation: "struct bpf_prog_info",
    structs.KprobeOptions: "struct bpf_kprobe_opts",
    structs.KprobeMultiOptions: "struct bpf_kprobe_multi_opts",
    structs.TracingMultiOptions: "struct bpf_tracing_multi_opts",
    structs.KsyscallOptions: "struct bpf_ksyscall_opts",
    structs.UprobeOptions: "struct bpf_uprobe_opts",
    structs.UprobeMultiOptions: "struct bpf_uprobe_multi_opts",
    structs.PerfEventOptions: "struct bpf_perf_event_opts",
    structs.NetfilterOptions: "struct bpf_netfilter_opts",
    structs.TcHook: "struct bpf_tc_hook",
    structs.TcOptions: "struct bpf_tc_opts",
    structs.LinkCreateOptions: "struct bpf_link_create_opts",
    structs.LinkUpdateOptions: "struct bpf_link_update_opts",
    structs.IterOptions: "struct bpf_iter_attach_opts",
    perf_event.PerfEventAttr: "struct perf_event_attr",
    structs.IterLinkInfo: "union bpf_iter_link_info",
    structs.PlacementOptions: ("struct bpf_tcx_opts", "struct bpf_netkit_opts", "struct bpf_cgroup_opts"),
    structs.CookieOptions: ("struct bpf_usdt_opts", "struct bpf_tracepoint_opts", "struct bpf_trace_opts",
                            "struct bpf_raw_tracepoint_opts"),
}  # fmt: skip
HEADERS = "stddef.h stdio.h bpf/bpf.h bpf/libbpf.h linux/perf_event.h".split()
RENAMED = {("struct bpf_usdt_opts", "cookie"): "usdt_cookie", ("struct bpf_tracepoint_opts", "cookie"): "bpf_cookie",
           **{("struct bpf_link_info", name): f"netkit.{name}" for name in ("ifindex", "attach_type")}}  # fmt: skip
NOT_THERE = {"attach_prog_fd", "reserved"}  # removed in 1.0 and skipped by both; the rest of a bit field's word


def leaves(kind, prefix="", base=0):
    """(C path, offset, size) of each field, bit fields left out: C has no offset for those."""
    for name, inner, *bits in kind._fields_:
        offset = base + getattr(kind, name).offset
        if bits or name in NOT_THERE:
            continue
        if isinstance(inner, type) and issubclass(inner, (ctypes.Structure, ctypes.Union)):
            yield from leaves(inner, f"{prefix}{name}.", offset)
        else:
            yield f"{prefix}{name}", offset, ctypes.sizeof(inner)


@pytest.fixture(scope="session")
def compiler(cc, tmp_path_factory):
    """A function: C statements -> what a program of them prints, None where it doesn't compile."""
    folder = tmp_path_factory.mktemp("layouts")
    includes = "".join(f"#include <{header}>\n" for header in HEADERS)

    def run(statements: str) -> "str | None":
        (folder / "layout.c").write_text(f"{includes}int main(void) {{ {statements} return 0; }}\n")
        done = subprocess.run([*cc, "-w", "-o", folder / "layout", folder / "layout.c"], capture_output=True)
        return (
            subprocess.run([folder / "layout"], capture_output=True, text=True).stdout if not done.returncode else None
        )

    if run("") is None:
        pytest.skip("the headers of libbpf are not installed (apt install libbpf-dev)")
    return run


@pytest.mark.parametrize("kind, name", [
    (kind, name) for kind, names in NAMES.items() for name in ([names] if isinstance(names, str) else names)
])  # fmt: skip
def test_fields_are_where_c_has_them(compiler, kind, name):
    if compiler(f"return sizeof({name});") is None:
        pytest.skip(f"the headers that are installed have no {name}")
    fields = list(leaves(kind))
    said, known = None, len(fields) + 1
    while said is None:  # fields younger than the headers come after all of theirs
        known -= 1
        pieces = [f"(({name} *)0)->{RENAMED.get((name, path), path)}" for path, _, _ in fields[:known]]
        said = compiler("".join(f'printf("%zu %zu\\n", (size_t)&{piece}, sizeof({piece}));' for piece in pieces))
    assert said.splitlines() == [f"{offset} {size}" for _, offset, size in fields[:known]]
    whole = int(compiler(f'printf("%zu", sizeof({name}));'))
    assert known > 1 and (known < len(fields) or ctypes.sizeof(kind) <= whole)


def test_a_bit_field_is_where_c_has_it(compiler):
    attributes = perf_event.PerfEventAttr(disabled=1, freq=1)
    said = compiler("struct perf_event_attr a = {.disabled = 1, .freq = 1};"
                    'printf("%llx", *(unsigned long long *)((char *)&a + 40));')  # fmt: skip
    assert said == f"{int.from_bytes(bytes(attributes)[40:48], sys.byteorder):x}"


@pytest.mark.slow
@pytest.mark.parametrize("kind, prefix", [(MapType, "BPF_MAP_TYPE_"), (AttachType, "BPF_"), (LinkType, "BPF_LINK_TYPE_")])
def test_the_kernel_s_numbers_have_its_names(compiler, kind, prefix):
    """As far as the headers that are installed know them."""
    known = [each for each in kind if compiler(f"return {prefix}{each.name};") is not None]
    said = compiler("".join(f'printf("%d\\n", {prefix}{each.name});' for each in known))
    assert known and said.splitlines() == [str(int(each)) for each in known]


def test_the_types_of_maps_are_those_with_a_first_kernel():
    assert {each.name.lower(): int(each) for each in MapType if each} == {kind.name: kind.number for kind in map_types()}
