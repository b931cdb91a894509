"""`scons reproduce`: two builds in unlike places give the same bytes, and a difference is found and located."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

import pytest

PLANTED = """
def lister(target, source, env):
    with open(str(target[0]), "w") as out:
        out.write(" ".join(name for name in os.listdir("src") if name.endswith(".c")))
env.Command("build/year.txt", "SConstruct", "date +built-in-%Y > $TARGET")
env.Command("build/where.txt", "SConstruct", "pwd > $TARGET")
env.Command("build/host.txt", "SConstruct", "hostname > $TARGET" if WhereIs("hostname") else "uname -n > $TARGET")
env.Command("build/order.txt", "SConstruct", lister)
env.Command("build/sources.tar", "SConstruct", "tar -cf $TARGET src")
env.Command("src/made.h", "SConstruct", '''echo "struct made { char b[$$(pwd | wc -c)]; }; const char where[] = \\\\"$$(pwd)\\\\"; struct made made;" > $TARGET''')
Default(env.BpfObject("src/leaky.bpf.c"), "build")
"""
LEAKY = '#include "vmlinux.h"\n#include "made.h"\nint three(void *ctx)\n{\n\treturn made.b[1] + where[2];\n}\n'


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """A folder for temporary files of each test's own."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def run(project, scratch, *arguments):
    """Runs `scons reproduce`, and returns the status and what it printed."""
    done = project.scons("reproduce", *arguments, TMPDIR=str(scratch))
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_two_builds_give_the_same_bytes_and_what_was_varied_is_told(one_program, project, scratch):
    status, text = run(project, scratch, "ARCH=x86_64,s390x", "MINIMIZE=lean", "-j2", f"CACHE={scratch.parent}/shared")
    assert status == 0, text
    assert not (scratch.parent / "shared").exists(), "both builds make all themselves"
    assert "outputs, byte for byte\n" in text and "DIFFERS" not in text
    for word in ("folder", "HOME", "umask", "LC_ALL", "TZ", "jobs", "mtimes of inputs"):
        assert f"VARIED   {word}: " in text
    for word in ("clock", "host name"):
        assert f"\nVARIED   {word}" in text or f"\nKEPT     {word}" in text
    assert list(scratch.iterdir()) == [], "nothing is left behind"
    assert not (project.folder / "build/x86_64").exists(), "the project itself is not built"


@pytest.mark.slow
def test_planted_differences_are_found_and_located(project, scratch):
    with (project.folder / "SConstruct").open("a") as file:
        file.write(PLANTED)
    (project.folder / "src/leaky.bpf.c").write_text(LEAKY)
    status, text = run(project, scratch, "ARCH=x86_64")
    assert status != 0, text
    assert "DIFFERS  build/where.txt\n" in text and "it holds the build's folder: " in text
    assert "member src/one.bpf.c: time " in text and "member src: mode 0o755 | 0o700" in text
    assert "section .rodata in where: " in text and "BTF: only in the first: struct made { char b[" in text
    for name, word in (("year", "clock"), ("order", "order of a folder's entries"), ("host", "host name")):
        assert f"DIFFERS  build/{name}.txt\n" in text or f"KEPT     {word}" in text or f", {word}: " in text
    assert "build/x86_64/one.bpf.o" not in text, "what is the same is not named"
    left = glob.glob(f"{scratch}/reproduce-*/**/where.txt", recursive=True)
    assert len(left) == 2 and f"differ; both builds' files stay in {scratch}/" in text


@pytest.fixture
def theirs(one_program, project, tmp_path):
    """Somebody else's build folder of the project."""
    project.build("ARCH=x86_64")
    return shutil.copytree(project.folder / "build", tmp_path / "theirs", symlinks=True)


@pytest.mark.slow
def test_somebody_else_s_folder_or_wheel_is_compared(project, theirs, scratch):
    wheel = next(theirs.glob("dist/*.whl"))
    for other in (theirs / "dist", os.path.relpath(wheel, project.folder)):
        status, text = run(project, scratch, "ARCH=x86_64", f"--against={other}")
        assert status == 0 and re.search("outputs?, byte for byte", text), text
        assert "NOT IN" not in text or other == theirs / "dist", text
        assert "UNLIKE" not in text, text
    status, text = run(project, scratch, "ARCH=x86_64", "PROVE=1", "MINIMIZE=lean", f"--against={wheel}")
    said = "theirs has no MINIMIZE=, no PROVE=, ours MINIMIZE=lean, PROVE=1; build with the same\nDIFFERS  "
    assert status != 0 and f"UNLIKE   build/dist/{wheel.name}: {said}" in text, text
    data = bytearray((theirs / "x86_64/one.bpf.o").read_bytes())
    at = data.index(b"GPL")
    data[at] ^= 1
    (theirs / "x86_64/one.bpf.o").write_bytes(data)
    status, text = run(project, scratch, "ARCH=x86_64", "--against", str(theirs))
    assert [line for line in text.splitlines() if line.startswith("DIFFERS")] == ["DIFFERS  build/x86_64/one.bpf.o"], text
    assert [line for line in text.splitlines() if line.startswith("NOT IN")] == [f"NOT IN   {theirs}: compile_commands.json"], text
    assert status != 0 and "DIFFERS  build/x86_64/one.bpf.o\n           section license in LICENSE: from byte 0 on: 47" in text


@pytest.mark.slow
def test_what_can_t_be_compared_is_one_line(project, scratch, tmp_path):
    status, text = run(project, scratch, "--against", str(tmp_path / "nothing"))
    assert status != 0 and f"--against: {tmp_path}/nothing is not there; name a folder of outputs, or a wheel" in text
    (tmp_path / "empty").mkdir()
    status, text = run(project, scratch, "ARCH=x86_64", "one", "--against", str(tmp_path / "empty"))
    assert status != 0 and "; name a build folder, a folder of outputs, or a wheel" in text
    project.edit("SConstruct", "Default(", "(")
    status, text = run(project, scratch, "include")
    assert status != 0 and "reproduce: the build made nothing; name a target that it makes" in text
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_an_input_that_git_ignores_is_missed_with_the_reason(one_program, project, scratch):
    (project.folder / ".gitignore").write_text("include/\nbuild/\n.sconsign.dblite\n")
    subprocess.run(["git", "init", "-q", str(project.folder)], check=True)
    status, text = run(project, scratch, "ARCH=x86_64")
    assert status != 0 and "build 1 ended with status 2; build it without reproduce first; a file that git ignores is in no copy" in text
    assert "'shared.h' file not found" in text
    (project.folder / ".gitignore").write_text("pins/x86_64.h\nbuild/\n.sconsign.dblite\n")
    status, text = run(project, scratch, "ARCH=x86_64", "one.bpf.o")
    assert status == 0 and "1 that pins name" in text, text
