"""What a wheel and a tar hold: objects of all arches, one skeleton, the manifest; and parts that don't belong together."""

import ast
import hashlib
import io
import json
import re
import subprocess
import tarfile
from dataclasses import replace

import pytest
from bpfloader.errors import ObjectError
from bpfloader.package.manifest import parse
from ebpfbuild.errors import PackageError
from ebpfbuild.package.manifest import Provenance
from ebpfbuild.package.content import PackageContent, PackedProgram, default_description, description, package
from ebpfbuild.package.skeleton import PackedSkeleton
from ebpfbuild.package.programs import programs_of
from ebpfbuild.skeleton.skeleton import skeleton
from ebpfbuild.package.tar import build_tar
from hypothesis import given, settings
from hypothesis import strategies as st

MADE = Provenance(
    {"alternate": False, "kernel": "6.19", "sha256": "ab" * 32}, {"fingerprint": "cd" * 32, "version": "22.1.8"}
)
ARCH_TYPE = """
#include "mini_bpf.h"
struct seen { int pid; };
#ifdef WIDE
struct wide { long address; };
struct wide wide;
#endif
struct seen seen;
int small = SMALL;
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="session")
def made(sample):
    """A function of arches -> the parts of a package of the sample, whose little-endian objects are the same bytes."""

    def parts(*arches, name="foo", **changes) -> PackageContent:
        objects = {arch: sample("bpfeb" if arch == "s390x" else "bpfel") for arch in arches}
        text = skeleton(objects, name, f"{name}.bpf.o")
        packed = PackedSkeleton(f"{name}_skel.py", text.module, text.stub)
        program = PackedProgram(f"{name}.bpf.o", objects, packed, {arch: MADE for arch in arches})
        own = {key: changes.pop(key) for key in changes.keys() & vars(program).keys()}
        return replace(PackageContent([replace(program, **own)], {}, {"__init__.py": b"loader"}, {}), **changes)

    return parts


def test_the_layout(made):
    headers = {"aarch64/foo.skel.h": b"header"}
    parts = made("s390x", "aarch64", "x86_64", app={"__main__.py": b"main"}, c_skeletons=headers)
    packed = package("foo", "1.0", parts)
    assert sorted(packed.wheel) == [
        "__init__.py", "__main__.py", "aarch64/foo.bpf.o", "bpfloader/__init__.py", "foo_skel.py", "foo_skel.pyi",
        "manifest.json", "py.typed", "s390x/foo.bpf.o",
    ]  # fmt: skip
    assert sorted(packed.tar) == ["aarch64/foo.bpf.o", "aarch64/foo.skel.h", "manifest.json", "s390x/foo.bpf.o"]
    assert packed.links == {"x86_64/foo.bpf.o": "aarch64/foo.bpf.o"}
    assert packed.wheel["manifest.json"] == packed.tar["manifest.json"]


def test_the_manifest_says_what_is_there_and_of_what_it_was_made(made):
    verdict = {"differences": [], "equal": True, "mode": "exact"}
    parts = made("s390x", "x86_64", provenance={"s390x": replace(MADE, proof=verdict)})
    packed = package("foo", "1.0", parts)
    facts = json.loads(packed.wheel["manifest.json"])
    assert (facts["format"], facts["name"], facts["version"], list(facts["programs"])) == (1, "foo", "1.0", ["foo.bpf.o"])
    arches = facts["programs"]["foo.bpf.o"]
    assert list(arches) == ["s390x", "x86_64"]
    for arch, data in parts.programs[0].objects.items():
        told = {"path": f"{arch}/foo.bpf.o", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        assert arches[arch]["object"] == told | {"license": "GPL"}
    assert arches["s390x"] == arches["s390x"] | {
        "header": MADE.header, "compiler": MADE.compiler, "proof": verdict}  # fmt: skip
    assert list(arches["x86_64"]) == ["object"], "what isn't known isn't there"
    assert json.dumps(facts, indent=1, sort_keys=True) + "\n" == packed.wheel["manifest.json"].decode()


def test_the_loader_reads_what_the_build_writes(made):
    parts = made("s390x", "x86_64")
    manifest = parse(package("foo", "1.0", parts).wheel["manifest.json"], "it")
    packed = manifest.of("foo.bpf.o", "x86_64")
    assert (manifest.name, manifest.version, packed.path) == ("foo", "1.0", "x86_64/foo.bpf.o")
    assert (packed.license, packed.size) == ("GPL", len(parts.programs[0].objects["x86_64"]))
    assert packed.facts["compiler"]["version"] == "22.1.8"
    with pytest.raises(
        ObjectError, match=r"the package foo has no foo.bpf.o for this machine \(arm\); it holds s390x, x86_64: build"
    ):
        manifest.of("foo.bpf.o", "arm")


@pytest.mark.parametrize(
    "change",
    [
        ('"x86_64/foo.bpf.o"', '"../foo.bpf.o"'), ('"x86_64/foo.bpf.o"', '"/foo.bpf.o"'), ('"x86_64/foo.bpf.o"', '"a/../../b"'),
        ('"x86_64/foo.bpf.o"', "7"), ('"sha256": "', '"sha256": "x'), ('"size"', '"sise"'), ('"programs": {', '"programs": [{'),
        ('"format": 1', '"format": [1]'), ('"programs"', '"program"'), ('"size": ', '"size": true, "sized": '),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(made, change):
    text = package("foo", "1.0", made("x86_64")).wheel["manifest.json"].decode()
    with pytest.raises(ObjectError, match="no manifest of a package|is of format"):
        parse(text.replace(*change).encode(), "it")


def test_a_later_format_is_told(made):
    data = package("foo", "1.0", made("x86_64")).wheel["manifest.json"].replace(b'"format": 1', b'"format": 2')
    with pytest.raises(
        ObjectError, match="it is of format 2, this loader reads 1; take a loader as new as the package"
    ):
        parse(data, "it")


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(
                        ["format", "name", "version", "programs", "object", "path", "sha256", "size", "license"]
                    ),
                    inner,
                )
            ),
            max_leaves=12,
        ).map(
            lambda value: json.dumps(
                {"format": 1, "programs": {"a": {"arm": {"object": value}}}, "name": 1, "version": value}
            ).encode()
        ),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_manifest_or_an_error(data):
    try:
        assert {arch for arch, _ in parse(data, "it").packed()} <= {"arm"}
    except ObjectError as error:
        assert str(error).count("\n") == 0


def test_the_skeleton_knows_its_loader_and_its_manifest(made):
    packed = package("foo", "1.0", made("s390x", "x86_64"))
    digest = hashlib.sha256(packed.wheel["manifest.json"]).hexdigest()
    module, stub = packed.wheel["foo_skel.py"].decode(), packed.wheel["foo_skel.pyi"].decode()
    assert f'\n    FILE = "foo.bpf.o"\n    MANIFEST = "{digest}"\n' in module
    assert module.count("\nfrom . import bpfloader\n") == stub.count("\nfrom . import bpfloader\n") == 1
    assert "\nimport bpfloader\n" not in module + stub


def test_an_app_brings_its_own_init(made):
    assert package("foo", "1", made("x86_64", app={"__init__.py": b"mine"})).wheel["__init__.py"] == b"mine"


@pytest.mark.parametrize("path", ["manifest.json", "foo_skel.py", "bpfloader/extra.py", "x86_64/more.py"])
def test_an_app_in_the_place_of_the_package_s_own_is_refused(made, path):
    parts = made("x86_64", app={path: b""})
    with pytest.raises(PackageError, match="app: .* is in the place of what the package itself holds; rename it"):
        package("foo", "1", parts)


def names_of(init: bytes) -> list[str]:
    (exported,) = [node for node in ast.parse(init).body if isinstance(node, ast.Assign)]
    return ast.literal_eval(exported.value)


def test_the_default_init_gives_what_every_arch_has(compile_bpf):
    objects = {
        "x86_64": compile_bpf(ARCH_TYPE, flags=("-DWIDE", "-DSMALL=1")),
        "aarch64": compile_bpf(ARCH_TYPE, flags=("-DSMALL=2",)),
    }
    text = skeleton(objects, "foo", "foo.bpf.o")
    program = PackedProgram("foo.bpf.o", objects, PackedSkeleton("foo_skel.py", text.module, text.stub), {})
    parts = PackageContent([program], {}, {}, {})
    packed = package("foo", "1", parts, 'Says "hi"\\')
    names = names_of(packed.wheel["__init__.py"])
    assert {"Foo", "FooMaps", "Seen", "bpfloader"} <= set(names) and "Wide" not in names and "c" not in names
    assert ast.get_docstring(ast.parse(packed.wheel["__init__.py"])).startswith(
        'Says "hi"\\: a BPF program for aarch64, x86_64.'
    )


def test_a_skeleton_of_other_objects_is_refused(made):
    skeleton_of, objects = (made("s390x", "x86_64").programs[0].__dict__[key] for key in ("skeleton", "objects"))
    for changed, message in (
        (made("s390x", "x86_64", skeleton=made("x86_64").programs[0].skeleton), "is for x86_64, the objects are for s390x, x86_64; hand BpfSkeleton"),
        (made("x86_64", skeleton=skeleton_of), "is for s390x, x86_64, the objects are for x86_64"),
        (made("s390x", "x86_64", file="bar.bpf.o"), "is the skeleton of foo.bpf.o, the objects are bar.bpf.o; hand BpfPackage"),
        (made("s390x", "x86_64", objects=objects | {"s390x": objects["x86_64"]}), "was made for another foo.bpf.o of s390x"),
    ):  # fmt: skip
        with pytest.raises(PackageError, match=re.escape(f"foo_skel.py: {message}")):
            package("foo", "1", changed)


def test_several_programs_in_one_package(made, tmp_path):
    """Each has its objects and its skeleton; their own classes are the package's, their types stay their modules'."""
    programs = [made("x86_64", "s390x", name=name).programs[0] for name in ("life", "open")]
    packed = package("net", "1", replace(made("x86_64"), programs=programs))
    facts = parse(packed.wheel["manifest.json"], "it")
    assert list(facts.programs) == ["life.bpf.o", "open.bpf.o"]
    assert {"life_skel.py", "life_skel.pyi", "open_skel.py", "open_skel.pyi"} <= packed.wheel.keys()
    names = names_of(packed.wheel["__init__.py"])
    assert names == ["Life", "LifeLinks", "LifeMaps", "LifeProgs", "Open", "OpenLinks", "OpenMaps", "OpenProgs", "bpfloader"]
    assert b"from net import Life, Open\n" in packed.wheel["__init__.py"]
    same = [replace(each, skeleton=programs[0].skeleton, file="life.bpf.o", objects=programs[0].objects) for each in programs]
    with pytest.raises(PackageError, match="net: two of its programs have a class Life; give one of them another name"):
        package("net", "1", replace(made("x86_64"), programs=[same[0], replace(same[1], skeleton=replace(same[1].skeleton, name="x_skel.py"))]))


@pytest.mark.parametrize("text", ["", "import bpfloader\n", "(", "import bpfloader\nclass A:\n    B: int = C\n"])
def test_what_is_no_skeleton(made, text):
    broken = PackedSkeleton("foo_skel.py", text, "import bpfloader\n")
    with pytest.raises(PackageError, match="foo_skel.py: is no skeleton made by this build"):
        package("foo", "1", made("x86_64", skeleton=broken))


ONE = ["foo_skel.py", "foo_skel.pyi"]


@pytest.mark.parametrize(
    "objects, skeletons, message",
    [
        ([], [], "got no object; hand it what BpfObject gave"),
        (["arm/foo.bpf.o", "x/arm/foo.bpf.o"], ONE, "got two objects foo.bpf.o for arm; hand it one for each arch"),
        (["arm/foo.bpf.o", "arm/bar.bpf.o"], ONE, "got no skeleton bar_skel for bar.bpf.o; hand BpfPackage what BpfSkeleton gave"),
        (["arm/foo.bpf.o"], [*ONE, "bar_skel.py"], "got bar_skel.py, and no object that it was made for; hand it the objects"),
        (["arm/foo.bpf.o"], ["arm/foo_skel.py", "x86_64/foo_skel.py"], "got two skeletons foo_skel.py; hand BpfPackage what"),
        (["arm/foo.bpf.o"], ONE[:1], "got no skeleton foo_skel for foo.bpf.o; hand BpfPackage what"),
    ],
)
def test_objects_and_skeletons_that_do_not_belong_together_are_refused(objects, skeletons, message):
    with pytest.raises(PackageError, match=f"BpfPackage: {message}"):
        programs_of(objects, skeletons)


def test_each_program_is_found_with_its_skeleton():
    paths = [f"{arch}/{name}.bpf.o" for name in ("tcp-life", "open") for arch in ("arm", "x86_64")]
    found = programs_of(paths, ["tcp_life_skel.py", "tcp_life_skel.pyi", "arm/open_skel.py", "arm/open_skel.pyi"])
    assert [(each.file, list(each.objects), each.skeleton[0]) for each in found] == [
        ("open.bpf.o", ["arm", "x86_64"], "arm/open_skel.py"), ("tcp-life.bpf.o", ["arm", "x86_64"], "tcp_life_skel.py"),
    ]  # fmt: skip


def test_a_readme_is_shown_as_what_it_is(tmp_path):
    for name, markup in (("README.md", "text/markdown"), ("README.rst", "text/x-rst"), ("README.txt", "text/plain")):
        (tmp_path / name).write_text("naïve", encoding="utf-8")
        assert description(tmp_path / name) == ("naïve", markup)
    (tmp_path / "README.md").write_bytes(b"\xff")
    with pytest.raises(PackageError, match="readme: README.md is not UTF-8"):
        description(tmp_path / "README.md")
    with pytest.raises(PackageError, match="readme: README is neither Markdown"):
        description(tmp_path / "README")
    assert r"\<b\>\*x\*" in default_description("foo", ["Foo"], "<b>*x*", ["x86_64"])


def test_a_tar_is_the_same_bytes_and_every_file_is_root_s(tmp_path):
    files = {"b/c.o": b"object", "a.json": b"{}"}
    data = build_tar("foo-1", files, {"a/z.o": "b/c.o"})
    assert data == build_tar("foo-1", dict(reversed(files.items())), {"a/z.o": "b/c.o"})
    archive = tarfile.open(fileobj=io.BytesIO(data))
    assert archive.getnames() == ["foo-1/a.json", "foo-1/b/c.o", "foo-1/a/z.o"]
    assert {(it.mode, it.mtime, it.uid, it.gid, it.uname, it.gname) for it in archive} == {
        (0o644, 315532800, 0, 0, "", "")
    }
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path], input=data, check=True)
    assert (tmp_path / "foo-1/a/z.o").read_bytes() == b"object"
    with pytest.raises(PackageError, match="is too long for a tar"):
        build_tar("foo-1", {"x" * 300: b""}, {})
