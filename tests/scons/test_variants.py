"""variant_dir as for stock objects: outputs lie in it, headers and sources are made in it, and each variant has its own."""

import pytest
from slow import slow_after

VARIANT = """
Import("env", "level")
env.Command("level.h", [], f"echo '#define LEVEL {level}' > $TARGET")
env.Command("sub/deep.h", "deep.in", Copy("$TARGET", "$SOURCE"))
env.BpfProgram("one", "one.bpf.c", version="1")
env.BpfObject("made.bpf.c", include_dirs=["sub"])
env.Command("made.bpf.c", "made.in", Copy("$TARGET", "$SOURCE"))
"""
WAYS = {
    "SConscript": 'SConscript("src/SConscript", exports=["env", "level"], variant_dir=f"build/{{name}}", duplicate={})',
    "VariantDir": 'VariantDir(f"build/{{name}}", "src", duplicate={})\n    SConscript(f"build/{{name}}/SConscript", exports=["env", "level"])',
}


def objects(paths):
    return {path for path in paths if path.endswith(".o")}


def levels(declare, way, duplicate):
    """A project of two variants, each with a header and a source of its own."""
    loop = "for level, name in enumerate(('debug', 'release')):\n    "
    files = {"SConscript": VARIANT, "deep.in": "#define DEEP 1\n", "local.h": "#define LOCAL 1\n"}
    project = declare(loop + WAYS[way].format(duplicate) + "\n", **files)
    names = '"shared.h"\n#include "level.h"\n#include "local.h"\nint level = LEVEL;'
    project.edit("src/one.bpf.c", '"shared.h"', names)
    made = (project.folder / "src/one.bpf.c").read_text().replace('"level.h"', "<level.h>\n#include <deep.h>")
    (project.folder / "src/made.in").write_text(made)
    return project


@pytest.mark.parametrize("duplicate", slow_after(1, [0, 1]))
@pytest.mark.parametrize("way", slow_after(1, WAYS))
def test_each_variant_has_its_own_generated_files_and_outputs(declare, way, duplicate):
    project = levels(declare, way, duplicate)
    made = project.build("ARCH=x86_64", "-j2")
    both = {f"{name}/x86_64/{file}.bpf.o" for name in ("debug", "release") for file in ("one", "made")}
    assert objects(made) == both
    for name in ("debug", "release"):
        assert {f"{name}/dist/one-1-py3-none-linux_x86_64.whl", f"{name}/x86_64/one_skel.py"} <= made
    bytes_of = [(project.folder / f"build/{name}/x86_64/{file}.bpf.o").read_bytes() for file in ("one", "made") for name in ("debug", "release")]
    assert bytes_of[0] != bytes_of[1] and bytes_of[2] != bytes_of[3]
    assert project.build("ARCH=x86_64") == set()
    project.edit("src/local.h", "1", "2")
    project.edit("src/local.h", "\n", "\nint more;\n")
    assert objects(project.build("ARCH=x86_64", "-j2")) == both
    project.edit("src/SConscript", "{level}'", "{level + (level and 5)}'")
    assert objects(project.build("ARCH=x86_64", "-j2")) == {path for path in both if path.startswith("release/")}
    project.edit("src/deep.in", "1", "1\nint deep;")
    assert objects(project.build("ARCH=x86_64", "-j2")) == {path for path in both if "made" in path}
    assert project.build("ARCH=x86_64") == set()


def test_a_copy_whose_source_is_gone_is_no_header(declare):
    project = levels(declare, "SConscript", 1)
    project.edit("src/one.bpf.c", '#include "local.h"', "#if __has_include(<local.h>)\n#include <local.h>\nint local;\n#endif")
    copy, target = project.folder / "build/debug/local.h", "build/debug/x86_64/one.bpf.o"
    project.build("ARCH=x86_64", target)
    assert copy.exists() and b"local\0" in (project.folder / target).read_bytes()
    (project.folder / "src/local.h").unlink()
    assert objects(project.build("ARCH=x86_64", target)) == {"debug/x86_64/one.bpf.o"}
    assert not copy.exists() and b"local\0" not in (project.folder / target).read_bytes()


@pytest.mark.parametrize("duplicate", [0, 1])
def test_a_generated_header_is_never_mistaken_for_another_of_its_name(declare, duplicate):
    """clang looks beside the source first. There may be what an older build left, in the tree or in the variant_dir."""
    project = levels(declare, "SConscript", duplicate)
    with (project.folder / "src/SConscript").open("a") as file:
        file.write('env.InstallAs("local.h", "#src/local.h")\n')  # a copy of what lies beside the sources may lie there
    targets = [f"build/{name}/x86_64/one.bpf.o" for name in ("debug", "release")]
    project.build("ARCH=x86_64", *targets)
    (project.folder / "src/level.h").write_text("#define LEVEL 77\n")
    text = project.fails("ARCH=x86_64", *targets)
    made = "takes src/level.h from beside the sources, and a builder makes build/debug/level.h"
    assert f"src/one.bpf.c: {made}; remove the first, or give one of them another name\n" in text
    before = [(project.folder / target).read_bytes() for target in targets]
    project.edit("src/SConscript", 'env.Command("level.h"', 'env.Command("other.h"')
    project.build("ARCH=x86_64", *targets)
    debug, release = ((project.folder / target).read_bytes() for target in targets)
    assert debug == release not in before, "the header beside the sources is both variants'"
    (project.folder / "src/level.h").unlink()
    assert "level.h" in project.fails("ARCH=x86_64", *targets), "no builder makes it any more, and a clean build has none"


def test_flags_differ_by_variant_also_for_a_source_from_elsewhere(declare):
    project = declare("""
for name, flags in {"debug": "-DDEBUG", "release": "-DRELEASE=1"}.items():
    SConscript("own/SConscript", exports={"env": env.Clone(EBPF_CFLAGS=flags)}, variant_dir=f"build/{name}")
env.BpfObject("src/two.bpf.c", "plain")
""")
    (project.folder / "own").mkdir()
    (project.folder / "own/SConscript").write_text(
        'Import("env")\nheader = env.MinimizedVmlinux("set", ["#src/two.bpf.c"])\n'
        'env.BpfSkeleton(env.BpfObject("#src/two.bpf.c", header=header, arch="x86, arm64"))\n'
    )
    made = project.build("ARCH=x86_64,aarch64")
    names = ("debug", "release")
    arches = ("x86_64", "aarch64")
    assert objects(made) == {f"{name}/{arch}/two.bpf.o" for name in names for arch in arches} | {f"{arch}/plain.bpf.o" for arch in arches}
    for name in names:
        assert {f"{name}/two_skel.py", f"{name}/x86_64/minimized/set/vmlinux.h"} <= made
    assert {"x86_64/include/vmlinux.h"} == {path for path in made if path.endswith("x86_64/include/vmlinux.h")}
    flags = {entry["output"]: entry["arguments"] for entry in project.commands()}
    assert "-DDEBUG" in flags["build/debug/x86_64/two.bpf.o"] and "-DRELEASE=1" in flags["build/release/x86_64/two.bpf.o"]


def test_a_build_folder_within_the_variant_dir_holds_its_outputs(declare):
    project = declare('SConscript("src/SConscript", exports="env", variant_dir="build")\n', SConscript='Import("env")\nenv.BpfObject("one.bpf.c")\n')
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}
    project.edit("SConstruct", "env = ebpf()", "env = ebpf(EBPF_BUILD='build/deep')")
    assert objects(project.build("ARCH=x86_64")) == {"deep/x86_64/one.bpf.o"}


def test_one_source_twice_names_the_way_out(declare):
    text = declare('env.BpfObject("src/one.bpf.c")\nenv.Clone(EBPF_CFLAGS="-DX").BpfObject("src/one.bpf.c")\n').fails("ARCH=x86_64")
    assert "build/x86_64/one.bpf.o is declared twice; give one of the programs another name, or a variant_dir" in text


def test_commands_tell_variants_apart(declare):
    project = declare(
        'for name in ("debug", "release"):\n    SConscript("src/SConscript", exports="env", variant_dir=f"build/{name}")\n',
        SConscript='Import("env")\nenv.BpfObject("one.bpf.c")\n',
    )
    objects = [f"build/{name}/x86_64/one.bpf.o" for name in ("debug", "release")]
    for command in (("sizes",), ("why", "task_struct")):
        text = project.scons("ARCH=x86_64", *command).stdout
        assert [any(line.startswith(path) for line in text.splitlines()) for path in objects] == [True, True], text
    project.edit("SConstruct", '("debug", "release")', '("debug",)')
    assert "one (x86_64): task_struct" in project.scons("ARCH=x86_64", "why", "task_struct").stdout
