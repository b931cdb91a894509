"""Packages by real scons: what passes the indexes' checks, what a user's program gets, what isn't packed."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile

import pytest

BOTH = "ARCH=x86_64,aarch64"
PROGRAM = 'Default(env.BpfProgram("one", "src/one.bpf.c", version="1.2", license="GPL-2.0-only", readme="README.md"))\n'


@pytest.fixture
def packed(declare):
    """The test project with the package of `one` for two arches."""
    project = declare(PROGRAM)
    (project.folder / "README.md").write_text("# One\n\nCounts *system calls*.\n")
    project.build(BOTH)
    return project


def checked(tool: str, *arguments) -> str:
    """What a tool says of a wheel; skips where it isn't installed."""
    done = subprocess.run([sys.executable, "-m", tool, *arguments], capture_output=True, text=True)
    if f"No module named {tool}" in done.stderr:
        pytest.skip(f"{tool} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("text, told", [
    ("from one import One\n", True), ("try:\n    import one\nexcept ImportError: pass\n", True), ("import one_tool, onecell\n", False),
    ("# how to import one\n", False),
])  # fmt: skip
def test_a_tool_called_as_its_package_is_told(one_program, project, text, told):
    """It would import itself."""
    (project.folder / "one.py").write_text(text)
    done = project.scons("ARCH=x86_64", "-n")
    said = "ebpf: one.py imports one and finds itself, which Python calls a circular import; rename it, one_tool.py for example\n"
    assert done.returncode == 0 and done.stderr == (said if told else "")


def test_indexes_take_the_wheel_and_the_program_s_class_is_the_package_s(packed, tmp_path):
    (wheel,) = (packed.folder / "build/dist").glob("*.whl")
    assert wheel.name == "one-1.2-py3-none-any.whl"
    assert "WARNING" not in checked("twine", "check", "--strict", wheel).upper()
    assert checked("check_wheel_contents", wheel).strip().endswith("OK")
    metadata = zipfile.ZipFile(wheel).read("one-1.2.dist-info/METADATA").decode()
    assert "\nLicense-Expression: GPL-2.0-only\n" in metadata and metadata.endswith(
        "\n\n# One\n\nCounts *system calls*.\n"
    )
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from one import One, OneMaps, bpfloader as it; print(One.FILE, *One.OBJECTS, issubclass(One, it.Object))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("one.bpf.o aarch64 x86_64 True\n", "")


def test_the_manifest_names_what_the_build_used(packed):
    archive = tarfile.open(packed.folder / "build/dist/one-1.2-any.tar")
    facts = json.load(archive.extractfile("one-1.2/manifest.json"))
    header = json.loads((packed.folder / "build/aarch64/include/vmlinux.h.json").read_text())
    told = facts["programs"]["one.bpf.o"]["aarch64"]
    assert told["header"] == {"alternate": False, "kernel": "6.19", "sha256": header["sha256"]}
    assert told["compiler"]["version"] == packed.version and len(told["compiler"]["fingerprint"]) == 64
    listed = (packed.folder / "build/libbpf/headers.sha256").read_bytes()
    assert len(told["libbpf"]["sha256"]) == 64 and told["libbpf"]["version"] and b"bpf_helpers.h" in listed
    assert not {"proof", "btfs", "uapi", "linker"} & told.keys()
    data = archive.extractfile(f"one-1.2/{told['object']['path']}").read()
    assert data == (packed.folder / "build/aarch64/one.bpf.o").read_bytes()
    assert archive.extractfile("one-1.2/aarch64/one.bpf.o").read() == data


def test_a_readme_and_a_licence_make_it_anew_and_nothing_else(packed):
    wheel = {"dist/one-1.2-py3-none-any.whl"}
    (packed.folder / "README.md").write_text("# Two\n")
    assert packed.build(BOTH) == wheel
    packed.edit("SConstruct", "GPL-2.0-only", "MIT")
    assert packed.build(BOTH) == wheel | {"dist/one-1.2-any.tar"}  # the bill of materials beside it names the licence
    packed.edit("SConstruct", "MIT", "My own")
    assert "license: 'My own' is no SPDX licence expression; name it as SPDX does" in packed.fails(BOTH)


def test_a_release_for_one_arch_packs_its_proof_s_verdict_for_its_machines(declare):
    packed = declare(PROGRAM.replace(', readme="README.md"', ""))
    packed.build("ARCH=x86_64", "RELEASE=1")
    archive = zipfile.ZipFile(packed.folder / "build/dist/one-1.2-py3-none-linux_x86_64.whl")
    facts = json.load(io.BytesIO(archive.read("one/manifest.json")))
    assert facts["programs"]["one.bpf.o"]["x86_64"]["proof"] == {"differences": [], "equal": True, "mode": "exact", "types": []}


TWO = """
objects = [env.BpfObject(f"src/{name}.bpf.c") for name in ("one", "two")]
Default(env.BpfPackage("both", "1", objects, [env.BpfSkeleton(each) for each in objects]))
"""


def test_two_programs_in_one_package(declare, tmp_path):
    project = declare(TWO)
    project.build(BOTH, "PROVE=1")
    wheel = zipfile.ZipFile(project.folder / "build/dist/both-1-py3-none-any.whl")
    facts = json.loads(wheel.read("both/manifest.json"))["programs"]
    for name, by_arch in facts.items():
        for arch, told in by_arch.items():
            assert wheel.read(f"both/{told['object']['path']}") == (project.folder / f"build/{arch}/{name}").read_bytes()
            assert told["proof"]["equal"]
    assert {name: sorted(by_arch) for name, by_arch in facts.items()} == {f"{name}.bpf.o": ["aarch64", "x86_64"] for name in ("one", "two")}
    wheel.extractall(tmp_path)
    code = "from both import One, Two; print(One.FILE, Two.FILE, One._default_path().rpartition('/')[2], Two._default_path().rpartition('/')[2])"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("one.bpf.o two.bpf.o one.bpf.o two.bpf.o\n", "")


def test_an_object_without_a_package_may_be_called_as_a_module_of_python(declare):
    project = declare('Default(env.BpfSkeleton(env.BpfObject("src/one.bpf.c", "profile")))\n')
    assert {"x86_64/profile.bpf.o", "x86_64/profile_skel.py"} <= project.build("ARCH=x86_64")


FOREIGN = """
foreign = env.Command("aarch64/one.bpf.o", "src/one.bpf.c", Copy("$TARGET", "$SOURCE"))
objects = [env.BpfObject("src/one.bpf.c", arch="x86_64"), foreign]
Default(env.BpfPackage("one", "1", objects, env.BpfSkeleton(objects)))
"""
MISSING = """
objects = env.BpfObject("src/one.bpf.c", arch=["x86_64", "aarch64"])
Default(env.BpfPackage("one", "1", objects, env.BpfSkeleton(objects[0])))
"""
MIXED = """
one, two = (env.BpfObject(f"src/{name}.bpf.c", arch="x86_64") for name in ("one", "two"))
Default(env.BpfPackage("one", "1", one, env.BpfSkeleton(two)))
"""
SEVERAL = """
objects = env.BpfObject("src/one.bpf.c", arch=["x86_64", "aarch64"])
Default(env.BpfPackage("one", "1", objects, [env.BpfSkeleton(each) for each in objects]))
"""


@pytest.mark.parametrize(
    "body, arguments, said",
    [
        (
            FOREIGN,
            ["RELEASE=1"],
            "BpfPackage: RELEASE=1 packs no object that isn't proven, and aarch64/one.bpf.o can't be; make it",
        ),
        (
            MISSING,
            [],
            "one_skel.py: is for x86_64, the objects are for aarch64, x86_64; hand BpfSkeleton and BpfPackage the same",
        ),
        (
            MIXED,
            [],
            "BpfPackage: got no skeleton one_skel for one.bpf.o; hand BpfPackage what BpfSkeleton gave for the objects of all",
        ),
        (
            SEVERAL,
            [],
            "BpfPackage: got two skeletons one_skel.py; hand BpfPackage what BpfSkeleton gave for the objects of all arches",
        ),
        (PROGRAM, [], "README.md"),
    ],
)
def test_what_does_not_belong_together_is_not_packed(declare, body, arguments, said):
    project = declare(body)
    assert said in project.fails("ARCH=x86_64", *arguments)
    assert not list((project.folder / "build/dist").glob("one*.whl"))


@pytest.mark.slow
@pytest.mark.parametrize("duplicate", [None, 0, 1], ids=["no variant", "in place", "copies"])
def test_python_that_a_builder_makes_is_packed(declare, duplicate):
    """Of a variant its own; and an edit of what it is made of packs it anew, though no file stands among the sources."""
    text = 'Import("env", "name")\nenv.Command("app/sub/made.py", "made.in", f"(cat $SOURCE; echo NAME={name!r}) > $TARGET")\n'
    text += 'env.BpfProgram("one", "one.bpf.c", version="1", app="app")\n'
    variants = ["debug", "release"] if duplicate is not None else ["plain"]
    call = f', variant_dir=f"build/{{name}}", duplicate={duplicate}' if duplicate is not None else ""
    body = f'for name in {variants}: SConscript("src/SConscript", exports=["env", "name"]{call})\n'
    project = declare(body, SConscript=text, **{"made.in": "WORD = 1\n"})
    (project.folder / "src/app").mkdir()
    (project.folder / "src/app/__main__.py").write_text("import one.sub.made\n")
    names = {name: f"{name}/dist/one-1-py3-none-linux_x86_64.whl".removeprefix("plain/") for name in variants}

    def made(name, word):
        with zipfile.ZipFile(project.folder / "build" / names[name]) as wheel:
            assert wheel.read("one/sub/made.py").decode() == f"WORD = {word}\nNAME={name}\n"
            assert "one/__main__.py" in wheel.namelist()

    for word in (1, 2):
        built = project.build("ARCH=x86_64")
        assert built >= set(names.values())
        for name in variants:
            made(name, word)
        assert project.build("ARCH=x86_64") == set()
        (project.folder / "src/made.in").write_text("WORD = 2\n")


def test_python_that_is_declared_behind_its_package_is_told(declare):
    project = declare('env.BpfProgram("one", "src/one.bpf.c", app="app")\nenv.Command("app/late.py", [], "echo > $TARGET")\n')
    (project.folder / "app").mkdir()
    text = project.fails("ARCH=x86_64")
    assert "late.py of the app is made by a builder that is declared behind the package; declare it before the package" in text
