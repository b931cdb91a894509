"""What rebuilds what: real scons, and a look at which outputs were written."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
X86, ARM = "x86_64", "aarch64"
BOTH = "ARCH=x86_64,aarch64"
NAMES = "one", "two", "three"


def outputs(*names, arches=(X86, ARM), kinds=(".bpf.o",)):
    return {f"{arch}/{name}{kind}" for arch in arches for name in names for kind in kinds}


def objects(*names, arches=(X86, ARM)):
    return outputs(*names, arches=arches)


def skeletons(*names):
    return {f"{name}_skel{ending}" for name in names for ending in (".py", ".pyi")}


def packages(*names):
    return wheels(*names) | {f"dist/{name}-1.0-any.tar" for name in names}


def wheels(*names):
    """The wheels of some programs."""
    return {f"dist/{name}-1.0-py3-none-any.whl" for name in names}


def only_objects(paths):
    return {path for path in paths if path.endswith(".o")}


def test_first_build_makes_everything(project):
    made = project.build(BOTH)
    assert objects(*NAMES) | skeletons(*NAMES) | packages(*NAMES) <= made
    assert not any(path.startswith("s390x") for path in made), "an arch that nobody asked for"


def test_a_null_build_makes_nothing(built):
    assert built.build(BOTH) == set()


def test_a_null_build_finds_out_nothing_anew(built):
    """Each fact and digest is remembered: what one build writes down, the next one needn't."""
    ledger = built.folder / "build" / ".ebpf-ledger"
    built.build(BOTH)
    before = ledger.read_bytes()
    assert built.build(BOTH) == set()
    assert ledger.read_bytes() == before


def test_a_source_rebuilds_its_object_skeleton_and_package(built):
    built.edit("src/one.bpf.c", "int one(", "int one_more(")
    made = built.build(BOTH)
    assert made == objects("one") | skeletons("one") | packages("one") | outputs("minimized/one", kinds=("/vmlinux.h",))


def test_a_shared_header_rebuilds_those_that_include_it(built):
    built.edit("include/shared.h", "7", "8")
    assert only_objects(built.build(BOTH)) == objects("one", "two")


def test_a_touched_file_rebuilds_nothing(built):
    for path in ("src/one.bpf.c", "include/shared.h", "toolchain.toml", "build/x86_64/include/vmlinux.h", "pins/x86_64.h"):
        os.utime(built.folder / path)
    before = built.digests()
    assert only_objects(built.build(BOTH)) == set()
    after = built.digests()
    assert after == before


def test_a_comment_rebuilds_nothing_and_a_url_only_the_papers_that_name_it(built):
    shutil.copy(built.folder / "pins/x86_64.h", built.folder / "pins/moved.h")
    built.edit("toolchain.toml", "[compiler]", "# a comment\n[compiler]")
    assert built.build(BOTH) == set()
    built.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'path = "pins/moved.h"')
    made = built.build(BOTH)
    assert made and all(path.startswith("dist/") for path in made)


def test_a_pin_rebuilds_its_arch_only(built):
    built.edit("pins/x86_64.h", "int tgid;", "int tgid;\n\tint more;")
    built.pin()
    made = built.build(BOTH)
    assert only_objects(made) == objects("one", "two", "three", arches=(X86,))
    assert "x86_64/include/vmlinux.h" in made
    assert not any(path.startswith(ARM) for path in made)


def test_a_change_within_the_second_of_the_last_build_counts(built):
    """SCons's content-timestamp decider sees whole seconds: a header made anew with another digest went by unseen."""
    header = built.folder / "build/x86_64/include/vmlinux.h"
    second = header.stat().st_mtime_ns // 10**9 * 10**9
    source = built.folder / "src/one.bpf.c"
    os.utime(source, ns=(second, second))
    built.build(BOTH)
    built.edit("src/one.bpf.c", "LIMIT;", "LIMIT + 1;")
    os.utime(source, ns=(second, second + 5))
    assert only_objects(built.build(BOTH)) == objects("one")


def test_a_flag_rebuilds_the_objects(built):
    assert only_objects(built.build(BOTH, "CFLAGS=-DMORE")) == objects("one", "two", "three")


def test_a_flag_in_the_toolchain_rebuilds_the_objects(built):
    built.edit("toolchain.toml", "[libbpf]", '[clang]\ncpu = "v2"\n\n[libbpf]')
    assert only_objects(built.build(BOTH)) == objects("one", "two", "three")


def test_another_compiler_rebuilds_the_objects(built, compiler):
    """A compiler of the same version at another path is other code until its bytes say otherwise."""
    wrapper = built.folder / "clang"
    wrapper.write_text(f'#!/bin/sh\nexec "{compiler.argv[0]}" clang "$@"\n')
    wrapper.chmod(0o755)
    built.edit("toolchain.toml", 'package = "ziglang"', 'path = "clang"')
    assert only_objects(built.build(BOTH)) == objects("one", "two", "three")
    wrapper.write_text(wrapper.read_text() + "# upgraded\n")
    assert only_objects(built.build(BOTH)) == objects("one", "two", "three")


@pytest.mark.parametrize(
    "path", ["x86_64/one.bpf.o", "one_skel.py", "dist/one-1.0-any.tar", "x86_64/include/vmlinux.h", "libbpf/include/bpf/bpf_helpers.h", "libbpf/headers.sha256"]
)
def test_an_edited_or_deleted_output_is_repaired(built, path):
    before = built.digests()
    output = built.folder / "build" / path
    output.write_bytes(output.read_bytes() + b"\n#define edited\n")
    built.build(BOTH)
    output.unlink()
    built.build(BOTH)
    after = built.digests()
    assert after == before


def test_an_edited_wheel_is_repaired(built):
    path = built.folder / "build" / min(packages("one"))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"?")
    assert built.build(BOTH) == {min(packages("one"))}
    assert path.read_bytes() == good


def test_an_edited_fetched_header_is_never_compiled_in(built):
    header = built.folder / "build/x86_64/include/vmlinux.h"
    stat = header.stat()
    header.write_text(header.read_text().replace("int pid;", "int dip;"))
    os.utime(header, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time: only its bytes tell
    built.edit("src/one.bpf.c", "LIMIT;", "LIMIT + 0;")
    built.build(BOTH)
    assert "int pid;" in header.read_text()


@pytest.mark.slow
def test_the_core_rebuilds_what_it_makes(make_project, tmp_path):
    tool = tmp_path / "tool"
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tool / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tool)
    project = make_project(tool=tool, fresh=True)
    project.build("ARCH=x86_64")
    core = tool / "site_scons" / "ebpfbuild"

    template = core / "skeleton" / "templates" / "skeleton.py.j2"
    template.write_text("{# nothing new #}" + template.read_text())
    made = outputs("one", "two", "three", arches=(X86,), kinds=("_skel.py", "_skel.pyi"))
    built = project.build("ARCH=x86_64")
    assert {path for path in built if not path.startswith("dist/")} == made
    assert {Path(path).suffix for path in built - made} == {".whl", ".tar"}  # their papers name the code

    for other in ("vendor/folder.py", "kernels/check.py", "reproduce/report.py", "verify/command.py", "sandbox/helper.py"):
        (core / other).write_text((core / other).read_text() + "# makes nothing\n")
    assert project.build("ARCH=x86_64") == set()

    edited = core / "compile/args.py"
    assert '"-Wall"' in edited.read_text()
    edited.write_text(edited.read_text().replace('"-Wall"', '"-Wall", "-Wextra"'))
    assert only_objects(project.build("ARCH=x86_64")) == objects("one", "two", "three", arches=(X86,))

    loader = tool / "loader" / "bpfloader" / "__init__.py"
    loader.write_text(loader.read_text() + "# a comment\n")
    assert {Path(path).suffix for path in project.build("ARCH=x86_64")} == {".whl"}


def test_another_version_of_a_package_remakes_what_it_has_a_part_in(built, tmp_path):
    """Skeletons are made by jinja2: another one may make others."""
    (folder,) = importlib.util.find_spec("jinja2").submodule_search_locations
    shutil.copytree(folder, tmp_path / "site/jinja2", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "site/jinja2-9.9.dist-info").mkdir()
    filters = tmp_path / "site/jinja2/filters.py"
    assert "str(d).join(" in filters.read_text()
    filters.write_text(filters.read_text().replace("str(d).join(", "(str(d) + '~').join("))
    made = built.build(BOTH, PYTHONPATH=str(tmp_path / "site"))
    assert {Path(path).suffix for path in made if not path.startswith("dist/")} >= {".py"} and not only_objects(made)
    assert "~" in next(built.folder.glob("build/*_skel.py")).read_text().partition("\n")[0]
    assert built.build(BOTH, PYTHONPATH=str(tmp_path / "site")) == set()


def test_a_new_header_that_shadows_an_old_one(built):
    (built.folder / "src/shared.h").write_text("#define LIMIT 9\n")
    assert only_objects(built.build(BOTH)) == objects("one", "two")


def test_another_checkout_makes_the_same_bytes(make_project):
    first, second = make_project("first"), make_project("a much longer name/second")
    first.build(BOTH)
    second.build(BOTH, LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo")
    suffixes = (".o", ".py", ".whl", ".tar", ".h", ".json", ".sha256")
    assert first.digests(*suffixes) == second.digests(*suffixes)


def test_a_file_left_out_of_the_program_leaves_the_package(built):
    """A package is made anew when what it holds changes, also when the change is an absence."""
    app = built.folder / "app"
    app.mkdir()
    (app / "extra.py").write_text("X = 1\n")
    built.edit("SConstruct", 'version="1.0"', 'version="1.0", app="app"')
    built.build(BOTH)
    (app / "extra.py").unlink()
    assert built.build(BOTH) == wheels(*NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("old, new", [("app/extra.py", "X = 1"), ("SConstruct", 'summary="X"'), ("SConstruct", 'license="MIT"'), ("README.md", "X")])
def test_a_tar_is_made_anew_for_what_it_holds_alone(one_program, project, old, new):
    """It holds objects, manifest and C skeletons: no Python, no word about the package. Its papers name the licence."""
    (project.folder / "app").mkdir()
    (project.folder / "app/extra.py").write_text("X = 1\n")
    (project.folder / "README.md").write_text("X\n")
    project.edit("SConstruct", 'version="1.0"', 'version="1.0", app="app", readme="README.md", summary="X", license="MIT"')
    project.build(BOTH)
    project.edit(old, new, new.replace("X", "Y").replace("MIT", "ISC"))
    assert project.build(BOTH) == wheels("one") | ({"dist/one-1.0-any.tar"} if "license" in new else set())
    project.edit("SConstruct", 'version="1.0"', 'version="1.1"')
    assert {Path(path).suffix for path in project.build(BOTH)} == {".tar", ".whl"}
