"""Arches that libbpf/vmlinux.h has no header of: with a header of the project's own, and with UAPI headers alone."""

import hashlib

import pytest

REGISTERS = {"mips64": "cp0_status", "ppc64": "orig_gpr3", "armeb": "uregs"}


@pytest.fixture
def own(project, one_program):
    """A function: pins a header for an arch, with the registers of another where they are given."""

    def pin(arch, registers=""):
        text = (project.folder / "pins/x86_64.h").read_text().replace("orig_ax", REGISTERS[registers or arch])
        (project.folder / f"pins/{arch}.h").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        project.pin()
        with open(project.folder / "toolchain.toml", "a") as file:
            file.write(f'\n[vmlinux.{arch}]\nkernel = "6.1"\npath = "pins/{arch}.h"\nsha256 = "{digest}"\n')
        return project

    return pin


@pytest.mark.parametrize("arch", REGISTERS)
def test_a_header_of_the_project_s_own_serves_it(own, arch):
    project = own(arch)
    made = project.build(f"ARCH=x86_64,{arch}", "PROVE=1")
    assert {f"{arch}/one.bpf.o", f"{arch}/one.proof.json", f"{arch}/include/vmlinux.h"} <= made
    header = (project.folder / f"build/{arch}/one.bpf.o").read_bytes()
    assert header[5] == 2, "EI_DATA: big-endian"
    assert project.build(f"ARCH=x86_64,{arch}", "PROVE=1") == set()


def test_another_arch_s_registers_are_refused(own):
    text = own("mips64", registers="ppc64").fails("ARCH=mips64")
    assert "this header does not fit mips64 (__TARGET_ARCH_mips): its struct pt_regs is powerpc's" in text


def test_without_a_pin_it_is_told_how_to_make_the_header(project, one_program):
    text = project.fails("ARCH=ppc64")
    assert "vmlinux.ppc64: ppc64 has no pin; make the header on such a machine, bpftool btf dump file" in text


def test_a_program_of_uapi_headers_needs_none(project):
    text = '#include <linux/bpf.h>\n#include <linux/ptrace.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int drop(void *ctx) { return XDP_DROP; }\n'
    project.declare('env.BpfObject("src/x.bpf.c")\n', **{"x.bpf.c": text})
    arches = ("mips64", "mips64el", "ppc64", "armeb")
    assert {f"{arch}/x.bpf.o" for arch in arches} <= project.build(f"ARCH={','.join(arches)}")
