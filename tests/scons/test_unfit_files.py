"""What stands in an input's place and is no file: a pipe, a device, gigabytes. One line, at once, and nothing is read."""

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.usefixtures("one_program")
INPUTS = {
    "source": "src/one.bpf.c",
    "header": "include/shared.h",
    "toolchain": "toolchain.toml",
    "pin": "pins/x86_64.h",
    "tree": "pins/libbpf.tar.gz",
    "app": "app/__main__.py",
    "readme": "README.md",
    "depends": "src/table.inc",
}


def put(path, kind):
    """Puts something that is no file in a file's place."""
    path.unlink(missing_ok=True)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(20 << 30)


@pytest.fixture
def whole(project):
    """The test project, with an app, a README and a file that a compile depends on."""
    project.edit(
        "SConstruct", 'version="1.0", ', 'version="1.0", app="app", readme="README.md", depends=["src/table.inc"], '
    )
    for path in ("app/__init__.py", "app/__main__.py", "README.md", "src/table.inc"):
        (project.folder / path).parent.mkdir(exist_ok=True)
        (project.folder / path).write_text("")
    return project


def fails(project, path):
    """What a build says about a file, in one line but for a pin's, which tells each source; it comes soon."""
    try:
        text = project.fails("ARCH=x86_64")
    except subprocess.TimeoutExpired:
        pytest.fail("the build waits")
    return [line for line in text.splitlines() if path in line]


@pytest.mark.parametrize("kind", ["a named pipe", "a device", "gigabytes"])
@pytest.mark.parametrize("role", INPUTS)
def test_it_is_refused_in_one_line(whole, role, kind):
    put(whole.folder / INPUTS[role], kind)
    lines = fails(whole, INPUTS[role])
    assert (f"is {kind}, not a file" if kind != "gigabytes" else "is larger than the ") in lines[-1]
    told = [line for line in lines if "leads out of the project" not in line]  # as the device here is a link to one
    assert len(told) == 1 + (role in ("pin", "tree"))


@pytest.mark.parametrize("kind", ["a named pipe", "a device", "gigabytes"])
def test_in_a_mirror(whole, kind):
    whole.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'url = "https://example.invalid/headers/x86_64.h"')
    path = whole.folder / "mirror/example.invalid/headers/x86_64.h"
    path.parent.mkdir(parents=True)
    put(path, kind)
    text = whole.fails("ARCH=x86_64", "MIRROR=mirror", "--offline")
    assert (f"is {kind}, not a file" if kind != "gigabytes" else "is larger than the ") in text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "gigabytes"])
def test_in_the_cache_it_is_replaced(whole, kind):
    whole.build("ARCH=x86_64")
    entries = list((whole.cache / "sha256").iterdir())
    for entry in entries:
        put(entry, kind)
    subprocess.run(["rm", "-rf", whole.folder / "build"], check=True)
    whole.build("ARCH=x86_64")
    assert all(entry.is_file() and entry.stat().st_size < 1 << 20 for entry in entries)


def test_an_object_or_a_skeleton_that_was_made_elsewhere(whole):
    """SCons hashes what it is handed."""
    for declared in ('env.BpfSkeleton("x86_64/x.bpf.o")', 'env.BpfPackage("p", "1", ["x86_64/x.bpf.o"], [])',
                     'env.MinimizedVmlinux("m", "src/one.bpf.c", depends=["x86_64/x.bpf.o"])'):  # fmt: skip
        whole.declare(declared)
        (whole.folder / "x86_64").mkdir(exist_ok=True)
        put(whole.folder / "x86_64/x.bpf.o", "a named pipe")
        assert "x86_64/x.bpf.o: is a named pipe, not a file" in whole.fails("ARCH=x86_64")


@pytest.mark.parametrize("name", ["-one.bpf.c", "@one.bpf.c", "@folder/one.bpf.c", "-I/one.bpf.c"])
def test_a_source_that_clang_takes_for_an_option_is_refused(project, name):
    """`@one.bpf.c` would read options from one.bpf.c, if there is such a file, and no input would be that."""
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text((project.folder / "src/one.bpf.c").read_text())
    with open(project.folder / "SConstruct", "a") as script:
        script.write(f"\nenv.BpfObject({name!r}, name='odd')\n")
    assert f"{name}: clang takes a path that begins with {name[0]} for an option" in project.fails("ARCH=x86_64")


CIRCLES = {**INPUTS, "folder of sources": "src", "include folder": "include", "folder of an app": "app", "folder of pins": "pins"}


@pytest.mark.parametrize("role", CIRCLES)
def test_a_symlink_that_leads_back_to_itself(whole, role):
    """One line that names it from the project's root, and says what to do."""
    path = whole.folder / CIRCLES[role]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path.name)
    text = whole.fails("ARCH=x86_64")
    assert str(whole.folder) not in text
    line = next(line for line in text.splitlines() if CIRCLES[role] in line and "***" in line)
    if role in ("pin", "tree", "folder of pins"):
        assert f"; put {INPUTS['pin' if role != 'tree' else role]} back\n" in text
        assert "is a symlink that leads back to itself, or on through too many others\n" in text
    elif role == "folder of an app":
        assert "app: there is no folder app; name the one that holds" in line
    else:
        assert "is a symlink that leads back to itself, or on through too many others" in line
        assert role == "toolchain" or "; point the link at what is meant" in line


def test_a_build_folder_that_leads_back_to_itself(whole):
    shutil.rmtree(whole.folder / "build")
    (whole.folder / "build").symlink_to("build")
    assert "*** build/.ebpf-ledger: lies behind build, which is a symlink that leads back" in whole.fails("ARCH=x86_64")


@pytest.mark.parametrize("place", ["x86_64", "dist", "libbpf", "x86_64/include", "x86_64/python"])
@pytest.mark.parametrize("kind", ["circle", "file"])
def test_what_lies_where_the_build_makes_a_folder(project, one_program, place, kind):
    """One line that names it from the project's root, as SCons does not."""
    path = project.folder / "build" / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path.name) if kind == "circle" else path.write_text("")
    text = project.fails("ARCH=x86_64")
    assert str(project.folder) not in text
    line = next(line for line in text.splitlines() if "***" in line)
    if kind == "circle":
        assert f"build/{place}" in line and "is a symlink that leads back to itself" in line and "; point the link at" in line
    else:
        assert f"build/{place}: lies where the build makes a folder; move it away" in line


@pytest.mark.parametrize(("name", "said"), [
    ("a\\b", "has a backslash in its name, which clang writes as a slash; rename it"),
    ("end\\", "has a backslash in its name"),
    ("a\tb", "has a tab or the like in its name, which clang's list doesn't mark; rename it"),
    ("a\u3000b", "has a tab or the like in its name"),
])  # fmt: skip
@pytest.mark.parametrize("role", ["include_dirs", "source", "EBPF_BUILD", "name", "header"])
def test_a_name_that_clang_spells_differently_is_refused(project, name, said, role):
    """Its list of what a compile read would name another file."""
    call = {"include_dirs": f"include_dirs=[{name!r}]", "name": f"name={name!r}"}.get(role, "")
    source = f"src/{name}.bpf.c" if role == "source" else "src/one.bpf.c"
    (project.folder / "src/one.bpf.c").rename(project.folder / source)
    for folder in (name, f"include/{name}"):
        (project.folder / folder).mkdir()
        (project.folder / folder / "x.h").write_text("int x;\n")
    if role in ("include_dirs", "header"):
        header = f'"{name}/x.h"' if role == "header" else "<x.h>"
        project.edit("src/one.bpf.c", '"shared.h"', f'"shared.h"\n#include {header}')
    build = f"EBPF_BUILD={name!r}, " if role == "EBPF_BUILD" else ""
    project.declare(f"env.BpfObject({source!r}, {call})\n")
    project.edit("SConstruct", "EBPF_CPPPATH", f"{build}EBPF_CPPPATH")
    text = project.fails("ARCH=x86_64")
    if role == "name" and "tab" in said:
        said = "is no name for an object"  # as one that steers a terminal
    elif role == "source" and "tab" in said:
        said = "rename it" if "rename it" in text else "is no name for a file of a build"
    assert said in text and (role == "header" or text.count("\n") == 1)
