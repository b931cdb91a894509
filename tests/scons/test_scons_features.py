"""What SCons's own functions and options do to this tool's outputs: the table in docs/builders.md, a test for each row."""

import os

import pytest
from slow import slow_after

BOTH = "ARCH=x86_64,aarch64"
X86 = "ARCH=x86_64"
OBJECT = "build/x86_64/one.bpf.o"
PROGRAM = 'made = env.BpfProgram("one", "src/one.bpf.c", version="1.0")\nobject = made[0]\nDefault("programs")\n'
SUFFIXES = (".o", ".h", ".whl", ".tar", ".py", ".pyi", ".sha256")


@pytest.fixture
def declared(declare):
    """A function: lines of an SConstruct, below those that declare one program -> the project, built."""

    def build(more="", first=""):
        project = declare(first + PROGRAM + more)
        project.build(X86)
        return project

    return build


def built(project, *arguments):
    """Whether a build makes the object anew."""
    return "x86_64/one.bpf.o" in project.build(X86, *arguments)


def edited_back_in_time(project):
    """An edit that no time stamp shows: of the same size and mtime."""
    path = project.folder / "src/one.bpf.c"
    before = path.stat()
    project.edit("src/one.bpf.c", "return 0", "return 1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_cachedir_takes_and_gives_the_project_s_own_outputs_alone(declared):
    more = 'CacheDir("cache")\nenv.Command("own.txt", "src/one.bpf.c", "cp $SOURCE $TARGET")\nDefault("own.txt")\n'
    project = declared(more)
    project.build(X86)
    cached = [path.read_bytes() for path in (project.folder / "cache").rglob("*") if path.is_file() and len(path.name) > 20]
    assert cached == [(project.folder / "src/one.bpf.c").read_bytes()]
    project.scons(X86, "-c")
    done = project.scons(X86)
    assert "Retrieved `own.txt' from cache" in done.stdout and f"CLANG    {OBJECT}" in done.stdout
    assert done.stderr.count("takes and gives no output of this tool") == 1
    assert not built(project)


@pytest.mark.parametrize("line", slow_after(1, ['Decider("timestamp-newer")\n', 'SetOption("implicit_cache", 1)\n', 'SetOption("max_drift", 1)\n']))
def test_content_decides_whatever_the_project_sets(declared, line):
    project = declared(first=line)
    assert not built(project)
    os.utime(project.folder / "src/one.bpf.c")
    assert not built(project)
    edited_back_in_time(project)
    assert built(project)


def test_an_implicit_cache_misses_no_header_that_shadows_another(declared):
    project = declared(first='SetOption("implicit_cache", 1)\n')
    (project.folder / "src/shared.h").write_text("#define LIMIT 9\n")
    assert built(project, "--implicit-deps-unchanged")


@pytest.mark.parametrize("line", slow_after(1, ["Precious(made)\n", "env.NoClean(made)\n", "NoCache(made)\n"]))
def test_marks_of_a_node_change_no_byte(declared, line):
    project = declared()
    before = project.digests(*SUFFIXES)
    project.declare(PROGRAM + line)
    assert not built(project)
    project.edit("src/one.bpf.c", "return 0", "return 1")
    assert built(project)
    project.edit("src/one.bpf.c", "return 1", "return 0")
    assert built(project) and project.digests(*SUFFIXES) == before


def test_actions_run_before_and_after_a_step(declared):
    project = declared('env.AddPreAction(object, "echo before >> log")\nenv.AddPostAction(object, "test -s $TARGET && echo after >> log")\n')
    assert (project.folder / "log").read_text() == "before\nafter\n"
    assert not built(project)
    project.build(X86, "PROVE=1")
    assert (project.folder / "log").read_text() == "before\nafter\n" * 2


def test_an_action_that_changes_an_output_is_told(declared):
    project = declared()
    project.declare(PROGRAM + 'env.AddPostAction(object, "echo more >> $TARGET")\n')
    project.edit("src/one.bpf.c", "return 0", "return 1")
    done = project.scons(X86, OBJECT)
    said = f"{OBJECT} was changed after its step, by an action of the project's: each build makes it anew; change a copy of it (Command)"
    assert done.returncode == 0 and f"ebpf: {said}" in done.stderr


@pytest.mark.parametrize("line", ['Depends(object, "more.txt")\n', 'Depends(made, "more.txt")\n', 'env.Depends("#build/x86_64/one.bpf.o", "more.txt")\n'])
def test_depends_counts_by_content(declare, line):
    project = declare(PROGRAM + line)
    (project.folder / "more.txt").write_text("1")
    project.build(X86)
    os.utime(project.folder / "more.txt")
    assert not built(project)
    (project.folder / "more.txt").write_text("2")
    assert built(project)


def test_a_side_effect_keeps_steps_apart(declare):
    """Two objects that write one log: never at once, also with -j8."""
    lines = "".join(f'made = env.BpfObject("src/{name}.bpf.c")\nenv.AddPreAction(made, "mkdir lock && sleep 0.3 && rmdir lock")\n'
                    f'SideEffect("log", made)\nDefault(made)\n' for name in ("one", "two", "three"))  # fmt: skip
    project = declare(lines)
    project.build(X86, "-j8")
    assert project.build(X86, "-j8") == set()


@pytest.mark.parametrize("arguments", [["-j8", "--random"], *slow_after(0, [["-j8"], ["--random"], ["-k", "-j3"], ["--cache-disable"]])])
def test_order_and_jobs_change_no_byte(built_once, project, arguments):
    _, kept = built_once
    project.build(BOTH, *arguments)
    assert project.digests(*SUFFIXES) == type(project)(kept / "project", project.version, project.cache).digests(*SUFFIXES)
    assert project.build(BOTH, *arguments) == set()
