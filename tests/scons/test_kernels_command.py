"""`kernels` in real builds: declared kernels, KERNELS=, JSON, the baseline, and a build that CHECK_KERNELS=1 fails."""

import hashlib
import json
import lzma
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ebpfbuild.btf.types import Kind
from ebpfbuild.kernel_image.open_btf import open_btf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
from archives import deb, tar  # noqa: E402
from btfwriter import assemble, info  # noqa: E402
from kernel_images import elf, vmlinux_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {"old": "long state; int pid;", "new": "int pid; unsigned int __state;"}
SOURCE = """#include <linux/bpf.h>
struct task_struct {{ {fields} }} __attribute__((preserve_access_index));
__attribute__((section("raw_tp/sched_switch"), used)) int p(struct task_struct *t) {{ return {read}; }}
__attribute__((section("license"), used)) char LICENSE[] = "GPL";
"""
READS = {
    "plain": "t->state",
    "guarded": "__builtin_preserve_field_info(t->state, 2) ? t->state : 0",
    "both": "t->state + t->gone",
}


@pytest.fixture
def kernels_project(make_project, clang):
    """A project with one program and two kernels in its toolchain.toml, whose BTF the compiler makes."""
    project = make_project("kernels", fresh=True)
    for release, (name, fields) in zip(("5.10.223", "6.1.176"), FIELDS.items()):
        declare_kernel(clang, project.folder, name, release, fields)
    project.declare('env.BpfObject("one", "src/p.bpf.c")\n')
    write(project, "plain")
    return project


def declare_kernel(clang, folder: Path, name: str, release: str, fields: str, more: str = "") -> None:
    """Writes NAME.btf, a kernel's with a task_struct of these fields, and declares it, in the place of one before."""
    path, pins = folder / f"{name}.btf", folder / "toolchain.toml"
    source = f"typedef void (*btf_trace_sched_switch)(void *, int); struct task_struct {{ {fields} }} x; btf_trace_sched_switch y;"
    command = [*clang, "-target", "bpfel", "-g", "-O2", "-c", "-xc", "-", "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)
    path.write_bytes(vmlinux_of(path.read_bytes()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    table = f'\n[kernels.{name}]\narch = "x86_64"\nkernel = "{release}"\npath = "{name}.btf"\nsha256 = "{digest}"\n{more}'
    pins.write_text(re.sub(rf"\[kernels.{name}\][^\[]*", "", pins.read_text()) + table)


def write(project, name: str) -> None:
    text = SOURCE.format(fields="long state; int pid; int gone;", read=READS[name])
    (project.folder / "src" / "p.bpf.c").write_text(text)


def run(project, *arguments) -> subprocess.CompletedProcess:
    return project.scons("ARCH=x86_64", *arguments)


def test_the_table_the_problems_and_the_json(kernels_project):
    done = run(kernels_project, "kernels", "KERNELS_JSON=found.json", "KERNELS_HTML=found.html")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("x86_64 "))
    assert [line.split() for line in lines[at : at + 4]] == [["x86_64", "old", "new"], ["5.10.223", "6.1.176"], ["build/x86_64/one.bpf.o"], ["p", "ok", "fails"]]
    assert "src/p.bpf.c:3: field struct task_struct: state" in lines
    assert "  fails for p on new (since 6.1.176, and not yet in 5.10.223)" in lines
    assert "  there: struct task_struct has no state, but `unsigned int __state` (since Linux 5.14)" in lines
    assert "1 program, 2 kernels: 1 ok, 1 fails" in lines
    found = json.loads((kernels_project.folder / "found.json").read_text())
    assert [each["kernels"] for each in found["problems"]] == [["new"]]
    assert "1 of 1 program fails on some of 2 kernels" in (kernels_project.folder / "found.html").read_text()
    write(kernels_project, "guarded")
    assert ["p", "ok", "ok", "(guards)"] in [line.split() for line in run(kernels_project, "kernels").stdout.splitlines()]


def test_a_kernel_without_btf_gets_that_of_a_file_that_pins_add_writes(kernels_project):
    """It is packed beside toolchain.toml, and read again for each edit of that file alone."""
    folder = kernels_project.folder
    (folder / "zImage").write_bytes(b"a kernel without BTF" * 99)
    digest = hashlib.sha256((folder / "zImage").read_bytes()).hexdigest()
    pins = folder / "toolchain.toml"
    pins.write_text(pins.read_text() + f'\n[kernels.board]\narch = "x86_64"\nkernel = "6.2"\npath = "zImage"\nsha256 = "{digest}"\n')
    assert "zImage: holds no BTF" in run(kernels_project, "kernels", "KERNELS=board").stderr
    assert "toolchain.toml: kernels.boat: is no kernel of this file" in run(kernels_project, "pins", "add", "boat", "--btf", "new.btf").stderr
    assert "--btf: names what holds a kernel's BTF" in run(kernels_project, "pins", "add", "board", "--btf=new.btf", "--json").stderr
    added = run(kernels_project, "pins", "add", "board", "--btf", "new.btf")
    assert added.returncode == 0 and "kernels/board.btf.xz: " in added.stdout, added.stderr
    btf = hashlib.sha256(lzma.decompress((folder / "kernels/board.btf.xz").read_bytes())).hexdigest()
    assert f'btf = "kernels/board.btf.xz"\nbtf_sha256 = "{btf}"\n' in pins.read_text()
    for _ in range(2):
        found = run(kernels_project, "kernels", "KERNELS=board")
        assert ["p", "fails"] in [line.split() for line in found.stdout.splitlines()], found.stderr
    (folder / "kernels/board.btf.xz").write_bytes((folder / "old.btf").read_bytes())
    edited = run(kernels_project, "kernels", "KERNELS=board")
    assert "kernels/board.btf.xz does not hold the pinned BTF of kernel board (Linux 6.2 for x86_64)" in edited.stderr
    assert 'btf_sha256 = "' in edited.stderr and "Traceback" not in edited.stderr


def test_modules_of_a_package_of_their_own_are_looked_into(kernels_project):
    """As Debian's have one since 6.19."""
    folder = kernels_project.folder
    base = open_btf(folder / "new.btf")
    proto, start = len(base), base.strings_end
    types = [(None, info(Kind.FUNC_PROTO), 0), (0, info(Kind.FUNC), proto)]
    package = deb(tar({"./usr/lib/modules/6.19/kernel/net/ours.ko": elf({".BTF": assemble(types, ("in_module",), at=start)})}))
    (folder / "mirror/pool").mkdir(parents=True)
    (folder / "mirror/pool/modules.deb").write_bytes(package)
    (folder / "src/p.bpf.c").write_text(SOURCE.format(fields="int pid;", read="t->pid").replace("raw_tp/sched_switch", "fentry/in_module"))
    assert ["p", "fails", "fails"] in [line.split() for line in run(kernels_project, "kernels").stdout.splitlines()]
    pins = folder / "toolchain.toml"  # the table of the kernel `new` is the last one
    pins.write_text(pins.read_text() + f'modules = "pool/modules.deb"\nmodules_sha256 = "{hashlib.sha256(package).hexdigest()}"\n')
    found = run(kernels_project, "kernels", f"MIRROR={folder / 'mirror'}")
    assert "  there (new): the module ours has it, which may not be loaded" in found.stdout, found.stderr


@pytest.mark.slow
def test_a_new_failure_fails_the_build_and_a_known_one_does_not(kernels_project):
    folder = kernels_project.folder
    failed = run(kernels_project, "CHECK_KERNELS=1")
    assert failed.returncode and "kernels-baseline.txt: 1 new failure on the declared kernels; mend them" in failed.stderr
    assert "build/x86_64/one.bpf.o  p  new  field struct task_struct: state" in failed.stderr
    assert (folder / "build/x86_64/one.bpf.o").is_file()
    assert run(kernels_project, "CHECK_KERNELS=record").returncode == 0
    assert run(kernels_project, "CHECK_KERNELS=1").returncode == 0
    write(kernels_project, "both")
    failed = run(kernels_project, "one.bpf.o", "CHECK_KERNELS=1")  # by a target's name as well
    assert failed.returncode and "field struct task_struct: gone" in failed.stderr and ": state" not in failed.stderr
    assert "CHECK_KERNELS=maybe: not a switch" in run(kernels_project, "CHECK_KERNELS=maybe").stderr


DEFAULTS = {
    "behind": ('env.BpfObject("one", "src/p.bpf.c")\n', 'Default(env.Command("a", [], Touch("$TARGET")))\n'),
    "emptied": ('env.BpfObject("one", "src/p.bpf.c")\n', 'Default(None)\nenv.Default(env.Command("a", [], Touch("$TARGET")))\n'),
    "before": ('Default(Command("a", [], Touch("$TARGET")))\n', 'env.BpfObject("one", "src/p.bpf.c")\n'),
}


@pytest.mark.parametrize("case", DEFAULTS)
def test_a_project_with_default_targets_of_its_own_is_checked_as_well(kernels_project, case):
    first, then = DEFAULTS[case]
    kernels_project.declare(first + then)
    if case == "before":  # the tool is loaded behind it
        sconstruct = kernels_project.folder / "SConstruct"
        sconstruct.write_text(first + sconstruct.read_text().replace(first, ""))
    failed = run(kernels_project, "CHECK_KERNELS=1")
    assert failed.returncode and "1 new failure" in failed.stderr and (kernels_project.folder / "a").is_file(), failed.stderr
    os.remove(kernels_project.folder / "a")
    plain = run(kernels_project)
    assert plain.returncode == 0 and (kernels_project.folder / "a").is_file() and "kernels" not in plain.stdout, plain.stderr


@pytest.mark.slow
def test_kernels_that_are_named_edited_or_not_there(kernels_project, clang):
    folder = kernels_project.folder
    has_host = os.uname().machine == "x86_64" and Path("/sys/kernel/btf/vmlinux").exists()
    found = run(kernels_project, "kernels", "KERNELS=new,old.btf" + ",host" * has_host).stdout.splitlines()
    at = next(number for number, line in enumerate(found) if line.startswith("x86_64 "))
    named = {"old.btf": "?", "new": "6.1.176"} | ({"host": os.uname().release} if has_host else {})
    assert dict(zip(found[at].split()[1:], found[at + 1].split())) == named
    (folder / "linux-image-5.10.0_5.10.2-1_amd64.deb").write_bytes((folder / "old.btf").read_bytes())
    found = run(kernels_project, "kernels", "KERNELS=new,linux-image-5.10.0_5.10.2-1_amd64.deb").stdout.splitlines()
    at = next(number for number, line in enumerate(found) if line.startswith("x86_64 "))
    assert (found[at].split()[1:], found[at + 1].split()) == (["linux-image-5.10.0", "new"], ["5.10.0", "6.1.176"])
    asked = run(kernels_project, "kernels", "KERNELS=newer")
    assert asked.returncode and "KERNELS: newer is no file, and no kernel of toolchain.toml; take of old, new, host, or a file" in asked.stderr
    (folder / "cut.btf").write_bytes((folder / "new.btf").read_bytes()[:100])
    assert "[kernels] KERNELS=cut.btf: " in run(kernels_project, "kernels", "KERNELS=cut.btf").stderr
    said = "is a BPF object, and no kernel; take a kernel's vmlinux, boot image, package or BTF"
    assert f"[kernels] KERNELS=build/x86_64/one.bpf.o: {said}" in run(kernels_project, "kernels", "KERNELS=build/x86_64/one.bpf.o").stderr
    own = assemble([(1, info(Kind.STRUCT), 4)], ("", "task_struct"))
    (folder / "ours.ko").write_bytes(elf({".BTF": assemble([(0, info(Kind.TYPEDEF), 1)], ("ours",), at=13), ".BTF.base": own}))
    assert "KERNELS=ours.ko: is a kernel's module, and no kernel; take a kernel's" in run(kernels_project, "kernels", "KERNELS=ours.ko").stderr
    with (folder / "new.btf").open("ab") as file:
        file.write(b"\0")
    edited = run(kernels_project, "kernels")
    digest = hashlib.sha256((folder / "new.btf").read_bytes()).hexdigest()
    assert edited.returncode and f'if that is the kernel that you mean, write sha256 = "{digest}"' in edited.stderr
    declare_kernel(clang, folder, "new", "6.1.176", "int pid; struct pt_regs { long orig_x0; } r;")
    assert re.search(r'kernels.new.sha256: is a kernel of aarch64, not of x86_64; write arch = "aarch64"', run(kernels_project, "kernels").stderr)
    assert "new.btf: is a kernel of aarch64, not of x86_64; build for it: ARCH=aarch64" in run(kernels_project, "kernels", "KERNELS=new.btf").stderr
    other = kernels_project.scons("ARCH=s390x", "kernels")
    assert other.returncode and "kernels: no kernel of s390x is declared; add a table [kernels.NAME]" in other.stderr


def test_a_build_that_asks_for_no_kernels_opens_none(kernels_project):
    """What a build costs doesn't depend on the kernels that are declared."""
    (kernels_project.folder / "new.btf").write_bytes(b"damaged")
    assert run(kernels_project).returncode == 0
    damaged = run(kernels_project, "kernels")
    assert damaged.returncode and "Traceback" not in damaged.stderr + damaged.stdout


@pytest.mark.slow
def test_a_package_gets_the_btf_of_kernels_without(kernels_project, clang):
    """It is made anew for another kernel and for other relocations, and alone then."""
    project, folder = kernels_project, kernels_project.folder
    names = [("old", "5.10.223", "5.10.223-board", "long state; int pid;"), ("new", "6.1.176", "6.1.*", "int pid; unsigned int __state;")]
    for name, release, uname, fields in names:
        declare_kernel(clang, folder, name, release, fields, f'uname = "{uname}"\n')
    project.declare('env.BpfProgram("one", ["src/p.bpf.c"], version="1", kernel_btf="all")\n')

    def manifest() -> list[dict]:
        wheel = zipfile.ZipFile(folder / "build/dist/one-1-py3-none-linux_x86_64.whl")
        rows = json.loads(wheel.read("one/manifest.json"))["programs"]["one.bpf.o"]["x86_64"].get("btfs", [])
        for row in rows:
            assert hashlib.sha256(wheel.read(f"one/{row['path']}")).hexdigest() == row["sha256"]
            assert (folder / "build/x86_64/python/one" / row["path"]).read_bytes() == wheel.read(f"one/{row['path']}")
        return rows

    def built(*arguments) -> list[str]:
        """The names of what a build made, without what a package is made of besides."""
        done = run(project, *arguments)
        assert done.returncode == 0, done.stderr
        return [line.split()[0] for line in done.stdout.splitlines() if re.match(r"(BTF|CLANG|WHEEL|TAR) ", line)]

    assert "BTF" in built()
    new, old = sorted(manifest(), key=lambda row: row["path"])
    assert [new, old] == manifest(), "by the kernels' names, wherever toolchain.toml has them"
    assert (old["kernel"], old["path"]) == ("5.10.223-board", "x86_64/btf/old/one.btf") and new["kernel"] == "6.1.*"
    digests = [hashlib.sha256((folder / f"{name}.btf").read_bytes()).hexdigest() for name in ("old", "new")]
    assert [old["source"], new["source"]] == digests and old["size"] < 150
    papers = [json.loads(path.read_text()) for path in sorted((folder / "build/dist").glob("*.json"))]
    assert all("kernel old" in json.dumps(paper) and digests[0] in json.dumps(paper) for paper in papers) and len(papers) == 4
    release = [ROOT / "sconsw", "verify-release", "one-1-py3-none-linux_x86_64.whl", "--toolchain=../../toolchain.toml"]
    verified = subprocess.run(release, cwd=folder / "build/dist", capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert built() == []
    declare_kernel(clang, folder, "old", "5.10.223", "long more; long state; int pid;", 'uname = "5.10.223-board"\n')
    other = subprocess.run(release, cwd=folder / "build/dist", capture_output=True, text=True)
    assert other.returncode and re.search(r"kernel old: has digest [0-9a-f]{64}, .*toolchain.toml:.*kernels.old.sha256 pins", other.stdout + other.stderr)
    assert built() == ["BTF", "WHEEL", "TAR"]
    assert manifest()[0] == new and manifest()[1]["sha256"] != old["sha256"]
    (folder / "build/x86_64/python/one" / new["path"]).write_bytes(b"edited")
    assert built() == ["WHEEL"] and len(manifest()) == 2
    write(project, "guarded")
    assert sorted(built()) == ["BTF", "BTF", "CLANG", "TAR", "WHEEL"]
    (folder / "src/p.bpf.c").write_text((folder / "src/p.bpf.c").read_text().replace("__attribute__((preserve_access_index))", "").replace("__builtin_preserve_field_info(t->state, 2)", "1"))
    assert sorted(built()) == ["BTF", "BTF", "CLANG", "TAR", "WHEEL"] and manifest() == [], "an object without relocations needs none"
    declare_kernel(clang, folder, "plain", "6.1", "int pid;")
    for given, said in {
        "older": "kernel_btf: no kernel is called older; declared are new, old, plain",
        "plain": 'kernel_btf: nothing tells by what plain is known when it runs; write uname = "…" in kernels.plain, what `uname -r` says',
    }.items():
        project.declare(f'env.BpfProgram("one", ["src/p.bpf.c"], version="1", kernel_btf=["{given}"])\n')
        assert said in run(project, "-n").stderr
