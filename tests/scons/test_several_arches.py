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
