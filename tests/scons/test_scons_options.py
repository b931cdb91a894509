"""SCons's own command line: -u, -D, -U, short names, --tree, -n, -q, -c, --debug=explain, and trees that can't be written."""

import re
import subprocess

import pytest
from scons_project import TIMEOUT
from read_only import read_only

BOTH = "ARCH=x86_64,aarch64"
X86 = "ARCH=x86_64"


def called_in(project, folder, *arguments):
    """Runs scons in a folder of the project."""
    place = project.place() | {"cwd": project.folder / folder}
    return subprocess.run([*project.command, *arguments], **place, capture_output=True, text=True, timeout=TIMEOUT)


@pytest.fixture
def by_script(one_program, project):
    """The test project with its program declared in src/SConscript."""
    project.declare('SConscript("src/SConscript", exports="env")\nDefault("programs")\n')
    (project.folder / "src/SConscript").write_text('Import("env")\nenv.BpfProgram("one", version="1.0")\n')
    return project


@pytest.mark.parametrize("option", ["-u", "-D", "-U"])
def test_it_is_called_in_a_folder_below(by_script, option):
    done = called_in(by_script, "src", X86, option)
    assert done.returncode == 0 and "CLANG    build/x86_64/one.bpf.o" in done.stdout, done.stdout + done.stderr
    done = called_in(by_script, "src", X86, option)
    assert done.returncode == 0 and "CLANG" not in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("folder, option", [(".", "-k"), ("src", "-u")])
@pytest.mark.parametrize("name", ["one.bpf.o", "x86_64/one.bpf.o"])
def test_an_object_has_a_short_name(by_script, folder, option, name):
    done = called_in(by_script, folder, BOTH, option, name)
    assert done.returncode == 0, done.stderr
    made = re.findall(r"CLANG +(\S+)", done.stdout)
    assert sorted(made) == [f"build/{arch}/one.bpf.o" for arch in ("aarch64", "x86_64") if "/" not in name or arch == "x86_64"]
    assert "WHEEL" not in done.stdout
    assert called_in(by_script, folder, BOTH, option, name).stdout.splitlines()[-1] == f"scons: `{name}' is up to date."


def test_each_output_has_a_short_name_and_a_misspelt_one_has_none(by_script):
    assert "dist/one-1.0-any.tar" in by_script.build(BOTH, "one-1.0-any.tar")
    text = by_script.fails(BOTH, "onw.bpf.o")
    assert "Do not know how to make File target `onw.bpf.o'" in text


@pytest.mark.parametrize("place", ["one.bpf.o", "own.bpf.o"])
def test_what_the_project_has_at_a_name_keeps_it(by_script, place):
    """A file that lies there, a target, an alias."""
    with open(by_script.folder / "SConstruct", "a") as file:
        file.write('env.Command("own.bpf.o", [], "echo mine > $TARGET")\nenv.BpfObject("src/two.bpf.c", "own")\n')
    (by_script.folder / "one.bpf.o").touch()
    by_script.build(X86, place)
    assert not (by_script.folder / f"build/x86_64/{place}").exists()


@pytest.mark.parametrize("tree", ["--tree=all", "--tree=status", "--tree=derived,prune"])
def test_the_tree_is_in_words(one_program, project, tree):
    project.build(X86)
    text = project.scons(X86, tree).stdout
    assert not re.search(r"[0-9a-f]{64}|\{\"", text), text
    if "derived" not in tree:
        assert re.search(r"\+-inputs [0-9a-f]{12}: clang [\d.]+ [0-9a-f]{12}…, code [0-9a-f]{12}…, flag .*, mode exact\n", text)


def test_n_and_q_make_nothing_and_say_what_a_build_would(one_program, project):
    def state():
        return {path: path.stat().st_mtime_ns for path in project.folder.rglob("*") if path.is_file() and ".sconsign" not in path.name}

    for expected in (0, 1):
        if expected:
            project.edit("src/one.bpf.c", "SEC(", "int more; SEC(")
        else:
            project.build(X86)
        before = state()
        assert project.scons(X86, "-q").returncode == expected
        done = project.scons(X86, "-n")
        assert done.returncode == 0 and ("CLANG    build/x86_64/one.bpf.o" in done.stdout) == bool(expected)
        assert state() == before
    explained = project.scons(X86, "--debug=explain").stdout
    assert "rebuilding `build/x86_64/one.bpf.o' because `src/one.bpf.c' changed" in explained


def test_c_removes_what_was_made_and_no_source(one_program, project):
    sources = {path for path in project.folder.rglob("*") if path.is_file()}
    project.build(X86)
    assert project.scons(X86, "-c", "-n").returncode == 0 and (project.folder / "build/x86_64/one.bpf.o").exists()
    assert project.scons(X86, "-c").returncode == 0
    left = {path.name for path in set(project.folder.rglob("*")) - sources if path.is_file()}
    assert left <= {".ebpf-ledger", ".sconsign.dblite", ".sconsign_sha256.dblite"} and all(path.exists() for path in sources)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_null_build_of_a_tree_that_can_t_be_written(one_program, project, times):
    """Right after the build, where digests aren't settled yet, and later."""
    for _ in range(times):
        project.build(X86)
    for arguments in ((), ("-q",), ("-n",), ("--tree=prune",)):
        done = read_only(project, X86, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert "up to date" in done.stdout or arguments == ("-q",)


def test_what_would_have_to_be_made_in_such_a_tree_is_one_line(one_program, project):
    project.build(X86)
    project.edit("src/one.bpf.c", "SEC(", "int more; SEC(")
    done = read_only(project, X86)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "one.bpf.o: Read-only file system" in done.stderr
    done = read_only(project, X86, "-q")
    assert (done.returncode, done.stderr) == (1, "")
