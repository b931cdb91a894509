"""CACHE=: what one checkout made, others take, and nothing that a clean build there would not have made."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ebpfbuild.step_cache.action_result import decoded, encoded
from ebpfbuild.step_cache.cache import read_said, with_said

from scons_project import has_sandbox

sys.path.append(str(Path(__file__).resolve().parents[1] / "core"))
from bazel_server import bazel_server  # noqa: E402
from loopback import no_proxy  # noqa: E402, F401  a fixture

ONE = "env.BpfObject('src/one.bpf.c', cflags=ARGUMENTS.get('FLAGS', '').split())\n"
KINDS = """
shared = env.MinimizedVmlinux("both", ["src/one.bpf.c", "src/two.bpf.c"])
env.BpfObject("src/one.bpf.c")
env.BpfObject("src/two.bpf.c", header=shared)
env.BpfObject("src/three.bpf.c", minimize="off")
"""
OBJECT = "build/x86_64/one.bpf.o"
X86 = "ARCH=x86_64"


@pytest.fixture
def clones(make_project):
    """A function: a name and an SConstruct's body -> one more checkout of the same project."""
    return lambda name, body=ONE: make_project(name).declare(body)


@pytest.fixture
def cache(tmp_path):
    """The argument CACHE= for a folder."""
    return f"CACHE={tmp_path / 'cache of steps'}"


@pytest.fixture
def server(no_proxy):  # noqa: F811
    with bazel_server() as running:
        yield running


def built(project, *arguments):
    """Builds; returns how many steps came from the cache, of how many, and what was printed on stderr."""
    done = project.scons(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) of (\d+) from the cache", done.stdout)
    return (int(found[1]), int(found[2]), done.stderr) if found else (0, 0, done.stderr)


def object_of(project, path=OBJECT):
    return (project.folder / path).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["folder", "server"])
def test_a_fresh_checkout_elsewhere_takes_all_of_it_and_its_next_build_is_null(clones, cache, server, where):
    named = cache if where == "folder" else f"CACHE={server.url}/instance"
    first, second = clones("first", KINDS), clones("at/another/depth", KINDS)
    arguments = ("ARCH=x86_64,s390x", "PROVE=1", named)
    assert built(first, *arguments)[:2] == (0, 8)
    taken, steps, _ = built(second, *arguments)
    assert (taken, steps) == (8, 8)
    assert len(first.digests(".o", ".h", ".proof.json")) > 12
    assert second.digests(".o", ".h", ".proof.json") == first.digests(".o", ".h", ".proof.json")
    assert second.build(*arguments) == set()
    entries = [(each["file"], each["output"], each["arguments"]) for each in second.commands()]
    assert entries == [(each["file"], each["output"], each["arguments"]) for each in first.commands()]
    if where == "folder":  # what is proven serves where nobody asks for proofs
        assert built(clones("third", KINDS), X86, named)[:2] == (4, 4)


@pytest.mark.slow
def test_variants_and_build_folders_share(clones, cache, tmp_path):
    body = "Export('env')\nfor name in ('a', 'other'):\n    SConscript('src/SConscript', variant_dir=f'build/{name}', duplicate=0)\n"
    body += "for place in (None, ARGUMENTS['OUT'], 'out'):\n    env.Clone(EBPF_BUILD=place or 'build').BpfObject('src/two.bpf.c')\n"
    project = clones("project", body)
    (project.folder / "src/SConscript").write_text("Import('env')\nenv.BpfObject('one.bpf.c')\nenv.BpfObject('up.bpf.c')\n")
    up = (project.folder / "src/one.bpf.c").read_text().replace('"shared.h"', '"../include/shared.h"')
    (project.folder / "src/up.bpf.c").write_text(up)  # `..` leads out of a variant_dir, so its place counts
    assert built(project, X86, cache, f"OUT={tmp_path}/out")[:2] == (3, 7)
    assert object_of(project, "build/a/x86_64/one.bpf.o") == object_of(project, "build/other/x86_64/one.bpf.o")
    assert object_of(project, "out/x86_64/two.bpf.o") == object_of(project, "build/x86_64/two.bpf.o")


def test_a_variant_s_own_header_counts(clones, cache):
    body = "for number in '12':\n    SConscript('src/SConscript', exports=['env', 'number'], variant_dir=f'build/{number}', duplicate=0)\n"
    project = clones("project", body)
    scons = "Import('env', 'number')\nenv.Command('shared.h', [], f\"echo '#define LIMIT {number}' > $TARGET\")\nenv.BpfObject('one.bpf.c')\n"
    (project.folder / "src/SConscript").write_text(scons)
    (project.folder / "include/shared.h").unlink()
    assert built(project, X86, cache)[:2] == (0, 2)
    assert object_of(project, "build/1/x86_64/one.bpf.o") != object_of(project, "build/2/x86_64/one.bpf.o")


def test_whatever_changes_the_bytes_or_the_facts_is_another_result(clones, cache):
    project = clones("project")

    def made(*arguments):
        taken, steps, _ = built(project, X86, cache, OBJECT, *arguments)
        assert steps == 1
        return object_of(project), taken

    first, taken = made()
    assert taken == 0
    project.edit("include/shared.h", "7", "9")
    assert made()[1] == 0
    (project.folder / "src/shared.h").write_text("#define LIMIT 11\n")  # it is found before the other one
    shadowed, taken = made()
    assert taken == 0 and shadowed != first
    (project.folder / "src/shared.h").unlink()
    project.edit("include/shared.h", "9", "7")
    assert made() == (first, 1)
    assert made("FLAGS=-DX")[1] == 0
    project.edit("pins/bpf/bpf_helpers.h", "#define SEC", "/* another libbpf */\n#define SEC")
    project.pin()
    assert made()[1] == 0


@pytest.mark.skipif(not has_sandbox(), reason="this machine allows no sandbox")
def test_a_build_that_requires_a_sandbox_takes_what_such_a_build_made(clones, cache):
    made = [built(clones(mode), X86, cache, f"SANDBOX={mode}")[:2] for mode in ("off", "require", "auto")]
    assert made == [(0, 1), (0, 1), (1, 1)]
    assert built(clones("another"), X86, cache, "SANDBOX=require")[:2] == (1, 1)


def test_entries_that_somebody_spoilt_are_set_aside_and_made_anew(clones, cache):
    first, second, third = (clones(name, KINDS) for name in ("first", "second", "third"))
    built(first, X86, cache)
    folder = Path(cache.partition("=")[2])
    for path in (folder / "cas").iterdir():
        data = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    done = second.scons(X86, cache)
    assert done.returncode == 0 and "0 of 4 from the cache, which had 4 that can't be used" in done.stdout
    assert done.stderr.count("CACHE: ") == 1 and "holds other bytes than its name says; it is set aside as " in done.stderr
    assert second.digests(".o", ".h") == first.digests(".o", ".h")
    assert len(list((folder / "rejected").iterdir())) == 4
    taken, steps, told = built(third, X86, cache)
    assert (taken, steps) == (4, 4) and "CACHE" not in told
    assert third.digests(".o", ".h") == first.digests(".o", ".h")


def test_a_source_that_moves_before_its_step_is_neither_taken_nor_kept(clones, cache):
    """SCons has decided by what it was: an object of the one would be recorded as one of the other."""
    edit = "open('src/one.bpf.c', 'a').write('/* edited */\\n') and None"
    moving = f"one = {ONE}env.AddPreAction(one, Action(lambda target, source, env: {edit}))\n"
    folder = Path(cache.partition("=")[2])
    for filled in (0, 1):
        project = clones(f"moving{filled}", moving)
        assert "src/one.bpf.c: changed while it was compiled; build again" in project.fails(X86, cache)
        assert len(list(folder.rglob("ac/*"))) == filled and not (project.folder / OBJECT).exists()
        built(clones(f"still{filled}"), X86, cache)


def poison(cache, data):
    """Has each result that is kept give these bytes as the object, as somebody would who may write there and knows how."""
    folder = Path(cache.partition("=")[2])
    digest = hashlib.sha256(data).hexdigest()
    (folder / "cas" / digest).write_bytes(data)
    for path in (folder / "ac").iterdir():
        result = decoded(path.read_bytes())
        files = tuple(file._replace(sha256=digest, size=len(data)) if file.path == "object.o" else file for file in result.files)
        path.chmod(0o600)
        path.write_bytes(encoded(with_said(result._replace(files=files, stderr=b""), *read_said(result))))


def test_a_release_makes_itself_what_a_cache_gave(clones, cache):
    """Whoever may write into a cache is trusted by those who read it; a release reads none, and keeps nothing of it."""
    first, second = clones("first"), clones("second", ONE.replace("one", "two"))
    built(first, X86, cache)
    built(second, X86)
    good, other = object_of(first), object_of(second, "build/x86_64/two.bpf.o")
    poison(cache, other)
    third = clones("third")
    assert built(third, X86, cache)[:2] == (1, 1) and object_of(third) == other
    assert third.build(X86, cache) == set()
    before = {path: path.stat().st_mtime_ns for path in Path(cache.partition("=")[2]).rglob("*")}
    taken, steps, told = built(third, X86, cache, "RELEASE=1")
    assert (taken, steps) == (0, 0) and object_of(third) == good
    assert told.count("CACHE: RELEASE=1 makes each output itself, and neither reads a cache nor writes it") == 1
    assert {path: path.stat().st_mtime_ns for path in Path(cache.partition("=")[2]).rglob("*")} == before
    assert third.build(X86, cache, "RELEASE=1") == set()  # what it made itself stays


def test_what_the_step_would_not_have_made_is_not_taken(clones, cache):
    first = clones("first")
    built(first, "ARCH=s390x,x86_64", cache, "PROVE=1")
    for number, (spoilt, what) in enumerate({
        object_of(first, "build/s390x/one.bpf.o"): "is an object of the other byte order than x86_64's",
        object_of(first) + b"\0": "is a proof of another object",
        b"no object": "is no object: is no ELF file",
    }.items()):  # fmt: skip
        poison(cache, spoilt)
        project = clones(f"clone{number}")
        taken, steps, told = built(project, X86, cache, "PROVE=1", "CACHE_READONLY=1")
        assert (taken, steps) == (0, 1) and what in told
        assert object_of(project) == object_of(first)


def test_warnings_and_notices_are_said_again(clones, cache):
    said = []
    for name in ("first", "second"):
        project = clones(name)
        project.edit("src/one.bpf.c", "__u64 *count", "int unused;\n\t__u64 *count")
        project.edit("src/one.bpf.c", "#include \"vmlinux.h\"", "#define tgid other\n#include \"vmlinux.h\"")
        taken, _, told = built(project, X86, cache)
        said.append([line for line in told.splitlines() if "fetched" not in line and "is a new folder" not in line])
    assert taken == 1 and said[0] == said[1]
    assert any("warning: unused variable 'unused'" in line for line in said[1])
    assert any("using the full header, since the program defines tgid before it" in line for line in said[1])


def test_three_clones_of_eight_jobs_share_one_server_at_once(clones, server):
    projects = [clones(name, KINDS) for name in ("first", "second", "third")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [project.start("ARCH=x86_64,aarch64", "-j8", f"CACHE={server.url}", **pipes) for project in projects]
    ended = [(*process.communicate(timeout=240), process.returncode) for process in started]
    assert [status for *_, status in ended] == [0, 0, 0], ended
    assert not [err for _, err, _ in ended if "CACHE" in err]
    digests = [project.digests(".o", ".h") for project in projects]
    assert digests[0] == digests[1] == digests[2]


def test_a_reader_writes_nothing_and_a_dead_server_is_one_line(clones, cache):
    project = clones("project")
    *counts, told = built(project, X86, cache, "CACHE_READONLY=1")
    assert counts == [0, 1] and not Path(cache.partition("=")[2]).exists()
    assert "isn't there, and CACHE_READONLY=1 makes none: nothing comes from it; correct CACHE=" in told
    for flags, named, said, last in (
        ("FLAGS=-DA", "http://127.0.0.1:1", "CACHE: http://127.0.0.1:1 isn't used any more in this build, since ", ", which isn't used any more"),
        ("FLAGS=-DB", "http://127.0.0.1:1 --offline", "CACHE: --offline connects to nothing, and this cache is on the network", ""),
        ("FLAGS=-DC", "/proc/none", "CACHE: /proc/none can't be made (No such file or directory): this build uses no cache; correct CACHE=", ", which can't be made"),
        ("FLAGS=-DD", "/proc", "CACHE: /proc takes nothing in this build, since ", ", which takes nothing"),
    ):
        done = project.scons(X86, flags, *f"CACHE={named}".split())
        assert done.stderr.count("CACHE: ") == 1 and said in done.stderr
        end = done.stdout.splitlines()[-1]
        assert end.endswith(f"0 of 1 from the cache{last}" if last else "sandboxed")


def test_a_project_names_its_cache_and_the_command_line_another_or_none(clones):
    project = clones("project", "env = ebpf(EBPF_STEP_CACHE='#own', EBPF_STEP_CACHE_READONLY=True)\n" + ONE)
    assert built(project, X86)[:2] == (0, 1) and not (project.folder / "own").exists()
    assert built(project, X86, "FLAGS=-DA", "CACHE_READONLY=0")[:2] == (0, 1) and (project.folder / "own/ac").is_dir()
    assert built(project, X86, "FLAGS=-DB", "CACHE=")[:2] == (0, 0)
