"""--debug=explain names what changed of a step's inputs in words: flags, pins, the core's files; no digests as JSON."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def explanation(project, *arguments):
    """The lines of --debug=explain, of a build for x86_64 of `arguments`; none of them is JSON or holds a whole sha256."""
    done = project.scons("ARCH=x86_64", "--debug=explain", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"[0-9a-f]{64}|\{\"", done.stdout), done.stdout
    return [line.strip() for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_flags_and_pins_are_named(project):
    project.build("ARCH=x86_64")
    lines = explanation(project, "CFLAGS=-DMORE")
    assert "scons: rebuilding `build/x86_64/one.bpf.o' because:" in lines
    assert lines.count("flag -DMORE added") == 3, "once for each program"
    assert "flag -DMORE removed" in explanation(project)

    project.edit("pins/x86_64.h", "int tgid;", "int tgid;\n\tint more;")
    project.pin()
    (line,) = {line for line in explanation(project, "build/x86_64/include/vmlinux.h") if "sha256" in line}
    assert re.fullmatch("pin vmlinux.x86_64 sha256 [0-9a-f]{12}… -> [0-9a-f]{12}…", line)
    assert "`build/x86_64/include/vmlinux.h' changed" in explanation(project)


@pytest.mark.slow
def test_an_edited_file_of_the_core_is_named(make_project, tmp_path):
    tool = tmp_path / "tool"
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tool / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tool)
    project = make_project(tool=tool)
    project.build("ARCH=x86_64", "one")
    for file in ("site_scons/ebpfbuild/compile/object.py", "loader/bpfloader/link/base.py"):
        (tool / file).write_text((tool / file).read_text() + "# a comment\n")
    lines = explanation(project, "one")
    assert "ebpfbuild/compile/object.py changed" in lines and "loader/link/base.py changed" in lines
