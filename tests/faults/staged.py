"""A project whose build goes through every stage: fetched pins, two sources that are linked, a proof, a package."""

import hashlib
import json
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from faultserver import body, serving
from mounts import Mounted, MountedProject
from scons_project import TIMEOUT, Project, pinned_project

from ebpfbuild.link.libraries import libraries_for, this_machine

SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
import inject
inject.start()
Default(env.BpfProgram("one", ["src/one.bpf.c", "src/two.bpf.c"], version="1.0"))
"""
SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
int version = 1;

SEC("raw_tp/sys_exit")
int two(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return task->pid + version;
}
"""
ARGUMENTS = ("ARCH=x86_64", "PROVE=1")
PINS = ("pins/x86_64.h", "pins/aarch64.h", "pins/s390x.h", "pins/libbpf.tar.gz")
FETCHED = ("fetch", "index")  # the stages that a build with a full store doesn't have
LEDGER = ".ebpf-ledger"


class Staged:
    """The project in a folder, in one of its two versions.

    `outputs` are the digests of what each version gives, by path. `moments` is how many moments each stage has, and
    `hidden` are the names of the hidden files that a plain build leaves.
    """

    def __init__(self, project: Project, linker):
        self.project, self.linker = project, linker
        self.version, self.outputs, self.moments = 1, {}, {}
        self.hidden = set()
        self.empty_store()

    def learn(self):
        """Builds both versions, and notes what they give and how many moments each stage of a build has."""
        counts = self.project.folder.parent / "counts"
        for order in (None, {"count": str(counts)}):
            done = self.build(order)
            assert done.returncode == 0, done.stdout + done.stderr
            self.outputs[self.version] = self.now()
            self.prepare("fetch")
        self.edit()
        self.hidden = {path.name for path in self.project.folder.rglob(".*")}
        self.moments = json.loads(counts.read_text())
        assert self.outputs[1] != self.outputs[2]

    def unbuilt(self, place: Mounted, ledger: str):
        """Returns the same project in a Mounted, not built yet: it gives the same, from the same server."""
        project = MountedProject(place, self.project.version, None)
        ignored = shutil.ignore_patterns("build", ".sconsign*", "compile_commands.json")
        shutil.copytree(self.project.folder, project.folder, ignore=ignored)
        write_ledger(project, ledger)
        other = Staged(project, self.linker)
        other.version, other.outputs, other.hidden = self.version, self.outputs, self.hidden
        return other

    def edit(self):
        """Makes the sources those of the other version."""
        self.project.edit("src/two.bpf.c", f"version = {self.version};", f"version = {3 - self.version};")
        self.version = 3 - self.version

    def empty_store(self):
        """Takes everything out of the store but the linker's libraries, which come from elsewhere."""
        shutil.rmtree(self.project.cache, ignore_errors=True)
        (self.project.cache / "sha256").mkdir(parents=True)
        for path in self.linker:
            shutil.copy(path, self.project.cache / "sha256")

    def forget(self):
        """Takes away what was fetched: a build after that begins with its first stage."""
        self.empty_store()
        self.forget_headers()

    def forget_headers(self):
        """Takes away the headers in the build folder: a build after that takes them from the store."""
        for folder in ("build/x86_64/include", "build/libbpf"):
            shutil.rmtree(self.project.folder / folder, ignore_errors=True)

    def build(self, fault=None, *arguments, **environment):
        """Runs scons, under a fault if one is given, and returns the finished process."""
        return self.project.scons(*ARGUMENTS, *arguments, **({"EBPF_FAULT": json.dumps(fault)} if fault else {}), **environment)

    def build_inside(self, place: Mounted, *arguments):
        """Runs scons in the namespace of a Mounted, and returns the finished process."""
        command, more = [*self.project.command, *ARGUMENTS, *arguments], self.project.place()
        return subprocess.run(place.inside(command, str(more.pop("cwd"))), **more, capture_output=True, text=True, timeout=TIMEOUT)

    def prepare(self, stage):
        """Leaves a build work in this stage."""
        if stage in FETCHED:
            self.forget()
        self.edit()

    def now(self):
        """The digests of all that is built, by path; without what remembers, and what a killed step was writing."""
        return {path: digest for path, digest in self.project.digests().items() if "/." not in f"/{path}"}

    def require_whole(self):
        """Fails if the store or the build folder holds half of anything."""
        for path in (self.project.cache / "sha256").iterdir():
            if not path.name.startswith(".incoming-"):
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        for path, digest in self.now().items():
            assert digest in {outputs.get(path) for outputs in self.outputs.values()}, f"{path} is half-written"

    def require_right(self):
        """Builds plainly: what that gives is this version's, and nothing else is left."""
        done = self.build()
        assert done.returncode == 0, done.stdout + done.stderr
        now, right = self.now(), self.outputs[self.version]
        assert {path: now.get(path) for path in right} == right
        assert {path.name for path in self.project.folder.rglob(".*")} <= self.hidden, "what a dead build left is there"

    def require_null(self):
        """Fails if a plain build finds anything to do."""
        before = self.project.stats()
        assert self.build().returncode == 0 and self.project.stats() == before


def linker_entries(pinned):
    """Returns the store's entries that the linker of this machine is."""
    needed = libraries_for(pinned.toolchain.linker, *this_machine())
    trees = [*needed.libraries, *filter(None, [needed.c_library])]
    files = [path for tree in trees for path in pinned.tree(tree).values()]
    return [*files, *(pinned.options.cache / "sha256" / tree.sha256 for tree in trees)]


def write_ledger(project: Project, text: str):
    """Has a project know what it takes half of a first build to find out about the compiler."""
    (project.folder / "build").mkdir()
    (project.folder / "build" / LEDGER).write_text(text)


@contextmanager
def staged_project(folder, version, pinned, ledger: str):
    """Yields a Staged in a folder, built, with its server."""
    with serving() as server:
        project = pinned_project(folder / "project", version, folder / "store")
        project.declare(SCRIPT, **{"two.bpf.c": SOURCE})
        for pin in PINS:
            server.say(body((project.folder / pin).read_bytes()), path=f"/{pin}")
            project.edit("toolchain.toml", f'path = "{pin}"', f'url = "{server.url(f"/{pin}")}"')
        write_ledger(project, ledger)
        staged = Staged(project, linker_entries(pinned))
        staged.learn()
        yield staged
