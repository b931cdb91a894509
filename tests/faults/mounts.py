"""A file system of its own for a test, in a mount namespace that no other process sees."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from scons_project import Project


class Mounted:
    """A folder on which something is mounted in the namespace of a process that waits."""

    def __init__(self, folder: Path, holder: subprocess.Popen):
        self.folder, self._holder = folder, holder

    @property
    def seen(self) -> Path:
        """The folder as this process reaches it."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def inside(self, command, folder: str):
        """Returns the command that runs another one in a folder there."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "env", "-C", folder, *command]

    def path(self, text: str) -> str:
        """Returns a path that this process uses as it is there."""
        return text.replace(str(self.seen), str(self.folder))


class MountedProject(Project):
    """A project in a Mounted."""

    def __init__(self, place: Mounted, *rest):
        super().__init__(place.seen / "project", *rest)
        self.mounted, self.cache = place, place.seen / "store"
        self.command = place.inside(Project.command, place.path(str(self.folder)))

    def place(self, **environment):
        """Keywords for subprocess, by the paths that are there."""
        plain = super().place(**environment)
        return {"env": {name: self.mounted.path(value) for name, value in plain["env"].items()}}


@contextmanager
def mounted(folder: Path, *mounts: str):
    """Makes mounts in a new namespace, each the arguments of mount(8) with {} for the folder; skips where that fails."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    script = " && ".join([*(f"mount {mount}".replace("{}", '"$0"') for mount in mounts), "echo", "read line"])
    with subprocess.Popen(["unshare", "-m", "sh", "-c", script, folder], stdin=-1, stdout=-1, stderr=-1, text=True) as holder:
        if holder.stdout.readline() != "\n":
            pytest.skip(f"no file system can be mounted here: {holder.stderr.read().strip()}")
        yield Mounted(folder, holder)
        holder.stdin.close()
