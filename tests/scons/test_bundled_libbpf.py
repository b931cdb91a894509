"""BpfPackage(bundle_libbpf=True) by real scons: the wheel's name, files, licences and papers; and who sees tampering."""

import json
import zipfile

import bundle_sources
import pytest
from ebpfbuild.package.wheel import zipped
from ebpfbuild.verify.command import main
from scons_project import pinned_project

BOTH = "ARCH=x86_64,aarch64"
NAME = "one-1.2-py3-none-manylinux_2_28_aarch64.manylinux_2_28_x86_64.whl"
PROGRAM = 'Default(env.BpfProgram("one", "src/one.bpf.c", version="1.2", license="GPL-2.0-only", bundle_libbpf=True))\n'
ARCHIVES = {name: bundle_sources.archive(name) for name in bundle_sources.FILES}


def bundling(project, glibc="2.28"):
    """The project with a program whose wheel carries a libbpf, of sources that are its own files."""
    project.declare(PROGRAM)
    project.pin()
    for name, data in ARCHIVES.items():
        (project.folder / f"pins/{name}.tar").write_bytes(data)
    with (project.folder / "toolchain.toml").open("a") as file:
        file.write(bundle_sources.table(ARCHIVES, glibc))
    return project


@pytest.fixture(scope="module")
def bundled(tmp_path_factory, compiler):
    """A project with such a wheel, built for two arches; a test that changes an output builds it again."""
    parent = tmp_path_factory.mktemp("bundled")
    project = bundling(pinned_project(parent / "project", compiler.version, parent / "cache"))
    project.build(BOTH)
    return project


@pytest.fixture
def verify(bundled, monkeypatch):
    """A function: the path of a wheel, of the project's unless given -> the status and the lines of verify-release."""
    monkeypatch.chdir(bundled.folder)

    def run(path=f"build/dist/{NAME}"):
        lines = []
        return main([str(path)], lines.append), "\n".join(lines)

    return run


@pytest.mark.slow
def test_the_wheel_has_the_libraries_their_licences_and_their_papers(bundled, verify, make_project):
    wheel = bundled.folder / "build/dist" / NAME
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    info = "one-1.2.dist-info"
    manifest = json.loads(files["one/manifest.json"])
    for arch in ("x86_64", "aarch64"):
        entry = manifest["libraries"][arch]
        assert (entry["path"], entry["glibc"], entry["libbpf"]) == (f"{arch}/libbpf.so.1", "2.28", "1.0")
        assert files[f"one/{arch}/libbpf.so.1"][:4] == b"\x7fELF" and len(files[f"one/{arch}/libbpf.so.1"]) == entry["size"]
        assert entry["sha256"] in files["one/bundled_libbpf.py"].decode()
    assert files[f"{info}/WHEEL"].decode().count("Tag: py3-none-manylinux_2_28_") == 2
    assert b"License-Expression: GPL-2.0-only AND (LGPL-2.1-only OR BSD-2-Clause) AND " in files[f"{info}/METADATA"]
    assert files[f"{info}/licenses/elfutils/COPYING-LGPLV3"] == b"elfutils: COPYING-LGPLV3\n"
    bill = json.loads(files[f"{info}/sboms/one.cdx.json"])
    held = next(each for each in bill["dependencies"] if each["ref"] == "package")["dependsOn"]
    assert {"library:x86_64/libbpf.so.1", "library:aarch64/libbpf.so.1"} <= set(held)
    made_of = next(each for each in bill["dependencies"] if each["ref"] == "library:x86_64/libbpf.so.1")["dependsOn"]
    assert made_of == ["bundled:bundle.libbpf", "bundled:bundle.elfutils", "bundled:bundle.zlib"]
    status, said = verify()
    assert status == 0, said
    with_tar = bundled.folder / "build/dist/one-1.2-any.tar"
    assert with_tar.is_file() and b"libbpf.so.1" not in with_tar.read_bytes()
    assert bundled.build(BOTH) == set()
    (bundled.folder / "build/x86_64/bundle/libbpf.so.1").write_bytes(b"edited")
    assert bundled.build(BOTH) >= {"x86_64/bundle/libbpf.so.1"} and verify()[0] == 0
    assert (bundled.folder / "build/python/one/x86_64/libbpf.so.1").read_bytes() == files["one/x86_64/libbpf.so.1"]
    other = bundling(make_project("in another place"))
    other.build(BOTH)
    assert (other.folder / "build/dist" / NAME).read_bytes() == wheel.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("path, edit, said", [
    ("one/x86_64/libbpf.so.1", lambda data: data[:-1] + b"x", "one/x86_64/libbpf.so.1: isn't the library that one/manifest.json says; "),
    ("one/bundled_libbpf.py", lambda data: data.replace(b'"x86_64"', b'"riscv64"'), "one/bundled_libbpf.py: isn't what one/manifest.json gives; "),
    ("one/bundled_libbpf.py", None, "one/bundled_libbpf.py: isn't what one/manifest.json gives; "),
    ("one/manifest.json", lambda data: json.dumps({**json.loads(data), "libraries": {}}).encode(), "names the sources of a libbpf, and one/manifest.json lists no libbpf; "),
])  # fmt: skip
def test_a_tampered_library_is_told(bundled, verify, path, edit, said, tmp_path):
    with zipfile.ZipFile(bundled.folder / "build/dist" / NAME) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files = {name: data for name, data in files.items() if edit or name != path}
    files |= {path: edit(files[path])} if edit else {}
    (tmp_path / NAME).write_bytes(zipped(files))
    status, text = verify(tmp_path / NAME)
    assert status == 1 and said in text


def test_a_name_that_promises_an_older_glibc_is_told(bundled, verify, tmp_path):
    name = NAME.replace("2_28_x86_64", "2_17_x86_64")
    (tmp_path / name).write_bytes((bundled.folder / "build/dist" / NAME).read_bytes())
    status, text = verify(tmp_path / name)
    assert status == 1 and "one/x86_64/libbpf.so.1: needs glibc 2.28, not 2.17; " in text
