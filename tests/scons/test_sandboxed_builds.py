"""A sandboxed build: what isn't declared isn't there, however it is asked for; the bytes are those of any other build."""

import os
import shutil
import subprocess

import pytest
from ebpfbuild.sandbox.sandbox import Sandbox
from scripts import wrapper
from slow import slow_after

IMPOSSIBLE = "echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\""


@pytest.fixture(scope="module", autouse=True)
def possible():
    """Skips where this machine allows no sandbox."""
    made = Sandbox("auto")
    if not made.possible():
        pytest.skip(f"this machine allows no sandbox: {made.refusal}")
    made.close()


def leak(project, line, text="#define LEAK 1\n"):
    """Has src/one.bpf.c ask for something, and returns the folder of a file leak.h that is outside of the project."""
    out = project.folder.parent / "out"
    out.mkdir()
    (out / "leak.h").write_text(text)
    project.edit("src/one.bpf.c", '#include "shared.h"', f'#include "shared.h"\n{line}')
    return out


@pytest.mark.slow
def test_the_bytes_are_the_same_and_the_last_line_says_which_it_was(project):
    with (project.folder / "SConstruct").open("a") as file:
        file.write('Default(env.BpfObject("both", ["src/one.bpf.c", "src/two.bpf.c"]))\n')
    arguments = "ARCH=x86_64,s390x", "one", "two", "three", "PROVE=1"
    seen = []
    for mode, said in (("auto", "sandboxed"), ("off", "not sandboxed (SANDBOX=off)"), ("require", "sandboxed")):
        done = project.scons(*arguments, f"SANDBOX={mode}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith(f" s, {said}")
        seen.append(project.digests(".o", ".h", ".py", ".pyi", ".whl", ".tar", "proof.json"))
        assert "CLANG" not in project.scons(*arguments, "SANDBOX=auto").stdout, "the mode is no input"
        project.scons(*arguments, "-c")
    assert seen[0] == seen[1] == seen[2] and seen[0]


@pytest.mark.parametrize("mode", slow_after(1, ["exact", "off"]))
@pytest.mark.parametrize(
    "line, said",
    [
        ('#define NAME "{out}/leak.h"\n#include NAME', "the compile read {out}/leak.h, which is outside of the project; copy it into the project"),
        ('#define NAME "../../out/leak.h"\n#include NAME', "the compile read {out}/leak.h, which is outside of the project; copy it into the project"),
        ('#define NAME "hidden.h"\n#include NAME', "the compile read include/hidden.h, which the build graph does not know; write the #include so"),
        ("#include <pthread.h>", "'pthread.h' file not found"),
        ("#include <far.h>", "include/far.h leads out of the project, to {out}/leak.h, where no sandboxed step looks; copy what"),
    ],
    ids=["absolute", "above", "undeclared", "host", "link"],
)
def test_what_is_not_declared_is_not_there(one_program, project, line, said, mode):
    (project.folder / "include/hidden.h").write_text("#define HIDDEN 1\n")
    out = leak(project, line.format(out=project.folder.parent / "out"))
    (project.folder / "include/far.h").symlink_to(out / "leak.h")
    text = project.fails("ARCH=x86_64", "one", f"MINIMIZE={mode}", "SANDBOX=require")
    assert said.format(out=out) in text, text
    assert not (project.folder / "build/x86_64/one.bpf.o").exists()


@pytest.mark.parametrize("directive", [".incbin", ".include"])
def test_assembly_reads_nothing(one_program, project, directive):
    out = leak(project, "", "# nothing\n")
    project.edit("src/one.bpf.c", "int one(", f'asm("{directive} \\"{out}/leak.h\\"");\nint one(')
    text = project.fails("ARCH=x86_64", "one", "SANDBOX=require")
    assert f"{directive}" in text and "src/one.bpf.c" in text and str(out) not in text.partition("scons: ***")[0]


def test_no_variable_and_no_configuration_reaches_a_compile(one_program, project):
    out = leak(project, "#ifdef LEAK\n#error leaked\n#endif\n#if __has_include(<leak.h>)\n#error leaked\n#endif")
    for name in ("clang.cfg", "bpfel.cfg", ".clang"):
        (project.folder / name).write_text("-DLEAK\n")
        (out / name).write_text("-DLEAK\n")
    names = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH", "XDG_CONFIG_HOME", "ZIG_LIB_DIR")
    hostile = dict.fromkeys(names, str(out)) | {"CCC_OVERRIDE_OPTIONS": "+-DLEAK", "LD_PRELOAD": "", "CLANG_CONFIG_FILE_USER_DIR": str(out)}
    assert "x86_64/one.bpf.o" in project.build("ARCH=x86_64", "one.bpf.o", "SANDBOX=require", **hostile)


def test_headers_by_way_of_folders_and_links_within_are_found(one_program, project):
    (project.folder / "include/empty").mkdir()
    (project.folder / "deep/er").mkdir(parents=True)
    (project.folder / "deep/beside.h").write_text("#define BESIDE 1\n")
    (project.folder / "deep/er/in.h").write_text('#include "../beside.h"\n')
    (project.folder / "include/linked").symlink_to("../deep/er")
    (project.folder / "include/up.h").write_text("#define UP 1\n")
    lines = '#include "linked/in.h"\n#include "linked/../beside.h"\n#include "empty/../up.h"\nint seen[BESIDE + UP];'
    leak(project, lines)
    bytes_of = []
    for mode in ("require", "off"):
        done = project.scons("ARCH=x86_64", "one.bpf.o", f"SANDBOX={mode}")
        assert done.returncode == 0, done.stderr
        bytes_of.append((project.folder / "build/x86_64/one.bpf.o").read_bytes())
        project.scons("ARCH=x86_64", "one.bpf.o", "-c")
    assert bytes_of[0] == bytes_of[1]


def test_a_build_folder_may_be_a_link_to_anywhere(one_program, project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(project.folder / "build")
    (project.folder / "build").symlink_to(tmp_path / "elsewhere")
    project.scons("ARCH=x86_64", "SANDBOX=require", "one.bpf.o")
    assert (tmp_path / "elsewhere/x86_64/one.bpf.o").exists()


def test_uapi_headers_are_there_and_a_planted_one_is_not(one_program, project):
    (project.folder / "src/tc.bpf.c").write_text(
        "#include <linux/bpf.h>\n#include <linux/if_ether.h>\n#if __has_include(<linux/planted.h>)\n#error planted\n#endif\n"
        'int tc(struct __sk_buff *skb)\n{\n\treturn ETH_P_IP;\n}\n'
    )
    with (project.folder / "SConstruct").open("a") as file:
        file.write('Default(env.BpfObject("src/tc.bpf.c"))\n')
    seen = []
    for mode in ("require", "off"):
        done = project.scons("ARCH=x86_64", "tc.bpf.o", f"SANDBOX={mode}")
        assert done.returncode == 0, done.stderr
        seen.append((project.folder / "build/x86_64/tc.bpf.o").read_bytes())
        (project.folder / "build/x86_64/tc.bpf.o").unlink()
    assert seen[0] == seen[1]


def test_where_it_is_impossible_require_is_one_line_and_auto_builds(one_program, project):
    """In a user namespace that may make no further ones, and without root's privileges in it."""
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    if not all(map(shutil.which, ("unshare", "setpriv"))):
        pytest.skip("there is no unshare or no setpriv")
    before = ["unshare", "-Ur", "sh", "-c", IMPOSSIBLE, "sh", *drop]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no user namespace")

    def build(*arguments):
        command = [*before, *project.command, "ARCH=x86_64", *arguments]
        done = subprocess.run(command, **project.place(), capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done

    done = build("SANDBOX=require")
    assert done.returncode == 2
    assert "SANDBOX=require: this machine allows no sandbox (unshare: " in done.stderr and "or take SANDBOX=auto" in done.stderr
    listed = build("RELEASE=1")
    assert listed.returncode == 2 and "RELEASE=1: refuses one thing, and nothing was built\n  SANDBOX=require: this machine" in listed.stderr
    done = build()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("s, not sandboxed (unshare: No space left on device)") or "not sandboxed (unshare: " in done.stdout
    assert os.path.exists(project.folder / "build/x86_64/one.bpf.o")


def test_a_mode_that_there_isn_t_is_refused(project):
    assert "SANDBOX=on: no such mode; take one of auto, require, off" in project.fails("SANDBOX=on")


def test_a_compiler_that_is_a_script_runs_without_and_the_last_line_says_so(one_program, project, compiler):
    script = project.folder / "clang"
    script.write_text(wrapper(compiler.argv[0], "clang"))
    script.chmod(0o755)
    project.pin(**{'package = "ziglang"': 'path = "clang"'})
    done = project.scons("ARCH=x86_64")
    assert done.returncode == 0 and "s, sandboxed but for " in done.stdout.splitlines()[-1] and "/clang" in done.stdout
    (project.folder / "build/x86_64/one.bpf.o").unlink()
    assert "clang is a script, and no sandbox has what it needs" in project.fails("ARCH=x86_64", "SANDBOX=require")
