"""What a wheel holds, and how a skeleton finds the loader in it."""

import pytest
from ebpfbuild.errors import PackageError
from ebpfbuild.package import ArchFiles, arch_files, package_files, vendored

SKELETON = '"""generated"""\n\nimport bpfloader\n\nclass Foo: pass\n'


def made():
    return ArchFiles("foo.bpf.o", b"object", "foo_skel.py", SKELETON)


def test_the_layout():
    files = package_files("foo", {"__main__.py": b"main"}, {"__init__.py": b"loader"}, {"arm": made(), "aarch64": made()})
    assert sorted(files) == [
        "foo/__init__.py",
        "foo/__main__.py",
        *(f"foo/{arch}/{name}" for arch in ("aarch64", "arm") for name in ("__init__.py", "foo.bpf.o", "foo_skel.py")),
        "foo/bpfloader/__init__.py",
    ]
    assert b"\nfrom .. import bpfloader\n" in files["foo/arm/foo_skel.py"]
    assert b"aarch64, arm" in files["foo/__init__.py"]
    for path, data in files.items():
        if path.endswith("__init__.py") and path != "foo/bpfloader/__init__.py":
            compile(data, path, "exec")


def test_an_app_brings_its_own_init():
    assert package_files("foo", {"__init__.py": b"mine"}, {}, {"arm": made()})["foo/__init__.py"] == b"mine"


@pytest.mark.parametrize("text", ["", "import bpfloader\nimport bpfloader\n", "import bpfloaders\n", " import bpfloader\n"])
def test_what_is_no_skeleton(text):
    with pytest.raises(PackageError, match="foo_skel.py: is no skeleton made by this build"):
        vendored(text, "foo_skel.py")


def test_files_are_grouped_by_the_folder_of_their_arch(tmp_path):
    for arch in ("arm", "x86_64"):
        (tmp_path / arch).mkdir()
        (tmp_path / arch / "foo.bpf.o").write_bytes(arch.encode())
        (tmp_path / arch / "foo_skel.py").write_text(SKELETON)
    found = arch_files(tmp_path.rglob("*.*"))
    assert {arch: files.object_data for arch, files in found.items()} == {"arm": b"arm", "x86_64": b"x86_64"}


@pytest.mark.parametrize(
    "names, message",
    [
        (["arm/foo.bpf.o", "arm/bar.bpf.o", "arm/foo_skel.py"], "holds bar.bpf.o and foo.bpf.o for arm; make a package for each program"),
        (["arm/foo.bpf.o", "arm/foo_skel.py", "x86_64/foo.bpf.o"], "got an object or a skeleton for x86_64, not both"),
    ],
)
def test_what_is_not_one_pair_per_arch(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(SKELETON)
    with pytest.raises(PackageError, match=message):
        arch_files(tmp_path / name for name in names)
