"""A release's papers: digests, provenance and bill of materials, each by its published form, of fixed bytes."""

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
from ebpfbuild.compile.clang_release import release_digest
from ebpfbuild.errors import PaperError
from ebpfbuild.pins.pins import ArtifactSource
from ebpfbuild.pins.toolchain import load
from ebpfbuild import python_lock as lock
from ebpfbuild.release import provenance, sums
from ebpfbuild.release.materials import Declared, materials, uri_of
from ebpfbuild.release.papers import BESIDE, Facts, Observed, Papers
from ebpfbuild.release.sbom import serial_number
from ebpfbuild.rebuild.step_code import CORE
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements.lock"
SHA = "ab" * 32
WHEEL = "one-1.2-py3-none-any.whl"


def entry(path, digest, header=None, license="GPL"):
    """An object as a manifest has it."""
    facts = {"object": {"license": license, "path": path, "sha256": digest, "size": 4}}
    facts["compiler"] = {"version": "22.1.8", "fingerprint": lock.read_lock(LOCK).package("ziglang").digest}
    return facts | ({"header": {"sha256": header, "kernel": "6.19", "alternate": False}} if header else {})


@pytest.fixture(scope="module")
def pins():
    """The pins of this checkout."""
    return load(ROOT / "toolchain.toml")


def manifest(pins, **entries):
    """The manifest of a program for two arches, the second of which shares the first one's object."""
    entries = entries or {arch: entry("aarch64/one.bpf.o", SHA, pins.header(arch).sha256) for arch in ("aarch64", "x86_64")}
    facts = {"format": 1, "name": "one", "version": "1.2", "programs": {"one.bpf.o": entries}}
    return json.dumps(facts).encode()


def declared(pins, *arches):
    """What a build for some arches declares, of a program that has UAPI headers in sight and is linked."""
    headers = {arch: pins.header(arch) for arch in arches}
    return Declared(pins.compiler, headers, pins.libbpf, pins.uapi, pins.linker, "v3", ("-DX=1",))


@pytest.fixture(scope="module")
def papers(pins):
    """The papers of a program for two arches."""
    facts = Facts(declared(pins, "aarch64", "x86_64"), str(LOCK), "lean", "0.1.0")
    return Papers(manifest(pins), "GPL-2.0-only", facts, {"__init__.py": b"pass\n"})


ENTRIES = {
    "one/aarch64/one.bpf.o": b"\x7fELF", "one/manifest.json": b"{}", "one/with, comma.txt": b"",
    "one-1.2.dist-info/METADATA": b"Name: one\n",
}  # fmt: skip


def checked_by(package, made):
    """Holds a bill of materials and a statement against their published forms; skips where the validators aren't."""
    bills = [data for name, data in made.items() if name.endswith(".cdx.json")]
    statements = [data for name, data in made.items() if name.endswith(".intoto.json")]
    assert bills and statements
    if package == "cyclonedx":
        strict = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
        validator = strict.JsonStrictValidator(pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_6)
        assert [str(wrong) for data in bills if (wrong := validator.validate_str(data.decode()))] == []
        return
    reader = pytest.importorskip("in_toto_attestation.v1.statement", reason="in-toto-attestation is not installed")
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1 import statement_pb2

    for data in statements:  # both refuse a field that the specification doesn't have
        reader.Statement.copy_from_pb(json_format.Parse(data, statement_pb2.Statement())).validate()
        json_format.ParseDict(json.loads(data)["predicate"], Provenance())


@pytest.mark.slow
@pytest.mark.parametrize("package", ["cyclonedx", "in-toto"])
def test_the_papers_pass_the_published_forms(papers, package):
    observed = Observed("cd" * 32, {"x86_64": "https://host/vmlinux.h"}, "ef" * 32)
    checked_by(package, papers.inside(ENTRIES))
    checked_by(package, papers.beside(WHEEL, b"PK", observed))


@pytest.mark.slow
def test_a_package_without_objects_of_this_build_has_papers_too(pins):
    made = Papers(manifest(pins, arm=entry("arm/one.bpf.o", SHA, license="")), "", Facts(Declared()), {})
    for package in ("cyclonedx", "in-toto"):
        checked_by(package, made.inside(ENTRIES))
    (bill,) = [json.loads(data) for name, data in made.inside(ENTRIES).items() if name.endswith(".cdx.json")]
    assert bill["components"][0]["name"] == "arm/one.bpf.o" and "licenses" not in bill["components"][0]


def test_inside_each_file_is_covered_and_the_statement_covers_the_sums(papers):
    made = papers.inside(ENTRIES)
    assert sorted(made) == ["sboms/SHA256SUMS", "sboms/one.cdx.json", "sboms/one.intoto.json"]
    listed = sums.read_sums(made["sboms/SHA256SUMS"], "SHA256SUMS")
    files = {**ENTRIES, "one-1.2.dist-info/sboms/one.cdx.json": made["sboms/one.cdx.json"]}
    assert listed == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    told = provenance.read_statement(made["sboms/one.intoto.json"], "one.intoto.json")
    assert told.subjects == {
        "one/aarch64/one.bpf.o": SHA,
        "one-1.2.dist-info/sboms/SHA256SUMS": hashlib.sha256(made["sboms/SHA256SUMS"]).hexdigest(),
    }
    assert told.external == {"name": "one", "version": "1.2", "ARCH": ["aarch64", "x86_64"], "MINIMIZE": "lean"}


def test_inside_nothing_is_told_that_another_machine_would_tell_otherwise(papers):
    inside, beside = papers.inside(ENTRIES), papers.beside(WHEEL, b"PK", Observed("cd" * 32, {"x86_64": "/mirror"}, "ef" * 32))
    text = b"".join(inside.values()).decode()
    for machine_s in ("cd" * 32, "/mirror", "ef" * 32, str(ROOT)):
        assert machine_s not in text
        assert machine_s == str(ROOT) or machine_s in beside[f"{WHEEL}.intoto.json"].decode()


def test_beside_the_papers_are_of_the_file(papers):
    made = papers.beside(WHEEL, b"PK", Observed())
    assert tuple(name.removeprefix(WHEEL) for name in made) == BESIDE
    digest = hashlib.sha256(b"PK").hexdigest()
    assert provenance.read_statement(made[f"{WHEEL}.intoto.json"], "").subjects == {WHEEL: digest}
    assert json.loads(made[f"{WHEEL}.cdx.json"])["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    listed = sums.read_sums(made[f"{WHEEL}.SHA256SUMS"], "")
    assert listed == {WHEEL: digest, **{name: hashlib.sha256(made[name]).hexdigest() for name in listed if name != WHEEL}}


def test_every_input_has_its_uri_and_digest(pins, papers):
    told = provenance.read_statement(papers.inside(ENTRIES)["sboms/one.intoto.json"], "").dependencies
    assert all(each["digest"] for each in told.values())
    assert told["vmlinux.h of x86_64"]["digest"] == {"sha256": pins.header("x86_64").sha256}
    assert told["vmlinux.h of x86_64"]["uri"].endswith("/include/x86_64/vmlinux_6.19.h")
    assert told["libbpf"]["digest"] == {"dirHash": pins.libbpf.sha256}
    assert told["UAPI headers of Linux"]["digest"] == {"dirHash": pins.uapi.sha256}
    assert told["clang"]["annotations"]["version"] == pins.compiler.version
    assert told["libz for aarch64"]["uri"] == "pkg:deb/debian/zlib1g@1.2.13.dfsg-1?arch=arm64#lib/aarch64-linux-gnu"
    assert told["requirements.lock"]["digest"] == {"sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest()}
    (ziglang,) = [each for each in told if each.startswith("pkg:pypi/ziglang@")]
    assert told[ziglang]["digest"] == told["clang"]["digest"] and told["clang"]["uri"] == ziglang


def test_an_alternate_is_named_by_its_own_source_and_kernel(pins):
    other = pins.header("x86_64").alternates[0]
    (found,) = materials(Declared(headers={"x86_64": pins.header("x86_64")}), None, {}, {"x86_64": other.sha256})
    assert (found.version, found.digest) == (other.kernel, {"sha256": other.sha256})
    assert found.uri.startswith("pkg:deb/debian/libbpftune-dev@0.0~git") and found.uri.endswith("vmlinux_x86_64.h")


def test_each_object_depends_on_the_headers_that_it_was_made_with(pins):
    with_uapi = {**entry("arm/one.bpf.o", SHA), "uapi": {"kernel": "7.2", "sha256": pins.uapi.sha256}}
    entries = {"arm": with_uapi, "x86_64": entry("x86_64/one.bpf.o", "cd" * 32, pins.header("x86_64").sha256)}
    made = Papers(manifest(pins, **entries), "", Facts(declared(pins, "x86_64"), str(LOCK)), {}).inside(ENTRIES)
    depends = {each["ref"]: each["dependsOn"] for each in json.loads(made["sboms/one.cdx.json"])["dependencies"]}
    assert depends["object:arm/one.bpf.o"] == ["libbpf:libbpf", "uapi:UAPI headers of Linux"]
    assert depends["object:x86_64/one.bpf.o"] == ["vmlinux.h:vmlinux.h of x86_64", "libbpf:libbpf"]
    assert depends["package"] == ["object:arm/one.bpf.o", "object:x86_64/one.bpf.o"]


def test_a_package_in_another_version_than_the_lock_s_is_told_and_nothing_vouches_for_it():
    locked = lock.read_lock(LOCK)
    found = materials(Declared(), locked, {"pycparser": "2.0+local"}, {})
    (told,) = [each for each in found if each.name == "pycparser"]
    assert (told.uri, told.digest) == ("pkg:pypi/pycparser@2.0%2Blocal", {})


def test_a_compiler_that_is_no_locked_wheel_s_has_no_digest(pins):
    (found,) = [each for each in materials(declared(pins), lock.read_lock(LOCK), {}, {}, SHA) if each.kind == "compiler"]
    assert (found.uri, found.digest) == ("pkg:pypi/ziglang", {})


def test_the_manifest_s_name_of_the_compiler_is_the_papers_digest(compiler_s_folder):
    binary = hashlib.sha256((compiler_s_folder / "zig").read_bytes()).hexdigest()
    assert release_digest(compiler_s_folder, binary) == lock.read_lock(LOCK).package("ziglang").digest


@pytest.fixture
def compiler_s_folder():
    """The folder of the installed wheel of clang; skips without it."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None:
        pytest.skip("the compiler's wheel (ziglang) is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.mark.parametrize("source, uri", [
    (ArtifactSource("url", "https://u:p@host/a?token=x", ""), "https://…@host/a?…"),
    (ArtifactSource("path", "vendor/my vmlinux.h", ""), "file:vendor/my%20vmlinux.h"),
    (ArtifactSource("pool", "pool/main/x/odd.deb", ""), "file:pool/main/x/odd.deb"),
])  # fmt: skip
def test_a_source_s_uri_holds_no_password(source, uri):
    assert uri_of(source) == uri


def test_the_serial_number_is_that_of_the_content(papers):
    (bill,) = [json.loads(data) for name, data in papers.inside(ENTRIES).items() if name.endswith(".cdx.json")]
    assert bill["serialNumber"] == serial_number(bill)
    assert serial_number({**bill, "version": 2}) != bill["serialNumber"]


names = st.text(st.characters(exclude_characters="\n\\", exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(names, st.binary(max_size=3), max_size=5))
def test_sums_are_read_as_they_are_written(files):
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert sums.read_sums(sums.sums(digests), "") == digests


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(
        ["_type", "subject", "predicateType", "predicate", "buildDefinition", "name", "digest", "sha256", "uri"]), each, max_size=4),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=80), json_values.map(lambda value: json.dumps(value).encode())))
def test_a_reader_of_papers_gives_a_result_or_one_line(data):
    for reader in (provenance.read_statement, sums.read_sums, provenance.from_json):
        try:
            reader(data, "paper")
        except PaperError as error:
            assert "\n" not in str(error) and str(error).startswith("paper") and "; " in str(error)


@pytest.mark.parametrize("change", [
    {"_type": "https://in-toto.io/Statement/v0.1"}, {"subject": []}, {"subject": [{"name": "a", "digest": {"sha256": "xx"}}]},
    {"subject": [{"name": "a", "digest": {"sha256": SHA}}] * 2}, {"predicate": {"buildDefinition": []}}, {"predicateType": 7},
])  # fmt: skip
def test_another_statement_than_this_build_s_is_refused(papers, change):
    facts = json.loads(papers.beside(WHEEL, b"PK", Observed())[f"{WHEEL}.intoto.json"])
    with pytest.raises(PaperError, match="x: is no statement that this build writes; copy the release again"):
        provenance.read_statement(json.dumps({**facts, **change}).encode(), "x")


def test_json_in_which_a_key_stands_twice_is_refused():
    with pytest.raises(PaperError, match="x: is no JSON; copy"):
        provenance.from_json(b'{"a": 1, "a": 2}', "x")


def test_the_tool_knows_the_endings():
    """It repeats them, so that a null build needn't import the room."""
    text = (CORE.parent / "site_tools" / "ebpf" / "papers.py").read_text()
    assert f"ENDINGS = {json.dumps(BESIDE).replace('[', '(').replace(']', ')')}" in text
