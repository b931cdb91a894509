"""verify-release: what passes, and each kind of tampering, told in one line with where and what to do."""

import io
import json
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from ebpfbuild.arch import BY_NAME
from ebpfbuild.errors import EbpfError, PaperError
from ebpfbuild.package.manifest import PackedObject, Provenance, manifest_json
from ebpfbuild.package.wheel import About, build_wheel, zipped
from ebpfbuild.pins.toolchain import load
from ebpfbuild.python_lock import read_lock
from ebpfbuild.release.materials import Declared
from ebpfbuild.release.papers import Facts, Observed, Papers
from ebpfbuild.release.sums import sha256
from ebpfbuild.verify import command as verify_command
from ebpfbuild.verify import wheel_file
from ebpfbuild.verify.command import main
from ebpfbuild.verify.wheel_file import WheelFile
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements.lock"
NAME = "one-1.2-py3-none-any.whl"
INFO = "one-1.2.dist-info"
PINS = load(ROOT / "toolchain.toml")


def built(headers=None, proof=None):
    """The wheel of a program for two arches, and its papers, as a build makes them."""
    used = headers or {arch: PINS.header(arch).sha256 for arch in ("aarch64", "x86_64")}
    clang = {"version": PINS.compiler.version, "fingerprint": read_lock(LOCK).package("ziglang").digest}
    pinned = {
        "libbpf": {"version": PINS.libbpf.version, "sha256": PINS.libbpf.sha256},
        "uapi": {"kernel": PINS.uapi.kernel, "sha256": PINS.uapi.sha256},
        "linker": {"version": "1.5.0-3", "sha256": PINS.linker.libraries["x86_64"][-1].sha256},
    }
    objects = {
        arch: PackedObject(f"{arch}/one.bpf.o", f"object of {arch}".encode(), "GPL", Provenance(
            header={"alternate": False, "kernel": "6.19", "sha256": digest}, compiler=clang, proof=proof, **pinned))
        for arch, digest in used.items()
    }  # fmt: skip
    manifest = manifest_json("one", "1.2", {"one.bpf.o": objects})
    files = {f"one/{each.path}": each.data for each in objects.values()}
    skeleton = f'class One:\n    MANIFEST = "{sha256(manifest)}"\n'.encode()
    files |= {"one/manifest.json": manifest, "one/one_skel.py": skeleton, "one/bpfloader/__init__.py": b"pass\n"}
    pins = {arch: PINS.header(arch) for arch in used}
    declared = Declared(PINS.compiler, pins, PINS.libbpf, PINS.uapi, PINS.linker, "v3")
    facts = Facts(declared, str(LOCK), loader_version="0.1.0")
    papers = Papers(manifest, "GPL-2.0-only", facts, {"__init__.py": b"pass\n"})
    about = About("one", "1.2", license="GPL-2.0-only")
    data = build_wheel(about, files, [BY_NAME[arch] for arch in used], papers.inside)
    return data, papers.beside(NAME, data, Observed("cd" * 32, {}, "ef" * 32))


PROOF = {"differences": [], "equal": True, "mode": "exact", "types": 3}
DATA, BESIDE = built(proof=PROOF)
FILES = WheelFile(NAME, DATA).files


def put(folder, data=DATA, beside=BESIDE):
    """Lays a wheel and its papers into a folder, and returns the wheel's path."""
    for name, paper in beside.items():
        (folder / name).write_bytes(paper)
    (folder / NAME).write_bytes(data)
    return folder / NAME


def verify(path, *arguments):
    """The exit status and the lines of the command, in a folder that is no project."""
    lines = []
    status = main([str(path), *arguments], lines.append)
    assert all("\n" not in line for line in lines)
    return status, lines


def faults(path, *arguments):
    """The lines of what is wrong. The command fails by them, and each says where, what, and what to do."""
    status, lines = verify(path, *arguments)
    assert status == 1
    found = [line for line in lines if line.startswith("FAILED   ")]
    assert found and all(": " in line and "; " in line for line in found), lines
    return [line.removeprefix("FAILED   ") for line in found]


def changed(**files):
    """The wheel with some files' bytes changed, by the ends of their paths with _ for / and .; RECORD is as it was."""
    return zipped(replaced(FILES, files))


def replaced(files, changes):
    found = dict(files)
    for end, edit in changes.items():
        (path,) = [path for path in files if path.endswith(end)]
        found[path] = edit(found[path])
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Another folder than the checkout: the pins are this checkout's all the same."""
    monkeypatch.chdir(tmp_path)


def test_a_release_passes_and_says_what_was_not_checked(tmp_path):
    status, lines = verify(put(tmp_path))
    assert status == 0, lines
    assert [line for line in lines if not line.startswith(("ok  ", "SKIPPED ", "VERIFIED "))] == []
    assert lines[-1] == f"VERIFIED {NAME} sha256 {sha256(DATA)}: all checks made passed, 2 skipped"
    assert [line.split(":")[0] for line in lines if line.startswith("SKIPPED")] == ["SKIPPED  the signature", "SKIPPED  building it again"]


def test_a_wheel_of_a_build_without_proofs_says_so_and_proven_refuses_it(tmp_path):
    path = put(tmp_path, *built())
    status, lines = verify(path)
    assert status == 0 and lines[-1].endswith(": all checks made passed, 3 skipped")
    assert "SKIPPED  the proof of its objects: it has none, as a build without RELEASE=1 and PROVE=1 packs it" in lines
    (line,) = faults(path, "--proven")
    assert line.startswith("one/manifest.json: has a proof of no object; have it built with RELEASE=1")
    assert verify(put(tmp_path), "--proven")[0] == 0


def test_a_proof_of_unlike_objects_is_told_also_without_proven(tmp_path):
    found = faults(put(tmp_path, *built(proof={**PROOF, "equal": False})))
    assert [line.partition("; ")[0] for line in found] == [
        f"one/manifest.json: {arch}/one.bpf.o: its proof doesn't say that the objects are equal" for arch in ("aarch64", "x86_64")
    ]


def test_a_wheel_alone_is_checked_by_itself(tmp_path):
    status, lines = verify(put(tmp_path, beside={}))
    assert status == 0 and any(line.startswith(f"SKIPPED  {NAME}.intoto.json") for line in lines)


def tamper(end, old, new):
    """The wheel in which a file has other text."""

    def edit(data):
        assert old in data
        return data.replace(old, new, 1)

    return zipped(replaced(FILES, {end: edit}))


@pytest.mark.parametrize("end, old, new, said", [
    ("x86_64/one.bpf.o", b"object", b"OBJECT", [
        f"one/x86_64/one.bpf.o: isn't what {INFO}/RECORD says; don't install it; copy the release again",
        "one/x86_64/one.bpf.o: isn't the object that one/manifest.json says; don't install it; build it again, or ask whoever built it",
        f"one/x86_64/one.bpf.o: isn't what {INFO}/sboms/SHA256SUMS says; don't install it; copy the release again",
        f"one/x86_64/one.bpf.o: isn't what {INFO}/sboms/one.intoto.json speaks of; don't install it; copy the release again"]),
    ("RECORD", b"one/manifest.json,sha256=", b"one/manifest.json,sha256=A", [f"one/manifest.json: isn't what {INFO}/RECORD says"]),
    ("RECORD", b"one/manifest.json,", b"one/manifest.jsom,", [
        f"one/manifest.json: isn't what {INFO}/RECORD says",
        f"one/manifest.jsom: is listed in {INFO}/RECORD, and the wheel lacks it"]),
    ("RECORD", b"one/manifest.json,", b"one/one_skel.py,", [f"{INFO}/RECORD: is no list of files, each once"]),
    ("one.cdx.json", b'"version": "1.5.0"', b'"version": "1.5.1"', [
        f"{INFO}/sboms/one.cdx.json: isn't what {INFO}/RECORD says",
        f"{INFO}/sboms/one.cdx.json: isn't what {INFO}/sboms/SHA256SUMS says",
        f"{INFO}/sboms/one.cdx.json: isn't what manifest and statement give: .components[",
    ]),
    ("one.cdx.json", b'"components": [', b'"components": 7, "x": [', [f"{INFO}/sboms/one.cdx.json: is no bill of materials that this build writes"]),
    ("one.cdx.json", b"{", b"[", [f"{INFO}/sboms/one.cdx.json: is no JSON; copy the release again"]),
    ("SHA256SUMS", b"  one/manifest.json", b"  one/manifest.jsom", [
        f"one/manifest.json: isn't what {INFO}/sboms/SHA256SUMS says",
        f"one/manifest.jsom: is listed in {INFO}/sboms/SHA256SUMS, and the wheel lacks it",
        f"{INFO}/sboms/SHA256SUMS: isn't what {INFO}/sboms/one.intoto.json speaks of",
    ]),
    ("METADATA", b"Version: 1.2", b"Version: 1.3", [f"{INFO}/METADATA: is of one 1.3, one/manifest.json of one 1.2"]),
    ("METADATA", b"GPL-2.0-only", b"MIT", [f"{INFO}/sboms/one.cdx.json: isn't what manifest and statement give: .metadata.component.licenses"]),
    ("one_skel.py", b'MANIFEST = "', b'MANIFEST = "00', ["one/one_skel.py: was packed with another one/manifest.json"]),
    ("one.intoto.json", b'"aarch64"', b'"arm"', [f"{INFO}/sboms/one.intoto.json: is of objects for ['arm', 'x86_64']"]),
    ("one.intoto.json", b'"dirHash": "9', b'"dirHash": "8', [f"{INFO}/sboms/one.intoto.json: libbpf: has digest 8"]),
    ("one.intoto.json", b'"PROVE": true', b'"PROVE": false', [f"{INFO}/sboms/one.intoto.json: says of PROVE what one/manifest.json doesn't have"]),
    ("one.intoto.json", b"/v1", b"/v0", [f"{INFO}/sboms/one.intoto.json: is no statement that this build writes"]),
    ("manifest.json", b'"format": 1', b'"format": 2', ["one/manifest.json: is no manifest that this build writes"]),
    ("manifest.json", b'"size": 16', b'"size": 1.6', ["one/manifest.json: is no manifest that this build writes"]),
    *(("manifest.json", old.encode(), b"ab" * 32, [f"one/manifest.json: {{}}/one.bpf.o: was made with {name} which {INFO}/sboms/one.intoto.json doesn't name"])
      for old, name in ((PINS.libbpf.sha256, "libbpf's headers"), (PINS.uapi.sha256, "UAPI headers"),
                        (PINS.linker.libraries["x86_64"][-1].sha256, "a linker"), (PINS.header("aarch64").sha256, "a vmlinux.h of aarch64"))),
    ("manifest.json", b'"version": "22', b'"version": "21', ["one/manifest.json: {}/one.bpf.o: was made by a clang which"]),
    ("bpfloader/__init__.py", b"pass", b"evil", [f"one/bpfloader/__init__.py: isn't what {INFO}/RECORD says"]),
])  # fmt: skip
def test_a_tampered_file_is_told(tmp_path, end, old, new, said):
    found = faults(put(tmp_path, tamper(end, old, new), {}))
    for text in said:
        assert any(line.startswith(text.replace("{}", "aarch64")) for line in found), found


def resealed(**changes):
    """A wheel that somebody changed who knows the format: RECORD and SHA256SUMS fit again, the statement speaks of them."""
    files = replaced(FILES, changes)
    listed = {path: sha256(data) for path, data in files.items() if not path.endswith(("RECORD", "SHA256SUMS", ".intoto.json"))}
    sums = "".join(f"{listed[path]}  {path}\n" for path in sorted(listed)).encode()
    statement = json.loads(files[f"{INFO}/sboms/one.intoto.json"])
    for subject in statement["subject"]:
        data = sums if subject["name"].endswith("SHA256SUMS") else files[subject["name"]]
        subject["digest"]["sha256"] = sha256(data)
    info = {f"{INFO}/sboms/SHA256SUMS": sums, f"{INFO}/sboms/one.intoto.json": (json.dumps(statement, indent=1, sort_keys=True) + "\n").encode()}
    files = {**files, **info}
    from ebpfbuild.package.wheel import _record

    files[f"{INFO}/RECORD"] = _record({path: data for path, data in files.items() if not path.endswith("RECORD")}, f"{INFO}/RECORD")
    return zipped(files)


def test_an_object_of_somebody_else_s_in_a_wheel_that_was_sealed_again_is_told_by_manifest_and_papers_beside(tmp_path):
    path = put(tmp_path, resealed(**{"x86_64/one.bpf.o": lambda data: data.upper()}))
    found = faults(path)
    assert any("one/x86_64/one.bpf.o: isn't the object that one/manifest.json says" in line for line in found)
    assert any(line.startswith(f"{NAME}.intoto.json: is the statement of another wheel: {NAME} {sha256(DATA)}; copy") for line in found)
    assert any(line.startswith(f"{NAME}.SHA256SUMS: has another digest than the {NAME} here") for line in found)


def test_the_papers_of_another_wheel_are_told(tmp_path):
    other, papers = built({"aarch64": PINS.header("aarch64").sha256})
    assert any("is the statement of another wheel" in line for line in faults(put(tmp_path, DATA, papers)))


@pytest.mark.parametrize("ending", [".intoto.json", ".cdx.json", ".SHA256SUMS"])
def test_a_paper_that_is_missing_beside_the_others_is_told(tmp_path, ending):
    path = put(tmp_path)
    (tmp_path / f"{NAME}{ending}").unlink()
    assert faults(path)[0].startswith(f"{NAME}{ending}: can't be read: No such file or directory; copy the wheel and its papers")


@pytest.mark.parametrize("ending, old, new, said", [
    (".cdx.json", b'"name": "one"', b'"name": "two"', ".cdx.json: isn't what the wheel gives: .metadata.component.name"),
    (".intoto.json", b'"version": "1.2"', b'"version": "1.3"', "externalParameters.version"),
    (".intoto.json", b'"dirHash": "9', b'"dirHash": "8', f"isn't what {INFO}/sboms/one.intoto.json says: libbpf"),
    (".SHA256SUMS", b"  one", b" *one", ".SHA256SUMS:1: is no line of sha256sum's"),
])  # fmt: skip
def test_an_edited_paper_beside_is_told(tmp_path, ending, old, new, said):
    assert old in BESIDE[f"{NAME}{ending}"]
    path = put(tmp_path, beside={**BESIDE, f"{NAME}{ending}": BESIDE[f"{NAME}{ending}"].replace(old, new, 1)})
    assert any(said in line for line in faults(path))


@pytest.mark.parametrize("old, new, said", [
    (PINS.header("x86_64").sha256, "ab" * 32, f"vmlinux.h of x86_64: has digest {PINS.header('x86_64').sha256}, "),
    (PINS.libbpf.sha256, "ab" * 32, f"libbpf: has digest {PINS.libbpf.sha256}, "),
    (PINS.uapi.sha256, "ab" * 32, "UAPI headers of Linux: has digest "),
    (f'version = "{PINS.compiler.version}"', 'version = "9.9.9"', f"clang: is clang {PINS.compiler.version}, "),
    (PINS.linker.libraries["aarch64"][0].sha256, "ab" * 32, "libz for aarch64: has digest "),
])  # fmt: skip
def test_another_pin_is_told_with_its_place(tmp_path, old, new, said):
    text = (ROOT / "toolchain.toml").read_text()
    assert old in text
    (tmp_path / "pins.toml").write_text(text.replace(old, new, 1))
    (line,) = faults(put(tmp_path), "--toolchain=pins.toml")
    assert f"{INFO}/sboms/one.intoto.json: {said}" in line and "pins.toml:" in line and line.endswith("--toolchain=FILE --lock=FILE")


def test_the_tool_s_pins_complete_the_project_s_as_in_a_build(tmp_path):
    (tmp_path / "SConstruct").touch()
    (tmp_path / "toolchain.toml").write_text('[vmlinux.arm]\nkernel = "1"\npath = "arm.h"\n')
    status, lines = verify(put(tmp_path))
    assert status == 0 and any("are those of" in line and f"{tmp_path}/toolchain.toml" in line for line in lines)


def test_another_lock_is_told(tmp_path):
    text = LOCK.read_text().replace("pycparser==", "pycparser==9.")
    (tmp_path / "other.lock").write_text(text)
    found = faults(put(tmp_path), "--lock=other.lock")
    assert any("requirements.lock: has digest" in line and "the lock here has" in line for line in found)
    assert any("pkg:pypi/pycparser@" in line and "isn't the lock's 9." in line for line in found)


def test_an_alternate_header_is_told(tmp_path):
    alternate = PINS.header("x86_64").alternates[0]
    path = put(tmp_path, *built({"x86_64": alternate.sha256}))
    (line,) = faults(path)
    assert f"vmlinux.h of x86_64: is the alternate of Linux {alternate.kernel}, which no release takes; build it" in line


def archive(*entries, **facts):
    """A ZIP of (path, bytes); `facts` are set on the last entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name")
        for path, data in entries:
            entry = zipfile.ZipInfo(path)
            for name, value in facts.items() if path == entries[-1][0] else ():
                setattr(entry, name, value)
            made.writestr(entry, data)
    return out.getvalue()


def lying(size):
    """A ZIP whose last member claims another size than it has, in both headers."""
    data = bytearray(archive(("a", b"x" * 100)))
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.rindex(signature) + offset, size)
    return bytes(data)


def bomb():
    """A ZIP of a kilobyte that unpacks to more than anybody holds."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", b"\0" * (1 << 20))
    data = bytearray(out.getvalue())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.rindex(signature) + offset, (1 << 32) - 2)
    return bytes(data)


def test_a_tar_is_told_what_checks_it(tmp_path):
    with pytest.raises(PaperError, match=r"x.tar: is a tar, and wheels are checked; .*: sha256sum -c x.tar.SHA256SUMS$"):
        wheel_file.read_wheel(tmp_path / "x.tar")


@pytest.mark.parametrize("data, said", [
    (archive(("one/a", b""), ("one/a", b"x")), "holds one/a twice"),
    (archive(("../../etc/cron.d/x", b"")), "holds '../../etc/cron.d/x', which is no path below it"),
    (archive(("/etc/passwd", b"")), "holds '/etc/passwd', which is no path below it"),
    (archive(("c:/x", b"")), "holds 'c:/x', which is no path below it"),
    (archive(("a\\..\\b", b"")), "which is no path below it"),
    (archive(("a/./b", b"")), "holds 'a/./b', which is no path below it"),
    (archive(("a\x1b[31m", b"")), "which is no path below it"),
    (archive(("folder/", b"")), "holds 'folder/', which is no path below it"),
    (archive(("one/a", b"/etc/passwd"), external_attr=0o120777 << 16), "holds one/a, which is a symlink"),
    (archive(("one/a", b""), external_attr=0o010644 << 16), "holds one/a, which is no file"),
    (bomb(), f"unpacks to more than {wheel_file.MAX_WHEEL_SIZE >> 20} MiB"),
    (lying(50), "is no whole archive"), (lying(5000), "is no whole archive"),
    (archive(*((str(number), b"") for number in range(wheel_file.MAX_FILES + 1))), f"holds more than {wheel_file.MAX_FILES} files"),
    (b"", "is no whole archive"), (b"PK\3\4", "is no whole archive"), (DATA[:-40], "is no whole archive"),
    (archive(("one/a", b"")), "has no .dist-info folder: a wheel has one"),
    (archive(("a.dist-info/METADATA", b""), ("b.dist-info/x", b"")), "has a.dist-info and b.dist-info: a wheel has one"),
    (archive(("a-1.dist-info/METADATA", b"")), "has no manifest.json, or several"),
    (archive(("a-1.dist-info/METADATA", b""), ("a/manifest.json", b"{}")), "is not in the wheel"),
])  # fmt: skip
def test_what_is_no_wheel_of_this_build_s_is_refused_in_one_line(tmp_path, data, said):
    (line,) = [line for line in faults(put(tmp_path, data, {}))]
    assert said in line


def test_a_nul_in_a_name_is_refused(tmp_path):
    data = archive(("one/aXb", b"")).replace(b"one/aXb", b"one/a\0b")
    (line,) = faults(put(tmp_path, data, {}))
    assert "which is no path below it" in line or "is no whole archive" in line


@pytest.mark.parametrize("data", [
    b"#!/bin/sh\n" + DATA, DATA[:-2] + b"\5\0hello",
    archive(*FILES.items()), archive(*FILES.items(), date_time=(2020, 1, 1, 0, 0, 0)),
])  # fmt: skip
def test_what_an_archive_holds_beside_its_files_is_told(tmp_path, data):
    assert any(line.startswith(f"{NAME}: isn't packed as this build packs") for line in faults(put(tmp_path, data, {})))


def test_a_wheel_by_another_name_is_told(tmp_path):
    path = put(tmp_path, beside={}).rename(tmp_path / "two-1.2-py3-none-any.whl")
    assert any(line.startswith(f"two-1.2-py3-none-any.whl: holds {INFO}, which is another package's") for line in faults(path))


@pytest.mark.parametrize("path, said", [("none.whl", "none.whl: can't be read: No such file"), (".", ".: can't be read: is a folder"), ("/dev/zero", "is a device")])
def test_what_is_no_file_is_told(path, said):
    (line,) = faults(path)
    assert said in line


def test_the_signature_s_command_gets_the_statement_s_path_and_decides(tmp_path):
    path = put(tmp_path)
    assert verify(path, f"--signature-check=grep -q '\"name\": \"{NAME}\"'")[0] == 0
    assert verify(path, "--signature-check=cmp - {}")[0] == 0
    (line,) = faults(path, "--signature-check=false --key 'a b'")
    assert line.startswith("--signature-check: false ended with 1; the signature isn't checked as good")
    for paper in tmp_path.glob(f"{NAME}.*"):
        paper.unlink()
    line, _ = faults(path, "--signature-check=true")
    assert f"{NAME}.intoto.json: can't be read" in line


@pytest.mark.parametrize("arguments, said", [
    (["--toolchain=none.toml"], "none.toml: there is no such file"), (["--signature-check='"], "--signature-check: \"'\" is no command"),
    (["--lock=none.lock"], "none.lock: can't be read: No such file or directory; name the lock"),
])  # fmt: skip
def test_what_the_checks_need_and_can_not_be_read_is_told(tmp_path, arguments, said):
    (line,) = faults(put(tmp_path), *arguments)
    assert said in line


flips = st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 255))


@settings(max_examples=60, deadline=None)
@given(st.lists(flips, min_size=1, max_size=4))
def test_no_changed_byte_passes_and_each_is_told_in_lines(tmp_path_factory, flipped):
    data = bytearray(DATA)
    for place, change in flipped:
        data[place] ^= change
    if bytes(data) != DATA:
        assert faults(put(tmp_path_factory.mktemp("flipped"), bytes(data), {}))


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.sampled_from(["", "one", "1.2", "GPL"]),
                           lambda each: st.lists(each, max_size=2) | st.dictionaries(st.sampled_from(["name", "kind", "sha256"]), each, max_size=2))  # fmt: skip


@st.composite
def edited(draw):
    """One of the wheel's JSON papers or its manifest, in which one value, or one key, is another."""
    path = draw(st.sampled_from(["one.intoto.json", "one.cdx.json", "one/manifest.json"]))
    facts = json.loads(next(data for name, data in FILES.items() if name.endswith(path)))
    place, key = None, None
    node = facts
    while isinstance(node, (dict, list)) and node and (place is None or draw(st.booleans())):
        place, key = node, draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
        node = node[key]
    if draw(st.booleans()):
        place[key] = draw(json_values)
    else:
        del place[key]
    return path, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


@settings(max_examples=150, deadline=None)
@given(edited())
def test_no_edited_paper_passes_though_everything_is_sealed_again(tmp_path_factory, change):
    """Who seals it again can't speak of other inputs or objects unseen, and no value of JSON ends in a traceback."""
    path, data = change
    if data != next(each for name, each in FILES.items() if name.endswith(path)):
        folder = tmp_path_factory.mktemp("edited")
        assert faults(put(folder, zipped(replaced(FILES, {path: lambda _: data})), {}))
        try:
            sealed = resealed(**{path: lambda _: data})
        except (KeyError, TypeError, AttributeError):  # nothing that can be sealed
            return
        verify(put(folder, sealed, {}))


@settings(max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_reader_of_wheels_gives_a_result_or_one_line(before, behind):
    for data in (before, before + archive(("a", behind)), archive(("a", before))[: -len(behind) or None]):
        try:
            WheelFile("x.whl", data)
        except PaperError as error:
            assert str(error).startswith("x.whl: ") and "\n" not in str(error)
        except EbpfError:  # pragma: no cover
            raise


@pytest.mark.parametrize("command, said", [
    ("false", "false ended with 1; the signature isn't checked as good, for the reason that it gives above; don't install it"),
    ("./none {}", "./none can't be run: No such file or directory; install it, or name its path; nothing was signed or checked by it"),
])  # fmt: skip
def test_a_signature_check_says_what_is_known(tmp_path, command, said):
    assert faults(put(tmp_path), f"--signature-check={command}") == [f"--signature-check: {said}"]


@pytest.mark.parametrize("script, said", [
    ("exit 1", "couldn't be built again (exit 1), so nothing is known of its bytes; correct what is said above"),
    ("echo 'x: DIFFERS  y'; exit 2", "couldn't be built again (exit 2), so nothing is known"),
    (f"echo 'DIFFERS  build/dist/{NAME}'; exit 2", "isn't what this project gives; take the commit"),
])  # fmt: skip
def test_a_rebuild_that_fails_is_no_difference(tmp_path, monkeypatch, script, said):
    monkeypatch.setattr(verify_command, "CHECKOUT", tmp_path)
    (tmp_path / "sconsw").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sconsw").chmod(0o755)
    (line,) = faults(put(tmp_path), "--rebuild", f"--lock={LOCK}")
    assert line.startswith(f"{NAME}: {said}")


@pytest.mark.parametrize("words", [[], ["--offline"]])
def test_a_wheel_that_is_not_named_is_asked_for_alone(capsys, words):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert capsys.readouterr().err.endswith("error: no wheel is named; name it: sconsw verify-release FILE.whl\n")
