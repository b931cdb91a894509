"""What lies outside of the project, and which file a path with links and `..` is: the graph's answer is the kernel's."""

import shutil

import pytest


def objects(paths):
    return {path for path in paths if path.endswith(".o")}


def include(project, line):
    project.edit("src/one.bpf.c", '"shared.h"', f'"shared.h"\n{line}')


@pytest.mark.parametrize(
    "call, message",
    [
        ('"{out}/one.bpf.c"', "source: {out}/one.bpf.c is outside of the project; copy"),
        ('"../one.bpf.c"', "source: {out}/one.bpf.c is outside of the project; copy"),
        ('"src/one.bpf.c", include_dirs=["{out}"]', "include_dirs: {out} is outside of the project; copy"),
        ('"src/one.bpf.c", depends=["{out}/one.bpf.c"]', "depends: {out}/one.bpf.c is outside of the project; copy"),
    ],
)
def test_a_path_outside_of_the_project_is_refused(declare, tmp_path, call, message):
    project = declare(f"env.BpfObject({call.format(out=tmp_path)})\n")
    (tmp_path / "one.bpf.c").write_text((project.folder / "src/one.bpf.c").read_text())
    text = project.fails("ARCH=x86_64")
    assert message.format(out=tmp_path) in text and text.count("\n") == 1


def test_the_root_itself_is_inside_by_each_of_its_names(declare, tmp_path):
    names = {"dot": ".", "hash": "#", "absolute": "{0}/project", "back": "src/..", "link": "{0}/link", "linkback": "{0}/link/src/.."}
    own = [f'env.BpfObject("src/one.bpf.c", "{name}", include_dirs=["{path.format(tmp_path)}"])' for name, path in names.items()]
    shared = [f'ebpf(EBPF_CPPPATH=["include", "{path}"]).BpfObject("src/one.bpf.c", "all{path}")' for path in (".", "#")]
    below = ['env.BpfObject("one.bpf.c", "up", include_dirs=[".."])', 'env.BpfObject("one.bpf.c", "down", include_dirs=["#src/.."])']
    project = declare("\n".join([*own, *shared, 'SConscript("src/SConscript", exports="env")\n']))
    project.edit("SConstruct", "[\"#include\"], **given)", "given.pop('EBPF_CPPPATH', [\"#include\"]), **given)")
    (project.folder / "src/SConscript").write_text("\n".join(['Import("env")', *below, ""]))
    (project.folder / "rooted.h").write_text("#define ROOTED 1\n")
    (tmp_path / "link").symlink_to(project.folder)
    include(project, "#include <rooted.h>\n#include <src/local.h>")
    (project.folder / "src/local.h").write_text("#define LOCAL 1\n")
    made = objects(project.build("ARCH=x86_64"))
    assert made == {f"x86_64/{name}.bpf.o" for name in (*names, "all.", "all#", "up", "down")}
    assert project.build("ARCH=x86_64") == set()
    project.edit("rooted.h", "1\n", "2\nint more;\n")
    assert objects(project.build("ARCH=x86_64")) == made


@pytest.mark.parametrize("kind", ["source", "folder of the source", "header", "include folder", "way back"])
def test_a_link_out_of_the_project_is_told_once_and_refused_in_a_release(declare, tmp_path, kind):
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    body, link, target = {
        "source": ('env.BpfObject("src/two.bpf.c")', "src/two.bpf.c", "../../out/two.bpf.c"),
        "folder of the source": ('env.BpfObject("other/two.bpf.c")', "other", "../out"),
        "header": ('env.BpfObject("src/one.bpf.c")', "include/far.h", str(out / "far.h")),
        "include folder": ('env.BpfObject("src/one.bpf.c", include_dirs=["other"])', "other", "../out"),
        "way back": ('env.BpfObject("src/one.bpf.c", include_dirs=["other"])', "other", "../out/deep"),
    }[kind]
    project = declare(body + "\n")
    (project.folder / "src/two.bpf.c").rename(out / "two.bpf.c")
    (out / "far.h").write_text("#define FAR 1\n")
    (project.folder / link).symlink_to(target)
    if "BpfObject(\"src/one" in body:
        include(project, "#include <../far.h>" if kind == "way back" else "#include <far.h>")
    text = project.fails("ARCH=x86_64,aarch64", "RELEASE=1")
    assert f"{link} leads out of the project, to {out}" in text
    # In a sandbox the link is a folder, and nothing lies above that.
    mode = "SANDBOX=off" if kind == "way back" else "SANDBOX=auto"
    done = project.scons("ARCH=x86_64,aarch64", mode)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(f"ebpf: {link} leads out of the project, to {out}") == 1
    file = out / ("far.h" if (project.folder / "src/one.bpf.c").read_text().count("far.h") else "two.bpf.c")
    file.write_text(file.read_text() + "int more;\n")
    assert len(objects(project.build("ARCH=x86_64,aarch64", mode))) == 2


def test_links_within_the_project_are_followed_as_the_kernel_does(declare):
    project = declare('env.BpfObject("src/link.bpf.c", include_dirs=["sub/flat"])\n')
    (project.folder / "deep/er").mkdir(parents=True)
    for folder in ("deep", "src"):
        (project.folder / folder / "beside.h").write_text("#define BESIDE 1\n")
    (project.folder / "sub").mkdir()
    (project.folder / "sub/beside.h").write_text("#error the lexical parent\n")
    (project.folder / "deep/real.bpf.c").write_text((project.folder / "src/one.bpf.c").read_text())
    (project.folder / "deep/real.h").write_text('#include "beside.h"\n')
    (project.folder / "sub/flat").symlink_to("../deep/er")
    (project.folder / "src/link.bpf.c").symlink_to("../deep/real.bpf.c")
    (project.folder / "src/link.h").symlink_to("../deep/real.h")
    project.edit("deep/real.bpf.c", '"shared.h"', '"shared.h"\n#include <../beside.h>\n#include "link.h"')
    done = project.scons("ARCH=x86_64")
    assert done.returncode == 0 and "leads out" not in done.stderr, done.stderr
    for name in ("deep/beside.h", "src/beside.h", "deep/real.h", "deep/real.bpf.c"):
        file = project.folder / name
        file.write_text(file.read_text() + f"int more{len(name)};\n")
        assert objects(project.build("ARCH=x86_64")) == {"x86_64/link.bpf.o"}, name
        assert project.build("ARCH=x86_64") == set()
    (project.folder / "src/link.h").unlink()
    (project.folder / "src/link.h").symlink_to("../src/beside.h")
    assert objects(project.build("ARCH=x86_64")) <= {"x86_64/link.bpf.o"}


@pytest.mark.parametrize("form", ['"{}"', "<{}>"])
def test_an_absolute_include_is_refused_with_its_slash(declare, tmp_path, form):
    project = declare('env.BpfObject("src/one.bpf.c")\n')
    include(project, "#include " + form.format(f"{project.folder}/include/shared.h"))
    text = project.fails("ARCH=x86_64")
    assert f"src/one.bpf.c:4: includes {project.folder}/include/shared.h, an absolute path" in text


def test_a_file_that_appears_where_a_condition_asks_rebuilds(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\n')
    include(project, '#if __has_\\\ninclude /* ? */ ("late.h")\nint late;\n#endif\n#if __has_embed("late.bin")\nint bin;\n#endif')
    project.build("ARCH=x86_64")
    for name in ("src/late.bin", "include/late.h", "src/late.h"):
        (project.folder / name).write_text("/* a */\n")
        assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}, name
    (project.folder / "src/late.bin").unlink()
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}


def test_an_embedded_file_is_an_input(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\n')
    (project.folder / "src/table.bin").write_text("a")
    include(project, 'const volatile char table[] = {\n#embed "table.bin"\n};')
    project.build("ARCH=x86_64")
    (project.folder / "src/table.bin").write_text("b")
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}


@pytest.mark.slow
def test_what_a_pinned_header_includes_of_the_project_is_an_input(declare):
    """As libbpf's usdt.bpf.h includes <linux/errno.h>: known before the headers are fetched, and when the pin moves."""
    project = declare('env.BpfObject("src/one.bpf.c", include_dirs=["shim"])\n')
    pinned = project.folder / "pins/bpf/bpf_helpers.h"
    shim = project.folder / "shim/linux/errno.h"
    project.build("ARCH=x86_64")
    pinned.write_text(f"{pinned.read_text()}#if __has_include(<linux/errno.h>)\n#include <linux/errno.h>\n#endif\n")
    shim.parent.mkdir(parents=True)
    shim.write_text("#include <base.h>\n")
    (project.folder / "shim/base.h").write_text("int base;\n")

    def built():
        made = project.build("ARCH=x86_64")
        assert project.build("ARCH=x86_64") == set()
        return objects(made) == {"x86_64/one.bpf.o"}

    project.pin()
    assert built(), "another pin"
    shutil.rmtree(project.folder / "build")
    assert built(), "nothing fetched yet"
    (project.folder / "shim/base.h").write_text("int base, more;\n")
    assert built(), "edited"
    (project.folder / "include/base.h").write_text("int base;\n")
    assert built(), "shadowed"
    shim.unlink()
    assert built(), "gone"
    shim.write_text("int errno_h;\n")
    assert built(), "appeared"


def test_what_a_generated_header_includes_is_an_input(declare):
    project = declare(
        'env.Command("#include/made.h", "made.txt", Copy("$TARGET", "$SOURCE"))\nenv.BpfObject("src/one.bpf.c")\n'
    )
    (project.folder / "made.txt").write_text('#include "deep.h"\n')
    (project.folder / "include/deep.h").write_text("int deep;\n")
    include(project, '#include "made.h"')
    for text in ("int deep;\n", "int deep, more;\n"):
        (project.folder / "include/deep.h").write_text(text)
        assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}
        assert project.build("ARCH=x86_64") == set()


@pytest.mark.parametrize("setting", ['env.Append(EBPF_CFLAGS=["{}"])', 'env.BpfObject("src/one.bpf.c", cflags=["{}"])'])
@pytest.mark.parametrize(
    "flag, message",
    [
        ("-mcpu=v4", "'-mcpu=v4' chooses a target; take cpu = \"…\" in [clang] of toolchain.toml"),
        ("@args", "'@args' reads options from a file; write them out"),
        ("-Iother", "'-Iother' adds a folder in which files are found; say it to the build: include_dirs="),
    ],
)
def test_flags_of_a_sconstruct_that_name_files_are_refused(declare, setting, flag, message):
    rest = "" if "BpfObject" in setting else '\nenv.BpfObject("src/one.bpf.c")'
    project = declare(f"{setting.format(flag)}{rest}\n")
    what = "cflags" if "BpfObject" in setting else "EBPF_CFLAGS"
    assert f"{what}: {message}" in project.fails("ARCH=x86_64")
    project.edit("SConstruct", flag, "-DFINE=1")
    project.build("ARCH=x86_64")
