"""A vmlinux.h that is made of a kernel's BTF: VMLINUX= on the command line, btf = in toolchain.toml."""

import gzip
import hashlib
import re
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.kernel_image.find_btf import find_btf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
from kernel_images import vmlinux_of  # noqa: E402

KERNEL = Path("/sys/kernel/btf/vmlinux")
X86, ONE = "ARCH=x86_64", "one.bpf.o"


@pytest.fixture
def kernel(project, clang, one_program):
    """A function: text put into struct task_struct, an arch -> the bytes of an ELF file with a small kernel's BTF."""

    def make(member="", arch="x86_64"):
        text = (project.folder / f"pins/{arch}.h").read_text().replace("int tgid;", f"int tgid;\n\t{member}")
        source = project.folder.parent / "kernel.c"
        source.write_text(f"{text}\nstruct task_struct a __attribute__((weak));\nstruct pt_regs b __attribute__((weak));\n"
                          "enum bpf_map_type c __attribute__((weak)); __u32 d __attribute__((weak));\n"
                          "__u64 e __attribute__((weak)); u64 f __attribute__((weak));\n")  # fmt: skip
        out = source.with_suffix(".o")
        subprocess.run([*clang, "-target", "bpf", "-g", "-c", "-w", source, "-o", out], check=True)
        return vmlinux_of(out.read_bytes())

    return make


def place(project, data, name="vmlinux.gz"):
    (project.folder / "kernels").mkdir(exist_ok=True)
    (project.folder / "kernels" / name).write_bytes(gzip.compress(data, mtime=0))
    return f"kernels/{name}"


def test_a_kernel_of_the_command_line(project, kernel):
    path = place(project, kernel())
    made = project.build(X86, f"VMLINUX={path}", "PROVE=1")
    assert {"x86_64/include/vmlinux.h", "x86_64/one.bpf.o", "x86_64/one.proof.json"} <= made
    header = (project.folder / "build/x86_64/include/vmlinux.h").read_text()
    assert "struct pt_regs {\n\tunsigned long di;\n" in header
    assert project.build(X86, f"VMLINUX={path}", "PROVE=1") == set()
    place(project, kernel("int more;"))
    (project.folder / "build/x86_64/include/vmlinux.h").write_text("int edited;\n")
    assert "x86_64/include/vmlinux.h" in project.build(X86, f"VMLINUX={path}", ONE)  # by what the file holds
    assert "\tint more;\n" in (project.folder / "build/x86_64/include/vmlinux.h").read_text()
    assert "x86_64/include/vmlinux.h" in project.build(X86, ONE)  # the pinned one again


def test_what_a_kernel_of_the_command_line_is_refused_for(project, kernel):
    path = place(project, kernel("", "aarch64"))
    text = project.fails(X86, f"VMLINUX={path}")
    assert "this header does not fit x86_64 (__TARGET_ARCH_x86): its struct pt_regs is aarch64's" in text
    assert "VMLINUX=kernels/none: vmlinux.h for x86_64 (of none) can't be had; name a kernel's file that is there, or host" in project.fails(X86, "VMLINUX=kernels/none")
    text = project.fails("ARCH=x86_64,aarch64", f"VMLINUX={path}")
    assert f"VMLINUX={path}: a kernel is of one arch, and ARCH= names 2; name the kernel's own" in text
    (project.folder / "kernels/text").write_text("no kernel\n")
    text = project.fails(X86, "VMLINUX=kernels/text")
    assert "VMLINUX=kernels/text: holds no BTF; take a kernel with CONFIG_DEBUG_INFO_BTF=y" in text
    assert project.build(X86, ONE)
    text = project.fails(X86, "VMLINUX=build/x86_64/one.bpf.o", ONE)
    assert "VMLINUX=build/x86_64/one.bpf.o: is a BPF object, and no kernel; take a kernel's vmlinux, boot image, package or BTF" in text
    text = project.fails(X86, f"VMLINUX={path}", "RELEASE=1")
    assert f"VMLINUX={path}: {path} is pinned nowhere; name a kernel's file by btf = in vmlinux.x86_64" in text


def pin_btf(project, path, *lines):
    """Has toolchain.toml make the header of x86_64 of a kernel."""
    text = (project.folder / "toolchain.toml").read_text()
    table = "\n".join(["[vmlinux.x86_64]", 'kernel = "6.12"', f'btf = "{path}"', *lines, ""])
    (project.folder / "toolchain.toml").write_text(re.sub(r"\[vmlinux\.x86_64\]\n(?:.+\n)+", table, text))


def test_a_kernel_that_is_pinned_by_its_own_digest_and_by_the_header_s(project, kernel):
    path = place(project, kernel())
    pin_btf(project, path)
    text = project.fails(X86)
    assert "vmlinux.x86_64: vmlinux.h for x86_64 (Linux 6.12) has no sha256, so what came from" in text
    lines = [line.strip() for line in text.splitlines() if re.match(r"  (sha256|size|input_sha256) = ", line)]
    assert [line.split()[0] for line in lines] == ["sha256", "size", "input_sha256"]
    assert lines[2] == f'input_sha256 = "{hashlib.sha256((project.folder / path).read_bytes()).hexdigest()}"'
    pin_btf(project, path, *lines)
    made = project.build(X86, "RELEASE=1")
    assert {"x86_64/include/vmlinux.h", "x86_64/one.proof.json"} <= made
    assert project.build(X86, "RELEASE=1") == set()
    place(project, kernel("int more;"))
    text = project.fails(X86)
    assert "does not hold the pinned vmlinux.gz with vmlinux.h for x86_64 (Linux 6.12), and was not used" in text
    assert "  input_sha256 = " in text
    pin_btf(project, path, *lines[:2])
    text = project.fails(X86)
    assert "does not hold the pinned vmlinux.h for x86_64 (Linux 6.12), and was not used" in text
    assert "  sha256 = " in text and "  input_sha256 = " in text


def test_a_module_is_read_on_the_kernel_that_stands_beside_it(project, kernel):
    def module(name: str) -> str:
        base = Btf.parse(find_btf(kernel(), "").data, "", None)
        number, at = base.find("task_struct", Kind.STRUCT).id, base.strings_end
        strings = f"{name}\0task\0".encode()  # behind the base's; struct NAME { struct task_struct task; }
        record = struct.pack("<6I", at, Kind.STRUCT << 24 | 1, base[number].size, at + len(name) + 1, number, 0)
        head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(record), len(record), len(strings))
        return place(project, head + record + strings, "module.gz")

    path, base = module("of_a_module"), place(project, kernel())
    header = project.folder / "build/x86_64/include/vmlinux.h"
    both = f"VMLINUX={path},{base}"
    project.build(X86, both, ONE)
    assert "struct of_a_module {\n\tstruct task_struct task;\n};" in header.read_text()
    assert project.build(X86, both, ONE) == set()
    assert "is split BTF, as a module's is, without its base; give its kernel's BTF or vmlinux as the base" in project.fails(X86, f"VMLINUX={path}", ONE)
    pin_btf(project, path, f'btf_base = "{base}"')
    lines = [line.strip() for line in project.fails(X86, ONE).splitlines() if re.match(r"  (sha256|size|input_sha256) = ", line)]
    pin_btf(project, path, f'btf_base = "{base}"', *lines)
    assert "x86_64/include/vmlinux.h" in project.build(X86, ONE)
    (project.folder / base).write_bytes(b"edited")
    assert f"{base}: holds no BTF" in project.fails(X86, ONE)
    pin_btf(project, "pool/x.deb", f'btf_base = "{base}"')
    assert "vmlinux.x86_64.btf_base: goes with a module of this machine; name both by their paths" in project.fails(X86, ONE)


@pytest.mark.skipif(not KERNEL.exists(), reason="this kernel shows no BTF")
def test_the_kernel_that_runs_is_refused_by_a_release(project, one_program):
    pin_btf(project, "host", f'sha256 = "{"0" * 64}"')
    assert "vmlinux.x86_64.btf: host is the kernel of whatever machine builds" in project.fails(X86, "RELEASE=1")


def test_a_kernel_of_ones_own_is_pinned_by_a_command(project, kernel):
    path = place(project, kernel("int more;"), "linux-6.6.40.gz")
    text = (project.folder / "toolchain.toml").read_text()
    (project.folder / "toolchain.toml").write_text(re.sub(r"\[vmlinux\.x86_64\]\n(?:.+\n)+", "", text))
    for words in (["--from", path], ["add", "x86_64", "--from", path, "--commit", "abcdef1"], ["update", "--from", path]):
        assert "--from: names a kernel; it goes with pins add ARCH" in project.fails("pins", *words)
    assert "--from=SConstruct: holds no BTF; take a kernel with" in project.fails("pins", "add", "riscv64", "--from", "SConstruct")
    assert "--from=gone: vmlinux.h for riscv64 (of gone) can't be had; name a kernel's file that is" in project.fails("pins", "add", "riscv64", "--from", "gone")
    done = project.scons("pins", "add", "x86_64", "--from", path)
    assert done.returncode == 0, done.stdout + done.stderr
    digest = hashlib.sha256((project.folder / path).read_bytes()).hexdigest()
    assert done.stdout.startswith(f"{path}: {digest[:12]}\nx86_64  Linux 6.19 -> 6.6.40, ")
    pin = tomllib.loads((project.folder / "toolchain.toml").read_text())["vmlinux"]["x86_64"]
    assert (pin["kernel"], pin["btf"], pin["input_sha256"]) == ("6.6.40", path, digest)
    assert "x86_64/one.bpf.o" in project.build(X86, ONE, "RELEASE=1")
    header = (project.folder / "build/x86_64/include/vmlinux.h").read_bytes()
    assert (pin["sha256"], pin["size"]) == (hashlib.sha256(header).hexdigest(), len(header))
    assert "vmlinux.x86_64: is pinned already" in project.fails("pins", "add", "x86_64", "--from", path)
    text = project.fails("pins", "add", "aarch64", "--from", place(project, kernel()))
    assert "vmlinux.aarch64: is pinned already" in text
