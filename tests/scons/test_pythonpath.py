"""build/…/python: a package's content for PYTHONPATH, as new as the last build, without installing anything."""

import hashlib
import os
import subprocess
import sys

import pytest

X86 = "ARCH=x86_64"


@pytest.fixture
def built(project):
    """The test project, whose program `one` has an app, built for one arch."""
    text = (project.folder / "SConstruct").read_text()
    head = text[: text.index("for name")].replace('"CFLAGS"', "")
    (project.folder / "app").mkdir()
    (project.folder / "app/tool.py").write_text("SAYS = 1\n")
    program = 'env.BpfProgram("one", "src/one.bpf.c", version=ARGUMENTS.get("V", "1"), app="app")\nDefault("programs")\n'
    (project.folder / "SConstruct").write_text(head.replace("env.EbpfCheckArguments()\n", "") + program)
    project.build(X86)
    return project


def python(project, code, folder="build/x86_64/python"):
    """What a tool that uses the package prints."""
    environment = {"PYTHONPATH": str(project.folder / folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", f"import os; {code}"], cwd=project.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_what_the_wheel_holds_and_follows_each_build(built, tmp_path):
    import zipfile

    (wheel,) = (built.folder / "build/dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    folder = built.folder / "build/x86_64/python/one"
    for path in (path for path in (tmp_path / "one").rglob("*") if path.is_file()):
        assert (folder / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes(), path
    assert not any(os.path.isabs(os.readlink(path)) for path in folder.rglob("*") if path.is_symlink())
    code = "from one import One, bpfloader, tool; print(*One.OBJECTS, One.MANIFEST, tool.SAYS)"
    before = python(built, code)
    assert before.startswith("x86_64 ") and before.endswith(" 1")
    built.edit("src/one.bpf.c", "int one(", "int one_more(")
    built.build(X86)
    assert python(built, code) != before and "one_more: " in (folder / "one_skel.pyi").read_text()
    (built.folder / "app/tool.py").write_text("SAYS = 2\n")
    assert python(built, code).endswith(" 2"), "the app's files are the project's own"
    assert built.build(X86) and built.build(X86) == set()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["manifest.json", "one_skel.py", "__init__.py", "x86_64/one.bpf.o", "bpfloader", "tool.py"])
def test_what_is_changed_or_lost_in_it_comes_back_and_is_never_packed(built, place):
    path, before = built.folder / "build/x86_64/python/one" / place, built.digests(".whl")
    original = path.read_bytes() if path.is_file() else b""
    path.unlink()
    built.build(X86)
    assert path.exists() and built.digests(".whl") == before
    if not path.is_symlink():
        path.write_bytes(b"altered")
        built.build(X86)
        assert path.read_bytes() == original and built.digests(".whl") == before


def test_a_build_of_the_object_alone_leaves_it_whole(built):
    before = python(built, "from one import One; print(One.OBJECTS)")
    built.edit("src/one.bpf.c", "int one(", "int one_more(")
    built.build(X86, "build/x86_64/one.bpf.o")
    packed = built.folder / "build/x86_64/python/one/x86_64/one.bpf.o"
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in before


def test_what_a_build_no_longer_holds_goes(built):
    folder = built.folder / "build/x86_64/python/one"
    (built.folder / "app/tool.py").rename(built.folder / "app/other.py")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/kept.pyc").touch()
    built.build(X86)
    assert (folder / "other.py").exists() and not (folder / "tool.py").is_symlink() and (folder / "__pycache__/kept.pyc").exists()


def test_another_version_and_back_each_has_its_own(built):
    version = "import json, one; print(json.load(open(os.path.dirname(one.__file__) + '/manifest.json'))['version'])"
    built.build(X86, "V=2")
    assert python(built, version) == "2"
    built.build(X86)
    assert python(built, version) == "1"
    built.build("ARCH=x86_64,aarch64")
    assert python(built, "from one import One; print(*One.OBJECTS)", "build/python") == "aarch64 x86_64"
    assert built.build(X86) == set()


def test_clean_removes_it_and_not_what_it_links_to(built):
    built.scons(X86, "-c")
    assert not (built.folder / "build/x86_64/python/one").exists()
    assert (built.folder / "app/tool.py").exists() and (built.tool / "loader/bpfloader/object/bpf_object.py").exists()


def test_two_packages_of_one_name(built):
    built.edit("SConstruct", 'Default("programs")', 'env.BpfPackage("one", "7", "build/x86_64/one.bpf.o", ["build/x86_64/one_skel.py", "build/x86_64/one_skel.pyi"])')
    assert "BpfPackage: one is packed twice for the same arches; give one of the packages another name" in built.fails(X86)
