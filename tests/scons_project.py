"""Real scons in a temporary folder, on a project whose pins are small files of its own: no network, no mirror."""

import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ebpfbuild.compile.clang import locate
from ebpfbuild.errors import CompilerError
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.pins.toolchain import load
from ebpfbuild.sandbox.sandbox import Sandbox
from scons_forks import Starters, can_fork

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "tests" / "testdata" / "project"
ARCHES = ("x86_64", "aarch64", "s390x")
BOTH = "ARCH=x86_64,aarch64"
HEAD = """
import os
DefaultEnvironment(tools=[])
def ebpf(**given):
    return Environment(tools=["ebpf"], toolpath=[os.environ["TOOLPATH"]], EBPF_CPPPATH=["#include"], **given)
env = ebpf()
"""
STARTERS = Starters()
TIMEOUT = 240  # seconds that no build takes, and a build that waits for ever does


@pytest.fixture(scope="session")
def compiler(tmp_path_factory):
    """The pinned compiler; a test that needs it is skipped where it isn't installed."""
    spec = load(ROOT / "toolchain.toml").compiler
    try:
        return locate(spec.package, spec.path, spec.version, spec.where, Ledger(tmp_path_factory.mktemp("ledger") / "ledger"))
    except CompilerError as error:
        pytest.skip(str(error))


@functools.cache
def has_sandbox() -> bool:
    """Returns True if this machine allows sandboxes; a container often doesn't."""
    sandbox = Sandbox()
    try:
        return sandbox.possible()
    finally:
        sandbox.close()


def told_of_sandboxes(arguments) -> list[str]:
    """Returns scons's arguments; a release is told to do without a sandbox where the machine has none."""
    plain = "RELEASE=1" in arguments and not any(word.startswith("SANDBOX=") for word in arguments)
    return [*arguments, "SANDBOX=auto"] if plain and not has_sandbox() else [*arguments]


class Project:
    """A copy of the test project that scons builds."""

    command = (sys.executable, "-m", "SCons", "-Q")

    def __init__(self, folder: Path, version: str, cache: Path, tool: Path = ROOT):
        self.folder, self.cache, self.tool = folder, cache, tool
        self.version = version
        self.environment = {}

    def pin(self, **changes):
        """Writes toolchain.toml for what lies in pins/ now. `changes` replace text in it."""
        text = f'[compiler]\npackage = "ziglang"\nversion = "{self.version}"\n\n'
        digest = hashlib.sha256(self._helpers()).hexdigest()
        tree = hashlib.sha256(f"{digest}  bpf_helpers.h\n".encode()).hexdigest()
        text += f'[libbpf]\nversion = "1"\nfiles = ["bpf_helpers.h"]\nsha256 = "{tree}"\n'
        text += '[[libbpf.source]]\npath = "pins/libbpf.tar.gz"\nfolder = "bpf"\n'
        for arch in ARCHES:
            data = (self.folder / f"pins/{arch}.h").read_bytes()
            text += f'\n[vmlinux.{arch}]\nkernel = "6.19"\npath = "pins/{arch}.h"\n'
            text += f'sha256 = "{hashlib.sha256(data).hexdigest()}"\nsize = {len(data)}\n'
        for old, new in changes.items():
            text = text.replace(old, new)
        (self.folder / "toolchain.toml").write_text(text)

    def _helpers(self):
        data = (self.folder / "pins/bpf/bpf_helpers.h").read_bytes()
        with tarfile.open(self.folder / "pins/libbpf.tar.gz", "w:gz") as archive:
            entry = tarfile.TarInfo("bpf/bpf_helpers.h")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return data

    def declare(self, body, **files):
        """Writes an SConstruct, and files of src/ by name. The body finds `env`, and `ebpf()` makes further ones."""
        (self.folder / "SConstruct").write_text(HEAD + body)
        for name, text in files.items():
            (self.folder / "src" / name).write_text(text)
        return self

    def place(self, **environment):
        """Where and with which environment each scons of this project runs: keywords for subprocess."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "EBPF_CACHE": str(self.cache)}
        clean["TOOLPATH"] = str(self.tool / "site_scons" / "site_tools")
        return {"cwd": self.folder, "env": {**clean, **self.environment, **environment}}

    def scons(self, *arguments, **environment):
        """Runs scons and returns the finished process, whatever its status."""
        arguments, place = told_of_sandboxes(arguments), self.place(**environment)
        if self.command == Project.command and can_fork(arguments, place["env"]):
            return STARTERS.run(["-Q", *arguments], **place, timeout=TIMEOUT)
        return subprocess.run([*self.command, *arguments], **place, capture_output=True, text=True, timeout=TIMEOUT)

    def start(self, *arguments, **pipes):
        """Starts scons beside the test, and returns the process."""
        return subprocess.Popen([*self.command, *told_of_sandboxes(arguments)], **self.place(), **pipes)

    def build(self, *arguments, **environment):
        """Builds and returns the outputs that were written, as paths below build/."""
        before = self.stats()
        done = self.scons(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        after = self.stats()
        return {path for path in after if before.get(path) != after[path]}

    def fails(self, *arguments, **environment):
        """Builds, expects it to fail without a traceback, and returns what it printed."""
        done = self.scons(*arguments, **environment)
        text = done.stdout + done.stderr
        assert done.returncode != 0, text
        assert "Traceback" not in text
        return text

    def stats(self):
        """Each output's identity: which file it is and when it was written.

        A package's folder and the papers beside it are its wheel's and tar's shadows.
        """
        paths = [path for path in (self.folder / "build").rglob("*") if path.is_file() and path.name != ".ebpf-ledger"]
        paths = [path for path in paths if "python" not in path.relative_to(self.folder).parts and not is_paper(path)]
        return {str(path.relative_to(self.folder / "build")): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}

    def digests(self, *suffixes):
        """The sha256 of every output that ends so, or with no suffix of every one."""
        found = [path for path in sorted((self.folder / "build").rglob("*")) if path.is_file() and path.name.endswith(suffixes or ('',))]
        found = [path for path in found if path.name != ".ebpf-ledger"]
        return {str(path.relative_to(self.folder / "build")): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def edit(self, path, old, new):
        """Replaces text in one of the project's files; the text must be there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def commands(self):
        """compile_commands.json."""
        return json.loads((self.folder / "compile_commands.json").read_text())


def is_paper(path: Path) -> bool:
    """Returns True for a paper beside a wheel or a tar."""
    return path.name.endswith((".intoto.json", ".cdx.json", ".SHA256SUMS"))


def pinned_project(folder: Path, *rest) -> Project:
    """A copy of the test project in this folder, pinned and not built."""
    shutil.copytree(PROJECT, folder)
    project = Project(folder, *rest)
    project.pin()
    return project


@pytest.fixture(scope="session")
def known(tmp_path_factory, compiler):
    """A function: a tool's folder -> a ledger's lines about the compiler and the tool, and what follows of their bytes.

    To find them out is half of what a first build costs. They are about files outside of the project: the same for all.
    """

    @functools.cache
    def lines(tool: Path) -> str:
        parent = tmp_path_factory.mktemp("known")
        project = pinned_project(parent / "project", compiler.version, parent / "cache", tool)
        project.build("ARCH=x86_64", "build/x86_64/one.bpf.o")
        text = (project.folder / "build/.ebpf-ledger").read_text()  # each line's JSON lies behind its checksum
        return "".join(line for line in text.splitlines(keepends=True) if _outside(json.loads(line[9:]), project.folder))

    return lines


def _outside(line: list, folder: Path) -> bool:
    return line[0] in ("file", "fact") and line[1].startswith(("compiler ", "imports ", "/")) and str(folder) not in line[1]


@pytest.fixture
def make_project(tmp_path, compiler, known):
    """Makes a copy of the test project, pinned, in a folder of the given name; a `fresh` one has no ledger yet."""

    def make(name="project", tool=ROOT, fresh=False):
        project = pinned_project(tmp_path / name, compiler.version, tmp_path / "cache", tool)
        if not fresh:
            (project.folder / "build").mkdir()
            (project.folder / "build/.ebpf-ledger").write_text(known(tool))
        return project

    return make


@pytest.fixture
def project(make_project):
    """The test project, not built yet."""
    return make_project()


@pytest.fixture
def declare(project):
    """The test project's own `declare`."""
    return project.declare


@pytest.fixture
def one_program(project):
    """Leaves the test project one of its programs: for what is the same for each."""
    project.edit("SConstruct", '("one", "two", "three")', '("one",)')


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, compiler):
    """The folder of the test project and its cache, built for x86_64 and aarch64, and a copy of that folder."""
    parent = tmp_path_factory.mktemp("built")
    now, kept = parent / "now", parent / "kept"
    pinned_project(now / "project", compiler.version, now / "cache").build(BOTH)
    shutil.copytree(now, kept, symlinks=True)
    return now, kept


@pytest.fixture
def built(built_once, compiler):
    """The test project, built for x86_64 and aarch64: put back where it was built, as the ledger knows it by its path.

    The build that follows has nothing to do but to note each file's new inode and ctime: the state a real build leaves.
    """
    now, kept = built_once
    shutil.rmtree(now)
    shutil.copytree(kept, now, symlinks=True)
    project = Project(now / "project", compiler.version, now / "cache")
    assert project.build(BOTH) == set()
    return project
