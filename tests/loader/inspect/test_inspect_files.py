"""`python -m bpfloader inspect` of wheels and tars, and of any bytes."""

import io
import struct
import subprocess
import sys
import tarfile
import zipfile

import bpfloader
import pytest
from bpfloader.package.archive import MAX_BYTES, read_bundle
from bpfloader.inspect.report import inspect, inspect_object
from bpfloader.inspect.text import inspection_text
from bpfloader.spec.object import object_spec
from ebpfbuild.package import wheel
from ebpfbuild.arch import arch_named
from ebpfbuild.package.manifest import PackedObject, manifest_json
from ebpfbuild.package.tar import build_tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from probing import LOADER
from compiling import compile_program


@pytest.fixture(scope="module")
def objects(clang) -> dict[str, bytes]:
    """Some objects of testdata/loader by name."""
    return {name: compile_program(clang, name) for name in "probe rings congestion freplace maps privileges".split()}


def cli(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bpfloader", "inspect", *map(str, arguments)]
    return subprocess.run(command, cwd=LOADER, capture_output=True, text=True)


def packed(objects, names=("probe", "rings", "probe")) -> dict[str, bytes]:
    """A package's files: objects for three arches, two of them the same, and their manifest."""
    arches = dict(zip(("x86_64", "aarch64", "riscv64"), names))
    paths = {name: f"{arch}/t.bpf.o" for arch, name in reversed(arches.items())}
    entries = {arch: PackedObject(paths[name], objects[name], "GPL") for arch, name in arches.items()}
    return {"manifest.json": manifest_json("t", "1.0", {"t.bpf.o": entries}), **{paths[name]: objects[name] for name in arches.values()}}


def wheel_of(files: dict[str, bytes]) -> bytes:
    arches = [arch_named(name, "") for name in ("x86_64", "aarch64")]
    return wheel.build_wheel(wheel.About("t", "1.0"), {f"t/{path}": data for path, data in files.items()}, arches)


def rezipped(data: bytes, change) -> bytes:
    """Returns a wheel with its files changed by a function of (name, bytes) of each; None drops one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return out.getvalue()


def test_a_wheel_is_checked_and_each_arch_shown(objects, tmp_path):
    path = tmp_path / "t-1.0-py3-none-any.whl"
    path.write_bytes(wheel_of(packed(objects)))
    found = inspect(path)
    assert found["kind"] == "wheel" and found["recorded"] >= 3 and found["package"]["name"] == "t"
    assert sorted(each["arches"] for each in found["objects"]) == [["aarch64"], ["riscv64", "x86_64"]]
    text = inspection_text(found, "aarch64")
    assert "t 1.0: the objects are those of its manifest" in text and "emit_large" not in text
    assert "t/aarch64/t.bpf.o: " in text
    with pytest.raises(ValueError, match="there is no object for s390x; there is "):
        inspection_text(found, "s390x")


def test_of_a_package_of_several_programs_each_is_shown_in_full(objects, tmp_path):
    entries = {f"{name}.bpf.o": {"x86_64": PackedObject(f"x86_64/{name}.bpf.o", objects[name], "GPL")} for name in ("probe", "freplace")}
    files = {"manifest.json": manifest_json("t", "1.0", entries)} | {f"x86_64/{name}": each["x86_64"].data for name, each in entries.items()}
    path = tmp_path / "t-1.0-py3-none-any.whl"
    path.write_bytes(wheel_of(files))
    found = inspect(path)
    assert {name: list(each) for name, each in found["package"]["programs"].items()} == {"freplace.bpf.o": ["x86_64"], "probe.bpf.o": ["x86_64"]}
    text = inspection_text(found, "x86_64")
    assert all(f"t/x86_64/{name}.bpf.o: {len(objects[name])} bytes" in text for name in ("freplace", "probe"))


def test_a_tar_with_hard_links(objects, tmp_path):
    path = tmp_path / "t-1.0.tar"
    path.write_bytes(build_tar("t-1.0", packed(objects), {"riscv64/t.bpf.o": "x86_64/t.bpf.o"}))
    found = inspect(path)
    assert found["kind"] == "tar" and {tuple(each["arches"]) for each in found["objects"]} >= {("aarch64",)}
    assert found["objects"][-1]["sha256"] == found["objects"][-2]["sha256"]


def test_a_file_that_was_altered_is_told_by_record_and_by_manifest(objects):
    data = wheel_of(packed(objects))

    def touched(name, content):
        return content + b"\0" if name == "t/aarch64/t.bpf.o" else content

    with pytest.raises(bpfloader.DigestError, match="t/aarch64/t.bpf.o has another sha256 than its RECORD says"):
        read_bundle(rezipped(data, touched), "x.whl")
    with pytest.raises(bpfloader.DigestError, match="t/aarch64/t.bpf.o has sha256 .*, its manifest says"):
        read_bundle(rezipped(data, lambda n, c: None if n.endswith("RECORD") else touched(n, c)), "x.whl")
    with pytest.raises(bpfloader.DigestError, match="its RECORD has t/aarch64/t.bpf.o, which it lacks"):
        read_bundle(rezipped(data, lambda n, c: None if n == "t/aarch64/t.bpf.o" else c), "x.whl")
    added = io.BytesIO(data)
    with zipfile.ZipFile(added, "a") as archive:
        archive.writestr("t/extra.py", "")
    with pytest.raises(bpfloader.DigestError, match="t/extra.py isn't in its RECORD"):
        read_bundle(added.getvalue(), "x.whl")


def test_a_record_that_is_none(objects):
    broken = rezipped(
        wheel_of(packed(objects)), lambda n, c: b"x," * 10 + b"y" * 200_000 if n.endswith("RECORD") else c
    )
    with pytest.raises(bpfloader.ObjectError, match="RECORD is no list of files"):
        read_bundle(broken, "x.whl")


@pytest.mark.parametrize("name", ["../out.bpf.o", "/etc/x.bpf.o", "a/../../b.bpf.o", "..\\x.bpf.o", "C:/x.bpf.o"])
def test_no_name_may_point_outside(objects, name):
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(name, objects["probe"])
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(objects["probe"])
        archive.addfile(entry, io.BytesIO(objects["probe"]))
    for data in (zipped.getvalue(), tarred.getvalue()):
        with pytest.raises(bpfloader.ObjectError, match="which points outside of it; don't unpack it"):
            read_bundle(data, "x")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_holds_files_only(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("x.bpf.o")
        entry.type, entry.linkname = kind, "elsewhere"
        archive.addfile(entry)
    with pytest.raises(bpfloader.ObjectError, match="holds x.bpf.o, which is no file"):
        read_bundle(out.getvalue(), "x.tar")


def test_what_unpacks_to_too_much_is_not_unpacked(monkeypatch):
    from bpfloader.package import archive as module

    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.bpf.o", bytes(2 << 20))
    with tarfile.open(fileobj=tarred, mode="w:xz") as archive:
        entry = tarfile.TarInfo("x.bpf.o")
        entry.size = 2 << 20
        archive.addfile(entry, io.BytesIO(bytes(2 << 20)))
    assert MAX_BYTES > 1 << 20 and len(zipped.getvalue()) < 1 << 14
    for data in (zipped.getvalue(), tarred.getvalue()):
        with pytest.raises(bpfloader.ObjectError, match="unpacks to more than 1 MiB"):
            read_bundle(data, "x")


@pytest.mark.parametrize("content, said", [
    (b"", "is empty"), (b"PK\3\4" + bytes(50), "is no whole archive"), (b"\x1f\x8b" + bytes(50), "is no whole archive"),
    (b"some text", "is no BPF object: it starts with b'some'"),
], ids=["nothing", "zip", "gzip", "text"])  # fmt: skip
def test_bytes_that_are_no_object_are_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "x").write_bytes(content)
    done = cli(tmp_path / "x")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bpfloader: x {said}")


def test_an_archive_without_objects_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("x.py", "")
    done = cli(tmp_path / "x.whl")
    assert done.returncode == 2 and "x.whl holds no BPF object (*.bpf.o)" in done.stderr


# Any bytes give a result or an error of the loader's own.

FUZZ = settings(max_examples=80, suppress_health_check=list(HealthCheck), deadline=None)
edits = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8)


def survives(data: bytes) -> None:
    try:
        found = read_bundle(data, "x")
        shown = [
            {"path": path, "arches": [], **inspect_object(each, "x", ["event"])} for path, each in found.objects.items()
        ]
    except bpfloader.ObjectError as error:
        assert "\n" not in str(error)
        return
    for each in shown:
        head = {"file": "x", "kind": "object", "sha256": "", "package": None, "recorded": None, "objects": [each]}
        assert inspection_text(head)


@FUZZ
@given(
    st.sampled_from(["probe", "congestion", "freplace", "privileges"]), edits, st.booleans(), st.integers(0, 1 << 20)
)
def test_any_bytes_of_an_object(objects, name, changes, cut, end):
    data = bytearray(objects[name])
    for place, value in changes:
        data[place % len(data)] = value
    survives(bytes(data[: end % len(data)] if cut and end % 3 == 0 else data))


@FUZZ
@given(st.sampled_from(["probe", "maps", "privileges"]), st.sampled_from([".BTF", ".BTF.ext", ".symtab"]), edits)
def test_any_btf_of_an_object(objects, name, part, changes):
    data = bytearray(objects[name])
    section = object_spec(objects[name], name).elf.section(part)
    for place, value in changes:
        data[section.offset + place % section.size] = value
    survives(bytes(data))


def test_a_section_symbol_of_a_reserved_section(objects):
    data = bytearray(objects["probe"])
    table = object_spec(objects["probe"], "probe").elf.section(".symtab")
    number = next(i for i, row in enumerate(struct.iter_unpack("<IBBHQQ", data[table.offset :][: table.size]))
                  if row[1] & 15 == 3 and not row[0])  # fmt: skip
    struct.pack_into("<H", data, table.offset + 24 * number + 6, 0xFFF1)  # SHN_ABS
    survives(bytes(data))


@FUZZ
@given(st.sampled_from(["whl", "tar", "tar.gz", "tar.xz"]), edits, st.integers(0, 4000))
def test_any_bytes_of_an_archive(objects, kind, changes, cut):
    files = {"manifest.json": packed(objects)["manifest.json"], "a/t.bpf.o": objects["freplace"]}
    out = io.BytesIO()
    if kind == "whl":
        out.write(wheel_of(files))
    else:
        with tarfile.open(fileobj=out, mode=f"w:{kind.partition('.')[2]}") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    data = bytearray(out.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    survives(bytes(data[: len(data) - cut] if cut < 1000 else data))
