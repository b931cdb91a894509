"""Lists that builders return: plain ones, asked by arch, and put into root file systems of several arches."""

import re
import tarfile
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "builders.md"
BOTH = "ARCH=x86_64,aarch64"


def test_what_builders_return_is_a_list_and_asked_by_arch(declare):
    done = declare("""
header = env.MinimizedVmlinux("set", ["src/one.bpf.c"])
objects = env.BpfObject("src/one.bpf.c", header=header)
program = env.BpfProgram("two", "src/two.bpf.c")
for each in (header, objects, env.BpfProof(objects), env.BpfCSkeleton(objects), program):
    print("by arch:", each["arm64"], each["x86"], *each.arches, "amd64" in each, "arm" in each, "typo" in each)
print("as a list:", len(objects), objects[0] in objects, objects == [*objects], [*objects[:1], *(objects + [1])[2:]] == [objects[0], 1])
print("as a list:", str(objects), *objects.name, isinstance(program[-1:], type(Flatten(objects) + Glob("nosuch"))))
""").scons(BOTH, "-n", "-s")
    assert done.returncode == 0, done.stdout + done.stderr
    names = [line.removeprefix("by arch: ") for line in done.stdout.splitlines() if line.startswith("by arch: ")]
    both = ("minimized/set/vmlinux.h", "one.bpf.o", "one.proof.json", "one.skel.h", "two.bpf.o")
    assert names == [f"build/aarch64/{file} build/x86_64/{file} x86_64 aarch64 True False False" for file in both]
    assert "as a list: 2 True True True\n" in done.stdout
    assert "as a list: build/x86_64/one.bpf.o build/aarch64/one.bpf.o one.bpf.o one.bpf.o" in done.stdout


@pytest.mark.parametrize(
    "body, message",
    [
        ('env.Install("root", objects)', "Install: root/one.bpf.o would be both build/x86_64/one.bpf.o and build/aarch64/one.bpf.o; give"),
        ('env.Install("root", objects[0])\nEnvironment().Install("root", objects[1])', "Install: root/one.bpf.o would be both build/x86_64"),
        ('env.InstallAs("root/x", objects[0])\nenv.InstallAs("root/x", objects[1])', "Install: root/x would be both build/x86_64/one.bpf.o"),
        ('objects["arm"]', "['arm']: nothing is built for arm here; there is x86_64, aarch64"),
        ('objects["arm46"]', "arch: no arch is called 'arm46'; did you mean arm64?"),
    ],
)
@pytest.mark.parametrize("loaded", ["", 'env.Install("other", "src/one.bpf.c")\n'])
def test_files_of_several_arches_in_one_place_are_told_in_one_line(declare, loaded, body, message):
    text = declare(f'{loaded}objects = env.BpfObject("src/one.bpf.c")\n{body}\n').fails(BOTH, "-n")
    assert message in text and text.count("\n") == 1


def test_one_file_may_be_installed_twice(declare):
    project = declare('o = env.BpfObject("src/one.bpf.c")\nfor a in o.arches * 2: Default(env.Install(f"build/root/{a}", o[a]))\n')
    assert {"root/x86_64/one.bpf.o", "root/aarch64/one.bpf.o"} <= project.build(BOTH)


def test_the_page_s_root_file_systems(declare, project):
    """The example of docs/builders.md, built."""
    (text,) = re.findall(r"## Root file systems of several arches\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    declare(text)
    (project.folder / "bpf").mkdir()
    (project.folder / "src/one.bpf.c").rename(project.folder / "bpf/tcpstat.bpf.c")
    project.edit("SConstruct", '"arm"]', '"s390x"]')  # as the test's pins have it
    project.build("rootfs")
    for arch in ("aarch64", "s390x"):
        place = project.folder / "rootfs" / arch
        made = (place / "usr/lib/bpf/tcpstat.bpf.o").read_bytes()
        assert made == (project.folder / f"build/{arch}/tcpstat.bpf.o").read_bytes()
        with tarfile.open(project.folder / f"rootfs/{arch}.tar") as image:
            assert image.extractfile("./usr/lib/bpf/tcpstat.bpf.o").read() == made
        with tarfile.open(place / "usr/share/tcpstat.tar") as archive:
            assert any(name.endswith(f"{arch}/tcpstat.bpf.o") for name in archive.getnames())
    assert project.scons("-q", "rootfs").returncode == 0


def test_a_sum_of_lists_is_asked_by_arch_as_well(declare):
    done = declare("""
one, two = env.BpfObject("src/one.bpf.c"), env.BpfProgram("two", "src/two.bpf.c")
more = one + two
more += env.BpfObject("src/three.bpf.c", arch="arm64")
plain = [one[0]] + (env.BpfObject("src/one.bpf.c", "again") + [])
for each in (more, more.copy(), more[:], plain):
    print("sum:", *each["arm64"] if len(each) > 3 else [each["arm64"]], "/", *each.arches, len(each))
print("part:", two[0:1]["x86"], "arm64" in two[0:1], one.arches)
""").scons(BOTH, "-n", "-s")
    assert done.returncode == 0, done.stdout + done.stderr
    sums = [line for line in done.stdout.splitlines() if line.startswith("sum: ")]
    arm = "build/aarch64/one.bpf.o build/aarch64/two.bpf.o build/aarch64/three.bpf.o"
    assert sums == [f"sum: {arm} / x86_64 aarch64 9"] * 3 + ["sum: build/aarch64/again.bpf.o / x86_64 aarch64 3"]
    assert "part: build/x86_64/two.bpf.o False ('x86_64', 'aarch64')" in done.stdout


def test_a_sum_of_headers_is_none(declare):
    body = 'both = env.MinimizedVmlinux("a", "src/one.bpf.c") + env.MinimizedVmlinux("b", "src/one.bpf.c")\n'
    text = declare(f'{body}env.BpfObject("src/one.bpf.c", header=both)\n').fails("ARCH=x86_64")
    assert "header: got build/x86_64/minimized/a/vmlinux.h and build/x86_64/minimized/b/vmlinux.h; name one" in text


VARIANTS = """
for name in ("debug", "release"):
    {declared}
    {installed}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "declared",
    [
        'objects = SConscript("src/SConscript", exports="env", variant_dir=f"build/{name}")',
        'objects = env.Clone(EBPF_BUILD=f"build/{name}").BpfObject("src/one.bpf.c")',
    ],
)
@pytest.mark.parametrize("loaded", ["", 'env.Install("other", "src/two.bpf.c")\n'])
def test_objects_of_two_variants_in_one_place_are_told_in_one_line(declare, declared, loaded):
    body = loaded + VARIANTS.format(declared=declared, installed='env.Clone().Install("root", objects)')
    project = declare(body, SConscript='Import("env")\nobjects = env.BpfObject("one.bpf.c")\nReturn("objects")\n')
    text = project.fails("ARCH=x86_64", "-n")
    message = "Install: root/one.bpf.o would be both build/debug/x86_64/one.bpf.o and build/release/x86_64/one.bpf.o; "
    assert f'{message}give each variant a folder of its own: env.Install(f"…/{{variant}}", objects)' in text
    assert text.count("\n") == 1
    project.edit("SConstruct", '"root"', 'f"root/{name}"')
    assert project.scons("ARCH=x86_64", "-n").returncode == 0
